//! Pairs of prior and likelihood whose posterior is in the prior's family.

use crate::error::{Error, Result, finite, in_range};
use crate::gaussian::{Density, Gaussian, same_length};
use crate::mle::GaussianStats;
use crate::univariate::Univariate;
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{Bernoulli, Beta, Gamma, NegativeBinomial, StudentsT};
use statrs::function::beta::ln_beta;
use statrs::function::factorial::ln_factorial;
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// A prior of the parameter θ whose posterior, given data from the likelihood that it is the conjugate of, is in the same family. So
/// the posterior after some data is the prior for the next.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = BetaBernoulli::new(1.0, 1.0)?;
/// let (first, then) = (Counts::of_trials(2, 3)?, Counts::of_trials(5, 7)?);
/// let posterior = prior.posterior(&first)?;
/// assert_eq!(posterior.posterior(&then)?, prior.posterior(&first.merge(then)?)?);
/// let both = prior.ln_evidence(&first)? + posterior.ln_evidence(&then)?;
/// assert!((prior.ln_evidence(&first.merge(then)?)? - both).abs() < 1e-13);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bernardo and Smith (1994), *Bayesian Theory*, §5.2 and appendix A.
pub trait Conjugate: Density + Distribution<DVector<f64>> + Sized {
    /// What the likelihood depends on of the data.
    type Data;
    /// The family of one more observation.
    type Predictive: Density;

    /// p(θ | D), in the prior's family.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Domain`] for data that the likelihood cannot have made, [`Error::Overflow`].
    fn posterior(&self, data: &Self::Data) -> Result<Self>;

    /// p(x) = ∫ p(x | θ) p(θ) dθ of one observation; of a posterior, that of the next one.
    ///
    /// # Errors
    /// [`Error::Overflow`], [`Error::Family`] where the parameters leave what double precision holds.
    fn predictive(&self) -> Result<Self::Predictive>;

    /// ln p(D | θ): −∞ where θ is none of the likelihood's.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], and those for the data of [`posterior`](Self::posterior).
    fn ln_likelihood(&self, theta: &DVector<f64>, data: &Self::Data) -> Result<f64>;

    /// ln p(D) = ln ∫ p(D | θ) p(θ) dθ.
    ///
    /// # Errors
    /// Those of [`posterior`](Self::posterior).
    fn ln_evidence(&self, data: &Self::Data) -> Result<f64>;

    /// The θ at which the density is largest; of a posterior, the maximum a posteriori (MAP) estimate.
    ///
    /// # Errors
    /// [`Error::Domain`] where there is none, or more than one.
    fn mode(&self) -> Result<DVector<f64>>;

    /// ln p(D, θ) = ln p(D | θ) + ln p(θ), −∞ wherever the likelihood is zero.
    ///
    /// # Errors
    /// Those of [`ln_likelihood`](Self::ln_likelihood) and [`ln_pdf`](Density::ln_pdf).
    fn ln_joint(&self, theta: &DVector<f64>, data: &Self::Data) -> Result<f64> {
        match self.ln_likelihood(theta, data)? {
            f64::NEG_INFINITY => Ok(f64::NEG_INFINITY),
            ln_likelihood => Ok(ln_likelihood + self.ln_pdf(theta)?),
        }
    }
}

