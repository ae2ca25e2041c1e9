//! The program of the workbook: executes the notebooks, counts their checks and says whether they stand; is the notebooks' kernel.

mod book;
mod cargo;
mod cell;
mod claims;
mod cli;
mod compare;
mod instance;
mod interrupt;
mod jupyter;
mod kernel;
mod lab;
mod new;
mod notebook;
mod project;
mod rebuild;
mod report;
mod run;
mod terminal;
mod worker;

use clap::Parser;
use cli::{Cli, Command, Kernel};
use std::process::ExitCode;

fn main() -> ExitCode {
    // The same binary is started again under another name, and as the process that runs the cells.
    if cargo::is_called() {
        return cargo::stand_in();
    }
    jupyter::prepare_cells();
    evcxr::runtime_hook();
    let done = if jupyter::is_kernel() { jupyter::serve().map(|()| true) } else { obey(Cli::parse()) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<cli::Usage>() { 2 } else { 1 })
        }
    }
}

/// Does what the command line asks for; false if a notebook does not stand.
fn obey(arguments: Cli) -> anyhow::Result<bool> {
    interrupt::install();
    match arguments.command() {
        Command::Run(options) if options.worker => worker::serve(&options)?,
        Command::Run(options) => return run::run(&options),
        Command::Book => run::book()?,
        Command::New { name } => new::notebook(&name)?,
        Command::Kernel(Kernel::Install { prefix }) => jupyter::install(prefix.as_deref())?,
        Command::Kernel(Kernel::Uninstall { prefix }) => jupyter::uninstall(prefix.as_deref())?,
        Command::Kernel(Kernel::Start { connection }) => jupyter::start(&connection)?,
        Command::Lab { arguments } => lab::start(&arguments)?,
    }
    Ok(true)
}
