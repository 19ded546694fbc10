//! Whole builds: the same bytes however rows come, and no table when there should be none.

use super::*;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use brink_proto::{
    ids::{PriceMicros, ScoreMillionths},
    table::{
        Namespace, Segment, Table,
        write::{Entry, assemble},
    },
};
use std::{collections::BTreeMap, fs, io::Write, path::Path, sync::Arc};
use tempfile::TempDir;

/// A row of CSV: namespace, id, code, price, score in hundredths, base price. A row without a code
/// gives the base price alone.
type Line = (&'static str, u64, String, Option<u64>, Option<u64>, Option<u64>);

/// Users of two namespaces with up to 9 segments each, in an order of no meaning.
fn lines(users: u64) -> Vec<Line> {
    let mut state = 1u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    let mut lines = Vec::new();
    for user in 0..users {
        for segment in 0..1 + below(9) {
            let price = (below(4) != 0).then(|| below(5_000_000));
            let score = (below(4) != 0).then(|| below(101));
            let namespace = ["xandr", "openx"][user as usize % 2];
            let code = format!("code-{}", segment * 7 + below(7));
            let base_price = (below(4) == 0).then(|| below(1_000_000));
            lines.push((namespace, user / 2, code, price, score, base_price));
        }
        if below(8) == 0 {
            let base_price = Some(below(1_000_000));
            lines.push(("openx", user * 7, String::new(), None, None, base_price));
        }
    }
    for at in (1..lines.len()).rev() {
        lines.swap(at, below(at as u64 + 1) as usize);
    }
    lines
}

fn text(number: Option<u64>) -> String {
    number.map_or(String::new(), |number| number.to_string())
}

fn csv(lines: &[Line]) -> String {
    let score = |score: &Option<u64>| {
        score.map_or(String::new(), |s| format!("{}.{:02}", s / 100, s % 100))
    };
    let line = |(ns, id, code, price, points, base_price): &Line| {
        // A line has a last field or not.
        let last = base_price.map_or(String::new(), |price| format!(",{price}"));
        format!("{ns},{id},{code},{},{}{last}\n", text(*price), score(points))
    };
    lines.iter().map(line).collect()
}

fn by_user(lines: &[Line]) -> BTreeMap<(&str, u64), Vec<&Line>> {
    let mut users: BTreeMap<_, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        users.entry((line.0, line.1)).or_default().push(line);
    }
    users
}

fn ndjson(lines: &[Line]) -> String {
    let mut out = String::new();
    for ((ns, id), lines) in by_user(lines) {
        let base_price = lines.iter().filter_map(|line| line.5).max();
        let base_price = base_price.map_or(String::new(), |p| format!(",\"base_price\":{p}"));
        let segment = |(_, _, code, price, score, _): &&Line| {
            let price = price.map_or(String::new(), |price| format!(",\"price\":{price}"));
            let score = score.map_or(String::new(), |s| format!(",\"score\":{}", s as f64 / 100.0));
            format!("{{\"code\":\"{code}\"{price}{score}}}")
        };
        let with_code = lines.iter().filter(|line| !line.2.is_empty());
        let segments: Vec<String> = with_code.map(segment).collect();
        let segments = segments.join(",");
        let user = format!("\"ns\":\"{ns}\",\"id\":\"{id}\"{base_price}");
        out += &format!("{{{user},\"segments\":[{segments}]}}\n");
    }
    out
}

fn parquet_file(lines: &[Line], path: &Path) {
    let text = |of: fn(&Line) -> String| -> ArrayRef {
        let present = |text: String| (!text.is_empty()).then_some(text);
        Arc::new(StringArray::from_iter(lines.iter().map(of).map(present)))
    };
    let price = |of: fn(&Line) -> Option<u64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(lines.iter().map(of).map(|p| p.map(|p| p as i64))))
    };
    let score = |line: &Line| line.4.map(|score| score as f64 / 100.0);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("other", text(|_| "not read".to_owned()), true),
        ("ns", text(|line| line.0.to_owned()), false),
        ("id", Arc::new(Int64Array::from_iter_values(lines.iter().map(|l| l.1 as i64))), false),
        ("code", text(|line| line.2.clone()), true),
        ("price", price(|line| line.3), true),
        ("base_price", price(|line| line.5), true),
        ("score", Arc::new(Float64Array::from_iter(lines.iter().map(score))), true),
    ]);
    let batch = batch.unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

