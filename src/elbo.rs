//! Variational inference: the member q of a family that is closest to the posterior p(z | x), found by maximising the evidence lower
//! bound
//!
//! ELBO(q) = E_q(ln p(x, z) − ln q(z)) = ln p(x) − D(q‖p(z | x)) = E_q ln p(x | z) − D(q‖p(z)),
//!
//! in nats. It is below the log evidence, by the divergence that is minimised with it.
//!
//! | part | what there is |
//! |---|---|
//! | a [`Model`] | [`LinearGaussian`], [`LogisticRegression`], [`MixtureMeans`], [`Ppca`]; a normal or a mixture as it is; any ln p(x, z) by [`DualModel`] |
//! | a [`Family`] | [`MeanField`], [`FullRank`], [`Amortised`] |
//! | the objective | [`elbo`] in closed form, [`elbo_by_monte_carlo`] |
//! | a [`GradientEstimator`] | [`ScoreFunction`], [`LeaveOneOut`], [`Reparameterized`], [`StickingTheLanding`], [`AnalyticEntropy`], [`AnalyticKl`], [`Analytic`] |
//! | an [`Ascent`] | [`Plain`], [`Adam`], [`Natural`] |
//! | all of these together | [`VariationalInference`], and its [`Fit`] with the history |
//! | what the fit is worth | [`importance_weights`] of q, with their Pareto k̂ |
//!
//! Source: Blei, Kucukelbir and McAuliffe (2017), *Journal of the American Statistical Association* 112, 859–877; Jordan,
//! Ghahramani, Jaakkola and Saul (1999), *Machine Learning* 37, 183–233.

mod ascent;
mod estimator;
mod family;
mod linear_gaussian;
mod logistic;
mod mixture_means;
mod model;
mod ppca;
mod rows;

pub use ascent::{Adam, Ascent, Fit, Moments, Natural, Plain, Progress, VariationalInference};
pub use estimator::{
    Analytic, AnalyticEntropy, AnalyticKl, Draws, GradientEstimator, LeaveOneOut, Reparameterized, ScoreFunction,
    StickingTheLanding, gradient_estimates,
};
pub use family::{Amortised, Family, Fisher, FullRank, MeanField};
pub use linear_gaussian::LinearGaussian;
pub use logistic::LogisticRegression;
pub use mixture_means::MixtureMeans;
pub use model::{DualModel, Joint, Model, NormalPrior, Quadratic};
pub use ppca::Ppca;

use crate::bayes::ImportanceWeights;
use crate::error::{Error, Result, finite, in_range};
use crate::gaussian::same_length;
use crate::monte_carlo::{Estimate, Generator, chunks};
use nalgebra::DMatrix;

/// The ELBO in closed form, for a model that is quadratic in z: ln p(x, m) − ½ N tr ΛLLᵀ + H(q), with Λ = −∇² ln p.
///
/// # Errors
/// [`Error::Shape`] if the model and q have not one dimension, or not the same blocks; those of the model.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = Gaussian::univariate(0.0, 1.0)?;
/// let model = LinearGaussian::new(prior, dmatrix![1.0], dvector![0.0], dmatrix![1.0], dvector![1.0])?;
/// let q = MeanField::new(dvector![0.3], dvector![0.4_f64.sqrt()])?;
/// let gap = model.ln_evidence() - elbo(&model, &q)?;
/// assert!((gap - kl(&q.gaussian()?, &model.posterior()?)?).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
pub fn elbo(model: &impl Quadratic, q: &impl Family) -> Result<f64> {
    same_length("the latent of q", model.latent_dim(), q.dim())?;
    around_mean(q, model.ln_joint(&q.mean())?, &model.precision()?)
}

/// The ELBO from ln p(x, m) and Λ.
fn around_mean(q: &impl Family, ln_joint: f64, precision: &DMatrix<f64>) -> Result<f64> {
    let (l, n) = (q.factor(), q.blocks() as f64);
    same_length("a block of the latent of q", precision.nrows(), l.nrows())?;
    let elbo = ln_joint - 0.5 * n * (precision * l).dot(l) + q.entropy();
    in_range("the ELBO", [&elbo])?;
    Ok(elbo)
}

/// The ELBO as the mean of ln p(x, z) − ln q(z) over `samples` draws z of q. The seed is `name`'s, and the result does not depend on
/// the number of threads.
///
/// # Errors
/// [`Error::Shape`] if the model and q have not one dimension,
/// [`Error::NotFinite`] if a term is not a number, as where q has mass and p has none; those of the
/// model.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (p, q) = (Gaussian::univariate(1.0, 2.0)?, MeanField::standard(1)?);
/// let estimate = elbo_by_monte_carlo("a normal", 10_000, &p, &q)?;
/// assert!((estimate.mean() - elbo(&p, &q)?).abs() < 6.0 * estimate.standard_error());
/// # Ok::<(), Error>(())
/// ```
pub fn elbo_by_monte_carlo(
    name: &str,
    samples: u64,
    model: &(impl Model + Sync),
    q: &(impl Family + Sync),
) -> Result<Estimate> {
    let of_chunk = |rng: &mut Generator, length| {
        let mut estimate = Estimate::default();
        for i in 0..length {
            let z = q.sample(rng);
            let term = model.ln_joint(&z)? - q.ln_pdf(&z)?;
            finite("the single-draw ELBO", [&term], |_| format!("draw {i}"))?;
            estimate.observe(term);
        }
        Ok::<_, Error>(estimate)
    };
    let mut all = Estimate::default();
    for chunk in chunks(name, samples, of_chunk) {
        all = all.merge(chunk?);
    }
    Ok(all)
}

/// The weights p(x, z)/q(z) of draws z of q. Their mean is the evidence p(x), and their Pareto k̂ says how far q can stand in for
/// the posterior: above [`pareto_k_limit`](ImportanceWeights::pareto_k_limit) it is too narrow or in the wrong place. A mode of the
/// posterior that q does not reach may not be seen. Of a q that is nearly the posterior most weights are alike, and k̂ may be
/// large at one number of draws and small at ten times as many: look at the effective sample size as well.
///
/// # Errors
/// Those of [`ImportanceWeights::from_proposal`] and of the model.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let posterior = Gaussian::new(dvector![0.0, 0.0], dmatrix![1.0, 0.99; 0.99, 1.0])?;
/// let narrow = importance_weights("mean field", 10_000, &posterior, &MeanField::closest(&posterior)?)?;
/// let right = importance_weights("full rank", 10_000, &posterior, &FullRank::from(posterior.clone()))?;
/// assert!(narrow.pareto_k()? > narrow.pareto_k_limit());
/// assert!(right.pareto_k()? < right.pareto_k_limit());
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Yao, Vehtari, Simpson and Gelman (2018), *Yes, but did it work?: Evaluating variational inference*, ICML.
pub fn importance_weights(
    name: &str,
    samples: u64,
    model: &(impl Model + Sync),
    q: &(impl Family + Sync),
) -> Result<ImportanceWeights> {
    ImportanceWeights::from_proposal(name, samples, q, |z| model.ln_joint(z))
}
