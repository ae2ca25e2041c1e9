//! Where things are: the project's folder and what is built of it.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The folder that holds the library, the notebooks and the data.
pub fn root() -> &'static Path {
    // The package of this program is a folder of the project.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's target directory: two above this binary.
pub fn target_dir() -> Result<PathBuf> {
    let binary = std::env::current_exe().context("the path of this program is not known")?;
    let target = binary.parent().and_then(Path::parent).context("this program must lie in Cargo's target directory")?;
    Ok(target.to_owned())
}

/// Writes `contents` to `path` so that a crash at any moment leaves the old file or the new one, whole.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    // A link stays a link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let write = || {
        if let Ok(old) = std::fs::metadata(path) {
            if !old.is_file() {
                return std::fs::write(path, contents);
            }
            if old.permissions().readonly() {
                return Err(std::io::ErrorKind::PermissionDenied.into());
            }
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".workbook-").tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, contents)?;
        if let Ok(old) = std::fs::metadata(path) {
            file.as_file().set_permissions(old.permissions())?;
        }
        // The bytes must be on disk before the name points to them.
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok::<_, std::io::Error>(())
    };
    write().with_context(|| format!("{} could not be written; it is as it was", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        // A folder that is not there stands for a disk that takes nothing.
        let error = write_atomically(&folder.path().join("none/file"), b"x").unwrap_err();
        assert!(error.to_string().contains("could not be written"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        assert!(write_atomically(&path, b"x").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
