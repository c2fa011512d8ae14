//! Shows on the forge that the agent waits for the model API's rate limit, and that it no longer does.
//!
//! The model gateway knows and writes it down, but reaches no forge; whoever watches the Job is told ([`crate::agent_waits`]).

use std::{convert::Infallible, time::Duration};

use chrono::TimeDelta;
use workflows::messages::RunRef;

use super::show_state;
use crate::platform::Platform;

/// A shorter wait is over before anybody has read about it.
const WORTH_SHOWING: TimeDelta = TimeDelta::seconds(4);

/// Shows waits as they come and go, until dropped.
pub(super) async fn watch(platform: &Platform, at: RunRef) -> Infallible {
    let (mut waits, mut shown) = (platform.agent_waits.told(), None);
    loop {
        let now = waits.next(at).await;
        if now != shown {
            tokio::time::sleep(own_moment(at)).await;
        }
        let longer = now.is_none_or(|until| until - platform.now() >= WORTH_SHOWING);
        if now != shown && longer {
            show_state::show_wait(platform, at).await;
            shown = now;
        }
    }
}

/// A provider's limit meets all agents at once: each is shown at a moment of its own, within two seconds.
fn own_moment(at: RunRef) -> Duration {
    let [.., high, low] = *at.run.as_uuid().as_bytes();
    Duration::from_millis(u64::from(u16::from_be_bytes([high, low])) * 2_000 / 65_536)
}
