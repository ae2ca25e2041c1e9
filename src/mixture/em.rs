//! The maximum likelihood fit of a mixture of normals.

use super::{Mixture, ln_sum_exp};
use crate::error::{Error, Result};
use crate::gaussian::{Density, Gaussian};
use crate::mle::GaussianStats;
use crate::monte_carlo::{Generator, rng};
use nalgebra::{DMatrix, DVector};
use rand::RngExt;

/// The expectation–maximisation algorithm for a mixture of normals, from several random starts. All fields are to be given.
///
/// The likelihood has many local maxima, and no largest value: it grows without bound as a component shrinks onto a few samples. A
/// start that goes there has collapsed and does not count; of the others the one with the highest likelihood is kept.
///
/// A step raises the log likelihood, by ever less. If the gains fall like those of a geometric series, with the ratio r of the last
/// two, the gain that is left is r/(1−r) times the last one: an ascent has converged when that is at most `tolerance`, in nats.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let truth = Mixture::new([0.3, 0.7], vec![Gaussian::univariate(-3.0, 1.0)?, Gaussian::univariate(2.0, 0.5)?])?;
/// let data = truth.sample_n(500, &mut rng("two groups"));
/// let em = ExpectationMaximisation { name: "two groups", components: 2, starts: 5, steps: 1000, tolerance: 1e-6 };
/// let fit = em.fit(&data)?;
/// assert!(fit.converged && fit.ln_likelihoods.last() >= Some(&ln_likelihood(&truth, &data)?));
/// assert_eq!(fit.mixture.sample_n(10, &mut rng("new ones")).shape(), (10, 1));
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Dempster, Laird and Rubin (1977), *Journal of the Royal Statistical Society* B 39, 1–38; Bishop (2006), *Pattern
/// Recognition and Machine Learning*, §9.2.2; the stopping rule by Böhning, Dietz, Schaub, Schlattmann and Lindsay (1994), *Annals
/// of the Institute of Statistical Mathematics* 46, 373–388.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectationMaximisation<'a> {
    /// The seed of the starts.
    pub name: &'a str,
    /// The number K of components.
    pub components: usize,
    /// The number of random starts.
    pub starts: usize,
    /// The largest number of steps from each of them.
    pub steps: usize,
    /// The gain in log likelihood, in nats, that may be left.
    pub tolerance: f64,
}

/// What expectation–maximisation has found.
#[derive(Clone, Debug, PartialEq)]
pub struct MixtureFit {
    /// The mixture with the highest likelihood.
    pub mixture: Mixture,
    /// The log likelihood at its start and after each step.
    pub ln_likelihoods: Vec<f64>,
    /// Whether its ascent has converged: otherwise the steps were used up.
    pub converged: bool,
    /// How many of the starts have collapsed.
    pub collapsed: usize,
}

