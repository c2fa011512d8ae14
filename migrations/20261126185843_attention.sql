-- What the home screen asks for, found without reading the whole history; and deliveries that are replayed.

create index runs_ended_badly on runs (finished_at desc)
    where outcome in ('failed', 'lost', 'setup_failed', 'checks_failed', 'budget_spent');
create index deliveries_held on deliveries (received_at desc) where verdict in ('repository_unknown', 'two_agent_labels');
create index storms_newest on storms (last_at desc);

-- The delivery whose event is judged once more. A replay of a replay names the first.
alter table deliveries add column replay_of uuid references deliveries;
create index deliveries_replays on deliveries (replay_of) where replay_of is not null;
