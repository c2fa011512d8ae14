//! The egress proxy as a process of this machine: squid with the configuration that is deployed, only at other places.

use crate::file_error::FileError;
use std::{
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The configuration that is deployed, in the tree.
const DEPLOYED: &str = "deploy/egress/squid.conf";

/// Where the parts of a proxy are.
#[derive(Debug, Clone)]
pub struct EgressProxy {
    /// The folder below which squid lies as it would below `/`.
    pub root: PathBuf,
    /// Holds its configuration, its logs and the program of its helpers. Whoever squid runs as must be able to write there.
    pub folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Why the proxy can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressProxyError {
    /// A file can't be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// What is put elsewhere is not in the deployed configuration, or more than once.
    #[error("{DEPLOYED} is to have `{line}` once; this program is of another version than the tree")]
    OtherConfiguration {
        /// What it is to have.
        line: &'static str,
    },
}

impl EgressProxy {
    /// Squid.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.root.join("usr/sbin/squid")
    }

    /// What it is called with, once it is set up.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        // Its name is that of its shared memory, too: several run beside each other.
        let name = format!("egress{}", self.address.port());
        vec!["-N".into(), "-n".into(), name.into(), "-f".into(), self.configuration().into_os_string()]
    }

    /// What it finds in its environment; its helpers ask the gateway.
    #[must_use]
    pub fn environment(&self, gateway_url: &str) -> Vec<(String, OsString)> {
        let mut environment = vec![("GATEWAY_URL".to_owned(), gateway_url.into())];
        let libraries = libraries(&self.root);
        if !libraries.is_empty() {
            environment.push(("LD_LIBRARY_PATH".to_owned(), libraries.into()));
        }
        environment
    }

    /// Which hosts were asked for, by which run.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// What squid says about itself.
    #[must_use]
    pub fn own_log(&self) -> PathBuf {
        self.folder.join("squid.log")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("squid.conf")
    }

    /// Writes the configuration, and puts `helpers`, the devkit's program, beside it, where another user finds it and no build replaces it.
    /// `hosts` are lines of a hosts file, for names that DNS does not know.
    ///
    /// # Errors
    /// When a file can't be written, or the tree's configuration is not what this program knows.
    pub fn set_up(&self, tree: &Path, helpers: &Path, hosts: Option<&str>) -> Result<(), EgressProxyError> {
        let program = self.folder.join("dev");
        match fs::remove_file(&program) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::of("use", &program)(error).into());
            }
            _ => {}
        }
        // Other file systems have no such link.
        if fs::hard_link(helpers, &program).is_err() {
            fs::copy(helpers, &program).map_err(FileError::of("use", &program))?;
        }
        let deployed = tree.join(DEPLOYED);
        let text = fs::read_to_string(&deployed).map_err(FileError::of("use", &deployed))?;
        let mut text = self.moved(&text, &program)?;
        if let Some(hosts) = hosts {
            let file = self.folder.join("hosts");
            fs::write(&file, hosts).map_err(FileError::of("use", &file))?;
            text.push_str(&format!("hosts_file {}\n", file.display()));
        }
        let configuration = self.configuration();
        Ok(fs::write(&configuration, text).map_err(FileError::of("use", &configuration))?)
    }

    /// The deployed configuration with this proxy's places.
    fn moved(&self, deployed: &str, program: &Path) -> Result<String, EgressProxyError> {
        let program = program.display();
        let moves = [
            ("http_port 3128", format!("http_port {}", self.address)),
            ("/usr/bin/codex-k8s egress-acl sign-in", format!("{program} role egress-acl sign-in")),
            ("/usr/bin/codex-k8s egress-acl admit", format!("{program} role egress-acl admit")),
            ("access_log stdio:/dev/stdout", format!("access_log stdio:{}", self.access_log().display())),
            ("cache_log stdio:/dev/stderr", format!("cache_log {}", self.own_log().display())),
        ];
        let mut text = deployed.to_owned();
        for (line, here) in moves {
            if text.matches(line).count() != 1 {
                return Err(EgressProxyError::OtherConfiguration { line });
            }
            text = text.replace(line, &here);
        }
        let of = |path: &str| self.root.join(path).display().to_string();
        Ok(text
            + &format!(
                "\nerror_directory {}\nmime_table {}\nicon_directory {}\nunlinkd_program {}\n",
                of("usr/share/squid-langpack/templates"),
                of("usr/share/squid/mime.conf"),
                of("usr/share/squid/icons"),
                of("usr/lib/squid/unlinkd"),
            ))
    }
}

/// The folders of libraries below squid's root, whatever the processor; none where squid is installed.
fn libraries(root: &Path) -> String {
    if root == Path::new("/") {
        return String::new();
    }
    let entries = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    folders.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_configuration_is_refused_by_the_line_that_it_lacks() {
        let proxy = EgressProxy {
            root: "/".into(),
            folder: "/tmp/proxy".into(),
            address: SocketAddr::from(([127, 0, 0, 1], 3128)),
        };
        let error = proxy.moved("http_port 3128\n", Path::new("/tmp/proxy/dev")).unwrap_err().to_string();
        assert!(error.contains("egress-acl sign-in"), "{error}");
    }
}
