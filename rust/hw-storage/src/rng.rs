//! A small deterministic random number generator: SplitMix64 (Steele, Lea and Flood, 2014).

/// Numbers that depend on the seed alone.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one purpose: every different list of `seeds` gives a stream of its own.
    pub fn new(seeds: &[u64]) -> Rng {
        let mut rng = Rng(0x5DEE_CE66_D1CE_5EED);
        for seed in seeds {
            rng.0 ^= seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            rng.0 = rng.next();
        }
        rng
    }
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below `bound`, which is not 0; the bias is below 2⁻³² for bounds below 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
    /// A number of `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
    /// One of `choices`, which is not empty.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn streams_depend_on_all_seeds_and_stay_in_bounds() {
        let first = |seeds: &[u64]| Rng::new(seeds).next();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        let mut rng = Rng::new(&[7]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            let n = rng.between(-2, 2);
            assert!((-2..=2).contains(&n));
            seen[(n + 2) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
