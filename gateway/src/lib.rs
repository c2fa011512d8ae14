//! Everything HTTP: webhooks, runner endpoint, model gateway.
