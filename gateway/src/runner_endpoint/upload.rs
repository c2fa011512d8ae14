//! What all uploads of runners have in common: they say beforehand what the whole is, and go on where they broke off.
//!
//! A `PUT` carries `Upload-Length`, `Upload-Digest` (SHA-256 of the whole, in hexadecimal digits) and `Upload-Offset` (0 if absent:
//! where in the whole its body begins). `HEAD` on the same address, with the same length and digest, is answered with the
//! `Upload-Offset` to go on at. What comes a second time is skipped. A small whole in one piece is stored at once; a large
//! one in parts, each kept once it is whole, also when the connection breaks off or this process dies. Only when all has
//! come and the digest is right does it become what it is to be.

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, StatusCode};
use sha2::{Digest, Sha256};
use store::{
    StoreError, UploadKind,
    blobs::{BlobKey, Blobs, PutError},
    uploads::{self, Part, UploadKey, Whole},
};

use super::RunnerAuth;
use crate::{app::AppState, problem::Problem};

/// Where in the whole the body begins; in an answer, where it goes on.
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Bytes of the whole.
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// SHA-256 of the whole.
const DIGEST: HeaderName = HeaderName::from_static("upload-digest");

/// A part is kept once it has so many bytes. It is held in memory until then.
const PART_BYTES: usize = 4 * 1024 * 1024;

/// An upload as its headers describe it.
pub(super) struct Upload {
    key: UploadKey,
    whole: Whole,
    offset: u64,
}

/// What an upload may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) kind: UploadKind,
    /// Bytes.
    pub(super) most: u64,
    /// What is said when there are more.
    pub(super) too_large: fn() -> Problem,
}

/// All bytes of an upload, to be read once. Whoever has stored them calls [`Received::done`].
pub(super) struct Received {
    key: UploadKey,
    whole: Whole,
    lies: Lies,
}

enum Lies {
    InMemory(Bytes),
    InParts(Vec<Part>),
}

/// Reading an upload failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the bytes are not those that were announced")]
    OtherDigest,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Upload {
    /// Reads the headers.
    pub(super) fn announced(
        RunnerAuth(run, attempt): RunnerAuth,
        bounds: Bounds,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let number = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let digest = headers.get(DIGEST).and_then(|value| {
            let mut digest = [0; 32];
            hex::decode_to_slice(value.as_bytes(), &mut digest).ok().map(|()| digest)
        });
        let (Some(length), Some(digest)) = (number(&LENGTH), digest) else {
            let detail = "say in `Upload-Length` how many bytes the whole has, and in `Upload-Digest` its SHA-256 in \
                          hexadecimal digits";
            return Err(Problem::bad_request("upload_undescribed", detail));
        };
        if length > bounds.most {
            return Err((bounds.too_large)());
        }
        let offset = if headers.contains_key(OFFSET) { number(&OFFSET) } else { Some(0) };
        let offset = offset.filter(|offset| *offset <= length).ok_or_else(|| {
            Problem::bad_request("upload_offset_invalid", "`Upload-Offset` is a place in the whole: 0 to its length")
        })?;
        Ok(Self { key: UploadKey { run, attempt, kind: bounds.kind }, whole: Whole { digest, length }, offset })
    }

    /// How many bytes have come already.
    pub(super) async fn offset(&self, state: &AppState) -> Result<u64, Problem> {
        Ok(uploads::received(&mut *state.store().acquire().await?, self.key, &self.whole).await?)
    }

    /// Takes the body in. None: it was whole, but there is more to come.
    pub(super) async fn receive(self, state: &AppState, body: Body) -> Result<Option<Received>, Problem> {
        let state = state.clone();
        // A task of its own: a request whose caller hangs up is dropped, and what has come until then is to be kept.
        let receiving = tokio::spawn(async move { self.take_in(&state, body).await });
        receiving.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an upload could not be taken in");
            Err(Problem::internal())
        })
    }

    async fn take_in(self, state: &AppState, body: Body) -> Result<Option<Received>, Problem> {
        let there = self.offset(state).await?;
        if self.offset > there {
            let detail = format!("{there} bytes have come so far; go on there");
            return Err(Problem::new(StatusCode::CONFLICT, "upload_gap", detail));
        }
        let mut taking = Taking { state, upload: &self, begun: there > 0, kept: there, held: Vec::new() };
        taking.take(body).await?;
        let (kept, held) = (taking.kept, std::mem::take(&mut taking.held));
        if kept == 0 && held.len() as u64 == self.whole.length {
            return Ok(Some(Received { key: self.key, whole: self.whole, lies: Lies::InMemory(held.into()) }));
        }
        taking.held = held;
        taking.keep().await?;
        if taking.kept < self.whole.length {
            return Ok(None);
        }
        let parts = uploads::parts(&mut *state.store().acquire().await?, self.key).await?;
        Ok(Some(Received { key: self.key, whole: self.whole, lies: Lies::InParts(parts) }))
    }
}

