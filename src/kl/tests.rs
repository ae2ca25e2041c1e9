//! The digits of the closed forms: against the textbook formulas evaluated with 80 digits (mpmath) at the same doubles. That the formulas are
//! the right ones is for quadrature, in `tests/divergences.rs`.

use super::*;
use crate::univariate::Univariate;
use nalgebra::{DVector, dmatrix, dvector};
use proptest::prelude::*;
use statrs::distribution::{Bernoulli, Beta, Cauchy, Exp, Gamma, Normal, Poisson, Uniform};

/// Relative to the value, in which a zero must be zero.
#[track_caller]
fn close<const N: usize>(cases: &[([f64; N], f64)], relative: f64, f: impl Fn([f64; N]) -> Result<f64>) {
    for &(arguments, expected) in cases {
        let found = f(arguments).unwrap();
        let off = (found - expected).abs();
        assert!(off <= relative * expected, "{arguments:?}: {found:e} for {expected:e}, off by {:e}", off / expected);
    }
}

/// U(0, 1) and the like.
macro_rules! member {
    ($family:ident, $($parameter:expr),*) => { Univariate($family::new($($parameter),*).unwrap()) };
}

#[test]
fn normals_keep_their_digits() {
    let variances = [
        ([1.0, 1.00000001], 2.499999936279313e-17),
        ([1.00000001, 1.0], 2.499999952945979e-17),
        ([1.0, 4.0], 0.3181471805599453),
        ([4.0, 1.0], 0.8068528194400547),
        ([1e-20, 1.0], 22.525850929940457),
        ([1e150, 1e-100], 5e+249),
        ([1.0, 1.4999], 0.03605477664672417),
        ([1.0, 0.6667], 0.047254947195844915),
        ([3.0, 2.0], 0.04726744594591781),
        ([1e-300, 1.0000001e-300], 2.4999996624720823e-15),
    ];
    let normal = |variance| Gaussian::univariate(0.3, variance);
    close(&variances, 2e-15, |[v, w]| kl(&normal(v)?, &normal(w)?));
    // The same in the middle of a diagonal, with a shift of half a deviation.
    let diagonal =
        |x, v| Gaussian::new(dvector![5.0, x, 0.0], DMatrix::from_diagonal(&dvector![2.0, v, 1e-6])).unwrap();
    close(&variances, 2e-15, |[v, w]| kl(&diagonal(0.3, v), &diagonal(0.3, w)));
    let shifted = |[v, w]: [f64; 2]| Ok(kl(&diagonal(0.5 * w.sqrt(), v), &diagonal(0.0, w))? - 0.125);
    close(&variances[2..5], 1e-14, shifted);
    // By deviations: 1 + 1e-8 is here the larger deviation.
    let deviations =
        [([1.0, 1.00000001], 9.9999997e-17), ([2.0, 1.0], 0.8068528194400547), ([1e-10, 1.0], 22.525850929940457)];
    close(&deviations[1..], 2e-15, |[s, t]| kl(&member!(Normal, 0.0, s), &member!(Normal, 0.0, t)));
    close(&deviations[..1], 2e-7, |[s, t]| kl(&member!(Normal, 0.0, s), &member!(Normal, 0.0, t)));
}

#[test]
fn correlated_normals_keep_their_digits() {
    // N(0, LLᵀ) and N(0, L(I + E)Lᵀ) have the divergence of N(0, I) and N(0, I + E) whatever L; these numbers are exact in binary.
    let l = dmatrix![1.0, 0.0, 0.0; 0.5, 2.0, 0.0; -0.25, 1.0, 0.5];
    let (one, shift) = (DMatrix::identity(3, 3), 0.5_f64.powi(26));
    let e = dmatrix![1.0, 0.0, 1.0; 0.0, 0.0, 0.0; 1.0, 0.0, -1.0] * shift;
    let normal = |m: DMatrix<f64>| Gaussian::new(DVector::zeros(3), &l * m * l.transpose()).unwrap();
    // The eigenvalues of E are 0 and ±√2·2⁻²⁶: ½ Σ (λ − ln(1 + λ)) = −¼ ln((1 − λ²)²)/… = −½ ln(1 − λ²), here λ²/2 to the last place.
    let divergence = kl(&normal(&one + &e), &normal(one)).unwrap();
    let expected = -0.5 * (-2.0 * shift * shift).ln_1p();
    assert!((divergence / expected - 1.0).abs() < 1e-13, "{divergence:e} {expected:e}");
}

