//! Archives of what set-up leaves behind: compressed, bounded in bytes and in time.
//!
//! One may be broken, or made by a Job long ago. It is unpacked aside, and only what the job names is put in its place.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
    time::Instant,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// Unpacked bytes: a small archive could hold very many.
const UNPACKED_BYTES: u64 = 8 << 30;

/// How much may pass, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the archive.
    pub(crate) bytes: u64,
    /// The last moment.
    pub(crate) until: Instant,
}

/// The two folders in which something can be kept.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    /// The work tree.
    pub(crate) tree: PathBuf,
    /// The home folder.
    pub(crate) home: PathBuf,
}

impl Roots {
    /// The place of a kept path, and its name in the archive.
    fn place(&self, path: &str) -> io::Result<(&Path, PathBuf, PathBuf)> {
        let (root, folder, below) = match path.strip_prefix("~/") {
            Some(below) => (&self.home, "home", below),
            None => (&self.tree, "tree", path),
        };
        let below = Path::new(below.trim_end_matches('/'));
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || below.as_os_str().is_empty() {
            return Err(io::Error::other(format!("`{path}` is no place to keep something from")));
        }
        Ok((root, below.to_owned(), Path::new(folder).join(below)))
    }
}

/// Packs those of the paths that are there; says how many.
pub(crate) fn pack(roots: &Roots, paths: &[String], to: &Path, limits: Limits) -> io::Result<usize> {
    let out = Bounded { inner: io::BufWriter::new(File::create(to)?), left: limits.bytes, until: limits.until };
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    archive.follow_symlinks(false);
    let mut packed = 0;
    for path in paths {
        let (root, below, name) = roots.place(path)?;
        let there = root.join(below);
        match fs::symlink_metadata(&there) {
            Ok(meta) if meta.is_dir() => archive.append_dir_all(&name, &there)?,
            Ok(_) => archive.append_path_with_name(&there, &name)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        packed += 1;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(packed)
}

/// Unpacks an archive into an empty folder aside, then moves what the job names to its place; says how many that were.
pub(crate) fn unpack(from: &Path, aside: &Path, roots: &Roots, paths: &[String], until: Instant) -> io::Result<usize> {
    let plain = GzDecoder::new(io::BufReader::new(File::open(from)?));
    let bounded = Bounded { inner: plain, left: UNPACKED_BYTES, until };
    tar::Archive::new(bounded).unpack(aside)?;
    let mut placed = 0;
    for path in paths {
        let (root, below, name) = roots.place(path)?;
        let kept = aside.join(name);
        if fs::symlink_metadata(&kept).is_err() {
            continue;
        }
        make_room(root, &below)?;
        fs::rename(kept, root.join(below))?;
        placed += 1;
    }
    Ok(placed)
}

/// Makes the folders on the way, none of which may lead elsewhere, and removes what stands in the place itself.
fn make_room(root: &Path, below: &Path) -> io::Result<()> {
    let mut folder = root.to_owned();
    for part in below.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match fs::symlink_metadata(&folder) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(io::Error::other(format!("{} is no folder", folder.display()))),
            Err(_) => fs::create_dir(&folder)?,
        }
    }
    let place = root.join(below);
    match fs::symlink_metadata(&place) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(_) => Ok(()),
    }
}

/// Fails once too much has passed, or it takes too long.
struct Bounded<T> {
    inner: T,
    left: u64,
    until: Instant,
}

impl<T> Bounded<T> {
    fn pass(&mut self, bytes: usize) -> io::Result<()> {
        if Instant::now() > self.until {
            return Err(io::Error::other("it takes too long"));
        }
        self.left = self.left.checked_sub(bytes as u64).ok_or_else(|| io::Error::other("it is too large"))?;
        Ok(())
    }
}

impl<T: Read> Read for Bounded<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.pass(read)?;
        Ok(read)
    }
}

