//! Bayesian inference: the distribution of a parameter θ given data, p(θ | D) = p(D | θ) p(θ) / p(D).
//!
//! | what | how |
//! |---|---|
//! | posterior, predictive, evidence and maximum in closed form | [`Conjugate`] pairs: [`NormalMean`], [`NormalInverseGamma`], [`BetaBernoulli`], [`GammaPoisson`] |
//! | a posterior without a closed form, in few dimensions | [`GridPosterior`] |
//! | its maximum | [`maximise`], and with the curvature there a normal approximation, [`Maximum::laplace`] |
//! | the evidence p(D) = ∫ p(D \| θ) p(θ) dθ | [`Conjugate::ln_evidence`]; [`GridPosterior::ln_evidence`]; any rule of [`quadrature`](crate::quadrature) and [`Quadrature::ln`](crate::quadrature::Quadrature::ln); [`ImportanceWeights`], with draws from the prior or from a proposal |
//!
//! A parameter is a vector θ, of length 1 where it is one number, and a prior is a [`Density`](crate::gaussian::Density) of it that can
//! be sampled. What is not conjugate comes as a closure θ ↦ ln p(D, θ), −∞ where the density is zero.

mod conjugate;
mod evidence;
mod grid;
mod maximum;
mod pareto;

pub use conjugate::{BetaBernoulli, Conjugate, Counts, GammaPoisson, NormalInverseGamma, NormalMean};
pub use evidence::ImportanceWeights;
pub use grid::GridPosterior;
pub use maximum::{Maximum, maximise};
pub use pareto::pareto_k;

use crate::error::{Error, Result};
use crate::quadrature::Integrand;
use nalgebra::DVector;

/// A log density or weight at θ: a number or −∞.
fn ln_density(what: &'static str, value: impl Integrand, theta: &DVector<f64>) -> Result<f64> {
    let value = value.quadrature()?.value;
    if value < f64::INFINITY {
        return Ok(value);
    }
    Err(Error::LnDensity { what, value, at: theta.as_slice().to_vec() })
}
