//! The source of a cell without what it has no use for.
//!
//! evcxr gives each cell all functions that were defined before, takes all variables out of its store in front of the cell's own code
//! and puts them back behind it: late in a notebook the compiler has more to do for these than for the cell. A function, and the lines
//! for a variable, whose name is no word of the rest go here; the variable stays in the store. No line moves, since evcxr tells by the
//! line whose fault an error is.

use ra_ap_syntax::ast::{HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{AstNode, Edition, SourceFile, ast};
use std::collections::BTreeSet;
use std::ops::Range;

/// The calls by which evcxr keeps a variable, and what is behind its name there.
const VARIABLE: [&str; 3] = ["check_variable::<", "take_variable::<", "put_variable::<"];

/// What a cell can do without if it does not name it.
struct Part {
    name: String,
    place: Range<usize>,
    /// Whether its own words are needed with it.
    is_function: bool,
}

/// The source without what it does not name, with every line at its place.
pub fn lean(source: &str) -> String {
    let file = SourceFile::parse(source, Edition::Edition2024).tree();
    let functions = file.items().filter_map(|item| match item {
        ast::Item::Fn(function) => Some(function),
        _ => None,
    });
    let parts: Vec<Part> = functions.flat_map(|function| parts(&function, source)).collect();
    let mut rest = String::new();
    let mut end = 0;
    for part in &parts {
        rest += &source[end..part.place.start];
        end = part.place.end;
    }
    rest += &source[end..];
    let mut named: BTreeSet<&str> = words(&rest).collect();
    let (mut functions, mut count): (Vec<&Part>, usize) = (parts.iter().filter(|part| part.is_function).collect(), 0);
    while count != named.len() {
        count = named.len();
        let needed = functions.extract_if(.., |function| named.contains(function.name.as_str())).collect::<Vec<_>>();
        named.extend(needed.iter().flat_map(|function| words(&source[function.place.clone()])));
    }
    let mut lean = source.to_owned();
    for part in parts.iter().rev().filter(|part| !named.contains(part.name.as_str())) {
        let lines = source[part.place.clone()].matches('\n').count();
        lean.replace_range(part.place.clone(), &"\n".repeat(lines));
    }
    lean
}

/// What may go of a function: all of it, or the lines for variables if it is the one that evcxr calls. In the order of the source.
fn parts(function: &ast::Fn, source: &str) -> Vec<Part> {
    let Some(name) = function.name() else { return Vec::new() };
    if function.attrs().next().is_none() {
        let place = function.syntax().text_range().into();
        return vec![Part { name: name.to_string(), place, is_function: true }];
    }
    let body: Range<usize> = function.syntax().text_range().into();
    let mut start = body.start;
    let lines = source[body].split_inclusive('\n').map(|line| {
        start += line.len();
        (start - line.len(), line.trim_end())
    });
    lines
        .filter_map(|(start, line)| {
            Some(Part { name: variable(line)?.to_owned(), place: start..start + line.len(), is_function: false })
        })
        .collect()
}

/// The variable for whose keeping this line is.
fn variable(line: &str) -> Option<&str> {
    let (before, call) = line.split_once("evcxr_variable_store.")?;
    let is_evcxrs =
        before.is_empty() || before == "vars_ok &= " || before.starts_with("let ") && before.ends_with(" = ");
    let (_, name) =
        line.rsplit_once("(stringify!(").filter(|_| is_evcxrs && VARIABLE.iter().any(|it| call.starts_with(it)))?;
    name.split(')').next()
}

/// All that could be a name; in a text, too, since it may be one to format.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = r#"use x::*;
/// Not used.
fn far(x: f64) -> f64 {
    near(x)
}
fn near(x: f64) -> f64 {
    nearest(x)
}
fn nearest(x: f64) -> f64 { x }
#[unsafe(no_mangle)]
pub extern "C" fn run_user_code_7(mut evcxr_variable_store: *mut Store) -> *mut Store {
let evcxr_variable_store = unsafe {&mut *evcxr_variable_store};
{let mut vars_ok = true;
vars_ok &= evcxr_variable_store.check_variable::<f64>(stringify!(a));
vars_ok &= evcxr_variable_store.check_variable::<[f64; 2]>(stringify!(b));
vars_ok &= evcxr_variable_store.check_variable::<Vec<(f64, f64)>>(stringify!(c));
if !vars_ok {return evcxr_variable_store;}}
let mut a = evcxr_variable_store.take_variable::<f64>(stringify!(a));
let b = evcxr_variable_store.take_variable::<[f64; 2]>(stringify!(b));
let c = evcxr_variable_store.take_variable::<Vec<(f64, f64)>>(stringify!(c));
let said = format!("{a:.2}");
near(a);
evcxr_variable_store.put_variable::<f64>(stringify!(a), a);
evcxr_variable_store.put_variable::<[f64; 2]>(stringify!(b), b);
evcxr_variable_store.put_variable::<Vec<(f64, f64)>>(stringify!(c), c);
evcxr_variable_store
}
"#;

    #[test]
    fn what_is_not_named_goes_and_no_line_moves() {
        let lean = lean(CELL);
        assert_eq!(lean.lines().count(), CELL.lines().count());
        let gone = ["far(x", "near(x)\n}\nfn near", "<[f64; 2]>", "Vec<"];
        for text in gone {
            assert!(CELL.contains(text) && !lean.contains(text), "{text}: {lean}");
        }
        let kept: Vec<(&str, &str)> = CELL.lines().zip(lean.lines()).filter(|(_, kept)| !kept.is_empty()).collect();
        assert!(kept.iter().all(|(line, kept)| line == kept));
        // The import, two functions of four lines, and the cell's own but for the six lines of b and c.
        assert_eq!(kept.len(), 1 + 4 + 18 - 6);
    }

    #[test]
    fn a_cell_that_names_all_is_kept_as_it_is() {
        let all = CELL.replace("near(a)", "far(a + b[0] + c.len())");
        assert_eq!(lean(&all), all);
        for text in ["", "fn", "}", "no (code", "fn f() {\n}\n"] {
            assert_eq!(lean(text).matches('\n').count(), text.matches('\n').count());
        }
    }

    #[test]
    fn lines_of_the_reader_are_no_lines_for_variables() {
        let cell = CELL.replace("near(a);", "let it = \"evcxr_variable_store.put_variable::<f64>(stringify!(d), d);\"");
        assert!(lean(&cell).contains("(d), d)"));
    }
}
