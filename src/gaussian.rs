//! The normal distribution in d dimensions.
//!
//! Everything reads off the Cholesky factor L of the covariance, Σ = L Lᵀ: triangular solves for the inverse, a sum of logs for
//! the determinant.

mod cdf;
mod cholesky;
mod lanes;

use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::monte_carlo::Generator;
pub(crate) use cdf::normal_mass;
use cholesky::{check_symmetric, cholesky};
pub(crate) use cholesky::{rank, variance_inflation};
pub(crate) use lanes::{LANES, Lanes, LowerTriangle, PANEL, ROWS, add_products, squared_norms, sum, sum_around};
use nalgebra::{DMatrix, DVector, RowDVector};
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::f64::consts::PI;

/// How many samples share a generator, and so one unit of parallel work.
const CHUNK: usize = 1024;

/// A distribution on ℝᵈ with a density.
pub trait Density {
    /// The dimension d.
    fn dim(&self) -> usize;

    /// ln p(x) at one point of length d.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d; a density may refuse NaN and infinite entries with [`Error::NotFinite`].
    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64>;

    /// p(x) = exp ln p(x); ∞ or 0 where the density exceeds or falls below double precision.
    ///
    /// # Errors
    /// Those of [`ln_pdf`](Self::ln_pdf).
    fn pdf(&self, x: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_pdf(x)?.exp())
    }

    /// ln p at each row of an N×d matrix.
    ///
    /// # Errors
    /// Those of [`ln_pdf`](Self::ln_pdf).
    fn ln_pdf_rows(&self, data: &DMatrix<f64>) -> Result<DVector<f64>> {
        let values: Result<Vec<f64>> = data.row_iter().map(|row| self.ln_pdf(&row.transpose())).collect();
        Ok(DVector::from_vec(values?))
    }

    /// n samples as the rows of an n×d matrix: those that [`sample`](Distribution::sample) draws, one after the other.
    ///
    /// # Errors
    /// [`Error::Shape`] if a sample has another length than d.
    fn sample_rows<X: Point>(&self, n: usize, rng: &mut Generator) -> Result<DMatrix<f64>>
    where
        Self: Distribution<X> + Sized,
    {
        let mut points = Vec::with_capacity(n * self.dim());
        for _ in 0..n {
            let x = self.sample(rng).into_point();
            same_length("the sample", self.dim(), x.len())?;
            points.extend_from_slice(x.as_slice());
        }
        Ok(DMatrix::from_vec(self.dim(), n, points).transpose())
    }
}

/// What a sampler draws: a number or a vector.
pub trait Point {
    /// It as a vector.
    fn into_point(self) -> DVector<f64>;
}

impl Point for f64 {
    fn into_point(self) -> DVector<f64> {
        DVector::from_element(1, self)
    }
}

impl Point for DVector<f64> {
    fn into_point(self) -> DVector<f64> {
        self
    }
}

/// The normal distribution N(μ, Σ) on ℝᵈ,
///
/// p(x) = (2π)^(−d/2) (det Σ)^(−1/2) exp(−½ (x−μ)ᵀ Σ⁻¹ (x−μ)).
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::new(dvector![0.0, 1.0], dmatrix![2.0, 0.5; 0.5, 1.0])?;
/// assert!((p.ln_pdf(&dvector![0.0, 1.0])? + (2.0 * std::f64::consts::PI).ln() + 0.5 * 1.75_f64.ln()).abs() < 1e-14);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Anderson (2003), *An Introduction to Multivariate Statistical Analysis*, 3rd ed., §2.3.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    /// The lower Cholesky factor L, Σ = L Lᵀ.
    factor: DMatrix<f64>,
}

impl Gaussian {
    /// N(μ, Σ) for a mean of length d and a symmetric positive definite d×d covariance.
    ///
    /// The two triangles of Σ may differ by rounding (1e-12 of the two diagonal entries' geometric mean); the lower one counts.
    /// A covariance that is singular to working precision is refused, never jittered: what a variable's variance keeps
    /// once all the others have explained what they can must exceed d units of rounding of it. With that remainder as a
    /// fraction r of the variance, (x−μ)ᵀΣ⁻¹(x−μ) is known to about d·2⁻⁵²/r of itself.
    ///
    /// # Errors
    /// [`Error::Shape`] for d = 0 or shapes that disagree, [`Error::NotFinite`], [`Error::NotSymmetric`] and
    /// [`Error::NotPositiveDefinite`].
    ///
    /// Source: Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., theorems 10.3 and 10.7.
    pub fn new(mean: DVector<f64>, mut covariance: DMatrix<f64>) -> Result<Self> {
        let d = mean.len();
        if d == 0 {
            return Err(Error::Shape { what: "the mean", expected: "at least one entry".into(), found: "none".into() });
        }
        check_moments(&mean, "the covariance", &covariance)?;
        covariance.fill_upper_triangle_with_lower_triangle();
        let factor = cholesky(&covariance)?;
        Ok(Self { mean, covariance, factor })
    }

