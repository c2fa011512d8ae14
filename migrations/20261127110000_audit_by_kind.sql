-- Events of a kind, the newest first, whosever they are. In the order of bytes, in which kinds that begin alike stand together whatever
-- language the database sorts by.

create index flow_events_kind_newest on audit.flow_events (kind collate "C", id);
