//! Every setting that a role reads is given in its manifest, if only as an empty one; and nothing is given that nobody reads.

use std::collections::{BTreeMap, BTreeSet};

use role::Environment;
use serde_json::Value;

use super::{
    Finding, Object,
    object::{containers, list},
};

/// The settings of a role, as the role itself asks for them.
fn settings(role: &str) -> Option<BTreeSet<&'static str>> {
    // What stands behind these is only asked for where they are there.
    let environment: Environment = [("OAUTH_CLIENT_ID", "x"), ("WEBHOOK_SECRET", "x")].into_iter().collect();
    match role {
        "gateway" => drop(gateway::GatewaySettings::read(&environment)),
        "model-gateway" => drop(gateway::model_gateway::ModelGatewaySettings::read(&environment)),
        "worker" => {
            drop(activities::settings::WorkerSettings::read(&environment));
            drop(activities::jobs_in::read(&environment));
        }
        "egress" => drop(egress::AdmitSettings::read(&environment)),
        "migrate" => return Some(["DATABASE_URL"].into()),
        _ => return None,
    }
    Some(environment.asked())
}

pub(super) fn findings(objects: &[Object]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut read_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for object in objects {
        for container in object.pod().into_iter().flat_map(containers) {
            let Some(wanted) = settings(role(container)) else { continue };
            let own: BTreeSet<&str> =
                list(container, "/env").iter().filter_map(|variable| text(variable, "/name")).collect();
            let mut given = own.clone();
            for map in list(container, "/envFrom").iter().filter_map(|from| text(from, "/configMapRef/name")) {
                given.extend(keys(objects, object.namespace(), map));
                read_of.entry(map).or_default().extend(&wanted);
            }
            let missing = wanted.iter().filter(|name| !given.contains(**name));
            found.extend(
                missing.map(|name| Finding::new(object, format!("does not say {name}: give it, if only empty"))),
            );
            let unknown = own.iter().filter(|name| !wanted.contains(**name));
            found
                .extend(unknown.map(|name| Finding::new(object, format!("says {name}, which the role does not read"))));
        }
    }
    for map in objects.iter().filter(|object| object.kind() == "ConfigMap") {
        let Some(read) = read_of.get(map.name()) else { continue };
        let unread = keys(objects, map.namespace(), map.name()).into_iter().filter(|name| !read.contains(name));
        found.extend(unread.map(|name| Finding::new(map, format!("says {name}, which none of its roles reads"))));
    }
    found
}

/// The role that a container is; empty if it is none.
fn role(container: &Value) -> &str {
    match text(container, "/name") {
        Some("squid") => "egress",
        _ => text(container, "/args/0").unwrap_or_default(),
    }
}

fn keys<'a>(objects: &'a [Object], namespace: &str, name: &str) -> Vec<&'a str> {
    let is_it =
        |object: &&Object| object.kind() == "ConfigMap" && object.namespace() == namespace && object.name() == name;
    let data = objects.iter().find(is_it).and_then(|map| map.value().get("data")).and_then(Value::as_object);
    data.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    fn problems(env: &str, data: &str) -> Vec<String> {
        let text = format!(
            "kind: Deployment\nmetadata: {{name: proxy, namespace: a}}\nspec: {{template: {{spec: {{containers: [\
             {{name: squid, env: [{env}], envFrom: [{{configMapRef: {{name: m}}}}]}}]}}}}}}\n---\n\
             kind: ConfigMap\nmetadata: {{name: m, namespace: a}}\ndata: {{{data}}}\n"
        );
        findings(&given(&text)).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn what_a_role_reads_is_what_it_is_given() {
        let url = "{name: GATEWAY_URL, value: x}";
        assert_eq!(problems(url, "LOG_FORMAT: ''"), Vec::<String>::new());
        assert_eq!(problems("", "LOG_FORMAT: json"), ["does not say GATEWAY_URL: give it, if only empty"]);
        let typo = format!("{url}, {{name: LOG_FORM, value: x}}");
        assert_eq!(problems(&typo, "LOG_FORMAT: json"), ["says LOG_FORM, which the role does not read"]);
        assert_eq!(problems(url, "LOG_FORMAT: json, LOG: x"), ["says LOG, which none of its roles reads"]);
    }

    #[test]
    fn each_role_is_known_by_its_settings() {
        let gateway = settings("gateway").unwrap();
        assert!(
            ["OWNER_EMAIL", "OAUTH_API_URL", "RUNNER_BIND", "EGRESS_ALLOW"].iter().all(|name| gateway.contains(name))
        );
        let worker = settings("worker").unwrap();
        assert!(["BUDGET_PER_DAY_USD", "PROJECT_PODS", "PULL_PERIOD"].iter().all(|name| worker.contains(name)));
        let models = settings("model-gateway").unwrap();
        assert!(["MODEL_PRICES_FILE", "OPENAI_API_KEY", "BLOB_DIR"].iter().all(|name| models.contains(name)));
        assert!(settings("nginx").is_none());
    }
}