    /// N(0, I) on ℝᵈ.
    ///
    /// # Errors
    /// [`Error::Shape`] for d = 0.
    pub fn standard(d: usize) -> Result<Self> {
        Self::new(DVector::zeros(d), DMatrix::identity(d, d))
    }

    /// The one-dimensional N(μ, σ²), from its variance σ².
    ///
    /// # Errors
    /// [`Error::NotFinite`], and [`Error::NotPositiveDefinite`] unless σ² > 0.
    pub fn univariate(mean: f64, variance: f64) -> Result<Self> {
        Self::new(DVector::from_element(1, mean), DMatrix::from_element(1, 1, variance))
    }

    /// The mean μ.
    pub fn mean(&self) -> &DVector<f64> {
        &self.mean
    }

    /// The covariance Σ.
    pub fn covariance(&self) -> &DMatrix<f64> {
        &self.covariance
    }

    /// The lower triangular L with Σ = L Lᵀ and a positive diagonal.
    pub fn cholesky_factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    /// d ln 2π + ln det Σ
    fn ln_normaliser(&self) -> f64 {
        self.dim() as f64 * (2.0 * PI).ln() + self.ln_det_covariance()
    }

    /// ln det Σ = 2 Σᵢ ln Lᵢᵢ; a sum of logs, so that it neither overflows nor underflows.
    pub fn ln_det_covariance(&self) -> f64 {
        2.0 * self.factor.diagonal().iter().map(|l| l.ln()).sum::<f64>()
    }

    /// z = L⁻¹(x − μ), which is N(0, I) when x is N(μ, Σ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`], [`Error::Overflow`].
    pub fn whiten(&self, x: &DVector<f64>) -> Result<DVector<f64>> {
        let z = self.whitened(x)?;
        in_range("the whitened point", &z)?;
        Ok(z)
    }

    fn whitened(&self, x: &DVector<f64>) -> Result<DVector<f64>> {
        same_length("the point", self.dim(), x.len())?;
        finite("the point", x, |i| format!("entry {i}"))?;
        let mut z = x - &self.mean;
        self.factor.solve_lower_triangular_unchecked_mut(&mut z);
        Ok(z)
    }