struct Place {
    folder: TempDir,
    options: BuildOptions,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        let options = BuildOptions {
            input: folder.path().join("rows"),
            output: folder.path().join("users.table"),
            format: None,
            threads: Some(1),
            scratch: None,
            memory_mib: 64,
            skip_bad: 0,
            json: false,
        };
        Place { folder, options }
    }

    fn build(&self, rows: &[u8]) -> Result<Summary, BuildError> {
        fs::write(&self.options.input, rows).unwrap();
        build(&self.options, &AtomicBool::new(false))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.options.output).unwrap()
    }

    /// The files of the folder but for the input.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "rows").collect()
    }
}

fn built(rows: &[u8], change: impl Fn(&mut BuildOptions)) -> Vec<u8> {
    let mut place = Place::new();
    change(&mut place.options);
    place.build(rows).unwrap();
    assert_eq!(place.left(), ["users.table"], "nothing else is left behind");
    place.bytes()
}

/// The table of these lines as it is made in memory.
fn assembled(lines: &[Line]) -> Vec<u8> {
    let entry = |((ns, id), lines): (&(&str, u64), &Vec<&'_ Line>)| {
        let mut segments = BTreeMap::new();
        let base_price = lines.iter().filter_map(|line| line.5).max();
        for (_, _, code, price, score, _) in lines.iter().filter(|line| !line.2.is_empty()) {
            let price = price.map(|price| PriceMicros::new(price).unwrap());
            let score = score.map(|score| ScoreMillionths::new(score * 10_000).unwrap());
            let best = segments.entry(code.clone()).or_insert((price, score));
            *best = (*best).max((price, score));
        }
        let key = Namespace::new(ns).key(id.to_string().as_bytes());
        (key, base_price.and_then(PriceMicros::new), segments)
    };
    let users = by_user(lines);
    let users: Vec<_> = users.iter().map(entry).collect();
    let entries = users.iter().map(|(key, base_price, segments)| {
        let segment = |(code, (price, score)): (&'_ String, &(_, _))| -> (Vec<u8>, _, _) {
            (code.clone().into_bytes(), *price, *score)
        };
        (*key, *base_price, segments.iter().map(segment).collect::<Vec<_>>())
    });
    let entries: Vec<_> = entries.collect();
    let entries: Vec<Entry<'_>> = entries
        .iter()
        .map(|(key, base_price, segments)| Entry {
            key: *key,
            base_price: *base_price,
            segments: segments
                .iter()
                .map(|(code, price, score)| Segment { code, price: *price, score: *score })
                .collect(),
        })
        .collect();
    assemble(&entries).unwrap()
}

#[test]
fn the_same_rows_give_the_same_bytes_in_every_format_order_and_number_of_threads() {
    let lines = lines(3000);
    let want = assembled(&lines);
    let (csv_text, json_text) = (csv(&lines), ndjson(&lines));
    for threads in [1, 2, 5] {
        let with = |options: &mut BuildOptions| options.threads = Some(threads);
        assert!(built(csv_text.as_bytes(), with) == want, "{threads} threads, CSV");
        assert!(built(json_text.as_bytes(), with) == want, "{threads} threads, NDJSON");
    }
    let mut reversed = lines.clone();
    reversed.reverse();
    let head =
        format!("ns,id,code,price,score,base_price\r\n{}", csv(&reversed).replace('\n', "\r\n"));
    assert!(built(head.as_bytes(), |_| ()) == want, "other order, a line of names, CR");
    let little = |options: &mut BuildOptions| (options.memory_mib, options.threads) = (0, Some(2));
    assert!(built(csv_text.as_bytes(), little) == want, "partitions read in slices");

    let place = Place::new();
    parquet_file(&lines, &place.options.input);
    let options = BuildOptions { format: Some(Format::Parquet), ..place.options.clone() };
    build(&options, &AtomicBool::new(false)).unwrap();
    assert!(place.bytes() == want, "Parquet");
}

#[test]
fn no_rows_give_an_empty_table() {
    let table = Table::open(built(b"", |_| ())).unwrap();
    assert_eq!((table.header().users, table.verify()), (0, Ok(())));
}

