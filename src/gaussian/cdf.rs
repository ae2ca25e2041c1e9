//! The distribution function of the normal in one and two dimensions.

use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian, same_length};
use gauss_quad::GaussLegendre;
use nalgebra::DVector;
use std::f64::consts::PI;
use std::num::NonZeroUsize;
use std::sync::LazyLock;

/// Nodes for one smooth piece, at most 18 of the narrower function's standard deviations wide.
static QUADRATURE: LazyLock<GaussLegendre> =
    LazyLock::new(|| GaussLegendre::new(const { NonZeroUsize::new(100).unwrap() }));

/// Beyond this many standard deviations Φ is 0 or 1 to 1e-19.
const REACH: f64 = 9.0;

impl Gaussian {
    /// The distribution function P(X₁ ≤ x₁, …, X_d ≤ x_d) in d = 1 and 2; entries of x may be infinite.
    ///
    /// In two dimensions, with h and k the standardised coordinates and ρ the correlation, by Gauss–Legendre quadrature of
    ///
    /// Φ₂(h, k; ρ) = ∫_{−∞}^h φ(t) Φ((k − ρt)/√(1−ρ²)) dt,
    ///
    /// in pieces that follow the step of Φ. The error is below 1e-15 in absolute terms.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d and d ≤ 2, [`Error::NotFinite`] if x holds a NaN.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::new(dvector![0.0, 0.0], dmatrix![1.0, 0.5; 0.5, 1.0])?;
    /// // Sheppard's formula: ¼ + arcsin ρ / 2π.
    /// assert!((p.cdf(&dvector![0.0, 0.0])? - 1.0 / 3.0).abs() < 1e-15);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Genz (2004), *Statistics and Computing* 14, §2, for the integral.
    pub fn cdf(&self, x: &DVector<f64>) -> Result<f64> {
        same_length("the point", self.dim(), x.len())?;
        if let Some((i, &value)) = x.iter().enumerate().find(|(_, v)| v.is_nan()) {
            return Err(Error::NotFinite { what: "the point", value, at: format!("entry {i}") });
        }
        let sd = |i: usize| self.covariance()[(i, i)].sqrt();
        let standardised = |i: usize| (x[i] - self.mean()[i]) / sd(i);
        match self.dim() {
            1 => Ok(phi_integral(standardised(0))),
            2 => {
                let (rho, root) = (self.cholesky_factor()[(1, 0)] / sd(1), self.cholesky_factor()[(1, 1)] / sd(1));
                Ok(bivariate(standardised(0), standardised(1), rho, root))
            }
            d => Err(Error::Shape {
                what: "the normal of a distribution function",
                expected: "dimension 1 or 2".into(),
                found: d.to_string(),
            }),
        }
    }
}

/// φ(t) = e^(−t²/2) / √2π
fn phi(t: f64) -> f64 {
    (-0.5 * t * t).exp() / (2.0 * PI).sqrt()
}

/// Φ(t) to a few units of rounding, also relative to Φ in the lower tail; statrs's `erfc` keeps ten digits only.
///
/// ½ + φ(t) (t + t³/3 + t⁵/(3·5) + …) near 0 (Marsaglia 2004, *Journal of Statistical Software* 11(4), §3) and Laplace's continued
/// fraction φ(t)/(t + 1/(t + 2/(t + …))) for the tails.
fn phi_integral(t: f64) -> f64 {
    if t.abs() > 2.0 {
        let tail = upper_tail(t.abs());
        return if t > 0.0 { 1.0 - tail } else { tail };
    }
    let (mut term, mut sum) = (t, t);
    for k in 1..60 {
        term *= t * t / f64::from(2 * k + 1);
        if sum + term == sum {
            break;
        }
        sum += term;
    }
    0.5 + phi(t) * sum
}

