//! How far an estimate may lie from what it estimates.

use super::{Power, catoni};
use crate::error::{Error, Result, finite};
use crate::gaussian::{Density, Gaussian, same_length};
use nalgebra::{DMatrix, DVector};
use statrs::function::erf::erfc_inv;
use std::f64::consts::SQRT_2;

/// How far a mean of N independent values may lie from its expectation. The mean is the arithmetic one but for
/// [`Bound::Catoni`]. Every bound is two-sided: half of the false alarm is spent above and half below.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::new(dvector![0.0, 1.0], dmatrix![2.0, 0.5; 0.5, 1.0])?;
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
/// let bound = Bound::entropy(&p);
/// let samples = bound.min_samples(power)?;
/// let check = MonteCarlo { claim: "K5", name: "entropy", closed_form: p.entropy(), bound, power, samples };
/// assert!(check.check(|rng| p.ln_pdf(&p.sample(rng)).map_or(f64::NAN, |ln_p| -ln_p)).stands());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// For values that are themselves normal, such as an entry of a normal vector: their mean is normal with variance σ²/N, and a
    /// right formula fails with the false alarm's probability exactly.
    Normal {
        /// The variance σ² of one value.
        variance: f64,
    },
    /// P(mean − E > √(2vt/N) + c₊t/N) ≤ e⁻ᵗ, and likewise below with c₋.
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), *Concentration Inequalities*, §2.4.
    SubGamma {
        /// The variance factor v.
        variance: f64,
        /// The scale c₊ of the upper tail.
        above: f64,
        /// The scale c₋ of the lower tail.
        below: f64,
    },
    /// For a function of z ~ N(0, I) with Lipschitz constant L: sub-gamma with v = L² and no scale.
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), theorem 5.6.
    Lipschitz(
        /// The constant L.
        f64,
    ),
    /// For values between two ends: sub-gamma with v = (upper − lower)²/4 and no scale.
    ///
    /// Source: Hoeffding (1963), *Journal of the American Statistical Association* 58, theorem 2.
    Hoeffding {
        /// The lower end.
        lower: f64,
        /// The upper end.
        upper: f64,
    },
    /// Bernstein's inequality, for values between two ends about their mean whose variance is known: sub-gamma with v the variance
    /// and the scales c₊ = above/3 and c₋ = below/3. Beside Hoeffding's it gains where the variance is far below a quarter of the
    /// squared width, as that of a rare event's indicator is.
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), §2.8.
    Bernstein {
        /// A bound v on the variance of one value.
        variance: f64,
        /// The most by which a value exceeds the mean.
        above: f64,
        /// The most by which a value falls below the mean.
        below: f64,
    },
    /// For an empirical distribution function in one dimension, at all its arguments at once: √(ln(2/α) / 2N). So also for the
    /// mean of values between 0 and 1, where it is Hoeffding's.
    ///
    /// Source: Massart (1990), *Annals of Probability* 18, corollary 1.
    Massart,
    /// The same in d > 1 dimensions: √(ln(d(N+1)/α) / 2N).
    ///
    /// Source: Naaman (2021), *Statistics and Probability Letters* 173, 109088.
    Naaman {
        /// The dimension d.
        dim: usize,
    },
    /// For values of which no more is known than a bound v on their variance: √(2vt/(N − 2t)) with t = ln(2/α), which needs N > 2t.
    /// It holds for Catoni's mean, the θ with Σₙ ψ(a(xₙ − θ)) = 0 for ψ(x) = sign x · ln(1 + |x| + x²/2), whose a depends on v, N
    /// and the false alarm.
    ///
    /// Source: Catoni (2012), *Annales de l'Institut Henri Poincaré* 48, proposition 2.4.
    Catoni {
        /// The bound v on the variance of one value.
        variance: f64,
    },
    /// The central limit theorem with the samples' own variance: an approximation, so that its probability is not guaranteed
    /// and not counted.
    CentralLimit,
}

