//! Where Jobs run: the settings of the Kubernetes launcher.

use std::str::FromStr;

use domain::{ids::Instance, told_settings::ToldSetting};
use jobs::kubernetes::{
    CANARY, Defaults, KubernetesSettings, NAMESPACE_PREFIX, Network, OwnRights, Patience, Quota, UserNamespaces,
};
use role::{ConfigErrors, Environment, Reader};
use url::Url;

/// Longest prefix that leaves room for the projects' names.
const LONGEST_PREFIX: usize = 40;

/// The worker's account, and its role in namespaces of Jobs, as `deploy/rbac` names them.
const ACCOUNT: &str = "worker";
const ROLE: &str = "codex-k8s-run-namespace";

const AMOUNT: &str = "write an amount like `2`, `500m` or `4Gi`";

/// Reads the settings of the Kubernetes launcher.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn read(environment: &Environment) -> Result<KubernetesSettings, ConfigErrors> {
    let mut reader = Reader::new(environment);
    let instance: Option<Instance> =
        reader.required("CODEX_K8S_INSTANCE", "name this installation with 1 to 40 of a-z, 0-9 and `-`");
    jobs_in(&mut reader);
    let runner_image = reader.required("RUNNER_IMAGE", "name the platform's runner image, best by its digest");
    let namespace_prefix = prefix(&mut reader);
    let network = network(&mut reader);
    let rights = rights(&mut reader, &network);
    let egress_proxy: Option<Url> = reader
        .optional("EGRESS_PROXY_URL", "write http://host:port of the proxy through which Jobs reach the internet");
    let canary = canary(&mut reader);
    let user_namespaces = reader.or("USER_NAMESPACES", UserNamespaces::Auto, "write `on`, `off` or `auto`");
    let defaults = defaults(&mut reader);
    let quota = quota(&mut reader);
    let settings = (|| {
        Some(KubernetesSettings {
            instance: instance?,
            runner_image: runner_image?,
            namespace_prefix: namespace_prefix?,
            rights,
            network,
            egress_proxy,
            canary: canary?,
            user_namespaces,
            defaults: defaults?,
            quota: quota?,
            patience: Patience::default(),
            clock: forge::system_clock(),
        })
    })();
    reader.finish(settings)
}

/// What people are told of them.
#[must_use]
pub fn told(settings: &KubernetesSettings) -> Vec<ToldSetting> {
    let namespaces = match settings.user_namespaces {
        UserNamespaces::On => "on",
        UserNamespaces::Off => "off",
        UserNamespaces::Auto => "auto",
    };
    vec![
        ToldSetting::set("RUNNER_IMAGE", &settings.runner_image),
        ToldSetting::set("RUN_NAMESPACE_PREFIX", &settings.namespace_prefix),
        ToldSetting::set("USER_NAMESPACES", namespaces),
        ToldSetting::maybe("EGRESS_PROXY_URL", settings.egress_proxy.as_ref()),
        ToldSetting::set("PROJECT_PODS", &settings.quota.pods),
        ToldSetting::set("PROJECT_CPU", &settings.quota.cpu),
        ToldSetting::set("PROJECT_MEMORY", &settings.quota.memory),
    ]
}

/// Processes are for the development kit alone.
fn jobs_in(reader: &mut Reader<'_>) {
    const FIX: &str = "leave it out or write `kubernetes`; only `cargo dev up` runs Jobs as local processes";
    let place: String = reader.or("JOBS_IN", "kubernetes".to_owned(), FIX);
    if place != "kubernetes" {
        reader.complain("JOBS_IN", format!("is `{place}`"), FIX);
    }
}

fn prefix(reader: &mut Reader<'_>) -> Option<String> {
    const FIX: &str = "begin with a letter, then at most 39 of a-z, 0-9 and `-`";
    let prefix: String = reader.or("RUN_NAMESPACE_PREFIX", NAMESPACE_PREFIX.to_owned(), FIX);
    let fits = (1..=LONGEST_PREFIX).contains(&prefix.len())
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        reader.complain("RUN_NAMESPACE_PREFIX", format!("is `{prefix}`"), FIX);
    }
    fits.then_some(prefix)
}

/// Where gateway, model gateway and egress proxy are: pods of the cluster, unless an address outside is named.
fn network(reader: &mut Reader<'_>) -> Network {
    let block: Option<String> =
        reader.optional("PLATFORM_BLOCK", "write the addresses of a platform outside of the cluster, like 10.0.0.1/32");
    if let Some(block) = block {
        return Network::Block(block);
    }
    let mut namespace = |variable, default: &str| reader.or(variable, default.to_owned(), "name a namespace");
    Network::Pods {
        system: namespace("SYSTEM_NAMESPACE", "codexk8s-system"),
        egress: namespace("EGRESS_NAMESPACE", "codexk8s-egress"),
    }
}

/// A service account.
struct Account {
    namespace: String,
    name: String,
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("it is not two names"),
        }
    }
}