/// x ln y, with 0 ln 0 = 0.
fn times_ln(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// Up to 1e300, so that ln Γ does not overflow.
fn positive(what: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value <= 1e300 {
        return Ok(value);
    }
    let domain =
        "positive and at most 1e300: an improper prior has no evidence; take a small positive number for a vague one";
    Err(Error::Domain { what, value, domain })
}

fn finite_evidence(ln_evidence: f64) -> Result<f64> {
    in_range("the log evidence", [&ln_evidence])?;
    Ok(ln_evidence)
}

/// θ of the right length, its entries finite.
fn check_parameter(d: usize, theta: &DVector<f64>) -> Result<()> {
    same_length("the parameter", d, theta.len())?;
    finite("the parameter", theta, |i| format!("entry {i}"))
}

/// The mean μ of a normal with known covariance Σ, in d dimensions: μ ~ N(m₀, S₀) and x | μ ~ N(μ, Σ).
///
/// With N samples of mean x̄ the posterior is N(m, S), S⁻¹ = S₀⁻¹ + N Σ⁻¹ and m = m₀ + S N Σ⁻¹ (x̄ − m₀). The predictive is N(m, S + Σ).
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = NormalMean::new(Gaussian::univariate(0.0, 1.0)?, dmatrix![1.0])?;
/// let data = GaussianStats::from_rows(&dmatrix![1.0; 2.0; 3.0])?;
/// let posterior = prior.posterior(&data)?; // precision 1 + 3, mean (1 + 2 + 3) / 4
/// assert!((posterior.mode()?[0] - 1.5).abs() < 1e-15);
/// assert!((posterior.distribution().covariance()[0] - 0.25).abs() < 1e-15);
/// assert!((posterior.predictive()?.covariance()[0] - 1.25).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Gelman, Carlin, Stern, Dunson, Vehtari and Rubin (2013), *Bayesian Data Analysis*, 3rd ed., §3.5.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalMean {
    prior: Gaussian,
    /// N(0, Σ).
    noise: Gaussian,
}

impl NormalMean {
    /// The prior N(m₀, S₀) of the mean of a normal with covariance Σ.
    ///
    /// # Errors
    /// Those of [`Gaussian::new`] for Σ, whose shape is to be S₀'s.
    pub fn new(prior: Gaussian, covariance: DMatrix<f64>) -> Result<Self> {
        let noise = Gaussian::new(DVector::zeros(prior.dim()), covariance)?;
        Ok(Self { prior, noise })
    }

    /// The distribution of μ.
    pub fn distribution(&self) -> &Gaussian {
        &self.prior
    }

    /// The covariance Σ of an observation around μ.
    pub fn covariance(&self) -> &DMatrix<f64> {
        self.noise.covariance()
    }
}

impl Density for NormalMean {
    fn dim(&self) -> usize {
        self.prior.dim()
    }

    fn ln_pdf(&self, mean: &DVector<f64>) -> Result<f64> {
        self.prior.ln_pdf(mean)
    }
}

impl Distribution<DVector<f64>> for NormalMean {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        self.prior.sample(rng)
    }
}

impl Conjugate for NormalMean {
    type Data = GaussianStats;
    type Predictive = Gaussian;

    /// With S₀ = L₀L₀ᵀ, Σ = LLᵀ and A = L⁻¹L₀: S = L₀ K⁻¹ L₀ᵀ for K = I + N AᵀA, whose eigenvalues are at least 1. So neither a vague
    /// prior nor much data costs digits, and no matrix is inverted.
    fn posterior(&self, data: &GaussianStats) -> Result<Self> {
        let d = self.dim();
        same_length("the statistics", d, data.dim())?;
        let n = data.count() as f64;
        let root = self.prior.cholesky_factor();
        let mut a = root.clone();
        self.noise.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut a);
        let k = DMatrix::identity(d, d) + a.tr_mul(&a) * n;
        in_range("the precision of the posterior", &k)?;
        let k = Gaussian::new(DVector::zeros(d), k)?;
        let mut narrowed = root.transpose();
        k.cholesky_factor().solve_lower_triangular_unchecked_mut(&mut narrowed);
        let shift = self.noise.whiten(&(data.mean() - self.prior.mean()))?;
        let mean = self.prior.mean() + narrowed.tr_mul(&k.whiten(&(a.tr_mul(&shift) * n))?);
        Ok(Self { prior: Gaussian::new(mean, narrowed.tr_mul(&narrowed))?, noise: self.noise.clone() })
    }

    fn predictive(&self) -> Result<Gaussian> {
        Gaussian::new(self.prior.mean().clone(), self.prior.covariance() + self.noise.covariance())
    }

    /// −½ (N d ln 2π + N ln det Σ + tr Σ⁻¹S + N (x̄−μ)ᵀ Σ⁻¹ (x̄−μ)), S the scatter around x̄.
    fn ln_likelihood(&self, mean: &DVector<f64>, data: &GaussianStats) -> Result<f64> {
        check_parameter(self.dim(), mean)?;
        same_length("the statistics", self.dim(), data.dim())?;
        let (n, d) = (data.count() as f64, self.dim() as f64);
        let trace = self.noise.solve_covariance(data.scatter())?.trace();
        let distance = if n == 0.0 { 0.0 } else { n * self.noise.mahalanobis_squared(&(data.mean() - mean))? };
        Ok(-0.5 * (n * (d * (2.0 * PI).ln() + self.noise.ln_det_covariance()) + trace + distance))
    }

    /// Bayes' formula solved for p(D) = p(D, μ) / p(μ | D), which holds at any μ (Besag 1989, *Biometrika* 76, 183); at the posterior mean
    /// no two large terms cancel.
    fn ln_evidence(&self, data: &GaussianStats) -> Result<f64> {
        let posterior = self.posterior(data)?;
        let mean = posterior.mode()?;
        finite_evidence(self.ln_joint(&mean, data)? - posterior.ln_pdf(&mean)?)
    }

    fn mode(&self) -> Result<DVector<f64>> {
        Ok(self.prior.mean().clone())
    }
}

