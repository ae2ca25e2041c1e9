//! Kernels side by side, and what the death of one leaves behind.
#![cfg(unix)]

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// These tests look at what others leave behind.
fn alone() -> MutexGuard<'static, ()> {
    static KERNELS: Mutex<()> = Mutex::new(());
    KERNELS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn kernel() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_workbook")).parent().unwrap().parent().unwrap().join("kernel")
}

fn canary(name: &str) -> PathBuf {
    project().join("tests/canaries").join(name).with_extension("ipynb")
}

/// Starts a run in a group of processes of its own.
fn start(notebook: &Path) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_workbook"));
    program.arg("run").arg(notebook).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap()
}

fn succeeds(child: Child) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("4 of 4 checks stand"), "{said}");
}

/// kill -9, of the program and of all that it started.
fn kill(child: &mut Child) {
    assert!(Command::new("kill").args(["-9", "--"]).arg(format!("-{}", child.id())).status().unwrap().success());
    child.wait().unwrap();
}

#[test]
fn two_and_four_kernels_work_at_once() {
    let _alone = alone();
    for count in [2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let good = std::fs::read_to_string(canary("good")).unwrap().replace("../..", project().to_str().unwrap());
        let runs: Vec<Child> = (0..count)
            .map(|i| {
                let notebook = folder.path().join(format!("good-{count}-{i}.ipynb"));
                std::fs::write(&notebook, &good).unwrap();
                start(&notebook)
            })
            .collect();
        runs.into_iter().for_each(succeeds);
    }
}

/// The directories of kernels that are ready to run cells.
fn running() -> HashSet<PathBuf> {
    let directories = std::fs::read_dir(kernel().join("running")).into_iter().flatten();
    directories.map(|entry| entry.unwrap().path()).filter(|dir| dir.join("checks.jsonl").exists()).collect()
}

#[test]
fn a_kernel_that_was_killed_leaves_nothing_to_the_next() {
    let _alone = alone();
    let before = running();
    let mut endless = start(&canary("endless-loop"));
    let directory = loop {
        if let Some(made) = running().difference(&before).next() {
            break made.clone();
        }
        assert!(endless.try_wait().unwrap().is_none(), "the run ended by itself");
        sleep(Duration::from_millis(100));
    };
    sleep(Duration::from_secs(3));
    kill(&mut endless);
    // Its processes let go of their lock once they are gone, and only the first of them has been waited for.
    let lock = std::fs::File::open(directory.join("lock")).unwrap();
    while lock.try_lock().is_err() {
        sleep(Duration::from_millis(100));
    }
    drop(lock);
    succeeds(start(&canary("good")));
    assert!(!directory.exists(), "{} is left", directory.display());
}

#[test]
fn a_preparation_that_was_killed_is_made_again() {
    let _alone = alone();
    // Without the library's fingerprints it has to be compiled anew, which takes long enough to be killed at.
    let target = kernel().join("prepared/ctx/target");
    succeeds(start(&canary("good")));
    for triple in std::fs::read_dir(target).unwrap() {
        let fingerprints = triple.unwrap().path().join("debug/.fingerprint");
        for entry in std::fs::read_dir(fingerprints).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with("generative-models-") {
                std::fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
    for seconds in [1, 4] {
        let mut run = start(&canary("good"));
        sleep(Duration::from_secs(seconds));
        kill(&mut run);
    }
    succeeds(start(&canary("good")));
}
