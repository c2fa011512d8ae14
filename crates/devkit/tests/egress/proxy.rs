//! Squid as a process on loopback.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use devkit::egress_proxy::EgressProxy;
use tokio::process::{Child, Command};
use url::Url;

/// Squid is up within seconds; this is a bound for a broken one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running squid. Dropping it ends it, and with it its helpers.
pub(crate) struct Proxy {
    pub(crate) url: Url,
    parts: EgressProxy,
    _folder: tempfile::TempDir,
    _squid: Child,
}

/// Where squid is; none where it can't be had.
pub(crate) fn squid_root() -> Option<PathBuf> {
    std::env::var_os("CODEX_K8S_SQUID_ROOT").map(PathBuf::from)
}

impl Proxy {
    /// Starts the deployed configuration at other places. `hosts` are lines of a hosts file.
    pub(crate) async fn start(root: &Path, port: u16, gateway: &str, hosts: &str) -> Self {
        // The helpers' user, whom squid becomes where it is root, must reach all of this.
        let folder = tempfile::Builder::new().prefix("codex-k8s-egress-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let parts = EgressProxy { root: root.to_owned(), folder: folder.path().to_owned(), address };
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        parts.set_up(&tree, env!("CARGO_BIN_EXE_dev").as_ref(), Some(hosts)).unwrap();
        let log = fs::File::create(folder.path().join("out.log")).unwrap();
        let squid = Command::new(parts.program())
            .args(parts.arguments())
            .envs(parts.environment(gateway))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://{address}").parse().unwrap();
        let proxy = Self { url, parts, _folder: folder, _squid: squid };
        let until = tokio::time::Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(tokio::time::Instant::now() < until, "squid does not come up: {}", proxy.words());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        proxy
    }

    /// What it has logged about requests.
    pub(crate) fn access_log(&self) -> String {
        fs::read_to_string(self.parts.access_log()).unwrap_or_default()
    }

    fn words(&self) -> String {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        format!("{}{}", read(self.parts.folder.join("out.log")), read(self.parts.own_log()))
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
