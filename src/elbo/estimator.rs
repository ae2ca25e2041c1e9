//! The gradient of the ELBO, estimated from draws of q or in closed form.

use super::family::{by_entropy, noise};
use super::model::{NormalPrior, Quadratic, solve};
use super::{Family, Model, elbo};
use crate::error::{Error, Result, finite};
use crate::kl::kl;
use crate::monte_carlo::{Estimate, Generator, chunks};
use nalgebra::{DMatrix, DVector};

/// What an estimator makes of some draws of q: of each, one value and one gradient, whose means are the ELBO and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    /// The value of each draw.
    pub elbos: DVector<f64>,
    /// The gradient in φ, a row for each draw.
    pub gradients: DMatrix<f64>,
    /// The gradient in the model's own θ, a row for each draw.
    pub model_gradients: DMatrix<f64>,
}

impl Draws {
    fn collect(draws: impl IntoIterator<Item = Result<Single>>) -> Result<Self> {
        let draws = draws.into_iter().collect::<Result<Vec<Single>>>()?;
        let rows = |of: fn(&Single) -> &DVector<f64>| {
            DMatrix::from_fn(draws.len(), draws.first().map_or(0, |draw| of(draw).len()), |i, j| of(&draws[i])[j])
        };
        Ok(Self {
            elbos: DVector::from_iterator(draws.len(), draws.iter().map(|draw| draw.elbo)),
            gradients: rows(|draw| &draw.gradient),
            model_gradients: rows(|draw| &draw.model_gradient),
        })
    }

    /// The mean of the values, with its standard error.
    pub fn elbo(&self) -> Estimate {
        let mut estimate = Estimate::default();
        self.elbos.iter().for_each(|&value| estimate.observe(value));
        estimate
    }

    /// The mean of the gradients in φ.
    pub fn gradient(&self) -> DVector<f64> {
        mean_row(&self.gradients)
    }

    /// The mean of the gradients in θ.
    pub fn model_gradient(&self) -> DVector<f64> {
        mean_row(&self.model_gradients)
    }
}

fn mean_row(rows: &DMatrix<f64>) -> DVector<f64> {
    DVector::from_fn(rows.ncols(), |j, _| rows.column(j).sum() / rows.nrows().max(1) as f64)
}

/// What one draw gives.
struct Single {
    elbo: f64,
    gradient: DVector<f64>,
    model_gradient: DVector<f64>,
}

/// A way to estimate the ELBO E_q(ln p(x, z) − ln q(z)) and its gradient in φ. All are right in the mean; they differ in variance
/// and in what they ask of the model.
///
/// | estimator | its term for one draw z = m + Lε | of the model |
/// |---|---|---|
/// | [`ScoreFunction`] | (ln p − ln q) ∇_φ ln q(z) | ln p |
/// | [`LeaveOneOut`] | (ln p − ln q − the others' mean) ∇_φ ln q(z) | ln p |
/// | [`Reparameterized`] | d/dφ of ln p(z) − ln q_φ(z) | ∇ ln p |
/// | [`StickingTheLanding`] | the same, with φ fixed in ln q | ∇ ln p |
/// | [`AnalyticEntropy`] | d/dφ of ln p(z), and ∇H(q) | ∇ ln p |
/// | [`AnalyticKl`] | d/dφ of ln p(x \| z), and −∇D(q‖p(z)) | [`NormalPrior`] |
/// | [`Analytic`] | the gradient itself | [`Quadratic`] |
///
/// For a normal q, ln q(m + Lε) is −½‖ε‖² − ln det L up to a constant, so that [`Reparameterized`] and [`AnalyticEntropy`] have the
/// same gradient; their values differ.
pub trait GradientEstimator<M, Q: Family> {
    /// The terms at given noise, one vector ε of z's length for each draw.
    ///
    /// # Errors
    /// [`Error::Shape`] if model, q and noise have not one dimension, [`Error::Domain`] for fewer draws than the estimator needs;
    /// those of the model.
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws>;

    /// The terms of n draws.
    ///
    /// # Errors
    /// Those of [`at`](Self::at), [`Error::NotFinite`] for a term that is not a number.
    fn draw(&self, model: &M, q: &Q, n: usize, rng: &mut Generator) -> Result<Draws> {
        let noise: Vec<DVector<f64>> = (0..n).map(|_| noise(q, rng)).collect();
        let draws = self.at(model, q, &noise)?;
        finite("the single-draw ELBO", &draws.elbos, |i| format!("draw {i}"))?;
        for (what, rows) in [("the gradient in q", &draws.gradients), ("the gradient in θ", &draws.model_gradients)] {
            finite(what, rows, |i| format!("draw {}, entry {}", i % n, i / n))?;
        }
        Ok(draws)
    }
}

