//! The command line.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

/// Works through the notebooks and holds every closed form against its independent check.
///
/// Without a command it does what `workbook run` does: executes every notebook, reports the checks and gives one verdict.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 if all cells ran and all checks stand, 1 if not, 2 for a wrong command line \
    or a file that is no notebook."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Execute notebooks, each from a cleared state
    Run(Run),
    /// Make the book of the notebooks as they are in their files, without executing them
    Book,
    /// Make a notebook to begin with, with a first check
    New {
        /// Its name, such as 19-my-model
        name: String,
    },
    /// Open the notebooks in JupyterLab (installed below the target directory if there is none)
    Lab {
        /// Arguments for JupyterLab, such as --no-browser
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// The kernel for Jupyter, "Generative Models (Rust)"
    #[command(subcommand)]
    Kernel(Kernel),
}

#[derive(Subcommand)]
pub enum Kernel {
    /// Make the kernel known to Jupyter, for your user
    Install {
        /// Install into the Python environment in this folder instead
        #[arg(long, value_name = "FOLDER")]
        prefix: Option<PathBuf>,
    },
    /// Remove what `install` wrote
    Uninstall {
        /// Remove it from the Python environment in this folder instead
        #[arg(long, value_name = "FOLDER")]
        prefix: Option<PathBuf>,
    },
    /// Be a kernel (Jupyter calls this)
    #[command(hide = true)]
    Start { connection: PathBuf },
}

/// The options of `workbook run`.
#[derive(Args, Default)]
pub struct Run {
    /// The notebooks to execute [default: all in notebooks/]
    #[arg(value_name = "NOTEBOOK")]
    pub notebooks: Vec<PathBuf>,
    /// Save the outputs of each notebook that succeeds into its file
    #[arg(long, conflicts_with = "check")]
    pub in_place: bool,
    /// Compare the outputs with those in the files; print the differences and fail if there are any
    #[arg(long)]
    pub check: bool,
    /// The longest that one cell may take
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How many notebooks to execute at once; each takes .8 GB of memory [default: one per processor, at most 4]
    #[arg(long, value_name = "NUMBER")]
    pub jobs: Option<NonZero<usize>>,
    /// Write a structured report of the run
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Be a worker of a run (the run calls this)
    #[arg(long, hide = true)]
    pub worker: bool,
}

const DEFAULT_TIMEOUT: u64 = 600;

impl Cli {
    /// The command that was given, or else `run`.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Run(Run { timeout: DEFAULT_TIMEOUT, ..Run::default() }))
    }
}

/// An error of whoever called the program, not of a notebook: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
