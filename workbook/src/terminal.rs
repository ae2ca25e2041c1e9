//! What the program says.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Prints a line. If nobody reads any more (`workbook | head`), the run and its exit status go on without words.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs a program behind a moving sign; its words are shown only if it fails.
pub fn wait_for(mut program: Command, what: &str) -> Result<()> {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let output = program.stdin(Stdio::null()).output();
    spinner.finish_and_clear();
    let output = output.with_context(|| what.to_owned())?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{what} failed:\n{}", String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}

/// Runs Cargo behind a progress bar; its words are shown only if it fails.
pub fn with_progress(mut cargo: Command, what: &str) -> Result<()> {
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
}
