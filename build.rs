//! Compiles the contract with protox, without `protoc`, and writes its descriptors for reflection and JSON.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use tonic_prost_build::Config;

const FILES: [&str; 2] = [
    "byok/v1/key_service.proto",
    "byok/v1/platform_service.proto",
];

/// Messages that hold a key in the clear. prost ignores `debug_redact`; `src/contract/secret.rs` has their `Debug`.
const SECRET: [&str; 3] = [
    "byok.v1.Credential",
    "byok.v1.SetKeyRequest",
    "byok.v1.SetPlatformKeyRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("byok.v1.descriptors"), descriptors.encode_to_vec())?;
    let mut config = Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .skip_debug(SECRET)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
