//! Closed forms of the distributions against quadrature, which shares no code with them, and samplers against both.

use generative_models::check::Report;
use generative_models::prelude::*;
use generative_models::statrs::distribution::{
    Beta, Cauchy, ChiSquared, Exp, Gamma, Laplace, LogNormal, Normal, Poisson, StudentsT, Triangular, Uniform,
};
use generative_models::univariate::Family;

#[track_caller]
fn stands(report: Report) {
    assert!(report.stands(), "{report}");
}

/// Holds a closed form against an integral, whose own estimate is the error.
#[track_caller]
fn holds(claim: &str, name: &str, closed_form: f64, oracle: Quadrature, discrepancy: f64) {
    let Quadrature { value, error } = oracle;
    // The closed form's own rounding.
    let error = error + 1e-14 * closed_form.abs().max(1.0);
    stands(Exact { claim, name, closed_form, oracle: value, error, discrepancy }.check());
}

fn pdf(p: &impl Density, x: &[f64]) -> f64 {
    p.ln_pdf(&DVector::from_column_slice(x)).map_or(f64::NAN, f64::exp)
}

/// −p ln p, 0 where p is 0.
fn surprise(p: &impl Density, x: &[f64]) -> f64 {
    let ln = p.ln_pdf(&DVector::from_column_slice(x)).unwrap_or(f64::NAN);
    if ln == f64::NEG_INFINITY { 0.0 } else { -ln * ln.exp() }
}

/// ∫∫ f(x, y) dx dy over the plane.
fn plane(center: [f64; 2], scale: [f64; 2], f: impl Fn(&[f64]) -> f64) -> Quadrature {
    integrate_line(center[0], scale[0], 1e-9, |x| integrate_line(center[1], scale[1], 1e-11, |y| f(&[x, y]))).unwrap()
}

#[test]
fn a_normal_on_the_line() {
    for (mean, variance) in [(0.0, 1.0), (-3.0, 0.04), (100.0, 400.0), (1e-3, 1e-8)] {
        let p = Gaussian::univariate(mean, variance).unwrap();
        let sd = f64::sqrt(variance);
        let integral = |f: &dyn Fn(f64) -> f64| integrate_line(mean, sd, 1e-10, f).unwrap();
        holds("R4", "∫ p", 1.0, integral(&|x| pdf(&p, &[x])), 1e-9);
        holds("R6", "the mean", mean, integral(&|x| x * pdf(&p, &[x])), 1e-9);
        let spread = integral(&|x| ((x - mean) / sd).powi(2) * pdf(&p, &[x]));
        holds("R7", "the variance", p.covariance()[0] / variance, spread, 1e-9);
        holds("R8", "the entropy", p.entropy(), integral(&|x| surprise(&p, &[x])), 1e-9);
    }
}

#[test]
fn a_normal_on_the_plane() {
    let p = Gaussian::new(dvector![1.0, -2.0], dmatrix![2.0, 0.9; 0.9, 0.5]).unwrap();
    let integral = |f: &dyn Fn(&[f64]) -> f64| plane([1.0, -2.0], [1.4, 0.5], f);
    holds("R4", "∫∫ p", 1.0, integral(&|x| pdf(&p, x)), 1e-8);
    holds("R8", "the entropy", p.entropy(), integral(&|x| surprise(&p, x)), 1e-8);
    for i in 0..2 {
        holds("R6", "an entry of the mean", p.mean()[i], integral(&|x| x[i] * pdf(&p, x)), 1e-8);
        for j in 0..2 {
            let central = |x: &[f64]| (x[i] - p.mean()[i]) * (x[j] - p.mean()[j]) * pdf(&p, x);
            holds("R7", "an entry of the covariance", p.covariance()[(i, j)], integral(&central), 1e-8);
        }
    }
    // The two triangles of Σ would hide an exchange of the variables: here the marginal is that of the second.
    let second = p.marginal(&[1]).unwrap();
    for y in [-3.0, -2.0, -1.0] {
        let integral = integrate_line(1.0, 1.4, 1e-12, |x| pdf(&p, &[x, y])).unwrap();
        holds("R5", "the marginal density", pdf(&second, &[y]), integral, 1e-10);
    }
}

#[test]
fn entropies_by_cubature() {
    // −ln p is a quadratic form, so that the mean of 2d points is exact.
    for d in [1, 2, 10, 100] {
        let b = DMatrix::from_fn(d, d, |i, j| ((3 * i + 5 * j) as f64).cos());
        let covariance = &b * b.transpose() + DMatrix::identity(d, d);
        let p = Gaussian::new(DVector::from_element(d, 2.0), (&covariance + covariance.transpose()) * 0.5).unwrap();
        let Quadrature { value, error } = cubature(&p, |x| p.ln_pdf(x).map(|l| -l)).unwrap();
        let discrepancy = 10.0 * error;
        let check =
            Exact { claim: "R8", name: "the entropy", closed_form: p.entropy(), oracle: value, error, discrepancy };
        stands(check.check());
        stands(
            Exact { name: "the entropy without d/2", closed_form: p.entropy() - 0.5 * d as f64, ..check }
                .expect_refuted(),
        );
    }
}

