//! Distributions on finitely many outcomes.

use crate::error::{Error, Result, finite};
use rand::{Rng, RngExt};
use rand_distr::Distribution;

/// The categorical distribution on 0, …, K−1 with P(X = k) = pₖ.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Categorical::new([0.5, 0.25, 0.25])?;
/// let q = Categorical::fit(&[2, 2, 0])?;
/// assert_eq!(p.entropy(), 1.5 * 2.0_f64.ln());
/// // D(q‖p) = E_q ln(q/p), and D(p‖q) = ∞ as q has no outcome 2.
/// assert_eq!(q.expectation(|k| q.ln_pmf(k) - p.ln_pmf(k)), 0.5 * 2.0_f64.ln());
/// assert_eq!(p.expectation(|k| p.ln_pmf(k) - q.ln_pmf(k)), f64::INFINITY);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Categorical {
    probabilities: Vec<f64>,
    /// P(X ≤ k).
    cumulative: Vec<f64>,
}

impl Categorical {
    /// The distribution with the given probabilities, which sum to one but for rounding (K units of 4.4e-16).
    ///
    /// # Errors
    /// [`Error::Shape`] if there are none, [`Error::NotFinite`], [`Error::Domain`] for a negative one and for another sum.
    pub fn new(probabilities: impl Into<Vec<f64>>) -> Result<Self> {
        let probabilities = probabilities.into();
        check("the probabilities", &probabilities)?;
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > probabilities.len() as f64 * 2.0 * f64::EPSILON {
            let domain = "1 but for rounding; Categorical::from_weights divides by the sum";
            return Err(Error::Domain { what: "the sum of the probabilities", value: sum, domain });
        }
        Ok(Self::unchecked(probabilities))
    }

    /// The distribution with probabilities proportional to the weights, pₖ = wₖ / Σⱼ wⱼ.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are none, [`Error::NotFinite`], [`Error::Domain`] for a negative one or if all are zero.
    pub fn from_weights(weights: impl Into<Vec<f64>>) -> Result<Self> {
        let mut weights = weights.into();
        check("the weights", &weights)?;
        let largest = weights.iter().fold(0.0, |m: f64, &w| m.max(w));
        if largest == 0.0 {
            return Err(Error::Domain { what: "the largest weight", value: largest, domain: "positive" });
        }
        // Relative to the largest, so that the sum neither overflows nor loses digits.
        weights.iter_mut().for_each(|w| *w /= largest);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Ok(Self::unchecked(weights))
    }

    /// The maximum likelihood fit to `counts[k]` observations of each outcome k: p̂ₖ = nₖ / N.
    ///
    /// # Errors
    /// [`Error::Shape`] for no outcomes, [`Error::Domain`] if there is no observation.
    ///
    /// Source: Lehmann and Casella (1998), *Theory of Point Estimation*, 2nd ed., example 6.4.7.
    pub fn fit(counts: &[u64]) -> Result<Self> {
        Self::from_weights(counts.iter().map(|&n| n as f64).collect::<Vec<_>>())
    }

    fn unchecked(probabilities: Vec<f64>) -> Self {
        let mut sum = 0.0;
        let accumulate = |p: &f64| {
            sum += p;
            sum
        };
        Self { cumulative: probabilities.iter().map(accumulate).collect(), probabilities }
    }

    /// The probabilities p₀, …, p_{K−1}.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// P(X = k), which is 0 for k ≥ K.
    pub fn pmf(&self, k: usize) -> f64 {
        self.probabilities.get(k).copied().unwrap_or(0.0)
    }

    /// ln P(X = k), −∞ where that probability is zero.
    pub fn ln_pmf(&self, k: usize) -> f64 {
        self.pmf(k).ln()
    }

    /// E f(X) = Σₖ pₖ f(k) over the outcomes with pₖ > 0, so that f may be infinite elsewhere.
    pub fn expectation(&self, f: impl Fn(usize) -> f64) -> f64 {
        self.probabilities.iter().enumerate().filter(|&(_, &p)| p > 0.0).map(|(k, p)| p * f(k)).sum()
    }

