//! The book of the committed notebooks: it is made, and a browser shows it.

mod frontends;

use std::path::Path;
use std::process::Command;

#[test]
fn the_book_is_whole_and_asks_nobody() {
    let workbook = Path::new(env!("CARGO_BIN_EXE_workbook"));
    let output = Command::new(workbook).arg("book").env_remove("RUST_BACKTRACE").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let book = workbook.parent().unwrap().parent().unwrap().join("book");
    assert!(String::from_utf8_lossy(&output.stdout).contains(book.join("index.html").to_str().unwrap()));
    let notebooks = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("notebooks");
    for entry in std::fs::read_dir(notebooks).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ipynb") {
            let chapter = book.join(path.with_extension("html").file_name().unwrap());
            assert!(chapter.is_file(), "{} is no chapter", path.display());
        }
    }
    frontends::python("book.py", &[book.as_ref()], true);
}
