//! local-aks.
