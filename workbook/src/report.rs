//! What a run found, and whether that is enough: a notebook that does not check anything, or does not reach its end, has failed.

use crate::claims::{self, Checked, Claims, Row};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// The largest sum of false alarms that a run may spend: with more, a refuted formula could be bad luck.
pub const FALSE_ALARM_BUDGET: f64 = 1e-6;

/// A check, as the library reports it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Check {
    pub claim: String,
    pub name: String,
    pub method: String,
    pub verdict: String,
    pub expected: String,
    #[serde(deserialize_with = "or_nan")]
    pub estimate: f64,
    #[serde(deserialize_with = "or_nan")]
    pub closed_form: f64,
    #[serde(deserialize_with = "or_nan")]
    pub radius_below: f64,
    #[serde(deserialize_with = "or_nan")]
    pub radius_above: f64,
    pub samples: u64,
    #[serde(deserialize_with = "or_nan")]
    pub discrepancy: f64,
    #[serde(deserialize_with = "or_nan")]
    pub miss: f64,
    #[serde(deserialize_with = "or_nan")]
    pub false_alarm: f64,
    pub guaranteed: bool,
    /// The line that it printed.
    pub line: String,
}

/// JSON has neither NaN nor infinities: they are written as null.
fn or_nan<'de, D: Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(number)?.unwrap_or(f64::NAN))
}

impl Check {
    pub fn stands(&self) -> bool {
        self.verdict == self.expected
    }

    /// Whether it is there to refute an error.
    pub fn refutes(&self) -> bool {
        self.expected == "refuted"
    }

    /// Claim and name, by which a check is known from run to run.
    pub fn id(&self) -> String {
        format!("{} {}", self.claim, self.name)
    }
}

/// The sum of the false alarms that are guaranteed.
pub fn false_alarm<'a>(checks: impl IntoIterator<Item = &'a Check>) -> f64 {
    checks.into_iter().filter(|check| check.guaranteed).map(|check| check.false_alarm).sum()
}

/// One executed cell.
#[derive(Debug, Deserialize, Serialize)]
pub struct Cell {
    /// Its number among all cells of the notebook, from 1.
    pub number: usize,
    pub seconds: f64,
    /// The kinds of output: "stdout", "stderr", "error" or a MIME type.
    pub outputs: Vec<String>,
    pub checks: Vec<Check>,
}

/// Something that makes a run fail.
#[derive(Debug, Deserialize, Serialize)]
pub struct Problem {
    /// The cell's number and first line, if it is about one.
    pub cell: Option<usize>,
    pub first_line: Option<String>,
    pub message: String,
}

impl Problem {
    /// A problem of a notebook as a whole.
    pub fn overall(message: impl Into<String>) -> Self {
        Self { cell: None, first_line: None, message: message.into() }
    }
}

/// One executed notebook.
#[derive(Debug, Deserialize, Serialize)]
pub struct Notebook {
    pub path: PathBuf,
    pub seconds: f64,
    /// The number of cells with code.
    pub code_cells: usize,
    pub cells: Vec<Cell>,
    pub problems: Vec<Problem>,
}

impl Notebook {
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.cells.iter().flat_map(|cell| &cell.checks)
    }

    /// Its checks under its name.
    pub fn checked(&self) -> Checked<'_> {
        Checked { notebook: self.name(), checks: self.checks().collect() }
    }

    /// How many checks it made, and how many of them stand.
    pub fn counts(&self) -> (usize, usize) {
        (self.checks().count(), self.checks().filter(|check| check.stands()).count())
    }

    /// The file's name without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn succeeded(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The whole run.
#[derive(Debug, Serialize)]
pub struct Run {
    pub succeeded: bool,
    pub false_alarm: f64,
    pub notebooks: Vec<Notebook>,
    pub coverage: Vec<Row>,
    /// What is wrong with the run as a whole.
    pub problems: Vec<String>,
}

