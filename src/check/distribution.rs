//! A distribution function against that of random samples.

use super::{Bound, MonteCarlo, Power, Report, Verdict, farthest};
use crate::monte_carlo::{Generator, chunks, draws};
use nalgebra::{DMatrix, DVector};

/// A closed form by reference, so that all around it is compiled here, once, and not with each closed form and sampler.
type ByReference<'a> = &'a dyn Fn(f64) -> f64;

/// The same in several dimensions.
type JointByReference<'a> = &'a dyn Fn(&DVector<f64>) -> f64;

/// A distribution function F(a) = P(X ≤ a) in one dimension against the share F_N(a) of random samples that are at most a, at all a
/// at once: refuted if sup |F_N − F| exceeds Massart's radius ([`Bound::Massart`]).
///
/// F may have jumps: between two neighbouring samples F_N is constant, so that the supremum of a growing F is found at the
/// samples, once with their value and once just below. F has to be known beforehand: with parameters fitted to the same samples
/// the bound does not hold. The report shows F_N and F where they differ most.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.02 };
/// let samples = Bound::Massart.min_samples(power)?;
/// let check = DistributionFunction { claim: "R2", name: "of U²", closed_form: |a: f64| a.sqrt(), power, samples };
/// assert!(check.check(|rng| rng.random::<f64>().powi(2)).stands());
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Massart (1990), *Annals of Probability* 18, corollary 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionFunction<'a, F> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name and seed, so no two checks share it.
    pub name: &'a str,
    /// The distribution function F.
    pub closed_form: F,
    /// The error probabilities, and the distance sup |F − truth| to be caught.
    pub power: Power,
    /// The number N of samples; all are kept in memory.
    pub samples: u64,
}

impl<F: Fn(f64) -> f64> DistributionFunction<'_, F> {
    /// Draws the samples, in parallel and from the check's own seed, and gives the verdict; it stands if that is
    /// [`Verdict::Consistent`].
    pub fn check(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.by_reference().report(Verdict::Consistent, &sample)
    }

    /// The same for a formula that is known to be wrong; it stands if the verdict is [`Verdict::Refuted`].
    pub fn expect_refuted(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.by_reference().report(Verdict::Refuted, &sample)
    }

    fn by_reference(&self) -> DistributionFunction<'_, ByReference<'_>> {
        let Self { claim, name, power, samples, .. } = *self;
        DistributionFunction { claim, name, closed_form: &self.closed_form, power, samples }
    }
}

impl DistributionFunction<'_, ByReference<'_>> {
    fn report(&self, expected: Verdict, sample: &(dyn Fn(&mut Generator) -> f64 + Sync)) -> Report {
        let Self { claim, name, power, samples, .. } = *self;
        let test = MonteCarlo { claim, name, closed_form: f64::NAN, bound: Bound::Massart, power, samples };
        let drawn = draws(&test.seed(), samples, sample);
        let (estimate, closed_form) = match drawn {
            Ok(drawn) if drawn.is_empty() => (0.0, 0.0),
            Ok(drawn) if drawn.iter().all(|x| x.is_finite()) => farthest_at_jumps(drawn, self.closed_form),
            _ => (f64::NAN, f64::NAN),
        };
        MonteCarlo { closed_form, ..test }.against(estimate, f64::NAN, expected)
    }
}

/// (F_N, F) where they differ most, on either side of a sample.
fn farthest_at_jumps(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> (f64, f64) {
    samples.sort_unstable_by(f64::total_cmp);
    let n = samples.len() as f64;
    let mut seen = 0;
    farthest(samples.chunk_by(|a, b| a == b).flat_map(|equal| {
        let (x, before) = (equal[0], seen);
        seen += equal.len();
        [(before as f64 / n, cdf(x.next_down())), (seen as f64 / n, cdf(x))]
    }))
}

/// A distribution function F(a) = P(X₁ ≤ a₁, …, X_d ≤ a_d) against the share of random samples for which that holds, at given points:
/// refuted if they differ anywhere by more than Naaman's radius ([`Bound::Naaman`]; in one dimension [`Bound::Massart`]).
///
/// The radius holds for all points at once, so they may be many, and may be chosen after a look at the samples; an error of F
/// is caught if it exceeds the discrepancy at one of the points. The report shows the point where they differ most.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
/// let samples = Bound::Naaman { dim: 2 }.min_samples(power)?;
/// let points = dmatrix![0.2, 0.9; 0.5, 0.5; 0.8, 0.3];
/// let closed_form = |a: &DVector<f64>| a[0] * a[1];
/// let check = JointDistributionFunction { claim: "R2", name: "of (U, V)", closed_form, points: &points, power, samples };
/// assert!(check.check(|rng| dvector![rng.random(), rng.random()]).stands());
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Naaman (2021), *Statistics and Probability Letters* 173, 109088.
#[derive(Clone, Debug, PartialEq)]
pub struct JointDistributionFunction<'a, F> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name and seed, so no two checks share it.
    pub name: &'a str,
    /// The distribution function F of a point.
    pub closed_form: F,
    /// The points a at which F is checked, as the rows of a matrix with d columns.
    pub points: &'a DMatrix<f64>,
    /// The error probabilities, and the distance to be caught at one of the points.
    pub power: Power,
    /// The number N of samples.
    pub samples: u64,
}

