//! Catoni's mean, which strays from the expectation hardly further than that of normal samples, though only the variance is known.
//!
//! With r(θ) = Σₙ ψ(a(xₙ − θ)), δ = θ − E and the bound ψ(x) ≤ ln(1 + x + x²/2), Markov's inequality for exp r gives
//! r(θ) ≤ N(−aδ + ½a²(v + δ²)) + t but for the probability e⁻ᵗ. The root of r lies below the smaller root of the right-hand
//! side, and so on the other side.

use crate::monte_carlo::CHUNK;
use rayon::prelude::*;
use std::f64::consts::LN_2;

/// The a √v that makes the deviation at t smallest: √(2t(N−2t)) / N. Zero, which is the arithmetic mean, if N ≤ 2t.
pub(super) fn influence(n: f64, t: f64) -> f64 {
    (2.0 * t * (n - 2.0 * t)).max(0.0).sqrt() / n
}

/// The distance in units of √v that the mean tuned to `tuned` keeps but for the probability 2e⁻ᵗ: infinite if N is too small.
pub(super) fn deviation(n: f64, t: f64, tuned: f64) -> f64 {
    let a = influence(n, tuned);
    let discriminant = 1.0 - a * a - 2.0 * t / n;
    if a == 0.0 || discriminant < 0.0 {
        return f64::INFINITY;
    }
    (a + 2.0 * t / (a * n)) / (1.0 + discriminant.sqrt())
}

/// The θ with Σₙ ψ(a(xₙ − θ)) = 0, by Newton's method within a bracket; NaN if a value is not finite.
pub(super) fn mean(values: &[f64], a: f64) -> f64 {
    let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(0.0);
    let (mut low, mut high) = (extreme(f64::min), extreme(f64::max));
    let arithmetic = sum(values, |x| x / values.len() as f64);
    if low == high && !arithmetic.is_nan() {
        return low;
    }
    if !(arithmetic.is_finite() && a.is_finite() && a > 0.0) {
        return arithmetic;
    }
    let mut theta = arithmetic.clamp(low, high);
    // Newton takes a handful of steps; halving alone would be done after 2100.
    for _ in 0..2100 {
        let r = sum(values, |x| psi(a * (x - theta)));
        let slope = a * sum(values, |x| psi_slope(a * (x - theta)));
        if r > 0.0 {
            low = theta
        } else {
            high = theta
        }
        let newton = theta + r / slope;
        let next = if low <= newton && newton <= high { newton } else { 0.5 * low + 0.5 * high };
        let step = (next - theta).abs();
        theta = next;
        // A sum of N terms of order one, rounded, moves the root by about ε/a.
        if step.is_nan() || step <= 4.0 * f64::EPSILON * (theta.abs() + 1.0 / a) {
            break;
        }
    }
    theta
}

/// The widest function that Catoni's proof allows: sign x · ln(1 + |x| + x²/2).
fn psi(x: f64) -> f64 {
    let y = x.abs();
    // Beyond 1e16 the square rules to the last bit, and might overflow.
    let psi = if y < 1e16 { (y * (1.0 + 0.5 * y)).ln_1p() } else { 2.0 * y.ln() - LN_2 };
    psi.copysign(x)
}

fn psi_slope(x: f64) -> f64 {
    let y = x.abs();
    if y < 1e16 { (1.0 + y) / (1.0 + y * (1.0 + 0.5 * y)) } else { 2.0 / y }
}

/// Σₙ f(xₙ), chunk by chunk, so that it does not depend on the number of threads.
fn sum(values: &[f64], f: impl Fn(f64) -> f64 + Sync) -> f64 {
    let chunks: Vec<f64> = values.par_chunks(CHUNK as usize).map(|chunk| chunk.iter().map(|&x| f(x)).sum()).collect();
    chunks.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psi_keeps_between_the_bounds_of_the_proof() {
        for i in -4000_i32..=4000 {
            let x = 1.01_f64.powi(i.abs()) * 1e-3_f64.copysign(f64::from(i));
            let (lower, upper) = (-(1.0 - x + 0.5 * x * x).ln(), (1.0 + x + 0.5 * x * x).ln());
            let rounding = 1e-15 * (1.0 + upper.abs());
            assert!(lower - rounding <= psi(x) && psi(x) <= upper + rounding, "{x}");
            assert!(psi(x) <= psi(x + 1e-3 * x.abs()), "{x}");
        }
        for x in [0.0, 0.3, -2.0, 40.0, -1e10] {
            let h = 1e-5 * f64::max(1.0, f64::abs(x));
            assert!(((psi(x + h) - psi(x - h)) / (2.0 * h) - psi_slope(x)).abs() < 1e-5 * psi_slope(x));
        }
    }

    #[test]
    fn the_radius_is_that_of_the_proposition() {
        for (n, t) in [(50.0, 3.7_f64), (1e4, 21.4), (1e9, 7.6)] {
            assert!((deviation(n, t, t) / (2.0 * t / (n - 2.0 * t)).sqrt() - 1.0).abs() < 1e-13);
            // No other a does better.
            let a = influence(n, t);
            for other in [0.99 * a, 1.01 * a] {
                let root = (1.0 - other * other - 2.0 * t / n).sqrt();
                assert!((other + 2.0 * t / (other * n)) / (1.0 + root) > deviation(n, t, t));
            }
        }
        assert_eq!(deviation(42.0, 21.4, 21.4), f64::INFINITY);
        assert_eq!(deviation(50.0, 26.0, 3.7), f64::INFINITY);
    }

    #[test]
    fn the_mean_solves_its_equation() {
        let values: Vec<f64> = (1..10_000).map(|i| (f64::from(i) / 1e4).powf(-0.45)).collect();
        for a in [1e-6, 0.01, 1.0, 100.0] {
            let theta = mean(&values, a);
            let left_over = sum(&values, |x| psi(a * (x - theta)));
            let around = sum(&values, |x| psi(a * (x - theta)).abs());
            assert!(left_over.abs() <= 1e-12 * around.max(1.0), "{a}: {left_over}");
        }
        let arithmetic = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean(&values, 1e-6) - arithmetic).abs() < 1e-5 && mean(&values, 1.0) < arithmetic);
        assert!((mean(&[-1.0, 0.0, 1.0], 1.0)).abs() < 1e-15);
        assert_eq!((mean(&[], 1.0), mean(&[7.0; 3], f64::INFINITY), mean(&[1.0, 2.0], 0.0)), (0.0, 7.0, 1.5));
        assert!(mean(&[1.0, f64::NAN, 3.0], 1.0).is_nan());
        assert!(!mean(&[1.0, f64::INFINITY, 3.0], 1.0).is_finite());
        // An outlier counts no more than its logarithm.
        assert!((mean(&[vec![0.0; 999], vec![1e300]].concat(), 0.1)).abs() < 20.0);
        assert!(mean(&[-1e300, 0.0, 1e300], 1.0).abs() < 1e285);
    }
}
