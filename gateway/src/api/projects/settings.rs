//! `GET /api/v1/projects/{project}/settings`

use axum::response::Response;
use domain::{
    ids::RepositoryId,
    people::ProjectRole,
    services_yaml::{BudgetConfig, Learning, PlatformBudgets, ServicesYaml},
    told_settings::{BUDGET_CEILING, BUDGET_DEFAULTS},
};
use http::HeaderMap;
use serde::Serialize;
use store::{
    repositories::{self, Repository},
    role_settings,
};
use utoipa::ToSchema;

use super::super::{body::At, etag::tagged};
use crate::{auth::Caller, problem::Problem};

/// What the settings of a project's repositories say, beside what the platform says.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ProjectSettings {
    /// By name of the repository.
    repositories: Vec<RepositorySettings>,
    /// Whether a worker has told the platform's own figures; without, only the repositories' are shown.
    platform_known: bool,
}

/// What the `services.yaml` of a repository says.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RepositorySettings {
    repository: RepositoryId,
    /// `owner/name`
    full_name: String,
    /// Whether there is a `services.yaml`; without one the defaults hold.
    has_file: bool,
    /// The commit that it was read at, as far as one is known.
    sha: Option<String>,
    /// What is wrong with the newest one; then the last good one holds.
    error: Option<String>,
    /// `off`, `summary` or `full`.
    #[schema(value_type = String)]
    learning: Learning,
    /// Whether `/run`, `/retry` and `/cancel` in comments are obeyed.
    commands: bool,
    revise_after_review: bool,
    revise_after_failed_checks: bool,
    /// Names and cron lines of schedules, with the agent.
    schedules: Vec<Schedule>,
    budgets: Vec<Budget>,
}

/// An agent that starts at fixed times.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Schedule {
    name: String,
    cron: String,
    zone: String,
    agent: String,
}

/// One figure of a budget.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Budget {
    /// Its name in `services.yaml`, below `budget`.
    #[schema(example = "per_day_usd")]
    name: &'static str,
    /// What the file says.
    wanted: Option<String>,
    /// What holds where the file says nothing.
    default: Option<String>,
    /// The variable of the worker that changes it.
    default_variable: &'static str,
    /// What no project gets past.
    ceiling: Option<String>,
    /// The variable of the worker that changes it.
    ceiling_variable: &'static str,
    /// What is in force; none: no limit.
    in_force: Option<String>,
}

/// Budgets, learning and triggers of a project, with where each comes from
///
/// They are changed in `services.yaml` of the repository, and those of the platform in the worker's environment; nowhere else.
#[utoipa::path(
    get, path = "/api/v1/projects/{project}/settings", tag = "projects",
    params(("project" = String, Path, description = "Its short name.")),
    responses((status = 200, description = "Of every attached repository.", body = ProjectSettings))
)]
pub(in crate::api) async fn read_settings(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let told = role_settings::list(&mut conn).await?.into_iter().find_map(|row| row.told.budgets);
    let platform = told.unwrap_or_default();
    let rows = repositories::of_project(&mut conn, project.id).await?;
    let repositories = rows.into_iter().map(|row| shown(row, &platform)).collect();
    Ok(tagged(&headers, &ProjectSettings { repositories, platform_known: told.is_some() }))
}

fn shown(row: Repository, platform: &PlatformBudgets) -> RepositorySettings {
    let full_name = row.full_name();
    let has_file = row.config.is_some();
    let config: ServicesYaml = row.config.and_then(|config| serde_json::from_value(config).ok()).unwrap_or_default();
    let schedule = |schedule: domain::services_yaml::ScheduleConfig| Schedule {
        name: schedule.name,
        cron: schedule.cron,
        zone: schedule.zone,
        agent: schedule.agent.into(),
    };
    RepositorySettings {
        repository: row.id,
        full_name,
        has_file,
        sha: row.config_sha.filter(|sha| sha.len() == 40),
        error: row.config_error,
        learning: config.learning,
        commands: config.triggers.commands,
        revise_after_review: config.triggers.revise_after_review,
        revise_after_failed_checks: config.triggers.revise_after_failed_checks,
        budgets: budgets(&config.budget, platform),
        schedules: config.schedules.into_iter().map(schedule).collect(),
    }
}

fn budgets(wanted: &BudgetConfig, platform: &PlatformBudgets) -> Vec<Budget> {
    let limits = platform.limits(wanted);
    let in_force = BudgetConfig {
        per_run_usd: limits.run.usd,
        per_day_usd: limits.day.usd,
        per_month_usd: limits.month.usd,
        per_run_tokens: limits.run.tokens,
        per_day_tokens: limits.day.tokens,
        per_month_tokens: limits.month.tokens,
    };
    let [wanted, default, ceiling, in_force] = [wanted, &platform.defaults, &platform.ceiling, &in_force].map(figures);
    let variables = BUDGET_DEFAULTS.into_iter().zip(BUDGET_CEILING);
    let mut columns = wanted.into_iter().zip(default).zip(ceiling).zip(in_force).zip(variables);
    NAMES
        .into_iter()
        .filter_map(|name| {
            let ((((wanted, default), ceiling), in_force), (default_variable, ceiling_variable)) = columns.next()?;
            Some(Budget { name, wanted, default, default_variable, ceiling, ceiling_variable, in_force })
        })
        .collect()
}

/// In the order of the variables.
const NAMES: [&str; 6] =
    ["per_run_usd", "per_day_usd", "per_month_usd", "per_run_tokens", "per_day_tokens", "per_month_tokens"];

fn figures(budget: &BudgetConfig) -> [Option<String>; 6] {
    let usd = |amount: Option<domain::model::Usd>| amount.map(|amount| amount.to_string());
    let tokens = |count: Option<u64>| count.map(|count| count.to_string());
    [
        usd(budget.per_run_usd),
        usd(budget.per_day_usd),
        usd(budget.per_month_usd),
        tokens(budget.per_run_tokens),
        tokens(budget.per_day_tokens),
        tokens(budget.per_month_tokens),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_comes_with_where_it_is_from() {
        let usd = |text: &str| Some(text.parse().unwrap());
        let wanted = BudgetConfig { per_day_usd: usd("50"), per_run_tokens: Some(7), ..BudgetConfig::default() };
        let platform = PlatformBudgets {
            defaults: BudgetConfig { per_month_usd: usd("100"), ..BudgetConfig::default() },
            ceiling: BudgetConfig { per_day_usd: usd("20"), ..BudgetConfig::default() },
        };
        let shown = budgets(&wanted, &platform);
        let named = |name: &str| shown.iter().find(|budget| budget.name == name).unwrap();
        let day = named("per_day_usd");
        assert_eq!((day.wanted.as_deref(), day.ceiling.as_deref()), (Some("$50.00"), Some("$20.00")));
        assert_eq!((day.in_force.as_deref(), day.ceiling_variable), (Some("$20.00"), "BUDGET_MAX_PER_DAY_USD"));
        let month = named("per_month_usd");
        assert_eq!((month.wanted.as_deref(), month.in_force.as_deref()), (None, Some("$100.00")));
        assert_eq!(month.default_variable, "BUDGET_PER_MONTH_USD");
        assert_eq!(named("per_run_tokens").in_force.as_deref(), Some("7"));
        assert_eq!(named("per_month_tokens").in_force, None);
    }
}