impl Bound {
    /// For f(z) = const + bᵀz + ½ zᵀBz with z ~ N(0, I) and B symmetric: v = ½‖B‖²_F + ‖b‖², c₊ and c₋ the largest eigenvalues of B
    /// and −B.
    ///
    /// # Errors
    /// [`Error::Shape`] unless B is square of b's length and not empty, [`Error::NotFinite`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let bound = Bound::quadratic(&dvector![3.0], &dmatrix![2.0])?; // 3z + z²
    /// assert_eq!(bound, Bound::SubGamma { variance: 11.0, above: 2.0, below: 0.0 });
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Boucheron, Lugosi and Massart (2013), §2.4, on each term λᵢ(zᵢ²−1)/2 + bᵢzᵢ.
    pub fn quadratic(b: &DVector<f64>, matrix: &DMatrix<f64>) -> Result<Self> {
        if b.is_empty() {
            let what = "the quadratic form";
            return Err(Error::Shape { what, expected: "at least one entry".into(), found: "none".into() });
        }
        same_length("the quadratic form's rows", b.len(), matrix.nrows())?;
        same_length("the quadratic form's columns", b.len(), matrix.ncols())?;
        finite("the quadratic form", matrix.iter().chain(b), |i| format!("entry {i}"))?;
        // The form depends on the symmetric part alone.
        let matrix = matrix * 0.5 + matrix.transpose() * 0.5;
        let eigenvalues = matrix.symmetric_eigenvalues();
        Ok(Self::SubGamma {
            variance: 0.5 * matrix.norm_squared() + b.norm_squared(),
            above: eigenvalues.iter().fold(0.0, |c: f64, &l| c.max(l)),
            below: eigenvalues.iter().fold(0.0, |c: f64, &l| c.max(-l)),
        })
    }

