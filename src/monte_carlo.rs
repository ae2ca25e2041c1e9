//! Random numbers by name, and means with their standard errors.
//!
//! The generator is ChaCha with 8 rounds (Bernstein 2008): its values are the same on every platform and in every
//! release, and its 2⁶⁴ streams are independent, so that parallel chunks draw the same numbers whatever the number of threads.

use rand::SeedableRng;
use rayon::prelude::*;

/// The generator of every draw in this crate: ChaCha8.
pub type Generator = rand_chacha::ChaCha8Rng;

/// How many samples share one stream of the generator, and so one unit of parallel work.
const CHUNK: u64 = 4096;

/// The generator whose seed is the BLAKE3 hash of `name`: stream 0 of it.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let x: f64 = StandardNormal.sample(&mut rng("my experiment"));
/// let again: f64 = StandardNormal.sample(&mut rng("my experiment"));
/// assert_eq!(x, again);
/// ```
pub fn rng(name: &str) -> Generator {
    Generator::from_seed(*blake3::hash(name.as_bytes()).as_bytes())
}

/// Count, mean and centred sum of squares of the numbers seen so far; a commutative monoid under [`merge`](Self::merge).
///
/// Source: Chan, Golub and LeVeque (1983), *The American Statistician* 37, eqs. 1.5.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    count: u64,
    mean: f64,
    sum_of_squares: f64,
}

impl Estimate {
    /// Takes in one number.
    pub fn observe(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.sum_of_squares += delta * (x - self.mean);
    }

    /// The estimate from both sets of numbers.
    pub fn merge(self, other: Self) -> Self {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        Self {
            count: self.count + other.count,
            mean: self.mean + delta * m / (n + m),
            sum_of_squares: self.sum_of_squares + other.sum_of_squares + delta * delta * n * m / (n + m),
        }
    }

    /// How many numbers were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean (0 if there were none).
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sample variance, with divisor N − 1 (NaN for N < 2).
    pub fn variance(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { self.sum_of_squares / (self.count - 1) as f64 }
    }

    /// The standard error of the mean, √(variance / N) (NaN for N < 2).
    pub fn standard_error(&self) -> f64 {
        (self.variance() / self.count as f64).sqrt()
    }
}

/// The mean of `samples` independent draws of `f`, in parallel; the seed is `name`'s. The result does not depend on the
/// number of threads: each chunk of 4096 draws has a stream of its own, and the chunks are merged in their order.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let e = estimate("E[Z²]", 100_000, |rng| { let z: f64 = StandardNormal.sample(rng); z * z });
/// assert!((e.mean() - 1.0).abs() < 6.0 * e.standard_error());
/// ```
pub fn estimate(name: &str, samples: u64, f: impl Fn(&mut Generator) -> f64 + Sync) -> Estimate {
    let seeded = rng(name);
    let chunks: Vec<Estimate> = (0..samples.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut rng = seeded.clone();
            rng.set_stream(chunk);
            let mut estimate = Estimate::default();
            for _ in chunk * CHUNK..samples.min((chunk + 1) * CHUNK) {
                estimate.observe(f(&mut rng));
            }
            estimate
        })
        .collect();
    chunks.into_iter().fold(Estimate::default(), Estimate::merge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn generator_keeps_its_values() {
        // Value stability: a change here changes every committed output.
        let mut rng = rng("value stability");
        let values: Vec<u32> = (0..3).map(|_| rng.random()).collect();
        assert_eq!(values, [3475981598, 3131303320, 712458029]);
    }

    #[test]
    fn merge_is_observing_all() {
        let xs = [1e8 + 1.0, 1e8 + 2.0, 1e8 + 4.0, 1e8 + 7.0];
        let of = |xs: &[f64]| {
            let mut e = Estimate::default();
            xs.iter().for_each(|&x| e.observe(x));
            e
        };
        for split in 0..=4 {
            let e = of(&xs[..split]).merge(of(&xs[split..]));
            assert_eq!(e.count(), 4);
            assert_eq!(e.mean(), 1e8 + 3.5);
            // The mean's last place is 1.5e-8 here.
            assert!((e.variance() - 7.0).abs() < 1e-7);
        }
        assert!(of(&xs[..1]).variance().is_nan());
    }

    #[test]
    fn estimate_does_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| estimate("threads", 100_001, |rng| rng.random::<f64>()))
        };
        let one = run(1);
        assert_eq!(one.count(), 100_001);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
    }
}
