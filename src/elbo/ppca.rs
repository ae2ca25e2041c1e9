//! Probabilistic principal component analysis.

use super::family::{Amortised, centred};
use super::model::{Joint, Model, Quadratic, check_latent};
use super::rows::{Rows, add_product, lay, product, product_over_rows, stacked_rows};
use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::gaussian::{Gaussian, Lanes, same_length, squared_norms, sum};
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
    /// x − x̄
    centred: Rows,
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
        let (centred, mean) = centred(data)?;
        same_length("the rows of W", data.ncols(), w.nrows())?;
        if w.ncols() == 0 {
            let found = "none".into();
            return Err(Error::Shape { what: "the columns of W", expected: "at least one".into(), found });
        }
        finite_matrix("W", &w)?;
        check_deviation(deviation)?;
        Ok(Self { data: data.clone(), centred, mean, w, deviation })
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

    /// What `of` makes of the x − x̄ − Wz and the z of each piece of samples, their products with so many rows of W counted.
    fn residuals<T: Send>(
        &self,
        z: &DVector<f64>,
        products: usize,
        of: impl Fn(&[Lanes], &[Lanes]) -> T + Sync,
    ) -> Result<Vec<T>> {
        check_latent(self.latent_dim(), z)?;
        let (k, minus_w) = (self.w.ncols(), -self.w.transpose());
        Ok(self.centred.pieces(products * self.w.len(), |samples, x| {
            let z = lay(samples, k, |n, i| z[n * k + i]);
            let mut residuals = x.to_vec();
            add_product(&mut residuals, &z, &minus_w);
            of(&residuals, &z)
        }))
    }

    /// Σₙ ln N(xₙ; Wzₙ + x̄, σ²I) + ln N(zₙ; 0, I) from the Σₙ ‖x − x̄ − Wzₙ‖² and Σₙ ‖zₙ‖² of the pieces.
    fn ln_joint_of(&self, squares: impl Iterator<Item = (f64, f64)>) -> Result<f64> {
        let (of_x, of_z) = (self.data.len() as f64, self.latent_dim() as f64);
        let square: f64 = squares.map(|(x, z)| x / self.deviation.powi(2) + z).sum();
        in_range("the squared residuals", [&square])?;
        Ok(-0.5 * ((of_x + of_z) * (2.0 * PI).ln() + square) - of_x * self.deviation.ln())
    }

    /// ln p_θ(x, z) and its gradients at one z = (z₁, …, z_N): Wᵀ(xₙ − x̄ − Wzₙ)/σ² − zₙ for each n, Σₙ (xₙ − x̄ − Wzₙ)zₙᵀ/σ² in W
    /// and Σₙ ‖xₙ − x̄ − Wzₙ‖²/σ² − Nd in ln σ.
    fn at(&self, z: &DVector<f64>) -> Result<(f64, DVector<f64>, DVector<f64>)> {
        let ((d, k), variance) = (self.w.shape(), self.deviation.powi(2));
        let pieces =
            self.residuals(z, 3, |r, z| (squares(r, z), product(r, &self.w), product_over_rows(r, d, z, k)))?;
        let ln_joint = self.ln_joint_of(pieces.iter().map(|(squares, ..)| *squares))?;
        let mut by_z = stacked_rows(self.centred.count(), k, pieces.iter().map(|(_, by_z, _)| by_z));
        by_z.iter_mut().zip(z).for_each(|(by_z, z)| *by_z = *by_z / variance - z);
        let by_w = pieces.iter().map(|(.., by_w)| by_w).sum::<DMatrix<f64>>() / variance;
        let by_ln_deviation =
            pieces.iter().map(|((of_x, _), ..)| of_x / variance).sum::<f64>() - self.data.len() as f64;
        let by_theta = DVector::from_vec(by_w.iter().copied().chain([by_ln_deviation]).collect());
        in_range("the gradient in the latent", [&sum(by_z.as_slice())])?;
        in_range("the gradient in θ", &by_theta)?;
        Ok((ln_joint, by_z, by_theta))
    }
}

/// Σₙ ‖x − x̄ − Wzₙ‖² and Σₙ ‖zₙ‖²
fn squares(residuals: &[Lanes], z: &[Lanes]) -> (f64, f64) {
    (squared_norms(residuals).iter().sum(), squared_norms(z).iter().sum())
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
        self.w.ncols() * self.centred.count()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        self.ln_joint_of(self.residuals(z, 1, squares)?.into_iter())
    }

    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.at(z)?.1)
    }

    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        Joint::by_column(z, |z| self.at(z))
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
        Ok(self.at(z)?.2)
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
