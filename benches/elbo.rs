//! Steps of an ascent on the ELBO: logistic regression from draws, and probabilistic PCA jointly with its amortised posterior.
//!
//! `cargo bench --bench elbo` measures them with criterion. With the argument `--seconds WORK` the program does one piece of work once
//! and prints the median time of a step, and where the steps have led, for `peers_elbo.py`, which does the same with NumPyro and JAX.

use criterion::Criterion;
use generative_models::prelude::*;
use std::time::Instant;

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
    VariationalInference { name: "bench", estimator, ascent, draws, steps, window: steps, tolerance: 1e-9 }
}

/// What a piece of work has come to.
struct Done {
    /// When each step was seen.
    seen: Vec<Instant>,
    elbo: Estimate,
}

fn regression<Q: Family + Sync>(start: Q, steps: usize, draws: u64) -> Result<Done> {
    let (model, mut seen) = (logistic()?, vec![]);
    let fit = inference(Reparameterized, 10, 0.05, steps).fit_with(&model, start, |_| seen.push(Instant::now()))?;
    Ok(Done { seen, elbo: elbo_by_monte_carlo("found", draws, &model, &fit.q)? })
}

fn factors(k: usize, estimator: impl GradientEstimator<Ppca, Amortised>, steps: usize) -> Result<Done> {
    let ((mut model, q), mut seen) = (ppca(k)?, vec![]);
    let fit = inference(estimator, 1, 0.1, steps).fit_model_with(&mut model, q, |_| seen.push(Instant::now()))?;
    let mut found = Estimate::default();
    found.observe(elbo(&model, &fit.q)?);
    Ok(Done { seen, elbo: found })
}

const WORKS: [&str; 5] =
    ["logistic, mean field", "logistic, full rank", "ppca, k = 2", "ppca, k = 10", "ppca, k = 10, by draws"];

/// A piece of work, its ELBO by so many draws where that has no closed form.
fn work(name: &str, steps: usize, draws: u64) -> Result<Done> {
    match name {
        "logistic, mean field" => regression(MeanField::standard(10)?, steps, draws),
        "logistic, full rank" => regression(FullRank::standard(10)?, steps, draws),
        "ppca, k = 2" => factors(2, Analytic, steps),
        "ppca, k = 10" => factors(10, Analytic, steps),
        "ppca, k = 10, by draws" => factors(10, Reparameterized, steps),
        _ => panic!("no work is named {name:?}; there are {WORKS:?}"),
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    if let Some(name) = arguments.next() {
        let Done { seen, elbo } = work(&name, 3000, 100_000)?;
        let mut steps: Vec<f64> = seen.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        steps.sort_by(f64::total_cmp);
        let (seconds, error) = (steps[steps.len() / 2], elbo.standard_error().max(0.0));
        println!(r#"{{"seconds": {seconds}, "elbo": {}, "standard error": {error}}}"#, elbo.mean());
        return Ok(());
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for name in WORKS {
        criterion.bench_function(&format!("{name}, 100 steps"), |bencher| bencher.iter(|| work(name, 100, 0)));
    }
    criterion.final_summary();
    Ok(())
}
