//! What the tests stand on: a simulated world, and real processes.
//!
//! - [`sim`]: ring, disk and clock without hardware: a shard, its tap and a spool run under virtual
//!   time, with faults, from one seed.
//! - [`process`]: the real `edge` in a folder of its own, on ports of the kernel's choice.
//!   [`status`]: what it says of itself.
//! - [`appliance`]: a real appliance in this process.
//! - [`site`]: a folder with everything of one appliance. [`audit`]: what was delivered, read back.
//! - [`tables`]: segment tables, made and published. [`volume`]: a small disk that can be filled.
//! - [`topic`]: what was delivered to Kafka, read back by a reader that shares no code with us.
//! - [`services`]: real services and readers that share no code with us. [`s3`]: an S3 server, and
//!   what stands in front of it and fails as it is told to. [`kafka`]: the same of a broker, and a
//!   client. [`hdfs`]: a cluster. [`stored`]: what lies in a store. [`proxy`]: cuts any connection.
//! - [`http`]: a plain client that sends bytes as it is told to. [`asking`]: one that goes on.
//! - [`fuzz`]: parsers against any bytes.
//! - [`tidy`]: the rules of the house, held over the repository.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod asking;
pub mod audit;
pub mod fuzz;
pub mod hdfs;
pub mod http;
pub mod kafka;
pub mod process;
pub mod proxy;
pub mod s3;
pub mod services;
pub mod sim;
pub mod site;
pub mod status;
pub mod stored;
pub mod tables;
pub mod tidy;
pub mod topic;
pub mod volume;
