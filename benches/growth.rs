//! How time grows with N, d and the number of draws, and how far it is from what the processor and its memory allow.
//!
//! usage: cargo bench --bench growth [-- FIGURE.png]
//!
//! It prints two tables and draws the figure (default: benches/growth.png).

use generative_models::polars::prelude::*;
use generative_models::prelude::*;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// The least time of a call, of as many calls as take a second.
fn seconds<T>(mut call: impl FnMut() -> T) -> f64 {
    black_box(call());
    let (begun, mut least) = (Instant::now(), f64::INFINITY);
    while begun.elapsed().as_secs_f64() < 1.0 {
        let begun = Instant::now();
        black_box(call());
        least = least.min(begun.elapsed().as_secs_f64());
    }
    least
}

/// Mean 0 and covariance ½^|i−j|.
fn normal(d: usize) -> Gaussian {
    Gaussian::new(DVector::zeros(d), DMatrix::from_fn(d, d, |i, j| 0.5_f64.powi(i.abs_diff(j) as i32))).unwrap()
}

/// The time of a work that grows with one number, at several values of it.
struct Growth {
    work: &'static str,
    with: &'static str,
    times: Vec<(f64, f64)>,
}

impl Growth {
    fn new<T>(
        work: &'static str,
        with: &'static str,
        sizes: &[usize],
        of: impl Fn(usize) -> Box<dyn FnMut() -> T>,
    ) -> Self {
        let times = sizes.iter().map(|&size| (size as f64, seconds(of(size)))).collect();
        Self { work, with, times }
    }

    /// The slope of ln time against ln size from its middle size on: below it other costs weigh in.
    fn slope(&self) -> f64 {
        let upper = &self.times[self.times.len() / 2..];
        let logs = DMatrix::from_fn(upper.len(), 2, |i, j| if j == 0 { upper[i].0.ln() } else { upper[i].1.ln() });
        let scatter = GaussianStats::from_rows(&logs).unwrap().scatter().clone();
        scatter[(0, 1)] / scatter[(0, 0)]
    }

    fn frame(&self) -> DataFrame {
        let times =
            DMatrix::from_fn(self.times.len(), 2, |i, j| if j == 0 { self.times[i].0 } else { self.times[i].1 });
        data::frame(&times, &[self.with, "seconds"]).unwrap()
    }
}

fn growths() -> Vec<Growth> {
    let rows = [1_000, 4_000, 16_000, 64_000, 256_000, 1_024_000];
    let dims = [8, 16, 32, 64, 128, 256, 512];
    let draws = [10_000, 40_000, 160_000, 640_000, 2_560_000];
    let data = |n, d| normal(d).sample_n(n, &mut rng("growth"));
    vec![
        Growth::new("fit, d = 8", "N", &rows, |n| {
            let x = data(n, 8);
            Box::new(move || Gaussian::fit(&x).unwrap().ln_det_covariance())
        }),
        Growth::new("ln_pdf, d = 8", "N", &rows, |n| {
            let (x, p) = (data(n, 8), normal(8));
            Box::new(move || p.ln_pdf_rows(&x).unwrap()[0])
        }),
        Growth::new("sample, d = 8", "N", &rows, |n| {
            let (p, mut rng) = (normal(8), rng("growth"));
            Box::new(move || p.sample_n(n, &mut rng)[0])
        }),
        Growth::new("fit, N = 10 000", "d", &dims, |d| {
            let x = data(10_000, d);
            Box::new(move || Gaussian::fit(&x).unwrap().ln_det_covariance())
        }),
        Growth::new("ln_pdf, N = 10 000", "d", &dims, |d| {
            let (x, p) = (data(10_000, d), normal(d));
            Box::new(move || p.ln_pdf_rows(&x).unwrap()[0])
        }),
        Growth::new("sample, N = 10 000", "d", &dims, |d| {
            let (p, mut rng) = (normal(d), rng("growth"));
            Box::new(move || p.sample_n(10_000, &mut rng)[0])
        }),
        Growth::new("KL, one pair", "d", &dims, |d| {
            let (q, p) = (normal(d), Gaussian::standard(d).unwrap());
            Box::new(move || kl(&q, &p).unwrap())
        }),
        Growth::new("Monte Carlo KL, d = 2", "draws", &draws, |n| {
            let (q, p) = (normal(2), Gaussian::standard(2).unwrap());
            Box::new(move || kl_by_monte_carlo("growth", n as u64, &q, &p).unwrap().mean())
        }),
        Growth::new("Monte Carlo KL, d = 20", "draws", &draws, |n| {
            let (q, p) = (normal(20), Gaussian::standard(20).unwrap());
            Box::new(move || kl_by_monte_carlo("growth", n as u64, &q, &p).unwrap().mean())
        }),
    ]
}

/// Multiplications and additions in registers alone, of all lanes that the processor has.
struct Multiplications {
    fused: bool,
}

impl Multiplications {
    const ROUNDS: usize = 1_000_000;
    const CHAINS: usize = 12;
}