#[test]
fn families_of_statrs() {
    /// The density integrates to one; mean, variance and entropy are those of the density.
    fn moments<F>(name: &str, p: F, integral: impl Fn(&dyn Fn(f64) -> f64) -> Quadrature)
    where
        F: Family + Copy + generative_models::statrs::statistics::Distribution<f64>,
    {
        let density = Univariate(p);
        let holds = |what: &str, closed_form: Option<f64>, f: &dyn Fn(f64) -> f64| {
            if let Some(closed_form) = closed_form {
                holds("K1", &format!("{name}, {what}"), closed_form, integral(f), 1e-7);
            }
        };
        holds("∫ p", Some(1.0), &|x| pdf(&density, &[x]));
        holds("mean", p.mean(), &|x| x * pdf(&density, &[x]));
        let mean = p.mean().unwrap_or(f64::NAN);
        holds("variance", p.variance(), &|x| (x - mean).powi(2) * pdf(&density, &[x]));
        holds("entropy", p.entropy(), &|x| surprise(&density, &[x]));
    }
    type Function<'a> = &'a dyn Fn(f64) -> f64;
    let range = |a, b| move |f: Function| integrate(a, b, 1e-8, f).unwrap();
    let half_line = |scale| move |f: Function| integrate_half_line(0.0, scale, 1e-8, f).unwrap();
    let line = |center, scale| move |f: Function| integrate_line(center, scale, 1e-8, f).unwrap();
    moments("Normal(2, 3)", Normal::new(2.0, 3.0).unwrap(), line(2.0, 3.0));
    moments("StudentsT(0, 1, 6)", StudentsT::new(0.0, 1.0, 6.0).unwrap(), line(0.0, 1.0));
    moments("Cauchy(1, 2)", Cauchy::new(1.0, 2.0).unwrap(), line(1.0, 2.0));
    moments("Exp(3)", Exp::new(3.0).unwrap(), half_line(0.3));
    moments("Gamma(0.5, 2)", Gamma::new(0.5, 2.0).unwrap(), half_line(0.3));
    moments("Gamma(3, 2)", Gamma::new(3.0, 2.0).unwrap(), half_line(1.5));
    moments("ChiSquared(5)", ChiSquared::new(5.0).unwrap(), half_line(5.0));
    moments("LogNormal(0.5, 0.75)", LogNormal::new(0.5, 0.75).unwrap(), half_line(1.6));
    moments("Uniform(-1, 3)", Uniform::new(-1.0, 3.0).unwrap(), range(-1.0, 3.0));
    moments("Beta(2, 3)", Beta::new(2.0, 3.0).unwrap(), range(0.0, 1.0));
    moments("Beta(0.5, 2)", Beta::new(0.5, 2.0).unwrap(), range(0.0, 1.0));
    moments("Triangular(0, 3, 1)", Triangular::new(0.0, 3.0, 1.0).unwrap(), range(0.0, 3.0));
    // Infinite mean and variance are not integrated; the half lines of a Laplace meet in a kink.
    let laplace = Laplace::new(1.0, 2.0).unwrap();
    moments("Laplace(1, 2)", laplace, |f| {
        let [left, right] = [-2.0, 2.0].map(|scale| integrate_half_line(1.0, scale, 1e-8, f).unwrap());
        Quadrature { value: left.value + right.value, error: left.error + right.error }
    });
}

#[test]
fn published_divergence_of_a_uniform() {
    // KL(U(0,1)‖N(0,1)) = 1.0856
    let q = Univariate(Uniform::new(0.0, 1.0).unwrap());
    let p = Gaussian::standard(1).unwrap();
    let integrand = |x: f64| q.ln_pdf(&dvector![x]).and_then(|q| Ok(q.exp() * (q - p.ln_pdf(&dvector![x])?)));
    let divergence = integrate(0.0, 1.0, 1e-12, integrand).unwrap();
    holds("K4", "KL of a uniform to a normal", 0.5 * (2.0 * PI).ln() + 1.0 / 6.0, divergence, 1e-10);
    assert_eq!(format!("{:.4}", divergence.value), "1.0856");
}

fn mixture() -> Mixture {
    let a = Gaussian::new(dvector![-1.0, 2.0], dmatrix![1.0, 0.5; 0.5, 2.0]).unwrap();
    let b = Gaussian::new(dvector![3.0, 0.0], dmatrix![0.5, -0.1; -0.1, 0.3]).unwrap();
    Mixture::new([0.3, 0.7], vec![a, b]).unwrap()
}

