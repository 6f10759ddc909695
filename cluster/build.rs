//! Makes Rust of the mesh's `.proto` files. Needs no `protoc`: `protox` reads them.

use std::error::Error;

/// The files, in `proto/`.
const FILES: [&str; 3] = ["proto/mesh.proto", "proto/shards.proto", "proto/values.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let files = protox::compile(FILES, ["proto"])?;
    // Bodies are handed on as slices of the message they came in.
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(files)?;
    Ok(())
}
