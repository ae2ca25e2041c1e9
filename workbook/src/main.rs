//! The program of the workbook: executes the notebooks, counts their checks and says whether they stand.

mod cli;
mod compare;
mod interrupt;
mod kernel;
mod notebook;
mod project;
mod report;
mod run;
mod terminal;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The same binary is started again as the process that runs the cells; control does not return from here then.
    evcxr::runtime_hook();
    interrupt::install();
    let arguments = cli::Cli::parse();
    match run::run(&arguments.options()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<cli::Usage>() { 2 } else { 1 })
        }
    }
}
