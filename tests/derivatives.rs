//! The derivatives of claims M3 to M5 three ways: closed form, dual numbers through the definition of the log likelihood, and central
//! differences of it with a stated error. The definition has its determinant and inverse from an LU factorisation and shares
//! nothing with the library's Cholesky factor.

use generative_models::check::Report;
use generative_models::nalgebra::{SVector, vector};
use generative_models::num_dual::linalg::LU;
use generative_models::num_dual::{Dual2SVec64, DualNum, DualSVec64, gradient, hessian};
use generative_models::prelude::*;

const LENGTHS: [&str; 4] = ["sepal length", "sepal width", "petal length", "petal width"];

/// LL by definition, for numbers that carry derivatives and for plain ones.
fn ll<D: DualNum<Primitive = f64> + Copy>(mean: &[D], covariance: &DMatrix<D>, x: &DMatrix<f64>) -> D {
    let lu = LU::new(covariance.clone()).unwrap();
    let constant = lu.determinant().ln() + mean.len() as f64 * (2.0 * PI).ln();
    let ln_pdf = |n: usize| {
        let r = DVector::from_fn(mean.len(), |i, _| -mean[i] + x[(n, i)]);
        let solved = lu.solve(&r);
        (constant + r.iter().zip(&solved).map(|(&r, &s)| r * s).sum::<D>()) * -0.5
    };
    (0..x.nrows()).map(ln_pdf).sum()
}

/// A symmetric matrix from its lower triangle, column by column.
fn symmetric<D: Copy + generative_models::nalgebra::Scalar>(lower: &[D]) -> DMatrix<D> {
    DMatrix::from_fn(4, 4, |i, j| {
        let (i, j) = (i.max(j), i.min(j));
        lower[j * 4 - j * (j + 1) / 2 + i]
    })
}

/// The derivatives of f in the 16 entries of Σ, each of them free.
fn gradient_in_entries(sigma: &DMatrix<f64>, f: impl Fn(&DMatrix<DualSVec64<16>>) -> DualSVec64<16>) -> DMatrix<f64> {
    let entries = SVector::<f64, 16>::from_column_slice(sigma.as_slice());
    let (_, gradient) = gradient(|s: SVector<_, 16>| f(&DMatrix::from_column_slice(4, 4, s.as_slice())), &entries);
    DMatrix::from_column_slice(4, 4, gradient.as_slice())
}

struct Example {
    x: DMatrix<f64>,
    stats: GaussianStats,
    theta: Gaussian,
}

impl Example {
    /// The flowers, and a normal away from their fit.
    fn new() -> Self {
        let x = data::matrix(&data::iris().unwrap(), &LENGTHS).unwrap();
        let covariance = dmatrix![0.9, 0.1, 0.8, 0.3; 0.1, 0.5, -0.1, 0.0; 0.8, -0.1, 2.0, 0.7; 0.3, 0.0, 0.7, 0.6];
        let theta = Gaussian::new(dvector![5.5, 3.2, 4.0, 1.0], covariance).unwrap();
        Self { stats: GaussianStats::from_rows(&x).unwrap(), x, theta }
    }

    fn precision(&self) -> DMatrix<f64> {
        self.theta.solve_covariance(&DMatrix::identity(4, 4)).unwrap()
    }

    fn mean(&self) -> SVector<f64, 4> {
        SVector::from_column_slice(self.theta.mean().as_slice())
    }
}

#[track_caller]
fn stands(report: Report) {
    assert!(report.stands(), "{report}");
}

#[test]
fn gradient_in_the_mean() {
    let e @ Example { x, theta, .. } = &Example::new();
    let closed_form = theta.gradient_mean(&e.stats).unwrap();
    let covariance = theta.covariance().map(DualSVec64::<4>::from);
    let (value, dual) = gradient(|mean: SVector<_, 4>| ll(mean.as_slice(), &covariance, x), &e.mean());
    let dual = DVector::from_column_slice(dual.as_slice());
    // Sums of thousands of nats, rounded at some 1e-12.
    let oracle = theta.ln_likelihood_of(&e.stats).unwrap();
    stands(
        Exact { claim: "M1", name: "LL", closed_form: oracle, oracle: value, error: 1e-10, discrepancy: 1e-9 }.check(),
    );
    let check = Exact { claim: "M3", name: "∇_μ LL", closed_form, oracle: dual, error: 1e-10, discrepancy: 1e-9 };
    stands(check.check());
    // LL is quadratic in μ, so that a central difference has no error but that of rounding, 1e-12 / h.
    let h = 0.01;
    let moved = |i: usize, h: f64| {
        let mut mean = theta.mean().clone();
        mean[i] += h;
        ll(mean.as_slice(), theta.covariance(), x)
    };
    let differences = DVector::from_fn(4, |i, _| (moved(i, h) - moved(i, -h)) / (2.0 * h));
    stands(
        Exact { name: "∇_μ LL by differences", oracle: differences, error: 1e-9, discrepancy: 1e-8, ..check }.check(),
    );
}

#[test]
fn curvature_in_the_mean() {
    // ∇²_μ LL = −N Σ⁻¹ everywhere: the zero of the gradient is a maximum, and the only one.
    let e = &Example::new();
    let covariance = e.theta.covariance().map(Dual2SVec64::<4>::from);
    let (_, _, dual) = hessian(|mean: SVector<_, 4>| ll(mean.as_slice(), &covariance, &e.x), &e.mean());
    let oracle = DMatrix::from_column_slice(4, 4, dual.as_slice());
    let closed_form = e.precision() * -150.0;
    stands(Exact { claim: "M3", name: "∇²_μ LL", closed_form, oracle, error: 1e-10, discrepancy: 1e-9 }.check());
}

