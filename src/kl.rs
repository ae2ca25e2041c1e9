//! The Kullback–Leibler divergence, entropy and cross-entropy, and the total variation distance.
//!
//! D(q‖p) = −E_q ln(p/q) = H(q, p) − H(q), with the cross-entropy H(q, p) = −E_q ln p and the entropy H(q) = H(q, q), all in nats; the
//! order of the arguments is that of the notation. D is ≥ 0, and ∞ where q has mass that p has not. A result of ∞ means that, and
//! never an overflow, which is an error.
//!
//! | q‖p | [`kl`] | [`cross_entropy`] | [`total_variation`] |
//! |---|---|---|---|
//! | [`Gaussian`]‖`Gaussian` in d dimensions, of which diagonal covariances are a case | ✓ | ✓ | for equal covariances, and for d = 1 |
//! | [`Categorical`]‖`Categorical` | ✓ | ✓ | ✓ |
//! | `Bernoulli`, `Exp`, `Normal`, `Uniform`, each to its like | ✓ | ✓ | ✓ |
//! | `Beta`, `Gamma`, `Cauchy`, each to its like | ✓ | ✓ | |
//! | `Poisson`‖`Poisson` | ✓ | | |
//! | `Uniform`‖`Normal` | ✓ | ✓ | |
//! | `Normal`‖`Uniform` and `Cauchy`‖`Normal` | ∞ | ∞ | |
//!
//! The families of statrs are meant as [`Univariate`] has them; a `Normal` of a cross pair may as well be a one-dimensional `Gaussian`. For
//! all other pairs there are [`kl_by_quadrature`] on the line and [`kl_by_monte_carlo`], and likewise for the total variation.
//!
//! The divergences keep their digits where q and p nearly coincide: they are sums of terms x − ln(1 + x) ≥ 0.
//!
//! Source: Cover and Thomas (2006), *Elements of Information Theory*, 2nd ed., §§2.3 and 8.5.
//!
//! [`Gaussian`]: crate::gaussian::Gaussian
//! [`Categorical`]: crate::categorical::Categorical
//! [`Univariate`]: crate::univariate::Univariate

mod families;
mod gap;
mod numerical;
mod total_variation;

use crate::categorical::Categorical;
use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian, LowerTriangle, same_length};
use gap::{gap, weighted_gap};
use nalgebra::DMatrix;
use std::f64::consts::PI;

pub use numerical::{
    kl_by_monte_carlo, kl_by_quadrature, total_variation_by_monte_carlo, total_variation_by_quadrature,
};
pub use total_variation::{TotalVariation, total_variation};

/// A distribution q with a closed form of D(q‖p).
pub trait KullbackLeibler<P = Self> {
    /// D(q‖p); see [`kl`].
    ///
    /// # Errors
    /// Those of [`kl`].
    fn kl(&self, p: &P) -> Result<f64>;
}

/// A distribution q with a closed form of H(q, p).
pub trait CrossEntropy<P = Self> {
    /// H(q, p); see [`cross_entropy`].
    ///
    /// # Errors
    /// Those of [`cross_entropy`].
    fn cross_entropy(&self, p: &P) -> Result<f64>;
}

/// The Kullback–Leibler divergence D(q‖p) = −E_q ln(p/q) in nats: 0 if q = p and otherwise positive, ∞ where q has mass that p has not.
///
/// # Errors
/// [`Error::Shape`] for normals of different dimensions, [`Error::NotFinite`] for a family with an infinite parameter, which statrs allows,
/// [`Error::Overflow`].
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::univariate(0.0, 1.0)?, Gaussian::univariate(0.0, 4.0)?);
/// assert_eq!(format!("{:.4} {:.4}", kl(&q, &p)?, kl(&p, &q)?), "0.3181 0.8069");
/// let (q, p) = (Categorical::new([0.5, 0.5, 0.0])?, Categorical::new([0.5, 0.25, 0.25])?);
/// assert_eq!((kl(&q, &p)?, kl(&p, &q)?), (0.5 * 2.0_f64.ln(), f64::INFINITY));
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Kullback and Leibler (1951), *Annals of Mathematical Statistics* 22, eq. 2.4.
pub fn kl<P>(q: &impl KullbackLeibler<P>, p: &P) -> Result<f64> {
    q.kl(p)
}

