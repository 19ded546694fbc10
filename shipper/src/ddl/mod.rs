//! Delivered objects as tables of Hive and Spark: the statements that a person runs.
//!
//! Columns, their types and their comments are those of [`brink_proto::schema`]; nothing is written
//! down twice. [`location`] is where the objects lie and [`endpoint`] how a Hadoop client reaches
//! an S3-compatible store.
//!
//! ```text
//!  LOCATION/ds=<topic>/dt=YYYY-MM-DD/hour=HH/<object>.parquet
//!  └ told   └ a table  └ its partitions, texts both
//! ```

pub mod endpoint;
pub mod location;

use brink_proto::schema::{Field, Kind, Schema, TOPICS};
use endpoint::Endpoint;
use location::Location;
use std::fmt::{self, Display, Formatter};

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Hive; Spark with Hive support takes it as well.
    Hive,
    /// Spark, with its own Parquet reader.
    Spark,
}

/// Why nothing is printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DdlError {
    /// The location cannot be one.
    #[error("--location {found:?}: {allowed}")]
    Location {
        /// What was said.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// There is no such topic.
    #[error("--topic {found:?}: this build has {}", topics().join(", "))]
    Topic {
        /// What was said.
        found: String,
    },
    /// A database cannot be called so.
    #[error("--database {found:?}: 1 to 128 of a-z, 0-9 and _, the first one a letter")]
    Database {
        /// What was said.
        found: String,
    },
    /// The endpoint cannot be one.
    #[error("--s3a-endpoint {found:?}: {allowed}")]
    Endpoint {
        /// What was said.
        found: String,
        /// What is allowed.
        allowed: String,
    },
}

fn topics() -> Vec<&'static str> {
    TOPICS.iter().map(|schema| schema.topic).collect()
}

/// The statements, and what goes with them.
#[derive(Debug)]
pub struct Script {
    dialect: Dialect,
    location: Location,
    schemas: Vec<&'static Schema>,
    database: Option<String>,
    endpoint: Option<Endpoint>,
}

impl Script {
    /// Statements for one topic, or for all of this build.
    ///
    /// # Errors
    /// [`DdlError`] when there is no such topic, or no database can be called so.
    pub fn new(
        dialect: Dialect,
        location: Location,
        topic: Option<&str>,
        database: Option<&str>,
    ) -> Result<Script, DdlError> {
        let asked = |schema: &&'static Schema| topic.is_none_or(|topic| topic == schema.topic);
        let schemas: Vec<_> = TOPICS.iter().copied().filter(asked).collect();
        if schemas.is_empty() {
            return Err(DdlError::Topic { found: topic.unwrap_or_default().to_owned() });
        }
        if let Some(found) = database.filter(|name| !is_database(name)) {
            return Err(DdlError::Database { found: found.to_owned() });
        }
        let database = database.map(str::to_owned);
        Ok(Script { dialect, location, schemas, database, endpoint: None })
    }

    /// The same with the settings for a store.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Option<Endpoint>) -> Script {
        Script { endpoint, ..self }
    }

    fn table(&self, schema: &Schema) -> String {
        let database = self.database.iter().map(|name| format!("`{name}`."));
        database.chain([format!("`{}`", schema.topic)]).collect()
    }

    fn create(&self, f: &mut Formatter<'_>, schema: &Schema) -> fmt::Result {
        let external = match self.dialect {
            Dialect::Hive => "EXTERNAL ",
            // With a location of its own, a table of Spark's is external.
            Dialect::Spark => "",
        };
        writeln!(f, "CREATE {external}TABLE IF NOT EXISTS {} (", self.table(schema))?;
        let mut columns: Vec<String> = schema.fields().map(column).collect();
        let partitions =
            PARTITIONS.map(|(name, about)| format!("  `{name}` STRING COMMENT {}", quoted(about)));
        if self.dialect == Dialect::Spark {
            columns.extend(partitions.clone());
        }
        writeln!(f, "{}\n)", columns.join(",\n"))?;
        let comment = quoted(schema.about);
        let location = quoted(&self.location.of_topic(schema.topic));
        match self.dialect {
            Dialect::Hive => {
                writeln!(f, "COMMENT {comment}")?;
                writeln!(f, "PARTITIONED BY (\n{}\n)", partitions.join(",\n"))?;
                writeln!(f, "STORED AS PARQUET\nLOCATION {location};")
            }
            Dialect::Spark => {
                let names = PARTITIONS.map(|(name, _)| format!("`{name}`")).join(", ");
                writeln!(f, "USING PARQUET\nPARTITIONED BY ({names})")?;
                writeln!(f, "LOCATION {location}\nCOMMENT {comment};")
            }
        }
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", ABOUT.trim_end())?;
        if let Some(database) = &self.database {
            writeln!(f, "\nCREATE DATABASE IF NOT EXISTS `{database}`;")?;
        }
        for schema in &self.schemas {
            let (topic, version, table) = (schema.topic, schema.version, self.table(schema));
            writeln!(f, "\n-- {topic}, schema {version}")?;
            self.create(f, schema)?;
            writeln!(f, "\n-- Once, for what is there already. It lists all of the location.")?;
            writeln!(f, "MSCK REPAIR TABLE {table};")?;
            writeln!(f, "-- From then on, for each hour as it begins:")?;
            let hour = "PARTITION (`dt` = 'YYYY-MM-DD', `hour` = 'HH')";
            writeln!(f, "-- ALTER TABLE {table} ADD IF NOT EXISTS {hour};")?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, "\n{}", endpoint.settings(self.dialect)),
            None => Ok(()),
        }
    }
}

