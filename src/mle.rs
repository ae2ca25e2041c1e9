//! Maximum likelihood: the log likelihood, the normal's sufficient statistics, its fit and its gradients.

use crate::error::{Error, Result, finite};
use crate::gaussian::{Density, Gaussian, same_length};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::f64::consts::PI;

/// How many rows are centred and multiplied at once.
const CHUNK: usize = 4096;

/// The log likelihood LL = Σₙ ln p(xₙ) of the rows xₙ of an N×d matrix.
///
/// # Errors
/// [`Error::Shape`] unless the rows have the density's dimension.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::standard(1)?;
/// let ll = ln_likelihood(&p, &dmatrix![1.0; -1.0])?;
/// assert!((ll + (2.0 * PI).ln() + 1.0).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
pub fn ln_likelihood(density: &impl Density, data: &DMatrix<f64>) -> Result<f64> {
    Ok(density.ln_pdf_rows(data)?.sum())
}

/// Count N, mean x̄ and centred scatter S = Σₙ (xₙ−x̄)(xₙ−x̄)ᵀ: all that the likelihood of a normal depends on.
///
/// A commutative monoid under [`merge`](Self::merge), so that chunks, threads and machines combine.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let stats = GaussianStats::from_rows(&dmatrix![1.0, 0.0; 3.0, 1.0; 2.0, 5.0])?;
/// assert_eq!(stats.mean(), &dvector![2.0, 2.0]);
/// assert_eq!(stats.scatter(), &dmatrix![2.0, 1.0; 1.0, 14.0]);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Chan, Golub and LeVeque (1983), *The American Statistician* 37, eqs. 1.5, in d dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianStats {
    count: usize,
    mean: DVector<f64>,
    scatter: DMatrix<f64>,
}

impl GaussianStats {
    /// The statistics of no samples in d dimensions: the neutral element of [`merge`](Self::merge).
    pub fn empty(d: usize) -> Self {
        Self { count: 0, mean: DVector::zeros(d), scatter: DMatrix::zeros(d, d) }
    }

    /// The statistics of the rows of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming the row and column.
    pub fn from_rows(data: &DMatrix<f64>) -> Result<Self> {
        let n = data.nrows();
        finite("the data", data, |i| format!("row {}, column {}", i % n, i / n))?;
        let chunks: Vec<Self> = (0..n.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| Self::of_chunk(data.rows(chunk * CHUNK, CHUNK.min(n - chunk * CHUNK)).into_owned()))
            .collect();
        Ok(chunks.into_iter().fold(Self::empty(data.ncols()), Self::merged))
    }

    /// Centred first, then one matrix product: no difference of large sums of squares.
    fn of_chunk(mut rows: DMatrix<f64>) -> Self {
        let (count, mean) = (rows.nrows(), rows.row_mean());
        for mut row in rows.row_iter_mut() {
            row -= &mean;
        }
        Self { count, mean: mean.transpose(), scatter: rows.transpose() * &rows }
    }

    /// Takes in one sample.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`]; the statistics are then unchanged.
    pub fn observe(&mut self, x: &DVector<f64>) -> Result<()> {
        same_length("the sample", self.dim(), x.len())?;
        finite("the sample", x, |i| format!("entry {i}"))?;
        self.count += 1;
        let before = x - &self.mean;
        self.mean += &before / self.count as f64;
        self.scatter += &before * (x - &self.mean).transpose();
        Ok(())
    }

    /// The statistics of both sets of samples.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree.
    pub fn merge(self, other: Self) -> Result<Self> {
        same_length("the other statistics", self.dim(), other.dim())?;
        Ok(self.merged(other))
    }

