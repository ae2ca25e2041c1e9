//! The closed forms of the one-dimensional families.

use super::gap::{gap, ln_gamma_gap, ln_quotient, ln_ratio, recurrence_gap, steps, stirling_gap, weighted_gap};
use super::{CROSS_ENTROPY, CrossEntropy, DIVERGENCE, KullbackLeibler, representable, square_gap};
use crate::error::{Result, finite};
use crate::gaussian::{Density, Gaussian, same_length};
use crate::univariate::Univariate;
use statrs::distribution::{Bernoulli, Beta, Cauchy, Exp, Gamma, Normal, Poisson, Uniform};
use statrs::function::beta::ln_beta;
use statrs::function::gamma::{digamma, ln_gamma};
use statrs::statistics::Distribution;
use std::f64::consts::PI;

/// The parameters of a family, which statrs lets be infinite.
fn known<const N: usize>(what: &'static str, parameters: [f64; N]) -> Result<[f64; N]> {
    finite(what, &parameters, |i| format!("entry {i}"))?;
    Ok(parameters)
}

/// The rate.
pub(super) fn exponential(p: &Univariate<Exp>) -> Result<f64> {
    let [rate] = known("the rate of an exponential distribution", [p.0.rate()])?;
    Ok(rate)
}

/// Shape and rate.
fn gamma(p: &Univariate<Gamma>) -> Result<[f64; 2]> {
    known("shape and rate of a gamma distribution", [p.0.shape(), p.0.rate()])
}

/// Location and scale.
fn cauchy(p: &Univariate<Cauchy>) -> Result<[f64; 2]> {
    known("location and scale of a Cauchy distribution", [p.0.location(), p.0.scale()])
}

/// A normal on the line.
pub(super) trait Bell {
    /// Mean and standard deviation.
    fn mean_and_deviation(&self) -> Result<[f64; 2]>;
}

impl Bell for Univariate<Normal> {
    fn mean_and_deviation(&self) -> Result<[f64; 2]> {
        let or_nan = |parameter: Option<f64>| parameter.unwrap_or(f64::NAN);
        let parameters = [or_nan(self.0.mean()), or_nan(self.0.std_dev())];
        known("mean and standard deviation of a normal distribution", parameters)
    }
}

impl Bell for Gaussian {
    fn mean_and_deviation(&self) -> Result<[f64; 2]> {
        same_length("the mean of a normal beside a one-dimensional family", 1, self.dim())?;
        Ok([self.mean()[0], self.cholesky_factor()[0]])
    }
}

/// Halved before it is doubled, so that no finite limits overflow on the way.
pub(super) fn half_width(p: &Univariate<Uniform>) -> f64 {
    0.5 * p.0.max() - 0.5 * p.0.min()
}

impl KullbackLeibler for Univariate<Bernoulli> {
    /// q ln(q/p) + (1−q) ln((1−q)/(1−p)), with 0 ln 0 = 0.
    ///
    /// Source: Cover and Thomas (2006), *Elements of Information Theory*, 2nd ed., example 2.3.1.
    fn kl(&self, p: &Self) -> Result<f64> {
        let (q, p) = (self.0.p(), p.0.p());
        Ok(weighted_gap(q, p, p - q) + weighted_gap(1.0 - q, 1.0 - p, q - p))
    }
}

impl CrossEntropy for Univariate<Bernoulli> {
    /// −q ln p − (1−q) ln(1−p), with 0 ln 0 = 0.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let (q, p) = (self.0.p(), p.0.p());
        let term = |q: f64, ln_p: f64| if q == 0.0 { 0.0 } else { -q * ln_p };
        Ok(term(q, p.ln()) + term(1.0 - q, (-p).ln_1p()))
    }
}

impl KullbackLeibler for Univariate<Exp> {
    /// b/a − 1 − ln(b/a) for the rates a of q and b of p.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn kl(&self, p: &Self) -> Result<f64> {
        let (a, b) = (exponential(self)?, exponential(p)?);
        representable(DIVERGENCE, gap(b, a, b - a))
    }
}

