//! Mixtures of normals, and their maximum likelihood fit.

mod em;

use crate::categorical::Categorical;
use crate::error::{Error, Result, finite};
use crate::gaussian::{Density, Gaussian, same_length};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::Distribution;

pub use em::{ExpectationMaximisation, MixtureFit};

/// ln Σᵢ exp(vᵢ), without overflow or underflow: −∞ for no values or if all are −∞, ∞ if one is, NaN if one is.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// assert_eq!(ln_sum_exp(&[-1000.0, -1000.0]), -1000.0 + 2.0_f64.ln());
/// assert_eq!(ln_sum_exp(&[f64::NEG_INFINITY, 3.0]), 3.0);
/// assert_eq!(ln_sum_exp(&[]), f64::NEG_INFINITY);
/// ```
pub fn ln_sum_exp(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let Some((k, &largest)) = values.iter().enumerate().max_by(|(_, v), (_, w)| v.total_cmp(w)) else {
        return f64::NEG_INFINITY;
    };
    if largest.is_infinite() {
        return largest;
    }
    let others = values.iter().enumerate().filter(|&(i, _)| i != k);
    largest + others.map(|(_, v)| (v - largest).exp()).sum::<f64>().ln_1p()
}

/// The mixture p(x) = Σₖ wₖ N(x; μₖ, Σₖ) of K normals on ℝᵈ: the distribution of x where k is drawn with probability wₖ and x from
/// component k.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Mixture::new([0.25, 0.75], vec![Gaussian::univariate(-3.0, 1.0)?, Gaussian::univariate(1.0, 4.0)?])?;
/// // Within the components 0.25 · 1 + 0.75 · 4, and 0.25 · 9 + 0.75 · 1 between them.
/// assert_eq!((p.mean()[0], p.covariance()[0]), (0.0, 6.25));
/// assert!(p.responsibilities(&dvector![-3.0])?.pmf(0) > 0.7);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bishop (2006), *Pattern Recognition and Machine Learning*, §9.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    weights: Categorical,
    components: Vec<Gaussian>,
}

impl Mixture {
    /// The mixture with weights that sum to one and as many components, all of one dimension.
    ///
    /// # Errors
    /// Those of [`Categorical::new`] for the weights, [`Error::Shape`] if the numbers or the dimensions differ.
    pub fn new(weights: impl Into<Vec<f64>>, components: Vec<Gaussian>) -> Result<Self> {
        let weights = Categorical::new(weights)?;
        same_length("the mixture's components", weights.probabilities().len(), components.len())?;
        for component in &components[1..] {
            same_length("the mean of a mixture's component", components[0].dim(), component.dim())?;
        }
        Ok(Self { weights, components })
    }

    /// The distribution of the component.
    pub fn weights(&self) -> &Categorical {
        &self.weights
    }

    /// The normals.
    pub fn components(&self) -> &[Gaussian] {
        &self.components
    }

    fn weighted(&self) -> impl Iterator<Item = (f64, &Gaussian)> {
        self.weights.probabilities().iter().copied().zip(&self.components)
    }

    /// The mean m = Σₖ wₖ μₖ.
    pub fn mean(&self) -> DVector<f64> {
        self.weighted().map(|(w, p)| w * p.mean()).sum()
    }

    /// The covariance Σₖ wₖ (Σₖ + (μₖ−m)(μₖ−m)ᵀ): what is within the components, and what is between their means.
    pub fn covariance(&self) -> DMatrix<f64> {
        let mean = self.mean();
        let second_moment = |p: &Gaussian| {
            let shift = p.mean() - &mean;
            p.covariance() + &shift * shift.transpose()
        };
        self.weighted().map(|(w, p)| w * second_moment(p)).sum()
    }

    /// The mixture of the components' marginals, with the same weights.
    ///
    /// # Errors
    /// Those of [`Gaussian::marginal`].
    pub fn marginal(&self, indices: &[usize]) -> Result<Self> {
        let components: Result<_> = self.components.iter().map(|p| p.marginal(indices)).collect();
        Ok(Self { weights: self.weights.clone(), components: components? })
    }

