//! Real data sets as frames, and frames to matrices.

use crate::error::{Error, Result};
use nalgebra::DMatrix;
use polars::prelude::{Column, DataFrame, DataType, Expr, IntoLazy, Literal};
use std::collections::HashSet;
use std::fmt::Display;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Fisher's iris measurements: 150 flowers of three species, four lengths in cm and the species.
///
/// # Errors
/// Those of [`read_csv`] if the file in the project's `data` folder is missing or broken.
///
/// Source: Fisher (1936), *Annals of Eugenics* 7, table I; provenance and licence in `data/README.md`.
pub fn iris() -> Result<DataFrame> {
    read_csv(path("iris.csv"))
}

/// Chemical analyses of 178 wines from three cultivars (varieties of vine) of one region: thirteen constituents and the cultivar, A to C.
///
/// # Errors
/// Those of [`read_csv`] if the file in the project's `data` folder is missing or broken.
///
/// Source: Forina et al. (1988), PARVUS; provenance and licence in `data/README.md`.
pub fn wine() -> Result<DataFrame> {
    read_csv(path("wine.csv"))
}

/// Handwritten digits: 1797 images of 8×8 pixels from 0 (empty) to 16, in the columns "pixel 0" to "pixel 63" in reading order,
/// and which "digit" each one shows.
///
/// # Errors
/// Those of [`read_csv`] if the file in the project's `data` folder is missing or broken.
///
/// Source: Alpaydin and Kaynak (1998), *Kybernetika* 34; provenance and licence in `data/README.md`.
pub fn digits() -> Result<DataFrame> {
    read_csv(path("digits.csv"))
}

/// Prices in US dollars, adjusted for splits and dividends, of the shares of four companies: one for each of the 123 months from
/// January 2000 to March 2010.
///
/// # Errors
/// Those of [`read_csv`] if the file in the project's `data` folder is missing or broken.
///
/// Source: the vega datasets; provenance and licence in `data/README.md`.
pub fn shares() -> Result<DataFrame> {
    read_csv(path("shares.csv"))
}

/// The log returns ln pₜ − ln pₜ₋₁ of a frame of prices: one row less, and columns that are not numbers without their first row.
///
/// # Errors
/// [`Error::Column`] for a price that is missing, infinite, or not positive.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let prices = df!("day" => ["Mon", "Tue", "Wed"], "price" => [1.0, 1.0_f64.exp(), 1.0])?;
/// assert_eq!(data::log_returns(&prices)?, df!("day" => ["Tue", "Wed"], "price" => [1.0, -1.0])?);
/// # Ok::<(), Error>(())
/// ```
pub fn log_returns(prices: &DataFrame) -> Result<DataFrame> {
    let later = prices.slice(1, prices.height().saturating_sub(1));
    let of = |later: &Column| {
        if !later.dtype().is_primitive_numeric() {
            return Ok(later.clone());
        }
        let prices = column(prices, later.name())?;
        if let Some(row) = prices.iter().position(|&price| !(price > 0.0 && price.is_finite())) {
            let problem = format!("the price in row {row} is {}, a positive number is needed", prices[row]);
            return Err(Error::Column { name: later.name().to_string(), problem });
        }
        let returns: Vec<f64> = prices.windows(2).map(|pair| pair[1].ln() - pair[0].ln()).collect();
        Ok(Column::new(later.name().clone(), returns))
    };
    Ok(DataFrame::new(later.height(), later.columns().iter().map(of).collect::<Result<_>>()?)?)
}

/// Cuts a picture (a PNG with 8 bits for each of red, green and blue) into patches of `height` × `width` pixels, one row each: "row"
/// and "column" of its top left pixel, and the d = 3 · height · width values from 0 to 255 in the columns "pixel 0", "pixel 1", …,
/// in reading order with red, green and blue beside each other. The next patch starts `stride` pixels further: patches
/// overlap where it is smaller than they are.
///
/// # Errors
/// [`Error::Data`] naming the file if it is missing or not such a picture; [`Error::Domain`] if the patch is empty or larger than the
/// picture, or the stride is 0.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let patches = data::patches(data::path("china.png"), 8, 8, 8)?;
/// assert_eq!(data::pixels(&patches)?.shape(), (26 * 40, 3 * 8 * 8));
/// # Ok::<(), Error>(())
/// ```
pub fn patches(picture: impl AsRef<Path>, height: usize, width: usize, stride: usize) -> Result<DataFrame> {
    let (rows, columns, rgb) = read_png(picture.as_ref())?;
    for (what, size, of) in [("the height of a patch", height, rows), ("the width of a patch", width, columns)] {
        if !(1..=of).contains(&size) {
            return Err(Error::Domain { what, value: size as f64, domain: "between 1 and the picture's" });
        }
    }
    if stride == 0 {
        return Err(Error::Domain { what: "the stride", value: 0.0, domain: "at least 1" });
    }
    let corners: Vec<(usize, usize)> = (0..=rows - height)
        .step_by(stride)
        .flat_map(|i| (0..=columns - width).step_by(stride).map(move |j| (i, j)))
        .collect();
    let column = |name: String, value: &dyn Fn(usize, usize) -> usize| {
        Column::new(name.into(), corners.iter().map(|&(i, j)| value(i, j) as f64).collect::<Vec<f64>>())
    };
    let place = [column("row".into(), &|i, _| i), column("column".into(), &|_, j| j)];
    let pixels = (0..3 * height * width).map(|k| {
        let (down, right) = (k / (3 * width), k % (3 * width));
        column(format!("pixel {k}"), &|i, j| rgb[3 * ((i + down) * columns + j) + right].into())
    });
    Ok(DataFrame::new(corners.len(), place.into_iter().chain(pixels).collect())?)
}

