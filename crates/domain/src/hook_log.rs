//! When a hook's delivery log at the forge is looked at: seldom while all is well, at once when there was a gap.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How the forge's events reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookMode {
    /// The forge calls our gateway; the logs are looked at for what it missed.
    Push,
    /// The forge can't reach us; the logs are all there is.
    Pull {
        /// How often each is looked at.
        every: Duration,
    },
}

/// While the forge reaches us each log is looked at this often.
pub const IDLE_PERIOD: Duration = Duration::from_secs(60 * 60);

/// How often somebody asks in push mode which logs are due: how soon a gap that was noticed is repaired.
pub const PUSH_TICK: Duration = Duration::from_secs(60);

impl WebhookMode {
    /// How often somebody asks which logs are due.
    #[must_use]
    pub const fn tick(self) -> Duration {
        match self {
            Self::Push => PUSH_TICK,
            Self::Pull { every } => every,
        }
    }
}

/// What is known of a hook's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookState {
    /// The forge's id of the hook.
    pub hook: i64,
    /// Since when a look is wanted because of a gap.
    pub wanted_at: Option<DateTime<Utc>>,
    /// Not to be looked at before.
    pub not_before: Option<DateTime<Utc>>,
    /// When it was last looked at.
    pub looked_at: Option<DateTime<Utc>>,
}

/// The hooks to be looked at now, by their place in `states`: first those with a gap, the oldest gap first; then those
/// that were not looked at for longest.
#[must_use]
pub fn due(states: &[LookState], mode: WebhookMode, now: DateTime<Utc>) -> Vec<usize> {
    let mut due: Vec<(usize, &LookState)> =
        states.iter().enumerate().filter(|(_, state)| is_due(state, mode, now)).collect();
    due.sort_by_key(|(_, state)| (state.wanted_at.is_none(), state.wanted_at, state.looked_at, state.hook));
    due.into_iter().map(|(place, _)| place).collect()
}

fn is_due(state: &LookState, mode: WebhookMode, now: DateTime<Utc>) -> bool {
    if state.not_before.is_some_and(|at| at > now) {
        return false;
    }
    let Some(looked_at) = state.looked_at.filter(|_| state.wanted_at.is_none()) else { return true };
    match mode {
        // The ticks are as far apart as the looks: each of them counts, also when it comes a little early.
        WebhookMode::Pull { .. } => true,
        WebhookMode::Push => looked_at < turn(state.hook, now),
    }
}

/// The last moment at which it was this hook's turn. Spread over the period, so that fifty hooks are not asked in one go.
fn turn(hook: i64, now: DateTime<Utc>) -> DateTime<Utc> {
    let period = IDLE_PERIOD.as_millis().cast_signed();
    // A multiplicative hash: ids that follow each other are spread as well as any.
    let spread = i128::from(hook.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1);
    let since = (i128::from(now.timestamp_millis()) - spread % period).rem_euclid(period);
    now - TimeDelta::milliseconds(i64::try_from(since).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::minutes(minute)
    }

    fn seen(hook: i64, looked: i64) -> LookState {
        LookState { hook, wanted_at: None, not_before: None, looked_at: Some(at(looked)) }
    }

    #[test]
    fn who_is_due() {
        let pull = WebhookMode::Pull { every: Duration::from_secs(30) };
        let never = LookState { looked_at: None, ..seen(1, 0) };
        let wanted = |since| LookState { wanted_at: Some(at(since)), ..seen(2, 9) };
        let left_alone = |until| LookState { not_before: Some(at(until)), ..wanted(1) };
        for (what, state, mode, expected) in [
            ("just looked at", seen(1, 10), WebhookMode::Push, false),
            ("looked at an hour ago", seen(1, -50), WebhookMode::Push, true),
            ("never looked at", never, WebhookMode::Push, true),
            ("a gap", wanted(8), WebhookMode::Push, true),
            ("a gap, but the forge wants rest", left_alone(11), WebhookMode::Push, false),
            ("a gap, and the rest is over", left_alone(10), WebhookMode::Push, true),
            ("polled, just looked at", seen(1, 10), pull, true),
            ("polled, but the forge wants rest", left_alone(11), pull, false),
        ] {
            assert_eq!(due(&[state], mode, at(10)), if expected { vec![0] } else { vec![] }, "{what}");
        }
    }

    #[test]
    fn gaps_come_first_and_the_oldest_of_them_before_the_others() {
        let wanted = |hook, since| LookState { wanted_at: Some(at(since)), ..seen(hook, 0) };
        let states = [seen(1, -200), wanted(2, 9), wanted(3, 4), seen(4, -300)];
        assert_eq!(due(&states, WebhookMode::Push, at(10)), [2, 1, 3, 0]);
    }

    #[test]
    fn fifty_idle_hooks_take_fifty_looks_an_hour_and_never_many_at_a_time() {
        let mut states: Vec<LookState> = (0..50).map(|place| seen(523_400_000 + place * 3, -60)).collect();
        // The first hour brings every hook into its own turn.
        let mut looks = Vec::new();
        for minute in 0..180 {
            let due = due(&states, WebhookMode::Push, at(minute));
            looks.push(due.len());
            for place in due {
                states[place].looked_at = Some(at(minute));
            }
        }
        for hour in 1..3 {
            let of_the_hour = &looks[hour * 60..(hour + 1) * 60];
            assert_eq!(of_the_hour.iter().sum::<usize>(), 50, "{of_the_hour:?}");
            assert!(of_the_hour.iter().all(|looks| *looks <= 3), "{of_the_hour:?}");
        }
    }
}
