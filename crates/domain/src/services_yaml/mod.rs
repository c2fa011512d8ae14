//! `services.yaml`: what a project wants of us, in a file of its own at the root of the repository.
//!
//! The model is versioned; the file of today is `version: 1`. Without a file everything has a default.

mod budget;
mod cron;
mod duration;
mod meaning;
mod model;
mod node;
mod parse;
mod problem;
mod runtime;
mod schema;

pub use self::{
    budget::{BudgetConfig, PlatformBudgets},
    duration::{HumanDuration, InvalidDuration},
    model::{
        AgentConfig, AgentLimitsConfig, AgentName, BuildConfig, CacheConfig, CheckConfig, EgressConfig,
        EnvironmentConfig, InvalidAgentName, Learning, LimitsConfig, ScheduleConfig, ServiceConfig, ServicesYaml,
        TriggersConfig, Version,
    },
    problem::{FILE_NAME, Problem, Problems},
    runtime::{InvalidQuantity, Quantity, RuntimeConfig, TaintEffect, Toleration},
    schema::json_schema,
};
