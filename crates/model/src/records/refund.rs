//! The refund: one transaction by which money went back.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey},
    money::Money,
    records::{Named, PaymentStatus},
};

/// In what the money went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tender {
    /// By the payment provider: card, invoice, wallet.
    Payment,
    /// Back onto a gift card.
    GiftCard,
    /// As credit to be spent in the shop: an exchange is one, too.
    StoreCredit,
}

impl Tender {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Tender::Payment => "payment",
            Tender::GiftCard => "gift_card",
            Tender::StoreCredit => "store_credit",
        }
    }
}

/// One transaction by which money went back. A credit note that was paid back in several tenders has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Our key: `{order}.{connection}.{their id of the entry}`.
    pub key: RecordKey,
    /// The source's id of the entry.
    pub id: ExternalId,
    /// The order.
    pub order: Option<RecordKey>,
    /// Our key of the credit note that it pays.
    pub credit_note: RecordKey,
    /// Whether it happened.
    pub status: PaymentStatus,
    /// In what.
    pub tender: Tender,
    /// The method, as the source names it.
    pub method: Option<String>,
    /// The payment provider's transaction id.
    pub reference: Option<String>,
    /// How much; above zero.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
    /// The calendar day of that, where the brand keeps its books.
    pub on: Date,
    /// When the source last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// The market that it was sold in, where the source says it.
    pub market: Option<Named>,
}
