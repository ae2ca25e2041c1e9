//! A normal fitted to files larger than memory, and the same from parts that are read elsewhere.
//!
//! usage: cargo run --features streaming --example larger_than_memory -- [MEGABYTES]      (default: 100)
//!
//! It writes samples into four CSV files of that size together, has each read by a process of its own, as another machine would, and
//! merges what they send: count, mean and scatter. One process that reads the files in turn gets the same bits. No process takes more
//! memory for longer files.

use generative_models::larger_than_memory::ln_likelihood_of_file;
use generative_models::prelude::*;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COLUMNS: [&str; 3] = ["x", "y", "z"];
const PARTS: usize = 4;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [task, file] = &arguments[..]
        && task == "part"
    {
        return Ok(send(&GaussianStats::from_file(file, &COLUMNS)?)?);
    }
    let megabytes: f64 = arguments.first().map_or(Ok(100.0), |megabytes| megabytes.parse())?;
    let truth = Gaussian::new(dvector![1.0, -2.0, 3.0], dmatrix![2.0, 0.7, 0.1; 0.7, 1.0, -0.3; 0.1, -0.3, 3.0])?;
    // Removed with its files where it goes out of scope.
    let folder = tempfile::tempdir()?;
    let files = write(folder.path(), &truth, 1e6 * megabytes / PARTS as f64)?;

    // Elsewhere: all parts at once, a process each.
    let start = |file| Command::new(std::env::current_exe()?).arg("part").arg(file).stdout(Stdio::piped()).spawn();
    let machines = files.iter().map(start).collect::<io::Result<Vec<_>>>()?;
    let mut merged = GaussianStats::empty(COLUMNS.len());
    for machine in machines {
        let output = machine.wait_with_output()?;
        let part = receive(&String::from_utf8(output.stdout)?).ok_or("a part was not read; the reason is above")?;
        merged = merged.merge(part)?;
    }

    // Here: one after the other.
    let mut in_turn = GaussianStats::empty(COLUMNS.len());
    for file in &files {
        in_turn = in_turn.merge(GaussianStats::from_file(file, &COLUMNS)?)?;
    }
    if merged != in_turn {
        return Err("the merged statistics are not those of the files in turn".into());
    }
    println!("{} rows: what the parts sent and what was read here agree in every bit", merged.count());

    let fit = merged.fit()?;
    let ll = files.iter().map(|file| ln_likelihood_of_file(&fit, file, &COLUMNS)).sum::<Result<f64>>()?;
    let (n, d) = (merged.count() as f64, COLUMNS.len() as f64);
    // At the maximum the mean squared Mahalanobis distance is d, so that LL/N = −H: no second pass would be needed.
    println!("log likelihood a row {:.12}, minus the fit's entropy {:.12}", ll / n, -entropy(&fit)?);
    println!("2N KL(truth ‖ fit) = {:.2}, expected {:.0}", 2.0 * n * kl(&truth, &fit)?, d * (d + 3.0) / 2.0);
    println!("mean {}covariance {}", fit.mean(), fit.covariance());

    // Half done is not done: one bad field, and there is no result.
    let broken = folder.path().join("broken.csv");
    fs::write(&broken, "x,y,z\n1,2,3\n4,five,6\n")?;
    if let Err(error) = GaussianStats::from_file(&broken, &COLUMNS) {
        println!("refused: {error}");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" not known here");
    println!("largest memory of this process: {}", peak.trim());
    Ok(())
}

/// Writes samples into files of about `size` bytes each.
fn write(folder: &Path, truth: &Gaussian, size: f64) -> io::Result<Vec<PathBuf>> {
    let mut random = rng("larger than memory");
    let mut files = Vec::new();
    for part in 1..=PARTS {
        let path = folder.join(format!("{part}.csv"));
        let mut file = BufWriter::new(File::create(&path)?);
        writeln!(file, "{}", COLUMNS.join(","))?;
        let mut written = 0;
        while (written as f64) < size {
            let mut rows = String::new();
            for row in truth.sample_n(1 << 14, &mut random).row_iter() {
                let fields: Vec<String> = row.iter().map(f64::to_string).collect();
                rows += &(fields.join(",") + "\n");
            }
            file.write_all(rows.as_bytes())?;
            written += rows.len();
        }
        file.flush()?;
        files.push(path);
    }
    Ok(files)
}

/// Count, mean and scatter on one line; a number's shortest decimals say all of its bits.
fn send(stats: &GaussianStats) -> io::Result<()> {
    let numbers: Vec<String> = stats.mean().iter().chain(stats.scatter()).map(f64::to_string).collect();
    writeln!(io::stdout(), "{} {}", stats.count(), numbers.join(" "))
}

fn receive(line: &str) -> Option<GaussianStats> {
    let (count, numbers) = line.trim().split_once(' ')?;
    let numbers = numbers.split(' ').map(str::parse).collect::<std::result::Result<Vec<f64>, _>>().ok()?;
    let (mean, scatter) = numbers.split_at_checked(COLUMNS.len())?;
    let complete = scatter.len() == COLUMNS.len() * COLUMNS.len();
    let scatter = complete.then(|| DMatrix::from_column_slice(COLUMNS.len(), COLUMNS.len(), scatter))?;
    GaussianStats::new(count.parse().ok()?, DVector::from_column_slice(mean), scatter).ok()
}
