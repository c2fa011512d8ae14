//! PostgreSQL with pgvector in a folder of ours.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::sys::signal::Signal;

use super::{Readiness, ServiceError};
use crate::{
    file_error::FileError,
    processes::{Owner, Program, unprivileged_owner},
    secrets::random_hex,
};

/// Whether the data has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written through to the disk.
    Kept,
    /// Fast; for tests.
    ThrowAway,
}

/// One cluster: its programs, its folder and its address.
#[derive(Debug, Clone)]
pub struct Postgres {
    bin: PathBuf,
    home: PathBuf,
    port: u16,
    durability: Durability,
    password: String,
    owner: Option<Owner>,
}

const SUPERUSER: &str = "postgres";

impl Postgres {
    /// Prepares the cluster below `home`; made anew only when it is not there.
    ///
    /// # Errors
    /// When its folder cannot be written or `initdb` fails.
    pub async fn prepare(bin: &Path, home: &Path, port: u16, durability: Durability) -> Result<Self, ServiceError> {
        let owner = unprivileged_owner();
        crate::processes::private_folder(home, owner).map_err(FileError::of("prepare", home))?;
        let password = password(home, owner)?;
        let cluster = Self { bin: bin.to_owned(), home: home.to_owned(), port, durability, password, owner };
        if !cluster.data().is_dir() {
            cluster.initialise().await?;
        }
        Ok(cluster)
    }

    /// A copy of this running cluster in `home`, which follows it as a streaming replica once its program runs.
    ///
    /// # Errors
    /// When its folder cannot be written or `pg_basebackup` fails.
    pub async fn replicate(&self, home: &Path, port: u16) -> Result<Self, ServiceError> {
        crate::processes::private_folder(home, self.owner).map_err(FileError::of("prepare", home))?;
        let replica = Self { home: home.to_owned(), port, ..self.clone() };
        let mut command = tokio::process::Command::new(self.bin.join("pg_basebackup"));
        command
            .args(["--host=127.0.0.1", "--no-password", "--wal-method=stream", "--checkpoint=fast"])
            .arg("--write-recovery-conf")
            .arg(format!("--port={}", self.port))
            .arg(format!("--username={SUPERUSER}"))
            .arg("--pgdata")
            .arg(replica.data())
            .env("PGPASSWORD", &self.password)
            .current_dir(home)
            .stdin(Stdio::null());
        if self.durability == Durability::ThrowAway {
            command.arg("--no-sync");
        }
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        succeed("pg_basebackup", &mut command).await?;
        Ok(replica)
    }

    /// The superuser's URL of one database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The server program.
    pub fn program(&self, log: PathBuf, marker: &str) -> Program {
        let mut arguments = vec!["-D".into(), self.data().into_os_string()];
        for setting in self.settings() {
            arguments.push("-c".into());
            arguments.push(setting.into());
        }
        Program {
            name: "postgres".into(),
            file: Some(self.bin.join("postgres")),
            arguments,
            environment: vec![("TZ".into(), "UTC".into())],
            log,
            folder: self.home.clone(),
            owner: self.owner,
            // Ends sessions at once and leaves the files clean.
            stop_signal: Signal::SIGINT,
            marker: marker.to_owned(),
        }
    }

    /// How it shows that it is ready.
    pub fn readiness(&self) -> Readiness {
        Readiness::Postgres { pg_isready: self.bin.join("pg_isready"), port: self.port }
    }

    /// Runs statements in `database` as the superuser, each on its own.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn run(&self, database: &str, statements: &[&str]) -> Result<String, ServiceError> {
        let mut command = tokio::process::Command::new(self.bin.join("psql"));
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1"])
            .env("PGPASSWORD", &self.password)
            .arg("--host=127.0.0.1")
            .arg(format!("--port={}", self.port))
            .arg(format!("--username={SUPERUSER}"))
            .arg(format!("--dbname={database}"))
            .stdin(Stdio::null());
        for statement in statements {
            command.arg("--command").arg(statement);
        }
        succeed("psql", &mut command).await
    }

    /// Makes `database` unless it is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn ensure_database(&self, database: &str) -> Result<(), ServiceError> {
        let question = format!("select 1 from pg_database where datname = '{database}'");
        if self.run(SUPERUSER, &[&question]).await?.trim().is_empty() {
            let order = format!("create database \"{database}\"");
            self.run(SUPERUSER, &[&order]).await?;
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
        ];
        if self.durability == Durability::ThrowAway {
            for off in ["fsync=off", "synchronous_commit=off", "full_page_writes=off"] {
                settings.push(off.to_owned());
            }
            // Dropping a database waits for every session, also for one whose client was stopped while it signed in.
            settings.push("authentication_timeout=2s".to_owned());
        }
        settings
    }

    /// Fills a folder beside the final one and renames it, so that a half-made cluster is never used.
    async fn initialise(&self) -> Result<(), ServiceError> {
        let fresh = self.home.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(FileError::of("remove", &fresh))?;
        }
        let mut command = tokio::process::Command::new(self.bin.join("initdb"));
        command
            .arg("--pgdata")
            .arg(&fresh)
            .arg(format!("--username={SUPERUSER}"))
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"])
            // Stretching guards weak passwords. Ours is 24 random bytes, and clients of debug builds are slow at it.
            .args(["--set", "scram_iterations=1"])
            .arg("--pwfile")
            .arg(self.home.join("password"))
            .current_dir(&self.home)
            .stdin(Stdio::null());
        if self.durability == Durability::ThrowAway {
            command.arg("--no-sync");
        }
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        succeed("initdb", &mut command).await?;
        Ok(fs::rename(&fresh, self.data()).map_err(FileError::of("rename", &fresh))?)
    }
}

fn password(home: &Path, owner: Option<Owner>) -> Result<String, ServiceError> {
    let path = home.join("password");
    if let Ok(text) = fs::read_to_string(&path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let fresh = random_hex(24);
    fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{fresh}"))
        .and_then(|()| crate::processes::give(&path, owner))
        .map_err(FileError::of("write", &path))?;
    Ok(fresh)
}

async fn succeed(program: &'static str, command: &mut tokio::process::Command) -> Result<String, ServiceError> {
    let failed = |output| ServiceError::Program { program, output };
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
