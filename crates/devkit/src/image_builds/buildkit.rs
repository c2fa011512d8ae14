//! BuildKit as a process of this machine, for as long as one command takes.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{ImageBuildError, oci::Built};
use crate::{
    file_error::FileError,
    kube::{BuilderPrograms, program, works},
    processes::{Program, Running},
};

/// What BuildKit keeps for later builds, in MB: at least (as much as one build of all images needs), free on the disk, at most.
const KEPT: &str = "8000,2000,16000";

/// How often it is asked whether it is there, and how long between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// How many lines of a failed build are shown.
const TOLD: usize = 30;

/// A BuildKit that runs.
pub(super) struct BuildKit {
    running: Running,
    buildctl: PathBuf,
    address: String,
    /// Held while it runs: several trees share what is kept.
    _turn: File,
}

impl BuildKit {
    /// Starts it on what earlier builds left in `cache`.
    ///
    /// Builds see the network as this machine does, and mounts of theirs end with it: it lives in namespaces of its own.
    pub(super) async fn start(programs: &BuilderPrograms, cache: &Path) -> Result<Self, ImageBuildError> {
        let state = cache.join("buildkit");
        fs::create_dir_all(&state).map_err(FileError::of("create", &state))?;
        let lock = cache.join("buildkit.lock");
        let turn = File::create(&lock).map_err(FileError::of("create", &lock))?;
        turn.lock().map_err(FileError::of("lock", lock))?;
        let log = cache.join("buildkit.log");
        let _ = fs::remove_file(&log);
        let address = format!("unix://{}", state.join("buildkitd.sock").display());
        let path = env::join_paths(
            std::iter::once(programs.folder.clone()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
        );
        let mut running = Program {
            name: "BuildKit".to_owned(),
            file: Some("unshare".into()),
            arguments: daemon_words(programs, &state, &address),
            environment: vec![("PATH".to_owned(), path.unwrap_or_default())],
            log: log.clone(),
            folder: state,
            owner: None,
            // `unshare` passes no other on while it waits for its child.
            stop_signal: Signal::SIGKILL,
            marker: "image-builds".to_owned(),
        }
        .spawn()?;
        let buildctl = programs.buildctl();
        for _ in 0..TRIES {
            if works(program(&buildctl).args(["--addr", &address, "debug", "workers"])) {
                return Ok(Self { running, buildctl, address, _turn: turn });
            }
            if running.ended().is_some() {
                break;
            }
            sleep(PAUSE).await;
        }
        running.stop(Duration::ZERO).await;
        Err(ImageBuildError::NotStarted { log })
    }

    /// Builds one image into `out`, a folder in the layout of OCI, and tells `log` about it. What was there goes.
    pub(super) fn build(&self, build: &Build<'_>, out: &Path, log: &Path) -> Result<Built, ImageBuildError> {
        if out.exists() {
            fs::remove_dir_all(out).map_err(FileError::of("remove", out))?;
        }
        let told = File::create(log).map_err(FileError::of("create", log))?;
        let mut command = program(&self.buildctl);
        command.args(["--addr", &self.address]).args(build.words(out)).stderr(told);
        let status = command.status().map_err(FileError::of("run", &self.buildctl))?;
        if status.success() {
            return Built::read(out);
        }
        let text = fs::read_to_string(log).map_err(FileError::of("read", log))?;
        Err(ImageBuildError::Build { log: log.to_owned(), output: end_of(&text) })
    }

    pub(super) async fn stop(self) {
        self.running.stop(Duration::from_secs(10)).await;
    }
}

/// The last lines of what BuildKit told, without its words about itself.
fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("time=")).collect();
    lines.get(lines.len().saturating_sub(TOLD)..).unwrap_or_default().join("\n")
}

fn daemon_words(programs: &BuilderPrograms, state: &Path, address: &str) -> Vec<OsString> {
    let option = |name: &str, value: &Path| {
        let mut word = OsString::from(name);
        word.push(value);
        word
    };
    let mut words: Vec<OsString> = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        .into_iter()
        .map(OsString::from)
        .collect();
    words.push("--mount-proc".into());
    words.push(programs.buildkitd().into());
    words.push(option("--root=", state));
    words.push(format!("--addr={address}").into());
    words.extend(["--oci-worker=true", "--oci-worker-net=host"].map(OsString::from));
    words.push(format!("--oci-worker-gc-keepstorage={KEPT}").into());
    words.push(option("--oci-worker-binary=", &programs.runc()));
    words
}

