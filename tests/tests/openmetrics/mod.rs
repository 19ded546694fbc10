//! Reads the text that Prometheus reads, and takes nothing that the format does not allow.
//!
//! SPEC: OpenMetrics 1.0, "Text format": families one after the other, each with its descriptors in
//! front of its samples; counters end in `_total`; the text ends in `# EOF`.

use std::collections::{BTreeMap, BTreeSet};

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One number, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

/// Everything that was said.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    kinds: BTreeMap<String, Kind>,
    samples: Vec<Sample>,
}

impl Exposition {
    /// Reads a whole text.
    ///
    /// # Panics
    /// When it is not valid.
    pub(crate) fn parse(text: &str) -> Exposition {
        let mut read = Exposition::default();
        let body = text.strip_suffix("# EOF\n").expect("the text ends in # EOF");
        let mut family = String::new();
        let mut helped = BTreeSet::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a kind");
                let kind = match kind {
                    "counter" => Kind::Counter,
                    "gauge" => Kind::Gauge,
                    "histogram" => Kind::Histogram,
                    other => panic!("unknown kind {other}"),
                };
                assert!(is_name(name) && helped.contains(name), "{line}");
                assert!(read.kinds.insert(name.to_owned(), kind).is_none(), "{line}: again");
                family = name.to_owned();
            } else {
                let sample = sample(line);
                let ending = sample.name.strip_prefix(&family);
                let ending = ending.unwrap_or_else(|| panic!("{line} is not of {family}"));
                let allowed: &[&str] = match read.kinds[&family] {
                    Kind::Counter => &["_total"],
                    Kind::Gauge => &[""],
                    Kind::Histogram => &["_bucket", "_count", "_sum"],
                };
                assert!(allowed.contains(&ending), "{line}");
                read.samples.push(sample);
            }
        }
        read.check_series();
        read.check_histograms();
        read
    }

    /// The kind of a family.
    pub(crate) fn kind(&self, family: &str) -> Kind {
        self.kinds[family]
    }

    /// The samples of this name that have these labels.
    pub(crate) fn samples(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let has = |s: &Sample| labels.iter().all(|(key, value)| s.label(key) == Some(value));
        self.samples.iter().filter(|s| s.name == name && has(s)).collect()
    }

    /// The sum of [`Exposition::samples`].
    ///
    /// # Panics
    /// When there are none: their sum would be 0 whatever is misspelt.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples(name, labels);
        assert!(!samples.is_empty(), "no {name} with {labels:?}");
        samples.iter().map(|s| s.value).sum()
    }

    /// Holds what was said later against this: counters do not go back, and none is gone.
    ///
    /// # Panics
    /// When one does, or is.
    pub(crate) fn check_later(&self, later: &Exposition) {
        for sample in &self.samples {
            let same = |s: &&Sample| s.name == sample.name && s.labels == sample.labels;
            let after = later.samples.iter().find(same);
            let after = after.unwrap_or_else(|| panic!("{sample:?} is gone"));
            let counts = ["_total", "_bucket", "_count", "_sum"];
            let counts = counts.iter().any(|ending| sample.name.ends_with(ending));
            assert!(!counts || after.value >= sample.value, "{sample:?} went back to {after:?}");
        }
    }

    fn check_series(&self) {
        let mut known = BTreeSet::new();
        for sample in &self.samples {
            assert!(known.insert((&sample.name, &sample.labels)), "{sample:?} stands twice");
        }
    }

    /// Buckets are cumulative in the order of their edges; the last has none and is the count.
    fn check_histograms(&self) {
        let histograms = self.kinds.iter().filter(|(_, kind)| **kind == Kind::Histogram);
        for (family, _) in histograms {
            for count in self.samples(&format!("{family}_count"), &[]) {
                let labels: Vec<_> =
                    count.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                let buckets = self.samples(&format!("{family}_bucket"), &labels);
                let edges: Vec<f64> = buckets.iter().map(|b| number(&b.labels["le"])).collect();
                assert!(edges.is_sorted() && edges.last() == Some(&f64::INFINITY), "{edges:?}");
                assert!(buckets.is_sorted_by(|a, b| a.value <= b.value), "{buckets:?}");
                assert_eq!(buckets.last().map(|b| b.value), Some(count.value));
                assert_eq!(self.samples(&format!("{family}_sum"), &labels).len(), 1);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(known) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// `name{key="value",…} number`, or without labels.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a number behind a space");
    let value = number(value);
    let (name, mut rest) = match series.split_once('{') {
        None => (series, ""),
        Some((name, rest)) => (name, rest.strip_suffix('}').expect("a brace at the end")),
    };
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once("=\"").expect("a label and a quoted value");
        // No value of ours has anything in it that would be escaped.
        let (text, behind) = behind.split_once('"').expect("a quote at the end");
        assert!(is_name(key) && !text.contains('\\'), "{line}");
        assert!(labels.insert(key.to_owned(), text.to_owned()).is_none(), "{line}: {key} twice");
        let more = behind.strip_prefix(',');
        assert!(more.is_some_and(|m| !m.is_empty()) || behind.is_empty(), "{line}");
        rest = more.unwrap_or("");
    }
    Sample { name: name.to_owned(), labels, value }
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        text => text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}")),
    }
}
