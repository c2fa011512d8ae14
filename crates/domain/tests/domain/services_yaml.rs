//! `services.yaml`: what is read, what is refused and in which words, and the published schema.

use domain::{
    model::Limit,
    services_yaml::{BudgetConfig, Learning, PlatformBudgets, ServicesYaml, json_schema},
};

const FULL: &str = r#"
version: 1
agents:
  dev:
    model: "4.1"
    limits: { minutes: 30, log_mb: 5 }
    prompt: |
      Use tabs.
    protected_paths_allow: [".github/workflows/docs.yml"]
    runtime: { memory: 8Gi, tolerations: [{ key: heavy }] }
  fast:
    extends: planner
triggers:
  labels:
    run:dev: dev
    ai plan: fast
  pull_request_labels:
    need:reviewer: reviewer
  commands: no
runtime:
  image: registry.example.com/tools:1.2
  cpu: "2"
  memory: 4Gi
  ephemeral_storage: 10Gi
  node_selector: { example.com/pool: agents }
  tolerations: [{ key: agents, value: "yes", effect: NoSchedule }]
  runtime_class: gvisor
setup:
  - name: install
    run: npm ci
  - name: build
    run: npm run build
    timeout: 5m
cache:
  key_files: [package-lock.json]
  paths: [node_modules, ~/.npm]
checks:
  - name: test
    run: cargo test
    timeout: 1h30m
  - name: lint
    run: cargo clippy