    fn merged(self, other: Self) -> Self {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = other.mean - &self.mean;
        Self {
            count: self.count + other.count,
            scatter: self.scatter + other.scatter + &delta * delta.transpose() * (n * m / (n + m)),
            mean: self.mean + delta * (m / (n + m)),
        }
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The number N of samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The sample mean x̄ (zero if there are no samples).
    pub fn mean(&self) -> &DVector<f64> {
        &self.mean
    }

    /// The centred scatter S.
    pub fn scatter(&self) -> &DMatrix<f64> {
        &self.scatter
    }

    /// The scatter around another centre, Σₙ (xₙ−μ)(xₙ−μ)ᵀ = S + N (x̄−μ)(x̄−μ)ᵀ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless μ has length d.
    pub fn scatter_around(&self, center: &DVector<f64>) -> Result<DMatrix<f64>> {
        same_length("the centre", self.dim(), center.len())?;
        let shift = &self.mean - center;
        Ok(&self.scatter + &shift * shift.transpose() * self.count as f64)
    }

    /// The normal that maximises the likelihood: μ̂ = x̄ and Σ̂ = S / N.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] for N ≤ d and [`Error::Degenerate`] with the rank that was found, since the likelihood then has
    /// no maximum: it grows without bound as Σ shrinks across the subspace that holds the samples.
    ///
    /// Source: Anderson (2003), theorem 3.2.1.
    pub fn fit(&self) -> Result<Gaussian> {
        let d = self.dim();
        if self.count <= d {
            let what = "the fit of a normal";
            return Err(Error::TooFewSamples { what, needed: d + 1, found: self.count });
        }
        let degenerate = || Error::Degenerate { rank: self.rank(), dim: d };
        let fit = Gaussian::new(self.mean.clone(), &self.scatter / self.count as f64).map_err(|error| match error {
            Error::NotPositiveDefinite { .. } => degenerate(),
            other => other,
        })?;
        // The squared diagonal of the factor is what the variables before leave unexplained of each variance.
        let unexplained = fit.cholesky_factor().diagonal().map(|l| l * l);
        let explained = |(left, &variance): (&f64, &f64)| *left <= self.noise() * variance;
        let dependent = unexplained.iter().zip(fit.covariance().diagonal().iter()).any(explained);
        if dependent || (0..d).any(|i| self.is_constant(i)) { Err(degenerate()) } else { Ok(fit) }
    }

    /// What a chunk's mean and products may have lost to rounding, relative to what was summed.
    fn noise(&self) -> f64 {
        self.count.min(CHUNK).max(16 * self.dim()) as f64 * f64::EPSILON
    }

    /// Whether a variable's scatter is what rounding its mean leaves.
    fn is_constant(&self, i: usize) -> bool {
        self.scatter[(i, i)] <= self.count as f64 * (self.noise() * self.mean[i]).powi(2)
    }

    /// The rank of the scatter after each variable is scaled to unit variance.
    fn rank(&self) -> usize {
        let scale =
            DVector::from_fn(
                self.dim(),
                |i, _| {
                    if self.is_constant(i) { 0.0 } else { self.scatter[(i, i)].sqrt().recip() }
                },
            );
        let correlation = DMatrix::from_diagonal(&scale) * &self.scatter * DMatrix::from_diagonal(&scale);
        correlation.symmetric_eigenvalues().iter().filter(|&&l| l > self.noise()).count()
    }
}

impl Gaussian {
    /// The maximum likelihood fit to the rows of an N×d matrix: [`GaussianStats::from_rows`], then [`GaussianStats::fit`].
    ///
    /// # Errors
    /// Those of the two.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::fit(&dmatrix![1.0; 2.0; 6.0])?;
    /// assert_eq!((p.mean()[0], p.covariance()[0]), (3.0, 14.0 / 3.0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn fit(data: &DMatrix<f64>) -> Result<Self> {
        GaussianStats::from_rows(data)?.fit()
    }

    /// The log likelihood from the sufficient statistics alone,
    /// LL = −½ (N d ln 2π + N ln det Σ + tr Σ⁻¹ S_μ), S_μ the scatter around μ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree.
    pub fn ln_likelihood_of(&self, stats: &GaussianStats) -> Result<f64> {
        let (n, d) = (stats.count() as f64, self.dim() as f64);
        let trace = self.solve_covariance(&stats.scatter_around(self.mean())?)?.trace();
        Ok(-0.5 * (n * d * (2.0 * PI).ln() + n * self.ln_det_covariance() + trace))
    }

    /// ∇_μ LL = Σ⁻¹ Σₙ (xₙ − μ) = N Σ⁻¹ (x̄ − μ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree.
    pub fn gradient_mean(&self, stats: &GaussianStats) -> Result<DVector<f64>> {
        same_length("the statistics", self.dim(), stats.dim())?;
        let shift = (stats.mean() - self.mean()) * stats.count() as f64;
        Ok(self.solve_covariance(&DMatrix::from_columns(&[shift]))?.column(0).into_owned())
    }

