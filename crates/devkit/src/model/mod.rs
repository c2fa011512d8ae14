//! A scripted stand-in for the model API: it speaks the streaming Responses API to the real Codex CLI.
//!
//! What it does is written in small scenario files. A person or a test picks one with `[scenario:NAME]` in the title of
//! an issue or with a label `scenario:NAME`: both are part of the prompt that Codex sends. The server keeps no state per
//! conversation; the step follows from the number of tool outputs that the request already holds.

mod answer;
mod fix;
mod request;
mod scenario;
mod server;

pub use scenario::{Scenario, ScenarioError, Scenarios, Step};
pub use server::{ModelError, Options, RequestRecord, ScriptedModel};
