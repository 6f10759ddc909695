//! Mango against recorded answers of CouchDB 3.5.0, and against a look at all documents.

mod harm;
mod indexes;
mod recorded;
mod scan;
