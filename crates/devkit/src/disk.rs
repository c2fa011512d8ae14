//! How much room is left.

use std::{io, path::Path};

use nix::sys::statvfs::statvfs;

/// Free space in MiB for this user at `path`, which must exist.
///
/// # Errors
/// When the file system cannot be asked.
pub fn free_mib(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path).map_err(io::Error::from)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()) / (1024 * 1024))
}
