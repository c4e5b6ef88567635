//! local-aks.
fn main() {}
