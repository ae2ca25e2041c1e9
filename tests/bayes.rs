//! Claims B1 to B4: each closed form of a conjugate pair against quadrature or linear algebra that shares no code with it, against
//! Monte Carlo with a stated power, and with its mutants refuted by both; the grid, the ascent, the weights and their k̂ against the
//! closed forms; and the properties that hold for all priors and data.

use generative_models::bayes::pareto_k;
use generative_models::check::Report;
use generative_models::error::Error;
use generative_models::num_dual::{Dual2SVec64, DualNum};
use generative_models::prelude::*;
use generative_models::statrs::distribution::{Bernoulli, Beta, Gamma, Normal, Poisson};
use generative_models::statrs::function::gamma::ln_gamma;
use proptest::prelude::*;

#[track_caller]
fn stands(report: Report) {
    assert!(report.stands(), "{report}");
}

/// Holds a closed form against an oracle with an error, and refutes its mutants by the same check.
#[track_caller]
fn holds(claim: &str, name: &str, closed_form: f64, oracle: Quadrature, mutants: &[(&str, f64)]) {
    let error = oracle.error + 1e-12 * oracle.value.abs().max(1.0);
    let check = Exact { claim, name, closed_form, oracle: oracle.value, error, discrepancy: 1e-3 };
    stands(check.check());
    for (mutant, closed_form) in mutants {
        let report = Exact { closed_form: *closed_form, ..check.clone() }.expect_refuted();
        assert!(report.stands(), "{mutant}: {report}");
    }
}

/// Holds the evidence, as a fraction of the largest likelihood, against the mean likelihood of draws from the prior. That lies between 0
/// and 1, so that Hoeffding's bound holds at every N. A part `noticed` of it is.
#[track_caller]
fn plain_monte_carlo<P: Conjugate<Data: Sync> + Sync>(
    name: &str,
    prior: &P,
    data: &P::Data,
    likeliest: &DVector<f64>,
    noticed: f64,
    mutants: &[(&str, f64)],
) {
    let largest = prior.ln_likelihood(likeliest, data).unwrap();
    let fraction = |ln_evidence: f64| (ln_evidence - largest).exp();
    let closed_form = fraction(prior.ln_evidence(data).unwrap());
    let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: noticed * closed_form };
    let bound = Bound::Hoeffding { lower: 0.0, upper: 1.0 };
    let samples = bound.min_samples(power).unwrap();
    let check = MonteCarlo { claim: "B4", name, closed_form, bound, power, samples };
    let sample = |rng: &mut Generator| fraction(prior.ln_likelihood(&prior.sample(rng), data).unwrap());
    stands(check.check(sample));
    for (mutant, ln_evidence) in mutants {
        let report = MonteCarlo { closed_form: fraction(*ln_evidence), ..check.clone() }.expect_refuted(sample);
        assert!(report.stands(), "{mutant}: {report}");
    }
}

/// ln of an integral relative to exp(peak).
fn plus(peak: f64, integral: Quadrature) -> Quadrature {
    let ln = integral.ln().unwrap();
    Quadrature { value: peak + ln.value, ..ln }
}

fn normal_pdf(x: f64, mean: f64, variance: f64) -> f64 {
    (-0.5 * (x - mean).powi(2) / variance).exp() / (2.0 * PI * variance).sqrt()
}

fn one(x: f64) -> DVector<f64> {
    dvector![x]
}

// Beta and Bernoulli

const TRIALS: [f64; 10] = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0];

fn coins() -> (BetaBernoulli, Counts) {
    let data = Counts::from_rows(&DMatrix::from_column_slice(10, 1, &TRIALS)).unwrap();
    assert_eq!(data, Counts::of_trials(7, 10).unwrap());
    (BetaBernoulli::new(2.5, 1.5).unwrap(), data)
}

/// ∫ f(θ) p(θ) Π p(xₙ | θ) dθ from the densities of statrs, trial by trial.
fn coin_integral(f: impl Fn(f64) -> f64) -> Quadrature {
    let prior = Beta::new(2.5, 1.5).unwrap();
    let likelihood = |theta: f64| {
        let p = Bernoulli::new(theta).unwrap();
        TRIALS.iter().map(|&x| p.pmf(x as u64)).product::<f64>()
    };
    integrate(0.0, 1.0, 1e-14, |theta| f(theta) * prior.pdf(theta) * likelihood(theta)).unwrap()
}

#[test]
fn beta_bernoulli() {
    let (prior, data) = coins();
    let with = |a, b, successes, trials| {
        let data = Counts::of_trials(successes, trials).unwrap();
        BetaBernoulli::new(a, b).unwrap().ln_evidence(&data).unwrap()
    };
    let right = prior.ln_evidence(&data).unwrap();
    let ln_binomial = 120.0_f64.ln();
    let mutants = [
        ("× 1.01", 1.01 * right),
        ("swapped", with(1.5, 2.5, 7, 10)),
        ("zeros for ones", with(2.5, 1.5, 3, 10)),
        ("the number of successes for their sequence", right + ln_binomial),
        ("trials for failures", with(2.5, 1.5, 7, 17)),
        ("prior dropped", with(1.0, 1.0, 7, 10)),
    ];
    holds("B4", "beta–Bernoulli, evidence", right, plus(0.0, coin_integral(|_| 1.0)), &mutants);
    plain_monte_carlo("beta–Bernoulli, evidence", &prior, &data, &one(0.7), 0.02, &mutants);
    // ∫ θ³(1−θ)⁷ dθ = 3! 7! / 11!
    assert!((with(1.0, 1.0, 3, 10) + 1320.0_f64.ln()).abs() < 1e-13);

    let z = coin_integral(|_| 1.0).value;
    let moment = |f: &dyn Fn(f64) -> f64| {
        let integral = coin_integral(f);
        Quadrature { value: integral.value / z, error: 2.0 * integral.error / z }
    };
    let posterior = prior.posterior(&data).unwrap();
    let mean = |p: &BetaBernoulli| p.distribution().mean().unwrap();
    let swapped = BetaBernoulli::new(1.5, 2.5).unwrap().posterior(&data).unwrap();
    let wrong = [("maximum likelihood", 0.7), ("swapped", mean(&swapped)), ("maximum", posterior.mode().unwrap()[0])];
    holds("B1", "beta–Bernoulli, posterior mean", mean(&posterior), moment(&|t| t), &wrong);
    for theta in [0.2, 0.5, 0.68, 0.9] {
        let joint = Beta::new(2.5, 1.5).unwrap().pdf(theta) * theta.powi(7) * (1.0 - theta).powi(3);
        let oracle = Quadrature { value: joint / z, error: 1e-9 };
        let prior = prior.pdf(&one(theta)).unwrap();
        holds(
            "B1",
            "beta–Bernoulli, posterior density",
            posterior.pdf(&one(theta)).unwrap(),
            oracle,
            &[("prior", prior)],
        );
    }
    let next = posterior.predictive().unwrap();
    holds(
        "B1",
        "beta–Bernoulli, predictive",
        next.pdf(&one(1.0)).unwrap(),
        moment(&|t| t),
        &[("maximum likelihood", 0.7)],
    );
}

// Gamma and Poisson

const GOALS: [f64; 6] = [2.0, 0.0, 3.0, 1.0, 5.0, 2.0];

fn goals() -> (GammaPoisson, Counts) {
    let data = Counts::from_rows(&DMatrix::from_column_slice(6, 1, &GOALS)).unwrap();
    (GammaPoisson::new(3.0, 2.0).unwrap(), data)
}

fn goal_integral(f: impl Fn(f64) -> f64) -> Quadrature {
    let prior = Gamma::new(3.0, 2.0).unwrap();
    let likelihood = |theta: f64| {
        let p = Poisson::new(theta).unwrap();
        GOALS.iter().map(|&x| p.pmf(x as u64)).product::<f64>()
    };
    integrate(0.0, 40.0, 1e-16, |theta| f(theta) * prior.pdf(theta) * likelihood(theta)).unwrap()
}

