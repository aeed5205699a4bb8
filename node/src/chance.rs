//! Chance, where nothing secret depends on it: so that what began together does not go on together.

/// Any byte.
pub(crate) fn byte() -> u8 {
    let mut byte = [0];
    // Without chance nothing is spread out, which is no fault.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

/// A number below `bound`, and 0 below 0.
pub(crate) fn below(bound: usize) -> usize {
    let mut bytes = [0; 4];
    // Without chance it is the first, which is no fault.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes) as usize % bound.max(1)
}
