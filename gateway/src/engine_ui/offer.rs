//! What the UI is told that it may offer: nothing that would be refused.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Takes the actions that change something out of the settings of the UI. Without a grant they would all be refused.
pub(super) fn reads_alone(settings: &Bytes) -> Option<Bytes> {
    let mut settings: Map<String, Value> = serde_json::from_slice(settings).ok()?;
    settings.insert("DisableWriteActions".into(), true.into());
    serde_json::to_vec(&settings).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_other_settings_stay() {
        let given = Bytes::from_static(b"{\"Version\":\"2\",\"DisableWriteActions\":false}");
        let told: Value = serde_json::from_slice(&reads_alone(&given).unwrap()).unwrap();
        assert_eq!(told, json!({"Version": "2", "DisableWriteActions": true}));
        assert_eq!(reads_alone(&Bytes::from_static(b"<html>")), None);
    }
}