const ABOUT: &str = "\
-- Rows of the appliance, as `shipper ddl` of the build that knows these columns prints them.
-- Times are UTC: run sessions in UTC (Spark: SET spark.sql.session.timeZone=UTC; Hive: a JVM with
-- -Duser.timezone=UTC). dt and hour are texts; hour 07 is '07'. To drop a table drops no object.
";

/// What objects are partitioned by, and what it is.
const PARTITIONS: [(&str, &str); 2] = [
    ("dt", "Day when the row was written, UTC, as 2026-11-23."),
    ("hour", "Hour when the row was written, UTC, as 07."),
];

fn column(field: &Field) -> String {
    let kind = match field.kind {
        Kind::Text => "STRING",
        Kind::Int32 => "INT",
        Kind::Int64 => "BIGINT",
        Kind::Bool => "BOOLEAN",
        Kind::TimeMicros => "TIMESTAMP",
    };
    format!("  `{}` {kind} COMMENT {}", field.name, quoted(field.about))
}

/// A text as a literal of both dialects.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn is_database(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 128
        && name.bytes().all(known)
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dialect: Dialect, topic: Option<&str>, database: Option<&str>) -> String {
        let location = Location::parse("hdfs://namenode:8020/brink/").unwrap();
        Script::new(dialect, location, topic, database).unwrap().to_string()
    }

    #[test]
    fn every_column_of_every_topic_stands_in_both_dialects_with_its_comment() {
        for dialect in [Dialect::Hive, Dialect::Spark] {
            let text = script(dialect, None, Some("ads"));
            for schema in TOPICS {
                let one = script(dialect, Some(schema.topic), None);
                let lines = schema.fields().map(column);
                for line in lines {
                    assert!(text.contains(&line) && one.contains(&line), "{line}\n{text}");
                }
                assert!(text.contains(&format!("`ads`.`{}` (", schema.topic)), "{text}");
                let location = format!("LOCATION 'hdfs://namenode:8020/brink/ds={}'", schema.topic);
                assert!(one.contains(&location), "{one}");
            }
            assert_eq!(text.matches("\nMSCK REPAIR TABLE").count(), TOPICS.len());
        }
    }

    #[test]
    fn a_comment_fits_into_the_metastore_and_its_quotes_end_no_literal() {
        // The metastore keeps 256 characters of a column's comment.
        for schema in TOPICS {
            for field in schema.fields() {
                assert!(field.about.chars().count() <= 256, "{}.{}", schema.topic, field.name);
            }
        }
        assert_eq!(quoted(r"The user's \ own"), r"'The user\'s \\ own'");
        assert!(script(Dialect::Hive, Some("lookups"), None).contains("exchange\\'s"));
    }

    #[test]
    fn what_is_no_topic_or_database_is_refused_with_what_is_allowed() {
        let refused = |topic: Option<&str>, database: Option<&str>| {
            let location = Location::parse("file:///a").unwrap();
            Script::new(Dialect::Hive, location, topic, database).unwrap_err().to_string()
        };
        assert!(refused(Some("clicks"), None).contains("impressions, lookups"));
        for bad in ["", "A", "1a", "a-b", "a`b", "a;drop", &"a".repeat(129)] {
            assert!(refused(None, Some(bad)).contains("a-z, 0-9 and _"), "{bad}");
        }
    }
}