#[test]
fn gamma_poisson() {
    let (prior, data) = goals();
    let (alpha, beta, sum, n) = (3.0_f64, 2.0_f64, 13.0_f64, 6.0_f64);
    let ln_factorials = GOALS.iter().map(|&x| ln_gamma(x + 1.0)).sum::<f64>();
    let formula = |alpha: f64, beta: f64, sum: f64, n: f64| {
        alpha * beta.ln() - (alpha + sum) * (beta + n).ln() + ln_gamma(alpha + sum) - ln_gamma(alpha) - ln_factorials
    };
    let right = prior.ln_evidence(&data).unwrap();
    assert!((right - formula(alpha, beta, sum, n)).abs() < 1e-12);
    let mutants = [
        ("× 1.01", 1.01 * right),
        ("swapped", formula(beta, alpha, sum, n)),
        ("N for N−1", formula(alpha, beta, sum, n - 1.0)),
        ("scale for rate", formula(alpha, 1.0 / beta, sum, n)),
        ("factorials dropped", right + ln_factorials),
        ("mean for sum", formula(alpha, beta, sum / n, n)),
    ];
    holds("B4", "gamma–Poisson, evidence", right, plus(0.0, goal_integral(|_| 1.0)), &mutants);
    plain_monte_carlo("gamma–Poisson, evidence", &prior, &data, &one(13.0 / 6.0), 0.02, &mutants);

    let z = goal_integral(|_| 1.0).value;
    let moment = |f: &dyn Fn(f64) -> f64| {
        let integral = goal_integral(f);
        Quadrature { value: integral.value / z, error: 2.0 * integral.error / z }
    };
    let posterior = prior.posterior(&data).unwrap();
    assert_eq!(posterior, GammaPoisson::new(16.0, 8.0).unwrap());
    let wrong = [("maximum likelihood", 13.0 / 6.0), ("N dropped", 8.0), ("the mode", 15.0 / 8.0)];
    holds("B1", "gamma–Poisson, posterior mean", 2.0, moment(&|t| t), &wrong);
    for x in [0_u64, 1, 2, 7] {
        let oracle = moment(&|t| Poisson::new(t).unwrap().pmf(x));
        let plug_in = Poisson::new(2.0).unwrap().pmf(x);
        let predictive = posterior.predictive().unwrap().pdf(&one(x as f64)).unwrap();
        holds("B1", "gamma–Poisson, predictive", predictive, oracle, &[("Poisson at the posterior mean", plug_in)]);
    }
}

// Normal with unknown mean and variance

const LENGTHS: [f64; 5] = [1.2, -0.4, 2.9, 0.7, 1.8];

fn lengths() -> (NormalInverseGamma, GaussianStats) {
    let data = GaussianStats::from_rows(&DMatrix::from_column_slice(5, 1, &LENGTHS)).unwrap();
    (NormalInverseGamma::new(0.5, 2.0, 3.0, 2.5).unwrap(), data)
}

/// ∫∫ f(μ, σ²) p(σ²) p(μ | σ²) Π p(xₙ | μ, σ²) dμ dσ² from the definitions, with v = e^u for σ².
fn length_integral(f: impl Fn(f64, f64) -> f64) -> Quadrature {
    let (alpha, beta) = (3.0, 2.5_f64);
    integrate(-6.0, 8.0, 1e-13, |u: f64| {
        let v = u.exp();
        let inverse_gamma = beta.powf(alpha) / 2.0 * v.powf(-alpha - 1.0) * (-beta / v).exp();
        let sd = v.sqrt();
        integrate(0.8 - 14.0 * sd, 0.8 + 14.0 * sd, 1e-15, |mu| {
            let likelihood = LENGTHS.iter().map(|&x| normal_pdf(x, mu, v)).product::<f64>();
            f(mu, v) * v * inverse_gamma * normal_pdf(mu, 0.5, v / 2.0) * likelihood
        })
    })
    .unwrap()
}

#[test]
fn normal_inverse_gamma() {
    let (prior, data) = lengths();
    let right = prior.ln_evidence(&data).unwrap();
    let with =
        |m, kappa, alpha, beta| NormalInverseGamma::new(m, kappa, alpha, beta).unwrap().ln_evidence(&data).unwrap();
    let post = prior.posterior(&data).unwrap();
    let mutants = [
        ("× 1.01", 1.01 * right),
        ("½ dropped before N ln 2π", right - 2.5 * (2.0 * PI).ln()),
        ("counts dropped", right - 0.5 * (prior.count() / post.count()).ln()),
        ("the counts' ratio upside down", right - (prior.count() / post.count()).ln()),
        ("mean dropped", with(0.0, 2.0, 3.0, 2.5)),
        ("shape and rate swapped", with(0.5, 2.0, 2.5, 3.0)),
        ("scale for rate", with(0.5, 2.0, 3.0, 1.0 / 2.5)),
        ("½ dropped before N in the shape", right + ln_gamma(post.shape() + 2.5) - ln_gamma(post.shape())),
    ];
    holds("B4", "normal–inverse-gamma, evidence", right, plus(0.0, length_integral(|_, _| 1.0)), &mutants);
    let likeliest = dvector![data.mean()[0], data.scatter()[0] / 5.0];
    plain_monte_carlo("normal–inverse-gamma, evidence", &prior, &data, &likeliest, 0.02, &mutants);

    let z = length_integral(|_, _| 1.0).value;
    let moment = |f: &dyn Fn(f64, f64) -> f64| {
        let integral = length_integral(f);
        Quadrature { value: integral.value / z, error: 2.0 * integral.error / z }
    };
    holds("B1", "posterior mean of μ", post.mean(), moment(&|mu, _| mu), &[("x̄", data.mean()[0])]);
    let variance = |p: &NormalInverseGamma| p.rate() / (p.shape() - 1.0);
    let without_shift =
        NormalInverseGamma::new(0.0, 1.0, post.shape(), prior.rate() + 0.5 * data.scatter()[0]).unwrap();
    let wrong = [("mean's part dropped", variance(&without_shift)), ("mode", post.mode().unwrap()[1])];
    holds("B1", "posterior mean of σ²", variance(&post), moment(&|_, v| v), &wrong);
    let spread = moment(&|mu, _| (mu - post.mean()).powi(2));
    let marginal = post.marginal_mean().unwrap();
    let t = |p: &Univariate<_>| generative_models::statrs::statistics::Distribution::variance(&p.0).unwrap();
    let wrong = [("one more observation's", t(&post.predictive().unwrap()))];
    holds("B1", "posterior variance of μ", t(&marginal), spread, &wrong);
    for x in [-2.0, 0.3, 1.0, 5.0] {
        let oracle = moment(&|mu, v| normal_pdf(x, mu, v));
        let plug_in = normal_pdf(x, post.mean(), variance(&post));
        let predictive = post.predictive().unwrap().pdf(&one(x)).unwrap();
        holds(
            "B1",
            "normal–inverse-gamma, predictive",
            predictive,
            oracle,
            &[("a normal with the mean of σ²", plug_in)],
        );
    }
}

// The mean of a normal with known covariance

struct Means {
    prior: NormalMean,
    x: DMatrix<f64>,
    data: GaussianStats,
}

/// Three dimensions, four observations; no determinant is 1 and no mean zero.
fn means() -> Means {
    let s0 = dmatrix![2.0, 0.6, -0.3; 0.6, 1.5, 0.2; -0.3, 0.2, 0.8];
    let sigma = dmatrix![1.0, -0.4, 0.1; -0.4, 3.0, 0.5; 0.1, 0.5, 0.6];
    let prior = NormalMean::new(Gaussian::new(dvector![1.0, -0.5, 2.0], s0).unwrap(), sigma).unwrap();
    let x = dmatrix![0.3, 1.2, 1.0; 2.5, -2.0, 1.7; -0.6, 0.8, 3.0; 1.1, 0.1, 2.2];
    Means { prior, data: GaussianStats::from_rows(&x).unwrap(), x }
}

