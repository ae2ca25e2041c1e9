//! The unknown means of a mixture on the line.

use super::model::{Model, NormalPrior, check_latent, gradient_ln_pdf};
use crate::categorical::Categorical;
use crate::error::{Error, Result, finite, in_range};
use crate::gaussian::{Density, Gaussian, same_length};
use crate::mixture::ln_sum_exp;
use nalgebra::DVector;
use std::f64::consts::PI;

/// The K means z of a mixture on the line, xₙ ~ Σₖ wₖ N(zₖ, s²), with a normal prior. Where weights and prior are the same for all
/// k, the components can be swapped: the posterior has K! modes, and a normal q can have one of them.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let data = [-2.1, -1.9, 2.0, 2.2];
/// let model = MixtureMeans::new(Gaussian::standard(2)?, [0.5, 0.5], 1.0, &data)?;
/// let (a, b) = (model.ln_joint(&dvector![-2.0, 2.0])?, model.ln_joint(&dvector![2.0, -2.0])?);
/// assert!((a - b).abs() < 1e-13);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Blei, Kucukelbir and McAuliffe (2017), *Journal of the American Statistical Association* 112, §2.1, with the components
/// summed out.
#[derive(Clone, Debug, PartialEq)]
pub struct MixtureMeans {
    prior: Gaussian,
    weights: Categorical,
    deviation: f64,
    data: Vec<f64>,
}

impl MixtureMeans {
    /// The model with a prior of the K means, K weights, and the standard deviation s of every component.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers differ, those of [`Categorical::new`], [`Error::Domain`] unless s > 0, [`Error::NotFinite`].
    pub fn new(prior: Gaussian, weights: impl Into<Vec<f64>>, deviation: f64, data: &[f64]) -> Result<Self> {
        let weights = Categorical::new(weights)?;
        same_length("the weights", prior.dim(), weights.probabilities().len())?;
        if !(deviation > 0.0 && deviation.is_finite()) {
            let what = "the components' standard deviation";
            return Err(Error::Domain { what, value: deviation, domain: "positive and finite" });
        }
        finite("the data", data, |i| format!("entry {i}"))?;
        Ok(Self { prior, weights, deviation, data: data.to_vec() })
    }

    /// ln wₖ + ln N(x; zₖ, s²) for each k.
    fn ln_terms(&self, x: f64, z: &DVector<f64>) -> Vec<f64> {
        let ln_normaliser = 0.5 * (2.0 * PI).ln() + self.deviation.ln();
        let term =
            |(k, z): (usize, &f64)| self.weights.ln_pmf(k) - 0.5 * ((x - z) / self.deviation).powi(2) - ln_normaliser;
        z.iter().enumerate().map(term).collect()
    }
}

impl Model for MixtureMeans {
    fn latent_dim(&self) -> usize {
        self.prior.dim()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_likelihood(z)? + self.prior.ln_pdf(z)?)
    }

    /// Σₙ P(k | xₙ, z) (xₙ − zₖ)/s² in zₖ, and that of the prior.
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        let mut gradient = gradient_ln_pdf(&self.prior, z)?;
        for &x in &self.data {
            let terms = self.ln_terms(x, z);
            let ln_p = ln_sum_exp(&terms);
            for ((g, z), ln) in gradient.iter_mut().zip(z).zip(&terms) {
                *g += (ln - ln_p).exp() * ((x - z) / self.deviation) / self.deviation;
            }
        }
        in_range("the gradient of the log joint density", &gradient)?;
        Ok(gradient)
    }
}

impl NormalPrior for MixtureMeans {
    fn prior(&self) -> &Gaussian {
        &self.prior
    }

    /// Σₙ ln Σₖ wₖ N(xₙ; zₖ, s²)
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64> {
        check_latent(self.latent_dim(), z)?;
        Ok(self.data.iter().map(|&x| ln_sum_exp(&self.ln_terms(x, z))).sum())
    }
}