/// A body on its way into parts.
struct Taking<'a> {
    state: &'a AppState,
    upload: &'a Upload,
    /// Whether there is a row of it.
    begun: bool,
    /// Bytes that lie in parts.
    kept: u64,
    /// Those that follow them.
    held: Vec<u8>,
}

impl Taking<'_> {
    async fn take(&mut self, body: Body) -> Result<(), Problem> {
        let mut body = body.into_data_stream();
        let mut at = self.upload.offset;
        while let Some(piece) = body.next().await {
            let Ok(mut piece) = piece else {
                // What has come is not sent again.
                self.keep().await?;
                return Err(Problem::bad_request("body_incomplete", "the body broke off; ask where to go on"));
            };
            if at + piece.len() as u64 > self.upload.whole.length {
                let detail = "there are more bytes than `Upload-Length` says";
                return Err(Problem::bad_request("upload_too_long", detail));
            }
            let known = (self.kept + self.held.len() as u64).saturating_sub(at).min(piece.len() as u64);
            at += piece.len() as u64;
            piece.advance(usize::try_from(known).unwrap_or(usize::MAX));
            self.held.extend_from_slice(&piece);
            if self.held.len() >= PART_BYTES {
                self.keep().await?;
            }
        }
        Ok(())
    }

    /// Makes a part of what is held: the blob first, then the row that names it.
    async fn keep(&mut self) -> Result<(), Problem> {
        if self.held.is_empty() {
            return Ok(());
        }
        let (store, key, whole) = (self.state.store(), self.upload.key, &self.upload.whole);
        let bytes = Bytes::from(std::mem::take(&mut self.held));
        let part = Part { start: self.kept, bytes: bytes.len() as u64, blob: uploads::new_blob(key) };
        self.state.blobs().put(&part.blob, bytes).await?;
        let mut tx = store.begin().await?;
        let replaced =
            if self.begun { Vec::new() } else { uploads::begin(&mut tx, key, whole, self.state.now()).await? };
        let fits = uploads::add_part(&mut tx, key, whole, &part).await?;
        tx.commit().await.map_err(StoreError::from)?;
        remove(self.state.blobs(), replaced).await;
        if !fits {
            remove(self.state.blobs(), vec![part.blob]).await;
            let detail = "another request goes on with this upload; ask where to go on";
            return Err(Problem::unavailable("upload_overtaken", detail, 1));
        }
        self.begun = true;
        self.kept += part.bytes;
        Ok(())
    }
}

impl Received {
    /// The bytes; the last one is followed by an error unless the digest is right.
    pub(super) fn bytes(&self, blobs: &Blobs) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + Unpin + 'static {
        let blobs = blobs.clone();
        let pieces = match &self.lies {
            Lies::InMemory(bytes) => stream::iter([Ok(bytes.clone())]).boxed(),
            Lies::InParts(parts) => stream::iter(parts.clone())
                .then(move |part| {
                    let blobs = blobs.clone();
                    async move { blobs.get_stream(&part.blob).await }
                })
                .try_flatten()
                .boxed(),
        };
        verified(pieces, self.whole.digest).boxed()
    }

    /// The upload has become what it was to be.
    pub(super) async fn done(self, state: &AppState) -> Result<(), Problem> {
        if matches!(self.lies, Lies::InMemory(_)) {
            return Ok(());
        }
        let mut tx = state.store().begin().await?;
        let blobs = uploads::forget(&mut tx, self.key, &self.whole).await?;
        tx.commit().await.map_err(StoreError::from)?;
        remove(state.blobs(), blobs).await;
        Ok(())
    }

    /// It could not be stored. One whose bytes are wrong has to begin anew.
    pub(super) async fn failed(self, state: &AppState, error: PutError<ReadError>) -> Problem {
        match error {
            PutError::Source(ReadError::OtherDigest) => {
                if let Err(problem) = self.done(state).await {
                    return problem;
                }
                let detail = "the bytes that came are not those of `Upload-Digest`; send them again from the beginning";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "upload_digest_wrong", detail)
            }
            PutError::Source(ReadError::Store(error)) | PutError::Store(error) => error.into(),
            PutError::TooLarge(_) => Problem::internal(),
        }
    }
}

fn verified(
    pieces: impl Stream<Item = Result<Bytes, StoreError>> + Send + Unpin,
    digest: [u8; 32],
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
    stream::try_unfold((pieces, Some(Sha256::new())), move |(mut pieces, hasher)| async move {
        let Some(mut hasher) = hasher else { return Ok(None) };
        match pieces.try_next().await? {
            Some(piece) => {
                hasher.update(&piece);
                Ok(Some((piece, (pieces, Some(hasher)))))
            }
            None if hasher.finalize()[..] == digest => Ok(None),
            None => Err(ReadError::OtherDigest),
        }
    })
}

/// A blob that stays harms nobody.
async fn remove(blobs: &Blobs, keys: Vec<BlobKey>) {
    for key in keys {
        if let Err(error) = blobs.delete(&key).await {
            tracing::warn!(%key, %error, "a part of an upload that nobody names any more stays");
        }
    }
}
