-- What two failures have in common, so that it can be said how many runs met the same; and an index for each way to look at the
-- list of runs, in its order.

alter table runs add column failure_fingerprint text;
create index runs_same_failure on runs (project_id, failure_fingerprint, finished_at) where failure_fingerprint is not null;

create extension if not exists pg_trgm;
create index runs_repository on runs (repository_id, created_at desc, id desc);
create index runs_number on runs (subject_number, created_at desc, id desc);
create index runs_agent on runs (agent, created_at desc, id desc);
create index runs_outcome on runs (outcome, created_at desc, id desc) where outcome is not null;
create index runs_requester on runs (lower(requested_by_login), created_at desc, id desc);
create index runs_unfinished on runs (state, created_at desc, id desc) where state <> 'finished';
create index runs_title on runs using gin (lower(subject_title) gin_trgm_ops);
