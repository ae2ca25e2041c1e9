//! Notebook files: reading, the outputs of a cell, writing.

use crate::cli::Usage;
use crate::kernel::Execution;
use crate::project::write_atomically;
use crate::report::Check;
use anyhow::{Context, Result, bail};
use nbformat::v4::{Cell, Output};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The tag of a cell that is meant to fail.
const RAISES: &str = "raises-exception";

/// The tag of a cell that solves an exercise.
const SOLUTION: &str = "solution";

/// The cell metadata that holds the reports of the checks a cell made, so that a later run notices one that is gone.
const CHECKS: &str = "checks";

/// The notebook's metadata that tells which code a run has executed.
const EXECUTED: &str = "executed";

/// A notebook and the file it came from.
#[derive(Clone)]
pub struct Notebook {
    pub path: PathBuf,
    contents: nbformat::v4::Notebook,
    /// The file as it was read.
    text: String,
}

impl Notebook {
    /// Reads a notebook of format 4.5.
    ///
    /// # Errors
    /// [`Usage`] if the file is missing or is no such notebook.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Usage(format!("{} is no notebook that can be run: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        match nbformat::parse_notebook(&text) {
            Ok(nbformat::Notebook::V4(contents)) => Ok(Self { path: path.to_owned(), contents, text }),
            Ok(nbformat::Notebook::V4QuirksMode(_)) => {
                Err(wrong("a cell has no id; open and save it in a current JupyterLab".into()).into())
            }
            Ok(_) => Err(wrong("its format is not 4.5; open and save it in a current JupyterLab".into()).into()),
            Err(error) => Err(wrong(error.to_string()).into()),
        }
    }

    /// The file's name without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The folder in which its cells work, as in a Jupyter front end.
    pub fn folder(&self) -> &Path {
        self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The code cells that hold code, in order.
    pub fn code_cells(&self) -> impl Iterator<Item = CodeCell> {
        self.contents.cells.iter().enumerate().filter_map(|(index, cell)| match cell {
            Cell::Code { metadata, source, .. } if !source.concat().trim().is_empty() => Some(CodeCell {
                index,
                source: source.concat(),
                must_fail: metadata.tags.iter().flatten().any(|tag| tag == RAISES),
            }),
            _ => None,
        })
    }

    /// The first heading, or else the name.
    pub fn title(&self) -> String {
        let heading = |cell: &Cell| match cell {
            Cell::Markdown { source, .. } => {
                source.concat().lines().find_map(|l| Some(l.strip_prefix("# ")?.to_owned()))
            }
            _ => None,
        };
        self.contents.cells.iter().find_map(heading).unwrap_or_else(|| self.name())
    }

    /// Whether its outputs are those of its code: whether a run saved it, and the code is the same since.
    pub fn is_as_executed(&self) -> bool {
        self.contents.metadata.additional.get(EXECUTED).is_some_and(|executed| *executed == self.checksum())
    }

    /// A number that changes with the code.
    fn checksum(&self) -> String {
        let mut checksum = crc32fast::Hasher::new();
        for cell in self.code_cells() {
            checksum.update(cell.source.as_bytes());
            // So that a line cannot move from cell to cell.
            checksum.update(&[0]);
        }
        format!("{:08x}", checksum.finalize())
    }

    /// What a reader sees, cell by cell.
    pub fn contents(&self) -> impl Iterator<Item = Content> {
        self.contents.cells.iter().enumerate().map(|(index, cell)| match cell {
            Cell::Code { source, execution_count, metadata, .. } => Content::Code {
                source: source.concat(),
                solution: metadata.tags.iter().flatten().any(|tag| tag == SOLUTION),
                executed: execution_count.is_some(),
                outputs: self.outputs(index),
                checks: checks_of(cell),
            },
            Cell::Markdown { source, .. } | Cell::Raw { source, .. } => Content::Text(source.concat()),
        })
    }

    /// The outputs of the cell at `index` as they are in the file, JSON.
    pub fn outputs(&self, index: usize) -> Vec<Value> {
        match &self.contents.cells[index] {
            Cell::Code { outputs, .. } => outputs.iter().filter_map(|o| serde_json::to_value(o).ok()).collect(),
            _ => Vec::new(),
        }
    }

    /// The checks that the cells made when a run last saved the file.
    pub fn saved_checks(&self) -> Vec<Check> {
        self.contents.cells.iter().flat_map(checks_of).collect()
    }

    /// Removes all outputs, so that what is saved is of one run.
    pub fn clear_outputs(&mut self) {
        for cell in &mut self.contents.cells {
            if let Cell::Code { outputs, execution_count, metadata, .. } = cell {
                outputs.clear();
                *execution_count = None;
                metadata.additional.remove(CHECKS);
            }
        }
        self.contents.metadata.additional.remove(EXECUTED);
    }

    /// Puts what came of a cell in its place: the `count`-th that was executed.
    pub fn record(&mut self, index: usize, count: usize, execution: &Execution, checks: &[Check]) -> Result<()> {
        if let Cell::Code { outputs, execution_count, metadata, .. } = &mut self.contents.cells[index] {
            *execution_count = Some(count.try_into()?);
            *outputs = outputs_of(execution, count)?;
            if !checks.is_empty() {
                metadata.additional.insert(CHECKS.to_owned(), json!(checks));
            }
        }
        Ok(())
    }

    /// Says that every cell has been executed.
    pub fn mark_executed(&mut self) {
        let checksum = self.checksum();
        self.contents.metadata.additional.insert(EXECUTED.to_owned(), json!(checksum));
    }

    /// Writes the notebook over the file that it was read from, unless that has changed since.
    pub fn save(&self) -> Result<()> {
        if std::fs::read_to_string(&self.path)? != self.text {
            bail!("{} was changed while it was executed, and is left as it is", self.path.display());
        }
        self.write(&self.path)
    }

    /// Writes the notebook to `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = nbformat::serialize_notebook(&nbformat::Notebook::V4(self.contents.clone()));
        write_atomically(path, text.context("the notebook cannot be written as JSON")?.as_bytes())
    }
}