#[test]
fn gradient_in_the_covariance() {
    let e @ Example { x, theta, stats } = &Example::new();
    let closed_form = theta.gradient_covariance(stats).unwrap();
    let mean: Vec<_> = theta.mean().iter().map(|&m| DualSVec64::<16>::from(m)).collect();
    let dual = gradient_in_entries(theta.covariance(), |sigma| ll(&mean, sigma, x));
    let check =
        Exact { claim: "M5", name: "∇_Σ LL", closed_form, oracle: dual.clone(), error: 1e-10, discrepancy: 1e-9 };
    stands(check.check());
    // As the lecture has it, without the factor −½.
    let lecture = Exact { name: "−2 ∇_Σ LL", closed_form: &check.closed_form * -2.0, ..check.clone() };
    stands(lecture.expect_refuted());
    // A move of one entry changes Σ by a matrix of rank one. With p = (Σ⁻¹)ⱼᵢ and q = (Σ⁻¹ S Σ⁻¹)ⱼᵢ the central difference is off by
    // ½ p² (q − N p / 3) h² and terms in h⁴; rounding adds 1e-12 / h.
    let (h, p) = (1e-4, e.precision());
    let q = &p * stats.scatter_around(theta.mean()).unwrap() * &p;
    let truncation = p.zip_map(&q, |p, q| 0.5 * p * p * (q - 50.0 * p).abs() * h * h).max();
    let moved = |i: usize, j: usize, h: f64| {
        let mut covariance = theta.covariance().clone();
        covariance[(i, j)] += h;
        ll(theta.mean().as_slice(), &covariance, x)
    };
    let oracle = DMatrix::from_fn(4, 4, |i, j| (moved(i, j, h) - moved(i, j, -h)) / (2.0 * h));
    let error = 1.01 * truncation + 1e-7;
    stands(Exact { name: "∇_Σ LL by differences", oracle, error, discrepancy: 10.0 * error, ..check }.check());
}

#[test]
fn both_gradients_vanish_at_the_fit() {
    let Example { x, stats, .. } = &Example::new();
    let fit = stats.fit().unwrap();
    let mean: Vec<_> = fit.mean().iter().map(|&m| DualSVec64::<16>::from(m)).collect();
    let closed_form = gradient_in_entries(fit.covariance(), |sigma| ll(&mean, sigma, x));
    // Differences of numbers up to N / σ² = 1e4.
    let (error, discrepancy) = (1e-8, 1e-6);
    let zero = DMatrix::zeros(4, 4);
    stands(Exact { claim: "M5", name: "zero at Σ̂", closed_form, oracle: zero, error, discrepancy }.check());
    let covariance = fit.covariance().map(DualSVec64::<4>::from);
    let mean = SVector::<f64, 4>::from_column_slice(fit.mean().as_slice());
    let (_, dual) = gradient(|mean: SVector<_, 4>| ll(mean.as_slice(), &covariance, x), &mean);
    let closed_form = DVector::from_column_slice(dual.as_slice());
    let zero = DVector::zeros(4);
    stands(Exact { claim: "M3", name: "zero at x̄", closed_form, oracle: zero, error, discrepancy }.check());
}

#[test]
fn determinant_and_quadratic_form() {
    let e = &Example::new();
    let (sigma, precision) = (e.theta.covariance(), e.precision());
    let ln_det = |sigma: &DMatrix<DualSVec64<16>>| LU::new(sigma.clone()).unwrap().determinant().ln();
    let oracle = gradient_in_entries(sigma, ln_det);
    let (error, discrepancy) = (1e-12, 1e-10);
    let check =
        Exact { claim: "M4", name: "∇ ln det Σ", closed_form: precision.clone(), oracle, error, discrepancy };
    stands(check.check());
    let a = vector![1.0, -0.5, 2.0, 0.25];
    let form = |sigma: &DMatrix<DualSVec64<16>>| {
        let a = DVector::from_column_slice(a.map(DualSVec64::<16>::from).as_slice());
        let solved = LU::new(sigma.clone()).unwrap().solve(&a);
        a.iter().zip(&solved).map(|(&a, &s)| a * s).sum()
    };
    let solved = &precision * DVector::from_column_slice(a.as_slice());
    let closed_form = -&solved * solved.transpose();
    stands(Exact { name: "∇ aΣ⁻¹aᵀ", closed_form, oracle: gradient_in_entries(sigma, form), ..check }.check());
}

#[test]
fn tied_entries_have_another_gradient() {
    // The ten entries of the lower triangle, each standing in both triangles.
    let e = &Example::new();
    let lower: Vec<f64> = (0..4).flat_map(|j| (j..4).map(move |i| (i, j))).map(|at| e.theta.covariance()[at]).collect();
    assert_eq!(&symmetric(&lower), e.theta.covariance());
    let ln_det = |lower: SVector<DualSVec64<10>, 10>| LU::new(symmetric(lower.as_slice())).unwrap().determinant().ln();
    let (_, dual) = gradient(ln_det, &SVector::<f64, 10>::from_column_slice(&lower));
    let free = e.precision();
    let closed_form = &free * 2.0 - DMatrix::from_diagonal(&free.diagonal());
    let oracle = symmetric(dual.as_slice());
    let check =
        Exact { claim: "M4", name: "∇ ln det Σ, tied", closed_form, oracle, error: 1e-12, discrepancy: 1e-10 };
    stands(check.check());
    stands(Exact { name: "∇ ln det Σ, free for tied", closed_form: free, ..check }.expect_refuted());
}
