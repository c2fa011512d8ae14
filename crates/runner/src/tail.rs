//! The last part of a program's output.

use std::collections::VecDeque;

/// Keeps the last bytes that were pushed.
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    capacity: usize,
}

impl Tail {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::with_capacity(capacity), capacity }
    }

    pub(crate) fn push(&mut self, text: &str) {
        let new = text.as_bytes();
        let new = &new[new.len().saturating_sub(self.capacity)..];
        let over = (self.bytes.len() + new.len()).saturating_sub(self.capacity);
        self.bytes.drain(..over);
        self.bytes.extend(new);
    }

    /// The kept part as text; a character cut at the front is left out.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().skip_while(|byte| byte & 0b1100_0000 == 0b1000_0000).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::new(5);
        for part in ["ab", "cd", "ef"] {
            tail.push(part);
        }
        assert_eq!(tail.text(), "bcdef");
        tail.push("0123456789");
        assert_eq!(tail.text(), "56789");
        tail.push("ää-");
        assert_eq!(tail.text(), "ää-");
        tail.push("x");
        assert_eq!(tail.text(), "ä-x");
    }
}