/// The checks that a cell made when a run last saved it.
fn checks_of(cell: &Cell) -> Vec<Check> {
    let saved = cell.metadata().additional.get(CHECKS);
    saved.and_then(|checks| serde_json::from_value(checks.clone()).ok()).unwrap_or_default()
}

/// A cell as a reader sees it.
pub enum Content {
    /// Markdown.
    Text(String),
    Code {
        source: String,
        /// Whether it is tagged as the solution of an exercise.
        solution: bool,
        executed: bool,
        /// As in the file, JSON.
        outputs: Vec<Value>,
        checks: Vec<Check>,
    },
}

/// A cell to execute.
pub struct CodeCell {
    /// Its place among all cells.
    pub index: usize,
    pub source: String,
    /// Whether it is tagged as one that fails.
    pub must_fail: bool,
}

impl CodeCell {
    /// Its number for a reader: all cells count, from 1.
    pub fn number(&self) -> usize {
        self.index + 1
    }

    pub fn first_line(&self) -> &str {
        self.source.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
    }
}

/// Text first, in the order of the streams, then what the cell displayed, then its error: as a Jupyter front end shows them.
fn outputs_of(execution: &Execution, count: usize) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for (name, lines) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        if !lines.is_empty() {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            outputs.push(json!({"output_type": "stream", "name": name, "text": text}));
        }
    }
    if !execution.display.is_empty() {
        let metadata = picture_size(execution.display.get("image/png")).unwrap_or_else(|| json!({}));
        outputs.push(json!({
            "output_type": "execute_result", "execution_count": count, "data": execution.display, "metadata": metadata,
        }));
    }
    if let Some(error) = &execution.error {
        outputs
            .push(json!({"output_type": "error", "ename": "Error", "evalue": error.lines().next().unwrap_or_default(),
            "traceback": error.lines().collect::<Vec<_>>()}));
    }
    Ok(outputs.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
}

/// Pictures have twice the resolution at which they are shown.
fn picture_size(png: Option<&String>) -> Option<Value> {
    let picture = crate::compare::decode_png(png?)?;
    Some(json!({"image/png": {"width": picture.width / 2, "height": picture.height / 2}}))
}
