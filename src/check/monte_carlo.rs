//! A closed form against the mean of random samples.

use super::{Bound, Power, Report, Verdict, catoni, verdict};
use crate::monte_carlo::{Generator, draws, estimate};

/// A closed form against the mean of random samples. All fields are to be given: nothing about a test is left to a default.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let bound = Bound::quadratic(&dvector![0.0], &dmatrix![2.0])?; // z² = ½ z·2·z
/// let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
/// let report = MonteCarlo {
///     claim: "R7", name: "E[Z²]", closed_form: 1.0, bound, power, samples: bound.min_samples(power)?,
/// }
/// .check(|rng| { let z: f64 = StandardNormal.sample(rng); z * z });
/// assert!(report.stands());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MonteCarlo<'a> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name and seed, so no two checks share it.
    pub name: &'a str,
    /// The value to be held against the estimate.
    pub closed_form: f64,
    /// The bound that holds for the samples.
    pub bound: Bound,
    /// The error probabilities and the error to be caught.
    pub power: Power,
    /// The number N of samples; [`Bound::Catoni`] keeps them all in memory.
    pub samples: u64,
}

impl MonteCarlo<'_> {
    /// Draws the samples, in parallel and from the check's own seed, and gives the verdict; it stands if that is
    /// [`Verdict::Consistent`].
    pub fn check(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.report(Verdict::Consistent, &sample)
    }

    /// The same for a formula that is known to be wrong; it stands if the verdict is [`Verdict::Refuted`].
    pub fn expect_refuted(&self, sample: impl Fn(&mut Generator) -> f64 + Sync) -> Report {
        self.report(Verdict::Refuted, &sample)
    }

    // By reference, so that the machinery is compiled here, once, and not with each sampler.
    fn report(&self, expected: Verdict, sample: &(dyn Fn(&mut Generator) -> f64 + Sync)) -> Report {
        if let Some(a) = self.bound.influence(self.samples, self.power.false_alarm) {
            let drawn = draws(&self.seed(), self.samples, sample);
            return self.against(drawn.map_or(f64::NAN, |drawn| catoni::mean(&drawn, a)), f64::NAN, expected);
        }
        let drawn = estimate(&self.seed(), self.samples, sample);
        self.against(drawn.mean(), drawn.variance(), expected)
    }

    pub(super) fn seed(&self) -> String {
        format!("{} {}", self.claim, self.name)
    }

    /// Holds the closed form against an estimate from the samples; `variance` is theirs, for [`Bound::CentralLimit`].
    pub(super) fn against(&self, estimate: f64, variance: f64, expected: Verdict) -> Report {
        let Power { false_alarm, miss, discrepancy } = self.power;
        let radii = self.bound.radius(self.samples, false_alarm, variance);
        let resolution = self.bound.resolution(self.samples, self.power, variance);
        Report {
            claim: self.claim.into(),
            name: self.name.into(),
            method: self.bound.name().into(),
            verdict: verdict(estimate - self.closed_form, radii, resolution, discrepancy),
            expected,
            estimate,
            closed_form: self.closed_form,
            radius_below: radii.0,
            radius_above: radii.1,
            samples: self.samples,
            discrepancy,
            miss,
            false_alarm,
            guaranteed: self.bound != Bound::CentralLimit,
        }
        .published()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::num::f64::ANY;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    const POWER: Power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
    const BOUND: Bound = Bound::SubGamma { variance: 2.0, above: 2.0, below: 0.0 };

    fn square(rng: &mut Generator) -> f64 {
        rng.sample::<f64, _>(StandardNormal).powi(2)
    }

    /// A test of E Z² = `closed_form`.
    fn test(name: &str, closed_form: f64, samples: u64) -> MonteCarlo<'_> {
        MonteCarlo { claim: "R7", name, closed_form, bound: BOUND, power: POWER, samples }
    }

    /// Bounds that hold for Z²; the last two also for its sign.
    fn bounds() -> [Bound; 4] {
        [BOUND, Bound::Normal { variance: 2.0 }, Bound::Catoni { variance: 2.0 }, Bound::CentralLimit]
    }

    fn enough(bound: Bound) -> u64 {
        bound.min_samples(POWER).unwrap_or(80_000)
    }

    #[test]
    fn a_right_formula_stands_and_a_wrong_one_does_not() {
        for bound in bounds() {
            let test = |name, closed_form| MonteCarlo { bound, ..test(name, closed_form, enough(bound)) };
            assert!(test("right", 1.0).check(square).stands());
            assert!(!test("right", 1.0).expect_refuted(square).stands());
            for (name, wrong) in [("above", 1.05), ("below", 0.95)] {
                assert_eq!(test(name, wrong).check(square).verdict, Verdict::Refuted);
                assert!(test(name, wrong).expect_refuted(square).stands());
            }
        }
    }

    #[test]
    fn too_few_samples_are_underpowered() {
        for bound in bounds() {
            for few in [0, 1, 2, 42, 1000] {
                let report = MonteCarlo { bound, ..test("few", 9.0, few) }.expect_refuted(square);
                assert_eq!(report.verdict, Verdict::Underpowered, "a weak test refutes nothing: {report}");
            }
            if bound != Bound::CentralLimit {
                let report = MonteCarlo { bound, ..test("few", 1.0, enough(bound) - 1) }.check(square);
                assert_eq!(report.verdict, Verdict::Underpowered, "{report}");
            }
        }
        let constant = MonteCarlo { bound: Bound::CentralLimit, ..test("constant", 1e-9, 1_000_000) };
        assert_eq!(constant.check(|_| 0.0).verdict, Verdict::Underpowered, "a rare event that never came");
    }

    #[test]
    fn a_promise_that_is_none_is_no_pass() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for bound in bounds() {
            let verdict = |power| MonteCarlo { bound, power, ..test("no promise", 1.0, 60_000) }.check(square).verdict;
            for p in [0.0, 1.0, 2.0, -0.5, nan, inf] {
                assert_eq!(verdict(Power { false_alarm: p, ..POWER }), Verdict::NonFinite);
                assert_eq!(verdict(Power { miss: p, ..POWER }), Verdict::NonFinite);
            }
            for (discrepancy, expected) in [
                (0.0, Verdict::Underpowered),
                (-1.0, Verdict::Underpowered),
                (nan, Verdict::NonFinite),
                (inf, Verdict::NonFinite),
            ] {
                assert_eq!(verdict(Power { discrepancy, ..POWER }), expected);
            }
        }
    }

    #[test]
    fn what_is_not_finite_never_passes() {
        for bound in bounds() {
            let samples = enough(bound);
            for (name, value) in [("nan", f64::NAN), ("inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)] {
                let test = |closed_form, samples| MonteCarlo { bound, ..test(name, closed_form, samples) };
                let report = test(1.0, samples).check(|rng| if rng.random_bool(1e-3) { value } else { square(rng) });
                assert_eq!(report.verdict, Verdict::NonFinite);
                assert_eq!(test(value, samples).check(square).verdict, Verdict::NonFinite);
                assert_eq!(test(value, samples).expect_refuted(square).verdict, Verdict::NonFinite);
                assert_eq!(test(1.0, 1).check(|_| value).verdict, Verdict::NonFinite);
                assert_eq!(test(value, 0).check(square).verdict, Verdict::NonFinite);
            }
        }
        for variance in [f64::NAN, -1.0] {
            for bound in [
                Bound::Normal { variance },
                Bound::SubGamma { variance, above: 0.0, below: 0.0 },
                Bound::SubGamma { variance: 1.0, above: variance, below: 0.0 },
                Bound::SubGamma { variance: 1.0, above: 0.0, below: variance },
                Bound::Lipschitz(variance),
                Bound::Hoeffding { lower: 0.0, upper: variance },
                Bound::Bernstein { variance, above: 1.0, below: 1.0 },
                Bound::Bernstein { variance: 1.0, above: variance, below: 1.0 },
                Bound::Bernstein { variance: 1.0, above: 1.0, below: variance },
                Bound::Catoni { variance },
                Bound::Naaman { dim: 0 },
            ] {
                let report = MonteCarlo { bound, ..test("no bound", 1.0, 60_000) }.check(square);
                assert_eq!(report.verdict, Verdict::NonFinite, "{report}");
            }
        }
    }

    #[test]
    fn a_variance_of_zero_demands_the_closed_form_itself() {
        for bound in [BOUND, Bound::Normal { variance: 0.0 }, Bound::Catoni { variance: 0.0 }] {
            let bound = if bound == BOUND { Bound::SubGamma { variance: 0.0, above: 0.0, below: 0.0 } } else { bound };
            let check = |closed_form| MonteCarlo { bound, ..test("constant", closed_form, 100) }.check(|_| 3.0);
            assert!(check(3.0).stands());
            assert_eq!(check(3.0_f64.next_up()).verdict, Verdict::Refuted);
        }
    }

    proptest! {
        /// Whatever is put in, nothing panics, and no verdict but NonFinite and Underpowered comes of what promises nothing.
        #[test]
        fn a_verdict_needs_a_promise(
            [v, above, below, false_alarm, miss, discrepancy] in [ANY, ANY, ANY, ANY, ANY, ANY],
            (p, error, closed_form, value) in (0.0..1.0, 0.0..1e3, ANY, ANY),
            samples in 0..100_u64,
            dim in 0..1000_usize,
        ) {
            for power in [Power { false_alarm, miss, discrepancy }, Power { false_alarm: p, miss: p, discrepancy: error }] {
                for bound in [
                    Bound::Normal { variance: v },
                    Bound::SubGamma { variance: v, above, below },
                    Bound::Lipschitz(v),
                    Bound::Hoeffding { lower: below, upper: above },
                    Bound::Bernstein { variance: v, above, below },
                    Bound::Massart,
                    Bound::Naaman { dim },
                    Bound::Catoni { variance: v },
                    Bound::CentralLimit,
                ] {
                    let test = MonteCarlo { bound, power, ..test("anything", closed_form, samples) };
                    let report = test.check(|rng| if rng.random() { value } else { rng.random() });
                    if matches!(report.verdict, Verdict::Consistent | Verdict::Refuted) {
                        let Report { estimate, closed_form, radius_below, radius_above, .. } = report;
                        prop_assert!([estimate, closed_form, radius_below, radius_above].iter().all(|x| x.is_finite()));
                        prop_assert!(samples > 0 && radius_below + radius_above <= 2.0 * power.discrepancy);
                        let within = -radius_below <= estimate - closed_form && estimate - closed_form <= radius_above;
                        prop_assert_eq!(report.verdict == Verdict::Consistent, within);
                    }
                    if let Ok(enough) = bound.min_samples(power) {
                        prop_assert!(bound.resolution(enough, power, f64::NAN) <= power.discrepancy);
                    }
                }
            }
        }
    }

    #[test]
    fn catonis_check_does_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let test = MonteCarlo { bound: Bound::Catoni { variance: 2.0 }, ..test("threads", 1.0, 60_000) };
            pool.install(|| test.check(square))
        };
        assert_eq!(run(1), run(3));
        assert_ne!(run(1).estimate, estimate("R7 threads", 60_000, square).mean());
    }
}
