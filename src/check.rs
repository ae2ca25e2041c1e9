//! A closed form against an independent estimate, as a statistical test with stated error probabilities.
//!
//! A check says beforehand with which probability a right formula may be refused (`false_alarm`), which error must be
//! noticed (`discrepancy`) and with which probability that may fail (`miss`). The radius follows from a bound that holds for
//! the integrand at every N; a number of samples for which the two cannot be told apart is an error, not a pass.
//!
//! Each check prints one line. If the environment variable `GENERATIVE_MODELS_REPORT` names a file, it also appends its
//! [`Report`] there as one line of JSON: that is how a run of the notebooks counts its checks.

use crate::display::significant;
use crate::error::{Error, Result};
use crate::gaussian::same_length;
use crate::monte_carlo::{Generator, estimate};
use nalgebra::{DMatrix, DVector};
use serde::Serialize;
use statrs::function::erf::erfc_inv;
use std::fmt;
use std::io::Write;

/// The environment variable that names the file to which reports are appended.
pub const REPORT_VARIABLE: &str = "GENERATIVE_MODELS_REPORT";

/// What a test promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// The probability, over seeds, that a right formula is refuted.
    pub false_alarm: f64,
    /// The probability that a formula wrong by `discrepancy` is not refuted.
    pub miss: f64,
    /// The smallest absolute error that must be caught.
    pub discrepancy: f64,
}

/// How far a mean of N independent values may lie from its expectation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// P(mean − E > √(2vt/N) + c₊t/N) ≤ e⁻ᵗ, and likewise below with c₋.
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), *Concentration Inequalities*, §2.4.
    SubGamma {
        /// The variance factor v.
        variance: f64,
        /// The scale c₊ of the upper tail.
        above: f64,
        /// The scale c₋ of the lower tail.
        below: f64,
    },
    /// For a function of z ~ N(0, I) with Lipschitz constant L: sub-gamma with v = L² and no scale.
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), theorem 5.6.
    Lipschitz(
        /// The constant L.
        f64,
    ),
    /// The central limit theorem with the samples' own variance: an approximation, so that its probability is not guaranteed
    /// and not counted.
    CentralLimit,
}

