//! Probabilistic principal component analysis.

use super::family::{Amortised, centred, stacked};
use super::model::{Joint, Model, Quadratic, check_latent};
use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::gaussian::{Gaussian, same_length};
use crate::mle::GaussianStats;
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;

/// Probabilistic principal component analysis: zₙ ~ N(0, I) in k dimensions, xₙ | zₙ ~ N(Wzₙ + x̄, σ²I), a generative model with θ =
/// (W, ln σ), W column by column. The mean is the samples' own, which is the most likely one for every θ. The latent of all N
/// samples is z = (z₁, …, z_N).
///
/// x ~ N(x̄, WWᵀ + σ²I), so that W is determined but for a rotation of z: compare the log likelihood, or WWᵀ + σ²I.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let x = data::matrix(&data::iris()?, &["sepal length", "sepal width", "petal length", "petal width"])?;
/// let p = Ppca::fit(&x, 2)?;
/// // With the posterior for q, the ELBO is the log likelihood.
/// assert!((elbo(&p, &p.posterior()?)? - p.ln_likelihood()?).abs() < 1e-10);
/// assert_eq!(p.sample_n(3, &mut rng("flowers")).shape(), (3, 4));
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Tipping and Bishop (1999), *Journal of the Royal Statistical Society* B 61, 611–622.
#[derive(Clone, Debug, PartialEq)]
pub struct Ppca {
    data: DMatrix<f64>,
    /// x − x̄, a column for each sample.
    columns: DMatrix<f64>,
    mean: DVector<f64>,
    w: DMatrix<f64>,
    deviation: f64,
}

impl Ppca {
    /// The model of the rows of an N×d matrix at a d×k matrix W and the standard deviation σ.
    ///
    /// # Errors
    /// [`Error::Shape`] if they disagree or there is no sample, [`Error::Domain`] unless σ > 0, [`Error::NotFinite`],
    /// [`Error::Overflow`].
    pub fn new(data: &DMatrix<f64>, w: DMatrix<f64>, deviation: f64) -> Result<Self> {
        let (columns, mean) = centred(data)?;
        same_length("the rows of W", data.ncols(), w.nrows())?;
        if w.ncols() == 0 {
            let found = "none".into();
            return Err(Error::Shape { what: "the columns of W", expected: "at least one".into(), found });
        }
        finite_matrix("W", &w)?;
        check_deviation(deviation)?;
        Ok(Self { data: data.clone(), columns, mean, w, deviation })
    }

    /// The maximum of the likelihood: σ² is the mean of the d − k smallest eigenvalues of the samples' covariance S/N, and W = U(Λ −
    /// σ²I)^½ from the eigenvectors of the others.
    ///
    /// # Errors
    /// [`Error::Domain`] unless 0 < k < d; [`Error::Degenerate`] if the samples span k dimensions at most, where the likelihood has
    /// no maximum; those of [`GaussianStats::from_rows`].
    ///
    /// Source: Tipping and Bishop (1999), eqs. 7 and 8.
    pub fn fit(data: &DMatrix<f64>, k: usize) -> Result<Self> {
        let d = data.ncols();
        if !(1..d).contains(&k) {
            let domain = "between 1 and one less than there are variables";
            return Err(Error::Domain { what: "the dimension of the latent", value: k as f64, domain });
        }
        let (stats, n) = (GaussianStats::from_rows(data)?, data.nrows() as f64);
        let not_converged = Error::Overflow { what: "an eigenvalue of the covariance" };
        let eigen = (stats.scatter() / n.max(1.0)).try_symmetric_eigen(f64::EPSILON, 100_000).ok_or(not_converged)?;
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
        let (largest, rest) = order.split_at(k);
        let variance = rest.iter().map(|&i| eigen.eigenvalues[i]).sum::<f64>() / rest.len() as f64;
        // What the decomposition leaves of an eigenvalue that is zero.
        let noise = d as f64 * f64::EPSILON * eigen.eigenvalues.amax();
        if variance.is_nan() || variance <= noise {
            let rank = eigen.eigenvalues.iter().filter(|&&l| l > noise).count();
            return Err(Error::Degenerate { rank, dim: d });
        }
        let mut w = eigen.eigenvectors.select_columns(largest);
        for (mut column, &i) in w.column_iter_mut().zip(largest) {
            column *= (eigen.eigenvalues[i] - variance).max(0.0).sqrt();
        }
        Self::new(data, w, variance.sqrt())
    }

