//! Finds the pattern of a sentence again, and what stands in its places.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::{Coded, Kind, Param, Sentence, all};

/// Sentences in sentences are looked for so deep.
const MAX_DEPTH: u8 = 8;

/// A row of sentences has so many at most, so that it is not looked for in every long text of others.
const MAX_ROW: usize = 8;

/// No sentence without places is longer.
const MAX_PLAIN: usize = 300;

/// Every pattern that has places.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    all().filter(|sentence| !sentence.places.is_empty()).map(|sentence| Pattern::of(&sentence)).collect()
});

/// Codes of the sentences without places, by their text.
static PLAIN: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    all().filter(|sentence| sentence.places.is_empty()).map(|sentence| (sentence.english, sentence.code)).collect()
});

/// A place, and what follows it.
struct Place {
    name: &'static str,
    kind: Kind,
    after: &'static str,
}

/// A sentence, taken apart.
struct Pattern {
    code: &'static str,
    /// What stands before the first place.
    head: &'static str,
    places: Vec<Place>,
}

/// What a text was found to be, and how many letters of it are words of ours: of two ways to read a text that with more is right.
struct Found<T> {
    is: T,
    own: usize,
}

impl Pattern {
    fn of(sentence: &Sentence) -> Self {
        let mut parts = sentence.english.split('{');
        let head = parts.next().unwrap_or_default();
        let places = parts.filter_map(|part| part.split_once('}')).map(|(name, after)| {
            let kind = sentence.places.iter().find(|(place, _)| *place == name).map_or(Kind::Text, |(_, kind)| *kind);
            Place { name, kind, after }
        });
        Self { code: sentence.code, head, places: places.collect() }
    }

    fn read(&self, text: &str, depth: u8) -> Option<Found<Coded>> {
        let rest = text.strip_prefix(self.head)?;
        let end = self.places.last()?.after;
        // A row stands within a sentence.
        let row = self.code == "row";
        if !rest.ends_with(end) || row && (depth == 0 || text.matches("; ").count() > MAX_ROW) {
            return None;
        }
        let params = fill(rest, &self.places, depth)?;
        Some(Found { is: Coded { code: self.code, params: params.is }, own: params.own + self.head.len() })
    }
}

/// What a text says, if it is a sentence from here.
pub(super) fn read(text: &str) -> Option<Coded> {
    found(text, 0).map(|found| found.is)
}

fn found(text: &str, depth: u8) -> Option<Found<Coded>> {
    if let Some(plain) = plain(text) {
        return Some(plain);
    }
    if depth >= MAX_DEPTH {
        return None;
    }
    PATTERNS.iter().filter_map(|pattern| pattern.read(text, depth)).max_by_key(|found| found.own)
}

fn plain(text: &str) -> Option<Found<Coded>> {
    // The length is looked at first: what is sought may be long.
    let code = if text.len() > MAX_PLAIN { None } else { PLAIN.get(text) }?;
    Some(Found { is: Coded { code, params: BTreeMap::new() }, own: text.len() })
}

/// The values of the places in a text that has to end with the last of them. A value is as short as the rest allows.
fn fill(text: &str, places: &[Place], depth: u8) -> Option<Found<BTreeMap<&'static str, Param>>> {
    let (Place { name, kind, after }, others) = places.split_first()?;
    if others.is_empty() {
        let value = value(*kind, text.strip_suffix(after)?, depth)?;
        return Some(Found { is: BTreeMap::from([(*name, value.is)]), own: value.own + after.len() });
    }
    text.match_indices(after).find_map(|(end, _)| {
        let mut filled = fill(&text[end + after.len()..], others, depth)?;
        let value = value(*kind, &text[..end], depth)?;
        filled.is.insert(name, value.is);
        Some(Found { is: filled.is, own: filled.own + value.own + after.len() })
    })
}

