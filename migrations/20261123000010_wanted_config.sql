-- The commit of the default branch at which services.yaml should be read, as a push told. Done once config_sha equals it.
alter table repositories add column config_wanted_sha text;