    /// (x − μ)ᵀ Σ⁻¹ (x − μ) = ‖z‖² with z from [`whiten`](Self::whiten); ∞ beyond the range of double precision.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::univariate(1.0, 4.0)?;
    /// assert_eq!(p.mahalanobis_squared(&dvector![7.0])?, 9.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn mahalanobis_squared(&self, x: &DVector<f64>) -> Result<f64> {
        Ok(squared_norm(self.whitened(x)?.iter().map(|z| z * z).sum()))
    }

    /// Σ⁻¹ B for a d×k matrix B, by two triangular solves.
    ///
    /// # Errors
    /// [`Error::Shape`] unless B has d rows, [`Error::NotFinite`], [`Error::Overflow`].
    pub fn solve_covariance(&self, b: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        same_length("the right-hand side's columns", self.dim(), b.nrows())?;
        finite_matrix("the right-hand side", b)?;
        let mut x = b.clone();
        self.factor.solve_lower_triangular_unchecked_mut(&mut x);
        self.factor.tr_solve_lower_triangular_unchecked_mut(&mut x);
        in_range("the solution Σ⁻¹B", &x)?;
        Ok(x)
    }

    /// The normal of the coordinates `indices`, in that order: μ_I and Σ_II.
    ///
    /// # Errors
    /// [`Error::Shape`] if an index is not below d or repeated, or none is given.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::new(dvector![1.0, 2.0], dmatrix![4.0, 1.0; 1.0, 9.0])?;
    /// assert_eq!(p.marginal(&[1])?, Gaussian::univariate(2.0, 9.0)?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Anderson (2003), theorem 2.4.3.
    pub fn marginal(&self, indices: &[usize]) -> Result<Self> {
        self.check_indices(indices)?;
        Self::new(self.mean.select_rows(indices), self.covariance.select_rows(indices).select_columns(indices))
    }

    /// The normal of the coordinates A that are not in `indices`, in their order, given that those in `indices` (B) have the
    /// `values` y: with the Cholesky factor of Σ in the order B, A,
    ///
    /// ```text
    /// L = ⎡L_B   0 ⎤   mean        μ_A + M L_B⁻¹ (y − μ_B)  =  μ_A + Σ_AB Σ_BB⁻¹ (y − μ_B)
    ///     ⎣ M   L_A⎦   covariance  L_A L_Aᵀ                 =  Σ_AA − Σ_AB Σ_BB⁻¹ Σ_BA
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if an index is not below d or repeated, if `indices` leaves no coordinate, or unless there are as many
    /// values as indices; [`Error::NotFinite`], [`Error::Overflow`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::new(dvector![0.0, 1.0], dmatrix![4.0, 2.0; 2.0, 4.0])?;
    /// let q = p.conditional(&[0], &dvector![6.0])?; // mean 1 + ½·6, variance 4 − 2²/4
    /// assert!((q.mean()[0] - 4.0).abs() < 1e-15 && (q.covariance()[0] - 3.0).abs() < 1e-15);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Anderson (2003), theorem 2.5.1.
    pub fn conditional(&self, indices: &[usize], values: &DVector<f64>) -> Result<Self> {
        self.check_indices(indices)?;
        same_length("the values", indices.len(), values.len())?;
        let others: Vec<usize> = (0..self.dim()).filter(|i| !indices.contains(i)).collect();
        let (b, a) = (indices.len(), others.len());
        if a == 0 {
            let expected = format!("fewer than {} indices", self.dim());
            return Err(Error::Shape { what: "the coordinates to condition on", expected, found: b.to_string() });
        }
        finite("the values", values, |i| format!("entry {i}"))?;
        let ordered = self.marginal(&[indices, &others].concat())?;
        let part = |row, column, rows, columns| ordered.factor.view((row, column), (rows, columns)).into_owned();
        let (l_b, m, l_a) = (part(0, 0, b, b), part(b, 0, a, b), part(b, b, a, a));
        let mut z = values - ordered.mean.rows(0, b);
        l_b.solve_lower_triangular_unchecked_mut(&mut z);
        let mean = ordered.mean.rows(b, a) + m * z;
        let covariance = &l_a * l_a.transpose();
        in_range("the conditional mean", &mean)?;
        in_range("the conditional covariance", &covariance)?;
        Ok(Self { mean, covariance, factor: l_a })
    }

    fn check_indices(&self, indices: &[usize]) -> Result<()> {
        let what = "the coordinates' indices";
        for (n, i) in indices.iter().enumerate() {
            if *i >= self.dim() {
                return Err(Error::Shape { what, expected: format!("below {}", self.dim()), found: i.to_string() });
            }
            if indices[..n].contains(i) {
                return Err(Error::Shape { what, expected: "each one once".into(), found: format!("{i} twice") });
            }
        }
        Ok(())
    }

    /// The distribution N(Aμ + b, AΣAᵀ) of A x + b, for a k×d matrix A of rank k and b of length k. An image that is singular to
    /// working precision, after the rounding of the products that give it, is refused.
    ///
    /// # Errors
    /// [`Error::Shape`] unless A has d columns and k > 0 rows and b length k; [`Error::RankDeficient`],
    /// [`Error::NotFinite`], [`Error::Overflow`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::standard(2)?;
    /// let sum = p.affine(&dmatrix![1.0, 1.0], &dvector![3.0])?;
    /// assert_eq!((sum.mean()[0], sum.covariance()[0]), (3.0, 2.0));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Anderson (2003), theorem 2.4.4.
    pub fn affine(&self, a: &DMatrix<f64>, b: &DVector<f64>) -> Result<Self> {
        let k = a.nrows();
        same_length("the matrix's rows", self.dim(), a.ncols())?;
        same_length("the shift", k, b.len())?;
        finite_matrix("the matrix", a)?;
        finite("the shift", b, |i| format!("entry {i}"))?;
        let root = a * &self.factor;
        let (mean, covariance) = (a * &self.mean + b, &root * root.transpose());
        in_range("the mean of the image", &mean)?;
        in_range("the covariance of the image", &covariance)?;
        // The sums of magnitudes that rounding is relative to.
        let magnitude = a.abs() * self.factor.abs();
        let scale = DVector::from_iterator(k, magnitude.row_iter().map(|row| row.norm()));
        in_range("the covariance of the image", &scale)?;
        let rank = rank(&covariance, &scale, (2 * self.dim() + k) as f64 * f64::EPSILON);
        if rank < k {
            return Err(Error::RankDeficient { rank, rows: k });
        }
        Self::new(mean, covariance)
    }

    /// The differential entropy −E ln p(X) = ½ (d + d ln 2π + ln det Σ), in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (self.dim() as f64 * (1.0 + (2.0 * PI).ln()) + self.ln_det_covariance())
    }

    /// n samples as the rows of an n×d matrix; the first of them do not depend on how many follow.
    ///
    /// The generator draws the first 1024, and then the seed of a generator of its own for each 1024 more: in parallel, and yet the samples
    /// do not depend on the number of threads.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::standard(3)?;
    /// let x = p.sample_n(2, &mut rng("three"));
    /// assert_eq!(x.row(0).transpose(), p.sample(&mut rng("three")));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sample_n<R: Rng + ?Sized>(&self, n: usize, rng: &mut R) -> DMatrix<f64> {
        // Zeros from the allocator, which are not written before the samples are.
        let mut samples = DMatrix::from_vec(n, self.dim(), vec![0.0; n * self.dim()]);
        let mut chunks: Vec<Vec<&mut [f64]>> = (0..n.div_ceil(CHUNK)).map(|_| vec![]).collect();
        for column in samples.as_mut_slice().chunks_mut(n.max(1)) {
            chunks.iter_mut().zip(column.chunks_mut(CHUNK)).for_each(|(chunk, column)| chunk.push(column));
        }
        let factor = LowerTriangle::new(&self.factor);
        if let Some((first, others)) = chunks.split_first_mut() {
            self.draw(&factor, first, rng);
            let generators: Vec<Generator> = others.iter().map(|_| Generator::from_rng(rng)).collect();
            others.par_iter_mut().zip(generators).for_each(|(chunk, mut rng)| self.draw(&factor, chunk, &mut rng));
        }
        samples
    }

    /// μ + L z into the rows that these columns have, z drawn row by row.
    fn draw<R: Rng + ?Sized>(&self, factor: &LowerTriangle, columns: &mut [&mut [f64]], rng: &mut R) {
        let (d, n) = (self.dim(), columns.first().map_or(0, |column| column.len()));
        for start in (0..n).step_by(ROWS) {
            let rows = start..n.min(start + ROWS);
            let mut z = factor.blocks(rows.len());
            for row in 0..rows.len() {
                let block = &mut z[row / LANES * factor.dim()..][..d];
                block.iter_mut().for_each(|z| z[row % LANES] = StandardNormal.sample(rng));
            }
            z.chunks_mut(factor.dim()).for_each(|block| factor.multiply(block));
            for (i, (column, mean)) in columns.iter_mut().zip(&self.mean).enumerate() {
                factor.coordinate(i, &z, &mut column[rows.clone()], |z| mean + z);
            }
        }
    }

    /// The ellipse that holds the probability `level`: `points` points x with (x−μ)ᵀΣ⁻¹(x−μ) = −2 ln(1 − level), as the rows
    /// of a matrix whose last row repeats the first. For d = 2 only, where the squared radius is exponential with mean 2.
    ///
    /// # Errors
    /// [`Error::Shape`] unless d = 2, [`Error::Domain`] unless 0 < level < 1, [`Error::Overflow`].
    pub fn ellipse(&self, level: f64, points: usize) -> Result<DMatrix<f64>> {
        same_length("the normal of an ellipse", 2, self.dim())?;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Domain { what: "the ellipse's probability", value: level, domain: "between 0 and 1" });
        }
        let radius = (-2.0 * (-level).ln_1p()).sqrt();
        let rows: Vec<RowDVector<f64>> = (0..=points.max(1))
            .map(|i| {
                let angle = 2.0 * PI * i as f64 / points.max(1) as f64;
                let z = DVector::from_vec(vec![radius * angle.cos(), radius * angle.sin()]);
                (&self.mean + &self.factor * z).transpose()
            })
            .collect();
        let ellipse = DMatrix::from_rows(&rows);
        in_range("the ellipse", &ellipse)?;
        Ok(ellipse)
    }
}

