//! Fakes at the wire, the real server beside them, and the other tools of the black-box tests.
#![allow(
    dead_code,
    unused_imports,
    reason = "a vocabulary for all tests, not for those of today only"
)]

pub(crate) mod admin;
pub(crate) mod byokd;
pub(crate) mod ca;
pub(crate) mod catalog;
pub(crate) mod fake_kms;
pub(crate) mod fake_provider;
pub(crate) mod fleet;
pub(crate) mod issuer;
pub(crate) mod kms_call;
pub(crate) mod kms_fault;
pub(crate) mod kms_proxy;
pub(crate) mod otlp_sink;
pub(crate) mod own_postgres;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod reply;
pub(crate) mod requests;
pub(crate) mod rows;
pub(crate) mod sql;
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod token_key;
pub(crate) mod wait;

pub(crate) use byokd::Byokd;
pub(crate) use ca::{Ca, Issued};
pub(crate) use fake_kms::FakeKms;
pub(crate) use fake_provider::FakeProvider;
pub(crate) use issuer::Issuer;
pub(crate) use kms_call::KmsCall;
pub(crate) use kms_fault::KmsFault;
pub(crate) use kms_proxy::KmsProxy;
pub(crate) use otlp_sink::OtlpSink;
pub(crate) use own_postgres::OwnPostgres;
pub(crate) use process::{Process, Site, is_root};
pub(crate) use proxy::{Network, Proxy};
pub(crate) use random::Random;
pub(crate) use reply::Reply;
pub(crate) use requests::{anthropic_key, ask, new_key, openai_key, reason, refused};
pub(crate) use rows::Rows;
pub(crate) use stream::{lines, lines_until};
pub(crate) use token_key::TokenKey;
pub(crate) use wait::{answered, until};
