//! Symmetric positive definite matrices: the factorisation Σ = L Lᵀ, and what it leaves of the digits.

use super::lanes::LowerTriangle;
use crate::error::{Error, Result};
use nalgebra::{DMatrix, DVector};

/// Refuses a matrix whose triangles differ by more than rounding.
pub(crate) fn check_symmetric(matrix: &DMatrix<f64>) -> Result<()> {
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
pub(super) fn cholesky(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let d = matrix.nrows();
    let mut factor = matrix.lower_triangle();
    for j in 0..d {
        check_pivot(matrix, j, factor[(j, j)])?;
        let root = factor[(j, j)].sqrt();
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
    // In this order each pivot may be sound and the last one of another order noise.
    for (j, inflation) in variance_inflation(matrix, &factor).into_iter().enumerate() {
        check_pivot(matrix, j, matrix[(j, j)] / inflation)?;
    }
    Ok(factor)
}

/// What is left of a diagonal entry after d subtractions carries an error of about d units in its last place.
fn check_pivot(matrix: &DMatrix<f64>, index: usize, pivot: f64) -> Result<()> {
    let diagonal = matrix[(index, index)];
    if pivot > matrix.nrows() as f64 * f64::EPSILON * diagonal && pivot > 0.0 {
        return Ok(());
    }
    Err(Error::NotPositiveDefinite { index, pivot, diagonal })
}

/// The variance inflation factors Σⱼⱼ (Σ⁻¹)ⱼⱼ = ‖L⁻¹ eⱼ √Σⱼⱼ‖² ≥ 1: a variable's variance over what all the others leave
/// unexplained of it. They lie below the condition number of the correlations and do not depend on the variables' order or units.
pub(crate) fn variance_inflation(covariance: &DMatrix<f64>, factor: &DMatrix<f64>) -> Vec<f64> {
    let deviations = DMatrix::from_diagonal(&covariance.diagonal().map(f64::sqrt));
    LowerTriangle::new(factor).solve_rows(&deviations).row_iter().map(|row| row.norm_squared()).collect()
}

/// How many eigenvalues of the matrix exceed `noise` once its rows and columns are divided by `scale`; variables of scale 0 are
/// left out.
pub(crate) fn rank(matrix: &DMatrix<f64>, scale: &DVector<f64>, noise: f64) -> usize {
    // nalgebra panics on an empty matrix.
    if matrix.is_empty() {
        return 0;
    }
    let inverse = DMatrix::from_diagonal(&scale.map(|s| if s > 0.0 { s.recip() } else { 0.0 }));
    (&inverse * matrix * &inverse).symmetric_eigenvalues().iter().filter(|&&l| l > noise).count()
}
