//! Formulas, from LaTeX to MathML.

use anyhow::{Context, Result, ensure};
use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// A formula as MathML that stands unchanged in Markdown.
///
/// # Errors
/// If LaTeX would not take it, with the place of the error.
pub fn mathml(latex: &str, display_mode: DisplayMode) -> Result<String> {
    let what = || format!("the formula {latex:?} is no LaTeX");
    let storage = Storage::new();
    // The renderer would write an error into the page and go on.
    let events = Parser::new(latex, &storage).collect::<Result<Vec<_>, _>>().with_context(what)?;
    let mut mathml = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    push_mathml(&mut mathml, events.into_iter().map(Ok::<_, std::fmt::Error>), config).with_context(what)?;
    // What it does not know it writes down as it is, and the star it misreads.
    ensure!(!mathml.contains(['\\', '$']) && !latex.contains(r"\operatorname*"), what());
    Ok(shielded(&as_tex_sets(&mathml)))
}

/// What the renderer does otherwise than TeX, put right.
fn as_tex_sets(mathml: &str) -> String {
    // A space before a function is not a part of the function to which an index or an exponent belongs.
    static SPACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"((?:<m(?:sub|sup|subsup|under|over|underover)>)+)(<mspace [^>]*>)"#)
            .expect("a regular expression")
    });
    let spaced = SPACE.replace_all(mathml, "$2$1");
    spaced
        // Delimiters and the slash have no space around them, and a delimiter that nobody enlarged has its own size.
        .replace("<mo>/</mo>", r#"<mo lspace="0" rspace="0">/</mo>"#)
        .replace(r#"<mo symmetric="true" stretchy="true">"#, r#"<mo symmetric="true" stretchy="false">"#)
        .replace("<mo symmetric=", r#"<mo lspace="0" rspace="0" symmetric="#)
        .replace(r#"<mo stretchy="true">"#, r#"<mo lspace="0" rspace="0" stretchy="true">"#)
        .replace(r#""minsize"#, r#"" minsize"#)
        .replace("<mo>:</mo><mo>=</mo>", "<mo>≔</mo>")
        .replace("<mo>=</mo><mo>:</mo>", "<mo>≕</mo>")
        // The micro sign has no italic form.
        .replace('\u{b5}', "\u{3bc}")
}

/// Writes what Markdown could take for a sign of its own as a character reference; tags and references stay.
fn shielded(mathml: &str) -> String {
    static PARTS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<[^>]*>|&#?\w+;|[[:punct:]]").expect("a regular expression"));
    let shield = |part: &Captures| match &part[0] {
        sign if sign.len() == 1 => format!("&#{};", sign.as_bytes()[0]),
        other => other.to_owned(),
    };
    PARTS.replace_all(mathml, shield).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_survives_markdown() {
        let mathml = mathml(r"a * b_1 | c_2 < d", DisplayMode::Inline).unwrap();
        assert!(mathml.starts_with("<math") && mathml.ends_with("</math>"), "{mathml}");
        let text = Regex::new("<[^>]*>").unwrap().replace_all(&mathml, "").into_owned();
        assert!(!text.contains(['*', '_', '|', '<', '\n']), "{text}");
    }

    #[test]
    fn an_exponent_has_one_base() {
        let mathml = mathml(r"2\cos^2 x + a\max_b c", DisplayMode::Inline).unwrap();
        assert!(mathml.contains("<msup><mi>cos</mi><mn>2</mn></msup>"), "{mathml}");
        assert!(mathml.contains("<msub><mi>max</mi><mi>b</mi></msub>"), "{mathml}");
    }

    #[test]
    fn an_error_in_a_formula_is_an_error() {
        for wrong in
            [r"\frac{1", r"\nosuchcommand x", r"x^2^3", r"\left( x", r"\text{if $x$}", r"\operatorname*{argmax}_x"]
        {
            let error = mathml(wrong, DisplayMode::Block).unwrap_err();
            assert!(error.to_string().contains("is no LaTeX"), "{error}");
        }
    }
}
