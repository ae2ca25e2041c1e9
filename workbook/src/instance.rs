//! The directory of a kernel.
//!
//! evcxr compiles each cell as a package in a directory of its own, where two kernels would corrupt each other. So one directory
//! is prepared, in which all that the cells depend on is built, and every kernel works in a copy of it, whose large files are
//! hard links. The copy is locked for as long as a process of the kernel lives, and removed afterwards: by the kernel itself, or
//! by the next one to start.
//!
//! ```text
//! <target>/kernel/cargo/       what passes for CARGO_HOME, see `cargo`
//! <target>/kernel/lock         held while the prepared directory is built or copied
//! <target>/kernel/prepared/    a workspace: its root package has the dependencies and what most cells would compile anew,
//!                              the cells' package `ctx` is its member
//! <target>/kernel/running/*/   the copies
//! ```

use crate::terminal::{say, with_progress};
use crate::{cargo, interrupt, project};
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Tells this program, started anew for the kernel, where to work.
const INSTANCE: &str = "GENERATIVE_MODELS_KERNEL";

/// The source of the crate `prepared`, see there.
const SHARED: &str = include_str!("../assets/prepared.rs");

/// How often a waiting process looks up.
const TICK: Duration = Duration::from_millis(20);

/// A kernel's own directory.
pub struct Instance {
    dir: PathBuf,
    /// Closed by the operating system when the last process of the kernel has ended; only then may others remove the directory.
    lock: Option<File>,
}

/// The folder of all kernels.
fn kernels() -> Result<PathBuf> {
    Ok(project::target_dir()?.join("kernel"))
}

/// Whether something has been built before.
pub fn is_prepared() -> bool {
    kernels().is_ok_and(|kernels| kernels.join("prepared/ctx/target").exists())
}

/// Builds the prepared directory and removes what dead kernels left; both are the caller's for as long as it keeps the lock. What
/// does not compile is built again by the cell that asks for it, where its author sees the errors, if `despite_errors`.
pub fn prepare(despite_errors: bool) -> Result<File> {
    if cfg!(windows) {
        bail!(
            "the notebooks do not run on Windows: the shared library that their cells link to exceeds what a DLL can export. \
             Use the Windows Subsystem for Linux; the library itself works (cargo test -p generative-models)"
        );
    }
    let kernels = kernels()?;
    if kernels.to_str().is_none_or(|dir| dir.contains(char::is_whitespace)) {
        bail!(
            "evcxr cannot work below {}: the path has a space or is not UTF-8; set CARGO_TARGET_DIR to another folder",
            kernels.display()
        );
    }
    let (prepared, running) = (kernels.join("prepared"), kernels.join("running"));
    fs::create_dir_all(&prepared).with_context(|| format!("{} could not be made", prepared.display()))?;
    fs::create_dir_all(&running).with_context(|| format!("{} could not be made", running.display()))?;
    let lock = lock(&kernels.join("lock"), || say("Another kernel is being prepared; waiting for it."))?;
    remove_leftovers(&running)?;
    standard_library_source()?;
    lay_out(&prepared)?;
    match build(&prepared) {
        Err(error) if despite_errors && !interrupt::requested() => eprintln!("{error:#}"),
        built => built?,
    }
    Ok(lock)
}

impl Instance {
    /// The directory for which [`Instance::enter`] started this process.
    pub fn entered() -> Option<Self> {
        Some(Self { dir: std::env::var_os(INSTANCE)?.into(), lock: None })
    }

    /// Makes a directory in which a cell's build finds everything done, after [`prepare`].
    pub fn make(despite_errors: bool) -> Result<Self> {
        Self::copied(&prepare(despite_errors)?)
    }

    /// The same for one who knows that everything is prepared.
    pub fn of_prepared() -> Result<Self> {
        Self::copied(&lock(&kernels()?.join("lock"), || ())?)
    }

    fn copied(_prepared: &File) -> Result<Self> {
        let (prepared, running) = (kernels()?.join("prepared"), kernels()?.join("running"));
        let dir = tempfile::Builder::new().prefix("").tempdir_in(&running)?;
        let lock = File::create(dir.path().join("lock"))?;
        lock.try_lock().context("the kernel's folder cannot be locked")?;
        copy(&prepared, dir.path()).with_context(|| {
            format!("{} could not be copied for this kernel; nothing is left of the attempt", prepared.display())
        })?;
        let instance = Self { dir: dir.keep(), lock: Some(lock) };
        instance.configure()?;
        Ok(instance)
    }

    /// evcxr's settings.
    fn configure(&self) -> Result<()> {
        // A panic ends the process that runs the cells, so that the cell fails; evcxr would otherwise report success.
        let settings =
            format!("[evcxr]\ntmpdir = {}\npreserve_vars_on_panic = false\n", toml_path(&self.dir.join("ctx"))?);
        fs::write(self.dir.join("evcxr.toml"), settings)?;
        // Another linker would mean other flags, and all dependencies built anew; so would another home of Cargo.
        let home = cargo::real_home()?;
        let home = home.to_str().with_context(|| format!("the path {} is not UTF-8", home.display()))?;
        Ok(fs::write(self.dir.join("init.evcxr"), format!(":linker system\n:build_env CARGO_HOME={home}\n"))?)
    }

