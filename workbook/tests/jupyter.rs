//! The kernel under real front ends: nbclient and JupyterLab. These tests need Python packages and a browser (see the README's
//! section for contributors); without them they say that they were skipped, unless `GENERATIVE_MODELS_TESTS` is `all`.

use std::path::Path;
use std::process::Command;

fn jupyter(test: &str) {
    let workbook = Path::new(env!("CARGO_BIN_EXE_workbook"));
    let python = workbook.parent().unwrap().parent().unwrap().join("jupyter/tests/bin/python");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let has_browser = || browsers.iter().any(|browser| Command::new(browser).arg("--version").output().is_ok());
    if !python.exists() || test == "lab" && !has_browser() {
        let missing = format!("{test}: needs Chromium and {}", python.display());
        assert!(std::env::var_os("GENERATIVE_MODELS_TESTS").is_none_or(|tests| tests != "all"), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let mut command = Command::new(python);
    command.arg("-u").arg(folder.join("tests/jupyter.py")).arg(workbook).arg(folder.parent().unwrap()).arg(test);
    assert!(command.env_remove("RUST_BACKTRACE").status().unwrap().success());
}

#[test]
fn the_kernel_completes_documents_interrupts_and_infers() {
    jupyter("kernel");
}

#[test]
fn nbclient_runs_the_first_and_the_last_notebook() {
    jupyter("notebooks");
}

#[test]
fn jupyterlab_shows_a_figure() {
    jupyter("lab");
}