/// One draw z = m + Lε of q, beside the model.
struct Draw<'a, M, Q> {
    model: &'a M,
    q: &'a Q,
    noise: &'a DVector<f64>,
    z: DVector<f64>,
}

impl<M: Model, Q: Family> Draw<'_, M, Q> {
    /// ln p(x, z)
    fn ln_p(&self) -> Result<f64> {
        self.model.ln_joint(&self.z)
    }

    /// ln q(z)
    fn ln_q(&self) -> Result<f64> {
        self.q.ln_pdf(&self.z)
    }

    /// ∇_z ln p(x, z)
    fn gradient_ln_p(&self) -> Result<DVector<f64>> {
        self.model.gradient(&self.z)
    }

    /// ∇_z ln q(z)
    fn gradient_ln_q(&self) -> Result<DVector<f64>> {
        self.q.gradient(&self.z)
    }

    /// ∇_φ ln q_φ(z) at a fixed z.
    fn score(&self) -> Result<DVector<f64>> {
        self.q.score(&self.z)
    }

    /// The gradient in φ, through z = m + Lε, of a function of z.
    fn along_path(&self, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        self.q.along_path(self.noise, gradient)
    }
}

/// The terms of independent draws; each is told its value and gradient in φ.
fn independent<M: Model, Q: Family>(
    model: &M,
    q: &Q,
    noise: &[DVector<f64>],
    term: impl Fn(&Draw<'_, M, Q>) -> Result<(f64, DVector<f64>)>,
) -> Result<Draws> {
    at_least(1, noise)?;
    Draws::collect(noise.iter().map(|noise| {
        let draw = Draw { model, q, noise, z: q.place(noise)? };
        let (elbo, gradient) = term(&draw)?;
        Ok(Single { elbo, gradient, model_gradient: model.gradient_parameters(&draw.z)? })
    }))
}

fn at_least(needed: usize, noise: &[DVector<f64>]) -> Result<()> {
    if noise.len() >= needed {
        return Ok(());
    }
    let domain = if needed == 1 { "at least 1" } else { "at least 2, so that each has another for its baseline" };
    Err(Error::Domain { what: "the number of draws", value: noise.len() as f64, domain })
}

/// (ln p − ln q) ∇_φ ln q: asks for no derivative of the model, and varies most.
///
/// Source: Ranganath, Gerrish and Blei (2014), *Black box variational inference*, AISTATS, eq. 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreFunction;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for ScoreFunction {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        independent(model, q, noise, |draw| {
            let elbo = draw.ln_p()? - draw.ln_q()?;
            Ok((elbo, draw.score()? * elbo))
        })
    }
}

/// [`ScoreFunction`] less a baseline: from each draw's ln p − ln q, the mean of the others' is taken, which does not depend on the
/// draw. So the mean stays what it is. The rows of one call are not independent of each other; only means over all draws of a call
/// are to be compared.
///
/// Source: Mnih and Rezende (2016), *Variational inference for Monte Carlo objectives*, ICML, §2.4; Kool, van Hoof and Welling
/// (2019), ICLR workshop on deep reinforcement learning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaveOneOut;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for LeaveOneOut {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        at_least(2, noise)?;
        let mut draws = independent(model, q, noise, |draw| Ok((draw.ln_p()? - draw.ln_q()?, draw.score()?)))?;
        let (n, sum) = (noise.len() as f64, draws.elbos.sum());
        for (mut row, elbo) in draws.gradients.row_iter_mut().zip(&draws.elbos) {
            let baseline = (sum - elbo) / (n - 1.0);
            row *= elbo - baseline;
        }
        Ok(draws)
    }
}

/// d/dφ (ln p(x, z) − ln q_φ(z)) at z = m + Lε: along the path by which φ moves z, and in ln q_φ at a fixed z.
///
/// Source: Kingma and Welling (2014), *Auto-encoding variational Bayes*, ICLR, §2.4; Titsias and Lázaro-Gredilla (2014), ICML.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reparameterized;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for Reparameterized {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        independent(model, q, noise, |draw| {
            let path = draw.along_path(&(draw.gradient_ln_p()? - draw.gradient_ln_q()?))?;
            Ok((draw.ln_p()? - draw.ln_q()?, path - draw.score()?))
        })
    }
}