#[test]
fn families_keep_their_digits() {
    close(
        &[
            ([0.5, 0.50000001], 2.0000000200990376e-16),
            ([1e-20, 2e-20], 3.0685281944005468e-21),
            ([1e-9, 1.00000001e-9], 4.9999998094182594e-26),
            ([0.3, 0.9], 1.0325534177382867),
            ([1e-300, 0.5], std::f64::consts::LN_2),
            ([0.999999999, 0.9999999991], 5.3605167448017805e-12),
        ],
        2e-15,
        |[q, p]| kl(&member!(Bernoulli, q), &member!(Bernoulli, p)),
    );
    close(
        &[
            ([3.0, 3.00000003], 1.4999999717675874e-16),
            ([1e-3, 1.0000001e-3], 4.99999967007675e-18),
            ([1e12, 1000000100000.0], 0.004999999666666692),
            ([2.5, 7.0], 1.9259514570471044),
            ([1e-320, 1.0], 1.0),
            ([1e-300, 1e300], 1.0e+300),
        ],
        2e-15,
        |[a, b]| kl(&member!(Poisson, a), &member!(Poisson, b)),
    );
    close(
        &[
            ([2.0, 2.00000002], 4.999999905891958e-17),
            ([2.00000002, 2.0], 4.999999872558626e-17),
            ([1e-150, 1e100], 1.0e+250),
            ([1e100, 1e-150], 574.6462732485114),
            ([3.0, 0.5], 0.9584261358947217),
        ],
        2e-15,
        |[a, b]| kl(&member!(Exp, a), &member!(Exp, b)),
    );
    close(
        &[
            ([2.0, 3.0, 2.00000002, 3.0], 1.2898681126299967e-16),
            ([2.0, 3.0, 2.0, 3.00000003], 9.999999811783916e-17),
            ([2.0, 3.0, 2.00000002, 3.00000003], 2.8986812811827186e-17),
            ([0.01, 1.0, 0.010000001, 1.0], 5.000810268166047e-15),
            ([1e6, 1.0, 1000001.0, 1.000001], 2.499999166667117e-13),
            ([1e8, 2.0, 1.1e8, 2.2], 0.0023449101054133278),
            ([0.5, 2.0, 7.0, 0.1], 39.26482735310259),
            ([40.0, 1.0, 0.3, 5.0], 199.93140310962766),
            ([15.9, 1.0, 16.1, 1.01], 9.233887369096823e-05),
            ([16.0, 1.0, 16.00000016, 1.00000001], 2.5520427079396276e-17),
            ([1e-3, 1.0, 1e3, 1e-6], 1020288.3941585274),
            ([100.0, 1.0, 30.0, 8.0], 671.7509170388637),
            ([25.0, 3.0, 25.00000001, 3.0], 2.040533500252688e-18),
        ],
        1e-13,
        |[a, r, c, s]| kl(&member!(Gamma, a, r), &member!(Gamma, c, s)),
    );
    close(
        &[
            ([2.0, 3.0, 2.00000002, 3.0], 8.472222071866311e-17),
            ([2.0, 3.0, 2.00000002, 3.00000003], 3.0053448198777327e-17),
            ([1e6, 1e6, 1.1e6, 1.1e6], 0.0023449112342012065),
            ([1e6, 1e6, 1000000.1, 1000000.1], 2.500001082169067e-15),
            ([1.0, 1e8, 1.1, 1.1e8], 0.003007927445556221),
            ([0.5, 0.5, 30.0, 0.1], 41.11053557704039),
            ([0.01, 5.0, 0.02, 5.0], 0.30692245891583514),
            ([100.0, 200.0, 101.0, 202.5], 0.000235906017139028),
            ([1e3, 0.1, 1e-2, 4.0], 70.5162080883284),
            ([15.5, 15.5, 16.5, 15.5], 0.01638904286854747),
            ([3e4, 7e4, 30000.5, 69999.5], 5.952444255809528e-06),
            ([1.0, 1.0, 1.0, 1.0], 0.0),
        ],
        1e-13,
        |[a, b, c, d]| kl(&member!(Beta, a, b), &member!(Beta, c, d)),
    );
}

