//! The tests of the tests: over many seeds a right formula is refuted, and a wrong one is missed, no more often than the check
//! promises. With `--nocapture` the counts are printed.

use generative_models::check::{Report, Verdict};
use generative_models::prelude::*;
use generative_models::rand_distr::{Poisson, StudentT};
use generative_models::statrs::distribution::{ContinuousCDF, DiscreteCDF, Normal, Poisson as PoissonCdf};

/// A binomial of 1000 draws at 5 % falls below 20 with probability 2.9e-7, and exceeds 87 with probability 3.5e-7.
const SEEDS: u64 = 1000;
const FEWEST: usize = 20;
const MOST: usize = 87;

/// How many of the seeds give the verdict Refuted; no other than that and Consistent may come.
fn refuted(name: &str, check: impl Fn(&str) -> Report) -> usize {
    let refuted = |seed: &u64| match check(&format!("{name}, seed {seed}")) {
        report if report.verdict == Verdict::Refuted => true,
        report => {
            assert_eq!(report.verdict, Verdict::Consistent, "{report}");
            false
        }
    };
    (0..SEEDS).filter(refuted).count()
}

/// A right closed form, and a bound for the samples whose mean it is.
struct Case<'a> {
    name: &'a str,
    bound: Bound,
    closed_form: f64,
    sample: Box<dyn Fn(&mut Generator) -> f64 + Sync + 'a>,
}

impl Case<'_> {
    /// How often the closed form is refuted at a false alarm of 5 % with `samples` values.
    fn false_alarms(&self, samples: u64) -> usize {
        let power = Power { false_alarm: 0.05, miss: 0.5, discrepancy: 1e9 };
        refuted(&format!("{} with N = {samples}", self.name), |name| {
            let Self { bound, closed_form, .. } = *self;
            MonteCarlo { claim: "calibration", name, closed_form, bound, power, samples }.check(&self.sample)
        })
    }

    /// How often a formula that is wrong by `error` is not refuted at the N that promises to miss 5 % of them.
    fn misses(&self, error: f64) -> usize {
        let power = Power { false_alarm: 0.01, miss: 0.05, discrepancy: error.abs() };
        let samples = self.bound.min_samples(power).unwrap();
        let found = refuted(&format!("{} off by {error}", self.name), |name| {
            let Self { bound, closed_form, .. } = *self;
            let closed_form = closed_form + error;
            MonteCarlo { claim: "calibration", name, closed_form, bound, power, samples }.check(&self.sample)
        });
        SEEDS as usize - found
    }
}

fn pair() -> (Gaussian, Gaussian) {
    let p0 = Gaussian::new(dvector![1.0, -2.0, 0.5], dmatrix![2.0, 0.6, -0.3; 0.6, 1.0, 0.2; -0.3, 0.2, 0.7]).unwrap();
    let p1 = Gaussian::new(dvector![0.2, -1.0, 1.5], dmatrix![1.0, -0.4, 0.1; -0.4, 2.5, 0.3; 0.1, 0.3, 0.4]).unwrap();
    (p0, p1)
}

/// E f(Z) for Z ~ N(0, 1) by the trapezoidal rule, whose error falls exponentially for an analytic f.
fn expectation(f: impl Fn(f64) -> f64) -> f64 {
    let h = 0.01;
    (-1200..=1200).map(|i| h * f64::from(i)).map(|z| h * f(z) * (-0.5 * z * z).exp() / (2.0 * PI).sqrt()).sum()
}

fn ln_sigmoid(x: f64) -> f64 {
    -(-x).exp().ln_1p()
}

