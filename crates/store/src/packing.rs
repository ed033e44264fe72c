//! How values lie in the database: bodies packed, times as whole microseconds.

use std::{cell::RefCell, io::Read};

use flate2::{Compress, Compression, FlushCompress, Status};
use jiff::Timestamp;

use crate::{Result, StoreError};

/// Bodies up to this size are kept as they are: there is little to win.
const PLAIN_BYTES_MAX: usize = 512;
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

thread_local! {
    // A deflater is some 300 kB to set up; one per thread is reset instead of made anew.
    static DEFLATER: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(1), false));
}

/// One marker byte, then the bytes, deflated where that makes them smaller.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() > PLAIN_BYTES_MAX
        && let Some(packed) = deflate(bytes)
    {
        return packed;
    }
    let mut packed = Vec::with_capacity(bytes.len() + 1);
    packed.push(PLAIN);
    packed.extend_from_slice(bytes);
    packed
}

/// `None` when the result would not be smaller.
fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    DEFLATER.with_borrow_mut(|deflater| {
        deflater.reset();
        let mut packed = Vec::with_capacity(bytes.len());
        packed.push(DEFLATED);
        // All input at once into room for less than all output: either it ends, or it is not worth it.
        match deflater.compress_vec(bytes, &mut packed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {
                packed.shrink_to_fit();
                Some(packed)
            }
            _ => None,
        }
    })
}

/// The bytes that were packed.
pub(crate) fn unpack(what: &str, packed: &[u8]) -> Result<Vec<u8>> {
    match packed.split_first() {
        Some((&PLAIN, bytes)) => Ok(bytes.to_vec()),
        Some((&DEFLATED, deflated)) => {
            let mut bytes = Vec::with_capacity(deflated.len().saturating_mul(4));
            flate2::read::DeflateDecoder::new(deflated).read_to_end(&mut bytes).map_err(|e| unreadable(what, e))?;
            Ok(bytes)
        }
        _ => Err(unreadable(what, "unknown packing")),
    }
}

/// Whole microseconds since the epoch.
pub(crate) fn micros(moment: Timestamp) -> i64 {
    moment.as_microsecond()
}

/// The instant.
pub(crate) fn moment(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|e| unreadable("a time", e))
}

/// The instant, where there is one.
pub(crate) fn moment_maybe(micros: Option<i64>) -> Result<Option<Timestamp>> {
    micros.map(moment).transpose()
}

/// A count, which SQLite keeps as a signed number.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The other way; past what SQLite holds there is nothing left to count.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A page size, likewise.
pub(crate) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// At most `chars_max` characters of it.
pub(crate) fn short(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// A stored value that no longer reads.
pub(crate) fn unreadable(what: &str, why: impl ToString) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(bytes in proptest::collection::vec(any::<u8>(), 0..4000), repeat in 1_usize..4) {
            let bytes = bytes.repeat(repeat);
            let packed = pack(&bytes);
            prop_assert!(packed.len() <= bytes.len() + 1);
            prop_assert_eq!(unpack("test", &packed).unwrap(), bytes);
        }
    }

    #[test]
    fn text_shrinks_and_small_text_is_left_alone() {
        let text = br#"{"sku":"15056BL","quantity":1},"#.repeat(100);
        assert!(pack(&text).len() < text.len() / 4);
        assert_eq!(pack(b"small"), b"\0small");
        assert!(matches!(unpack("x", &[9, 1]), Err(StoreError::Unreadable { .. })));
        assert!(matches!(unpack("x", &[]), Err(StoreError::Unreadable { .. })));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(short("åäö", 2), "åä");
        assert_eq!(short("åäö", 3), "åäö");
    }
}
