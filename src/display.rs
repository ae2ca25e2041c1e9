//! Frames, matrices, distributions and figures as the output of a notebook's cell.

use crate::check::Report;
use crate::figure::Figure;
use crate::gaussian::{Density, Gaussian};
use base64::{Engine, prelude::BASE64_STANDARD};
use nalgebra::{DMatrix, DVector};
use polars::prelude::{AnyValue, Column, DataFrame};
use std::io::Write;

/// How the last expression of a cell is shown. The kernel looks for a method of this name.
pub trait Show {
    /// Writes the value to standard output, once for each MIME type that can carry it.
    fn evcxr_display(&self);
}

impl Show for DataFrame {
    /// The first and the last six rows as a table.
    fn evcxr_display(&self) {
        emit("text/html", &html(self));
        emit("text/plain", &self.to_string());
    }
}

impl Show for DMatrix<f64> {
    /// The entries to five significant digits, elided beyond eight rows or columns.
    fn evcxr_display(&self) {
        emit("text/latex", &format!("$${}$$", pmatrix(self)));
        emit("text/plain", &plain(self));
    }
}

impl Show for DVector<f64> {
    /// A matrix of one column.
    fn evcxr_display(&self) {
        as_matrix(self).evcxr_display();
    }
}

impl Show for Gaussian {
    /// N(μ, Σ) with its numbers.
    fn evcxr_display(&self) {
        emit("text/latex", &normal_latex(self));
        let (mean, covariance) = (plain(&as_matrix(self.mean())), plain(self.covariance()));
        emit("text/plain", &format!("normal distribution, mean\n{mean}\ncovariance\n{covariance}"));
    }
}

impl Show for Report {
    /// Nothing: a check has printed its line when it was made, so that a cell may make several.
    fn evcxr_display(&self) {}
}

impl Show for Figure {
    /// The picture and its text alternative; the error, on standard error, if there is one.
    fn evcxr_display(&self) {
        match self.png() {
            Ok(png) => {
                emit("image/png", &BASE64_STANDARD.encode(png));
                emit("text/plain", &self.text());
            }
            Err(error) => eprintln!("{error}"),
        }
    }
}

/// Writes one block of the kernel's display protocol.
fn emit(mime: &str, content: &str) {
    let block = format!("EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT\n");
    // In one write, so that no other thread prints into the block. If standard output is closed, nobody is left to tell.
    let _ = std::io::stdout().lock().write_all(block.as_bytes());
}

/// `x` to `digits` significant digits, without trailing zeros: plain between 1e-4 and 1e7, scientific beyond.
///
/// # Example
/// ```
/// use generative_models::display::significant;
/// assert_eq!(significant(0.1 + 0.2, 6), "0.3");
/// assert_eq!(significant(-1.2345e-17, 2), "-1.2e-17");
/// assert_eq!(significant(-0.0, 3), "0");
/// ```
pub fn significant(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return x.to_string().replace("inf", "∞");
    }
    // More than 17 digits carry nothing. Rounding up may overflow; such a number is left as it is.
    let rounded = format!("{x:.*e}", digits.clamp(1, 17) - 1).parse().ok().filter(|r: &f64| r.is_finite()).unwrap_or(x);
    match rounded.abs() {
        0.0 => "0".into(),
        1e-4..1e7 => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

/// The indices 0..n, or the first `head`, a gap and the last `tail` of them if they are more than `most`.
fn elided(n: usize, most: usize, head: usize, tail: usize) -> Vec<Option<usize>> {
    if n <= most {
        return (0..n).map(Some).collect();
    }
    (0..head).map(Some).chain([None]).chain((n - tail..n).map(Some)).collect()
}

/// A frame as a table. Alignment is by attribute and not by style, since code hosts strip styles.
fn html(frame: &DataFrame) -> String {
    let columns = frame.columns();
    let row = |cells: String| format!("<tr>{cells}</tr>\n");
    let header = columns.iter().map(|column| {
        let (name, dtype) = (escape(column.name()), escape(&column.dtype().to_string()));
        format!("<th align=\"{}\">{name}<br><small>{dtype}</small></th>", alignment(column))
    });
    let body = elided(frame.height(), 12, 6, 6).into_iter().map(|i| {
        let cell =
            |column| format!("<td align=\"{}\">{}</td>", alignment(column), i.map_or("⋮".into(), |i| cell(column, i)));
        row(columns.iter().map(cell).collect())
    });
    format!(
        "<table>\n<thead>{}</thead>\n<tbody>\n{}</tbody>\n</table>\n<p><small>{} × {}</small></p>",
        row(header.collect()).trim_end(),
        body.collect::<String>(),
        frame.height(),
        frame.width(),
    )
}

fn alignment(column: &Column) -> &'static str {
    if column.dtype().is_primitive_numeric() { "right" } else { "left" }
}