/// A worker in the cluster has an account; one outside may have one, or an administrator's rights.
fn rights(reader: &mut Reader<'_>, network: &Network) -> Option<OwnRights> {
    let account = reader.optional("WORKER_ACCOUNT", "write `namespace/name` of the worker's service account");
    let role = reader.or("RUN_NAMESPACE_ROLE", ROLE.to_owned(), "name the worker's ClusterRole for namespaces of Jobs");
    let Account { namespace, name: account } = match (account, network) {
        (Some(account), _) => account,
        (None, Network::Pods { system, .. }) => Account { namespace: system.clone(), name: ACCOUNT.to_owned() },
        (None, Network::Block(_)) => return None,
    };
    Some(OwnRights { namespace, account, role })
}

fn canary(reader: &mut Reader<'_>) -> Option<String> {
    const FIX: &str = "write host:port of something that Jobs must not reach";
    let canary: String = reader.or("NETWORK_CANARY", CANARY.to_owned(), FIX);
    let fits = canary.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !fits {
        reader.complain("NETWORK_CANARY", format!("is `{canary}`"), FIX);
    }
    fits.then_some(canary)
}

fn amount(reader: &mut Reader<'_>, variable: &'static str, default: &str) -> Option<domain::services_yaml::Quantity> {
    match reader.optional(variable, AMOUNT) {
        Some(given) => Some(given),
        None => default.parse().ok(),
    }
}

fn defaults(reader: &mut Reader<'_>) -> Option<Defaults> {
    Some(Defaults {
        cpu: amount(reader, "JOB_CPU", "2")?,
        memory: amount(reader, "JOB_MEMORY", "4Gi")?,
        ephemeral_storage: amount(reader, "JOB_EPHEMERAL_STORAGE", "10Gi")?,
    })
}

fn quota(reader: &mut Reader<'_>) -> Option<Quota> {
    Some(Quota {
        pods: reader.or("PROJECT_PODS", 20, "give a number of pods"),
        cpu: amount(reader, "PROJECT_CPU", "64")?,
        memory: amount(reader, "PROJECT_MEMORY", "128Gi")?,
        ephemeral_storage: amount(reader, "PROJECT_EPHEMERAL_STORAGE", "400Gi")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(given: &[(&str, &str)]) -> Vec<&'static str> {
        let environment: Environment =
            [("CODEX_K8S_INSTANCE", "t"), ("RUNNER_IMAGE", "r:1")].iter().chain(given).copied().collect();
        read(&environment).map_or_else(|errors| errors.0.iter().map(|error| error.variable).collect(), |_| Vec::new())
    }

    #[test]
    fn little_is_needed_and_what_is_wrong_is_named() {
        assert!(wrong(&[]).is_empty());
        assert_eq!(wrong(&[("JOBS_IN", "processes")]), ["JOBS_IN"]);
        assert_eq!(wrong(&[("RUN_NAMESPACE_PREFIX", "Run-")]), ["RUN_NAMESPACE_PREFIX"]);
        assert_eq!(wrong(&[("NETWORK_CANARY", "nowhere")]), ["NETWORK_CANARY"]);
        assert_eq!(wrong(&[("WORKER_ACCOUNT", "worker")]), ["WORKER_ACCOUNT"]);
        let several = [("JOB_MEMORY", "4GB"), ("USER_NAMESPACES", "maybe"), ("PROJECT_PODS", "few")];
        assert_eq!(wrong(&several), ["USER_NAMESPACES", "JOB_MEMORY", "PROJECT_PODS"]);
        let Err(errors) = read(&Environment::default()) else { panic!("nothing was set") };
        assert_eq!(errors.0.len(), 2, "{errors}");
    }

    #[test]
    fn a_worker_in_the_cluster_has_an_account_and_one_outside_may_have_one() {
        let rights = |given: &[(&str, &str)]| {
            let environment: Environment =
                [("CODEX_K8S_INSTANCE", "t"), ("RUNNER_IMAGE", "r:1")].iter().chain(given).copied().collect();
            read(&environment).unwrap().rights.map(|of| format!("{}/{} {}", of.namespace, of.account, of.role))
        };
        let outside = ("PLATFORM_BLOCK", "10.0.0.1/32");
        assert_eq!(rights(&[]).as_deref(), Some("codexk8s-system/worker codex-k8s-run-namespace"));
        assert_eq!(rights(&[outside]), None);
        let named = [outside, ("WORKER_ACCOUNT", "there/it"), ("RUN_NAMESPACE_ROLE", "inside")];
        assert_eq!(rights(&named).as_deref(), Some("there/it inside"));
    }

    #[test]
    fn a_platform_outside_is_reached_by_its_address() {
        let environment: Environment =
            [("CODEX_K8S_INSTANCE", "t"), ("RUNNER_IMAGE", "r:1"), ("PLATFORM_BLOCK", "10.0.0.1/32")]
                .into_iter()
                .collect();
        assert_eq!(
            read(&environment).ok().map(|settings| settings.network),
            Some(Network::Block("10.0.0.1/32".into()))
        );
    }
}