impl CrossEntropy for Univariate<Exp> {
    /// b/a − ln b for the rates a of q and b of p.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let (a, b) = (exponential(self)?, exponential(p)?);
        representable(CROSS_ENTROPY, b / a - b.ln())
    }
}

impl KullbackLeibler for Univariate<Poisson> {
    /// λ ln(λ/μ) − λ + μ for the means λ of q and μ of p. The entropy and the cross-entropy hold E ln X!, which has no closed form.
    ///
    /// Source: Nielsen and Garcia (2009), *Statistical exponential families: a digest with flash cards*, arXiv:0911.4863.
    fn kl(&self, p: &Self) -> Result<f64> {
        let [a, b] = known("the mean of a Poisson distribution", [self.0.lambda(), p.0.lambda()])?;
        representable(DIVERGENCE, weighted_gap(a, b, b - a))
    }
}

impl KullbackLeibler for Univariate<Gamma> {
    /// ln Γ(c) − ln Γ(a) − (c−a) ψ(a) + a (s/r − 1) − c ln(s/r) for the shapes a of q and c of p and their rates r and s.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn kl(&self, p: &Self) -> Result<f64> {
        let ([a, r], [c, s]) = (gamma(self)?, gamma(p)?);
        let (shape, rate) = (c - a, s - r);
        let value = if a < 1.0 {
            ln_gamma_gap(a, c, shape) + a * gap(s, r, rate) - shape * ln_quotient(s, r, rate)
        } else {
            // The terms z ln z − z of ln Γ(z) nearly cancel with the others, to the divergence w ln(w/m) − w + m at m = z s/r.
            let steps = steps(a, c);
            let (z, w) = (a + f64::from(steps), c + f64::from(steps));
            let mean = z * (s / r);
            let difference = if shape.abs() < w { z * (rate / r) - shape } else { mean - w };
            let recurrence = recurrence_gap(a, c, shape, steps) - f64::from(steps) * gap(s, r, rate);
            weighted_gap(w, mean, difference) + recurrence + stirling_gap(z, w, shape)
        };
        representable(DIVERGENCE, value)
    }
}

impl CrossEntropy for Univariate<Gamma> {
    /// ln Γ(c) − c ln s − (c−1) (ψ(a) − ln r) + a s/r for the shapes a of q and c of p and their rates r and s, known to the rounding of
    /// these terms.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let ([a, r], [c, s]) = (gamma(self)?, gamma(p)?);
        let value = ln_gamma(c) - c * ln_ratio(s, r) - r.ln() - (c - 1.0) * digamma(a) + a * (s / r);
        representable(CROSS_ENTROPY, value)
    }
}

impl KullbackLeibler for Univariate<Beta> {
    /// ln B(c, d) − ln B(a, b) + (a−c) ψ(a) + (b−d) ψ(b) + (c+d−a−b) ψ(a+b) for q = Beta(a, b) and p = Beta(c, d). Twelve
    /// digits hold for parameters from 0.01 to a million; where one is far smaller than the others some are lost.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn kl(&self, p: &Self) -> Result<f64> {
        let (a, b, c, d) = (self.0.shape_a(), self.0.shape_b(), p.0.shape_a(), p.0.shape_b());
        let (x, y) = (c - a, d - b);
        let (n_a, n_b) = (steps(a, c), steps(b, d));
        let recurrence = recurrence_gap(a, c, x, n_a) + recurrence_gap(b, d, y, n_b)
            - recurrence_gap(a + b, c + d, x + y, n_a + n_b);
        let (a, c) = (a + f64::from(n_a), c + f64::from(n_a));
        let (b, d) = (b + f64::from(n_b), d + f64::from(n_b));
        let (q, p) = (a + b, c + d);
        // The terms z ln z − z of the three ln Γ(z), which nearly cancel: together the divergence of two coins, p times.
        let coin = if x.abs() + y.abs() < p { x / p * (b / q) - a / q * (y / p) } else { c / p - a / q };
        let leading = p * (weighted_gap(c / p, a / q, -coin) + weighted_gap(d / p, b / q, coin));
        let stirling = stirling_gap(a, c, x) + stirling_gap(b, d, y) - stirling_gap(q, p, x + y);
        // Below zero by rounding alone.
        Ok(representable(DIVERGENCE, leading + recurrence + stirling)?.max(0.0))
    }
}

