//! The normal distribution in d dimensions: fit, samples, log densities, divergences.

mod works;

use generative_models::prelude::*;
use works::{Work, work};

/// N and d.
const SHAPES: [(usize, usize); 3] = [(1_000_000, 8), (200_000, 64), (20_000, 256)];

/// Numbers that every library makes alike: the fractional parts of n √(j² + 2), n from 1.
fn data(n: usize, d: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, d, |i, j| ((i + 1) as f64 * ((j * j + 2) as f64).sqrt()).fract())
}

/// Mean j/d + shift, and covariance ρ^|i−j|.
fn normal(d: usize, shift: f64, rho: f64) -> Gaussian {
    let mean = DVector::from_fn(d, |j, _| j as f64 / d as f64 + shift);
    Gaussian::new(mean, DMatrix::from_fn(d, d, |i, j| rho.powi(i.abs_diff(j) as i32))).unwrap()
}

fn main() {
    let mut works: Vec<Work> = vec![];
    for (n, d) in SHAPES {
        works.push(work(format!("fit {n}×{d}"), move || {
            let x = data(n, d);
            move || Gaussian::fit(&x).unwrap().ln_det_covariance()
        }));
        works.push(work(format!("sample {n}×{d}"), move || {
            let (p, mut rng) = (normal(d, 0.0, 0.5), rng("sample"));
            move || p.sample_n(n, &mut rng)[0] * f64::NAN
        }));
        works.push(work(format!("ln_pdf {n}×{d}"), move || {
            let (p, x) = (normal(d, 0.0, 0.5), data(n, d));
            move || p.ln_pdf_rows(&x).unwrap()[n - 1]
        }));
    }
    for (n, d) in [(10_000_000, 2), (1_000_000, 20)] {
        works.push(work(format!("Monte Carlo KL {n}×{d}"), move || {
            let (q, p) = (normal(d, 0.0, 0.5), normal(d, 0.1, 0.3));
            move || kl_by_monte_carlo("benchmark", n, &q, &p).unwrap().mean()
        }));
    }
    for d in [1, 2, 20, 200] {
        works.push(work(format!("KL d={d}"), move || {
            let (q, p) = (normal(d, 0.0, 0.5), normal(d, 0.1, 0.3));
            move || kl(&q, &p).unwrap()
        }));
    }
    works::run(&works);
}
