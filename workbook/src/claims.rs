//! The claims of the lecture and its errata, and which of the notebooks' checks hold them.

use crate::project;
use crate::report::{Check, false_alarm};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The lecture's claims and errata, as `notebooks/claims.toml` lists them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    #[serde(rename = "part")]
    pub parts: Vec<Part>,
    #[serde(rename = "erratum", default)]
    pub errata: Vec<Erratum>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub title: String,
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub id: String,
    /// What it says, in one sentence.
    pub says: String,
}

/// A place where the lecture is wrong or can mislead. Texts are Markdown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erratum {
    pub claim: String,
    pub kind: Kind,
    /// A few words for the heading.
    pub about: String,
    /// What the lecture states.
    pub lecture: String,
    /// The names of the checks that refute it.
    pub refuted_by: Vec<String>,
    /// What is right.
    pub right: String,
    /// The names of the checks that confirm that.
    pub confirmed_by: Vec<String>,
    /// Where that is from.
    pub source: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The lecture is wrong.
    Correction,
    /// It can mislead.
    Caution,
}

/// The checks of one notebook.
pub struct Checked<'a> {
    pub notebook: String,
    pub checks: Vec<&'a Check>,
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

    /// The title of the part to which a claim belongs.
    pub fn part_of(&self, id: &str) -> Option<&str> {
        self.parts.iter().find(|part| part.claims.iter().any(|claim| claim.id == id)).map(|part| part.title.as_str())
    }

    /// The ids that notebooks check and that are no claims of the lecture.
    pub fn others<'a>(&self, notebooks: &[Checked<'a>]) -> BTreeSet<&'a str> {
        let known: Vec<&str> = self.ids().collect();
        all(notebooks).map(|check| check.claim.as_str()).filter(|id| !known.contains(id)).collect()
    }

    /// What is wrong with all notebooks together: names that are taken twice, claims without a check, errata without theirs.
    pub fn problems(&self, notebooks: &[Checked]) -> Vec<String> {
        [doubles(notebooks), self.without_check(notebooks), self.errata_without_check(notebooks)].concat()
    }

    /// The claims that no notebook confirms: to refute what a claim is not leaves open what it is.
    fn without_check(&self, notebooks: &[Checked]) -> Vec<String> {
        let confirmed = |id: &str| all(notebooks).any(|check| check.claim == id && !check.refutes());
        let missing = |part: &Part| {
            let claims = part.claims.iter().filter(|claim| !confirmed(&claim.id));
            claims
                .map(|claim| format!("{}: claim {} has no check: {}", part.title, claim.id, claim.says))
                .collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(missing).collect()
    }

    /// The checks that an erratum names and no notebook makes, or that expect the opposite.
    fn errata_without_check(&self, notebooks: &[Checked]) -> Vec<String> {
        let missing = |erratum: &Erratum, names: &[String], refutes: bool| {
            let made = |name: &str| {
                all(notebooks).any(|c| c.claim == erratum.claim && c.name == name && c.refutes() == refutes)
            };
            let verb = if refutes { "refutes" } else { "confirms" };
            let problem = |name: &String| format!("no check {:?} {verb} what an erratum says", erratum.id_of(name));
            names.iter().filter(|name| !made(name)).map(problem).collect::<Vec<_>>()
        };
        let of_one = |e: &Erratum| [missing(e, &e.refuted_by, true), missing(e, &e.confirmed_by, false)].concat();
        self.errata.iter().flat_map(of_one).collect()
    }
}

impl Erratum {
    /// The id of its check of this name.
    pub fn id_of(&self, name: &str) -> String {
        format!("{} {name}", self.claim)
    }
}

fn all<'a>(notebooks: &[Checked<'a>]) -> impl Iterator<Item = &'a Check> {
    notebooks.iter().flat_map(|notebook| notebook.checks.iter().copied())
}

