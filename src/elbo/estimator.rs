//! The gradient of the ELBO, estimated from draws of q or in closed form.

use super::family::{by_entropy, gradient_ln_q, ln_q, noise, placed, score};
use super::model::{Joint, NormalPrior, Quadratic, beside, column, columns, solve, stacked};
use super::{Family, Model, around_mean};
use crate::error::{Error, Result, finite};
use crate::gaussian::same_length;
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
    /// From the gradients as columns.
    fn new(elbos: DVector<f64>, gradients: &DMatrix<f64>, model_gradients: &DMatrix<f64>) -> Self {
        Self { elbos, gradients: gradients.transpose(), model_gradients: model_gradients.transpose() }
    }

    /// The same, unless an entry is not a number.
    fn all_finite(self) -> Result<Self> {
        let n = self.elbos.len();
        finite("the single-draw ELBO", &self.elbos, |i| format!("draw {i}"))?;
        for (what, rows) in [("the gradient in q", &self.gradients), ("the gradient in θ", &self.model_gradients)] {
            finite(what, rows, |i| format!("draw {}, entry {}", i % n, i / n))?;
        }
        Ok(self)
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
        self.at(model, q, &noise)?.all_finite()
    }
}

/// Draws z = m + Lε of q beside the model, a column each.
struct Drawn<'a, M, Q> {
    model: &'a M,
    q: &'a Q,
    noise: &'a [DVector<f64>],
    epsilon: DMatrix<f64>,
    z: DMatrix<f64>,
}

impl<'a, M: Model, Q: Family> Drawn<'a, M, Q> {
    fn new(model: &'a M, q: &'a Q, noise: &'a [DVector<f64>]) -> Result<Self> {
        at_least(1, noise)?;
        let epsilon = beside("the noise", q.dim(), noise)?;
        Ok(Self { model, q, noise, z: placed(q, &epsilon), epsilon })
    }

    /// ln p(x, z) and its gradients.
    fn joint(&self) -> Result<Joint> {
        joint(self.model, &self.z)
    }

    /// ln p(x, z), where no gradient in z is asked for, and ∇_θ of it.
    fn ln_p(&self) -> Result<(DVector<f64>, DMatrix<f64>)> {
        let z: Vec<DVector<f64>> = columns(&self.z).collect();
        let ln_p = z.iter().map(|z| self.model.ln_joint(z)).collect::<Result<Vec<_>>>()?;
        let by_theta = z.iter().map(|z| self.model.gradient_parameters(z)).collect::<Result<Vec<_>>>()?;
        Ok((DVector::from_vec(ln_p), beside("the gradient in θ", by_theta.first().map_or(0, DVector::len), &by_theta)?))
    }

    /// ln q(z)
    fn ln_q(&self) -> DVector<f64> {
        DVector::from_iterator(self.noise.len(), self.noise.iter().map(|noise| ln_q(self.q, noise.norm_squared())))
    }

    /// ∇_z ln q(z)
    fn gradient_ln_q(&self) -> Result<DMatrix<f64>> {
        gradient_ln_q(self.q, &self.epsilon)
    }

    /// ∇_φ ln q_φ(z) at a fixed z, from ∇_z ln q(z).
    fn score(&self, gradient_ln_q: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        self.pulled_back(&-gradient_ln_q, |noise, by_mean| score(self.q, noise, by_mean))
    }

    /// The gradient in φ, through z = m + Lε, of a function of z.
    fn along_path(&self, gradient: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        self.pulled_back(gradient, |noise, gradient| self.q.along_path(noise, gradient))
    }

    /// The gradients in φ from the noise and the gradient in z of each draw.
    fn pulled_back(
        &self,
        gradient: &DMatrix<f64>,
        of: impl Fn(&DVector<f64>, &DVector<f64>) -> Result<DVector<f64>>,
    ) -> Result<DMatrix<f64>> {
        let each = columns(gradient).zip(self.noise).map(|(gradient, noise)| of(noise, &gradient));
        beside("the gradient in φ", self.q.parameters().len(), &each.collect::<Result<Vec<_>>>()?)
    }
}

/// ln p(x, z) and its gradients at each column of z, of the shapes that they must have.
fn joint(model: &impl Model, z: &DMatrix<f64>) -> Result<Joint> {
    let joint = model.joint(z)?;
    same_length("ln p(x, z) of the draws", z.ncols(), joint.ln_p.len())?;
    same_length("the gradients in the latent", z.ncols(), joint.gradient.ncols())?;
    same_length("the gradient in the latent", z.nrows(), joint.gradient.nrows())?;
    same_length("the gradients in θ", z.ncols(), joint.model_gradient.ncols())?;
    Ok(joint)
}