/// Mean and variance θ = (μ, σ²) of a normal on the line: σ² is inverse gamma with shape α and rate β, μ | σ² ~ N(m, σ²/κ) and
/// x | θ ~ N(μ, σ²),
///
/// ```text
/// p(μ, σ²) = √(κ/2πσ²) · βᵅ/Γ(α) · σ^(−2(α+1)) · exp(−(β + ½κ(μ−m)²)/σ²)
/// posterior   κ + N,  m + (x̄−m) N/(κ+N),  α + N/2,  β + S/2 + ½ (x̄−m)² κN/(κ+N)
/// predictive  Student's t with 2α degrees of freedom around m, its squared scale β(κ+1)/(ακ)
/// evidence    (2π)^(−N/2) · √(κ/κ′) · βᵅ/β′^α′ · Γ(α′)/Γ(α), with the posterior's primed
/// maximum     μ = m,  σ² = β/(α + 3/2)
/// ```
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = NormalInverseGamma::new(0.0, 1.0, 2.0, 3.0)?;
/// let posterior = prior.posterior(&GaussianStats::from_rows(&dmatrix![1.0; 2.0; 6.0])?)?;
/// // x̄ = 3 and S = 14, so β = 3 + 7 + 9·3/8.
/// assert_eq!(posterior, NormalInverseGamma::new(2.25, 4.0, 3.5, 13.375)?);
/// assert_eq!(posterior.mode()?, dvector![2.25, 13.375 / 5.0]);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bernardo and Smith (1994), *Bayesian Theory*, appendix A.2, in terms of the variance for the precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalInverseGamma {
    mean: f64,
    count: f64,
    shape: f64,
    rate: f64,
}

impl NormalInverseGamma {
    /// The prior with m, κ (for how many observations it counts), α and β.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for m, [`Error::Domain`] unless κ, α and β are positive and at most 1e300.
    pub fn new(mean: f64, count: f64, shape: f64, rate: f64) -> Result<Self> {
        finite("the prior's mean", [&mean], |_| "m".into())?;
        Ok(Self {
            mean,
            count: positive("the prior's count κ", count)?,
            shape: positive("the prior's shape α", shape)?,
            rate: positive("the prior's rate β", rate)?,
        })
    }

    /// The mean m of μ.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The number κ of observations that the prior of μ counts for.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// The shape α of σ².
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// The rate β of σ².
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// The distribution of μ with σ² integrated out: Student's t with 2α degrees of freedom around m, its squared scale β/(ακ).
    ///
    /// # Errors
    /// [`Error::Family`] if the scale falls below or exceeds double precision.
    pub fn marginal_mean(&self) -> Result<Univariate<StudentsT>> {
        self.student(1.0 / self.count)
    }

