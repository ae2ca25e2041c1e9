//! The power of the checks, shown and not claimed: each closed form is consistent with its oracle, and each of its mutants is
//! refuted by the same check, with as many samples as `min_samples` asks for. With `--nocapture` the table is printed.
//!
//! Where a mutant has no effect on a formula, the cell says why; if there is something to mutate at all, it is checked that the
//! mutant is indeed consistent.

use generative_models::check::{Entries, Report, Verdict};
use generative_models::kl;
use generative_models::prelude::*;
use generative_models::statrs::distribution::{ContinuousCDF, Normal};

const MUTANTS: [&str; 7] =
    ["× 1.01", "½ dropped", "d dropped", "swapped", "sign of ln det", "mean dropped", "N for N−1"];

/// The wrong values for a formula, one for each of [`MUTANTS`].
enum Cell<V> {
    /// The formula's value is another one.
    Moved(V),
    /// It is the same.
    Same(V, &'static str),
    /// There is nothing in the formula to mutate.
    Absent(&'static str),
}
use Cell::{Absent, Moved, Same};

/// A formula and what the check of it says of its mutants.
struct Row {
    formula: &'static str,
    oracle: String,
    /// For each mutant, no reason if it is refuted.
    reasons: Vec<Option<&'static str>>,
    problems: Vec<String>,
}

/// Runs the same test on the right value and on its mutants; `others` are mutants of this formula alone.
fn row<V>(
    formula: &'static str,
    test: impl Fn(&V) -> Report,
    right: V,
    cells: [Cell<V>; 7],
    others: Vec<(&str, V)>,
) -> Row {
    let report = test(&right);
    let mut problems = Vec::new();
    let mut expect = |verdict, mutant: &str, report: &Report| {
        if report.verdict != verdict {
            problems.push(format!("{mutant}: {report}"));
        }
    };
    expect(Verdict::Consistent, "as it is", &report);
    for (mutant, cell) in MUTANTS.iter().zip(&cells) {
        match cell {
            Moved(value) => expect(Verdict::Refuted, mutant, &test(value)),
            Same(value, _) => expect(Verdict::Consistent, mutant, &test(value)),
            Absent(_) => {}
        }
    }
    others.iter().for_each(|(mutant, value)| expect(Verdict::Refuted, mutant, &test(value)));
    let oracle = if report.samples == 0 { "exact".into() } else { format!("{}, {}", report.method, report.samples) };
    let reason = |cell: &Cell<V>| match *cell {
        Moved(_) => None,
        Same(_, reason) | Absent(reason) => Some(reason),
    };
    Row { formula, oracle, reasons: cells.iter().map(reason).collect(), problems }
}

/// Against an oracle without random error.
fn exact<V: Entries>(
    formula: &'static str,
    oracle: &V,
    error: f64,
    right: V,
    cells: [Cell<V>; 7],
    others: Vec<(&str, V)>,
) -> Row {
    let discrepancy = 10.0 * error;
    let test =
        |value: &V| Exact { claim: "mutants", name: formula, closed_form: value, oracle, error, discrepancy }.check();
    row(formula, test, right, cells, others)
}

/// To notice one per cent.
fn power(closed_form: f64) -> Power {
    Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.01 * closed_form.abs() }
}

/// Against the mean of as many samples as one per cent of the right value needs.
fn monte_carlo(
    formula: &'static str,
    bound: Bound,
    right: f64,
    cells: [Cell<f64>; 7],
    sample: impl Fn(&mut Generator) -> f64 + Sync,
) -> Row {
    let power = power(right);
    let samples = bound.min_samples(power).unwrap();
    let test = |&closed_form: &f64| {
        MonteCarlo { claim: "mutants", name: formula, closed_form, bound, power, samples }.check(&sample)
    };
    row(formula, test, right, cells, vec![])
}

/// The mean of a quadratic f over a normal: that over the points μ ± √d L eᵢ, exactly.
fn cubature(p: &Gaussian, f: impl Fn(&DVector<f64>) -> f64) -> f64 {
    let arm = p.cholesky_factor() * (p.dim() as f64).sqrt();
    let pairs = arm.column_iter().map(|arm| f(&(p.mean() + arm)) + f(&(p.mean() - arm)));
    pairs.sum::<f64>() / (2 * p.dim()) as f64
}

/// ln p in two dimensions by the determinant and the inverse of Σ, written out.
fn ln_pdf_2d(p: &Gaussian, x: &DVector<f64>) -> f64 {
    let (s, u, v) = (p.covariance(), x[0] - p.mean()[0], x[1] - p.mean()[1]);
    let det = s[(0, 0)] * s[(1, 1)] - s[(0, 1)] * s[(1, 0)];
    let square = (s[(1, 1)] * u * u - 2.0 * s[(0, 1)] * u * v + s[(0, 0)] * v * v) / det;
    (-0.5 * square).exp().ln() - (2.0 * PI * det.sqrt()).ln()
}

/// Two normals, whose determinants are not 1 and whose means are neither equal nor zero.
fn pair() -> (Gaussian, Gaussian) {
    let p = Gaussian::new(dvector![3.0, -0.8], dmatrix![2.0, 1.2; 1.2, 1.0]).unwrap();
    let q = Gaussian::new(dvector![-0.7, 0.6], dmatrix![1.5, -0.3; -0.3, 3.0]).unwrap();
    (p, q)
}

const NO_HALF: &str = "no factor ½";
const NO_D: &str = "no term in d";
const NO_DET: &str = "no determinant";
const NO_N: &str = "no sample size";
const NO_MEAN: &str = "does not depend on the mean";
const ONE_ARGUMENT: &str = "one argument";
const EVEN: &str = "even in x − μ";
const SYMMETRIC: &str = "symmetric in i and j";

fn entropy() -> [Row; 2] {
    let (p, _) = pair();
    let h = |d: f64, ln_det: f64| 0.5 * (d * (1.0 + (2.0 * PI).ln()) + ln_det);
    let ln_det = p.ln_det_covariance();
    let right = p.entropy();
    let cells = || {
        let (halved, d) = (Moved(2.0 * right), Moved(h(1.0, ln_det)));
        let sign = Moved(h(2.0, -ln_det));
        [Moved(1.01 * right), halved, d, Absent(ONE_ARGUMENT), sign, Absent(NO_MEAN), Absent(NO_N)]
    };
    let value = |x: &DVector<f64>| -ln_pdf_2d(&p, x);
    [
        exact("entropy", &cubature(&p, value), 1e-13, right, cells(), vec![]),
        monte_carlo("entropy", Bound::entropy(&p), right, cells(), |rng| value(&p.sample(rng))),
    ]
}

fn cross_entropy() -> [Row; 2] {
    let (p, q) = pair();
    let parts = |p: &Gaussian, q: &Gaussian| {
        let trace = q.solve_covariance(p.covariance()).unwrap().trace();
        (trace, q.mahalanobis_squared(p.mean()).unwrap(), q.ln_det_covariance())
    };
    let h = |d: f64, (trace, distance, ln_det)| 0.5 * (d * (2.0 * PI).ln() + ln_det + trace + distance);
    let (trace, distance, ln_det) = parts(&p, &q);
    let right = kl::cross_entropy(&p, &q).unwrap();
    let cells = || {
        let (halved, d) = (Moved(2.0 * right), Moved(h(1.0, parts(&p, &q))));
        let (swapped, sign) = (Moved(h(2.0, parts(&q, &p))), Moved(h(2.0, (trace, distance, -ln_det))));
        [Moved(1.01 * right), halved, d, swapped, sign, Moved(h(2.0, (trace, 0.0, ln_det))), Absent(NO_N)]
    };
    let bound = Bound::cross_entropy(&p, &q).unwrap();
    let value = |x: &DVector<f64>| -ln_pdf_2d(&q, x);
    [
        exact("cross-entropy", &cubature(&p, value), 1e-13, right, cells(), vec![]),
        monte_carlo("cross-entropy", bound, right, cells(), |rng| value(&p.sample(rng))),
    ]
}

fn log_ratio() -> [Row; 2] {
    let (p, q) = pair();
    let parts = |p: &Gaussian, q: &Gaussian| {
        let trace = q.solve_covariance(p.covariance()).unwrap().trace();
        (trace, q.mahalanobis_squared(p.mean()).unwrap(), q.ln_det_covariance() - p.ln_det_covariance())
    };
    let mutant = |d: f64, (trace, distance, ln_det)| 0.5 * (trace + distance - d + ln_det);
    let (trace, distance, ln_det) = parts(&p, &q);
    let right = kl::kl(&p, &q).unwrap();
    let cells = || {
        let (halved, d) = (Moved(2.0 * right), Moved(mutant(0.0, parts(&p, &q))));
        let (swapped, sign) = (Moved(mutant(2.0, parts(&q, &p))), Moved(mutant(2.0, (trace, distance, -ln_det))));
        [Moved(1.01 * right), halved, d, swapped, sign, Moved(mutant(2.0, (trace, 0.0, ln_det))), Absent(NO_N)]
    };
    let bound = Bound::log_ratio(&p, &q).unwrap();
    let value = |x: &DVector<f64>| ln_pdf_2d(&p, x) - ln_pdf_2d(&q, x);
    [
        exact("log ratio", &cubature(&p, value), 1e-13, right, cells(), vec![]),
        monte_carlo("log ratio", bound, right, cells(), |rng| value(&p.sample(rng))),
    ]
}

/// E_q p/q = 1 for q = N(μ, 1.2 Σ), where p/q is between 0 and 1.2^(d/2) = 1.2. Here it is the sample that is mutated.
fn normalisation() -> Row {
    type LnPdf<'a> = Box<dyn Fn(&DVector<f64>) -> f64 + Sync + 'a>;
    let (p, _) = pair();
    let q = Gaussian::new(p.mean().clone(), p.covariance() * 1.2).unwrap();
    let ln_det = p.ln_det_covariance();
    let of = |d: f64, ln_det: f64| -> LnPdf<'_> {
        let p = &p;
        Box::new(move |x| -0.5 * (d * (2.0 * PI).ln() + ln_det + p.mahalanobis_squared(x).unwrap()))
    };
    let times = |factor: f64| -> LnPdf<'_> {
        let p = &p;
        Box::new(move |x| factor * p.ln_pdf(x).unwrap())
    };
    let bound = Bound::Hoeffding { lower: 0.0, upper: 1.2 };
    let samples = bound.min_samples(power(1.0)).unwrap();
    let test = |ln_p: &LnPdf<'_>| {
        let check = MonteCarlo { claim: "mutants", name: "∫ p", closed_form: 1.0, bound, power: power(1.0), samples };
        check.check(|rng| {
            let x = q.sample(rng);
            (ln_p(&x) - ln_pdf_2d(&q, &x)).exp()
        })
    };
    let shifted = "a density that is shifted integrates to one as well";
    let cells = [
        Moved(times(1.01)),
        Moved(times(2.0)),
        Moved(of(1.0, ln_det)),
        Absent(EVEN),
        Moved(of(2.0, -ln_det)),
        Absent(shifted),
        Absent(NO_N),
    ];
    row("∫ p", test, times(1.0), cells, vec![])
}

