-- For retention: whether any attempt still names a packed workspace, which those share that begin at the same commit.
create index attempts_by_workspace on attempts (workspace_blob) where workspace_blob is not null;
