//! Random numbers by name, and means with their standard errors.
//!
//! The generator is ChaCha with 8 rounds (Bernstein 2008): its values are the same on every platform and in every
//! release, and its 2⁶⁴ streams are independent, so that parallel chunks draw the same numbers whatever the number of threads.

use crate::error::{Error, Result};
use crate::gaussian::{sum, sum_around};
use rand::SeedableRng;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The generator of every draw in this crate: ChaCha8.
pub type Generator = rand_chacha::ChaCha8Rng;

/// How many samples share one stream of the generator, and so one unit of parallel work.
pub(crate) const CHUNK: u64 = 4096;

/// How many chunks are held in memory before they are merged.
const BLOCK: u64 = 1024;

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
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let mut e = Estimate::default();
/// [1.0, 2.0, 6.0].iter().for_each(|&x| e.observe(x));
/// assert_eq!((e.mean(), e.variance()), (3.0, 7.0));
/// ```
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

    /// The estimate from these numbers: their mean first, and then the squares around it.
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = sum(values) / n;
        // What rounding the first mean has left.
        let rest = sum_around(values, mean) / n;
        let squares: Vec<f64> = values.iter().map(|x| (x - mean - rest).powi(2)).collect();
        Self { count: values.len() as u64, mean: mean + rest, sum_of_squares: sum(&squares) }
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
    let [estimate] = estimates(name, samples, |rng| [f(rng)]);
    estimate
}

/// The means of several functions of the same draws, as [`estimate`] has them of one.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let [m, v] = estimates("E[Z], E[Z²]", 100_000, |rng| { let z: f64 = StandardNormal.sample(rng); [z, z * z] });
/// assert!(m.mean().abs() < 6.0 * m.standard_error());
/// assert!((v.mean() - 1.0).abs() < 6.0 * v.standard_error());
/// ```
pub fn estimates<const K: usize>(
    name: &str,
    samples: u64,
    f: impl Fn(&mut Generator) -> [f64; K] + Sync,
) -> [Estimate; K] {
    let of_chunk = |rng: &mut Generator, length| {
        let mut estimates = [Estimate::default(); K];
        for _ in 0..length {
            estimates.iter_mut().zip(f(rng)).for_each(|(estimate, x)| estimate.observe(x));
        }
        estimates
    };
    let merge = |a: [Estimate; K], b: [Estimate; K]| std::array::from_fn(|i| a[i].merge(b[i]));
    chunks(name, samples, of_chunk).fold([Estimate::default(); K], merge)
}

/// The draws of `f` themselves, in their order: those that [`estimate`] takes the mean of under the same name.
///
/// # Errors
/// [`Error::Domain`] if so many do not fit into memory.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let dice = draws("ten dice", 10, |rng| rng.random_range(1..=6))?;
/// assert!(dice.len() == 10 && dice.iter().all(|die| (1..=6).contains(die)));
/// # Ok::<(), Error>(())
/// ```
pub fn draws<T: Send>(name: &str, samples: u64, f: impl Fn(&mut Generator) -> T + Sync) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let reserved = usize::try_from(samples).ok().and_then(|n| all.try_reserve_exact(n).ok());
    if reserved.is_none() {
        let what = "the number of draws";
        return Err(Error::Domain { what, value: samples as f64, domain: "small enough for them to fit into memory" });
    }
    chunks(name, samples, |rng, length| (0..length).map(|_| f(rng)).collect::<Vec<T>>()).for_each(|c| all.extend(c));
    Ok(all)
}

/// What `of_chunk` makes of each chunk's own stream and number of samples, in parallel; the chunks come in their order.
pub(crate) fn chunks<T: Send>(
    name: &str,
    samples: u64,
    of_chunk: impl Fn(&mut Generator, u64) -> T + Sync,
) -> impl Iterator<Item = T> {
    let seeded = rng(name);
    let count = samples.div_ceil(CHUNK);
    (0..count.div_ceil(BLOCK)).flat_map(move |block| {
        let chunks = block * BLOCK..count.min((block + 1) * BLOCK);
        let made: Vec<Mutex<Option<T>>> = chunks.clone().map(|_| Mutex::default()).collect();
        in_parallel(&seeded, chunks, samples, &|chunk, rng, length| {
            let place = &made[(chunk - block * BLOCK) as usize];
            let chunk = of_chunk(rng, length);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(chunk);
        });
        made.into_iter().filter_map(|chunk| chunk.into_inner().unwrap_or_else(PoisonError::into_inner))
    })
}

/// Calls `of_chunk` with the number of each of the `chunks`, its own stream and its number of samples. The threads' machinery is compiled
/// here, once, and not with each sampler, as a notebook's cell would have to.
fn in_parallel(
    seeded: &Generator,
    chunks: Range<u64>,
    samples: u64,
    of_chunk: &(dyn Fn(u64, &mut Generator, u64) + Sync),
) {
    chunks.into_par_iter().for_each(|chunk| {
        let mut rng = seeded.clone();
        rng.set_stream(chunk);
        of_chunk(chunk, &mut rng, CHUNK.min(samples - chunk * CHUNK));
    });
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
        rng.set_stream(1);
        rng.set_word_pos(0);
        let values: Vec<u32> = (0..3).map(|_| rng.random()).collect();
        assert_eq!(values, [3419191949, 1938715504, 1356185152]);
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

    /// Runs `f` on one, two and seven threads and hands back the one result.
    fn on_any_threads<T: PartialEq + std::fmt::Debug + Send>(f: impl Fn() -> T + Sync) -> T {
        let run = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&f);
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
        one
    }

    #[test]
    fn nothing_depends_on_the_number_of_threads() {
        let one = on_any_threads(|| estimate("threads", 100_001, |rng| rng.random::<f64>()));
        assert_eq!(one.count(), 100_001);
        let [first, second] = on_any_threads(|| estimates("threads", 100_001, |rng| [rng.random(), rng.random()]));
        assert!(first != second && first != one, "every value is drawn anew");
        let drawn = on_any_threads(|| draws("threads", 10_000, |rng| rng.random::<f64>()).unwrap());
        let mut seen = Estimate::default();
        drawn[..4096].iter().for_each(|&x| seen.observe(x));
        assert_eq!(seen, estimate("threads", 4096, |rng| rng.random()));
        assert_ne!(drawn[0], drawn[4096], "chunks have their own streams");
    }

    #[test]
    fn the_first_samples_do_not_depend_on_how_many_follow() {
        let of = |samples| draws("prefix", samples, |rng| rng.random::<u64>()).unwrap();
        let many = of(BLOCK * CHUNK + 5);
        for few in [0, 1, 4095, 4097, 10_000] {
            assert_eq!(of(few)[..], many[..few as usize]);
        }
        assert_eq!(many.len() as u64, BLOCK * CHUNK + 5);
        assert_eq!(many[many.len() - 5..], of(BLOCK * CHUNK + 5)[many.len() - 5..]);
    }

    #[test]
    fn more_draws_than_memory_are_refused() {
        for samples in [u64::MAX, u64::MAX / 8] {
            assert!(draws("many", samples, |_| 0.0).unwrap_err().to_string().contains("fit into memory"));
        }
    }
}
