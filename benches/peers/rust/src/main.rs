//! The works of benches/normal.rs in statrs and rv, where they have them. Each sample is a vector of its own, as they take it.

#[path = "../../../works/mod.rs"]
mod works;

use nalgebra::DVector;
use nalgebra_of_rv as of_rv;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rv::prelude::{Gaussian, HasDensity, KlDivergence, MvGaussian, Sampleable};
use statrs::distribution::{Continuous, MultivariateNormal};
use works::{Work, work};

const SHAPES: [(usize, usize); 3] = [(1_000_000, 8), (200_000, 64), (20_000, 256)];

/// The fractional parts of n √(j² + 2), n from 1, row by row.
fn data(n: usize, d: usize) -> Vec<Vec<f64>> {
    (0..n).map(|i| (0..d).map(|j| ((i + 1) as f64 * ((j * j + 2) as f64).sqrt()).fract()).collect()).collect()
}

/// Mean j/d and covariance ½^|i−j|.
fn moments(d: usize) -> (Vec<f64>, Vec<f64>) {
    let entry = |k: usize| 0.5_f64.powi((k / d).abs_diff(k % d) as i32);
    ((0..d).map(|j| j as f64 / d as f64).collect(), (0..d * d).map(entry).collect())
}

fn of_statrs(d: usize) -> MultivariateNormal<nalgebra::Dyn> {
    let (mean, covariance) = moments(d);
    MultivariateNormal::new(mean, covariance).unwrap()
}

fn of_rv(d: usize) -> MvGaussian {
    let (mean, covariance) = moments(d);
    MvGaussian::new(of_rv::DVector::from_vec(mean), of_rv::DMatrix::from_vec(d, d, covariance)).unwrap()
}

fn main() {
    let mut works: Vec<Work> = vec![];
    for (n, d) in SHAPES {
        works.push(work(format!("statrs: sample {n}×{d}"), move || {
            let (p, mut rng) = (of_statrs(d), ChaCha8Rng::seed_from_u64(0));
            move || (0..n).map(|_| p.sample(&mut rng)).collect::<Vec<_>>()[0][0] * f64::NAN
        }));
        works.push(work(format!("rv: sample {n}×{d}"), move || {
            let (p, mut rng) = (of_rv(d), <rand_of_rv::rngs::SmallRng as rand_of_rv::SeedableRng>::seed_from_u64(0));
            move || Sampleable::<of_rv::DVector<f64>>::sample(&p, n, &mut rng)[0][0] * f64::NAN
        }));
        works.push(work(format!("statrs: ln_pdf {n}×{d}"), move || {
            let (p, x): (_, Vec<_>) = (of_statrs(d), data(n, d).into_iter().map(DVector::from_vec).collect());
            move || x.iter().map(|x| p.ln_pdf(x)).collect::<Vec<f64>>()[n - 1]
        }));
        works.push(work(format!("rv: ln_pdf {n}×{d}"), move || {
            let (p, x): (_, Vec<_>) = (of_rv(d), data(n, d).into_iter().map(of_rv::DVector::from_vec).collect());
            move || x.iter().map(|x| p.ln_f(x)).collect::<Vec<f64>>()[n - 1]
        }));
    }
    works.push(work("rv: KL d=1", || {
        let (q, p) = (Gaussian::new(0.0, 1.0).unwrap(), Gaussian::new(0.1, 1.0).unwrap());
        move || std::hint::black_box(&q).kl(std::hint::black_box(&p))
    }));
    works::run(&works);
}
