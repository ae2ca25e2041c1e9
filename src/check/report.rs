//! The outcome of a check: the line that it prints, and the record that a run of the notebooks reads.

use super::{REPORT_VARIABLE, Verdict};
use crate::display::significant;
use serde::Serialize;
use std::fmt;
use std::io::Write;

/// The outcome of a check, as it is printed and as a run of the notebooks reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The id of the claim.
    pub claim: String,
    /// What was checked.
    pub name: String,
    /// The bound, or "exact".
    pub method: String,
    /// What was found.
    pub verdict: Verdict,
    /// What ought to be found.
    pub expected: Verdict,
    /// The estimate or the oracle's value.
    pub estimate: f64,
    /// The closed form.
    pub closed_form: f64,
    /// How far the estimate may lie below its expectation.
    pub radius_below: f64,
    /// How far it may lie above.
    pub radius_above: f64,
    /// The number of samples, 0 for an exact check.
    pub samples: u64,
    /// The error that is caught but for the miss.
    pub discrepancy: f64,
    /// The probability that such an error is missed.
    pub miss: f64,
    /// The probability that a right formula is refuted.
    pub false_alarm: f64,
    /// Whether the bound holds at this N, or only as N grows.
    pub guaranteed: bool,
}

impl Report {
    /// Whether the verdict is the expected one.
    pub fn stands(&self) -> bool {
        self.verdict == self.expected
    }

    /// Prints the line and appends the report, with that line, to the run's file.
    pub(super) fn published(self) -> Self {
        let record = Record { line: self.to_string(), report: &self };
        println!("{}", record.line);
        if let Some(path) = std::env::var_os(REPORT_VARIABLE) {
            let appended = serde_json::to_vec(&record).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                std::fs::OpenOptions::new().create(true).append(true).open(&path)?.write_all(&line)
            });
            if let Err(error) = appended {
                // Any text on standard error fails a run, so a report that is lost does not pass for a check that was made.
                eprintln!("the report of this check could not be written to {}: {error}", path.display());
            }
        }
        self
    }
}

/// What is appended to the run's file.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    report: &'a Report,
    line: String,
}

impl fmt::Display for Report {
    /// One line: claim, name, verdict, estimate ± radius, closed form, and what the test promises.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.stands() { '✓' } else { '✗' };
        let verdict = match (self.verdict, self.expected) {
            (Verdict::Consistent, Verdict::Refuted) => "CONSISTENT, though a refutation was expected",
            (Verdict::Consistent, _) => "consistent",
            (Verdict::Refuted, Verdict::Refuted) => "refuted, as expected",
            (Verdict::Refuted, _) => "REFUTED",
            (Verdict::Underpowered, _) => {
                "UNDERPOWERED: too few samples to catch the discrepancy, `bound.min_samples(power)?` says how many it takes"
            }
            (Verdict::NonFinite, _) => {
                "NOT FINITE: NaN or infinity among the values, shapes that differ, or a probability outside 0 to 1"
            }
        };
        let radius = self.radius_below.max(self.radius_above);
        let (estimate, closed_form) = (to_place(self.estimate, radius), to_error(self.closed_form, radius / 10.0));
        let radius = significant(radius, 2);
        write!(f, "{sign} {} {}: {verdict}; {estimate} ± {radius}, closed form {closed_form}", self.claim, self.name)?;
        if self.samples > 0 {
            let guarantee = if self.guaranteed { "" } else { ", asymptotic" };
            let false_alarm = significant(self.false_alarm, 2);
            write!(f, "; N = {}, false alarm {false_alarm} ({}{guarantee})", self.samples, self.method)?;
        }
        let catches = if self.verdict == Verdict::Underpowered { "does not catch" } else { "catches" };
        write!(f, ", {catches} {}", significant(self.discrepancy, 2))
    }
}

/// A value to the place of its error's second digit; what is smaller than that is noise.
fn to_error(value: f64, error: f64) -> String {
    if !(error > 0.0 && error.is_finite() && value.is_finite()) {
        return significant(value, 8);
    }
    let digits = value.abs().log10().floor() - error.log10().floor() + 2.0;
    if digits < 1.0 { "0".to_owned() } else { significant(value, digits.min(17.0) as usize) }
}

/// A value to the place of its error's last printed digit, with the zeros, which are known.
fn to_place(value: f64, error: f64) -> String {
    let shortest = to_error(value, error);
    let printed = format!("{error:.1e}");
    let exponent = printed.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    let decimals = exponent.map(|exponent| i32::from(!printed.contains(".0e")) - exponent);
    match decimals.and_then(|decimals| usize::try_from(decimals).ok()) {
        Some(decimals @ 1..=17) if shortest.parse() != Ok(0.0) && !shortest.contains(['e', '∞', 'N']) => {
            format!("{value:.decimals$}")
        }
        _ => shortest,
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, to_place};
    use crate::check::{Bound, Exact, MonteCarlo, Power};

    #[test]
    fn a_report_reads_as_one_line() {
        let report = Exact { claim: "M1", name: "a sum", closed_form: 1.0, oracle: 1.5, error: 1e-3, discrepancy: 0.1 };
        assert_eq!(report.check().to_string(), "✗ M1 a sum: REFUTED; 1.500 ± 0.001, closed form 1, catches 0.1");
        let bound = Bound::SubGamma { variance: 2.0, above: 2.0, below: 0.0 };
        let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
        let check = MonteCarlo { claim: "R7", name: "E Z²", closed_form: 1.0, bound, power, samples: 100_000 };
        assert_eq!(
            check.check(|_| 1.001).to_string(),
            "✓ R7 E Z²: consistent; 1.00 ± 0.03, closed form 1; N = 100000, false alarm 1e-9 (sub-gamma), catches 0.05"
        );
        let asymptotic = MonteCarlo { bound: Bound::CentralLimit, ..check }.check(|_| 1.0);
        assert!(!asymptotic.guaranteed && asymptotic.to_string().contains("(central limit, asymptotic)"));
    }

    #[test]
    fn an_estimate_has_the_digits_that_are_known() {
        for (value, error, text) in [
            (0.04, 0.0013, "0.0400"),
            (0.61243, 0.0063, "0.6124"),
            (-1.5, 0.001, "-1.500"),
            (2.0, 0.00996, "2.00"),
            (0.954_499_736_1, 1e-10, "0.9544997361"),
            (1e-9, 0.01, "0"),
            (12345.6, 7.4e2, "12350"),
            (3.21e-9, 1e-10, "3.21e-9"),
            (1.0, 0.0, "1"),
            (f64::NAN, 0.1, "NaN"),
            (1.0, f64::INFINITY, "1"),
        ] {
            assert_eq!(to_place(value, error), text, "{value} ± {error}");
        }
    }

    #[test]
    fn the_record_has_the_fields_that_a_run_reads() {
        let report = Exact { claim: "M1", name: "a sum", closed_form: 1.0, oracle: 1.0, error: 0.0, discrepancy: 0.1 };
        let report = report.check();
        assert_eq!(
            serde_json::to_string(&Record { line: report.to_string(), report: &report }).unwrap(),
            r#"{"claim":"M1","name":"a sum","method":"exact","verdict":"consistent","expected":"consistent","estimate":1.0,"closed_form":1.0,"radius_below":0.0,"radius_above":0.0,"samples":0,"discrepancy":0.1,"miss":0.0,"false_alarm":0.0,"guaranteed":true,"line":"✓ M1 a sum: consistent; 1 ± 0, closed form 1, catches 0.1"}"#
        );
    }
}
