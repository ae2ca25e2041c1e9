//! The evidence by Monte Carlo, and the logarithm of an integral.

use super::{ln_density, pareto_k};
use crate::error::{Error, Result};
use crate::gaussian::Density;
use crate::mixture::ln_sum_exp;
use crate::monte_carlo::{Estimate, Generator, chunks};
use crate::quadrature::{Integrand, Quadrature};
use nalgebra::DVector;
use rand_distr::Distribution;

impl Quadrature {
    /// ln of the integral, its error the larger of ln(I + e) − ln I and ln I − ln(I − e).
    ///
    /// # Errors
    /// [`Error::Domain`] unless I > e: then the sign of the integral is not even known.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (prior, data) = (GammaPoisson::new(2.0, 1.0)?, Counts::from_rows(&dmatrix![200.0; 190.0])?);
    /// // Relative to the peak, as the joint density itself is too small for double precision where the data are many.
    /// let peak = prior.ln_joint(&prior.posterior(&data)?.mode()?, &data)?;
    /// let relative = |theta: f64| prior.ln_joint(&dvector![theta], &data).map(|ln| (ln - peak).exp());
    /// let evidence = integrate(50.0, 250.0, 1e-9, relative)?.ln()?;
    /// assert!((peak + evidence.value - prior.ln_evidence(&data)?).abs() < 1e-9);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ln(self) -> Result<Self> {
        let relative = self.error / self.value;
        if !(self.value > 0.0 && relative < 1.0) {
            let domain = "positive by more than its error; give the place and scale on which the integrand lives, or a smaller tolerance";
            return Err(Error::Domain { what: "the integral whose logarithm is taken", value: self.value, domain });
        }
        Ok(Self { value: self.value.ln(), error: -(-relative).ln_1p() })
    }
}

/// The evidence p(D) = E w from N independent weights, held as logarithms: w = p(D | θ) for θ drawn from the prior, or
/// w = p(D, θ)/q(θ) for θ drawn from a proposal q that is positive wherever p(D, θ) is.
///
/// Its mean is right at every N, and it is useless when a few weights outweigh all others. The standard error is itself an estimate
/// from these weights, and too small when the largest ones have not been drawn yet. Whether it can be trusted is what the Pareto k̂
/// says: it should lie below [`pareto_k_limit`](Self::pareto_k_limit). A region of the posterior of which no draw knows is
/// seen by nothing.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (prior, data) = (BetaBernoulli::new(1.0, 1.0)?, Counts::of_trials(14, 20)?);
/// let plain = ImportanceWeights::from_prior("plain", 10_000, &prior, |theta| prior.ln_likelihood(theta, &data))?;
/// let proposal = Gaussian::univariate(0.7, 0.02)?;
/// let better = ImportanceWeights::from_proposal("better", 10_000, &proposal, |theta| prior.ln_joint(theta, &data))?;
/// let truth = prior.ln_evidence(&data)?;
/// assert!((plain.ln_evidence() - truth).abs() < 6.0 * plain.standard_error());
/// assert!((better.ln_evidence() - truth).abs() < 6.0 * better.standard_error());
/// assert!(better.effective_samples() > 2.0 * plain.effective_samples());
/// assert!(better.pareto_k()? < better.pareto_k_limit());
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Robert and Casella (2004), *Monte Carlo Statistical Methods*, 2nd ed., §3.3.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportanceWeights {
    ln_weights: Vec<f64>,
    largest: f64,
    /// Of the weights as fractions of the largest.
    relative: Estimate,
}

impl ImportanceWeights {
    /// N draws θ from the prior with the weights p(D | θ): plain Monte Carlo. The seed is `name`'s, and the result does not
    /// depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Domain`] for fewer than 2 draws, more than fit into memory, or weights that are all zero; [`Error::LnDensity`]
    /// with the first θ at which `ln_likelihood` is NaN or ∞; those of `ln_likelihood`.
    pub fn from_prior<T: Integrand>(
        name: &str,
        samples: u64,
        prior: &(impl Distribution<DVector<f64>> + Sync),
        ln_likelihood: impl Fn(&DVector<f64>) -> T + Sync,
    ) -> Result<Self> {
        Self::draw(name, samples, |rng| {
            let theta = prior.sample(rng);
            ln_density("the log likelihood", ln_likelihood(&theta), &theta)
        })
    }

