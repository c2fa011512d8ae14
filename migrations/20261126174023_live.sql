-- What has changed, for pages that are open: which run, in which transaction. Rows are only added, so that nobody waits for
-- anybody here. Numbers of transactions are not in the order of commits: who reads goes back to the oldest one that was under
-- way at the last look (pg_snapshot_xmin), and so misses none that ends late. Rows die after an hour.

create table live_changes (
    xid xid8 not null default pg_current_xact_id(),
    run_id uuid not null,
    at timestamptz not null default now(),
    primary key (xid, run_id)
);

create function note_live_change() returns trigger language plpgsql as $$
begin
    insert into live_changes (run_id) values (new.run_id) on conflict do nothing;
    return null;
end $$;

create function note_live_run() returns trigger language plpgsql as $$
begin
    insert into live_changes (run_id) values (new.id) on conflict do nothing;
    return null;
end $$;

create trigger runs_live_new after insert on runs for each row execute function note_live_run();
-- A deadline that moves ahead is nothing that anybody sees.
create trigger runs_live after update on runs for each row
    when ((old.state, old.step, old.outcome, old.cause, old.attempt, old.branch, old.base_sha, old.head_sha, old.pr_number)
        is distinct from (new.state, new.step, new.outcome, new.cause, new.attempt, new.branch, new.base_sha, new.head_sha, new.pr_number))
    execute function note_live_run();
-- The first attempt comes with its run; signs of life are no news.
create trigger attempts_live_new after insert on attempts for each row when (new.attempt > 1) execute function note_live_change();
create trigger attempts_live after update on attempts for each row
    when ((old.job_state, old.cancel_requested_at, old.outcome, old.cause, old.withdrawn, old.finished_at, old.report is null, old.prompt is null)
        is distinct from (new.job_state, new.cancel_requested_at, new.outcome, new.cause, new.withdrawn, new.finished_at, new.report is null, new.prompt is null))
    execute function note_live_change();
create trigger steps_live after insert or update on steps for each row execute function note_live_change();
create trigger slot_claims_live after insert or update on slot_claims for each row execute function note_live_change();
create trigger model_calls_live after update on model_calls for each row
    when (old.finished_at is null and new.finished_at is not null) execute function note_live_change();