/// [`Reparameterized`] without the score, whose mean is zero. At q = posterior nothing is left, ∇ ln p being ∇ ln q: the variance is
/// zero.
///
/// Source: Roeder, Wu and Duvenaud (2017), *Sticking the landing*, NeurIPS, eq. 8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StickingTheLanding;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for StickingTheLanding {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        independent(model, q, noise, |draw| {
            let path = draw.along_path(&(draw.gradient_ln_p()? - draw.gradient_ln_q()?))?;
            Ok((draw.ln_p()? - draw.ln_q()?, path))
        })
    }
}

/// ln p(x, z) from the draw and the entropy H(q) in closed form.
///
/// Source: Kucukelbir, Tran, Ranganath, Gelman and Blei (2017), *Journal of Machine Learning Research* 18(14), eq. 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalyticEntropy;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for AnalyticEntropy {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        let (entropy, gradient) = (q.entropy(), q.entropy_gradient()?);
        independent(model, q, noise, |draw| {
            Ok((draw.ln_p()? + entropy, draw.along_path(&draw.gradient_ln_p()?)? + &gradient))
        })
    }
}

/// ln p(x | z) from the draw and D(q‖p(z)) in closed form.
///
/// Source: Kingma and Welling (2014), eq. 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalyticKl;

impl<M: NormalPrior, Q: Family> GradientEstimator<M, Q> for AnalyticKl {
    /// ∇D(q‖p(z)) is P⁻¹(m − μ) in the mean and P⁻¹L − diag(1/L) in the factor, for the prior N(μ, P).
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        let prior = model.prior();
        let divergence = kl(&q.gaussian()?, prior)?;
        let by_mean = solve(prior, q.mean() - prior.mean())?;
        let gradient = q.pull_back(&by_mean, &(prior.solve_covariance(q.factor())? - by_entropy(q)))?;
        independent(model, q, noise, |draw| {
            let gradient_ln_likelihood = draw.gradient_ln_p()? - prior.gradient(&draw.z)?;
            Ok((model.ln_likelihood(&draw.z)? - divergence, draw.along_path(&gradient_ln_likelihood)? - &gradient))
        })
    }
}

/// The ELBO and its gradient in closed form, where ln p(x, z) is quadratic in z; every draw is the same.
///
/// With Λ = −∇² ln p: ∇ ln p(x, m) in the mean, N (diag(1/L) − ΛL) in the factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analytic;

impl<M: Quadratic, Q: Family> GradientEstimator<M, Q> for Analytic {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        at_least(1, noise)?;
        let (mean, l, n) = (q.mean(), q.factor(), q.blocks() as f64);
        let elbo = elbo(model, q)?;
        let gradient = q.pull_back(&model.gradient(&mean)?, &(by_entropy(q) - model.precision()? * l * n))?;
        let curvature = model.gradient_precision(&(l * l.transpose() * n))?;
        let model_gradient = model.gradient_parameters(&mean)? + curvature;
        let single = || Single { elbo, gradient: gradient.clone(), model_gradient: model_gradient.clone() };
        Draws::collect(noise.iter().map(|_| Ok(single())))
    }
}

/// How an estimator's gradient in φ is distributed: of each entry, the mean and variance of `repeats` gradients, each the mean over
/// `draws` draws. The seed is `name`'s, and the result does not depend on the number of threads.
///
/// # Errors
/// Those of [`GradientEstimator::draw`].
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (posterior, q) = (Gaussian::univariate(1.0, 4.0)?, MeanField::standard(1)?);
/// let variance = |estimates: Vec<Estimate>| estimates.iter().map(Estimate::variance).sum::<f64>();
/// let score = variance(gradient_estimates("score", 1000, 10, &ScoreFunction, &posterior, &q)?);
/// let path = variance(gradient_estimates("path", 1000, 10, &Reparameterized, &posterior, &q)?);
/// assert!(path < score);
/// # Ok::<(), Error>(())
/// ```
pub fn gradient_estimates<M: Sync, Q: Family + Sync>(
    name: &str,
    repeats: u64,
    draws: usize,
    estimator: &(impl GradientEstimator<M, Q> + Sync),
    model: &M,
    q: &Q,
) -> Result<Vec<Estimate>> {
    let mut all = vec![Estimate::default(); q.parameters().len()];
    let of_chunk = |rng: &mut Generator, length| {
        let mut estimates = all.clone();
        for _ in 0..length {
            let gradient = estimator.draw(model, q, draws, rng)?.gradient();
            estimates.iter_mut().zip(&gradient).for_each(|(estimate, &g)| estimate.observe(g));
        }
        Ok(estimates)
    };
    for chunk in chunks(name, repeats, of_chunk).collect::<Vec<Result<Vec<Estimate>>>>() {
        all = all.into_iter().zip(chunk?).map(|(a, b)| a.merge(b)).collect();
    }
    Ok(all)
}
