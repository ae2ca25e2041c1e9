//! Tests that need a Python environment and a browser (see CONTRIBUTING.md). Without them they say that they were skipped, unless
//! `GENERATIVE_MODELS_TESTS` is `all`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Runs a script of this folder with these arguments; it has to succeed.
pub fn python(script: &str, arguments: &[&OsStr], needs_browser: bool) {
    let target = Path::new(env!("CARGO_BIN_EXE_workbook")).parent().unwrap().parent().unwrap();
    let python = target.join("jupyter/tests/bin/python");
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let has_browser = || browsers.iter().any(|browser| Command::new(browser).arg("--version").output().is_ok());
    if !python.exists() || needs_browser && !has_browser() {
        let missing = format!("{script} {arguments:?}: needs Chromium and {}", python.display());
        assert!(std::env::var_os("GENERATIVE_MODELS_TESTS").is_none_or(|tests| tests != "all"), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let mut command = Command::new(python);
    command.arg("-u").arg(script).args(arguments).env_remove("RUST_BACKTRACE");
    assert!(command.status().unwrap().success());
}
