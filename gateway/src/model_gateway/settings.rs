//! Settings of the model gateway role.

use std::{net::SocketAddr, path::PathBuf};

use domain::told_settings::{ToldProvider, ToldSetting, ToldSettings};
use role::{ConfigErrors, Environment, LogFormat, Reader, SecretText};
use telemetry::TelemetrySettings;
use url::Url;

use super::{Prices, ProviderSettings, provider_file};
use crate::settings::database_url;

const DEFAULT_UPSTREAM: &str = "https://api.openai.com";

/// Everything that the model gateway is told at its start.
#[derive(Clone, Debug)]
pub struct ModelGatewaySettings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where Postgres is.
    pub database_url: SecretText,
    /// Who has the models, with the real keys. Nobody else has them.
    pub providers: Vec<ProviderSettings>,
    /// What models cost.
    pub prices: Prices,
    /// Where what is said is kept for projects that want that.
    pub blob_dir: Option<PathBuf>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// How it shows itself.
    pub telemetry: TelemetrySettings,
}

impl ModelGatewaySettings {
    /// What people are told of them; of keys, how many there are.
    #[must_use]
    pub fn told(&self) -> ToldSettings {
        let settings = vec![
            ToldSetting::set("MODEL_GATEWAY_BIND", &self.bind),
            ToldSetting::maybe("BLOB_DIR", self.blob_dir.as_ref().map(|folder| folder.display())),
        ];
        let provider = |provider: &ProviderSettings| ToldProvider {
            name: provider.name.clone(),
            host: provider.base_url.host_str().unwrap_or_default().to_owned(),
            models: provider.models.clone(),
            keys: provider.keys.len(),
        };
        ToldSettings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings,
            budgets: None,
            providers: self.providers.iter().map(provider).collect(),
        }
    }

    /// Reads the settings from the environment of this process, and the files that they name.
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
        let providers = providers(&mut reader);
        let prices = prices(&mut reader);
        let blob_dir = reader.optional("BLOB_DIR", "name the folder that holds bundles");
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        let telemetry = TelemetrySettings::read(&mut reader);
        let settings = (|| {
            Some(Self {
                bind,
                database_url: database_url?,
                providers: providers?,
                prices: prices?,
                blob_dir,
                log_format,
                telemetry,
            })
        })();
        reader.finish(settings)
    }
}

/// The file of providers, or the one provider that two variables name.
fn providers(reader: &mut Reader<'_>) -> Option<Vec<ProviderSettings>> {
    const VARIABLE: &str = "MODEL_PROVIDERS_FILE";
    const FIX: &str =
        "name a file with `[[providers]]`, each with `name`, `base_url` and `[[providers.keys]]` of `id` and `file`";
    match reader.optional::<PathBuf>(VARIABLE, FIX) {
        Some(path) => match provider_file::read(&path) {
            Ok(providers) => Some(providers),
            Err(problem) => {
                reader.complain(VARIABLE, format!("names {}, and {problem}", path.display()), FIX);
                None
            }
        },
        None => {
            let (upstream, key) = (upstream(reader), api_key(reader));
            Some(vec![ProviderSettings::single(upstream?, key?)])
        }
    }
}

fn prices(reader: &mut Reader<'_>) -> Option<Prices> {
    const VARIABLE: &str = "MODEL_PRICES_FILE";
    const FIX: &str =
        "name a file with `[models.\"NAME\"]`, each with `input_usd_per_million` and `output_usd_per_million`";
    let Some(path) = reader.optional::<PathBuf>(VARIABLE, FIX) else { return Some(Prices::default()) };
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    match read.and_then(|text| Prices::parse(&text)) {
        Ok(prices) => Some(prices),
        Err(problem) => {
            reader.complain(VARIABLE, format!("names {}, and {problem}", path.display()), FIX);
            None
        }
    }
}

fn upstream(reader: &mut Reader<'_>) -> Option<Url> {
    const FIX: &str = "write http(s)://host[:port] of a model API, without `/v1`";
    let text: String = reader.or("MODEL_UPSTREAM_URL", DEFAULT_UPSTREAM.to_owned(), FIX);
    match provider_file::address(&text) {
        Some(url) => Some(url),
        None => {
            reader.complain("MODEL_UPSTREAM_URL", format!("is `{text}`"), FIX);
            None
        }
    }
}

fn api_key(reader: &mut Reader<'_>) -> Option<SecretText> {
    const FIX: &str = "set the key of the model API";
    let key: SecretText = reader.required("OPENAI_API_KEY", FIX)?;
    if provider_file::is_key(key.expose()) {
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
        assert_eq!(settings.providers[0].base_url.as_str(), "https://api.openai.com/");
        assert!(!format!("{settings:?}").contains("sk-secret"));
        let told = settings.told();
        assert!(!format!("{told:?}").contains("sk-secret"));
        assert_eq!((told.providers[0].host.as_str(), told.providers[0].keys), ("api.openai.com", 1));

        let wrong = [("MODEL_UPSTREAM_URL", "api.openai.com"), ("OPENAI_API_KEY", "two words")];
        let errors = ModelGatewaySettings::read(&wrong.into_iter().collect()).unwrap_err();
        assert_eq!(errors.0.len(), 3, "{errors}");
        assert!(!errors.to_string().contains("two words"));
    }

    #[test]
    fn files_take_the_place_of_the_simple_form() {
        let folder = tempfile::tempdir().unwrap();
        let (key, providers, prices) =
            (folder.path().join("key"), folder.path().join("providers.toml"), folder.path().join("prices.toml"));
        std::fs::write(&key, "sk-secret\n").unwrap();
        let text = format!(
            "[[providers]]\nname = \"first\"\nbase_url = \"https://models.example/v1\"\nmodels = [\"m\"]\n\
             [[providers.keys]]\nid = \"main\"\nfile = {key:?}\n"
        );
        std::fs::write(&providers, text).unwrap();
        std::fs::write(&prices, "[models.m]\ninput_usd_per_million = 1\noutput_usd_per_million = 2\n").unwrap();
        let given = [
            ("DATABASE_URL", "postgres://localhost/x"),
            ("MODEL_PROVIDERS_FILE", providers.to_str().unwrap()),
            ("MODEL_PRICES_FILE", prices.to_str().unwrap()),
        ];
        let settings = ModelGatewaySettings::read(&given.into_iter().collect()).unwrap();
        let first = &settings.providers[0];
        assert_eq!((first.name.as_str(), first.keys[0].id.as_str()), ("first", "main"));
        assert_eq!(first.keys[0].secret.expose(), "sk-secret");
        assert!(settings.prices.of("m").is_some());

        std::fs::write(&key, "two words").unwrap();
        std::fs::write(&prices, "models = 1").unwrap();
        let errors = ModelGatewaySettings::read(&given.into_iter().collect()).unwrap_err();
        assert_eq!(errors.0.len(), 2, "{errors}");
        assert!(!errors.to_string().contains("two words"));
    }
}
