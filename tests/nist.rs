//! The sufficient statistics on the univariate reference data of NIST, against the certified values and against exact arithmetic
//! on the numbers as double precision holds them.

use generative_models::prelude::*;

struct Certified {
    name: &'static str,
    data: Vec<f64>,
    count: usize,
    mean: f64,
    deviation: f64,
    /// The digits of the deviation that survive rounding the data to double precision, at most the 15 certified.
    digits: f64,
}

fn parse(text: &str) -> Vec<f64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// One centre, then 500 pairs below and above it.
fn pairs(centre: f64, below: f64, above: f64) -> Vec<f64> {
    std::iter::once(centre).chain((0..500).flat_map(|_| [below, above])).collect()
}

fn sets() -> Vec<Certified> {
    let set = |name, data, count, mean, deviation, digits| Certified { name, data, count, mean, deviation, digits };
    vec![
        set("Lottery", parse(include_str!("nist/lottery.txt")), 218, 518.958715596330, 291.699727470969, 14.0),
        set("Lew", parse(include_str!("nist/lew.txt")), 200, -177.435, 277.332168044316, 14.0),
        set("Michelso", parse(include_str!("nist/michelso.txt")), 100, 299.8524, 0.0790105478190518, 13.0),
        set("NumAcc1", vec![10000001.0, 10000003.0, 10000002.0], 3, 10000002.0, 1.0, 15.0),
        set("NumAcc2", pairs(1.2, 1.1, 1.3), 1001, 1.2, 0.1, 14.0),
        set("NumAcc3", pairs(1000000.2, 1000000.1, 1000000.3), 1001, 1000000.2, 0.1, 9.4),
        set("NumAcc4", pairs(10000000.2, 10000000.1, 10000000.3), 1001, 10000000.2, 0.1, 8.2),
    ]
}

/// Mean and centred sum of squares without rounding until the end: each double is an integer over a power of two.
fn exact(data: &[f64]) -> (f64, f64) {
    let scale = (0..60).map(|s| 2.0_f64.powi(s)).find(|s| data.iter().all(|x| (x * s).fract() == 0.0)).unwrap();
    let integer = |x: f64| (x * scale) as i128;
    let shifted: Vec<i128> = data.iter().map(|&x| integer(x) - integer(data[0])).collect();
    let n = data.len() as i128;
    let sum: i128 = shifted.iter().sum();
    let squares = n * shifted.iter().map(|y| y * y).sum::<i128>() - sum * sum;
    (data[0] + sum as f64 / n as f64 / scale, squares as f64 / n as f64 / scale / scale)
}

fn rows(data: &[f64]) -> DMatrix<f64> {
    DMatrix::from_column_slice(data.len(), 1, data)
}

fn deviation(stats: &GaussianStats) -> f64 {
    (stats.scatter()[0] / (stats.count() - 1) as f64).sqrt()
}

fn digits(value: f64, certified: f64) -> f64 {
    -((value - certified) / certified).abs().max(1e-15).log10()
}

/// The unit of rounding 2⁻⁵³.
const UNIT: f64 = 0.5 * f64::EPSILON;

#[test]
fn the_certified_digits_that_the_data_allow() {
    for Certified { name, data, count, mean, deviation: certified, digits: allowed } in sets() {
        let stats = GaussianStats::from_rows(&rows(&data)).unwrap();
        assert_eq!(stats.count(), count, "{name}");
        assert!(digits(stats.mean()[0], mean) >= 14.9, "{name}: mean {}", stats.mean()[0]);
        let found = digits(deviation(&stats), certified);
        assert!(found >= allowed, "{name}: {found} digits of the deviation");
        // Not more than the data allow: the exact deviation of the rounded data is no nearer.
        let of_data = digits((exact(&data).1 / (count - 1) as f64).sqrt(), certified);
        assert!((found - of_data).abs() < 1.0 || found.min(of_data) >= 14.0, "{name}: {found} and {of_data}");
    }
}

#[test]
fn all_rows_at_once_are_exact_but_for_the_last_rounding() {
    for Certified { name, data, .. } in sets() {
        let (mean, scatter) = exact(&data);
        let stats = GaussianStats::from_rows(&rows(&data)).unwrap();
        let n = data.len() as f64;
        // Half a unit for the mean's last addition and half for the oracle's; the sum of residuals errs by n units of their size.
        let spread = data.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
        assert!((stats.mean()[0] - mean).abs() <= 2.0 * UNIT * mean.abs() + n * UNIT * spread, "{name}: mean");
        // Each square carries 3 units (one subtraction twice, one product), their sum n, and the oracle's end 4.
        assert!((stats.scatter()[0] / scatter - 1.0).abs() <= (n + 7.0) * UNIT, "{name}: scatter");
    }
}

#[test]
fn one_by_one_and_merged_lose_only_to_the_means_rounding() {
    for Certified { name, data, .. } in sets() {
        let (mean, scatter) = exact(&data);
        let mut single = GaussianStats::empty(1);
        data.iter().for_each(|&x| single.observe(&dvector![x]).unwrap());
        let merged = data
            .chunks(64)
            .map(|chunk| GaussianStats::from_rows(&rows(chunk)).unwrap())
            .fold(GaussianStats::empty(1), |all, chunk| all.merge(chunk).unwrap());
        let n = data.len() as f64;
        for (how, stats) in [("single", single), ("merged", merged)] {
            // Each of at most n updates rounds the mean by a unit and the step by three.
            let off = 4.0 * n * UNIT * mean.abs();
            assert!((stats.mean()[0] - mean).abs() <= off, "{name}, {how}: mean");
            // A mean off by e changes Σ(x−m)² by 2e Σ|x−m| ≤ 2e √(n S) at most, and the sum of n terms errs by n units and 5 each.
            let bound = 2.0 * off * (n * scatter).sqrt() + (n + 5.0) * UNIT * scatter;
            assert!((stats.scatter()[0] - scatter).abs() <= bound, "{name}, {how}: scatter");
        }
    }
}

#[test]
fn the_textbook_formula_would_fail() {
    // Σx² − (Σx)²/n, to show that the sets tell algorithms apart.
    let textbook = |data: &[f64]| {
        let (sum, squares) = data.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        (squares - sum * sum / data.len() as f64) / (data.len() - 1) as f64
    };
    let variance = |name: &str| textbook(&sets().into_iter().find(|set| set.name == name).unwrap().data);
    assert!(digits(variance("NumAcc3").abs().sqrt(), 0.1) < 3.0);
    assert!(variance("NumAcc4") < 0.0 || digits(variance("NumAcc4").sqrt(), 0.1) < 1.0);
}