    /// Starts this program anew, in place of this process, with what evcxr and rust-analyzer read from their environment.
    /// Returns only if that fails.
    pub fn enter<S: AsRef<OsStr>>(
        self,
        arguments: impl IntoIterator<Item = S>,
        variables: &[(&str, PathBuf)],
    ) -> Result<()> {
        let mut program = Command::new(std::env::current_exe()?);
        program.args(arguments).env(INSTANCE, &self.dir).env("EVCXR_CONFIG_DIR", &self.dir);
        program.env("EVCXR_TMPDIR", self.dir.join("ctx")).envs(cargo::lay_out(&kernels()?)?);
        program.envs(variables.iter().map(|(name, value)| (name, value)));
        let (variable, path) = library_path(&project::target_dir()?)?;
        program.env(variable, path);
        replace_process(program, self.lock.as_ref()).context("this program could not be started anew")
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file for the checks' reports.
    pub fn report_file(&self) -> PathBuf {
        self.dir.join("checks.jsonl")
    }

    /// Removes the directory. Where that fails, the next kernel will.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Becomes another program, which keeps `lock`. Returns only if that fails.
#[cfg(unix)]
pub fn replace_process(mut program: Command, lock: Option<&File>) -> Result<()> {
    use std::os::unix::process::CommandExt;
    // The lock outlives this program only if its file is not closed on the way.
    if let Some(lock) = lock {
        rustix::io::fcntl_setfd(lock, rustix::io::FdFlags::empty())?;
    }
    Err(program.exec().into())
}

#[cfg(not(unix))]
pub fn replace_process(_: Command, _: Option<&File>) -> Result<()> {
    bail!("this needs a Unix system")
}

/// Waits for the lock while another kernel is being prepared, and tells so once.
fn lock(path: &Path, tell: impl FnOnce()) -> Result<File> {
    let file = File::create(path).context("the kernel's lock cannot be made")?;
    let mut tell = Some(tell);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).context("the kernel's folder cannot be locked"),
            Err(TryLockError::WouldBlock) if interrupt::requested() => bail!("interrupted"),
            Err(TryLockError::WouldBlock) => {
                if let Some(tell) = tell.take() {
                    tell();
                }
                std::thread::sleep(TICK);
            }
        }
    }
}

/// Removes the directories whose kernels have ended without doing so.
fn remove_leftovers(running: &Path) -> Result<()> {
    for entry in fs::read_dir(running)? {
        let dir = entry?.path();
        let in_use = File::open(dir.join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
        if !in_use {
            // Its own kernel may be removing it this moment.
            let _ = fs::remove_dir_all(dir);
        }
    }
    Ok(())
}

/// Writes the packages of the workspace. evcxr writes a manifest of its own for the cells' package; the profile, the versions
/// of the dependencies and the graph that they were resolved for belong to the workspace and stay.
fn lay_out(prepared: &Path) -> Result<()> {
    let manifest = format!(
        "[package]\nname = \"prepared\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\ngenerative-models = {{ path = {} }}\n\n[workspace]\nmembers = [\"ctx\"]\n\n\
         [package.metadata.inference]\npackages = []\n\n{}",
        toml_path(project::root())?,
        profile()?
    );
    let cells =
        "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::create_dir_all(prepared.join("ctx/src"))?;
    for (file, contents) in
        [("Cargo.toml", manifest.as_str()), ("lib.rs", SHARED), ("ctx/Cargo.toml", cells), ("ctx/src/lib.rs", "")]
    {
        write_if_changed(&prepared.join(file), contents)?;
    }
    let lock = fs::read(project::root().join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    fs::write(prepared.join("Cargo.lock"), lock).context("the kernel's Cargo.lock cannot be written")
}

/// The profile of the cells, with that of the project's dependencies.
fn profile() -> Result<String> {
    let path = project::root().join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(&path)?.parse().with_context(|| path.display().to_string())?;
    let packages = manifest.get("profile").and_then(|p| p.get("dev")).and_then(|p| p.get("package"));
    let packages = packages.and_then(toml::Value::as_table);
    let mut packages = packages.context("Cargo.toml has no [profile.dev.package] tables")?.clone();
    // Most cells run for less time than they compile. Their loops are made faster where a cell is built, see `rebuild`.
    let mut dev: toml::Table = "opt-level = 0\ndebug = false\nstrip = \"debuginfo\"\nrpath = true\n".parse()?;
    // Nothing of it is compiled again, and it is too little for two threads.
    packages.insert("ctx".to_owned(), "incremental = false\ncodegen-units = 1\n".parse::<toml::Table>()?.into());
    dev.insert("package".to_owned(), packages.into());
    let profile = toml::Table::from_iter([("dev".to_owned(), dev.into())]);
    Ok(toml::to_string(&toml::Table::from_iter([("profile".to_owned(), profile.into())]))?)
}

/// Builds the library and its dependencies with the very flags of evcxr's own builds, which then find them fresh. It also checks
/// them: where a type is not found, for a slip of the pen most often, evcxr asks `cargo check` what is wrong.
fn build(prepared: &Path) -> Result<()> {
    let host = host()?;
    for (command, what) in
        [("build", "Building the notebooks' dependencies"), ("check", "Checking the notebooks' dependencies")]
    {
        let mut cargo = cargo::command()?;
        cargo
            .current_dir(prepared)
            .args([command, "--target", &host])
            .env("CARGO_TARGET_DIR", "ctx/target")
            .env("CARGO_BUILD_BUILD_DIR", "ctx/target")
            .env("RUSTFLAGS", "-Cprefer-dynamic");
        with_progress(cargo, what)?;
    }
    Ok(())
}

/// Copies a directory with the times of its files, by which Cargo tells what is fresh. What compilers made is never changed in
/// place, but replaced: such files, nearly all of the bytes, are hard links.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            // What a compiler remembers of its last run is of no use to another kernel.
            if entry.file_name() != "incremental" {
                fs::create_dir_all(&to)?;
                copy(&from, &to)?;
            }
        } else if !is_artefact(&from) || fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
            let modified: SystemTime = entry.metadata()?.modified()?;
            File::options().append(true).open(&to)?.set_modified(modified)?;
        }
    }
    Ok(())
}