/// ln N(x; mean, covariance) by determinant and inverse.
fn ln_normal(x: &DVector<f64>, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> f64 {
    let r = x - mean;
    let square = r.dot(&(covariance.clone().try_inverse().unwrap() * &r));
    -0.5 * (x.len() as f64 * (2.0 * PI).ln() + covariance.determinant().ln() + square)
}

/// All observations as one long vector, which is normal: its mean, and its covariance I ⊗ Σ + 11ᵀ ⊗ S₀.
fn stacked(prior: &NormalMean, x: &DMatrix<f64>) -> (DVector<f64>, DVector<f64>, DMatrix<f64>) {
    let (n, d) = x.shape();
    let p = prior.distribution();
    let long = DVector::from_fn(n * d, |k, _| x[(k / d, k % d)]);
    let mean = DVector::from_fn(n * d, |k, _| p.mean()[k % d]);
    let covariance = DMatrix::from_fn(n * d, n * d, |k, l| {
        let noise = if k / d == l / d { prior.covariance()[(k % d, l % d)] } else { 0.0 };
        p.covariance()[(k % d, l % d)] + noise
    });
    (long, mean, covariance)
}

#[test]
fn normal_mean_evidence() {
    let Means { prior, x, data } = means();
    let right = prior.ln_evidence(&data).unwrap();
    let (long, mean, covariance) = stacked(&prior, &x);
    let oracle = Quadrature { value: ln_normal(&long, &mean, &covariance), error: 1e-11 };
    let (p, sigma) = (prior.distribution(), prior.covariance().clone());
    let ln_det = sigma.determinant().ln();
    let with = |p: Gaussian, sigma: DMatrix<f64>| NormalMean::new(p, sigma).unwrap().ln_evidence(&data).unwrap();
    let noise = Gaussian::new(p.mean().clone(), sigma.clone()).unwrap();
    let single = Gaussian::new(p.mean().clone(), p.covariance() + &sigma).unwrap();
    let mutants = [
        ("× 1.01", 1.01 * right),
        ("½ dropped", 2.0 * right),
        ("d dropped", right + 0.5 * 4.0 * 2.0 * (2.0 * PI).ln()),
        ("swapped", with(noise.clone(), p.covariance().clone())),
        ("sign of ln det", right + 4.0 * ln_det),
        ("mean dropped", with(Gaussian::new(DVector::zeros(3), p.covariance().clone()).unwrap(), sigma)),
        ("N for N−1", right + 0.5 * (3.0 * (2.0 * PI).ln() + ln_det)),
        ("the prior a point", noise.ln_likelihood_of(&data).unwrap()),
        ("a mean for each observation", single.ln_likelihood_of(&data).unwrap()),
    ];
    holds("B4", "normal mean, evidence", right, oracle, &mutants);
    plain_monte_carlo("normal mean, evidence", &prior, &data, &data.mean().clone(), 0.1, &mutants);
}

#[test]
fn normal_mean_on_the_line_by_quadrature() {
    let prior = NormalMean::new(Gaussian::univariate(0.5, 0.7).unwrap(), dmatrix![2.0]).unwrap();
    let data = GaussianStats::from_rows(&DMatrix::from_column_slice(5, 1, &LENGTHS)).unwrap();
    let integral = |f: &dyn Fn(f64) -> f64| {
        integrate(-12.0, 14.0, 1e-16, |mu| {
            f(mu) * normal_pdf(mu, 0.5, 0.7) * LENGTHS.iter().map(|&x| normal_pdf(x, mu, 2.0)).product::<f64>()
        })
        .unwrap()
    };
    let z = integral(&|_| 1.0);
    let moment = |f: &dyn Fn(f64) -> f64| {
        let integral = integral(f);
        Quadrature { value: integral.value / z.value, error: (integral.error + z.error) / z.value }
    };
    holds("B4", "normal mean on the line, evidence", prior.ln_evidence(&data).unwrap(), plus(0.0, z), &[]);
    let posterior = prior.posterior(&data).unwrap();
    let mean = posterior.mode().unwrap()[0];
    // Precisions 1/0.7 and 5/2.
    let weight = 2.5 / (2.5 + 1.0 / 0.7);
    let wrong = [
        ("x̄", data.mean()[0]),
        ("prior mean dropped", weight * data.mean()[0]),
        ("weights swapped", weight * 0.5 + (1.0 - weight) * data.mean()[0]),
    ];
    holds("B1", "normal mean, posterior mean", mean, moment(&|mu| mu), &wrong);
    let wrong =
        [("prior dropped", 0.4), ("precision for variance", 2.5 + 1.0 / 0.7), ("N for N−1", 1.0 / (2.0 + 1.0 / 0.7))];
    let variance = posterior.distribution().covariance()[0];
    holds("B1", "normal mean, posterior variance", variance, moment(&|mu| (mu - mean).powi(2)), &wrong);
    let predictive = posterior.predictive().unwrap();
    for x in [-1.0, 1.0, 4.0] {
        let oracle = moment(&|mu| normal_pdf(x, mu, 2.0));
        let wrong = [("noise alone", normal_pdf(x, mean, 2.0)), ("posterior alone", normal_pdf(x, mean, variance))];
        holds("B1", "normal mean, predictive", predictive.pdf(&one(x)).unwrap(), oracle, &wrong);
    }
}

#[test]
fn normal_mean_posterior_is_the_information_form() {
    let Means { prior, data, .. } = means();
    let inverse = |m: &DMatrix<f64>| m.clone().try_inverse().unwrap();
    let (p, sigma) = (prior.distribution(), prior.covariance());
    let covariance = inverse(&(inverse(p.covariance()) + inverse(sigma) * 4.0));
    let mean = &covariance * (inverse(p.covariance()) * p.mean() + inverse(sigma) * data.mean() * 4.0);
    let found = prior.posterior(&data).unwrap().distribution().clone();
    let check = Exact {
        claim: "B1",
        name: "S",
        closed_form: found.covariance(),
        oracle: &covariance,
        error: 1e-13,
        discrepancy: 1e-4,
    };
    stands(check.check());
    let fewer = inverse(&(inverse(p.covariance()) + inverse(sigma) * 3.0));
    stands(Exact { closed_form: &fewer, ..check }.expect_refuted());
    let check =
        Exact { claim: "B1", name: "m", closed_form: found.mean(), oracle: &mean, error: 1e-13, discrepancy: 1e-4 };
    stands(check.check());
    stands(Exact { closed_form: data.mean(), ..check }.expect_refuted());
}

#[test]
fn a_vague_prior_costs_no_digits() {
    // With S₀ = s I and Σ = I all is known: m = N x̄ s/(Ns + 1), S = s/(Ns + 1).
    let Means { data, .. } = means();
    for ln_scale in [-60.0, -20.0, 0.0, 20.0, 60.0, 300.0_f64] {
        let s = ln_scale.exp();
        let prior = NormalMean::new(
            Gaussian::new(DVector::zeros(3), DMatrix::identity(3, 3) * s).unwrap(),
            DMatrix::identity(3, 3),
        );
        let posterior = prior.as_ref().unwrap().posterior(&data).unwrap();
        let shrunk = 1.0 / (4.0 + 1.0 / s);
        let distribution = posterior.distribution();
        for i in 0..3 {
            assert!((distribution.covariance()[(i, i)] / shrunk - 1.0).abs() < 1e-14);
            assert!((distribution.mean()[i] / (4.0 * data.mean()[i] * shrunk) - 1.0).abs() < 1e-14);
        }
        // −½ (Nd ln 2π + tr S + N d-variate terms), the prior's spread in ln det and in what it explains.
        let explained = data.scatter().trace() + data.mean().norm_squared() * 4.0 / (4.0 * s + 1.0);
        let expected = -0.5 * (12.0 * (2.0 * PI).ln() + explained + 3.0 * (4.0 * s).ln_1p());
        assert!((prior.unwrap().ln_evidence(&data).unwrap() / expected - 1.0).abs() < 1e-14, "{ln_scale}");
    }
}

#[test]
fn priors_integrate_to_one_and_samples_follow_them() {
    let line = |p: &dyn Fn(f64) -> f64, a, b| integrate(a, b, 1e-11, p).unwrap();
    let unit = |name, q| holds("B1", name, 1.0, q, &[]);
    let (coin, goal, both) = (coins().0, goals().0, lengths().0);
    unit("∫ beta", line(&|t| coin.pdf(&one(t)).unwrap(), 0.0, 1.0));
    unit("∫ gamma", line(&|t| goal.pdf(&one(t)).unwrap(), 0.0, 60.0));
    let inner = |u: f64| {
        let v = u.exp();
        integrate(0.5 - 12.0 * v.sqrt(), 0.5 + 12.0 * v.sqrt(), 1e-11, |mu| both.pdf(&dvector![mu, v]).map(|p| p * v))
    };
    unit("∫∫ normal–inverse-gamma", integrate(-4.0, 12.0, 1e-8, inner).unwrap());
    // Samplers against distribution functions that they do not use.
    let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.01 };
    let samples = Bound::Massart.min_samples(power).unwrap();
    let follows = |name, cdf: &dyn Fn(f64) -> f64, sample: &(dyn Fn(&mut Generator) -> f64 + Sync)| {
        stands(DistributionFunction { claim: "B1", name, closed_form: cdf, power, samples }.check(sample));
    };
    follows("beta", &|t| coin.distribution().cdf(t), &|rng| coin.sample(rng)[0]);
    follows("gamma", &|t| goal.distribution().cdf(t), &|rng| goal.sample(rng)[0]);
    let t = both.marginal_mean().unwrap().0;
    follows("normal–inverse-gamma, μ", &|x| t.cdf(x), &|rng| both.sample(rng)[0]);
    let precision = Gamma::new(3.0, 2.5).unwrap();
    follows("normal–inverse-gamma, σ²", &|v| 1.0 - precision.cdf(1.0 / v), &|rng| both.sample(rng)[1]);
    let wrong = DistributionFunction {
        claim: "B1",
        name: "σ² by scale",
        closed_form: |v: f64| 1.0 - Gamma::new(3.0, 0.4).unwrap().cdf(1.0 / v),
        power,
        samples,
    };
    stands(wrong.expect_refuted(|rng| both.sample(rng)[1]));
    // Data of the model, drawn θ and all, follow the predictive.
    let predictive = goal.predictive().unwrap().0;
    let two_stage = |rng: &mut Generator| Univariate(Poisson::new(goal.sample(rng)[0]).unwrap()).sample(rng);
    for k in 0..5_u64 {
        let bound = Bound::Hoeffding { lower: 0.0, upper: 1.0 };
        let name = format!("predictive at {k}");
        let samples = bound.min_samples(power).unwrap();
        let check = MonteCarlo { claim: "B1", name: &name, closed_form: predictive.pmf(k), bound, power, samples };
        stands(check.check(|rng| f64::from(two_stage(rng) == k as f64)));
    }
}

