//! Foreign words in our texts: they must not ping people, close issues, hide things or pass for our markers.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Longest body that the forge takes, in characters.
pub const MAX_CHARS: usize = 65_536;

/// Shows nothing and keeps two characters apart.
const APART: char = '\u{200b}';

/// A word that closes an issue when the pull request is merged, with what it closes.
static CLOSING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b[:\s]+(?:https?://\S+/|[\w.-]+/[\w.-]+#|#|GH-)\d+")
        .ok()
});

/// Makes foreign words harmless: no mention, no reference that closes an issue, no hidden comment.
#[must_use]
pub fn neutral(words: &str) -> String {
    let words = words.replace("<!--", "&lt;!--").replace('\0', "\u{fffd}");
    let words = match CLOSING.as_ref() {
        Some(closing) => {
            closing.replace_all(&words, |found: &Captures<'_>| apart_before_number(&found[0])).into_owned()
        }
        None => words,
    };
    let mut out = String::with_capacity(words.len());
    let mut before = ' ';
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        // An address of mail has a word before the sign, a mention does not.
        let begins = !before.is_alphanumeric() && chars.peek().is_some_and(char::is_ascii_alphanumeric);
        if c == '@' && begins {
            out.push(APART);
        }
        before = c;
    }
    out
}

fn apart_before_number(reference: &str) -> String {
    let name = reference.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{name}{APART}{}", &reference[name.len()..])
}

/// At most this many characters; what is cut is said.
pub(super) fn cut(words: &str, max_chars: usize) -> String {
    crate::agents::outsider::shorten(words, max_chars)
}

/// Closes a code fence that the words leave open, which would swallow what follows them.
pub(super) fn closed_fences(words: &str) -> String {
    let mut open: Option<(char, usize)> = None;
    for line in words.lines() {
        let text = line.trim_start_matches(' ');
        let sign = text.chars().next().filter(|&c| c == '`' || c == '~');
        let Some(sign) = sign.filter(|_| line.len() - text.len() <= 3) else { continue };
        let length = text.len() - text.trim_start_matches(sign).len();
        let rest = text[length..].trim();
        open = match open {
            None if length >= 3 && !(sign == '`' && rest.contains('`')) => Some((sign, length)),
            Some((opened, least)) if sign == opened && length >= least && rest.is_empty() => None,
            other => other,
        };
    }
    match open {
        Some((sign, length)) => format!("{words}\n{}", sign.to_string().repeat(length)),
        None => words.to_owned(),
    }
}

/// A text as inline code on one line of a table.
pub(super) fn cell(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '|' => '¦',
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// A fenced block whose fence does not occur in the text.
pub(super) fn code_block(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_words_are_made_harmless() {
        for (words, expected) in [
            ("thanks @ann and @acme/team", "thanks @|ann and @|acme/team"),
            ("(@ann) `@ann` \n@ann", "(@|ann) `@|ann` \n@|ann"),
            ("mail ann@example.com, 5 @ 3, @", "mail ann@example.com, 5 @ 3, @"),
            ("Fixes #12, closes: acme/demo#7", "Fixes #|12, closes: acme/demo#|7"),
            ("resolved https://forge.example/a/b/issues/9 now", "resolved https://forge.example/a/b/issues/|9 now"),
            ("fixes GH-3", "fixes GH-|3"),
            ("see #12; prefixes #3", "see #12; prefixes #3"),
            ("<!-- codex-k8s:run:1 -->", "&lt;!-- codex-k8s:run:1 -->"),
        ] {
            assert_eq!(neutral(words), expected.replace('|', "\u{200b}"), "{words:?}");
        }
    }

    #[test]
    fn open_fences_are_closed() {
        for (words, expected) in [
            ("a", "a"),
            ("```\na\n```", "```\na\n```"),
            ("```rust\na", "```rust\na\n```"),
            ("````\n```\na", "````\n```\na\n````"),
            ("~~~\n```", "~~~\n```\n~~~"),
            ("```\n``` x", "```\n``` x\n```"),
            ("    ```\na", "    ```\na"),
            ("``` a ``` b", "``` a ``` b"),
        ] {
            assert_eq!(closed_fences(words), expected, "{words:?}");
        }
    }

    #[test]
    fn a_block_outlasts_its_text() {
        assert_eq!(code_block("a\n```\nb\n"), "````text\na\n```\nb\n````\n");
    }

    proptest! {
        #[test]
        fn no_mention_and_no_marker_is_left(words in "([@#`<!\\- a-z]|fixes |\\PC){0,60}") {
            let neutral = neutral(&words);
            prop_assert!(!neutral.contains("<!--"));
            let mut before = ' ';
            let chars: Vec<char> = neutral.chars().collect();
            for pair in chars.windows(2) {
                let mention = pair[0] == '@' && pair[1].is_ascii_alphanumeric() && !before.is_alphanumeric();
                prop_assert!(!mention, "{}", neutral);
                before = pair[0];
            }
            prop_assert_eq!(closed_fences(&closed_fences(&neutral)), closed_fences(&neutral));
        }
    }
}