impl Bound {
    /// For f(z) = const + bᵀz + ½ zᵀBz with z ~ N(0, I) and B symmetric: v = ½‖B‖²_F + ‖b‖², c₊ and c₋ the largest eigenvalues of B and −B.
    ///
    /// # Errors
    /// [`Error::Shape`] unless B is square of b's length, [`Error::NotFinite`].
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), §2.4, on each term λᵢ(zᵢ²−1)/2 + bᵢzᵢ.
    pub fn quadratic(b: &DVector<f64>, matrix: &DMatrix<f64>) -> Result<Self> {
        same_length("the quadratic form's rows", b.len(), matrix.nrows())?;
        same_length("the quadratic form's columns", b.len(), matrix.ncols())?;
        crate::error::finite("the quadratic form", matrix.iter().chain(b), |i| format!("entry {i}"))?;
        // The form depends on the symmetric part alone.
        let matrix = (matrix + matrix.transpose()) * 0.5;
        let eigenvalues = matrix.symmetric_eigenvalues();
        Ok(Self::SubGamma {
            variance: 0.5 * matrix.norm_squared() + b.norm_squared(),
            above: eigenvalues.iter().fold(0.0, |c: f64, &l| c.max(l)),
            below: eigenvalues.iter().fold(0.0, |c: f64, &l| c.max(-l)),
        })
    }

    /// For values between `lower` and `upper`: v = (upper − lower)²/4 and no scale.
    ///
    /// # Errors
    /// [`Error::Domain`] unless lower < upper, both finite.
    ///
    /// Source: Hoeffding (1963), *Journal of the American Statistical Association* 58, theorem 2.
    pub fn bounded(lower: f64, upper: f64) -> Result<Self> {
        let width = upper - lower;
        if !(width > 0.0 && width.is_finite()) {
            return Err(Error::Domain {
                what: "the width of the values' range",
                value: width,
                domain: "positive and finite",
            });
        }
        Ok(Self::SubGamma { variance: width * width / 4.0, above: 0.0, below: 0.0 })
    }

    /// For entry (i, j) of the maximum likelihood covariance Σ̂ = S/n of n normal samples with covariance Σ: a quadratic form
    /// with v = (n−1)/n² (ΣᵢᵢΣⱼⱼ + Σᵢⱼ²) and c± = (√(ΣᵢᵢΣⱼⱼ) ± Σᵢⱼ)/n.
    ///
    /// # Errors
    /// [`Error::Shape`] if i or j is not a row of Σ, [`Error::Domain`] for n < 2.
    pub fn covariance_entry(covariance: &DMatrix<f64>, i: usize, j: usize, n: usize) -> Result<Self> {
        if i.max(j) >= covariance.nrows() {
            let found = format!("({i}, {j})");
            return Err(Error::Shape {
                what: "the covariance's entry",
                expected: format!("below {}", covariance.nrows()),
                found,
            });
        }
        if n < 2 {
            return Err(Error::Domain {
                what: "the number of samples in a covariance",
                value: n as f64,
                domain: "at least 2",
            });
        }
        let (product, entry, n) = (covariance[(i, i)] * covariance[(j, j)], covariance[(i, j)], n as f64);
        Ok(Self::SubGamma {
            variance: (n - 1.0) / (n * n) * (product + entry * entry),
            above: (product.sqrt() + entry) / n,
            // Zero on the diagonal; the difference may round to below.
            below: ((product.sqrt() - entry) / n).max(0.0),
        })
    }

    /// The distances (below, above) that the mean of `samples` values keeps from its expectation but for the probability
    /// `error`, half of it on each side. `variance` is the samples' own, which [`Bound::CentralLimit`] alone looks at.
    pub fn radius(&self, samples: u64, error: f64, variance: f64) -> (f64, f64) {
        let (n, t) = (samples as f64, (2.0 / error).ln());
        match *self {
            Self::SubGamma { variance: v, above, below } => {
                let normal = (2.0 * v * t / n).sqrt();
                // An estimate above its expectation is a closed form below the estimate.
                (normal + below * t / n, normal + above * t / n)
            }
            Self::Lipschitz(l) => {
                let radius = l * (2.0 * t / n).sqrt();
                (radius, radius)
            }
            Self::CentralLimit => {
                let radius = std::f64::consts::SQRT_2 * erfc_inv(error) * (variance / n).sqrt();
                (radius, radius)
            }
        }
    }

    /// The smallest error that is caught with the probabilities of `power`: a closed form that is too large by this lies outside
    /// the radius unless the estimate strays above by the miss's, and the other way round. NaN if they are no probabilities.
    fn resolution(&self, samples: u64, power: Power, variance: f64) -> f64 {
        let Power { false_alarm, miss, .. } = power;
        if ![false_alarm, miss].iter().all(|&p| p > 0.0 && p < 1.0) {
            return f64::NAN;
        }
        let (radius, miss) = (self.radius(samples, false_alarm, variance), self.radius(samples, miss, variance));
        (radius.0 + miss.1).max(radius.1 + miss.0)
    }

    /// The smallest N at which `power` is kept: radius(false alarm) + radius(miss) ≤ discrepancy.
    ///
    /// # Errors
    /// [`Error::Domain`] if a probability of `power` is not between 0 and 1 or the discrepancy is not positive, and for
    /// [`Bound::CentralLimit`], whose radius is known only once the samples are.
    pub fn min_samples(&self, power: Power) -> Result<u64> {
        let Power { false_alarm, miss, discrepancy } = power;
        for (what, value) in [("the false alarm", false_alarm), ("the miss", miss)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::Domain { what, value, domain: "between 0 and 1" });
            }
        }
        if !(discrepancy > 0.0 && discrepancy.is_finite()) {
            return Err(Error::Domain { what: "the discrepancy", value: discrepancy, domain: "positive and finite" });
        }
        let (v, above, below) = match *self {
            Self::SubGamma { variance, above, below } => (variance, above, below),
            Self::Lipschitz(l) => (l * l, 0.0, 0.0),
            Self::CentralLimit => {
                return Err(Error::Domain {
                    what: "the variance of a central limit",
                    value: f64::NAN,
                    domain: "known beforehand",
                });
            }
        };
        // With u = 1/√N both radii together are a u² + b u; the positive root of a u² + b u = discrepancy, free of cancellation.
        let (s, t) = ((2.0 / false_alarm).ln(), (2.0 / miss).ln());
        let a = (below * s + above * t).max(above * s + below * t);
        let b = (2.0 * v).sqrt() * (s.sqrt() + t.sqrt());
        let u = 2.0 * discrepancy / (b + (b * b + 4.0 * a * discrepancy).sqrt());
        Ok((1.0 / (u * u)).ceil().max(1.0) as u64)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::SubGamma { .. } => "sub-gamma",
            Self::Lipschitz(_) => "Lipschitz",
            Self::CentralLimit => "central limit",
        }
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
    /// A sample, the closed form or a radius is NaN or infinite.
    NonFinite,
}