    /// ln wₖ + ln N(x; μₖ, Σₖ) for each k.
    fn ln_joint(&self, x: &DVector<f64>) -> Result<Vec<f64>> {
        self.weighted().map(|(w, p)| Ok(w.ln() + p.ln_pdf(x)?)).collect()
    }

    /// The distribution of the component given x, P(k | x) = wₖ N(x; μₖ, Σₖ) / p(x).
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length d, [`Error::NotFinite`], and [`Error::Domain`] where x is so far out that every component's
    /// log density is −∞.
    pub fn responsibilities(&self, x: &DVector<f64>) -> Result<Categorical> {
        finite("the point", x, |i| format!("entry {i}"))?;
        let ln_joint = self.ln_joint(x)?;
        let ln_pdf = ln_sum_exp(&ln_joint);
        if !ln_pdf.is_finite() {
            let domain = "finite; bring the point closer to the components";
            return Err(Error::Domain { what: "the log density at the point", value: ln_pdf, domain });
        }
        Categorical::from_weights(ln_joint.iter().map(|l| (l - ln_pdf).exp()).collect::<Vec<_>>())
    }

    /// n samples as the rows of an n×d matrix.
    pub fn sample_n<R: Rng + ?Sized>(&self, n: usize, rng: &mut R) -> DMatrix<f64> {
        let mut samples = DMatrix::zeros(n, self.dim());
        for mut row in samples.row_iter_mut() {
            row.copy_from(&self.sample(rng).transpose());
        }
        samples
    }
}

impl Density for Mixture {
    fn dim(&self) -> usize {
        self.components[0].dim()
    }

    /// ln Σₖ exp(ln wₖ + ln N(x; μₖ, Σₖ))
    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64> {
        Ok(ln_sum_exp(&self.ln_joint(x)?))
    }
}

impl Distribution<DVector<f64>> for Mixture {
    /// k from the weights, then x from component k.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        self.components[self.weights.sample(rng)].sample(rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monte_carlo::rng;
    use nalgebra::{dmatrix, dvector};
    use proptest::prelude::*;

    fn example() -> Mixture {
        let a = Gaussian::new(dvector![-1.0, 2.0], dmatrix![1.0, 0.5; 0.5, 2.0]).unwrap();
        let b = Gaussian::new(dvector![3.0, 0.0], dmatrix![0.5, -0.1; -0.1, 0.3]).unwrap();
        Mixture::new([0.3, 0.7], vec![a, b]).unwrap()
    }

