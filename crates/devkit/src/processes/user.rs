//! The user that services run as when the devkit itself is root.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

/// A user that owns files and runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

/// Who runs Postgres, which refuses to run as root; `None` when we are an ordinary user already.
pub fn unprivileged_owner() -> Option<Owner> {
    if !geteuid().is_root() {
        return None;
    }
    // initdb demands a user with a name, so a bare number would not do.
    let named = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(
        named.map_or(Owner { uid: 65534, gid: 65534 }, |user| Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
    )
}

/// Makes a folder that only `owner` (or, without one, this user) can look into.
pub(crate) fn private_folder(path: &Path, owner: Option<Owner>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    give(path, owner)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Hands a file or folder over to `owner`.
pub(crate) fn give(path: &Path, owner: Option<Owner>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    chown(path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).map_err(io::Error::from)
}
