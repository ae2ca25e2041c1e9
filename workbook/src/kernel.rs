//! The kernel: evcxr inside this program, its dependencies built beforehand, one cell at a time.
//!
//! evcxr compiles each cell as a crate of its own in one directory. Here that directory is kept between runs, under Cargo's
//! target directory, and is prepared with the project's lock file and build profile, so that a cell's build finds everything done.

use crate::terminal::say;
use crate::{interrupt, project};
use anyhow::{Context, Result, bail};
use crossbeam_channel::Receiver;
use evcxr::{CommandContext, EvalContext, EvalContextOutputs};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The directory of the kernel, prepared and locked.
pub struct Prepared {
    dir: PathBuf,
    /// Held for as long as the directory is in use: two kernels in one directory would corrupt each other.
    _lock: File,
}

impl Prepared {
    /// Lays out the directory and builds all that the notebooks' cells depend on.
    pub fn new() -> Result<Self> {
        if cfg!(windows) {
            bail!(
                "the notebooks do not run on Windows: the shared library that their cells link to exceeds what a DLL can export. \
                 Use the Windows Subsystem for Linux; the library itself works (cargo test -p generative-models)"
            );
        }
        let dir = project::target_dir()?.join("kernel");
        if dir.to_str().is_none_or(|dir| dir.contains(char::is_whitespace)) {
            bail!(
                "evcxr cannot work below {}: the path has a space or is not UTF-8; set CARGO_TARGET_DIR to another folder",
                dir.display()
            );
        }
        fs::create_dir_all(dir.join("ctx/src")).with_context(|| format!("{} could not be made", dir.display()))?;
        let lock = lock(&dir)?;
        let prepared = Self { dir, _lock: lock };
        prepared.lay_out()?;
        standard_library_source()?;
        prepared.build()?;
        Ok(prepared)
    }

    /// The directory in which evcxr compiles.
    fn compile_dir(&self) -> PathBuf {
        self.dir.join("ctx")
    }

    fn report_file(&self) -> PathBuf {
        self.dir.join("checks.jsonl")
    }

    fn lay_out(&self) -> Result<()> {
        fs::create_dir_all(self.dir.join(".cargo"))?;
        write_if_changed(&self.dir.join(".cargo/config.toml"), &profile()?)?;
        // A panic ends the process that runs the cells, so that the cell fails; evcxr would otherwise report success.
        let settings =
            format!("[evcxr]\ntmpdir = {}\npreserve_vars_on_panic = false\n", toml_path(&self.compile_dir())?);
        write_if_changed(&self.dir.join("evcxr.toml"), &settings)
    }

    /// evcxr forgets the lock file's entries whenever it compiles without dependencies, so it is put back before each use.
    fn restore_lock_file(&self) -> Result<()> {
        let lock = fs::read(project::root().join("Cargo.lock")).context("Cargo.lock cannot be read")?;
        fs::write(self.compile_dir().join("Cargo.lock"), lock).context("the kernel's Cargo.lock cannot be written")
    }

    /// Builds the library and its dependencies with the very settings of evcxr's own builds, which then find them fresh.
    fn build(&self) -> Result<()> {
        let dir = self.compile_dir();
        let manifest = format!(
            "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
             [profile.dev]\nopt-level = 2\ndebug = false\nstrip = \"debuginfo\"\nrpath = true\nlto = false\n\
             debug-assertions = true\ncodegen-units = 16\npanic = 'unwind'\nincremental = true\noverflow-checks = true\n\n\
             [dependencies]\ngenerative-models = {{ path = {} }}\n",
            toml_path(project::root())?
        );
        fs::write(dir.join("Cargo.toml"), manifest)?;
        fs::write(dir.join("src/lib.rs"), "")?;
        self.restore_lock_file()?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(&dir)
            .args(["build", "--target", &host()?])
            .env("CARGO_TARGET_DIR", "target")
            .env("CARGO_BUILD_BUILD_DIR", "target")
            .env("RUSTFLAGS", "-Cprefer-dynamic");
        with_progress(cargo, "Building the notebooks' dependencies")
    }
}

/// Waits for the directory if another run of this program uses it.
fn lock(dir: &Path) -> Result<File> {
    let file = File::create(dir.join("lock")).context("the kernel's lock cannot be made")?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).context("the kernel's folder cannot be locked"),
            Err(TryLockError::WouldBlock) if interrupt::requested() => bail!("interrupted"),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    say(&format!("Another run uses the kernel in {}; waiting for it to end.", dir.display()));
                    told = true;
                }
                std::thread::sleep(TICK);
            }
        }
    }
}

