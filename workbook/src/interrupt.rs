//! Interrupts: Ctrl-C in a terminal, the square button in JupyterLab.

pub use signals::{end_cells, forward, install};
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the user asked the program to stop.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Stops the program as an interrupt does.
pub fn request() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

#[cfg(unix)]
mod signals {
    use super::INTERRUPTED;
    use rustix::process::{Pid, Signal, getpid, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::path::PathBuf;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    /// How often a kernel looks for an interrupt, and how long a thread needs to come back from one.
    const TICK: Duration = Duration::from_millis(20);

    /// What an interrupted process returns to its parent.
    const STATUS: i32 = 130;

    /// Sets the flag that the program looks at wherever it waits, on Ctrl-C and on the signals that ask a program to end; a
    /// second one ends it at once.
    pub fn install() {
        on(&[SIGINT, SIGTERM, SIGHUP], || {
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(STATUS);
            }
        });
    }

    /// In a Jupyter kernel: an interrupt does not end it, but the process that runs the cells, whose number is in a file. Some
    /// front ends interrupt the whole group of processes, others only this one; so the number that counts is the one from before
    /// the interrupt, not that of the process which may have taken its place since.
    pub fn forward(cells: PathBuf) {
        let read = move || std::fs::read_to_string(&cells).ok()?.parse().ok().and_then(Pid::from_raw);
        let watch = move |mut signals: Signals| {
            let mut process = None;
            loop {
                let now = read();
                if signals.pending().next().is_none() {
                    process = now;
                } else if let Some(process) = process {
                    // It may have ended already.
                    let _ = kill_process(process, Signal::INT);
                }
                std::thread::sleep(TICK);
            }
        };
        listen(&[SIGINT], watch);
    }

    /// In the process that runs the cells of a Jupyter kernel: an interrupt ends it while a cell runs, and it says what that
    /// means.
    pub fn end_cells() {
        on(&[SIGINT], || {
            if waits_for_a_cell() {
                return;
            }
            eprintln!(
                "Interrupted. The variables are lost: run the cells that make them again. \
                 Functions, types, imports and dependencies are kept."
            );
            // The front end drops what comes after the error that the end of this process is.
            std::thread::sleep(Duration::from_millis(100));
            // The cell's own code may keep an orderly exit from ending.
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(500));
                let _ = kill_process(getpid(), Signal::KILL);
            });
            std::process::exit(STATUS);
        });
    }

    /// Whether the main thread reads standard input, from which evcxr's commands come: then a cell is being compiled, the
    /// interrupt is the compiler's, and the variables can stay. Where the system does not tell, they cannot.
    fn waits_for_a_cell() -> bool {
        let read = if cfg!(target_arch = "x86_64") { "0 0x0 " } else { "63 0x0 " };
        let call = format!("/proc/self/task/{}/syscall", std::process::id());
        // The signal may have called the thread away from its reading for a moment.
        (0..10).any(|_| {
            std::thread::sleep(TICK);
            std::fs::read_to_string(&call).is_ok_and(|call| call.starts_with(read))
        })
    }

    /// Calls `action` on each of the signals.
    fn on(signals: &[i32], mut action: impl FnMut() + Send + 'static) {
        listen(signals, move |mut signals| signals.forever().for_each(|_| action()));
    }

    /// Takes the signals in a thread of its own.
    fn listen(signals: &[i32], thread: impl FnOnce(Signals) + Send + 'static) {
        match Signals::new(signals) {
            Ok(signals) => {
                std::thread::spawn(move || thread(signals));
            }
            Err(error) => eprintln!("Interrupts will end the program without saying where it was: {error}"),
        }
    }
}

/// Where the notebooks do not run, an interrupt ends the program as it ends any other.
#[cfg(not(unix))]
mod signals {
    pub fn install() {}

    pub fn forward(_: std::path::PathBuf) {}

    pub fn end_cells() {}
}
