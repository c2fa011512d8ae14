//! What a role was told at its start, as far as it matters to people. Never a secret: whoever makes one of these names what is shown.

use serde::{Deserialize, Serialize};

use crate::{
    services_yaml::{BudgetConfig, PlatformBudgets},
    text_enum::text_enum,
};

text_enum! {
    /// A role that is told something.
    ToldRole {
        /// Serves webhooks, the staff API and the console.
        Gateway = "gateway",
        /// Hosts the workflows.
        Worker = "worker",
        /// Stands before the model APIs.
        ModelGateway = "model-gateway",
    }
}

/// A setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ToldSetting {
    /// The variable of the role's environment that changes it.
    pub variable: String,
    /// Its value, for people; none if it is not set and nothing stands in its place.
    pub value: Option<String>,
}

/// A provider of models, without its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ToldProvider {
    /// Its name.
    pub name: String,
    /// Host of its address.
    pub host: String,
    /// The models it has; none: every model.
    pub models: Option<Vec<String>>,
    /// How many keys there are.
    pub keys: usize,
}

/// Everything that a role tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSettings {
    /// Its version.
    pub version: String,
    /// Its settings, in an order for people.
    pub settings: Vec<ToldSetting>,
    /// What model calls may use up; none if it is not this role's to know.
    #[serde(default)]
    pub budgets: Option<PlatformBudgets>,
    /// Who has the models, the preferred one first.
    #[serde(default)]
    pub providers: Vec<ToldProvider>,
}

impl ToldSetting {
    /// A setting with a value.
    #[must_use]
    pub fn set(variable: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self { variable: variable.to_owned(), value: Some(value.to_string()) }
    }

    /// A setting that may have none.
    #[must_use]
    pub fn maybe(variable: &str, value: Option<impl ToString>) -> Self {
        Self { variable: variable.to_owned(), value: value.map(|value| value.to_string()) }
    }
}

/// The variables of a budget: of run, day and month in dollars, and then in tokens.
pub const BUDGET_DEFAULTS: [&str; 6] = [
    "BUDGET_PER_RUN_USD",
    "BUDGET_PER_DAY_USD",
    "BUDGET_PER_MONTH_USD",
    "BUDGET_PER_RUN_TOKENS",
    "BUDGET_PER_DAY_TOKENS",
    "BUDGET_PER_MONTH_TOKENS",
];

/// The same of what no project gets past.
pub const BUDGET_CEILING: [&str; 6] = [
    "BUDGET_MAX_PER_RUN_USD",
    "BUDGET_MAX_PER_DAY_USD",
    "BUDGET_MAX_PER_MONTH_USD",
    "BUDGET_MAX_PER_RUN_TOKENS",
    "BUDGET_MAX_PER_DAY_TOKENS",
    "BUDGET_MAX_PER_MONTH_TOKENS",
];

/// A budget as settings.
#[must_use]
pub fn of_budget(variables: [&str; 6], budget: &BudgetConfig) -> Vec<ToldSetting> {
    let [run_usd, day_usd, month_usd, run_tokens, day_tokens, month_tokens] = variables;
    vec![
        ToldSetting::maybe(run_usd, budget.per_run_usd),
        ToldSetting::maybe(day_usd, budget.per_day_usd),
        ToldSetting::maybe(month_usd, budget.per_month_usd),
        ToldSetting::maybe(run_tokens, budget.per_run_tokens),
        ToldSetting::maybe(day_tokens, budget.per_day_tokens),
        ToldSetting::maybe(month_tokens, budget.per_month_tokens),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_again() {
        let budget = BudgetConfig { per_day_usd: Some("12.50".parse().unwrap()), ..BudgetConfig::default() };
        let told = ToldSettings {
            version: "1".into(),
            settings: of_budget(BUDGET_CEILING, &budget),
            budgets: Some(PlatformBudgets { ceiling: budget, ..PlatformBudgets::default() }),
            providers: Vec::new(),
        };
        assert_eq!(told.settings[1], ToldSetting::set("BUDGET_MAX_PER_DAY_USD", &budget.per_day_usd.unwrap()));
        assert_eq!(told.settings[0].value, None);
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<ToldSettings>(&text).unwrap(), told);
        assert!(serde_json::from_str::<ToldSettings>(r#"{"version": "2", "settings": []}"#).is_ok());
    }
}