/// Φ(from + width) − Φ(from) for a width ≥ 0, to the last places also of a narrow range.
pub(crate) fn normal_mass(from: f64, width: f64) -> f64 {
    let to = from + width;
    if width <= 1.0 {
        // From `from` on, as the sum would round the width.
        QUADRATURE.integrate(0.0, width, |t| phi(from + t))
    } else if from > 0.0 {
        phi_integral(-from) - phi_integral(-to)
    } else {
        phi_integral(to) - phi_integral(from)
    }
}

/// 1 − Φ(t) for t > 2. So many terms leave less than 2⁻⁵³ of it (against 8000 terms in 60 digits at t = 2, 3.5, 6, 10 and 30).
fn upper_tail(t: f64) -> f64 {
    let terms = 14 + (360.0 / (t * t)) as u32;
    phi(t) / (1..=terms).rev().fold(t, |fraction, k| t + f64::from(k) / fraction)
}

/// Φ₂(h, k; ρ), with `root` for √(1−ρ²).
fn bivariate(h: f64, k: f64, rho: f64, root: f64) -> f64 {
    // Over the smaller coordinate, where the mass is when both are far out.
    let (h, k) = (h.min(k), h.max(k));
    // Φ(−40) is below the smallest double.
    if h < -40.0 {
        return 0.0;
    }
    let upper = h.min(REACH);
    // φ has fallen by e⁻⁴⁰ from its largest value on the way.
    let lower = -(upper.min(0.0).powi(2) + REACH * REACH).sqrt();
    let integrand = |t: f64| phi(t) * phi_integral((k - rho * t) / root);
    let (step, width) = (k / rho, REACH * root / rho.abs());
    let inner = [step - width, step + width].into_iter().filter(|t| lower < *t && *t < upper);
    let pieces: Vec<f64> = std::iter::once(lower).chain(inner).chain([upper]).collect();
    pieces.windows(2).map(|piece| QUADRATURE.integrate(piece[0], piece[1], integrand)).sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};

    /// Composite Gauss–Legendre with the five nodes in closed form: no code shared with the crate that the library uses.
    fn integral(a: f64, b: f64, panels: usize, f: impl Fn(f64) -> f64) -> f64 {
        let (near, far) =
            ((5.0 - 2.0 * (10.0_f64 / 7.0).sqrt()).sqrt() / 3.0, (5.0 + 2.0 * (10.0_f64 / 7.0).sqrt()).sqrt() / 3.0);
        let (heavy, light) = ((322.0 + 13.0 * 70.0_f64.sqrt()) / 900.0, (322.0 - 13.0 * 70.0_f64.sqrt()) / 900.0);
        let half = 0.5 * (b - a) / panels as f64;
        let panel = |i: usize| {
            // From the upper end, where the integrands are large.
            let centre = b - half * (2 * i + 1) as f64;
            let pair = |x: f64| f(centre - half * x) + f(centre + half * x);
            half * (128.0 / 225.0 * f(centre) + heavy * pair(near) + light * pair(far))
        };
        pairwise(&(0..panels).map(panel).collect::<Vec<_>>())
    }

    /// Off by log₂ n units instead of n.
    fn pairwise(terms: &[f64]) -> f64 {
        let (left, right) = terms.split_at(terms.len() / 2);
        if left.is_empty() { right.iter().sum() } else { pairwise(left) + pairwise(right) }
    }

    /// Φ by integrating the density from −40 on.
    fn phi_by_quadrature(h: f64) -> f64 {
        integral(-40.0, h, 2000, phi)
    }

    /// ∂Φ₂/∂ρ = φ₂ (Plackett 1954), integrated from independence in θ = arcsin ρ (Drezner and Wesolowsky 1990).
    fn bivariate_by_correlation(h: f64, k: f64, rho: f64) -> f64 {
        let density = |theta: f64| {
            let (sin, cos) = theta.sin_cos();
            (-0.5 * (h * h - 2.0 * h * k * sin + k * k) / (cos * cos)).exp() / (2.0 * PI)
        };
        phi_by_quadrature(h) * phi_by_quadrature(k) + integral(0.0, rho.asin(), 2000, density)
    }

    fn standard(rho: f64) -> Gaussian {
        Gaussian::new(dvector![0.0, 0.0], dmatrix![1.0, rho; rho, 1.0]).unwrap()
    }

    const CORRELATIONS: [f64; 13] = [-0.999, -0.99, -0.9, -0.5, -0.1, -1e-9, 0.0, 1e-3, 0.3, 0.7, 0.95, 0.99, 0.999];

    /// A few units for the sum, and one of ρ times the derivative 1/(2π√(1−ρ²)) at most, on either side.
    fn rounding(rho: f64) -> f64 {
        f64::EPSILON * (8.0 + 1.0 / (1.0 - rho * rho).sqrt())
    }

    #[test]
    fn one_dimension() {
        let p = Gaussian::univariate(1.0, 4.0).unwrap();
        for h in [-30.0, -8.0, -3.5, -2.001, -2.0, -1.5, -0.5, 0.0, 0.3, 1.96, 2.001, 7.0, 20.0] {
            let cdf = p.cdf(&dvector![1.0 + 2.0 * h]).unwrap();
            // A dozen units each for sum and fraction; rounding of t and t² costs h² units on either side.
            let bound = f64::EPSILON * (24.0 + 2.0 * h * h);
            let error = (cdf / phi_by_quadrature(h) - 1.0).abs();
            assert!(error <= bound, "{h}: {cdf} is off by {error:e} > {bound:e}");
        }
        let at = |x: f64| p.cdf(&dvector![x]).unwrap();
        assert_eq!((at(f64::NEG_INFINITY), at(1.0), at(f64::INFINITY)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn two_dimensions_by_plackett() {
        let points = [-12.0, -4.0, -1.5, -0.3, 0.0, 0.301, 1.0, 2.5, 6.0, 11.0];
        for rho in CORRELATIONS {
            for (h, k) in points.iter().flat_map(|&h| points.iter().map(move |&k| (h, k))) {
                let (cdf, oracle) = (standard(rho).cdf(&dvector![h, k]).unwrap(), bivariate_by_correlation(h, k, rho));
                assert!((cdf - oracle).abs() <= 2.0 * rounding(rho), "ρ = {rho}, ({h}, {k}): {cdf} {oracle}");
            }
        }
    }

    #[test]
    fn two_dimensions_at_the_mean_by_sheppard() {
        for rho in CORRELATIONS {
            let cdf = standard(rho).cdf(&dvector![0.0, 0.0]).unwrap();
            assert!((cdf - 0.25 - rho.asin() / (2.0 * PI)).abs() <= rounding(rho), "{rho}");
        }
    }

    #[test]
    fn the_limits_are_the_marginals() {
        for rho in CORRELATIONS {
            let p = Gaussian::new(dvector![1.0, -2.0], dmatrix![4.0, 6.0 * rho; 6.0 * rho, 9.0]).unwrap();
            let at = |x: f64, y: f64| p.cdf(&dvector![x, y]).unwrap();
            let inf = f64::INFINITY;
            for h in [-3.0, 0.5, 2.0] {
                assert!((at(1.0 + 2.0 * h, inf) - phi_integral(h)).abs() <= rounding(0.0));
                assert!((at(inf, -2.0 + 3.0 * h) - phi_integral(h)).abs() <= rounding(0.0));
                assert_eq!((at(-inf, h), at(h, -inf), at(-1e200, h)), (0.0, 0.0, 0.0));
            }
            assert!((at(inf, inf) - 1.0).abs() <= rounding(0.0));
        }
    }

    #[test]
    fn what_is_refused() {
        let message = |p: &Gaussian, x: DVector<f64>| p.cdf(&x).unwrap_err().to_string();
        assert!(message(&standard(0.5), dvector![0.0, f64::NAN]).contains("NaN at entry 1"));
        assert!(message(&standard(0.5), dvector![0.0]).contains("expected length 2, found 1"));
        assert!(message(&Gaussian::standard(3).unwrap(), DVector::zeros(3)).contains("dimension 1 or 2, found 3"));
    }
}
