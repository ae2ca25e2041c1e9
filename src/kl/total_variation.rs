//! The total variation distance where it has a closed form.

use super::families::{Bell, exponential, half_width};
use super::gap::ln_quotient;
use super::outcomes;
use crate::categorical::Categorical;
use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian, normal_mass, same_length};
use crate::univariate::Univariate;
use statrs::distribution::{Bernoulli, Exp, Normal, Uniform};

/// A distribution q with a closed form of TV(q, p).
pub trait TotalVariation<P = Self> {
    /// TV(q, p); see [`total_variation`].
    ///
    /// # Errors
    /// Those of [`total_variation`].
    fn total_variation(&self, p: &P) -> Result<f64>;
}

/// The total variation distance TV(q, p) = sup_A |∫_A (q − p)| = ½ ∫ |q − p|, between 0 and 1. The L¹ norm ∫ |q − p| = sup_A ∫_A |q − p|
/// is twice that.
///
/// # Errors
/// [`Error::Shape`] for normals of different dimensions, [`Error::NoClosedForm`] for normals in d > 1 dimensions of different covariances,
/// [`Error::NotFinite`] for a family with an infinite parameter.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::univariate(0.0, 1.0)?, Gaussian::univariate(0.1, 1.0)?);
/// assert_eq!(format!("{:.5}", total_variation(&q, &p)?), "0.03988");
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Tsybakov (2009), *Introduction to Nonparametric Estimation*, definition 2.4 and lemma 2.1.
pub fn total_variation<P>(q: &impl TotalVariation<P>, p: &P) -> Result<f64> {
    q.total_variation(p)
}

impl TotalVariation for Gaussian {
    /// For equal covariances 2Φ(δ/2) − 1 with the Mahalanobis distance δ of the means: q > p on one side of the hyperplane half way between
    /// them, and 1 − TV is the sum of the errors of telling the two apart by it. In one dimension the difference of the two distribution
    /// functions between the points where the densities cross.
    ///
    /// Source: Anderson (2003), *An Introduction to Multivariate Statistical Analysis*, 3rd ed., §6.4.2, for equal covariances.
    fn total_variation(&self, p: &Self) -> Result<f64> {
        same_length("the second normal's mean", self.dim(), p.dim())?;
        if self.covariance() == p.covariance() {
            return Ok(of_normals(p.mahalanobis_squared(self.mean())?.sqrt(), 0.0, 1.0));
        }
        if self.dim() > 1 {
            return Err(Error::NoClosedForm {
                what: "the total variation distance of normals with different covariances in more than one dimension",
                instead: "total_variation_by_monte_carlo",
            });
        }
        let (q, p, shift) = (self.covariance()[0], p.covariance()[0], self.mean()[0] - p.mean()[0]);
        let (small, large) = (q.min(p), q.max(p));
        let ratio = (small.sqrt() / large.sqrt()).min(1.0);
        Ok(of_normals(shift.abs() / large.sqrt(), (large - small) / large, ratio))
    }
}

impl TotalVariation for Univariate<Normal> {
    /// The difference of the two distribution functions between the points where the densities cross.
    fn total_variation(&self, p: &Self) -> Result<f64> {
        let ([m, s], [mean, sd]) = (self.mean_and_deviation()?, p.mean_and_deviation()?);
        let (small, large) = (s.min(sd), s.max(sd));
        let ratio = small / large;
        Ok(of_normals((m - mean).abs() / large, (large - small) / large * (1.0 + ratio), ratio))
    }
}

/// TV(N(0, r²), N(−δ, 1)) for `shift` δ ≥ 0 and `ratio` r ≤ 1, with `shrink` for 1 − r².
///
/// The narrower density is the larger one between the roots u₋ < 0 < u₊ of u² − (ru + δ)² = −2 ln r, where u counts its deviations and
/// v = ru + δ those of the other; the distance is Φ(u₊) − Φ(v₊) + Φ(v₋) − Φ(u₋).
fn of_normals(shift: f64, shrink: f64, ratio: f64) -> f64 {
    // The two masses are apart, to 1e-50000; and squares do not overflow.
    if shift > 1e3 {
        return 1.0;
    }
    if shrink == 0.0 {
        return normal_mass(-0.5 * shift, shift);
    }
    // −2 ln r
    let ln = if shrink < 0.5 { -(-shrink).ln_1p() } else { -2.0 * ratio.max(f64::MIN_POSITIVE).ln() };
    let root = (shift * shift + shrink * ln).sqrt();
    let upper = (ratio * shift + root) / shrink;
    let lower = -(shift * shift + ln) / (ratio * shift + root);
    // u₊ − v₊ from u² − v² = −2 ln r, and v₋ − u₋: of terms with one sign.
    let above = ln / ((1.0 + ratio) * upper + shift);
    let below = shift - shrink / (1.0 + ratio) * lower;
    (normal_mass(upper - above, above) + normal_mass(lower, below)).min(1.0)
}

impl TotalVariation for Categorical {
    /// ½ Σₖ |qₖ − pₖ|.
    fn total_variation(&self, p: &Self) -> Result<f64> {
        Ok((0.5 * outcomes(self, p).map(|(q, p)| (q - p).abs()).sum::<f64>()).min(1.0))
    }
}

impl TotalVariation for Univariate<Bernoulli> {
    /// |q − p|.
    fn total_variation(&self, p: &Self) -> Result<f64> {
        Ok((self.0.p() - p.0.p()).abs())
    }
}

impl TotalVariation for Univariate<Exp> {
    /// e^(−ax) − e^(−bx) for the rates a < b at x = ln(b/a)/(b − a), where the densities cross: (1 − a/b) e^(−ln(b/a)/(b/a − 1)).
    fn total_variation(&self, p: &Self) -> Result<f64> {
        let (q, p) = (exponential(self)?, exponential(p)?);
        let (a, b) = (q.min(p), q.max(p));
        let difference = b - a;
        if difference == 0.0 {
            return Ok(0.0);
        }
        let ln = ln_quotient(b, a, difference);
        Ok(difference / b * (-ln / (difference / a)).exp())
    }
}

impl TotalVariation for Univariate<Uniform> {
    /// The share of the wider interval that lies beyond the other one.
    fn total_variation(&self, p: &Self) -> Result<f64> {
        let (narrow, wide) = if half_width(self) <= half_width(p) { (self, p) } else { (p, self) };
        let (narrow, wide, width) = (narrow.0, wide.0, half_width(wide));
        let beyond = |part: f64| part.clamp(0.0, width);
        let left = beyond(0.5 * narrow.min() - 0.5 * wide.min());
        let right = beyond(0.5 * wide.max() - 0.5 * narrow.max());
        Ok(((left + right) / width).min(1.0))
    }
}
