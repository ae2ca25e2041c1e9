//! The power of the notebook's exact checks, shown and not claimed: each closed form of maximum likelihood is consistent with
//! its oracle, and each of its mutants is refuted at the same tolerance.

use generative_models::check::{Entries, Verdict};
use generative_models::prelude::*;

const LENGTHS: [&str; 4] = ["sepal length", "sepal width", "petal length", "petal width"];

/// The log likelihood by determinant, inverse and a sum over the samples.
fn ll_by_definition(mean: &DVector<f64>, covariance: &DMatrix<f64>, x: &DMatrix<f64>) -> f64 {
    let inverse = covariance.clone().try_inverse().unwrap();
    let constant = -0.5 * (x.ncols() as f64 * (2.0 * PI).ln() + covariance.determinant().ln());
    x.row_iter().map(|row| row.transpose() - mean).map(|r| constant - 0.5 * r.dot(&(&inverse * &r))).sum()
}

fn slope(f: impl Fn(f64) -> f64, h: f64) -> f64 {
    (f(h) - f(-h)) / (2.0 * h)
}

/// Holds a closed form and its mutants against an oracle.
fn table<V: Entries>(formula: &str, closed_form: V, oracle: &V, error: f64, mutants: Vec<(&str, V)>) {
    let verdict = |closed_form: &V| {
        Exact { claim: "M", name: formula, closed_form, oracle, error, discrepancy: 10.0 * error }.check().verdict
    };
    assert_eq!(verdict(&closed_form), Verdict::Consistent, "{formula}");
    for (mutant, value) in &mutants {
        assert_eq!(verdict(value), Verdict::Refuted, "{formula}: {mutant}");
    }
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

#[test]
fn log_likelihood() {
    let Example { x, stats, theta } = example();
    let (n, d, ln_2pi, ln_det) = (150.0, 4.0, (2.0 * PI).ln(), theta.ln_det_covariance());
    let trace = |scatter: &DMatrix<f64>| theta.solve_covariance(scatter).unwrap().trace();
    let around_mean = trace(&stats.scatter_around(theta.mean()).unwrap());
    let ll = theta.ln_likelihood_of(&stats).unwrap();
    let by_definition = ll_by_definition(theta.mean(), theta.covariance(), &x);
    let mutants = vec![
        ("× 1.01", 1.01 * ll),
        ("without ½", 2.0 * ll),
        ("without d", -0.5 * (n * ln_2pi + n * ln_det + around_mean)),
        ("sign of the log determinant", -0.5 * (n * d * ln_2pi - n * ln_det + around_mean)),
        ("without the mean's difference", -0.5 * (n * d * ln_2pi + n * ln_det + trace(stats.scatter()))),
        ("N − 1", -0.5 * ((n - 1.0) * (d * ln_2pi + ln_det) + around_mean)),
    ];
    table("LL", ll, &by_definition, 1e-9, mutants);
}

#[test]
fn gradient_in_the_mean() {
    let Example { x, stats, theta } = example();
    let moved = |i: usize, h: f64| {
        let mut mean = theta.mean().clone();
        mean[i] += h;
        ll_by_definition(&mean, theta.covariance(), &x)
    };
    let differences = DVector::from_fn(4, |i, _| slope(|h| moved(i, h), 0.01));
    let gradient = theta.gradient_mean(&stats).unwrap();
    let mutants = vec![
        ("× 1.01", &gradient * 1.01),
        ("× ½", &gradient * 0.5),
        ("sign", -&gradient),
        ("N − 1", &gradient * (149.0 / 150.0)),
        ("Σ for Σ⁻¹", theta.covariance() * (stats.mean() - theta.mean()) * 150.0),
    ];
    table("∇_μ LL", gradient, &differences, 1e-8, mutants);
}

#[test]
fn gradient_in_the_covariance() {
    let Example { x, stats, theta } = example();
    let moved = |i: usize, j: usize, h: f64| {
        let mut covariance = theta.covariance().clone();
        covariance[(i, j)] += h;
        ll_by_definition(theta.mean(), &covariance, &x)
    };
    let differences = DMatrix::from_fn(4, 4, |i, j| slope(|h| moved(i, j, h), 1e-4));
    let gradient = theta.gradient_covariance(&stats).unwrap();
    let precision = theta.solve_covariance(&DMatrix::identity(4, 4)).unwrap();
    let with_scatter = |scatter: &DMatrix<f64>| (&precision * 150.0 - &precision * scatter * &precision) * -0.5;
    let mutants = vec![
        ("× 1.01", &gradient * 1.01),
        ("without −½, as the lecture has it", &gradient * -2.0),
        ("sign", -&gradient),
        ("without the mean's difference", with_scatter(stats.scatter())),
        ("N − 1", &gradient + &precision * 0.5),
        ("tied entries", &gradient * 2.0 - DMatrix::from_diagonal(&gradient.diagonal())),
    ];
    table("∇_Σ LL", gradient, &differences, 1e-5, mutants);
}

#[test]
fn fitted_covariance() {
    let Example { x, stats, .. } = example();
    // The mean outer product by its definition, entry by entry.
    let mean: Vec<f64> = (0..4).map(|i| x.column(i).iter().sum::<f64>() / 150.0).collect();
    let entry =
        |i: usize, j: usize| (0..150).map(|n| (x[(n, i)] - mean[i]) * (x[(n, j)] - mean[j])).sum::<f64>() / 150.0;
    let by_definition = DMatrix::from_fn(4, 4, entry);
    let fit = stats.fit().unwrap().covariance().clone();
    let mutants = vec![
        ("× 1.01", &fit * 1.01),
        ("N − 1", stats.scatter() / 149.0),
        ("around zero", stats.scatter_around(&DVector::zeros(4)).unwrap() / 150.0),
    ];
    table("Σ̂", fit, &by_definition, 1e-13, mutants);
}
