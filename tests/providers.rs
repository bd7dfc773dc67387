//! Requests to providers: verdicts, hostile answers, and where a key may be sent.

mod client;
mod hostile;
mod ssrf;
