//! `workbook run`: the notebooks, several at once.

use crate::claims::Claims;
use crate::cli::{Run as Options, Usage};
use crate::notebook::Notebook;
use crate::report::{self, Problem};
use crate::terminal::say;
use crate::worker::{Input, Worker};
use crate::{book, instance, interrupt, project, worker};
use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many notebooks are executed at once, if nobody says: each kernel takes .8 GB of memory.
const MOST_JOBS: usize = 4;

/// How often a waiting thread looks up.
const TICK: Duration = Duration::from_millis(20);

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
    say(&announcement(&notebooks)?);
    instance::prepare(false)?;
    let reports = execute(&notebooks, options)?;
    let run = report::Run::new(reports, interrupt::requested(), options.notebooks.is_empty(), &claims);
    if let Some(path) = json {
        project::write_atomically(&path, serde_json::to_string_pretty(&run)?.as_bytes())?;
    }
    say(&format!("\n{}", run.summary()));
    if run.succeeded && options.notebooks.is_empty() {
        let executed =
            notebooks.iter().map(|notebook| Notebook::read(&worker::copy_of(notebook)?)).collect::<Result<Vec<_>>>()?;
        write_book(&executed, &claims)?;
    }
    Ok(run.succeeded)
}

/// Makes the book of all notebooks as they are in their files.
pub fn book() -> Result<()> {
    write_book(&find(&[])?, &Claims::read()?)
}

fn write_book(notebooks: &[Notebook], claims: &Claims) -> Result<()> {
    let page =
        book::build(notebooks, claims).context("the book could not be made; what was there before is as it was")?;
    say(&format!("The book is {}.", page.display()));
    Ok(())
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
            let missing = || Usage(format!("there is no notebook {}, here or in {}", path.display(), folder.display()));
            candidates.into_iter().find(|candidate| candidate.is_file()).ok_or_else(missing)
        };
        asked.iter().map(locate).collect::<Result<_, _>>()?
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

/// Executes the notebooks by as many workers as there are jobs. The reports are in the order of the notebooks; those that an interrupt
/// kept from being begun have none.
fn execute(notebooks: &[Notebook], options: &Options) -> Result<Vec<report::Notebook>> {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from).min(MOST_JOBS);
    let jobs = options.jobs.map_or_else(processors, NonZero::get).min(notebooks.len());
    let (queue, reports) = (Mutex::new(notebooks.iter().enumerate()), Mutex::new(Vec::new()));
    let (bars, inputs, finished) = (MultiProgress::new(), Mutex::new(Vec::new()), AtomicBool::new(false));
    let next = || queue.lock().ok().filter(|_| !interrupt::requested())?.next();
    let job = || {
        let mut worker = None;
        while let Some((place, notebook)) = next() {
            let started = || {
                let worker = Worker::start(options)?;
                inputs.lock().expect("no job panics").push(worker.input());
                Ok(worker)
            };
            let report = execute_one(&mut worker, started, notebook, &bars)?;
            bars.suspend(|| say(&line(&report, options.in_place)));
            reports.lock().expect("no job panics").push((place, report));
        }
        worker.map_or(Ok(()), Worker::end)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(Ordering::SeqCst) {
                if interrupt::requested() {
                    inputs.lock().expect("no job panics").iter().for_each(Input::close);
                }
                std::thread::sleep(TICK);
            }
        });
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
        let done = jobs.into_iter().map(|job| job.join().expect("no job panics")).collect::<Result<Vec<()>>>();
        finished.store(true, Ordering::SeqCst);
        done
    })?;
    let mut reports = reports.into_inner().expect("no job panics");
    reports.sort_by_key(|&(place, _)| place);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

/// Executes one notebook by the worker, or by a new one if there is none; one that fails is not kept.
fn execute_one(
    worker: &mut Option<Worker>,
    start: impl FnOnce() -> Result<Worker>,
    notebook: &Notebook,
    bars: &MultiProgress,
) -> Result<report::Notebook> {
    let begun = Instant::now();
    let bar = bars.add(ProgressBar::new(notebook.code_cells().count() as u64));
    bar.set_style(ProgressStyle::with_template("{prefix} [{bar:30}] cell {pos}/{len} {elapsed} {wide_msg}")?);
    bar.set_prefix(notebook.name());
    bar.set_message("the kernel starts");
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut current = match worker.take() {
        Some(worker) => worker,
        None => start()?,
    };
    let tell = |executed, first_line| {
        bar.set_position(executed as u64);
        bar.set_message(first_line);
    };
    let executed = current.execute(&notebook.path, tell);
    bar.finish_and_clear();
    Ok(match executed {
        Ok(report) => {
            *worker = Some(current);
            report
        }
        Err(error) => report::Notebook {
            path: notebook.path.clone(),
            seconds: begun.elapsed().as_secs_f64(),
            code_cells: notebook.code_cells().count(),
            cells: Vec::new(),
            problems: vec![Problem::overall(format!("{error:#}"))],
        },
    })
}

/// One line about a notebook, and its problems below.
fn line(report: &report::Notebook, in_place: bool) -> String {
    let ((checks, stand), name) = (report.counts(), report.name());
    let sign = if report.succeeded() { '✓' } else { '✗' };
    let cells = format!("{} of {} cells", report.cells.len(), report.code_cells);
    let mut lines = vec![format!("{sign} {name}: {cells}, {stand} of {checks} checks stand, {:.1} s", report.seconds)];
    for Problem { cell, first_line, message } in &report.problems {
        let place = match (cell, first_line) {
            (Some(cell), Some(first_line)) => format!("cell {cell} ({}): ", beginning(first_line)),
            _ => String::new(),
        };
        lines.push(format!("  {place}{}", message.replace('\n', "\n    ")));
    }
    if in_place && !report.succeeded() {
        lines.push("  so it is not saved, and its file is as it was".to_owned());
    }
    lines.join("\n")
}

/// So much of a line as tells which it is.
fn beginning(line: &str) -> String {
    const MOST: usize = 60;
    if line.chars().count() <= MOST { line.to_owned() } else { line.chars().take(MOST).chain(['…']).collect() }
}