#[test]
fn moments_of_a_mixture() {
    let p = mixture();
    let integral = |f: &dyn Fn(&[f64]) -> f64| plane([1.5, 0.5], [1.5, 1.0], f);
    holds("R4", "∫∫ p of a mixture", 1.0, integral(&|x| pdf(&p, x)), 1e-8);
    let (mean, covariance) = (p.mean(), p.covariance());
    for i in 0..2 {
        holds("R6", "mean of a mixture", mean[i], integral(&|x| x[i] * pdf(&p, x)), 1e-8);
        for j in 0..2 {
            let central = integral(&|x| (x[i] - mean[i]) * (x[j] - mean[j]) * pdf(&p, x));
            holds("R7", "covariance of a mixture", covariance[(i, j)], central, 1e-8);
            // Without what is between the means.
            let within = p.weights().expectation(|k| p.components()[k].covariance()[(i, j)]);
            let Quadrature { value, error } = central;
            let name = "covariance of a mixture, within alone";
            let wrong = Exact { claim: "R7", name, closed_form: within, oracle: value, error, discrepancy: 1e-8 };
            stands(wrong.expect_refuted());
        }
    }
    let second = p.marginal(&[1]).unwrap();
    for y in [-1.0, 0.0, 2.0] {
        let integral = integrate_line(1.5, 1.5, 1e-12, |x| pdf(&p, &[x, y])).unwrap();
        holds("R5", "marginal of a mixture", pdf(&second, &[y]), integral, 1e-10);
    }
}

#[test]
fn responsibilities_average_to_the_weights() {
    let p = mixture();
    let responsibility = |x: &[f64]| p.responsibilities(&DVector::from_column_slice(x)).map_or(0.0, |r| r.pmf(0));
    let average = plane([1.5, 0.5], [1.5, 1.0], |x| responsibility(x) * pdf(&p, x));
    holds("R11", "E P(k | X) = w", 0.3, average, 1e-8);
}

const POWER: Power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.01 };

/// A test of the mean of a function with values between −1 and 1.
fn bounded<'a>(name: &'a str, closed_form: f64) -> MonteCarlo<'a> {
    let bound = Bound::Hoeffding { lower: -1.0, upper: 1.0 };
    MonteCarlo { claim: "R4", name, closed_form, bound, power: POWER, samples: bound.min_samples(POWER).unwrap() }
}

#[test]
fn samples_of_a_mixture_have_its_characteristic_function() {
    let p = mixture();
    // E cos tᵀX = Σ w cos(tᵀμ) exp(−½ tᵀΣt)
    let closed_form = |p: &Mixture, t: &DVector<f64>| {
        p.weights().expectation(|k| {
            let q = &p.components()[k];
            t.dot(q.mean()).cos() * (-0.5 * t.dot(&(q.covariance() * t))).exp()
        })
    };
    let exchanged = Mixture::new([0.7, 0.3], p.components().to_vec()).unwrap();
    for t in [dvector![0.5, 0.0], dvector![0.0, 0.7], dvector![0.6, -0.4]] {
        let sample = |rng: &mut Generator| t.dot(&p.sample(rng)).cos();
        stands(bounded(&format!("mixture, t = {:?}", t.as_slice()), closed_form(&p, &t)).check(sample));
        let name = format!("mixture with its weights exchanged, t = {:?}", t.as_slice());
        stands(bounded(&name, closed_form(&exchanged, &t)).expect_refuted(sample));
    }
}

#[test]
fn samples_of_a_categorical_have_its_probabilities() {
    let p = Categorical::new([0.1, 0.0, 0.6, 0.3]).unwrap();
    for k in 0..4 {
        let sample = |rng: &mut Generator| f64::from(p.sample(rng) == k);
        stands(bounded(&format!("categorical, outcome {k}"), p.pmf(k)).check(sample));
        let name = format!("categorical, neighbour of outcome {k}");
        stands(bounded(&name, p.pmf((k + 1) % 4)).expect_refuted(sample));
    }
    // −ln p lies between −ln 0.6 and −ln 0.1.
    let bound = Bound::Hoeffding { lower: -(0.6_f64.ln()), upper: -(0.1_f64.ln()) };
    let samples = bound.min_samples(POWER).unwrap();
    let entropy = MonteCarlo {
        claim: "K5",
        name: "entropy of a categorical",
        closed_form: p.entropy(),
        bound,
        power: POWER,
        samples,
    };
    stands(entropy.check(|rng| -p.ln_pmf(p.sample(rng))));
}

#[test]
fn samples_of_a_family_have_its_density() {
    // P(X ≤ c) from the density, not from the distribution function that the sampler inverts.
    let gamma = Univariate(Gamma::new(2.5, 2.0).unwrap());
    let probability = |c: f64| integrate(0.0, c, 1e-9, |x| pdf(&gamma, &[x])).unwrap().value;
    for c in [0.5, 1.25, 3.0] {
        let sample = |rng: &mut Generator| f64::from(gamma.sample(rng) <= c);
        stands(bounded(&format!("gamma below {c}"), probability(c)).check(sample));
    }
    let poisson = Univariate(Poisson::new(3.5).unwrap());
    for k in [0.0, 3.0, 6.0] {
        let sample = |rng: &mut Generator| f64::from(poisson.sample(rng) == k);
        stands(bounded(&format!("poisson at {k}"), pdf(&poisson, &[k])).check(sample));
        stands(bounded(&format!("poisson beside {k}"), pdf(&poisson, &[k + 2.0])).expect_refuted(sample));
    }
}
