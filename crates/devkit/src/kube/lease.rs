//! Whose the cluster is: a person's, who ends it, or a command's, that ends it with itself.

use std::fs::{self, File};

use serde::{Deserialize, Serialize};

use super::{Cluster, KubeError, given, kind, own::OwnCluster, scripts::read};
use crate::{console, file_error::FileError, layout::Layout, private_file, processes::is_alive};

/// Who wants the cluster to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A person, until they end it.
    Person,
    /// The process of this id, until its end.
    Process(i32),
}

impl Holder {
    /// The running command.
    pub fn this_process() -> Self {
        Self::Process(i32::try_from(std::process::id()).unwrap_or_default())
    }

    /// Whether there is still somebody to hold it.
    fn is_there(self) -> bool {
        match self {
            Self::Person => true,
            Self::Process(pid) => is_alive(pid),
        }
    }
}

/// A cluster to use, and whether it ends with the use.
#[derive(Debug)]
pub struct Lease {
    /// The cluster.
    pub cluster: Cluster,
    layout: Layout,
    is_ours: bool,
}

impl Lease {
    /// Ends the cluster if this command started it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(mut self) -> Result<(), KubeError> {
        if std::mem::take(&mut self.is_ours) { stop(&self.layout).map(drop) } else { Ok(()) }
    }
}

impl Drop for Lease {
    /// On the way out of a command that failed; what it says matters more than a cluster that does not end.
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = stop(&self.layout)
        {
            console::complain(&error);
        }
    }
}

/// Finds a running cluster or starts one: the one that the environment names, kind's, the devkit's own.
///
/// # Errors
/// [`KubeError::Unavailable`] when none can be had here, others when one that should be had fails.
pub fn obtain(layout: &Layout, holder: Holder) -> Result<Lease, KubeError> {
    let lease = |cluster, is_ours| Lease { cluster, layout: layout.clone(), is_ours };
    if let Some(cluster) = given::find()? {
        return Ok(lease(cluster, false));
    }
    let _turn = turn(layout)?;
    let own = OwnCluster::of(layout);
    let by_kind = kind::is_possible();
    if let Some(cluster) = running(layout, &own, by_kind)? {
        if noted(layout)?.is_some_and(Holder::is_there) {
            if holder == Holder::Person {
                note(layout, holder)?;
            }
            return Ok(lease(cluster, false));
        }
        // Who started it was killed, and nobody knows what state it is in.
        stop_unlocked(layout, &own, by_kind)?;
    } else if own.has_left_something() {
        own.stop()?;
    }
    let cluster = if by_kind {
        kind::start(layout)?
    } else {
        if let Some(why) = own.obstacle() {
            return Err(KubeError::Unavailable { why });
        }
        own.start()?
    };
    note(layout, holder)?;
    Ok(lease(cluster, holder != Holder::Person))
}

/// The cluster that runs now, without starting one.
pub(super) fn find_running(layout: &Layout) -> Result<Option<Cluster>, KubeError> {
    if let Some(cluster) = given::find()? {
        return Ok(Some(cluster));
    }
    running(layout, &OwnCluster::of(layout), kind::is_possible())
}

/// Ends this tree's cluster. Returns whether there was one.
pub(super) fn stop(layout: &Layout) -> Result<bool, KubeError> {
    let _turn = turn(layout)?;
    stop_unlocked(layout, &OwnCluster::of(layout), kind::is_possible())
}

/// Ends this tree's cluster if the process that wanted it is gone. Returns whether that was so.
///
/// # Errors
/// When it does not end.
pub fn stop_abandoned(layout: &Layout) -> Result<bool, KubeError> {
    let _turn = turn(layout)?;
    match noted(layout)? {
        Some(holder) if !holder.is_there() => stop_unlocked(layout, &OwnCluster::of(layout), kind::is_possible()),
        _ => Ok(false),
    }
}

fn stop_unlocked(layout: &Layout, own: &OwnCluster, by_kind: bool) -> Result<bool, KubeError> {
    let mut was_there = false;
    if own.has_left_something() {
        own.stop()?;
        was_there = true;
    }
    if by_kind && kind::running(layout)?.is_some() {
        kind::stop(layout)?;
        was_there = true;
    }
    let _ = fs::remove_file(note_path(layout));
    Ok(was_there)
}

fn running(layout: &Layout, own: &OwnCluster, by_kind: bool) -> Result<Option<Cluster>, KubeError> {
    match own.running()? {
        Some(cluster) => Ok(Some(cluster)),
        None if by_kind => kind::running(layout),
        None => Ok(None),
    }
}

fn note_path(layout: &Layout) -> std::path::PathBuf {
    layout.instance.join("kube.holder")
}

fn note(layout: &Layout, holder: Holder) -> Result<(), KubeError> {
    let path = note_path(layout);
    Ok(private_file::write_json(&path, &holder).map_err(FileError::of("write", path))?)
}

fn noted(layout: &Layout) -> Result<Option<Holder>, KubeError> {
    Ok(read(&note_path(layout))?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// One command of a tree starts or ends its cluster at a time.
fn turn(layout: &Layout) -> Result<File, KubeError> {
    fs::create_dir_all(&layout.instance).map_err(FileError::of("create", &layout.instance))?;
    let path = layout.instance.join("kube.lock");
    let file = File::create(&path).map_err(FileError::of("create", &path))?;
    file.lock().map_err(FileError::of("lock", path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_holds_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        assert!(!Holder::Process(pid).is_there());
        assert!(Holder::this_process().is_there() && Holder::Person.is_there());
    }

    #[test]
    fn the_holder_is_read_back_as_it_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout {
            tree: folder.path().to_owned(),
            cache: folder.path().to_owned(),
            instance: folder.path().to_owned(),
        };
        assert_eq!(noted(&layout).unwrap(), None);
        for holder in [Holder::this_process(), Holder::Person] {
            note(&layout, holder).unwrap();
            assert_eq!(noted(&layout).unwrap(), Some(holder));
        }
    }
}