/// A closed form against the mean of random samples. All fields are to be given: nothing about a test is left to a default.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let bound = Bound::quadratic(&dvector![0.0], &dmatrix![2.0])?; // z² = ½ z·2·z
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
/// let report = MonteCarlo {
///     claim: "R7", name: "E[Z²]", closed_form: 1.0, bound, power, samples: bound.min_samples(power)?,
/// }
/// .check(|rng| { let z: f64 = StandardNormal.sample(rng); z * z });
/// assert!(report.stands());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MonteCarlo<'a> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name and seed, so no two checks share it.
    pub name: &'a str,
    /// The value to be held against the estimate.
    pub closed_form: f64,
    /// The bound that holds for the samples.
    pub bound: Bound,
    /// The error probabilities and the error to be caught.
    pub power: Power,
    /// The number N of samples.
    pub samples: u64,
}

impl MonteCarlo<'_> {
    /// Draws the samples, in parallel and from the check's own seed, and gives the verdict; it stands if that is
    /// [`Verdict::Consistent`].
    pub fn check(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.report(Verdict::Consistent, sample)
    }

    /// The same for a formula that is known to be wrong; it stands if the verdict is [`Verdict::Refuted`].
    pub fn expect_refuted(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.report(Verdict::Refuted, sample)
    }

    fn report(&self, expected: Verdict, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        let drawn = estimate(&format!("{} {}", self.claim, self.name), self.samples, sample);
        let Power { false_alarm, miss, discrepancy } = self.power;
        let (below, above) = self.bound.radius(self.samples, false_alarm, drawn.variance());
        let guaranteed = self.bound != Bound::CentralLimit;
        Report {
            claim: self.claim.into(),
            name: self.name.into(),
            method: self.bound.name().into(),
            verdict: verdict(
                drawn.mean() - self.closed_form,
                (below, above),
                self.bound.resolution(self.samples, self.power, drawn.variance()),
                discrepancy,
            ),
            expected,
            estimate: drawn.mean(),
            closed_form: self.closed_form,
            radius_below: below,
            radius_above: above,
            samples: self.samples,
            discrepancy,
            miss,
            false_alarm,
            guaranteed,
        }
        .published()
    }
}

/// A closed form against a value that shares no code with it and has no random error: quadrature, finite differences, another
/// algorithm.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let report = Exact { claim: "M1", name: "a sum", closed_form: 5050.0, oracle: (1..=100).sum::<i32>() as f64, error: 0.0, discrepancy: 1.0 }.check();
/// assert!(report.stands());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Exact<'a, C, O> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name.
    pub name: &'a str,
    /// The number, vector or matrix to be held against the oracle.
    pub closed_form: C,
    /// The same by other means.
    pub oracle: O,
    /// How far the oracle may be from the truth, per entry: its truncation and rounding error.
    pub error: f64,
    /// The smallest absolute error that must be caught; at least twice `error`.
    pub discrepancy: f64,
}

