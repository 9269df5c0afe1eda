//! Links the stripped twin the way `strip = true` does: rustc hands the linker `--strip-all`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bin=fixture-service-stripped=-Wl,--strip-all");
}
