//! Interrupts: Ctrl-C in a terminal, the square button in JupyterLab.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What an interrupted process returns to its parent.
const STATUS: i32 = 130;

/// Sets the flag that the program looks at wherever it waits, on Ctrl-C and on the signals that ask a program to end; a second
/// one ends it at once.
pub fn install() {
    on(&[SIGINT, SIGTERM, SIGHUP], || {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(STATUS);
        }
    });
}

/// Whether the user asked the program to stop.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// In a Jupyter kernel: an interrupt does not end it, but the process that runs the cells, whose number is in a file. Some front
/// ends interrupt the whole group of processes, others only this one.
pub fn forward(cells: PathBuf) {
    on(&[SIGINT], move || {
        let number = std::fs::read_to_string(&cells).ok().and_then(|number| number.parse().ok());
        if let Some(process) = number.and_then(rustix::process::Pid::from_raw) {
            // It may just have ended.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::INT);
        }
    });
}

/// In the process that runs the cells of a Jupyter kernel: an interrupt ends it, and it says what that means.
pub fn end_cells() {
    on(&[SIGINT], || {
        eprintln!(
            "Interrupted. The variables are lost: run the cells that make them again. \
             Functions, types, imports and dependencies are kept."
        );
        // The cell's own code may keep an orderly exit from ending.
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        });
        std::process::exit(STATUS);
    });
}

/// Calls `action` in a thread of its own on each of the signals.
fn on(signals: &[i32], mut action: impl FnMut() + Send + 'static) {
    match Signals::new(signals) {
        Ok(mut signals) => {
            std::thread::spawn(move || signals.forever().for_each(|_| action()));
        }
        Err(error) => eprintln!("Interrupts will end the program without saying where it was: {error}"),
    }
}
