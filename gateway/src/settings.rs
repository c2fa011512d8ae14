//! Settings of the gateway role.

use std::{net::SocketAddr, path::PathBuf};

use dispatch::EnginePlace;
use domain::{
    egress::HostList,
    ids::Instance,
    told_settings::{ToldSetting, ToldSettings},
};
use forge::seal::SealingKeys;
use role::{ConfigErrors, Environment, LogFormat, Reader, SecretText};
use telemetry::TelemetrySettings;
use url::Url;

use crate::{
    auth::SignInSettings,
    connecting,
    console::Console,
    hook_secrets::GatewayKey,
    webhooks::{HookSecret, PlatformSecrets},
};

/// Everything that the gateway is told at its start.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// This installation.
    pub instance: Instance,
    /// Where Postgres is.
    pub database_url: SecretText,
    /// Where its streaming replica is; none reads everything from the primary.
    pub database_read_url: Option<SecretText>,
    /// Where Temporal is.
    pub engine: EnginePlace,
    /// Where Temporal's web UI is; none: `/ops/temporal/` says so.
    pub temporal_ui_url: Option<Url>,
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where the runner endpoint is, and nothing else; none: beside everything else.
    pub runner_bind: Option<SocketAddr>,
    /// The platform's own webhook secrets.
    pub webhook_secrets: PlatformSecrets,
    /// Opens the secrets of hooks.
    pub key: GatewayKey,
    /// Hosts that the programs of every project's Jobs may reach.
    pub egress_hosts: HostList,
    /// Folder of bundles.
    pub blob_dir: PathBuf,
    /// Folder of the built console; none serves none.
    pub console_dir: Option<PathBuf>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// How it shows itself.
    pub telemetry: TelemetrySettings,
    /// How people sign in; none: they can't.
    pub sign_in: Option<SignInSettings>,
    /// Closes boxes that the worker opens; none: repositories are attached on the command line alone.
    pub sealing: Option<SealingKeys>,
}

impl GatewaySettings {
    /// What people are told of them.
    #[must_use]
    pub fn told(&self) -> ToldSettings {
        let (sign_in, hosts) = (self.sign_in.as_ref(), &self.egress_hosts.0);
        let hosts = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut settings = vec![
            ToldSetting::set("CODEX_K8S_INSTANCE", &self.instance),
            ToldSetting::maybe("PUBLIC_URL", sign_in.map(|sign_in| &sign_in.public_url)),
            ToldSetting::maybe("OAUTH_URL", sign_in.map(|sign_in| &sign_in.oauth_url)),
            ToldSetting::maybe("OWNER_EMAIL", sign_in.and_then(|sign_in| sign_in.owner_email.as_ref())),
            ToldSetting::maybe("TRUSTED_PROXIES", sign_in.map(|sign_in| &sign_in.trusted_proxies)),
            ToldSetting::set("GATEWAY_BIND", &self.bind),
            ToldSetting::maybe("RUNNER_BIND", self.runner_bind),
            ToldSetting::maybe("DATABASE_READ_URL", self.database_read_url.as_ref().map(|_| "set")),
            ToldSetting::maybe("SEALING_PUBLIC_KEY_FILE", self.sealing.as_ref().map(|key| &key.key_id)),
            ToldSetting::maybe("EGRESS_ALLOW", (!hosts.is_empty()).then_some(hosts)),
        ];
        settings.extend(self.engine.told());
        ToldSettings { version: env!("CARGO_PKG_VERSION").to_owned(), settings, ..ToldSettings::default() }
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
        let database_url = database_url(&mut reader);
        let database_read_url = database_read_url(&mut reader);
        let engine = EnginePlace::read(&mut reader);
        let temporal_ui_url = temporal_ui_url(&mut reader);
        let bind = reader.or("GATEWAY_BIND", SocketAddr::from(([127, 0, 0, 1], 8080)), "give an address and a port");
        let runner_bind = reader.optional("RUNNER_BIND", "give an address and a port, or leave it out");
        let webhook_secrets = platform_secrets(&mut reader);
        let key = gateway_key(&mut reader);
        let egress_hosts = reader.or("EGRESS_ALLOW", HostList::default(), "name hosts, separated by commas");
        let blob_dir = reader.required("BLOB_DIR", "name the folder that holds bundles");
        let console_dir = console_dir(&mut reader);
        let log_format = reader.or("LOG_FORMAT", LogFormat::default(), "write `json` or `text`");
        let telemetry = TelemetrySettings::read(&mut reader);
        let sign_in = SignInSettings::read(&mut reader);
        let sealing = connecting::optional_sealing_key(&mut reader);
        let settings = (|| {
            Some(Self {
                instance: instance?,
                database_url: database_url?,
                database_read_url,
                engine: engine?,
                temporal_ui_url,
                bind,
                runner_bind,
                webhook_secrets: webhook_secrets?,
                key: key?,
                egress_hosts,
                blob_dir: blob_dir?,
                console_dir,
                log_format,
                telemetry,
                sign_in,
                sealing,
            })
        })();
        reader.finish(settings)
    }
}

