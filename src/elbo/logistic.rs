//! Logistic regression with a normal prior.

use super::model::{Joint, Model, NormalPrior, check_latent, column};
use crate::error::{Result, finite_matrix, in_range};
use crate::gaussian::{Density, Gaussian, same_length};
use nalgebra::{DMatrix, DVector};

/// Bayesian logistic regression: yₙ is 1 with probability 1/(1 + e^(−xₙᵀz)) and otherwise 0, with a normal prior of the coefficients
/// z. Neither posterior nor evidence is a closed form. An intercept is a column of ones in the data.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let x = dmatrix![1.0, -1.0; 1.0, 0.0; 1.0, 2.0];
/// let model = LogisticRegression::new(Gaussian::standard(2)?, x, &[false, true, true])?;
/// // At z = 0 every label has probability ½.
/// assert!((model.ln_likelihood(&dvector![0.0, 0.0])? + 3.0 * 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(model.gradient(&dvector![0.0, 0.0])?, dvector![0.5, 1.5]);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bishop (2006), *Pattern Recognition and Machine Learning*, §4.3.2.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    prior: Gaussian,
    /// 1 for the label 1 and −1 for 0.
    signs: DVector<f64>,
    /// ±xₙ, so that yₙ has the probability σ(±xₙᵀz), σ(t) = 1/(1 + e^(−t)).
    signed: DMatrix<f64>,
    /// The same as columns: a product with a stored transpose is a blocked one.
    columns: DMatrix<f64>,
}

impl LogisticRegression {
    /// The model of the labels given the rows of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::error::Error::Shape) if they disagree, [`Error::NotFinite`](crate::error::Error::NotFinite).
    pub fn new(prior: Gaussian, x: DMatrix<f64>, labels: &[bool]) -> Result<Self> {
        same_length("the columns of the data", prior.dim(), x.ncols())?;
        same_length("the labels", x.nrows(), labels.len())?;
        finite_matrix("the data", &x)?;
        let signs = DVector::from_iterator(labels.len(), labels.iter().map(|&label| if label { 1.0 } else { -1.0 }));
        let mut signed = x;
        signed.column_iter_mut().for_each(|mut column| column.component_mul_assign(&signs));
        Ok(Self { prior, signs, columns: signed.transpose(), signed })
    }

    /// ±xₙᵀz of each row and each column z.
    fn margins(&self, z: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        check_latent(self.signed.ncols(), z)?;
        let margins = &self.signed * z;
        in_range("the logits", &margins)?;
        Ok(margins)
    }

    /// The probability of the label 1 in each row, given z.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::error::Error::Shape) unless z has length d, [`Error::NotFinite`](crate::error::Error::NotFinite),
    /// [`Error::Overflow`](crate::error::Error::Overflow).
    pub fn probabilities(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.margins(&column(z))?.column(0).zip_map(&self.signs, |t, sign| 1.0 / (1.0 + (-sign * t).exp())))
    }
}

/// Σ ln σ(tₙ), with σ(−tₙ) left in the place of tₙ.
fn ln_sigmoids(t: &mut [f64]) -> Result<f64> {
    // ln σ(t) = min(t, 0) − ln(1 + e) with e = e^(−|t|), which does not cancel. What the product of many 1 + e exceeds 1 by does
    // not either: one logarithm serves as many as stay within range.
    let of_some = |t: &mut [f64]| {
        let (mut below, mut excess) = (0.0, 0.0);
        for t in t {
            let e = (-t.abs()).exp();
            below += t.min(0.0);
            excess += e * (1.0 + excess);
            *t = if *t > 0.0 { e } else { 1.0 } / (1.0 + e);
        }
        below - f64::ln_1p(excess)
    };
    let sum: f64 = t.chunks_mut(512).map(of_some).sum();
    in_range("the log likelihood", [&sum])?;
    Ok(sum)
}

impl Model for LogisticRegression {
    fn latent_dim(&self) -> usize {
        self.signed.ncols()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_likelihood(z)? + self.prior.ln_pdf(z)?)
    }

    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.joint(&column(z))?.gradient.column(0).into_owned())
    }

    /// Σₙ ln σ(±xₙᵀz) + ln N(z; m, P) and Σₙ σ(∓xₙᵀz) (±xₙ) − P⁻¹(z − m), for all z by two products of matrices.
    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        let (mut margins, mut joint) = (self.margins(z)?, self.prior.joint(z)?);
        for (mut t, ln_p) in margins.column_iter_mut().zip(joint.ln_p.iter_mut()) {
            *ln_p += ln_sigmoids(t.as_mut_slice())?;
        }
        joint.gradient += &self.columns * margins;
        Ok(joint)
    }
}

impl NormalPrior for LogisticRegression {
    fn prior(&self) -> &Gaussian {
        &self.prior
    }

    /// Σₙ (yₙ xₙᵀz − ln(1 + e^(xₙᵀz))) = Σₙ ln σ(±xₙᵀz)
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64> {
        ln_sigmoids(self.margins(&column(z))?.as_mut_slice())
    }
}