const LENGTHS: [&str; 4] = ["sepal length", "sepal width", "petal length", "petal width"];

/// The log densities by determinant and inverse.
fn ln_pdf_by_definition(mean: &DVector<f64>, covariance: &DMatrix<f64>, x: &DMatrix<f64>) -> DVector<f64> {
    let inverse = covariance.clone().try_inverse().unwrap();
    let constant = -0.5 * (x.ncols() as f64 * (2.0 * PI).ln() + covariance.determinant().ln());
    let value = |r: DVector<f64>| constant - 0.5 * r.dot(&(&inverse * &r));
    DVector::from_iterator(x.nrows(), x.row_iter().map(|row| value(row.transpose() - mean)))
}

/// The log likelihood as the sum of those.
fn ll_by_definition(mean: &DVector<f64>, covariance: &DMatrix<f64>, x: &DMatrix<f64>) -> f64 {
    ln_pdf_by_definition(mean, covariance, x).sum()
}

fn slope(f: impl Fn(f64) -> f64, h: f64) -> f64 {
    (f(h) - f(-h)) / (2.0 * h)
}

struct Example {
    x: DMatrix<f64>,
    stats: GaussianStats,
    theta: Gaussian,
}

/// The flowers, and a normal away from their fit.
fn example() -> Example {
    let x = data::matrix(&data::iris().unwrap(), &LENGTHS).unwrap();
    let covariance = dmatrix![0.9, 0.1, 0.8, 0.3; 0.1, 0.5, -0.1, 0.0; 0.8, -0.1, 2.0, 0.7; 0.3, 0.0, 0.7, 0.6];
    let theta = Gaussian::new(dvector![5.5, 3.2, 4.0, 1.0], covariance).unwrap();
    Example { stats: GaussianStats::from_rows(&x).unwrap(), x, theta }
}

