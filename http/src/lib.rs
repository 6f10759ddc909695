//! settee-http.
