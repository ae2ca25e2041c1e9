//! Divergences, cross-entropies and total variations in closed form against quadrature and exact sums of the definitions, which share no code
//! with them, and against Monte Carlo with samplers of another library; and the mutants of each, which both must refute. With `--nocapture`
//! the table is printed.

use generative_models::check::{Report, Verdict};
use generative_models::prelude::*;
use generative_models::rand_distr;
use generative_models::statrs::distribution::{Bernoulli, Beta, Cauchy, Exp, Gamma, Normal, Poisson, Uniform};
use generative_models::statrs::function::gamma::{digamma, ln_gamma};

type Sampler<'a> = &'a (dyn Fn(&mut Generator) -> f64 + Sync);

/// A formula, its value, wrong values for it, and two ways to the right one.
struct Case<'a> {
    formula: &'a str,
    right: f64,
    mutants: Vec<(&'static str, f64)>,
    oracle: Quadrature,
    /// How far the mean of the samples may be off, and how to draw one; none for what does not vary.
    monte_carlo: Option<(Bound, Sampler<'a>)>,
}

impl Case<'_> {
    fn exact(&self, closed_form: f64) -> Report {
        let Quadrature { value, error } = self.oracle;
        let error = error + 1e-13 * self.right.abs().max(1.0);
        let discrepancy = 0.005 * self.right.abs();
        Exact { claim: "K1", name: self.formula, closed_form, oracle: value, error, discrepancy }.check()
    }

    fn by_samples(&self, closed_form: f64) -> Option<Report> {
        let (bound, sample) = self.monte_carlo?;
        let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.01 * self.right.abs() };
        let samples = bound.min_samples(power).unwrap();
        let check = MonteCarlo { claim: "K1", name: self.formula, closed_form, bound, power, samples };
        Some(check.check(sample))
    }

    /// What went wrong. The samples are asked for the smallest mutant alone: one that is farther off they refute as well.
    fn problems(&self) -> Vec<String> {
        let as_it_is = self.by_samples(self.right);
        let method = as_it_is.as_ref().map_or("exact alone".into(), |r| format!("exact; {}, {}", r.method, r.samples));
        let names: Vec<&str> = self.mutants.iter().map(|mutant| mutant.0).collect();
        println!("{:<22} {:<9.6} {method:<26} × 1.01, {}", self.formula, self.right, names.join(", "));
        let mut reports = vec![("as it is", Verdict::Consistent, self.exact(self.right))];
        reports.extend(as_it_is.map(|report| ("as it is", Verdict::Consistent, report)));
        reports.extend(self.by_samples(1.01 * self.right).map(|report| ("× 1.01", Verdict::Refuted, report)));
        reports.push(("× 1.01", Verdict::Refuted, self.exact(1.01 * self.right)));
        reports.extend(self.mutants.iter().map(|&(name, value)| (name, Verdict::Refuted, self.exact(value))));
        let wrong = reports.into_iter().filter(|(_, verdict, report)| report.verdict != *verdict);
        wrong.map(|(mutant, _, report)| format!("{}, {mutant}: {report}", self.formula)).collect()
    }
}

fn ln(p: &impl Density, x: f64) -> f64 {
    p.ln_pdf(&dvector![x]).unwrap()
}

type Function<'a> = &'a dyn Fn(f64) -> f64;

/// E_q f, with an integral over the support of q.
fn mean(q: &impl Density, integral: &impl Fn(Function) -> Quadrature, f: impl Fn(f64) -> f64) -> Quadrature {
    integral(&|x| {
        let pdf = ln(q, x).exp();
        if pdf > 0.0 { pdf * f(x) } else { 0.0 }
    })
}

/// The variance of f under q, rounded up: as much as Catoni's bound asks.
fn spread(q: &impl Density, integral: &impl Fn(Function) -> Quadrature, f: impl Fn(f64) -> f64) -> f64 {
    let center = mean(q, integral, &f).value;
    let variance = mean(q, integral, |x| (f(x) - center).powi(2));
    variance.value + variance.error
}

