//! Embedded or distributed: where the data is.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::declaration::PREFIX;
use crate::kinds::{path, secret_url};
use crate::reader::{Reader, Reported};
use crate::section::settings;

const DATABASE_URL: &str = "DATABASE_URL";
const AMQP_URL: &str = "AMQP_URL";

settings! {
    /// Where the data is.
    struct Places {
        /// Postgres. Given together with RabbitMQ it makes the program distributed: any number of
        /// processes share the work. With neither it is embedded: one process and a file.
        database_url: Option<SecretString> =
            secret_url(DATABASE_URL, &["postgres", "postgresql"], "postgres://user@host/postrider")
                .secret_password()
                .else_of(&[DATABASE_URL])
                .optional(),
        /// RabbitMQ, of distributed mode.
        amqp_url: Option<SecretString> =
            secret_url(AMQP_URL, &["amqp", "amqps"], "amqp://user:password@host:5672")
                .secret_password()
                .else_of(&[AMQP_URL])
                .optional(),
        /// Directory of the embedded store. It holds `postrider.db`, `master.key` and the lock file
        /// that keeps a second process out.
        data_dir: PathBuf =
            path("DATA_DIR").example("/var/lib/postrider").flag("DIR").default("./postrider-data"),
    }
}

/// How the program runs.
#[derive(Debug, Clone)]
pub enum Mode {
    /// A file and no queue: one process.
    Embedded {
        /// Holds `postrider.db`, `master.key` and the lock file.
        data_dir: PathBuf,
    },
    /// Postgres and RabbitMQ: any number of processes.
    Distributed {
        /// Postgres.
        database_url: SecretString,
        /// RabbitMQ.
        amqp_url: SecretString,
    },
}

impl Mode {
    /// As it is said to people: `embedded` or `distributed`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Embedded { .. } => "embedded",
            Self::Distributed { .. } => "distributed",
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let Places { database_url, amqp_url, data_dir } = Places::read(reader)?;
        match (database_url, amqp_url) {
            (None, None) => Ok(Self::Embedded { data_dir }),
            (Some(database_url), Some(amqp_url)) => {
                Ok(Self::Distributed { database_url, amqp_url })
            }
            (Some(_), None) => {
                Err(one_alone(reader, AMQP_URL, DATABASE_URL, "amqp://user:password@host"))
            }
            (None, Some(_)) => {
                Err(one_alone(reader, DATABASE_URL, AMQP_URL, "postgres://user@host/postrider"))
            }
        }
    }
}

fn one_alone(reader: &mut Reader<'_>, missing: &str, given: &str, example: &str) -> Reported {
    reader.problem(
        missing,
        &format!("is missing although {PREFIX}{given} is set: distributed mode needs both"),
        &format!("set {PREFIX}{missing}, e.g. {example}, or leave both out for embedded mode"),
    )
}