const DATABASE_FIX: &str = "write postgres://user:password@host:port/database";

/// `DATABASE_URL`, checked for its form.
pub(crate) fn database_url(reader: &mut Reader<'_>) -> Option<SecretText> {
    let text: SecretText = reader.required("DATABASE_URL", DATABASE_FIX)?;
    postgres_address(reader, "DATABASE_URL", text)
}

/// `DATABASE_READ_URL`, which may be absent or empty.
fn database_read_url(reader: &mut Reader<'_>) -> Option<SecretText> {
    let text: SecretText = reader.optional("DATABASE_READ_URL", DATABASE_FIX)?;
    postgres_address(reader, "DATABASE_READ_URL", text)
}

fn postgres_address(reader: &mut Reader<'_>, variable: &'static str, text: SecretText) -> Option<SecretText> {
    // The value itself may hold a password and is not repeated.
    match Url::parse(text.expose()) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Some(text),
        _ => {
            reader.complain(variable, "is not the address of a Postgres database", DATABASE_FIX);
            None
        }
    }
}

/// `TEMPORAL_UI_URL`, which may be absent or empty. The path is fixed: the UI serves itself below the one that browsers see.
fn temporal_ui_url(reader: &mut Reader<'_>) -> Option<Url> {
    const FIX: &str = "write http://host:port of Temporal's web UI, without a path, or leave it out";
    let url: Url = reader.optional("TEMPORAL_UI_URL", FIX)?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !fits {
        reader.complain("TEMPORAL_UI_URL", "is not the address of a web server alone", FIX);
    }
    fits.then_some(url)
}

fn platform_secrets(reader: &mut Reader<'_>) -> Option<PlatformSecrets> {
    const FIX: &str = "set the secret that webhooks are signed with";
    let current: SecretText = reader.required("WEBHOOK_SECRET", FIX)?;
    let previous: Option<SecretText> = reader.optional("WEBHOOK_SECRET_PREVIOUS", FIX);
    Some(PlatformSecrets {
        current: HookSecret::new(current.expose())?,
        previous: previous.and_then(|secret| HookSecret::new(secret.expose())),
    })
}

/// `GATEWAY_KEY_FILE`, read.
pub(crate) fn gateway_key(reader: &mut Reader<'_>) -> Option<GatewayKey> {
    const FIX: &str = "name a file that holds 32 random bytes as 64 hexadecimal digits";
    let path: PathBuf = reader.required("GATEWAY_KEY_FILE", FIX)?;
    match GatewayKey::read(&path) {
        Ok(key) => Some(key),
        Err(error) => {
            let problem = crate::problem::Chain(&error).to_string();
            reader.complain("GATEWAY_KEY_FILE", format!("names {}, and {problem}", path.display()), FIX);
            None
        }
    }
}