impl<C: Entries, O: Entries> Exact<'_, C, O> {
    /// Compares entry by entry; stands if all agree. The report shows the entry that differs most.
    pub fn check(&self) -> Report {
        self.report(Verdict::Consistent)
    }

    /// The same for a formula that is known to be wrong; stands if some entry is refuted.
    pub fn expect_refuted(&self) -> Report {
        self.report(Verdict::Refuted)
    }

    fn report(&self, expected: Verdict) -> Report {
        let (closed_form, oracle) = (self.closed_form.entries(), self.oracle.entries());
        let same_shape = self.closed_form.shape() == self.oracle.shape() && !oracle.is_empty();
        // A NaN difference counts as the largest, so that it cannot hide behind another entry.
        let worst = closed_form
            .into_iter()
            .zip(oracle)
            .max_by(|(a, b), (c, d)| (b - a).abs().total_cmp(&(d - c).abs()))
            .filter(|_| same_shape);
        let (closed_form, estimate) = worst.unwrap_or((f64::NAN, f64::NAN));
        Report {
            claim: self.claim.into(),
            name: self.name.into(),
            method: "exact".into(),
            verdict: verdict(estimate - closed_form, (self.error, self.error), 2.0 * self.error, self.discrepancy),
            expected,
            estimate,
            closed_form,
            radius_below: self.error,
            radius_above: self.error,
            samples: 0,
            discrepancy: self.discrepancy,
            miss: 0.0,
            false_alarm: 0.0,
            guaranteed: true,
        }
        .published()
    }
}

/// `radii` are those below and above the expectation; `resolution` is the error that the test tells apart for certain.
fn verdict(difference: f64, radii: (f64, f64), resolution: f64, discrepancy: f64) -> Verdict {
    if !(difference.is_finite() && resolution.is_finite() && radii.0 >= 0.0 && radii.1 >= 0.0) {
        Verdict::NonFinite
    } else if discrepancy.is_nan() || resolution > discrepancy {
        Verdict::Underpowered
    } else if -radii.0 <= difference && difference <= radii.1 {
        Verdict::Consistent
    } else {
        Verdict::Refuted
    }
}

/// A number, vector or matrix, entry by entry.
pub trait Entries {
    /// The entries, column by column.
    fn entries(&self) -> Vec<f64>;
    /// The numbers of rows and columns.
    fn shape(&self) -> (usize, usize);
}

impl Entries for f64 {
    fn entries(&self) -> Vec<f64> {
        vec![*self]
    }
    fn shape(&self) -> (usize, usize) {
        (1, 1)
    }
}

impl Entries for DVector<f64> {
    fn entries(&self) -> Vec<f64> {
        self.as_slice().to_vec()
    }
    fn shape(&self) -> (usize, usize) {
        (self.len(), 1)
    }
}

impl Entries for DMatrix<f64> {
    fn entries(&self) -> Vec<f64> {
        self.as_slice().to_vec()
    }
    fn shape(&self) -> (usize, usize) {
        DMatrix::shape(self)
    }
}

impl<T: Entries> Entries for &T {
    fn entries(&self) -> Vec<f64> {
        (**self).entries()
    }
    fn shape(&self) -> (usize, usize) {
        (**self).shape()
    }
}

/// The outcome of a check, as it is printed and as a run of the notebooks reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The id of the claim.
    pub claim: String,
    /// What was checked.
    pub name: String,
    /// The bound, or "exact".
    pub method: String,
    /// What was found.
    pub verdict: Verdict,
    /// What ought to be found.
    pub expected: Verdict,
    /// The estimate or the oracle's value.
    pub estimate: f64,
    /// The closed form.
    pub closed_form: f64,
    /// How far the estimate may lie below its expectation.
    pub radius_below: f64,
    /// How far it may lie above.
    pub radius_above: f64,
    /// The number of samples, 0 for an exact check.
    pub samples: u64,
    /// The error that is caught but for the miss.
    pub discrepancy: f64,
    /// The probability that such an error is missed.
    pub miss: f64,
    /// The probability that a right formula is refuted.
    pub false_alarm: f64,
    /// Whether the bound holds at this N, or only as N grows.
    pub guaranteed: bool,
}

