//! `codex-k8s keys`: makes the files that the roles read their keys from.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use chrono::Utc;
use clap::{Subcommand, ValueEnum};
use forge::seal::OpeningKeys;
use gateway::hook_secrets::GatewayKey;
use role::Environment;
use store::Store;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key file (mode 0600). One that is there is never overwritten.
    Generate {
        /// Which key.
        kind: KeyKind,
        /// The file to write.
        path: PathBuf,
    },
    /// Put a new current key in front of those in the worker's sealing file. Then run `codex-k8s credentials reseal`.
    Rotate {
        /// The worker's private sealing file; the public one beside it is written too.
        path: PathBuf,
    },
    /// Put a new key in force that access tokens are signed with. Those that are out stay good until they die.
    RotateSigning,
    /// Take the old keys out of the worker's sealing file, once `codex-k8s credentials reseal` has left nothing for them.
    DropOld {
        /// The worker's private sealing file.
        path: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyKind {
    /// The worker's, which opens credentials; its public half, which closes them, goes beside it into PATH.pub.
    Sealing,
    /// The gateway's own, for the secrets of webhooks.
    Gateway,
    /// The worker's, which makes launch tokens.
    RunToken,
}

pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<String> {
    match command {
        KeysCommand::RotateSigning => rotate_signing().await,
        KeysCommand::Generate { kind, path } => generate(kind, &path),
        KeysCommand::Rotate { path } => rotate(&path),
        KeysCommand::DropOld { path } => drop_old(&path),
    }
}

fn generate(kind: KeyKind, path: &Path) -> anyhow::Result<String> {
    let keys = match kind {
        KeyKind::Sealing => {
            let keys = OpeningKeys::generate(&mut rand::rng());
            create(path, keys.to_file_text().as_bytes())?;
            return write_public(&keys, path);
        }
        KeyKind::Gateway => GatewayKey::generate().to_hex(),
        KeyKind::RunToken => hex::encode(rand::random::<[u8; 32]>()),
    };
    create(path, format!("{keys}\n").as_bytes())?;
    Ok(format!("{} is written.", path.display()))
}

fn rotate(path: &Path) -> anyhow::Result<String> {
    let keys = read(path)?.rotated(&mut rand::rng());
    replace(path, keys.to_file_text().as_bytes())?;
    let written = write_public(&keys, path)?;
    Ok(format!(
        "{written}\nNext: give both files to the roles (worker: private, gateway: public), restart them, then run `codex-k8s \
         credentials reseal`."
    ))
}

/// The keys are in the database, sealed under the gateway's own.
async fn rotate_signing() -> anyhow::Result<String> {
    let settings = gateway::auth::SigningKeySettings::read(&Environment::of_process())?;
    let store = Store::connect(settings.database_url.expose(), 1).await.context("connect to the database")?;
    let kid = gateway::auth::rotate(&store, &settings.key, Utc::now()).await.context("change the signing key")?;
    Ok(format!("Key {kid} signs from now on. Nobody is signed out: older tokens stay good until they die."))
}

fn drop_old(path: &Path) -> anyhow::Result<String> {
    let keys = read(path)?.without_old();
    replace(path, keys.to_file_text().as_bytes())?;
    Ok(format!("{} holds key {} alone.", path.display(), keys.sealing().key_id))
}

fn read(path: &Path) -> anyhow::Result<OpeningKeys> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    OpeningKeys::from_file_text(&text).with_context(|| format!("understand {}", path.display()))
}

fn write_public(keys: &OpeningKeys, private: &Path) -> anyhow::Result<String> {
    let mut public = private.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    replace(&public, keys.sealing().to_file_text().as_bytes())?;
    let id = &keys.sealing().key_id;
    Ok(format!("Key {id}: {} opens (the worker's alone), {} closes.", private.display(), public.display()))
}

fn create(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    match private_file(path).and_then(|mut file| file.write_all(content)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already, and a key is never overwritten: name another file", path.display())
        }
        written => written.with_context(|| format!("write {}", path.display())),
    }
}

/// Whole or not at all: a half-written key file would lock everything out.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let _ = fs::remove_file(&fresh);
    let write = || {
        let mut file = private_file(Path::new(&fresh))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

fn private_file(path: &Path) -> io::Result<File> {
    File::options().create_new(true).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for kind in KeyKind::value_variants() {
            let path = folder.path().join(format!("{kind:?}"));
            generate(*kind, &path).unwrap();
            let before = fs::read(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(generate(*kind, &path).unwrap_err().to_string().contains("never overwritten"));
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn a_rotated_file_opens_old_and_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        generate(KeyKind::Sealing, &path).unwrap();
        let old = read(&path).unwrap();
        let sealed = old.sealing().seal(&mut rand::rng(), b"x").unwrap();
        rotate(&path).unwrap();
        let both = read(&path).unwrap();
        assert_ne!(both.sealing(), old.sealing());
        assert!(both.open(&old.sealing().key_id, &sealed).is_ok());
        let public = fs::read_to_string(folder.path().join("sealing.key.pub")).unwrap();
        assert_eq!(public, both.sealing().to_file_text());
        drop_old(&path).unwrap();
        assert!(read(&path).unwrap().open(&old.sealing().key_id, &sealed).is_err());
    }
}
