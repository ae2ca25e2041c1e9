//! The kernel for Jupyter: evcxr's own, in a prepared directory.

use crate::instance::{self, Instance};
use crate::interrupt;
use crate::terminal::say;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The name of our kernel among those that Jupyter knows. evcxr's own is called `rust`.
const NAME: &str = "generative-models";

/// What Jupyter shows.
const DISPLAY_NAME: &str = "Generative Models (Rust)";

const LOGO: &str = include_str!("../assets/logo-svg.svg");

/// Tells the process that runs the cells where to leave its number.
const CELLS: &str = "GENERATIVE_MODELS_CELLS";

/// The option that evcxr's Jupyter kernel takes.
const CONTROL_FILE: &str = "--control_file";

/// Makes our kernel known to Jupyter: for this user, or in the Python environment `prefix`.
pub fn install(prefix: Option<&Path>) -> Result<()> {
    let folder = kernels(prefix)?;
    // What a kernel depends on is built now, where its progress shows and nobody waits in a browser.
    instance::prepare(false)?;
    let spec = write_spec(&folder)?;
    say(&format!(
        "The kernel \"{}\" is installed in {}. It runs the program {}: after moving the project, install it again.",
        DISPLAY_NAME,
        spec.display(),
        std::env::current_exe()?.display()
    ));
    Ok(())
}

/// Removes what [`install`] wrote, and nothing else.
pub fn uninstall(prefix: Option<&Path>) -> Result<()> {
    let spec = kernels(prefix)?.join(NAME);
    match fs::remove_dir_all(&spec) {
        Ok(()) => say(&format!("{} is removed.", spec.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say(&format!("There is no kernel in {}.", spec.display()));
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be removed", spec.display())),
    }
    Ok(())
}

/// Writes the kernel's description below a folder of kernels.
pub fn write_spec(kernels: &Path) -> Result<PathBuf> {
    let (folder, program) = (kernels.join(NAME), std::env::current_exe()?);
    let program = program.to_str().with_context(|| format!("the path {} is not UTF-8", program.display()))?;
    let spec = json!({
        "argv": [program, "kernel", "start", "{connection_file}"],
        "display_name": DISPLAY_NAME,
        "language": "rust",
        "interrupt_mode": "signal",
    });
    let write = || {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("logo-svg.svg"), LOGO)?;
        fs::write(folder.join("kernel.json"), format!("{spec:#}\n"))
    };
    write().with_context(|| format!("the kernel's description cannot be written to {}", folder.display()))?;
    Ok(folder)
}

/// Where Jupyter looks for kernels.
fn kernels(prefix: Option<&Path>) -> Result<PathBuf> {
    if let Some(prefix) = prefix {
        return Ok(prefix.join("share/jupyter/kernels"));
    }
    if let Some(data) = std::env::var_os("JUPYTER_DATA_DIR") {
        return Ok(PathBuf::from(data).join("kernels"));
    }
    let data = dirs::data_dir().context("HOME is not set")?;
    let data = if cfg!(target_os = "macos") { data.with_file_name("Jupyter") } else { data.join("jupyter") };
    Ok(data.join("kernels"))
}

/// Prepares a directory for a kernel that Jupyter starts, then becomes it.
pub fn start(connection: &Path) -> Result<()> {
    check(connection)?;
    let instance = Instance::make(true)?;
    // evcxr's kernel would update one named `rust`, the user's own, where it looks for it.
    let variables = [("JUPYTER_PATH", instance.dir().join("no-kernels")), (CELLS, instance.dir().join("cells.pid"))];
    instance.enter([CONTROL_FILE.as_ref(), connection.as_os_str()], &variables)
}

/// Jupyter writes the addresses and the key; whoever reaches a kernel without a key can run anything.
fn check(connection: &Path) -> Result<()> {
    let text = fs::read_to_string(connection).with_context(|| format!("{} cannot be read", connection.display()))?;
    let description: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no connection file", connection.display()))?;
    let ip = description["ip"].as_str().unwrap_or_default();
    if ip != "localhost" && !ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
        bail!("the kernel listens on this machine alone, and {} asks for the address {ip:?}", connection.display());
    }
    if description["key"].as_str().is_none_or(str::is_empty) {
        bail!("{} has no key, without which anyone on this machine could use the kernel", connection.display());
    }
    Ok(())
}

