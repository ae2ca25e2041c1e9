//! A cell's build without Cargo.
//!
//! From one cell to the next nothing changes but the cell's own source, and Cargo looks at all packages below it all the same, for
//! longer than the compiler may work. So the compiler's command is kept as Cargo gave it, with the state of all that it depends on
//! but the cell's source. While that state stands, the same command is run again, and what it says is passed on as Cargo would.
//! After anything else that changed, and where the compiler fails by more than errors in the code, Cargo builds.
//!
//! The compiler gets what the cell uses of its source, see [`cell`]. A cell without optimisation is given two things besides, which
//! Cargo does not know. Where the compiler does not take them, Cargo builds without.

use crate::{cargo, cell};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::SystemTime;

/// Tells the compiler's wrapper where to leave the command that compiles a cell.
const COMMAND_FILE: &str = "GENERATIVE_MODELS_RUSTC";

/// The package that evcxr makes of a cell.
const CELL: &str = "ctx";

/// Iterators and closures are inlined, and what is then without a use goes. So loops run for a quarter of the time, and as less is
/// left of the code, the whole compiles no slower. A name of a pass may change with the compiler's version.
const PASSES: &str =
    "-Cpasses=cgscc(inline,function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg)),globaldce";

/// The crate that has compiled what most cells need, in the folder of what was built.
const SHARED: &str = "prepared";

/// What Cargo returns if something does not compile.
const NOT_COMPILED: u8 = 101;

/// How a program was started.
#[derive(Deserialize, PartialEq, Serialize)]
struct Call {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

/// A build that succeeded.
#[derive(Deserialize, Serialize)]
struct Build {
    cargo: Call,
    rustc: Call,
    /// What the compiler's command follows from.
    files: Vec<Stamp>,
}

/// A file, and when it was changed; no time for one that is not there.
#[derive(Deserialize, PartialEq, Serialize)]
struct Stamp(PathBuf, Option<SystemTime>);

/// Whether evcxr asks for the build of a cell, by nothing else than Cargo and the compiler.
pub fn is_asked(arguments: &[OsString]) -> bool {
    let cells = std::env::var_os("EVCXR_TMPDIR").and_then(|cells| fs::canonicalize(cells).ok());
    arguments.iter().any(|argument| argument == "build")
        && cells.is_some_and(|cells| std::env::current_dir().is_ok_and(|folder| folder == cells))
        && std::env::var_os("RUSTC_WRAPPER").is_none()
}

/// Builds a cell as Cargo with these arguments would.
pub fn build(arguments: &[OsString]) -> Result<ExitCode> {
    let call = Call::this(arguments)?;
    let (kept, command) = (call.folder.join("target/build.json"), call.folder.join("target/rustc.json"));
    if let Some(build) = read::<Build>(&kept).filter(|build| build.cargo == call && build.stands())
        && let Some(code) = build.repeat()?
    {
        return Ok(code);
    }
    // Neither may be there.
    let _ = (fs::remove_file(&kept), fs::remove_file(&command));
    let (begun, mut cargo) = (SystemTime::now(), cargo::command()?);
    // By the name under which evcxr called it, this program is itself the wrapper.
    let this = std::env::args_os().next().unwrap_or_default();
    let status = cargo.args(arguments).env("RUSTC_WRAPPER", this).env(COMMAND_FILE, &command).status()?;
    if status.success()
        && let Some(build) = read(&command).and_then(|rustc| Build::new(call, rustc, begun))
    {
        fs::write(kept, serde_json::to_vec(&build)?)?;
    }
    Ok(cargo::exit_code(status))
}

/// Whether this program is the compiler's wrapper, in a build by [`build`].
pub fn is_wrapper(arguments: &[OsString]) -> bool {
    let compiler = arguments.first().map(Path::new).and_then(Path::file_stem);
    std::env::var_os(COMMAND_FILE).is_some() && compiler == Some(OsStr::new("rustc"))
}

/// Does what the compiler would, and keeps its command if it is that of a cell.
pub fn wrap(arguments: &[OsString]) -> Result<ExitCode> {
    let compiles_cell = arguments.windows(2).any(|pair| pair == ["--crate-name", CELL]);
    if let Some(file) = std::env::var_os(COMMAND_FILE).filter(|_| compiles_cell) {
        fs::write(file, serde_json::to_vec(&Call::this(arguments)?)?)?;
    }
    let (rustc, arguments) = arguments.split_first().context("a wrapper needs a compiler")?;
    Ok(cargo::exit_code(Command::new(rustc).args(arguments).env_remove("RUSTC_WRAPPER").status()?))
}

impl Call {
    /// How this program was started.
    fn this(arguments: &[OsString]) -> Result<Self> {
        let mut environment: Vec<_> = std::env::vars_os().collect();
        environment.sort();
        Ok(Self { arguments: arguments.to_vec(), environment, folder: std::env::current_dir()? })
    }

