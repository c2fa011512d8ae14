//! What a project allows its agents' model calls to use up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Limit, Limits, Usd};

/// What the agents' model calls may use up. A call that does not fit any more is not made, and the run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// US dollars for one run, all its attempts together.
    pub per_run_usd: Option<Usd>,
    /// US dollars for the project's runs on one day (UTC).
    pub per_day_usd: Option<Usd>,
    /// US dollars for the project's runs in one month (UTC).
    pub per_month_usd: Option<Usd>,
    /// Tokens, in and out, for one run, all its attempts together.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub per_run_tokens: Option<u64>,
    /// Tokens, in and out, for the project's runs on one day (UTC).
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub per_day_tokens: Option<u64>,
    /// Tokens, in and out, for the project's runs in one month (UTC).
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub per_month_tokens: Option<u64>,
}

impl BudgetConfig {
    /// The limits; what this one does not say is taken from another.
    #[must_use]
    pub fn limits(self, otherwise: Self) -> Limits {
        let limit = |tokens: Option<u64>, usd: Option<Usd>| Limit { tokens, usd };
        Limits {
            run: limit(self.per_run_tokens.or(otherwise.per_run_tokens), self.per_run_usd.or(otherwise.per_run_usd)),
            day: limit(self.per_day_tokens.or(otherwise.per_day_tokens), self.per_day_usd.or(otherwise.per_day_usd)),
            month: limit(
                self.per_month_tokens.or(otherwise.per_month_tokens),
                self.per_month_usd.or(otherwise.per_month_usd),
            ),
        }
    }
}
