//! A cluster that can be used.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::{
    IMAGE_LOADER, KubeError,
    scripts::{program, run},
};

/// A running cluster, and how images get into it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Opens it with an administrator's rights.
    pub kubeconfig: PathBuf,
    /// This machine's address as pods see it.
    pub node_address: IpAddr,
    /// What people call it.
    pub title: String,
    pub(super) loading: Loading,
}

/// How images get into a cluster.
#[derive(Debug, Clone)]
pub(super) enum Loading {
    /// By containerd's own client.
    Containerd { ctr: PathBuf, socket: PathBuf },
    /// By kind, into the cluster of this name.
    Kind { name: String },
    /// By a command of the person's, word by word.
    Command(Vec<String>),
    /// Nobody has said how.
    Unknown,
}

impl Cluster {
    /// Brings the image in `archive`, in the format of `docker save`, onto the node. One that is there is not loaded again: a
    /// reference names one content.
    ///
    /// # Errors
    /// When the loading program fails, or nobody has said which it is.
    pub fn load_image(&self, archive: &Path, reference: &str) -> Result<(), KubeError> {
        let what = "loading an image into the cluster";
        match &self.loading {
            Loading::Containerd { ctr, socket } => {
                let client = || {
                    let mut command = program(ctr);
                    command.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images"]);
                    command
                };
                let there =
                    run("looking for an image", client().args(["list", "--quiet", &format!("name=={reference}")]))?;
                if there.trim() == reference {
                    return Ok(());
                }
                run(what, client().arg("import").arg(archive))?;
            }
            Loading::Kind { name } => {
                run(what, program("kind").args(["load", "image-archive", "--name", name]).arg(archive))?;
            }
            Loading::Command(words) => {
                let (file, arguments) = words.split_first().ok_or_else(|| unknown("empty"))?;
                run(what, program(file).args(arguments).arg(archive))?;
            }
            Loading::Unknown => return Err(unknown("not set")),
        }
        Ok(())
    }
}

fn unknown(state: &str) -> KubeError {
    let problem = format!(
        "{state}; set it to the command that loads an image archive into the cluster, such as `minikube image load` or \
         `ctr --namespace k8s.io images import`"
    );
    KubeError::Given { variable: IMAGE_LOADER, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(loading: Loading) -> Cluster {
        Cluster { kubeconfig: "k".into(), node_address: [10, 0, 0, 1].into(), title: "t".into(), loading }
    }

    #[test]
    fn an_archive_is_put_behind_the_command_that_loads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, copy) = (folder.path().join("image.tar"), folder.path().join("copy"));
        std::fs::write(&archive, "bytes").unwrap();
        let target = format!("--target-directory={}", copy.display());
        std::fs::create_dir(&copy).unwrap();
        cluster(Loading::Command(vec!["cp".into(), target])).load_image(&archive, "localhost/a:1").unwrap();
        assert_eq!(std::fs::read_to_string(copy.join("image.tar")).unwrap(), "bytes");
    }

    #[test]
    fn who_names_a_cluster_is_told_to_name_the_loader_too() {
        let error = cluster(Loading::Unknown).load_image(Path::new("image.tar"), "localhost/a:1").unwrap_err();
        assert!(error.to_string().starts_with("CODEX_K8S_TEST_IMAGE_LOADER is not set; set it to"), "{error}");
    }
}
