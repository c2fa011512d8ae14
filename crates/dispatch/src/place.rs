//! Where the engine is, as every role that talks to it is told.

use domain::{ids::EngineNamespace, told_settings::ToldSetting};
use role::Reader;
use url::Url;

/// Where the engine is, and which of its namespaces is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnginePlace {
    /// `host:port` of Temporal's frontend.
    pub address: String,
    /// The namespace. It has to be there: nothing of ours makes it.
    pub namespace: EngineNamespace,
}

impl EnginePlace {
    /// The namespace `default` of the engine at `host:port`.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: address.into(), namespace: EngineNamespace::default() }
    }

    /// Reads `TEMPORAL_ADDRESS` and `TEMPORAL_NAMESPACE`. None is returned only after a complaint.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let address = address(reader);
        let fix = "name a namespace that Temporal has, or leave it out";
        let namespace = reader.or("TEMPORAL_NAMESPACE", EngineNamespace::default(), fix);
        Some(Self { address: address?, namespace })
    }

    /// What people are told of it.
    #[must_use]
    pub fn told(&self) -> [ToldSetting; 2] {
        [ToldSetting::set("TEMPORAL_ADDRESS", &self.address), ToldSetting::set("TEMPORAL_NAMESPACE", &self.namespace)]
    }
}

fn address(reader: &mut Reader<'_>) -> Option<String> {
    const FIX: &str = "write host:port of Temporal's frontend";
    let address: String = reader.required("TEMPORAL_ADDRESS", FIX)?;
    let fits = Url::parse(&format!("http://{address}")).is_ok_and(|url| {
        url.host().is_some()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !address.contains('@')
            && address.rsplit(':').next() != Some(&address)
    });
    if !fits {
        reader.complain("TEMPORAL_ADDRESS", "is not the address of a server alone", FIX);
    }
    fits.then_some(address)
}

#[cfg(test)]
mod tests {
    use role::{ConfigErrors, Environment};

    use super::*;

    fn read(address: &str, namespace: &str) -> Result<EnginePlace, ConfigErrors> {
        let environment: Environment =
            [("TEMPORAL_ADDRESS", address), ("TEMPORAL_NAMESPACE", namespace)].into_iter().collect();
        let mut reader = Reader::new(&environment);
        let place = EnginePlace::read(&mut reader);
        reader.finish(place)
    }

    #[test]
    fn the_namespace_is_default_unless_another_is_named() {
        assert_eq!(read("temporal:7233", "").unwrap(), EnginePlace::at("temporal:7233"));
        assert_eq!(read("temporal:7233", "codex").unwrap().namespace.as_str(), "codex");
        assert_eq!(read("temporal:7233", "a/b").unwrap_err().0[0].variable, "TEMPORAL_NAMESPACE");
    }

    #[test]
    fn an_address_is_a_host_and_a_port_and_no_more() {
        for wrong in ["localhost", "", "a b:1", "temporal:7233/x", "temporal:7233?a", "user:hidden@temporal:7233"] {
            let errors = read(wrong, "").unwrap_err();
            assert_eq!(errors.0[0].variable, "TEMPORAL_ADDRESS", "{wrong}");
            assert!(!errors.to_string().contains("hidden"), "{errors}");
        }
    }
}