/// The bounds that hold at every N, each at an integrand of the workbook.
fn tail_bounds<'a>(p0: &'a Gaussian, p1: &'a Gaussian) -> Vec<Case<'a>> {
    let ln = |p: &Gaussian, x: &DVector<f64>| p.ln_pdf(x).unwrap();
    let ln_2pi = (2.0 * PI).ln();
    let trace = p1.solve_covariance(p0.covariance()).unwrap().trace();
    let distance = p1.mahalanobis_squared(p0.mean()).unwrap();
    let cross_entropy = 0.5 * (3.0 * ln_2pi + p1.ln_det_covariance() + trace + distance);
    let centred = |x: &DVector<f64>, i: usize| x[i] - p0.mean()[i];
    let (a, first) = (1.8, Normal::new(p0.mean()[0], p0.covariance()[0].sqrt()).unwrap());
    vec![
        Case {
            name: "sub-gamma: −ln p₀",
            bound: Bound::entropy(p0),
            closed_form: p0.entropy(),
            sample: Box::new(move |rng| -ln(p0, &p0.sample(rng))),
        },
        Case {
            name: "sub-gamma: −ln p₁",
            bound: Bound::cross_entropy(p0, p1).unwrap(),
            closed_form: cross_entropy,
            sample: Box::new(move |rng| -ln(p1, &p0.sample(rng))),
        },
        Case {
            name: "sub-gamma: ln p₀/p₁",
            bound: Bound::log_ratio(p0, p1).unwrap(),
            closed_form: cross_entropy - p0.entropy(),
            sample: Box::new(move |rng| {
                let x = p0.sample(rng);
                ln(p0, &x) - ln(p1, &x)
            }),
        },
        Case {
            name: "sub-gamma: (x₁−μ₁)(x₂−μ₂)",
            bound: Bound::centred_product(p0.covariance(), 0, 1).unwrap(),
            closed_form: 0.6,
            sample: Box::new(move |rng| {
                let x = p0.sample(rng);
                centred(&x, 0) * centred(&x, 1)
            }),
        },
        Case {
            name: "sub-gamma: Σ̂₁₁ of five",
            bound: Bound::covariance_entry(p0.covariance(), 0, 0, 5).unwrap(),
            closed_form: 1.6,
            sample: Box::new(move |rng| Gaussian::fit(&p0.sample_n(5, rng)).unwrap().covariance()[(0, 0)]),
        },
        Case {
            name: "Hoeffding: x₁ below a",
            bound: Bound::Hoeffding { lower: 0.0, upper: 1.0 },
            closed_form: first.cdf(a),
            sample: Box::new(move |rng| f64::from(p0.sample(rng)[0] <= a)),
        },
        Case {
            name: "Bernstein: a rare event",
            bound: Bound::Bernstein { variance: 0.02 * 0.98, above: 0.98, below: 0.02 },
            closed_form: 0.02,
            sample: Box::new(|rng| f64::from(rng.random_bool(0.02))),
        },
        Case {
            name: "Lipschitz: ln σ(2z)",
            bound: Bound::Lipschitz(2.0),
            closed_form: expectation(|z| ln_sigmoid(2.0 * z)),
            sample: Box::new(|rng| ln_sigmoid(2.0 * rng.sample::<f64, _>(StandardNormal))),
        },
        Case {
            name: "Catoni: t with 3 degrees",
            bound: Bound::Catoni { variance: 3.0 },
            closed_form: 0.0,
            sample: Box::new(|rng| rng.sample(StudentT::new(3.0).unwrap())),
        },
        Case {
            // The weight p/q of p = N(0, 1) and q = N(0, s²) has variance s²/√(2s²−1) − 1 and no fourth moment.
            name: "Catoni: importance weights",
            bound: Bound::Catoni { variance: 0.7 / 0.4_f64.sqrt() - 1.0 },
            closed_form: 1.0,
            sample: Box::new(|rng| {
                let s2 = 0.7_f64;
                let x = s2.sqrt() * rng.sample::<f64, _>(StandardNormal);
                s2.sqrt() * (0.5 * x * x * (1.0 / s2 - 1.0)).exp()
            }),
        },
    ]
}

#[test]
fn bounds_keep_their_false_alarm_at_every_n() {
    let (p0, p1) = pair();
    for case in tail_bounds(&p0, &p1) {
        // Catoni's bound is void up to N = 2 ln(2/α).
        for samples in if case.name.starts_with("Catoni") { [10, 200] } else { [1, 200] } {
            let refuted = case.false_alarms(samples);
            println!("{}, N = {samples}: {refuted} false alarms", case.name);
            assert!(refuted <= MOST, "{}, N = {samples}: {refuted}", case.name);
        }
    }
}

