//! The system's randomness, for all in this room that nobody may guess. Never makes do with anything
//! weaker.

/// Bytes that nobody can guess.
///
/// # Panics
/// Never: where the system has no randomness there is no safe way on, so the process ends.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no randomness");
        std::process::abort();
    }
    bytes
}

/// 32 hexadecimal digits that nobody can guess.
#[must_use]
pub fn hex_32() -> String {
    format!("{:032x}", u128::from_ne_bytes(bytes()))
}
