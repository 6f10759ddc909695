//! Mango: from a request to a plan, and from rows to an answer. Never runs JavaScript.
