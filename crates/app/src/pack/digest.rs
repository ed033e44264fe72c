//! Hashes of files, whole and in blocks, so that a changed byte is found where it is.

use std::{fs::File, io::Read, path::Path};

use serde::{Deserialize, Serialize};

/// The smallest block of a file.
const BLOCK_BYTES: u64 = 4096;
/// At most so many blocks for a file: a larger one has larger blocks.
const BLOCKS_MAX: u64 = 4096;

/// The hashes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of all of it, hex.
    pub blake3: String,
    /// Bytes of a block; the last one may be shorter.
    pub block_bytes: u64,
    /// BLAKE3 of each block, hex.
    pub blocks: Vec<String>,
}

/// How large the blocks of a file of this length are.
pub fn block_bytes(bytes: u64) -> u64 {
    let mut block = BLOCK_BYTES;
    while bytes.div_ceil(block) > BLOCKS_MAX {
        block = block.saturating_mul(2);
    }
    block
}

/// The hash of some bytes, hex.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Hashes a file in blocks of so many bytes.
///
/// # Errors
/// It cannot be read.
pub fn of_file(path: &Path, name: &str, block: u64) -> std::io::Result<FileDigest> {
    let mut file = File::open(path)?;
    let mut whole = blake3::Hasher::new();
    let mut blocks = Vec::new();
    let mut bytes = 0_u64;
    loop {
        let mut piece = Vec::new();
        let read = (&mut file).take(block).read_to_end(&mut piece)?;
        if read == 0 {
            break;
        }
        whole.update(&piece);
        blocks.push(hash(&piece));
        bytes = bytes.saturating_add(read as u64);
    }
    Ok(FileDigest { name: name.to_owned(), bytes, blake3: whole.finalize().to_hex().to_string(), block_bytes: block, blocks })
}

/// The stretches in which two digests differ, each from (included) to (excluded); neighbours are one stretch.
pub fn differences(stated: &FileDigest, found: &FileDigest) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let count = stated.blocks.len().max(found.blocks.len());
    let end = stated.bytes.max(found.bytes);
    for (from, index) in (0..end.max(1)).step_by(usize::try_from(stated.block_bytes.max(1)).unwrap_or(usize::MAX)).zip(0..count) {
        if stated.blocks.get(index) == found.blocks.get(index) {
            continue;
        }
        let to = from.saturating_add(stated.block_bytes).min(end);
        match ranges.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => ranges.push((from, to)),
        }
    }
    ranges
}
