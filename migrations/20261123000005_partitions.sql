-- Raw payloads by day, audit events by month, and the function that makes partitions ahead of time.

create table delivery_payloads (
    delivery_id uuid not null references deliveries,
    received_at timestamptz not null,
    body bytea not null,
    primary key (delivery_id, received_at)
) partition by range (received_at);
create table delivery_payloads_default partition of delivery_payloads default;

-- No foreign key leaves this schema, so that it can move to a database of its own.
create schema audit;

create table audit.flow_events (
    id uuid not null,
    at timestamptz not null,
    run_id uuid,
    repository_id uuid,
    delivery_id uuid,
    actor text not null,
    kind text not null check (kind <> ''),
    detail jsonb not null,
    primary key (id, at)
) partition by range (at);
create index flow_events_run on audit.flow_events (run_id, at) where run_id is not null;
create index flow_events_repository on audit.flow_events (repository_id, at) where repository_id is not null;

create function audit.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit.flow_events is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or delete on audit.flow_events
    for each row execute function audit.refuse_change();
create trigger never_truncated before truncate on audit.flow_events
    for each statement execute function audit.refuse_change();

create table audit.flow_events_default partition of audit.flow_events default;
-- A truncate trigger is not inherited.
create trigger never_truncated before truncate on audit.flow_events_default
    for each statement execute function audit.refuse_change();

-- Makes the partitions that are missing from `at` on and returns how many were made. A span that the default partition
-- already holds rows of is left to it: rows can't be moved out of an append-only table, and a warning is better than a
-- failing call.
create function ensure_partitions(at timestamptz, days_ahead integer, months_ahead integer) returns integer
language plpgsql as $$
declare
    made integer := 0;
    first_day timestamptz;
    next_day timestamptz;
    child text;
    strays boolean;
begin
    perform pg_advisory_xact_lock(hashtextextended('codex-k8s partitions', 0));
    for i in 0..days_ahead loop
        first_day := date_trunc('day', at, 'UTC') + i * interval '24 hours';
        next_day := first_day + interval '24 hours';
        child := 'delivery_payloads_' || to_char(first_day at time zone 'UTC', 'YYYYMMDD');
        if to_regclass('public.' || child) is null then
            select exists (select from public.delivery_payloads_default d
                where d.received_at >= first_day and d.received_at < next_day) into strays;
            if strays then
                raise warning 'no partition % made: the default partition holds rows of it', child;
            else
                execute format('create table public.%I partition of public.delivery_payloads for values from (%L) to (%L)',
                    child, first_day, next_day);
                made := made + 1;
            end if;
        end if;
    end loop;
    for i in 0..months_ahead loop
        first_day := date_trunc('month', at at time zone 'UTC') at time zone 'UTC';
        first_day := ((first_day at time zone 'UTC') + i * interval '1 month') at time zone 'UTC';
        next_day := ((first_day at time zone 'UTC') + interval '1 month') at time zone 'UTC';
        child := 'flow_events_' || to_char(first_day at time zone 'UTC', 'YYYYMM');
        if to_regclass('audit.' || child) is null then
            select exists (select from audit.flow_events_default d
                where d.at >= first_day and d.at < next_day) into strays;
            if strays then
                raise warning 'no partition % made: the default partition holds rows of it', child;
            else
                execute format('create table audit.%I partition of audit.flow_events for values from (%L) to (%L)',
                    child, first_day, next_day);
                execute format('create trigger never_truncated before truncate on audit.%I
                    for each statement execute function audit.refuse_change()', child);
                made := made + 1;
            end if;
        end if;
    end loop;
    return made;
end
$$;

select ensure_partitions(now(), 14, 3);