/// ln p with each sample for the mean and the mean for the sample.
fn swapped(p: &Gaussian, x: &DMatrix<f64>) -> DVector<f64> {
    let around = |x: DVector<f64>| Gaussian::new(x, p.covariance().clone()).unwrap();
    DVector::from_iterator(x.nrows(), x.row_iter().map(|row| around(row.transpose()).ln_pdf(p.mean()).unwrap()))
}

fn ln_pdf() -> Row {
    let Example { x, theta, .. } = example();
    let right = theta.ln_pdf_rows(&x).unwrap();
    let ln_det = theta.ln_det_covariance();
    let plus = |constant: f64| right.map(|ln_p| ln_p + constant);
    let around_zero = Gaussian::new(DVector::zeros(4), theta.covariance().clone()).unwrap();
    let cells = [
        Moved(&right * 1.01),
        Moved(&right * 2.0),
        Moved(plus(1.5 * (2.0 * PI).ln())),
        Same(swapped(&theta, &x), EVEN),
        Moved(plus(ln_det)),
        Moved(around_zero.ln_pdf_rows(&x).unwrap()),
        Absent(NO_N),
    ];
    exact("ln p", &ln_pdf_by_definition(theta.mean(), theta.covariance(), &x), 1e-12, right, cells, vec![])
}

