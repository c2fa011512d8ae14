//! What the engine was last seen to be, for people who look at the settings. It is asked seldom and not for long: nobody waits for one
//! that is away.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::{Engine, EngineError};
use domain::sentences;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::problem::Chain;

/// How long it has for an answer.
const LIMIT: Duration = Duration::from_secs(1);

/// How long its answer is kept, and how long that it had none.
const KEPT: TimeDelta = TimeDelta::seconds(60);
const KEPT_AWAY: TimeDelta = TimeDelta::seconds(5);

/// Why the engine did not say its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EngineTrouble {
    kind: EngineTroubleKind,
    /// One sentence for people.
    detail: &'static str,
    /// The same by its code.
    detail_coded: Option<sentences::Coded>,
}

/// Why the engine did not say its version, as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EngineTroubleKind {
    /// Nobody answers at its address, or not in time.
    Unreachable,
    /// It answers, and does not have the namespace.
    NoNamespace,
    /// It answers, and refuses.
    Refused,
}

/// An answer, and when it was given.
struct Seen {
    at: DateTime<Utc>,
    version: Result<String, EngineTrouble>,
}

/// The last answer.
#[derive(Default)]
pub(crate) struct EngineSeen(Mutex<Option<Seen>>);

impl EngineSeen {
    /// Version of the engine's server; asked for by one at a time.
    pub(crate) async fn version(&self, engine: &Engine, now: DateTime<Utc>) -> Result<String, EngineTrouble> {
        let mut last = self.0.lock().await;
        if let Some(Seen { at, version }) = last.as_ref() {
            let kept = if version.is_ok() { KEPT } else { KEPT_AWAY };
            if now - at < kept {
                return version.clone();
            }
        }
        let version = ask(engine).await;
        *last = Some(Seen { at: now, version: version.clone() });
        version
    }
}

async fn ask(engine: &Engine) -> Result<String, EngineTrouble> {
    let trouble = |kind, detail| Err(EngineTrouble { kind, detail, detail_coded: sentences::read(detail) });
    match tokio::time::timeout(LIMIT, engine.server_version()).await {
        Ok(Ok(version)) => Ok(version),
        Ok(Err(EngineError::NoNamespace(_))) => {
            trouble(EngineTroubleKind::NoNamespace, sentences::engine_lacks_this_namespace())
        }
        Ok(Err(error @ EngineError::Refused(_))) => {
            tracing::warn!(error = %Chain(&error), "the engine does not say its version");
            trouble(EngineTroubleKind::Refused, sentences::engine_says_nothing())
        }
        Ok(Err(EngineError::NotConnected(_) | EngineError::Unavailable(_))) | Err(_) => {
            trouble(EngineTroubleKind::Unreachable, sentences::engine_silent())
        }
    }
}
