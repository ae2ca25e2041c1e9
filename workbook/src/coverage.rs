//! Which claim of the lecture is checked in which notebook. A finished part leaves none of its claims without a check.

use crate::project;
use crate::report::{Check, Notebook};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The lecture's claims, as `notebooks/claims.toml` lists them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    #[serde(rename = "part")]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    title: String,
    /// Whether its notebooks are all there.
    finished: bool,
    #[serde(rename = "claim")]
    claims: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    id: String,
    /// What it says, in one sentence.
    says: String,
}

impl Claims {
    /// Reads the project's list.
    pub fn read() -> Result<Self> {
        let path = project::root().join("notebooks/claims.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as it should be", path.display()))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| &part.claims).map(|claim| claim.id.as_str())
    }

    /// The claims of finished parts that no notebook confirms: to refute what a claim is not leaves open what it is.
    pub fn without_check(&self, notebooks: &[Notebook]) -> Vec<String> {
        let confirmed = |id: &str| notebooks.iter().flat_map(Notebook::checks).any(|c| c.claim == id && !c.refutes());
        let missing = |part: &Part| {
            let claims = part.claims.iter().filter(|claim| !confirmed(&claim.id));
            claims
                .map(|claim| format!("{}: claim {} has no check: {}", part.title, claim.id, claim.says))
                .collect::<Vec<_>>()
        };
        self.parts.iter().filter(|part| part.finished).flat_map(missing).collect()
    }
}

/// One claim in one notebook.
#[derive(Debug, Serialize)]
pub struct Row {
    pub claim: String,
    pub notebook: String,
    pub checks: usize,
    /// How many of them refute an error.
    pub refuting: usize,
    /// The sum of the false alarms.
    pub false_alarm: f64,
    /// The smallest and the largest number of samples of those that draw any.
    pub samples: Option<(u64, u64)>,
}

impl Row {
    fn of(claim: &str, notebook: &Notebook) -> Option<Self> {
        let checks: Vec<&Check> = notebook.checks().filter(|check| check.claim == claim).collect();
        let samples = || checks.iter().map(|check| check.samples).filter(|&samples| samples > 0);
        Some(Self {
            claim: claim.into(),
            notebook: notebook.name(),
            checks: checks.len(),
            refuting: checks.iter().filter(|check| check.refutes()).count(),
            false_alarm: checks.iter().filter(|check| check.guaranteed).map(|check| check.false_alarm).sum(),
            samples: samples().min().zip(samples().max()),
        })
        .filter(|row| row.checks > 0)
    }
}

/// A row for each claim in each notebook that checks it: in the order of the lecture, then what is no claim of it.
pub fn rows(claims: &Claims, notebooks: &[Notebook]) -> Vec<Row> {
    let known: Vec<&str> = claims.ids().collect();
    let checked: BTreeSet<&str> = notebooks.iter().flat_map(Notebook::checks).map(|c| c.claim.as_str()).collect();
    let others = checked.into_iter().filter(|id| !known.contains(id));
    let ids: Vec<&str> = known.iter().copied().chain(others).collect();
    ids.iter().flat_map(|id| notebooks.iter().filter_map(|notebook| Row::of(id, notebook))).collect()
}

/// The rows as a table for the terminal.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.notebook.chars().count()).max().unwrap_or(0).max("notebook".len());
    let mut lines = vec![format!("claim  {:width$}  checks  errors refuted  false alarm  samples", "notebook")];
    lines.extend(rows.iter().map(|row| {
        let samples = match row.samples {
            None => "none".to_owned(),
            Some((least, most)) if least == most => grouped(most),
            Some((least, most)) => format!("{} to {}", grouped(least), grouped(most)),
        };
        let refuting = if row.refuting > 0 { row.refuting.to_string() } else { String::new() };
        let alarm = if row.false_alarm == 0.0 { "0".to_owned() } else { format!("{:.0e}", row.false_alarm) };
        let Row { claim, notebook, checks, .. } = row;
        format!("{claim:<5}  {notebook:width$}  {checks:>6}  {refuting:>14}  {alarm:>11}  {samples}")
    }));
    lines.join("\n")
}

/// 1234567 as 1 234 567.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{check, notebook};

    const CLAIMS: &str = r#"
        [[part]]
        title = "First"
        finished = true
        claim = [{ id = "R2", says = "two" }, { id = "R10", says = "ten" }]
        [[part]]
        title = "Second"
        finished = false
        claim = [{ id = "M1", says = "one" }]
    "#;

    fn of(claim: &str, name: &str) -> Check {
        Check { claim: claim.into(), ..check(name, 1e-9) }
    }

    #[test]
    fn the_claims_of_a_finished_part_need_a_check_that_confirms_them() {
        let claims: Claims = toml::from_str(CLAIMS).unwrap();
        let refuting = Check { verdict: "refuted".into(), expected: "refuted".into(), ..of("R10", "c") };
        let missing = |checks| claims.without_check(&[notebook(checks)]);
        assert_eq!(missing(vec![of("R2", "a"), of("R10", "b")]), [""; 0]);
        assert_eq!(missing(vec![of("R2", "a"), refuting]), ["First: claim R10 has no check: ten"]);
        assert_eq!(missing(vec![]).len(), 2);
    }

    #[test]
    fn rows_follow_the_lecture() {
        let claims: Claims = toml::from_str(CLAIMS).unwrap();
        let exact = Check { samples: 0, false_alarm: 0.0, ..of("R2", "d") };
        let rows = rows(&claims, &[notebook(vec![of("X", "a"), of("R10", "b"), of("R2", "c"), exact])]);
        let table = table(&rows);
        let first: Vec<&str> = table.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(first, ["claim", "R2", "R10", "X"]);
        assert_eq!((rows[0].checks, rows[0].samples), (2, Some((10, 10))));
        assert!((rows[0].false_alarm - 1e-9).abs() < 1e-24);
    }

    #[test]
    fn the_projects_list_can_be_read() {
        let claims = Claims::read().unwrap();
        let ids: BTreeSet<&str> = claims.ids().collect();
        assert_eq!(ids.len(), claims.ids().count(), "an id stands for one claim");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1 234 567"]);
    }
}
