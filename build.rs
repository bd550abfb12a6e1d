//! How the command is linked. Line numbers for the traces of panics are four fifths of it, so a
//! release carries them compressed; a trace unpacks them when there is one to be written.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // Elsewhere linkers have other words for it.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    }
}
