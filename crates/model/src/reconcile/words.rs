//! What each side calls the same thing: a market of the shop is a legal entity in the books, a shipping method is a shipping item.
//!
//! Nobody has to tell the table. It is learnt from the documents that belong together: a word of the source has the word of the
//! target with which it nearly always comes. What deviates is a finding, and what deviates in one stretch of time is a mapping
//! that somebody changed. A word that comes too rarely, or with several words alike, teaches nothing and finds nothing.
//!
//! Memory is bounded by the number of words, not of documents: of each pair a sample of moments is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Finding, Why};
use crate::{
    compare::Cause,
    records::{Kind, Named},
    statement::{Entry, Facet},
};

/// So many documents must have a word before it teaches anything.
const SEEN_LEAST: u64 = 5;
/// Of a hundred documents with a word, so many must have the same word at the target.
const SHARE_LEAST_PERCENT: u64 = 80;
/// So many documents in a row make a stretch.
const STRETCH_LEAST: u64 = 3;
/// Moments kept of one pair; past it every other one, then every fourth, is.
const MOMENTS_MAX: usize = 32_768;
/// Words of one facet that are learnt; what comes after is not.
const WORDS_MAX: usize = 10_000;

/// Facets that go together: by those of the source a document of the target is expected to have that one.
const PAIRS: [(&[Facet], Facet); 3] =
    [(&[Facet::Market], Facet::Entity), (&[Facet::Market, Facet::Method], Facet::Method), (&[Facet::Market], Facet::Place)];

/// One word of the source, one facet of the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    kind: &'static str,
    facet: Facet,
    ours: String,
}

#[derive(Clone, Debug)]
struct Seen {
    name: String,
    count: u64,
    stride: u64,
    moments: Vec<Timestamp>,
}

/// Words as they are being learnt.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    seen: BTreeMap<Word, BTreeMap<String, Seen>>,
}

/// One word of the source and what the target calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    id: String,
    name: String,
    /// Words that came instead in one stretch of time: the word, from when, until when.
    stretches: Vec<(String, Timestamp, Timestamp)>,
}

/// What each side calls the same thing.
#[derive(Clone, Debug, Default)]
pub struct Words {
    expected: BTreeMap<Word, Expected>,
}

/// A method of travelling that swallows others: several words of the source, one of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swallowed {
    /// The words of the source.
    pub ours: Vec<String>,
    /// The one word of the target.
    pub theirs: String,
    /// Documents.
    pub count: u64,
}

fn text(named: &Named) -> &str {
    if named.name.is_empty() { &named.id } else { &named.name }
}

fn id(named: &Named) -> &str {
    if named.id.is_empty() { &named.name } else { &named.id }
}

/// The word of the source that decides about a facet of the target; none where the source does not tell it.
fn word(kind: Kind, from: &[Facet], facet: Facet, ours: &Entry) -> Option<Word> {
    let parts: Option<Vec<&str>> = from.iter().map(|part| ours.facets.get(part).map(text)).collect();
    Some(Word { kind: kind.word(), facet, ours: parts?.join(" · ") })
}

impl Learning {
    /// Takes in two documents that belong together.
    pub fn observe(&mut self, ours: &Entry, theirs: &Entry) {
        for (from, facet) in PAIRS {
            let (Some(word), Some(value)) = (word(ours.kind, from, facet, ours), theirs.facets.get(&facet)) else { continue };
            if self.seen.len() >= WORDS_MAX && !self.seen.contains_key(&word) {
                continue;
            }
            let values = self.seen.entry(word).or_default();
            if values.len() >= WORDS_MAX && !values.contains_key(id(value)) {
                continue;
            }
            let fresh = || Seen { name: text(value).to_owned(), count: 0, stride: 1, moments: Vec::new() };
            let seen = values.entry(id(value).to_owned()).or_insert_with(fresh);
            if seen.count.is_multiple_of(seen.stride) {
                seen.moments.push(ours.at);
            }
            seen.count += 1;
            if seen.moments.len() > MOMENTS_MAX {
                seen.moments = seen.moments.iter().copied().step_by(2).collect();
                seen.stride *= 2;
            }
        }
    }

