//! The kernel of a run: evcxr inside this program, one cell at a time.

use crate::instance::Instance;
use crate::interrupt;
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, select};
use evcxr::{CommandContext, EvalContext, EvalContextOutputs};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Must be the library's `check::REPORT_VARIABLE`.
const REPORT_VARIABLE: &str = "GENERATIVE_MODELS_REPORT";

/// How long text on standard error may lag behind the end of its cell: it comes through a pipe of its own.
const GRACE: Duration = Duration::from_millis(30);

/// The same at the end of a process, where nothing may be lost and nobody is kept waiting.
const LAST_GRACE: Duration = Duration::from_millis(250);

/// How long a killed process may take to let go of its pipes.
const STUBBORN: Duration = Duration::from_secs(60);

/// What a cell may not ask of the kernel: the run would end, or a panic would pass for success.
const FORBIDDEN: [&str; 2] = [":quit", ":preserve_vars_on_panic"];

/// How often a waiting thread looks up.
const TICK: Duration = Duration::from_millis(20);

/// A running kernel.
pub struct Kernel {
    instance: Instance,
    context: CommandContext,
    outputs: EvalContextOutputs,
    reports_read: usize,
}

/// What came of one cell.
#[derive(Debug, Default)]
pub struct Execution {
    /// The lines on standard output.
    pub stdout: Vec<String>,
    /// The lines on standard error.
    pub stderr: Vec<String>,
    /// What the cell displayed, by MIME type.
    pub display: BTreeMap<String, String>,
    /// The reports that the cell's checks wrote, as JSON.
    pub reports: Vec<String>,
    /// Why the cell failed, as its author would read it.
    pub error: Option<String>,
    /// Whether it did not end by itself, so that it cannot have failed as intended.
    pub stopped: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Why the process that runs the cells was killed.
#[derive(Clone, Copy, PartialEq)]
enum Killed {
    Timeout,
    Interrupt,
}

impl Kernel {
    /// Starts the kernel in its directory.
    pub fn start(instance: Instance) -> Result<Self> {
        File::create(instance.report_file()).context("the file for the checks' reports cannot be made")?;
        let mut cells = Command::new(std::env::current_exe()?);
        cells.env(REPORT_VARIABLE, instance.report_file());
        // Of two files with evcxr's settings, the one in the working directory counts.
        std::env::set_current_dir(instance.dir())?;
        let (context, outputs) = EvalContext::with_subprocess_command(cells).map_err(|e| anyhow::anyhow!("{e}"))?;
        let context = CommandContext::with_eval_context(context);
        Ok(Self { instance, context, outputs, reports_read: 0 })
    }

    /// Forgets all variables, definitions and settings, and makes `dir` the working directory of the cells to come. What the
    /// cells before left unsaid is returned.
    pub fn clear(&mut self, dir: &Path) -> Result<Vec<String>> {
        std::env::set_current_dir(dir).with_context(|| format!("{} is not a folder to work in", dir.display()))?;
        let mut last = self.command(":clear", LAST_GRACE)?;
        self.context.reset_config();
        self.command(":load_config --quiet", Duration::ZERO)?;
        if !last.reports.is_empty() {
            last.stderr.push("a check reported after its cell had ended".to_owned());
        }
        Ok(last.stderr)
    }

    /// Ends the process of the cells and removes the kernel's directory.
    pub fn end(self) {
        drop((self.context, self.outputs));
        self.instance.remove();
    }

    fn command(&mut self, command: &str, grace: Duration) -> Result<Execution> {
        let execution = self.evaluate(command, Duration::from_secs(60), grace);
        match execution.error {
            Some(error) if !interrupt::requested() => bail!("the kernel does not take {command}: {error}"),
            _ => Ok(execution),
        }
    }

    /// Runs one cell, for at most `limit`.
    pub fn execute(&mut self, code: &str, limit: Duration) -> Execution {
        let forbidden = |line: &str| FORBIDDEN.into_iter().find(|command| line.trim_start().starts_with(command));
        if let Some(command) = code.lines().find_map(forbidden) {
            let error = format!("the cell uses {command}, with which a run could not be trusted; remove it");
            return Execution { error: Some(error), stopped: true, ..Execution::default() };
        }
        self.evaluate(code, limit, GRACE)
    }