    /// ∇_Σ LL = −½ (N Σ⁻¹ − Σ⁻¹ S_μ Σ⁻¹), the entries of Σ taken as d² free variables.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree.
    ///
    /// Source: Petersen and Pedersen (2012), *The Matrix Cookbook*, eqs. 57 and 61.
    pub fn gradient_covariance(&self, stats: &GaussianStats) -> Result<DMatrix<f64>> {
        let scatter = stats.scatter_around(self.mean())?;
        let precision = self.solve_covariance(&DMatrix::identity(self.dim(), self.dim()))?;
        let sandwich = self.solve_covariance(&self.solve_covariance(&scatter)?.transpose())?;
        Ok((precision * stats.count() as f64 - sandwich) * -0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monte_carlo::rng;
    use nalgebra::{dmatrix, dvector};

    fn data() -> DMatrix<f64> {
        let p = Gaussian::new(dvector![3.0, -1.0], dmatrix![2.0, 0.7; 0.7, 1.0]).unwrap();
        p.sample_n(10_000, &mut rng("mle tests"))
    }

    #[test]
    fn chunks_single_samples_and_merges_agree() {
        let data = data();
        let whole = GaussianStats::from_rows(&data).unwrap();
        let mut single = GaussianStats::empty(2);
        data.row_iter().for_each(|row| single.observe(&row.transpose()).unwrap());
        let merged = GaussianStats::from_rows(&data.rows(0, 77).into_owned())
            .unwrap()
            .merge(GaussianStats::from_rows(&data.rows(77, 9923).into_owned()).unwrap())
            .unwrap();
        for other in [single, merged] {
            assert_eq!(other.count(), whole.count());
            assert!((other.mean() - whole.mean()).amax() < 1e-13);
            assert!((other.scatter() - whole.scatter()).amax() < 1e-9);
        }
    }

    #[test]
    fn a_large_offset_costs_no_digits() {
        let stats = GaussianStats::from_rows(&dmatrix![1e9 + 1.0; 1e9 + 2.0; 1e9 + 3.0]).unwrap();
        assert_eq!((stats.mean()[0], stats.scatter()[0]), (1e9 + 2.0, 2.0));
    }

    #[test]
    fn likelihood_from_statistics_is_the_sum_over_samples() {
        let data = data();
        let p = Gaussian::new(dvector![2.0, 0.0], dmatrix![1.5, -0.2; -0.2, 0.8]).unwrap();
        let sum = ln_likelihood(&p, &data).unwrap();
        let closed = p.ln_likelihood_of(&GaussianStats::from_rows(&data).unwrap()).unwrap();
        assert!((sum / closed - 1.0).abs() < 1e-12);
    }

    #[test]
    fn gradients_vanish_at_the_fit_and_only_there() {
        let stats = GaussianStats::from_rows(&data()).unwrap();
        let fit = stats.fit().unwrap();
        assert!(fit.gradient_mean(&stats).unwrap().amax() < 1e-9);
        assert!(fit.gradient_covariance(&stats).unwrap().amax() < 1e-9);
        let other = Gaussian::new(dvector![3.0, -1.0], dmatrix![2.2, 0.7; 0.7, 1.0]).unwrap();
        assert!(other.gradient_mean(&stats).unwrap().amax() > 1.0);
        assert!(other.gradient_covariance(&stats).unwrap().amax() > 1.0);
    }

    #[test]
    fn degenerate_samples_are_refused_with_their_rank() {
        let message = |data: DMatrix<f64>| Gaussian::fit(&data).unwrap_err().to_string();
        assert!(
            message(DMatrix::zeros(0, 2)).contains("at least 3 samples, one more than there are variables; found 0")
        );
        assert!(
            message(dmatrix![1.0, 2.0; 3.0, 4.0])
                .contains("at least 3 samples, one more than there are variables; found 2")
        );
        assert!(message(dmatrix![1.0, 2.0; 3.0, 4.0; 5.0, 6.0; 0.0, 1.0]).contains("span only 1 of 2"));
        assert!(message(dmatrix![1.0, 2.0; 3.0, 2.0; 5.0, 2.0]).contains("span only 1 of 2"));
        // Neither a constant whose mean is rounded nor a sum that is.
        assert!(
            message(DMatrix::from_fn(150, 2, |i, j| if j == 0 { 0.1 } else { i as f64 })).contains("span only 1 of 2")
        );
        for n in [150, 1000, 5000] {
            let p = Gaussian::standard(2).unwrap().sample_n(n, &mut rng("a sum of two")).map(|z| 5.0 + z);
            let sum = DMatrix::from_fn(n, 3, |i, j| if j < 2 { p[(i, j)] } else { p[(i, 0)] + p[(i, 1)] });
            assert!(message(sum).contains("span only 2 of 3"));
        }
        assert!(message(dmatrix![1.0; f64::INFINITY; 2.0]).contains("inf at row 1, column 0"));
    }
}