impl<T: Write> Write for Bounded<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.pass(written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        roots: Roots,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { tree: folder.path().join("tree"), home: folder.path().join("home") };
        for name in ["tree", "home", "aside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Place { folder, roots }
    }

    fn limits(bytes: u64) -> Limits {
        Limits { bytes, until: Instant::now() + Duration::from_secs(60) }
    }

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    impl Place {
        fn unpack(&self, from: &Path, names: &[&str]) -> io::Result<usize> {
            let until = Instant::now() + Duration::from_secs(60);
            unpack(from, &self.folder.path().join("aside"), &self.roots, &paths(names), until)
        }
    }

    #[test]
    fn what_was_packed_is_there_again_and_nothing_else() {
        let (from, to) = (place(), place());
        fs::create_dir_all(from.roots.tree.join("a/modules/bin")).unwrap();
        fs::write(from.roots.tree.join("a/modules/bin/x"), "run").unwrap();
        std::os::unix::fs::symlink("bin/x", from.roots.tree.join("a/modules/link")).unwrap();
        fs::write(from.roots.home.join(".tool"), "settings").unwrap();
        fs::write(from.roots.home.join(".other"), "not named later").unwrap();
        let archive = from.folder.path().join("archive");
        let names = paths(&["a/modules/", "~/.tool", "~/.other", "absent"]);
        assert_eq!(pack(&from.roots, &names, &archive, limits(1 << 20)).unwrap(), 3);

        fs::create_dir_all(to.roots.tree.join("a/modules/old")).unwrap();
        assert_eq!(to.unpack(&archive, &["a/modules", "~/.tool", "absent"]).unwrap(), 2);
        assert_eq!(fs::read_to_string(to.roots.tree.join("a/modules/link")).unwrap(), "run");
        assert!(!to.roots.tree.join("a/modules/old").exists(), "what stood there is gone");
        assert_eq!(fs::read_to_string(to.roots.home.join(".tool")).unwrap(), "settings");
        assert!(!to.roots.home.join(".other").exists());
    }

    #[test]
    fn a_broken_archive_changes_nothing() {
        let (from, to) = (place(), place());
        fs::write(from.roots.tree.join("big"), "0123456789".repeat(100_000)).unwrap();
        let archive = from.folder.path().join("archive");
        pack(&from.roots, &paths(&["big"]), &archive, limits(1 << 20)).unwrap();
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
        fs::write(to.roots.tree.join("big"), "as it was").unwrap();
        assert!(to.unpack(&archive, &["big"]).is_err());
        assert_eq!(fs::read_to_string(to.roots.tree.join("big")).unwrap(), "as it was");
    }

    #[test]
    fn too_much_and_other_places_are_refused() {
        let place = place();
        let noise: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        fs::write(place.roots.tree.join("noise"), noise).unwrap();
        let archive = place.folder.path().join("archive");
        let error = pack(&place.roots, &paths(&["noise"]), &archive, limits(1_000)).unwrap_err();
        assert_eq!(error.to_string(), "it is too large");
        let late = Limits { bytes: 1 << 20, until: Instant::now() - Duration::from_secs(1) };
        let error = pack(&place.roots, &paths(&["noise"]), &archive, late).unwrap_err();
        assert_eq!(error.to_string(), "it takes too long");
        for path in ["../x", "/etc", "", "~/", "a/../../x"] {
            assert!(pack(&place.roots, &paths(&[path]), &archive, limits(1_000)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_folder_that_leads_elsewhere_is_not_followed() {
        let (from, to) = (place(), place());
        fs::create_dir_all(from.roots.tree.join("a/b")).unwrap();
        let archive = from.folder.path().join("archive");
        pack(&from.roots, &paths(&["a/b"]), &archive, limits(1 << 20)).unwrap();
        std::os::unix::fs::symlink(to.folder.path(), to.roots.tree.join("a")).unwrap();
        assert!(to.unpack(&archive, &["a/b"]).is_err());
        assert!(!to.folder.path().join("b").exists());
    }
}
