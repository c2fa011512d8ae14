//! Where Jobs run: the settings of the Kubernetes launcher.

use domain::ids::Instance;
use jobs::kubernetes::{
    CANARY, Defaults, KubernetesSettings, NAMESPACE_PREFIX, Network, Patience, Quota, UserNamespaces,
};
use role::{ConfigErrors, Environment, Reader};
use url::Url;

/// Longest prefix that leaves room for the projects' names.
const LONGEST_PREFIX: usize = 40;

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
        let several = [("JOB_MEMORY", "4GB"), ("USER_NAMESPACES", "maybe"), ("PROJECT_PODS", "few")];
        assert_eq!(wrong(&several), ["USER_NAMESPACES", "JOB_MEMORY", "PROJECT_PODS"]);
        let Err(errors) = read(&Environment::default()) else { panic!("nothing was set") };
        assert_eq!(errors.0.len(), 2, "{errors}");
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
