//! The providers of models and their keys, and which of them a call goes to.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use http::HeaderValue;
use role::SecretText;
use telemetry::metrics::Metrics;
use url::Url;

use super::{
    breaker::{Breaker, Closed},
    upstream::{Upstream, UpstreamError},
};

/// A provider as it is configured.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Its name, for people.
    pub name: String,
    /// Its address, without `/v1`.
    pub base_url: Url,
    /// The models it has; none: every model.
    pub models: Option<Vec<String>>,
    /// Its keys, the preferred one first.
    pub keys: Vec<KeySettings>,
}

/// A key as it is configured.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// What it is called where it is recorded which key was used.
    pub id: String,
    /// The key.
    pub secret: SecretText,
}

impl ProviderSettings {
    /// One provider of every model, with one key.
    #[must_use]
    pub fn single(base_url: Url, secret: SecretText) -> Self {
        let keys = vec![KeySettings { id: "default".to_owned(), secret }];
        Self { name: "default".to_owned(), base_url, models: None, keys }
    }
}

/// All providers, the preferred one first. Cloning shares what is known about the keys.
#[derive(Clone)]
pub(super) struct Providers(Arc<Vec<Provider>>);

struct Provider {
    name: String,
    upstream: Upstream,
    models: Option<Vec<String>>,
    keys: Vec<Key>,
}

struct Key {
    id: String,
    /// How metrics name it.
    label: String,
    secret: SecretText,
    bearer: HeaderValue,
    breaker: Mutex<Breaker>,
}

/// A key of a provider that a call may go to now. What comes of it is to be told; whoever leaves without a word frees it.
pub(super) struct Target {
    providers: Providers,
    provider: usize,
    key: usize,
    metrics: Arc<telemetry::Telemetry>,
    told: bool,
}

/// Where a call can go.
pub(super) enum Pick {
    /// There.
    Target(Target),
    /// Nowhere until then: the providers' limits.
    Limited(DateTime<Utc>),
    /// Nowhere until then: nothing works.
    Broken(DateTime<Utc>),
    /// Nobody has the model.
    Unserved,
}

impl Providers {
    pub(super) fn new(settings: Vec<ProviderSettings>) -> Result<Self, UpstreamError> {
        let provider = |settings: ProviderSettings| {
            let name = settings.name;
            let key = |key: KeySettings| {
                let bearer = HeaderValue::from_str(&format!("Bearer {}", key.secret.expose()));
                let mut bearer = bearer.map_err(UpstreamError::Key)?;
                bearer.set_sensitive(true);
                let label = format!("{name}/{}", key.id);
                Ok(Key { id: key.id, label, secret: key.secret, bearer, breaker: Mutex::default() })
            };
            let keys = settings.keys.into_iter().map(key).collect::<Result<_, UpstreamError>>()?;
            Ok(Provider { upstream: Upstream::new(&settings.base_url)?, models: settings.models, keys, name })
        };
        Ok(Self(Arc::new(settings.into_iter().map(provider).collect::<Result<_, UpstreamError>>()?)))
    }

    /// Whether a model is to be had with another key, too.
    pub(super) fn has_other(&self, model: &str, than: (usize, usize)) -> bool {
        let serving = self.0.iter().enumerate().filter(|(_, provider)| provider.serves(model));
        let mut keys = serving.flat_map(|(place, provider)| (0..provider.keys.len()).map(move |key| (place, key)));
        keys.any(|key| key != than)
    }

    /// Shows every key as working.
    pub(super) fn show(&self, metrics: &Metrics) {
        self.0.iter().flat_map(|provider| &provider.keys).for_each(|key| metrics.model_key(&key.label, false));
    }

    /// Any key of a provider of this model, or of any provider: for what costs nothing.
    pub(super) fn any(&self, telemetry: &Arc<telemetry::Telemetry>) -> Option<Target> {
        let provider = self.0.iter().position(|provider| !provider.keys.is_empty())?;
        let metrics = Arc::clone(telemetry);
        Some(Target { providers: self.clone(), provider, key: 0, metrics, told: true })
    }

    /// Where a call for a model goes: the first key that works and is not `avoided`, which is where it just failed.
    pub(super) fn pick(
        &self,
        telemetry: &Arc<telemetry::Telemetry>,
        model: &str,
        now: DateTime<Utc>,
        avoided: Option<(usize, usize)>,
    ) -> Pick {
        let (mut limited, mut broken) = (None, None);
        let earliest =
            |known: &mut Option<DateTime<Utc>>, until| *known = Some(known.map_or(until, |at| until.min(at)));
        // Second, what is avoided: better than nothing.
        for second in [false, true] {
            for (place, provider) in self.0.iter().enumerate().filter(|(_, provider)| provider.serves(model)) {
                for (number, key) in provider.keys.iter().enumerate() {
                    if (avoided == Some((place, number))) != second {
                        continue;
                    }
                    match key.breaker().admit(now) {
                        Ok(()) => {
                            let metrics = Arc::clone(telemetry);
                            let providers = self.clone();
                            return Pick::Target(Target {
                                providers,
                                provider: place,
                                key: number,
                                metrics,
                                told: false,
                            });
                        }
                        Err(Closed::Limited(until)) => earliest(&mut limited, until),
                        Err(Closed::Broken(until)) => earliest(&mut broken, until),
                    }
                }
            }
        }
        match (limited, broken) {
            (Some(until), _) => Pick::Limited(until),
            (None, Some(until)) => Pick::Broken(until),
            (None, None) => Pick::Unserved,
        }
    }
}

