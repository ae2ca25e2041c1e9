//! The normal distribution in d dimensions.
//!
//! Everything reads off the Cholesky factor L of the covariance, Σ = L Lᵀ: triangular solves for the inverse, a sum of logs for
//! the determinant.

use crate::error::{Error, Result, finite};
use nalgebra::{DMatrix, DVector, RowDVector};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;

/// A distribution on ℝᵈ with a density.
pub trait Density {
    /// The dimension d.
    fn dim(&self) -> usize;

    /// ln p(x) at one point of length d.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d.
    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64>;

    /// ln p at each row of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the rows have length d.
    fn ln_pdf_rows(&self, data: &DMatrix<f64>) -> Result<DVector<f64>> {
        let values: Result<Vec<f64>> = data.row_iter().map(|row| self.ln_pdf(&row.transpose())).collect();
        Ok(DVector::from_vec(values?))
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
    /// A covariance that is singular to working precision is refused, never jittered.
    ///
    /// # Errors
    /// [`Error::Shape`] for d = 0 or shapes that disagree, [`Error::NotFinite`], [`Error::NotSymmetric`] and
    /// [`Error::NotPositiveDefinite`].
    pub fn new(mean: DVector<f64>, covariance: DMatrix<f64>) -> Result<Self> {
        let d = mean.len();
        if d == 0 {
            return Err(Error::Shape { what: "the mean", expected: "at least one entry".into(), found: "none".into() });
        }
        if covariance.shape() != (d, d) {
            let (rows, columns) = covariance.shape();
            return Err(Error::Shape {
                what: "the covariance",
                expected: format!("{d}×{d} as the mean has length {d}"),
                found: format!("{rows}×{columns}"),
            });
        }
        finite("the mean", &mean, |i| format!("entry {i}"))?;
        finite("the covariance", &covariance, |i| format!("row {}, column {}", i % d, i / d))?;
        check_symmetric(&covariance)?;
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

    /// ln det Σ = 2 Σᵢ ln Lᵢᵢ; a sum of logs, so that it neither overflows nor underflows.
    pub fn ln_det_covariance(&self) -> f64 {
        2.0 * self.factor.diagonal().iter().map(|l| l.ln()).sum::<f64>()
    }

    /// z = L⁻¹(x − μ), which is N(0, I) when x is N(μ, Σ).
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d.
    pub fn whiten(&self, x: &DVector<f64>) -> Result<DVector<f64>> {
        same_length("the point", self.dim(), x.len())?;
        let mut z = x - &self.mean;
        self.factor.solve_lower_triangular_unchecked_mut(&mut z);
        Ok(z)
    }

    /// (x − μ)ᵀ Σ⁻¹ (x − μ) = ‖z‖² with z from [`whiten`](Self::whiten).
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d.
    pub fn mahalanobis_squared(&self, x: &DVector<f64>) -> Result<f64> {
        Ok(self.whiten(x)?.norm_squared())
    }

    /// Σ⁻¹ B for a d×k matrix B, by two triangular solves.
    ///
    /// # Errors
    /// [`Error::Shape`] unless B has d rows.
    pub fn solve_covariance(&self, b: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        same_length("the right-hand side's columns", self.dim(), b.nrows())?;
        let mut x = b.clone();
        self.factor.solve_lower_triangular_unchecked_mut(&mut x);
        self.factor.tr_solve_lower_triangular_unchecked_mut(&mut x);
        Ok(x)
    }

    /// The normal of the coordinates `indices`, in that order: μ_I and Σ_II.
    ///
    /// # Errors
    /// [`Error::Shape`] if an index is not below d or none is given, [`Error::NotPositiveDefinite`] if one is repeated.
    pub fn marginal(&self, indices: &[usize]) -> Result<Self> {
        if let Some(i) = indices.iter().find(|&&i| i >= self.dim()) {
            return Err(Error::Shape {
                what: "the marginal's index",
                expected: format!("below {}", self.dim()),
                found: i.to_string(),
            });
        }
        Self::new(self.mean.select_rows(indices), self.covariance.select_rows(indices).select_columns(indices))
    }

    /// The differential entropy −E ln p(X) = ½ (d + d ln 2π + ln det Σ), in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (self.dim() as f64 * (1.0 + (2.0 * PI).ln()) + self.ln_det_covariance())
    }

    /// n samples as the rows of an n×d matrix.
    pub fn sample_n<R: Rng + ?Sized>(&self, n: usize, rng: &mut R) -> DMatrix<f64> {
        // Rows are filled one after the other, so that the first n samples do not depend on how many follow.
        let mut samples = DMatrix::zeros(n, self.dim());
        for mut row in samples.row_iter_mut() {
            row.copy_from(&self.sample(rng).transpose());
        }
        samples
    }

    /// The ellipse that holds the probability `level`: `points` points x with (x−μ)ᵀΣ⁻¹(x−μ) = −2 ln(1 − level), as the rows
    /// of a matrix whose last row repeats the first. For d = 2 only, where the squared radius is exponential with mean 2.
    ///
    /// # Errors
    /// [`Error::Shape`] unless d = 2, [`Error::Domain`] unless 0 < level < 1.
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
        Ok(DMatrix::from_rows(&rows))
    }
}

