//! Files larger than memory: the same numbers as in memory, whatever the format, the threads and the chunks; and what is wrong with
//! a file that is refused.

use generative_models::larger_than_memory::ln_likelihood_of_file;
use generative_models::polars::prelude::{DataType, ParquetWriter};
use generative_models::prelude::*;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const NAMES: [&str; 3] = ["x", "y", "z"];

/// A folder of one test's files, which is removed with it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn parquet(&self, name: &str, frame: &DataFrame, rows_of_a_group: usize) -> PathBuf {
        let path = self.file(name);
        let writer = ParquetWriter::new(File::create(&path).unwrap()).with_row_group_size(Some(rows_of_a_group));
        writer.finish(&mut frame.clone()).unwrap();
        path
    }
}

/// Three correlated variables, one of them far from zero.
fn normal() -> Gaussian {
    let covariance = dmatrix![2.0, 0.7, 0.1; 0.7, 1.0, -0.3; 0.1, -0.3, 3.0];
    Gaussian::new(dvector![0.0, -1.0, 1e5], covariance).unwrap()
}

fn samples(n: usize) -> DMatrix<f64> {
    normal().sample_n(n, &mut rng("streaming"))
}

fn csv(data: &DMatrix<f64>) -> String {
    let mut text = NAMES.join(",") + "\n";
    for row in data.row_iter() {
        text += &format!("{},{},{}\n", row[0], row[1], row[2]);
    }
    text
}

/// What the module's documentation promises: batches of 2¹⁹ numbers, merged in order.
fn batches(data: &DMatrix<f64>) -> impl Iterator<Item = DMatrix<f64>> {
    let height = (1 << 19) / data.ncols();
    (0..data.nrows()).step_by(height).map(move |row| data.rows(row, height.min(data.nrows() - row)).into_owned())
}

fn merged(groups: impl Iterator<Item = DMatrix<f64>>) -> GaussianStats {
    groups.fold(GaussianStats::empty(3), |stats, rows| stats.merge(GaussianStats::from_rows(&rows).unwrap()).unwrap())
}

#[test]
fn both_formats_give_the_bits_of_the_same_batches_in_memory() {
    let folder = Folder::new();
    let data = samples(400_000);
    let frame = data::frame(&data, &NAMES).unwrap();
    let (stats, p) = (merged(batches(&data)), normal());
    let ll: f64 = batches(&data).map(|rows| ln_likelihood(&p, &rows).unwrap()).sum();
    for path in [
        folder.write("a.csv", csv(&data)),
        folder.parquet("small row groups.parquet", &frame, 10_007),
        folder.parquet("one row group.parquet", &frame, 1 << 20),
    ] {
        assert_eq!(GaussianStats::from_file(&path, &NAMES).unwrap(), stats, "{path:?}");
        assert_eq!(ln_likelihood_of_file(&p, &path, &NAMES).unwrap(), ll, "{path:?}");
    }
}

#[test]
fn columns_are_taken_by_name_in_the_order_asked_for() {
    let folder = Folder::new();
    let ints: &[i64] = &[1, 2, 6];
    let frame = df!("n" => ints, "s" => ["a", "b", "c"], "f" => [0.5f32, -1.0, 2.0], "*" => [1.0, 2.0, 3.0]).unwrap();
    let expected = GaussianStats::from_rows(&dmatrix![3.0, 0.5, 1.0; 1.0, -1.0, 2.0; 2.0, 2.0, 6.0]).unwrap();
    let parquet = folder.parquet("a.parquet", &frame, 2);
    let text = "n,s,f,*,\" 1,\n2\",empty\n1,a,.5,3,x,\n2,\"b,\n\", -1.0,1e0,,\r\n6,,\"2\",2,\"\"\"\",\n";
    let text = folder.write("a.csv", text);
    for path in [&parquet, &text] {
        let stats = GaussianStats::from_file(path, &["*", "f", "n"]).unwrap();
        let other = if path == &parquet { [1.0, 2.0, 3.0] } else { [3.0, 1.0, 2.0] };
        assert_eq!(stats.mean()[0], other.iter().sum::<f64>() / 3.0);
        assert_eq!(stats.count(), 3);
    }
    assert_eq!(GaussianStats::from_file(&text, &["*", "f", "n"]).unwrap(), expected);
}

