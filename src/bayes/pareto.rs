//! The shape of the generalised Pareto distribution that the largest importance weights follow.

use crate::error::{Error, Result};
use crate::mixture::ln_sum_exp;

/// The Pareto k̂ of importance weights, from their logarithms: about 1/k̂ moments of the weights are finite. Below ½ the variance is;
/// from 0.7 on, no practical number of draws makes the mean reliable.
///
/// A generalised Pareto distribution is fitted to what the M largest weights exceed the next one by, M = ⌈3√N⌉ for N > 225 and ⌊N/5⌋
/// otherwise, and its shape k drawn towards ½ as if by ten more weights, k̂ = (M k + 5)/(M + 10). Where a quarter of these M weights do not
/// exceed the next one at all there is no shape to fit: then k̂ is −∞ if the equal weights make up most of the tail's sum, as when all
/// are equal, and ∞ if the others do.
///
/// The tail of N draws may be another than that of more: for a normal proposal of deviation s < 1 to the standard normal k is
/// 1 − s² in the limit, and the fit approaches it from below like 1/ln N.
///
/// # Errors
/// [`Error::Domain`] for fewer than 25 weights, one that is NaN or ∞, or weights that are all zero.
///
/// # Example
/// ```
/// use generative_models::bayes::pareto_k;
/// // The quantiles of w = U^(−0.4), whose tail has the shape 0.4.
/// let ln_weights: Vec<f64> = (0..10_000).map(|i| -0.4 * ((i as f64 + 0.5) / 1e4).ln()).collect();
/// assert!((pareto_k(&ln_weights)? - 0.4).abs() < 0.05);
/// # Ok::<(), generative_models::error::Error>(())
/// ```
///
/// Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), *Journal of Machine Learning Research* 25(72), §3 and appendix H; the fit by Zhang
/// and Stephens (2009), *Technometrics* 51, 316–325.
pub fn pareto_k(ln_weights: &[f64]) -> Result<f64> {
    let n = ln_weights.len();
    let domain = |what, value, domain| Err(Error::Domain { what, value, domain });
    if n < 25 {
        return domain("the number of weights", n as f64, "at least 25, of which the largest 5 make a tail");
    }
    if let Some(&wrong) = ln_weights.iter().find(|ln| ln.is_nan() || **ln == f64::INFINITY) {
        return domain("a log weight", wrong, "a number, or −∞ where the weight is zero");
    }
    let m = if n > 225 { (3.0 * (n as f64).sqrt()).ceil() as usize } else { n / 5 };
    let mut sorted = ln_weights.to_vec();
    let (_, &mut threshold, tail) = sorted.select_nth_unstable_by(n - m - 1, f64::total_cmp);
    tail.sort_unstable_by(f64::total_cmp);
    let largest = tail[m - 1];
    if largest == f64::NEG_INFINITY {
        return domain(
            "the largest log weight",
            largest,
            "finite: all weights are zero; take a proposal closer to the posterior",
        );
    }
    let excess: Vec<f64> = tail.iter().map(|&ln| difference(ln - largest, threshold - largest)).collect();
    let m = m as f64;
    match shape(&excess) {
        Some(k) => Ok((m * k + 5.0) / (m + 10.0)),
        None if excess.iter().sum::<f64>() <= m * (threshold - largest).exp() => Ok(f64::NEG_INFINITY),
        None => Ok(f64::INFINITY),
    }
}

/// eᵃ − eᵇ for a ≥ b, also where they nearly agree.
fn difference(a: f64, b: f64) -> f64 {
    if a - b < 1.0 { b.exp() * (a - b).exp_m1() } else { a.exp() - b.exp() }
}

/// The shape of the generalised Pareto distribution with density (1 + k x/σ)^(−1−1/k)/σ that fits the increasing `x`: the mean of
/// ln(1 − b x) at the mean of b = −k/σ over its profile likelihood, on a grid of b that the quartile and the maximum place; None
/// if the quartile is zero.
fn shape(x: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let quartile = x[(n / 4.0 + 0.5) as usize - 1];
    let largest = x[x.len() - 1];
    if !quartile.recip().is_finite() {
        return None;
    }
    let shape_at = |b: f64| x.iter().map(|x| (-b * x).ln_1p()).sum::<f64>() / n;
    // −b/k is 1/σ, the exponential distribution's at b = 0.
    let ln_likelihood = |b: f64| match shape_at(b) {
        0.0 => -n * ((x.iter().sum::<f64>() / n).ln() + 1.0),
        k => n * ((-b / k).ln() - k - 1.0),
    };
    let points = 30.0 + n.sqrt().floor();
    let point = |j: usize| largest.recip() + (1.0 - (points / (j as f64 + 0.5)).sqrt()) / (3.0 * quartile);
    let grid: Vec<f64> = (0..points as usize).map(point).collect();
    let ln_weights: Vec<f64> = grid.iter().map(|&b| ln_likelihood(b)).collect();
    let total = ln_sum_exp(&ln_weights);
    Some(shape_at(grid.iter().zip(&ln_weights).map(|(b, ln)| b * (ln - total).exp()).sum()))
}