impl Density for Gaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    /// −½ (d ln 2π + ln det Σ + (x−μ)ᵀΣ⁻¹(x−μ))
    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64> {
        let d = self.dim() as f64;
        Ok(-0.5 * (d * (2.0 * PI).ln() + self.ln_det_covariance() + self.mahalanobis_squared(x)?))
    }
}

impl Distribution<DVector<f64>> for Gaussian {
    /// μ + L z with z ~ N(0, I): the reparameterisation of the standard normal.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        let z = DVector::from_fn(self.dim(), |_, _| StandardNormal.sample(rng));
        &self.mean + &self.factor * z
    }
}

pub(crate) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("length {expected}"), found: found.to_string() })
}

fn check_symmetric(matrix: &DMatrix<f64>) -> Result<()> {
    for column in 0..matrix.ncols() {
        for row in column + 1..matrix.nrows() {
            let (value, mirrored) = (matrix[(row, column)], matrix[(column, row)]);
            let scale = (matrix[(row, row)].abs().sqrt()) * (matrix[(column, column)].abs().sqrt());
            if (value - mirrored).abs() > 1e-12 * scale {
                return Err(Error::NotSymmetric { row, column, value, mirrored });
            }
        }
    }
    Ok(())
}

/// The lower Cholesky factor, column by column. nalgebra's factorisation does not tell which pivot failed and goes on with
/// pivots that are rounding noise, so the recursion is written out.
fn cholesky(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let d = matrix.nrows();
    let mut factor = matrix.lower_triangle();
    for j in 0..d {
        let pivot = factor[(j, j)];
        let diagonal = matrix[(j, j)];
        // What is left of a diagonal entry after d subtractions carries an error of about d units in its last place.
        if !(pivot > d as f64 * f64::EPSILON * diagonal && pivot > 0.0) {
            return Err(Error::NotPositiveDefinite { index: j, pivot, diagonal });
        }
        let root = pivot.sqrt();
        let mut column = factor.view_mut((j, j), (d - j, 1));
        column /= root;
        let column = factor.view((j, j), (d - j, 1)).clone_owned();
        for k in j + 1..d {
            let scale = column[k - j];
            factor
                .view_mut((k, k), (d - k, 1))
                .zip_apply(&column.view((k - j, 0), (d - k, 1)), |entry, l| *entry -= scale * l);
        }
    }
    Ok(factor)
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

    #[test]
    fn samples_keep_their_values() {
        // Value stability: a change here changes every committed output.
        let x = example().sample(&mut rng("value stability"));
        let again = example().sample_n(2, &mut rng("value stability"));
        assert_eq!(x, again.row(0).transpose());
    }
}