    /// The entropy −E ln P(X) = −Σₖ pₖ ln pₖ in nats, with 0 ln 0 = 0.
    pub fn entropy(&self) -> f64 {
        self.expectation(|k| -self.ln_pmf(k))
    }
}

impl Distribution<usize> for Categorical {
    /// The smallest k with P(X ≤ k) > U, for U uniform on \[0, 1).
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        // The product may round up to the total; the last outcome that has a probability is meant then.
        let u = (rng.random::<f64>() * total).min(total.next_down());
        self.cumulative.partition_point(|&c| c <= u)
    }
}

fn check(what: &'static str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Shape { what, expected: "at least one".into(), found: "none".into() });
    }
    finite(what, values, |k| format!("entry {k}"))?;
    match values.iter().find(|&&value| value < 0.0) {
        Some(&value) => Err(Error::Domain { what: "a probability or weight", value, domain: "at least 0" }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monte_carlo::rng;
    use proptest::prelude::*;

    #[test]
    fn bad_probabilities_are_refused_by_value() {
        let message = |p: &[f64]| Categorical::new(p).unwrap_err().to_string();
        assert!(message(&[]).contains("the probabilities: expected at least one, found none"));
        assert!(message(&[0.5, f64::NAN]).contains("NaN at entry 1"));
        assert!(message(&[1.5, -0.5]).contains("is -0.5; it must be at least 0"));
        assert!(message(&[0.5, 0.4]).contains("is 0.9; it must be 1 but for rounding; Categorical::from_weights"));
        assert!(message(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0 + 1e-14]).contains("the sum"));
        assert!(Categorical::new([1.0 / 3.0; 3]).is_ok() && Categorical::new(vec![0.1; 10]).is_ok());
        assert!(Categorical::fit(&[0, 0]).unwrap_err().to_string().contains("the largest weight is 0"));
        assert!(Categorical::fit(&[]).is_err() && Categorical::from_weights([1.0, f64::INFINITY]).is_err());
    }

    #[test]
    fn zero_probabilities_carry_no_nan() {
        let p = Categorical::new([0.0, 1.0, 0.0]).unwrap();
        assert_eq!((p.ln_pmf(0), p.ln_pmf(1), p.ln_pmf(9)), (f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY));
        assert_eq!((p.entropy(), p.pmf(2), p.pmf(3)), (0.0, 0.0, 0.0));
        assert!((0..100).all(|i| p.sample(&mut rng(&i.to_string())) == 1));
    }

    #[test]
    fn the_fit_maximises_the_likelihood() {
        let counts = [3_u64, 0, 7, 10];
        let fit = Categorical::fit(&counts).unwrap();
        assert_eq!(fit.probabilities(), [0.15, 0.0, 0.35, 0.5]);
        let ll = |p: &Categorical| {
            counts.iter().enumerate().filter(|c| *c.1 > 0).map(|(k, &n)| n as f64 * p.ln_pmf(k)).sum::<f64>()
        };
        for other in [[3.1, 0.0, 7.0, 10.0], [3.0, 0.1, 7.0, 10.0], [3.0, 0.0, 6.9, 10.0], [3.0, 0.0, 7.0, 9.8]] {
            assert!(ll(&Categorical::from_weights(other).unwrap()) < ll(&fit));
        }
    }

    proptest! {
        #[test]
        fn any_weights_make_a_distribution(
            weights in prop::collection::vec(prop_oneof![Just(0.0), (-345.0..345.0).prop_map(f64::exp)], 1..50),
            seed: u64,
        ) {
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let p = Categorical::from_weights(weights.clone()).unwrap();
            prop_assert!(Categorical::new(p.probabilities()).is_ok());
            prop_assert!((0.0..=(weights.len() as f64).ln() + 1e-14).contains(&p.entropy()));
            prop_assert!(p.pmf(p.sample(&mut rng(&seed.to_string()))) > 0.0);
        }

        #[test]
        fn any_numbers_are_answered(values in prop::collection::vec(any::<f64>(), 0..5)) {
            for p in [Categorical::new(values.clone()), Categorical::from_weights(values)].into_iter().flatten() {
                prop_assert!(p.probabilities().iter().all(|p| (0.0..=1.0 + 1e-12).contains(p)) && p.entropy().is_finite());
            }
        }
    }
}