fn toml_path(path: &Path) -> Result<String> {
    let path = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(toml::Value::from(path).to_string())
}

/// The build profile of the project's dependencies, as a Cargo configuration.
fn profile() -> Result<String> {
    let path = project::root().join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(&path)?.parse().with_context(|| path.display().to_string())?;
    let packages = manifest.get("profile").and_then(|p| p.get("dev")).and_then(|p| p.get("package"));
    let packages = packages.context("Cargo.toml has no [profile.dev.package] tables")?.clone();
    let dev = toml::Table::from_iter([("package".to_owned(), packages)]);
    let profile = toml::Table::from_iter([("dev".to_owned(), dev.into())]);
    Ok(toml::to_string(&toml::Table::from_iter([("profile".to_owned(), profile.into())]))?)
}

fn write_if_changed(path: &Path, contents: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    fs::write(path, contents).with_context(|| format!("{} cannot be written", path.display()))
}

fn rustc(argument: &[&str]) -> Result<String> {
    let output =
        Command::new("rustc").args(argument).output().context("rustc cannot be started; is it on the PATH?")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn host() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for which machine it compiles")?.to_owned())
}

/// Where cells find the standard library's shared object: the relative path that the linker wrote into them is off by one
/// folder, as evcxr moves what it compiled. `cargo run` adds the target directory to this list, whose shared object of the
/// library is built with other flags and must not be found before the kernel's.
fn library_path() -> Result<(&'static str, OsString)> {
    let variable = if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let (ours, target) = (PathBuf::from(rustc(&["--print", "target-libdir"])?), project::target_dir()?);
    let others = std::env::var_os(variable).unwrap_or_default();
    let others = std::env::split_paths(&others).filter(|path| path.is_absolute() && !path.starts_with(&target));
    Ok((variable, std::env::join_paths(std::iter::once(ours).chain(others))?))
}

/// Type inference in the notebooks reads the standard library's source. Without it cells still run, with types written out.
fn standard_library_source() -> Result<()> {
    if Path::new(&rustc(&["--print", "sysroot"])?).join("lib/rustlib/src/rust/library/std").exists() {
        return Ok(());
    }
    say("Adding the standard library's source (rustup component add rust-src) …");
    let added = Command::new("rustup").args(["component", "add", "rust-src"]).output();
    if !added.is_ok_and(|output| output.status.success()) {
        say(
            "It could not be added. Without it, variables whose types come from the standard library need written types; a \
             cell says so. Your system may have a package for it, often called rust-src.",
        );
    }
    Ok(())
}

/// Runs Cargo behind a progress bar; its words are shown only if it fails.
fn with_progress(mut cargo: Command, what: &str) -> Result<()> {
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "120");
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = child.stderr.take().context("Cargo's standard error is not connected")?;
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} crates, {elapsed} {wide_msg}")?;
    let bar = ProgressBar::new(0).with_style(style).with_prefix(what.to_owned());
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let read = stderr.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if interrupt::requested() {
            // It may have ended by itself this very moment.
            let _ = child.kill();
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if let Some((done, all, current)) = text.rsplit(['\r', '\n']).find_map(progress) {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(current.to_owned());
        }
    }
    let status = child.wait()?;
    bar.finish_and_clear();
    if interrupt::requested() {
        bail!("interrupted");
    }
    if !status.success() {
        let said: Vec<&str> = text.split(['\r', '\n']).filter(|line| progress(line).is_none()).collect();
        bail!("{what} failed:\n{}", said.join("\n").trim());
    }
    Ok(())
}

/// Reads a line of Cargo's such as `Building [==>  ] 34/188: polars-core, rayon`.
fn progress(line: &str) -> Option<(u64, u64, &str)> {
    let (counts, current) = line.split_once("] ")?.1.split_once(':')?;
    let (done, all) = counts.split_once('/')?;
    Some((done.trim().parse().ok()?, all.trim().parse().ok()?, current.trim()))
}