    #[test]
    fn ln_sum_exp_is_right_at_the_ends() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!(ln_sum_exp(&[-inf, -inf]), -inf);
        assert_eq!(ln_sum_exp(&[-inf, inf, 0.0]), inf);
        assert!(ln_sum_exp(&[-inf, nan]).is_nan() && ln_sum_exp(&[nan, inf]).is_nan());
        assert_eq!(ln_sum_exp(&[700.0; 1024]), 700.0 + 1024.0_f64.ln());
        // What a plain ln(1 + 1e-20) would drop.
        assert_eq!(ln_sum_exp(&[0.0, -20.0 * 10.0_f64.ln()]), (-20.0 * 10.0_f64.ln()).exp());
        assert_eq!(ln_sum_exp(&[-1e308, 1e308]), 1e308);
    }

    #[test]
    fn ln_pdf_is_the_weighted_sum() {
        let (p, x) = (example(), dvector![0.5, 1.0]);
        let [a, b] = [0, 1].map(|k| p.components()[k].ln_pdf(&x).unwrap().exp());
        assert!((p.ln_pdf(&x).unwrap().exp() / (0.3 * a + 0.7 * b) - 1.0).abs() < 1e-14);
        assert!((p.responsibilities(&x).unwrap().pmf(0) / (0.3 * a / (0.3 * a + 0.7 * b)) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn a_component_without_weight_does_not_matter() {
        let [a, b] = [0.0, 5.0].map(|mean| Gaussian::univariate(mean, 1.0).unwrap());
        let p = Mixture::new([1.0, 0.0], vec![a.clone(), b]).unwrap();
        for x in [dvector![0.3], dvector![1e200]] {
            assert_eq!(p.ln_pdf(&x).unwrap(), a.ln_pdf(&x).unwrap());
        }
        assert_eq!((p.mean(), p.covariance()), (dvector![0.0], dmatrix![1.0]));
        assert_eq!(p.responsibilities(&dvector![9.0]).unwrap().probabilities(), [1.0, 0.0]);
    }

    #[test]
    fn bad_input_is_refused_by_value() {
        let normal = |d| Gaussian::standard(d).unwrap();
        let message = |weights: &[f64], components| Mixture::new(weights, components).unwrap_err().to_string();
        assert!(message(&[0.5, 0.5], vec![normal(1)]).contains("the mixture's components: expected length 2, found 1"));
        assert!(message(&[0.5, 0.5], vec![normal(1), normal(2)]).contains("expected length 1, found 2"));
        assert!(message(&[0.5, 0.6], vec![normal(1), normal(1)]).contains("the sum of the probabilities is 1.1"));
        assert!(message(&[], vec![]).contains("at least one"));
        let p = example();
        assert!(p.ln_pdf(&dvector![0.0]).is_err() && p.responsibilities(&dvector![0.0]).is_err());
        assert!(p.marginal(&[2]).is_err() && p.marginal(&[]).is_err());
        let message = |x| p.responsibilities(&x).unwrap_err().to_string();
        assert!(message(dvector![f64::NAN, 0.0]).contains("NaN at entry 0"));
        assert!(p.ln_pdf(&dvector![f64::INFINITY, 0.0]).unwrap_err().to_string().contains("inf at entry 0"));
        assert!(message(dvector![1e200, 0.0]).contains("is -inf; it must be finite; bring the point closer"));
    }

    #[test]
    fn samples_keep_their_values() {
        let p = example();
        let one = p.sample(&mut rng("value stability"));
        assert_eq!(one, p.sample_n(3, &mut rng("value stability")).row(0).transpose());
    }

    proptest! {
        #[test]
        fn all_scales_are_answered(
            ln_scale in -345.0..345.0, ln_variances in prop::array::uniform2(-5.0..5.0), offset in -1e8..1e8,
            weight in 0.0..=1.0, at in -1e3..1e3, seed: u64,
        ) {
            // Deviations from 1e-150 to 1e150, the variances their squares.
            let scale = f64::exp(ln_scale);
            let component = |mean: f64, ln: f64| Gaussian::univariate(mean * scale, f64::exp(ln) * scale * scale).unwrap();
            let components = vec![component(offset, ln_variances[0]), component(offset + 3.0, ln_variances[1])];
            let p = Mixture::new([weight, 1.0 - weight], components).unwrap();
            let x = p.sample(&mut rng(&seed.to_string()));
            prop_assert!(x[0].is_finite() && p.ln_pdf(&x).unwrap().is_finite());
            prop_assert!(p.mean()[0].is_finite() && p.covariance()[0] > 0.0);
            let total: f64 = p.responsibilities(&x).unwrap().probabilities().iter().sum();
            prop_assert!((total - 1.0).abs() < 1e-15);
            for x in [at, at * scale, offset * scale + at, f64::MAX, -f64::MAX] {
                prop_assert!(!p.ln_pdf(&dvector![x]).unwrap().is_nan(), "{x}");
            }
        }

        #[test]
        fn ln_sum_exp_of_numbers_is_a_number(values in prop::collection::vec(any::<f64>(), 0..6)) {
            prop_assert_eq!(ln_sum_exp(&values).is_nan(), values.iter().any(|v| v.is_nan()));
        }
    }
}
