//! `ostler bench`: arguments of the load harness, which lives in `benches/load`, and what becomes of
//! its reports.

mod arguments;

pub use arguments::BenchArgs;

use crate::load::{LoadError, Report, null::NullServer, page, run as run_load, summary};
use arguments::{BenchCommand, Output, PageArgs};
use std::path::Path;
use std::process::ExitCode;

/// The run was made, and requests failed.
const EXIT_ERRORS: u8 = 1;
/// The run could not be made.
const EXIT_NO_RUN: u8 = 2;

/// Runs the subcommand to its end.
pub fn run(args: BenchArgs) -> ExitCode {
    let outcome = match args.command {
        BenchCommand::Run(args) => match args.plan() {
            Ok(plan) => run_load(&plan).and_then(|report| hand_over(&report, &args.output)),
            Err(error) => Err(error),
        },
        BenchCommand::Null { address } => NullServer::start(address).map(|server| {
            eprintln!("answering at {}", server.address());
            server.join();
            ExitCode::SUCCESS
        }),
        BenchCommand::Page(args) => make_page(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(EXIT_NO_RUN)
    })
}

/// Text to standard output unless JSON goes there, files where asked for.
fn hand_over(report: &Report, output: &Output) -> Result<ExitCode, LoadError> {
    let json = || serde_json::to_string_pretty(report).expect("every field of a report is plain");
    match &output.json {
        Some(file) if file == Path::new("-") => println!("{}", json()),
        Some(file) => {
            write(file, &json())?;
            print!("{}", summary(report));
        }
        None => print!("{}", summary(report)),
    }
    if let Some(file) = &output.html {
        write(file, &page(report, None))?;
    }
    let failed = report.total.errors > 0 || !report.errors.is_empty();
    Ok(if failed { ExitCode::from(EXIT_ERRORS) } else { ExitCode::SUCCESS })
}

fn make_page(args: &PageArgs) -> Result<ExitCode, LoadError> {
    let first = read(&args.first)?;
    let second = args.second.as_deref().map(read).transpose()?;
    write(&args.html, &page(&first, second.as_ref()))?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Report, LoadError> {
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| LoadError::Socket { place: place.clone(), error })?;
    serde_json::from_str(&text)
        .map_err(|error| LoadError::Invalid(format!("{place} is no report: {error}")))
}

fn write(file: &Path, text: &str) -> Result<(), LoadError> {
    let place = file.display().to_string();
    std::fs::write(file, text).map_err(|error| LoadError::Socket { place, error })
}