// The posterior on a grid

#[test]
fn grids_give_the_closed_forms() {
    let (prior, data) = goals();
    let grid = GridPosterior::new(&[(0.0..12.0, 600)], |theta| prior.ln_joint(theta, &data)).unwrap();
    let found = grid.ln_evidence();
    assert!(found.error < 1e-10 && grid.edge_mass() < 1e-10, "{found:?} {}", grid.edge_mass());
    holds("B4", "gamma–Poisson, evidence by the grid", prior.ln_evidence(&data).unwrap(), found, &[]);
    // Gamma(16, 8)
    let close = |x: f64, y: f64| assert!((x - y).abs() < 1e-9, "{x} {y}");
    close(grid.mean()[0], 2.0);
    close(grid.covariance()[0], 0.25);
    assert!((grid.mode()[0] - 15.0 / 8.0).abs() <= 0.01);
    close(grid.expectation(|_| 1.0), 1.0);

    let (prior, data) = lengths();
    let post = prior.posterior(&data).unwrap();
    let axes = [(-5.0..7.0, 240), (1e-3..40.0, 2000)];
    let grid = GridPosterior::new(&axes, |theta| prior.ln_joint(theta, &data)).unwrap();
    // The tails are those of Student's t and an inverse gamma: what lies outside is the larger part of the error.
    let truncated = grid.edge_mass();
    assert!(truncated < 1e-5);
    let evidence = grid.ln_evidence();
    assert!((evidence.value - prior.ln_evidence(&data).unwrap()).abs() <= evidence.error + 1e3 * truncated);
    assert!((grid.mean()[0] - post.mean()).abs() < 1e-4);
    assert!((grid.marginal(1).unwrap().mean()[0] - grid.mean()[1]).abs() < 1e-12);
    let mode = post.mode().unwrap();
    assert!((grid.mode()[0] - mode[0]).abs() <= 0.025 && (grid.mode()[1] - mode[1]).abs() <= 0.01);
    // The t of μ, with σ² summed out.
    let frame = grid.marginal(0).unwrap().frame(&["μ"]).unwrap();
    let rows = data::matrix(&frame, &["μ", "density"]).unwrap();
    let t = post.marginal_mean().unwrap();
    for row in rows.row_iter() {
        assert!((t.pdf(&one(row[0])).unwrap() - row[1]).abs() < 1e-3 * t.pdf(&one(post.mean())).unwrap());
    }
}

#[test]
fn a_grid_tells_its_error() {
    let (prior, data) = goals();
    let truth = prior.ln_evidence(&data).unwrap();
    let ln_joint = |theta: &DVector<f64>| prior.ln_joint(theta, &data);
    // Too coarse: the change from half as many cells is larger than the error.
    for cells in [4, 6, 10, 16, 30] {
        let grid = GridPosterior::new(&[(0.0..12.0, cells)], ln_joint).unwrap();
        let Quadrature { value, error } = grid.ln_evidence();
        assert!((value - truth).abs() <= error, "{cells}: {value} {error} {truth}");
    }
    // Too narrow: the outermost cells hold mass, and no refinement tells.
    let narrow = GridPosterior::new(&[(1.5..2.5, 400)], ln_joint).unwrap();
    assert!((narrow.ln_evidence().value - truth).abs() > 0.2 && narrow.ln_evidence().error < 1e-4);
    assert!(narrow.edge_mass() > 1e-3);
    // A frame of two axes is what a heat map draws.
    let grid = GridPosterior::new(&[(-1.0..1.0, 3), (0.0..1.0, 2)], |theta| -theta.norm_squared()).unwrap();
    let frame = grid.frame(&["x", "y"]).unwrap();
    assert_eq!((frame.shape(), grid.dim()), ((6, 3), 2));
    let rows = data::matrix(&frame, &["x", "y", "density"]).unwrap();
    assert!((rows.column(2).sum() * (2.0 / 3.0) * 0.5 - 1.0).abs() < 1e-14);
    assert!((rows[(1, 0)] + 2.0 / 3.0).abs() < 1e-15 && rows[(1, 1)] == 0.75);
    assert!(Figure::new("grid").heat_map(&frame, "x", "y", "density", &[0.0, 0.3, 0.6, 1.0]).png().is_ok());
}

// The maximum of a posterior