impl WithSimd for Multiplications {
    /// How many there were, and a number that needs them.
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let a = simd.splat_f64s(black_box(0.999));
        let mut x = [a; Self::CHAINS];
        for _ in 0..Self::ROUNDS {
            for x in &mut x {
                *x = if self.fused { simd.mul_add_f64s(*x, a, a) } else { simd.add_f64s(simd.mul_f64s(*x, a), a) };
            }
        }
        let sum = x.into_iter().map(|x| simd.reduce_sum_f64s(x)).sum();
        ((2 * Self::ROUNDS * Self::CHAINS * S::F64_LANES) as f64, sum)
    }
}

/// What all threads together do in a second, if each makes so much in a call.
fn rate<T: Send>(amount: f64, call: impl Fn() -> T + Sync) -> f64 {
    let threads = rayon::current_num_threads();
    let all = || (0..threads).into_par_iter().map(|_| call()).collect::<Vec<T>>();
    amount * threads as f64 / seconds(all)
}

/// Operations, bytes and normals per second.
struct Limits {
    operations: f64,
    fused: f64,
    bytes: f64,
    fresh: f64,
    normals: f64,
}

fn limits() -> Limits {
    let count = Arch::new().dispatch(Multiplications { fused: false }).0;
    let operations = rate(count, || Arch::new().dispatch(Multiplications { fused: false }));
    let fused = rate(count, || Arch::new().dispatch(Multiplications { fused: true }));
    // Far more than the caches hold, read and written.
    let (from, mut to) = (vec![1.0_f64; 1 << 24], vec![0.0_f64; 1 << 24]);
    let bytes = 16.0 * from.len() as f64
        / seconds(|| {
            to.par_chunks_mut(1 << 16).zip(from.par_chunks(1 << 16)).for_each(|(to, from)| to.copy_from_slice(from))
        });
    let fresh = 8.0 * from.len() as f64
        / seconds(|| {
            let mut pages = vec![0.0_f64; 1 << 24];
            pages.par_chunks_mut(1 << 16).for_each(|pages| pages.iter_mut().step_by(512).for_each(|page| *page = 1.0));
            pages
        });
    let normals = rate(1e5, || {
        let mut rng = rng("growth");
        (0..100_000).map(|_| -> f64 { StandardNormal.sample(&mut rng) }).sum::<f64>()
    });
    Limits { operations, fused, bytes, fresh, normals }
}

fn main() -> Result<()> {
    let figure = std::env::args().skip(1).find(|argument| argument != "--bench");
    let limits = limits();
    let threads = rayon::current_num_threads();
    println!("All {threads} processors together: {:.0} GF/s multiplied and added in turn,", limits.operations * 1e-9);
    println!(
        "{:.0} GF/s fused; {:.0} GB/s copied, {:.1} GB/s of fresh pages;",
        limits.fused * 1e-9,
        limits.bytes * 1e-9,
        limits.fresh * 1e-9
    );
    println!("{:.0} million normal numbers a second.\n", limits.normals * 1e-6);
    println!(
        "| work | N×d | time | operations | memory | fresh pages | normals | part of the time |\n|---|---|---|---|---|---|---|---|"
    );
    for (n, d) in [(1_000_000, 8), (200_000, 64), (20_000, 256)] {
        let (p, mut random) = (normal(d), rng("growth"));
        let x = p.sample_n(n, &mut random);
        let (entries, squares) = ((n * d) as f64, (n * d * d) as f64);
        let row = |work: &str, time: f64, operations: f64, bytes: f64, fresh: f64, normals: f64| {
            let least =
                [operations / limits.operations, bytes / limits.bytes, fresh / limits.fresh, normals / limits.normals];
            // The same processors multiply, draw and fetch fresh pages; memory may be waited for meanwhile.
            let bound = (least[0] + least[2] + least[3]).max(least[1]);
            let [operations, bytes, fresh, normals] = least.map(|seconds| format!("{:.1} ms", seconds * 1e3));
            println!(
                "| {work} | {n}×{d} | {:.1} ms | {operations} | {bytes} | {fresh} | {normals} | {:.0} % |",
                time * 1e3,
                100.0 * bound / time
            );
        };
        row("fit", seconds(|| Gaussian::fit(&x)), squares + entries, 8.0 * entries, 0.0, 0.0);
        row("ln_pdf", seconds(|| p.ln_pdf_rows(&x)), squares + entries, 8.0 * entries, 8.0 * n as f64, 0.0);
        drop(x);
        row("sample", seconds(|| p.sample_n(n, &mut random)), squares + entries, 8.0 * entries, 8.0 * entries, entries);
    }
    println!("\n| work | grows with | time | slope |\n|---|---|---|---|");
    let growths = growths();
    let panel = |with: &str| {
        let figure = Figure::new(format!("Time against {with}")).log_x().log_y().y("seconds");
        growths.iter().filter(|growth| growth.with == with).fold(figure, |figure, growth| {
            figure.line(&growth.frame(), with, "seconds").label(format!("{}: slope {:.2}", growth.work, growth.slope()))
        })
    };
    for growth in &growths {
        let (first, last) = (growth.times[0], growth.times[growth.times.len() - 1]);
        let (work, with) = (growth.work, growth.with);
        println!(
            "| {work} | {with} from {} to {} | {:.3} to {:.3} ms | {:.2} |",
            first.0,
            last.0,
            first.1 * 1e3,
            last.1 * 1e3,
            growth.slope()
        );
    }
    panel("N").beside(panel("d")).beside(panel("draws")).save(figure.as_deref().unwrap_or("benches/growth.png"))
}
