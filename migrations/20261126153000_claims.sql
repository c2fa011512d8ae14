-- An attempt is claimed by the first process that shows its launch token; what it works with from then on are tokens of its own.

-- Until now this was the hash of a token that a Job kept all its life; from now on that of the launch token.
alter table attempts
    -- Who claimed it: the UID of a pod, or a process.
    add column claimed_by text,
    add column claimed_at timestamptz,
    add column session_hash bytea,
    add column model_hash bytea,
    add column egress_hash bytea,
    -- Since when no token of the attempt is worth anything, though it has not ended yet.
    add column tokens_revoked_at timestamptz,
    add constraint attempts_claim_is_whole check ((claimed_at is null) = (claimed_by is null)
        and (claimed_at is null) = (session_hash is null) and (claimed_at is null) = (model_hash is null)
        and (claimed_at is null) = (egress_hash is null));
create unique index attempts_session on attempts (session_hash) where session_hash is not null;
create unique index attempts_model on attempts (model_hash) where model_hash is not null;
create unique index attempts_egress on attempts (egress_hash) where egress_hash is not null;

-- When the audit was last told of refused tokens of a kind: so that a flood of them is a line an hour.
create table token_refusals (
    -- `<run>:<attempt>:<code>`; the code alone where the token is nobody's.
    what text primary key,
    told_at timestamptz not null
);
