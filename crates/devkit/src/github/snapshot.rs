//! The model on the disk, so that a stand-in that is started again goes on where it was.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{forge::Forge, state::Model};

/// Changes that come close together are written once.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// The whole model is written each time: so much longer than that takes it is left alone, however much there is in it.
const REST: u32 = 20;

/// Why the model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file or its folder.
    #[error("{path} can't be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What stands in it.
    #[error("{path} is not a model of this version; remove the folder to start anew")]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads the model, if there is one.
pub(crate) fn load(path: &Path) -> Result<Option<Model>, SnapshotError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SnapshotError::File { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| SnapshotError::Form { path: path.to_owned(), source })
}

/// Writes the model beside the old one and renames it into place; it holds tokens, so nobody else may read it.
pub(crate) fn save(forge: &Forge) -> Result<(), SnapshotError> {
    let path = &forge.snapshot;
    let bytes = forge
        .read(|view| serde_json::to_vec(view.model))
        .map_err(|source| SnapshotError::Form { path: path.clone(), source })?;
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Temporary files are made for their owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| SnapshotError::File { path: path.clone(), source })
}

/// Saves after changes until it is told to stop.
pub(crate) async fn keep(forge: Forge, stop: CancellationToken) {
    let mut not_before = Instant::now();
    loop {
        let changes = async {
            forge.dirty.notified().await;
            tokio::time::sleep_until(not_before.max(Instant::now() + DEBOUNCE)).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = changes => {}
        }
        let (saving, begun) = (forge.clone(), Instant::now());
        let saved = tokio::task::spawn_blocking(move || save(&saving)).await;
        not_before = Instant::now() + begun.elapsed() * REST;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "the model was not saved");
        }
    }
}
