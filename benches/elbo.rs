//! Steps of an ascent on the ELBO: logistic regression from draws, and probabilistic PCA jointly with its amortised posterior.
//!
//! What is timed is 100 steps. The number that the peers must agree with is the ELBO that a long ascent finds, made beforehand.

mod works;

use generative_models::prelude::*;
use works::{Work, work};

/// A thousand digits: is it 5 or more, by nine pixels and an intercept?
fn logistic() -> Result<LogisticRegression> {
    let digits = data::digits()?.head(Some(1000));
    let pixels = [10, 13, 18, 21, 26, 29, 34, 37, 42].map(|i| format!("pixel {i}"));
    let labels: Vec<bool> = data::matrix(&digits, &["digit"])?.iter().map(|&digit| digit >= 5.0).collect();
    let x = (data::matrix(&digits, &pixels)? / 16.0).insert_column(0, 1.0);
    LogisticRegression::new(Gaussian::standard(10)?, x, &labels)
}

/// All digits with k factors, W from a fixed start, and q.
fn ppca(k: usize) -> Result<(Ppca, Amortised)> {
    let digits = data::pixels(&data::digits()?)?;
    let d = digits.ncols();
    let w = DMatrix::from_fn(d, k, |i, j| ((1 + i * k + j) as f64).sin());
    let q = Amortised::new(&digits, DMatrix::zeros(k, d), DVector::zeros(k), DMatrix::identity(k, k))?;
    Ok((Ppca::new(&digits, w, 3.0)?, q))
}

/// So many steps of Adam, whatever the ELBO does.
fn inference<E>(estimator: E, draws: usize, rate: f64, steps: usize) -> VariationalInference<'static, E, Adam> {
    let ascent = Adam { rate, decay: 200.0 };
    VariationalInference { name: "bench", estimator, ascent, draws, steps, window: 100, tolerance: 1e-9 }
}

/// The ELBO found is the mean of a million draws.
fn regression<Q: Family + Sync + 'static>(name: &str, start: fn(usize) -> Result<Q>) -> Work {
    work(format!("ELBO, logistic, {name}, 100 steps"), move || {
        let (model, start) = (logistic().unwrap(), start(10).unwrap());
        let ascent = |steps| inference(Reparameterized, 10, 0.05, steps);
        let found = ascent(100_000).fit(&model, start.clone()).unwrap();
        let elbo = elbo_by_monte_carlo("found", 1_000_000, &model, &found.q).unwrap().mean();
        move || ascent(100).fit(&model, start.clone()).map_or(f64::INFINITY, |_| elbo)
    })
}

/// The ELBO found has a closed form.
fn factors<E>(k: usize, name: &str, estimator: E) -> Work
where
    E: GradientEstimator<Ppca, Amortised> + Copy + 'static,
{
    work(format!("ELBO, PPCA, k = {k}, {name}, 100 steps"), move || {
        let (model, q) = ppca(k).unwrap();
        let ascent = move |steps| {
            let (mut model, q) = (model.clone(), q.clone());
            let found = inference(estimator, 1, 0.1, steps).fit_model(&mut model, q).unwrap();
            elbo(&model, &found.q).unwrap()
        };
        let found = ascent(10_000);
        move || ascent(100) * 0.0 + found
    })
}

fn main() {
    works::run(&[
        regression("mean field", MeanField::standard),
        regression("full rank", FullRank::standard),
        factors(2, "closed form", Analytic),
        factors(10, "closed form", Analytic),
        factors(10, "by draws", Reparameterized),
    ]);
}