fn value(kind: Kind, text: &str, depth: u8) -> Option<Found<Param>> {
    let sentence = |found: Found<Coded>| Found { is: Param::Sentence(found.is), own: found.own };
    let words = || Found { is: Param::Text(text.to_owned()), own: 0 };
    match kind {
        Kind::Text => Some(words()),
        Kind::Plain => plain(text).map(sentence),
        Kind::Sentence => found(text, depth + 1).map(sentence),
        Kind::Either => Some(found(text, depth + 1).map_or_else(words, sentence)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        job_ending::{FailureClass, JobEnding},
        sentences,
    };

    fn text(text: &str) -> Param {
        Param::Text(text.to_owned())
    }

    fn inner<'a>(coded: &'a Coded, place: &str) -> &'a Coded {
        match &coded.params[place] {
            Param::Sentence(inner) => inner,
            Param::Text(text) => panic!("{text} is not read"),
        }
    }

    /// The sentence with its name in each place, or with another sentence where one stands.
    fn filled(sentence: &Sentence, inner: &str) -> String {
        let pattern = Pattern::of(sentence);
        pattern.places.iter().fold(pattern.head.to_owned(), |text, Place { name, kind, after }| {
            let value = if *kind == Kind::Text { format!("<{name}>") } else { inner.to_owned() };
            text + &value + after
        })
    }

    #[test]
    fn every_sentence_is_found_again() {
        let within = sentences::own_write();
        // A row does not stand alone.
        for sentence in all().filter(|sentence| sentence.code != "row") {
            let said = filled(&sentence, within);
            let coded = read(&said).unwrap_or_else(|| panic!("{said} is not read"));
            assert_eq!(coded.code, sentence.code, "{said}");
            for (name, kind) in sentence.places {
                let expected = match kind {
                    Kind::Text => text(&format!("<{name}>")),
                    Kind::Plain | Kind::Sentence | Kind::Either => Param::Sentence(read(within).unwrap()),
                };
                assert_eq!(coded.params.get(name), Some(&expected), "{said}");
            }
            assert_eq!(coded.params.len(), sentence.places.len(), "{said}");
        }
    }

    #[test]
    fn codes_are_unique_and_patterns_have_words_of_their_own() {
        let (codes, texts): (BTreeSet<&str>, BTreeSet<&str>) =
            all().map(|sentence| (sentence.code, sentence.english)).unzip();
        assert_eq!((codes.len(), texts.len()), (all().count(), all().count()));
        for sentence in all() {
            let pattern = Pattern::of(&sentence);
            let named: BTreeSet<&str> = pattern.places.iter().map(|place| place.name).collect();
            assert_eq!(named, sentence.places.iter().map(|(name, _)| *name).collect(), "{}", sentence.code);
            // What consists of foreign words alone would fit every text.
            let foreign = pattern.places.iter().all(|place| matches!(place.kind, Kind::Text | Kind::Either));
            let own = pattern.head.len() + pattern.places.iter().map(|place| place.after.len()).sum::<usize>();
            assert!(sentence.english.len() <= MAX_PLAIN || !pattern.places.is_empty(), "{}", sentence.code);
            assert!(own >= 7 || !foreign || pattern.places.is_empty(), "{}", sentence.code);
        }
    }

    #[test]
    fn words_of_others_stay_as_they_are() {
        let coded = read(&sentences::agent_failed("it said: no; and then {nothing}")).unwrap();
        assert_eq!((coded.code, &coded.params["words"]), ("agent_failed", &text("it said: no; and then {nothing}")));
        for foreign in ["the moon is full", "", ";", "a; b; c", &"run; ".repeat(10_000), &"x ".repeat(10_000)] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
        let coded = read(&sentences::while_step("cloning the repository", "no route to host")).unwrap();
        assert_eq!((inner(&coded, "step").code, &coded.params["cause"]), ("step_clone", &text("no route to host")));
    }

    #[test]
    fn a_sentence_with_others_within_is_read_in_the_way_that_leaves_least() {
        let evicted = JobEnding::Evicted { why: "low on disk".into() }.sentence();
        let coded = read(&sentences::ended_and_next(evicted, FailureClass::Evicted.next_step())).unwrap();
        assert_eq!((coded.code, inner(&coded, "next").code), ("ended_and_next", "next_evicted"));
        assert_eq!(inner(&coded, "ending").params["words"], text("low on disk."));

        let coded =
            read(&sentences::beside_work(sentences::label_of_no_agent("x", "`dev`, `docs`"), "r", "dev")).unwrap();
        assert_eq!(inner(&coded, "reason").params["agents"], text("`dev`, `docs`"));

        let row = [
            sentences::path_protected("a", "**"),
            sentences::path_protected("b", "**"),
            sentences::too_many_files(3, 2),
            sentences::diff_too_long(9, 8),
        ];
        let coded = read(&sentences::change_refused(row.join("; "))).unwrap();
        let others = inner(inner(inner(&coded, "why"), "others"), "others");
        assert_eq!((inner(others, "one").code, inner(others, "others").code), ("too_many_files", "diff_too_long"));
        assert_eq!(inner(others, "one").params["limit"], text("2"));
    }
}
