//! The description of the API.

use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn the_api_describes_itself() {
    let world = World::start().await;
    let served = world.browser().get("/api/openapi.json").await.ok();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served, serde_json::to_value(gateway::api::openapi()).unwrap());
    for (path, item) in served["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            let text = |field: &str| operation[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(text("operationId") && text("summary"), "{place}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{place}");
        }
    }
    every_reference_leads_somewhere(&served, &served);
}

fn every_reference_leads_somewhere(root: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                assert!(root.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            fields.values().for_each(|inner| every_reference_leads_somewhere(root, inner));
        }
        Value::Array(items) => items.iter().for_each(|inner| every_reference_leads_somewhere(root, inner)),
        _ => {}
    }
}
