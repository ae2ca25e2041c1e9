//! The kernel under real front ends: nbclient, an editor's messages, JupyterLab.

mod frontends;

use std::path::Path;

fn jupyter(test: &str) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let arguments = [env!("CARGO_BIN_EXE_workbook").as_ref(), project.as_ref(), test.as_ref()];
    frontends::python("jupyter.py", &arguments, test == "lab");
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