    /// For the log ratio ln p₀(x)/p₁(x) with x ~ p₀, whose mean is D_KL(p₀‖p₁): the quadratic form with
    /// B = AᵀΣ₁⁻¹A − I and b = AᵀΣ₁⁻¹(μ₀−μ₁), where Σ₀ = AAᵀ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree, [`Error::NotFinite`] if the form overflows.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (p0, p1) = (Gaussian::univariate(1.0, 4.0)?, Gaussian::univariate(0.0, 2.0)?);
    /// let Bound::SubGamma { variance, above, below } = Bound::log_ratio(&p0, &p1)? else { unreachable!() };
    /// assert!((variance - 1.5).abs() < 1e-14 && (above - 1.0).abs() < 1e-14 && below == 0.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn log_ratio(p0: &Gaussian, p1: &Gaussian) -> Result<Self> {
        let (b, matrix) = cross_entropy_form(p0, p1)?;
        Self::quadratic(&b, &(matrix - DMatrix::identity(b.len(), b.len())))
    }

    /// For ln p(x, z) − ln q(z) with z ~ q and a normal posterior p(z | x), whose mean is the ELBO: but for ln p(x) it is minus the
    /// log ratio, so that c₊ and c₋ change places.
    ///
    /// # Errors
    /// Those of [`log_ratio`](Self::log_ratio).
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (q, posterior) = (Gaussian::univariate(1.0, 4.0)?, Gaussian::univariate(0.0, 2.0)?);
    /// let Bound::SubGamma { variance, above, below } = Bound::elbo(&q, &posterior)? else { unreachable!() };
    /// assert!((variance - 1.5).abs() < 1e-14 && above == 0.0 && (below - 1.0).abs() < 1e-14);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn elbo(q: &Gaussian, posterior: &Gaussian) -> Result<Self> {
        Ok(match Self::log_ratio(q, posterior)? {
            Self::SubGamma { variance, above, below } => Self::SubGamma { variance, above: below, below: above },
            other => other,
        })
    }

    /// For −ln p₁(x) with x ~ p₀, whose mean is the cross-entropy: the quadratic form with B = AᵀΣ₁⁻¹A and
    /// b = AᵀΣ₁⁻¹(μ₀−μ₁), where Σ₀ = AAᵀ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the dimensions agree, [`Error::NotFinite`] if the form overflows.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (p0, p1) = (Gaussian::univariate(1.0, 4.0)?, Gaussian::univariate(0.0, 2.0)?);
    /// let Bound::SubGamma { variance, above, below } = Bound::cross_entropy(&p0, &p1)? else { unreachable!() };
    /// assert!((variance - 3.0).abs() < 1e-14 && (above - 2.0).abs() < 1e-14 && below == 0.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cross_entropy(p0: &Gaussian, p1: &Gaussian) -> Result<Self> {
        let (b, matrix) = cross_entropy_form(p0, p1)?;
        Self::quadratic(&b, &matrix)
    }

    /// For −ln p(x) with x ~ p, whose mean is the entropy: B = I and b = 0, so v = d/2, c₊ = 1 and c₋ = 0.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let bound = Bound::entropy(&Gaussian::standard(3)?);
    /// assert_eq!(bound, Bound::SubGamma { variance: 1.5, above: 1.0, below: 0.0 });
    /// # Ok::<(), Error>(())
    /// ```
    pub fn entropy(p: &Gaussian) -> Self {
        Self::SubGamma { variance: 0.5 * p.dim() as f64, above: 1.0, below: 0.0 }
    }

    /// For (xᵢ−μᵢ)(xⱼ−μⱼ) with x ~ N(μ, Σ), whose mean is Σᵢⱼ: a quadratic form with v = ΣᵢᵢΣⱼⱼ + Σᵢⱼ² and
    /// c± = √(ΣᵢᵢΣⱼⱼ) ± Σᵢⱼ. It holds as well for entry (i, j) of the unbiased S/(N−1) around the sample mean, with N − 1 for N.
    ///
    /// # Errors
    /// [`Error::Shape`] if i or j is not a row and a column of Σ.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let bound = Bound::centred_product(&dmatrix![4.0, 1.0; 1.0, 1.0], 0, 1)?;
    /// assert_eq!(bound, Bound::SubGamma { variance: 5.0, above: 3.0, below: 1.0 });
    /// # Ok::<(), Error>(())
    /// ```
    pub fn centred_product(covariance: &DMatrix<f64>, i: usize, j: usize) -> Result<Self> {
        let (variance, above, below) = product_form(covariance, i, j)?;
        Ok(Self::SubGamma { variance, above, below })
    }

    /// For entry (i, j) of the maximum likelihood covariance Σ̂ = S/n of n normal samples with covariance Σ: a quadratic form
    /// with v = (n−1)/n² (ΣᵢᵢΣⱼⱼ + Σᵢⱼ²) and c± = (√(ΣᵢᵢΣⱼⱼ) ± Σᵢⱼ)/n. One value is the entry of one data set.
    ///
    /// # Errors
    /// [`Error::Shape`] if i or j is not a row and a column of Σ, [`Error::Domain`] for n < 2.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let bound = Bound::covariance_entry(&dmatrix![4.0, 1.0; 1.0, 1.0], 0, 1, 2)?;
    /// assert_eq!(bound, Bound::SubGamma { variance: 1.25, above: 1.5, below: 0.5 });
    /// # Ok::<(), Error>(())
    /// ```
    pub fn covariance_entry(covariance: &DMatrix<f64>, i: usize, j: usize, n: usize) -> Result<Self> {
        if n < 2 {
            let what = "the number of samples in a covariance";
            return Err(Error::Domain { what, value: n as f64, domain: "at least 2" });
        }
        let n = n as f64;
        let (variance, above, below) = product_form(covariance, i, j)?;
        Ok(Self::SubGamma { variance: (n - 1.0) / (n * n) * variance, above: above / n, below: below / n })
    }

    /// The distances (below, above) that the mean of `samples` values keeps from its expectation but for the probability
    /// `false_alarm`, half of it on each side: infinite if the bound needs more samples. `variance` is the samples' own, which
    /// [`Bound::CentralLimit`] alone looks at.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let (below, above) = Bound::Normal { variance: 4.0 }.radius(100, 0.05, f64::NAN);
    /// assert!(below == above && (above - 0.2 * 1.959963984540054).abs() < 1e-14);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn radius(&self, samples: u64, false_alarm: f64, variance: f64) -> (f64, f64) {
        self.deviation(samples, false_alarm, false_alarm, variance)
    }

    /// The radius at the probability `error` of the mean that is used for `false_alarm`: of Catoni's there is one for each.
    fn deviation(&self, samples: u64, error: f64, false_alarm: f64, variance: f64) -> (f64, f64) {
        let both = |radius: f64| (radius, radius);
        if samples == 0 {
            return both(f64::INFINITY);
        }
        let (n, t) = (samples as f64, (2.0 / error).ln());
        let normal = |variance: f64| SQRT_2 * erfc_inv(error) * (variance / n).sqrt();
        let sub_gamma = |v: f64, above: f64, below: f64| {
            if !(above >= 0.0 && below >= 0.0) {
                return both(f64::NAN);
            }
            let normal = (2.0 * v * t / n).sqrt();
            // An estimate above its expectation is a closed form below the estimate.
            (normal + below * t / n, normal + above * t / n)
        };
        match *self {
            Self::Normal { variance } => both(normal(variance)),
            Self::SubGamma { variance, above, below } => sub_gamma(variance, above, below),
            Self::Bernstein { variance, above, below } => sub_gamma(variance, above / 3.0, below / 3.0),
            Self::Hoeffding { lower, upper } if lower < upper => sub_gamma(0.25 * (upper - lower).powi(2), 0.0, 0.0),
            Self::Hoeffding { .. } => both(f64::NAN),
            Self::Lipschitz(l) => both(l * (2.0 * t / n).sqrt()),
            Self::Massart => both((t / (2.0 * n)).sqrt()),
            Self::Naaman { dim } => {
                let t = (dim as f64 * (n + 1.0)).ln() - error.ln();
                both((t / (2.0 * n)).sqrt())
            }
            Self::Catoni { variance: v } => both(v.sqrt() * catoni::deviation(n, t, (2.0 / false_alarm).ln())),
            // Equal samples say nothing of how far the next one may lie.
            Self::CentralLimit if samples < 2 || variance == 0.0 => both(f64::INFINITY),
            Self::CentralLimit => both(normal(variance)),
        }
    }

    /// The smallest error that is caught with the probabilities of `power`: a closed form that is too large by this lies outside
    /// the radius unless the estimate strays above by the miss's, and the other way round. NaN if they are no probabilities.
    pub(super) fn resolution(&self, samples: u64, power: Power, variance: f64) -> f64 {
        if power.check_probabilities().is_err() {
            return f64::NAN;
        }
        let deviation = |error| self.deviation(samples, error, power.false_alarm, variance);
        let (radius, miss) = (deviation(power.false_alarm), deviation(power.miss));
        (radius.0 + miss.1).max(radius.1 + miss.0)
    }

    /// The smallest N at which `power` is kept: radius(false alarm) + radius(miss) ≤ discrepancy.
    ///
    /// # Errors
    /// [`Error::Domain`] if a probability of `power` is not between 0 and 1, if the discrepancy is not positive or no number below
    /// 2⁶⁴ is enough for it, if a field of the bound is NaN, infinite or negative, and for [`Bound::CentralLimit`], whose
    /// radius is known only once the samples are.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.02 };
    /// assert_eq!(Bound::Hoeffding { lower: 0.0, upper: 1.0 }.min_samples(power)?, 68169);
    /// assert_eq!(Bound::Bernstein { variance: 0.01, above: 1.0, below: 1.0 }.min_samples(power)?, 3630);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn min_samples(&self, power: Power) -> Result<u64> {
        power.check_probabilities()?;
        let domain = |what, value, domain| Err(Error::Domain { what, value, domain });
        let discrepancy = power.discrepancy;
        if !(discrepancy > 0.0 && discrepancy.is_finite()) {
            return domain("the discrepancy", discrepancy, "positive and finite");
        }
        if *self == Self::CentralLimit {
            return domain("the variance of a central limit", f64::NAN, "known beforehand");
        }
        let resolution = |samples| self.resolution(samples, power, f64::NAN);
        let best = resolution(u64::MAX);
        if !(best.is_finite() && best >= 0.0) {
            return domain(
                "the bound's radius",
                best,
                "finite: give it a finite variance, range and scales, none negative",
            );
        }
        if best > discrepancy {
            return domain("the discrepancy", discrepancy, "large enough for 2⁶⁴ samples to resolve");
        }
        // The resolution falls as N grows, so halving finds the N that the check itself will find enough, to the last bit.
        let (mut few, mut enough) = (0, u64::MAX);
        while enough - few > 1 {
            let middle = few + (enough - few) / 2;
            if resolution(middle) <= discrepancy { enough = middle } else { few = middle }
        }
        Ok(enough)
    }

    /// The a of Catoni's mean for `samples` values at this false alarm; none for the bounds on the arithmetic mean.
    pub(super) fn influence(&self, samples: u64, false_alarm: f64) -> Option<f64> {
        match *self {
            Self::Catoni { variance } => {
                Some(catoni::influence(samples as f64, (2.0 / false_alarm).ln()) / variance.sqrt())
            }
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "normal",
            Self::SubGamma { .. } => "sub-gamma",
            Self::Hoeffding { .. } => "Hoeffding",
            Self::Bernstein { .. } => "Bernstein",
            Self::Lipschitz(_) => "Lipschitz",
            Self::Massart => "DKWM",
            Self::Naaman { .. } => "Naaman",
            Self::Catoni { .. } => "Catoni",
            Self::CentralLimit => "central limit",
        }
    }
}