fn cell(column: &Column, row: usize) -> String {
    match column.get(row) {
        Ok(AnyValue::Float64(x)) => significant(x, 6),
        Ok(AnyValue::Float32(x)) => significant(x.into(), 6),
        Ok(value) => escape(&value.str_value()),
        Err(_) => String::new(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn as_matrix(vector: &DVector<f64>) -> DMatrix<f64> {
    DMatrix::from_column_slice(vector.len(), 1, vector.as_slice())
}

/// The matrix's cells as text: `number` of each entry, and `dots` (to the right, down, diagonal) where entries are left out.
fn cells(matrix: &DMatrix<f64>, number: impl Fn(f64) -> String, dots: [&str; 3]) -> Vec<Vec<String>> {
    let (rows, columns) = (elided(matrix.nrows(), 8, 5, 2), elided(matrix.ncols(), 8, 5, 2));
    let cell = |row, column| match (row, column) {
        (Some(i), Some(j)) => number(matrix[(i, j)]),
        (Some(_), None) => dots[0].into(),
        (None, Some(_)) => dots[1].into(),
        (None, None) => dots[2].into(),
    };
    rows.into_iter().map(|row| columns.iter().map(|&column| cell(row, column)).collect()).collect()
}

fn pmatrix(matrix: &DMatrix<f64>) -> String {
    let rows = cells(matrix, latex_number, [r"\cdots", r"\vdots", r"\ddots"]);
    let rows: Vec<String> = rows.iter().map(|row| row.join(" & ")).collect();
    format!(r"\begin{{pmatrix}} {} \end{{pmatrix}}", rows.join(r" \\ "))
}

fn latex_number(x: f64) -> String {
    let text = significant(x, 5).replace("NaN", r"\mathrm{NaN}").replace('∞', r"\infty");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!(r"{mantissa}\times10^{{{exponent}}}"),
        None => text,
    }
}

fn normal_latex(p: &Gaussian) -> String {
    let (mean, covariance) = match p.dim() {
        1 => (latex_number(p.mean()[0]), latex_number(p.covariance()[0])),
        _ => (pmatrix(&as_matrix(p.mean())), pmatrix(p.covariance())),
    };
    format!(r"$$\mathcal{{N}}\left({mean},\; {covariance}\right)$$")
}

/// The matrix in lines of right-aligned columns.
fn plain(matrix: &DMatrix<f64>) -> String {
    let rows = cells(matrix, |x| significant(x, 5), ["⋯", "⋮", "⋱"]);
    let width = rows.iter().flatten().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| row.iter().map(|cell| format!("{cell:>width$}")).collect::<Vec<_>>().join("  ");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};
    use polars::prelude::df;

    #[test]
    fn numbers_have_no_noise() {
        for (x, digits, text) in [
            (0.1 + 0.2, 6, "0.3"),
            (-0.0, 3, "0"),
            (-1e-320, 3, "-1e-320"),
            (150.0, 6, "150"),
            (123456.0, 4, "123500"),
            (9999999.0, 3, "1e7"),
            (1e-4, 3, "0.0001"),
            (9.99e-5, 3, "9.99e-5"),
            (-2.5e-17, 2, "-2.5e-17"),
            (f64::MAX, 3, "1.7976931348623157e308"),
            (2.0 / 3.0, 0, "0.7"),
            (2.0 / 3.0, 99, "0.6666666666666666"),
            (f64::NAN, 3, "NaN"),
            (f64::NEG_INFINITY, 3, "-∞"),
        ] {
            assert_eq!(significant(x, digits), text);
        }
    }

    #[test]
    fn a_frame_is_escaped_and_elided() {
        let long =
            df!("a<b" => (0..13).collect::<Vec<i32>>(), "s" => vec!["<&>"; 13], "x" => vec![0.1 + 0.2; 13]).unwrap();
        let table = html(&long);
        assert!(table.contains("<th align=\"right\">a&lt;b<br><small>i32</small></th>"));
        assert!(table.contains("<td align=\"left\">&lt;&amp;&gt;</td><td align=\"right\">0.3</td>"));
        assert_eq!((table.matches("<tr>").count(), table.matches('⋮').count()), (14, 3));
        assert!(table.contains("13 × 3"));
        assert!(!html(&long.head(Some(12))).contains('⋮'));
        assert!(html(&df!("x" => [Some(1.5), None]).unwrap()).contains(">null<"));
        assert!(html(&DataFrame::empty()).contains("0 × 0"));
    }

    #[test]
    fn matrices_in_latex() {
        let m = dmatrix![1.0, -0.0; 1.2e-17, f64::INFINITY];
        assert_eq!(pmatrix(&m), r"\begin{pmatrix} 1 & 0 \\ 1.2\times10^{-17} & \infty \end{pmatrix}");
        assert_eq!(plain(&dmatrix![1.0, -2.5; 10.0, 0.0]), "   1  -2.5\n  10     0");
        let large = pmatrix(&DMatrix::zeros(9, 10));
        assert_eq!((large.matches(r"\cdots").count(), large.matches(r"\vdots").count()), (7, 7));
        assert_eq!((large.matches(r"\ddots").count(), large.matches(r"\\").count()), (1, 7));
    }

    #[test]
    fn a_normal_in_latex() {
        assert_eq!(normal_latex(&Gaussian::univariate(0.5, 2.0).unwrap()), r"$$\mathcal{N}\left(0.5,\; 2\right)$$");
        let p = Gaussian::new(dvector![1.0, 2.0], DMatrix::identity(2, 2)).unwrap();
        assert!(normal_latex(&p).contains(r"\begin{pmatrix} 1 \\ 2 \end{pmatrix},\; \begin{pmatrix} 1 & 0 \\ 0 & 1"));
    }
}
