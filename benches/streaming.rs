//! Files larger than memory: time and memory beside what reading the bytes, and polars' scan alone, take.
//!
//! usage: cargo bench --features streaming --bench streaming -- GIGABYTES FOLDER FORMAT
//! (default: 1, the system's temporary folder, csv and then parquet)
//!
//! It writes a file of that size (eight columns, shortest decimals, not compressed), measures each task in a
//! process of its own, and removes the file. If the folder is in memory or the file fits into the page cache, the disk is not measured.

use generative_models::larger_than_memory::ln_likelihood_of_file;
use generative_models::polars::prelude::*;
use generative_models::prelude::*;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const TASKS: [&str; 4] = ["read", "scan", "statistics", "likelihood"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [task, path] = &arguments[..]
        && TASKS.contains(&task.as_str())
    {
        return work(task, Path::new(path));
    }
    let size = 1e9 * arguments.first().map_or(1.0, |gigabytes| gigabytes.parse().expect("a number of gigabytes"));
    let folder = arguments.get(1).map_or(std::env::temp_dir(), PathBuf::from);
    println!("| format | task | GB | s | MB/s | peak memory, MB |\n|---|---|---|---|---|---|");
    for format in arguments.get(2).map_or(vec!["csv", "parquet"], |format| vec![format]) {
        let path = folder.join(format!("generative-models-bench.{format}"));
        if format == "csv" {
            write_csv(&path, size)
        } else {
            write_parquet(&path, size)
        }
        let size = fs::metadata(&path).expect("the file was written").len() as f64;
        for task in TASKS {
            let child = Command::new(std::env::current_exe().expect("this program")).arg(task).arg(&path).output();
            let text = String::from_utf8(child.expect("the task starts").stdout).expect("numbers");
            let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            let [seconds, kilobytes] = numbers[..] else { panic!("{task} on {path:?} failed") };
            println!(
                "| {format} | {task} | {:.1} | {seconds:.1} | {:.0} | {:.0} |",
                size / 1e9,
                size / 1e6 / seconds,
                kilobytes * 1.024e-3
            );
        }
        fs::remove_file(&path).expect("the file is still there");
    }
    Ok(())
}

/// One task, its time in seconds and the peak of its memory in KiB.
fn work(task: &str, path: &Path) -> Result<()> {
    let begun = Instant::now();
    match task {
        "read" => {
            let (mut file, mut block) = (File::open(path).expect("the file"), vec![0; 1 << 20]);
            while file.read(&mut block).expect("the file's bytes") > 0 {}
        }
        "scan" => scan(path)?,
        "statistics" => drop(GaussianStats::from_file(path, &NAMES)?),
        _ => drop(ln_likelihood_of_file(&Gaussian::standard(8)?, path, &NAMES)?),
    }
    let seconds = begun.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("NaN");
    println!("{seconds} {}", peak.trim_end_matches("kB").trim());
    Ok(())
}

/// Polars on its own: all columns read as a user would have it, and thrown away.
fn scan(path: &Path) -> Result<()> {
    let url = PlRefPath::try_from_path(path)?;
    let frame = if path.extension().is_some_and(|extension| extension == "csv") {
        let schema = NAMES.iter().map(|&name| Field::new(name.into(), DataType::Float64)).collect();
        LazyCsvReader::new(url).with_schema(Some(Arc::new(schema))).finish()?
    } else {
        LazyFrame::scan_parquet(url, ScanArgsParquet::default())?
    };
    let nothing = PlanCallback::new(|_: DataFrame| Ok(false));
    frame.sink_batches(nothing, true, NonZeroUsize::new(1 << 16))?.collect_with_engine(Engine::Streaming)?;
    Ok(())
}

fn write_csv(path: &Path, size: f64) {
    let data = Gaussian::standard(8).expect("d = 8").sample_n(1 << 20, &mut rng("streaming"));
    let mut rows = String::new();
    for row in data.row_iter() {
        let fields: Vec<String> = row.iter().map(f64::to_string).collect();
        rows += &(fields.join(",") + "\n");
    }
    let mut file = BufWriter::new(File::create(path).expect("a folder to write to"));
    writeln!(file, "{}", NAMES.join(",")).expect("space on the disk");
    for _ in 0..(size / rows.len() as f64).ceil() as usize {
        file.write_all(rows.as_bytes()).expect("space on the disk");
    }
}

fn write_parquet(path: &Path, size: f64) {
    let (p, mut random) = (Gaussian::standard(8).expect("d = 8"), rng("streaming"));
    let mut group = || data::frame(&p.sample_n(1 << 20, &mut random), &NAMES).expect("eight names");
    let file = File::create(path).expect("a folder to write to");
    let writer = ParquetWriter::new(file).with_compression(ParquetCompression::Uncompressed);
    let mut batches = writer.batched(group().schema()).expect("eight columns");
    for _ in 0..(size / (8 << 23) as f64).ceil() as usize {
        batches.write_batch(&group()).expect("space on the disk");
    }
    batches.finish().expect("space on the disk");
}