#[test]
fn total_variations_keep_their_digits() {
    let normals = [
        ([0.0, 1.0, 0.1, 1.0], 0.039877611676744924),
        ([0.0, 1.0, 1e-8, 1.0], 3.989422804014327e-09),
        ([0.0, 1.0, 0.0, 1.00000001], 2.419707218387197e-09),
        ([0.0, 1.0, 1e-6, 1.00000001], 3.98947266088969e-07),
        ([0.0, 1.0, 0.0, 4.0], 0.32267456883476864),
        ([1.0, 4.0, -2.0, 0.5], 0.7750122586653058),
        ([0.0, 1.0, 50.0, 1.0], 1.0),
        ([0.0, 1e-10, 0.3, 1.0], 0.9999618012702235),
        ([0.0, 1.0, 3.0, 1.0000001], 0.8663855877484644),
        ([0.0, 1.0, 1e300, 1.0], 1.0),
        ([0.0, 1e-300, 0.0, 1e300], 1.0),
    ];
    let normal = Gaussian::univariate;
    close(&normals, 1e-14, |[m, v, n, w]| total_variation(&normal(m, v)?, &normal(n, w)?));
    close(&normals, 1e-14, |[m, v, n, w]| total_variation(&normal(n, w)?, &normal(m, v)?));
    let by_deviation = |mean, variance: f64| member!(Normal, mean, variance.sqrt());
    close(&normals[4..], 1e-14, |[m, v, n, w]| total_variation(&by_deviation(m, v), &by_deviation(n, w)));
    close(
        &[
            ([1.0, 1.00000001], 3.6787943709626853e-09),
            ([1.0, 2.0], 0.25),
            ([1e-100, 1.0], 1.0),
            ([5.0, 0.1], 0.9048013053290251),
            ([3.0, 3.0], 0.0),
        ],
        2e-15,
        |[a, b]| total_variation(&member!(Exp, a), &member!(Exp, b)),
    );
    close(
        &[
            ([0.0, 1.0, 0.0, 2.0], 0.5),
            ([0.0, 1.0, 0.5, 1.5], 0.5),
            ([0.0, 1.0, 3.0, 9.0], 1.0),
            ([0.0, 4.0, 1.0, 2.0], 0.75),
            ([-1.7e308, 1.7e308, -1.7e308, 0.0], 0.5),
            ([0.0, 1.0, 0.0, 1.0], 0.0),
        ],
        1e-15,
        |[a, b, c, d]| total_variation(&member!(Uniform, a, b), &member!(Uniform, c, d)),
    );
    let coin = |p: f64| member!(Bernoulli, p);
    assert_eq!(total_variation(&coin(0.25), &coin(1.0)).unwrap(), 0.75);
    let (q, p) = (Categorical::new([0.5, 0.5]).unwrap(), Categorical::new([0.25, 0.25, 0.5]).unwrap());
    assert_eq!(total_variation(&q, &p).unwrap(), 0.5);
}

