//! Seeded randomness: one ChaCha8 stream a purpose and key, so that no draw depends on another's order or thread.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of draws.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `purpose` and `key`; different purposes never share draws.
    pub fn new(purpose: &str, key: [u64; 3]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in key {
            hasher.update(&part.to_le_bytes());
        }
        hasher.update(purpose.as_bytes());
        Self(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Uniform in `[low, high)`, from 24 bits.
    pub(super) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        low + unit * (high - low)
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.0.next_u32() >> 31 == 1
    }

    /// Uniform in `0..n`; the bias of the widening product is below `n / 2^64`.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Fisher–Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_of_three_comes_equally_often() {
        let mut seen = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let mut items = [0, 1, 2];
            Random::new("test", [seed, 0, 0]).shuffle(&mut items);
            *seen.entry(items).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        // 1000 expected, standard deviation 29: six of them.
        assert!(seen.values().all(|n| (826..=1174).contains(n)), "{seen:?}");
    }

    #[test]
    fn purposes_do_not_share_draws() {
        let draw = |purpose| Random::new(purpose, [1, 2, 3]).uniform(0.0, 1.0);
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
    }
}
