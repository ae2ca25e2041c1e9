//! The pages about all notebooks.

use super::chapter::Chapter;
use super::markdown::{self, literal};
use crate::claims::{self, Claims, Erratum, Kind, grouped, probability};
use crate::project;
use crate::report::{Check, false_alarm};
use anyhow::{Context, Result, bail};
use pulldown_cmark::{Event, Options, Parser};
use regex::Regex;
use std::collections::HashSet;

/// A page of the book that is no chapter.
pub struct Page {
    /// The file's name without its ending.
    pub name: &'static str,
    pub title: &'static str,
    /// Markdown, with formulas as MathML.
    pub text: String,
}

/// The part of notebooks and claims that are not the lecture's.
pub const BEYOND: &str = "Beyond the lecture";

/// The names of all pages.
pub const NAMES: [&str; 6] = ["index", "checks", "notation", "claims", "errata", "data"];

/// The pages before the chapters and those after them.
pub fn of(chapters: &[Chapter], claims: &Claims, names: &[String]) -> Result<(Vec<Page>, Vec<Page>)> {
    let book = Pages { chapters, claims, names };
    let page = |name, title, text: Result<String>| {
        text.map(|text| Page { name, title, text }).with_context(|| format!("the page {title:?}"))
    };
    Ok((
        vec![
            page("index", "Contents", book.contents())?,
            page("checks", "How a check is read", book.file("notebooks/checks.md"))?,
            page("notation", "Notation", book.notation())?,
        ],
        vec![
            page("claims", "Claims and checks", Ok(book.coverage()))?,
            page("errata", "Errata of the lecture", book.errata())?,
            page("data", "Data", book.data())?,
        ],
    ))
}

struct Pages<'a> {
    chapters: &'a [Chapter],
    claims: &'a Claims,
    names: &'a [String],
}

impl<'a> Pages<'a> {
    /// Every check with its chapter and its place in it.
    fn checks(&self) -> impl Iterator<Item = (&'a Chapter, usize, &'a Check)> {
        self.chapters.iter().flat_map(|chapter| chapter.checks.iter().enumerate().map(move |(i, c)| (chapter, i, c)))
    }

    /// A file of the project as a page.
    fn file(&self, path: &str) -> Result<String> {
        let text =
            std::fs::read_to_string(project::root().join(path)).with_context(|| format!("{path} cannot be read"))?;
        markdown::of_book(&text, self.names).with_context(|| path.to_owned())
    }

    fn contents(&self) -> Result<String> {
        let refuting = self.checks().filter(|(.., check)| check.refutes()).count();
        let (checks, chapters) = (self.checks().count(), self.chapters.len());
        let false_alarm = false_alarm(self.checks().map(|(.., check)| check));
        Ok(format!(
            "{}\n\n## What this edition rests on\n\nThe {chapters} notebooks make {checks} [checks](claims.md), and all of them \
             stand; {refuting} of them refute an error, of the lecture or of a careless reader. The probability that a run refutes a \
             right formula is at most {false_alarm:.1e}.\n",
            self.file("notebooks/README.md")?
        ))
    }

