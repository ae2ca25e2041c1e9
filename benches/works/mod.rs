//! Named works, which criterion times alone and `peers.py` beside the same works of other libraries.

use criterion::Criterion;
use std::io::stdin;
use std::time::Instant;

/// What is timed: one call, which hands back a number that the peers' work must agree with, or NaN.
pub type Call = Box<dyn FnMut() -> f64>;

/// A name, and what makes its call from data of its own.
pub struct Work {
    name: String,
    prepare: Box<dyn Fn() -> Call>,
}

pub fn work<F: FnMut() -> f64 + 'static>(name: impl Into<String>, prepare: impl Fn() -> F + 'static) -> Work {
    Work { name: name.into(), prepare: Box::new(move || Box::new(prepare())) }
}

/// With the argument `serve`: for each line "calls name" on standard input the seconds that one call took, and its number. With
/// `names`: the works' names.
pub fn run(works: &[Work]) {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve(works),
        Some("names") => works.iter().for_each(|work| println!("{}", work.name)),
        _ => measure(works),
    }
}

fn serve(works: &[Work]) {
    let mut ready: Option<(String, Call)> = None;
    for line in stdin().lines().map_while(Result::ok) {
        let (calls, name) = line.split_once(' ').expect("calls and a name");
        let calls: u32 = calls.parse().expect("a number of calls");
        if ready.as_ref().is_none_or(|(of, _)| of != name) {
            // One set of data at a time.
            drop(ready.take());
            let work = works.iter().find(|work| work.name == name).unwrap_or_else(|| panic!("no work {name}"));
            ready = Some((name.to_owned(), (work.prepare)()));
        }
        let (_, call) = ready.as_mut().expect("prepared above");
        let begun = Instant::now();
        let value = (0..calls).fold(f64::NAN, |_, _| call());
        println!("{} {value}", begun.elapsed().as_secs_f64() / f64::from(calls));
    }
}

fn measure(works: &[Work]) {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    for Work { name, prepare } in works {
        let mut call = None;
        criterion.bench_function(name, |bencher| bencher.iter(call.get_or_insert_with(prepare)));
    }
    criterion.final_summary();
}