#[test]
fn what_has_no_support_is_infinite_and_zero_times_ln_zero_is_zero() {
    let inf = f64::INFINITY;
    let coin = |p: f64| member!(Bernoulli, p);
    for (q, p, expected) in [
        (0.0, 0.5, 2.0_f64.ln()),
        (1.0, 0.5, 2.0_f64.ln()),
        (0.5, 0.0, inf),
        (0.5, 1.0, inf),
        (0.0, 1.0, inf),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 0.0),
    ] {
        assert_eq!(kl(&coin(q), &coin(p)).unwrap(), expected, "{q} {p}");
        assert_eq!(cross_entropy(&coin(q), &coin(p)).unwrap(), expected + if q == 0.5 { 2.0_f64.ln() } else { 0.0 });
        let pair = |p: f64| Categorical::new([1.0 - p, p]).unwrap();
        assert_eq!(kl(&pair(q), &pair(p)).unwrap(), expected, "{q} {p}");
    }
    // Outcomes that the other has not got at all.
    let (short, long) = (Categorical::new([0.5, 0.5]).unwrap(), Categorical::new([0.25, 0.25, 0.5]).unwrap());
    assert_eq!((kl(&short, &long).unwrap(), kl(&long, &short).unwrap()), (2.0_f64.ln(), inf));
    let uniform = |a: f64, b: f64| member!(Uniform, a, b);
    assert_eq!(kl(&uniform(0.0, 1.0), &uniform(-1.0, 1.0)).unwrap(), 2.0_f64.ln());
    assert_eq!(kl(&uniform(0.0, 1.0), &uniform(0.0, 1.0)).unwrap(), 0.0);
    assert_eq!(kl(&uniform(0.0, 1.0), &uniform(0.1, 2.0)).unwrap(), inf);
    assert_eq!(kl(&uniform(-1.7e308, 1.7e308), &uniform(-1.7e308, 1.0)).unwrap(), inf);
    assert_eq!(cross_entropy(&uniform(0.0, 1.0), &uniform(0.1, 2.0)).unwrap(), inf);
    let (normal, gaussian) = (member!(Normal, 0.0, 1.0), Gaussian::standard(1).unwrap());
    assert_eq!(format!("{:.4}", kl(&uniform(0.0, 1.0), &gaussian).unwrap()), "1.0856");
    assert_eq!(kl(&uniform(0.0, 1.0), &gaussian).unwrap(), kl(&uniform(0.0, 1.0), &normal).unwrap());
    assert_eq!((kl(&gaussian, &uniform(-9.0, 9.0)).unwrap(), kl(&normal, &uniform(-9.0, 9.0)).unwrap()), (inf, inf));
    let cauchy = member!(Cauchy, 0.0, 1.0);
    assert_eq!((kl(&cauchy, &gaussian).unwrap(), cross_entropy(&cauchy, &normal).unwrap()), (inf, inf));
}

#[test]
fn published_numbers() {
    let normal = |mean, variance| Gaussian::univariate(mean, variance).unwrap();
    let four = |q: &Gaussian, p: &Gaussian| format!("{:.4}", kl(q, p).unwrap());
    assert_eq!(four(&normal(0.0, 1.0), &normal(0.0, 4.0)), "0.3181");
    assert_eq!(four(&normal(0.0, 4.0), &normal(0.0, 1.0)), "0.8069");
    // No triangle inequality: 2 > ½ + ½.
    let [a, b, c] = [0.0, 1.0, 2.0].map(|mean| normal(mean, 1.0));
    assert_eq!([kl(&a, &c), kl(&a, &b), kl(&b, &c)].map(Result::unwrap), [2.0, 0.5, 0.5]);
    // TV above the divergence, and its double, the L¹ norm.
    let (q, p) = (normal(0.0, 1.0), normal(0.1, 1.0));
    let tv = total_variation(&q, &p).unwrap();
    assert_eq!(format!("{:.3} {tv:.5} {:.4}", kl(&q, &p).unwrap(), 2.0 * tv), "0.005 0.03988 0.0798");
    assert_eq!((pinsker(f64::INFINITY), bretagnolle_huber(f64::INFINITY)), (f64::INFINITY, 1.0));
    assert_eq!((pinsker(0.5), bretagnolle_huber(2.0_f64.ln())), (0.5, 0.5_f64.sqrt()));
    assert_eq!((pinsker(0.0), bretagnolle_huber(0.0), bretagnolle_huber(1e-300)), (0.0, 0.0, 1e-150));
}

