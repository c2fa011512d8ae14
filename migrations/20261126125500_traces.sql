-- The trace of what asked for an attempt, as W3C trace context: spans of its steps join it. No secret.
alter table attempts add column traceparent text check (length(traceparent) <= 55);
