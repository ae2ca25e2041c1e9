//! The book: every notebook as a chapter, with code, outputs, pictures and formulas, and pages about all of them. It is a folder of
//! files that a browser reads without a network.

mod chapter;
mod markdown;
mod mathematics;
mod pages;

use crate::claims::{Checked, Claims};
use crate::notebook::Notebook;
use crate::project;
use anyhow::{Context, Result, bail};
use chapter::Chapter;
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;
use pages::Page;
use regex::Regex;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const CONFIGURATION: &str = include_str!("../assets/book/book.toml");
const STYLE: &str = include_str!("../assets/book/book.css");
/// Latin Modern Math, under the GUST Font License.
const FONT: &[u8] = include_bytes!("../assets/book/latinmodern-math.woff2");

/// Builds the book of these executed notebooks, and returns its first page. The book that was there before stays until the new one
/// is whole.
///
/// # Errors
/// If a formula is none, a link leads nowhere, an output is not of its notebook's last run, or a claim or an erratum has no check.
pub fn build(notebooks: &[Notebook], claims: &Claims) -> Result<PathBuf> {
    let target = project::target_dir()?;
    let folder = tempfile::Builder::new().prefix("book-").tempdir_in(&target)?;
    let root = folder.path();
    let pictures = root.join("src/pictures");
    std::fs::create_dir_all(&pictures)?;
    std::fs::write(root.join("book.css"), STYLE)?;
    std::fs::write(root.join("src/latinmodern-math.woff2"), FONT)?;

    let names: Vec<String> = notebooks.iter().map(Notebook::name).chain(pages::NAMES.map(str::to_owned)).collect();
    let chapters = notebooks.iter().map(|n| Chapter::of(n, &pictures, &names)).collect::<Result<Vec<_>>>()?;
    let checked: Vec<Checked> = chapters.iter().map(Chapter::checked).collect();
    if let problems @ [_, ..] = &claims.problems(&checked)[..] {
        bail!("{}", problems.join("\n"));
    }
    let (before, after) = pages::of(&chapters, claims, &names)?;
    write(&root.join("src/SUMMARY.md"), &summary(&chapters, claims, &before, &after))?;
    for chapter in &chapters {
        write(&root.join(format!("src/{}.md", chapter.name)), &chapter.text)?;
    }
    for Page { name, text, .. } in before.iter().chain(&after) {
        write(&root.join(format!("src/{name}.md")), text)?;
    }
    MDBook::load_with_config(root, Config::from_str(CONFIGURATION)?)?.build()?;
    check_links(&root.join("book"), &names)?;
    let book = target.join("book");
    if book.exists() {
        std::fs::rename(&book, root.join("old"))?;
    }
    std::fs::rename(root.join("book"), &book)?;
    Ok(book.join("index.html"))
}

/// Refuses a link to a place that its page does not have.
fn check_links(book: &Path, pages: &[String]) -> Result<()> {
    let (id, link) = (Regex::new(r#"\bid="([^"]+)""#)?, Regex::new(r##"\bhref="(?:([\w-]+)\.html)?#([^"]+)""##)?);
    let mut places: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut links: Vec<(&str, &str, String)> = Vec::new();
    let texts = pages.iter().map(|page| {
        let path = book.join(format!("{page}.html"));
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    });
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    for (page, text) in pages.iter().zip(&texts) {
        places.insert(page, id.captures_iter(text).map(|found| found[1].to_owned()).collect());
        for found in link.captures_iter(text) {
            links.push((page, found.get(1).map_or(page, |target| target.as_str()), found[2].to_owned()));
        }
    }
    match links.iter().find(|(_, target, place)| places.get(target).is_none_or(|places| !places.contains(place))) {
        Some((page, target, place)) => bail!("{page} has a link to {target}#{place}, and {target} has no such heading"),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} could not be written", path.display()))
}

/// The table of contents as mdBook reads it: the chapters by the parts of the lecture.
fn summary(chapters: &[Chapter], claims: &Claims, before: &[Page], after: &[Page]) -> String {
    let link = |page: &Page| format!("[{}]({}.md)\n", page.title, page.name);
    let mut lines: Vec<String> = before.iter().map(link).collect();
    let mut titles: Vec<&str> = Vec::new();
    for chapter in chapters {
        let title = chapter.checks.first().and_then(|check| claims.part_of(&check.claim)).unwrap_or(pages::BEYOND);
        if titles.last() != Some(&title) {
            let again = if titles.contains(&title) { ", again" } else { "" };
            lines.push(format!("\n# {title}{again}\n\n"));
            titles.push(title);
        }
        lines.push(format!("- [{}]({}.md)\n", chapter.title, chapter.name));
    }
    lines.push("\n---\n\n".to_owned());
    lines.extend(after.iter().map(link));
    lines.concat()
}