/// The cross-entropy H(q, p) = −E_q ln p = H(q) + D(q‖p) in nats: what −LL/N of the model p tends to on data from q.
///
/// # Errors
/// Those of [`kl`].
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::univariate(1.0, 4.0)?, Gaussian::univariate(0.0, 2.0)?);
/// assert!((cross_entropy(&q, &p)? - entropy(&q)? - kl(&q, &p)?).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
pub fn cross_entropy<P>(q: &impl CrossEntropy<P>, p: &P) -> Result<f64> {
    q.cross_entropy(p)
}

/// The entropy H(q) = −E_q ln q = H(q, q) in nats; with respect to length for a density, so that it may be negative and changes with the
/// units.
///
/// # Errors
/// Those of [`kl`].
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// use generative_models::statrs::distribution::Uniform;
/// assert_eq!(entropy(&Univariate(Uniform::new(0.0, 0.5)?))?, -(2.0_f64.ln()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn entropy<Q: CrossEntropy>(q: &Q) -> Result<f64> {
    q.cross_entropy(q)
}

/// Pinsker's bound on the total variation distance, TV(q, p) ≤ √(D(q‖p) / 2); it tells nothing from D = 2 on.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::univariate(0.0, 1.0)?, Gaussian::univariate(0.1, 1.0)?);
/// assert!(total_variation(&q, &p)? <= pinsker(kl(&q, &p)?));
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Tsybakov (2009), *Introduction to Nonparametric Estimation*, lemma 2.5.
pub fn pinsker(kl: f64) -> f64 {
    (0.5 * kl).sqrt()
}

/// Bretagnolle and Huber's bound on the total variation distance, TV(q, p) ≤ √(1 − e^(−D(q‖p))): weaker than [`pinsker`]'s for a small
/// divergence, and below 1 for every finite one.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::univariate(0.0, 1.0)?, Gaussian::univariate(3.0, 1.0)?);
/// let d = kl(&q, &p)?;
/// assert!(total_variation(&q, &p)? <= bretagnolle_huber(d) && bretagnolle_huber(d) < 1.0 && pinsker(d) > 1.0);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bretagnolle and Huber (1979), *Zeitschrift für Wahrscheinlichkeitstheorie und verwandte Gebiete* 47, lemma 2.1.
pub fn bretagnolle_huber(kl: f64) -> f64 {
    (-(-kl).exp_m1()).sqrt()
}

/// Refuses a result that is finite in truth and not in double precision.
fn representable(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::Overflow { what }) }
}

const DIVERGENCE: &str = "the divergence";
const CROSS_ENTROPY: &str = "the cross-entropy";

impl KullbackLeibler for Gaussian {
    /// ½ (tr Σ_p⁻¹Σ_q − d − ln det Σ_p⁻¹Σ_q + (μ_q−μ_p)ᵀ Σ_p⁻¹ (μ_q−μ_p)), in which the first three terms are
    /// Σᵢ (Kᵢᵢ² − 1 − ln Kᵢᵢ² + Σⱼ Kᵢⱼ²), j < i, with K = L_p⁻¹ L_q and Σ = L Lᵀ. For diagonal covariances Kᵢᵢ² = σ²_qᵢ/σ²_pᵢ.
    ///
    /// Source: Rasmussen and Williams (2006), *Gaussian Processes for Machine Learning*, eq. A.23.
    fn kl(&self, p: &Self) -> Result<f64> {
        same_length("the second normal's mean", self.dim(), p.dim())?;
        let distance = p.mahalanobis_squared(self.mean())?;
        representable(DIVERGENCE, 0.5 * (covariance_gap(self, p) + distance))
    }
}

