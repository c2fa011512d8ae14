//! Settings of sign-in. All of them are optional together: without them the gateway serves no sign-in and says so.

use std::path::PathBuf;

use domain::people::Email;
use role::{ConfigErrors, Environment, Reader, SecretText};
use url::{Host, Url};

use super::TrustedProxies;
use crate::{
    hook_secrets::GatewayKey,
    settings::{database_url, gateway_key},
};

/// What the gateway is told about sign-in.
#[derive(Clone, Debug)]
pub struct SignInSettings {
    /// Id of the OAuth App (or of a GitHub App's sign-in).
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretText,
    /// Where people sign in: `https://github.com`, or the server of an enterprise.
    pub oauth_url: Url,
    /// Where the account is read: `https://api.github.com`.
    pub api_url: Url,
    /// Where people's browsers reach the gateway.
    pub public_url: Url,
    /// Becomes the owner while the platform has none.
    pub owner_email: Option<Email>,
    /// The proxies that say whom they saw.
    pub trusted_proxies: TrustedProxies,
}

/// What it takes to change the signing key by hand.
#[derive(Clone, Debug)]
pub struct SigningKeySettings {
    /// Where the keys are.
    pub database_url: SecretText,
    /// What they are sealed under.
    pub key: GatewayKey,
}

impl SigningKeySettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let (database_url, key) = (database_url(&mut reader), gateway_key(&mut reader));
        let settings = (|| Some(Self { database_url: database_url?, key: key? }))();
        reader.finish(settings)
    }
}

const CLIENT_ID_FIX: &str = "write the client id of the OAuth App, or leave all OAUTH_ variables away";
const SECRET_FIX: &str = "name the file that holds the client secret of the OAuth App";
const URL_FIX: &str = "write an address like https://github.com";
const PUBLIC_FIX: &str = "write the address at which browsers reach the gateway, such as https://codex.example.com";
const PROXIES_FIX: &str = "list the ranges of your proxies' addresses, such as 10.0.0.0/8,192.0.2.1, or write `none`";
const OWNER_FIX: &str = "write the e-mail address of the first owner, as GitHub has it";

impl SignInSettings {
    /// Reads the settings; none if sign-in is not configured. What is wrong is told to the reader.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let client_id: Option<String> = reader.optional("OAUTH_CLIENT_ID", CLIENT_ID_FIX);
        let secret_file: Option<PathBuf> = reader.optional("OAUTH_CLIENT_SECRET_FILE", SECRET_FIX);
        if client_id.is_none() && secret_file.is_none() {
            return None;
        }
        if client_id.is_none() {
            reader.complain("OAUTH_CLIENT_ID", "is not set", CLIENT_ID_FIX);
        }
        let client_secret = secret(reader, secret_file);
        let oauth_url = reader.or("OAUTH_URL", default_url("https://github.com")?, URL_FIX);
        let api_url = reader.or("OAUTH_API_URL", default_url("https://api.github.com")?, URL_FIX);
        let public_url: Option<Url> = reader.required("PUBLIC_URL", PUBLIC_FIX);
        let public_url = public_url.filter(|url| fits(reader, url));
        let owner_email = reader.optional("OWNER_EMAIL", OWNER_FIX);
        let trusted_proxies = reader.or("TRUSTED_PROXIES", TrustedProxies::default(), PROXIES_FIX);
        Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            oauth_url,
            api_url,
            public_url: public_url?,
            owner_email,
            trusted_proxies,
        })
    }
}

fn default_url(text: &str) -> Option<Url> {
    text.parse().ok()
}

fn secret(reader: &mut Reader<'_>, file: Option<PathBuf>) -> Option<SecretText> {
    const VARIABLE: &str = "OAUTH_CLIENT_SECRET_FILE";
    let Some(file) = file else {
        reader.complain(VARIABLE, "is not set", SECRET_FIX);
        return None;
    };
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => Some(SecretText::new(text.trim())),
        Ok(_) => {
            reader.complain(VARIABLE, format!("names {}, which is empty", file.display()), SECRET_FIX);
            None
        }
        Err(error) => {
            reader.complain(VARIABLE, format!("names {}, and {error}", file.display()), SECRET_FIX);
            None
        }
    }
}

/// Cookies that keep somebody signed in don't travel in the clear.
fn fits(reader: &mut Reader<'_>, url: &Url) -> bool {
    let problem = match url.scheme() {
        "https" if url.has_host() => None,
        "http" if is_loopback(url) => None,
        "http" => Some("has no TLS, and sign-in without it is for this machine alone"),
        _ => Some("is no address of a web server"),
    };
    if let Some(problem) = problem {
        reader.complain("PUBLIC_URL", problem, PUBLIC_FIX);
    }
    problem.is_none()
}

/// Whether the address leads to this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use role::Environment;

    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Option<SignInSettings>, Vec<&'static str>> {
        let environment: Environment = given.iter().copied().collect();
        let mut reader = Reader::new(&environment);
        let settings = SignInSettings::read(&mut reader);
        let complaints = reader.finish(Some(())).err();
        complaints.map_or(Ok(settings), |errors| Err(errors.0.iter().map(|error| error.variable).collect()))
    }

    #[test]
    fn without_its_settings_there_is_no_sign_in() {
        assert!(read(&[("PUBLIC_URL", "https://x.example")]).unwrap().is_none());
    }

    #[test]
    fn half_of_the_settings_are_named_with_the_other_half() {
        assert_eq!(read(&[("OAUTH_CLIENT_ID", "x")]).unwrap_err(), ["OAUTH_CLIENT_SECRET_FILE", "PUBLIC_URL"]);
    }

    #[test]
    fn sign_in_without_tls_is_for_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "s\n").unwrap();
        let with = |url: &'static str| {
            read(&[("OAUTH_CLIENT_ID", "x"), ("OAUTH_CLIENT_SECRET_FILE", file.to_str().unwrap()), ("PUBLIC_URL", url)])
        };
        assert_eq!(with("http://codex.example").unwrap_err(), ["PUBLIC_URL"]);
        assert_eq!(with("ftp://codex.example").unwrap_err(), ["PUBLIC_URL"]);
        for fine in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://codex.example"] {
            let settings = with(fine).unwrap().unwrap();
            assert_eq!(settings.api_url.as_str(), "https://api.github.com/", "{fine}");
            assert_eq!(settings.trusted_proxies, TrustedProxies::default(), "{fine}");
        }
    }

    #[test]
    fn a_range_that_can_not_be_read_is_refused_in_words() {
        let environment: Environment =
            [("OAUTH_CLIENT_ID", "x"), ("TRUSTED_PROXIES", "10.0.0.0/8, the-proxy")].into_iter().collect();
        let mut reader = Reader::new(&environment);
        assert!(SignInSettings::read(&mut reader).is_none());
        let errors = reader.finish(Some(())).unwrap_err().to_string();
        assert!(
            errors.contains("TRUSTED_PROXIES can't be read (`the-proxy` is no range of addresses): list the"),
            "{errors}"
        );
    }
}
