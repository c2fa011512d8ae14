//! What the UI is told: the namespace that it opens in, and that it may offer nothing that would be refused.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The settings of the UI as a person gets them. It opens in the namespace of this installation; without a grant the actions that change
/// something are taken out, for they would all be refused.
pub(super) fn told(settings: &Bytes, namespace: &str, writes: bool) -> Option<Bytes> {
    let mut settings: Map<String, Value> = serde_json::from_slice(settings).ok()?;
    settings.insert("DefaultNamespace".into(), namespace.into());
    if !writes {
        settings.insert("DisableWriteActions".into(), true.into());
    }
    serde_json::to_vec(&settings).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_other_settings_stay() {
        let given = json!({"Version": "2", "DefaultNamespace": "default", "DisableWriteActions": false});
        for writes in [true, false] {
            let told = told(&Bytes::from(given.to_string()), "codex", writes).unwrap();
            let told: Value = serde_json::from_slice(&told).unwrap();
            assert_eq!(told, json!({"Version": "2", "DefaultNamespace": "codex", "DisableWriteActions": !writes}));
        }
        assert_eq!(told(&Bytes::from_static(b"<html>"), "codex", false), None);
    }
}
