//! `workbook run`: notebook after notebook, cell after cell.

use crate::cli::{Run as Options, Usage};
use crate::coverage::Claims;
use crate::instance::{self, Instance};
use crate::kernel::{Execution, Kernel};
use crate::notebook::{CodeCell, Notebook};
use crate::report::{self, Check, Problem};
use crate::terminal::say;
use crate::{compare, interrupt, project};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Executes what the options name; true if all is well.
///
/// # Errors
/// [`Usage`] before anything is executed if a file is no notebook; any other error if the run cannot go on.
pub fn run(options: &Options) -> Result<bool> {
    // Before anything takes time: are the files what they should be?
    let notebooks = find(&options.notebooks)?;
    let claims = Claims::read()?;
    let json = options.json.as_deref().map(std::path::absolute).transpose()?;
    if let Some(folder) = json.as_deref().and_then(Path::parent).filter(|folder| !folder.is_dir()) {
        return Err(Usage(format!("there is no folder {} for the report", folder.display())).into());
    }
    let Some(instance) = Instance::entered() else {
        say(&announcement(&notebooks)?);
        // The same run goes on in a process with the kernel's environment.
        return Instance::make(false)?.enter(std::env::args_os().skip(1), &[]).map(|()| false);
    };
    let mut kernel = start(instance)?;
    let mut reports = Vec::new();
    for notebook in &notebooks {
        if interrupt::requested() {
            break;
        }
        reports.push(run_notebook(&mut kernel, notebook, options)?);
    }
    kernel.end();
    let run = report::Run::new(reports, interrupt::requested(), options.notebooks.is_empty(), &claims);
    if let Some(path) = json {
        project::write_atomically(&path, serde_json::to_string_pretty(&run)?.as_bytes())?;
    }
    say(&format!("\n{}", run.summary()));
    Ok(run.succeeded)
}

/// The notebooks that were asked for, or all of the project's, in the order of their names.
fn find(asked: &[PathBuf]) -> Result<Vec<Notebook>> {
    let folder = project::root().join("notebooks");
    let mut paths: Vec<PathBuf> = if asked.is_empty() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "ipynb")).collect()
    } else {
        // A bare name may leave out the folder and the ending.
        let locate = |path: &PathBuf| {
            let candidates = [path.clone(), folder.join(path), folder.join(format!("{}.ipynb", path.display()))];
            candidates.into_iter().find(|candidate| candidate.is_file()).unwrap_or(path.clone())
        };
        asked.iter().map(locate).collect()
    };
    if paths.is_empty() {
        return Err(Usage(format!("there are no notebooks in {}", folder.display())).into());
    }
    // Cells change the working directory, so paths must not depend on it; nor may one file have two names.
    for path in &mut paths {
        *path = path.canonicalize().or_else(|_| std::path::absolute(&path))?;
    }
    paths.sort();
    paths.dedup();
    paths.iter().map(|path| Notebook::read(path)).collect()
}

fn announcement(notebooks: &[Notebook]) -> Result<String> {
    let first = if instance::is_prepared() {
        ""
    } else {
        "\nThis first time the notebooks' dependencies are compiled: about 10 minutes on two cores and 1 GB of disk. Later runs \
         start within half a minute."
    };
    let plural = if notebooks.len() == 1 { "notebook" } else { "notebooks" };
    Ok(format!(
        "Executing {} {plural}; every closed form is held against its check.{first}\nExecuted copies go to {}.",
        notebooks.len(),
        project::target_dir()?.join("notebooks").display()
    ))
}

fn start(instance: Instance) -> Result<Kernel> {
    let spinner = ProgressBar::new_spinner().with_message("Starting the kernel");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let kernel = Kernel::start(instance);
    spinner.finish_and_clear();
    kernel
}