    /// W
    pub fn w(&self) -> &DMatrix<f64> {
        &self.w
    }

    /// σ
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The distribution of x, N(x̄, WWᵀ + σ²I).
    ///
    /// # Errors
    /// Those of [`Gaussian::new`] where it is singular to working precision, [`Error::Overflow`].
    pub fn density(&self) -> Result<Gaussian> {
        let d = self.mean.len();
        let covariance = &self.w * self.w.transpose() + DMatrix::identity(d, d) * self.deviation.powi(2);
        in_range("the covariance of x", &covariance)?;
        Gaussian::new(self.mean.clone(), covariance)
    }

    /// The log likelihood Σₙ ln p_θ(xₙ), which is the log evidence of all samples.
    ///
    /// # Errors
    /// Those of [`density`](Self::density).
    pub fn ln_likelihood(&self) -> Result<f64> {
        self.density()?.ln_likelihood_of(&GaussianStats::from_rows(&self.data)?)
    }

    /// p(z | x) for each sample: with M = WᵀW + σ²I the normal of mean M⁻¹Wᵀ(x − x̄) and covariance σ²M⁻¹, a member of the linear
    /// amortised family.
    ///
    /// # Errors
    /// Those of [`Gaussian::new`], [`Error::Overflow`].
    ///
    /// Source: Tipping and Bishop (1999), eq. 6.
    pub fn posterior(&self) -> Result<Amortised> {
        let k = self.w.ncols();
        let precision = Gaussian::new(DVector::zeros(k), self.precision()?)?;
        let covariance = precision.solve_covariance(&DMatrix::identity(k, k))?;
        let slope = precision.solve_covariance(&(self.w.transpose() / self.deviation.powi(2)))?;
        Amortised::new(&self.data, slope, DVector::zeros(k), (&covariance + covariance.transpose()) * 0.5)
    }

    /// n new samples as the rows of an n×d matrix.
    pub fn sample_n<R: Rng + ?Sized>(&self, n: usize, rng: &mut R) -> DMatrix<f64> {
        let mut samples = DMatrix::zeros(n, self.mean.len());
        for mut row in samples.row_iter_mut() {
            row.copy_from(&self.sample(rng).transpose());
        }
        samples
    }

    /// ln p_θ(x, z) and its gradients at one z = (z₁, …, z_N).
    fn at(&self, z: &DVector<f64>) -> Result<At<'_>> {
        check_latent(self.latent_dim(), z)?;
        let z = DMatrix::from_column_slice(self.w.ncols(), self.columns.ncols(), z.as_slice());
        let mut residuals = self.columns.clone();
        residuals.gemm(-1.0, &self.w, &z, 1.0);
        let square = residuals.norm_squared() / self.deviation.powi(2);
        in_range("the squared residuals", [&square])?;
        Ok(At { model: self, z, residuals, square })
    }
}

/// The zₙ and x − x̄ − Wzₙ as columns, and Σₙ ‖x − x̄ − Wzₙ‖²/σ².
struct At<'a> {
    model: &'a Ppca,
    z: DMatrix<f64>,
    residuals: DMatrix<f64>,
    square: f64,
}

