//! Settings of the worker role.

use std::path::PathBuf;

use domain::ids::Instance;
use forge::seal::OpeningKeys;
use role::{ConfigErrors, Environment, LogFormat, Reader, SecretText};
use url::Url;

use crate::{platform::Places, run_token::RunTokenKey};

/// Everything that the worker is told at its start.
pub struct WorkerSettings {
    /// This installation.
    pub instance: Instance,
    /// Where Postgres is.
    pub database_url: SecretText,
    /// `host:port` of Temporal's frontend.
    pub temporal_address: String,
    /// The forge's REST API.
    pub forge_url: Url,
    /// Folder of bundles.
    pub blob_dir: PathBuf,
    /// Addresses and folders.
    pub places: Places,
    /// Opens credentials.
    pub opening_keys: OpeningKeys,
    /// Makes run tokens.
    pub run_token_key: RunTokenKey,
    /// Whether writes to the forge keep its pace; always, but for tests on a stand-in that bans nobody.
    pub paced: bool,
    /// Form of the log.
    pub log_format: LogFormat,
}

impl WorkerSettings {
    /// Reads the settings from the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_env() -> Result<Self, ConfigErrors> {
        Self::read(&Environment::of_process())
    }

    /// Reads the settings from given variables.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let instance = reader.required("CODEX_K8S_INSTANCE", "name this installation with 1 to 40 of a-z, 0-9 and `-`");
        let database_url = reader.required("DATABASE_URL", "write postgres://user:password@host:port/database");
        let temporal_address = reader.required("TEMPORAL_ADDRESS", "write host:port of Temporal's frontend");
        let forge_url =
            reader.required("FORGE_URL", "write the address of the REST API, such as https://api.github.com");
        let gateway_url = reader.required("GATEWAY_URL", "write the address at which Jobs reach the gateway");
        let model_url = reader.required("MODEL_GATEWAY_URL", "write the address at which Jobs reach the model gateway");
        let blob_dir = reader.required("BLOB_DIR", "name the folder that holds bundles");
        let mirrors = reader.required("MIRROR_DIR", "name a folder for mirrors of repositories");
        let opening_keys = key_file(&mut reader, "SEALING_PRIVATE_KEY_FILE", |text| {
            OpeningKeys::from_file_text(text).map_err(|error| error.to_string())
        });
        let run_token_key = key_file(&mut reader, "RUN_TOKEN_KEY_FILE", |text| {
            RunTokenKey::parse(text).map_err(|error| error.to_string())
        });
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        let settings = (|| {
            let mirrors: PathBuf = mirrors?;
            Some(Self {
                instance: instance?,
                database_url: database_url?,
                temporal_address: temporal_address?,
                forge_url: forge_url?,
                blob_dir: blob_dir?,
                places: Places {
                    gateway_url: gateway_url?,
                    model_url: model_url?,
                    scratch: mirrors.join("scratch"),
                    mirrors,
                },
                opening_keys: opening_keys?,
                run_token_key: run_token_key?,
                paced: true,
                log_format,
            })
        })();
        reader.finish(settings)
    }
}

/// Keys lie in files: an environment is too easily seen.
fn key_file<T>(
    reader: &mut Reader<'_>,
    variable: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    const FIX: &str = "name a file that only this role can read, with the key in it";
    let path: PathBuf = reader.required(variable, FIX)?;
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    match read.and_then(|text| parse(&text)) {
        Ok(key) => Some(key),
        Err(problem) => {
            reader.complain(variable, format!("names {}, and {problem}", path.display()), FIX);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let Err(errors) = WorkerSettings::read(&Environment::default()) else { panic!("nothing was set") };
        assert_eq!(errors.0.len(), 10, "{errors}");
    }
}
