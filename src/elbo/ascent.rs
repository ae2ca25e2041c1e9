//! Gradient ascent on the ELBO.

use super::estimator::{Draws, GradientEstimator};
use super::family::{Family, Fisher};
use super::model::Model;
use crate::error::{Error, Result};
use crate::gaussian::same_length;
use crate::monte_carlo::{Estimate, rng};
use nalgebra::DVector;
use polars::prelude::{DataFrame, df};

/// How a gradient becomes a step. Every rate falls as rate / (1 + t/decay) after t steps: with an infinite `decay` it stays, and the
/// ascent goes on trembling by what the gradients vary.
pub trait Ascent<Q> {
    /// What is remembered from one step to the next.
    type State: Default;

    /// The rate, and the number of steps after which half of it is left.
    fn schedule(&self) -> (f64, f64);

    /// The direction at the t-th step, t from 1, for the gradient in φ and below it that in θ: what the rate is multiplied with.
    ///
    /// # Errors
    /// [`Error::Shape`] if the gradient is not that of q.
    fn direction(&self, state: &mut Self::State, t: usize, q: &Q, gradient: &DVector<f64>) -> Result<DVector<f64>>;
}

/// Steps along the gradient.
///
/// Source: Robbins and Monro (1951), *Annals of Mathematical Statistics* 22, 400–407.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plain {
    /// The rate of the first step.
    pub rate: f64,
    /// The number of steps after which half of it is left.
    pub decay: f64,
}

impl<Q: Family> Ascent<Q> for Plain {
    type State = ();

    fn schedule(&self) -> (f64, f64) {
        (self.rate, self.decay)
    }

    fn direction(&self, _: &mut (), _: usize, _: &Q, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(gradient.clone())
    }
}

/// Adam: each entry of the gradient's running mean over the root of its running mean square, with the weights 0.9 and 0.999 and 1e-8
/// in the denominator. So no entry moves by much more than the rate, whatever its units.
///
/// Source: Kingma and Ba (2015), *Adam: a method for stochastic optimization*, ICLR, algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The rate of the first step.
    pub rate: f64,
    /// The number of steps after which half of it is left.
    pub decay: f64,
}

/// The running means of the gradient and of its square.
#[derive(Clone, Debug, Default)]
pub struct Moments(Option<(DVector<f64>, DVector<f64>)>);

impl<Q: Family> Ascent<Q> for Adam {
    type State = Moments;

    fn schedule(&self) -> (f64, f64) {
        (self.rate, self.decay)
    }

    fn direction(&self, state: &mut Moments, t: usize, _: &Q, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        let (first, second) = (0.9_f64, 0.999_f64);
        let zero = || DVector::zeros(gradient.len());
        let (mean, square) = state.0.get_or_insert_with(|| (zero(), zero()));
        *mean = &*mean * first + gradient * (1.0 - first);
        *square = &*square * second + gradient.component_mul(gradient) * (1.0 - second);
        let unbiased = |weight: f64| 1.0 - weight.powf(t as f64);
        let (of_mean, of_square) = (unbiased(first), unbiased(second));
        Ok(mean.zip_map(square, |m, s| m / of_mean / ((s / of_square).sqrt() + 1e-8)))
    }
}

/// Steps along the natural gradient F(φ)⁻¹ ∇, which are the same for every parametrisation of the normals to first order. A rate of
/// 1 in the mean of a normal posterior is Newton's step with q's own precision. The model's own parameters, if there are any, take
/// the plain gradient.
///
/// Source: Amari (1998), *Neural Computation* 10, 251–276; Hoffman, Blei, Wang and Paisley (2013), *Journal of Machine Learning
/// Research* 14, 1303–1347.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Natural {
    /// The rate of the first step.
    pub rate: f64,
    /// The number of steps after which half of it is left.
    pub decay: f64,
}

impl<Q: Fisher> Ascent<Q> for Natural {
    type State = ();

    fn schedule(&self) -> (f64, f64) {
        (self.rate, self.decay)
    }

    fn direction(&self, _: &mut (), _: usize, q: &Q, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        let of_q = q.parameters().len();
        let natural =
            q.natural_gradient(&DVector::from_iterator(of_q.min(gradient.len()), gradient.iter().copied().take(of_q)))?;
        Ok(join(&natural, gradient.iter().copied().skip(of_q)))
    }
}

fn join(first: &DVector<f64>, rest: impl IntoIterator<Item = f64>) -> DVector<f64> {
    DVector::from_vec(first.iter().copied().chain(rest).collect())
}