    /// N draws θ from the proposal q with the weights p(D, θ)/q(θ). The seed is `name`'s, and the result does not depend on the
    /// number of threads.
    ///
    /// # Errors
    /// [`Error::Domain`] for fewer than 2 draws, more than fit into memory, or weights that are all zero; [`Error::LnDensity`]
    /// with the first θ at which `ln_joint` or the log weight is NaN or ∞; those of `ln_joint` and of the proposal's density.
    pub fn from_proposal<T: Integrand>(
        name: &str,
        samples: u64,
        proposal: &(impl Density + Distribution<DVector<f64>> + Sync),
        ln_joint: impl Fn(&DVector<f64>) -> T + Sync,
    ) -> Result<Self> {
        Self::draw(name, samples, |rng| {
            let theta = proposal.sample(rng);
            match ln_density("the log joint density", ln_joint(&theta), &theta)? {
                f64::NEG_INFINITY => Ok(f64::NEG_INFINITY),
                ln_joint => ln_density("the log weight", ln_joint - proposal.ln_pdf(&theta)?, &theta),
            }
        })
    }

    fn draw(name: &str, samples: u64, ln_weight: impl Fn(&mut Generator) -> Result<f64> + Sync) -> Result<Self> {
        let mut ln_weights: Vec<f64> = Vec::new();
        let reserved = usize::try_from(samples).ok().and_then(|n| ln_weights.try_reserve_exact(n).ok());
        if samples < 2 || reserved.is_none() {
            let domain = "at least 2, and small enough for the weights to fit into memory";
            return Err(Error::Domain { what: "the number of draws", value: samples as f64, domain });
        }
        let of_chunk = |rng: &mut Generator, length| (0..length).map(|_| ln_weight(rng)).collect::<Result<Vec<f64>>>();
        for chunk in chunks(name, samples, of_chunk) {
            ln_weights.extend(chunk?);
        }
        let largest = ln_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            let domain = "finite: no draw came where the integrand is positive; draw more, or from a proposal closer to the posterior";
            return Err(Error::Domain { what: "the largest log weight", value: largest, domain });
        }
        let mut relative = Estimate::default();
        ln_weights.iter().for_each(|ln| relative.observe((ln - largest).exp()));
        Ok(Self { ln_weights, largest, relative })
    }

    /// The ln w, in the order of the draws.
    pub fn ln_weights(&self) -> &[f64] {
        &self.ln_weights
    }

    /// ln p(D), estimated by ln w̄. The logarithm is biased: E ln w̄ ≈ ln p(D) − ½ se² with the standard error below.
    pub fn ln_evidence(&self) -> f64 {
        ln_sum_exp(&self.ln_weights) - (self.ln_weights.len() as f64).ln()
    }

    /// The standard error of ln p(D), by the delta method that of w̄ over w̄ itself.
    pub fn standard_error(&self) -> f64 {
        self.relative.standard_error() / self.relative.mean()
    }

    /// The effective sample size (Σw)²/Σw² = N / (1 + cv²), cv the weights' coefficient of variation: between 1 and N.
    ///
    /// Source: Kong (1992), *A note on importance sampling using standardized weights*, University of Chicago.
    pub fn effective_samples(&self) -> f64 {
        let n = self.ln_weights.len() as f64;
        let squared_cv = self.relative.variance() * ((n - 1.0) / n) / self.relative.mean().powi(2);
        n / (1.0 + squared_cv)
    }

    /// The share of the largest weight in the sum of all.
    pub fn largest_share(&self) -> f64 {
        (self.largest - ln_sum_exp(&self.ln_weights)).exp()
    }

    /// The Pareto k̂ of the weights: [`pareto_k`].
    ///
    /// # Errors
    /// Those of [`pareto_k`].
    pub fn pareto_k(&self) -> Result<f64> {
        pareto_k(&self.ln_weights)
    }

    /// The k̂ above which so few draws are not to be trusted, min(1 − 1/log₁₀ N, 0.7).
    ///
    /// Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), *Journal of Machine Learning Research* 25(72), eq. 13.
    pub fn pareto_k_limit(&self) -> f64 {
        (1.0 - (self.ln_weights.len() as f64).log10().recip()).min(0.7)
    }
}