/// The columns "pixel 0", "pixel 1", … of a frame as an N×d matrix, one image in each row.
///
/// # Errors
/// [`Error::NoColumn`] if there is none; [`Error::Column`] as [`matrix`] has it.
pub fn pixels(images: &DataFrame) -> Result<DMatrix<f64>> {
    let names: HashSet<&str> = images.get_column_names().into_iter().map(|name| name.as_str()).collect();
    let pixels: Vec<String> =
        (0..).map(|k| format!("pixel {k}")).take_while(|name| names.contains(name.as_str())).collect();
    if pixels.is_empty() {
        column(images, "pixel 0")?;
    }
    matrix(images, &pixels)
}

/// The path of a file in the project's `data` folder.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file)
}

/// Height, width, and the bytes of red, green and blue in reading order.
fn read_png(path: &Path) -> Result<(usize, usize, Vec<u8>)> {
    let broken = |problem: String| Error::Data { path: path.to_owned(), problem };
    let file = std::fs::File::open(path).map_err(|e| broken(e.to_string()))?;
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().map_err(|e| broken(e.to_string()))?;
    let mut rgb = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut rgb).map_err(|e| broken(e.to_string()))?;
    match (info.color_type, info.bit_depth) {
        (png::ColorType::Rgb, png::BitDepth::Eight) => Ok((info.height as usize, info.width as usize, rgb)),
        (colour, depth) => {
            Err(broken(format!("its pixels are {colour:?} of {depth:?} bits; save it as RGB of 8 bits")))
        }
    }
}

/// A comma-separated file with a header line as a frame. A column whose first field is a number is one of `f64`, and every other
/// field in it must be a number too; any other column is text.
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
        return Err(format!("{}: the field is empty; fill it, or remove the line", at(row)));
    }
    if fields[0].parse::<f64>().is_err() {
        return Ok(Column::new(name.into(), fields));
    }
    let numbers: Vec<f64> = fields
        .iter()
        .enumerate()
        .map(|(row, field)| match field.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(format!("{}: {field:?} is not a finite number; correct it, or remove the line", at(row))),
        })
        .collect::<Result<_, String>>()?;
    Ok(Column::new(name.into(), numbers))
}

pub(crate) fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(io) => match std::env::current_dir() {
            Ok(folder) if io.kind() == std::io::ErrorKind::NotFound => {
                format!("{io}, looked for from {}", folder.display())
            }
            _ => io.to_string(),
        },
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

/// The rows of a frame in which a column has this value.
///
/// # Errors
/// [`Error::NoColumn`] with the names there are, [`Error::Column`] if no row has the value; polars' error if the column's values cannot be
/// compared with it.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let virginica = data::filter(&data::iris()?, "species", "virginica")?;
/// assert_eq!(virginica.height(), 50);
/// # Ok::<(), Error>(())
/// ```
pub fn filter(frame: &DataFrame, column: &str, value: impl Literal + Display) -> Result<DataFrame> {
    present(frame, column)?;
    let problem = format!("no row has the value {value}");
    // Not `col`, to which some names are patterns.
    let rows = frame.clone().lazy().filter(Expr::Column(column.into()).eq(value.lit())).collect()?;
    if rows.height() == 0 { Err(Error::Column { name: column.into(), problem }) } else { Ok(rows) }
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
///
/// # Errors
/// [`Error::NoColumn`] with the names there are, [`Error::Column`] if it is not numeric or holds a null.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let frame = df!("x" => [1.0, 2.0], "n" => [3, 4])?;
/// assert_eq!(data::column(&frame, "n")?, [3.0, 4.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn column(frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    let column = present(frame, name)?;
    let wrong = |problem: String| Error::Column { name: name.to_owned(), problem };
    if !column.dtype().is_primitive_numeric() {
        let first = column.get(0).map(|value| format!(" ({value} in row 0)")).unwrap_or_default();
        return Err(wrong(format!("its type is {}{first}, a numeric one is needed", column.dtype())));
    }
    let numbers = column.cast(&DataType::Float64)?;
    let numbers = numbers.f64()?.iter().enumerate();
    numbers.map(|(row, x)| x.ok_or_else(|| wrong(format!("the value in row {row} is missing")))).collect()
}