impl Report {
    /// Whether the verdict is the expected one.
    pub fn stands(&self) -> bool {
        self.verdict == self.expected
    }

    /// Prints the line and appends the report to the run's file.
    fn published(self) -> Self {
        println!("{self}");
        if let Some(path) = std::env::var_os(REPORT_VARIABLE) {
            let appended = serde_json::to_vec(&self).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                std::fs::OpenOptions::new().create(true).append(true).open(&path)?.write_all(&line)
            });
            if let Err(error) = appended {
                // Any text on standard error fails a run, so a report that is lost does not pass for a check that was made.
                eprintln!("the report of this check could not be written to {}: {error}", path.display());
            }
        }
        self
    }
}

impl fmt::Display for Report {
    /// One line: claim, name, verdict, estimate ± radius, closed form, and what the test promises.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.stands() { '✓' } else { '✗' };
        let verdict = match (self.verdict, self.expected) {
            (Verdict::Consistent, Verdict::Refuted) => "CONSISTENT, though a refutation was expected",
            (Verdict::Consistent, _) => "consistent",
            (Verdict::Refuted, Verdict::Refuted) => "refuted, as expected",
            (Verdict::Refuted, _) => "REFUTED",
            (Verdict::Underpowered, _) => "UNDERPOWERED: take more samples or a larger discrepancy",
            (Verdict::NonFinite, _) => "NOT FINITE: the values hold NaN or infinity, or their shapes differ",
        };
        let radius = self.radius_below.max(self.radius_above);
        let (estimate, closed_form) = (to_error(self.estimate, radius), to_error(self.closed_form, radius / 10.0));
        let radius = significant(radius, 2);
        write!(f, "{sign} {} {}: {verdict}; {estimate} ± {radius}, closed form {closed_form}", self.claim, self.name)?;
        if self.samples > 0 {
            let guarantee = if self.guaranteed { "" } else { ", asymptotic" };
            let false_alarm = significant(self.false_alarm, 2);
            write!(f, "; N = {}, false alarm {false_alarm} ({}{guarantee})", self.samples, self.method)?;
        }
        write!(f, ", catches {}", significant(self.discrepancy, 2))
    }
}

