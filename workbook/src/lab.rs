//! `workbook lab`: JupyterLab with our kernel, on the notebooks.

use crate::terminal::{say, wait_for};
use crate::{instance, jupyter, project};
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is installed where there is no JupyterLab: versions that were tried.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Starts JupyterLab in place of this process, with further arguments for it.
pub fn start(arguments: &[OsString]) -> Result<()> {
    let jupyter = find()?;
    if !instance::is_prepared() {
        say("This first time the notebooks' dependencies are compiled: about 10 minutes on two cores.");
    }
    instance::prepare(true)?;
    // A folder of our own, so that nothing is left among the user's.
    let data = project::target_dir()?.join("jupyter/share/jupyter");
    jupyter::write_spec(&data.join("kernels"))?;
    let others = std::env::var_os("JUPYTER_PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(data).chain(std::env::split_paths(&others)))?;
    let mut lab = Command::new(&jupyter);
    lab.arg("lab").args(arguments).current_dir(project::root().join("notebooks")).env("JUPYTER_PATH", path);
    instance::replace_process(lab, None).with_context(|| format!("{} lab", jupyter.display()))
}

/// The `jupyter` on the PATH if it has a lab, or else one of our own below the target directory.
fn find() -> Result<PathBuf> {
    if succeeds("jupyter", &["lab", "--version"]) {
        return Ok("jupyter".into());
    }
    let folder = project::target_dir()?.join("jupyter/venv");
    let (jupyter, complete) = (folder.join("bin/jupyter"), folder.join("requirements.txt"));
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(jupyter);
    }
    let Some(python) = ["python3", "python"].into_iter().find(|python| is_recent(python)) else {
        bail!(
            "there is no JupyterLab on the PATH, and no Python 3.11 or newer to install it with. Install either, and try \
             again; or run `workbook kernel install` and open the notebooks in an editor that speaks Jupyter, such as VS Code"
        );
    };
    say(&format!("There is no JupyterLab on the PATH: installing one into {} (250 MB).", folder.display()));
    // Of an installation that was broken off, nothing is of use.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    let mut make = Command::new(python);
    make.args(["-m", "venv"]).arg(&folder);
    wait_for(make, "Making a Python environment (on Debian and Ubuntu this needs the package python3-venv)")?;
    let requirements = folder.join("wanted.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    wait_for(install, "Installing JupyterLab")?;
    fs::rename(requirements, complete)?;
    Ok(jupyter)
}

fn is_recent(python: &str) -> bool {
    succeeds(python, &["-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
}

fn succeeds(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