/// Stochastic gradient ascent on the ELBO, from a start to where it stops rising. All fields are to be given: nothing about an
/// ascent is left to a default.
///
/// The ELBO is smoothed over windows of steps. The ascent has converged when the mean of a window differs from that of the window
/// before by at most `tolerance` nats, three standard errors of the difference included: where the draws vary much, longer windows
/// or more draws are needed to tell. The standard error is that of independent steps, which those of a slow ascent are not quite;
/// and an ascent so slow that a window gains less than `tolerance` looks converged wherever it is.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let x = dmatrix![1.0, -1.0; 1.0, 0.0; 1.0, 2.0; 1.0, 0.5];
/// let model = LogisticRegression::new(Gaussian::standard(2)?, x, &[false, true, true, false])?;
/// let fit = VariationalInference {
///     name: "four labels", estimator: StickingTheLanding, ascent: Adam { rate: 0.05, decay: 200.0 },
///     draws: 10, steps: 5000, window: 100, tolerance: 0.05,
/// }
/// .fit(&model, FullRank::standard(2)?)?;
/// assert!(fit.converged && fit.history.height() < 5000);
/// let weights = importance_weights("four labels", 10_000, &model, &fit.q)?;
/// assert!(fit.elbo.mean() < weights.ln_evidence() + 3.0 * weights.standard_error());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VariationalInference<'a, E, A> {
    /// The seed of the draws.
    pub name: &'a str,
    /// How the gradient is estimated.
    pub estimator: E,
    /// How the gradient becomes a step.
    pub ascent: A,
    /// The number of draws for each step.
    pub draws: usize,
    /// The largest number of steps.
    pub steps: usize,
    /// The number of steps over which the ELBO is smoothed, at least 2.
    pub window: usize,
    /// The change of the smoothed ELBO, in nats, below which the ascent has converged.
    pub tolerance: f64,
}

/// Where an ascent has come to.
#[derive(Clone, Debug)]
pub struct Fit<Q> {
    /// The last q whose ELBO was estimated: that of the last row of the history.
    pub q: Q,
    /// The ELBO over the last window of steps; its mean is the smoothed ELBO.
    pub elbo: Estimate,
    /// Whether the ascent stopped by itself: otherwise the steps were used up.
    pub converged: bool,
    /// A row for each step: "step", "elbo" (the mean of the step's draws) with its "standard error" (null for a single draw),
    /// "smoothed elbo" (the mean over the last window of steps), "gradient norm" (of the gradients in φ and θ together) and "rate".
    pub history: DataFrame,
}

/// A step of an ascent, for whoever watches it: to print, or to keep the path.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a, Q> {
    /// Its number, from 0.
    pub step: usize,
    /// q before the step.
    pub q: &'a Q,
    /// The ELBO of q, estimated from the step's draws.
    pub elbo: Estimate,
    /// The norm of the gradient.
    pub gradient_norm: f64,
}

/// A model whose θ stays, or goes along.
enum Subject<'a, M> {
    Fixed(&'a M),
    Fitted(&'a mut M),
}

impl<M: Model> Subject<'_, M> {
    fn model(&self) -> &M {
        match self {
            Self::Fixed(model) => model,
            Self::Fitted(model) => model,
        }
    }

    fn parameters(&self) -> DVector<f64> {
        match self {
            Self::Fixed(_) => DVector::zeros(0),
            Self::Fitted(model) => model.parameters(),
        }
    }

    fn set_parameters(&mut self, theta: &DVector<f64>) -> Result<()> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Fitted(model) => model.set_parameters(theta),
        }
    }

    /// The gradients in φ and in θ as one.
    fn gradient(&self, draws: &Draws) -> DVector<f64> {
        match self {
            Self::Fixed(_) => draws.gradient(),
            Self::Fitted(_) => join(&draws.gradient(), draws.model_gradient().iter().copied()),
        }
    }
}

