//! What is in `deploy/`.

use super::CheckError;
use crate::{
    console::say,
    layout::Layout,
    manifests::{self, Lock, OVERLAYS, Object, schemas},
    tools,
};

/// Looks at manifests and Dockerfiles. What is unresolved is listed; for a release it is an error.
pub(super) fn manifests(layout: &Layout, release: bool) -> Result<(), CheckError> {
    let deploy = layout.tree.join("deploy");
    let kustomize = tools::kustomize(&layout.cache)?;
    let kubeconform = tools::kubeconform(&layout.cache)?;
    let lock = Lock::read(&deploy.join("versions.lock"))?;
    let mut complaints: Vec<String> = Vec::new();
    let mut released: Vec<Object> = Vec::new();
    for overlay in OVERLAYS {
        let rendered = manifests::render(&kustomize, &deploy.join(overlay))?;
        complaints
            .extend(manifests::findings(&rendered.objects, &lock).iter().map(|found| format!("{overlay}: {found}")));
        if let Some(words) = schemas::violations(&kubeconform, &deploy, &rendered.text)? {
            complaints.push(format!("{overlay}: {words}"));
        }
        if overlay == "overlays/production" {
            released = rendered.objects;
        }
    }
    let of_images = manifests::dockerfile_findings(&layout.tree, &lock)?;
    complaints.extend(of_images.iter().map(|found| format!("docker/{found}")));
    for complaint in &complaints {
        say(format_args!("    {complaint}"));
    }
    let missing = say_unresolved(&lock, &released, release);
    if !complaints.is_empty() {
        return Err(CheckError::Bad { remedy: "the lines above say what is wrong in deploy/" });
    }
    if release && missing {
        return Err(CheckError::Bad { remedy: "put in what is unresolved: deploy/README.md says how to find each" });
    }
    Ok(())
}

/// Says what a release lacks: the digests one by one, the rest of the places by count unless it is a release.
fn say_unresolved(lock: &Lock, released: &[Object], release: bool) -> bool {
    let images = lock.unresolved();
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    if !names.is_empty() {
        say(format_args!("    unresolved in deploy/versions.lock: {}", names.join(", ")));
    }
    let places = manifests::unresolved(released);
    if release {
        for place in &places {
            say(format_args!("    unresolved: {place}"));
        }
    } else if !places.is_empty() {
        say(format_args!("    unresolved in overlays/production: {} places; `--release` names them", places.len()));
    }
    !names.is_empty() || !places.is_empty()
}
