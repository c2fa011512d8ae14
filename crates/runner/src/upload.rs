//! Bytes on their way to the gateway: described as a whole beforehand, so that an upload that breaks off goes on where it was.

use std::{io, path::Path};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom},
};
use tokio_util::io::ReaderStream;

/// Where the body begins in the whole; in an answer, where it goes on.
pub(crate) const OFFSET: &str = "upload-offset";
/// Bytes of the whole.
pub(crate) const LENGTH: &str = "upload-length";
/// SHA-256 of the whole.
pub(crate) const DIGEST: &str = "upload-digest";

const READ_BYTES: usize = 256 << 10;

/// What is uploaded: some bytes, and a file after them.
pub(crate) struct Source<'a> {
    /// The bytes.
    pub(crate) head: Bytes,
    /// The file; nobody changes it meanwhile.
    pub(crate) file: &'a Path,
}

/// The whole as it is announced.
pub(crate) struct Whole {
    /// Its bytes.
    pub(crate) length: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) digest: String,
}

impl Source<'_> {
    /// Reads all of it once.
    pub(crate) async fn whole(&self) -> io::Result<Whole> {
        let mut hasher = Sha256::new_with_prefix(&self.head);
        let mut length = self.head.len() as u64;
        let mut file = File::open(self.file).await?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut buffer).await?;
            if count == 0 {
                return Ok(Whole { length, digest: hex::encode(hasher.finalize()) });
            }
            hasher.update(&buffer[..count]);
            length += count as u64;
        }
    }

    /// What there is from a place in the whole on.
    pub(crate) async fn rest(&self, offset: u64) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
        let of_head = usize::try_from(offset).unwrap_or(usize::MAX).min(self.head.len());
        let mut file = File::open(self.file).await?;
        file.seek(SeekFrom::Start(offset - of_head as u64)).await?;
        let head = stream::iter([Ok(self.head.slice(of_head..))]);
        Ok(head.chain(ReaderStream::with_capacity(file, READ_BYTES)))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn the_rest_of_a_whole_begins_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("work");
        std::fs::write(&file, "and the work").unwrap();
        let source = Source { head: Bytes::from_static(b"a thread "), file: &file };
        let all = "a thread and the work";
        let whole = source.whole().await.unwrap();
        assert_eq!((whole.length, whole.digest), (all.len() as u64, hex::encode(Sha256::digest(all))));
        for offset in [0, 3, 9, 12, all.len()] {
            let rest: Vec<Bytes> = source.rest(offset as u64).await.unwrap().try_collect().await.unwrap();
            assert_eq!(rest.concat(), all.as_bytes()[offset..], "{offset}");
        }
    }
}