impl Density for Gaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    /// −½ (d ln 2π + ln det Σ + (x−μ)ᵀΣ⁻¹(x−μ)); −∞ beyond the range of double precision.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`].
    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64> {
        Ok(-0.5 * (self.ln_normaliser() + self.mahalanobis_squared(x)?))
    }

    /// In parallel over blocks of rows, each whitened at once; the values do not depend on the number of threads.
    fn ln_pdf_rows(&self, data: &DMatrix<f64>) -> Result<DVector<f64>> {
        same_length("the rows", self.dim(), data.ncols())?;
        let n = data.nrows();
        let ln_normaliser = self.ln_normaliser();
        let mut ln_pdf = DVector::zeros(n);
        let factor = LowerTriangle::new(&self.factor);
        let of_rows = |z: &mut Vec<Lanes>, (start, values): (usize, &mut [f64])| {
            let rows = start * ROWS..start * ROWS + values.len();
            factor.whiten(data, rows, self.mean.as_slice(), z);
            for (values, block) in values.chunks_mut(LANES).zip(z.chunks(factor.dim())) {
                for (value, square) in values.iter_mut().zip(squared_norms(&block[..self.dim()])) {
                    *value = -0.5 * (ln_normaliser + squared_norm(square));
                }
            }
        };
        let blocks = ln_pdf.as_mut_slice().par_chunks_mut(ROWS).enumerate();
        blocks.for_each_init(|| factor.blocks(ROWS), of_rows);
        if ln_pdf.iter().any(|v| !v.is_finite()) {
            finite_matrix("the data", data)?;
        }
        Ok(ln_pdf)
    }

    /// The same samples many at once.
    fn sample_rows<X: Point>(&self, n: usize, rng: &mut Generator) -> Result<DMatrix<f64>> {
        let mut samples = DMatrix::zeros(n, self.dim());
        let mut columns: Vec<&mut [f64]> = samples.as_mut_slice().chunks_mut(n.max(1)).collect();
        self.draw(&LowerTriangle::new(&self.factor), &mut columns, rng);
        Ok(samples)
    }
}

impl Distribution<DVector<f64>> for Gaussian {
    /// μ + L z with z ~ N(0, I): the reparameterisation of the standard normal.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        let mut z = DVector::zeros(self.dim());
        z.iter_mut().for_each(|z| *z = StandardNormal.sample(rng));
        let mut x = &self.factor * z;
        x += &self.mean;
        x
    }
}

