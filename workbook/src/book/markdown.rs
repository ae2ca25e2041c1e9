//! Markdown of notebooks and pages, as the book has it.

use super::mathematics::mathml;
use anyhow::{Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag};
use pulldown_latex::config::DisplayMode;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Where a line must not break.
const JOINER: &str = "\u{2060}";

/// Text with its formulas as MathML and its links to the book's `pages`.
///
/// # Errors
/// If a formula is none, a dollar begins none, or a link leads nowhere.
pub fn of_book(markdown: &str, pages: &[String]) -> Result<String> {
    let mut replacements: Vec<(Range<usize>, String)> = Vec::new();
    let mut code = 0;
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_MATH | Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::InlineMath(latex) => {
                let formula = mathml(&latex, DisplayMode::Inline)?;
                let (before, after) =
                    (markdown[..range.start].chars().next_back(), markdown[range.end..].chars().next());
                // No line ends between a formula and the sign that belongs to it.
                let opened = if before.is_some_and(|c| "([“‖".contains(c)) { JOINER } else { "" };
                let closed = if after.is_some_and(|c| ".,;:!?)]”-–".contains(c)) { JOINER } else { "" };
                replacements.push((range, [opened, &formula, closed].concat()));
            }
            Event::DisplayMath(latex) => replacements.push((range, mathml(&latex, DisplayMode::Block)?)),
            Event::Start(Tag::Link { dest_url, .. }) => {
                let Some(place) = markdown[range.clone()].rfind(&format!("]({dest_url}")) else { continue };
                let start = range.start + place + "](".len();
                replacements.push((start..start + dest_url.len(), page(&dest_url, pages)?));
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                bail!("the book has no picture {dest_url:?}; let a cell draw it")
            }
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => code -= 1,
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) if code == 0 && text.contains('$') => {
                let line = markdown[..range.start].rfind('\n').map_or(0, |end| end + 1);
                let line = markdown[line..].lines().next().unwrap_or_default();
                bail!(
                    "a dollar sign begins no formula in {line:?}; close the formula and its braces, or write \\$ for a dollar"
                )
            }
            _ => {}
        }
    }
    // From the end, so that the places before stay where they are.
    replacements.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = markdown.to_owned();
    for (range, replacement) in replacements {
        text.replace_range(range, &replacement);
    }
    Ok(text)
}

/// Where in the book a link from a notebook or a page leads.
fn page(link: &str, pages: &[String]) -> Result<String> {
    if ["https://", "http://", "mailto:", "#"].iter().any(|outside| link.starts_with(outside)) {
        return Ok(link.to_owned());
    }
    let (file, fragment) =
        link.split_once('#').map_or((link, String::new()), |(file, place)| (file, format!("#{place}")));
    let page = match file {
        "README.md" => "index",
        "claims.toml" => "claims",
        "../data/README.md" => "data",
        file => file.trim_end_matches(".ipynb").trim_end_matches(".md"),
    };
    if !pages.iter().any(|known| known == page) {
        bail!("the link {link:?} leads to nothing in the book; it has {}", pages.join(", "));
    }
    Ok(format!("{page}.md{fragment}"))
}

/// Text that is to be read as it stands, in Markdown and in HTML. No line ends within a number such as 1e-9.
pub fn literal(text: &str) -> String {
    static EXPONENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\de-)(\d)").expect("a regular expression"));
    let text = EXPONENT.replace_all(text, format!("${{1}}{JOINER}${{2}}"));
    let sign = |c: char| match c {
        '\n' => "&#10;".to_owned(),
        c if c.is_ascii_punctuation() => format!("&#{};", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_and_links_are_replaced_and_code_is_not() {
        let pages = ["index".to_owned(), "02-b".to_owned()];
        let text = "# A $x$\n\n[b](02-b.ipynb#c), [top](README.md), [out](https://example.org)\n\n`$HOME`\n\n```sh\n$x$\n```\n\n| $a$ |\n|---|\n| $$b$$ |";
        let book = of_book(text, &pages).unwrap();
        assert_eq!(book.matches("<math").count(), 3);
        assert!(book.contains("[b](02-b.md#c), [top](index.md), [out](https://example.org)"), "{book}");
        assert!(book.contains("`$HOME`") && book.contains("```sh\n$x$\n```"));
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        for (wrong, message) in [
            ("[a](03-c.ipynb)", "leads to nothing in the book"),
            ("it costs 3$ or so", "a dollar sign"),
            ("<summary>$x$</summary>", "a dollar sign"),
            ("[a](htps://example.org)", "leads to nothing in the book"),
            ("![a](b.png)", "no picture"),
            (r"$\frac{1$", "a dollar sign"),
            (r"$\nosuchcommand x$", "is no LaTeX"),
        ] {
            let error = of_book(wrong, &[]).unwrap_err().to_string();
            assert!(error.contains(message), "{wrong}: {error}");
        }
    }

    #[test]
    fn literal_text_says_what_it_said() {
        let text = "a|b *c* <d> `e`\n[f](g) $h$ & \\";
        let escaped = literal(text);
        let pieces = Parser::new(&escaped)
            .filter_map(|event| if let Event::Text(piece) = event { Some(piece.into_string()) } else { None });
        let html: String = pieces.collect();
        assert_eq!(html, text);
    }
}