#[test]
fn what_is_refused() {
    let normal = |d| Gaussian::standard(d).unwrap();
    let message = |result: Result<f64>| result.unwrap_err().to_string();
    assert!(message(kl(&normal(2), &normal(3))).contains("the second normal's mean: expected length 2, found 3"));
    assert!(message(cross_entropy(&normal(2), &normal(3))).contains("expected length 2, found 3"));
    assert!(message(total_variation(&normal(2), &normal(3))).contains("expected length 2, found 3"));
    let wide = Gaussian::new(dvector![0.0, 0.0], dmatrix![2.0, 0.0; 0.0, 1.0]).unwrap();
    let refusal = message(total_variation(&normal(2), &wide));
    assert!(refusal.contains("has no closed form; take total_variation_by_monte_carlo"), "{refusal}");
    let uniform = member!(Uniform, 0.0, 1.0);
    assert!(message(kl(&uniform, &normal(2))).contains("expected length 1, found 2"));
    assert!(message(kl(&normal(2), &uniform)).contains("expected length 1, found 2"));
    // statrs takes infinite parameters.
    let inf = f64::INFINITY;
    let refusal = message(kl(&member!(Exp, inf), &member!(Exp, 1.0)));
    assert!(refusal.contains("the rate of an exponential distribution holds inf at entry 0"), "{refusal}");
    assert!(kl(&member!(Poisson, 1.0), &member!(Poisson, inf)).is_err());
    assert!(kl(&member!(Gamma, 1.0, inf), &member!(Gamma, 1.0, 2.0)).is_err());
    assert!(kl(&member!(Normal, 0.0, inf), &uniform).is_err() && kl(&uniform, &member!(Normal, inf, 1.0)).is_err());
    assert!(kl(&member!(Cauchy, 0.0, inf), &normal(1)).is_err());
    // A finite divergence beyond the range is no infinite one.
    let units = |variance| Gaussian::univariate(0.0, variance).unwrap();
    assert!(message(kl(&units(1e300), &units(1e-300))).contains("the divergence exceeds the range"));
    assert!(message(cross_entropy(&units(1e300), &units(1e-300))).contains("the cross-entropy exceeds the range"));
    assert!(kl(&member!(Exp, 1e-300), &member!(Exp, 1e300)).is_err());
    assert!(kl(&member!(Beta, 1e308, 1e308), &member!(Beta, 1.0, 1.0)).is_err());
}

/// A logarithmic uniform number.
fn between(ln_least: f64, ln_most: f64) -> impl Strategy<Value = [f64; 4]> {
    prop::array::uniform4((ln_least..ln_most).prop_map(f64::exp))
}

/// D ≥ 0, and 0 for q = p.
fn is_divergence<Q: KullbackLeibler + std::fmt::Debug>(q: Q, p: Q) {
    for (q, p) in [(&q, &p), (&p, &q)] {
        assert_eq!(kl(q, q).unwrap(), 0.0, "{q:?}");
        match kl(q, p) {
            Ok(divergence) => assert!(divergence >= 0.0, "{q:?} {p:?}: {divergence:e}"),
            Err(error) => assert!(matches!(error, Error::Overflow { .. }), "{q:?} {p:?}: {error}"),
        }
    }
}

/// Symmetric, between 0 and 1, and below both bounds.
fn is_distance<Q: KullbackLeibler + TotalVariation + std::fmt::Debug>(q: Q, p: Q) {
    let (tv, back) = (total_variation(&q, &p).unwrap(), total_variation(&p, &q).unwrap());
    assert!((0.0..=1.0).contains(&tv) && (tv - back).abs() <= 1e-14 * tv, "{q:?} {p:?}: {tv} {back}");
    if let Ok(divergence) = kl(&q, &p) {
        for bound in [pinsker(divergence), bretagnolle_huber(divergence)] {
            assert!(tv <= bound * (1.0 + 1e-12), "{q:?} {p:?}: {tv} {divergence}");
        }
    }
    is_divergence(q, p);
}

