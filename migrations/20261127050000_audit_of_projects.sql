-- What was done to a project itself: told to its members, too. No row is touched: a column without a default is only noted.
-- Without a foreign key, like the others of this schema. Events before this one have none, and cannot be given one.

alter table audit.flow_events add column project_id uuid;