/// ‖z‖² of a finite point: a NaN can come from an overflow alone.
fn squared_norm(norm_squared: f64) -> f64 {
    if norm_squared.is_nan() { f64::INFINITY } else { norm_squared }
}

pub(crate) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("length {expected}"), found: found.to_string() })
}

/// A finite mean, and beside it a finite symmetric matrix of its dimension.
pub(crate) fn check_moments(mean: &DVector<f64>, what: &'static str, matrix: &DMatrix<f64>) -> Result<()> {
    let d = mean.len();
    if matrix.shape() != (d, d) {
        let (rows, columns) = matrix.shape();
        let expected = format!("{d}×{d} as the mean has length {d}");
        return Err(Error::Shape { what, expected, found: format!("{rows}×{columns}") });
    }
    finite("the mean", mean, |i| format!("entry {i}"))?;
    finite_matrix(what, matrix)?;
    check_symmetric(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monte_carlo::rng;
    use nalgebra::{dmatrix, dvector};

    fn example() -> Gaussian {
        Gaussian::new(dvector![1.0, -2.0, 0.5], dmatrix![2.0, 0.6, -0.3; 0.6, 1.0, 0.2; -0.3, 0.2, 0.7]).unwrap()
    }

    #[test]
    fn ln_pdf_is_the_definition_with_determinant_and_inverse() {
        let (p, x) = (example(), dvector![0.3, 0.1, -0.4]);
        let (det, inverse) = (p.covariance().determinant(), p.covariance().clone().try_inverse().unwrap());
        let r = &x - p.mean();
        let direct = (-0.5 * (r.transpose() * inverse * &r)[0]).exp() / ((2.0 * PI).powf(1.5) * det.sqrt());
        assert!((p.ln_pdf(&x).unwrap().exp() / direct - 1.0).abs() < 1e-14);
    }

    #[test]
    fn factor_and_solve_give_the_covariance_back() {
        let p = example();
        let l = p.cholesky_factor();
        assert!((l * l.transpose() - p.covariance()).amax() < 1e-15);
        assert!((p.solve_covariance(p.covariance()).unwrap() - DMatrix::identity(3, 3)).amax() < 1e-15);
    }

    #[test]
    fn ln_det_survives_a_thousand_dimensions() {
        let p = Gaussian::new(DVector::zeros(1000), DMatrix::identity(1000, 1000) * 1e-3).unwrap();
        assert!((p.ln_det_covariance() / (1000.0 * 1e-3_f64.ln()) - 1.0).abs() < 1e-14);
        assert!(p.ln_pdf(&DVector::zeros(1000)).unwrap().is_finite());
    }

    #[test]
    fn bad_covariances_are_refused_by_name() {
        let mean = dvector![0.0, 0.0];
        let message = |covariance| Gaussian::new(mean.clone(), covariance).unwrap_err().to_string();
        assert!(message(dmatrix![1.0, 0.5; 0.4, 1.0]).contains("entry (1, 0) is 0.4 but entry (0, 1) is 0.5"));
        assert!(message(dmatrix![1.0, 2.0; 2.0, 1.0]).contains("pivot 1 of its Cholesky factorisation is -3e0"));
        assert!(message(dmatrix![1.0, 1.0; 1.0, 1.0]).contains("not positive definite"));
        assert!(message(dmatrix![1.0, f64::NAN; 0.0, 1.0]).contains("NaN at row 0, column 1"));
        assert!(message(DMatrix::identity(3, 3)).contains("expected 2×2"));
        assert!(message(DMatrix::zeros(2, 2)).contains("pivot 0"));
        assert!(Gaussian::univariate(0.0, -1.0).is_err());
        assert!(Gaussian::standard(0).is_err());
    }

    #[test]
    fn marginal_selects_in_order() {
        let p = example().marginal(&[2, 0]).unwrap();
        assert_eq!((p.mean()[0], p.mean()[1]), (0.5, 1.0));
        assert_eq!(p.covariance(), &dmatrix![0.7, -0.3; -0.3, 2.0]);
        assert!(example().marginal(&[3]).unwrap_err().to_string().contains("below 3"));
        assert!(example().marginal(&[0, 0]).is_err());
    }

    #[test]
    fn ellipse_has_the_mahalanobis_radius_of_its_level() {
        let p = example().marginal(&[0, 1]).unwrap();
        let ellipse = p.ellipse(0.95, 16).unwrap();
        for row in ellipse.row_iter() {
            assert!((p.mahalanobis_squared(&row.transpose()).unwrap() - 5.991464547107979).abs() < 1e-12);
        }
        assert!(p.ellipse(1.0, 16).is_err() && example().ellipse(0.5, 16).is_err());
    }

    /// The example in five dimensions: correlations between −0.8 and 0.8, units from 0.1 to 10.
    fn five() -> Gaussian {
        let a = DMatrix::from_fn(5, 5, |i, j| ((3 * i + 5 * j * j + 1) % 7) as f64 - 3.0);
        let units = DMatrix::from_diagonal(&dvector![0.1, 1.0, 10.0, 2.0, 0.5]);
        let root = units * (a + DMatrix::identity(5, 5) * 4.0);
        Gaussian::new(dvector![1.0, -2.0, 0.5, 3.0, 0.0], &root * root.transpose()).unwrap()
    }

    /// Relative to the diagonal: the error of a factorisation in units of rounding, times its largest amplification.
    fn rounding(p: &Gaussian) -> f64 {
        let inflation = variance_inflation(p.covariance(), p.cholesky_factor());
        let d = p.dim() as f64;
        d * (d + 1.0) * 0.5 * f64::EPSILON * inflation.iter().sum::<f64>()
    }

    #[test]
    fn conditional_is_the_block_formula_with_inverses() {
        let p = five();
        let (others, given, y) = ([0, 2, 4], [3, 1], dvector![2.0, -1.0]);
        let q = p.conditional(&given, &y).unwrap();
        let block = |rows: &[usize], columns: &[usize]| p.covariance().select_rows(rows).select_columns(columns);
        let gain = block(&others, &given) * block(&given, &given).try_inverse().unwrap();
        let mean = p.mean().select_rows(&others) + &gain * (y - p.mean().select_rows(&given));
        let covariance = block(&others, &others) - &gain * block(&given, &others);
        // And once more: the inverse of the precision's own block.
        let precision = p.covariance().clone().try_inverse().unwrap();
        let of_precision = precision.select_rows(&others).select_columns(&others).try_inverse().unwrap();
        for i in 0..3 {
            let sd = p.covariance()[(others[i], others[i])].sqrt();
            assert!((q.mean()[i] - mean[i]).abs() <= 4.0 * rounding(&p) * sd, "{} {}", q.mean()[i], mean[i]);
            for j in 0..3 {
                let scale = sd * p.covariance()[(others[j], others[j])].sqrt();
                for other in [&covariance, &of_precision] {
                    assert!((q.covariance()[(i, j)] - other[(i, j)]).abs() <= 4.0 * rounding(&p) * scale);
                }
            }
        }
        assert_eq!(p.conditional(&[], &dvector![]).unwrap().mean(), p.mean());
    }

    #[test]
    fn conditional_leaves_samples_uncorrelated_with_what_is_given() {
        let p = five();
        let n = 20_000;
        let x = p.sample_n(n, &mut rng("conditional"));
        // The residual x_A − E(X_A | x_B), beside x_B: their covariance is zero, and the residual's own the conditional one.
        let given = [1, 3];
        let conditional = |row: usize| p.conditional(&given, &dvector![x[(row, 1)], x[(row, 3)]]).unwrap();
        let mut joint = x.select_columns(&[0, 2, 4, 1, 3]);
        for row in 0..n {
            let mean = conditional(row).mean().clone();
            (0..3).for_each(|i| joint[(row, i)] -= mean[i]);
        }
        let fit = Gaussian::fit(&joint).unwrap();
        let mut expected = DMatrix::zeros(5, 5);
        expected.view_mut((0, 0), (3, 3)).copy_from(conditional(0).covariance());
        expected.view_mut((3, 3), (2, 2)).copy_from(p.marginal(&given).unwrap().covariance());
        for (i, j) in (0..5).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let bound = crate::check::Bound::covariance_entry(&expected, i, j, n).unwrap();
            let (below, above) = bound.radius(1, 1e-9, f64::NAN);
            let error = fit.covariance()[(i, j)] - expected[(i, j)] * (1.0 - 1.0 / n as f64);
            assert!(-above <= error && error <= below.max(above), "({i}, {j}): {error}");
        }
    }

    #[test]
    fn conditional_refuses_what_it_cannot_mean() {
        let message = |indices: &[usize], y: DVector<f64>| five().conditional(indices, &y).unwrap_err().to_string();
        assert!(message(&[5], dvector![0.0]).contains("below 5"));
        assert!(message(&[1, 1], dvector![0.0, 0.0]).contains("1 twice"));
        assert!(message(&[1], dvector![0.0, 0.0]).contains("expected length 1, found 2"));
        assert!(message(&[0, 1, 2, 3, 4], DVector::zeros(5)).contains("fewer than 5 indices"));
        assert!(message(&[1], dvector![f64::NAN]).contains("NaN at entry 0"));
    }

    #[test]
    fn affine_is_its_definition_and_refuses_dependent_rows() {
        let p = five();
        let a = dmatrix![1.0, 2.0, 0.0, -1.0, 0.5; 0.0, 1.0, 3.0, 1.0, -2.0];
        let q = p.affine(&a, &dvector![1.0, -1.0]).unwrap();
        assert!((q.mean() - (&a * p.mean() + dvector![1.0, -1.0])).amax() == 0.0);
        let direct = &a * p.covariance() * a.transpose();
        // Two products of five terms and the factor's own error, relative to the sum of magnitudes.
        let magnitude = a.abs() * p.covariance().abs() * a.abs().transpose();
        let units = (q.covariance() - direct).component_div(&magnitude).amax() / f64::EPSILON;
        assert!(units <= 20.0, "{units}");
        let message = |a: DMatrix<f64>| p.affine(&a, &DVector::zeros(a.nrows())).unwrap_err().to_string();
        assert!(
            message(dmatrix![1.0, 2.0, 0.0, 0.1, 0.0; 0.3, 0.6, 0.0, 0.03, 0.0])
                .contains("rank 1 and the matrix 2 rows")
        );
        assert!(
            message(DMatrix::from_fn(6, 5, |i, j| ((i * i + 3 * j * i + j) % 5) as f64)).contains("the matrix 6 rows")
        );
        assert!(message(DMatrix::zeros(1, 5)).contains("rank 0 and the matrix 1 rows"));
        assert!(message(DMatrix::zeros(1, 4)).contains("expected length 5, found 4"));
        assert!(message(DMatrix::zeros(0, 5)).contains("at least one entry"));
        assert!(message(DMatrix::from_element(1, 5, f64::NAN)).contains("NaN at row 0, column 0"));
        assert!(message(DMatrix::from_element(1, 5, 1e200)).contains("the covariance of the image exceeds"));
    }

    #[test]
    fn a_thousand_dimensions_of_an_autoregression() {
        // Σᵢⱼ = ρ^|i−j| factorises into one-dimensional conditionals: no matrix at all.
        let (d, rho) = (1000, 0.9_f64);
        let covariance = DMatrix::from_fn(d, d, |i, j| rho.powi(i.abs_diff(j) as i32));
        let p = Gaussian::new(DVector::zeros(d), covariance).unwrap();
        let x = p.sample(&mut rng("autoregression"));
        let ln_normal = |x: f64, variance: f64| -0.5 * ((2.0 * PI * variance).ln() + x * x / variance);
        let direct: f64 =
            ln_normal(x[0], 1.0) + (1..d).map(|i| ln_normal(x[i] - rho * x[i - 1], 1.0 - rho * rho)).sum::<f64>();
        // Per variable, rounding is amplified at most by its inflation factor (1+ρ²)/(1−ρ²) = 9.5.
        let bound = d as f64 * 9.6 * 8.0 * f64::EPSILON * 10.0;
        let inflation = variance_inflation(p.covariance(), p.cholesky_factor());
        assert!((inflation[500] / ((1.0 + rho * rho) / (1.0 - rho * rho)) - 1.0).abs() < 1e-12);
        let error = (p.ln_pdf(&x).unwrap() - direct).abs();
        assert!(error < bound && bound < 1e-9, "{error:e} {bound:e}");
        assert!(
            (p.entropy() - 0.5 * (d as f64 * (1.0 + (2.0 * PI).ln()) + 999.0 * (1.0 - rho * rho).ln())).abs() < bound
        );
        let rest = p.conditional(&(1..d).collect::<Vec<_>>(), &x.rows(1, d - 1).into_owned()).unwrap();
        assert!((rest.mean()[0] - rho * x[1]).abs() < bound && (rest.covariance()[0] - 0.19).abs() < bound);
    }

    #[test]
    fn nearly_singular_covariances_are_right_or_refused() {
        let check = |name: &str, covariance: DMatrix<f64>, ln_det: f64| {
            let d = covariance.nrows();
            let p = Gaussian::new(DVector::zeros(d), covariance).ok()?;
            let relative = rounding(&p);
            // To first order the error of ln det is at most this; a bound above 1/2 would say nothing, and must not occur.
            let error = (p.ln_det_covariance() - ln_det).abs();
            assert!(
                error <= 2.0 * relative + 4.0 * f64::EPSILON * ln_det.abs(),
                "{name}, {d}: {error:e}, {relative:e}"
            );
            Some(relative)
        };
        // The Hilbert matrix times the least common multiple of its denominators: exact in double precision.
        let ln_factorials = |n: usize| (1..n).map(|i| (1..=i).map(|k| (k as f64).ln()).sum::<f64>()).sum::<f64>();
        let hilbert = |n: usize| {
            let gcd = |mut a: u64, mut b: u64| {
                while b > 0 {
                    (a, b) = (b, a % b);
                }
                a
            };
            let lcm = (1..2 * n as u64).fold(1, |l, k| l / gcd(l, k) * k) as f64;
            let ln_det = 4.0 * ln_factorials(n) - ln_factorials(2 * n) + n as f64 * lcm.ln();
            check("Hilbert", DMatrix::from_fn(n, n, |i, j| lcm / (i + j + 1) as f64), ln_det)
        };
        let accepted: Vec<usize> = (1..=16).filter(|&n| hilbert(n).is_some()).collect();
        // The condition number grows by 33 a step, 5e13 at n = 10 and 5e14 at 11.
        assert!((1..=8).all(|n| accepted.contains(&n)) && accepted.iter().all(|&n| n <= 12), "{accepted:?}");
        // A pair with correlation ρ = 1 − 2^−k, exact in double precision: det = (1−ρ)(1+ρ).
        for k in 1..=60 {
            let gap = 0.5_f64.powi(k);
            let accepted = check("pair", dmatrix![1.0, 1.0 - gap; 1.0 - gap, 1.0], (gap * (2.0 - gap)).ln());
            assert_eq!(accepted.is_some(), k < 52, "{k}");
        }
        // Rows of −1 below a unit diagonal: each pivot takes at least 1/d of its diagonal, yet the smallest eigenvalue falls as 4^−d.
        let waves = |d: usize| {
            let root = DMatrix::from_fn(d, d, |i, j| {
                if i == j {
                    1.0
                } else if j < i {
                    -1.0
                } else {
                    0.0
                }
            });
            Gaussian::new(DVector::zeros(d), &root * root.transpose())
        };
        assert!(waves(20).unwrap().ln_det_covariance().abs() == 0.0);
        assert!(matches!(waves(40), Err(Error::NotPositiveDefinite { index: 0, .. })));
    }

    #[test]
    fn rows_are_the_points_one_by_one() {
        for d in [1, 2, 5, 8, 32, 33, 70] {
            let covariance = DMatrix::from_fn(d, d, |i, j| 0.5_f64.powi(i.abs_diff(j) as i32));
            let p = Gaussian::new(DVector::from_fn(d, |i, _| i as f64), covariance).unwrap();
            let n = 2 * CHUNK + 8 * LANES + 3;
            let x = p.sample_n(n, &mut rng("rows"));
            let mut first = rng("rows");
            p.sample_n(CHUNK, &mut first);
            let (mut again, mut second) = (rng("rows"), Generator::from_rng(&mut first));
            let mut third = Generator::from_rng(&mut first);
            let ln_pdf = p.ln_pdf_rows(&x).unwrap();
            for row in 0..n {
                let own = [&mut again, &mut second, &mut third].into_iter().nth(row / CHUNK).unwrap();
                assert_eq!(x.row(row).transpose(), p.sample(own), "{d}");
                let one = p.ln_pdf(&x.row(row).transpose()).unwrap();
                assert_eq!(ln_pdf[row], one, "{d}");
            }
            assert_eq!(p.sample_n(n - 5, &mut rng("rows")), x.rows(0, n - 5));
        }
        let p = example();
        assert!(p.ln_pdf_rows(&DMatrix::zeros(0, 2)).unwrap_err().to_string().contains("expected length 3, found 2"));
        let holed = dmatrix![0.0, 0.0, 0.0; 0.0, f64::NAN, 0.0];
        assert!(p.ln_pdf_rows(&holed).unwrap_err().to_string().contains("NaN at row 1, column 1"));
        assert!(p.ln_pdf(&dvector![0.0, f64::INFINITY, 0.0]).unwrap_err().to_string().contains("inf at entry 1"));
    }

    #[test]
    fn points_beyond_double_precision_are_infinitely_unlikely() {
        let p = Gaussian::new(DVector::zeros(3), example().covariance() * 1e-300).unwrap();
        let far = dvector![1e200, 1e200, 1e200];
        assert_eq!(p.ln_pdf(&far).unwrap(), f64::NEG_INFINITY);
        assert_eq!(p.ln_pdf_rows(&DMatrix::from_rows(&[far.transpose()])).unwrap()[0], f64::NEG_INFINITY);
        assert_eq!((p.mahalanobis_squared(&far).unwrap(), p.pdf(&far).unwrap()), (f64::INFINITY, 0.0));
        assert!(p.whiten(&far).unwrap_err().to_string().contains("exceeds the range"));
    }

    #[test]
    fn threads_do_not_matter() {
        let d = 40;
        let covariance = DMatrix::from_fn(d, d, |i, j| 0.5_f64.powi(i.abs_diff(j) as i32));
        let p = Gaussian::new(DVector::zeros(d), covariance).unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let x = p.sample_n(10_001, &mut rng("threads"));
                (p.ln_pdf_rows(&x).unwrap(), crate::mle::GaussianStats::from_rows(&x).unwrap(), x)
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(7));
    }

    #[test]
    fn rows_are_the_samples_one_after_the_other() {
        for d in [1, 2, 7, 20] {
            let mut generator = rng("rows");
            let random = DMatrix::<f64>::from_fn(d, 2 * d, |_, _| StandardNormal.sample(&mut generator));
            let covariance = &random * random.transpose() + DMatrix::<f64>::identity(d, d);
            let p = Gaussian::new(DVector::from_element(d, 3.0), covariance).unwrap();
            let rows = p.sample_rows(150, &mut rng("the same")).unwrap();
            let mut rng = rng("the same");
            assert!(rows.row_iter().all(|row| row.transpose() == p.sample(&mut rng)), "d = {d}");
        }
        assert_eq!(example().sample_rows(0, &mut rng("none")).unwrap().nrows(), 0);
    }

    #[test]
    fn samples_keep_their_values() {
        // Value stability: a change here changes every committed output.
        let x = example().sample(&mut rng("value stability"));
        let again = example().sample_n(2, &mut rng("value stability"));
        assert_eq!(x, again.row(0).transpose());
        assert_eq!(x, dvector![2.572213540586609, -0.8864989872645916, 0.15129950973679784]);
    }
}