    /// Student's t for N(m, r σ²) with σ² integrated out.
    fn student(&self, ratio: f64) -> Result<Univariate<StudentsT>> {
        let scale = (self.rate / self.shape * ratio).sqrt();
        in_range("the scale of Student's t", [&scale])?;
        Ok(Univariate(StudentsT::new(self.mean, scale, 2.0 * self.shape)?))
    }
}

impl Density for NormalInverseGamma {
    fn dim(&self) -> usize {
        2
    }

    /// ln p(μ, σ²); −∞ unless σ² > 0.
    ///
    /// # Errors
    /// [`Error::Shape`] unless θ has length 2, [`Error::NotFinite`].
    fn ln_pdf(&self, theta: &DVector<f64>) -> Result<f64> {
        check_parameter(2, theta)?;
        let Self { mean, count, shape, rate } = *self;
        let (mu, variance) = (theta[0], theta[1]);
        if variance <= 0.0 {
            return Ok(f64::NEG_INFINITY);
        }
        let of_mean = 0.5 * (count / (2.0 * PI)).ln() - 0.5 * variance.ln();
        let of_variance = shape * rate.ln() - ln_gamma(shape) - (shape + 1.0) * variance.ln();
        Ok(of_mean + of_variance - (rate + 0.5 * count * (mu - mean).powi(2)) / variance)
    }
}

impl Distribution<DVector<f64>> for NormalInverseGamma {
    /// σ² = β/G with G gamma of shape α, then μ = m + √(σ²/κ) Z.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        let variance = self.rate / gamma(self.shape, rng);
        let z: f64 = StandardNormal.sample(rng);
        DVector::from_vec(vec![self.mean + (variance / self.count).sqrt() * z, variance])
    }
}

impl Conjugate for NormalInverseGamma {
    type Data = GaussianStats;
    type Predictive = Univariate<StudentsT>;

    fn posterior(&self, data: &GaussianStats) -> Result<Self> {
        same_length("the statistics", 1, data.dim())?;
        let (n, shift) = (data.count() as f64, data.mean()[0] - self.mean);
        let count = self.count + n;
        let posterior = Self {
            mean: if n == 0.0 { self.mean } else { self.mean + shift * (n / count) },
            count,
            shape: self.shape + 0.5 * n,
            rate: self.rate + 0.5 * data.scatter()[0] + 0.5 * shift.powi(2) * n * (self.count / count),
        };
        let Self { mean, rate, .. } = posterior;
        in_range("the posterior's mean or rate", [&mean, &rate])?;
        Ok(posterior)
    }

    fn predictive(&self) -> Result<Univariate<StudentsT>> {
        self.student(1.0 + 1.0 / self.count)
    }

    /// −½ N ln 2πσ² − (S + N (x̄−μ)²) / 2σ²
    fn ln_likelihood(&self, theta: &DVector<f64>, data: &GaussianStats) -> Result<f64> {
        check_parameter(2, theta)?;
        same_length("the statistics", 1, data.dim())?;
        let (n, mu, variance) = (data.count() as f64, theta[0], theta[1]);
        if variance <= 0.0 {
            return Ok(f64::NEG_INFINITY);
        }
        let distance = if n == 0.0 { 0.0 } else { n * (data.mean()[0] - mu).powi(2) };
        Ok(-0.5 * n * (2.0 * PI * variance).ln() - 0.5 * (data.scatter()[0] + distance) / variance)
    }

    fn ln_evidence(&self, data: &GaussianStats) -> Result<f64> {
        let posterior = self.posterior(data)?;
        let n = data.count() as f64;
        let counts = 0.5 * (self.count / posterior.count).ln();
        let rates = self.shape * (self.rate / posterior.rate).ln() - 0.5 * n * posterior.rate.ln();
        let shapes = ln_gamma(posterior.shape) - ln_gamma(self.shape);
        finite_evidence(counts + rates + shapes - 0.5 * n * (2.0 * PI).ln())
    }

    fn mode(&self) -> Result<DVector<f64>> {
        Ok(DVector::from_vec(vec![self.mean, self.rate / (self.shape + 1.5)]))
    }
}

/// A gamma variable with rate 1.
fn gamma<R: Rng + ?Sized>(shape: f64, rng: &mut R) -> f64 {
    // The shape is positive, which is all that is asked for.
    rand_distr::Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(rng))
}