impl Run {
    /// Adds up the notebooks; `interrupted` says that some were not reached, `complete` that they are all of the project's, and
    /// so have to check every claim that they should.
    pub fn new(notebooks: Vec<Notebook>, interrupted: bool, complete: bool, claims: &Claims) -> Self {
        let checks = || notebooks.iter().flat_map(Notebook::checks);
        let false_alarm = false_alarm(checks());
        let mut problems = Vec::new();
        if interrupted {
            problems.push("interrupted before the last notebook's end".to_owned());
        }
        // NaN is not within it.
        let within_budget = false_alarm <= FALSE_ALARM_BUDGET;
        if !within_budget {
            problems
                .push(format!("the checks' false alarms add up to {false_alarm:.1e}, above {FALSE_ALARM_BUDGET:.0e}"));
        }
        let checked: Vec<Checked> = notebooks.iter().map(Notebook::checked).collect();
        problems.extend(if complete && !interrupted { claims.problems(&checked) } else { claims::doubles(&checked) });
        let coverage = claims::rows(claims, &checked);
        let succeeded = problems.is_empty() && notebooks.iter().all(Notebook::succeeded);
        Self { succeeded, false_alarm, notebooks, coverage, problems }
    }

    /// The tables of notebooks and of claims and the verdict, for the terminal.
    pub fn summary(&self) -> String {
        let width = self.notebooks.iter().map(|n| n.name().chars().count()).max().unwrap_or(0).max("notebook".len());
        let mut lines = vec![format!("{:width$}  cells  checks  stand  seconds", "notebook")];
        for notebook in &self.notebooks {
            let (checks, stand) = notebook.counts();
            lines.push(format!(
                "{:width$}  {:>5}  {checks:>6}  {stand:>5}  {:>7.1}  {}",
                notebook.name(),
                format!("{}/{}", notebook.cells.len(), notebook.code_cells),
                notebook.seconds,
                if notebook.succeeded() { "" } else { "FAILED" }
            ));
        }
        let all = || self.notebooks.iter().flat_map(Notebook::checks);
        let (checks, asymptotic) = (all().count(), all().filter(|check| !check.guaranteed).count());
        lines.push(String::new());
        if !self.coverage.is_empty() {
            lines.extend([claims::table(&self.coverage), String::new()]);
        }
        lines.extend(self.problems.iter().map(|problem| format!("FAILED: {problem}")));
        let failed = self.notebooks.iter().filter(|notebook| !notebook.succeeded()).count();
        lines.push(if self.succeeded {
            let chance = match (self.false_alarm, asymptotic) {
                (0.0, 0) => "None of them is left to chance.".to_owned(),
                (sum, 0) => format!("The probability that a run refutes a right formula is at most {sum:.1e}."),
                (sum, n) => format!(
                    "The probability that a run refutes a right formula is at most {sum:.1e}, but for {n} of them, whose \
                     bounds hold only as N grows."
                ),
            };
            format!("All {checks} checks stand. {chance}")
        } else {
            format!("FAILED: {failed} of {} notebooks.", self.notebooks.len())
        });
        lines.join("\n")
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn check(name: &str, false_alarm: f64) -> Check {
        let json = serde_json::json!({
            "claim": "M1", "name": name, "method": "sub-gamma", "verdict": "consistent", "expected": "consistent",
            "estimate": 1.0, "closed_form": null, "radius_below": 0.1, "radius_above": 0.1, "samples": 10,
            "discrepancy": 0.2, "miss": 1e-3, "false_alarm": false_alarm, "guaranteed": true, "line": "",
        });
        serde_json::from_value(json).unwrap()
    }

    pub fn notebook(checks: Vec<Check>) -> Notebook {
        let cell = Cell { number: 1, seconds: 0.1, outputs: Vec::new(), checks };
        Notebook { path: "a.ipynb".into(), seconds: 0.1, code_cells: 1, cells: vec![cell], problems: Vec::new() }
    }

    fn run(checks: Vec<Check>) -> Run {
        Run::new(vec![notebook(checks)], false, true, &Claims::default())
    }

    #[test]
    fn the_budget_of_false_alarms_is_kept() {
        assert!(run(vec![check("a", 5e-7), check("b", 5e-7)]).succeeded);
        assert!(!run(vec![check("a", 5e-7), check("b", 6e-7)]).succeeded);
        let nan = Check { false_alarm: f64::NAN, ..check("a", 0.0) };
        assert!(!run(vec![nan]).succeeded);
    }

    #[test]
    fn two_checks_of_one_name_are_refused() {
        let run = run(vec![check("a", 1e-9), check("a", 1e-9)]);
        assert!(!run.succeeded && run.summary().contains("2 checks are called \"M1 a\", in a, and so share a seed"));
    }

    #[test]
    fn an_interrupted_run_has_failed() {
        assert!(!Run::new(Vec::new(), true, true, &Claims::default()).succeeded);
    }
}