#[test]
fn what_is_given_twice_keeps_the_higher_price_then_the_higher_score_and_is_counted() {
    let rows =
        br#"{"ns":"x","id":"1","base_price":5,"segments":[{"code":"a","price":3,"score":0.9}]}
{"ns":"x","id":"1","base_price":7,"segments":[{"code":"a","price":4},{"code":"b"},{"code":"a"}]}
{"ns":"x","id":"1","segments":[{"code":"a","price":4,"score":0.1},{"code":"b","price":0}]}
{"ns":"y","id":"1"}
"#;
    let place = Place::new();
    let summary = place.build(rows).unwrap();
    assert_eq!((summary.rows, summary.users, summary.segments), (4, 2, 2));
    assert_eq!((summary.duplicates, summary.codes, summary.bad_rows), (4, 2, 0));
    let table = Table::open(place.bytes()).unwrap();
    let record = table.find(Namespace::new("x").key(b"1")).unwrap();
    assert_eq!(record.base_price(), PriceMicros::new(7));
    let (price, score) = (PriceMicros::new(4), ScoreMillionths::new(100_000));
    let a = Segment { code: b"a", price, score };
    let b = Segment { code: b"b", price: PriceMicros::new(0), score: None };
    assert_eq!(record.segments().collect::<Vec<_>>(), [a, b]);
    assert_eq!(table.find(Namespace::new("y").key(b"1")).unwrap().segments().count(), 0);
}

#[test]
fn the_first_bad_row_ends_the_build_and_says_where_it_stands_and_what_is_allowed() {
    let many = csv(&lines(60_000));
    assert!(many.len() > 5 << 20, "several pieces");
    let mut rows: Vec<&str> = many.lines().collect();
    let (first, second) = (rows.len() / 2, rows.len() / 2 + 3);
    rows[first] = "xandr,1,a b,,";
    rows[second] = "xandr,1,auto,1.5,";
    let rows = rows.join("\n");
    for threads in [1, 4] {
        let mut place = Place::new();
        place.options.threads = Some(threads);
        let error = place.build(rows.as_bytes()).unwrap_err().to_string();
        let want = format!("rows:line {}: code \"a b\"; allowed are 1 to 64", first + 1);
        assert!(error.contains(&want) && error.contains("--skip-bad"), "{error}");
        assert!(place.left().is_empty(), "no table, and nothing else");

        place.options.skip_bad = 1;
        let error = place.build(rows.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&want) && error.contains("more than 1 bad rows"), "{error}");

        place.options.skip_bad = 2;
        let summary = place.build(rows.as_bytes()).unwrap();
        assert_eq!((summary.bad_rows, summary.bad_first.len()), (2, 2));
        assert!(summary.bad_first[1].contains(&format!("line {}: price \"1.5\"", second + 1)));
    }
}

#[test]
fn a_build_that_fails_leaves_the_table_before_it_as_it_was() {
    let place = Place::new();
    place.build(b"xandr,1,auto,,\n").unwrap();
    let before = place.bytes();
    assert!(place.build(b"xandr,1,auto\n").is_err());
    let stopped = build(&place.options, &AtomicBool::new(true));
    assert!(matches!(stopped, Err(BuildError::Interrupted)), "{stopped:?}");
    assert_eq!(place.left(), ["users.table"]);
    assert!(place.bytes() == before);
}

#[test]
fn two_builds_do_not_write_one_table_and_what_one_left_behind_is_no_hindrance() {
    let place = Place::new();
    let partial = place.folder.path().join("users.table.partial");
    let mut file = fs::File::create(&partial).unwrap();
    file.write_all(&[7; 100_000]).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(place.build(b"xandr,1,auto,,\n"), Err(BuildError::Busy { .. })));
    drop(file);
    place.build(b"xandr,1,auto,,\n").unwrap();
    assert_eq!(Table::open(place.bytes()).unwrap().verify(), Ok(()));
    assert_eq!(place.left(), ["users.table"]);
}

#[test]
fn a_user_with_too_many_segments_ends_the_build() {
    let row = |code: usize| format!("xandr,1,code-{code},,\n");
    let rows = |count| (0..count).map(row).collect::<String>();
    let place = Place::new();
    assert_eq!(place.build(rows(4096).as_bytes()).unwrap().segments, 4096);
    let error = place.build(rows(4097).as_bytes()).unwrap_err();
    assert!(matches!(error, BuildError::Segments { found: 4097 }), "{error}");
}

#[test]
fn a_full_disk_says_so_and_what_to_do() {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let text = BuildError::output(Path::new("/data/users.table.partial"), full).to_string();
    assert!(text.starts_with("/data/users.table.partial: "), "{text}");
    assert!(text.contains("no table was written") && text.contains("--scratch"), "{text}");
}

#[test]
fn a_file_that_is_no_parquet_or_lacks_a_column_is_refused() {
    let place = Place::new();
    let options = BuildOptions { format: Some(Format::Parquet), ..place.options.clone() };
    fs::write(&options.input, b"PAR1").unwrap();
    let never = AtomicBool::new(false);
    assert!(matches!(build(&options, &never), Err(BuildError::Shape { .. })));
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
    let file = fs::File::create(&options.input).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let error = build(&options, &never).unwrap_err().to_string();
    assert!(error.contains("no column ns; found id"), "{error}");
}