fn ln_joint_of_lengths(theta: &[Dual2SVec64<2>], of_logarithm: bool) -> Dual2SVec64<2> {
    let (mu, v) = if of_logarithm { (theta[0], theta[1].exp()) } else { (theta[0], theta[1]) };
    let square = |x: f64| (mu - x) * (mu - x);
    let prior = -(v.ln() * 4.5) - (square(0.5) * 1.0 + 2.5) / v;
    let likelihood = LENGTHS.iter().map(|&x| -v.ln() * 0.5 - square(x) / v * 0.5);
    let jacobian = if of_logarithm { v.ln() } else { v * 0.0 };
    prior + likelihood.sum::<Dual2SVec64<2>>() + jacobian
}

#[test]
fn the_ascent_finds_the_closed_form() {
    let (prior, data) = lengths();
    let post = prior.posterior(&data).unwrap();
    let mode = post.mode().unwrap();
    for start in [[0.0, 1.0], [5.0, 0.1], [-3.0, 20.0], [mode[0], mode[1]]] {
        let found = maximise(start, 1e-18, |theta| ln_joint_of_lengths(theta.as_slice(), false)).unwrap();
        let error = (&found.at - &mode).amax();
        stands(
            Exact { claim: "B2", name: "MAP", closed_form: &mode, oracle: &found.at, error: 1e-8, discrepancy: 1e-6 }
                .check(),
        );
        assert!(error < 1e-8 && found.path.row(0).iter().zip(start).all(|(x, y)| *x == y));
        // Another parameter, another maximum: the Jacobian is part of the density. In ln σ² it is β/(α + ½).
        let start = [start[0], start[1].ln()];
        let moved = maximise(start, 1e-18, |theta| ln_joint_of_lengths(theta.as_slice(), true)).unwrap();
        let check = Exact {
            claim: "B2",
            name: "MAP in ln σ²",
            closed_form: post.rate() / (post.shape() + 0.5),
            oracle: moved.at[1].exp(),
            error: 1e-8,
            discrepancy: 1e-6,
        };
        stands(check.check());
        stands(Exact { closed_form: mode[1], ..check }.expect_refuted());
    }
    // Laplace's normal has the inverse curvature, here of the normal itself.
    let p = Gaussian::new(dvector![1.0, -2.0], dmatrix![2.0, 0.9; 0.9, 0.5]).unwrap();
    let quadratic = |x: &[Dual2SVec64<2>]| {
        let (u, v) = (x[0] - 1.0, x[1] + 2.0);
        (u * u * 0.5 - u * v * 1.8 + v * v * 2.0) * (-0.5 / (2.0 * 0.5 - 0.81))
    };
    let found = maximise([10.0, 10.0], 1e-20, |x| quadratic(x.as_slice())).unwrap();
    let laplace = found.laplace().unwrap();
    assert!((laplace.covariance() - p.covariance()).amax() < 1e-12 && (laplace.mean() - p.mean()).amax() < 1e-9);
    assert_eq!(found.path.nrows(), 2, "a quadratic takes one step");
}

#[test]
fn the_ascent_climbs_hard_hills() {
    // −(1−x)² − 100 (y−x²)², Rosenbrock's valley upside down.
    let found = maximise([-1.2, 1.0], 1e-20, |t| {
        let (a, b) = (-t[0] + 1.0, t[1] - t[0] * t[0]);
        -(a * a) - b * b * 100.0
    });
    assert!((found.unwrap().at - dvector![1.0, 1.0]).amax() < 1e-8);
    // Convex at the start: ln of a Cauchy density, where plain Newton runs away.
    for start in [0.1, 3.0, -50.0, 1e4] {
        let found = maximise([start], 1e-20, |t| -(t[0] * t[0] + 1.0).ln()).unwrap();
        assert!(found.at[0].abs() < 1e-9, "{start}: {}", found.at);
    }
    // Steps that leave the support are shortened; units do not matter.
    for unit in [1e-8, 1.0, 1e8] {
        let found = maximise([100.0 * unit], 1e-20, |t| (t[0] / unit).ln() * 3.0 - t[0] / unit).unwrap();
        assert!((found.at[0] / unit - 3.0).abs() < 1e-8);
    }
}

