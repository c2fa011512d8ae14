//! A cluster that a person names.

use std::{env, net::IpAddr, path::PathBuf};

use super::{Cluster, IMAGE_LOADER, KUBECONFIG, KubeError, NODE_ADDRESS, cluster::Loading};

/// The cluster that the environment names, if it names one.
pub(super) fn find() -> Result<Option<Cluster>, KubeError> {
    from_lookup(|name| env::var(name).ok())
}

fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Cluster>, KubeError> {
    let given = |name| lookup(name).filter(|text| !text.trim().is_empty());
    let Some(kubeconfig) = given(KUBECONFIG).map(PathBuf::from) else { return Ok(None) };
    if !kubeconfig.is_file() {
        let problem = format!("{}, which is no file; it names a kubeconfig", kubeconfig.display());
        return Err(KubeError::Given { variable: KUBECONFIG, problem });
    }
    let address = given(NODE_ADDRESS).ok_or_else(|| KubeError::Given {
        variable: NODE_ADDRESS,
        problem: format!("not set; with {KUBECONFIG} it says by which address pods reach this machine"),
    })?;
    let node_address = address.trim().parse::<IpAddr>().map_err(|_| KubeError::Given {
        variable: NODE_ADDRESS,
        problem: format!("{address:?}, which is no IP address"),
    })?;
    let loading = match given(IMAGE_LOADER) {
        Some(line) => Loading::Command(line.split_whitespace().map(str::to_owned).collect()),
        None => Loading::Unknown,
    };
    let title = format!("the cluster of {}", kubeconfig.display());
    Ok(Some(Cluster { kubeconfig, node_address, title, loading }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[(&str, &str)]) -> Result<Option<Cluster>, KubeError> {
        from_lookup(|name| list.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_cluster_is_named_by_kubeconfig_and_address() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert!(found(&[]).unwrap().is_none());
        let cluster = found(&[(KUBECONFIG, path), (NODE_ADDRESS, "10.1.2.3")]).unwrap().unwrap();
        assert_eq!(cluster.node_address.to_string(), "10.1.2.3");
        for (list, words) in [
            (vec![(KUBECONFIG, "/not/there")], "CODEX_K8S_TEST_KUBECONFIG is /not/there, which is no file"),
            (vec![(KUBECONFIG, path)], "CODEX_K8S_TEST_NODE_ADDRESS is not set"),
            (vec![(KUBECONFIG, path), (NODE_ADDRESS, "here")], "CODEX_K8S_TEST_NODE_ADDRESS is \"here\""),
        ] {
            let error = found(&list).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
