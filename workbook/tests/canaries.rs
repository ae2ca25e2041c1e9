//! A run must be able to fail. Each notebook in `tests/canaries` is wrong in its own way, and the program must say so.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Canary, and what the program must say about it.
const WRONG: [(&str, &str); 18] = [
    ("abort", "cell 1 (std::process::abort();): Subprocess terminated with status: signal: 6"),
    ("compile-error", "cell 1 (let x: f64 = 1.0;): error[E0277]: cannot add `&str` to `f64`"),
    ("does-not-raise", "cell 1 (let x: i32 = 1;): the cell is tagged raises-exception but did not fail"),
    ("endless-and-tagged", "✗ endless-and-tagged: 1 of 1 cells, 0 of 0 checks stand"),
    ("endless-loop", "cell 1 (loop {}): the cell ran for longer than 20 s and was stopped"),
    ("exit", "cell 1 (std::process::exit(0);): Subprocess terminated with status: exit status: 0"),
    ("false-check", "a check does not stand: ✗ X1 two and two: REFUTED; 4"),
    ("figure-as-text", "a figure is printed instead of shown: the last expression moves a variable"),
    ("no-checks", "it makes no check"),
    ("no-refutation", "a check does not stand: ✗ X2 two and two again: CONSISTENT, though a refutation was expected"),
    ("panic", "one is not two"),
    ("question-mark", "invalid digit found in string"),
    ("quit-and-tagged", "✗ quit-and-tagged: 1 of 1 cells, 0 of 0 checks stand"),
    ("quit", "the cell uses :quit"),
    ("stderr", "text on standard error: a warning that nobody reads"),
    ("underpowered", "a check does not stand: ✗ X3 a mean from too few samples: UNDERPOWERED"),
    ("unused-function", "cell 2 (fn half(x: f64) -> f64 {): error[E0277]: cannot divide `f64` by `{integer}`"),
    ("wordless-question-mark", "cell 1 (let x: i32 = Err(String::new())?;): text on standard error: "),
];

/// The program waits while another run uses the kernel; a test that watches the clock must not.
fn alone() -> MutexGuard<'static, ()> {
    static KERNEL: Mutex<()> = Mutex::new(());
    KERNEL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn canary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/canaries").join(name).with_extension("ipynb")
}

fn workbook(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_workbook")).args(arguments).output().unwrap();
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_wrong_notebook_fails_with_the_right_message() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let paths: Vec<String> = WRONG.iter().map(|(name, _)| canary(name).display().to_string()).collect();
    let mut arguments = vec!["run", "--timeout", "20", "--json", json.to_str().unwrap()];
    arguments.extend(paths.iter().map(String::as_str));
    let output = workbook(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains(&format!("FAILED: {0} of {0} notebooks.", WRONG.len())));

    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["succeeded"], false);
    for ((name, message), notebook) in WRONG.iter().zip(report["notebooks"].as_array().unwrap()) {
        assert!(said.contains(&format!("✗ {name}:")), "{name} is not marked as failed");
        assert!(said.contains(message), "{name} does not say {message:?}");
        assert!(notebook["path"].as_str().unwrap().contains(name));
        let problems = notebook["problems"].as_array().unwrap();
        assert!(!problems.is_empty(), "{name} has no problem in the report");
    }
    // The cells after a failure are not run, and that is said.
    assert!(said.contains("1 of its cells were not executed"));
}

#[test]
fn a_right_notebook_passes_alone() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("good.ipynb");
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let source = std::fs::read_to_string(canary("good")).unwrap();
    std::fs::write(&copy, source.replace("../..", library.to_str().unwrap())).unwrap();
    let copy = copy.to_str().unwrap();

    let saved = workbook(&["run", "--in-place", copy]);
    assert_eq!(saved.status.code(), Some(0));
    assert!(text(&saved.stdout).contains("All 4 checks stand. None of them is left to chance."));
    let first = std::fs::read_to_string(copy).unwrap();
    assert!(first.contains("\"text/html\"") && first.contains("X4 two and three"));
    // Two checks and a figure in one cell all survive.
    let last = &serde_json::from_str::<Value>(&first).unwrap()["cells"][6];
    assert_eq!(last["outputs"][0]["text"].as_array().unwrap().len(), 2);
    assert!(last["outputs"][1]["data"]["image/png"].is_string());
    assert_eq!(last["outputs"][1]["metadata"]["image/png"]["width"], 720);
    let checks = last["metadata"]["checks"].as_array().unwrap();
    assert_eq!(checks.iter().map(|check| &check["name"]).collect::<Vec<_>>(), ["one and one", "one and two"]);

    // What was saved is what a second run gives, to the byte.
    assert_eq!(workbook(&["run", "--check", copy]).status.code(), Some(0));
    assert_eq!(workbook(&["run", "--in-place", copy]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(copy).unwrap(), first);

    // A number that changed is a difference, and a check that is gone is a failure.
    std::fs::write(copy, first.replace("consistent; 4 ", "consistent; 7 ")).unwrap();
    let changed = workbook(&["run", "--check", copy]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(text(&changed.stdout).contains("consistent; 7 ") && text(&changed.stdout).contains("and is now"));
    std::fs::write(copy, first.replace("\"two and three\"", "\"two and four\"")).unwrap();
    let gone = workbook(&["run", copy]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        text(&gone.stdout).contains("\"X4 two and four\" was made when the notebook was saved, but not in this run")
    );
}

#[test]
fn wrong_usage_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.ipynb");
    std::fs::write(&broken, "{\"cells\": [").unwrap();
    for (arguments, message) in [
        (vec!["run", "no-such-notebook"], "there is no notebook no-such-notebook, here or in"),
        (vec!["run", broken.to_str().unwrap()], "is no notebook that can be run: JSON parsing error"),
        (vec!["run", "--timeout", "0"], "invalid value '0'"),
        (vec!["run", "--in-place", "--check"], "cannot be used with"),
        (vec!["walk"], "unrecognized subcommand 'walk'"),
    ] {
        let output = workbook(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?} does not say {message:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_cell_and_still_reports() {
    let _alone = alone();
    let mut program = Command::new(env!("CARGO_BIN_EXE_workbook"));
    program.arg("run").arg(canary("endless-loop")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = program.spawn().unwrap();
    // Long enough for the kernel to start, in which case the cell is running; the outcome is the same if it is not.
    std::thread::sleep(std::time::Duration::from_secs(20));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    println!("{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("interrupted"));
}
