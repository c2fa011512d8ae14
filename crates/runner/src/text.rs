//! Bytes of foreign programs as text.

/// Turns a stream of bytes into text: what is not valid UTF-8 becomes U+FFFD, and so does NUL, which a database refuses
/// in text. Nothing else is changed. A character that is split over two reads stays whole.
#[derive(Default)]
pub(crate) struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    /// Decodes what can be decoded so far.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.rest.len());
        let mut from = 0;
        for chunk in self.rest.utf8_chunks() {
            text.push_str(chunk.valid());
            from += chunk.valid().len();
            let at_end = from + chunk.invalid().len() == self.rest.len();
            if at_end && is_incomplete(chunk.invalid()) {
                break;
            }
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                from += chunk.invalid().len();
            }
        }
        self.rest.drain(..from);
        without_nul(text)
    }

    /// What was still waiting for its other half.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The beginning of a text, at most so many bytes, not cutting a character.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The end of a text, at most so many bytes, not cutting a character.
pub(crate) fn end(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

/// Removes terminal sequences and control characters other than line feed and tab.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // A control sequence ends with a letter or one of @[\]^_`{|}~.
                Some('[') => while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {},
                // An operating system command ends with BEL or ESC \.
                Some(']') => while chars.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {},
                _ => continue,
            },
            '\n' | '\t' => {
                plain.push(c);
                continue;
            }
            _ if c.is_control() => continue,
            _ => {
                plain.push(c);
                continue;
            }
        }
        chars.next_if(|c| *c != '\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_characters_stay_whole() {
        let text = "a→ä😀b";
        for size in 1..=text.len() {
            let mut decoder = Decoder::default();
            let mut decoded = String::new();
            for part in text.as_bytes().chunks(size) {
                decoded.push_str(&decoder.push(part));
            }
            decoded.push_str(&decoder.finish());
            assert_eq!(decoded, text, "in parts of {size}");
        }
    }

    #[test]
    fn invalid_bytes_are_replaced_and_escapes_are_kept() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\x1b[31ma\xffb\0c\r\n"), "\x1b[31ma\u{fffd}b\u{fffd}c\r\n");
        assert_eq!(decoder.push(b"x\xe2\x82"), "x");
        assert_eq!(decoder.push(b"y"), "\u{fffd}y");
        assert_eq!(decoder.push(b"\xf0\x9f"), "");
        assert_eq!(decoder.finish(), "\u{fffd}");
    }

    #[test]
    fn plain_text_has_no_terminal_sequences() {
        let text = "\u{1b}[1;31mred\u{1b}[0m\r\nnext\tcolumn\u{1b}]0;title\u{7}!\u{1b}(B\u{7}\u{1b}[";
        assert_eq!(plain(text), "red\nnext\tcolumn!B");
    }

    #[test]
    fn cuts_respect_characters() {
        assert_eq!((head("aä", 2), head("aä", 9)), ("a", "aä"));
        assert_eq!((end("äa", 2), end("äa", 9)), ("a", "äa"));
    }
}
