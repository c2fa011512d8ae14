//! Following what goes on without us: the gateway is asked until it has ended.

use std::time::Duration;

use gateway::staff_client::{StaffClient, StaffError};
use serde_json::Value;

use super::words::plain;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);

/// So often in a row there may be no answer, as while the gateway is started anew.
const SILENCES: u32 = 60;

/// Where it stands.
pub(super) enum Stand {
    /// It is over.
    Ended,
    /// It goes on; what it waits for, if it says so.
    GoesOn(String),
}

/// Follows what is at this path to its end, and gives it as it was last seen. What it waits for is told on standard error, so that what
/// is printed at the end can be piped. What is not there any more for who asks has ended for them.
pub(super) async fn follow(
    client: &StaffClient,
    path: &str,
    look: impl Fn(&Value) -> Stand,
) -> Result<Value, StaffError> {
    let (mut last, mut told, mut silences) = (Value::Null, String::new(), 0);
    loop {
        match client.get(path).await {
            Ok(seen) => {
                (last, silences) = (seen, 0);
                match look(&last) {
                    Stand::Ended => return Ok(last),
                    Stand::GoesOn(words) if words == told => {}
                    Stand::GoesOn(words) => {
                        eprintln!("{}", plain(&words));
                        told = words;
                    }
                }
            }
            Err(StaffError::Refused { status: 404, .. }) => return Ok(last),
            Err(error) if may_pass(&error) && silences < SILENCES => silences += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn may_pass(error: &StaffError) -> bool {
    match error {
        StaffError::Unreachable { .. } => true,
        StaffError::Refused { status, .. } => *status >= 500,
    }
}
