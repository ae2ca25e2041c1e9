//! The source of a cell without what it has no use for.
//!
//! evcxr gives each cell all functions that were defined before, takes all variables out of its store in front of the cell's own code
//! and puts them back behind it: late in a notebook the compiler has more to do for these than for the cell. A function that was
//! compiled before, and the lines for a variable, whose name is no word of the rest go here; the variable stays in the store. No line
//! moves, since evcxr tells by the line whose fault an error is.

use ra_ap_syntax::ast::{AnyHasName, HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{AstNode, Edition, SourceFile, ast};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The calls by which evcxr keeps a variable, and what is behind its name there.
const VARIABLE: [&str; 3] = ["check_variable::<", "take_variable::<", "put_variable::<"];

/// How the name begins of the function that evcxr calls.
const CELL: &str = "run_user_code_";

/// What a cell can do without if it does not name it.
struct Part {
    name: String,
    place: Range<usize>,
    /// Whether its own words are needed with it.
    is_function: bool,
}

/// The source without what it does not name, with every line at its place. `compiled` is the source of the last cell that was compiled:
/// a new function must be compiled once, and all of them where a definition is another or gone.
pub fn lean(source: &str, compiled: &str) -> String {
    let before = definitions(items(compiled));
    let items: Vec<ast::Item> = items(source).collect();
    let definitions = definitions(items.iter().cloned());
    let other = before.iter().any(|(name, definition)| definitions.get(name) != Some(definition));
    let mut parts: Vec<Part> = items.iter().flat_map(|item| parts(item, source)).collect();
    parts.retain(|part| !part.is_function || !other && before.contains_key(&part.name));
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

fn items(source: &str) -> impl Iterator<Item = ast::Item> {
    SourceFile::parse(source, Edition::Edition2024).tree().items()
}

/// What is defined under each name.
fn definitions(items: impl Iterator<Item = ast::Item>) -> BTreeMap<String, String> {
    let named = items.filter_map(|item| Some((name(&item)?, item.to_string())));
    named.filter(|(name, _)| !name.starts_with(CELL)).collect()
}

fn name(item: &ast::Item) -> Option<String> {
    Some(AnyHasName::cast(item.syntax().clone())?.name()?.to_string())
}

/// What may go of an item, in the order of the source: all of a function, or the lines for variables if it is the one that evcxr calls.
fn parts(item: &ast::Item, source: &str) -> Vec<Part> {
    let (ast::Item::Fn(function), Some(name)) = (item, name(item)) else { return Vec::new() };
    let place: Range<usize> = function.syntax().text_range().into();
    if !name.starts_with(CELL) {
        // Who knows what an attribute makes of it.
        let removable = function.attrs().next().is_none();
        return removable.then_some(Part { name, place, is_function: true }).into_iter().collect();
    }
    let mut end = place.start;
    let lines = source[place].split_inclusive('\n').map(|line| {
        end += line.len();
        (end - line.len(), line.trim_end())
    });
    let part = |(start, line): (usize, &str)| {
        Some(Part { name: variable(line)?.to_owned(), place: start..start + line.len(), is_function: false })
    };
    lines.filter_map(part).collect()
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

    const SOURCE: &str = r#"use x::*;
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
        let lean = lean(SOURCE, SOURCE);
        assert_eq!(lean.lines().count(), SOURCE.lines().count());
        let gone = ["far(x", "near(x)\n}\nfn near", "<[f64; 2]>", "Vec<"];
        for text in gone {
            assert!(SOURCE.contains(text) && !lean.contains(text), "{text}: {lean}");
        }
        let kept: Vec<(&str, &str)> = SOURCE.lines().zip(lean.lines()).filter(|(_, kept)| !kept.is_empty()).collect();
        assert!(kept.iter().all(|(line, kept)| line == kept));
        // The import, two functions of four lines, and the cell's own but for the six lines of b and c.
        assert_eq!(kept.len(), 1 + 4 + 18 - 6);
    }

    #[test]
    fn a_cell_that_names_all_is_kept_as_it_is() {
        let all = SOURCE.replace("near(a)", "far(a + b[0] + c.len())");
        assert_eq!(lean(&all, &all), all);
        for text in ["", "fn", "}", "no (code", "fn f() {\n}\n"] {
            assert_eq!(lean(text, text).matches('\n').count(), text.matches('\n').count());
        }
    }

    #[test]
    fn what_is_new_is_compiled() {
        let new = "fn nearer(x: f64) -> f64 { x }\n";
        assert!(lean(&format!("{new}{SOURCE}"), SOURCE).starts_with(new));
        assert_eq!(lean(SOURCE, "").matches("fn ").count(), SOURCE.matches("fn ").count());
        // With another type all that is there may be wrong.
        let [one, other] = ["struct S;\n", "struct S(f64);\n"].map(|text| format!("{text}{SOURCE}"));
        assert_eq!(lean(&one, &other).matches("fn ").count(), SOURCE.matches("fn ").count());
        assert!(lean(&one, &one).matches("fn ").count() < SOURCE.matches("fn ").count());
    }

    #[test]
    fn lines_of_the_reader_are_no_lines_for_variables() {
        let cell =
            SOURCE.replace("near(a);", "let it = \"evcxr_variable_store.put_variable::<f64>(stringify!(d), d);\"");
        assert!(lean(&cell, &cell).contains("(d), d)"));
    }
}