/// An image that a Dockerfile builds on, and which is not fetched from a registry.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The argument of the Dockerfile that names it.
    pub(super) argument: &'static str,
    /// The name by which the Dockerfile is told of it.
    pub(super) name: String,
    /// The folder in the layout of OCI.
    pub(super) folder: PathBuf,
    pub(super) digest: String,
}

/// One call of BuildKit.
pub(super) struct Build<'a> {
    pub(super) context: &'a Path,
    /// The Dockerfile's folder and name.
    pub(super) dockerfile: (&'a Path, &'a str),
    /// The stage that is meant, if not the last one.
    pub(super) target: Option<&'a str>,
    /// What the image is called where it is loaded.
    pub(super) name: Option<&'a str>,
    /// Where it is pushed, too.
    pub(super) push: Option<String>,
    pub(super) arguments: Vec<(&'a str, String)>,
    /// Folders that the Dockerfile copies from by these names.
    pub(super) folders: Vec<(&'a str, PathBuf)>,
    pub(super) given: Vec<Given>,
}

impl Build<'_> {
    fn words(&self, out: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["build", "--progress=plain"].map(OsString::from).into();
        let mut option = |name: &str, value: String| words.extend([name.into(), value.into()]);
        option("--frontend", "dockerfile.v0".to_owned());
        option("--local", format!("context={}", self.context.display()));
        option("--local", format!("dockerfile={}", self.dockerfile.0.display()));
        option("--opt", format!("filename={}", self.dockerfile.1));
        if let Some(target) = self.target {
            option("--opt", format!("target={target}"));
        }
        for (name, value) in &self.arguments {
            option("--opt", format!("build-arg:{name}={value}"));
        }
        for (name, folder) in &self.folders {
            option("--local", format!("{name}={}", folder.display()));
            option("--opt", format!("context:{name}=local:{name}"));
        }
        for image in &self.given {
            let store = image.argument.to_ascii_lowercase();
            option("--opt", format!("build-arg:{}={}", image.argument, image.name));
            option("--opt", format!("context:{}=oci-layout://{store}@{}", image.name, image.digest));
            option("--oci-layout", format!("{store}={}", image.folder.display()));
        }
        let name = self.name.map(|name| format!(",name={name}")).unwrap_or_default();
        option("--output", format!("type=oci,tar=false,dest={}{name}", out.display()));
        if let Some(reference) = &self.push {
            option("--output", format!("type=image,name={reference},push=true,oci-mediatypes=true"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_image_stands_where_the_dockerfile_names_one() {
        let given = vec![Given {
            argument: "DEBIAN_IMAGE",
            name: "debian:trixie-slim".into(),
            folder: "/c/debian".into(),
            digest: "sha256:ab".into(),
        }];
        let build = Build {
            context: Path::new("/tree"),
            dockerfile: (Path::new("/tree/deploy/docker"), "egress.Dockerfile"),
            target: None,
            name: Some("localhost/a:built"),
            push: Some("registry.test/a:1".to_owned()),
            arguments: vec![("X", "1".to_owned())],
            folders: vec![("packages", "/p".into())],
            given,
        };
        let words: Vec<_> =
            build.words(Path::new("/out")).into_iter().map(|word| word.into_string().unwrap()).collect();
        for pair in [
            ["--opt", "filename=egress.Dockerfile"],
            ["--opt", "build-arg:X=1"],
            ["--opt", "context:packages=local:packages"],
            ["--opt", "build-arg:DEBIAN_IMAGE=debian:trixie-slim"],
            ["--opt", "context:debian:trixie-slim=oci-layout://debian_image@sha256:ab"],
            ["--oci-layout", "debian_image=/c/debian"],
            ["--output", "type=oci,tar=false,dest=/out,name=localhost/a:built"],
            ["--output", "type=image,name=registry.test/a:1,push=true,oci-mediatypes=true"],
        ] {
            assert!(words.windows(2).any(|two| two == pair), "{pair:?} in {words:?}");
        }
        assert!(!words.iter().any(|word| word.starts_with("target=")), "{words:?}");
    }

    #[test]
    fn the_end_of_a_failed_build_is_what_it_said_last() {
        let text: String = (0..40).map(|n| format!("time=\"x\" level=warning\nline {n}\n")).collect();
        let end = end_of(&text);
        assert!(end.starts_with("line 10\n") && end.ends_with("line 39"), "{end}");
    }
}