fn log_likelihood() -> Row {
    let Example { x, stats, theta } = example();
    let (n, d, ln_2pi, ln_det) = (150.0, 4.0, (2.0 * PI).ln(), theta.ln_det_covariance());
    let trace = |scatter: &DMatrix<f64>| theta.solve_covariance(scatter).unwrap().trace();
    let around_mean = trace(&stats.scatter_around(theta.mean()).unwrap());
    let right = theta.ln_likelihood_of(&stats).unwrap();
    let cells = [
        Moved(1.01 * right),
        Moved(2.0 * right),
        Moved(-0.5 * (n * ln_2pi + n * ln_det + around_mean)),
        Same(swapped(&theta, &x).sum(), EVEN),
        Moved(-0.5 * (n * d * ln_2pi - n * ln_det + around_mean)),
        Moved(-0.5 * (n * d * ln_2pi + n * ln_det + trace(stats.scatter()))),
        Moved(-0.5 * ((n - 1.0) * (d * ln_2pi + ln_det) + around_mean)),
    ];
    exact("LL", &ll_by_definition(theta.mean(), theta.covariance(), &x), 1e-9, right, cells, vec![])
}

fn gradient_in_the_mean() -> Row {
    let Example { x, stats, theta } = example();
    let moved = |i: usize, h: f64| {
        let mut mean = theta.mean().clone();
        mean[i] += h;
        ll_by_definition(&mean, theta.covariance(), &x)
    };
    let differences = DVector::from_fn(4, |i, _| slope(|h| moved(i, h), 0.01));
    let right = theta.gradient_mean(&stats).unwrap();
    let around_zero = Gaussian::new(DVector::zeros(4), theta.covariance().clone()).unwrap();
    let cells = [
        Moved(&right * 1.01),
        Moved(&right * 2.0),
        Absent(NO_D),
        Moved(-&right),
        Absent("ln det Σ does not depend on μ"),
        Moved(around_zero.gradient_mean(&stats).unwrap()),
        Moved(&right * (149.0 / 150.0)),
    ];
    let without_inverse = theta.covariance() * (stats.mean() - theta.mean()) * 150.0;
    exact("∇_μ LL", &differences, 1e-8, right, cells, vec![("Σ for Σ⁻¹", without_inverse)])
}

fn gradient_in_the_covariance() -> Row {
    let Example { x, stats, theta } = example();
    let moved = |i: usize, j: usize, h: f64| {
        let mut covariance = theta.covariance().clone();
        covariance[(i, j)] += h;
        ll_by_definition(theta.mean(), &covariance, &x)
    };
    let differences = DMatrix::from_fn(4, 4, |i, j| slope(|h| moved(i, j, h), 1e-4));
    let right = theta.gradient_covariance(&stats).unwrap();
    let precision = theta.solve_covariance(&DMatrix::identity(4, 4)).unwrap();
    let with_scatter = |scatter: &DMatrix<f64>| (&precision * 150.0 - &precision * scatter * &precision) * -0.5;
    let cells = [
        Moved(&right * 1.01),
        Moved(&right * 2.0),
        Absent(NO_D),
        Same(right.transpose(), SYMMETRIC),
        Moved(&right + &precision * 150.0),
        Moved(with_scatter(stats.scatter())),
        Moved(&right + &precision * 0.5),
    ];
    let others = vec![
        ("−2 times, as the lecture has it", &right * -2.0),
        ("sign", -&right),
        ("tied entries", &right * 2.0 - DMatrix::from_diagonal(&right.diagonal())),
    ];
    exact("∇_Σ LL", &differences, 1e-5, right, cells, others)
}