/// Executes one notebook and shows one line about it, and its problems.
fn run_notebook(kernel: &mut Kernel, saved: &Notebook, options: &Options) -> Result<report::Notebook> {
    let begun = Instant::now();
    let mut executed = saved.clone();
    executed.clear_outputs();
    let cells: Vec<CodeCell> = saved.code_cells().collect();
    let bar = ProgressBar::new(cells.len() as u64)
        .with_style(ProgressStyle::with_template("{prefix} [{bar:30}] cell {pos}/{len} {elapsed} {wide_msg}")?)
        .with_prefix(saved.name());
    bar.enable_steady_tick(Duration::from_millis(100));
    let (mut reports, mut problems) = (Vec::new(), Vec::new());
    kernel.clear(saved.folder())?;
    for (count, cell) in cells.iter().enumerate() {
        bar.set_position(count as u64);
        bar.set_message(cell.first_line().to_owned());
        let execution = kernel.execute(&cell.source, Duration::from_secs(options.timeout));
        let (checks, mut wrong) = judge(cell, &execution);
        let ids: Vec<String> = checks.iter().map(Check::id).collect();
        executed.record(cell.index, count + 1, &execution, &ids)?;
        if options.check && wrong.is_empty() {
            wrong = compare::differences(&saved.outputs(cell.index), &executed.outputs(cell.index));
        }
        let outputs = kinds(&execution);
        reports.push(report::Cell { number: cell.number(), seconds: execution.seconds, outputs, checks });
        let failed = execution.error.is_some() && (execution.stopped || !cell.must_fail);
        problems.extend(wrong.into_iter().map(|message| problem(cell, message)));
        if failed {
            break;
        }
    }
    // What the last cells' process still had to say comes out when it ends.
    let late = kernel.clear(saved.folder())?;
    if !late.is_empty() && problems.is_empty() {
        problems.push(Problem::overall(format!("text on standard error: {}", late.join("\n"))));
    }
    problems.extend(missing(saved, &reports, cells.len(), options.in_place));
    if interrupt::requested() {
        problems.push(Problem::overall("interrupted"));
    }
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let mut report =
        report::Notebook { path: saved.path.clone(), seconds, code_cells: cells.len(), cells: reports, problems };
    // A full disk is this notebook's problem; the others and the report go on.
    if let Err(error) = keep(&executed, &report, options) {
        report.problems.push(Problem::overall(format!("{error:#}")));
    }
    say(&line(&report));
    Ok(report)
}

/// The checks that a cell made, and what is wrong with it.
fn judge(cell: &CodeCell, execution: &Execution) -> (Vec<Check>, Vec<String>) {
    let mut wrong = Vec::new();
    let mut checks: Vec<Check> = Vec::new();
    for report in &execution.reports {
        match serde_json::from_str(report) {
            Ok(check) => checks.push(check),
            Err(error) => wrong.push(format!("the report of a check cannot be read ({error}): {report}")),
        }
    }
    for check in checks.iter().filter(|check| !check.stands()) {
        wrong.push(format!(
            "the check {:?} does not stand: {}, expected {}",
            check.id(),
            check.verdict,
            check.expected
        ));
    }
    // The failed `?` of a cell shows on standard error alone.
    let stderr = execution.stderr.join("\n");
    let failure = match (&execution.error, execution.stderr.is_empty()) {
        (Some(error), true) => Some(error.clone()),
        (Some(error), false) => Some(format!("{error}\n{stderr}")),
        (None, false) => Some(format!("text on standard error: {stderr}")),
        (None, true) => None,
    };
    match failure {
        Some(_) if cell.must_fail && !execution.stopped => {}
        Some(failure) => wrong.push(failure),
        None if cell.must_fail => wrong.push("the cell is tagged raises-exception but did not fail".to_owned()),
        None => {}
    }
    (checks, wrong)
}

fn problem(cell: &CodeCell, message: String) -> Problem {
    Problem { cell: Some(cell.number()), first_line: Some(cell.first_line().to_owned()), message }
}

