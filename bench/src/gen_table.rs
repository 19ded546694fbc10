//! `bench gen-table`: what a segment table is built from, as large as one likes.
//!
//! The same options give the same bytes, and each user is drawn from the seed and its index alone:
//! [`user_id`] tells a scenario whom to ask for without reading the file. Ids are decimal 64-bit
//! numbers in no order; few segments are frequent and many are rare, as it is with real ones.

use crate::{random::Random, scenario::corpus};
use clap::{Args, ValueEnum};
use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
                        bench gen-table --users 100000 --output users.ndjson\n  \
                        bench gen-table --users 1000000 --format csv --output - \\\n    \
                        | edge table build --input - --format csv --output users.table")]
pub struct GenTableOptions {
    /// Users.
    #[arg(long)]
    pub users: u64,
    /// Another seed makes other users.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Segments that a user has on average, of 1 to 16.
    #[arg(long, default_value_t = 8.0, value_parser = mean)]
    pub segments_mean: f64,
    /// Different segments there are, at least 16.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(16..))]
    pub codes: u32,
    /// Whose ids they are.
    #[arg(long, default_value = "xandr")]
    pub namespace: String,
    /// How they are written.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: Format,
    /// The file, or - for standard output.
    #[arg(long)]
    pub output: PathBuf,
}

/// How users are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One user a line, as JSON.
    Ndjson,
    /// One segment a line: `ns,id,code,price,score`, behind a line that says so.
    Csv,
}

fn mean(text: &str) -> Result<f64, String> {
    let mean = text.parse().map_err(|_| format!("{text} is no number"))?;
    if (1.0..=16.0).contains(&mean) { Ok(mean) } else { Err("allowed are 1 to 16".to_owned()) }
}

/// Runs the verb.
#[must_use]
pub fn run(options: &GenTableOptions) -> ExitCode {
    let written = if options.output == Path::new("-") {
        write_users(options, &mut BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()))
    } else {
        File::create(&options.output).and_then(|file| {
            write_users(options, &mut BufWriter::with_capacity(BUFFER_BYTES, file))
        })
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench gen-table: {}: {error}", options.output.display());
            ExitCode::FAILURE
        }
    }
}

const BUFFER_BYTES: usize = 1 << 20;

/// Writes all users.
///
/// # Errors
/// Those of the output.
pub fn write_users(options: &GenTableOptions, out: &mut impl Write) -> io::Result<()> {
    if options.format == Format::Csv {
        out.write_all(b"ns,id,code,price,score\n")?;
    }
    let mut user = User::default();
    let counts = Counts::with_mean(options.segments_mean);
    for index in 0..options.users {
        user.draw(options, &counts, index);
        match options.format {
            Format::Ndjson => user.write_ndjson(&options.namespace, out)?,
            Format::Csv => user.write_csv(&options.namespace, out)?,
        }
    }
    out.flush()
}

/// The id of the user of this index: whom a scenario of the same seed asks for.
#[must_use]
pub fn user_id(seed: u64, index: u64) -> u64 {
    corpus::user(seed, index)
}

/// How many segments users have: each count from 1 to 16 is so many times as frequent as the one
/// before it.
#[derive(Debug)]
struct Counts {
    /// The share of users that have no more segments.
    up_to: [f64; 16],
}

impl Counts {
    fn of_ratio(ratio: f64) -> Counts {
        let mut up_to = [0.0; 16];
        let (mut sum, mut weight) = (0.0, 1.0);
        for share in &mut up_to {
            sum += weight;
            weight *= ratio;
            *share = sum;
        }
        Counts { up_to: up_to.map(|share| share / sum) }
    }

    /// The ratio is searched for with sums and products alone, which are the same everywhere.
    fn with_mean(mean: f64) -> Counts {
        let (mut low, mut high) = (1e-9, 1e9);
        for _ in 0..200 {
            let middle = (low + high) / 2.0;
            if Counts::of_ratio(middle).mean() < mean { low = middle } else { high = middle }
        }
        Counts::of_ratio(low)
    }

    fn mean(&self) -> f64 {
        16.0 - self.up_to[..15].iter().sum::<f64>()
    }

    fn draw(&self, random: &mut Random) -> usize {
        let unit = random.unit();
        1 + self.up_to[..15].iter().filter(|share| **share <= unit).count()
    }
}

/// A user, whose room is used again for the next one.
#[derive(Debug, Default)]
struct User {
    id: u64,
    base_price: Option<u64>,
    segments: Vec<Drawn>,
}

#[derive(Debug, Clone, Copy)]
struct Drawn {
    code: u64,
    price: Option<u64>,
    score_percent: Option<u64>,
}

