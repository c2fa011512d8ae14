//! The secrets of the local platform: made once, each in a file that only its owner reads.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use forge::seal::OpeningKeys;

use super::UpError;
use crate::{file_error::FileError, private_file, secrets::random_hex};

/// The accounts of the stand-in's demo repository. The last one is the platform's own.
const LOGINS: [&str; 4] = ["maintainer", "writer", "outsider", "codex-bot"];

/// Secrets, and the files that hold them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs webhooks.
    pub webhook_secret: String,
    /// Lets Codex's requests into the scripted model; the model gateway's own.
    pub model_key: String,
    /// Login to token of the stand-in.
    pub forge_tokens: BTreeMap<String, String>,
    /// The same as a JSON file, for the stand-in.
    pub forge_tokens_file: PathBuf,
    /// The gateway's own key, for the secrets of hooks.
    pub gateway_key_file: PathBuf,
    /// Opens credentials; the worker's alone.
    pub sealing_private_key_file: PathBuf,
    /// Closes credentials; beside the private file, with `.pub` behind its name, for whoever connects a repository by hand.
    pub sealing_public_key: String,
    /// The same as a file, for the gateway.
    pub sealing_public_key_file: PathBuf,
    /// Makes launch tokens; the worker's alone.
    pub run_token_key_file: PathBuf,
    /// What the gateway shows the stand-in when people sign in.
    pub oauth_secret_file: PathBuf,
}

impl Keys {
    /// Reads the secrets in `folder`, making those that are not there.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds something else.
    pub fn load_or_make(folder: &Path) -> Result<Self, UpError> {
        let path = |name: &str| folder.join(name);
        let (sealing_private_key_file, sealing_public_key) = sealing_pair(folder)?;
        let sealing_public_key_file = path("sealing.key.pub");
        let forge_tokens_file = path("forge-tokens.json");
        let forge_tokens = forge_tokens(&forge_tokens_file)?;
        let gateway_key_file = path("gateway.key");
        keep(&gateway_key_file, || random_hex(32))?;
        let run_token_key_file = path("run-token.key");
        keep(&run_token_key_file, || random_hex(32))?;
        let oauth_secret_file = path("oauth-secret");
        keep(&oauth_secret_file, || random_hex(20))?;
        Ok(Self {
            webhook_secret: keep(&path("webhook-secret"), || random_hex(24))?,
            model_key: keep(&path("model-key"), || format!("local-{}", random_hex(24)))?,
            forge_tokens,
            forge_tokens_file,
            gateway_key_file,
            sealing_private_key_file,
            sealing_public_key,
            sealing_public_key_file,
            run_token_key_file,
            oauth_secret_file,
        })
    }
}

/// The content of a file, made first if it is not there.
fn keep(path: &Path, make: impl FnOnce() -> String) -> Result<String, UpError> {
    if path.exists() {
        let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
        return Ok(text.trim().to_owned());
    }
    let fresh = make();
    private_file::write(path, format!("{fresh}\n").as_bytes()).map_err(FileError::of("write", path))?;
    Ok(fresh)
}

fn forge_tokens(path: &Path) -> Result<BTreeMap<String, String>, UpError> {
    let text = keep(path, || {
        let tokens: BTreeMap<_, _> = LOGINS.map(|login| (login, format!("local_{}", random_hex(20)))).into();
        serde_json::json!(tokens).to_string()
    })?;
    Ok(serde_json::from_str(&text).map_err(|error| FileError::of("understand", path)(error.into()))?)
}

fn sealing_pair(folder: &Path) -> Result<(PathBuf, String), UpError> {
    let path = folder.join("sealing.key");
    let text = keep(&path, || OpeningKeys::generate(&mut rand::rng()).to_file_text().trim().to_owned())?;
    let keys = OpeningKeys::from_file_text(&text)
        .map_err(|error| FileError::of("understand", &path)(std::io::Error::other(error)))?;
    let public = keep(&folder.join("sealing.key.pub"), || keys.sealing().to_file_text().trim().to_owned())?;
    Ok((path, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::load_or_make(folder.path()).unwrap();
        let second = Keys::load_or_make(folder.path()).unwrap();
        assert_eq!(first.webhook_secret, second.webhook_secret);
        assert_eq!(first.forge_tokens, second.forge_tokens);
        assert_eq!(first.sealing_public_key, second.sealing_public_key);
        assert_ne!(first.forge_tokens["maintainer"], first.forge_tokens["outsider"]);
        for entry in fs::read_dir(folder.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
}
