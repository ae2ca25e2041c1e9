//! The distribution function of the normal in one and two dimensions.

use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian, same_length};
use gauss_quad::GaussLegendre;
use nalgebra::DVector;
use statrs::function::erf::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, PI};
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

/// Φ(t) = ½ erfc(−t/√2)
fn phi_integral(t: f64) -> f64 {
    0.5 * erfc(-t * FRAC_1_SQRT_2)
}

/// Φ₂(h, k; ρ), with `root` for √(1−ρ²).
fn bivariate(h: f64, k: f64, rho: f64, root: f64) -> f64 {
    // Over the smaller coordinate, where the mass is when both are far out.
    let (h, k) = (h.min(k), h.max(k));
    if h == f64::NEG_INFINITY {
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
