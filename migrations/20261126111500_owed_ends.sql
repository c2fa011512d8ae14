-- No run without a deadline, and no end that is never shown on the forge.

update runs set deadline_at = created_at + interval '24 hours' where deadline_at is null and state <> 'finished';
alter table runs add constraint runs_unfinished_has_a_deadline check (state = 'finished' or deadline_at is not null);

-- When the forge was shown how the attempt ended; and how often that failed, and when to try again.
alter table attempts
    add column end_shown_at timestamptz,
    add column end_show_tries integer not null default 0,
    add column end_show_after timestamptz;
update attempts set end_shown_at = finished_at where finished_at is not null;
create index attempts_end_not_shown on attempts (finished_at) where finished_at is not null and end_shown_at is null;