impl CrossEntropy for Univariate<Beta> {
    /// ln B(c, d) − (c−1) ψ(a) − (d−1) ψ(b) + (c+d−2) ψ(a+b) for q = Beta(a, b) and p = Beta(c, d), known to the rounding of these terms.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let (a, b, c, d) = (self.0.shape_a(), self.0.shape_b(), p.0.shape_a(), p.0.shape_b());
        let sum = digamma(a + b);
        let value = ln_beta(c, d) + (c - 1.0) * (sum - digamma(a)) + (d - 1.0) * (sum - digamma(b));
        representable(CROSS_ENTROPY, value)
    }
}

impl KullbackLeibler for Univariate<Cauchy> {
    /// ln(((γ_q + γ_p)² + (x_q − x_p)²) / 4γ_qγ_p) for locations x and scales γ, which is symmetric.
    ///
    /// Source: Chyzak and Nielsen (2019), arXiv:1905.10965, theorem 1.
    fn kl(&self, p: &Self) -> Result<f64> {
        let ([x_q, q], [x_p, p]) = (cauchy(self)?, cauchy(p)?);
        // 1 + ((γ_q − γ_p)² + (x_q − x_p)²) / 4γ_qγ_p, by factors that do not overflow.
        let by = 2.0 * q.sqrt() * p.sqrt();
        representable(DIVERGENCE, (((q - p) / by).powi(2) + ((x_q - x_p) / by).powi(2)).ln_1p())
    }
}

impl CrossEntropy for Univariate<Cauchy> {
    /// ln(π ((γ_q + γ_p)² + (x_q − x_p)²) / γ_p) for locations x and scales γ.
    ///
    /// Source: Chyzak and Nielsen (2019), arXiv:1905.10965, §2.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let ([x_q, q], [x_p, p]) = (cauchy(self)?, cauchy(p)?);
        representable(CROSS_ENTROPY, 2.0 * (q + p).hypot(x_q - x_p).ln() + PI.ln() - p.ln())
    }
}

impl KullbackLeibler for Univariate<Normal> {
    /// ½ (σ_q²/σ_p² − 1 − ln(σ_q²/σ_p²) + (μ_q − μ_p)²/σ_p²).
    ///
    /// Source: Rasmussen and Williams (2006), *Gaussian Processes for Machine Learning*, eq. A.23.
    fn kl(&self, p: &Self) -> Result<f64> {
        let ([m, s], [mean, sd]) = (self.mean_and_deviation()?, p.mean_and_deviation()?);
        representable(DIVERGENCE, 0.5 * (square_gap(s, sd) + ((m - mean) / sd).powi(2)))
    }
}

impl CrossEntropy for Univariate<Normal> {
    /// ½ (ln 2πσ_p² + (σ_q² + (μ_q − μ_p)²)/σ_p²).
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        let ([m, s], [mean, sd]) = (self.mean_and_deviation()?, p.mean_and_deviation()?);
        let square = (s / sd).powi(2) + ((m - mean) / sd).powi(2);
        representable(CROSS_ENTROPY, 0.5 * ((2.0 * PI).ln() + square) + sd.ln())
    }
}

