//! The model in which all is closed form.

use super::Model;
use super::family::Family;
use super::model::{NormalPrior, Quadratic, check_latent, gradient_ln_pdf, solve};
use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::gaussian::{Density, Gaussian, same_length};
use nalgebra::{DMatrix, DVector};
use std::f64::consts::PI;

/// The linear-Gaussian model z ~ N(m, P), x | z ~ N(Wz + b, S) with one observed x; several are one whose parts stand below each other.
///
/// Posterior and evidence are normal: x ~ N(Wm + b, WPWᵀ + S), and z | x has the precision Λ = P⁻¹ + WᵀS⁻¹W.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// // z ~ N(0, 1), x | z ~ N(z, 1), x = 1.
/// let prior = Gaussian::univariate(0.0, 1.0)?;
/// let model = LinearGaussian::new(prior, dmatrix![1.0], dvector![0.0], dmatrix![1.0], dvector![1.0])?;
/// assert!((model.posterior()?.mean()[0] - 0.5).abs() < 1e-15);
/// let q = FullRank::new(dvector![0.3], dmatrix![0.4])?;
/// let bound = model.expected_ln_likelihood(&q)? - kl(&q.gaussian()?, model.prior())?;
/// assert!((bound - elbo(&model, &q)?).abs() < 1e-15);
/// assert!((bound + kl(&q.gaussian()?, &model.posterior()?)? - model.ln_evidence()).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bishop (2006), *Pattern Recognition and Machine Learning*, eqs. 2.113–2.117.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearGaussian {
    prior: Gaussian,
    w: DMatrix<f64>,
    /// N(0, S)
    noise: Gaussian,
    /// N(Wm + b, WPWᵀ + S)
    evidence: Gaussian,
    b: DVector<f64>,
    x: DVector<f64>,
}

impl LinearGaussian {
    /// The model with the prior N(m, P), a p×d matrix W, b of length p and a p×p covariance S, and the observed x.
    ///
    /// # Errors
    /// [`Error::Shape`] if they disagree, those of [`Gaussian::new`] for S, [`Error::NotFinite`], [`Error::Overflow`].
    pub fn new(prior: Gaussian, w: DMatrix<f64>, b: DVector<f64>, s: DMatrix<f64>, x: DVector<f64>) -> Result<Self> {
        let noise = Gaussian::new(DVector::zeros(s.nrows()), s)?;
        same_length("the columns of W", prior.dim(), w.ncols())?;
        same_length("the rows of W", noise.dim(), w.nrows())?;
        same_length("the shift b", noise.dim(), b.len())?;
        same_length("the observation", noise.dim(), x.len())?;
        finite_matrix("W", &w)?;
        finite("the shift b", &b, |i| format!("entry {i}"))?;
        finite("the observation", &x, |i| format!("entry {i}"))?;
        let root = &w * prior.cholesky_factor();
        let (mean, covariance) = (&w * prior.mean() + &b, &root * root.transpose() + noise.covariance());
        in_range("the mean of x", &mean)?;
        in_range("the covariance of x", &covariance)?;
        let evidence = Gaussian::new(mean, covariance)?;
        Ok(Self { prior, w, noise, evidence, b, x })
    }

    /// The distribution of x, N(Wm + b, WPWᵀ + S).
    pub fn marginal(&self) -> &Gaussian {
        &self.evidence
    }

    /// ln p(x)
    pub fn ln_evidence(&self) -> f64 {
        // x has been found finite and of the right length.
        self.evidence.ln_pdf(&self.x).unwrap_or(f64::NAN)
    }

    /// p(z | x). With P = L₀L₀ᵀ, S = LLᵀ and A = L⁻¹WL₀ its covariance is L₀(I + AᵀA)⁻¹L₀ᵀ: no matrix is inverted.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] where it is singular to working precision, [`Error::Overflow`].
    pub fn posterior(&self) -> Result<Gaussian> {
        let root = self.prior.cholesky_factor();
        let mut a = &self.w * root;
        self.noise.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut a);
        let gram = DMatrix::identity(a.ncols(), a.ncols()) + a.tr_mul(&a);
        in_range("the precision of the posterior", &gram)?;
        let k = Gaussian::new(DVector::zeros(a.ncols()), gram)?;
        let mut narrowed = root.transpose();
        k.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut narrowed);
        let shift = self.noise.whiten(&(&self.x - self.evidence.mean()))?;
        let mean = self.prior.mean() + narrowed.tr_mul(&k.whiten(&a.tr_mul(&shift))?);
        Gaussian::new(mean, narrowed.tr_mul(&narrowed))
    }

    /// E_q ln p(x | z) = −½ (p ln 2π + ln det S + (x−Wm−b)ᵀS⁻¹(x−Wm−b) + tr S⁻¹WLLᵀWᵀ) for q = N(m, LLᵀ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless q has the dimension of z and one block, [`Error::Overflow`].
    pub fn expected_ln_likelihood(&self, q: &impl Family) -> Result<f64> {
        same_length("a block of the latent of q", self.w.ncols(), q.factor().nrows())?;
        if q.blocks() != 1 {
            let found = format!("{} blocks", q.blocks());
            return Err(Error::Shape { what: "the latent of q", expected: "one block".into(), found });
        }
        let at_mean = self.ln_likelihood(&q.mean())?;
        let mut whitened = &self.w * q.factor();
        self.noise.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut whitened);
        let value = at_mean - 0.5 * whitened.norm_squared();
        in_range("the expected log likelihood", [&value])?;
        Ok(value)
    }

    /// x − Wz − b
    fn residual(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        check_latent(self.latent_dim(), z)?;
        let residual = &self.x - &self.w * z - &self.b;
        in_range("the residual of the observation", &residual)?;
        Ok(residual)
    }
}

impl Model for LinearGaussian {
    fn latent_dim(&self) -> usize {
        self.w.ncols()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_likelihood(z)? + self.prior.ln_pdf(z)?)
    }

    /// WᵀS⁻¹(x − Wz − b) − P⁻¹(z − m)
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.w.tr_mul(&solve(&self.noise, self.residual(z)?)?) + gradient_ln_pdf(&self.prior, z)?)
    }
}

impl NormalPrior for LinearGaussian {
    fn prior(&self) -> &Gaussian {
        &self.prior
    }

    /// ln N(x; Wz + b, S)
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64> {
        let square = self.noise.mahalanobis_squared(&self.residual(z)?)?;
        Ok(-0.5 * (self.x.len() as f64 * (2.0 * PI).ln() + self.noise.ln_det_covariance() + square))
    }
}

impl Quadratic for LinearGaussian {
    /// Λ = P⁻¹ + WᵀS⁻¹W
    fn precision(&self) -> Result<DMatrix<f64>> {
        let mut whitened = self.w.clone();
        self.noise.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut whitened);
        let precision = self.prior.precision()? + whitened.tr_mul(&whitened);
        in_range("the precision of the posterior", &precision)?;
        Ok(precision)
    }
}
