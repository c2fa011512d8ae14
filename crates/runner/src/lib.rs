//! The program inside the Job: workspace, set-up, Codex, checks, evidence.
//!
//! It fetches what to do and the repository from the gateway, lets Codex work in a folder of its own, runs the project's
//! checks, and hands back the commits and a report. It claims its attempt with the token of its Job, and works with a secret of
//! its own, which is worthless outside its run. All its state
//! is in the work folder, and when it ends, every process that came from it has ended: **it must be a process of its
//! own**, because at the end it kills whatever descends from it.

mod agent;
mod archive;
mod checkpoint;
mod codex_config;
mod commands;
mod descendants;
mod environment;
mod events;
mod failure;
mod gateway;
mod git;
mod group;
mod install;
mod job;
mod network;
mod output;
mod program;
mod repository;
mod resume;
mod session;
mod settings;
mod setup;
mod shipper;
mod signals;
mod tail;
mod text;
mod upload;

pub use gateway::GatewayError;
pub use install::{BUNDLE, InstallError, install};
pub use job::{RunnerError, run};
pub use network::{NetworkError, NetworkSettings, await_network};
pub use settings::{LaunchToken, Settings, SettingsError};