    /// The table of lecture, notation and code. What it calls is called in a notebook.
    fn notation(&self) -> Result<String> {
        let text = self.file("notebooks/notation.md")?;
        let word = Regex::new(r"\w+")?;
        let used: HashSet<&str> =
            self.chapters.iter().flat_map(|c| word.find_iter(&c.code)).map(|m| m.as_str()).collect();
        let called = Regex::new(r"\b(\w+)(?:\(|::| \{)|\b([A-Z]\w+)")?;
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            let Event::Code(code) = event else { continue };
            let names = called.captures_iter(&code).filter_map(|found| found.get(1).or(found.get(2)));
            if let Some(unused) = names.map(|name| name.as_str()).find(|name| !used.contains(name)) {
                bail!("no notebook uses {unused}, of {code:?}");
            }
        }
        Ok(text)
    }

    fn coverage(&self) -> String {
        let checked: Vec<_> = self.chapters.iter().map(Chapter::checked).collect();
        let mut text = "# Claims and checks\n\nEach claim of the lecture, the notebooks that check it, and every check with its verdict. \
                        [How a check is read](checks.md).\n\n\
                        | claim | notebook | checks | errors refuted | false alarm | samples |\n|---|---|--:|--:|--:|---|\n"
            .to_owned();
        for row in claims::rows(self.claims, &checked) {
            let (refuting, alarm, samples) = (row.refuting(), probability(row.false_alarm), unbroken(&row.samples()));
            let claims::Row { claim, notebook, checks, .. } = row;
            let place = place_of_claim(&claim);
            text += &format!(
                "| [{}]({place}) | [{notebook}]({notebook}.md) | {checks} | {refuting} | {alarm} | {samples} |\n",
                literal(&claim)
            );
        }
        for part in &self.claims.parts {
            text += &format!("\n## {}\n", part.title);
            for claim in &part.claims {
                let (says, errata) = (literal(&claim.says), self.errata_of(&claim.id));
                text += &format!("\n### {}\n\n{says}{errata}\n\n{}", claim.id, self.table_of(&claim.id));
            }
        }
        let others = self.claims.others(&checked);
        if !others.is_empty() {
            text += &format!("\n## {BEYOND}\n");
            for id in others {
                text += &format!("\n### {}\n\n{}", literal(id), self.table_of(id));
            }
        }
        text
    }

    /// Links to the errata of a claim, as a sentence.
    fn errata_of(&self, claim: &str) -> String {
        let errata = self.claims.errata.iter().enumerate().filter(|(_, erratum)| erratum.claim == claim);
        let links: Vec<String> =
            errata.map(|(i, e)| format!("[{}](errata.md#erratum-{})", literal(&e.about), i + 1)).collect();
        if links.is_empty() { String::new() } else { format!(" **Errata:** {}.", links.join(", ")) }
    }

    /// The checks of a claim.
    fn table_of(&self, claim: &str) -> String {
        let mut text = "| check | notebook | verdict | false alarm, bound | N |\n|---|---|---|--:|--:|\n".to_owned();
        for (chapter, place, check) in self.checks().filter(|(.., check)| check.claim == claim) {
            let verdict = if check.refutes() { "refuted, as expected" } else { check.verdict.as_str() };
            let (bound, samples) = match check.samples {
                0 => ("exact".to_owned(), String::new()),
                n => (format!("{}, {}", probability(check.false_alarm), check.method), unbroken(&grouped(n))),
            };
            let (name, link) = (literal(&check.name), chapter.place_of(place));
            let notebook = &chapter.name[..2.min(chapter.name.len())];
            text += &format!(
                "| [{name}]({link}) | {} | {verdict} | {} | {samples} |\n",
                literal(notebook),
                literal(&bound)
            );
        }
        text
    }

    fn errata(&self) -> Result<String> {
        let mut text = "# Errata of the lecture\n\nWhat the lecture states, the checks that refute it, and what is right instead. A *correction* \
                        concerns a statement that is wrong, a *caution* one that can mislead.\n"
            .to_owned();
        for (kind, title) in [(Kind::Correction, "Corrections"), (Kind::Caution, "Cautions")] {
            text += &format!("\n## {title}\n");
            for (i, erratum) in self.claims.errata.iter().enumerate().filter(|(_, erratum)| erratum.kind == kind) {
                let Erratum { claim, about, lecture, right, source, .. } = erratum;
                let (refuted, confirmed) =
                    (self.list(erratum, &erratum.refuted_by), self.list(erratum, &erratum.confirmed_by));
                text += &format!(
                    "\n### {about} {{#erratum-{}}}\n\n**The lecture** ([{claim}]({})). {lecture}\n\n{refuted}\n\
                     **Right.** {right}\n\n{confirmed}\n**Source.** {source}.\n",
                    i + 1,
                    place_of_claim(claim),
                );
            }
        }
        markdown::of_book(&text, self.names)
    }

    /// The checks of an erratum, as they were printed.
    fn list(&self, erratum: &Erratum, names: &[String]) -> String {
        let line = |(chapter, place, check): (&Chapter, usize, &Check)| {
            format!("- [{}]({})\n", literal(&check.line), chapter.place_of(place))
        };
        let named =
            |name: &String| self.checks().filter(|(.., c)| c.id() == erratum.id_of(name)).map(line).collect::<String>();
        names.iter().map(named).collect()
    }

    /// The description of the data, and the notebooks that read them.
    fn data(&self) -> Result<String> {
        let mut text = self.file("data/README.md")?;
        text += "\n\n## Where they are read\n\n| file | notebooks |\n|---|---|\n";
        let folder = project::root().join("data");
        let mut files = std::fs::read_dir(&folder)?.map(|f| Ok(f?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending != "md")) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let reads =
                |c: &&Chapter| c.code.contains(&format!("data::{stem}(")) || c.code.contains(&format!("\"{name}\""));
            let link = |c: &Chapter| format!("[{}]({}.md)", c.name, c.name);
            let readers: Vec<String> = self.chapters.iter().filter(reads).map(link).collect();
            text += &format!("| `{name}` | {} |\n", readers.join(", "));
        }
        Ok(text)
    }
}

/// Where in the book a claim is.
pub fn place_of_claim(id: &str) -> String {
    format!("claims.md#{}", id.to_lowercase())
}

/// Text that no line breaks.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}