impl<F: Fn(&DVector<f64>) -> f64> JointDistributionFunction<'_, F> {
    /// Draws the samples, in parallel and from the check's own seed, and gives the verdict; it stands if that is
    /// [`Verdict::Consistent`]. A sample that is not of length d makes it [`Verdict::NonFinite`].
    pub fn check(&self, sample: impl Fn(&mut Generator) -> DVector<f64> + Sync) -> Report {
        self.by_reference().report(Verdict::Consistent, &sample)
    }

    /// The same for a formula that is known to be wrong; it stands if the verdict is [`Verdict::Refuted`].
    pub fn expect_refuted(&self, sample: impl Fn(&mut Generator) -> DVector<f64> + Sync) -> Report {
        self.by_reference().report(Verdict::Refuted, &sample)
    }

    fn by_reference(&self) -> JointDistributionFunction<'_, JointByReference<'_>> {
        let Self { claim, name, points, power, samples, .. } = *self;
        JointDistributionFunction { claim, name, closed_form: &self.closed_form, points, power, samples }
    }
}

impl JointDistributionFunction<'_, JointByReference<'_>> {
    fn report(&self, expected: Verdict, sample: &(dyn Fn(&mut Generator) -> DVector<f64> + Sync)) -> Report {
        let Self { claim, name, power, samples, .. } = *self;
        let bound = match self.points.ncols() {
            1 => Bound::Massart,
            dim => Bound::Naaman { dim },
        };
        let test = MonteCarlo { claim, name, closed_form: f64::NAN, bound, power, samples };
        let points: Vec<DVector<f64>> = self.points.row_iter().map(|row| row.transpose()).collect();
        let (estimate, closed_form) = match counts_below(&test.seed(), samples, &points, sample) {
            _ if samples == 0 => (0.0, 0.0),
            Some(counts) if !self.points.iter().any(|a| a.is_nan()) => {
                let shares = counts.iter().map(|&count| count as f64 / samples as f64);
                farthest(shares.zip(points.iter().map(self.closed_form)))
            }
            _ => (f64::NAN, f64::NAN),
        };
        MonteCarlo { closed_form, ..test }.against(estimate, f64::NAN, expected)
    }
}

