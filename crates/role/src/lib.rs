//! What the process of every role is made of: settings from the environment, a log, a way to stop.

pub mod config;
pub mod logging;
pub mod secret_text;
pub mod shutdown;

pub use config::{ConfigError, ConfigErrors, Environment, Reader};
pub use logging::LogFormat;
pub use secret_text::SecretText;
