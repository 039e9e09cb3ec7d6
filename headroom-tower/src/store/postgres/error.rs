use std::fmt;

use crate::store::StoreError;

/// What went wrong, without what it went wrong with: details of the database's errors quote rows, and
/// those of a URL its password.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database said no; its SQLSTATE.
    Refused(String),
    /// No connection, or it broke.
    Unreachable(std::io::ErrorKind),
    /// No connection was made or became free in time: sqlx tries again where one is refused.
    Busy,
    /// The URL or an option cannot be used.
    Configuration,
    /// A row is not what was written.
    Damaged,
    /// The tables are older than this version of the store, and this role may not change them.
    Outdated { found: i32, needed: i32 },
    /// Any other failure of the client.
    Other,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => {
                let meaning = match &**code {
                    "28P01" | "28000" => " (user or password)",
                    "3D000" => " (no such database)",
                    "42501" => " (the role may not)",
                    "53300" => " (too many connections)",
                    _ => "",
                };
                write!(f, "Postgres refused: SQLSTATE {code}{meaning}")
            }
            // What TLS calls a certificate that nobody vouches for.
            Self::Unreachable(std::io::ErrorKind::InvalidData) => {
                f.write_str("no connection to Postgres: its certificate is not believed, or it speaks no TLS")
            }
            Self::Unreachable(kind) => write!(f, "no connection to Postgres: {kind}"),
            Self::Busy => f.write_str(
                "no connection to Postgres in time: nothing answers at its address, or all are in use",
            ),
            Self::Configuration => f.write_str("the URL or an option of the connection cannot be used"),
            Self::Damaged => f.write_str("a row is not what was written"),
            Self::Outdated { found, needed } => {
                write!(f, "the tables have version {found} and need {needed}: migrate as their owner")
            }
            Self::Other => f.write_str("the Postgres client failed"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                Self::Refused(error.code().map_or_else(|| "unknown".to_owned(), |code| code.into_owned()))
            }
            sqlx::Error::Io(error) => Self::Unreachable(error.kind()),
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
                Self::Unreachable(std::io::ErrorKind::NotConnected)
            }
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Self::Configuration,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged,
            _ => Self::Other,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::new(failure)
    }
}

impl Failure {
    /// Whether the same call may succeed now. All calls are idempotent.
    pub(super) fn passes(&self) -> bool {
        match self {
            // A connection that died while it was idle; a server that starts or shuts down; a
            // deadlock or a conflict.
            Self::Unreachable(_) => true,
            Self::Refused(code) => {
                matches!(&**code, "57P01" | "57P02" | "57P03" | "40001" | "40P01")
            }
            _ => false,
        }
    }

    /// Whether another replica was creating the same tables.
    pub(super) fn is_race(&self) -> bool {
        let Self::Refused(code) = self else { return false };
        // unique_violation in a catalogue, duplicate table, duplicate object, "tuple concurrently
        // updated", undefined table or object (seen between two of its steps), deadlock, conflict.
        matches!(
            &**code,
            "23505" | "42P07" | "42710" | "XX000" | "42P01" | "42704" | "40P01" | "40001" | "55P03"
        )
    }
}
