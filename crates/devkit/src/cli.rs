//! The commands of `cargo dev`.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    bench::{self, Bench},
    checks::{self, Check, CheckError, Orders},
    console,
    demo::{self, DemoError},
    guide::{self, GuideError},
    image_builds::{self, ImageBuildError},
    kube::{self, KubeError},
    layout::{Layout, LayoutError},
    processes::{self, LaunchOrder, WardenOrder},
    roles::{self, OwnRole, RoleError},
    testing::{self, Layer, Selection, TestingError},
    tools::{self, ToolError},
    up::{self, Role, UpError},
};

/// Runs the platform on this machine, and its tests.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the platform on this machine.
    Up {
        /// Return when everything is ready, and leave it running.
        #[arg(long)]
        detach: bool,
        /// The first of the ports.
        #[arg(long, value_name = "N", default_value_t = up::DEFAULT_PORT_BASE)]
        port_base: u16,
        /// Throw the data of earlier times away first.
        #[arg(long)]
        fresh: bool,
        /// Run Jobs in a Kubernetes cluster, which is started if none runs.
        #[arg(long)]
        kube: bool,
        #[arg(long, hide = true)]
        own_session: bool,
    },
    /// Stop the platform, and the test services of `env`.
    Down,
    /// Show what runs and where.
    Status,
    /// Print what a role has written.
    Logs {
        /// Whose.
        role: Role,
        /// And what it will write, until Ctrl-C.
        #[arg(short, long)]
        follow: bool,
    },
    /// Label an issue of the demo repository, and follow the run to its pull request.
    Demo,
    /// Run the tests on real services.
    Test {
        /// One layer only.
        layer: Option<Layer>,
        /// Also the variants that take long.
        #[arg(long)]
        full: bool,
        /// Words for the test programs, such as a name to filter by.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Check the tree: form, warnings, dependencies, stored queries, generated files, workflows, manifests, the console.
    Check {
        /// One check only.
        only: Option<Check>,
        /// Put right what a program can put right.
        #[arg(long)]
        fix: bool,
        /// Also known weaknesses of dependencies, which needs the advisory database from the network.
        #[arg(long)]
        advisories: bool,
        /// Also that nothing in the manifests is unresolved, as before a release.
        #[arg(long)]
        release: bool,
    },
    /// Measure how fast it is, as ratios to a baseline of the same minutes; targets that are missed are shown, not failed.
    Bench {
        /// One benchmark only.
        only: Option<Bench>,
        /// How long `soak` goes on once all is under way.
        #[arg(long, default_value_t = 10)]
        minutes: u32,
        /// Also write the figures into this file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Print the environment that tests need, for `eval "$(cargo dev env)"`; starts their services.
    Env {
        /// Stop those services instead.
        #[arg(long)]
        stop: bool,
    },
    /// Start or stop a Kubernetes cluster for tests.
    Kube {
        #[command(subcommand)]
        command: KubeCommand,
    },
    /// Build the images of deploy/docker.
    Images {
        #[command(subcommand)]
        command: ImagesCommand,
    },
    /// Take the pictures of the user guide anew, from the running platform.
    Guide,
    /// Install the pinned tools into the cache, and nothing else.
    Tools,
    #[command(hide = true)]
    Launch(LaunchOrder),
    #[command(hide = true)]
    Warden(WardenOrder),
    #[command(hide = true)]
    KeepTestServices,
    #[command(hide = true)]
    Measure {
        only: Option<Bench>,
        #[arg(long)]
        json: Option<PathBuf>,
    },
    #[command(hide = true)]
    Role {
        /// Which one to be.
        role: OwnRole,
        /// Words for the runner, as the production binary takes them.
        words: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum KubeCommand {
    /// Start one, unless one runs, and leave it running: kind's where Docker runs, else the devkit's own.
    Up,
    /// Stop it.
    Down,
    /// Show which one runs.
    Status,
    /// Print the environment that tests of the cluster need, for `eval "$(cargo dev kube env)"`; starts it.
    Env,
}

#[derive(Debug, Subcommand)]
enum ImagesCommand {
    /// Build all three with the BuildKit of the devkit's own cluster, as root; tell digest and size of each.
    Build {
        /// Where no registry can be reached: put what they stand on together from packages, for tests.
        #[arg(long)]
        bases_from_packages: bool,
        /// Load them into the cluster of this tree, which is started if none runs.
        #[arg(long)]
        load: bool,
        /// Push them to a registry, by their names below this; who may is in Docker's configuration.
        #[arg(long, value_name = "REGISTRY/PREFIX", requires = "tag")]
        push: Option<String>,
        /// The version that they are pushed as.
        #[arg(long, requires = "push")]
        tag: Option<String>,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Up(#[from] UpError),
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Testing(#[from] TestingError),
    #[error(transparent)]
    Kube(#[from] KubeError),
    #[error(transparent)]
    ImageBuild(#[from] ImageBuildError),
    #[error(transparent)]
    Guide(#[from] GuideError),
    #[error("{0:#}")]
    Bench(anyhow::Error),
    #[error("the asynchronous runtime cannot be built")]
    Runtime(#[source] io::Error),
}

/// Parses the arguments, runs the command and tells how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            console::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Launch(order) => {
            console::complain(&processes::launch(&order));
            Ok(ExitCode::from(127))
        }
        Command::Warden(order) => {
            processes::stand_guard(&order);
            Ok(ExitCode::SUCCESS)
        }
        Command::Role { role, words } => be(role, &words),
        Command::Measure { only, json } => measure(only, json.as_deref()),
        command => command_of_a_person(command, &Layout::find()?),
    }
}

fn command_of_a_person(command: Command, layout: &Layout) -> Result<ExitCode, Failure> {
    match command {
        Command::Up { detach, port_base, fresh, kube, own_session } => {
            let options = up::Options { port_base, fresh, kube };
            if detach {
                up::detach(layout, options)?;
                return Ok(ExitCode::SUCCESS);
            }
            if own_session {
                // Away from the terminal that the command was given in.
                let _ = nix::unistd::setsid();
            }
            block_on(up::up(layout, options))??;
        }
        Command::Down => up::down(layout)?,
        Command::Status => up::status(layout)?,
        Command::Logs { role, follow } => up::show_log(layout, role, follow)?,
        Command::Demo => {
            if !block_on(demo::demo(layout))?? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Test { layer, full, rest } => {
            let selection = Selection { layer, full, rest };
            if !block_on(testing::run(layout, &selection))?? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Check { only, fix, advisories, release } => {
            if !block_on(checks::check(layout, Orders { only, fix, advisories, release }))?? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Bench { only, minutes, json } => {
            if !block_on(bench::bench(layout, only, minutes, json.as_deref()))?.map_err(Failure::Bench)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Env { stop: true } => {
            let stopped = testing::stop_kept(layout);
            console::say(if stopped { "Test services stopped." } else { "No test services run." });
        }
        Command::Env { stop: false } => {
            console::keep_output_for_data();
            for (name, value) in testing::export_lines(layout)? {
                console::data(format_args!("export {name}='{value}'"));
            }
        }
        Command::Kube { command } => cluster(layout, &command)?,
        Command::Images { command: ImagesCommand::Build { bases_from_packages, load, push, tag } } => {
            let push = push.zip(tag).map(|(prefix, tag)| image_builds::Push { prefix, tag });
            block_on(image_builds::build(layout, image_builds::Orders { bases_from_packages, load, push }))??;
        }
        Command::Guide => {
            if !guide::guide(layout)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Tools => install_tools(layout)?,
        Command::KeepTestServices => block_on(testing::keep(layout))??,
        Command::Launch(_) | Command::Warden(_) | Command::Role { .. } | Command::Measure { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn cluster(layout: &Layout, command: &KubeCommand) -> Result<(), KubeError> {
    match command {
        KubeCommand::Up => kube::up(layout),
        KubeCommand::Down => kube::down(layout),
        KubeCommand::Status => kube::status(layout),
        KubeCommand::Env => {
            console::keep_output_for_data();
            let lease = kube::obtain(layout, kube::Holder::Person)?;
            for (name, value) in kube::prepare(layout, &lease.cluster)? {
                console::data(format_args!("export {name}='{value}'"));
            }
            Ok(())
        }
    }
}

/// A role works for many at once, so unlike the supervisor it uses every core.
fn be(role: OwnRole, words: &[String]) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(roles::run(role, words))?;
    Ok(ExitCode::SUCCESS)
}

/// Gateway, worker and load share the cores, as on a small server.
fn measure(only: Option<Bench>, json: Option<&Path>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(bench::measure(only, json)).map_err(Failure::Bench)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything runs on the main thread: processes are tied to the thread that started them.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    Ok(runtime.block_on(work))
}

fn install_tools(layout: &Layout) -> Result<(), Failure> {
    let tools = tools::platform_tools(&layout.cache)?;
    let materials = tools::test_materials(&layout.cache)?;
    for (name, path) in [
        ("postgres", &tools.postgres_bin),
        ("temporal", &tools.temporal),
        ("codex", &tools.codex),
        ("openapi", &materials.openapi),
        ("webhooks", &materials.webhook_examples),
    ] {
        console::say(format_args!("  {name:<10} {}", path.display()));
    }
    Ok(())
}
