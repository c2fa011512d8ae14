-- Nothing looks for silent Jobs by this index, and each sign of life had to change it.

drop index attempts_jobs_at_work;