/// What a notebook should have done and has not.
fn missing(saved: &Notebook, cells: &[report::Cell], code_cells: usize, in_place: bool) -> Vec<Problem> {
    let made: Vec<String> = cells.iter().flat_map(|cell| &cell.checks).map(Check::id).collect();
    let mut messages = Vec::new();
    if cells.len() < code_cells {
        messages.push(format!("{} of its cells were not executed", code_cells - cells.len()));
    } else {
        // Whoever saves in place means to change the notebook.
        let gone = saved.saved_checks().into_iter().filter(|id| !in_place && !made.contains(id));
        messages.extend(
            gone.map(|id| format!("the check {id:?} was made when the notebook was saved, but not in this run")),
        );
        if made.is_empty() {
            messages.push("it makes no check".to_owned());
        }
    }
    messages.into_iter().map(Problem::overall).collect()
}

fn kinds(execution: &Execution) -> Vec<String> {
    let streams = [("stdout", &execution.stdout), ("stderr", &execution.stderr)];
    let streams = streams.into_iter().filter(|(_, lines)| !lines.is_empty()).map(|(name, _)| name.to_owned());
    let error = execution.error.iter().map(|_| "error".to_owned());
    streams.chain(execution.display.keys().cloned()).chain(error).collect()
}

/// Saves the executed copy, and the notebook itself if that was asked for and it succeeded.
fn keep(executed: &Notebook, report: &report::Notebook, options: &Options) -> Result<()> {
    let copies = project::target_dir()?.join("notebooks");
    std::fs::create_dir_all(&copies)?;
    executed.write(&copies.join(executed.path.file_name().unwrap_or_default()))?;
    if options.in_place && report.succeeded() {
        executed.save()?;
    }
    Ok(())
}

/// One line about a notebook, and its problems below.
fn line(report: &report::Notebook) -> String {
    let ((checks, stand), name) = (report.counts(), report.name());
    let sign = if report.succeeded() { '✓' } else { '✗' };
    let cells = format!("{} of {} cells", report.cells.len(), report.code_cells);
    let mut lines = vec![format!("{sign} {name}: {cells}, {stand} of {checks} checks stand, {:.1} s", report.seconds)];
    for Problem { cell, first_line, message } in &report.problems {
        let place = match (cell, first_line) {
            (Some(cell), Some(first_line)) => format!("cell {cell} ({first_line}): "),
            _ => String::new(),
        };
        lines.push(format!("  {place}{}", message.replace('\n', "\n    ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(must_fail: bool) -> CodeCell {
        CodeCell { index: 0, source: "x".into(), must_fail }
    }

    fn execution(stderr: &str, error: Option<&str>) -> Execution {
        let stderr = stderr.lines().map(str::to_owned).collect();
        Execution { stderr, error: error.map(str::to_owned), ..Execution::default() }
    }

    #[test]
    fn a_cell_fails_by_an_error_or_by_text_on_standard_error() {
        assert!(judge(&cell(false), &execution("", None)).1.is_empty());
        assert_eq!(judge(&cell(false), &execution("", Some("no"))).1, ["no"]);
        assert_eq!(judge(&cell(false), &execution("oh", None)).1, ["text on standard error: oh"]);
        // The error of a `?` may have no words.
        assert_eq!(judge(&cell(false), &execution("\n", None)).1, ["text on standard error: "]);
        assert_eq!(judge(&cell(false), &execution("oh", Some("no"))).1, ["no\noh"]);
    }

    #[test]
    fn a_cell_that_is_meant_to_fail_must() {
        assert!(judge(&cell(true), &execution("oh", None)).1.is_empty());
        assert!(judge(&cell(true), &execution("", Some("no"))).1.is_empty());
        assert_eq!(judge(&cell(true), &execution("", None)).1.len(), 1);
        let stopped = Execution { stopped: true, ..execution("", Some("too long")) };
        assert_eq!(judge(&cell(true), &stopped).1, ["too long"]);
    }

    #[test]
    fn an_unreadable_report_is_a_failure() {
        let execution = Execution { reports: vec!["{".into()], ..Execution::default() };
        assert!(judge(&cell(false), &execution).1[0].contains("cannot be read"));
    }
}