    /// The values of an option.
    fn values(&self, option: &str) -> impl Iterator<Item = &str> {
        let pairs = self.arguments.windows(2).filter(move |pair| pair[0] == option);
        pairs.filter_map(|pair| pair[1].to_str())
    }

    /// Where a compiler leaves what it makes.
    fn made(&self) -> Option<&Path> {
        self.values("--out-dir").next().map(Path::new)
    }
}

impl Stamp {
    fn of(file: PathBuf) -> Self {
        let modified = fs::metadata(&file).and_then(|file| file.modified()).ok();
        Self(file, modified)
    }
}

impl Build {
    /// `None` if a file was changed while Cargo worked, or if it is not known which files matter.
    fn new(cargo: Call, rustc: Call, begun: SystemTime) -> Option<Self> {
        let sources: Vec<Stamp> = sources(&cargo.folder, rustc.made()?)?.into_iter().map(Stamp::of).collect();
        if sources.iter().any(|Stamp(_, modified)| modified.is_some_and(|modified| modified > begun)) {
            return None;
        }
        let crates = rustc.values("--extern").filter_map(|external| Some(external.split_once('=')?.1.into()));
        let artefacts = crates.chain(rustc.arguments.first().map(PathBuf::from)).map(Stamp::of);
        Some(Self { files: artefacts.chain(sources).collect(), cargo, rustc })
    }

    fn stands(&self) -> bool {
        self.files.iter().all(|stamp| *stamp == Stamp::of(stamp.0.clone()))
    }

    /// Builds what the cell's source is now. `None` if Cargo must have a look.
    fn repeat(&self) -> Result<Option<ExitCode>> {
        let (Some((rustc, arguments)), Some(made)) = (self.rustc.arguments.split_first(), self.rustc.made()) else {
            return Ok(None);
        };
        let shared_object = made.join(format!("{DLL_PREFIX}{CELL}{DLL_SUFFIX}"));
        // The one that Cargo left may be one file with what an earlier cell runs.
        let _ = fs::remove_file(&shared_object);
        let source = self.cargo.folder.join("src/lib.rs");
        let cell = fs::read_to_string(&source)?;
        let compile = |text: &str| {
            let output = self.compile(rustc, arguments, made, &source, text);
            fs::write(&source, &cell)?;
            let output = output?;
            let lines = output.stderr.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            let said: Vec<Value> = lines.filter(|line: &Value| line["$message_type"] == "diagnostic").collect();
            anyhow::Ok((output.status, said))
        };
        let compiled = self.cargo.folder.join("target/compiled.rs");
        let before = fs::read_to_string(&compiled).unwrap_or_default();
        let (mut status, mut said) = compile(&cell::lean(&cell, &before))?;
        // A name that a macro puts together is no word of the cell.
        if said.iter().any(|message| message["code"]["code"] == "E0425") {
            (status, said) = compile(&cell)?;
        }
        if status.success() {
            fs::write(compiled, &cell)?;
        }
        let code = match status.code() {
            Some(0) => ExitCode::SUCCESS,
            Some(1) if said.iter().any(is_error_in_code) => ExitCode::from(NOT_COMPILED),
            _ => return Ok(None),
        };
        let (mut stdout, target) = (std::io::stdout().lock(), json!({"name": CELL}));
        for message in said {
            writeln!(stdout, "{}", json!({"reason": "compiler-message", "target": target, "message": message}))?;
        }
        if status.success() {
            let artefact = json!({"reason": "compiler-artifact", "target": target, "filenames": [shared_object]});
            writeln!(stdout, "{artefact}")?;
        }
        Ok(Some(code))
    }

