//! This machine's processes, among them those of the devkit's own cluster.

use std::fs;

use nix::unistd::Pid;

use crate::world::World;

/// Those of which a file in `/proc` says so.
pub fn processes(file: &str, says: impl Fn(&str) -> bool) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let told =
        |pid: &i32| fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| says(&String::from_utf8_lossy(&text)));
    pids.filter(told).map(Pid::from_raw).collect()
}

/// The agent of the test's node; none while none runs, and where the cluster is not the devkit's own: only that one lets us at it.
pub fn kubelet() -> Option<Pid> {
    let settings = World::state_folder().join("kubelet.yaml");
    let settings = settings.to_string_lossy();
    let all = processes("cmdline", |text| text.contains("kubelet\0") && text.contains(&*settings));
    assert!(all.len() <= 1, "{all:?}");
    all.first().copied()
}
