//! The namespace of a project's Jobs, with everything that holds them in bounds: made when it is first needed, brought up to
//! date from time to time, and removed with the project.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::ids::ProjectSlug;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{
            LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec, ServiceAccount,
        },
        rbac::v1::{RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::{api::resource::Quantity as Amount, apis::meta::v1::ObjectMeta},
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    failure::{call, find},
    names::{self, FIELD_MANAGER, INSTANCE, SERVICE_ACCOUNT},
    policies::policies,
    settings::{KubernetesSettings, OwnRights},
};
use crate::{JobOrder, LaunchError};

/// A namespace that was seen whole is looked at again after this.
const TRUSTED: Duration = Duration::from_secs(10 * 60);

/// Which namespaces were seen whole, and when.
#[derive(Default)]
pub(super) struct Namespaces {
    seen: Mutex<HashMap<String, Instant>>,
}

impl Namespaces {
    /// Makes the namespace of an order's project and what belongs into it, unless it was seen whole a short while ago.
    pub(super) async fn ensure(
        &self,
        client: &Client,
        settings: &KubernetesSettings,
        order: &JobOrder,
    ) -> Result<String, LaunchError> {
        let name = names::namespace(&settings.namespace_prefix, &order.job.project);
        let trusted = self.seen().get(&name).is_some_and(|at| at.elapsed() < TRUSTED);
        if !trusted {
            make(client, settings, order, &name).await?;
            self.seen().insert(name.clone(), Instant::now());
        }
        Ok(name)
    }

    /// Something was missing there after all.
    pub(super) fn distrust(&self, name: &str) {
        self.seen().remove(name);
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn make(client: &Client, settings: &KubernetesSettings, order: &JobOrder, name: &str) -> Result<(), LaunchError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let there = find("looking for the project's namespace", namespaces.get(name)).await?;
    if let Some(owner) = there.as_ref().and_then(|there| foreign_owner(there, settings)) {
        return Err(LaunchError::Refused(format!(
            "the namespace `{name}` belongs to {owner}; set RUN_NAMESPACE_PREFIX to something of this installation's own"
        )));
    }
    let mut labels = names::project_labels(&settings.instance, &order.job.project);
    let meta = ObjectMeta { namespace: Some(name.to_owned()), labels: Some(labels.clone()), ..ObjectMeta::default() };
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
    }
    let annotations = [(names::PROJECT.to_owned(), order.job.project.as_str().to_owned())].into();
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    apply(&namespaces, "making the project's namespace", &namespace).await?;
    if let Some(rights) = &settings.rights {
        let bindings = Api::namespaced(client.clone(), name);
        apply(&bindings, "taking the rights in the project's namespace", &binding(&meta, rights)).await?;
        await_rights(client, name).await?;
    }
    let [nothing, a_little] = policies(order, settings, &meta);
    let within = Api::namespaced(client.clone(), name);
    // Nobody may be there before the rule that nothing is reached.
    apply(&within, "denying all traffic in the project's namespace", &nothing).await?;
    let (accounts, quotas) = (Api::namespaced(client.clone(), name), Api::namespaced(client.clone(), name));
    let ranges = Api::namespaced(client.clone(), name);
    let (account, quota, range) = (account(&meta), quota(&meta, settings), range(&meta, settings));
    tokio::try_join!(
        apply(&within, "allowing what agents need in the project's namespace", &a_little),
        apply(&accounts, "making the agents' service account", &account),
        apply(&quotas, "setting the project's quota", &quota),
        apply(&ranges, "setting the project's limits", &range),
    )?;
    Ok(())
}

/// What the worker may do inside is a role that it binds to itself: rules can't name namespaces by their beginning.
fn binding(meta: &ObjectMeta, rights: &OwnRights) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta { name: Some("launcher".to_owned()), ..meta.clone() },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: rights.role.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: rights.account.clone(),
            namespace: Some(rights.namespace.clone()),
            ..Subject::default()
        }]),
    }
}

