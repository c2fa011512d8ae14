-- Events are listed by their ids, the newest first: of one repository, and of one project itself. Both are read in that order and no
-- further than a page. Apart from the new column, so that nobody waits to read while these are made.

create index flow_events_project_newest on audit.flow_events (project_id, id) where project_id is not null;
create index flow_events_repository_newest on audit.flow_events (repository_id, id) where repository_id is not null;
-- Nobody asks for the events of a repository by their time alone.
drop index audit.flow_events_repository;