/// D(q‖p) and H(q, p) of densities on the line, with a sampler of q.
fn on_the_line<Q: Density + Sync, P: Density + Sync>(
    pair: &str,
    (q, p): (&Q, &P),
    integral: impl Fn(Function) -> Quadrature,
    sampler: impl rand_distr::Distribution<f64> + Sync,
    (divergence, of_divergence): (f64, Vec<(&'static str, f64)>),
    (cross_entropy, of_cross_entropy): (f64, Vec<(&'static str, f64)>),
) -> Vec<String> {
    let ratio = |x: f64| ln(q, x) - ln(p, x);
    let surprise = |x: f64| -ln(p, x);
    let check = |formula: &str, right, mutants, f: &(dyn Fn(f64) -> f64 + Sync)| {
        let variance = spread(q, &integral, f);
        // Of a constant there is nothing to sample.
        let varies = variance > 1e-9;
        let sample = |rng: &mut Generator| f(sampler.sample(rng));
        let monte_carlo = varies.then_some((Bound::Catoni { variance }, &sample as _));
        Case { formula, right, mutants, oracle: mean(q, &integral, f), monte_carlo }.problems()
    };
    let mut problems = check(&format!("D, {pair}"), divergence, of_divergence, &ratio);
    problems.extend(check(&format!("H, {pair}"), cross_entropy, of_cross_entropy, &surprise));
    problems
}

fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn range(a: f64, b: f64) -> impl Fn(Function) -> Quadrature {
    move |f| integrate(a, b, 1e-9, f).unwrap()
}

fn half_line(scale: f64) -> impl Fn(Function) -> Quadrature {
    move |f| integrate_half_line(0.0, scale, 1e-9, f).unwrap()
}

fn line(center: f64, scale: f64) -> impl Fn(Function) -> Quadrature {
    move |f| integrate_line(center, scale, 1e-9, f).unwrap()
}

#[test]
fn exponential() {
    let [q, p] = [3.0, 0.5].map(|rate| Univariate(Exp::new(rate).unwrap()));
    let (ratio, ln) = (0.5_f64 / 3.0, (0.5_f64 / 3.0).ln());
    none(on_the_line(
        "exponential",
        (&q, &p),
        half_line(0.3),
        rand_distr::Exp::new(3.0).unwrap(),
        (
            kl(&q, &p).unwrap(),
            vec![("swapped", kl(&p, &q).unwrap()), ("−1 dropped", ratio - ln), ("sign of ln", ratio - 1.0 + ln)],
        ),
        (
            cross_entropy(&q, &p).unwrap(),
            vec![
                ("swapped", cross_entropy(&p, &q).unwrap()),
                ("of q", entropy(&q).unwrap()),
                ("sign of ln", ratio + 0.5_f64.ln()),
            ],
        ),
    ));
}

#[test]
fn gamma() {
    // All shapes on either side of the forms that the library has.
    for (a, r, c, s) in [(2.5, 2.0, 4.0, 1.0), (0.6, 1.0, 1.5, 0.5), (20.0, 3.0, 17.0, 2.0)] {
        let [q, p] = [(a, r), (c, s)].map(|(shape, rate)| Univariate(Gamma::new(shape, rate).unwrap()));
        let right = ln_gamma(c) - ln_gamma(a) - (c - a) * digamma(a) + a * (s / r - 1.0) - c * f64::ln(s / r);
        none(on_the_line(
            &format!("gamma {a}, {c}"),
            (&q, &p),
            half_line(a / r),
            rand_distr::Gamma::new(a, 1.0 / r).unwrap(),
            (
                kl(&q, &p).unwrap(),
                vec![
                    ("swapped", kl(&p, &q).unwrap()),
                    ("ψ(c) for ψ(a)", right + (c - a) * (digamma(a) - digamma(c))),
                    ("scale for rate", kl(&q, &Univariate(Gamma::new(c, 1.0 / s + 1.0).unwrap())).unwrap()),
                    ("a ln for c ln", right + (c - a) * f64::ln(s / r)),
                ],
            ),
            (
                cross_entropy(&q, &p).unwrap(),
                vec![
                    ("swapped", cross_entropy(&p, &q).unwrap()),
                    ("of q", entropy(&q).unwrap()),
                    ("plus D", cross_entropy(&q, &p).unwrap() + right),
                ],
            ),
        ));
    }
}

#[test]
fn beta() {
    for (a, b, c, d) in [(2.0, 3.0, 4.0, 1.5), (0.6, 1.8, 1.2, 3.0), (20.0, 30.0, 25.0, 28.0)] {
        let [q, p] = [(a, b), (c, d)].map(|(a, b)| Univariate(Beta::new(a, b).unwrap()));
        let right = kl(&q, &p).unwrap();
        let mirrored = Univariate(Beta::new(d, c).unwrap());
        none(on_the_line(
            &format!("beta {a}, {b}"),
            (&q, &p),
            range(0.0, 1.0),
            rand_distr::Beta::new(a, b).unwrap(),
            (
                right,
                vec![
                    ("swapped", kl(&p, &q).unwrap()),
                    ("mirrored", kl(&q, &mirrored).unwrap()),
                    ("ψ(a + b) dropped", right - (c + d - a - b) * digamma(a + b)),
                ],
            ),
            (
                cross_entropy(&q, &p).unwrap(),
                vec![("mirrored", cross_entropy(&q, &mirrored).unwrap()), ("of q", entropy(&q).unwrap())],
            ),
        ));
    }
}

#[test]
fn cauchy() {
    let [q, p] = [(0.0, 1.0), (2.0, 0.5)].map(|(x, scale)| Univariate(Cauchy::new(x, scale).unwrap()));
    let centred = Univariate(Cauchy::new(0.0, 0.5).unwrap());
    none(on_the_line(
        "Cauchy",
        (&q, &p),
        line(0.5, 1.0),
        rand_distr::Cauchy::new(0.0, 1.0).unwrap(),
        (
            kl(&q, &p).unwrap(),
            vec![("½ of it", 0.5 * kl(&q, &p).unwrap()), ("location dropped", kl(&q, &centred).unwrap())],
        ),
        (
            cross_entropy(&q, &p).unwrap(),
            vec![
                ("swapped", cross_entropy(&p, &q).unwrap()),
                ("location dropped", cross_entropy(&q, &centred).unwrap()),
            ],
        ),
    ));
}

#[test]
fn normal() {
    let normal = |mean, sd| Univariate(Normal::new(mean, sd).unwrap());
    let (q, p) = (normal(1.0, 2.0), normal(-0.5, 1.5));
    let centred = normal(1.0, 1.5);
    let right = kl(&q, &p).unwrap();
    none(on_the_line(
        "normal",
        (&q, &p),
        line(1.0, 2.0),
        rand_distr::Normal::new(1.0, 2.0).unwrap(),
        (
            right,
            vec![
                ("swapped", kl(&p, &q).unwrap()),
                ("½ dropped", 2.0 * right),
                ("mean dropped", kl(&q, &centred).unwrap()),
                ("−1 dropped", right + 0.5),
                ("sign of ln", right + 2.0 * f64::ln(2.0 / 1.5)),
            ],
        ),
        (
            cross_entropy(&q, &p).unwrap(),
            vec![
                ("swapped", cross_entropy(&p, &q).unwrap()),
                ("mean dropped", cross_entropy(&q, &centred).unwrap()),
                ("sign of ln", cross_entropy(&q, &p).unwrap() - 2.0 * 1.5_f64.ln()),
            ],
        ),
    ));
}

#[test]
fn uniform() {
    let uniform = |a, b| Univariate(Uniform::new(a, b).unwrap());
    let (q, p, normal) = (uniform(0.0, 1.0), uniform(-1.0, 2.5), Gaussian::univariate(-0.5, 2.0).unwrap());
    let sampler = rand_distr::Uniform::new(0.0, 1.0).unwrap();
    let right = kl(&q, &p).unwrap();
    none(on_the_line(
        "uniform",
        (&q, &p),
        range(0.0, 1.0),
        sampler,
        (right, vec![("sign", -right), ("of the ends", 2.5_f64.ln())]),
        (cross_entropy(&q, &p).unwrap(), vec![("sign", -right), ("of q", entropy(&q).unwrap())]),
    ));
    let (right, cross) = (kl(&q, &normal).unwrap(), cross_entropy(&q, &normal).unwrap());
    let square = 0.5 * (1.0 / 12.0 + 1.0) / 2.0;
    none(on_the_line(
        "uniform‖normal",
        (&q, &normal),
        range(0.0, 1.0),
        sampler,
        (
            right,
            vec![("½ dropped", 2.0 * right), ("square dropped", right - square), ("1/12 dropped", right - 0.25 / 12.0)],
        ),
        (cross, vec![("mean dropped", cross - 0.25), ("variance for deviation", cross + 0.5 * 2.0_f64.ln())]),
    ));
}

/// D and H on a few outcomes, by the sums of the definitions, and samples from the probabilities.
fn on_outcomes(
    name: &str,
    (q, p): (&[f64], &[f64]),
    (divergence, of_divergence): (f64, Vec<(&'static str, f64)>),
    (cross_entropy, of_cross_entropy): (f64, Vec<(&'static str, f64)>),
) -> Vec<String> {
    let outcome = rand_distr::weighted::WeightedIndex::new(q).unwrap();
    let check = |formula: &str, right, mutants, f: &(dyn Fn(usize) -> f64 + Sync)| {
        let having: Vec<usize> = (0..q.len()).filter(|&k| q[k] > 0.0).collect();
        let values: Vec<f64> = having.iter().map(|&k| f(k)).collect();
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let oracle = Quadrature { value: having.iter().map(|&k| q[k] * f(k)).sum(), error: 0.0 };
        let sample = |rng: &mut Generator| f(outcome.sample(rng));
        let monte_carlo = Some((Bound::Hoeffding { lower: low, upper: high }, &sample as _));
        Case { formula, right, mutants, oracle, monte_carlo }.problems()
    };
    let mut problems = check(&format!("D, {name}"), divergence, of_divergence, &|k| (q[k] / p[k]).ln());
    problems.extend(check(&format!("H, {name}"), cross_entropy, of_cross_entropy, &|k| -p[k].ln()));
    problems
}

#[test]
fn bernoulli_and_categorical() {
    let coin = |p| Univariate(Bernoulli::new(p).unwrap());
    let (q, p) = (coin(0.3), coin(0.6));
    none(on_outcomes(
        "Bernoulli",
        (&[0.7, 0.3], &[0.4, 0.6]),
        (
            kl(&q, &p).unwrap(),
            vec![
                ("swapped", kl(&p, &q).unwrap()),
                ("p mirrored", kl(&q, &coin(0.4)).unwrap()),
                ("of heads alone", 0.3 * 0.5_f64.ln()),
            ],
        ),
        (
            cross_entropy(&q, &p).unwrap(),
            vec![("swapped", cross_entropy(&p, &q).unwrap()), ("of q", entropy(&q).unwrap())],
        ),
    ));
    let (weights, others) = ([0.5, 0.0, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]);
    let [q, p] = [weights, others].map(|p| Categorical::new(p).unwrap());
    let reversed = Categorical::new([0.4, 0.3, 0.2, 0.1]).unwrap();
    none(on_outcomes(
        "categorical",
        (&weights, &others),
        (
            kl(&q, &p).unwrap(),
            vec![("outcomes reversed", kl(&q, &reversed).unwrap()), ("Σ p dropped", kl(&q, &p).unwrap() - 1.0)],
        ),
        (
            cross_entropy(&q, &p).unwrap(),
            vec![("of q", entropy(&q).unwrap()), ("outcomes reversed", cross_entropy(&q, &reversed).unwrap())],
        ),
    ));
    // Ten thousand outcomes.
    let many =
        |f: fn(f64) -> f64| Categorical::from_weights((0..10_000).map(|k| 2.0 + f(f64::from(k))).collect::<Vec<_>>());
    let (q, p) = (many(f64::sin).unwrap(), many(f64::cos).unwrap());
    let oracle = Quadrature { value: q.expectation(|k| q.ln_pmf(k) - p.ln_pmf(k)), error: 0.0 };
    let (right, mutants) = (kl(&q, &p).unwrap(), vec![("of half of them", 0.5 * kl(&q, &p).unwrap())]);
    none(Case { formula: "D, categorical", right, mutants, oracle, monte_carlo: None }.problems());
}

#[test]
fn poisson() {
    let [q, p] = [2.5, 4.0].map(|mean| Univariate(Poisson::new(mean).unwrap()));
    let ratio = |k: f64| ln(&q, k) - ln(&p, k);
    // Beyond 200 nothing is left.
    let terms = (0..200).map(f64::from).map(|k| ln(&q, k).exp() * ratio(k));
    let oracle = Quadrature { value: terms.sum(), error: 0.0 };
    let sampler = rand_distr::Poisson::new(2.5).unwrap();
    // k times a slope < 0, of a count that is sub-gamma with variance λ and the scale ⅓ above (Boucheron et al. 2013, §2.4).
    let slope = f64::ln(2.5 / 4.0);
    let bound = Bound::SubGamma { variance: 2.5 * slope * slope, above: 0.0, below: -slope / 3.0 };
    let right = kl(&q, &p).unwrap();
    let mutants = vec![
        ("swapped", kl(&p, &q).unwrap()),
        ("the means' difference dropped", 2.5 * slope),
        ("its sign", 2.5 * slope - 1.5),
        ("μ for λ", 4.0 * slope + 1.5),
    ];
    let sample = |rng: &mut Generator| ratio(sampler.sample(rng));
    none(Case { formula: "D, Poisson", right, mutants, oracle, monte_carlo: Some((bound, &sample)) }.problems());
}

/// Any total variation is the mean of (1 − p/q)⁺, which lies between 0 and 1.
fn distance<const D: usize>(
    formula: &str,
    (right, mutants): (f64, Vec<(&'static str, f64)>),
    oracle: Quadrature,
    [q, p]: [&(dyn Fn([f64; D]) -> f64 + Sync); 2],
    sampler: impl Fn(&mut Generator) -> [f64; D] + Sync,
) -> Vec<String> {
    let sample = |rng: &mut Generator| {
        let x = sampler(rng);
        (1.0 - p(x) / q(x)).max(0.0)
    };
    let monte_carlo = Some((Bound::Hoeffding { lower: 0.0, upper: 1.0 }, &sample as _));
    Case { formula, right, mutants, oracle, monte_carlo }.problems()
}

#[test]
fn total_variation_of_normals() {
    let density = |m: f64, v: f64| move |[x]: [f64; 1]| (-0.5 * (x - m).powi(2) / v).exp() / (2.0 * PI * v).sqrt();
    for (m, v, n, w) in [(0.0, 1.0, 1.5, 1.0), (0.0, 1.0, 0.0, 4.0), (1.0, 4.0, -2.0, 0.5)] {
        let [q, p] = [(m, v), (n, w)].map(|(mean, variance)| Gaussian::univariate(mean, variance).unwrap());
        let tv = |q: &Gaussian, p: &Gaussian| total_variation(q, p).unwrap();
        let right = tv(&q, &p);
        let centred = Gaussian::univariate(m, w).unwrap();
        let mut mutants = vec![
            ("½ dropped", 2.0 * right),
            ("deviation for variance", tv(&q, &Gaussian::univariate(n, 1.3 * w).unwrap())),
        ];
        if m != n {
            mutants.push(("mean dropped", tv(&q, &centred)));
        }
        let oracle = total_variation_by_quadrature(&q, &p, 0.5, 1.0, 1e-10).unwrap();
        let sampler = rand_distr::Normal::new(m, v.sqrt()).unwrap();
        none(distance(
            &format!("TV, normals {v}, {w}"),
            (right, mutants),
            oracle,
            [&density(m, v), &density(n, w)],
            |rng| [sampler.sample(rng)],
        ));
    }
    // On the plane with equal covariances: in coordinates along the difference of the means, and across it.
    let covariance = dmatrix![2.0, 0.9; 0.9, 0.5];
    let [q, p] =
        [dvector![1.0, -2.0], dvector![0.0, -1.5]].map(|mean| Gaussian::new(mean, covariance.clone()).unwrap());
    let right = total_variation(&q, &p).unwrap();
    let delta = q.mahalanobis_squared(p.mean()).unwrap().sqrt();
    let [left, shifted] = [0.0, delta].map(|mean| Gaussian::univariate(mean, 1.0).unwrap());
    let oracle = total_variation_by_quadrature(&left, &shifted, 0.0, 1.0, 1e-10).unwrap();
    let normal = |x: f64| Normal::new(0.0, 1.0).unwrap().cdf(x);
    let mutants = vec![
        ("½ dropped", 2.0 * right),
        ("δ for δ/2", 2.0 * normal(delta) - 1.0),
        ("δ² for δ", 2.0 * normal(0.5 * delta * delta) - 1.0),
        ("covariance dropped", 2.0 * normal(0.5 * 1.25_f64.sqrt()) - 1.0),
    ];
    let density = |mean: [f64; 2]| {
        let det = 2.0 * 0.5 - 0.9 * 0.9;
        move |[x, y]: [f64; 2]| {
            let (u, v) = (x - mean[0], y - mean[1]);
            (-0.5 * (0.5 * u * u - 1.8 * u * v + 2.0 * v * v) / det).exp() / (2.0 * PI * f64::sqrt(det))
        }
    };
    // Row by row: the second coordinate given the first.
    let sampler = |rng: &mut Generator| {
        let [z, w]: [f64; 2] = [rng.sample(StandardNormal), rng.sample(StandardNormal)];
        let u = 2.0_f64.sqrt() * z;
        [1.0 + u, -2.0 + 0.45 * u + f64::sqrt(0.5 - 0.405) * w]
    };
    none(distance(
        "TV on the plane",
        (right, mutants),
        oracle,
        [&density([1.0, -2.0]), &density([0.0, -1.5])],
        sampler,
    ));
}

#[test]
fn total_variation_of_families() {
    let [q, p] = [3.0, 0.5].map(|rate| Univariate(Exp::new(rate).unwrap()));
    let right = total_variation(&q, &p).unwrap();
    let sampler = rand_distr::Exp::new(3.0).unwrap();
    none(distance(
        "TV, exponential",
        (
            right,
            vec![
                ("½ dropped", 2.0 * right),
                ("the crossing at 1", f64::exp(-0.5) - f64::exp(-3.0)),
                ("a/b dropped", right / (1.0 - 0.5 / 3.0)),
            ],
        ),
        total_variation_by_quadrature(&q, &p, 0.5, 0.5, 1e-10).unwrap(),
        [&|[x]| 3.0 * f64::exp(-3.0 * x), &|[x]| 0.5 * f64::exp(-0.5 * x)],
        |rng| [sampler.sample(rng)],
    ));
    let [q, p] = [(0.0, 1.0), (0.25, 2.0)].map(|(a, b)| Univariate(Uniform::new(a, b).unwrap()));
    let right = total_variation(&q, &p).unwrap();
    none(distance(
        "TV, uniform",
        (right, vec![("½ dropped", 2.0 * right), ("of the narrower", 0.25)]),
        total_variation_by_quadrature(&q, &p, 0.6, 0.5, 1e-10).unwrap(),
        [&|[_]| 1.0, &|[x]| if x >= 0.25 { 1.0 / 1.75 } else { 0.0 }],
        |rng| [rng.random()],
    ));
    let (weights, others) = ([0.5, 0.0, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]);
    let [q, p] = [weights, others].map(|p| Categorical::new(p).unwrap());
    let right = total_variation(&q, &p).unwrap();
    // sup_A (Q(A) − P(A)), over all 16 events A.
    let excess = |event: u32| (0..4).filter(|k| event >> k & 1 == 1).map(|k| weights[k] - others[k]).sum::<f64>();
    let outcome = rand_distr::weighted::WeightedIndex::new(weights).unwrap();
    none(distance(
        "TV, categorical",
        (right, vec![("½ dropped", 2.0 * right), ("signed", 0.0), ("the largest alone", 0.2)]),
        Quadrature { value: (0..16).map(excess).fold(0.0, f64::max), error: 0.0 },
        [&|[k]| weights[k as usize], &|[k]| others[k as usize]],
        |rng| [outcome.sample(rng) as f64],
    ));
    let coin = |p| Univariate(Bernoulli::new(p).unwrap());
    let right = total_variation(&coin(0.3), &coin(0.55)).unwrap();
    none(distance(
        "TV, Bernoulli",
        (right, vec![("½ dropped", 0.5), ("mirrored", 0.15)]),
        // Heads and no heads.
        Quadrature { value: 0.5 * ((0.55 - 0.3) + (0.7 - 0.45)), error: 0.0 },
        [&|[x]| if x == 1.0 { 0.3 } else { 0.7 }, &|[x]| if x == 1.0 { 0.55 } else { 0.45 }],
        |rng| [f64::from(rng.random_bool(0.3))],
    ));
}

/// Where the lecture's inequality TV ≤ D fails, under either reading of TV, and the right ones hold.
#[test]
fn the_total_variation_exceeds_the_divergence() {
    let [q, p] = [0.0, 0.1].map(|mean| Gaussian::univariate(mean, 1.0).unwrap());
    let divergence = kl_by_quadrature(&q, &p, 0.0, 1.0, 1e-12).unwrap();
    let tv = total_variation_by_quadrature(&q, &p, 0.0, 1.0, 1e-12).unwrap();
    assert!(tv.value - tv.error > divergence.value + divergence.error);
    assert!(2.0 * (tv.value - tv.error) > divergence.value + divergence.error);
    assert!(tv.value + tv.error < pinsker(divergence.value - divergence.error));
    assert!(tv.value + tv.error < bretagnolle_huber(divergence.value - divergence.error));
    assert_eq!(format!("{:.5} {:.5} {:.3}", tv.value, 2.0 * tv.value, divergence.value), "0.03988 0.07976 0.005");
}
