//! The `cargo` of the kernel.
//!
//! In a kernel `cargo` is this program, which passes on to the real one what it is asked, but for two things. The build of a cell it
//! repeats without Cargo, where it can: see [`rebuild`]. And to infer the types of a cell's variables, rust-analyzer asks the `cargo`
//! below `CARGO_HOME` for all packages of the build and reads the sources of each of them, though a cell meets the types of few;
//! dropped from the answer is what a package says that inference can do without:
//!
//! ```toml
//! [package.metadata.inference]
//! packages = ["nalgebra", "simba"] # of all that this package depends on, only these
//! ```
//!
//! What the cells depend on besides, through a `:dep` of their own, stays whole.

use crate::rebuild;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;

/// Names the toolchain to Cargo's stand-in, and what `CARGO_HOME` and `PATH` were.
const TOOLCHAIN: &str = "GENERATIVE_MODELS_TOOLCHAIN";
const REAL_HOME: &str = "GENERATIVE_MODELS_CARGO_HOME";
const REAL_PATH: &str = "GENERATIVE_MODELS_PATH";

const RUSTUP: &str = "rustup";

/// Makes the folder that passes for `CARGO_HOME` below `dir`; gives the environment in which it is found. evcxr asks `rustup` where
/// `cargo` is.
pub fn lay_out(dir: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let (home, program) = (dir.join("cargo"), std::env::current_exe()?);
    for name in ["cargo", RUSTUP] {
        let link = link(&home, name);
        if std::fs::read_link(&link).ok().as_deref() != Some(&program) {
            std::fs::create_dir_all(home.join("bin"))?;
            // It may not be there, or point to where this program was before.
            let _ = std::fs::remove_file(&link);
            symlink(&program, &link).with_context(|| format!("{} cannot be made", link.display()))?;
        }
    }
    let path = std::iter::once(home.join("bin")).chain(std::env::split_paths(&real_path()).collect::<Vec<_>>());
    let path = std::env::join_paths(path)?;
    let real = [(TOOLCHAIN, toolchain()?.into()), (REAL_HOME, real_home()?.into()), (REAL_PATH, real_path())];
    Ok([("CARGO_HOME", home.into()), ("PATH", path)].into_iter().chain(real).collect())
}

fn link(home: &Path, name: &str) -> PathBuf {
    home.join("bin").join(name)
}