/// Whether [`start`] made this process.
pub fn is_kernel() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == CONTROL_FILE)
}

/// Is the kernel, until Jupyter ends it.
pub fn serve() -> Result<()> {
    let Some(instance) = Instance::entered() else {
        let connection = std::env::args_os().nth(2).context("the connection file is missing")?;
        return start(Path::new(&connection));
    };
    if let Some(file) = std::env::var_os(CELLS) {
        interrupt::forward(file.into());
    }
    #[cfg(unix)]
    end_with_jupyter();
    let ended = evcxr_jupyter::main();
    instance.remove();
    ended
}

/// Ends this process when the Jupyter that started it has gone without ending it.
#[cfg(unix)]
fn end_with_jupyter() {
    let jupyter = std::os::unix::process::parent_id();
    // Jupyter tells its number; a kernel started in another way lives as long as that wants.
    if std::env::var("JPY_PARENT_PID").is_ok_and(|parent| parent == jupyter.to_string()) {
        std::thread::spawn(move || {
            while std::os::unix::process::parent_id() == jupyter {
                std::thread::sleep(Duration::from_secs(1));
            }
            std::process::exit(0);
        });
    }
}

/// In the process that runs the cells: a panic shows where it was and not the 80 lines of the kernel around it. evcxr asks for them,
/// so the process becomes itself again without that wish.
#[cfg(unix)]
fn without_backtraces() {
    use std::os::unix::process::CommandExt;
    if std::env::var_os("EVCXR_IS_RUNTIME").is_some()
        && std::env::var_os("RUST_BACKTRACE").is_some_and(|wish| wish != "0")
        && let Ok(program) = std::env::current_exe()
    {
        let error = Command::new(program).args(std::env::args_os().skip(1)).env("RUST_BACKTRACE", "0").exec();
        // It goes on as it is.
        eprintln!("panics will be shown at length: {error}");
    }
}

/// In the process that runs the cells of a Jupyter kernel: an interrupt ends it, and says what that means.
pub fn prepare_cells() {
    #[cfg(unix)]
    without_backtraces();
    if let Some(file) = std::env::var_os(CELLS)
        && std::env::var_os("EVCXR_IS_RUNTIME").is_some()
    {
        let told = fs::write(&file, std::process::id().to_string());
        if let Err(error) = told {
            eprintln!("The kernel may not be able to interrupt its cells: {}: {error}", Path::new(&file).display());
        }
        interrupt::end_cells();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_with_a_key_will_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (connection, wrong) in [
            (r#"{"ip": "127.0.0.1", "key": "secret"}"#, None),
            (r#"{"ip": "::1", "key": "secret"}"#, None),
            (r#"{"ip": "0.0.0.0", "key": "secret"}"#, Some("asks for the address \"0.0.0.0\"")),
            (r#"{"ip": "*", "key": "secret"}"#, Some("asks for the address \"*\"")),
            (r#"{"ip": "127.0.0.1", "key": ""}"#, Some("has no key")),
            (r#"{"ip": "127.0.0.1"}"#, Some("has no key")),
            ("{", Some("is no connection file")),
        ] {
            fs::write(file.path(), connection).unwrap();
            let said = check(file.path()).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), wrong.is_some(), "{connection}: {said:?}");
            assert!(said.unwrap_or_default().contains(wrong.unwrap_or_default()));
        }
        assert!(check(Path::new("/no/such/file")).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn the_description_is_ours_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let spec = write_spec(folder.path()).unwrap();
        assert_eq!(spec, folder.path().join(NAME));
        let spec: Value = serde_json::from_str(&fs::read_to_string(spec.join("kernel.json")).unwrap()).unwrap();
        assert_eq!(spec["display_name"], "Generative Models (Rust)");
        assert_eq!(spec["argv"][3], "{connection_file}");
    }
}
