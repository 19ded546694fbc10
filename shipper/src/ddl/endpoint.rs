//! How a Hadoop client reaches an S3-compatible store: the settings of S3A, each with its reason.
//!
//! They are for Hadoop 3.4.3 and newer. Keys and secrets are not among them: those come from a
//! credential store or the environment, never from a page that is printed.

use super::{DdlError, Dialect, location::Location};
use std::fmt::Write;

/// The address of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
}

/// When a setting is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Always.
    Always,
    /// Where the reason is given.
    IfSo,
}

/// Settings: key, value, when, why. The endpoint's value is filled in.
const SETTINGS: [(&str, &str, Wanted, &str); 14] = [
    ("endpoint", "", Wanted::Always, "the store's address, without the bucket"),
    (
        "endpoint.region",
        "external",
        Wanted::Always,
        "any fixed text that is signed for; auto, sdk and ec2 would go and look for one",
    ),
    ("path.style.access", "true", Wanted::Always, "the bucket stands in the path, not in the host"),
    (
        "aws.credentials.provider",
        "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        Wanted::Always,
        "reads fs.s3a.access.key and fs.s3a.secret.key: keep both in a credential store",
    ),
    (
        "bucket.probe",
        "0",
        Wanted::Always,
        "no request of its own to see whether the bucket is there",
    ),
    (
        "checksum.generation",
        "false",
        Wanted::Always,
        "several S3-compatible stores refuse the trailers that newer SDKs send",
    ),
    (
        "checksum.validation",
        "false",
        Wanted::Always,
        "and answer without the ones that they expect",
    ),
    (
        "create.conditional.enabled",
        "false",
        Wanted::Always,
        "not every store takes conditional writes the way the SDK quotes them",
    ),
    (
        "committer.name",
        "magic",
        Wanted::Always,
        "for what Spark writes (needs spark-hadoop-cloud): a rename is no commit on such a store",
    ),
    (
        "directory.operations.purge.uploads",
        "false",
        Wanted::Always,
        "it would abort the uploads of other writers",
    ),
    ("threads.max", "32", Wanted::Always, "a bucket takes some 300 requests/s in all: share them"),
    (
        "connection.maximum",
        "64",
        Wanted::Always,
        "at least the threads, and those that read streams",
    ),
    ("request.md5.header", "true", Wanted::IfSo, "only if the store refuses to delete in bulk"),
    (
        "change.detection.mode",
        "none",
        Wanted::IfSo,
        "only if reads fail with 412: the store takes no quoted ETags",
    ),
];

impl Endpoint {
    /// Reads the address of the store that has the bucket of `location`.
    ///
    /// # Errors
    /// [`DdlError::Endpoint`] when it is none, or names more than the store.
    pub fn parse(text: &str, location: &Location) -> Result<Endpoint, DdlError> {
        let refused = |allowed: &str| DdlError::Endpoint {
            found: text.to_owned(),
            allowed: allowed.to_owned(),
        };
        let bucket = location.bucket().ok_or_else(|| refused("the location is not s3a://…"))?;
        let url = text.strip_suffix('/').unwrap_or(text);
        let scheme = ["https://", "http://"].into_iter().find(|scheme| url.starts_with(scheme));
        let host = scheme.and_then(|scheme| url.strip_prefix(scheme)).unwrap_or_default();
        let (name, port) = host.split_once(':').unwrap_or((host, "443"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        let is_host = !name.is_empty() && name.bytes().all(plain);
        if !is_host || port.parse::<u16>().is_err() {
            return Err(refused("https://HOST or https://HOST:PORT, and nothing behind"));
        }
        if name.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.')) {
            return Err(refused("without the bucket, which stands in the path"));
        }
        Ok(Endpoint { url: url.to_owned() })
    }

    /// The settings as comments behind statements: of spark-defaults.conf, or of core-site.xml.
    pub(super) fn settings(&self, dialect: Dialect) -> String {
        let mut out = String::new();
        let file = match dialect {
            Dialect::Hive => "core-site.xml",
            Dialect::Spark => "spark-defaults.conf",
        };
        let _ = writeln!(out, "-- For {file}, without the dashes (Hadoop 3.4.3 or newer):\n--");
        for (key, value, wanted, why) in SETTINGS {
            let value = if value.is_empty() { &self.url } else { value };
            let line = match (dialect, wanted) {
                (Dialect::Spark, Wanted::Always) => {
                    format!("# {why}\n-- spark.hadoop.fs.s3a.{key}  {value}")
                }
                (Dialect::Spark, Wanted::IfSo) => {
                    format!("# {why}\n-- # spark.hadoop.fs.s3a.{key}  {value}")
                }
                (Dialect::Hive, Wanted::Always) => {
                    format!("<!-- {why} -->\n-- {}", property(key, value))
                }
                (Dialect::Hive, Wanted::IfSo) => {
                    format!("<!-- {why}: {} -->", property(key, value))
                }
            };
            let _ = writeln!(out, "-- {line}");
        }
        out
    }
}

fn property(key: &str, value: &str) -> String {
    format!("<property><name>fs.s3a.{key}</name><value>{value}</value></property>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<Endpoint, DdlError> {
        Endpoint::parse(text, &Location::parse("s3a://impressions/edge").unwrap())
    }

    #[test]
    fn an_endpoint_names_the_store_and_nothing_else() {
        for good in ["https://nyc3.digitaloceanspaces.com/", "http://127.0.0.1:7070"] {
            endpoint(good).unwrap();
        }
        for (bad, says) in [
            ("nyc3.digitaloceanspaces.com", "https://HOST"),
            ("https://", "https://HOST"),
            ("https://a/b", "nothing behind"),
            ("https://key@a", "nothing behind"),
            ("https://a:99999", "https://HOST:PORT"),
            ("https://a<b", "https://HOST"),
            ("https://impressions.nyc3.digitaloceanspaces.com", "without the bucket"),
        ] {
            let error = endpoint(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
        let elsewhere = Location::parse("hdfs:///a").unwrap();
        let error = Endpoint::parse("https://a", &elsewhere).unwrap_err().to_string();
        assert!(error.contains("not s3a"), "{error}");
    }

    #[test]
    fn every_setting_stands_with_its_reason_and_all_of_it_is_comment() {
        let endpoint = endpoint("https://nyc3.digitaloceanspaces.com").unwrap();
        for dialect in [Dialect::Hive, Dialect::Spark] {
            let text = endpoint.settings(dialect);
            assert!(text.lines().all(|line| line.starts_with("--")), "{text}");
            for (key, _, _, why) in SETTINGS {
                assert!(text.contains(&format!("fs.s3a.{key}")) && text.contains(why), "{key}");
            }
        }
        let spark = endpoint.settings(Dialect::Spark);
        let line = "-- spark.hadoop.fs.s3a.endpoint  https://nyc3.digitaloceanspaces.com\n";
        assert!(spark.contains(line), "{spark}");
    }
}
