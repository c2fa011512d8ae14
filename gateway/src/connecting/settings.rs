//! What the commands about repositories are told.

use std::path::{Path, PathBuf};

use domain::ids::Instance;
use forge::seal::SealingKeys;
use role::{ConfigErrors, Environment, Reader, SecretText};
use url::Url;

use super::ConnectKeys;
use crate::settings::{database_url, gateway_key};

/// What it takes to look at connected repositories and to ask for a check.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// This installation.
    pub instance: Instance,
    /// Where Postgres is.
    pub database_url: SecretText,
}

/// What it takes to connect a repository.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// Where the request is stored.
    pub database: DatabaseSettings,
    /// What is sealed with which key.
    pub keys: ConnectKeys,
    /// Where the forge reaches the gateway.
    pub public_url: Url,
}

impl DatabaseSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let settings = database(&mut reader);
        reader.finish(settings)
    }
}

impl ConnectSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let database = database(&mut reader);
        let gateway = gateway_key(&mut reader);
        let sealing = sealing_key(&mut reader);
        let public_url = reader.required(
            "PUBLIC_URL",
            "write the address at which GitHub reaches the gateway, such as https://codex.example.com",
        );
        let settings = (|| {
            let keys = ConnectKeys { gateway: gateway?, sealing: sealing? };
            Some(Self { database: database?, keys, public_url: public_url? })
        })();
        reader.finish(settings)
    }
}

fn database(reader: &mut Reader<'_>) -> Option<DatabaseSettings> {
    let instance = reader.required("CODEX_K8S_INSTANCE", "name this installation with 1 to 40 of a-z, 0-9 and `-`");
    let database_url = database_url(reader);
    Some(DatabaseSettings { instance: instance?, database_url: database_url? })
}

const VARIABLE: &str = "SEALING_PUBLIC_KEY_FILE";
const FIX: &str = "name the public file that `codex-k8s keys generate sealing` wrote beside the private one";

fn sealing_key(reader: &mut Reader<'_>) -> Option<SealingKeys> {
    let path: PathBuf = reader.required(VARIABLE, FIX)?;
    read_sealing_key(reader, &path)
}

/// `SEALING_PUBLIC_KEY_FILE`, which may be absent.
pub(crate) fn optional_sealing_key(reader: &mut Reader<'_>) -> Option<SealingKeys> {
    let path: PathBuf = reader.optional(VARIABLE, FIX)?;
    read_sealing_key(reader, &path)
}

fn read_sealing_key(reader: &mut Reader<'_>, path: &Path) -> Option<SealingKeys> {
    match read_key(path) {
        Ok(key) => Some(key),
        Err(problem) => {
            reader.complain(VARIABLE, format!("names {}, and {problem}", path.display()), FIX);
            None
        }
    }
}

fn read_key(path: &Path) -> Result<SealingKeys, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    SealingKeys::from_file_text(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let errors = ConnectSettings::read(&Environment::default()).unwrap_err();
        let variables: Vec<&str> = errors.0.iter().map(|error| error.variable).collect();
        let expected =
            ["CODEX_K8S_INSTANCE", "DATABASE_URL", "GATEWAY_KEY_FILE", "SEALING_PUBLIC_KEY_FILE", "PUBLIC_URL"];
        assert_eq!(variables, expected);
        assert_eq!(DatabaseSettings::read(&Environment::default()).unwrap_err().0.len(), 2);
    }
}
