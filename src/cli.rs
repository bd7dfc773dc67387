//! The command line: one file for each command, a struct of arguments with a `run`.
//!
//! Invariants: data goes to standard output, everything else to standard error. Exit code 0: done; 1: a local mistake;
//! 2: the server refused the call or did not answer. No argument carries a key, and none that looks like one is printed.
//!
//! To add a command: a file with its arguments and `run`, a variant of `command::Command`, and its line in
//! `Command::run`.
//!
//! Not here: decisions about keys and payers. A command calls the server and shows its answer.

mod argument;
mod audit;
mod change;
mod command;
mod config;
mod entry;
mod explain;
mod failure;
mod global;
mod healthcheck;
mod key;
mod migrate;
mod models;
mod output;
mod pages;
mod platform;
mod refusal;
mod resolve;
mod rewrap;
mod rights;
mod secret_input;
mod select;
mod serve;
mod settings;
mod shutdown;
mod toggle;
mod token;
mod verify;
mod view;
mod workspace;

pub use entry::main;
