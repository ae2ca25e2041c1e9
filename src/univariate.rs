//! One-dimensional families: those of statrs, as distributions of this crate.
//!
//! A family such as [`Gamma`] has its `pdf`, `cdf`, `mean` and `entropy` from statrs, whose traits are in
//! the prelude. [`Univariate`] makes of it a [`Density`] on ℝ that can be sampled.

use crate::error::{Error, Result};
use crate::gaussian::{Density, same_length};
use nalgebra::DVector;
use rand::Rng;
use rand::distr::Open01;
use rand_distr::Distribution;
use statrs::distribution::{
    Bernoulli, Beta, Binomial, Cauchy, Chi, ChiSquared, Continuous, ContinuousCDF, Discrete, DiscreteCDF, Erlang, Exp,
    Gamma, Geometric, Hypergeometric, Laplace, Levy, LogNormal, NegativeBinomial, Normal, Pareto, Poisson, StudentsT,
    Triangular, Uniform,
};

/// A member of a one-dimensional family, seen through [`Univariate`].
///
/// Implemented for the families of statrs whose log density and quantile are numbers at every scale. Those of `Gumbel`, `Weibull`,
/// `InverseGamma` and `FisherSnedecor` are not: statrs 0.19 takes powers that overflow, and gives NaN or ∞.
pub trait Family {
    /// ln p(x), with respect to length for a continuous family and to counting for a discrete one: −∞ off the support.
    fn ln_density(&self, x: f64) -> f64;

    /// The smallest x with P(X ≤ x) ≥ p, for 0 < p < 1.
    fn quantile(&self, p: f64) -> f64;
}

/// A member of a one-dimensional family as a [`Density`] with d = 1 that can be sampled.
///
/// For a discrete family such as `Poisson` the density is the probability of x, a count below 2⁶⁴.
///
/// Samples are F⁻¹(U) with U uniform on the multiples of 2⁻⁵² (plus a half) between 0 and 1, so that one family serves as well as
/// another; a distribution function that statrs inverts by bisection takes microseconds.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// use generative_models::statrs::distribution::{Gamma, Poisson};
/// let waiting = Univariate(Gamma::new(2.0, 3.0)?);
/// let ll = ln_likelihood(&waiting, &dmatrix![0.5; 1.0])?;
/// assert!((ll - (81.0_f64 * 0.5).ln() + 4.5).abs() < 1e-12);
/// let e = estimate("a waiting time", 10_000, |rng| waiting.sample(rng));
/// assert!((e.mean() - 2.0 / 3.0).abs() < 6.0 * e.standard_error());
/// let count: f64 = Univariate(Poisson::new(4.0)?).sample(&mut rng("a count"));
/// assert_eq!(count.fract(), 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Univariate<F>(
    /// The member of the family.
    pub F,
);

impl<F: Family> Density for Univariate<F> {
    fn dim(&self) -> usize {
        1
    }

    fn ln_pdf(&self, x: &DVector<f64>) -> Result<f64> {
        same_length("the point", 1, x.len())?;
        // A comparison with NaN would pass for a place on or off the support.
        Ok(if x[0].is_nan() { x[0] } else { self.0.ln_density(x[0]) })
    }
}

impl<F: Family> Distribution<f64> for Univariate<F> {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        self.0.quantile(Open01.sample(rng))
    }
}

macro_rules! continuous {
    ($($family:ty),*) => {$(
        impl Family for $family {
            fn ln_density(&self, x: f64) -> f64 {
                self.ln_pdf(x)
            }
            fn quantile(&self, p: f64) -> f64 {
                self.inverse_cdf(p)
            }
        }
    )*};
}

continuous!(
    Beta, Cauchy, Chi, ChiSquared, Erlang, Exp, Gamma, Laplace, Levy, LogNormal, Normal, Pareto, StudentsT, Triangular,
    Uniform
);

macro_rules! discrete {
    ($($family:ty),*) => {$(
        impl Family for $family {
            fn ln_density(&self, x: f64) -> f64 {
                if x >= 0.0 && x < u64::MAX as f64 && x.fract() == 0.0 { self.ln_pmf(x as u64) } else { f64::NEG_INFINITY }
            }
            fn quantile(&self, p: f64) -> f64 {
                smallest(|k| self.cdf(k) >= p) as f64
            }
        }
    )*};
}

discrete!(Bernoulli, Binomial, Geometric, Hypergeometric, NegativeBinomial, Poisson);

