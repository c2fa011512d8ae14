-- Who may change things in the engine's own UI, who let them, and why. To look at it there needs no grant.
create table operator_grants (
    id uuid primary key,
    person_id uuid not null references people,
    reason text not null check (reason <> ''),
    given_by uuid not null references people,
    given_at timestamptz not null,
    withdrawn_by uuid references people,
    withdrawn_at timestamptz,
    constraint operator_grants_end_has_a_person check ((withdrawn_by is null) = (withdrawn_at is null))
);
-- Nobody holds it twice.
create unique index operator_grants_one_at_a_time on operator_grants (person_id) where withdrawn_at is null;
create index operator_grants_person on operator_grants (person_id);
create index operator_grants_given_by on operator_grants (given_by);
create index operator_grants_withdrawn_by on operator_grants (withdrawn_by);
