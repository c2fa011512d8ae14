//! The file that names providers and the files of their keys.

use std::{collections::BTreeSet, fs, path::Path, path::PathBuf};

use role::SecretText;
use serde::Deserialize;
use url::Url;

use super::{KeySettings, ProviderSettings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    name: String,
    base_url: String,
    models: Option<Vec<String>>,
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    file: PathBuf,
}

/// Reads the file and those of the keys. A relative name of a key's file is one beside it.
///
/// # Errors
/// What is wrong, as a sentence; never with a key in it.
pub(super) fn read(path: &Path) -> Result<Vec<ProviderSettings>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file: File = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
    if file.providers.is_empty() {
        return Err("it names no provider".to_owned());
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut names = BTreeSet::new();
    let provider = |provider: Provider| {
        let Provider { name, base_url, models, keys } = provider;
        let base_url =
            address(&base_url).ok_or_else(|| format!("`{base_url}` of `{name}` is no address of a model API"))?;
        if !is_name(&name) || !names.insert(name.clone()) {
            return Err(format!(
                "`{name}` is no name, or there are two of it: 1 to 40 letters, digits, `-`, `_` and `.`"
            ));
        }
        if keys.is_empty() {
            return Err(format!("`{name}` has no key"));
        }
        let keys = keys.into_iter().map(|of| key(folder, &name, of)).collect::<Result<_, _>>()?;
        Ok(ProviderSettings { name, base_url, models, keys })
    };
    file.providers.into_iter().map(provider).collect()
}

fn key(folder: &Path, provider: &str, key: Key) -> Result<KeySettings, String> {
    if !is_name(&key.id) {
        return Err(format!(
            "`{}` of `{provider}` is no name of a key: 1 to 40 letters, digits, `-`, `_` and `.`",
            key.id
        ));
    }
    let path = folder.join(&key.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{} can't be read ({error})", path.display()))?;
    let text = text.trim();
    if !is_key(text) {
        return Err(format!("{} is empty or has characters that no key has", path.display()));
    }
    Ok(KeySettings { id: key.id, secret: SecretText::new(text) })
}

/// An address of a model API.
pub(super) fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.has_host();
    // What is in the address would be shown where the address is.
    (fits && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Whether a text can be a key.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
