//! What the black-box tests stand on: fakes made at the wire, and the real server beside them.
#![allow(dead_code, unused_imports, reason = "a vocabulary for all tests, not for those of today only")]

pub(crate) mod byokd;
pub(crate) mod catalog;
pub(crate) mod fake_provider;
pub(crate) mod process;
pub(crate) mod reply;
pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod wait;

pub(crate) use byokd::{Byokd, anthropic_key, ask, new_key, openai_key, reason, refused};
pub(crate) use fake_provider::FakeProvider;
pub(crate) use process::{Process, Site};
pub(crate) use reply::Reply;
pub(crate) use rows::Rows;
pub(crate) use wait::until;
