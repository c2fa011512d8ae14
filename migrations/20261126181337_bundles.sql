-- For retention: the attempts whose bundles are still there.
create index attempts_with_bundles on attempts (run_id) where workspace_blob is not null or result_blob is not null;
