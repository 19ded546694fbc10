//! Writes the files of four made-up reports, below the folder that is given: a plain run, a ladder,
//! an overloaded server, and nobody there. `check/page.sh` looks at their pages and `check/hdr.sh`
//! reads their logs; numbers that are the same every time make a change of a page visible.

use brink_bench::{
    environment::Environment,
    report::{
        Counts, Distribution, ExchangeView, FORMAT, Generator, Late, Plan, Quantiles, Report,
        Round, Second, ServerCost, Window, decode, encode, write_all,
    },
};
use std::{path::PathBuf, process::ExitCode};

#[path = "../src/report/sample.rs"]
mod sample;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: reports FOLDER");
        return ExitCode::from(2);
    };
    let reports = [
        ("plain", sample::plain(30)),
        ("ladder", sample::ladder(8)),
        ("overload", sample::overload(20)),
        ("nothing", sample::nothing()),
    ];
    for (name, report) in reports {
        match write_all(&report, &folder.join(name)) {
            Ok(paths) => paths.iter().for_each(|path| println!("{}", path.display())),
            Err(error) => {
                eprintln!("reports: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