/// Count N, sum Σx, largest value and Σ ln x! of whole numbers: all that the likelihood of a Bernoulli or a Poisson variable depends on.
///
/// A commutative monoid under [`merge`](Self::merge), whose neutral element is the default.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let goals = Counts::from_rows(&dmatrix![2.0; 0.0; 3.0])?;
/// assert_eq!((goals.count(), goals.sum()), (3, 5));
/// let error = Counts::from_rows(&dmatrix![2.0; -1.0]).unwrap_err();
/// assert!(error.to_string().starts_with("the count at row 1 is -1; it must be a whole number"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    count: u64,
    sum: u64,
    largest: u64,
    ln_factorials: f64,
}

impl Counts {
    /// The statistics of the rows of an N×1 matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one column, [`Error::Count`] for a value that is no whole number from 0 to 2⁵³,
    /// [`Error::Overflow`].
    pub fn from_rows(data: &DMatrix<f64>) -> Result<Self> {
        same_length("a row of counts", 1, data.ncols())?;
        data.iter().enumerate().try_fold(Self::default(), |counts, (row, &value)| {
            if !(value >= 0.0 && value <= (1_u64 << 53) as f64 && value.fract() == 0.0) {
                return Err(Error::Count { value, at: format!("row {row}") });
            }
            let x = value as u64;
            counts.merge(Self { count: 1, sum: x, largest: x, ln_factorials: ln_factorial(x) })
        })
    }

    /// The statistics of `trials` ones and zeros, `successes` of them ones.
    ///
    /// # Errors
    /// [`Error::Domain`] for more successes than trials.
    pub fn of_trials(successes: u64, trials: u64) -> Result<Self> {
        if successes > trials {
            let domain = "at most the number of trials; is it the first argument?";
            return Err(Error::Domain { what: "the number of successes", value: successes as f64, domain });
        }
        Ok(Self { count: trials, sum: successes, largest: successes.min(1), ln_factorials: 0.0 })
    }

    /// The statistics of both sets of counts.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn merge(self, other: Self) -> Result<Self> {
        let add = |what, a: u64, b: u64| a.checked_add(b).ok_or(Error::Overflow { what });
        Ok(Self {
            count: add("the number of counts", self.count, other.count)?,
            sum: add("the sum of the counts", self.sum, other.sum)?,
            largest: self.largest.max(other.largest),
            ln_factorials: self.ln_factorials + other.ln_factorials,
        })
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

/// The probability θ of a success: θ is beta with shapes a and b, and x | θ is 1 with probability θ and 0 otherwise.
///
/// After n₁ ones and n₀ zeros the posterior is beta with a + n₁ and b + n₀; the predictive probability of a one is a/(a+b), and the
/// evidence of the sequence B(a + n₁, b + n₀) / B(a, b).
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = BetaBernoulli::new(1.0, 1.0)?;
/// let data = Counts::of_trials(3, 3)?;
/// let posterior = prior.posterior(&data)?;
/// assert_eq!(posterior.mode()?[0], 1.0);
/// assert!((posterior.predictive()?.pdf(&dvector![1.0])? - 0.8).abs() < 1e-15); // Laplace's rule of succession
/// assert!((prior.ln_evidence(&data)? - 0.25_f64.ln()).abs() < 1e-14); // ∫ θ³ dθ
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bernardo and Smith (1994), *Bayesian Theory*, appendix A.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaBernoulli(Beta);

impl BetaBernoulli {
    /// The prior with shapes a and b.
    ///
    /// # Errors
    /// [`Error::Domain`] unless both are positive and at most 1e300.
    pub fn new(a: f64, b: f64) -> Result<Self> {
        Ok(Self(Beta::new(positive("the prior's shape a", a)?, positive("the prior's shape b", b)?)?))
    }

    /// The distribution of θ.
    pub fn distribution(&self) -> &Beta {
        &self.0
    }

    fn shapes(&self) -> (f64, f64) {
        (self.0.shape_a(), self.0.shape_b())
    }
}

impl Density for BetaBernoulli {
    fn dim(&self) -> usize {
        1
    }

