//! Properties of the normal distribution and its statistics over shapes, units from 1e-150 to 1e150, offsets of 1e8 and degenerate
//! input: nothing panics, nothing finite gives NaN, and the identities hold to rounding.

use generative_models::error::Error;
use generative_models::prelude::*;
use proptest::prelude::*;

/// The unit of rounding 2⁻⁵³.
const UNIT: f64 = 0.5 * f64::EPSILON;

/// A normal in `d` dimensions: unit lower triangle with entries in [−1, 1] below, each variable in a unit of its own.
fn normal(d: usize, exponents: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = Gaussian> {
    let numbers = move |n| proptest::collection::vec(-1.0..1.0, n);
    let units = proptest::collection::vec(exponents, d);
    (numbers(d * d), numbers(d), units).prop_map(move |(l, mean, units)| {
        let unit = DVector::from_iterator(d, units.iter().map(|&e| 10.0_f64.powi(e)));
        let root = DMatrix::from_fn(d, d, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Greater => l[i * d + j],
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Less => 0.0,
        });
        let correlated = &root * root.transpose();
        let covariance = DMatrix::from_fn(d, d, |i, j| correlated[(i, j)] * unit[i] * unit[j]);
        Gaussian::new(DVector::from_vec(mean).component_mul(&unit), covariance).unwrap()
    })
}

fn normals(exponents: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = Gaussian> {
    (1..=6_usize).prop_flat_map(move |d| normal(d, exponents.clone()))
}

/// A normal and a point within five deviations of its mean in each variable.
fn normal_and_point(exponents: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = (Gaussian, DVector<f64>)> {
    normals(exponents).prop_flat_map(|p| {
        let d = p.dim();
        (Just(p), proptest::collection::vec(-5.0..5.0, d))
            .prop_map(|(p, z)| (p.clone(), p.mean() + deviations(&p).component_mul(&DVector::from_vec(z))))
    })
}

/// The six coordinates in any order.
fn order() -> impl Strategy<Value = Vec<usize>> {
    Just((0..6).collect::<Vec<usize>>()).prop_shuffle()
}

fn deviations(p: &Gaussian) -> DVector<f64> {
    p.covariance().diagonal().map(f64::sqrt)
}

/// Σⱼⱼ (Σ⁻¹)ⱼⱼ summed over j: above the condition number of the correlations over d.
fn inflation(p: &Gaussian) -> f64 {
    let d = p.dim();
    let scale = DMatrix::from_diagonal(&deviations(p).map(f64::recip));
    let correlations = &scale * p.covariance() * &scale;
    correlations.try_inverse().map_or(f64::INFINITY, |inverse| inverse.trace()) + d as f64
}

/// A factorisation is exact for a covariance d+1 units off (Higham 2002, theorem 10.3), in each of d×d entries; quadratic forms and
/// ln det move by that times the inflation. Both sides of an identity factorise once, hence the 2; a solve adds as much again.
fn relative(p: &Gaussian) -> f64 {
    let d = p.dim() as f64;
    4.0 * d * (d + 1.0) * UNIT * inflation(p)
}

/// How far two evaluations of ln p may be apart: the quadratic form, ln det and the sum, of which each term is rounded.
fn ln_pdf_error(p: &Gaussian, x: &DVector<f64>) -> f64 {
    let d = p.dim() as f64;
    let mahalanobis = p.mahalanobis_squared(x).unwrap();
    // The point itself is known to a unit of |x| + |μ|, which lies within 12 deviations of zero.
    let point = 24.0 * UNIT * d * inflation(p).sqrt() * mahalanobis.sqrt();
    relative(p) * (1.0 + mahalanobis) + point + 4.0 * d * UNIT * (p.ln_det_covariance().abs() + 700.0 * d)
}

fn close(p: &DMatrix<f64>, q: &DMatrix<f64>, scale: &DVector<f64>, error: f64) -> bool {
    p.shape() == q.shape()
        && (0..p.nrows()).all(|i| (0..p.ncols()).all(|j| (p[(i, j)] - q[(i, j)]).abs() <= error * scale[i] * scale[j]))
}

/// Any finite number, zero, and what is not finite.
fn anything() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0,
        1 => Just(0.0),
        1 => proptest::num::f64::NORMAL,
        1 => proptest::num::f64::ANY,
        1 => prop_oneof![Just(f64::MAX), Just(f64::MIN_POSITIVE), Just(-f64::MAX), Just(5e-324)],
    ]
}

