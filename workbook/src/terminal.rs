//! What the program says.

use std::io::Write;

/// Prints a line. If nobody reads any more (`workbook | head`), the run and its exit status go on without words.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