fn is_artefact(path: &Path) -> bool {
    let artefacts = ["rlib", "rmeta", "so", "dylib", "a", "o"];
    path.extension().is_some_and(|extension| artefacts.iter().any(|artefact| extension == *artefact))
}

fn toml_path(path: &Path) -> Result<String> {
    let path = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(toml::Value::from(path).to_string())
}

fn write_if_changed(path: &Path, contents: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    fs::write(path, contents).with_context(|| format!("{} cannot be written", path.display()))
}

fn host() -> Result<String> {
    let version = cargo::rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for which machine it compiles")?.to_owned())
}

/// Where cells find the standard library's shared object: the relative path that the linker wrote into them is off by one
/// folder, as evcxr moves what it compiled. `cargo run` adds the target directory to this list, whose shared object of the
/// library is built with other flags and must not be found before the kernel's.
fn library_path(target: &Path) -> Result<(&'static str, OsString)> {
    let variable = if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let ours = PathBuf::from(cargo::rustc(&["--print", "target-libdir"])?);
    let others = std::env::var_os(variable).unwrap_or_default();
    let others = std::env::split_paths(&others).filter(|path| path.is_absolute() && !path.starts_with(target));
    Ok((variable, std::env::join_paths(std::iter::once(ours).chain(others))?))
}

/// Type inference in the notebooks reads the standard library's source. Without it cells still run, with types written out.
fn standard_library_source() -> Result<()> {
    if cargo::toolchain()?.join("lib/rustlib/src/rust/library/std").exists() {
        return Ok(());
    }
    say("Adding the standard library's source (rustup component add rust-src) …");
    let added = Command::new("rustup").args(["component", "add", "rust-src"]).output();
    if !added.is_ok_and(|output| output.status.success()) {
        say(
            "It could not be added. Without it, variables whose types come from the standard library need written types; a \
             cell says so. Your system may have a package for it, often called rust-src.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_of_the_dependencies_is_handed_on() {
        let profile: toml::Table = profile().unwrap().parse().unwrap();
        let dev = &profile["profile"]["dev"];
        assert_eq!(dev["package"]["*"]["overflow-checks"].as_bool(), Some(false));
        // The cells' own code keeps the checks that a dev profile has.
        assert!(dev.get("overflow-checks").is_none() && dev.get("debug-assertions").is_none());
    }

    #[test]
    fn a_copy_keeps_times_and_shares_what_compilers_made() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for dir in ["from/deps", "from/incremental", "to"] {
            fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        for file in ["deps/libx.rlib", "deps/x.d", "incremental/y"] {
            fs::write(from.join(file), file).unwrap();
        }
        let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 7);
        File::options().append(true).open(from.join("deps/x.d")).unwrap().set_modified(then).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::metadata(to.join("deps/x.d")).unwrap().modified().unwrap(), then);
        assert!(!to.join("incremental").exists());
        fs::write(to.join("deps/x.d"), "changed").unwrap();
        assert_eq!(fs::read_to_string(from.join("deps/x.d")).unwrap(), "deps/x.d");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let inode = |dir: &Path| fs::metadata(dir.join("deps/libx.rlib")).unwrap().ino();
            assert_eq!(inode(&from), inode(&to));
        }
    }

    #[test]
    fn only_the_directories_of_dead_kernels_are_removed() {
        let running = tempfile::tempdir().unwrap();
        for kernel in ["alive", "dead", "never-locked"] {
            fs::create_dir(running.path().join(kernel)).unwrap();
        }
        fs::write(running.path().join("dead/lock"), "").unwrap();
        let alive = File::create(running.path().join("alive/lock")).unwrap();
        alive.lock().unwrap();
        remove_leftovers(running.path()).unwrap();
        let left: Vec<_> = fs::read_dir(running.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["alive"]);
    }
}