/// Each column times its weight.
fn weighted(mut columns: DMatrix<f64>, weights: &DVector<f64>) -> DMatrix<f64> {
    columns.column_iter_mut().zip(weights).for_each(|(mut column, &weight)| column *= weight);
    columns
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
        let drawn = Drawn::new(model, q, noise)?;
        let (ln_p, by_theta) = drawn.ln_p()?;
        let elbo = ln_p - drawn.ln_q();
        Ok(Draws::new(elbo.clone(), &weighted(drawn.score(&drawn.gradient_ln_q()?)?, &elbo), &by_theta))
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
        let drawn = Drawn::new(model, q, noise)?;
        let (ln_p, by_theta) = drawn.ln_p()?;
        let elbo = ln_p - drawn.ln_q();
        let (n, sum) = (noise.len() as f64, elbo.sum());
        let baseline = elbo.map(|own| (sum - own) / (n - 1.0));
        Ok(Draws::new(elbo.clone(), &weighted(drawn.score(&drawn.gradient_ln_q()?)?, &(elbo - baseline)), &by_theta))
    }
}

/// d/dφ (ln p(x, z) − ln q_φ(z)) at z = m + Lε: along the path by which φ moves z, and in ln q_φ at a fixed z.
///
/// Source: Kingma and Welling (2014), *Auto-encoding variational Bayes*, ICLR, §2.4; Titsias and Lázaro-Gredilla (2014), ICML.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reparameterized;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for Reparameterized {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        let drawn = Drawn::new(model, q, noise)?;
        let p = drawn.joint()?;
        let gradient_ln_q = drawn.gradient_ln_q()?;
        let path = drawn.along_path(&(p.gradient - &gradient_ln_q))?;
        Ok(Draws::new(p.ln_p - drawn.ln_q(), &(path - drawn.score(&gradient_ln_q)?), &p.model_gradient))
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
        let drawn = Drawn::new(model, q, noise)?;
        let p = drawn.joint()?;
        let path = drawn.along_path(&(p.gradient - drawn.gradient_ln_q()?))?;
        Ok(Draws::new(p.ln_p - drawn.ln_q(), &path, &p.model_gradient))
    }
}

/// ln p(x, z) from the draw and the entropy H(q) in closed form.
///
/// Source: Kucukelbir, Tran, Ranganath, Gelman and Blei (2017), *Journal of Machine Learning Research* 18(14), eq. 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalyticEntropy;

impl<M: Model, Q: Family> GradientEstimator<M, Q> for AnalyticEntropy {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        let drawn = Drawn::new(model, q, noise)?;
        let p = drawn.joint()?;
        let mut gradient = drawn.along_path(&p.gradient)?;
        let of_entropy = q.entropy_gradient()?;
        gradient.column_iter_mut().for_each(|mut gradient| gradient += &of_entropy);
        Ok(Draws::new(p.ln_p.add_scalar(q.entropy()), &gradient, &p.model_gradient))
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
        let drawn = Drawn::new(model, q, noise)?;
        let (p, prior) = (drawn.joint()?, model.prior());
        let of_prior = prior.joint(&drawn.z)?;
        let by_mean = solve(prior, q.mean() - prior.mean())?;
        let of_divergence = q.pull_back(&by_mean, &(prior.solve_covariance(q.factor())? - by_entropy(q)))?;
        let mut gradient = drawn.along_path(&(p.gradient - of_prior.gradient))?;
        gradient.column_iter_mut().for_each(|mut gradient| gradient -= &of_divergence);
        let elbo = (p.ln_p - of_prior.ln_p).add_scalar(-kl(&q.gaussian()?, prior)?);
        Ok(Draws::new(elbo, &gradient, &p.model_gradient))
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
        let (mean, precision, l, n) = (q.mean(), model.precision()?, q.factor(), q.blocks() as f64);
        let p = joint(model, &column(&mean))?;
        let elbo = around_mean(q, p.ln_p[0], &precision)?;
        let gradient = q.pull_back(&stacked(p.gradient), &(by_entropy(q) - precision * l * n))?;
        let curvature = model.gradient_precision(&(l * l.transpose() * n))?;
        let each = |v: &DVector<f64>| DMatrix::from_fn(noise.len(), v.len(), |_, j| v[j]);
        Ok(Draws {
            elbos: DVector::repeat(noise.len(), elbo),
            gradients: each(&gradient),
            model_gradients: each(&(stacked(p.model_gradient) + curvature)),
        })
    }

    /// No noise is drawn, as none counts.
    fn draw(&self, model: &M, q: &Q, n: usize, _: &mut Generator) -> Result<Draws> {
        self.at(model, q, &vec![DVector::zeros(0); n])?.all_finite()
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
    let none = all.clone();
    let of_chunk = |rng: &mut Generator, length| {
        let mut estimates = none.clone();
        for _ in 0..length {
            let gradient = estimator.draw(model, q, draws, rng)?.gradient();
            estimates.iter_mut().zip(&gradient).for_each(|(estimate, &g)| estimate.observe(g));
        }
        Ok::<_, Error>(estimates)
    };
    for chunk in chunks(name, repeats, of_chunk) {
        all = all.into_iter().zip(chunk?).map(|(a, b)| a.merge(b)).collect();
    }
    Ok(all)
}
