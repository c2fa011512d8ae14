//! The development kit: tools, local platform, stand-ins and the test runner.

pub mod cli;
pub mod console;
pub mod disk;
pub mod layout;
pub mod tools;
pub mod model;