/// A value to the place of its error's second digit; what is smaller than that is noise.
fn to_error(value: f64, error: f64) -> String {
    if !(error > 0.0 && error.is_finite() && value.is_finite()) {
        return significant(value, 8);
    }
    let digits = value.abs().log10().floor() - error.log10().floor() + 2.0;
    if digits < 1.0 { "0".to_owned() } else { significant(value, digits.min(17.0) as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian::Gaussian;
    use nalgebra::{dmatrix, dvector};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    const POWER: Power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };

    fn normal(rng: &mut Generator) -> f64 {
        rng.sample(StandardNormal)
    }

    /// A test of E Z² = `closed_form`.
    fn square(name: &str, closed_form: f64, samples: u64) -> MonteCarlo<'_> {
        let bound = Bound::quadratic(&dvector![0.0], &dmatrix![2.0]).unwrap();
        MonteCarlo { claim: "R7", name, closed_form, bound, power: POWER, samples }
    }

    #[test]
    fn a_right_formula_stands_and_a_wrong_one_does_not() {
        let samples = square("", 1.0, 1).bound.min_samples(POWER).unwrap();
        assert!(square("right", 1.0, samples).check(|rng| normal(rng).powi(2)).stands());
        for (name, wrong) in [("above", 1.05), ("below", 0.95)] {
            let report = square(name, wrong, samples).check(|rng| normal(rng).powi(2));
            assert_eq!(report.verdict, Verdict::Refuted);
            assert!(square(name, wrong, samples).expect_refuted(|rng| normal(rng).powi(2)).stands());
        }
        assert!(!square("right", 1.0, samples).expect_refuted(|rng| normal(rng).powi(2)).stands());
    }

    #[test]
    fn too_few_samples_are_no_pass() {
        let samples = square("", 1.0, 1).bound.min_samples(POWER).unwrap();
        for few in [0, 1, samples - 1] {
            assert!(!square("few", 1.0, few).check(|rng| normal(rng).powi(2)).stands());
        }
        assert_eq!(square("few", 1.0, samples - 1).check(normal).verdict, Verdict::Underpowered);
        assert!(!square("few", 9.0, 10).expect_refuted(normal).stands(), "a weak test refutes nothing");
    }

    #[test]
    fn a_promise_that_is_no_probability_is_no_pass() {
        for (false_alarm, miss) in [(1e-9, 2.0), (0.0, 1e-3), (f64::NAN, 1e-3), (1.0, 1e-3)] {
            let power = Power { false_alarm, miss, discrepancy: 0.05 };
            let check = MonteCarlo { power, ..square("no promise", 1.0, 1_000_000) };
            assert_eq!(check.check(|_| 1.0).verdict, Verdict::NonFinite);
        }
    }

    #[test]
    fn what_is_not_finite_never_passes() {
        for (name, value) in [("nan", f64::NAN), ("inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)] {
            let samples = square("", 1.0, 1).bound.min_samples(POWER).unwrap();
            let report = square(name, 1.0, samples).check(|rng| if rng.random_bool(1e-3) { value } else { 1.0 });
            assert_eq!(report.verdict, Verdict::NonFinite);
            assert_eq!(square(name, value, samples).check(normal).verdict, Verdict::NonFinite);
        }
    }

    #[test]
    fn exact_checks_compare_every_entry() {
        let check = |closed_form: DVector<f64>, oracle: DVector<f64>| {
            Exact { claim: "X", name: "entries", closed_form, oracle, error: 1e-3, discrepancy: 1e-2 }.check()
        };
        assert!(check(dvector![1.0, 2.0], dvector![1.0005, 1.9995]).stands());
        let report = check(dvector![1.0, 2.0, 3.0], dvector![1.0, 2.1, 3.01]);
        assert_eq!((report.verdict, report.closed_form, report.estimate), (Verdict::Refuted, 2.0, 2.1));
        for (closed_form, oracle) in [
            (dvector![1.0, f64::NAN], dvector![9.0, 2.0]),
            (dvector![1.0, 2.0], dvector![f64::NAN, 2.0]),
            (dvector![1.0, f64::INFINITY], dvector![1.0, f64::INFINITY]),
            (dvector![1.0], dvector![1.0, 1.0]),
            (DVector::zeros(0), DVector::zeros(0)),
        ] {
            assert_eq!(check(closed_form, oracle).verdict, Verdict::NonFinite);
        }
        let transposed = Exact {
            claim: "X",
            name: "shapes",
            closed_form: DMatrix::<f64>::zeros(1, 2),
            oracle: DMatrix::<f64>::zeros(2, 1),
            error: 0.0,
            discrepancy: 1.0,
        };
        assert_eq!(transposed.check().verdict, Verdict::NonFinite);
        let weak = Exact { claim: "X", name: "weak", closed_form: 1.0, oracle: 1.0, error: 1.0, discrepancy: 1.0 };
        assert_eq!(weak.check().verdict, Verdict::Underpowered);
        let negative =
            Exact { claim: "X", name: "negative", closed_form: 1.0, oracle: 1.0, error: -1.0, discrepancy: 1.0 };
        assert_eq!(negative.expect_refuted().verdict, Verdict::NonFinite);
    }

    #[test]
    fn min_samples_is_the_smallest_number_that_keeps_the_promise() {
        let skew = Bound::SubGamma { variance: 2.0, above: 3.0, below: 0.5 };
        for bound in [skew, Bound::Lipschitz(1.7), square("", 1.0, 1).bound] {
            for discrepancy in [1e-3, 0.1, 10.0] {
                let power = Power { discrepancy, ..POWER };
                let samples = bound.min_samples(power).unwrap();
                let resolution = |samples| bound.resolution(samples, power, 0.0);
                assert!(resolution(samples) <= discrepancy * (1.0 + 1e-12));
                assert!(samples == 1 || resolution(samples - 1) > discrepancy * (1.0 - 1e-12));
            }
        }
        assert!(skew.min_samples(Power { miss: 0.0, ..POWER }).is_err());
        assert!(skew.min_samples(Power { false_alarm: f64::NAN, ..POWER }).is_err());
        assert!(skew.min_samples(Power { discrepancy: 0.0, ..POWER }).is_err());
        assert!(Bound::CentralLimit.min_samples(POWER).is_err());
        assert!(Bound::bounded(1.0, 1.0).is_err() && Bound::bounded(0.0, f64::INFINITY).is_err());
    }

    #[test]
    fn the_bound_of_a_covariance_entry_is_that_of_its_quadratic_form() {
        // Entry (i, j) of S/n is ½ zᵀBz with B = C ⊗ (aᵢaⱼᵀ + aⱼaᵢᵀ)/n, C the centring matrix and aᵢ row i of the factor of Σ.
        let (sigma, n) = (dmatrix![2.0, 0.7; 0.7, 1.0], 4);
        let p = Gaussian::new(DVector::zeros(2), sigma.clone()).unwrap();
        let row = |i| p.cholesky_factor().row(i).transpose();
        let centring = DMatrix::identity(n, n) - DMatrix::from_element(n, n, 1.0 / n as f64);
        for (i, j) in [(0, 0), (0, 1), (1, 1)] {
            let outer: DMatrix<f64> = row(i) * row(j).transpose() + row(j) * row(i).transpose();
            let form = centring.kronecker(&(outer / n as f64));
            let Bound::SubGamma { variance, above, below } = Bound::quadratic(&DVector::zeros(2 * n), &form).unwrap()
            else {
                unreachable!()
            };
            let Bound::SubGamma { variance: v, above: a, below: b } = Bound::covariance_entry(&sigma, i, j, n).unwrap()
            else {
                unreachable!()
            };
            assert!((variance - v).abs() < 1e-14 && (above - a).abs() < 1e-14 && (below - b).abs() < 1e-14);
        }
        assert!(Bound::covariance_entry(&sigma, 0, 2, n).is_err());
        assert!(Bound::covariance_entry(&sigma, 0, 0, 1).is_err());
    }

    /// Over 1000 seeds, how often does a right formula fail at a false alarm of 5 %?
    fn failures(bound: Bound, closed_form: f64, sample: impl Fn(&mut Generator) -> f64 + Sync) -> usize {
        let power = Power { false_alarm: 0.05, miss: 0.5, discrepancy: 1e9 };
        let fails = |seed: &usize| {
            let name = format!("calibration {bound:?} {seed}");
            let check = MonteCarlo { claim: "X", name: &name, closed_form, bound, power, samples: 200 };
            check.check(&sample).verdict == Verdict::Refuted
        };
        (0..1000).filter(fails).count()
    }

    #[test]
    fn bounds_keep_their_false_alarm() {
        // 87 and 20 are exceeded by a binomial of 1000 draws at 5 % with probability below 1e-6 each.
        assert!(failures(square("", 1.0, 1).bound, 1.0, |rng| normal(rng).powi(2)) <= 87);
        assert!(failures(Bound::bounded(0.0, 1.0).unwrap(), 0.5, |rng| rng.random()) <= 87);
        assert!(failures(Bound::Lipschitz(1.0), (2.0 / std::f64::consts::PI).sqrt(), |rng| normal(rng).abs()) <= 87);
        let central_limit = failures(Bound::CentralLimit, 0.0, normal);
        assert!((20..=87).contains(&central_limit), "{central_limit} of 1000");
    }

    #[test]
    fn a_report_reads_as_one_line() {
        let report = Exact { claim: "M1", name: "a sum", closed_form: 1.0, oracle: 1.5, error: 1e-3, discrepancy: 0.1 };
        assert_eq!(report.check().to_string(), "✗ M1 a sum: REFUTED; 1.5 ± 0.001, closed form 1, catches 0.1");
        let report = square("E Z²", 1.0, 100_000).check(|_| 1.001).to_string();
        assert_eq!(
            report,
            "✓ R7 E Z²: consistent; 1.001 ± 0.03, closed form 1; N = 100000, false alarm 1e-9 (sub-gamma), catches 0.05"
        );
    }
}
