//! Looking for a text everywhere: environments, arguments and memory of processes, files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Memory is read in pieces of this size, which overlap by the length of what is looked for.
const PIECE: usize = 1 << 20;

/// Hexadecimal digits of a token behind its prefix.
const DIGITS: usize = 64;

/// What a search of processes found.
pub struct Processes {
    /// The programs that were searched.
    pub programs: Vec<String>,
    /// Where the text is: process, program, and what of it.
    pub holders: Vec<String>,
}

/// What a search of files found.
pub struct Files {
    /// How many files were searched.
    pub looked_at: usize,
    /// Those that hold the text.
    pub holding: Vec<PathBuf>,
}

/// Searches every process that came from this one. One that ends meanwhile is passed over.
///
/// # Errors
/// When the system does not tell which processes there are.
pub fn below_this_process(text: &str) -> io::Result<Processes> {
    Ok(in_processes(&descendants(std::process::id())?, text))
}

/// A process, and every one that came from it.
///
/// # Errors
/// When the system does not tell which processes there are.
pub fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut all = descendants(pid)?;
    all.push(pid);
    Ok(all)
}

/// The processes of a pod on this machine, by its UID.
///
/// # Errors
/// When the system does not tell which processes there are.
pub fn of_pod(uid: &str) -> io::Result<Vec<u32>> {
    // Some drivers write it with `_`.
    let written = [uid.to_owned(), uid.replace('-', "_")];
    let belongs = |pid: &u32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        written.iter().any(|uid| groups.contains(uid))
    };
    Ok(all()?.into_iter().filter(belongs).collect())
}

/// Searches these processes. One that ends meanwhile is passed over.
#[must_use]
pub fn in_processes(pids: &[u32], text: &str) -> Processes {
    let mut found = Processes { programs: Vec::new(), holders: Vec::new() };
    for pid in pids {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let Ok(program) = fs::read_link(folder.join("exe")) else { continue };
        found.programs.push(program.display().to_string());
        let holds = |what: &str| fs::read(folder.join(what)).is_ok_and(|bytes| contains(&bytes, text));
        for what in ["environ", "cmdline"] {
            if holds(what) {
                found.holders.push(format!("{what} of {pid} {}", program.display()));
            }
        }
        if memory_holds(&folder, text).unwrap_or(false) {
            found.holders.push(format!("memory of {pid} {}", program.display()));
        }
    }
    found
}

/// The token of a kind that a process has in its memory, by the kind's prefix.
///
/// # Errors
/// When it can't be read.
pub fn token_in(pid: u32, prefix: &str) -> io::Result<Option<String>> {
    let mut found = None;
    search(&PathBuf::from(format!("/proc/{pid}")), DIGITS, |bytes| {
        let mut places = bytes.windows(prefix.len() + DIGITS).filter(|window| window.starts_with(prefix.as_bytes()));
        let whole = places.find(|window| window.iter().skip(prefix.len()).all(u8::is_ascii_hexdigit));
        found = whole.map(|window| String::from_utf8_lossy(window).into_owned());
        found.is_some()
    })?;
    Ok(found)
}

/// Whether this process has it in its memory.
///
/// # Errors
/// When it can't be read.
pub fn in_this_process(text: &str) -> io::Result<bool> {
    memory_holds(Path::new("/proc/self"), text)
}

/// Searches every file below a folder, but for programs: in the devkit's own, copied for Jobs, the scripted
/// model's key is a constant.
///
/// # Errors
/// When a folder can't be read.
pub fn files_with(folder: &Path, text: &str) -> io::Result<Files> {
    let mut found = Files { looked_at: 0, holding: Vec::new() };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.looked_at += 1;
                let is_program = |bytes: &[u8]| bytes.starts_with(b"\x7fELF");
                if fs::read(entry.path()).is_ok_and(|bytes| !is_program(&bytes) && contains(&bytes, text)) {
                    found.holding.push(entry.path());
                }
            }
        }
    }
    Ok(found)
}

/// Every process that this one, or one of those, has started.
fn descendants(of: u32) -> io::Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in all()? {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name of the program, in parentheses, may hold anything; the parent is the second word after it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![of]);
    while let Some(pid) = next.pop() {
        let own = children.remove(&pid).unwrap_or_default();
        found.extend(&own);
        next.extend(own);
    }
    Ok(found)
}

/// Every process that is seen from here.
fn all() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Whether a process has a text in its memory.
fn memory_holds(process: &Path, text: &str) -> io::Result<bool> {
    search(process, text.len(), |bytes| contains(bytes, text))
}

/// Looks through the memory that a process can write, until it is found: what it has read is there. Pieces overlap by `overlap`.
fn search(process: &Path, overlap: usize, mut found: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let memory = File::open(process.join("mem"))?;
    for line in fs::read_to_string(process.join("maps"))?.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        if rights.starts_with("rw") && region_holds(&memory, from..to, overlap, &mut found) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn region_holds(memory: &File, region: Range<u64>, overlap: usize, found: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let mut buffer = vec![0; PIECE + overlap];
    let mut at = region.start;
    while at < region.end {
        let length = usize::try_from(region.end - at).unwrap_or(PIECE).min(buffer.len());
        // Some regions can't be read; they hold nothing that anybody has read.
        let Ok(read) = memory.read_at(&mut buffer[..length], at) else { return false };
        if buffer.get(..read).is_some_and(&mut *found) {
            return true;
        }
        at += PIECE as u64;
    }
    false
}

fn contains(bytes: &[u8], text: &str) -> bool {
    // The first byte is looked for fast; hundreds of megabytes are searched.
    let (needle, mut rest) = (text.as_bytes(), bytes);
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
