//! Takes the model API's key out of whatever flows back, wherever the bytes are cut.

use bytes::{Bytes, BytesMut};

const REPLACEMENT: &[u8] = b"[removed]";

/// Filters one answer.
#[derive(Debug)]
pub(super) struct KeyFilter {
    key: Vec<u8>,
    /// The end of what has come, as long as it may be the beginning of the key.
    held: BytesMut,
}

impl KeyFilter {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.as_bytes().to_vec(), held: BytesMut::new() }
    }

    /// What may go on after these bytes have come.
    pub(super) fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.held.is_empty() && !contains(&chunk, &self.key) && self.beginning_at_end(&chunk) == 0 {
            return chunk;
        }
        self.held.extend_from_slice(&chunk);
        let mut out = BytesMut::with_capacity(self.held.len());
        while let Some(at) = find(&self.held, &self.key) {
            out.extend_from_slice(&self.held.split_to(at));
            out.extend_from_slice(REPLACEMENT);
            let _ = self.held.split_to(self.key.len());
        }
        let keep = self.beginning_at_end(&self.held);
        out.extend_from_slice(&self.held.split_to(self.held.len() - keep));
        out.freeze()
    }

    /// What is left once nothing more comes.
    pub(super) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// Length of the longest end of the bytes with which the key begins.
    fn beginning_at_end(&self, bytes: &[u8]) -> usize {
        let longest = bytes.len().min(self.key.len().saturating_sub(1));
        (1..=longest).rev().find(|length| bytes.ends_with(&self.key[..*length])).unwrap_or(0)
    }
}

/// Whether a key is in a text.
pub(super) fn contains(bytes: &[u8], key: &[u8]) -> bool {
    find(bytes, key).is_some()
}

fn find(bytes: &[u8], key: &[u8]) -> Option<usize> {
    if key.is_empty() { None } else { bytes.windows(key.len()).position(|window| window == key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &str, size: usize) -> String {
        let mut filter = KeyFilter::new("sk-sk-1");
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&filter.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_key_never_passes_however_the_bytes_are_cut() {
        let table = [
            ("no such thing", "no such thing"),
            ("the key sk-sk-1 is wrong", "the key [removed] is wrong"),
            ("sk-sk-sk-1", "sk-[removed]"),
            ("sk-sk-1sk-sk-1", "[removed][removed]"),
            ("ends with sk-sk-", "ends with sk-sk-"),
            ("", ""),
        ];
        for (text, expected) in table {
            for size in 1..=text.len().max(1) {
                assert_eq!(filtered(text, size), expected, "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_can_be_no_key_is_not_held_back() {
        let mut filter = KeyFilter::new("sk-1");
        assert_eq!(&filter.push(Bytes::from_static(b"data: {}\n\n"))[..], b"data: {}\n\n");
        assert_eq!(&filter.push(Bytes::from_static(b"as"))[..], b"a");
        assert_eq!(&filter.push(Bytes::from_static(b"k"))[..], b"");
        assert_eq!(&filter.push(Bytes::from_static(b"y"))[..], b"sky");
    }
}
