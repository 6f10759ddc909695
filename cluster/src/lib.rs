//! settee-cluster.