/// A running kernel.
pub struct Kernel {
    prepared: Prepared,
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
    /// Starts the kernel in its prepared directory.
    pub fn start(prepared: Prepared) -> Result<Self> {
        File::create(prepared.report_file()).context("the file for the checks' reports cannot be made")?;
        let mut cells = Command::new(std::env::current_exe()?);
        cells.env(REPORT_VARIABLE, prepared.report_file());
        let (variable, path) = library_path()?;
        cells.env(variable, path);
        // evcxr reads its settings from the working directory.
        std::env::set_current_dir(&prepared.dir)?;
        let (context, outputs) = EvalContext::with_subprocess_command(cells).map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Self { prepared, context: CommandContext::with_eval_context(context), outputs, reports_read: 0 })
    }

    /// Forgets all variables, definitions and settings, and makes `dir` the working directory of the cells to come. What the
    /// cells before left unsaid is returned.
    pub fn clear(&mut self, dir: &Path) -> Result<Vec<String>> {
        std::env::set_current_dir(dir).with_context(|| format!("{} is not a folder to work in", dir.display()))?;
        self.prepared.restore_lock_file()?;
        let mut last = self.command(":clear")?;
        self.context.reset_config();
        // Another linker would mean other flags, and all dependencies built anew.
        self.command(":linker system")?;
        if !last.reports.is_empty() {
            last.stderr.push("a check reported after its cell had ended".to_owned());
        }
        Ok(last.stderr)
    }

    fn command(&mut self, command: &str) -> Result<Execution> {
        let execution = self.evaluate(command, Duration::from_secs(60), LAST_GRACE);
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
        let (finished, child) = (AtomicBool::new(false), self.context.process_handle());
        let (outputs, context) = (&self.outputs, &mut self.context);
        let (result, killed, stdout, stderr) = std::thread::scope(|scope| {
            let stdout = scope.spawn(|| collect(&outputs.stdout, &finished, Duration::ZERO));
            let stderr = scope.spawn(|| collect(&outputs.stderr, &finished, grace));
            let watch = scope.spawn(|| watch(&child, &finished, limit));
            // If evcxr itself panics, the other threads must still be told to end.
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| context.execute(code)))
                .unwrap_or_else(|_| Err("the kernel panicked".to_owned().into()));
            finished.store(true, Ordering::SeqCst);
            // The threads neither panic nor outlive the cell.
            (
                result,
                watch.join().unwrap_or_default(),
                stdout.join().unwrap_or_default(),
                stderr.join().unwrap_or_default(),
            )
        });
        let seconds = begun.elapsed().as_secs_f64();
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
        let text = fs::read_to_string(self.prepared.report_file())?;
        let reports: Vec<&str> = text.lines().collect();
        let new = reports.get(self.reports_read..).ok_or_else(|| std::io::Error::other("some are gone"))?;
        self.reports_read = reports.len();
        Ok(new.iter().map(|&report| report.to_owned()).collect())
    }
}

/// Takes what arrives until the cell has finished and nothing has come for `grace`.
fn collect(lines: &Receiver<String>, finished: &AtomicBool, grace: Duration) -> Vec<String> {
    let mut collected = Vec::new();
    loop {
        let last_round = finished.load(Ordering::SeqCst);
        let wait = if last_round { grace } else { TICK };
        let before = collected.len();
        while let Ok(line) = lines.recv_timeout(wait) {
            collected.push(line);
        }
        if last_round && collected.len() == before {
            return collected;
        }
    }
}

/// Kills the process that runs the cell once `limit` is over or the user interrupts.
fn watch(child: &Arc<Mutex<Child>>, finished: &AtomicBool, limit: Duration) -> Option<Killed> {
    let begun = Instant::now();
    let (mut killed, mut since) = (None, begun);
    while !finished.load(Ordering::SeqCst) {
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
        std::thread::sleep(Duration::from_millis(5));
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
    fn cargos_progress_is_read() {
        let line = "    Building [====>                ] 34/188: polars-core, rayon(build)";
        assert_eq!(progress(line), Some((34, 188, "polars-core, rayon(build)")));
        assert_eq!(progress("   Compiling serde v1.0"), None);
        assert_eq!(progress("error[E0432]: unresolved import"), None);
    }

    #[test]
    fn a_panic_is_cut_to_its_message() {
        let stderr =
            ["", "thread 'main' (42) panicked at src/lib.rs:140:1:", "one is not two", "stack backtrace:", "   0: 0x1"];
        assert_eq!(readable(stderr.map(str::to_owned).to_vec()), ["panicked:", "one is not two"]);
    }

    #[test]
    fn the_profile_of_the_dependencies_is_handed_on() {
        let profile: toml::Table = profile().unwrap().parse().unwrap();
        let package = &profile["profile"]["dev"]["package"];
        assert_eq!(package["*"]["overflow-checks"].as_bool(), Some(false));
        assert!(profile["profile"]["dev"].get("opt-level").is_none());
    }
}
