//! The sealed pack of a period: a folder that finance signs and that anybody can check without us.
//!
//! | file | what it is |
//! |---|---|
//! | `rows.csv` | every row of the reconciliation; each line ends with a hash over the one before and itself |
//! | `trial_balance.csv`, `open_items.csv`, `adjustments.csv` | what follows from the rows; checked by working them out again |
//! | `evidence.csv` | the statements that were read, each with its digest |
//! | `pack.xlsx`, `pack.html` | the same to read, to print and to sign |
//! | `manifest.json` | what was signed, by whom and when; counts, sums and hashes of all of the above, of itself, of the pack before |
//! | `manifest.blocks`, `checksums.b3` | hashes of the manifest in pieces, and of all files in the form that `b3sum --check` reads |
//!
//! Text files and hashes rather than a signed archive: an auditor opens them with what is at hand, and a damaged byte is
//! found where it is instead of spoiling the whole. Rows are streamed; what is kept is a trial balance.

pub mod cells;
pub mod compare;
pub mod digest;
pub mod manifest;
pub mod page;
pub mod rows;
pub mod seal;
pub mod sheets;
pub mod tables;
#[cfg(test)]
pub(crate) mod tests;
pub mod verify;

/// Every row.
pub const ROWS: &str = "rows.csv";
/// The trial balance.
pub const TRIAL_BALANCE: &str = "trial_balance.csv";
/// Open items with their owners.
pub const OPEN_ITEMS: &str = "open_items.csv";
/// What was accepted under a rule.
pub const ADJUSTMENTS: &str = "adjustments.csv";
/// What was read.
pub const EVIDENCE: &str = "evidence.csv";
/// For a spreadsheet.
pub const SHEETS: &str = "pack.xlsx";
/// To print and sign.
pub const PAGE: &str = "pack.html";
/// What was signed.
pub const MANIFEST: &str = "manifest.json";
/// The manifest in pieces.
pub const BLOCKS: &str = "manifest.blocks";
/// All files, as `b3sum --check` reads them.
pub const CHECKSUMS: &str = "checksums.b3";

/// The files whose hashes stand in the manifest, in its order.
pub const CONTENTS: [&str; 7] = [ROWS, TRIAL_BALANCE, OPEN_ITEMS, ADJUSTMENTS, EVIDENCE, SHEETS, PAGE];
/// All files of a pack.
pub const FILES: [&str; 10] = [ROWS, TRIAL_BALANCE, OPEN_ITEMS, ADJUSTMENTS, EVIDENCE, SHEETS, PAGE, MANIFEST, BLOCKS, CHECKSUMS];
