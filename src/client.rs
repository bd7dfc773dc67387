//! The connection to a byokd: the server's address, the caller's identity, the deadlines.
//!
//! Invariants: every call carries a deadline; a token is metadata that is marked sensitive.
//!
//! Not here: retries (a change is only safe to retry with a request id, which the caller chooses), caching, and texts
//! that name a command or an option (`cli`).

mod address;
mod bearer;
mod connection;
mod failure;
mod health;
mod tls;
mod token;

pub use address::{AddressError, DEFAULT_SERVER, ServerAddress};
pub use connection::{Connection, answer};
pub use failure::{CallError, ConnectError, FieldViolation};
pub use health::{HealthError, check_ready};
pub use tls::{ClientTlsFiles, TlsError};
pub use token::{Access, TokenError, TokenSource};
