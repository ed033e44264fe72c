//! How alike two names are: for suggestions to a person, and for nothing else. Nothing is ever mapped by likeness.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::written::lookalike_key;

/// From how alike a name is worth a person's look.
const WORTH_A_LOOK: u8 = 60;
/// The longest name that is compared, in characters.
const CHARS_MAX: usize = 80;
/// Into how many heaps characters are sorted for a quick look.
const HEAPS: usize = 32;

/// How many characters have to be put in, taken out, changed or swapped with their neighbour.
pub fn edits(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    edits_of(&one, &other)
}

fn edits_of(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a) {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// A name in the forms in which it is compared.
#[derive(Clone, Debug)]
struct Form {
    /// As people take it for another: without case, invisible blanks, foreign look-alikes.
    key: Vec<char>,
    /// Letters and digits of that alone.
    bare: String,
    tokens: BTreeSet<String>,
    heaps: [u8; HEAPS],
}

impl Form {
    fn of(name: &str) -> Self {
        let key: Vec<char> = lookalike_key(name).chars().take(CHARS_MAX).collect();
        let mut heaps = [0_u8; HEAPS];
        for c in &key {
            let heap = usize::try_from(u32::from(*c)).unwrap_or(0) % HEAPS;
            if let Some(heap) = heaps.get_mut(heap) {
                *heap = heap.saturating_add(1);
            }
        }
        let text: String = key.iter().collect();
        let tokens = text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()).map(str::to_owned).collect();
        let bare = text.chars().filter(|c| c.is_alphanumeric()).collect();
        Self { key, bare, tokens, heaps }
    }

    /// No fewer edits than this can lead from one to the other.
    fn edits_at_least(&self, other: &Self) -> usize {
        let (mut more, mut less) = (0_usize, 0_usize);
        for (one, other) in self.heaps.iter().zip(&other.heaps) {
            more += usize::from(one.saturating_sub(*other));
            less += usize::from(other.saturating_sub(*one));
        }
        more.max(less)
    }

    /// From 0 to 100.
    fn likeness(&self, other: &Self) -> u8 {
        if self.key.is_empty() || other.key.is_empty() {
            return 0;
        }
        if self.key == other.key {
            return 98;
        }
        if !self.bare.is_empty() && self.bare == other.bare {
            return 95;
        }
        let longest = self.key.len().max(other.key.len());
        let part = |good: usize, all: usize, most: usize| u8::try_from(most.saturating_mul(good) / all.max(1)).unwrap_or(0);
        let of_edits = |edits: usize| part(longest.saturating_sub(edits), longest, 94);
        let by_letters = match of_edits(self.edits_at_least(other)) {
            hope if hope < WORTH_A_LOOK => 0,
            _ => of_edits(edits_of(&self.key, &other.key)),
        };
        let shared = self.tokens.intersection(&other.tokens).count();
        let by_words = part(2 * shared, self.tokens.len() + other.tokens.len(), 94);
        by_letters.max(by_words)
    }
}

/// How alike two names are, from 0 to 100. 100 is equal; from 95 on they differ only in case, blanks, punctuation or letters of
/// another alphabet that look the same; below that, in letters or in words.
pub fn likeness(one: &str, other: &str) -> u8 {
    if one == other { 100 } else { Form::of(one).likeness(&Form::of(other)) }
}

/// An entry that is like what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Near {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How alike, from 60 to 100.
    pub likeness: u8,
}

/// A list of entries to look for names in, taken apart once.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(String, String, Form)>);

impl Names {
    /// Of entries as (id, name).
    pub fn of(entries: impl IntoIterator<Item = (String, String)>) -> Self {
        let entry = |(id, name): (String, String)| {
            let form = Form::of(&name);
            (id, name, form)
        };
        Self(entries.into_iter().map(entry).collect())
    }

    /// The entries most like any of these texts, the likest first; those of which nobody would think are left out.
    pub fn nearest(&self, texts: &[String], most: usize) -> Vec<Near> {
        let wanted: Vec<(&str, Form)> = texts.iter().map(|text| (text.as_str(), Form::of(text))).collect();
        let mut found: Vec<(u8, &str, &str)> = Vec::new();
        for (id, name, form) in &self.0 {
            let like = |(text, wanted): &(&str, Form)| if text == name { 100 } else { wanted.likeness(form) };
            let best = wanted.iter().map(like).max().unwrap_or(0);
            if best >= WORTH_A_LOOK {
                found.push((best, name, id));
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)).then(a.2.cmp(b.2)));
        let near = |(likeness, name, id): (u8, &str, &str)| Near { id: id.to_owned(), name: name.to_owned(), likeness };
        found.into_iter().take(most).map(near).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_comes_before_what_is_mistyped() {
        assert_eq!(likeness("TEE-BLK", "TEE-BLK"), 100);
        for same in ["tee-blk", " TEE-BLK\u{a0}", "ＴＥＥ-BLK", "TЕЕ-BLK", "TEE\u{2013}BLK"] {
            assert_eq!(likeness("TEE-BLK", same), 98, "{same}");
        }
        assert_eq!(likeness("TEE-BLK", "tee blk"), 95);
        let mistyped = likeness("TEE-BLK", "TEE-BLU");
        assert!((60..95).contains(&mistyped), "{mistyped}");
        assert!(likeness("15056BL", "15065BL") > likeness("15056BL", "15099BL"), "swapped is nearer than changed twice");
    }

    #[test]
    fn words_count_whatever_their_order() {
        assert!(likeness("Express in Sweden", "Sweden Express") >= WORTH_A_LOOK);
        assert!(likeness("SE 25", "VAT 25% SE") >= WORTH_A_LOOK);
        assert!(likeness("Standard", "Express") < WORTH_A_LOOK);
        assert!(likeness("SE 25", "VAT 25% DE") < WORTH_A_LOOK);
    }

    #[test]
    fn nothing_is_like_nothing() {
        for (one, other) in [("", "A"), (" ", "\u{200b}"), ("---", "+++"), ("A", "B")] {
            assert!(likeness(one, other) < WORTH_A_LOOK, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_quick_look_never_hides_a_near_name() {
        let names = ["TEE-BLK-S", "TEE-BLK-M", "TEE-WHT-S", "SHIRT-BLK-S", "ÄÖÅ-1", "漢字-1", "A", ""];
        for one in names {
            for other in names {
                let (a, b) = (Form::of(one), Form::of(other));
                assert!(a.edits_at_least(&b) <= edits_of(&a.key, &b.key), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_nearest_few_are_named_in_order() {
        let names = Names::of(
            [("1", "Standard SE"), ("2", "Express SE"), ("3", "express  se"), ("4", "Pallet")]
                .map(|(i, n)| (i.to_owned(), n.to_owned())),
        );
        let ids = |text: &str, most| names.nearest(&[text.to_owned()], most).into_iter().map(|near| near.id).collect::<Vec<_>>();
        assert_eq!(ids("Express SE", 3), ["2", "3"]);
        assert_eq!(ids("Express SE", 1), ["2"]);
        assert!(ids("Bicycle", 3).is_empty());
        assert!(names.nearest(&[], 3).is_empty());
    }

    #[test]
    fn mistyped_words() {
        assert_eq!(edits("netsiute", "netsuite"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
    }
}