/// b = AᵀΣ₁⁻¹(μ₀−μ₁) and B = AᵀΣ₁⁻¹A, with Σ₀ = AAᵀ.
fn cross_entropy_form(p0: &Gaussian, p1: &Gaussian) -> Result<(DVector<f64>, DMatrix<f64>)> {
    same_length("the second normal's mean", p0.dim(), p1.dim())?;
    let a = p0.cholesky_factor();
    let solved = p1.solve_covariance(a)?;
    Ok((solved.tr_mul(&(p0.mean() - p1.mean())), a.tr_mul(&solved)))
}

/// v, c₊ and c₋ of (xᵢ−μᵢ)(xⱼ−μⱼ).
fn product_form(covariance: &DMatrix<f64>, i: usize, j: usize) -> Result<(f64, f64, f64)> {
    let size = covariance.nrows().min(covariance.ncols());
    if i.max(j) >= size {
        let found = format!("({i}, {j})");
        return Err(Error::Shape { what: "the covariance's entry", expected: format!("below {size}"), found });
    }
    let (product, entry) = (covariance[(i, i)] * covariance[(j, j)], covariance[(i, j)]);
    // On the diagonal one of the two scales is zero, and may round to below.
    Ok((product + entry * entry, (product.sqrt() + entry).max(0.0), (product.sqrt() - entry).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    const POWER: Power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };

    fn all() -> [Bound; 10] {
        [
            Bound::Normal { variance: 1.3 },
            Bound::SubGamma { variance: 2.0, above: 3.0, below: 0.5 },
            Bound::SubGamma { variance: 1e-20, above: 0.0, below: 1.0 },
            Bound::Lipschitz(1.7),
            Bound::Hoeffding { lower: -0.3, upper: 2.0 },
            Bound::Bernstein { variance: 0.2, above: 0.8, below: 1.5 },
            Bound::Massart,
            Bound::Naaman { dim: 2 },
            Bound::Naaman { dim: 1000 },
            Bound::Catoni { variance: 2.0 },
        ]
    }

    fn sub_gamma(bound: Bound) -> [f64; 3] {
        match bound {
            Bound::SubGamma { variance, above, below } => [variance, above, below],
            other => panic!("{other:?} is not sub-gamma"),
        }
    }

    fn assert_close(a: Bound, b: Bound) {
        for (a, b) in sub_gamma(a).into_iter().zip(sub_gamma(b)) {
            assert!((a - b).abs() < 1e-9 * (1.0 + b), "{a} {b}");
        }
    }

    #[test]
    fn min_samples_is_the_smallest_number_that_keeps_the_promise() {
        for bound in all() {
            for (discrepancy, miss) in [(1e-3, 1e-3), (0.1, 0.5), (0.9, 1e-3), (10.0, 1e-12)] {
                let power = Power { discrepancy, miss, ..POWER };
                let samples = bound.min_samples(power).unwrap();
                assert!(bound.resolution(samples, power, 0.0) <= discrepancy, "{bound:?}");
                assert!(bound.resolution(samples - 1, power, 0.0) > discrepancy, "{bound:?}");
            }
        }
    }

    #[test]
    fn min_samples_neither_overflows_nor_promises_what_it_cannot_keep() {
        for bound in all() {
            for discrepancy in [1e-300, 1e-12, 1e-9, 1e-6, 1e6, 1e300] {
                let power = Power { discrepancy, ..POWER };
                match bound.min_samples(power) {
                    Ok(samples) => assert!(samples >= 1 && bound.resolution(samples, power, 0.0) <= discrepancy),
                    Err(error) => {
                        assert!(discrepancy <= 1e-9 && error.to_string().contains("large enough for 2⁶⁴ samples"));
                    }
                }
            }
            let refused = |power| bound.min_samples(power).unwrap_err().to_string();
            for p in [0.0, 1.0, 2.0, -0.5, f64::NAN] {
                assert!(refused(Power { miss: p, ..POWER }).contains("the miss"));
                assert!(refused(Power { false_alarm: p, ..POWER }).contains("the false alarm"));
            }
            for discrepancy in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                assert!(refused(Power { discrepancy, ..POWER }).contains("the discrepancy"));
            }
            // The smallest false alarm that there is.
            assert!(bound.min_samples(Power { false_alarm: 1e-307, ..POWER }).unwrap() > 1);
        }
        for variance in [f64::NAN, f64::INFINITY, -1.0] {
            for bound in [
                Bound::Normal { variance },
                Bound::SubGamma { variance, above: 1.0, below: 1.0 },
                Bound::Lipschitz(variance),
                Bound::Hoeffding { lower: 0.0, upper: variance },
                Bound::Hoeffding { lower: -variance, upper: 0.0 },
                Bound::Bernstein { variance, above: 1.0, below: 1.0 },
                Bound::Bernstein { variance: 1.0, above: variance, below: 1.0 },
                Bound::Bernstein { variance: 1.0, above: 1.0, below: variance },
                Bound::Catoni { variance },
            ] {
                assert!(bound.min_samples(POWER).unwrap_err().to_string().contains("finite variance"), "{bound:?}");
            }
        }
        assert!(Bound::CentralLimit.min_samples(POWER).unwrap_err().to_string().contains("known beforehand"));
        assert!(Bound::Naaman { dim: 0 }.min_samples(POWER).is_err());
    }

    #[test]
    fn min_samples_agrees_with_the_quadratic_equation() {
        // With u = 1/√N both radii of a sub-gamma bound are a u² + b u.
        let (v, above, below) = (0.17, 0.4, 0.1);
        let (s, t) = ((2.0 / POWER.false_alarm).ln(), (2.0 / POWER.miss).ln());
        let a = f64::max(below * s + above * t, above * s + below * t);
        let b = f64::sqrt(2.0 * v) * (s.sqrt() + t.sqrt());
        let u = (-b + (b * b + 4.0 * a * POWER.discrepancy).sqrt()) / (2.0 * a);
        let samples = Bound::SubGamma { variance: v, above, below }.min_samples(POWER).unwrap();
        assert_eq!(samples as f64, (1.0 / (u * u)).ceil());
    }

    #[test]
    fn radii_by_their_formulas() {
        let both = |bound: Bound| {
            let (below, above) = bound.radius(1000, 1e-9, 0.04);
            assert_eq!(below, above);
            above
        };
        let t = 2e9_f64.ln();
        for (bound, radius) in [
            (Bound::Massart, (t / 2000.0).sqrt()),
            (Bound::Hoeffding { lower: -1.0, upper: 2.0 }, 3.0 * (t / 2000.0).sqrt()),
            (Bound::Naaman { dim: 3 }, (3003e9_f64.ln() / 2000.0).sqrt()),
            (Bound::Lipschitz(2.0), 2.0 * (2.0 * t / 1000.0).sqrt()),
            (Bound::Catoni { variance: 3.0 }, (6.0 * t / (1000.0 - 2.0 * t)).sqrt()),
            (Bound::CentralLimit, both(Bound::Normal { variance: 0.04 })),
        ] {
            assert!((both(bound) / radius - 1.0).abs() < 1e-14, "{bound:?}");
        }
        let radii = Bound::Bernstein { variance: 0.2, above: 0.9, below: 0.3 }.radius(1000, 1e-9, f64::NAN);
        let normal = (0.4 * t / 1000.0).sqrt();
        assert!(
            (radii.0 - normal - 0.1 * t / 1000.0).abs() < 1e-15 && (radii.1 - normal - 0.3 * t / 1000.0).abs() < 1e-15
        );
        let z = both(Bound::Normal { variance: 1.0 }) * 1000.0_f64.sqrt();
        // The normal's quantile at 5e-10, computed with 25 digits.
        assert!((z - 6.109410204869397).abs() < 1e-14);
        for bound in all().into_iter().chain([Bound::CentralLimit]) {
            assert_eq!(bound.radius(0, 1e-9, 1.0), (f64::INFINITY, f64::INFINITY));
        }
        assert_eq!(Bound::Catoni { variance: 1.0 }.radius(42, 1e-9, 1.0).0, f64::INFINITY);
    }

    #[test]
    fn each_tail_of_a_sub_gamma_bound_holds_and_needs_its_own_scale() {
        // The mean of N terms ½(z²−1) is (χ²_N/N − 1)/2, whose tails are known.
        let bound = Bound::SubGamma { variance: 0.5, above: 1.0, below: 0.0 };
        for (n, alpha, far) in
            [(1, 0.05, true), (1, 1e-9, true), (20, 1e-9, true), (1000, 0.05, false), (1000, 1e-9, true)]
        {
            let chi_squared = ChiSquared::new(n as f64).unwrap();
            let above = |radius: f64| chi_squared.sf(n as f64 * (1.0 + 2.0 * radius));
            let below = |radius: f64| chi_squared.cdf(n as f64 * (1.0 - 2.0 * radius));
            let radii = bound.radius(n, alpha, f64::NAN);
            assert!(above(radii.1) <= alpha / 2.0 && below(radii.0) <= alpha / 2.0, "{n} {alpha}");
            // With the scale of the lower tail the upper one would not hold, as long as N is small enough for the tails to differ.
            assert_eq!(above(radii.0) > alpha / 2.0, far, "{n} {alpha}: {}", above(radii.0));
        }
        // Of −½(z²−1) it is the other way round.
        let mirrored = Bound::quadratic(&dvector![0.0], &dmatrix![-1.0]).unwrap();
        let ((a, b), (c, d)) = (bound.radius(7, 0.01, 0.0), mirrored.radius(7, 0.01, 0.0));
        assert_eq!((a, b), (d, c));
    }

    /// N(μ₀, Σ₀) and N(μ₁, Σ₁), far from each other and from the origin.
    fn pair() -> (Gaussian, Gaussian) {
        let p0 =
            Gaussian::new(dvector![1.0, -2.0, 0.5], dmatrix![2.0, 0.6, -0.3; 0.6, 1.0, 0.2; -0.3, 0.2, 0.7]).unwrap();
        let p1 =
            Gaussian::new(dvector![0.2, -1.0, 1.5], dmatrix![1.0, -0.4, 0.1; -0.4, 2.5, 0.3; 0.1, 0.3, 0.4]).unwrap();
        (p0, p1)
    }

    /// The bound of a quadratic f by its differences: f is known at points alone, and B and b follow without their formulas.
    fn by_differences(p: &Gaussian, f: impl Fn(&DVector<f64>) -> f64) -> Bound {
        let d = p.dim();
        let at = |z: DVector<f64>| f(&(p.mean() + p.cholesky_factor() * z));
        let e = |i: usize| DVector::from_fn(d, |j, _| f64::from(i == j));
        let b = DVector::from_fn(d, |i, _| 0.5 * (at(e(i)) - at(-e(i))));
        let mixed = |i, j| at(e(i) + e(j)) - at(e(i)) - at(e(j)) + at(DVector::zeros(d));
        Bound::quadratic(&b, &DMatrix::from_fn(d, d, mixed)).unwrap()
    }

    #[test]
    fn bounds_of_log_densities_are_those_of_their_quadratic_forms() {
        let (p0, p1) = pair();
        let ln = |p: &Gaussian, x: &DVector<f64>| p.ln_pdf(x).unwrap();
        assert_close(Bound::log_ratio(&p0, &p1).unwrap(), by_differences(&p0, |x| ln(&p0, x) - ln(&p1, x)));
        assert_close(Bound::cross_entropy(&p0, &p1).unwrap(), by_differences(&p0, |x| -ln(&p1, x)));
        assert_close(Bound::entropy(&p0), by_differences(&p0, |x| -ln(&p0, x)));
        assert_close(Bound::entropy(&p0), Bound::cross_entropy(&p0, &p0).unwrap());
        // Neither is symmetric.
        assert_ne!(Bound::log_ratio(&p0, &p1).unwrap(), Bound::log_ratio(&p1, &p0).unwrap());
        let line = p1.marginal(&[0]).unwrap();
        assert!(Bound::log_ratio(&p0, &line).is_err() && Bound::cross_entropy(&line, &p1).is_err());
    }

    #[test]
    fn bounds_of_covariance_entries_are_those_of_their_quadratic_forms() {
        let (p, _) = pair();
        for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
            let product = |x: &DVector<f64>| (x[i] - p.mean()[i]) * (x[j] - p.mean()[j]);
            assert_close(Bound::centred_product(p.covariance(), i, j).unwrap(), by_differences(&p, product));
        }
        // Entry (i, j) of S/n is ½ zᵀBz with B = C ⊗ (aᵢaⱼᵀ + aⱼaᵢᵀ)/n, C the centring matrix and aᵢ row i of the factor of Σ.
        let n = 4;
        let row = |i| p.cholesky_factor().row(i).transpose();
        let centring = DMatrix::identity(n, n) - DMatrix::from_element(n, n, 1.0 / n as f64);
        for (i, j) in [(0, 0), (0, 1), (1, 1), (0, 2)] {
            let outer: DMatrix<f64> = row(i) * row(j).transpose() + row(j) * row(i).transpose();
            let form = Bound::quadratic(&DVector::zeros(3 * n), &centring.kronecker(&(outer / n as f64))).unwrap();
            assert_close(form, Bound::covariance_entry(p.covariance(), i, j, n).unwrap());
            // One data set of n counts for n − 1 values with known mean, once S/n is unbiased.
            let one = Bound::covariance_entry(p.covariance(), i, j, n).unwrap().radius(1, 0.01, 0.0);
            let known = Bound::centred_product(p.covariance(), i, j).unwrap().radius(n as u64 - 1, 0.01, 0.0);
            assert!((one.0 * n as f64 / (n as f64 - 1.0) - known.0).abs() < 1e-14);
            assert!((one.1 * n as f64 / (n as f64 - 1.0) - known.1).abs() < 1e-14);
        }
    }

    #[test]
    fn a_quadratic_form_may_have_any_scale() {
        let (b, matrix) = (dvector![3.0, 0.0, 1.0], dmatrix![1.0, 2.0, 0.5; 2.0, -3.0, 0.0; 0.5, 0.0, 7.0]);
        let [v, above, below] = sub_gamma(Bound::quadratic(&b, &matrix).unwrap());
        for scale in [1e-300, 1e-150, 1e-9, 1e9, 1e150, 1e300] {
            let scaled = sub_gamma(Bound::quadratic(&(&b * scale), &(&matrix * scale)).unwrap());
            let expected = [v * scale * scale, above * scale, below * scale];
            for (scaled, expected) in scaled.into_iter().zip(expected) {
                assert!(scaled == expected || (scaled / expected - 1.0).abs() < 1e-13, "{scale}: {scaled} {expected}");
            }
        }
        let huge = Bound::quadratic(&b, &DMatrix::from_element(3, 3, f64::MAX)).unwrap();
        assert!(huge.min_samples(POWER).is_err());
        assert_eq!(sub_gamma(Bound::quadratic(&b, &DMatrix::zeros(3, 3)).unwrap()), [10.0, 0.0, 0.0]);
    }

    #[test]
    fn bad_input_is_refused() {
        let (p, _) = pair();
        assert!(Bound::covariance_entry(p.covariance(), 0, 3, 10).is_err());
        assert!(Bound::covariance_entry(p.covariance(), 0, 0, 1).is_err());
        assert!(Bound::centred_product(&DMatrix::zeros(3, 2), 2, 0).is_err());
        assert!(Bound::centred_product(&DMatrix::zeros(0, 0), 0, 0).is_err());
        assert!(Bound::quadratic(&dvector![0.0], &DMatrix::zeros(2, 2)).is_err());
        assert!(Bound::quadratic(&dvector![f64::NAN], &dmatrix![1.0]).is_err());
        assert!(Bound::quadratic(&DVector::zeros(0), &DMatrix::zeros(0, 0)).is_err());
        // A matrix that is no covariance gives no radius, and so no pass.
        let bound = Bound::centred_product(&dmatrix![-1.0, 0.0; 0.0, 1.0], 0, 1).unwrap();
        assert!(bound.min_samples(POWER).is_err());
    }
}
