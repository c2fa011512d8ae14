//! Squid as a process on loopback.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};
use url::Url;

/// Squid is up within seconds; this is a bound for a broken one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running squid. Dropping it ends it, and with it its helpers.
pub(crate) struct Proxy {
    pub(crate) url: Url,
    folder: tempfile::TempDir,
    _squid: Child,
}

/// Where squid is; none where it can't be had.
pub(crate) fn squid_root() -> Option<PathBuf> {
    std::env::var_os("CODEX_K8S_SQUID_ROOT").map(PathBuf::from)
}

impl Proxy {
    /// Starts the deployed configuration with other places: addresses, programs, logs. `hosts` are lines of a hosts file.
    pub(crate) async fn start(root: &Path, port: u16, gateway: &str, hosts: &str) -> Self {
        // The helpers' user, whom squid becomes where it is root, must reach all of this.
        let folder = tempfile::Builder::new().prefix("codex-k8s-egress-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let program = folder.path().join("dev");
        if fs::hard_link(env!("CARGO_BIN_EXE_dev"), &program).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_dev"), &program).unwrap();
        }
        fs::write(folder.path().join("hosts"), hosts).unwrap();
        let config = folder.path().join("squid.conf");
        fs::write(&config, configuration(root, folder.path(), port)).unwrap();
        let log = fs::File::create(folder.path().join("out.log")).unwrap();
        let squid = Command::new(root.join("usr/sbin/squid"))
            // Its name is that of its shared memory, too: several run beside each other.
            .args(["-N", "-n", &format!("egress{port}"), "-f"])
            .arg(&config)
            .env("LD_LIBRARY_PATH", libraries(root))
            .env("GATEWAY_URL", gateway)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let url = format!("http://{address}").parse().unwrap();
        let proxy = Self { url, folder, _squid: squid };
        let until = tokio::time::Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(tokio::time::Instant::now() < until, "squid does not come up: {}", proxy.words());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        proxy
    }

    /// What it has logged about requests.
    pub(crate) fn access_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    fn words(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("out.log"), read("cache.log"))
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn configuration(root: &Path, folder: &Path, port: u16) -> String {
    let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/egress/squid.conf");
    let mut text = fs::read_to_string(deployed).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    for (deployed, here) in [
        ("http_port 3128", format!("http_port 127.0.0.1:{port}")),
        ("/usr/bin/codex-k8s egress-acl sign-in", format!("{} role egress-acl sign-in", at("dev"))),
        ("/usr/bin/codex-k8s egress-acl admit", format!("{} role egress-acl admit", at("dev"))),
        ("access_log stdio:/dev/stdout", format!("access_log stdio:{}", at("access.log"))),
        ("cache_log stdio:/dev/stderr", format!("cache_log {}", at("cache.log"))),
    ] {
        assert_eq!(text.matches(deployed).count(), 1, "{deployed}");
        text = text.replace(deployed, &here);
    }
    let of = |path: &str| root.join(path).display().to_string();
    text + &format!(
        "\nhosts_file {}\nerror_directory {}\nmime_table {}\nicon_directory {}\nunlinkd_program {}\n",
        at("hosts"),
        of("usr/share/squid-langpack/templates"),
        of("usr/share/squid/mime.conf"),
        of("usr/share/squid/icons"),
        of("usr/lib/squid/unlinkd"),
    )
}

/// The folders of libraries below squid's root, whatever the processor.
fn libraries(root: &Path) -> String {
    let entries = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    folders.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}
