//! Settings of the worker role.

use std::{path::PathBuf, time::Duration};

use dispatch::EnginePlace;
use domain::{
    hook_log::WebhookMode,
    ids::Instance,
    services_yaml::PlatformBudgets,
    told_settings::{BUDGET_CEILING, BUDGET_DEFAULTS, ToldSetting, ToldSettings, of_budget},
};
use forge::seal::OpeningKeys;
use role::{ConfigErrors, Environment, LogFormat, Reader, SecretText};
use telemetry::TelemetrySettings;
use url::Url;

use crate::{model_budget, platform::Places, reconcile::Retention, run_token::RunTokenKey};

/// Everything that the worker is told at its start.
pub struct WorkerSettings {
    /// This installation.
    pub instance: Instance,
    /// Where Postgres is.
    pub database_url: SecretText,
    /// Where Temporal is.
    pub engine: EnginePlace,
    /// The forge's REST API.
    pub forge_url: Url,
    /// Folder of bundles.
    pub blob_dir: PathBuf,
    /// The folder of mirrors of repositories.
    pub mirror_dir: PathBuf,
    /// Addresses and folders.
    pub places: Places,
    /// Opens credentials.
    pub opening_keys: OpeningKeys,
    /// Makes launch tokens.
    pub run_token_key: RunTokenKey,
    /// Whether writes to the forge keep its pace; always, but for tests on a stand-in that bans nobody.
    pub paced: bool,
    /// How the forge's events reach us.
    pub webhooks: WebhookMode,
    /// For how long what is kept for a time only is kept.
    pub retention: Retention,
    /// What model calls may use up.
    pub budgets: PlatformBudgets,
    /// Form of the log.
    pub log_format: LogFormat,
    /// How it shows itself.
    pub telemetry: TelemetrySettings,
    /// What is told of the launcher's settings beside these.
    pub of_launcher: Vec<ToldSetting>,
}

impl WorkerSettings {
    /// What people are told of them.
    #[must_use]
    pub fn told(&self) -> ToldSettings {
        let (mode, period) = match self.webhooks {
            WebhookMode::Push => ("push", None),
            WebhookMode::Pull { every } => ("pull", Some(every.as_secs())),
        };
        let mut settings = vec![
            ToldSetting::set("CODEX_K8S_INSTANCE", &self.instance),
            ToldSetting::set("FORGE_URL", &self.forge_url),
            ToldSetting::set("WEBHOOK_MODE", mode),
            ToldSetting::maybe("PULL_PERIOD", period),
            ToldSetting::set("PAYLOAD_DAYS", &self.retention.payload_days),
            ToldSetting::set("LOG_DAYS", &self.retention.log_days),
            ToldSetting::set("CHECKPOINT_DAYS", &self.retention.checkpoint_days),
            ToldSetting::set("SETUP_CACHE_DAYS", &self.retention.setup_cache_days),
        ];
        settings.extend(self.engine.told());
        settings.extend(of_budget(BUDGET_DEFAULTS, &self.budgets.defaults));
        settings.extend(of_budget(BUDGET_CEILING, &self.budgets.ceiling));
        settings.extend(self.of_launcher.iter().cloned());
        ToldSettings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings,
            budgets: Some(self.budgets),
            providers: Vec::new(),
        }
    }

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
        let engine = EnginePlace::read(&mut reader);
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
        let webhooks = webhook_mode(&mut reader);
        let retention = retention(&mut reader);
        let budgets = model_budget::read(&mut reader);
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        let telemetry = TelemetrySettings::read(&mut reader);
        let settings = (|| {
            let mirrors: PathBuf = mirrors?;
            Some(Self {
                instance: instance?,
                database_url: database_url?,
                engine: engine?,
                forge_url: forge_url?,
                blob_dir: blob_dir?,
                places: Places { gateway_url: gateway_url?, model_url: model_url?, scratch: mirrors.join("scratch") },
                mirror_dir: mirrors,
                opening_keys: opening_keys?,
                run_token_key: run_token_key?,
                paced: true,
                webhooks: webhooks?,
                retention,
                budgets,
                log_format,
                telemetry,
                of_launcher: Vec::new(),
            })
        })();
        reader.finish(settings)
    }
}

