//! `shipper ddl`: delivered objects as tables.

use super::{fail, print};
use brink_shipper::ddl::{Dialect, Script, endpoint::Endpoint, location::Location};
use std::process::ExitCode;

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  shipper ddl --dialect hive --location hdfs://namenode/brink --database ads
  shipper ddl --dialect spark --location s3a://impressions/edge --topic impressions \\
    --s3a-endpoint https://nyc3.digitaloceanspaces.com

Exit codes: 0 printed; 2 the command line makes no sense.")]
pub(crate) struct DdlOptions {
    /// Whose SQL.
    #[arg(long, value_enum)]
    dialect: DialectWord,
    /// Where the objects are, as Hadoop names it: the folder in which `ds=…` lie.
    #[arg(long)]
    location: String,
    /// One topic; all of this build, if it is not said.
    #[arg(long)]
    topic: Option<String>,
    /// The database that the tables lie in; it is made if there is none.
    #[arg(long)]
    database: Option<String>,
    /// The S3-compatible store's address; prints the settings of S3A for it.
    #[arg(long)]
    s3a_endpoint: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DialectWord {
    Hive,
    Spark,
}

pub(crate) fn run(options: &DdlOptions) -> ExitCode {
    let dialect = match options.dialect {
        DialectWord::Hive => Dialect::Hive,
        DialectWord::Spark => Dialect::Spark,
    };
    let script = Location::parse(&options.location).and_then(|location| {
        let endpoint = options.s3a_endpoint.as_deref();
        let endpoint = endpoint.map(|url| Endpoint::parse(url, &location)).transpose()?;
        let (topic, database) = (options.topic.as_deref(), options.database.as_deref());
        Script::new(dialect, location, topic, database).map(|script| script.with_endpoint(endpoint))
    });
    match script {
        Ok(script) => {
            print(&script.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => fail("ddl", &error),
    }
}
