//! The sentences that people read, each with a stable code: a reader in another language gets hers by it.
//!
//! A sentence is made from its pattern here and nowhere else, and travels as the English text that it is: through the ledger,
//! the workflows' histories and comments on the forge. [`read`] finds pattern and values again, also in a text that was kept
//! years ago. So there is one English text, and nothing beside it that could say something else.

mod connections;
mod deliveries;
mod jobs;
mod pattern;
mod problems;
mod runs;

use std::collections::BTreeMap;

use serde::Serialize;

pub use connections::*;
pub use deliveries::*;
pub use jobs::*;
pub use problems::*;
pub use runs::*;

/// A pattern with places for what differs.
#[derive(Clone, Copy, Debug)]
pub struct Sentence {
    /// Its stable code.
    pub code: &'static str,
    /// The English text; places are written `{name}`.
    pub english: &'static str,
    /// What stands in its places, by their names.
    places: &'static [(&'static str, Kind)],
}

/// What stands in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name, a number, or somebody else's words.
    Text,
    /// A sentence, or a part of one, from here.
    Sentence,
    /// The same, and it has no places itself.
    Plain,
    /// Either: somebody else's words, unless they can be read as a sentence from here.
    Either,
}

/// What a sentence says, without the words of a language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Coded {
    /// Names the sentence; `docs/sentences.json` has all of them.
    pub code: &'static str,
    /// What stands in its places.
    #[schema(no_recursion)]
    pub params: BTreeMap<&'static str, Param>,
}

/// What stands in a place of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Param {
    /// A name, a number, or somebody's own words.
    Text(String),
    /// Another sentence, or a part of one.
    Sentence(Coded),
}

/// Every sentence.
pub fn all() -> impl Iterator<Item = Sentence> {
    [connections::ALL, deliveries::ALL, jobs::ALL, problems::ALL, runs::ALL].into_iter().flatten().copied()
}

/// What a text says, if it is one of the sentences.
#[must_use]
pub fn read(text: &str) -> Option<Coded> {
    // What begins small within a sentence may begin one.
    let small = || Some(format!("{}{}", text.get(..1)?.to_ascii_lowercase(), text.get(1..)?));
    pattern::read(text).or_else(|| pattern::read(&small()?))
}

/// The function that makes a sentence; one without places is there already.
macro_rules! sentence {
    ($name:ident() = $english:literal) => {
        #[doc = concat!("The sentence with the code `", stringify!($name), "`.")]
        #[must_use]
        pub const fn $name() -> &'static str {
            $english
        }
    };
    ($name:ident($($place:ident),+) = $english:literal) => {
        #[doc = concat!("The sentence with the code `", stringify!($name), "`.")]
        #[must_use]
        pub fn $name($($place: impl std::fmt::Display),+) -> String {
            format!($english)
        }
    };
}

macro_rules! sentences {
    ($($name:ident($($place:ident: $kind:ident),*) = $english:literal;)*) => {
        $($crate::sentences::sentence! { $name($($place),*) = $english })*

        pub(super) const ALL: &[$crate::sentences::Sentence] = &[$($crate::sentences::Sentence {
            code: stringify!($name),
            english: $english,
            places: &[$((stringify!($place), $crate::sentences::Kind::$kind)),*],
        }),*];
    };
}

use {sentence, sentences};