/// The smallest k from which on `holds`, or the largest number that there is. statrs's own search does not end where a distribution
/// function stays below p by rounding.
fn smallest(holds: impl Fn(u64) -> bool) -> u64 {
    let mut high = 1_u64;
    while !holds(high) {
        if high == u64::MAX {
            return high;
        }
        high = high.saturating_mul(2);
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

macro_rules! refusals {
    ($($error:ident),*) => {$(
        impl From<statrs::distribution::$error> for Error {
            fn from(error: statrs::distribution::$error) -> Self {
                Self::Family(error.to_string())
            }
        }
    )*};
}

refusals!(
    BetaError,
    BinomialError,
    CauchyError,
    ChiError,
    ExpError,
    GammaError,
    GeometricError,
    HypergeometricError,
    LaplaceError,
    LevyError,
    LogNormalError,
    NegativeBinomialError,
    NormalError,
    ParetoError,
    PoissonError,
    StudentsTError,
    TriangularError,
    UniformError
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mle::ln_likelihood;
    use nalgebra::{dmatrix, dvector};
    use proptest::prelude::*;

    #[test]
    fn off_the_support_the_density_is_zero() {
        let ln = |p: &dyn Density, x: f64| p.ln_pdf(&dvector![x]).unwrap();
        let uniform = Univariate(Uniform::new(0.0, 2.0).unwrap());
        assert_eq!((ln(&uniform, 3.0), ln(&uniform, 1.0)), (f64::NEG_INFINITY, -(2.0_f64.ln())));
        let coin = Univariate(Bernoulli::new(0.25).unwrap());
        assert_eq!((ln(&coin, 0.0), ln(&coin, 1.0)), (0.75_f64.ln(), 0.25_f64.ln()));
        for x in [-1.0, 0.5, 2.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(ln(&coin, x), f64::NEG_INFINITY, "{x}");
        }
        assert!(ln(&uniform, f64::NAN).is_nan() && ln(&coin, f64::NAN).is_nan());
        assert!(coin.ln_pdf(&dvector![0.0, 1.0]).unwrap_err().to_string().contains("expected length 1"));
    }

    #[test]
    fn likelihood_of_counts_is_the_sum_over_them() {
        let poisson = Poisson::new(2.5).unwrap();
        let ll = ln_likelihood(&Univariate(poisson), &dmatrix![0.0; 3.0; 2.0]).unwrap();
        // Σ (k ln λ − λ − ln k!)
        assert!((ll - (5.0 * 2.5_f64.ln() - 7.5 - 6.0_f64.ln() - 2.0_f64.ln())).abs() < 1e-13);
    }

    #[test]
    fn the_smallest_is_found_everywhere() {
        for k in [0, 1, 2, 3, 1000, 1 << 40, u64::MAX - 1, u64::MAX] {
            assert_eq!(smallest(|i| i >= k), k);
        }
        assert_eq!(smallest(|_| false), u64::MAX);
    }

    #[test]
    fn a_refusal_of_statrs_passes_through_a_question_mark() {
        let gamma = || -> Result<Gamma> { Ok(Gamma::new(-1.0, 1.0)?) };
        let message = gamma().unwrap_err().to_string();
        assert!(message.starts_with("statrs refuses the parameters: "), "{message}");
    }

    proptest! {
        #[test]
        fn samples_are_numbers_with_a_density(seed: u64, ln_scale in -345.0..345.0, shape in 0.1..50.0) {
            let scale = f64::exp(ln_scale);
            let mut rng = crate::monte_carlo::rng(&seed.to_string());
            let check = |name: &str, x: f64, ln: &dyn Fn(f64) -> f64| {
                assert!(x.is_finite(), "{name}: {x}");
                for at in [x, -x, 0.0, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
                    assert!(!ln(at).is_nan(), "{name}: density at {at} is NaN");
                }
                assert!(ln(x) > f64::NEG_INFINITY, "{name}: {x} has density zero");
            };
            macro_rules! check {
                ($($family:expr),*) => {$(
                    let p = Univariate($family.unwrap());
                    check(stringify!($family), p.sample(&mut rng), &|x| p.ln_pdf(&dvector![x]).unwrap());
                )*};
            }
            check!(
                Normal::new(0.0, scale), Exp::new(scale), Gamma::new(shape, scale), Uniform::new(0.0, scale),
                Laplace::new(0.0, scale), Cauchy::new(0.0, scale), Levy::new(0.0, scale), Pareto::new(scale, shape),
                StudentsT::new(0.0, scale, shape), Triangular::new(0.0, scale, 0.5 * scale), Erlang::new(3, scale),
                Chi::new(3), ChiSquared::new(shape), LogNormal::new(0.0, shape), Beta::new(shape, 2.0),
                Poisson::new(shape), Bernoulli::new(shape / 50.0), Geometric::new(shape / 50.0),
                Binomial::new(shape / 50.0, 20), NegativeBinomial::new(shape, 0.3), Hypergeometric::new(20, 5, 7)
            );
        }
    }
}