fn matrix(
    rows: impl Strategy<Value = usize>,
    columns: impl Strategy<Value = usize>,
) -> impl Strategy<Value = DMatrix<f64>> {
    (rows, columns).prop_flat_map(|(n, d)| {
        proptest::collection::vec(anything(), n * d).prop_map(move |x| DMatrix::from_vec(n, d, x))
    })
}

/// A length that mostly fits.
fn near(d: usize) -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(d), 1 => 0..5_usize]
}

fn vector(length: impl Strategy<Value = usize>) -> impl Strategy<Value = DVector<f64>> {
    matrix(length, Just(1)).prop_map(|m| m.column(0).into_owned())
}

/// What any input whatever makes of a normal, if it makes one.
fn any_normal(d: usize) -> impl Strategy<Value = Option<Gaussian>> {
    let symmetric = matrix(Just(d), Just(d)).prop_map(|m| &m + m.transpose());
    let squared = matrix(Just(d), Just(d)).prop_map(|m| &m * m.transpose());
    let diagonal = vector(Just(d)).prop_map(|v| DMatrix::from_diagonal(&v.abs()));
    let covariance = prop_oneof![symmetric, squared, diagonal, matrix(near(d), near(d))];
    (vector(near(d)), covariance).prop_map(|(mean, covariance)| Gaussian::new(mean, covariance).ok())
}

/// A normal, a matrix, a point and indices, of shapes that mostly agree.
fn any_input() -> impl Strategy<Value = (Option<Gaussian>, DMatrix<f64>, DVector<f64>, Vec<usize>)> {
    let indices = |d: usize| proptest::collection::vec(0..d + usize::from(d > 3), 0..d);
    (1..5_usize).prop_flat_map(move |d| (any_normal(d), matrix(0..7_usize, near(d)), vector(near(d)), indices(d)))
}

fn all_finite<'a>(values: impl IntoIterator<Item = &'a f64>) -> bool {
    values.into_iter().all(|v| v.is_finite())
}

/// Every public method on any input: it may refuse, and what it gives is no NaN.
fn exercise(p: &Gaussian, a: &DMatrix<f64>, x: &DVector<f64>, indices: &[usize]) {
    assert!(all_finite(p.mean()) && all_finite(p.covariance()) && all_finite(p.cholesky_factor()));
    assert!(p.entropy().is_finite() && p.ln_det_covariance().is_finite());
    let sample = p.sample(&mut rng("properties"));
    assert!(!sample.iter().any(|v| v.is_nan()));
    assert_eq!(p.sample_n(2, &mut rng("properties")).row(0).transpose(), sample);
    for value in [p.ln_pdf(x), p.pdf(x), p.cdf(x), p.mahalanobis_squared(x)].into_iter().flatten() {
        assert!(!value.is_nan());
    }
    assert!(p.cdf(x).map_or(true, |cdf| (0.0..=1.0).contains(&cdf)));
    assert!(p.whiten(x).map_or(true, |z| all_finite(&z)));
    assert!(p.ln_pdf_rows(a).map_or(true, |values| !values.iter().any(|v| v.is_nan())));
    assert!(p.solve_covariance(&a.transpose()).map_or(true, |s| all_finite(&s)));
    assert!(p.ellipse(x.get(0).copied().unwrap_or(0.5), indices.len()).map_or(true, |points| all_finite(&points)));
    let values = x.rows(0, indices.len().min(x.len())).into_owned();
    let shift = DVector::from_fn(a.nrows(), |i, _| x.get(i).copied().unwrap_or(0.0));
    let others = [p.marginal(indices), p.conditional(indices, &values), p.affine(a, &shift)];
    for q in others.into_iter().flatten() {
        assert!(all_finite(q.mean()) && all_finite(q.covariance()) && all_finite(q.cholesky_factor()));
    }
}