    /// (a−1) ln θ + (b−1) ln(1−θ) − ln B(a, b); −∞ outside \[0, 1\].
    ///
    /// # Errors
    /// [`Error::Shape`] unless θ has length 1, [`Error::NotFinite`].
    fn ln_pdf(&self, theta: &DVector<f64>) -> Result<f64> {
        check_parameter(1, theta)?;
        let (a, b) = self.shapes();
        Ok(ln_binary(a - 1.0, b - 1.0, theta[0]) - ln_beta(a, b))
    }
}

/// x ln θ + y ln(1−θ), −∞ outside \[0, 1\].
fn ln_binary(x: f64, y: f64, theta: f64) -> f64 {
    if !(0.0..=1.0).contains(&theta) {
        return f64::NEG_INFINITY;
    }
    times_ln(x, theta) + if y == 0.0 { 0.0 } else { y * (-theta).ln_1p() }
}

impl Distribution<DVector<f64>> for BetaBernoulli {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        let (a, b) = self.shapes();
        // The shapes are positive, which is all that is asked for.
        DVector::from_element(1, rand_distr::Beta::new(a, b).map_or(f64::NAN, |beta| beta.sample(rng)))
    }
}

/// The numbers of ones and zeros.
fn ones_and_zeros(data: &Counts) -> Result<(f64, f64)> {
    if data.largest > 1 {
        let domain = "0 or 1; a count of events is Poisson, for which take GammaPoisson";
        return Err(Error::Domain {
            what: "the largest outcome of a Bernoulli variable",
            value: data.largest as f64,
            domain,
        });
    }
    Ok((data.sum as f64, (data.count - data.sum) as f64))
}

impl Conjugate for BetaBernoulli {
    type Data = Counts;
    type Predictive = Univariate<Bernoulli>;

    fn posterior(&self, data: &Counts) -> Result<Self> {
        let ((a, b), (ones, zeros)) = (self.shapes(), ones_and_zeros(data)?);
        Self::new(a + ones, b + zeros)
    }

    fn predictive(&self) -> Result<Univariate<Bernoulli>> {
        let (a, b) = self.shapes();
        Ok(Univariate(Bernoulli::new(1.0 / (1.0 + b / a))?))
    }

    /// n₁ ln θ + n₀ ln(1−θ)
    fn ln_likelihood(&self, theta: &DVector<f64>, data: &Counts) -> Result<f64> {
        check_parameter(1, theta)?;
        let (ones, zeros) = ones_and_zeros(data)?;
        Ok(ln_binary(ones, zeros, theta[0]))
    }

    fn ln_evidence(&self, data: &Counts) -> Result<f64> {
        let ((a, b), (ones, zeros)) = (self.shapes(), ones_and_zeros(data)?);
        finite_evidence(ln_beta(a + ones, b + zeros) - ln_beta(a, b))
    }

    /// (a−1)/(a+b−2)
    fn mode(&self) -> Result<DVector<f64>> {
        let (a, b) = self.shapes();
        for (what, shape) in
            [("the shape a of a beta density's maximum", a), ("the shape b of a beta density's maximum", b)]
        {
            if shape < 1.0 {
                let domain = "at least 1: below, the density grows without bound at an end of [0, 1]; observe more, or take the mean";
                return Err(Error::Domain { what, value: shape, domain });
            }
        }
        if a == 1.0 && b == 1.0 {
            let domain = "above 2: with a = b = 1 the density is constant and every θ a maximum";
            return Err(Error::Domain { what: "the sum of a beta density's shapes", value: 2.0, domain });
        }
        Ok(DVector::from_element(1, 1.0 / (1.0 + (b - 1.0) / (a - 1.0))))
    }
}

