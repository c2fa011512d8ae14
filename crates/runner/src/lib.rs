//! The program inside the Job: workspace, Codex, checks, evidence.
