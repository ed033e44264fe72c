//! Chance by a seed: the same seed throws the same figures.

use crate::mischief::{hash_text, mix};

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of a seed for one question.
    pub(crate) fn new(seed: u64, question: &str) -> Dice {
        Dice(mix(seed) ^ hash_text(question))
    }

    /// The next number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).unwrap_or(1);
        usize::try_from(self.roll() % most).unwrap_or(0)
    }

    /// From `least` to below `most`.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = usize::try_from(most.saturating_sub(least)).unwrap_or(1);
        least.saturating_add(i64::try_from(self.below(span)).unwrap_or(0))
    }

    /// One of them; `None` of none.
    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// Puts them in an order by chance.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_shuffles_always_the_same_way_and_loses_nothing() {
        let mut one: Vec<u32> = (0..100).collect();
        let mut other = one.clone();
        Dice::new(7, "x").shuffle(&mut one);
        Dice::new(7, "x").shuffle(&mut other);
        assert_eq!(one, other);
        assert!(one.windows(2).any(|pair| pair[0] > pair[1]));
        Dice::new(8, "x").shuffle(&mut other);
        assert_ne!(one, other);
        one.sort_unstable();
        assert_eq!(one, (0..100).collect::<Vec<u32>>());
        assert!((0..500).all(|_| (3..9).contains(&Dice::new(1, "y").between(3, 9))));
    }
}