/// H(q, p) = H(q) + D(q‖p), to the rounding of terms that sum up to `terms`.
fn adds_up<Q: KullbackLeibler + CrossEntropy + std::fmt::Debug>(q: Q, p: Q, terms: f64) {
    let (d, cross, h) = (kl(&q, &p).unwrap(), cross_entropy(&q, &p).unwrap(), entropy(&q).unwrap());
    let rounding = 1e-14 * (terms + cross.abs() + h.abs());
    assert!(d == cross || (cross - h - d).abs() <= rounding, "{q:?} {p:?}: {d} {cross} {h}");
}

proptest! {
    #[test]
    fn no_pair_breaks_the_inequalities(
        [a, b, c, d] in prop_oneof![between(-7.0, 7.0), between(-340.0, 340.0)], [x, y] in prop::array::uniform2(-9.0..9.0),
        near in (-40.0..0.0).prop_map(f64::exp),
    ) {
        // Each far from the other and next to it.
        for (b, c, d, y) in [(b, c, d, y), (a * (1.0 + near), a * (1.0 - near), b * (1.0 + 3.0 * near), x * (1.0 + near))] {
            is_distance(Gaussian::univariate(x, a * a).unwrap(), Gaussian::univariate(y, b * b).unwrap());
            is_distance(member!(Normal, x, a), member!(Normal, y, b));
            is_distance(member!(Exp, a), member!(Exp, b));
            is_distance(member!(Uniform, -a, b), member!(Uniform, -c, d));
            is_distance(member!(Bernoulli, a / (a + b)), member!(Bernoulli, c / (c + d)));
            let categorical = |weights: [f64; 3]| Categorical::from_weights(weights).unwrap();
            is_distance(categorical([a, b, 1.0]), categorical([c, d, 1.0]));
            is_divergence(member!(Cauchy, x, a), member!(Cauchy, y, b));
            is_divergence(member!(Poisson, a), member!(Poisson, b));
            is_divergence(member!(Gamma, a, b), member!(Gamma, c, d));
            is_divergence(member!(Beta, a, b), member!(Beta, c, d));
        }
    }

    #[test]
    fn the_cross_entropy_is_the_entropy_and_the_divergence(
        [a, b, c, d] in between(-5.0, 5.0), [x, y] in prop::array::uniform2(-9.0..9.0),
    ) {
        let squares = f64::powi(a / b, 2) + f64::powi((x - y) / b, 2);
        adds_up(Gaussian::univariate(x, a * a).unwrap(), Gaussian::univariate(y, b * b).unwrap(), squares);
        adds_up(member!(Normal, x, a), member!(Normal, y, b), squares);
        adds_up(member!(Exp, a), member!(Exp, b), 10.0);
        adds_up(member!(Uniform, -a, b), member!(Uniform, -c, d), 10.0);
        adds_up(member!(Bernoulli, a / (a + b)), member!(Bernoulli, c / (c + d)), 1.0);
        let categorical = |weights: [f64; 3]| Categorical::from_weights(weights).unwrap();
        adds_up(categorical([a, b, c]), categorical([d, 1.0, a]), 1.0);
        adds_up(member!(Cauchy, x, a), member!(Cauchy, y, b), 10.0);
        // ln Γ(z) and z ψ(a) for z and a from e⁻⁵ to e⁵.
        adds_up(member!(Gamma, a, b), member!(Gamma, c, d), 100.0 * (a + c) * (1.0 + 1.0 / a) + a * d / b);
        adds_up(member!(Beta, a, b), member!(Beta, c, d), 100.0 * (a + b + c + d) * (1.0 + 1.0 / a + 1.0 / b));
    }
}