    /// What was learnt.
    pub fn conclude(&self) -> Words {
        let mut words = Words::default();
        for (word, values) in &self.seen {
            let all: u64 = values.values().map(|seen| seen.count).sum();
            let Some((id, usual)) = values.iter().max_by_key(|(_, seen)| seen.count) else { continue };
            let others: Vec<(&String, &Seen)> = values.iter().filter(|(other, _)| *other != id).collect();
            let mut stretches: Vec<(String, Timestamp, Timestamp)> = Vec::new();
            // A stretch is no argument against the rest: what came in it is taken off before the share is counted.
            let mut in_stretch = 0;
            for (other, seen) in &others {
                for (from, to, count) in runs(seen, usual) {
                    in_stretch += count;
                    stretches.push(((*other).clone(), from, to));
                }
            }
            let rest = all.saturating_sub(in_stretch);
            if usual.count < SEEN_LEAST || usual.count.saturating_mul(100) < rest.saturating_mul(SHARE_LEAST_PERCENT) {
                continue;
            }
            words.expected.insert(word.clone(), Expected { id: id.clone(), name: usual.name.clone(), stretches });
        }
        words
    }

    /// Markets in which several methods all come out as one.
    pub fn swallowed(&self) -> Vec<Swallowed> {
        let mut by_value: BTreeMap<(&str, &str), Swallowed> = BTreeMap::new();
        for (word, values) in self.seen.iter().filter(|(word, _)| word.facet == Facet::Method) {
            let Some((market, method)) = word.ours.split_once(" · ") else { continue };
            let Some((value, seen)) = values.iter().max_by_key(|(_, seen)| seen.count) else { continue };
            let entry = by_value.entry((market, value)).or_insert_with(|| Swallowed {
                ours: Vec::new(),
                theirs: seen.name.clone(),
                count: 0,
            });
            entry.ours.push(method.to_owned());
            entry.count += seen.count;
        }
        by_value.into_values().filter(|one| one.ours.len() >= 3).collect()
    }
}

/// Stretches in which a rarer word came and the usual one did not: from when, until when, and how many documents. There may be several.
fn runs(rarer: &Seen, usual: &Seen) -> Vec<(Timestamp, Timestamp, u64)> {
    let mut moments: Vec<(Timestamp, bool)> = rarer.moments.iter().map(|moment| (*moment, true)).collect();
    moments.extend(usual.moments.iter().map(|moment| (*moment, false)));
    moments.sort_unstable();
    // Of a word whose moments are thinned out some are not seen: so many more must follow each other.
    let least = STRETCH_LEAST.saturating_mul(usual.stride);
    let runs = moments.chunk_by(|one, other| one.1 == other.1).filter(|run| run.first().is_some_and(|(_, is_rarer)| *is_rarer));
    runs.filter_map(|run| {
        let count = (run.len() as u64).saturating_mul(rarer.stride);
        Some((run.first()?.0, run.last()?.0, count)).filter(|_| count >= least)
    })
    .collect()
}

