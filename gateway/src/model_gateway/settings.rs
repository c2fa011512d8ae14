//! Settings of the model gateway role.

use std::net::SocketAddr;

use role::{ConfigErrors, Environment, LogFormat, Reader, SecretText};
use telemetry::TelemetrySettings;
use url::Url;

use crate::settings::database_url;

const DEFAULT_UPSTREAM: &str = "https://api.openai.com";

/// Everything that the model gateway is told at its start.
#[derive(Clone, Debug)]
pub struct ModelGatewaySettings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where Postgres is.
    pub database_url: SecretText,
    /// The model API, without `/v1`.
    pub upstream: Url,
    /// The real key. Nobody else has it.
    pub api_key: SecretText,
    /// Form of the log.
    pub log_format: LogFormat,
    /// How it shows itself.
    pub telemetry: TelemetrySettings,
}

impl ModelGatewaySettings {
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
        let default = SocketAddr::from(([127, 0, 0, 1], 8081));
        let bind = reader.or("MODEL_GATEWAY_BIND", default, "give an address and a port");
        let database_url = database_url(&mut reader);
        let upstream = upstream(&mut reader);
        let api_key = api_key(&mut reader);
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        let telemetry = TelemetrySettings::read(&mut reader);
        let settings = (|| {
            Some(Self {
                bind,
                database_url: database_url?,
                upstream: upstream?,
                api_key: api_key?,
                log_format,
                telemetry,
            })
        })();
        reader.finish(settings)
    }
}

fn upstream(reader: &mut Reader<'_>) -> Option<Url> {
    const FIX: &str = "write http(s)://host[:port] of a model API, without `/v1`";
    let text: String = reader.or("MODEL_UPSTREAM_URL", DEFAULT_UPSTREAM.to_owned(), FIX);
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.has_host() => Some(url),
        _ => {
            reader.complain("MODEL_UPSTREAM_URL", format!("is `{text}`"), FIX);
            None
        }
    }
}

fn api_key(reader: &mut Reader<'_>) -> Option<SecretText> {
    const FIX: &str = "set the key of the model API";
    let key: SecretText = reader.required("OPENAI_API_KEY", FIX)?;
    if key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(key);
    }
    reader.complain("OPENAI_API_KEY", "has characters that no key has", FIX);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_the_key_is_not_shown() {
        let given = [("DATABASE_URL", "postgres://localhost/x"), ("OPENAI_API_KEY", "sk-secret")];
        let settings = ModelGatewaySettings::read(&given.into_iter().collect()).unwrap();
        assert_eq!(settings.upstream.as_str(), "https://api.openai.com/");
        assert!(!format!("{settings:?}").contains("sk-secret"));

        let wrong = [("MODEL_UPSTREAM_URL", "api.openai.com"), ("OPENAI_API_KEY", "two words")];
        let errors = ModelGatewaySettings::read(&wrong.into_iter().collect()).unwrap_err();
        assert_eq!(errors.0.len(), 3, "{errors}");
        assert!(!errors.to_string().contains("two words"));
    }
}