#[test]
fn any_file_name_will_do() {
    let folder = Folder::new();
    fs::create_dir_all(folder.file("x=5")).unwrap();
    let frame = df!("x" => [1.0, 3.0]).unwrap();
    for name in [
        "a b.csv",
        "a#b?c.csv",
        "a%20b.csv",
        "a%b.csv",
        "a[1]*.csv",
        "ü.csv",
        "no extension",
        "x=5/a.csv",
        "'\"$&;.csv",
    ] {
        let csv = folder.write(name, "x\n1\n3\n");
        assert_eq!(GaussianStats::from_file(&csv, &["x"]).unwrap().mean()[0], 2.0, "{name}");
        let parquet = folder.parquet(name, &frame, 10);
        assert_eq!(GaussianStats::from_file(&parquet, &["x"]).unwrap().mean()[0], 2.0, "{name}");
    }
    // A relative path.
    assert_eq!(GaussianStats::from_file("data/iris.csv", &["sepal width"]).unwrap().count(), 150);
}

/// The whole message, without the folder.
fn refused(folder: &Folder, path: &Path, columns: &[&str]) -> String {
    let error = GaussianStats::from_file(path, columns).unwrap_err();
    let likelihood = ln_likelihood_of_file(&Gaussian::standard(columns.len()).unwrap(), path, columns).unwrap_err();
    assert_eq!(error.to_string(), likelihood.to_string());
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string().replace(&format!("{}/", folder.0.path().display()), "")
}

#[test]
fn a_broken_csv_file_is_refused_with_line_and_column() {
    let folder = Folder::new();
    for (content, problem) in [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,b", "there are no rows"),
        ("a,b\n", "there are no rows"),
        ("a,c\n1,2\n", "there is no column \"b\"; the file has a, c"),
        ("a,b,a\n1,2,3\n", "line 1 has the column \"a\" twice"),
        ("a,b\n1,2\n3,x\n", "line 3, column \"b\": \"x\" is not a finite number"),
        ("a,b\n1,2\n3,1 \n", "line 3, column \"b\": \"1 \" is not a finite number"),
        ("a,b\n1,2\n3,1;5\n", "line 3, column \"b\": \"1;5\" is not a finite number"),
        ("a,b\n1,2\n3,\n", "line 3, column \"b\": the field is empty"),
        ("a,b\n1,2\n3, \n", "line 3, column \"b\": the field is empty"),
        ("a,b\n1,2\n3,NaN\n", "line 3, column \"b\": \"NaN\" is not a finite number"),
        ("a,b\n1,2\n3,-inf\n", "line 3, column \"b\": \"-inf\" is not a finite number"),
        ("a,b\n1,2\n3,1e999\n", "line 3, column \"b\": \"1e999\" is not a finite number"),
        ("a,b\n1,2\n3\n5,6\n", "line 3 has 1 fields where the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where the header has 2"),
        ("a,b,c\n1,2,3\n1,5,2,3\n", "line 3 has 4 fields where the header has 3"),
        ("a,b,c\n1,2,3\n4,5", "line 3 has 2 fields where the header has 3"),
        ("a,b,\"c\nd\"\n1,2,\"3\n\"\n4,5,\n6,?,7\n", "line 6, column \"b\": \"?\" is not a finite number"),
        ("a,b\n1,\"\n", "line 2, column \"b\": the field is empty"),
        ("a,b\n1,\"", "line 2, column \"b\": the field is empty"),
        ("a,b\n1,2\n\n3,4\n", "row 1, column \"a\": the value is missing (a blank line is a row)"),
    ] {
        let path = folder.write("broken.csv", content);
        assert_eq!(refused(&folder, &path, &["a", "b"]), format!("broken.csv: {problem}"), "{content:?}");
    }
    let path = folder.write("latin-1.csv", b"a,b,s\n1,2,x\n3,4,\xfc\n");
    assert!(refused(&folder, &path, &["a", "b"]).contains("UTF-8"));
    // One field after many good batches.
    let mut text = "a,b\n".to_owned() + &"0.25,-1e3\n".repeat(1_000_000);
    text += "1,two\n";
    let path = folder.write("late.csv", text + &"7,7\n".repeat(10));
    assert_eq!(
        refused(&folder, &path, &["a", "b"]),
        "late.csv: line 1000002, column \"b\": \"two\" is not a finite number"
    );
}

