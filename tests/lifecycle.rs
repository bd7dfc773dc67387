//! The process from start to shutdown, as an operator sees it.

mod admin_pages;
mod disk_full;
mod health_and_reflection;
mod healthcheck;
mod process;
mod shutdown;
mod startup;
mod warm_resolve;
