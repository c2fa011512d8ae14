-- Our own wish to end a Job, whatever became of its run, apart from somebody's wish to cancel the run: a Job that reports that it was
-- asked to end, when neither was written down, was put out by its surroundings.
alter table attempts add column stop_requested_at timestamptz;

alter table attempts drop constraint attempts_failure_class_check;
alter table attempts add constraint attempts_failure_class_check check (failure_class in ('out_of_memory',
    'possibly_out_of_memory', 'evicted', 'interrupted', 'node_lost', 'image', 'unschedulable', 'quota', 'not_started', 'deadline',
    'deleted', 'cluster_away', 'network', 'tools', 'no_report', 'silent'));