/// What is wrong with the names of checks: each has its seed from its name, so no two may share one.
pub fn doubles(notebooks: &[Checked]) -> Vec<String> {
    let mut made_in: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for notebook in notebooks {
        for check in &notebook.checks {
            made_in.entry(check.id()).or_default().push(&notebook.notebook);
        }
    }
    let twice = made_in.into_iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|(id, mut places)| {
            let count = places.len();
            places.dedup();
            format!(
                "{count} checks are called {id:?}, in {}, and so share a seed; rename all but one",
                places.join(" and ")
            )
        })
        .collect()
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
    fn of(claim: &str, notebook: &Checked) -> Option<Self> {
        let checks: Vec<&Check> = notebook.checks.iter().copied().filter(|check| check.claim == claim).collect();
        let samples = || checks.iter().map(|check| check.samples).filter(|&samples| samples > 0);
        Some(Self {
            claim: claim.into(),
            notebook: notebook.notebook.clone(),
            checks: checks.len(),
            refuting: checks.iter().filter(|check| check.refutes()).count(),
            false_alarm: false_alarm(checks.iter().copied()),
            samples: samples().min().zip(samples().max()),
        })
        .filter(|row| row.checks > 0)
    }

    /// How many errors it refutes, and nothing for none.
    pub fn refuting(&self) -> String {
        if self.refuting > 0 { self.refuting.to_string() } else { String::new() }
    }

    /// "1 000", "1 000 to 2 000" or "none".
    pub fn samples(&self) -> String {
        match self.samples {
            None => "none".to_owned(),
            Some((least, most)) if least == most => grouped(most),
            Some((least, most)) => format!("{} to {}", grouped(least), grouped(most)),
        }
    }
}

/// A row for each claim in each notebook that checks it: in the order of the lecture, then what is no claim of it.
pub fn rows(claims: &Claims, notebooks: &[Checked]) -> Vec<Row> {
    let ids = claims.ids().chain(claims.others(notebooks));
    ids.flat_map(|id| notebooks.iter().filter_map(|notebook| Row::of(id, notebook))).collect()
}

/// The rows as a table for the terminal.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.notebook.chars().count()).max().unwrap_or(0).max("notebook".len());
    let mut lines = vec![format!("claim  {:width$}  checks  errors refuted  false alarm  samples", "notebook")];
    lines.extend(rows.iter().map(|row| {
        let (refuting, alarm, samples) = (row.refuting(), probability(row.false_alarm), row.samples());
        let Row { claim, notebook, checks, .. } = row;
        format!("{claim:<5}  {notebook:width$}  {checks:>6}  {refuting:>14}  {alarm:>11}  {samples}")
    }));
    lines.join("\n")
}

/// A probability to one digit.
pub fn probability(p: f64) -> String {
    if p == 0.0 { "0".to_owned() } else { format!("{p:.0e}") }
}

/// 1234567 as 1 234 567.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::check;

    const CLAIMS: &str = r#"
        [[part]]
        title = "First"
        claim = [{ id = "R2", says = "two" }, { id = "R10", says = "ten" }]
    "#;

    fn of(claim: &str, name: &str) -> Check {
        Check { claim: claim.into(), ..check(name, 1e-9) }
    }

    fn checked(checks: &[Check]) -> Checked<'_> {
        Checked { notebook: "a".into(), checks: checks.iter().collect() }
    }

    #[test]
    fn a_claim_needs_a_check_that_confirms_it() {
        let claims: Claims = toml::from_str(CLAIMS).unwrap();
        let refuting = Check { verdict: "refuted".into(), expected: "refuted".into(), ..of("R10", "c") };
        assert_eq!(claims.problems(&[checked(&[of("R2", "a"), of("R10", "b")])]), [""; 0]);
        assert_eq!(claims.problems(&[checked(&[of("R2", "a"), refuting])]), ["First: claim R10 has no check: ten"]);
        assert_eq!(claims.problems(&[]).len(), 2);
    }

    #[test]
    fn an_erratum_needs_its_checks() {
        let text = r#"
            [[part]]
            title = "First"
            claim = []
            [[erratum]]
            claim = "R2"
            kind = "caution"
            about = "sums"
            lecture = "two is three"
            refuted_by = ["wrong"]
            right = "two is two"
            confirmed_by = ["right"]
            source = "arithmetic"
        "#;
        let claims: Claims = toml::from_str(text).unwrap();
        let refuted = |check| Check { verdict: "refuted".into(), expected: "refuted".into(), ..check };
        let (wrong, right) = (refuted(of("R2", "wrong")), of("R2", "right"));
        assert_eq!(claims.problems(&[checked(&[wrong.clone(), right])]), [""; 0]);
        let missing = claims.problems(&[checked(&[wrong, refuted(of("R2", "right"))])]);
        assert_eq!(missing, ["no check \"R2 right\" confirms what an erratum says"]);
    }

    #[test]
    fn rows_follow_the_lecture() {
        let claims: Claims = toml::from_str(CLAIMS).unwrap();
        let exact = Check { samples: 0, false_alarm: 0.0, ..of("R2", "d") };
        let rows = rows(&claims, &[checked(&[of("X", "a"), of("R10", "b"), of("R2", "c"), exact])]);
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
