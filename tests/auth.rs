//! Authentication and authorization: tokens, certificates, roles, rules.

mod certificates;
mod check_as;
mod issuers;
mod matrix;
pub(crate) mod roles;