fn fitted_covariance() -> Row {
    let Example { x, stats, .. } = example();
    // The mean outer product by its definition, entry by entry.
    let mean: Vec<f64> = (0..4).map(|i| x.column(i).iter().sum::<f64>() / 150.0).collect();
    let entry =
        |i: usize, j: usize| (0..150).map(|n| (x[(n, i)] - mean[i]) * (x[(n, j)] - mean[j])).sum::<f64>() / 150.0;
    let right = stats.fit().unwrap().covariance().clone();
    let cells = [
        Moved(&right * 1.01),
        Absent(NO_HALF),
        Absent(NO_D),
        Same(right.transpose(), SYMMETRIC),
        Absent(NO_DET),
        Moved(stats.scatter_around(&DVector::zeros(4)).unwrap() / 150.0),
        Moved(stats.scatter() / 149.0),
    ];
    exact("ML covariance", &DMatrix::from_fn(4, 4, entry), 1e-13, right, cells, vec![])
}

/// E Σ̂₁₂ = (n−1)/n Σ₁₂ over many data sets of n = 50.
fn mean_of_fitted_covariances() -> Row {
    let (p, _) = pair();
    let (sigma, n) = (p.covariance()[(0, 1)], 50);
    let bound = Bound::covariance_entry(p.covariance(), 0, 1, n).unwrap();
    let right = 0.98 * sigma;
    let cells = [
        Moved(1.01 * right),
        Absent(NO_HALF),
        Absent(NO_D),
        Absent(SYMMETRIC),
        Absent(NO_DET),
        Moved(sigma + p.mean()[0] * p.mean()[1]),
        Moved(sigma),
    ];
    monte_carlo("E ML Σ₁₂", bound, right, cells, |rng| {
        Gaussian::fit(&p.sample_n(n, rng)).unwrap().covariance()[(0, 1)]
    })
}

/// The marginal's density against the joint density with the other variable integrated out.
fn marginal_density() -> Row {
    let (p, _) = pair();
    let points: Vec<f64> = (-3..=3).map(f64::from).collect();
    // The trapezoidal rule converges exponentially for a density that is analytic and falls off on both sides.
    let integrated = |a: f64| {
        let h = 0.02;
        (-1000..=1000).map(|i| h * ln_pdf_2d(&p, &dvector![a, h * f64::from(i)]).exp()).sum::<f64>()
    };
    let pdf = |p: &Gaussian, a: f64| p.ln_pdf(&dvector![a]).unwrap().exp();
    let density = |p: &Gaussian| DVector::from_iterator(7, points.iter().map(|&a| pdf(p, a)));
    let marginal = p.marginal(&[0]).unwrap();
    let (mean, variance) = (marginal.mean()[0], marginal.covariance()[0]);
    let right = density(&marginal);
    let cells = [
        Moved(&right * 1.01),
        Moved(right.map(|p| p * p)),
        Absent("d = 1"),
        Moved(density(&p.marginal(&[1]).unwrap())),
        Moved(&right * variance),
        Moved(density(&Gaussian::univariate(0.0, variance).unwrap())),
        Absent(NO_N),
    ];
    let conditional = variance - p.covariance()[(0, 1)].powi(2) / p.covariance()[(1, 1)];
    let others = vec![("the conditional's variance", density(&Gaussian::univariate(mean, conditional).unwrap()))];
    let oracle = DVector::from_iterator(7, points.iter().map(|&a| integrated(a)));
    exact("marginal", &oracle, 1e-13, right, cells, others)
}

