//! Numerical integrals with an estimate of their error: the oracle that shares no code with a closed form.
//!
//! | function | integral |
//! |---|---|
//! | [`integrate`] | over \[a, b\], by Gauss–Legendre panels that are halved where two orders differ |
//! | [`integrate_half_line`], [`integrate_line`] | over \[a, ∞), (−∞, a\] and ℝ, by the double exponential transformation |
//! | [`gauss_hermite`] | E f(X) for X ~ N(μ, Σ) in at most 5 dimensions |
//! | [`cubature`] | the same for a quadratic f, exactly, in any dimension |
//!
//! Integrals in several variables are nested; the inner one's error counts in the outer one's. No rule sees a peak that lies
//! between all its points, so ranges and scales are to be those on which the integrand lives.

use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian};
use gauss_quad::hermite::GaussHermite;
use gauss_quad::legendre::GaussLegendre;
use nalgebra::{DMatrix, DVector};
use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};
use std::num::NonZeroUsize;
use std::sync::LazyLock;

/// The value of an integral and how far it may be from the truth.
///
/// The error is at least the difference of two rules, of which the better one gives the value, and one unit in the last place of ∫|f| for
/// each term of the sum. It holds for an integrand that the rules resolve and that is itself computed to the last places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quadrature {
    /// The value.
    pub value: f64,
    /// The estimated absolute error.
    pub error: f64,
}

/// What an integrand may return: a number, an inner integral, or the result of either.
pub trait Integrand {
    /// The value, with the error that it carries.
    ///
    /// # Errors
    /// Those of the integrand.
    fn quadrature(self) -> Result<Quadrature>;
}

impl Integrand for f64 {
    fn quadrature(self) -> Result<Quadrature> {
        Ok(Quadrature { value: self, error: 0.0 })
    }
}

impl Integrand for Quadrature {
    fn quadrature(self) -> Result<Quadrature> {
        Ok(self)
    }
}

impl<T: Integrand> Integrand for Result<T> {
    fn quadrature(self) -> Result<Quadrature> {
        self?.quadrature()
    }
}

/// An integrand by reference: the rules are compiled here, once, and not with each integrand, as a notebook's cell would have to.
type Evaluate<'a> = &'a dyn Fn(f64) -> Result<Quadrature>;

/// The same of several variables.
type EvaluateAt<'a> = &'a dyn Fn(&DVector<f64>) -> Result<Quadrature>;

/// A weighted sum of an integrand's values.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    /// The sum of the absolute values.
    magnitude: f64,
    /// The sum of the errors that the values carry.
    inner: f64,
    terms: usize,
}

impl Sum {
    fn add(&mut self, weight: f64, f: Result<Quadrature>, at: impl Fn() -> String) -> Result<()> {
        let Quadrature { value, error } = f?;
        if !value.is_finite() {
            return Err(Error::NotFinite { what: "the integrand", value, at: at() });
        }
        *self =
            self.plus(Self { value: weight * value, magnitude: weight * value.abs(), inner: weight * error, terms: 1 });
        Ok(())
    }

    fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            magnitude: self.magnitude + other.magnitude,
            inner: self.inner + other.inner,
            terms: self.terms + other.terms,
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            magnitude: factor * self.magnitude,
            inner: factor * self.inner,
            terms: self.terms,
        }
    }

    fn rounding(&self) -> f64 {
        self.terms as f64 * f64::EPSILON * self.magnitude
    }

    fn with_truncation(&self, truncation: f64) -> Quadrature {
        Quadrature { value: self.value, error: truncation + self.inner + self.rounding() }
    }
}

fn check_tolerance(tolerance: f64) -> Result<()> {
    if tolerance > 0.0 && tolerance.is_finite() {
        return Ok(());
    }
    Err(Error::Domain { what: "the integral's tolerance", value: tolerance, domain: "positive and finite" })
}

fn not_converged(found: Quadrature, tolerance: f64) -> Error {
    Error::NotConverged { what: "the integral", value: found.value, error: found.error, tolerance }
}

/// The orders whose difference is a panel's error, the better one last. They share no node.
static LEGENDRE: LazyLock<[GaussLegendre; 2]> = LazyLock::new(|| [10, 21].map(|n| GaussLegendre::new(order(n))));

