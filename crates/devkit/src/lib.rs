//! The development kit: tools, local platform, stand-ins and the test runner.

pub mod bench;
pub mod checks;
pub mod cli;
pub mod connect;
pub mod console;
pub mod demo;
pub mod disk;
pub mod egress_proxy;
pub mod github;
pub mod guide;
pub mod harness;
pub mod image_builds;
pub mod kube;
pub mod launcher;
pub mod layout;
pub mod manifests;
pub mod model;
pub mod private_file;
pub mod processes;
pub mod roles;
pub mod secrets;
pub mod services;
pub mod staff_console;
pub mod testing;
pub mod tools;
pub mod up;
