//! Exports the crate's symbols, as its documentation asks an executable to.

fn main() {
    custom_labels::build::emit_build_instructions();
}