impl User {
    fn draw(&mut self, options: &GenTableOptions, counts: &Counts, index: u64) {
        let mut random = Random::new(options.seed, index);
        self.id = user_id(options.seed, index);
        self.base_price = (random.below(4) == 0).then(|| price(&mut random));
        let count = counts.draw(&mut random);
        self.segments.clear();
        while self.segments.len() < count {
            let unit = random.unit();
            let code = (f64::from(options.codes) * unit * unit) as u64;
            if self.segments.iter().any(|segment| segment.code == code) {
                continue;
            }
            let own = self.base_price.is_none() || random.below(2) == 0;
            let price = own.then(|| price(&mut random));
            let score_percent = (random.below(8) != 0).then(|| random.below(101));
            self.segments.push(Drawn { code, price, score_percent });
        }
    }

    fn write_ndjson(&self, namespace: &str, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{{\"ns\":\"{namespace}\",\"id\":\"{}\"", self.id)?;
        if let Some(price) = self.base_price {
            write!(out, ",\"base_price\":{price}")?;
        }
        out.write_all(b",\"segments\":[")?;
        for (index, segment) in self.segments.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{{\"code\":\"{}\"", Code(segment.code))?;
            if let Some(price) = segment.price {
                write!(out, ",\"price\":{price}")?;
            }
            if let Some(percent) = segment.score_percent {
                write!(out, ",\"score\":{}.{:02}", percent / 100, percent % 100)?;
            }
            out.write_all(b"}")?;
        }
        out.write_all(b"]}\n")
    }

    /// A segment without a price has the base price, which has no column of its own.
    fn write_csv(&self, namespace: &str, out: &mut impl Write) -> io::Result<()> {
        for segment in &self.segments {
            write!(out, "{namespace},{},{},", self.id, Code(segment.code))?;
            if let Some(price) = segment.price.or(self.base_price) {
                write!(out, "{price}")?;
            }
            match segment.score_percent {
                Some(percent) => writeln!(out, ",{}.{:02}", percent / 100, percent % 100)?,
                None => out.write_all(b",\n")?,
            }
        }
        Ok(())
    }
}

/// From 0.05 to 5 dollars in steps of a tenth of a cent, as micros.
fn price(random: &mut Random) -> u64 {
    1000 * (50 + random.below(4951))
}

/// What a segment is called.
struct Code(u64);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const TOPICS: [&str; 8] =
            ["auto", "travel", "sports", "finance", "fashion", "games", "food", "news"];
        write!(f, "{}-{:04}", TOPICS[self.0 as usize % TOPICS.len()], self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn options(users: u64, format: Format) -> GenTableOptions {
        GenTableOptions {
            users,
            seed: 7,
            segments_mean: 8.0,
            codes: 2000,
            namespace: "xandr".to_owned(),
            format,
            output: PathBuf::from("-"),
        }
    }

    fn written(options: &GenTableOptions) -> String {
        let mut out = Vec::new();
        write_users(options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_options_give_the_same_bytes_and_fewer_users_a_beginning_of_them() {
        for format in [Format::Ndjson, Format::Csv] {
            let text = written(&options(500, format));
            assert_eq!(text, written(&options(500, format)));
            assert!(text.starts_with(&written(&options(100, format))));
            assert_ne!(text, written(&GenTableOptions { seed: 8, ..options(500, format) }));
        }
    }

    #[test]
    fn ids_can_be_told_without_reading_the_file_and_come_once() {
        let mut seen = HashSet::new();
        for (index, line) in written(&options(2000, Format::Ndjson)).lines().enumerate() {
            let user: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(user["id"].as_str().unwrap(), user_id(7, index as u64).to_string());
            assert!(seen.insert(user["id"].to_string()));
        }
    }

    #[test]
    fn users_have_1_to_16_segments_and_as_many_on_average_as_was_asked_for() {
        for mean in [1.5, 3.0, 8.0, 12.0] {
            let (options, counts) = (options(0, Format::Ndjson), Counts::with_mean(mean));
            let mut user = User::default();
            let mut sum = 0;
            for index in 0..20_000 {
                user.draw(&options, &counts, index);
                let count = user.segments.len();
                assert!((1..=16).contains(&count));
                sum += count;
            }
            let found = sum as f64 / 20_000.0;
            assert!((found / mean - 1.0).abs() < 0.03, "{found} instead of {mean}");
        }
    }

    #[test]
    fn prices_and_scores_lie_where_they_should() {
        let mut user = User::default();
        let counts = Counts::with_mean(8.0);
        for index in 0..2000 {
            user.draw(&options(0, Format::Csv), &counts, index);
            for Drawn { code, price, score_percent } in &user.segments {
                assert!(*code < 2000 && score_percent.is_none_or(|percent| percent <= 100));
                assert!(price.is_none_or(|price| (50_000..=5_000_000).contains(&price)));
                assert!(price.is_some() || user.base_price.is_some());
            }
        }
    }
}