/// The rate θ of events: θ is gamma with shape α and rate β, and x | θ is Poisson with mean θ.
///
/// After N counts the posterior is gamma with α + Σx and β + N; the predictive is negative binomial, P(x) = Γ(α+x)/(Γ(α) x!) pᵅ (1−p)ˣ
/// with p = β/(β+1), and the evidence βᵅ / (β+N)^(α+Σx) · Γ(α+Σx)/Γ(α) / Π x!.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prior = GammaPoisson::new(2.0, 1.0)?;
/// let data = Counts::from_rows(&dmatrix![2.0; 0.0; 3.0])?;
/// let posterior = prior.posterior(&data)?;
/// assert_eq!(posterior, GammaPoisson::new(7.0, 4.0)?);
/// assert_eq!(posterior.mode()?[0], 1.5);
/// assert!((posterior.predictive()?.pdf(&dvector![0.0])? - 0.8_f64.powi(7)).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bernardo and Smith (1994), *Bayesian Theory*, appendix A.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaPoisson(Gamma);

impl GammaPoisson {
    /// The prior with shape α and rate β.
    ///
    /// # Errors
    /// [`Error::Domain`] unless both are positive and at most 1e300.
    pub fn new(shape: f64, rate: f64) -> Result<Self> {
        Ok(Self(Gamma::new(positive("the prior's shape α", shape)?, positive("the prior's rate β", rate)?)?))
    }

    /// The distribution of θ.
    pub fn distribution(&self) -> &Gamma {
        &self.0
    }
}

impl Density for GammaPoisson {
    fn dim(&self) -> usize {
        1
    }

    /// α ln β − ln Γ(α) + (α−1) ln θ − βθ; −∞ for θ < 0.
    ///
    /// # Errors
    /// [`Error::Shape`] unless θ has length 1, [`Error::NotFinite`].
    fn ln_pdf(&self, theta: &DVector<f64>) -> Result<f64> {
        check_parameter(1, theta)?;
        let (shape, rate) = (self.0.shape(), self.0.rate());
        Ok(shape * rate.ln() - ln_gamma(shape) + ln_power(shape - 1.0, rate, theta[0]))
    }
}

/// x ln θ − yθ, −∞ for θ < 0.
fn ln_power(x: f64, y: f64, theta: f64) -> f64 {
    if theta < 0.0 { f64::NEG_INFINITY } else { times_ln(x, theta) - y * theta }
}

impl Distribution<DVector<f64>> for GammaPoisson {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
        DVector::from_element(1, gamma(self.0.shape(), rng) / self.0.rate())
    }
}

impl Conjugate for GammaPoisson {
    type Data = Counts;
    type Predictive = Univariate<NegativeBinomial>;

    fn posterior(&self, data: &Counts) -> Result<Self> {
        Self::new(self.0.shape() + data.sum as f64, self.0.rate() + data.count as f64)
    }

    fn predictive(&self) -> Result<Univariate<NegativeBinomial>> {
        Ok(Univariate(NegativeBinomial::new(self.0.shape(), 1.0 / (1.0 + 1.0 / self.0.rate()))?))
    }

    /// Σx ln θ − Nθ − Σ ln x!
    fn ln_likelihood(&self, theta: &DVector<f64>, data: &Counts) -> Result<f64> {
        check_parameter(1, theta)?;
        Ok(ln_power(data.sum as f64, data.count as f64, theta[0]) - data.ln_factorials)
    }

    fn ln_evidence(&self, data: &Counts) -> Result<f64> {
        let (shape, rate) = (self.0.shape(), self.0.rate());
        let (sum, n) = (data.sum as f64, data.count as f64);
        let rates = -shape * (n / rate).ln_1p() - sum * (rate + n).ln();
        finite_evidence(rates + ln_gamma(shape + sum) - ln_gamma(shape) - data.ln_factorials)
    }

    /// (α−1)/β
    fn mode(&self) -> Result<DVector<f64>> {
        let shape = self.0.shape();
        if shape < 1.0 {
            let domain = "at least 1: below, the density grows without bound at 0; observe more, or take the mean";
            return Err(Error::Domain { what: "the shape α of a gamma density's maximum", value: shape, domain });
        }
        let mode = (shape - 1.0) / self.0.rate();
        in_range("the mode of the gamma density", [&mode])?;
        Ok(DVector::from_element(1, mode))
    }
}