impl<E, A> VariationalInference<'_, E, A> {
    /// Maximises the ELBO over q, the model being given.
    ///
    /// # Errors
    /// [`Error::Domain`] for a field that makes no sense, and what makes the ELBO at the start no number. Later errors come as
    /// [`Error::Ascent`], with the last good φ and the history: a gradient or an ELBO that is not a number, a covariance that leaves
    /// the cone, a smoothed ELBO that falls below that of the first window by more than `tolerance` and its noise.
    pub fn fit<M: Model, Q: Family>(&self, model: &M, start: Q) -> Result<Fit<Q>>
    where
        E: GradientEstimator<M, Q>,
        A: Ascent<Q>,
    {
        self.fit_with(model, start, |_| ())
    }

    /// [`fit`](Self::fit), with every step shown to `watch`.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit).
    pub fn fit_with<M: Model, Q: Family>(
        &self,
        model: &M,
        start: Q,
        watch: impl FnMut(&Progress<'_, Q>),
    ) -> Result<Fit<Q>>
    where
        E: GradientEstimator<M, Q>,
        A: Ascent<Q>,
    {
        self.ascend(Subject::Fixed(model), start, watch)
    }

    /// Maximises the ELBO over q and the model's own parameters θ together. After an error the model is at its last good θ.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit).
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let x = Gaussian::new(dvector![0.0, 0.0], dmatrix![2.0, 1.0; 1.0, 2.0])?.sample_n(50, &mut rng("ppca"));
    /// let mut model = Ppca::new(&x, dmatrix![1.0; 0.0], 1.0)?;
    /// let start = Amortised::new(&x, dmatrix![0.1, 0.0], dvector![0.0], dmatrix![1.0])?;
    /// let inference = VariationalInference {
    ///     name: "ppca", estimator: Analytic, ascent: Adam { rate: 0.05, decay: 1000.0 },
    ///     draws: 1, steps: 2000, window: 50, tolerance: 1e-9,
    /// };
    /// let fit = inference.fit_model(&mut model, start)?;
    /// assert!(fit.converged);
    /// assert!((model.ln_likelihood()? - Ppca::fit(&x, 1)?.ln_likelihood()?).abs() < 1e-6);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn fit_model<M: Model, Q: Family>(&self, model: &mut M, start: Q) -> Result<Fit<Q>>
    where
        E: GradientEstimator<M, Q>,
        A: Ascent<Q>,
    {
        self.fit_model_with(model, start, |_| ())
    }

    /// [`fit_model`](Self::fit_model), with every step shown to `watch`.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit).
    pub fn fit_model_with<M: Model, Q: Family>(
        &self,
        model: &mut M,
        start: Q,
        watch: impl FnMut(&Progress<'_, Q>),
    ) -> Result<Fit<Q>>
    where
        E: GradientEstimator<M, Q>,
        A: Ascent<Q>,
    {
        self.ascend(Subject::Fitted(model), start, watch)
    }

    fn check<Q>(&self) -> Result<()>
    where
        A: Ascent<Q>,
    {
        let domain = |what, value, domain| Err(Error::Domain { what, value, domain });
        let (rate, decay) = self.ascent.schedule();
        if !(rate > 0.0 && rate.is_finite()) {
            return domain("the rate", rate, "positive and finite");
        }
        if decay.is_nan() || decay <= 0.0 {
            return domain("the decay of the rate", decay, "positive; infinite for a rate that stays");
        }
        if self.steps == 0 {
            return domain("the number of steps", 0.0, "at least 1");
        }
        if self.window < 2 {
            return domain("the window", self.window as f64, "at least 2 steps");
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return domain("the ascent's tolerance", self.tolerance, "positive and finite");
        }
        Ok(())
    }

    fn ascend<M: Model, Q: Family>(
        &self,
        mut subject: Subject<'_, M>,
        start: Q,
        mut watch: impl FnMut(&Progress<'_, Q>),
    ) -> Result<Fit<Q>>
    where
        E: GradientEstimator<M, Q>,
        A: Ascent<Q>,
    {
        self.check()?;
        let (mut rng, mut state, mut history) = (rng(self.name), A::State::default(), History::new(self.window));
        let (rate, decay) = self.ascent.schedule();
        let (mut q, mut theta) = (start, subject.parameters());
        let (mut next, mut step) = (Ok(q.clone()), 0);
        loop {
            // What is good is known once ELBO and gradient are.
            let evaluated = next.and_then(|next: Q| {
                let draws = self.estimator.draw(subject.model(), &next, self.draws, &mut rng)?;
                let rises = history.observe(&draws, self.tolerance)?;
                Ok((next, draws, rises))
            });
            let (draws, rises);
            (q, draws, rises) = match evaluated {
                Ok(evaluated) => evaluated,
                Err(problem) => return Err(history.failed(problem, &mut subject, &q, &theta)),
            };
            theta = subject.parameters();
            let (gradient, rate) = (subject.gradient(&draws), rate / (1.0 + step as f64 / decay));
            let progress = Progress { step, q: &q, elbo: draws.elbo(), gradient_norm: gradient.norm() };
            history.record(&progress, rate);
            watch(&progress);
            step += 1;
            if !rises || step == self.steps {
                return Ok(Fit { q, elbo: history.smoothed(), converged: !rises, history: history.frame()? });
            }
            next = self.ascent.direction(&mut state, step, &q, &gradient).and_then(|direction| {
                let (phi, change) = (q.parameters(), direction * rate);
                same_length("the ascent's direction", phi.len() + theta.len(), change.len())?;
                let moved = q.with_parameters(&(&phi + change.rows(0, phi.len())))?;
                subject.set_parameters(&(&theta + change.rows(phi.len(), theta.len())))?;
                Ok(moved)
            });
        }
    }
}

/// What has been seen of an ascent.
struct History {
    window: usize,
    elbos: Vec<f64>,
    standard_errors: Vec<Option<f64>>,
    smoothed: Vec<f64>,
    gradient_norms: Vec<f64>,
    rates: Vec<f64>,
    /// The ELBO over the first full window of steps.
    first: Option<Estimate>,
}

impl History {
    fn new(window: usize) -> Self {
        let (elbos, smoothed, gradient_norms, rates) = Default::default();
        Self { window, elbos, standard_errors: vec![], smoothed, gradient_norms, rates, first: None }
    }

    /// Takes in the ELBO of a step; whether the ascent still rises, or cannot yet be said to have stopped.
    fn observe(&mut self, draws: &Draws, tolerance: f64) -> Result<bool> {
        self.elbos.push(draws.elbo().mean());
        let rises = self.rises(tolerance);
        // A step that is refused leaves no trace.
        if rises.is_err() {
            self.elbos.pop();
        }
        rises
    }

    fn rises(&mut self, tolerance: f64) -> Result<bool> {
        let (n, window) = (self.elbos.len(), self.window);
        if !n.is_multiple_of(window) {
            return Ok(true);
        }
        let last = estimate(&self.elbos[n - window..]);
        let Some(first) = self.first else {
            self.first = Some(last);
            return Ok(true);
        };
        let noise = |other: Estimate| 3.0 * last.standard_error().hypot(other.standard_error());
        let fall = first.mean() - last.mean();
        if fall > tolerance + noise(first) {
            let what = "the smoothed ELBO, from the first window to the last,";
            let domain = "rising, and not falling by more than its noise: the ascent has diverged";
            return Err(Error::Domain { what, value: -fall, domain });
        }
        let before = estimate(&self.elbos[n - 2 * window..n - window]);
        let change = (last.mean() - before.mean()).abs();
        let settled = change + noise(before) <= tolerance;
        Ok(!settled)
    }

    fn smoothed(&self) -> Estimate {
        estimate(&self.elbos[self.elbos.len().saturating_sub(self.window)..])
    }

    fn record<Q>(&mut self, progress: &Progress<'_, Q>, rate: f64) {
        self.standard_errors.push(Some(progress.elbo.standard_error()).filter(|error| error.is_finite()));
        self.smoothed.push(self.smoothed().mean());
        self.gradient_norms.push(progress.gradient_norm);
        self.rates.push(rate);
    }

    fn frame(&self) -> Result<DataFrame> {
        let steps: Vec<u64> = (0..self.elbos.len() as u64).collect();
        Ok(df!(
            "step" => steps, "elbo" => &self.elbos, "standard error" => &self.standard_errors,
            "smoothed elbo" => &self.smoothed, "gradient norm" => &self.gradient_norms, "rate" => &self.rates,
        )?)
    }

    /// The error, with the last good state if there is one; the model goes back to it.
    fn failed<M: Model, Q: Family>(
        &self,
        problem: Error,
        subject: &mut Subject<'_, M>,
        q: &Q,
        theta: &DVector<f64>,
    ) -> Error {
        // θ was the model's before, and so is one that it takes.
        let restored = subject.set_parameters(theta);
        match self.frame().and_then(|frame| restored.map(|()| frame)) {
            Ok(history) if history.height() > 0 => Error::Ascent {
                steps: history.height(),
                parameters: q.parameters().as_slice().to_vec(),
                history: Box::new(history),
                problem: Box::new(problem),
            },
            _ => problem,
        }
    }
}

fn estimate(values: &[f64]) -> Estimate {
    let mut estimate = Estimate::default();
    values.iter().for_each(|&value| estimate.observe(value));
    estimate
}
