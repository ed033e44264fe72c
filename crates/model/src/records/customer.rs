//! Who bought: one account per shopper and market.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey},
    money::Currency,
    records::Named,
};

/// A customer account as a target keeps it. One shopper who buys in two markets has two, because
/// an ERP customer belongs to one subsidiary and a market maps to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Customer {
    /// `{customer id}-{market id}`, letters, digits, `-` and `_` only.
    pub key: RecordKey,
    /// The source's id. Never merged by e-mail: one address may belong to a guest and an account.
    pub id: ExternalId,
    /// E-mail as given.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Company, for a business customer.
    pub company: Option<String>,
    /// Where they bought.
    pub market: Named,
    /// Of which store.
    pub store: Named,
    /// What they pay in.
    pub currency: Currency,
}
