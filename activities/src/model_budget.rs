//! The budgets of model calls that hold where a project names none.

use domain::{model::Usd, services_yaml::BudgetConfig};
use role::Reader;

/// Reads them.
pub(crate) fn read(reader: &mut Reader<'_>) -> BudgetConfig {
    const USD: &str = "give an amount in US dollars, such as 2.50, or leave it unset for no limit";
    const TOKENS: &str = "give a number of tokens of at least 1, or leave it unset for no limit";
    let mut tokens = |variable| {
        let given: Option<u64> = reader.optional(variable, TOKENS);
        if given == Some(0) {
            reader.complain(variable, "is 0", TOKENS);
        }
        given
    };
    let (run, day, month) =
        (tokens("BUDGET_PER_RUN_TOKENS"), tokens("BUDGET_PER_DAY_TOKENS"), tokens("BUDGET_PER_MONTH_TOKENS"));
    let mut usd = |variable| reader.optional::<Usd>(variable, USD);
    BudgetConfig {
        per_run_usd: usd("BUDGET_PER_RUN_USD"),
        per_day_usd: usd("BUDGET_PER_DAY_USD"),
        per_month_usd: usd("BUDGET_PER_MONTH_USD"),
        per_run_tokens: run,
        per_day_tokens: day,
        per_month_tokens: month,
    }
}

#[cfg(test)]
mod tests {
    use role::Environment;

    use super::*;

    fn read_from(given: &[(&str, &str)]) -> Result<BudgetConfig, usize> {
        let environment: Environment = given.iter().copied().collect();
        let mut reader = Reader::new(&environment);
        let budget = read(&mut reader);
        reader.finish(Some(budget)).map_err(|errors| errors.0.len())
    }

    #[test]
    fn budgets_are_read_and_wrong_ones_named() {
        let budget = read_from(&[("BUDGET_PER_DAY_USD", "12.50"), ("BUDGET_PER_RUN_TOKENS", "2000000")]).unwrap();
        let expected = BudgetConfig {
            per_day_usd: Some("12.5".parse().unwrap()),
            per_run_tokens: Some(2_000_000),
            ..BudgetConfig::default()
        };
        assert_eq!(budget, expected);
        assert_eq!(read_from(&[]), Ok(BudgetConfig::default()));
        assert_eq!(read_from(&[("BUDGET_PER_RUN_TOKENS", "0"), ("BUDGET_PER_MONTH_USD", "much")]), Err(2));
    }
}
