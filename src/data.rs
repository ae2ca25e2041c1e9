//! Real data sets as frames, and frames to matrices.

use crate::error::{Error, Result};
use nalgebra::DMatrix;
use polars::prelude::{Column, DataFrame, DataType};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Fisher's iris measurements: 150 flowers of three species, four lengths in cm and the species.
///
/// # Errors
/// Those of [`read_csv`] if the file in the project's `data` folder is missing or broken.
///
/// Source: Fisher (1936), *Annals of Eugenics* 7, table I; provenance and licence in `data/README.md`.
pub fn iris() -> Result<DataFrame> {
    read_csv(data_dir().join("iris.csv"))
}

fn data_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// A comma-separated file with a header line as a frame: a column whose fields are all numbers becomes `f64`, any other
/// becomes text.
///
/// # Errors
/// [`Error::Data`] naming the file, and the line and column where they are known: a file that is missing, not UTF-8, without
/// rows or with rows of different lengths, a repeated column name, an empty field, or a column of numbers with a field
/// that is none.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let error = data::read_csv("no such file.csv").unwrap_err();
/// assert!(error.to_string().starts_with("no such file.csv: "));
/// ```
pub fn read_csv(path: impl AsRef<Path>) -> Result<DataFrame> {
    let path = path.as_ref();
    let broken = |problem: String| Error::Data { path: path.to_owned(), problem };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|e| broken(describe(&e)))?;
    let names: Vec<String> = reader.headers().map_err(|e| broken(describe(&e)))?.iter().map(str::to_owned).collect();
    let rows: Vec<Vec<String>> =
        reader.deserialize().collect::<Result<_, csv::Error>>().map_err(|e| broken(describe(&e)))?;
    if rows.is_empty() {
        return Err(broken("there are no rows below the header line".into()));
    }
    let columns: Vec<Column> = names
        .iter()
        .enumerate()
        .map(|(j, name)| parse_column(name, rows.iter().map(|row| row[j].as_str()).collect()).map_err(broken))
        .collect::<Result<_>>()?;
    DataFrame::new(rows.len(), columns).map_err(|e| broken(e.to_string()))
}

/// A column is one of numbers if its first field is one. A field that breaks the rule is refused, so that one bad cell does not
/// turn a column of numbers into text unseen.
fn parse_column(name: &str, fields: Vec<&str>) -> Result<Column, String> {
    // Line 1 is the header.
    let at = |row: usize| format!("line {}, column {name:?}", row + 2);
    if let Some(row) = fields.iter().position(|field| field.is_empty()) {
        return Err(format!("{}: the field is empty", at(row)));
    }
    if fields[0].parse::<f64>().is_err() {
        return Ok(Column::new(name.into(), fields));
    }
    let numbers: Vec<f64> = fields
        .iter()
        .enumerate()
        .map(|(row, field)| match field.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(format!("{}: {field:?} is not a finite number", at(row))),
        })
        .collect::<Result<_, String>>()?;
    Ok(Column::new(name.into(), numbers))
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(io) => io.to_string(),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} fields where the header has {expected_len}")
        }
        _ => error.to_string(),
    }
}

/// The named columns of a frame as an N×d matrix, samples as rows.
///
/// # Errors
/// [`Error::NoColumn`] with the names there are, [`Error::Column`] for a column that is not numeric or holds a null.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let frame = df!("x" => [1.0, 2.0], "n" => [3, 4])?;
/// assert_eq!(data::matrix(&frame, &["n", "x"])?, dmatrix![3.0, 1.0; 4.0, 2.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn matrix(frame: &DataFrame, columns: &[impl AsRef<str>]) -> Result<DMatrix<f64>> {
    let values: Vec<Vec<f64>> = columns.iter().map(|name| column(frame, name.as_ref())).collect::<Result<_>>()?;
    Ok(DMatrix::from_vec(frame.height(), columns.len(), values.concat()))
}

/// An N×d matrix as a frame with one column per name.
///
/// # Errors
/// [`Error::Shape`] unless there are d names; polars' error for a repeated name.
pub fn frame(matrix: &DMatrix<f64>, names: &[impl Display]) -> Result<DataFrame> {
    crate::gaussian::same_length("the column names", matrix.ncols(), names.len())?;
    let columns = matrix.column_iter().zip(names).map(|(c, name)| {
        let values: Vec<f64> = c.iter().copied().collect();
        Column::new(name.to_string().into(), values)
    });
    Ok(DataFrame::new(matrix.nrows(), columns.collect())?)
}

/// One numeric column of a frame.
pub(crate) fn column(frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    let column = frame.column(name).map_err(|_| Error::NoColumn {
        name: name.to_owned(),
        available: frame.get_column_names().iter().map(ToString::to_string).collect(),
    })?;
    let wrong = |problem: String| Error::Column { name: name.to_owned(), problem };
    if !column.dtype().is_primitive_numeric() {
        return Err(wrong(format!("its type is {}, a numeric one is needed", column.dtype())));
    }
    let numbers = column.cast(&DataType::Float64)?;
    let numbers = numbers.f64()?.iter().enumerate();
    numbers.map(|(row, x)| x.ok_or_else(|| wrong(format!("the value in row {row} is missing")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    #[test]
    fn iris_is_fishers_table() {
        let frame = iris().unwrap();
        assert_eq!(frame.shape(), (150, 5));
        let sums: Vec<f64> = matrix(&frame, &["sepal length", "sepal width", "petal length", "petal width"])
            .unwrap()
            .row_sum()
            .iter()
            .map(|sum| (sum * 10.0).round() / 10.0)
            .collect();
        // Published means 5.8433, 3.0573, 3.758, 1.1993 times 150.
        assert_eq!(sums, [876.5, 458.6, 563.7, 179.9]);
    }

    #[test]
    fn broken_files_are_described() {
        let dir = std::env::temp_dir().join(format!("generative-models-data-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let message = |text: &[u8]| {
            let path = dir.join("file.csv");
            std::fs::write(&path, text).unwrap();
            read_csv(&path).unwrap_err().to_string()
        };
        assert!(message(b"a,b\n1,2\n3\n").contains("line 3 has 1 fields where the header has 2"));
        assert!(message(b"a,b\n1,2\n3,x\n").contains("line 3, column \"b\": \"x\" is not a finite number"));
        assert!(message(b"a,b\n1,NaN\n").contains("\"NaN\" is not a finite number"));
        assert!(message(b"a,b\n1,\n").contains("line 2, column \"b\": the field is empty"));
        assert!(message(b"a,b\n").contains("no rows"));
        assert!(message(b"").contains("no rows"));
        assert!(message(b"a,a\n1,2\n").contains("a"));
        assert!(message(b"a\n\xff\n").contains("UTF-8"));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn columns_are_checked() {
        let frame = df!("x" => [Some(1.0), None], "s" => ["a", "b"]).unwrap();
        let message = |name| matrix(&frame, &[name]).unwrap_err().to_string();
        assert!(message("y").contains("there is no column \"y\"; the frame has x, s"));
        assert!(message("s").contains("its type is str"));
        assert!(message("x").contains("row 1 is missing"));
    }

    #[test]
    fn frame_and_matrix_are_inverse() {
        let m = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(matrix(&frame(&m, &["a", "b"]).unwrap(), &["a", "b"]).unwrap(), m);
        assert!(frame(&m, &["a"]).is_err());
        assert!(frame(&m, &["a", "a"]).is_err());
    }
}
