//! Mango against recorded answers of CouchDB 3.5.0, and against a full scan.

mod recorded;
