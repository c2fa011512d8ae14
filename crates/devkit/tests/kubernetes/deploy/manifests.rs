//! The rendered manifests, on a real API server.

use std::{env, fs};

use devkit::{layout::Layout, manifests::schemas};
use serde_json::Value;

use super::{caller::Caller, installed::rendered};
use crate::world::World;

/// As `kubectl apply --server-side --dry-run=server` would: everything is admitted, nothing is kept.
#[tokio::test]
async fn every_overlay_is_accepted() {
    let world = World::new().await;
    let admin = Caller::new(world.client.clone());
    // The namespaces that the manifests make are not there in a dry run.
    let namespace = world.namespace("dry-run").await;
    for overlay in ["overlays/local", "overlays/staging", "overlays/production", "environment"] {
        let rendered = rendered(overlay, &world);
        let mut refused = Vec::new();
        for object in &rendered.objects {
            let mut value = object.value().clone();
            if !object.namespace().is_empty() {
                value["metadata"]["namespace"] = namespace.name.clone().into();
            }
            if let Err(no) = admin.apply_with(&value, "&dryRun=All").await {
                refused.push(format!("{object}: {}", no.words));
            }
        }
        assert!(refused.is_empty(), "{overlay}:\n{}", refused.join("\n"));
        assert!(rendered.objects.len() > 3, "{overlay}");
    }
}

/// The stored schemas are what an API server says of itself. They are written anew with `CODEX_K8S_WRITE_SCHEMAS=1`.
#[tokio::test]
async fn the_stored_schemas_are_the_clusters() {
    let world = World::new().await;
    let admin = Caller::new(world.client.clone());
    let mut documents = Vec::new();
    for document in schemas::DOCUMENTS {
        documents.push(admin.get(&format!("/openapi/v3/{document}")).await.unwrap());
    }
    let reduced = schemas::reduce(&documents);
    let path = Layout::find().unwrap().tree.join("deploy").join(schemas::FILE);
    if env::var_os("CODEX_K8S_WRITE_SCHEMAS").is_some() {
        fs::write(&path, schemas::written(&reduced)).unwrap();
    }
    let stored: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        stored == reduced,
        "{} is not what this cluster says: CODEX_K8S_WRITE_SCHEMAS=1 writes it anew",
        path.display()
    );
}
