//! A database like that of a platform that has been used for years, for whoever measures the staff API.

/// Runs that are stored.
pub const RUNS: u32 = 1_000_000;

/// Steps and audit events together: what has happened to the runs.
pub const EVENTS: u32 = 10_000_000;

/// Nine steps and one audit event a run. Foreign keys and triggers are left out while it is filled: all of it fits, and nobody has a
/// page open.
pub(crate) const FILL: &str = r#"
    set session synchronous_commit = off;
    set session session_replication_role = replica;
    insert into projects (id, slug, slots) select uuidv7(), 'bench-' || n, 1000 from generate_series(1, 20) n;
    insert into repositories (id, project_id, forge_repo_id, owner, name, default_branch, private)
    select uuidv7(), p.id, row_number() over (), 'acme', p.slug || '-' || n, 'main', false
    from projects p, generate_series(1, 5) n;
    create temporary table places as
    select row_number() over () - 1 as place, id, project_id from repositories;
    insert into runs (id, repository_id, project_id, subject_kind, subject_number, subject_title, agent, trigger_kind,
        trigger_detail, business_key, requested_by_login, requested_by_id, requested_by_bot, state, step, outcome, cause,
        branch, base_sha, head_sha, pr_number, created_at, started_at, finished_at, deadline_at, failure_fingerprint)
    select uuidv7(), r.id, r.project_id, 'issue', 1 + n / 100,
        (array['Greet', 'Count', 'Sort', 'Render', 'Parse', 'Retry', 'Delete', 'Export'])[1 + n % 8] || ' '
            || (array['names with spaces', 'empty lists', 'long lines', 'old dates'])[1 + n / 8 % 4] || ' ' || md5(n::text),
        (array['dev', 'dev', 'dev', 'reviewer', 'planner', 'docs'])[1 + n % 6], 'label',
        '{"kind": "label", "label": "run:dev", "at": "2026-11-23T12:00:00Z"}', 'bench:' || n, 'maintainer-' || n % 500, n % 500,
        false, case when n <= 200 then 'working' else 'finished' end, case when n <= 200 then 'agent' else 'settle' end,
        case when n <= 200 then null when n % 1000 = 7 then 'lost' when n % 10 = 3 then 'checks_failed' else 'pull_request_open' end,
        case when n <= 200 then null when n % 10 = 3 then 'The check test failed.' else 'Pull request opened.' end,
        'codex/' || n || '-greeting', md5(n::text) || '00000000', null, n,
        now() - n * interval '30 seconds', now() - n * interval '30 seconds',
        case when n > 200 then now() - n * interval '30 seconds' + interval '5 minutes' end, now() + interval '1 day',
        case when n > 200 and n % 10 = 3 then left(md5((n % 7)::text), 16) end
    from generate_series(1, {runs}) n join places r on r.place = n % 100;
    insert into attempts (run_id, attempt, job_state, job_name, token_hash, outcome, cause, started_at, finished_at, end_shown_at)
    select id, 1, case when state = 'finished' then 'ended' else 'running' end, 'run-' || id || '-1', sha256(id::text::bytea),
        outcome, cause, created_at, finished_at, finished_at from runs;
    insert into steps (run_id, attempt, step, state, output, started_at, finished_at)
    select r.id, 1, s.step, 'done', '{"blob": "kept"}', r.created_at + s.place * interval '10 seconds',
        r.created_at + s.place * interval '10 seconds' + interval '8 seconds'
    from runs r, unnest(array['authorise', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'publish', 'settle'])
        with ordinality as s (step, place);
    insert into deliveries (id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, sender_login,
        sender_id, verdict, reason, run_id, received_at)
    select uuidv7(), 1, gen_random_uuid()::text, 'issues', 'labeled', repository_id, 1, subject_number, requested_by_login,
        requested_by_id, 'started', 'The label run:dev asks for the agent dev.', id, created_at from runs;
    insert into model_calls (id, run_id, attempt, started_at, finished_at, status, input_tokens, output_tokens)
    select uuidv7(), id, 1, created_at, finished_at, 200, 1000, 100 from runs where finished_at is not null;
    insert into audit.flow_events (id, at, run_id, repository_id, actor, kind, detail)
    select uuidv7(), created_at, id, repository_id, 'worker', 'run_finished', '{"attempt": 1}' from runs;
    set session session_replication_role = origin;
    set session synchronous_commit = on;
"#;