/// tr Σ_p⁻¹Σ_q − d − ln det Σ_p⁻¹Σ_q = Σᵢ (Kᵢᵢ² − 1 − ln Kᵢᵢ² + Σⱼ Kᵢⱼ²) ≥ 0, j < i, K Kᵀ = L_p⁻¹ Σ_q L_p⁻ᵀ.
fn covariance_gap(q: &Gaussian, p: &Gaussian) -> f64 {
    let whitening = LowerTriangle::new(p.cholesky_factor());
    // K = L_p⁻¹ L_q, by its columns.
    let columns = whitening.solve_rows(&q.cholesky_factor().transpose());
    let scales = q.cholesky_factor().diagonal().zip_map(&p.cholesky_factor().diagonal(), square_gap);
    let far =
        scales.sum() + (0..q.dim()).map(|j| columns.view((j, j + 1), (1, q.dim() - j - 1)).norm_squared()).sum::<f64>();
    if far > 0.25 {
        return far;
    }
    // Of near covariances K − I keeps half of the digits only, and the difference of the two, taken first, keeps them.
    let difference = q.covariance() - p.covariance();
    near_gap(whitening.solve_rows(&whitening.solve_rows(&difference).transpose())).unwrap_or(far)
}

/// (q/p)² − 1 − ln (q/p)² = (q/p − 1)² + 2 (q/p − 1 − ln q/p)
fn square_gap(q: f64, p: f64) -> f64 {
    ((q - p) / p).powi(2) + 2.0 * gap(q, p, q - p)
}

/// tr M − ln det(I + M) for a small symmetric M: [`covariance_gap`]'s sum for I + M = K Kᵀ, with Kᵢᵢ² − 1 in place of Kᵢᵢ.
fn near_gap(mut m: DMatrix<f64>) -> Option<f64> {
    let mut sum = 0.0;
    for j in 0..m.nrows() {
        let (pivot, rest) = (m[(j, j)], m.nrows() - j - 1);
        if pivot.is_nan() || pivot.abs() >= 0.5 {
            return None;
        }
        let column = m.view((j + 1, j), (rest, 1)).column(0) / (1.0 + pivot).sqrt();
        m.view_mut((j + 1, j + 1), (rest, rest)).syger(-1.0, &column, &column, 1.0);
        sum += gap(1.0 + pivot, 1.0, pivot) + column.norm_squared();
    }
    Some(sum)
}

impl CrossEntropy for Gaussian {
    /// ½ (d ln 2π + ln det Σ_p + tr Σ_p⁻¹Σ_q + (μ_q−μ_p)ᵀ Σ_p⁻¹ (μ_q−μ_p)).
    ///
    /// Source: Rasmussen and Williams (2006), eq. A.20 with A.23.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        same_length("the second normal's mean", self.dim(), p.dim())?;
        let mut whitened = self.cholesky_factor().clone();
        p.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut whitened);
        let (trace, distance) = (whitened.norm_squared(), p.mahalanobis_squared(self.mean())?);
        let ln_normaliser = self.dim() as f64 * (2.0 * PI).ln() + p.ln_det_covariance();
        representable(CROSS_ENTROPY, 0.5 * (ln_normaliser + trace + distance))
    }
}

/// The probabilities of both at each outcome that either has.
fn outcomes<'a>(q: &'a Categorical, p: &'a Categorical) -> impl Iterator<Item = (f64, f64)> + 'a {
    (0..q.probabilities().len().max(p.probabilities().len())).map(|k| (q.pmf(k), p.pmf(k)))
}

impl KullbackLeibler for Categorical {
    /// Σₖ qₖ ln(qₖ/pₖ) = Σₖ (qₖ ln(qₖ/pₖ) − qₖ + pₖ), with 0 ln 0 = 0: the second form has terms ≥ 0, and it does not mind that the sums
    /// of the probabilities differ by rounding. An outcome that one of the two has not got has probability 0 there.
    ///
    /// Source: Cover and Thomas (2006), eq. 2.26.
    fn kl(&self, p: &Self) -> Result<f64> {
        Ok(outcomes(self, p).map(|(q, p)| weighted_gap(q, p, p - q)).sum())
    }
}

impl CrossEntropy for Categorical {
    /// −Σₖ qₖ ln pₖ over the outcomes with qₖ > 0.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        Ok(self.expectation(|k| -p.ln_pmf(k)))
    }
}

#[cfg(test)]
mod tests;