fn order(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

/// More panels than this are a sign of an integrand that no refinement resolves.
const MOST_PANELS: usize = 4096;

struct Panel {
    a: f64,
    b: f64,
    sum: Sum,
    /// The difference of the two orders, or what the last halving changed if that is more.
    truncation: f64,
    /// What is expected of further halving in all.
    error: f64,
}

impl Panel {
    fn new(a: f64, b: f64, f: Evaluate) -> Result<Self> {
        // Halved before they are added, so that no range of finite limits overflows.
        let (center, half) = (0.5 * a + 0.5 * b, 0.5 * b - 0.5 * a);
        let apply = |rule: &GaussLegendre| -> Result<Sum> {
            let mut sum = Sum::default();
            for &(t, weight) in rule.as_node_weight_pairs() {
                let x = center + half * t;
                sum.add(weight, f(x), || format!("x = {x}"))?;
            }
            Ok(sum.times(half))
        };
        let (rough, sum) = (apply(&LEGENDRE[0])?, apply(&LEGENDRE[1])?);
        let truncation = (rough.value - sum.value).abs();
        Ok(Self { a, b, sum, truncation, error: truncation })
    }

    /// The two halves. By luck two orders may agree across a jump, but then hardly the whole with its halves as well. Where the
    /// integrand is smooth, next to nothing is left of the truncation; at a singularity each halving leaves about the same share ρ, so
    /// that all further corrections add up to truncation / (1 − ρ).
    fn halves(&self, f: Evaluate) -> Result<[Self; 2]> {
        let mut halves = [Self::new(self.a, self.middle(), f)?, Self::new(self.middle(), self.b, f)?];
        let change = (self.sum.value - halves[0].sum.value - halves[1].sum.value).abs();
        for half in &mut halves {
            half.truncation = half.truncation.max(change);
            let share = if half.is_rounding() { 0.0 } else { (half.truncation / self.truncation).min(0.99) };
            half.error = half.truncation / (1.0 - share);
        }
        Ok(halves)
    }

    fn is_rounding(&self) -> bool {
        self.truncation <= self.sum.rounding()
    }

    fn middle(&self) -> f64 {
        0.5 * self.a + 0.5 * self.b
    }

    /// Whether halving can lower the error: it is no rounding, and there are numbers between the ends.
    fn can_improve(&self) -> bool {
        !self.is_rounding() && self.a < self.middle() && self.middle() < self.b
    }
}

/// ∫ f(x) dx over \[a, b\] to the absolute error `tolerance`, by Gauss–Legendre panels: each is the rule of order 21, its error the
/// difference to order 10 or what the last halving changed if that is more, with what further ones would add. Panels are halved until
/// the errors' sum is small enough. It is 0 for a = b.
///
/// A singularity |x − a|ᵖ at an end costs more panels, and the error holds (tested for p ≥ −¾). At a kink or a jump inside, split the
/// range: samples of f do not tell where between them it lies, and the error is then too small now and then.
///
/// # Errors
/// [`Error::Domain`] unless a ≤ b, both finite, and the tolerance is positive; [`Error::NotFinite`] with the x at which f is NaN or
/// infinite; [`Error::NotConverged`] with the error that was reached; those of f.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let arc = integrate(0.0, 1.0, 1e-12, |x: f64| (1.0 - x * x).sqrt())?;
/// assert!((arc.value - PI / 4.0).abs() <= arc.error && arc.error <= 1e-12);
/// // The area of a disc as a nested integral; the inner tolerance is below the outer one.
/// let disc = integrate(-1.0, 1.0, 1e-8, |x: f64| {
///     let half = (1.0 - x * x).sqrt();
///     integrate(-half, half, 1e-10, |_| 1.0)
/// })?;
/// assert!((disc.value - PI).abs() <= disc.error);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Davis and Rabinowitz (1984), *Methods of Numerical Integration*, 2nd ed., §§2.7 and 6.2.
pub fn integrate<T: Integrand>(a: f64, b: f64, tolerance: f64, f: impl Fn(f64) -> T) -> Result<Quadrature> {
    legendre(a, b, tolerance, &|x| f(x).quadrature())
}

fn legendre(a: f64, b: f64, tolerance: f64, f: Evaluate) -> Result<Quadrature> {
    check_tolerance(tolerance)?;
    for (what, value) in [("the lower limit", a), ("the upper limit", b)] {
        if !value.is_finite() {
            let domain = "finite; take integrate_half_line or integrate_line for an unbounded range";
            return Err(Error::Domain { what, value, domain });
        }
    }
    if a > b {
        let domain = "at most the upper limit; swap the two and change the sign";
        return Err(Error::Domain { what: "the lower limit", value: a, domain });
    }
    if a == b {
        return Ok(Quadrature { value: 0.0, error: 0.0 });
    }
    let whole = Panel::new(a, b, f)?;
    let mut panels = vec![];
    for half in whole.halves(f)? {
        panels.extend(half.halves(f)?);
    }
    loop {
        let sum = panels.iter().fold(Sum::default(), |sum, panel| sum.plus(panel.sum));
        let found = sum.with_truncation(panels.iter().map(|panel| panel.error).sum());
        if found.error <= tolerance {
            return Ok(found);
        }
        let share = 0.5 * tolerance / panels.len() as f64;
        let (rough, done): (Vec<_>, Vec<_>) =
            panels.into_iter().partition(|panel| panel.error > share && panel.can_improve());
        if rough.is_empty() || done.len() + 2 * rough.len() > MOST_PANELS {
            return Err(not_converged(found, tolerance));
        }
        panels = done;
        for panel in rough {
            panels.extend(panel.halves(f)?);
        }
    }
}

/// ∫ f(x) dx over \[a, ∞) for a positive `scale`, over (−∞, a\] for a negative one, to the absolute error `tolerance`: the
/// trapezoidal rule in t with x = a + scale · exp(π/2 sinh t), its step halved until two sums agree.
///
/// For a smooth f that varies on lengths of about |scale| near a. A tail that falls like a power of x is cut at 1e35 scales, and what may
/// be missing there counts as error. f may be singular at a = 0; a singularity elsewhere is to be shifted there, where numbers are dense.
///
/// # Errors
/// [`Error::Domain`] unless a is finite, 1e-150 ≤ |scale| ≤ 1e150 and the tolerance is positive; [`Error::NotFinite`] with the x at
/// which f is NaN or infinite; [`Error::NotConverged`] with the error that was reached; those of f.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let gamma_half = integrate_half_line(0.0, 1.0, 1e-12, |x: f64| (-x).exp() / x.sqrt())?;
/// assert!((gamma_half.value - PI.sqrt()).abs() <= gamma_half.error);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Takahasi and Mori (1974), *Publications of the Research Institute for Mathematical Sciences* 9, 721–741.
pub fn integrate_half_line<T: Integrand>(
    a: f64,
    scale: f64,
    tolerance: f64,
    f: impl Fn(f64) -> T,
) -> Result<Quadrature> {
    check_place(a, scale)?;
    let node = |t: f64| {
        let growth = scale * (FRAC_PI_2 * t.sinh()).exp();
        (a + growth, growth.abs() * FRAC_PI_2 * t.cosh())
    };
    // From 1e-138 to 1e35 times the scale.
    trapezoidal(-6.0, 4.625, tolerance, &node, &|x| f(x).quadrature())
}

/// ∫ f(x) dx over ℝ to the absolute error `tolerance`: the trapezoidal rule in t with x = center + scale · sinh(π/2 sinh t), its step
/// halved until two sums agree.
///
/// For a smooth f that varies on lengths of about `scale` near `center`. A tail that falls like a power of x is cut at 1e35 scales, and
/// what may be missing there counts as error.
///
/// # Errors
/// [`Error::Domain`] unless the centre is finite, 1e-150 ≤ scale ≤ 1e150 and the tolerance is positive; [`Error::NotFinite`] with the x
/// at which f is NaN or infinite; [`Error::NotConverged`] with the error that was reached; those of f.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::univariate(3.0, 0.25)?;
/// let total = integrate_line(3.0, 0.5, 1e-12, |x| p.ln_pdf(&dvector![x]).map(f64::exp))?;
/// assert!((total.value - 1.0).abs() <= total.error);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Takahasi and Mori (1974), *Publications of the Research Institute for Mathematical Sciences* 9, 721–741.
pub fn integrate_line<T: Integrand>(
    center: f64,
    scale: f64,
    tolerance: f64,
    f: impl Fn(f64) -> T,
) -> Result<Quadrature> {
    check_line(center, scale)?;
    let node = |t: f64| {
        let u = FRAC_PI_2 * t.sinh();
        (center + scale * u.sinh(), scale * u.cosh() * FRAC_PI_2 * t.cosh())
    };
    trapezoidal(-4.625, 4.625, tolerance, &node, &|x| f(x).quadrature())
}

pub(crate) fn check_line(center: f64, scale: f64) -> Result<()> {
    check_place(center, scale)?;
    if scale < 0.0 {
        return Err(Error::Domain { what: "the integrand's scale", value: scale, domain: "positive" });
    }
    Ok(())
}

fn check_place(place: f64, scale: f64) -> Result<()> {
    if !place.is_finite() {
        return Err(Error::Domain { what: "the place of the integrand", value: place, domain: "finite" });
    }
    if !(1e-150..=1e150).contains(&scale.abs()) {
        let domain = "between 1e-150 and 1e150 in absolute value; rescale the variable";
        return Err(Error::Domain { what: "the integrand's scale", value: scale, domain });
    }
    Ok(())
}

/// The steps of the trapezoidal rule are 2⁻³ to 2⁻¹².
const STEPS: std::ops::RangeInclusive<i32> = 3..=12;

/// ∫ f(x(t)) x′(t) dt from `first` to `last`, multiples of 1/8 beyond which nothing is left, with `node` for (x, x′). What the terms at
/// the two ends amount to counts as error.
fn trapezoidal(
    first: f64,
    last: f64,
    tolerance: f64,
    node: &dyn Fn(f64) -> (f64, f64),
    f: Evaluate,
) -> Result<Quadrature> {
    check_tolerance(tolerance)?;
    let sum_over = |ts: &mut dyn Iterator<Item = f64>| -> Result<Sum> {
        let mut sum = Sum::default();
        for t in ts {
            let (x, slope) = node(t);
            sum.add(slope, f(x), || format!("x = {x}"))?;
        }
        Ok(sum)
    };
    let ends = sum_over(&mut [first, last].into_iter())?.magnitude;
    let steps = |step: f64| ((last - first) / step) as usize;
    let mut step = 0.5_f64.powi(*STEPS.start());
    let mut sum = sum_over(&mut (0..=steps(step)).map(|i| first + i as f64 * step))?;
    loop {
        let rough = step * sum.value;
        step *= 0.5;
        // The points in between.
        sum = sum.plus(sum_over(&mut (0..steps(step)).step_by(2).map(|i| first + (i + 1) as f64 * step))?);
        let found = sum.times(step);
        let found = found.with_truncation((rough - found.value).abs() + ends);
        if found.error <= tolerance {
            return Ok(found);
        }
        if step <= 0.5_f64.powi(*STEPS.end()) {
            return Err(not_converged(found, tolerance));
        }
    }
}

/// E f(X) for X ~ N(μ, Σ) to the absolute error `tolerance`, by the tensor product of Gauss–Hermite rules at x = μ + √2 A t with
/// A Aᵀ = Σ; the order is doubled from 8 to at most 64 until two agree. An order n is exact for polynomials of degree 2n − 1.
///
/// For a smooth f in at most 5 dimensions; a kink or a jump is for [`integrate`]. A is taken from the eigenvectors of the correlations,
/// so that it shares nothing with the Cholesky factor of the closed forms.
///
/// # Errors
/// [`Error::Domain`] for d > 5 or a tolerance that is not positive; [`Error::NotFinite`] with the x at which f is NaN or infinite;
/// [`Error::NotConverged`] with the error that was reached; those of f.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::univariate(1.0, 4.0)?;
/// let moment = gauss_hermite(&p, 1e-9, |x| x[0].exp())?;
/// assert!((moment.value - 3.0_f64.exp()).abs() <= moment.error);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Davis and Rabinowitz (1984), *Methods of Numerical Integration*, 2nd ed., §3.6.
pub fn gauss_hermite<T: Integrand>(
    normal: &Gaussian,
    tolerance: f64,
    f: impl Fn(&DVector<f64>) -> T,
) -> Result<Quadrature> {
    hermite(normal, tolerance, &|x| f(x).quadrature())
}

fn hermite(normal: &Gaussian, tolerance: f64, f: EvaluateAt) -> Result<Quadrature> {
    check_tolerance(tolerance)?;
    let d = normal.dim();
    if d > 5 {
        let domain = "at most 5; in more dimensions take cubature for a quadratic and Monte Carlo otherwise";
        return Err(Error::Domain { what: "the dimension of a Gauss–Hermite rule", value: d as f64, domain });
    }
    let root = square_root(normal);
    let mut sum = hermite_sum(normal, &root, 8, f)?;
    let mut found = sum.with_truncation(f64::INFINITY);
    for order in [16, 32, 64].into_iter().filter(|&n: &usize| n.pow(d as u32) <= 1 << 20) {
        let rough = sum.value;
        sum = hermite_sum(normal, &root, order, f)?;
        found = sum.with_truncation((rough - sum.value).abs());
        if found.error <= tolerance {
            return Ok(found);
        }
    }
    Err(not_converged(found, tolerance))
}

fn hermite_sum(normal: &Gaussian, root: &DMatrix<f64>, n: usize, f: EvaluateAt) -> Result<Sum> {
    let (d, rule) = (normal.dim(), GaussHermite::new(order(n)));
    let pairs = rule.as_node_weight_pairs();
    let mut sum = Sum::default();
    for i in 0..n.pow(d as u32) {
        // The digits of i in base n are the indices of the nodes.
        let pair = |k: usize| pairs[i / n.pow(k as u32) % n];
        let x = normal.mean() + root * DVector::from_fn(d, |k, _| SQRT_2 * pair(k).0);
        let weight = (0..d).map(|k| pair(k).1 / PI.sqrt()).product();
        sum.add(weight, f(&x), || format!("x = {:?}", x.as_slice()))?;
    }
    Ok(sum)
}

/// E f(X) for X ~ N(μ, Σ) and a quadratic f, exactly but for rounding: the mean of f over the 2d points μ ± √d A eᵢ with A Aᵀ = Σ. The
/// error is that of rounding alone, so for any f of a degree above 3 it is too small.
///
/// # Errors
/// [`Error::NotFinite`] with the x at which f is NaN or infinite; those of f.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::new(dvector![1.0, 2.0], dmatrix![2.0, 0.5; 0.5, 1.0])?;
/// let second_moment = cubature(&p, |x| x[0] * x[1])?;
/// assert!((second_moment.value - 2.5).abs() <= second_moment.error);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Stroud (1971), *Approximate Calculation of Multiple Integrals*, formula Eₙ^{r²} 3-1.
pub fn cubature<T: Integrand>(normal: &Gaussian, f: impl Fn(&DVector<f64>) -> T) -> Result<Quadrature> {
    let d = normal.dim();
    let step = square_root(normal) * (d as f64).sqrt();
    let (mut sum, mut largest) = (Sum::default(), 0.0_f64);
    for column in step.column_iter() {
        for x in [normal.mean() + column, normal.mean() - column] {
            let value = f(&x).quadrature()?;
            largest = largest.max(value.value.abs());
            sum.add(0.5 / d as f64, Ok(value), || format!("x = {:?}", x.as_slice()))?;
        }
    }
    // The points are rounded as well, d terms each, and a quadratic doubles what they lost.
    Ok(sum.with_truncation(4.0 * d as f64 * f64::EPSILON * largest))
}

/// A with A Aᵀ = Σ, from the eigenvectors of the correlations, so that the scales of the variables may differ.
fn square_root(normal: &Gaussian) -> DMatrix<f64> {
    let scale = normal.covariance().diagonal().map(f64::sqrt);
    let correlation = normal.covariance().map_with_location(|i, j, entry| entry / scale[i] / scale[j]);
    let eigen = correlation.symmetric_eigen();
    let roots = eigen.eigenvalues.map(|l| l.max(0.0).sqrt());
    DMatrix::from_diagonal(&scale) * eigen.eigenvectors * DMatrix::from_diagonal(&roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};
    use proptest::prelude::*;

    /// The error is no smaller than what is missing, and no larger than what was allowed.
    #[track_caller]
    fn holds(found: Result<Quadrature>, truth: f64, tolerance: f64) {
        let found = found.unwrap();
        let missing = (found.value - truth).abs();
        assert!(missing <= found.error && found.error <= tolerance, "{found:?} for {truth}, off by {missing:e}");
    }

    fn normal_pdf(z: f64) -> f64 {
        (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
    }

    #[test]
    fn known_integrals_over_a_range() {
        let tolerance = 1e-11;
        holds(integrate(0.0, 1.0, tolerance, |x| x), 0.5, tolerance);
        holds(integrate(-1.0, 1.5, 1e-9, |x: f64| x.powi(19)), (1.5_f64.powi(20) - 1.0) / 20.0, 1e-9);
        holds(integrate(-1.0, 1.0, tolerance, |x: f64| 1.0 / (1.0 + 25.0 * x * x)), 0.4 * 5.0_f64.atan(), tolerance);
        holds(integrate(0.0, 1.0, tolerance, |x: f64| (200.0 * x).sin()), (1.0 - 200.0_f64.cos()) / 200.0, tolerance);
        holds(integrate(-1000.0, 1000.0, tolerance, normal_pdf), 1.0, tolerance);
        // A kink, a jump, singularities of the derivative and of the integrand.
        holds(integrate(-1.0, 1.0, tolerance, |x: f64| (x - 0.3).abs()), 0.5 * (1.69 + 0.49), tolerance);
        holds(integrate(0.0, 1.0, tolerance, |x: f64| f64::from(x < 0.3)), 0.3, tolerance);
        holds(integrate(0.0, 1.0, tolerance, f64::sqrt), 2.0 / 3.0, tolerance);
        holds(integrate(0.0, 1.0, tolerance, |x: f64| x.sqrt().recip()), 2.0, tolerance);
        holds(integrate(0.0, 1.0, tolerance, f64::ln), -1.0, tolerance);
        assert_eq!(integrate(2.0, 2.0, tolerance, |_| f64::NAN).unwrap(), Quadrature { value: 0.0, error: 0.0 });
    }

    #[test]
    fn known_integrals_over_unbounded_ranges() {
        let tolerance = 1e-11;
        let half = |scale: f64, f: &dyn Fn(f64) -> f64| integrate_half_line(0.0, scale, tolerance, f);
        holds(half(1.0, &|x| (-x).exp()), 1.0, tolerance);
        holds(half(-1.0, &|x| x.exp()), 1.0, tolerance);
        holds(half(2.0, &|x| 1.0 / (1.0 + x * x)), PI / 2.0, tolerance);
        holds(half(1.0, &|x| (-x).exp() * x.powf(-0.9)), 9.513507698668732, tolerance); // Γ(0.1)
        holds(half(20.0, &|x| (20.0 * x.ln() - x).exp() / 2432902008176640000.0), 1.0, tolerance); // 20!
        // P(Z > 5)
        holds(integrate_half_line(5.0, 0.2, 1e-18, normal_pdf), 2.866515718791939e-7, 1e-18);
        let line = |center, scale, f: &dyn Fn(f64) -> f64| integrate_line(center, scale, tolerance, f);
        holds(line(0.0, 1.0, &normal_pdf), 1.0, tolerance);
        holds(line(0.0, 10.0, &normal_pdf), 1.0, tolerance);
        holds(line(99.0, 1.0, &|x| 10.0 * normal_pdf(10.0 * (x - 100.0))), 1.0, tolerance);
        holds(line(0.0, 1.0, &|x| x.powi(4) * normal_pdf(x)), 3.0, tolerance);
        holds(line(0.5, 1.0, &|x| 1.0 / (PI * (1.0 + x * x))), 1.0, tolerance);
    }

    #[test]
    fn nested_integrals_carry_the_inner_error() {
        let disc = |inner| {
            integrate(-1.0, 1.0, 1e-6, |x: f64| {
                let half = (1.0 - x * x).sqrt();
                integrate(-half, half, inner, |y| x * x + y * y)
            })
        };
        holds(disc(1e-9), PI / 2.0, 1e-6);
        let inner = |error| integrate(0.0, 4.0, 1e-3, |_| Quadrature { value: 1.0, error });
        assert!((inner(1e-4).unwrap().error - 4e-4).abs() < 1e-12);
        assert!(inner(1e-3).unwrap_err().to_string().contains("an error of 4.0000"));
    }

    #[test]
    fn moments_of_a_normal() {
        let p = Gaussian::univariate(0.5, 4.0).unwrap();
        // E (μ + σZ)⁴ = μ⁴ + 6 μ²σ² + 3 σ⁴
        holds(gauss_hermite(&p, 1e-10, |x| x[0].powi(4)), 0.0625 + 6.0 + 48.0, 1e-10);
        // E cos X = cos μ exp(−σ²/2)
        holds(gauss_hermite(&p, 1e-10, |x| x[0].cos()), 0.5_f64.cos() * (-2.0_f64).exp(), 1e-10);
        let covariance = dmatrix![2.0, 0.6, -0.3; 0.6, 1.0, 0.2; -0.3, 0.2, 0.7];
        let p = Gaussian::new(dvector![1.0, -2.0, 0.5], covariance.clone()).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let central = |x: &DVector<f64>| (x[i] - p.mean()[i]) * (x[j] - p.mean()[j]);
                holds(gauss_hermite(&p, 1e-9, central), covariance[(i, j)], 1e-9);
                holds(cubature(&p, central), covariance[(i, j)], 1e-13);
            }
        }
        // E exp(aᵀ(X−μ)) = exp(½ aᵀΣa) with a = (1, 1, 1)/2
        let exponential = |x: &DVector<f64>| (0.5 * (x - p.mean()).sum()).exp();
        holds(gauss_hermite(&p, 1e-9, exponential), (0.125 * covariance.sum()).exp(), 1e-9);
    }

    #[test]
    fn cubature_is_exact_for_quadratics_alone() {
        let d = 50;
        let b = DMatrix::from_fn(d, d, |i, j| ((7 * i + 3 * j) as f64).sin());
        let covariance = &b * b.transpose() + DMatrix::identity(d, d);
        let trace = covariance.trace();
        let p = Gaussian::new(DVector::from_element(d, 0.1), (&covariance + covariance.transpose()) * 0.5).unwrap();
        holds(cubature(&p, |x| (x - p.mean()).norm_squared()), trace, 1e-13 * d as f64 * trace);
        let p = Gaussian::standard(1).unwrap();
        holds(cubature(&p, |x| 1.0 + x[0] + x[0] * x[0] + x[0].powi(3)), 2.0, 1e-14);
        assert_eq!(cubature(&p, |x| x[0].powi(4)).unwrap().value, 1.0, "and not 3");
    }

    #[test]
    fn scales_of_the_variables_may_differ() {
        let p = Gaussian::new(DVector::zeros(2), dmatrix![1e-200, 0.5; 0.5, 1e200]).unwrap();
        let close = |found: Quadrature, truth: f64| assert!((found.value / truth - 1.0).abs() < 1e-14, "{found:?}");
        close(cubature(&p, |x| x[0] * x[0]).unwrap(), 1e-200);
        close(cubature(&p, |x| x[1] * x[1]).unwrap(), 1e200);
        close(cubature(&p, |x| x[0] * x[1]).unwrap(), 0.5);
        close(gauss_hermite(&p, 1e-10, |x| x[0] * x[1]).unwrap(), 0.5);
    }

    #[test]
    fn what_cannot_be_integrated_is_refused_by_value() {
        let message = |found: Result<Quadrature>| found.unwrap_err().to_string();
        let one = |_: f64| 1.0;
        assert!(message(integrate(1.0, 0.0, 1e-9, one)).contains("the lower limit is 1; it must be at most the upper"));
        assert!(message(integrate(0.0, f64::INFINITY, 1e-9, one)).contains("the upper limit is inf"));
        assert!(message(integrate(f64::NAN, 1.0, 1e-9, one)).contains("the lower limit is NaN"));
        for tolerance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(integrate(0.0, 1.0, tolerance, one)).contains("the integral's tolerance is"));
            assert!(message(integrate_line(0.0, 1.0, tolerance, normal_pdf)).contains("the integral's tolerance is"));
            let p = Gaussian::standard(1).unwrap();
            assert!(message(gauss_hermite(&p, tolerance, |x| x[0])).contains("the integral's tolerance is"));
        }
        let nan = |x: f64| if x > 0.9 { f64::NAN } else { x };
        assert!(message(integrate(0.0, 1.0, 1e-9, nan)).contains("the integrand holds NaN at x = 0.9"));
        assert!(message(integrate_line(0.0, 1.0, 1e-9, nan)).contains("the integrand holds NaN at x = "));
        assert!(message(integrate_half_line(0.0, 1.0, 1e-9, nan)).contains("the integrand holds NaN at x = "));
        let p = Gaussian::standard(2).unwrap();
        assert!(message(gauss_hermite(&p, 1e-9, |x| x[0].ln())).contains("NaN at x = [-"));
        assert!(message(cubature(&p, |_| f64::INFINITY)).contains("inf at x = ["));
        // Divergent integrals, and one that needs more than rounding leaves.
        assert!(message(integrate(0.0, 1.0, 1e-9, f64::recip)).contains("the integrand holds inf at x = "));
        assert!(message(integrate_half_line(0.0, 1.0, 1e-9, one)).contains("above the tolerance 1e-9"));
        assert!(message(integrate_line(0.0, 1.0, 1e-9, f64::abs)).contains("above the tolerance 1e-9"));
        assert!(message(integrate(0.0, 1.0, 1e-20, f64::exp)).contains("above the tolerance 1e-20"));
        assert!(message(gauss_hermite(&p, 1e-9, |x| x[0].abs())).contains("above the tolerance 1e-9"));
        assert!(message(integrate_line(f64::INFINITY, 1.0, 1e-9, one)).contains("the place of the integrand is inf"));
        for scale in [0.0, -1.0, f64::NAN, 1e200] {
            assert!(message(integrate_line(0.0, scale, 1e-9, one)).contains("the integrand's scale is"), "{scale}");
        }
        let six = Gaussian::standard(6).unwrap();
        assert!(message(gauss_hermite(&six, 1e-9, |x| x[0])).contains("is 6; it must be at most 5"));
        // What the integrand itself refuses.
        assert!(message(integrate(0.0, 1.0, 1e-9, |x| p.ln_pdf(&dvector![x]))).contains("expected length 2"));
    }

    proptest! {
        #[test]
        fn the_error_holds_at_a_singularity(power in -0.75..3.0_f64, ln_tolerance in -23.0..-2.0_f64) {
            let tolerance = ln_tolerance.exp();
            let tail = power.abs();
            for (found, truth) in [
                (integrate(0.0, 1.0, tolerance, |x: f64| x.powf(power)), 1.0 / (1.0 + power)),
                (integrate(-1.0, 0.0, tolerance, |x: f64| (-x).powf(power)), 1.0 / (1.0 + power)),
                (integrate_half_line(1.0, 1.0, tolerance, |x: f64| x.powf(-2.0 - tail)), 1.0 / (1.0 + tail)),
            ] {
                let found = found.unwrap();
                prop_assert!((found.value - truth).abs() <= found.error && found.error <= tolerance, "{found:?}");
            }
        }

        #[test]
        fn a_normal_integrates_to_one_at_every_scale(
            ln_scale in -345.0..345.0, center in -1e3..1e3, factor in 0.1..10.0_f64, shift in -3.0..3.0,
        ) {
            let scale = f64::exp(ln_scale);
            let center = center * scale;
            let density = |x: f64| normal_pdf((x - center) / scale) / scale;
            let missing = |found: Quadrature, truth: f64| (found.value - truth).abs() > found.error;
            let whole = integrate(center - 40.0 * scale, center + 40.0 * scale, 1e-10, density).unwrap();
            prop_assert!(!missing(whole, 1.0), "{whole:?}");
            let line_scale = (scale * factor).clamp(1e-150, 1e150);
            let line = integrate_line(center + shift * scale, line_scale, 1e-10, density).unwrap();
            prop_assert!(!missing(line, 1.0), "{line:?}");
            let half = integrate_half_line(center, line_scale, 1e-10, density).unwrap();
            prop_assert!(!missing(half, 0.5), "{half:?}");
        }

        #[test]
        fn any_limits_are_answered(a: f64, b: f64, tolerance: f64, scale: f64) {
            for found in [
                integrate(a, b, tolerance, f64::sin),
                integrate_line(a, scale, tolerance, |x: f64| (-x * x).exp()),
                integrate_half_line(a, scale, tolerance, |x: f64| (-x.abs()).exp()),
            ].into_iter().flatten() {
                prop_assert!(found.value.is_finite() && found.error <= tolerance);
            }
        }
    }
}
