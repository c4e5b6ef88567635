//! local-aks.

pub mod images;
