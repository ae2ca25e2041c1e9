//! A process that executes notebooks for a run, one after another: their paths come on standard input, a line each, and what happens
//! goes to standard output, a line of JSON each.

use crate::claims::{self, Checked};
use crate::cli::Run as Options;
use crate::instance::Instance;
use crate::kernel::{Execution, Kernel};
use crate::notebook::{CodeCell, Notebook};
use crate::report::{self, Check, Problem};
use crate::terminal::say;
use crate::{compare, interrupt, project};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a worker tells the run.
#[derive(Deserialize, Serialize)]
pub enum Event {
    /// It executes a cell.
    Cell {
        /// How many cells of this notebook it has executed before.
        executed: usize,
        first_line: String,
    },
    /// It has executed the notebook.
    Done(report::Notebook),
}

/// A worker as the run sees it.
pub struct Worker {
    child: Child,
    input: Input,
    events: Lines<BufReader<ChildStdout>>,
}

/// A worker's standard input. Whoever closes it makes the worker stop.
#[derive(Clone)]
pub struct Input(Arc<Mutex<Option<ChildStdin>>>);

impl Input {
    /// Makes the worker stop.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn write(&self, line: &str) {
        if let Some(input) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // A worker that does not read any more does not speak any more either, which is noticed.
            let _ = writeln!(input, "{line}");
        }
    }
}

impl Worker {
    /// Starts one.
    pub fn start(options: &Options) -> Result<Self> {
        let mut program = Command::new(std::env::current_exe()?);
        program.args(["run", "--worker", "--timeout"]).arg(options.timeout.to_string());
        program.args(options.check.then_some("--check")).args(options.in_place.then_some("--in-place"));
        let mut child =
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("no worker could be started")?;
        let input = Input(Arc::new(Mutex::new(child.stdin.take())));
        let events = child.stdout.take().context("a worker's standard output is not connected")?;
        Ok(Self { child, input, events: BufReader::new(events).lines() })
    }

    /// Its standard input, to make it stop.
    pub fn input(&self) -> Input {
        self.input.clone()
    }

    /// Executes a notebook, and tells before each cell how many it has executed and the cell's first line.
    ///
    /// # Errors
    /// If the worker ends before the notebook does.
    pub fn execute(&mut self, notebook: &Path, mut tell: impl FnMut(usize, String)) -> Result<report::Notebook> {
        self.input.write(notebook.to_str().with_context(|| format!("the path {} is not UTF-8", notebook.display()))?);
        while let Some(line) = self.events.next().transpose()? {
            match serde_json::from_str(&line).with_context(|| format!("a worker said {line:?}"))? {
                Event::Cell { executed, first_line } => tell(executed, first_line),
                Event::Done(report) => return Ok(report),
            }
        }
        bail!("the process that executed it ended early ({})", self.child.wait()?)
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Result<()> {
        self.input.close();
        self.child.wait()?;
        Ok(())
    }
}

/// Is a worker.
pub fn serve(options: &Options) -> Result<()> {
    let Some(instance) = Instance::entered() else {
        // The same work goes on in a process with the kernel's environment.
        return Instance::of_prepared()?.enter(std::env::args_os().skip(1), &[]);
    };
    let paths = listen();
    let mut kernel = Kernel::start(instance)?;
    for path in paths {
        let report = execute(&mut kernel, &Notebook::read(&path)?, options)?;
        tell(&Event::Done(report))?;
    }
    kernel.end();
    Ok(())
}

fn tell(event: &Event) -> Result<()> {
    say(&serde_json::to_string(event)?);
    Ok(())
}

/// The paths on standard input. Where it ends, so does what the worker does at that moment: the run has gone.
fn listen() -> Receiver<PathBuf> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for path in std::io::stdin().lines().map_while(std::io::Result::ok) {
            if sender.send(path.into()).is_err() {
                break;
            }
        }
        interrupt::request();
    });
    receiver
}

/// Executes one notebook.
fn execute(kernel: &mut Kernel, saved: &Notebook, options: &Options) -> Result<report::Notebook> {
    let begun = Instant::now();
    let mut executed = saved.clone();
    executed.clear_outputs();
    let cells: Vec<CodeCell> = saved.code_cells().collect();
    let (mut reports, mut problems) = (Vec::new(), Vec::new());
    kernel.clear(saved.folder())?;
    for (count, cell) in cells.iter().enumerate() {
        tell(&Event::Cell { executed: count, first_line: cell.first_line().to_owned() })?;
        let execution = kernel.execute(&cell.source, Duration::from_secs(options.timeout));
        let (checks, mut wrong) = judge(cell, &execution);
        executed.record(cell.index, count + 1, &execution, &checks)?;
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
    let seconds = begun.elapsed().as_secs_f64();
    let mut report =
        report::Notebook { path: saved.path.clone(), seconds, code_cells: cells.len(), cells: reports, problems };
    // A full disk is this notebook's problem; the others and the report go on.
    if report.cells.len() == report.code_cells {
        executed.mark_executed();
    }
    if let Err(error) = keep(&executed, &report, options) {
        report.problems.push(Problem::overall(format!("{error:#}")));
    }
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
        wrong.push(format!("a check does not stand: {}", check.line));
    }
    // Where the kernel cannot show a value because it moves a variable, it prints it as for debugging.
    let text = execution.display.get("text/plain").into_iter().chain(&execution.stdout);
    if text.into_iter().any(|text| text.starts_with("Figure {")) {
        wrong.push(
            "a figure is printed instead of shown: the last expression moves a variable; clone it there".to_owned(),
        );
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
    let checks: Vec<&Check> = cells.iter().flat_map(|cell| &cell.checks).collect();
    let made: Vec<String> = checks.iter().map(|check| check.id()).collect();
    let mut messages = claims::doubles(&[Checked { notebook: saved.name(), checks }]);
    if cells.len() < code_cells {
        messages.push(format!("{} of its cells were not executed", code_cells - cells.len()));
    } else {
        // Whoever saves in place means to change the notebook.
        let gone =
            saved.saved_checks().iter().map(Check::id).filter(|id| !in_place && !made.contains(id)).collect::<Vec<_>>();
        messages.extend(
            gone.iter().map(|id| format!("the check {id:?} was made when the notebook was saved, but not in this run")),
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

/// Where the executed copy of a notebook goes.
pub fn copy_of(notebook: &Notebook) -> Result<PathBuf> {
    Ok(project::target_dir()?.join("notebooks").join(notebook.path.file_name().unwrap_or_default()))
}

/// Saves the executed copy, and the notebook itself if that was asked for and it succeeded.
fn keep(executed: &Notebook, report: &report::Notebook, options: &Options) -> Result<()> {
    let copy = copy_of(executed)?;
    std::fs::create_dir_all(copy.parent().unwrap_or(&copy))?;
    executed.write(&copy)?;
    if options.in_place && report.succeeded() {
        executed.save()?;
    }
    Ok(())
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
