//! A cluster that can be used.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
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
    /// Brings the image in `archive`, in the format of `docker save`, onto the node.
    ///
    /// # Errors
    /// When the loading program fails, or nobody has said which it is.
    pub fn load_image(&self, archive: &Path) -> Result<(), KubeError> {
        let what = "loading an image into the cluster";
        match &self.loading {
            Loading::Containerd { ctr, socket } => {
                run(what, images(ctr, socket).arg("import").arg(archive))?;
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

    /// Whether an image of this name is on the node. Where nobody can say, it is not.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub fn has_image(&self, reference: &str) -> Result<bool, KubeError> {
        Ok(self.images()?.iter().any(|image| image.name == reference))
    }

    /// Removes images whose names begin with `prefix`, but for one, where that is possible.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub fn forget_images(&self, prefix: &str, except: &str) -> Result<(), KubeError> {
        let old = old_images(&self.images()?, prefix, except);
        match &self.loading {
            Loading::Containerd { ctr, socket } if !old.is_empty() => {
                run("removing old images", images(ctr, socket).arg("remove").args(old)).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn images(&self) -> Result<Vec<ImageOnNode>, KubeError> {
        let Loading::Containerd { ctr, socket } = &self.loading else { return Ok(Vec::new()) };
        Ok(listed(&run("looking for images", images(ctr, socket).arg("list"))?))
    }
}

/// An image as the node lists it. One content has several names: its references, and the hash by which the kubelet knows it.
#[derive(Debug, PartialEq, Eq)]
struct ImageOnNode {
    name: String,
    digest: String,
}

fn listed(table: &str) -> Vec<ImageOnNode> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, _media_type, digest) = (words.next()?, words.next()?, words.next()?);
        Some(ImageOnNode { name: name.to_owned(), digest: digest.to_owned() })
    });
    rows.collect()
}

/// All names of the contents that only old references have: a content goes with its last name.
fn old_images(images: &[ImageOnNode], prefix: &str, except: &str) -> Vec<String> {
    let kept: Vec<&str> =
        images.iter().filter(|image| image.name == except).map(|image| image.digest.as_str()).collect();
    let old: Vec<&str> = images
        .iter()
        .filter(|image| {
            image.name.starts_with(prefix) && image.name != except && !kept.contains(&image.digest.as_str())
        })
        .map(|image| image.digest.as_str())
        .collect();
    images.iter().filter(|image| old.contains(&image.digest.as_str())).map(|image| image.name.clone()).collect()
}

fn images(ctr: &Path, socket: &Path) -> Command {
    let mut command = program(ctr);
    command.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images"]);
    command
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
        cluster(Loading::Command(vec!["cp".into(), target])).load_image(&archive).unwrap();
        assert_eq!(std::fs::read_to_string(copy.join("image.tar")).unwrap(), "bytes");
    }

    #[test]
    fn an_old_image_goes_with_all_its_names() {
        let table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            localhost/a:t-1 application/x sha256:01 600 MiB linux/amd64 -\n\
            localhost/a:t-2 application/x sha256:02 600 MiB linux/amd64 -\n\
            localhost/a:u-1 application/x sha256:03 600 MiB linux/amd64 -\n\
            sha256:aa application/x sha256:01 600 MiB linux/amd64 -\n\
            sha256:bb application/x sha256:02 600 MiB linux/amd64 -\n";
        let images = listed(table);
        assert_eq!(images.len(), 5);
        assert_eq!(old_images(&images, "localhost/a:t-", "localhost/a:t-2"), ["localhost/a:t-1", "sha256:aa"]);
    }

    #[test]
    fn who_names_a_cluster_is_told_to_name_the_loader_too() {
        let error = cluster(Loading::Unknown).load_image(Path::new("image.tar")).unwrap_err();
        assert!(error.to_string().starts_with("CODEX_K8S_TEST_IMAGE_LOADER is not set; set it to"), "{error}");
    }
}
