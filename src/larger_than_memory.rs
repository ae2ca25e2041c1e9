//! Statistics and log likelihoods of files larger than memory, CSV or Parquet, read in batches by polars' streaming engine.
//!
//! Behind the feature `streaming`, which nearly doubles the number of crates. In `Cargo.toml`, and where it is used:
//!
//! ```toml
//! generative-models = { path = "path/to/this/folder", features = ["streaming"] }
//! ```
//! ```
//! use generative_models::larger_than_memory::ln_likelihood_of_file;
//! use generative_models::prelude::*;
//! let (path, columns) = (data::path("iris.csv"), ["petal length", "petal width"]);
//! let fit = GaussianStats::from_file(&path, &columns)?.fit()?;
//! let ll = ln_likelihood_of_file(&fit, &path, &columns)?;
//!
//! let x = data::matrix(&data::iris()?, &columns)?;
//! assert_eq!((&fit, ll), (&Gaussian::fit(&x)?, ln_likelihood(&fit, &x)?));
//! # Ok::<(), Error>(())
//! ```
//!
//! # Memory
//! A batch has 2¹⁹ numbers (and at least 1024 rows), and the reader waits for whoever works on it. What polars reads ahead comes on
//! top: some 100 MB for each thread with CSV, and about ten row groups with Parquet, so that these should hold 64 MB or less.
//! `POLARS_MAX_THREADS` limits the threads. A file may have up to 2³² − 2 rows; split a longer one and merge.
//!
//! # Chunks, threads and machines
//! [`GaussianStats`] form a monoid under [`merge`](GaussianStats::merge): the parts of a data set may lie in several files, and each may
//! be read by a thread or a machine of its own, which sends count, mean and scatter to where [`GaussianStats::new`] takes them up.
//!
//! ```
//! # use generative_models::prelude::*;
//! # let folder = std::env::temp_dir().join(format!("generative-models-parts-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # let parts = [folder.join("1.csv"), folder.join("2.csv")];
//! # std::fs::write(&parts[0], "x,y\n1,2\n3,5\n").unwrap();
//! # std::fs::write(&parts[1], "x,y\n4,4\n0,1\n").unwrap();
//! let mut stats = GaussianStats::empty(2);
//! for part in parts {
//!     let elsewhere = GaussianStats::from_file(part, &["x", "y"])?;
//!     let (count, mean, scatter) = (elsewhere.count(), elsewhere.mean().clone(), elsewhere.scatter().clone());
//!     stats = stats.merge(GaussianStats::new(count, mean, scatter)?)?;
//! }
//! assert_eq!(stats.mean(), &dvector![2.0, 3.0]);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), Error>(())
//! ```
//!
//! The batches follow from the number of columns alone and are merged in the file's order: the result is the same to the last bit for
//! every number of threads, and for CSV and Parquet with the same numbers, whatever the row groups. Another grouping of the same rows,
//! into files for example, changes it by rounding alone. With K = 128 + N/1024 + the number of groups, and to first order,
//!
//! ```text
//! |Δx̄ᵢ| ≤ K 2⁻⁵⁰ maxₙ|xₙᵢ|   and   |ΔSᵢⱼ| ≤ K 2⁻⁵⁰ (1 + κᵢ + κⱼ) √(Sᵢᵢ Sⱼⱼ),   κᵢ = maxₙ|xₙᵢ| / √(Sᵢᵢ/N).
//! ```

use crate::data::describe;
use crate::error::{Error, Result};
use crate::gaussian::{Density, same_length};
use crate::mle::{GaussianStats, ln_likelihood};
use nalgebra::DMatrix;
use polars::prelude::*;
use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;

