//! x − ln(1 + x), from which every divergence here is made, to the last places where x is small.
//!
//! Written as they stand, the closed forms subtract numbers that agree in twice as many digits as the two distributions do: at variances
//! 1 and 1 + 1e-8 nothing would be left. As sums of gaps they are sums of terms ≥ 0, each of a difference that was taken before anything
//! was rounded.

/// x − ln(1 + x) ≥ 0 for |x| < ½: with u = x/(2 + x), ln(1 + x) = 2 artanh u and x = 2u/(1 − u), so that it is
/// 2 (u²/(1 − u) − u³/3 − u⁵/5 − …).
fn near(x: f64) -> f64 {
    let u = x / (2.0 + x);
    let (mut power, mut odd) = (u * u * u, 0.0);
    // |u| ≤ 1/3, so that 9⁻¹⁷ is left.
    for k in 1..=17 {
        odd += power / f64::from(2 * k + 1);
        power *= u * u;
    }
    2.0 * (u * u / (1.0 - u) - odd)
}

/// ln(p/q), where the quotient itself may lie beyond the range of double precision.
pub(super) fn ln_ratio(p: f64, q: f64) -> f64 {
    let ratio = p / q;
    if ratio.is_normal() { ratio.ln() } else { p.ln() - q.ln() }
}

/// ln(p/q), to the last places also for p near q; `difference` is p − q.
pub(super) fn ln_quotient(p: f64, q: f64, difference: f64) -> f64 {
    let x = difference / q;
    if x.abs() < 0.5 { x.ln_1p() } else { ln_ratio(p, q) }
}

/// x − ln(1 + x) at x = p/q − 1, that is p/q − 1 − ln(p/q); `difference` is p − q, which may be known better than p and q tell.
pub(super) fn gap(p: f64, q: f64, difference: f64) -> f64 {
    let x = difference / q;
    if x.abs() < 0.5 {
        return near(x);
    }
    let ratio = p / q;
    if ratio.is_infinite() { ratio } else { ratio - 1.0 - ln_ratio(p, q) }
}

/// The divergence q ln(q/p) − q + p ≥ 0 of two masses, of which q may be 0; ∞ for p = 0 < q. `difference` is p − q.
pub(super) fn weighted_gap(q: f64, p: f64, difference: f64) -> f64 {
    if q == 0.0 {
        return p;
    }
    let gap = gap(p, q, difference);
    // Where p/q exceeds the range, q and q ln q are nothing beside p.
    if gap.is_infinite() && p > 0.0 { p } else { q * gap }
}

/// From here on six terms of Stirling's series leave less than 2⁻⁵³ of [`stirling_gap`].
const LARGE: f64 = 16.0;

/// B₂ₖ / 2k(2k−1), the coefficients of z^(1−2k) in ln Γ(z).
const STIRLING: [f64; 6] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0];

/// How many steps take both a and c beyond [`LARGE`].
pub(super) fn steps(a: f64, c: f64) -> u32 {
    (LARGE - a.min(c)).ceil().max(0.0) as u32
}

/// What `steps` steps of the recurrence Γ(z + 1) = z Γ(z) leave of [`ln_gamma_gap`]: Σ (x − ln(1 + x)) at x = (c − a)/(a + n).
pub(super) fn recurrence_gap(a: f64, c: f64, difference: f64, steps: u32) -> f64 {
    (0..steps).map(|n| gap(c + f64::from(n), a + f64::from(n), difference)).sum()
}

/// The part of [`ln_gamma_gap`] at large arguments that the terms z ln z − z of Stirling's series do not give.
pub(super) fn stirling_gap(a: f64, c: f64, difference: f64) -> f64 {
    let x = difference / a;
    let linear = gap(c, a, difference);
    let power_gap = |n: i32| {
        // (c/a)⁻ⁿ − 1 + n (c/a − 1), the first two terms being expm1(−n ln(c/a)).
        if x.abs() < 0.5 {
            let power = (-f64::from(n) * x.ln_1p()).exp_m1();
            a.powi(-n) * (gap(1.0 + power, 1.0, power) + f64::from(n) * linear)
        } else {
            c.powi(-n) - a.powi(-n) + f64::from(n) * x * a.powi(-n)
        }
    };
    0.5 * linear + STIRLING.iter().zip((1..).step_by(2)).map(|(coefficient, n)| coefficient * power_gap(n)).sum::<f64>()
}

/// ln Γ(c) − ln Γ(a) − (c − a) ψ(a) = Σ (x − ln(1 + x)) ≥ 0 at x = (c − a)/(a + n), n = 0, 1, …: what the convex ln Γ keeps above its
/// tangent. The first terms as they are, the rest by Stirling's series. `difference` is c − a.
///
/// Source: Abramowitz and Stegun (1964), *Handbook of Mathematical Functions*, 6.1.3, 6.1.41 and 6.3.16.
pub(super) fn ln_gamma_gap(a: f64, c: f64, difference: f64) -> f64 {
    let steps = steps(a, c);
    let (z, w) = (a + f64::from(steps), c + f64::from(steps));
    recurrence_gap(a, c, difference, steps) + weighted_gap(w, z, -difference) + stirling_gap(z, w, difference)
}
