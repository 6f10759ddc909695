//! settee-engine.
