//! Logistic regression with a normal prior.

use super::model::{Model, NormalPrior, check_latent, gradient_ln_pdf};
use crate::error::{Error, Result, finite_matrix, in_range};
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
    x: DMatrix<f64>,
    labels: DVector<f64>,
}

impl LogisticRegression {
    /// The model of the labels given the rows of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] if they disagree, [`Error::NotFinite`].
    pub fn new(prior: Gaussian, x: DMatrix<f64>, labels: &[bool]) -> Result<Self> {
        same_length("the columns of the data", prior.dim(), x.ncols())?;
        same_length("the labels", x.nrows(), labels.len())?;
        finite_matrix("the data", &x)?;
        let labels = DVector::from_iterator(labels.len(), labels.iter().map(|&label| f64::from(u8::from(label))));
        Ok(Self { prior, x, labels })
    }

    /// xₙᵀz of each row.
    fn logits(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        check_latent(self.x.ncols(), z)?;
        let logits = &self.x * z;
        in_range("the logits", &logits)?;
        Ok(logits)
    }

    /// The probability of the label 1 in each row, given z.
    ///
    /// # Errors
    /// [`Error::Shape`] unless z has length d, [`Error::NotFinite`], [`Error::Overflow`].
    pub fn probabilities(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.logits(z)?.map(|a| 1.0 / (1.0 + (-a).exp())))
    }
}

/// ln(1 + eᵃ)
fn softplus(a: f64) -> f64 {
    a.max(0.0) + (-a.abs()).exp().ln_1p()
}

impl Model for LogisticRegression {
    fn latent_dim(&self) -> usize {
        self.x.ncols()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_likelihood(z)? + self.prior.ln_pdf(z)?)
    }

    /// Σₙ (yₙ − pₙ) xₙ − P⁻¹(z − m)
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        let residual = &self.labels - self.probabilities(z)?;
        Ok(self.x.tr_mul(&residual) + gradient_ln_pdf(&self.prior, z)?)
    }
}

impl NormalPrior for LogisticRegression {
    fn prior(&self) -> &Gaussian {
        &self.prior
    }

    /// Σₙ (yₙ xₙᵀz − ln(1 + e^(xₙᵀz)))
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64> {
        let logits = self.logits(z)?;
        // y a − ln(1 + eᵃ) is −ln(1 + e^∓a), which does not cancel.
        let term = |(a, y): (&f64, &f64)| -softplus(if *y == 1.0 { -a } else { *a });
        let sum: f64 = logits.iter().zip(&self.labels).map(term).sum();
        if sum.is_finite() { Ok(sum) } else { Err(Error::Overflow { what: "the log likelihood" }) }
    }
}
