//! Compiles the contract with protox, so that nobody needs `protoc`, and keeps its descriptors for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 2] = [
    "byok/v1/key_service.proto",
    "byok/v1/platform_service.proto",
];

/// Messages that hold a key in the clear. prost does not honour `debug_redact`, so `src/contract.rs` writes their
/// `Debug` by hand.
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
    tonic_prost_build::configure()
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
