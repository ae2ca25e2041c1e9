//! Maximum likelihood: the log likelihood, the normal's sufficient statistics, its fit and its gradients.

use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::gaussian::{
    Density, Gaussian, PANEL, ROWS, add_products, check_moments, rank, same_length, sum, sum_around, variance_inflation,
};
use nalgebra::{DMatrix, DVector, DVectorView};
use rayon::prelude::*;
use std::f64::consts::PI;
use std::ops::Range;

/// How many rows are centred at once: one unit of parallel work.
const CHUNK: usize = 1024;

/// How many chunks' statistics are held in memory before they are merged.
const BLOCK: usize = 64;

/// The log likelihood LL = Σₙ ln p(xₙ) of the rows xₙ of an N×d matrix.
///
/// # Errors
/// Those of [`Density::ln_pdf_rows`].
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

    /// The statistics that were read off others by [`count`](Self::count), [`mean`](Self::mean) and [`scatter`](Self::scatter), for
    /// example on another machine.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the mean has length d and the scatter is d×d; [`Error::NotFinite`]; [`Error::NotSymmetric`];
    /// [`Error::Domain`] for a negative diagonal entry of the scatter.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let here = GaussianStats::from_rows(&dmatrix![1.0; 3.0])?;
    /// let there = GaussianStats::new(3, dvector![4.0], dmatrix![6.0])?;
    /// assert_eq!(here.merge(there)?.mean(), &dvector![3.2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(count: usize, mean: DVector<f64>, scatter: DMatrix<f64>) -> Result<Self> {
        check_moments(&mean, "the scatter", &scatter)?;
        match scatter.diagonal().iter().find(|&&sum| sum < 0.0) {
            Some(&value) => Err(Error::Domain { what: "a diagonal entry of the scatter", value, domain: "at least 0" }),
            None => Ok(Self { count, mean, scatter }),
        }
    }

    /// The statistics of the rows of an N×d matrix, in parallel over chunks of rows; they do not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming the row and column, [`Error::Overflow`].
    pub fn from_rows(data: &DMatrix<f64>) -> Result<Self> {
        let (n, mut stats) = (data.nrows(), Self::empty(data.ncols()));
        let of_chunk = |start| Self::of_chunk(data, start..n.min(start + CHUNK));
        let starts: Vec<usize> = (0..n).step_by(CHUNK).collect();
        for block in starts.chunks(BLOCK) {
            let chunks: Vec<Self> = block.par_iter().map(|&start| of_chunk(start)).collect();
            chunks.iter().for_each(|chunk| stats.absorb(chunk));
        }
        stats.checked().map_err(|overflow| finite_matrix("the data", data).err().unwrap_or(overflow))
    }

    /// Centred first, then multiplied: no difference of large sums of squares.
    fn of_chunk(data: &DMatrix<f64>, rows: Range<usize>) -> Self {
        let (d, count) = (data.ncols(), rows.len());
        let mean = |column: DVectorView<f64>| {
            let x = &column.as_slice()[rows.clone()];
            let mean = sum(x) / count as f64;
            // The second time takes away what rounding the first mean has left.
            (mean, sum_around(x, mean) / count as f64)
        };
        let means: Vec<(f64, f64)> = data.column_iter().map(mean).collect();
        let panels = d.div_ceil(PANEL);
        let mut gram = DMatrix::zeros(panels * PANEL, panels * PANEL);
        let mut centered = vec![[0.0; PANEL]; panels * ROWS];
        for start in rows.clone().step_by(ROWS) {
            let rows = start..rows.end.min(start + ROWS);
            for (j, (column, (mean, rest))) in data.column_iter().zip(&means).enumerate() {
                let centered = &mut centered[j / PANEL * rows.len()..];
                let of_rows = centered.iter_mut().zip(&column.as_slice()[rows.clone()]);
                of_rows.for_each(|(centered, x)| centered[j % PANEL] = x - mean - rest);
            }
            add_products(&centered[..panels * rows.len()], rows.len(), d, &mut gram);
        }
        gram.fill_lower_triangle_with_upper_triangle();
        let mean = DVector::from_iterator(d, means.iter().map(|(mean, rest)| mean + rest));
        Self { count, mean, scatter: gram.view((0, 0), (d, d)).into_owned() }
    }

    /// Takes in one sample.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`], [`Error::Overflow`]; the statistics are then unchanged.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let mut stats = GaussianStats::empty(1);
    /// for x in [1.0, 3.0, 8.0] {
    ///     stats.observe(&dvector![x])?;
    /// }
    /// assert_eq!((stats.count(), stats.mean()[0], stats.scatter()[0]), (3, 4.0, 26.0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn observe(&mut self, x: &DVector<f64>) -> Result<()> {
        same_length("the sample", self.dim(), x.len())?;
        finite("the sample", x, |i| format!("entry {i}"))?;
        let mut stats = self.clone();
        stats.absorb(&Self { count: 1, mean: x.clone(), scatter: DMatrix::zeros(x.len(), x.len()) });
        *self = stats.checked()?;
        Ok(())
    }

    /// The statistics of both sets of samples.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree, [`Error::Overflow`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (a, b) = (GaussianStats::from_rows(&dmatrix![1.0; 3.0])?, GaussianStats::from_rows(&dmatrix![4.0; 8.0])?);
    /// assert_eq!(a.merge(b)?, GaussianStats::from_rows(&dmatrix![1.0; 3.0; 4.0; 8.0])?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn merge(mut self, other: Self) -> Result<Self> {
        same_length("the other statistics", self.dim(), other.dim())?;
        self.absorb(&other);
        self.checked()
    }

    /// N + M, x̄ + δ M/(N+M) and S + S′ + δδᵀ NM/(N+M), with δ = ȳ − x̄.
    fn absorb(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                self.clone_from(other);
            }
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = &other.mean - &self.mean;
        self.count += other.count;
        let entries = self.scatter.column_iter_mut().zip(other.scatter.column_iter()).zip(&delta);
        entries.for_each(|((mut column, other), of_column)| {
            column.zip_zip_apply(&other, &delta, |s, other, delta| *s += other + delta * of_column * (n * m / (n + m)));
        });
        self.mean += delta * (m / (n + m));
    }

    fn checked(self) -> Result<Self> {
        in_range("the mean of the samples", &self.mean)?;
        in_range("the scatter of the samples", &self.scatter)?;
        Ok(self)
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
    /// [`Error::Shape`] unless μ has length d, [`Error::NotFinite`], [`Error::Overflow`].
    pub fn scatter_around(&self, center: &DVector<f64>) -> Result<DMatrix<f64>> {
        same_length("the centre", self.dim(), center.len())?;
        finite("the centre", center, |i| format!("entry {i}"))?;
        let shift = &self.mean - center;
        let scatter = &self.scatter + &shift * shift.transpose() * self.count as f64;
        in_range("the scatter around the centre", &scatter)?;
        Ok(scatter)
    }

    /// The normal that maximises the likelihood: μ̂ = x̄ and Σ̂ = S / N.
    ///
    /// The samples' digits count as known to a few units in the last place: a column that varies no more than that is constant,
    /// and a linear combination of columns that varies no more than their rounding is a linear dependence.
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
        let fit = match Gaussian::new(self.mean.clone(), &self.scatter / self.count as f64) {
            Err(Error::NotPositiveDefinite { .. }) => {
                return Err(Error::Degenerate { rank: self.rank().min(d - 1), dim: d });
            }
            other => other?,
        };
        // The smallest eigenvalue of the correlations exceeds the reciprocal of their inverse's trace.
        let at_least = variance_inflation(fit.covariance(), fit.cholesky_factor()).iter().sum::<f64>().recip();
        if at_least > self.noise() && (0..d).all(|i| self.rounding(i) < 1.0) {
            return Ok(fit);
        }
        match self.rank() {
            rank if rank < d => Err(Error::Degenerate { rank, dim: d }),
            _ => Ok(fit),
        }
    }

    /// The rank of the scatter after each variable is scaled to unit variance.
    fn rank(&self) -> usize {
        let deviation = |i| if self.rounding(i) < 1.0 { self.scatter[(i, i)].sqrt() } else { 0.0 };
        rank(&self.scatter, &DVector::from_fn(self.dim(), |i, _| deviation(i)), self.noise())
    }

    /// How large an eigenvalue of the correlations may be by rounding alone: that of the sums of products, and that of the samples.
    fn noise(&self) -> f64 {
        let terms = self.count.min(CHUNK) + self.count / CHUNK;
        let products = terms.max(16 * self.dim()) as f64 * f64::EPSILON;
        products + (0..self.dim()).map(|i| self.rounding(i)).filter(|&part| part < 1.0).sum::<f64>()
    }

    /// The part of a variable's variance that four units in the last place of its mean make up: one by which the samples are
    /// rounded, three by which the means of chunks may differ. It is 1 for a constant.
    fn rounding(&self, i: usize) -> f64 {
        let unit = 4.0 * f64::EPSILON * self.mean[i].abs();
        let deviation = (self.scatter[(i, i)] / self.count as f64).sqrt();
        if deviation > unit { (unit / deviation).powi(2) } else { 1.0 }
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
    /// [`Error::Shape`] unless the dimensions agree, [`Error::Overflow`].
    pub fn ln_likelihood_of(&self, stats: &GaussianStats) -> Result<f64> {
        let (n, d) = (stats.count() as f64, self.dim() as f64);
        let trace = self.solve_covariance(&stats.scatter_around(self.mean())?)?.trace();
        Ok(-0.5 * (n * d * (2.0 * PI).ln() + n * self.ln_det_covariance() + trace))
    }

    /// ∇_μ LL = Σ⁻¹ Σₙ (xₙ − μ) = N Σ⁻¹ (x̄ − μ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree, [`Error::Overflow`].
    pub fn gradient_mean(&self, stats: &GaussianStats) -> Result<DVector<f64>> {
        same_length("the statistics", self.dim(), stats.dim())?;
        let shift = (stats.mean() - self.mean()) * stats.count() as f64;
        in_range("the samples' distance from the mean", &shift)?;
        Ok(self.solve_covariance(&DMatrix::from_columns(&[shift]))?.column(0).into_owned())
    }

    /// ∇_Σ LL = −½ (N Σ⁻¹ − Σ⁻¹ S_μ Σ⁻¹), the entries of Σ taken as d² free variables.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree, [`Error::Overflow`].
    ///
    /// Source: Petersen and Pedersen (2012), *The Matrix Cookbook*, eqs. 57 and 61.
    pub fn gradient_covariance(&self, stats: &GaussianStats) -> Result<DMatrix<f64>> {
        let scatter = stats.scatter_around(self.mean())?;
        let precision = self.solve_covariance(&DMatrix::identity(self.dim(), self.dim()))?;
        let sandwich = self.solve_covariance(&self.solve_covariance(&scatter)?.transpose())?;
        let gradient = (precision * stats.count() as f64 - sandwich) * -0.5;
        in_range("the gradient in the covariance", &gradient)?;
        Ok(gradient)
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
    fn the_scatter_is_its_definition_in_every_shape() {
        for (n, d) in (1..=40).map(|d| (1 + 7 * d, d)).chain([(1, 3), (CHUNK + 1, 33), (129, 64)]) {
            // Pairs of x and −x and a zero: sums of integers, and so exact.
            let rows = DMatrix::from_fn(2 * n + 1, d, |i, j| {
                let x = ((3 * (i / 2) + 5 * j * j + i / 2 * j) % 11) as f64 - 5.0;
                if i == 2 * n {
                    0.0
                } else if i % 2 == 0 {
                    x
                } else {
                    -x
                }
            });
            let one = GaussianStats::of_chunk(&rows, 0..2 * n + 1);
            assert_eq!((one.mean.amax(), one.scatter), (0.0, rows.transpose() * &rows), "{n}×{d}");
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