#[test]
fn exact_and_asymptotic_bounds_spend_their_false_alarm() {
    let (p0, _) = pair();
    let entry: Case<'_> = Case {
        name: "normal: x₃",
        bound: Bound::Normal { variance: 0.7 },
        closed_form: 0.5,
        sample: Box::new(|rng| p0.sample(rng)[2]),
    };
    let entropy: Case<'_> = Case {
        name: "central limit: −ln p₀",
        bound: Bound::CentralLimit,
        closed_form: p0.entropy(),
        sample: Box::new(|rng| -p0.ln_pdf(&p0.sample(rng)).unwrap()),
    };
    for (case, samples) in [(&entry, 1), (&entry, 200), (&entropy, 200)] {
        let refuted = case.false_alarms(samples);
        println!("{}, N = {samples}: {refuted} false alarms", case.name);
        assert!((FEWEST..=MOST).contains(&refuted), "{}, N = {samples}: {refuted}", case.name);
    }
}

#[test]
fn a_variance_that_is_wrong_by_a_factor_of_two_shows() {
    let (p0, _) = pair();
    for (name, factor) in [("too small", 0.5), ("too large", 2.0)] {
        let bound = Bound::Normal { variance: 0.7 * factor };
        let refuted =
            Case { name, bound, closed_form: 0.5, sample: Box::new(|rng| p0.sample(rng)[2]) }.false_alarms(200);
        println!("normal: a variance {name}, N = 200: {refuted} false alarms");
        assert!(if factor < 1.0 { refuted > MOST } else { refuted < FEWEST }, "{name}: {refuted}");
    }
}

#[test]
fn errors_of_the_discrepancy_are_missed_no_more_often_than_promised() {
    let (p0, p1) = pair();
    for case in tail_bounds(&p0, &p1) {
        let error = case.bound.radius(50, 0.05, f64::NAN).0;
        for error in [error, -error] {
            let misses = case.misses(error);
            println!("{}, off by {error:+.3}: {misses} misses", case.name);
            assert!(misses <= MOST, "{}, off by {error}: {misses}", case.name);
        }
    }
}

#[test]
fn empirical_distribution_functions_keep_their_false_alarm() {
    let power = Power { false_alarm: 0.05, miss: 0.5, discrepancy: 1e9 };
    let (p0, _) = pair();
    let normal = Normal::new(0.5, 0.7_f64.sqrt()).unwrap();
    for samples in [1, 200] {
        let continuous = refuted(&format!("normal, N = {samples}"), |name| {
            let closed_form = |a| normal.cdf(a);
            DistributionFunction { claim: "calibration", name, closed_form, power, samples }
                .check(|rng| p0.sample(rng)[2])
        });
        println!("DKWM, a normal, N = {samples}: {continuous} false alarms");
        // For a continuous F Massart's constant is the right one as N grows; a one-sided distance would fail half as often.
        let fewest = if samples == 1 { 0 } else { FEWEST };
        assert!((fewest..=MOST).contains(&continuous), "{continuous}");

        let counts = PoissonCdf::new(3.0).unwrap();
        let discrete = refuted(&format!("Poisson, N = {samples}"), |name| {
            let closed_form = |a: f64| if a < 0.0 { 0.0 } else { counts.cdf(a as u64) };
            let check = DistributionFunction { claim: "calibration", name, closed_form, power, samples };
            check.check(|rng| rng.sample(Poisson::new(3.0).unwrap()))
        });
        println!("DKWM, a Poisson, N = {samples}: {discrete} false alarms");
        assert!(discrete <= MOST, "{discrete}");
    }
}

#[test]
fn joint_empirical_distribution_functions_keep_their_false_alarm() {
    let power = Power { false_alarm: 0.05, miss: 0.5, discrepancy: 1e9 };
    let points = DMatrix::from_fn(64, 2, |i, j| -1.75 + 0.5 * (if j == 0 { i / 8 } else { i % 8 }) as f64);
    let phi = Normal::standard();
    // (X, max(X, Y)) of independent standard normals.
    let closed_form = |a: &DVector<f64>| phi.cdf(a[0].min(a[1])) * phi.cdf(a[1]);
    for samples in [1, 200] {
        let refuted = refuted(&format!("maximum, N = {samples}"), |name| {
            let check =
                JointDistributionFunction { claim: "calibration", name, closed_form, points: &points, power, samples };
            check.check(|rng| {
                let (x, y): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
                dvector![x, x.max(y)]
            })
        });
        println!("Naaman, d = 2, N = {samples}: {refuted} false alarms");
        assert!(refuted <= MOST, "{refuted}");
    }
}
