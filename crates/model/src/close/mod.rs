//! The month-end close: what finance signs, and whether it may be signed.
//!
//! A reconciliation says of every document where it stands; a close asks whether that is *all* there is, to the cent, for one
//! entity and one period. So nothing here looks at documents again. It counts and sums what the rows say, holds it against
//! what was enumerated on both sides, and names every difference that no row explains. One unexplained cent, and nobody signs.
//!
//! Rows are taken one at a time and nothing keeps them: what grows is a map of trial balance lines.

pub mod balance;
pub mod calendar;
pub mod cut_off;
pub mod evidence;
pub mod row;
pub mod verdict;

pub use balance::{Counted, Counts, Line, LineKey, NetTax, TrialBalance};
pub use calendar::{Calendar, CalendarError, Entity, Period, Weeks};
pub use cut_off::{Booked, CutOff, explain_cut_off};
pub use evidence::Evidence;
pub use row::{Adjustment, CloseRow, Open, Rate, RateAmount, Side, Verdict};
pub use verdict::{Against, End, Enumerated, Standing};