impl GaussianStats {
    /// The statistics of the named columns of a CSV or Parquet file, each row a sample, in memory that does not grow with the file.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file, and the column and the line (CSV, from 1) or row (Parquet, from 0) where there is one: a file
    /// that is missing, empty, broken or without rows; a column that is missing or not numeric; a field that is empty, missing, NaN,
    /// infinite or no number. [`Error::Shape`] without columns, [`Error::Overflow`].
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let lengths = GaussianStats::from_file(data::path("iris.csv"), &["sepal length", "petal length"])?;
    /// assert_eq!(lengths.count(), 150);
    /// let error = GaussianStats::from_file(data::path("iris.csv"), &["species"]).unwrap_err();
    /// assert!(error.to_string().ends_with("iris.csv: line 2, column \"species\": \"setosa\" is not a finite number"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>, columns: &[impl AsRef<str>]) -> Result<Self> {
        let mut stats = Self::empty(columns.len());
        for_each_batch(path.as_ref(), columns, |rows| {
            stats = std::mem::replace(&mut stats, Self::empty(0)).merge(Self::from_rows(rows)?)?;
            Ok(())
        })?;
        Ok(stats)
    }
}

/// The log likelihood LL = Σₙ ln p(xₙ) of the named columns of a CSV or Parquet file, each row a sample, in memory that does not grow
/// with the file.
///
/// # Errors
/// Those of [`GaussianStats::from_file`]; [`Error::Shape`] unless there are d columns; those of [`Density::ln_pdf_rows`].
///
/// # Example
/// ```
/// use generative_models::larger_than_memory::ln_likelihood_of_file;
/// use generative_models::prelude::*;
/// let (path, columns) = (data::path("iris.csv"), ["petal length", "petal width"]);
/// let p = Mixture::new(&[0.3, 0.7], vec![Gaussian::standard(2)?, Gaussian::new(dvector![5.0, 1.7], DMatrix::identity(2, 2))?])?;
/// let ll = ln_likelihood_of_file(&p, &path, &columns)?;
/// assert_eq!(ll, ln_likelihood(&p, &data::matrix(&data::iris()?, &columns)?)?);
/// # Ok::<(), Error>(())
/// ```
pub fn ln_likelihood_of_file(
    density: &impl Density,
    path: impl AsRef<Path>,
    columns: &[impl AsRef<str>],
) -> Result<f64> {
    same_length("the columns", density.dim(), columns.len())?;
    let mut sum = 0.0;
    for_each_batch(path.as_ref(), columns, |rows| {
        sum += ln_likelihood(density, rows)?;
        Ok(())
    })?;
    Ok(sum)
}

/// Hands the rows of a file on, in its order and in batches of one height but for the last.
fn for_each_batch(
    path: &Path,
    columns: &[impl AsRef<str>],
    mut each: impl FnMut(&DMatrix<f64>) -> Result<()>,
) -> Result<()> {
    let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    let source = Source::open(path, &columns)?;
    // Room for one batch: a reader that is faster than `each` waits.
    let (sender, batches) = sync_channel(1);
    thread::scope(|scope| {
        let reader = scope.spawn(|| source.send(sender));
        let mut height = 0;
        let taken = batches.into_iter().try_for_each(|batch| {
            let rows = source.rows(&batch, height)?;
            height += batch.height();
            each(&rows)
        });
        // Only the reader's end says whether these were all the batches.
        let end = reader.join();
        taken?;
        match end {
            Err(panic) => Err(source.broken(format!("polars failed: {}", message(panic.as_ref())))),
            Ok(Err(Error::Polars(error))) => Err(source.broken(error.to_string())),
            Ok(Ok(())) if height == 0 => Err(source.error("there are no rows")),
            Ok(end) => end,
        }
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why")
}

/// A file, and the columns to read from it.
struct Source<'a> {
    path: &'a Path,
    columns: &'a [&'a str],
    format: Format,
}

enum Format {
    Parquet,
    Csv {
        /// The names in the first line.
        header: Vec<String>,
        /// What is wrong with the lines, once somebody had to ask.
        problem: OnceLock<Option<String>>,
    },
}

