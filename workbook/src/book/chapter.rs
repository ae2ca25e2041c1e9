//! A notebook as a chapter: its text, its code, and what came of it.

use super::markdown::{self, literal};
use super::mathematics;
use super::pages::place_of_claim;
use crate::claims::Checked;
use crate::notebook::{Content, Notebook};
use crate::report::Check;
use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use pulldown_latex::config::DisplayMode;
use serde_json::Value;
use std::path::Path;

/// A chapter of the book.
pub struct Chapter {
    /// The notebook's name.
    pub name: String,
    pub title: String,
    /// Markdown, with formulas as MathML.
    pub text: String,
    /// In the order of the page.
    pub checks: Vec<Check>,
    /// What all of its cells say.
    pub code: String,
}

impl Chapter {
    /// Reads an executed notebook and writes its pictures into the folder `pictures`; `pages` are the book's.
    ///
    /// # Errors
    /// If a formula is none, a link leads nowhere, or an output is not of the notebook's last run.
    pub fn of(notebook: &Notebook, pictures: &Path, pages: &[String]) -> Result<Self> {
        let (name, title) = (notebook.name(), notebook.title());
        let remedy = format!("`cargo run -- run --in-place {name}` executes it and saves what comes of it");
        ensure!(notebook.is_as_executed(), "{name} was changed after its last run, or has had none; {remedy}");
        let mut chapter = Self { name, title, text: String::new(), checks: Vec::new(), code: String::new() };
        for (index, content) in notebook.contents().enumerate() {
            let picture = pictures.join(format!("{}-{}.png", chapter.name, index + 1));
            let text = match &content {
                Content::Text(text) => markdown::of_book(text, pages),
                Content::Code { source, .. } if source.trim().is_empty() => continue,
                Content::Code { source, solution, executed, outputs, checks } => {
                    let shown = Outputs { checks, first: chapter.checks.len(), picture: &picture }.show(outputs);
                    chapter.checks.extend_from_slice(checks);
                    chapter.code.extend([source, "\n"]);
                    let of_one_run = if *executed { shown } else { Err(anyhow!("it has not been executed")) };
                    let cell = of_one_run.map(|outputs| code_block(source) + &outputs);
                    cell.map(|cell| if *solution { folded(&cell) } else { cell })
                        .map_err(|error| anyhow!("{error}; {remedy}"))
                }
            };
            chapter.text += &text.with_context(|| format!("{}, cell {}", chapter.name, index + 1))?;
            chapter.text += "\n\n";
        }
        Ok(chapter)
    }

    /// Its checks under its name.
    pub fn checked(&self) -> Checked<'_> {
        Checked { notebook: self.name.clone(), checks: self.checks.iter().collect() }
    }

    /// Where in the book its check of this place is.
    pub fn place_of(&self, check: usize) -> String {
        format!("{}.md#check-{}", self.name, check + 1)
    }
}

/// Longer than any fence in the code.
fn code_block(source: &str) -> String {
    format!("`````rust\n{}\n`````\n", source.trim_end())
}

/// A cell that nobody sees before having tried.
fn folded(cell: &str) -> String {
    format!("<details><summary>Solution: the code</summary>\n\n{cell}\n\n</details>\n")
}

/// The outputs of a cell.
struct Outputs<'a> {
    checks: &'a [Check],
    /// How many checks come before them in the chapter.
    first: usize,
    /// Where its picture goes.
    picture: &'a Path,
}

impl Outputs<'_> {
    fn show(&self, outputs: &[Value]) -> Result<String> {
        let (mut shown, mut checks) = (String::new(), 0);
        for output in outputs {
            shown.push('\n');
            match output["output_type"].as_str() {
                Some("stream") => shown += &self.stream(&text(&output["text"])?, &mut checks),
                Some("execute_result" | "display_data") => shown += &self.display(output)?,
                // A cell that is meant to fail.
                _ => shown += &pre(&text(&output["evalue"])?),
            }
        }
        ensure!(checks == self.checks.len(), "it prints other checks than those of its last run");
        Ok(shown)
    }

    /// Lines of text, and checks among them.
    fn stream(&self, text: &str, checks: &mut usize) -> String {
        let (mut shown, mut plain) = (String::new(), String::new());
        for line in text.lines() {
            match self.checks.get(*checks).filter(|check| check.line == line) {
                Some(check) => {
                    shown += &pre(&std::mem::take(&mut plain));
                    *checks += 1;
                    shown += &check_line(check, self.first + *checks);
                }
                None => plain.extend([line, "\n"]),
            }
        }
        shown + &pre(&plain)
    }

    /// The richest form that a page can show.
    fn display(&self, output: &Value) -> Result<String> {
        let data = &output["data"];
        if let Some(png) = data.get("image/png") {
            let png = base64::engine::general_purpose::STANDARD.decode(text(png)?.trim())?;
            std::fs::write(self.picture, png)?;
            let file = self.picture.file_name().unwrap_or_default().to_string_lossy();
            let size = |side: &str| output["metadata"]["image/png"][side].as_u64().map(|n| format!(" {side}=\"{n}\""));
            let size = ["width", "height"].into_iter().filter_map(size).collect::<String>();
            let words = literal(&text(&data["text/plain"]).unwrap_or_default());
            let image = format!("<img class=\"figure\" src=\"pictures/{file}\" alt=\"{words}\"{size}>");
            // On a phone one wants to see it by itself.
            Ok(format!("<p><a href=\"pictures/{file}\">{image}</a></p>\n"))
        } else if let Some(latex) = data.get("text/latex") {
            let latex = text(latex)?;
            let formula = latex.trim().trim_matches('$').trim();
            mathematics::mathml(formula, DisplayMode::Block).map(|mathml| format!("<p>{mathml}</p>\n"))
        } else if let Some(html) = data.get("text/html") {
            // An empty line would end the block.
            let html = text(html)?;
            let lines: Vec<&str> = html.lines().filter(|line| !line.trim().is_empty()).collect();
            Ok(format!("<div class=\"table\">\n{}\n</div>\n", lines.join("\n")))
        } else if let Some(plain) = data.get("text/plain") {
            Ok(pre(&text(plain)?))
        } else {
            bail!("it displays nothing that a page can show")
        }
    }
}

/// A check's line, with an address: its claim leads to the page of claims, the rest to how it is read.
fn check_line(check: &Check, number: usize) -> String {
    let class = if check.stands() { "check" } else { "check fails" };
    let (sign, rest) = check.line.split_once(&check.claim).unwrap_or(("", &check.line));
    let [sign, claim, rest] = [sign, &check.claim, rest].map(literal);
    let place = place_of_claim(&check.claim);
    format!(
        "<p class=\"{class}\" id=\"check-{number}\">{sign}<a class=\"claim\" href=\"{place}\">{claim}</a>\
         <a href=\"checks.md\">{rest}</a></p>\n"
    )
}

/// Text as it was printed; nothing for nothing.
fn pre(text: &str) -> String {
    match text.trim_end() {
        "" => String::new(),
        text => format!("<pre class=\"output\">{}</pre>\n", literal(text)),
    }
}

/// JSON has long text in pieces.
fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(pieces) => pieces.iter().map(text).collect(),
        _ => bail!("an output has no text"),
    }
}
