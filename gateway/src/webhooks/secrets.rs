//! Which secrets a webhook may be signed with. The hook's id decides, never the body.

use domain::ids::RepositoryId;
use store::{StoreError, hooks};

use super::signature::HookSecret;
use crate::{app::AppState, hook_secrets, problem::Problem};

/// The platform's own webhook secrets: for hooks that have none of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformSecrets {
    /// The one in force.
    pub current: HookSecret,
    /// The one before, still good while it is being replaced.
    pub previous: Option<HookSecret>,
}

/// What is known of the hook that sent a webhook.
#[derive(Debug)]
pub(super) struct Hook {
    /// Any of these may have signed.
    pub(super) secrets: Vec<HookSecret>,
    /// The one repository that it may speak for; none if for many.
    pub(super) repository: Option<RepositoryId>,
}

/// Looks the hook up; without an id, or with one that nobody registered, it is the platform's own.
pub(super) async fn hook(state: &AppState, hook_id: Option<i64>) -> Result<Hook, Problem> {
    let registered = match hook_id {
        Some(id) => registered(state, id).await?.map(|hook| (id, hook)),
        None => None,
    };
    let repository = registered.as_ref().and_then(|(_, hook)| hook.repository);
    let with_own = registered.and_then(|(id, hook)| Some((id, hook.id, [Some(hook.current?), hook.previous])));
    let Some((id, bound_to, sealed)) = with_own else {
        let own = state.webhook_secrets();
        let secrets = [Some(own.current.clone()), own.previous.clone()].into_iter().flatten().collect();
        return Ok(Hook { secrets, repository });
    };
    let opened = sealed.into_iter().flatten().filter_map(|sealed| {
        hook_secrets::open(state.key(), bound_to, &sealed)
            .inspect_err(|error| tracing::error!(hook = id, %error, "a hook's secret can't be opened"))
            .ok()
    });
    let secrets: Vec<HookSecret> = opened.filter_map(HookSecret::new).collect();
    if secrets.is_empty() {
        // The forge keeps the delivery, so it can be sent again once the key is right.
        return Err(Problem::unavailable("hook_secret_unreadable", "the hook's secret can't be opened here", 60));
    }
    Ok(Hook { secrets, repository })
}

async fn registered(state: &AppState, hook_id: i64) -> Result<Option<hooks::HookSecrets>, StoreError> {
    hooks::secrets_for(&mut *state.store().acquire().await?, hook_id).await
}