/// The API server learns of a binding a moment after it took it.
async fn await_rights(client: &Client, name: &str) -> Result<(), LaunchError> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), name);
    let few = ListParams::default().limit(1);
    let mut left = 20;
    loop {
        match call("using the rights in the project's namespace", jobs.list_metadata(&few)).await {
            Err(LaunchError::Refused(_)) if left > 0 => left -= 1,
            other => return other.map(drop),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Applies an object as ours, whatever others have set of the same fields.
pub(super) async fn apply<K>(api: &Api<K>, what: &str, object: &K) -> Result<K, LaunchError>
where
    K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let name = object.meta().name.clone().unwrap_or_default();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    call(what, api.patch(&name, &params, &Patch::Apply(object))).await
}

/// Who else has it; none if it is ours.
fn foreign_owner(there: &Namespace, settings: &KubernetesSettings) -> Option<String> {
    let labels = there.metadata.labels.as_ref();
    match labels.and_then(|labels| labels.get(INSTANCE)) {
        Some(instance) if instance == settings.instance.as_str() => None,
        Some(instance) => Some(format!("the installation `{instance}`")),
        None => Some("somebody else".to_owned()),
    }
}

fn account(meta: &ObjectMeta) -> ServiceAccount {
    ServiceAccount {
        metadata: ObjectMeta { name: Some(SERVICE_ACCOUNT.to_owned()), ..meta.clone() },
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn quota(meta: &ObjectMeta, settings: &KubernetesSettings) -> ResourceQuota {
    let quota = &settings.quota;
    let amount = |of: &domain::services_yaml::Quantity| of.as_str().to_owned();
    let hard: BTreeMap<String, Amount> = [
        ("pods", quota.pods.to_string()),
        ("limits.cpu", amount(&quota.cpu)),
        ("limits.memory", amount(&quota.memory)),
        ("limits.ephemeral-storage", amount(&quota.ephemeral_storage)),
        ("services", "0".to_owned()),
        ("persistentvolumeclaims", "0".to_owned()),
    ]
    .map(|(name, amount)| (name.to_owned(), Amount(amount)))
    .into();
    ResourceQuota {
        metadata: ObjectMeta { name: Some("project".to_owned()), ..meta.clone() },
        spec: Some(ResourceQuotaSpec { hard: Some(hard), ..ResourceQuotaSpec::default() }),
        ..ResourceQuota::default()
    }
}

/// What a container gets that asks for nothing: ours all ask.
fn range(meta: &ObjectMeta, settings: &KubernetesSettings) -> LimitRange {
    let amounts = |cpu: &str, memory: &str, storage: &str| -> BTreeMap<String, Amount> {
        [("cpu", cpu), ("memory", memory), ("ephemeral-storage", storage)]
            .map(|(name, amount)| (name.to_owned(), Amount(amount.to_owned())))
            .into()
    };
    let of = &settings.defaults;
    let most = amounts(of.cpu.as_str(), of.memory.as_str(), of.ephemeral_storage.as_str());
    let item = LimitRangeItem {
        type_: "Container".to_owned(),
        default: Some(most),
        default_request: Some(amounts("50m", "32Mi", "16Mi")),
        ..LimitRangeItem::default()
    };
    LimitRange {
        metadata: ObjectMeta { name: Some("project".to_owned()), ..meta.clone() },
        spec: Some(LimitRangeSpec { limits: vec![item] }),
    }
}

/// Removes the namespace of a project, and with it everything in it. Fine if there is none; one that is not ours stays.
///
/// # Errors
/// When the cluster is away, or the namespace is not ours.
pub async fn remove(client: &Client, settings: &KubernetesSettings, project: &ProjectSlug) -> Result<(), LaunchError> {
    let name = names::namespace(&settings.namespace_prefix, project);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let Some(there) = find("looking for the project's namespace", namespaces.get(&name)).await? else {
        return Ok(());
    };
    if let Some(owner) = foreign_owner(&there, settings) {
        return Err(LaunchError::Refused(format!("the namespace `{name}` belongs to {owner} and is left as it is")));
    }
    find("removing the project's namespace", namespaces.delete(&name, &DeleteParams::default())).await?;
    Ok(())
}

/// The projects that have a namespace of ours.
///
/// # Errors
/// When the cluster is away.
pub async fn projects(client: &Client, settings: &KubernetesSettings) -> Result<Vec<ProjectSlug>, LaunchError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let selector = format!("{}={FIELD_MANAGER},{INSTANCE}={}", names::MANAGED_BY, settings.instance);
    let list = ListParams::default().labels(&selector);
    let found = call("listing the projects' namespaces", namespaces.list(&list)).await?;
    let slugs = found.items.into_iter().filter(|there| there.metadata.deletion_timestamp.is_none());
    let slugs = slugs.filter_map(|there| there.metadata.annotations?.remove(names::PROJECT));
    Ok(slugs.map(ProjectSlug::new).collect())
}
