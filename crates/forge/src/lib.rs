//! What codex-k8s asks of a code forge, and the GitHub adapter.
