//! A closed form against an independent estimate, as a statistical test with stated error probabilities.
//!
//! A check says beforehand with which probability a right formula may be refused (`false_alarm`), which error must be
//! noticed (`discrepancy`) and with which probability that may fail (`miss`). The radius follows from a bound that holds for
//! the integrand at every N; a number of samples for which the two cannot be told apart is an error, not a pass.
//!
//! | what is held against the closed form | check | bounds, strongest first |
//! |---|---|---|
//! | a value without random error: quadrature, finite differences, another algorithm | [`Exact`] | its own error |
//! | the mean of random samples | [`MonteCarlo`] | [`Normal`](Bound::Normal), [`SubGamma`](Bound::SubGamma), [`Bernstein`](Bound::Bernstein), [`Hoeffding`](Bound::Hoeffding), [`Lipschitz`](Bound::Lipschitz), [`Catoni`](Bound::Catoni); [`CentralLimit`](Bound::CentralLimit) without a guarantee |
//! | the distribution function of random samples | [`DistributionFunction`], [`JointDistributionFunction`] | [`Massart`](Bound::Massart) in one dimension, [`Naaman`](Bound::Naaman) in more |
//!
//! Each check prints one line. If the environment variable `GENERATIVE_MODELS_REPORT` names a file, it also appends its
//! [`Report`] there as one line of JSON: that is how a run of the notebooks counts its checks.

mod bound;
mod catoni;
mod distribution;
mod exact;
mod monte_carlo;
mod report;

pub use bound::Bound;
pub use distribution::{DistributionFunction, JointDistributionFunction};
pub use exact::{Entries, Exact};
pub use monte_carlo::MonteCarlo;
pub use report::Report;

use crate::error::{Error, Result};
use serde::Serialize;

/// The environment variable that names the file to which reports are appended.
pub const REPORT_VARIABLE: &str = "GENERATIVE_MODELS_REPORT";

/// What a test promises.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.1 };
/// assert_eq!(Bound::Normal { variance: 1.0 }.min_samples(power)?, 8836);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// The probability, over seeds, that a right formula is refuted.
    pub false_alarm: f64,
    /// The probability that a formula wrong by `discrepancy` is not refuted.
    pub miss: f64,
    /// The smallest absolute error that must be caught.
    pub discrepancy: f64,
}

impl Power {
    fn check_probabilities(&self) -> Result<()> {
        for (what, value) in [("the false alarm", self.false_alarm), ("the miss", self.miss)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::Domain { what, value, domain: "between 0 and 1" });
            }
        }
        Ok(())
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The closed form lies within the radius.
    Consistent,
    /// It lies outside: the closed form is wrong, but for the false alarm.
    Refuted,
    /// The test is too weak to keep its promise.
    Underpowered,
    /// A sample or the closed form is NaN or infinite, or what the test promises is no number, or no probability.
    NonFinite,
}

/// `radii` are those below and above the expectation; `resolution` is the error that the test tells apart for certain. Both are
/// infinite if there are too few samples for the bound.
fn verdict(difference: f64, radii: (f64, f64), resolution: f64, discrepancy: f64) -> Verdict {
    if !(difference.is_finite() && discrepancy.is_finite() && resolution >= 0.0 && radii.0 >= 0.0 && radii.1 >= 0.0) {
        Verdict::NonFinite
    } else if resolution > discrepancy {
        Verdict::Underpowered
    } else if !(difference <= radii.1 && -difference <= radii.0) {
        Verdict::Refuted
    } else {
        Verdict::Consistent
    }
}

/// The pair that differs most. A NaN difference counts as the largest, so that it cannot hide behind another pair; no pair at
/// all is NaN too.
fn farthest(pairs: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let distance = |(a, b): &(f64, f64)| (a - b).abs();
    pairs.max_by(|p, q| distance(p).total_cmp(&distance(q))).unwrap_or((f64::NAN, f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for (difference, radii, resolution, discrepancy, expected) in [
            (0.9, (0.5, 1.0), 2.0, 2.0, Verdict::Consistent),
            (-0.5, (0.5, 1.0), 2.0, 2.0, Verdict::Consistent),
            (1.1, (0.5, 1.0), 2.0, 2.0, Verdict::Refuted),
            (-0.6, (0.5, 1.0), 2.0, 2.0, Verdict::Refuted),
            (0.0, (0.0, 0.0), 0.0, 0.0, Verdict::Consistent),
            (1e-300, (0.0, 0.0), 0.0, 0.0, Verdict::Refuted),
            (0.9, (0.5, 1.0), 2.0, 1.9, Verdict::Underpowered),
            (9.0, (0.5, 1.0), 2.0, 0.0, Verdict::Underpowered),
            (9.0, (0.5, 1.0), 2.0, -1.0, Verdict::Underpowered),
            (9.0, (inf, inf), inf, 1.0, Verdict::Underpowered),
            (nan, (0.5, 1.0), 2.0, 2.0, Verdict::NonFinite),
            (inf, (0.5, 1.0), 2.0, 2.0, Verdict::NonFinite),
            (-inf, (inf, inf), inf, 2.0, Verdict::NonFinite),
            (0.0, (nan, 1.0), 2.0, 2.0, Verdict::NonFinite),
            (0.0, (1.0, -1.0), 2.0, 2.0, Verdict::NonFinite),
            (0.0, (0.5, 1.0), nan, 2.0, Verdict::NonFinite),
            (0.0, (0.5, 1.0), 2.0, nan, Verdict::NonFinite),
            (0.0, (0.5, 1.0), 2.0, inf, Verdict::NonFinite),
        ] {
            assert_eq!(verdict(difference, radii, resolution, discrepancy), expected, "{difference} {radii:?}");
        }
    }

    #[test]
    fn nan_does_not_hide() {
        assert_eq!(farthest([(1.0, 1.0), (1.0, 3.0), (5.0, 4.0)].into_iter()), (1.0, 3.0));
        assert!(farthest([(1.0, 9.0), (f64::NAN, 3.0), (5.0, 4.0)].into_iter()).0.is_nan());
        assert!(farthest([(1.0, 9.0), (3.0, -f64::NAN), (5.0, 4.0)].into_iter()).1.is_nan());
        assert!(farthest(std::iter::empty()).0.is_nan());
    }
}