impl Provider {
    fn serves(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|served| served == model))
    }
}

impl Key {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Where it is, to be avoided.
    pub(super) const fn place(&self) -> (usize, usize) {
        (self.provider, self.key)
    }

    /// Names of the provider and of the key.
    pub(super) fn names(&self) -> (String, String) {
        let provider = &self.providers.0[self.provider];
        (provider.name.clone(), provider.keys[self.key].id.clone())
    }

    /// The way there.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.providers.0[self.provider].upstream
    }

    /// The key, to be kept out of answers.
    pub(super) fn secret(&self) -> &str {
        self.key().secret.expose()
    }

    /// The key as a header.
    pub(super) fn bearer(&self) -> HeaderValue {
        self.key().bearer.clone()
    }

    /// The key works.
    pub(super) fn succeeded(&mut self) {
        self.tell(Breaker::succeeded);
    }

    /// It failed.
    pub(super) fn failed(&mut self, now: DateTime<Utc>) {
        self.tell(|breaker| breaker.failed(now));
    }

    /// The provider does not take the key.
    pub(super) fn refused(&mut self, now: DateTime<Utc>) {
        self.tell(|breaker| breaker.refused(now));
    }

    /// The provider said when to come back.
    pub(super) fn limited(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) {
        self.tell(|breaker| breaker.limited(now, until));
    }

    fn key(&self) -> &Key {
        &self.providers.0[self.provider].keys[self.key]
    }

    fn tell(&mut self, what: impl FnOnce(&mut Breaker)) {
        self.told = true;
        let key = self.key();
        let mut breaker = key.breaker();
        what(&mut breaker);
        let open = breaker.is_open();
        drop(breaker);
        self.metrics.metrics.model_key(&key.label, open);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.told {
            self.key().breaker().left();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};

    use super::*;

    fn providers() -> (Providers, Arc<Telemetry>) {
        let key = |id: &str| KeySettings { id: id.to_owned(), secret: SecretText::new("sk") };
        let provider = |name: &str, models: Option<&[&str]>, keys: &[&str]| ProviderSettings {
            name: name.to_owned(),
            base_url: "http://127.0.0.1:1".parse().unwrap(),
            models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
            keys: keys.iter().map(|id| key(id)).collect(),
        };
        let settings = vec![provider("a", Some(&["m", "n"]), &["1", "2"]), provider("b", Some(&["m"]), &["3"])];
        let telemetry = Telemetry::new(Role::ModelGateway, &TelemetrySettings::default()).unwrap();
        (Providers::new(settings).unwrap(), Arc::new(telemetry))
    }

    #[test]
    fn calls_go_to_the_first_that_works_and_has_the_model() {
        let (providers, telemetry) = providers();
        let now = DateTime::UNIX_EPOCH;
        let pick = |model, avoided| match providers.pick(&telemetry, model, now, avoided) {
            Pick::Target(target) => Ok(target),
            Pick::Limited(until) => Err((until - now).num_seconds()),
            Pick::Broken(until) => Err(-(until - now).num_seconds()),
            Pick::Unserved => Err(0),
        };
        let name = |picked: Result<Target, i64>| picked.map(|target| target.names().1);
        assert_eq!(name(pick("m", None)), Ok("1".to_owned()));
        assert_eq!(name(pick("m", Some((0, 0)))), Ok("2".to_owned()));
        assert_eq!(name(pick("o", None)), Err(0));
        pick("m", None).unwrap().refused(now);
        assert_eq!(name(pick("m", None)), Ok("2".to_owned()));
        pick("m", None).unwrap().limited(now, now + TimeDelta::seconds(7));
        assert_eq!(name(pick("m", None)), Ok("3".to_owned()), "another provider has the model, too");
        assert_eq!(name(pick("n", None)), Err(7), "limits pass sooner than breaks are mended");
        pick("m", None).unwrap().refused(now);
        assert_eq!(name(pick("m", None)), Err(7));
    }

    #[test]
    fn the_only_key_is_used_again_although_it_failed() {
        let (providers, telemetry) = providers();
        let now = DateTime::UNIX_EPOCH;
        let Pick::Target(mut second) = providers.pick(&telemetry, "n", now, Some((0, 0))) else { panic!() };
        second.refused(now);
        let Pick::Target(again) = providers.pick(&telemetry, "n", now, Some((0, 0))) else { panic!() };
        assert_eq!(again.place(), (0, 0));
    }
}