fn exercise_statistics(stats: &GaussianStats, p: Option<&Gaussian>, x: &DVector<f64>) {
    assert!(all_finite(stats.mean()) && all_finite(stats.scatter()));
    assert_eq!(stats.scatter(), &stats.scatter().transpose());
    let mut more = stats.clone();
    match more.observe(x) {
        Ok(()) => assert_eq!(more.count(), stats.count() + 1),
        Err(_) => assert_eq!(&more, stats),
    }
    assert!(stats.scatter_around(x).map_or(true, |s| all_finite(&s)));
    assert!(stats.clone().merge(more).map_or(true, |s| all_finite(s.mean()) && all_finite(s.scatter())));
    match stats.fit() {
        Ok(fit) => assert!(all_finite(fit.mean()) && all_finite(fit.cholesky_factor())),
        Err(Error::Degenerate { rank, dim }) => assert!(rank < dim && dim == stats.dim()),
        Err(_) => {}
    }
    if let Some(p) = p {
        assert!(p.ln_likelihood_of(stats).map_or(true, |ll| !ll.is_nan()));
        assert!(p.gradient_mean(stats).map_or(true, |g| all_finite(&g)));
        assert!(p.gradient_covariance(stats).map_or(true, |g| all_finite(&g)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_is_answered_or_refused((p, a, x, indices) in any_input()) {
        if let Some(p) = &p {
            exercise(p, &a, &x, &indices);
        }
        match GaussianStats::from_rows(&a) {
            Ok(stats) => exercise_statistics(&stats, p.as_ref(), &x),
            Err(Error::NotFinite { .. }) => prop_assert!(!all_finite(&a)),
            Err(Error::Overflow { .. }) => prop_assert!(all_finite(&a) && a.amax() > 1e150),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn units_of_any_size_are_answered((p, x) in normal_and_point(-150..=150), n in 0..4_usize) {
        prop_assert!(p.ln_pdf(&x).unwrap().is_finite());
        prop_assert!(p.mahalanobis_squared(&x).unwrap().is_finite());
        prop_assert!(p.entropy().is_finite());
        prop_assert!(all_finite(&p.sample_n(n, &mut rng("units"))));
        if p.dim() <= 2 {
            prop_assert!((0.0..=1.0).contains(&p.cdf(&x).unwrap()));
        }
    }

    #[test]
    fn a_marginal_of_a_marginal_is_a_marginal(p in normals(-150..=150), order in order()) {
        let outer: Vec<usize> = order.into_iter().filter(|&i| i < p.dim()).collect();
        let inner: Vec<usize> = (0..outer.len()).rev().step_by(2).collect();
        let both: Vec<usize> = inner.iter().map(|&i| outer[i]).collect();
        prop_assert_eq!(p.marginal(&outer).unwrap().marginal(&inner).unwrap(), p.marginal(&both).unwrap());
    }

    #[test]
    fn a_permutation_matrix_is_a_marginal(p in normals(-150..=150), order in order()) {
        let order: Vec<usize> = order.into_iter().filter(|&i| i < p.dim()).collect();
        let d = p.dim();
        let permutation = DMatrix::from_fn(d, d, |i, j| f64::from(order[i] == j));
        let (image, marginal) = (p.affine(&permutation, &DVector::zeros(d)).unwrap(), p.marginal(&order).unwrap());
        prop_assert_eq!(image.mean(), marginal.mean());
        // L Lᵀ is Σ to d + 1 units, its product costs d more.
        prop_assert!(close(image.covariance(), marginal.covariance(), &deviations(&marginal), (2 * d + 1) as f64 * 2.0 * UNIT));
    }

    #[test]
    fn conditional_times_marginal_is_the_joint(
        (p, x) in normal_and_point(-150..=150), order in order(), given in 0..6_usize
    ) {
        let order: Vec<usize> = order.into_iter().filter(|&i| i < p.dim()).collect();
        let given = &order[..given.min(p.dim() - 1)];
        let others: Vec<usize> = (0..p.dim()).filter(|i| !given.contains(i)).collect();
        let conditional = p.conditional(given, &x.select_rows(given)).unwrap();
        let marginal = if given.is_empty() { 0.0 } else { p.marginal(given).unwrap().ln_pdf(&x.select_rows(given)).unwrap() };
        let error = (conditional.ln_pdf(&x.select_rows(&others)).unwrap() + marginal - p.ln_pdf(&x).unwrap()).abs();
        prop_assert!(error <= ln_pdf_error(&p, &x), "{:e} > {:e}", error, ln_pdf_error(&p, &x));
    }

    #[test]
    fn densities_and_entropies_scale(
        (p, x) in normal_and_point(-120..=120), exponents in proptest::collection::vec(-60..=60_i32, 6)
    ) {
        // Powers of two, so that only the factorisation's square roots and the logarithms are rounded.
        let scale = DVector::from_iterator(p.dim(), exponents.iter().take(p.dim()).map(|&e| 2.0_f64.powi(e)));
        let units = DMatrix::from_diagonal(&scale);
        let scaled = Gaussian::new(p.mean().component_mul(&scale), &units * p.covariance() * &units).unwrap();
        let ln_scale: f64 = scale.iter().map(|s| s.ln()).sum();
        let bound = ln_pdf_error(&p, &x);
        let change = scaled.ln_pdf(&x.component_mul(&scale)).unwrap() - p.ln_pdf(&x).unwrap();
        prop_assert!((change + ln_scale).abs() <= bound, "{:e} > {:e}", change + ln_scale, bound);
        prop_assert!((scaled.entropy() - p.entropy() - ln_scale).abs() <= bound);
    }

    #[test]
    fn entropy_is_minus_ln_pdf_at_the_mean_plus_half_of_d(p in normals(-150..=150)) {
        let at_mean = -p.ln_pdf(p.mean()).unwrap() + 0.5 * p.dim() as f64;
        prop_assert!((p.entropy() - at_mean).abs() <= 8.0 * UNIT * (p.ln_det_covariance().abs() + 4.0 * p.dim() as f64));
    }

    #[test]
    fn statistics_are_a_commutative_monoid(
        p in normals(-150..=150), sizes in proptest::collection::vec(0..40_usize, 3),
        offset in prop_oneof![Just(0.0), Just(1e8), -1e8..1e8]
    ) {
        let (d, sd) = (p.dim(), deviations(&p));
        let mut random = rng("monoid");
        let mut draw = |n| {
            let mut x = p.sample_n(n, &mut random);
            x.column_iter_mut().zip(&sd).for_each(|(mut column, sd)| column.add_scalar_mut(offset * sd));
            x
        };
        let parts: Vec<DMatrix<f64>> = sizes.iter().map(|&n| draw(n)).collect();
        let whole = DMatrix::from_fn(sizes.iter().sum(), d, |i, j| {
            let (mut i, mut part) = (i, 0);
            while i >= sizes[part] {
                (i, part) = (i - sizes[part], part + 1);
            }
            parts[part][(i, j)]
        });
        let [a, b, c] = [0, 1, 2].map(|i| GaussianStats::from_rows(&parts[i]).unwrap());
        let merge = |a: &GaussianStats, b: &GaussianStats| a.clone().merge(b.clone()).unwrap();
        let mut single = GaussianStats::empty(d);
        whole.row_iter().for_each(|row| single.observe(&row.transpose()).unwrap());
        let all = GaussianStats::from_rows(&whole).unwrap();
        let n = all.count() as f64;
        // In deviations: each of n updates rounds a mean of size |offset| + 8 by a unit and its step by three; each mean enters
        // each product once, with residuals up to 16, and each of n products of size 256 errs by n + 5 units.
        let off = 4.0 * n * UNIT * (offset.abs() + 8.0);
        let scatter = n * (2.0 * 16.0 * off + off * off + 256.0 * (n + 5.0) * UNIT);
        for other in [merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)), merge(&merge(&c, &b), &a), single] {
            prop_assert_eq!(other.count(), all.count());
            for i in 0..d {
                prop_assert!((other.mean()[i] - all.mean()[i]).abs() <= off * sd[i]);
            }
            prop_assert!(close(other.scatter(), all.scatter(), &sd, scatter));
        }
        prop_assert_eq!(&merge(&GaussianStats::empty(d), &a), &a);
        prop_assert_eq!(&merge(&a, &GaussianStats::empty(d)), &a);
    }

    #[test]
    fn degenerate_samples_are_refused_with_their_rank(
        n in 8..60_usize, kind in 0..4_usize, offset in prop_oneof![Just(0.0), Just(1e8)], exponent in -140..=140_i32,
        weights in proptest::collection::vec(0.5..2.0, 3), seed in any::<u32>()
    ) {
        // Three independent columns and a fourth that depends on them, or is constant, or repeats one, or all rows repeat two.
        let unit = 10.0_f64.powi(exponent);
        let z = Gaussian::standard(4).unwrap().sample_n(n, &mut rng(&format!("degenerate {seed}")));
        let column = |i: usize, j: usize| z[(i, j)] + offset;
        let data = DMatrix::from_fn(n, 4, |i, j| unit * match (kind, j) {
            (0, 3) => (0..3).map(|k| weights[k] * column(i, k)).sum::<f64>(),
            (1, 3) => offset + 0.1,
            (2, 3) => column(i, 0),
            (3, _) => column(i % 2, j),
            _ => column(i, j),
        });
        let expected = if kind == 3 { 1 } else { 3 };
        match Gaussian::fit(&data) {
            Err(Error::Degenerate { rank, dim: 4 }) => prop_assert_eq!(rank, expected),
            other => prop_assert!(false, "{:?}", other),
        }
        match Gaussian::fit(&data.rows(0, 4).into_owned()) {
            Err(Error::TooFewSamples { needed: 5, found: 4, .. }) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn full_rank_samples_are_fitted(n in 20..60_usize, offset in prop_oneof![Just(0.0), -1e8..1e8], p in normals(-140..=140)) {
        let sd = deviations(&p);
        let mut x = p.sample_n(n, &mut rng("full rank"));
        x.column_iter_mut().zip(&sd).for_each(|(mut column, sd)| column.add_scalar_mut(offset * sd));
        prop_assert!(Gaussian::fit(&x).is_ok());
    }

    #[test]
    fn the_fit_is_where_the_likelihood_is_highest(p in normals(-100..=100), n in 20..60_usize, step in -0.2..0.2) {
        let x = p.sample_n(n, &mut rng("highest"));
        let stats = GaussianStats::from_rows(&x).unwrap();
        let fit = stats.fit().unwrap();
        let highest = fit.ln_likelihood_of(&stats).unwrap();
        let bound = n as f64 * relative(&fit) * (p.dim() as f64 + highest.abs() / n as f64 + 1.0);
        prop_assert!((ln_likelihood(&fit, &x).unwrap() - highest).abs() <= bound);
        let moved = Gaussian::new(fit.mean() + deviations(&fit) * step, fit.covariance().clone()).unwrap();
        let wider = Gaussian::new(fit.mean().clone(), fit.covariance() * (1.0 + step)).unwrap();
        for other in [moved, wider] {
            prop_assert!(other.ln_likelihood_of(&stats).unwrap() <= highest + bound);
        }
    }
}