impl Words {
    /// What two documents that belong together call differently than all the others do.
    pub fn deviations(&self, ours: &Entry, theirs: &Entry) -> Vec<Finding> {
        let mut found = Vec::new();
        for (from, facet) in PAIRS {
            let (Some(word), Some(value)) = (word(ours.kind, from, facet, ours), theirs.facets.get(&facet)) else { continue };
            let Some(expected) = self.expected.get(&word).filter(|expected| expected.id != id(value)) else { continue };
            let stretch =
                expected.stretches.iter().find(|(other, from, to)| other == id(value) && (*from..=*to).contains(&ours.at));
            let (why, since) = match (stretch, facet) {
                (Some((_, from, to)), _) => (Why::MappingChanged, format!(", as for all from {from} to {to}")),
                (None, Facet::Entity) => (Why::WrongEntity, String::new()),
                (None, Facet::Place) => (Why::WrongPlace, String::new()),
                (None, _) => (Why::WrongMethod, String::new()),
            };
            found.push(Finding {
                cause: if facet == Facet::Method { Cause::Shipping } else { Cause::Mapping },
                why,
                path: facet.word().to_owned(),
                expected: Some(expected.name.clone()),
                actual: Some(text(value).to_owned()),
                money: None,
                detail: format!("{} stands for {} here, and this one has {}{since}", word.ours, expected.name, text(value)),
                fix: why.fix().to_owned(),
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExternalId;

    fn named(word: &str) -> Option<Named> {
        Some(Named { id: word.to_owned(), name: word.to_owned() })
    }

    fn pair(at: i64, entity: &str, method: &str) -> (Entry, Entry) {
        let at = Timestamp::from_second(at * 60).unwrap();
        let bare = || Entry::bare(Kind::Order, ExternalId::new("1"), at);
        let ours = bare().with(Facet::Market, named("SE")).with(Facet::Method, named("express"));
        (ours, bare().with(Facet::Entity, named(entity)).with(Facet::Method, named(method)))
    }

    fn learnt(pairs: &[(Entry, Entry)]) -> Words {
        let mut learning = Learning::default();
        for (ours, theirs) in pairs {
            learning.observe(ours, theirs);
        }
        learning.conclude()
    }

    #[test]
    fn what_nearly_always_comes_together_is_expected() {
        let mut pairs: Vec<_> = (0..20).map(|at| pair(at, "AB", "DHL")).collect();
        pairs[7] = pair(7, "GmbH", "DHL");
        let words = learnt(&pairs);
        let found = words.deviations(&pairs[7].0, &pairs[7].1);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].why, found[0].expected.as_deref()), (Why::WrongEntity, Some("AB")));
        assert!(words.deviations(&pairs[8].0, &pairs[8].1).is_empty());
    }

    #[test]
    fn a_stretch_is_a_mapping_that_was_changed() {
        let pairs: Vec<_> = (0..30).map(|at| pair(at, "AB", if (11..19).contains(&at) { "POST" } else { "DHL" })).collect();
        let words = learnt(&pairs);
        let found = words.deviations(&pairs[15].0, &pairs[15].1);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].why, Why::MappingChanged);
        // Single ones scattered over the time are no stretch.
        let mut scattered: Vec<_> = (0..40).map(|at| pair(at, "AB", "DHL")).collect();
        for at in [3, 17, 33] {
            scattered[at] = pair(i64::try_from(at).unwrap(), "AB", "POST");
        }
        let words = learnt(&scattered);
        assert_eq!(words.deviations(&scattered[17].0, &scattered[17].1)[0].why, Why::WrongMethod);
    }

    #[test]
    fn one_wrong_word_may_come_in_several_stretches() {
        let wrong = |at: i64| (11..19).contains(&at) || (60..64).contains(&at);
        let pairs: Vec<_> = (0..100).map(|at| pair(at, "AB", if wrong(at) { "POST" } else { "DHL" })).collect();
        let words = learnt(&pairs);
        for at in [12, 62] {
            assert_eq!(words.deviations(&pairs[at].0, &pairs[at].1)[0].why, Why::MappingChanged, "{at}");
        }
        assert!(words.deviations(&pairs[40].0, &pairs[40].1).is_empty());
    }

    #[test]
    fn a_word_that_comes_rarely_or_with_several_alike_teaches_nothing() {
        let few: Vec<_> = (0..3).map(|at| pair(at, "AB", "DHL")).chain([pair(4, "GmbH", "DHL")]).collect();
        assert!(learnt(&few).deviations(&few[3].0, &few[3].1).is_empty());
        let alike: Vec<_> = (0..40).map(|at| pair(at, if at % 2 == 0 { "AB" } else { "GmbH" }, "DHL")).collect();
        let words = learnt(&alike);
        assert!(alike.iter().all(|(ours, theirs)| words.deviations(ours, theirs).is_empty()));
    }

    #[test]
    fn memory_is_bounded_by_words_and_not_by_documents() {
        let mut learning = Learning::default();
        for at in 0..50_000 {
            let (ours, theirs) = pair(at, "AB", "DHL");
            learning.observe(&ours, &theirs);
        }
        assert!(learning.seen.values().flat_map(BTreeMap::values).all(|seen| seen.moments.len() <= MOMENTS_MAX + 1));
    }
}
