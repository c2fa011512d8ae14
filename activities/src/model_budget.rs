//! The budgets of model calls: those that hold where a project names none, and those that none gets past.

use domain::{
    model::Usd,
    services_yaml::{BudgetConfig, PlatformBudgets},
    told_settings::{BUDGET_CEILING, BUDGET_DEFAULTS},
};
use role::Reader;

/// Reads them.
pub(crate) fn read(reader: &mut Reader<'_>) -> PlatformBudgets {
    PlatformBudgets { defaults: budget(reader, BUDGET_DEFAULTS), ceiling: budget(reader, BUDGET_CEILING) }
}

/// Reads one, from the variables of run, day and month in dollars and then in tokens.
fn budget(reader: &mut Reader<'_>, variables: [&'static str; 6]) -> BudgetConfig {
    const USD: &str = "give an amount in US dollars, such as 2.50, or leave it unset for no limit";
    const TOKENS: &str = "give a number of tokens of at least 1, or leave it unset for no limit";
    let mut tokens = |variable| {
        let given: Option<u64> = reader.optional(variable, TOKENS);
        if given == Some(0) {
            reader.complain(variable, "is 0", TOKENS);
        }
        given
    };
    let [run_usd, day_usd, month_usd, run_tokens, day_tokens, month_tokens] = variables;
    let (per_run_tokens, per_day_tokens, per_month_tokens) =
        (tokens(run_tokens), tokens(day_tokens), tokens(month_tokens));
    let mut usd = |variable| reader.optional::<Usd>(variable, USD);
    BudgetConfig {
        per_run_usd: usd(run_usd),
        per_day_usd: usd(day_usd),
        per_month_usd: usd(month_usd),
        per_run_tokens,
        per_day_tokens,
        per_month_tokens,
    }
}

#[cfg(test)]
mod tests {
    use role::Environment;

    use super::*;

    fn read_from(given: &[(&str, &str)]) -> Result<PlatformBudgets, usize> {
        let environment: Environment = given.iter().copied().collect();
        let mut reader = Reader::new(&environment);
        let budget = read(&mut reader);
        reader.finish(Some(budget)).map_err(|errors| errors.0.len())
    }

    #[test]
    fn budgets_are_read_and_wrong_ones_named() {
        let budget = read_from(&[("BUDGET_PER_DAY_USD", "12.50"), ("BUDGET_PER_RUN_TOKENS", "2000000")]).unwrap();
        let defaults = BudgetConfig {
            per_day_usd: Some("12.5".parse().unwrap()),
            per_run_tokens: Some(2_000_000),
            ..BudgetConfig::default()
        };
        let expected = PlatformBudgets { defaults, ..PlatformBudgets::default() };
        assert_eq!(budget, expected);
        assert_eq!(read_from(&[]), Ok(PlatformBudgets::default()));
        let ceiling = BudgetConfig { per_month_tokens: Some(9), ..BudgetConfig::default() };
        assert_eq!(
            read_from(&[("BUDGET_MAX_PER_MONTH_TOKENS", "9")]),
            Ok(PlatformBudgets { ceiling, ..PlatformBudgets::default() })
        );
        assert_eq!(read_from(&[("BUDGET_PER_RUN_TOKENS", "0"), ("BUDGET_PER_MONTH_USD", "much")]), Err(2));
    }
}