/// `CONSOLE_DIR`, looked at: a gateway that would not start is found by `config check`.
fn console_dir(reader: &mut Reader<'_>) -> Option<PathBuf> {
    const FIX: &str = "name the folder that `npm run build` in `ui` has written, or leave it out";
    let folder: PathBuf = reader.optional("CONSOLE_DIR", FIX)?;
    if let Err(error) = Console::read(&folder) {
        reader.complain("CONSOLE_DIR", crate::problem::Chain(&error).to_string(), FIX);
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let environment: Environment = [
            ("CODEX_K8S_INSTANCE", "Not Good"),
            ("DATABASE_URL", "mysql://user:hidden@host/db"),
            ("GATEWAY_BIND", "8080"),
        ]
        .into_iter()
        .collect();
        let errors = GatewaySettings::read(&environment).unwrap_err();
        let variables: Vec<&str> = errors.0.iter().map(|error| error.variable).collect();
        assert_eq!(
            variables,
            [
                "CODEX_K8S_INSTANCE",
                "DATABASE_URL",
                "TEMPORAL_ADDRESS",
                "GATEWAY_BIND",
                "WEBHOOK_SECRET",
                "GATEWAY_KEY_FILE",
                "BLOB_DIR"
            ]
        );
        assert!(!errors.to_string().contains("hidden"));
    }

    #[test]
    fn complete_settings_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key");
        std::fs::write(&key_file, GatewayKey::generate().to_hex()).unwrap();
        let given = [
            ("CODEX_K8S_INSTANCE", "dev"),
            ("DATABASE_URL", "postgres://localhost/codex"),
            ("TEMPORAL_ADDRESS", "localhost:7233"),
            ("WEBHOOK_SECRET", "s"),
            ("GATEWAY_KEY_FILE", key_file.to_str().unwrap()),
            ("BLOB_DIR", "/tmp"),
        ];
        let settings = GatewaySettings::read(&given.into_iter().collect()).unwrap();
        assert_eq!((settings.bind.port(), settings.log_format), (8080, LogFormat::Json));
        assert!(settings.database_read_url.is_none());
        let with_replica =
            |url: &'static str| GatewaySettings::read(&given.into_iter().chain([("DATABASE_READ_URL", url)]).collect());
        let replica = with_replica("postgres://replica/codex").unwrap().database_read_url;
        assert_eq!(replica.map(|url| url.expose().to_owned()).as_deref(), Some("postgres://replica/codex"));
        assert!(with_replica("").unwrap().database_read_url.is_none(), "empty is absent");
        assert!(with_replica("replica:5432").is_err());
        let with_ui =
            |url: &'static str| GatewaySettings::read(&given.into_iter().chain([("TEMPORAL_UI_URL", url)]).collect());
        assert!(settings.temporal_ui_url.is_none() && with_ui("").unwrap().temporal_ui_url.is_none());
        assert_eq!(with_ui("http://ui:8080").unwrap().temporal_ui_url.unwrap().as_str(), "http://ui:8080/");
        for wrong in ["ui:8080", "ftp://ui", "http://ui/ops/temporal", "http://user:hidden@ui", "http://ui/?a"] {
            let errors = with_ui(wrong).unwrap_err();
            assert_eq!(errors.0[0].variable, "TEMPORAL_UI_URL", "{wrong}");
            assert!(!errors.to_string().contains("hidden"), "{errors}");
        }
        let in_namespace = |name: &'static str| {
            GatewaySettings::read(&given.into_iter().chain([("TEMPORAL_NAMESPACE", name)]).collect())
        };
        assert_eq!(settings.engine, EnginePlace::at("localhost:7233"));
        let told = in_namespace("codex").unwrap().told().settings;
        assert!(told.contains(&ToldSetting::set("TEMPORAL_NAMESPACE", "codex")), "{told:?}");
    }
}