#[test]
fn an_ascent_without_a_maximum_says_where_it_ended() {
    let message = |found: generative_models::error::Result<_>| match found {
        Err(error @ Error::NoMaximum { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let linear = message(maximise([0.0], 1e-9, |t| t[0]).map(|m| m.at));
    assert!(linear.contains("after 200 steps") && linear.contains("it still rises"), "{linear}");
    let saddle = message(maximise([0.0, 0.0], 1e-9, |t| t[0] * t[0] - t[1] * t[1]).map(|m| m.at));
    assert!(saddle.contains("θ = [0.0, 0.0]") && saddle.contains("curves upwards"), "{saddle}");
    let flat = message(maximise([1.0, 1.0], 1e-9, |t| -(t[0] * t[0])).map(|m| m.at));
    assert!(flat.contains("flat"), "{flat}");
    let kink = message(maximise([0.3], 1e-9, |t| if t[0].re > 0.0 { -t[0] } else { t[0] }).map(|m| m.at));
    assert!(kink.contains("the ascent found no maximum"), "{kink}");
    let other =
        |found: generative_models::error::Result<generative_models::bayes::Maximum>| found.unwrap_err().to_string();
    assert!(other(maximise([-1.0], 1e-9, |t| t[0].ln())).contains("the log joint density is NaN at θ = [-1.0]"));
    assert!(other(maximise([0.0], 1e-9, |t| t[0].ln())).contains("the log joint density at the start is -inf"));
    assert!(other(maximise([0.0], 0.0, |t| t[0])).contains("the ascent's tolerance is 0"));
    assert!(other(maximise([f64::NAN], 1.0, |t| t[0])).contains("the start holds NaN at entry 0"));
    assert!(other(maximise([], 1.0, |_| 0.0.into())).contains("at least one entry"));
}

// Weights

#[test]
fn weights_estimate_the_evidence_and_their_error() {
    let Means { prior, data, .. } = means();
    let truth = prior.ln_evidence(&data).unwrap();
    let posterior = prior.posterior(&data).unwrap();
    let wide = Gaussian::new(posterior.mode().unwrap(), posterior.distribution().covariance() * 1.5).unwrap();
    // Over 400 runs the standardised errors have mean 0 and variance 1: the standard error is the right one.
    let of = |name: &str, weights: &dyn Fn(&str) -> ImportanceWeights| {
        let mut z = Estimate::default();
        (0..400).for_each(|run| {
            let w = weights(&format!("{name} {run}"));
            // What the logarithm adds by its curvature.
            z.observe((w.ln_evidence() + 0.5 * w.standard_error().powi(2) - truth) / w.standard_error());
        });
        // A mean of 400 is normal with deviation 1/20, a variance of them with √(2/400); six deviations.
        assert!(
            z.mean().abs() < 6.0 / 20.0 && (z.variance() - 1.0).abs() < 6.0 * (2.0_f64 / 400.0).sqrt(),
            "{name}: {z:?}"
        );
    };
    of("plain", &|name| ImportanceWeights::from_prior(name, 4000, &prior, |t| prior.ln_likelihood(t, &data)).unwrap());
    of("wide", &|name| ImportanceWeights::from_proposal(name, 1000, &wide, |t| prior.ln_joint(t, &data)).unwrap());
    // From the posterior itself all weights are the evidence.
    let exact = ImportanceWeights::from_proposal("exact", 1000, &posterior, |t| prior.ln_joint(t, &data)).unwrap();
    assert!((exact.ln_evidence() - truth).abs() < 1e-12 && exact.standard_error() < 1e-13);
    assert!((exact.effective_samples() - 1000.0).abs() < 1e-9 && exact.pareto_k().unwrap() < exact.pareto_k_limit());
    assert!((exact.largest_share() - 1e-3).abs() < 1e-14);
    // For q = N(0, s²) and p = N(0, 1) the second moment of the weights is s²/√(2s² − 1), so ESS/N tends to its inverse.
    let (p, q) = (Gaussian::standard(1).unwrap(), Gaussian::univariate(0.0, 2.0).unwrap());
    let w = ImportanceWeights::from_proposal("second moment", 1_000_000, &q, |t| p.ln_pdf(t)).unwrap();
    let fraction = 3.0_f64.sqrt() / 2.0;
    // The weights lie between 0 and √2, so that the fraction's own error is about 1e-3.
    assert!((w.effective_samples() / 1e6 - fraction).abs() < 6e-3);
    assert!((w.standard_error() - (1.0 / fraction - 1.0).sqrt() / 1e3).abs() < 6e-6);
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads_nor_on_how_many_follow() {
    let (prior, data) = coins();
    let run = |threads, samples| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let ln_likelihood = |theta: &DVector<f64>| prior.ln_likelihood(theta, &data);
        pool.install(|| ImportanceWeights::from_prior("threads", samples, &prior, ln_likelihood).unwrap())
    };
    let one = run(1, 20_000);
    assert_eq!(one, run(3, 20_000));
    assert_eq!(one.ln_weights()[..5000], *run(2, 5000).ln_weights());
    let drawn = draws("threads", 100, |rng| prior.ln_likelihood(&prior.sample(rng), &data).unwrap()).unwrap();
    assert_eq!(drawn[..], one.ln_weights()[..100]);
}

// The Pareto k̂

/// How many of N weights make the tail.
fn tail(n: f64) -> f64 {
    (3.0 * n.sqrt()).ceil()
}

/// What the prior on k makes of a fit.
fn adjusted(k: f64, m: f64) -> f64 {
    (m * k + 5.0) / (m + 10.0)
}

/// The mean k̂ of `runs` sets of weights, and what it may stray from `k` with probability 1e-9: the maximum likelihood fit of a tail of
/// length M has the asymptotic deviation (1 + k)/√M (Smith 1987), and a bias of order 1/M.
fn mean_k(name: &str, n: u64, k: f64, runs: u64, ln_weight: impl Fn(&mut Generator) -> f64 + Sync) -> (f64, f64) {
    let mut found = Estimate::default();
    for run in 0..runs {
        found.observe(pareto_k(&draws(&format!("{name} {run}"), n, &ln_weight).unwrap()).unwrap());
    }
    let m = tail(n as f64);
    (found.mean(), 6.11 * (1.0 + k) / (m * runs as f64).sqrt() + 3.0 / m)
}

#[test]
fn k_of_pareto_tails() {
    let n = 100_000;
    for k in [0.0, 0.3, 0.7, 1.0, 2.0] {
        // w = 1 + (U⁻ᵏ − 1)/k is generalised Pareto from 1 on, and so is what exceeds any threshold.
        let ln_weight = |rng: &mut Generator| {
            let u: f64 = 1.0 - rng.random::<f64>();
            (if k == 0.0 { -u.ln() } else { (u.powf(-k) - 1.0) / k }).ln_1p()
        };
        let (found, error) = mean_k(&format!("Pareto {k}"), n, k, 50, ln_weight);
        let check = Exact {
            claim: "B4",
            name: "k̂",
            closed_form: adjusted(k, tail(n as f64)),
            oracle: found,
            error,
            discrepancy: 0.2,
        };
        stands(check.check());
        stands(Exact { closed_form: adjusted(k + 0.1 * (1.0 + k), tail(n as f64)), ..check.clone() }.expect_refuted());
        stands(Exact { closed_form: adjusted(k - 0.1 * (1.0 + k), tail(n as f64)), ..check }.expect_refuted());
    }
}

/// The shape of the generalised Pareto distribution of maximum likelihood, with the scale profiled by a search over b = −k/σ in nested
/// intervals: no code is shared with the library's fit.
fn most_likely_shape(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let largest = x.iter().copied().fold(0.0, f64::max);
    let k = |b: f64| x.iter().map(|x| (1.0 - b * x).ln()).sum::<f64>() / n;
    let ln_likelihood = |ln_b: f64| (ln_b - k(-ln_b.exp()).ln()) - k(-ln_b.exp()) - 1.0;
    let (mut low, mut high) = ((1e-6 / largest).ln(), (1e6 * n / largest).ln());
    for _ in 0..200 {
        let (a, b) = (low + 0.382 * (high - low), low + 0.618 * (high - low));
        if ln_likelihood(a) < ln_likelihood(b) {
            low = a;
        } else {
            high = b;
        }
    }
    k(-(0.5 * (low + high)).exp())
}

/// The shape of the tail as N draws show it, from the quantiles: `ln_weight` is the log weight that is exceeded with a probability. M of
/// them stand for the tail, or 1000.
fn shape_at(n: f64, ln_weight: impl Fn(f64) -> f64) -> f64 {
    let (share, points) = (tail(n) / n, tail(n).min(1000.0));
    let unit = ln_weight(share);
    let excess = |i: usize| (ln_weight((i as f64 + 0.5) / points * share) - unit).exp_m1();
    most_likely_shape(&(0..points as usize).map(excess).collect::<Vec<f64>>())
}

#[test]
fn k_of_a_proposal_that_is_too_narrow() {
    // k = 1 − s² is the limit. A tail of N draws is that of a smaller k, as the weights' tail is a power times a root of a logarithm.
    let p = Gaussian::standard(1).unwrap();
    let n = 100_000;
    let m = tail(n as f64);
    for s in [0.9, 0.8, 0.7, 0.5, 0.3_f64] {
        let limit = 1.0 - s * s;
        let q = Gaussian::univariate(0.0, s * s).unwrap();
        let ln_weight = |rng: &mut Generator| {
            let x = q.sample(rng);
            p.ln_pdf(&x).unwrap() - q.ln_pdf(&x).unwrap()
        };
        let (found, error) = mean_k(&format!("narrow {s}"), n, limit, 20, ln_weight);
        // w = s exp(½ (1 − s²) z²) for x = s z, and its tail is that of |z|.
        let quantile = |p: f64| 0.5 * limit * Normal::new(0.0, 1.0).unwrap().inverse_cdf(0.5 * p).powi(2);
        let expected = shape_at(n as f64, quantile);
        let check = Exact {
            claim: "B4",
            name: "k̂ of N(0, s²)",
            closed_form: adjusted(expected, m),
            oracle: found,
            error,
            discrepancy: 0.3,
        };
        stands(check.check());
        // The log weight rises with −ln P by (1 − s²) z Φ̄(z)/φ(z), which is above (1 − s²)(1 − 1/z²) (Gordon 1941) from the threshold on:
        // the interval shrinks to the limit as N grows. A Pareto tail by as many quantiles tells what they miss.
        for n in [n as f64, 1e9, 1e100] {
            let z = Normal::new(0.0, 1.0).unwrap().inverse_cdf(0.5 * tail(n) / n);
            let missed = limit - shape_at(n, |p| -limit * p.ln());
            let shape = shape_at(n, quantile) + missed;
            assert!(limit * (1.0 - 1.0 / (z * z)) < shape && shape < limit, "{n:e}: {shape} {limit} {missed}");
        }
    }
    // Too wide costs draws, and no moment: the weights are bounded.
    let wide = Gaussian::univariate(0.0, 4.0).unwrap();
    let w = ImportanceWeights::from_proposal("wide", 100_000, &wide, |x| p.ln_pdf(x)).unwrap();
    assert!(w.pareto_k().unwrap() < 0.1);
}

#[test]
fn k_at_the_ends() {
    let k = |ln_weights: &[f64]| pareto_k(ln_weights);
    let inf = f64::INFINITY;
    assert_eq!(k(&[0.3; 100]).unwrap(), -inf, "no tail");
    let mut few = vec![-inf; 1000];
    few[7] = 0.0;
    assert_eq!(k(&few).unwrap(), inf, "one weight is all");
    let steep: Vec<f64> = (0..1000).map(|i| 100.0 * f64::from(i)).collect();
    assert_eq!(k(&steep).unwrap(), inf);
    // The same weights in other units.
    let weights = draws("units", 1000, |rng| -0.5 * (1.0 - rng.random::<f64>()).ln()).unwrap();
    let shifted: Vec<f64> = weights.iter().map(|ln| ln - 1e5).collect();
    assert!((k(&weights).unwrap() - k(&shifted).unwrap()).abs() < 1e-8);
    let message = |ln_weights: &[f64]| pareto_k(ln_weights).unwrap_err().to_string();
    assert!(message(&[0.0; 24]).contains("the number of weights is 24; it must be at least 25"));
    assert!(message(&[f64::NAN; 50]).contains("a log weight is NaN"));
    assert!(message(&[inf; 50]).contains("a log weight is inf"));
    assert!(message(&[-inf; 50]).contains("all weights are zero"));
    let w = |n| ImportanceWeights::from_prior("limit", n, &Gaussian::standard(1).unwrap(), |_| 0.0).unwrap();
    assert!((w(100).pareto_k_limit() - 0.5).abs() < 1e-15 && w(10_000).pareto_k_limit() == 0.7);
}

// Refusals

#[test]
fn what_makes_no_sense_is_refused_by_value() {
    let message = |error: Error| error.to_string();
    assert!(
        message(BetaBernoulli::new(0.0, 1.0).unwrap_err())
            .contains("the prior's shape a is 0; it must be positive and at most 1e300: an improper prior")
    );
    assert!(message(GammaPoisson::new(1.0, f64::INFINITY).unwrap_err()).contains("the prior's rate β is inf"));
    assert!(message(NormalInverseGamma::new(0.0, -1.0, 1.0, 1.0).unwrap_err()).contains("the prior's count κ is -1"));
    assert!(
        message(NormalInverseGamma::new(f64::NAN, 1.0, 1.0, 1.0).unwrap_err()).contains("the prior's mean holds NaN")
    );
    assert!(
        message(NormalMean::new(Gaussian::standard(2).unwrap(), dmatrix![1.0]).unwrap_err()).contains("expected 2×2")
    );
    for (x, text) in [(-2.0, "-2"), (1.5, "1.5"), (f64::NAN, "NaN"), (1e300, "whole number from 0")] {
        let found = message(Counts::from_rows(&dmatrix![1.0; x]).unwrap_err());
        assert!(found.contains("the count at row 1 is") && found.contains(text), "{found}");
    }
    assert!(message(Counts::of_trials(4, 3).unwrap_err()).contains("the number of successes is 4"));
    assert!(message(Counts::from_rows(&dmatrix![1.0, 2.0]).unwrap_err()).contains("expected length 1, found 2"));
    let (prior, _) = coins();
    let counts = Counts::from_rows(&dmatrix![1.0; 3.0]).unwrap();
    assert!(
        message(prior.posterior(&counts).unwrap_err()).contains("the largest outcome of a Bernoulli variable is 3")
    );
    assert!(message(prior.ln_likelihood(&one(f64::NAN), &Counts::default()).unwrap_err()).contains("NaN at entry 0"));
    assert!(
        message(BetaBernoulli::new(0.5, 2.0).unwrap().mode().unwrap_err()).contains("is 0.5; it must be at least 1")
    );
    assert!(message(BetaBernoulli::new(1.0, 1.0).unwrap().mode().unwrap_err()).contains("every θ a maximum"));
    assert!(message(GammaPoisson::new(0.5, 2.0).unwrap().mode().unwrap_err()).contains("grows without bound at 0"));
    let Means { prior, data, .. } = means();
    assert!(message(prior.posterior(&GaussianStats::empty(2)).unwrap_err()).contains("expected length 3, found 2"));
    assert!(message(lengths().0.posterior(&data).unwrap_err()).contains("expected length 1, found 3"));

    let grid = |axes: &[(std::ops::Range<f64>, usize)], f: fn(f64) -> f64| {
        message(GridPosterior::new(axes, |t| f(t[0])).unwrap_err())
    };
    assert!(
        grid(&[(0.0..1.0, 10)], |_| f64::NEG_INFINITY).contains("the largest log joint density on the grid is -inf")
    );
    assert!(
        grid(&[(0.0..1.0, 10)], |t| if t > 0.5 { f64::NAN } else { 0.0 })
            .contains("the log joint density is NaN at θ = [0.55]")
    );
    assert!(grid(&[(0.0..1.0, 10)], |_| f64::INFINITY).contains("the log joint density is inf at θ = [0.05]"));
    assert!(grid(&[(1.0..0.0, 10)], |_| 0.0).contains("the width of a grid's cell is -0.1"));
    assert!(grid(&[(0.0..1.0, 1)], |_| 0.0).contains("along an axis is 1; it must be at least 2"));
    assert!(grid(&[(0.0..1.0, 0)], |_| 0.0).contains("the width of a grid's cell is inf"));
    assert!(grid(&[(0.0..f64::NAN, 10)], |_| 0.0).contains("the grid's range holds NaN at its end"));
    assert!(
        grid(&vec![(0.0..1.0, 100); 10], |_| 0.0).contains("cells is 100000000000000000000; it must be at most 2²⁷")
    );
    assert!(grid(&[], |_| 0.0).contains("at least one, found none"));

    let p = Gaussian::standard(1).unwrap();
    let weights =
        |n, f: fn(f64) -> f64| message(ImportanceWeights::from_proposal("refused", n, &p, |t| f(t[0])).unwrap_err());
    assert!(weights(100, |_| f64::NEG_INFINITY).contains("the largest log weight is -inf"));
    assert!(weights(100, |t| if t > 1.0 { f64::NAN } else { 0.0 }).contains("the log joint density is NaN at θ = [1."));
    assert!(weights(1, |_| 0.0).contains("the number of draws is 1; it must be at least 2"));
    assert!(weights(u64::MAX, |_| 0.0).contains("fit into memory"));
    let plain = ImportanceWeights::from_prior("refused", 100, &p, |_| f64::INFINITY).unwrap_err();
    assert!(message(plain).contains("the log likelihood is inf at θ"));
    let zero = Quadrature { value: 1e-12, error: 1e-9 };
    assert!(message(zero.ln().unwrap_err()).contains("positive by more than its error"));
    assert!(Quadrature { value: f64::NAN, error: 0.0 }.ln().is_err());
}

// Properties

/// What holds for every pair: sequential updating, evidence that multiplies along any order, and Bayes' formula at every θ.
/// `unit` is the rounding of the log probabilities' own terms.
fn learns<P: Conjugate + Clone>(prior: &P, [a, b, both]: [&P::Data; 3], unit: f64) -> Result<(), TestCaseError> {
    let (first, second) = (prior.posterior(a).unwrap(), prior.posterior(b).unwrap());
    let posterior = prior.posterior(both).unwrap();
    let theta = posterior.sample(&mut rng("learns"));
    let at = |p: &P| p.ln_pdf(&theta).unwrap();
    let bound = unit * (1.0 + at(&posterior).abs());
    for sequential in [first.posterior(b).unwrap(), second.posterior(a).unwrap()] {
        prop_assert!((at(&sequential) - at(&posterior)).abs() <= bound, "{} {}", at(&sequential), at(&posterior));
    }
    let whole = prior.ln_evidence(both).unwrap();
    let bound = unit * (1.0 + whole.abs());
    for parts in [
        prior.ln_evidence(a).unwrap() + first.ln_evidence(b).unwrap(),
        prior.ln_evidence(b).unwrap() + second.ln_evidence(a).unwrap(),
        prior.ln_joint(&theta, both).unwrap() - at(&posterior),
    ] {
        prop_assert!((parts - whole).abs() <= bound + unit * at(&posterior).abs(), "{parts} {whole}");
    }
    Ok(())
}

/// The product of the predictive densities of one row after another is the evidence of all.
fn predicts<P: Conjugate + Clone>(
    prior: &P,
    x: &DMatrix<f64>,
    stats: impl Fn(&DMatrix<f64>) -> P::Data,
    unit: f64,
) -> Result<(), TestCaseError> {
    let (mut belief, mut sum) = (prior.clone(), 0.0);
    for row in x.row_iter() {
        sum += belief.predictive().unwrap().ln_pdf(&row.transpose()).unwrap();
        belief = belief.posterior(&stats(&row.into_owned().resize(1, x.ncols(), 0.0))).unwrap();
    }
    let whole = prior.ln_evidence(&stats(x)).unwrap();
    prop_assert!((sum - whole).abs() <= unit * (1.0 + whole.abs()), "{sum} {whole}");
    Ok(())
}

fn ln_uniform(low: f64, high: f64) -> impl Strategy<Value = f64> {
    (low.ln()..high.ln()).prop_map(f64::exp)
}

fn gaussian_stats(x: &DMatrix<f64>) -> GaussianStats {
    GaussianStats::from_rows(x).unwrap()
}

fn counts(x: &DMatrix<f64>) -> Counts {
    Counts::from_rows(x).unwrap()
}

fn parts<T>(x: &DMatrix<f64>, split: usize, stats: impl Fn(&DMatrix<f64>) -> T) -> [T; 3] {
    let split = split.min(x.nrows());
    [stats(&x.rows(0, split).into_owned()), stats(&x.rows(split, x.nrows() - split).into_owned()), stats(x)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn coins_learn(a in ln_uniform(0.3, 1e4), b in ln_uniform(0.3, 1e4), x in prop::collection::vec(0..2_u8, 0..60), split in 0..60_usize) {
        let x = DMatrix::from_iterator(x.len(), 1, x.into_iter().map(f64::from));
        let prior = BetaBernoulli::new(a, b).unwrap();
        // ln Γ is known to its last places, here of 1e4 ln 1e4.
        let unit = 1e-10;
        let [first, then, both] = parts(&x, split, counts);
        learns(&prior, [&first, &then, &both], unit)?;
        predicts(&prior, &x, counts, unit)?;
    }

    #[test]
    fn events_learn(shape in ln_uniform(1e-2, 1e4), rate in ln_uniform(1e-3, 1e3), x in prop::collection::vec(0..200_u64, 0..40), split in 0..40_usize) {
        let x = DMatrix::from_iterator(x.len(), 1, x.into_iter().map(|x| x as f64));
        let prior = GammaPoisson::new(shape, rate).unwrap();
        let [first, then, both] = parts(&x, split, counts);
        learns(&prior, [&first, &then, &both], 1e-10)?;
        predicts(&prior, &x, counts, 1e-10)?;
    }

    #[test]
    fn lines_learn(
        (m, kappa, alpha, beta) in (-10.0..10.0, ln_uniform(1e-3, 1e3), ln_uniform(0.5, 1e3), ln_uniform(1e-2, 1e2)),
        x in prop::collection::vec(-20.0..20.0_f64, 0..40), split in 0..40_usize
    ) {
        let x = DMatrix::from_vec(x.len(), 1, x);
        let prior = NormalInverseGamma::new(m, kappa, alpha, beta).unwrap();
        let [first, then, both] = parts(&x, split, gaussian_stats);
        learns(&prior, [&first, &then, &both], 1e-10)?;
        predicts(&prior, &x, gaussian_stats, 1e-10)?;
    }

    #[test]
    fn means_learn(
        d in 1..5_usize, n in 0..30_usize, split in 0..30_usize, ln_vague in -12.0..12.0_f64, ln_unit in -300.0..300.0_f64, seed: u32
    ) {
        // The same in any unit: each ln density moves by d ln unit.
        let unit = ln_unit.exp();
        let mut random = rng(&format!("means {seed}"));
        let z = Gaussian::standard(d).unwrap();
        let covariance = |spread: f64, random: &mut Generator| {
            let root = z.sample_n(d, random) + DMatrix::identity(d, d) * 2.0;
            let covariance = &root * root.transpose() + DMatrix::identity(d, d) * 0.1;
            (&covariance + covariance.transpose()) * 0.5 * spread
        };
        let p = Gaussian::new(z.sample(&mut random), covariance(ln_vague.exp(), &mut random)).unwrap();
        let sigma = covariance(1.0, &mut random);
        let x = z.sample_n(n, &mut random) * 3.0;
        let prior = NormalMean::new(p.clone(), sigma.clone()).unwrap();
        let [first, then, both] = parts(&x, split, gaussian_stats);
        // Condition numbers up to 1e4.
        learns(&prior, [&first, &then, &both], 1e-9)?;
        predicts(&prior, &x, gaussian_stats, 1e-9)?;
        let scaled = NormalMean::new(Gaussian::new(p.mean() * unit, p.covariance() * unit * unit).unwrap(), sigma * unit * unit).unwrap();
        let moved = scaled.ln_evidence(&gaussian_stats(&(&x * unit))).unwrap() + (n * d) as f64 * ln_unit;
        let whole = prior.ln_evidence(&both).unwrap();
        prop_assert!((moved - whole).abs() <= 1e-9 * (1.0 + whole.abs() + (n * d) as f64 * ln_unit.abs()));
    }

    #[test]
    fn any_input_is_answered_or_refused(
        [p, q, r, s] in [proptest::num::f64::ANY; 4], positive in prop::array::uniform3(ln_uniform(1e-300, 1e300)),
        theta in prop::collection::vec(proptest::num::f64::ANY, 0..3), x in prop::collection::vec(prop_oneof![0.0..5.0, proptest::num::f64::ANY], 0..5),
        whole in prop::collection::vec(0..1000_u32, 0..5)
    ) {
        fn exercise<P: Conjugate + Clone>(prior: Option<P>, data: &P::Data, theta: &DVector<f64>) {
            let Some(prior) = prior else { return };
            for p in [Some(prior.clone()), prior.posterior(data).ok()].into_iter().flatten() {
                let number = |value: generative_models::error::Result<f64>| value.map_or(true, |v| !v.is_nan());
                assert!(number(p.ln_likelihood(theta, data)) && number(p.ln_joint(theta, data)) && number(p.ln_pdf(theta)));
                assert!(p.ln_evidence(data).map_or(true, f64::is_finite));
                assert!(p.mode().map_or(true, |mode| mode.iter().all(|m| m.is_finite())));
                assert!(!p.sample(&mut rng("any prior")).iter().any(|t| t.is_nan()));
                let _ = p.predictive().map(|predictive| predictive.dim());
            }
        }
        let theta = DVector::from_vec(theta);
        let x = DMatrix::from_vec(x.len(), 1, x);
        let [a, b, c] = positive;
        let whole = DMatrix::from_iterator(whole.len(), 1, whole.into_iter().map(f64::from));
        let stats = GaussianStats::from_rows(&x).unwrap_or_else(|_| GaussianStats::empty(1));
        let counted = Counts::from_rows(&x).unwrap_or(counts(&whole));
        for theta in [theta, dvector![0.0], dvector![1.0], dvector![0.5], dvector![a], dvector![p, b], dvector![0.0, 0.0]] {
            for (p, q, r, s) in [(p, q, r, s), (p, a, b, c), (0.0, a, b, c)] {
                exercise(BetaBernoulli::new(q, r).ok(), &counted, &theta);
                exercise(BetaBernoulli::new(q, r).ok(), &Counts::of_trials(3, 7).unwrap(), &theta);
                exercise(GammaPoisson::new(q, r).ok(), &counted, &theta);
                exercise(NormalInverseGamma::new(p, q, r, s).ok(), &stats, &theta);
                let normal = Gaussian::univariate(p, q).and_then(|g| NormalMean::new(g, DMatrix::from_element(1, 1, r)));
                exercise(normal.ok(), &stats, &theta);
            }
        }
    }
}