impl ExpectationMaximisation<'_> {
    /// Fits the mixture to the rows of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::Domain`] for a field that makes no sense; those of [`GaussianStats::fit`] for the data as a whole;
    /// [`Error::Collapse`] if all starts collapse.
    pub fn fit(&self, data: &DMatrix<f64>) -> Result<MixtureFit> {
        let whole = GaussianStats::from_rows(data)?.fit()?;
        let domain = |what, value, domain| Err(Error::Domain { what, value, domain });
        if !(1..=data.nrows()).contains(&self.components) {
            let value = self.components as f64;
            return domain("the number of components", value, "at least 1, and no more than there are samples");
        }
        for (what, value) in [("the number of starts", self.starts), ("the number of steps", self.steps)] {
            if value == 0 {
                return domain(what, 0.0, "at least 1");
            }
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return domain("the fit's tolerance", self.tolerance, "positive and finite");
        }
        let mut rng = rng(self.name);
        let (mut best, mut collapsed, mut problem) = (None::<MixtureFit>, 0, None);
        for _ in 0..self.starts {
            match self.ascend(data, &whole, self.start(data, &whole, &mut rng)?) {
                Ok(fit) => {
                    let height = |fit: &MixtureFit| fit.ln_likelihoods.last().copied();
                    if best.as_ref().is_none_or(|best| height(&fit) > height(best)) {
                        best = Some(fit);
                    }
                }
                Err(error @ Error::Collapse { .. }) => (collapsed, problem) = (collapsed + 1, Some(error)),
                Err(error) => return Err(error),
            }
        }
        match (best, problem) {
            (Some(best), _) => Ok(MixtureFit { collapsed, ..best }),
            (None, Some(problem)) => Err(problem),
            (None, None) => domain("the number of starts", 0.0, "at least 1"),
        }
    }

    /// Components of equal weight with the covariance of all samples, around samples that lie apart: each is drawn with a
    /// probability proportional to its squared distance to the nearest of those before.
    ///
    /// Source: Arthur and Vassilvitskii (2007), *k-means++: the advantages of careful seeding*, SODA.
    fn start(&self, data: &DMatrix<f64>, whole: &Gaussian, rng: &mut Generator) -> Result<Mixture> {
        let row = |n: usize| data.row(n).transpose();
        let around = |mean| Gaussian::new(mean, whole.covariance().clone());
        let mut components = vec![around(row(rng.random_range(0..data.nrows())))?];
        let mut nearest = vec![f64::INFINITY; data.nrows()];
        while components.len() < self.components {
            let last = &components[components.len() - 1];
            for (n, nearest) in nearest.iter_mut().enumerate() {
                *nearest = nearest.min(last.mahalanobis_squared(&row(n))?);
            }
            let mut left = rng.random::<f64>() * nearest.iter().sum::<f64>();
            let drawn = nearest.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            components.push(around(row(drawn.unwrap_or(data.nrows() - 1)))?);
        }
        Mixture::new(vec![1.0 / self.components as f64; self.components], components)
    }

    fn ascend(&self, data: &DMatrix<f64>, whole: &Gaussian, mut mixture: Mixture) -> Result<MixtureFit> {
        let (mut ln_likelihood, mut responsibilities) = expectation(&mixture, data)?;
        let mut ln_likelihoods = vec![ln_likelihood];
        let mut gain = f64::INFINITY;
        for _ in 0..self.steps {
            mixture = maximisation(data, whole, &responsibilities)?;
            let before = (ln_likelihood, gain);
            (ln_likelihood, responsibilities) = expectation(&mixture, data)?;
            ln_likelihoods.push(ln_likelihood);
            gain = ln_likelihood - before.0;
            // Of gains that are rounding the ratio says nothing, and nothing is left to gain.
            let rounding = data.nrows() as f64 * f64::EPSILON * ln_likelihood.abs();
            let ratio = gain / before.1;
            if gain <= rounding
                || (ratio < 1.0 && before.1.is_finite() && gain * ratio / (1.0 - ratio) <= self.tolerance)
            {
                return Ok(MixtureFit { mixture, ln_likelihoods, converged: true, collapsed: 0 });
            }
        }
        Ok(MixtureFit { mixture, ln_likelihoods, converged: false, collapsed: 0 })
    }
}

/// The log likelihood, and P(k | xₙ) as an N×K matrix.
fn expectation(mixture: &Mixture, data: &DMatrix<f64>) -> Result<(f64, DMatrix<f64>)> {
    let columns: Vec<DVector<f64>> =
        mixture.weighted().map(|(w, p)| Ok(p.ln_pdf_rows(data)?.add_scalar(w.ln()))).collect::<Result<_>>()?;
    let mut terms = DMatrix::from_columns(&columns);
    let mut ln_likelihood = 0.0;
    for mut row in terms.row_iter_mut() {
        let ln_pdf = ln_sum_exp(&row.iter().copied().collect::<Vec<f64>>());
        ln_likelihood += ln_pdf;
        row.apply(|ln| *ln = (*ln - ln_pdf).exp());
    }
    crate::error::in_range("the log likelihood of the mixture", [&ln_likelihood])?;
    Ok((ln_likelihood, terms))
}

/// wₖ = Nₖ/N, and the weighted mean and covariance of the samples, Nₖ = Σₙ P(k | xₙ).
fn maximisation(data: &DMatrix<f64>, whole: &Gaussian, responsibilities: &DMatrix<f64>) -> Result<Mixture> {
    let (mut counts, mut components) = (Vec::new(), Vec::new());
    for (k, weights) in responsibilities.column_iter().enumerate() {
        let count = weights.sum();
        let collapsed = Error::Collapse { component: k, samples: count };
        // Fewer samples than that span no covariance.
        if count.is_nan() || count <= data.ncols() as f64 {
            return Err(collapsed);
        }
        let mean = data.tr_mul(&weights) / count;
        let mut rows = data.clone();
        for (mut row, weight) in rows.row_iter_mut().zip(&weights) {
            row -= mean.transpose();
            row *= weight.sqrt();
        }
        let covariance = rows.tr_mul(&rows) / count;
        match Gaussian::new(mean, covariance) {
            Ok(component) if spans(&component, whole, data.nrows()) => components.push(component),
            Ok(_) | Err(Error::NotPositiveDefinite { .. }) => return Err(collapsed),
            Err(error) => return Err(error),
        }
        counts.push(count);
    }
    let total: f64 = counts.iter().sum();
    Mixture::new(counts.iter().map(|count| count / total).collect::<Vec<f64>>(), components)
}

/// Whether the component's covariance, beside that of all samples, is more than rounding in every direction.
fn spans(component: &Gaussian, whole: &Gaussian, n: usize) -> bool {
    let mut whitened = component.cholesky_factor().clone();
    whole.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut whitened);
    let noise = n.max(16 * whole.dim()) as f64 * f64::EPSILON;
    (&whitened * whitened.transpose()).symmetric_eigenvalues().iter().all(|&l| l > noise)
}