impl KullbackLeibler for Univariate<Uniform> {
    /// ln((d−c)/(b−a)) for q = U(a, b) and p = U(c, d) if c ≤ a and b ≤ d, and otherwise ∞.
    ///
    /// Source: Gil, Alajaji and Linder (2013), *Information Sciences* 249, 124–131.
    fn kl(&self, p: &Self) -> Result<f64> {
        let beyond = (0.5 * self.0.min() - 0.5 * p.0.min()) + (0.5 * p.0.max() - 0.5 * self.0.max());
        Ok(if inside(self, p) { ln_quotient(half_width(p), half_width(self), beyond) } else { f64::INFINITY })
    }
}

impl CrossEntropy for Univariate<Uniform> {
    /// ln(d−c) for q = U(a, b) and p = U(c, d) if c ≤ a and b ≤ d, and otherwise ∞.
    fn cross_entropy(&self, p: &Self) -> Result<f64> {
        Ok(if inside(self, p) { 2.0_f64.ln() + half_width(p).ln() } else { f64::INFINITY })
    }
}

/// Whether the support of q is part of that of p.
fn inside(q: &Univariate<Uniform>, p: &Univariate<Uniform>) -> bool {
    p.0.min() <= q.0.min() && q.0.max() <= p.0.max()
}

macro_rules! beside_a_normal {
    ($($normal:ty),*) => {$(
        impl KullbackLeibler<$normal> for Univariate<Uniform> {
            /// ½ (ln 2πσ² + ((b−a)²/12 + ((a+b)/2 − μ)²)/σ²) − ln(b−a) for q = U(a, b) and p = N(μ, σ²).
            fn kl(&self, p: &$normal) -> Result<f64> {
                let [_, sd] = p.mean_and_deviation()?;
                let ln = ln_ratio(sd, half_width(self)) - 2.0_f64.ln();
                representable(DIVERGENCE, 0.5 * ((2.0 * PI).ln() + mean_square(self, p)?) + ln)
            }
        }

        impl CrossEntropy<$normal> for Univariate<Uniform> {
            /// ½ (ln 2πσ² + ((b−a)²/12 + ((a+b)/2 − μ)²)/σ²) for q = U(a, b) and p = N(μ, σ²).
            fn cross_entropy(&self, p: &$normal) -> Result<f64> {
                let [_, sd] = p.mean_and_deviation()?;
                representable(CROSS_ENTROPY, 0.5 * ((2.0 * PI).ln() + mean_square(self, p)?) + sd.ln())
            }
        }

        impl KullbackLeibler<Univariate<Uniform>> for $normal {
            /// ∞, as the normal has mass everywhere.
            fn kl(&self, _: &Univariate<Uniform>) -> Result<f64> {
                self.mean_and_deviation().map(|_| f64::INFINITY)
            }
        }

        impl CrossEntropy<Univariate<Uniform>> for $normal {
            /// ∞, as the normal has mass everywhere.
            fn cross_entropy(&self, _: &Univariate<Uniform>) -> Result<f64> {
                self.mean_and_deviation().map(|_| f64::INFINITY)
            }
        }

        impl KullbackLeibler<$normal> for Univariate<Cauchy> {
            /// ∞: both have mass everywhere, but −ln p grows like x² and has no mean under q.
            fn kl(&self, p: &$normal) -> Result<f64> {
                self.cross_entropy(p)
            }
        }

        impl CrossEntropy<$normal> for Univariate<Cauchy> {
            /// ∞: −ln p grows like x² and has no mean under q.
            fn cross_entropy(&self, p: &$normal) -> Result<f64> {
                cauchy(self)?;
                p.mean_and_deviation().map(|_| f64::INFINITY)
            }
        }
    )*};
}

beside_a_normal!(Gaussian, Univariate<Normal>);

/// E (X − μ)²/σ² for X uniform.
fn mean_square(q: &Univariate<Uniform>, p: &impl Bell) -> Result<f64> {
    let [mean, sd] = p.mean_and_deviation()?;
    let center = 0.5 * q.0.min() + 0.5 * q.0.max();
    Ok((half_width(q) / sd).powi(2) / 3.0 + ((center - mean) / sd).powi(2))
}