/// The column of this name.
pub(crate) fn present<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column> {
    frame.column(name).map_err(|_| Error::NoColumn {
        name: name.to_owned(),
        available: frame.get_column_names().iter().map(ToString::to_string).collect(),
    })
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
    fn the_other_sets_are_what_their_sources_say() {
        let wine = wine().unwrap();
        assert_eq!(wine.shape(), (178, 14));
        // Published: means 13.0 and 746 to three digits.
        let means = matrix(&wine, &["alcohol", "proline"]).unwrap().row_mean();
        assert!((means[0] - 13.0).abs() < 0.05 && (means[1] - 746.9).abs() < 0.05, "{means}");
        let digits = digits().unwrap();
        let images = pixels(&digits).unwrap();
        assert_eq!((digits.shape(), images.shape()), ((1797, 65), (1797, 64)));
        assert_eq!((images.min(), images.max()), (0.0, 16.0));
        let shares = shares().unwrap();
        let returns = log_returns(&shares).unwrap();
        assert_eq!((shares.shape(), returns.shape()), ((123, 5), (122, 5)));
        let total = matrix(&returns, &["IBM"]).unwrap().sum();
        assert!((total - (125.55_f64 / 100.52).ln()).abs() < 1e-12, "{total}");
    }

    #[test]
    fn patches_are_cut_in_reading_order() {
        let whole = pixels(&patches(path("flower.png"), 208, 6, 500).unwrap()).unwrap();
        let overlapping = patches(path("flower.png"), 2, 3, 1).unwrap();
        let small = pixels(&overlapping).unwrap();
        assert_eq!((whole.shape(), small.shape()), ((1, 3 * 208 * 6), (207 * 318, 18)));
        // The second pixel of the second row of the patch at row 5, column 2.
        let row = 5 * 318 + 2;
        assert_eq!(matrix(&overlapping, &["row", "column"]).unwrap().row(row).iter().sum::<f64>(), 7.0);
        assert_eq!(small[(row, 12)], whole[(0, 18 * 6 + 9)]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let message = |file, height, stride| patches(path(file), height, 8, stride).unwrap_err().to_string();
        assert!(message("none.png", 8, 8).contains("none.png"));
        assert!(message("iris.csv", 8, 8).contains("iris.csv"));
        assert!(message("china.png", 209, 8).contains("the height of a patch"));
        assert!(message("china.png", 0, 8).contains("the height of a patch"));
        assert!(message("china.png", 8, 0).contains("the stride"));
        assert!(pixels(&iris().unwrap()).unwrap_err().to_string().contains("pixel 0"));
        let refused = log_returns(&df!("p" => [1.0, 0.0]).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("row 1 is 0"), "{refused}");
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
        assert!(message(b"a,a\n1,2\n").contains("duplicate"));
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
    fn rows_of_one_value() {
        let digits = digits().unwrap();
        assert_eq!(column(&filter(&digits, "digit", 3).unwrap(), "digit").unwrap(), vec![3.0; 183]);
        let frame =
            df!("*" => ["a", "b", "a"], "^x$" => [1.0, 2.0, f64::NAN], "gap" => [Some(1), None, Some(2)]).unwrap();
        assert_eq!(filter(&frame, "*", "a").unwrap().height(), 2);
        assert_eq!(filter(&frame, "^x$", 2.0).unwrap(), frame.slice(1, 1));
        assert_eq!(filter(&frame, "gap", 2).unwrap(), frame.slice(2, 1));
        let message = |name, value: &'static str| filter(&frame, name, value).unwrap_err().to_string();
        assert!(message("y", "a").contains("there is no column \"y\"; the frame has *, ^x$"));
        assert!(message("*", "c").contains("\"*\": no row has the value c"));
        assert!(filter(&frame, "^x$", "a").is_err());
    }

    #[test]
    fn frame_and_matrix_are_inverse() {
        let m = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(matrix(&frame(&m, &["a", "b"]).unwrap(), &["a", "b"]).unwrap(), m);
        assert!(frame(&m, &["a"]).is_err());
        assert!(frame(&m, &["a", "a"]).is_err());
    }
}