/// The marginal's distribution function against samples of the joint.
fn marginal_distribution() -> Row {
    let (p, _) = pair();
    let normal = |i: usize| {
        let marginal = p.marginal(&[i]).unwrap();
        (marginal.mean()[0], marginal.covariance()[0])
    };
    let power = power(1.0);
    let samples = Bound::Massart.min_samples(power).unwrap();
    // Mean, variance and a factor.
    let test = |&(mean, variance, factor): &(f64, f64, f64)| {
        let normal = Normal::new(mean, variance.sqrt()).unwrap();
        let closed_form = |a| factor * normal.cdf(a);
        DistributionFunction { claim: "mutants", name: "marginal", closed_form, power, samples }
            .check(|rng| p.sample(rng)[0])
    };
    let ((mean, variance), other) = (normal(0), normal(1));
    let cells = [
        Moved((mean, variance, 1.01)),
        Moved((mean, variance / 2.0, 1.0)),
        Absent(NO_D),
        Moved((other.0, other.1, 1.0)),
        Absent(NO_DET),
        Moved((0.0, variance, 1.0)),
        Absent(NO_N),
    ];
    row("marginal", test, (mean, variance, 1.0), cells, vec![("variance × 1.1", (mean, 1.1 * variance, 1.0))])
}

fn moments() -> [Row; 2] {
    let (p, _) = pair();
    let (mean, sigma) = (p.mean().clone(), p.covariance().clone());
    let mean_cells = [
        Moved(1.01 * mean[0]),
        Absent(NO_HALF),
        Absent(NO_D),
        Moved(mean[1]),
        Absent(NO_DET),
        Moved(0.0),
        Absent(NO_N),
    ];
    let covariance_cells = [
        Moved(1.01 * sigma[(0, 1)]),
        Absent(NO_HALF),
        Absent(NO_D),
        Absent(SYMMETRIC),
        Absent(NO_DET),
        Moved(sigma[(0, 1)] + mean[0] * mean[1]),
        Absent("the mean is known"),
    ];
    let product = Bound::centred_product(&sigma, 0, 1).unwrap();
    let entry = Bound::Normal { variance: sigma[(0, 0)] };
    [
        monte_carlo("E X₁", entry, mean[0], mean_cells, |rng| p.sample(rng)[0]),
        monte_carlo("Cov(X₁, X₂)", product, sigma[(0, 1)], covariance_cells, |rng| {
            let r = p.sample(rng) - p.mean();
            r[0] * r[1]
        }),
    ]
}

/// The rows as lines of text, with the reasons numbered below.
fn table(rows: &[Row]) -> String {
    let mut reasons: Vec<&str> = vec![];
    let mut line = |row: &Row| {
        let cells = row.reasons.iter().map(|reason| match reason {
            None => "refuted".into(),
            Some(reason) => {
                let known = reasons.iter().position(|known| known == reason);
                format!("– ({})", 1 + known.unwrap_or_else(|| (reasons.push(reason), reasons.len() - 1).1))
            }
        });
        let cells: Vec<String> = cells.map(|cell: String| format!("{cell:<14}")).collect();
        format!("{:<14} {:<19} {}", row.formula, row.oracle, cells.join(" ")).trim_end().to_owned()
    };
    let body: Vec<String> = rows.iter().map(&mut line).collect();
    let header: Vec<String> = MUTANTS.iter().map(|mutant| format!("{mutant:<14}")).collect();
    let reasons = reasons.iter().enumerate().map(|(i, reason)| format!("({}) {reason}", i + 1));
    let header = format!("{:<14} {:<19} {}", "formula", "oracle, N", header.join(" "));
    [vec![header.trim_end().to_owned()], body, reasons.collect()].concat().join("\n")
}

#[test]
fn every_mutant_that_moves_a_formula_is_refuted() {
    let mut rows = vec![normalisation(), ln_pdf()];
    rows.extend(entropy().into_iter().chain(cross_entropy()).chain(log_ratio()));
    rows.extend([log_likelihood(), gradient_in_the_mean(), gradient_in_the_covariance(), fitted_covariance()]);
    rows.extend([mean_of_fitted_covariances(), marginal_density(), marginal_distribution()]);
    rows.extend(moments());
    println!("{}", table(&rows));
    let problems: Vec<String> =
        rows.iter().flat_map(|row| row.problems.iter().map(|problem| format!("{}: {problem}", row.formula))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    for (i, mutant) in MUTANTS.iter().enumerate() {
        assert!(rows.iter().any(|row| row.reasons[i].is_none()), "nothing shows that {mutant} is caught");
    }
}
