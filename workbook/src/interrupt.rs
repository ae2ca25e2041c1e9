//! Ctrl-C: a flag that the program looks at wherever it waits.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Sets the flag on Ctrl-C, and on the signals that ask a program to end; a second one ends it at once.
pub fn install() {
    let installed = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    if let Err(error) = installed {
        eprintln!("Ctrl-C will end the program without saying where it was: {error}");
    }
}

/// Whether the user asked the program to stop.
pub fn requested() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