/// For each point the number of samples below it in every coordinate; none if a sample is not finite or of another length.
fn counts_below(
    seed: &str,
    samples: u64,
    points: &[DVector<f64>],
    sample: impl Fn(&mut Generator) -> DVector<f64> + Sync,
) -> Option<Vec<u64>> {
    let of_chunk = |rng: &mut Generator, length| {
        let mut counts = vec![0; points.len()];
        for _ in 0..length {
            let x = sample(rng);
            if !x.iter().all(|x| x.is_finite()) || points.iter().any(|a| a.len() != x.len()) {
                return None;
            }
            for (count, a) in counts.iter_mut().zip(points) {
                *count += u64::from(x.iter().zip(a).all(|(x, a)| x <= a));
            }
        }
        Some(counts)
    };
    let add = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
    chunks(seed, samples, of_chunk).try_fold(vec![0; points.len()], |all, counts| Some(add(all, counts?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};
    use rand::RngExt;

    const POWER: Power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };

    fn test<F: Fn(f64) -> f64>(closed_form: F, samples: u64) -> DistributionFunction<'static, F> {
        DistributionFunction { claim: "R2", name: "of a test", closed_form, power: POWER, samples }
    }

    fn enough() -> u64 {
        Bound::Massart.min_samples(POWER).unwrap()
    }

    #[test]
    fn the_distance_is_taken_on_both_sides_of_every_jump() {
        let uniform = |a: f64| a.clamp(0.0, 1.0);
        // F_N jumps from 0 to 1 at 0.3: it is 0.3 too low before and 0.7 too high after.
        assert_eq!(farthest_at_jumps(vec![0.3], uniform), (1.0, 0.3));
        let (share, f) = farthest_at_jumps(vec![0.8], uniform);
        assert!(share == 0.0 && (f - 0.8).abs() < 1e-15);
        // By the definition, on a fine grid.
        let samples = vec![0.31, 0.11, 0.62, 0.62, 0.97, 0.62, 0.05];
        let share = |a: f64| samples.iter().filter(|&&x| x <= a).count() as f64 / 7.0;
        let supremum = (-10..1_000_010).map(|i| f64::from(i) * 1e-6).map(|a| (share(a) - uniform(a)).abs());
        let supremum = supremum.fold(0.0, f64::max);
        let (share, f) = farthest_at_jumps(samples.clone(), uniform);
        assert!(((share - f).abs() - supremum).abs() < 2e-6, "{share} {f} {supremum}");
        // Zero has two signs and is one number.
        let (share, f) = farthest_at_jumps(vec![0.0, -0.0], |a| f64::from(a >= 0.0));
        assert_eq!(share, f);
    }

    #[test]
    fn jumps_of_the_closed_form_are_no_error_and_their_side_is() {
        let coin = |rng: &mut Generator| f64::from(rng.random_bool(0.25));
        let at_most = |a: f64| {
            if a < 0.0 {
                0.0
            } else if a < 1.0 {
                0.75
            } else {
                1.0
            }
        };
        let below = |a: f64| {
            if a <= 0.0 {
                0.0
            } else if a <= 1.0 {
                0.75
            } else {
                1.0
            }
        };
        assert!(test(at_most, enough()).check(coin).stands());
        let report = test(below, enough()).expect_refuted(coin);
        assert!(report.stands() && report.closed_form == 0.0 && (report.estimate - 0.75).abs() < 0.05);
    }

    #[test]
    fn an_error_of_the_discrepancy_is_caught_above_and_below() {
        let uniform = |rng: &mut Generator| rng.random::<f64>();
        assert!(test(|a| a, enough()).check(uniform).stands());
        // Each differs by 0.05 at one place alone.
        assert!(test(|a| a + 0.2 * a * (1.0 - a), enough()).expect_refuted(uniform).stands());
        assert!(test(|a| a - 0.2 * a * (1.0 - a), enough()).expect_refuted(uniform).stands());
        assert!(test(|a| if a < 0.95 { a } else { 1.0 }, enough()).expect_refuted(uniform).stands());
        assert!(test(|a| if a < 0.05 { 0.0 } else { a }, enough()).expect_refuted(uniform).stands());
    }

    #[test]
    fn no_pass_without_samples_or_with_what_is_not_finite() {
        let uniform = |rng: &mut Generator| rng.random::<f64>();
        for few in [0, 1, enough() - 1] {
            assert_eq!(test(|a| a, few).check(uniform).verdict, Verdict::Underpowered);
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let sample = |rng: &mut Generator| if rng.random_bool(1e-3) { value } else { rng.random() };
            assert_eq!(test(|a| a.clamp(0.0, 1.0), enough()).check(sample).verdict, Verdict::NonFinite);
            let closed_form = |a: f64| if a > 0.9 { value } else { a };
            assert_eq!(test(closed_form, enough()).expect_refuted(uniform).verdict, Verdict::NonFinite);
        }
        assert_eq!(test(|a| a, u64::MAX).check(uniform).verdict, Verdict::NonFinite, "more than memory holds");
    }

    #[test]
    fn in_several_dimensions() {
        let samples = Bound::Naaman { dim: 2 }.min_samples(POWER).unwrap();
        let grid = DMatrix::from_fn(81, 2, |i, j| 0.1 * (if j == 0 { i / 9 } else { i % 9 }) as f64 + 0.1);
        let with_edge = dmatrix![0.3, f64::INFINITY; 0.7, 0.6];
        let pair = |rng: &mut Generator| {
            let u = rng.random::<f64>();
            dvector![u, u.max(rng.random())]
        };
        // P(U ≤ a, max(U, V) ≤ b) = min(a, b) b.
        let right = |a: &DVector<f64>| a[0].min(a[1]) * a[1].min(1.0);
        let independent = |a: &DVector<f64>| a[0] * a[1].min(1.0).powi(2);
        fn report<F: Fn(&DVector<f64>) -> f64>(
            closed_form: F,
            points: &DMatrix<f64>,
            samples: u64,
            sample: impl Fn(&mut Generator) -> DVector<f64> + Sync,
        ) -> Report {
            let name = "of several";
            JointDistributionFunction { claim: "R2", name, closed_form, points, power: POWER, samples }.check(sample)
        }
        assert!(report(right, &grid, samples, pair).stands());
        assert!(report(right, &with_edge, samples, pair).stands());
        assert_eq!(report(independent, &grid, samples, pair).verdict, Verdict::Refuted);
        for few in [0, 1, samples - 1] {
            assert_eq!(report(right, &grid, few, pair).verdict, Verdict::Underpowered);
        }
        let nan = |rng: &mut Generator| dvector![rng.random(), if rng.random_bool(1e-3) { f64::NAN } else { 0.5 }];
        assert_eq!(report(right, &grid, samples, nan).verdict, Verdict::NonFinite);
        assert_eq!(report(right, &grid, samples, |_| dvector![0.5]).verdict, Verdict::NonFinite);
        assert_eq!(report(|_| f64::NAN, &grid, samples, pair).verdict, Verdict::NonFinite);
        assert_eq!(report(right, &dmatrix![f64::NAN, 0.5], samples, pair).verdict, Verdict::NonFinite);
        assert_eq!(report(right, &DMatrix::zeros(0, 2), samples, pair).verdict, Verdict::NonFinite);
        let line = dmatrix![0.25; 0.5];
        let massart = report(|a: &DVector<f64>| a[0], &line, enough(), |rng| dvector![rng.random()]);
        assert!(massart.stands() && massart.method == "DKWM");
    }
}
