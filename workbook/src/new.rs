//! `workbook new`: a notebook to begin with.

use crate::cli::Usage;
use crate::project;
use crate::terminal::say;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;

/// A notebook with a derivation, a check, a refutation and a picture, each made to be replaced.
const TEMPLATE: &str = include_str!("../assets/new.ipynb");

/// Makes `notebooks/NAME.ipynb` and says how to go on.
///
/// # Errors
/// [`Usage`] if the name is none for a file, or is taken.
pub fn notebook(name: &str) -> Result<()> {
    let name = name.strip_suffix(".ipynb").unwrap_or(name);
    let path = write(&project::root().join("notebooks"), name)?;
    say(&format!(
        "{path} is there, with a first check. To go on:\n  \
         cargo run -- lab    opens JupyterLab on the notebooks\n  \
         cargo run -- run --in-place {name}    executes it and saves what comes of it"
    ));
    Ok(())
}

fn write(folder: &Path, name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let message =
            format!("{name:?} cannot be a notebook's name; letters, digits, - and _ can be in it, as in 19-my-model");
        return Err(Usage(message).into());
    }
    let path = folder.join(format!("{name}.ipynb"));
    let mut file = match std::fs::File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Usage(format!("{} is there already, and is left as it is", path.display())).into());
        }
        file => file.with_context(|| format!("{} could not be written", path.display()))?,
    };
    file.write_all(TEMPLATE.replace("TITLE", &title(name)).replace("NAME", name).as_bytes())?;
    Ok(path.display().to_string())
}

/// 19-my-model is called My model.
fn title(name: &str) -> String {
    let words = name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or(name.to_owned(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::Notebook;

    #[test]
    fn a_new_notebook_has_its_name_and_takes_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "19-my_model").unwrap();
        let notebook = Notebook::read(Path::new(&path)).unwrap();
        assert_eq!(notebook.title(), "My model");
        assert_eq!(title("19"), "19");
        assert!(notebook.code_cells().any(|cell| cell.source.contains(r#"claim: "19-my_model""#)));
        std::fs::write(&path, "mine").unwrap();
        assert!(write(folder.path(), "19-my_model").unwrap_err().is::<Usage>());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_name_stays_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "../a", "a/b", "a b", "é"] {
            assert!(write(folder.path(), name).unwrap_err().is::<Usage>(), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