documents:
  - docs/*.md
services:
  web:
    build: { context: web }
    deploy: [deploy/web.yaml]
  cache:
    image: valkey/valkey:8
environments:
  staging:
    url: https://staging.example.com
  production:
    approval: true
schedules:
  - name: nightly
    cron: 0 3 * * mon-fri
    zone: America/New_York
    agent: fast
    title: Look around
  - { name: weekly, cron: "30 12 * * 0", agent: docs, title: Documents, instructions: Compare. }
slots: 2
learning: off
limits:
  max_files: 10
"#;

#[test]
fn a_full_file_is_read() {
    let config = ServicesYaml::parse(&FULL.replace("commands: no", "commands: false")).unwrap();
    let dev = domain::agents::find(&config, "dev").unwrap();
    assert_eq!((dev.model.as_str(), dev.limits.minutes), ("4.1", 30));
    assert_eq!(dev.prompt_addition, "Use tabs.\n");
    assert_eq!(config.setup.iter().map(|command| command.timeout.as_secs()).collect::<Vec<_>>(), [600, 300]);
    assert_eq!(config.cache.as_ref().unwrap().paths, ["node_modules", "~/.npm"]);
    assert_eq!(config.checks[0].timeout.as_secs(), 5400);
    assert_eq!(config.checks[1].timeout.as_secs(), 600);
    assert_eq!(config.services["web"].build.as_ref().unwrap().dockerfile, "Dockerfile");
    assert_eq!((config.slots, config.learning, config.triggers.commands), (Some(2), Learning::Off, false));
    assert_eq!((config.limits.max_files, config.limits.runs_per_hour), (10, 6));
    let (dev, fast) = (config.runtime_of(&dev.name), config.runtime_of(&"fast".parse().unwrap()));
    assert_eq!([&dev, &fast].map(|runtime| runtime.memory.as_ref().unwrap().as_str()), ["8Gi", "4Gi"]);
    assert_eq!([&dev, &fast].map(|runtime| runtime.tolerations[0].key.as_str()), ["heavy", "agents"]);
    assert_eq!((dev.image, dev.cpu, dev.node_selector), (fast.image, fast.cpu, fast.node_selector));
    let zones: Vec<&str> = config.schedules.iter().map(|schedule| schedule.zone.as_str()).collect();
    assert_eq!(zones, ["America/New_York", "UTC"]);
    let stored = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<ServicesYaml>(stored).unwrap(), config);
}

#[test]
fn little_is_needed() {
    for text in ["version: 1", "version: 1\nagents:\nchecks:\nslots: ~\n", "{version: 1}", "\u{feff}version: 1\r\n"] {
        assert_eq!(ServicesYaml::parse(text), Ok(ServicesYaml::default()), "{text:?}");
    }
}

/// The file, and every problem as it is shown.
#[test]
fn what_is_wrong_is_told_with_its_place() {
    let table: &[(&str, &[&str])] = &[
        ("", &["1:1: field `version` is missing; begin the file with `version: 1`"]),
        ("# nothing\n", &["2:1: field `version` is missing; begin the file with `version: 1`"]),
        ("[1]", &["1:1: a mapping is expected here, and there is a list"]),
        ("version: 2", &["1:10: version: `2` is not allowed here; did you mean `1`?"]),
        (
            "version: 1\nagent: {}\ncolour: red\nslots: 0",
            &[
                "2:1: agent: field `agent` is not known; did you mean `agents`?",
                "3:1: colour: field `colour` is not known; known are `agents`, `budget`, `cache`, `checks`, `documents`, \
                 `egress`, `environments`, `learning`, `limits`, `record_model_bodies`, `runtime`, `schedules`, `services`, `setup`, \
                 `slots`, `triggers`, `version`",
                "4:8: slots: 0 is not a whole number from 1 to 50",
            ],
        ),
        (
            "version: 1\nagents:\n  dev:\n    modell: x\n    limits: {minutes: many}",
            &[
                "4:5: agents.dev.modell: field `modell` is not known; did you mean `model`?",
                "5:23: agents.dev.limits.minutes: a whole number is expected here, and there is text",
            ],
        ),
        (
            "version: 1\nagents:\n  Dev: {}\n  deb: {}\n  x:\n  dev: {extends: writer, model: 4.1}",
            &[
                "3:3: agents.Dev: `Dev` can't be a name here; a name is a lower-case letter, then at most 39 lower-case \
                 letters, digits and dashes",
                "5:4: agents.x: a mapping is expected here, and there is nothing; write `{}` if all of it is as usual",
                "6:18: agents.dev.extends: `writer` is not allowed here; allowed are `dev`, `reviewer`, `planner`, `docs`",
                "6:33: agents.dev.model: text is expected here, and there is a number; put it in quotes",
            ],
        ),
        (
            "version: 1\nagents:\n  deb: {}\n  x: {}",
            &[
                "3:8: agents.deb: there is no built-in agent `deb`; did you mean `dev`? An own agent says `extends: dev` \
                 or the like",
                "4:6: agents.x: there is no built-in agent `x`; say which one it extends: dev, reviewer, planner, docs",
            ],
        ),
        (
            "version: 1\nschedules:\n  - {name: a, cron: 0 25 * * *, agent: dev, title: t}\n  - {name: A b, cron: '@daily', \
             zone: berlin, agent: deb, title: t}\n  - {name: a, cron: 0 3 * * *, zone: utc, agent: reviewer, title: t}\n  - {name: \
             c, cron: 0 0 1 * mon, zone: Mars/Base, agent: dev, title: t}",
            &[
                "3:21: schedules[0].cron: `25` is no hour (0 to 23); `0 3 * * mon-fri` is 3:00 on working days",
                "4:12: schedules[1].name: `A b` can't be a name here; 1 to 40 lower-case letters, digits and dashes, no dash \
                 at either end",
                "4:23: schedules[1].cron: a line of cron has five fields (minute, hour, day of the month, month, day of the \
                 week), and this has 1; `0 3 * * mon-fri` is 3:00 on working days",
                "4:39: schedules[1].zone: `berlin` is no time zone; did you mean `Europe/Berlin`?",
                "4:54: schedules[1].agent: there is no agent `deb`; there are dev, docs, planner, reviewer",
                "5:12: schedules[2].name: there are two schedules of the name `a`",
                "5:38: schedules[2].zone: `utc` is no time zone; did you mean `UTC`?",
                "5:50: schedules[2].agent: agent `reviewer` reviews pull requests and can't work on an issue",
                "6:21: schedules[3].cron: days of the month and days of the week can't both be named: only days that are \
                 both would count; `0 3 * * mon-fri` is 3:00 on working days",
                "6:40: schedules[3].zone: `Mars/Base` is no time zone; write a name like `UTC` or `Europe/Berlin`",
            ],
        ),
        (
            "version: 1\nchecks:\n  - {name: a, run: x, timeout: 5 minutes}\n  - run: y\n  - {name: \"\", run: z}",
            &[
                "3:32: checks[0].timeout: `5 minutes` is not a duration: write it like `90s`, `10m` or `1h30m`, from a \
                 second to a week",
                "4:5: checks[1]: field `name` is missing",
                "5:12: checks[2].name: the text is empty",
            ],
        ),
        (
            "version: 1\nchecks:\n  - {name: a, run: x}\n  - {name: a, run: y}\ndocuments: ['a/{b', /etc/*, ../x]",
            &[
                "4:12: checks[1].name: there are two checks of the name `a`",
                "5:13: documents[0]: `a/{b` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
                "5:21: documents[1]: `/etc/*` must be relative to the root of the repository, without `..`",
                "5:29: documents[2]: `../x` must be relative to the root of the repository, without `..`",
            ],
        ),
        (
            "version: 1\ntriggers:\n  labels: {go: nobody, codex:x: dev, r: reviewer}\n  pull_request_labels: {p: dev}\n  commands: no",
            &["5:13: triggers.commands: `true` or `false` is expected here, and there is text"],
        ),
        (
            "version: 1\ntriggers:\n  labels:\n    go: nobody\n    codex:x: dev\n    r: reviewer\n  pull_request_labels: {p: dev}",
            &[
                "4:9: triggers.labels.go: there is no agent `nobody`; there are dev, docs, planner, reviewer",
                "5:14: triggers.labels[\"codex:x\"]: labels with `codex:` show the state of a run and can't start one",
                "6:8: triggers.labels.r: agent `reviewer` reviews pull requests and can't be started from an issue",
                "7:28: triggers.pull_request_labels.p: agent `dev` writes changes and is started from an issue",
            ],
        ),
        (
            "version: 1\nservices:\n  Web: {image: a}\n  b: {}\n  c: {image: a, build: {context: ../x}}\nenvironments:\n  s: {url: ftp://x}",
            &[
                "3:8: services.Web: `Web` can't be a name here; 1 to 40 lower-case letters, digits and dashes, no dash at \
                 either end",
                "4:6: services.b: `image` or `build` is missing",
                "5:6: services.c: either `image` or `build` is given, not both",
                "5:34: services.c.build.context: `../x` must be relative to the root of the repository, without `..`",
                "7:12: environments.s.url: `ftp://x` is not an address; begin it with `https://`",
            ],
        ),
        (
            "version: 1\nsetup:\n  - {name: a, run: x}\n  - {name: a, run: y, timeout: 0s}\ncache: {paths: []}",
            &[
                "4:32: setup[1].timeout: `0s` is not a duration: write it like `90s`, `10m` or `1h30m`, from a second to a \
                 week",
                "5:8: cache: field `key_files` is missing",
                "5:16: cache.paths: the list is empty",
            ],
        ),
        (
            "version: 1\nsetup:\n  - {name: a, run: x}\n  - {name: a, run: y}\ncache:\n  key_files: [../lock]\n  \
             paths: [ok, ~/ok, .git/x, '~', a/../b]",
            &[
                "4:12: setup[1].name: there are two set-up commands of the name `a`",
                "6:15: cache.key_files[0]: `../lock` must be relative to the root of the repository, without `..`",
                "7:21: cache.paths[2]: `.git/x` can't be kept; name a folder or file in the repository, without `..`, or one \
                 in the home folder, as in `~/.npm`",
                "7:29: cache.paths[3]: `~` can't be kept; name a folder or file in the repository, without `..`, or one in \
                 the home folder, as in `~/.npm`",
                "7:34: cache.paths[4]: `a/../b` can't be kept; name a folder or file in the repository, without `..`, or one \
                 in the home folder, as in `~/.npm`",
            ],
        ),
        (
            "version: 1\ncache: {key_files: [a], paths: [b]}",
            &[
                "2:8: cache: there is no set-up whose result could be kept; write the commands that make it under `setup`",
            ],
        ),
        ("version: 1\nlearning: ful", &["2:11: learning: `ful` is not allowed here; did you mean `full`?"]),
        (
            "version: 1\nlearning: \"\\0\"\nagents: {dev: {model: \"a\\0\"}}",
            &[
                "2:11: learning: `\\0` is not allowed here; allowed are `off`, `summary`, `full`",
                "3:23: agents.dev.model: the text contains a NUL character",
            ],
        ),
        ("version: 1\nversion: 1", &["2:1: this is not YAML as it is read here: duplicate mapping key: version"]),
        ("version: 1\nchecks: [", &["2:9: this is not YAML as it is read here: unclosed bracket '['"]),
    ];
    holds(table);
}

#[test]
fn what_is_wrong_about_what_jobs_run_in_is_told_with_its_place() {
    holds(&[
        (
            "version: 1\nruntime: {cpu: 2, memory: 4GB}",
            &[
                "2:16: runtime.cpu: text is expected here, and there is a number; put it in quotes",
                "2:27: runtime.memory: `4GB` is not an amount: write it like `2`, `500m`, `512Mi` or `4Gi`",
            ],
        ),
        (
            "version: 1\nruntime: {image: a b, memory: 1Mi, runtime_class: G, node_selector: {-a: b}, tolerations: [{key: a b}]}",
            &[
                "2:18: runtime.image: `a b` is not an image; write it like `registry.example.com/team/tools:1.2` or with \
                 `@sha256:…`",
                "2:31: runtime.memory: `1Mi` is too little; 64Mi is the least",
                "2:51: runtime.runtime_class: `G` can't be the name of a RuntimeClass",
                "2:74: runtime.node_selector.-a: `-a: b` can't be a label of a node",
                "2:92: runtime.tolerations[0]: `a b` can't be a taint of a node",
            ],
        ),
    ]);
}

#[test]
fn hosts_of_the_way_out_are_names() {
    let config = ServicesYaml::parse("version: 1\negress: {allow: [Example.com, '*.internal.example.org']}").unwrap();
    let hosts: Vec<String> = config.egress.allow.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["example.com", "*.internal.example.org"]);
    let no_host = "is no host: write a name such as `example.com`, or `*.example.com` for every name below it; no address, no port";
    holds(&[(
        "version: 1\negress: {allow: [10.0.0.1, a.example.com, '*.com', 'https://example.com']}",
        &[
            format!("2:18: egress.allow[0]: `10.0.0.1` {no_host}").as_str(),
            format!("2:43: egress.allow[2]: `*.com` {no_host}").as_str(),
            format!("2:52: egress.allow[3]: `https://example.com` {no_host}").as_str(),
        ],
    )]);
}

fn holds(table: &[(&str, &[&str])]) {
    let mut wrong = String::new();
    for (text, expected) in table {
        let problems = ServicesYaml::parse(text).unwrap_err().to_string();
        let expected: Vec<String> =
            expected.iter().map(|line| format!("services.yaml:{line}").replace("\\0", "\0")).collect();
        let given: Vec<&str> = problems.lines().collect();
        if given != expected {
            wrong += &format!("{text:?}\n  given    {given:#?}\n  expected {expected:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn an_alias_bomb_and_a_huge_file_are_refused() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(b'b'..=b'k')
            .map(|c| {
                let (this, last) = (char::from(c), char::from(c - 1));
                format!("{this}: &{this} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n")
            })
            .collect::<String>();
    assert!(ServicesYaml::parse(&bomb).is_err());
    let huge = ServicesYaml::parse(&"#".repeat(300_000)).unwrap_err().to_string();
    assert!(huge.ends_with("the file has 300000 bytes; 262144 is the limit"), "{huge}");
}

#[test]
fn the_published_schema_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/services.schema.json");
    let schema = json_schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some_and(|value| value == "1") {
        std::fs::write(path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    let published: Option<serde_json::Value> = serde_json::from_str(&published).ok();
    let fresh = published == Some(schema.to_value());
    assert!(fresh, "docs/services.schema.json is stale: run UPDATE_SCHEMA=1 cargo test -p domain");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "(version: 1\n)?([a-z]{1,8}:[ \n]( |- |\\{|\\[|\"|&a|\\*a|[a-z0-9]{1,5}|\n){0,8}\n?){0,6}") {
        let _ = ServicesYaml::parse(&text);
    }
}

#[test]
fn budgets_are_amounts_and_take_the_place_of_the_platforms() {
    let text = "version: 1\nbudget:\n  per_run_usd: 2.5\n  per_day_usd: 20\n  per_run_tokens: 1000\nagents:\n  dev:\n    models: [embed]\n\
                record_model_bodies: true\n";
    let config = ServicesYaml::parse(text).unwrap();
    let defaults = BudgetConfig {
        per_day_usd: Some("99".parse().unwrap()),
        per_month_usd: Some("300".parse().unwrap()),
        ..BudgetConfig::default()
    };
    let limits = PlatformBudgets { defaults, ..PlatformBudgets::default() }.limits(&config.budget);
    let usd = |text: &str| Some(text.parse().unwrap());
    assert_eq!(limits.run, Limit { tokens: Some(1_000), usd: usd("2.50"), ..Limit::default() });
    assert_eq!(limits.day, Limit { usd: usd("20"), ..Limit::default() });
    assert_eq!(limits.month, Limit { usd: usd("300"), ..Limit::default() });
    // As it is kept with the run.
    let stored = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<ServicesYaml>(stored).unwrap(), config);
    for (budget, words) in [
        ("per_run_usd: -1", "-1 is not a number from 0 to 1000000"),
        ("per_run_usd: much", "number"),
        ("per_run_tokens: 0", "0 is not a whole number from 1"),
        ("per_week_usd: 1", "`per_week_usd` is not known"),
    ] {
        let problems = ServicesYaml::parse(&format!("version: 1\nbudget:\n  {budget}\n")).unwrap_err().to_string();
        assert!(problems.contains(words), "{problems}");
    }
}

#[test]
fn no_project_gets_past_the_platforms_ceiling() {
    let usd = |text: &str| Some(text.parse().unwrap());
    let budgets = PlatformBudgets {
        defaults: BudgetConfig { per_run_usd: usd("9"), per_run_tokens: Some(100), ..BudgetConfig::default() },
        ceiling: BudgetConfig {
            per_run_usd: usd("5"),
            per_day_usd: usd("50"),
            per_month_tokens: Some(1_000),
            ..BudgetConfig::default()
        },
    };
    let nothing_said = budgets.limits(&BudgetConfig::default());
    let run = Limit { tokens: Some(100), usd: usd("5"), tokens_capped: false, usd_capped: true };
    assert_eq!(nothing_said.run, run);
    assert_eq!(nothing_said.day, Limit { usd: usd("50"), usd_capped: true, ..Limit::default() });
    assert_eq!(nothing_said.month, Limit { tokens: Some(1_000), tokens_capped: true, ..Limit::default() });

    let project = BudgetConfig {
        per_run_usd: usd("500"),
        per_day_usd: usd("49.99"),
        per_run_tokens: Some(7_000),
        ..BudgetConfig::default()
    };
    let asked = budgets.limits(&project);
    assert_eq!(asked.run, Limit { tokens: Some(7_000), ..run });
    assert_eq!(asked.day, Limit { usd: usd("49.99"), ..Limit::default() });
}
