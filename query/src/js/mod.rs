//! JavaScript of design documents, run in process within limits. Never sees the host.