impl At<'_> {
    /// Σₙ ln N(xₙ; Wzₙ + x̄, σ²I) + ln N(zₙ; 0, I)
    fn ln_joint(&self) -> Result<f64> {
        let (of_x, of_z) = (self.residuals.len() as f64, self.z.len() as f64);
        let square = self.square + self.z.norm_squared();
        in_range("the squared residuals", [&square])?;
        Ok(-0.5 * ((of_x + of_z) * (2.0 * PI).ln() + square) - of_x * self.model.deviation.ln())
    }

    /// Wᵀ(xₙ − x̄ − Wzₙ)/σ² − zₙ for each n.
    fn gradient(&self) -> Result<DVector<f64>> {
        let gradient = self.model.w.transpose() * &self.residuals / self.model.deviation.powi(2) - &self.z;
        in_range("the gradient in the latent", &gradient)?;
        Ok(stacked(gradient))
    }

    /// Σₙ (xₙ − x̄ − Wzₙ)zₙᵀ/σ² in W and Σₙ ‖xₙ − x̄ − Wzₙ‖²/σ² − Nd in ln σ.
    fn gradient_parameters(&self) -> Result<DVector<f64>> {
        let by_w = &self.residuals * self.z.transpose() / self.model.deviation.powi(2);
        let by_ln_deviation = self.square - self.residuals.len() as f64;
        let gradient = DVector::from_vec(by_w.iter().copied().chain([by_ln_deviation]).collect());
        in_range("the gradient in θ", &gradient)?;
        Ok(gradient)
    }
}

fn check_deviation(value: f64) -> Result<()> {
    let variance = value * value;
    if variance > 0.0 && variance.recip() > 0.0 && variance.recip().is_finite() {
        return Ok(());
    }
    let domain = "positive, its square within the range of double precision; take smaller steps, or other units";
    Err(Error::Domain { what: "the standard deviation σ", value, domain })
}

impl Distribution<DVector<f64>> for Ppca {
    /// z ~ N(0, I), then Wz + x̄ + σε.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        let mut normal = |n| DVector::from_fn(n, |_, _| -> f64 { StandardNormal.sample(rng) });
        let z = normal(self.w.ncols());
        &self.w * z + &self.mean + normal(self.mean.len()) * self.deviation
    }
}

impl Model for Ppca {
    fn latent_dim(&self) -> usize {
        self.w.ncols() * self.columns.ncols()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        self.at(z)?.ln_joint()
    }

    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        self.at(z)?.gradient()
    }

    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        Joint::by_column(z, |z| {
            let at = self.at(z)?;
            Ok((at.ln_joint()?, at.gradient()?, at.gradient_parameters()?))
        })
    }

    fn parameters(&self) -> DVector<f64> {
        DVector::from_vec(self.w.iter().copied().chain([self.deviation.ln()]).collect())
    }

    fn set_parameters(&mut self, theta: &DVector<f64>) -> Result<()> {
        same_length("the model's parameters", self.w.len() + 1, theta.len())?;
        finite("the model's parameters", theta, |i| format!("entry {i}"))?;
        let deviation = theta[self.w.len()].exp();
        check_deviation(deviation)?;
        self.deviation = deviation;
        self.w.copy_from_slice(&theta.as_slice()[..self.w.len()]);
        Ok(())
    }

    fn gradient_parameters(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        self.at(z)?.gradient_parameters()
    }
}

impl Quadratic for Ppca {
    /// Λ = WᵀW/σ² + I
    fn precision(&self) -> Result<DMatrix<f64>> {
        let scaled = &self.w / self.deviation;
        let precision = scaled.tr_mul(&scaled) + DMatrix::identity(self.w.ncols(), self.w.ncols());
        in_range("the precision of the posterior", &precision)?;
        Ok(precision)
    }

    /// −WC/σ² in W and tr WCWᵀ/σ² in ln σ.
    fn gradient_precision(&self, c: &DMatrix<f64>) -> Result<DVector<f64>> {
        let k = self.w.ncols();
        same_length("the rows of the matrix beside the precision", k, c.nrows())?;
        same_length("the columns of the matrix beside the precision", k, c.ncols())?;
        let by_w = &self.w * c / -self.deviation.powi(2);
        let gradient = by_w.iter().copied().chain([-by_w.dot(&self.w)]);
        Ok(DVector::from_vec(gradient.collect()))
    }
}