#[test]
fn a_broken_parquet_file_is_refused_with_row_and_column() {
    let folder = Folder::new();
    let n = 300_000;
    let good: Vec<f64> = (0..n).map(f64::from).collect();
    let with = |row: usize, value: Option<f64>| {
        let mut values: Vec<Option<f64>> = good.iter().copied().map(Some).collect();
        values[row] = value;
        df!("a" => &good, "b" => values).unwrap()
    };
    let message = |name: &str, frame: &DataFrame| refused(&folder, &folder.parquet(name, frame, 1 << 16), &["a", "b"]);
    assert_eq!(message("1", &with(299_999, None)), "1: row 299999, column \"b\": the value is missing");
    assert_eq!(message("2", &with(270_000, Some(f64::NAN))), "2: row 270000, column \"b\": NaN is not a finite number");
    assert_eq!(
        message("3", &df!("a" => [1.0], "b" => ["x"]).unwrap()),
        "3: column \"b\": its type is str, a numeric one is needed"
    );
    assert_eq!(
        message("4", &df!("a" => [1.0], "c" => [2.0]).unwrap()),
        "4: there is no column \"b\"; the file has a, c"
    );
    let none = df!("a" => [1.0], "b" => [2.0]).unwrap().slice(0, 0);
    assert_eq!(none.column("a").unwrap().dtype(), &DataType::Float64);
    assert_eq!(message("5", &none), "5: there are no rows");

    let whole = fs::read(folder.parquet("whole", &with(0, Some(1.0)), 1 << 16)).unwrap();
    for length in [4, 5, 12, 1000, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let path = folder.write("cut off", &whole[..length]);
        assert!(refused(&folder, &path, &["a", "b"]).starts_with("cut off: "), "{length}");
    }
    // The end of the file, which says where the columns are, damaged byte by byte: an error, or the same rows, but never a panic.
    for i in (whole.len() - 900..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[i] ^= 0x55;
        let path = folder.write("damaged", damaged);
        if let Err(error) = GaussianStats::from_file(&path, &["a", "b"]) {
            assert!(error.to_string().contains("damaged"), "{i}: {error}");
        }
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new();
    assert!(refused(&folder, &folder.file("none.csv"), &["a"]).starts_with("none.csv: No such file"));
    assert!(GaussianStats::from_file(folder.0.path(), &["a"]).is_err());
    let path = folder.write("a.csv", "a\n1\n");
    assert!(matches!(GaussianStats::from_file(&path, &[] as &[&str]), Err(Error::Shape { .. })));
    assert_eq!(GaussianStats::from_file(&path, &["a", "a"]).unwrap().mean(), &dvector![1.0, 1.0]);
    let two = Gaussian::standard(2).unwrap();
    assert!(matches!(ln_likelihood_of_file(&two, &path, &["a"]), Err(Error::Shape { .. })));
}

/// The largest difference of mean and scatter, in units of the bounds that the module's documentation states for K = 1.
fn difference(data: &DMatrix<f64>, one: &GaussianStats, other: &GaussianStats) -> f64 {
    let d = data.ncols();
    let unit = 2f64.powi(-50);
    let largest: Vec<f64> = data.column_iter().map(|x| x.amax()).collect();
    let root = |i| one.scatter()[(i, i)].sqrt();
    let kappa = |i: usize| largest[i] / (root(i) / (one.count() as f64).sqrt());
    let means = (0..d).map(|i| (one.mean()[i] - other.mean()[i]).abs() / (unit * largest[i]));
    let scatters = (0..d * d).map(|k| (k / d, k % d)).map(|(i, j)| {
        let bound = unit * (1.0 + kappa(i) + kappa(j)) * root(i) * root(j);
        (one.scatter()[(i, j)] - other.scatter()[(i, j)]).abs() / bound
    });
    means.chain(scatters).fold(0.0, f64::max)
}

#[test]
fn other_groups_differ_by_rounding_alone() {
    let data = samples(200_000);
    let whole = merged(batches(&data));
    let bound = 128.0 + data.nrows() as f64 / 1024.0;
    for height in [7, 1000, 65_536] {
        let groups = (0..data.nrows()).step_by(height);
        let k = bound + groups.len() as f64;
        let other = merged(groups.map(|row| data.rows(row, height.min(data.nrows() - row)).into_owned()));
        assert_eq!(other.count(), whole.count());
        let difference = difference(&data, &whole, &other);
        assert!(difference <= k, "{difference} for groups of {height}");
    }
    // A difference of sums would not do: Σ xxᵀ − N x̄x̄ᵀ.
    let mean = data.row_mean().transpose();
    let scatter = data.tr_mul(&data) - &mean * mean.transpose() * data.nrows() as f64;
    let scatter = (&scatter + scatter.transpose()) / 2.0;
    let difference = difference(&data, &whole, &GaussianStats::new(data.nrows(), mean, scatter).unwrap());
    assert!(difference > 10.0 * bound, "{difference}");
}

/// What `part` prints in a process of its own.
fn alone(path: &Path, settings: &[(&str, &str)]) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "part", "--ignored", "--nocapture"])
        .env("GENERATIVE_MODELS_FILE", path)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{text}");
    text.lines().filter_map(|line| line.strip_prefix("= ")).map(str::to_owned).collect()
}