    fn evaluate(&mut self, code: &str, limit: Duration, grace: Duration) -> Execution {
        let begun = Instant::now();
        let (running, finished) = bounded::<()>(0);
        let child = self.context.process_handle();
        let (outputs, context) = (&self.outputs, &mut self.context);
        let (result, seconds, killed, stdout, stderr) = std::thread::scope(|scope| {
            let stdout = scope.spawn(|| collect(&outputs.stdout, &finished, Duration::ZERO));
            let stderr = scope.spawn(|| collect(&outputs.stderr, &finished, grace));
            let watch = scope.spawn(|| watch(&child, &finished, limit));
            // If evcxr itself panics, the other threads must still be told to end.
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| context.execute(code)))
                .unwrap_or_else(|_| Err("the kernel panicked".to_owned().into()));
            // Nobody who reads a notebook waits for what may still come on standard error.
            let seconds = begun.elapsed().as_secs_f64();
            drop(running);
            // The threads neither panic nor outlive the cell.
            (
                result,
                seconds,
                watch.join().unwrap_or_default(),
                stdout.join().unwrap_or_default(),
                stderr.join().unwrap_or_default(),
            )
        });
        let (display, failure) = match result {
            Ok(outputs) => (outputs.content_by_mime_type.into_iter().collect(), None),
            Err(error) => (BTreeMap::new(), Some(describe(&error, code))),
        };
        let mut error = match killed {
            Some(Killed::Timeout) => {
                Some(format!("the cell ran for longer than {} s and was stopped", limit.as_secs()))
            }
            Some(Killed::Interrupt) => Some("interrupted".to_owned()),
            // Ctrl-C in a terminal reaches the cell's process, too.
            None if failure.is_some() && interrupt::requested() => Some("interrupted".to_owned()),
            None => failure,
        };
        let mut stopped = killed.is_some() || interrupt::requested();
        let reports = self.new_reports().unwrap_or_else(|problem| {
            error = Some(format!("the checks' reports cannot be read: {problem}"));
            stopped = true;
            Vec::new()
        });
        Execution { stdout, stderr: readable(stderr), display, reports, error, stopped, seconds }
    }

    /// The reports since the last call.
    fn new_reports(&mut self) -> std::io::Result<Vec<String>> {
        let text = fs::read_to_string(self.instance.report_file())?;
        let reports: Vec<&str> = text.lines().collect();
        let new = reports.get(self.reports_read..).ok_or_else(|| std::io::Error::other("some are gone"))?;
        self.reports_read = reports.len();
        Ok(new.iter().map(|&report| report.to_owned()).collect())
    }
}

/// Takes what arrives until the cell has finished and nothing has come for `grace`.
fn collect(lines: &Receiver<String>, finished: &Receiver<()>, grace: Duration) -> Vec<String> {
    let mut collected = Vec::new();
    loop {
        select! {
            recv(lines) -> line => match line {
                Ok(line) => collected.push(line),
                Err(_) => break,
            },
            recv(finished) -> _ => break,
        }
    }
    while let Ok(line) = lines.recv_timeout(grace) {
        collected.push(line);
    }
    collected
}

/// Kills the process that runs the cell once `limit` is over or the user interrupts.
fn watch(child: &Arc<Mutex<Child>>, finished: &Receiver<()>, limit: Duration) -> Option<Killed> {
    let begun = Instant::now();
    let (mut killed, mut since) = (None, begun);
    while finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if killed.is_some() && since.elapsed() > STUBBORN {
            // A command of the cell's own holds its pipes open, and no safe call frees this program from waiting for them.
            eprintln!("error: the cell cannot be stopped; a process that it started is still running");
            std::process::exit(1);
        }
        if killed.is_none() {
            since = Instant::now();
            killed = if interrupt::requested() {
                Some(Killed::Interrupt)
            } else if begun.elapsed() > limit {
                Some(Killed::Timeout)
            } else {
                None
            };
            if killed.is_some()
                && let Ok(mut child) = child.lock()
            {
                // It may have ended by itself this very moment.
                let _ = child.kill();
            }
        }
    }
    killed
}

/// What an author needs of a panic is its message: its place is in a file that evcxr generates, and its backtrace in this program.
fn readable(stderr: Vec<String>) -> Vec<String> {
    let message = |line: String| {
        if line.starts_with("thread '") && line.contains(" panicked at ") { "panicked:".to_owned() } else { line }
    };
    let Some(backtrace) = stderr.iter().position(|line| line == "stack backtrace:").filter(|&place| place > 1) else {
        return stderr;
    };
    stderr.into_iter().take(backtrace).skip_while(String::is_empty).map(message).collect()
}

/// An error with the author's own lines: evcxr's rendering shows those of the crate that it generates around a cell.
fn describe(error: &evcxr::Error, code: &str) -> String {
    let evcxr::Error::CompilationErrors(errors) = error else {
        return error.to_string();
    };
    let mut text = Vec::new();
    // A "failure-note" only names the errors again.
    for error in errors.iter().filter(|error| error.level() != "failure-note") {
        let number = error.code().map(|code| format!("[{code}]")).unwrap_or_default();
        text.push(format!("{}{number}: {}", error.level(), error.message()));
        for message in error.spanned_messages() {
            let Some(span) = message.span else { continue };
            let line = code.lines().nth(span.start_line.saturating_sub(1)).unwrap_or_default();
            let width =
                if span.end_line == span.start_line { span.end_column.saturating_sub(span.start_column) } else { 1 };
            let mark = format!("{}{}", " ".repeat(span.start_column.saturating_sub(1)), "^".repeat(width.max(1)));
            text.push(
                format!("{:>4} | {line}\n     | {mark} {}", span.start_line, message.label).trim_end().to_owned(),
            );
        }
        text.extend(error.help().into_iter().map(|help| format!("help: {help}")));
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_cut_to_its_message() {
        let stderr =
            ["", "thread 'main' (42) panicked at src/lib.rs:140:1:", "one is not two", "stack backtrace:", "   0: 0x1"];
        assert_eq!(readable(stderr.map(str::to_owned).to_vec()), ["panicked:", "one is not two"]);
    }
}
