//! Attachments through a real shard: what went in comes out, by ranges and encodings.
