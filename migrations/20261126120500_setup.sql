-- The project's set-up: its output is a stream of its own, and a run can end by its failure.

alter table log_chunks drop constraint log_chunks_stream_check,
    add constraint log_chunks_stream_check check (stream in ('setup', 'codex', 'codex_stderr', 'check', 'runner'));
alter table runs drop constraint runs_outcome_check,
    add constraint runs_outcome_check check (outcome in ('pull_request_open', 'review_posted', 'answer_posted', 'no_change',
        'checks_failed', 'setup_failed', 'refused', 'budget_spent', 'cancelled', 'lost', 'failed'));
alter table attempts drop constraint attempts_outcome_check,
    add constraint attempts_outcome_check check (outcome in ('pull_request_open', 'review_posted', 'answer_posted', 'no_change',
        'checks_failed', 'setup_failed', 'refused', 'budget_spent', 'cancelled', 'lost', 'failed'));