fn retention(reader: &mut Reader<'_>) -> Retention {
    const FIX: &str = "give a number of days, at least 1";
    let mut days = |variable, default| {
        let days: u32 = reader.or(variable, default, FIX);
        if days == 0 {
            reader.complain(variable, "is 0", FIX);
        }
        days
    };
    Retention {
        payload_days: days("PAYLOAD_DAYS", 30),
        log_days: days("LOG_DAYS", 90),
        checkpoint_days: days("CHECKPOINT_DAYS", 30),
        setup_cache_days: days("SETUP_CACHE_DAYS", 14),
    }
}

/// Whether the forge calls us, or has to be asked.
fn webhook_mode(reader: &mut Reader<'_>) -> Option<WebhookMode> {
    const PERIOD_FIX: &str = "give the seconds between two looks at a hook's log, 10 to 3600";
    let mode: String = reader.or("WEBHOOK_MODE", "push".to_owned(), "write `push` or `pull`");
    let period: u64 = reader.or("PULL_PERIOD", 30, PERIOD_FIX);
    if !(10..=3600).contains(&period) {
        reader.complain("PULL_PERIOD", format!("is {period}"), PERIOD_FIX);
        return None;
    }
    match mode.as_str() {
        "push" => Some(WebhookMode::Push),
        "pull" => Some(WebhookMode::Pull { every: Duration::from_secs(period) }),
        other => {
            let fix = "write `push` if the forge reaches the gateway, `pull` if it can't";
            reader.complain("WEBHOOK_MODE", format!("is `{other}`"), fix);
            None
        }
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

    fn mode(given: &[(&str, &str)]) -> Result<WebhookMode, Vec<&'static str>> {
        let environment: Environment = given.iter().copied().collect();
        let mut reader = Reader::new(&environment);
        let mode = webhook_mode(&mut reader);
        reader.finish(mode).map_err(|errors| errors.0.iter().map(|error| error.variable).collect())
    }

    #[test]
    fn the_forge_calls_us_or_is_asked() {
        let pull = |seconds| Ok(WebhookMode::Pull { every: Duration::from_secs(seconds) });
        assert_eq!(mode(&[]), Ok(WebhookMode::Push));
        assert_eq!(mode(&[("WEBHOOK_MODE", "pull")]), pull(30));
        assert_eq!(mode(&[("WEBHOOK_MODE", "pull"), ("PULL_PERIOD", "60")]), pull(60));
        assert_eq!(mode(&[("WEBHOOK_MODE", "poll")]), Err(vec!["WEBHOOK_MODE"]));
        assert_eq!(mode(&[("PULL_PERIOD", "1")]), Err(vec!["PULL_PERIOD"]));
        assert_eq!(mode(&[("WEBHOOK_MODE", "pull"), ("PULL_PERIOD", "often")]), Err(vec!["PULL_PERIOD"]));
    }

    #[test]
    fn things_are_kept_for_days() {
        let read = |given: &[(&str, &str)]| {
            let environment: Environment = given.iter().copied().collect();
            let mut reader = Reader::new(&environment);
            let retention = retention(&mut reader);
            let days =
                |kept: Retention| (kept.payload_days, kept.log_days, kept.checkpoint_days, kept.setup_cache_days);
            reader.finish(Some(retention)).map(days).ok()
        };
        assert_eq!(read(&[]), Some((30, 90, 30, 14)));
        assert_eq!(read(&[("PAYLOAD_DAYS", "7"), ("LOG_DAYS", "400")]), Some((7, 400, 30, 14)));
        assert_eq!(read(&[("CHECKPOINT_DAYS", "1"), ("SETUP_CACHE_DAYS", "90")]), Some((30, 90, 1, 90)));
        assert_eq!(read(&[("LOG_DAYS", "0")]), None);
        assert_eq!(read(&[("SETUP_CACHE_DAYS", "0")]), None);
        assert_eq!(read(&[("PAYLOAD_DAYS", "-1")]), None);
    }
}
