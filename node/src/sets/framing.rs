//! Whether bytes are a whole message of Negentropy V1, before anybody acts on them.
//!
//! The crate reads a number that is cut off as what there is of it, and a missing one as 0: a message that lost
//! its end would ask for something else, or for nothing, and be answered.

use protocol::limits::RECONCILE_BYTES_MAX;

use super::talk::TalkError;

/// The first byte of version 1. What begins otherwise is another version, or nothing at all.
const VERSION: u8 = 0x61;

/// What a range says of its items: that they are passed over, their fingerprint, or a list of their ids.
const SKIP: u64 = 0;
const FINGERPRINT: u64 = 1;
const LIST: u64 = 2;
const FINGERPRINT_BYTES: u64 = 16;
const ID_BYTES: u64 = 32;

/// Reads a message of version 1 from its beginning to its end; one of another version is left alone.
///
/// # Errors
/// [`TalkError::Malformed`], in words.
pub(super) fn check(message: &[u8]) -> Result<(), TalkError> {
    let Some((&VERSION, ranges)) = message.split_first() else {
        return Ok(());
    };
    let mut rest = Rest(ranges);
    while !rest.0.is_empty() {
        // Where the range ends: seconds since the bound before, and the beginning of an id.
        rest.number()?;
        let length = rest.number()?;
        rest.pass(length)?;
        match rest.number()? {
            SKIP => {}
            FINGERPRINT => rest.pass(FINGERPRINT_BYTES)?,
            LIST => {
                let ids = rest.number()?;
                rest.pass(ids.saturating_mul(ID_BYTES))?;
            }
            mode => {
                return Err(malformed(format!(
                    "a range is of kind {mode}: there are 0, 1 and 2"
                )));
            }
        }
    }
    Ok(())
}

/// What is still to be read.
struct Rest<'m>(&'m [u8]);

impl Rest<'_> {
    /// A number: seven bits in each byte, the highest first, and the eighth bit in all but the last.
    fn number(&mut self) -> Result<u64, TalkError> {
        let mut number = 0_u64;
        loop {
            let Some((byte, rest)) = self.0.split_first() else {
                return Err(malformed("it ends within a number"));
            };
            self.0 = rest;
            if number >> (u64::BITS - 7) != 0 {
                return Err(malformed("a number has more than 64 bits"));
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
    }

    fn pass(&mut self, bytes: u64) -> Result<(), TalkError> {
        let rest = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| self.0.get(bytes..));
        self.0 = rest.ok_or_else(|| malformed("it ends within a range"))?;
        Ok(())
    }
}

fn malformed(what: impl Into<String>) -> TalkError {
    TalkError::Malformed(format!(
        "{}; send it whole, at most {RECONCILE_BYTES_MAX} bytes",
        what.into()
    ))
}
