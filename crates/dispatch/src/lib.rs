//! Carries engine commands from the outbox to Temporal, in order per workflow.