    /// Compiles a text in place of the cell's source, which the caller puts back.
    fn compile(&self, rustc: &OsStr, arguments: &[OsString], made: &Path, source: &Path, text: &str) -> Result<Output> {
        let mut rustc = Command::new(rustc);
        rustc
            .args(arguments)
            .current_dir(&self.rustc.folder)
            .env_clear()
            .envs(self.rustc.environment.iter().map(|(name, value)| (name, value)))
            // They name pipes of the Cargo that was.
            .env_remove("CARGO_MAKEFLAGS")
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            // Its allocator then asks for large pages: a fifth of the system's time for a cell is gone.
            .env("MALLOC_CONF", "thp:always");
        let shared = made.with_file_name(format!("lib{SHARED}.rlib"));
        let mut text = text.to_owned();
        // Cargo names no level for one without optimisation.
        if !arguments.iter().any(|argument| argument.as_encoded_bytes().starts_with(b"opt-level=")) {
            rustc.arg(PASSES);
            if shared.exists() {
                rustc.arg("--extern").arg([SHARED.as_ref(), shared.as_os_str()].join(OsStr::new("=")));
                // Behind the cell, where no line of it moves.
                text += &format!("\nextern crate {SHARED} as _;\n");
            }
        }
        fs::write(source, text)?;
        Ok(rustc.output()?)
    }
}

/// Whether the compiler says so, rather than that it does not know what it was asked.
fn is_error_in_code(message: &Value) -> bool {
    message["level"] == "error" && message["spans"].as_array().is_some_and(|spans| !spans.is_empty())
}

/// The files, but for the cell's own source, that a build follows from: the sources of all packages that are a folder, as Cargo lists
/// them for other build tools; their manifests; Cargo's lock files and settings, also where there are none yet.
fn sources(cells: &Path, made: &Path) -> Option<BTreeSet<PathBuf>> {
    let list = made.parent()?.join(format!("{DLL_PREFIX}{CELL}.d"));
    let mut files = prerequisites(&fs::read_to_string(list).ok()?);
    files.remove(&cells.join("src/lib.rs"));
    let manifest = |file: &PathBuf| file.ancestors().map(|dir| dir.join("Cargo.toml")).find(|file| file.exists());
    let manifests: Vec<PathBuf> = files.iter().filter_map(manifest).collect();
    let above = |file: &'static str| cells.ancestors().map(move |dir| dir.join(file));
    files.extend(manifests);
    files.extend(["Cargo.toml", "Cargo.lock", ".cargo/config.toml", ".cargo/config"].into_iter().flat_map(above));
    files.extend(["config.toml", "config"].map(|file| cargo::real_home().unwrap_or_default().join(file)));
    Some(files)
}

/// What the first line of a makefile names behind the colon; a blank within a name has a backslash before it.
fn prerequisites(makefile: &str) -> BTreeSet<PathBuf> {
    let names = makefile.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, names)| names);
    names.replace("\\ ", "\0").split_whitespace().map(|name| PathBuf::from(name.replace('\0', " "))).collect()
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> Call {
        let arguments = arguments.iter().map(OsString::from).collect();
        Call { arguments, environment: Vec::new(), folder: std::env::temp_dir() }
    }

    /// A folder in which a cell was built from `library.rs`, and the compiler's command.
    fn built() -> (tempfile::TempDir, Call) {
        let folder = tempfile::tempdir().unwrap();
        let (sources, made) = (folder.path().join("a library"), folder.path().join("debug/deps"));
        fs::create_dir_all(&made).unwrap();
        fs::create_dir_all(&sources).unwrap();
        fs::create_dir_all(folder.path().join("ctx/src")).unwrap();
        fs::create_dir_all(folder.path().join("ctx/target")).unwrap();
        fs::write(folder.path().join("ctx/src/lib.rs"), "fn of_the_cell() {}").unwrap();
        for file in ["Cargo.toml", "library.rs"] {
            fs::write(sources.join(file), "").unwrap();
        }
        let source = sources.join("library.rs").display().to_string().replace(' ', "\\ ");
        let list = format!("libctx.so: {source} {}\n", folder.path().join("ctx/src/lib.rs").display());
        fs::write(folder.path().join(format!("debug/{DLL_PREFIX}{CELL}.d")), list).unwrap();
        let rustc = call(&["rustc", "--crate-name", CELL, "--out-dir", made.to_str().unwrap()]);
        (folder, rustc)
    }

    fn build(folder: &Path, rustc: Call, begun: SystemTime) -> Option<Build> {
        Build::new(Call { folder: folder.join("ctx"), ..call(&["build"]) }, rustc, begun)
    }

    #[test]
    fn a_build_stands_until_something_below_the_cell_changes() {
        type Change = fn(&Path);
        let changes: [Change; 4] = [
            |folder| fs::write(folder.join("a library/library.rs"), "fn new() {}").unwrap(),
            |folder| fs::remove_file(folder.join("a library/library.rs")).unwrap(),
            |folder| fs::write(folder.join("a library/Cargo.toml"), "[package]").unwrap(),
            |folder| {
                fs::create_dir(folder.join(".cargo")).unwrap();
                fs::write(folder.join(".cargo/config.toml"), "").unwrap();
            },
        ];
        for change in changes {
            let (folder, rustc) = built();
            let build = build(folder.path(), rustc, SystemTime::now()).unwrap();
            let kept: Build = serde_json::from_slice(&serde_json::to_vec(&build).unwrap()).unwrap();
            fs::write(folder.path().join("ctx/src/lib.rs"), "the next cell").unwrap();
            assert!(kept.stands() && kept.cargo == build.cargo);
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(folder.path());
            assert!(!kept.stands());
        }
    }

    #[test]
    fn a_build_during_which_a_source_changed_is_not_kept() {
        let (folder, rustc) = built();
        let begun = SystemTime::now() - std::time::Duration::from_secs(1);
        assert!(build(folder.path(), rustc, begun).is_none());
    }

    #[test]
    #[cfg(unix)]
    fn only_errors_in_the_code_are_not_left_to_cargo() {
        let say = |spans: &str| {
            format!(r#"echo '{{"$message_type":"diagnostic","level":"error","message":"no","spans":[{spans}]}}' >&2; "#)
        };
        let (error, refusal) = (say("{}"), say(""));
        for (script, clear) in [
            ("exit 0".to_owned(), true),
            (format!("{error}exit 1"), true),
            ("echo no such file >&2; exit 1".to_owned(), false),
            (format!("{error}exit 101"), false),
            (format!("{refusal}exit 1"), false),
            (format!("{refusal}{error}exit 1"), true),
        ] {
            let (folder, mut rustc) = built();
            let command = ["/bin/sh", "-c", &script].map(OsString::from);
            rustc.arguments.splice(..1, command);
            let build = build(folder.path(), rustc, SystemTime::now()).unwrap();
            assert_eq!(build.repeat().unwrap().is_some(), clear, "{script}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_cell_without_optimisation_is_linked_to_what_is_shared_and_left_as_it_was() {
        for (level, linked) in [("opt-level=1", false), ("debug-assertions=on", true)] {
            let (folder, mut rustc) = built();
            let cell = folder.path().join("ctx/src/lib.rs");
            fs::write(folder.path().join("debug").join(format!("lib{SHARED}.rlib")), "").unwrap();
            let script = format!("grep -q 'extern crate {SHARED}' {}", cell.display());
            rustc.arguments.splice(..1, ["/bin/sh", "-c", &script, level].map(OsString::from));
            let build = build(folder.path(), rustc, SystemTime::now()).unwrap();
            assert_eq!(build.repeat().unwrap().is_some(), linked, "{level}");
            assert_eq!(fs::read_to_string(cell).unwrap(), "fn of_the_cell() {}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn what_the_compiler_misses_is_given_back() {
        for (unknown, found) in [("E0425", true), ("E0308", false)] {
            let (folder, mut rustc) = built();
            let said = format!(
                r#"{{"$message_type":"diagnostic","level":"error","code":{{"code":"{unknown}"}},"spans":[{{}}]}}"#
            );
            let script = format!("grep -q of_the_cell ctx/src/lib.rs && exit 0; echo '{said}' >&2; exit 1");
            rustc.arguments.splice(..1, ["/bin/sh", "-c", &script].map(OsString::from));
            rustc.folder = folder.path().to_owned();
            fs::write(folder.path().join("ctx/target/compiled.rs"), "fn of_the_cell() {}").unwrap();
            let build = build(folder.path(), rustc, SystemTime::now()).unwrap();
            let expected = if found { ExitCode::SUCCESS } else { ExitCode::from(NOT_COMPILED) };
            assert_eq!(build.repeat().unwrap(), Some(expected), "{unknown}");
        }
    }

    #[test]
    fn this_compiler_knows_the_passes() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("lib.rs");
        fs::write(&source, "#[unsafe(no_mangle)] pub extern \"C\" fn sum() -> i32 { (1..9).map(|i| i * i).sum() }")
            .unwrap();
        let mut rustc = Command::new("rustc");
        rustc.args([PASSES, "--edition=2024", "--crate-type=rlib", "--out-dir"]).arg(folder.path()).arg(source);
        assert!(rustc.status().unwrap().success(), "cells are compiled twice: {PASSES}");
    }
}
