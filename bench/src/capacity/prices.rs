//! Price tables: what a provider charges, where that was read, and when.
//!
//! They are data (`bench/prices/*.toml`). Prices change and this program does not ask anybody, so
//! every table says its day, and `--prices FILE` takes another one.

use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path};

/// A provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Its name.
    pub provider: String,
    /// Where.
    pub region: String,
    /// The day on which the table was written.
    pub noted: String,
    /// Where the figures are from.
    pub source: Vec<Source>,
    /// Machines that an appliance may run on.
    pub machine: Vec<Machine>,
    /// What leaves the machines.
    pub transfer: Transfer,
    /// What is kept.
    pub bucket: Bucket,
}

/// Where a figure is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which figures.
    pub what: String,
    /// Where they stand.
    pub url: String,
    /// The page's day, if it has one.
    pub dated: Option<String>,
    /// What else has to be known.
    pub remark: String,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its cores.
    pub vcpus: u32,
    /// Its memory.
    pub memory_gib: f64,
    /// What it may send in a month for its price, pooled over all machines.
    pub transfer_gib: f64,
    /// Its price, with address and disk.
    pub dollars_month: f64,
    /// Disk that the spool may take.
    pub spool_gib: f64,
    /// Largest object that it makes.
    pub object_mib: f64,
}

/// The price of what leaves the machines towards the internet. What comes in is free everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Beyond what is free.
    pub dollars_gib: f64,
    /// Free besides what comes with the machines.
    pub free_gib: f64,
}

/// The price of an object store in the same region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// For having one.
    pub dollars_month: f64,
    /// Kept for that.
    pub included_gib: f64,
    /// For what is kept beyond.
    pub dollars_gib_month: f64,
    /// For putting it there.
    pub dollars_1000_puts: f64,
    /// Requests that it takes.
    pub puts_second_max: f64,
}

/// The tables that come with this program: the one that is meant, and one to compare it with.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("digitalocean.toml", include_str!("../../prices/digitalocean.toml")),
    ("aws.toml", include_str!("../../prices/aws.toml")),
];

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// What.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is none.
    #[error("{file} is no table of prices: {source}")]
    Toml {
        /// What.
        file: String,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A figure cannot be.
    #[error("{file}: {key} is {found}; allowed: {allowed}")]
    Figure {
        /// What.
        file: String,
        /// Which.
        key: String,
        /// What it is.
        found: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// It has no machines.
    #[error("{file} has no machine")]
    Empty {
        /// What.
        file: String,
    },
}

impl Prices {
    /// Reads a table from a file.
    ///
    /// # Errors
    /// [`PricesError`] when it is none.
    pub fn read(path: &Path) -> Result<Prices, PricesError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| PricesError::Read { file: file.clone(), source })?;
        Prices::parse(&file, &text)
    }

    /// The tables that come with this program.
    ///
    /// # Errors
    /// [`PricesError`] when one is none, which the tests of this module would find.
    pub fn built_in() -> Result<Vec<Prices>, PricesError> {
        BUILT_IN.iter().map(|(file, text)| Prices::parse(file, text)).collect()
    }

    fn parse(file: &str, text: &str) -> Result<Prices, PricesError> {
        let wrong = |source| PricesError::Toml { file: file.to_owned(), source: Box::new(source) };
        let prices: Prices = toml::from_str(text).map_err(wrong)?;
        if prices.machine.is_empty() {
            return Err(PricesError::Empty { file: file.to_owned() });
        }
        let wrong = |(key, found, allowed): (String, f64, &'static str)| PricesError::Figure {
            file: file.to_owned(),
            key,
            found,
            allowed,
        };
        prices.figures().map_or(Ok(prices), |figure| Err(wrong(figure)))
    }

    /// The first figure that cannot be: its key, itself, and what it may be.
    fn figures(&self) -> Option<(String, f64, &'static str)> {
        const POSITIVE: &str = "above 0";
        const FREE: &str = "0 and above";
        let bucket = &self.bucket;
        let mut figures = vec![
            ("transfer.dollars_gib".to_owned(), self.transfer.dollars_gib, FREE),
            ("transfer.free_gib".to_owned(), self.transfer.free_gib, FREE),
            ("bucket.dollars_month".to_owned(), bucket.dollars_month, FREE),
            ("bucket.included_gib".to_owned(), bucket.included_gib, FREE),
            ("bucket.dollars_gib_month".to_owned(), bucket.dollars_gib_month, FREE),
            ("bucket.dollars_1000_puts".to_owned(), bucket.dollars_1000_puts, FREE),
            ("bucket.puts_second_max".to_owned(), bucket.puts_second_max, POSITIVE),
        ];
        for machine in &self.machine {
            let key = |key: &str| format!("{}.{key}", machine.name);
            figures.extend([
                (key("vcpus"), f64::from(machine.vcpus), POSITIVE),
                (key("memory_gib"), machine.memory_gib, POSITIVE),
                (key("transfer_gib"), machine.transfer_gib, FREE),
                (key("dollars_month"), machine.dollars_month, FREE),
                (key("spool_gib"), machine.spool_gib, POSITIVE),
                (key("object_mib"), machine.object_mib, POSITIVE),
            ]);
        }
        let is_wrong = |(_, value, allowed): &(String, f64, &'static str)| {
            !value.is_finite() || *value < 0.0 || (*allowed == POSITIVE && *value == 0.0)
        };
        figures.into_iter().find(is_wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_come_along_parse_and_say_where_they_are_from() {
        let tables = Prices::built_in().unwrap();
        assert_eq!(tables.len(), BUILT_IN.len());
        for prices in tables {
            assert!(prices.source.len() >= 3, "{}", prices.provider);
            let is_day = |text: &str| {
                let digits = text.split('-').map(str::len).eq([4, 2, 2]);
                digits && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            };
            assert!(is_day(&prices.noted), "{}", prices.noted);
            for source in &prices.source {
                assert!(source.dated.as_deref().is_none_or(is_day), "{source:?}");
                assert!(source.url.starts_with("https://") && !source.what.is_empty());
            }
        }
    }

    #[test]
    fn a_table_that_is_none_says_what_is_wrong() {
        let (_, good) = BUILT_IN[0];
        let error = |text: &str| Prices::parse("a.toml", text).unwrap_err().to_string();
        assert!(error("").starts_with("a.toml is no table of prices"));
        let unknown = good.replace("noted =", "colour = 1\nnoted =");
        assert!(error(&unknown).contains("colour"), "{}", error(&unknown));
        let none = error(&good.replace("puts_second_max = 300", "puts_second_max = 0"));
        assert_eq!(none, "a.toml: bucket.puts_second_max is 0; allowed: above 0");
        let gift = error(&good.replace("dollars_month = 6.00", "dollars_month = -6.0"));
        assert_eq!(gift, "a.toml: s-1vcpu-1gb.dollars_month is -6; allowed: 0 and above");
        let missing = Prices::read(Path::new("there-is-no.toml")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read there-is-no.toml"));
    }
}