#[cfg(unix)]
fn symlink(program: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

#[cfg(not(unix))]
fn symlink(program: &Path, link: &Path) -> std::io::Result<()> {
    std::fs::hard_link(program, link)
}

/// Where Cargo keeps its registry.
pub fn real_home() -> Result<PathBuf> {
    let given = std::env::var_os(REAL_HOME).or_else(|| std::env::var_os("CARGO_HOME")).map(PathBuf::from);
    given.or_else(|| Some(dirs::home_dir()?.join(".cargo"))).context("neither HOME nor CARGO_HOME is set")
}

/// Where programs are found outside of the kernel.
fn real_path() -> OsString {
    [REAL_PATH, "PATH"].into_iter().find_map(std::env::var_os).unwrap_or_default()
}

/// Cargo itself: that of the toolchain rather than rustup's proxy, which is slower to start.
pub fn command() -> Result<Command> {
    let toolchain = toolchain()?;
    let mut cargo = Command::new(toolchain.join("bin/cargo"));
    // A dependency may bring a file by which the proxy would choose another compiler for it.
    cargo.env("CARGO_HOME", real_home()?).env("RUSTC", toolchain.join("bin/rustc")).env("PATH", real_path());
    Ok(cargo)
}

/// The folder of the toolchain; the compiler is asked once.
pub fn toolchain() -> Result<PathBuf> {
    static KNOWN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let found = match std::env::var_os(TOOLCHAIN) {
        Some(toolchain) => toolchain.into(),
        None => PathBuf::from(rustc(&["--print", "sysroot"])?),
    };
    Ok(KNOWN.get_or_init(|| found).clone())
}

/// What the compiler answers.
pub fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(arguments).output();
    let output = output.context("rustc cannot be started; is it on the PATH?")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Whether this program was started under the name of `cargo` or `rustup`.
pub fn is_called() -> bool {
    called().is_some_and(|name| name == "cargo" || name == RUSTUP)
}

fn called() -> Option<OsString> {
    Some(Path::new(&std::env::args_os().next()?).file_stem()?.to_owned())
}

/// Does what Cargo would do, in a kernel.
pub fn stand_in() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = if called().is_some_and(|name| name == RUSTUP) { rustup(&arguments) } else { run(&arguments) };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: the kernel's Cargo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says that Cargo is this program, and leaves the rest to rustup, if there is one.
fn rustup(arguments: &[OsString]) -> Result<ExitCode> {
    if arguments == ["which", "cargo"]
        && let Some(home) = std::env::var_os("CARGO_HOME")
    {
        writeln!(std::io::stdout(), "{}", link(Path::new(&home), "cargo").display())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(exit_code(Command::new(RUSTUP).args(arguments).env("PATH", real_path()).status()?))
}

/// The status of another program as this one's.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn run(arguments: &[OsString]) -> Result<ExitCode> {
    if rebuild::is_wrapper(arguments) {
        return rebuild::wrap(arguments);
    }
    if rebuild::is_asked(arguments) {
        return rebuild::build(arguments);
    }
    let mut cargo = command()?;
    cargo.args(arguments);
    let has = |asked: &str| arguments.iter().any(|argument| argument == asked);
    // evcxr asks for the packages, too, but names no manifest.
    if !(has("metadata") && has("--manifest-path")) || has("--no-deps") {
        return Ok(exit_code(cargo.status()?));
    }
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    reduce(&mut metadata);
    writeln!(std::io::stdout(), "{metadata}")?;
    Ok(ExitCode::SUCCESS)
}

/// Drops from the metadata what no cell's types need. Metadata of another shape than expected are left as they are.
fn reduce(metadata: &mut Value) {
    let Some(kept) = needed(metadata) else { return };
    let stays = |id: &Value| id.as_str().is_some_and(|id| kept.contains(id));
    let retain = |list: Option<&mut Value>, key: &str| {
        if let Some(list) = list.and_then(Value::as_array_mut) {
            list.retain(|entry| stays(if key.is_empty() { entry } else { &entry[key] }));
        }
    };
    retain(metadata.get_mut("packages"), "id");
    retain(metadata.get_mut("workspace_members"), "");
    retain(metadata.get_mut("workspace_default_members"), "");
    retain(metadata.pointer_mut("/resolve/nodes"), "id");
    for node in metadata.pointer_mut("/resolve/nodes").and_then(Value::as_array_mut).into_iter().flatten() {
        retain(node.get_mut("dependencies"), "");
        retain(node.get_mut("deps"), "pkg");
    }
}

/// The packages that those of the workspace reach, where a package that names what inference needs leads to nothing else.
fn needed(metadata: &Value) -> Option<BTreeSet<String>> {
    let packages = metadata["packages"].as_array()?;
    let packages: BTreeMap<&str, &Value> = packages.iter().filter_map(|p| Some((p["id"].as_str()?, p))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let nodes: BTreeMap<&str, &Value> = nodes.iter().filter_map(|n| Some((n["id"].as_str()?, n))).collect();
    let rule = |id: &str| packages.get(id)?.pointer("/metadata/inference/packages")?.as_array();
    // A package may be reached from within another that names what is needed, and from without: each is looked at once.
    let mut reached = BTreeSet::new();
    let members = metadata["workspace_members"].as_array()?.iter().filter_map(Value::as_str);
    let mut open: Vec<(&str, Option<&str>)> = members.map(|id| (id, None)).collect();
    while let Some((id, within)) = open.pop() {
        if !reached.insert((id, within)) {
            continue;
        }
        let within = within.or_else(|| rule(id).map(|_| id));
        let names = within.and_then(rule);
        let is_needed = |id: &str| match (names, packages.get(id)) {
            (Some(names), Some(package)) => names.contains(&package["name"]),
            _ => true,
        };
        let dependencies = nodes.get(id).and_then(|node| node["dependencies"].as_array()).into_iter().flatten();
        open.extend(dependencies.filter_map(Value::as_str).filter(|id| is_needed(id)).map(|id| (id, within)));
    }
    Some(reached.into_iter().map(|(id, _)| id.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata() -> Value {
        let package = |name: &str| json!({"id": name, "name": name, "metadata": null});
        let node = |name: &str, dependencies: &[&str]| {
            let deps: Vec<Value> = dependencies.iter().map(|name| json!({"name": name, "pkg": name})).collect();
            json!({"id": name, "dependencies": dependencies, "deps": deps})
        };
        let mut library = package("library");
        library["metadata"] = json!({"inference": {"packages": ["matrix", "scalar"]}});
        json!({
            "packages": [package("ctx"), library, package("matrix"), package("scalar"), package("threads"), package("mine"), package("other")],
            "workspace_members": ["ctx"],
            "resolve": {"nodes": [
                node("ctx", &["library", "mine"]),
                node("library", &["matrix", "threads"]),
                node("matrix", &["scalar", "threads"]),
                node("scalar", &[]),
                node("threads", &["scalar"]),
                node("mine", &["threads"]),
                node("other", &["library"]),
            ]},
        })
    }

    fn names(metadata: &Value) -> Vec<&str> {
        metadata["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_a_cell_depends_on_itself_stays_whole() {
        let mut metadata = metadata();
        reduce(&mut metadata);
        assert_eq!(names(&metadata), ["ctx", "library", "matrix", "scalar", "threads", "mine"]);
        assert_eq!(metadata["workspace_members"], json!(["ctx"]));
    }

    #[test]
    fn a_package_leads_to_nothing_that_it_does_not_name() {
        let mut metadata = metadata();
        metadata["resolve"]["nodes"][0] =
            json!({"id": "ctx", "dependencies": ["library"], "deps": [{"pkg": "library"}]});
        reduce(&mut metadata);
        assert_eq!(names(&metadata), ["ctx", "library", "matrix", "scalar"]);
        // No edge leads to what is gone.
        assert_eq!(metadata["resolve"]["nodes"][1]["dependencies"], json!(["matrix"]));
        assert_eq!(metadata["resolve"]["nodes"][2]["deps"], json!([{"name": "scalar", "pkg": "scalar"}]));
    }

    #[test]
    fn metadata_of_another_shape_are_left_alone() {
        let mut metadata = json!({"packages": [], "resolve": null});
        reduce(&mut metadata);
        assert_eq!(metadata, json!({"packages": [], "resolve": null}));
    }
}