#[test]
#[ignore = "a part of other tests, in a process of its own"]
fn part() {
    let Some(path) = std::env::var_os("GENERATIVE_MODELS_FILE") else { return };
    let stats = GaussianStats::from_file(&path, &NAMES).unwrap();
    let ll = ln_likelihood_of_file(&normal(), &path, &NAMES).unwrap();
    let numbers = stats.mean().iter().chain(stats.scatter()).chain([&ll]).map(|x| x.to_bits().to_string());
    println!("\n= {} {}", stats.count(), numbers.collect::<Vec<_>>().join(" "));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    println!("= {}", peak.trim().trim_end_matches(" kB"));
}

#[test]
fn threads_and_chunks_change_no_bit() {
    let folder = Folder::new();
    let data = samples(400_000);
    let csv = folder.write("a.csv", csv(&data));
    let parquet = folder.parquet("a.parquet", &data::frame(&data, &NAMES).unwrap(), 100_000);
    let numbers = |path: &Path, settings: &[(&str, &str)]| alone(path, settings).swap_remove(0);
    let one = numbers(&csv, &[("POLARS_MAX_THREADS", "1"), ("RAYON_NUM_THREADS", "1")]);
    assert!(one.starts_with("400000 "));
    for (path, settings) in [
        (&csv, [("POLARS_MAX_THREADS", "5"), ("RAYON_NUM_THREADS", "3")]),
        (&csv, [("POLARS_MAX_THREADS", "2"), ("POLARS_CSV_CHUNK_SIZE", "100003")]),
        (&parquet, [("POLARS_MAX_THREADS", "3"), ("POLARS_IDEAL_MORSEL_SIZE", "777")]),
    ] {
        assert_eq!(numbers(path, &settings), one, "{path:?} {settings:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_file() {
    let folder = Folder::new();
    let data = samples(100_000);
    let text = csv(&data);
    let (header, rows) = text.split_at(text.find('\n').unwrap() + 1);
    let path = folder.file("a.csv");
    let mut file = File::create(&path).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    (0..200).for_each(|_| file.write_all(rows.as_bytes()).unwrap());
    let size = file.metadata().unwrap().len();
    let lines = alone(&path, &[("POLARS_MAX_THREADS", "2")]);
    assert!(lines[0].starts_with("20000000 "));
    let peak = 1024 * lines[1].parse::<u64>().unwrap();
    assert!(size > 1_000_000_000 && peak < 500_000_000, "{peak} bytes of memory for a file of {size}");
}