impl<'a> Source<'a> {
    fn open(path: &'a Path, columns: &'a [&'a str]) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::Shape { what: "the columns", expected: "at least one".into(), found: "none".into() });
        }
        let mut source = Self { path, columns, format: Format::Parquet };
        let mut magic = Vec::new();
        let head = File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic));
        head.map_err(|e| source.error(e.to_string()))?;
        if magic != *b"PAR1" {
            let header = source.header().map_err(|problem| source.error(problem))?;
            source.format = Format::Csv { header, problem: OnceLock::new() };
        }
        Ok(source)
    }

    fn error(&self, problem: impl Into<String>) -> Error {
        Error::Data { path: self.path.to_owned(), problem: problem.into() }
    }

    /// The error for a file that polars has stumbled over. It names no line of a CSV file, whose lines are therefore read once more.
    fn broken(&self, problem: String) -> Error {
        self.error(self.broken_line().unwrap_or(problem))
    }

    /// Sends the columns in batches, until nobody takes them any more.
    fn send(&self, sender: SyncSender<DataFrame>) -> Result<()> {
        let height = ((1 << 19) / self.columns.len()).max(1024);
        let send = PlanCallback::new(move |batch| Ok(sender.send(batch).is_err()));
        let batches = self.scan()?.sink_batches(send, true, NonZeroUsize::new(height))?;
        batches.collect_with_engine(Engine::Streaming)?;
        Ok(())
    }

    fn scan(&self) -> Result<LazyFrame> {
        let absolute = self.path.canonicalize().map_err(|e| self.error(e.to_string()))?;
        let absolute = PlRefPath::try_from_pathbuf(absolute)?;
        // A plain path would be mapped into memory, and stay there.
        let url = format!("file:///{}", absolute.as_str().trim_start_matches('/').replace('%', "%25"));
        let url = PlRefPath::new(url);
        match &self.format {
            Format::Parquet => self.scan_parquet(url),
            Format::Csv { header, .. } => self.scan_csv(url, header),
        }
    }

    fn scan_parquet(&self, url: PlRefPath) -> Result<LazyFrame> {
        let hive_options = polars::io::HiveOptions::new_disabled();
        let arguments = ScanArgsParquet { glob: false, hive_options, ..Default::default() };
        let mut frame = LazyFrame::scan_parquet(url, arguments)?;
        let schema = frame.collect_schema()?;
        self.check_names(schema.iter_names().map(|name| name.as_str()))?;
        for (name, dtype) in schema.iter().filter(|(name, _)| self.columns.contains(&name.as_str())) {
            if !dtype.is_primitive_numeric() {
                return Err(self.error(format!("column {name:?}: its type is {dtype}, a numeric one is needed")));
            }
        }
        Ok(select(frame, self.columns))
    }

    fn scan_csv(&self, url: PlRefPath, header: &[String]) -> Result<LazyFrame> {
        self.check_names(header.iter().map(String::as_str))?;
        // What a line has beyond the last column goes into one more, since polars would drop it.
        let beyond = beyond(header);
        let dtype = |name: &str| if self.columns.contains(&name) { DataType::Float64 } else { DataType::String };
        let schema = header.iter().chain([&beyond]).map(|name| Field::new(name.into(), dtype(name))).collect();
        let frame = LazyCsvReader::new(url)
            .with_schema(Some(Arc::new(schema)))
            .with_truncate_ragged_lines(true)
            .with_glob(false)
            .finish()?;
        let guards = header.last().filter(|last| !self.columns.contains(&last.as_str())).into_iter().chain([&beyond]);
        Ok(select(frame, &self.columns.iter().copied().chain(guards.map(String::as_str)).collect::<Vec<_>>()))
    }

    fn check_names<'b>(&self, there: impl Iterator<Item = &'b str>) -> Result<()> {
        let there: Vec<&str> = there.collect();
        match self.columns.iter().find(|name| !there.contains(name)) {
            Some(name) => Err(self.error(format!("there is no column {name:?}; the file has {}", there.join(", ")))),
            None => Ok(()),
        }
    }

    /// The rows of a batch that starts with the file's row `first`.
    fn rows(&self, batch: &DataFrame, first: usize) -> Result<DMatrix<f64>> {
        if let Format::Csv { header, .. } = &self.format {
            self.check_lengths(batch, header, first)?;
        }
        let mut values = Vec::with_capacity(batch.height() * self.columns.len());
        for name in self.columns {
            let column = batch.column(name)?.cast(&DataType::Float64)?;
            let column = column.f64()?;
            let start = values.len();
            column.downcast_iter().for_each(|numbers| values.extend_from_slice(numbers.values()));
            if column.null_count() > 0 || !values[start..].iter().all(|x| x.is_finite()) {
                let bad = (first..).zip(column.iter()).find(|(_, x)| !x.is_some_and(f64::is_finite));
                let (row, x) = bad.unwrap_or_default();
                let problem = match (x, &self.format) {
                    (Some(x), _) => format!("{x} is not a finite number"),
                    (None, Format::Parquet) => "the value is missing".into(),
                    (None, Format::Csv { .. }) => "the value is missing (a blank line is a row)".into(),
                };
                return Err(self.broken(format!("row {row}, column {name:?}: {problem}")));
            }
        }
        Ok(DMatrix::from_vec(batch.height(), self.columns.len(), values))
    }

    /// Refuses lines of another length than the header's.
    fn check_lengths(&self, batch: &DataFrame, header: &[String], first: usize) -> Result<()> {
        let beyond = batch.column(&beyond(header))?;
        if let Some(row) = beyond.is_not_null().first_true_idx() {
            return Err(self.broken(format!("row {} has more fields than the header", first + row)));
        }
        // A last field may be empty, or the line too short: polars does not tell the two apart.
        if header.last().map(|last| batch.column(last)).transpose()?.is_some_and(|last| last.null_count() > 0)
            && let Some(problem) = self.broken_line()
        {
            return Err(self.error(problem));
        }
        Ok(())
    }

    fn csv_reader(&self) -> Result<csv::Reader<File>, csv::Error> {
        csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_path(self.path)
    }

    /// The first line of a CSV file.
    fn header(&self) -> Result<Vec<String>, String> {
        let names = self.csv_reader().and_then(|mut reader| reader.headers().cloned()).map_err(|e| describe(&e))?;
        if names.is_empty() {
            return Err("the file is empty".into());
        }
        match names.iter().enumerate().find(|&(j, name)| names.iter().take(j).any(|other| other == name)) {
            Some((_, name)) => Err(format!("line 1 has the column {name:?} twice")),
            None => Ok(names.iter().map(str::to_owned).collect()),
        }
    }

    /// The first line of a CSV file that breaks the rules, and how.
    fn broken_line(&self) -> Option<String> {
        match &self.format {
            Format::Csv { header, problem } => problem.get_or_init(|| self.check_lines(header).err()).clone(),
            Format::Parquet => None,
        }
    }

    fn check_lines(&self, header: &[String]) -> Result<(), String> {
        let fields: Vec<(usize, &String)> =
            header.iter().enumerate().filter(|(_, name)| self.columns.contains(&name.as_str())).collect();
        let mut reader = self.csv_reader().map_err(|e| describe(&e))?;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|e| describe(&e))? {
            let line = record.position().map_or(0, csv::Position::line);
            for &(j, name) in &fields {
                let field = record.get(j).unwrap_or_default().trim_start();
                if field.is_empty() {
                    return Err(format!("line {line}, column {name:?}: the field is empty"));
                }
                if !field.parse().is_ok_and(f64::is_finite) {
                    return Err(format!("line {line}, column {name:?}: {field:?} is not a finite number"));
                }
            }
        }
        Ok(())
    }
}

/// A name that no column has: it is longer than all.
fn beyond(header: &[String]) -> String {
    header.concat() + "+"
}

fn select(frame: LazyFrame, names: &[&str]) -> LazyFrame {
    frame.select([by_name(names.iter().copied(), true, false).as_expr()])
}
