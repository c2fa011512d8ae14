//! The idempotent side effects of the workflows, one file each, and the worker role.
