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

/// What a platform says of the budgets of all its projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformBudgets {
    /// What holds where a project says nothing.
    pub defaults: BudgetConfig,
    /// What no project gets past, whatever its `services.yaml` says.
    pub ceiling: BudgetConfig,
}

impl PlatformBudgets {
    /// The limits of a project that asks for these budgets.
    #[must_use]
    pub fn limits(&self, project: &BudgetConfig) -> Limits {
        let Self { defaults, ceiling } = self;
        let limit = |tokens: fn(&BudgetConfig) -> Option<u64>, usd: fn(&BudgetConfig) -> Option<Usd>| {
            let (tokens, tokens_capped) = capped(tokens(project).or(tokens(defaults)), tokens(ceiling));
            let (usd, usd_capped) = capped(usd(project).or(usd(defaults)), usd(ceiling));
            Limit { tokens, usd, tokens_capped, usd_capped }
        };
        Limits {
            run: limit(|budget| budget.per_run_tokens, |budget| budget.per_run_usd),
            day: limit(|budget| budget.per_day_tokens, |budget| budget.per_day_usd),
            month: limit(|budget| budget.per_month_tokens, |budget| budget.per_month_usd),
        }
    }
}

/// What holds of what is wanted, and whether that is the ceiling: then asking for more changes nothing.
fn capped<T: Copy + Ord>(wanted: Option<T>, ceiling: Option<T>) -> (Option<T>, bool) {
    match (wanted, ceiling) {
        (Some(wanted), Some(ceiling)) if wanted < ceiling => (Some(wanted), false),
        (_, Some(ceiling)) => (Some(ceiling), true),
        (wanted, None) => (wanted, false),
    }
}
