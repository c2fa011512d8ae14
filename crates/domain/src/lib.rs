//! The vocabulary: ids, states, trigger rules, services.yaml, policies. Pure.
