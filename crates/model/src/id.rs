//! Ids know what they identify: a prefix to read, a type to check.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A row number with a prefix, so that an id in a log or a support mail says what it is.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub i64);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(concat!($prefix, "_")).unwrap_or(text);
                digits.parse().map($name).map_err(|_| IdError {
                    text: text.chars().take(40).collect(),
                    example: concat!($prefix, "_17"),
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id; it should look like {example}")]
pub struct IdError {
    text: String,
    example: &'static str,
}

row_id!(
    /// One raw document as it came.
    CaptureId, "cap"
);
row_id!(
    /// One revision of one record.
    RecordId, "rec"
);
row_id!(
    /// One debt: this revision must stand at that system.
    ObligationId, "obl"
);
row_id!(
    /// One look at both ends of a pair.
    ReconciliationId, "rcn"
);
row_id!(
    /// One thing on which two ends disagree.
    DifferenceId, "dif"
);
row_id!(
    /// One thing a person owns.
    ExceptionId, "exc"
);
row_id!(
    /// One person.
    PersonId, "per"
);
row_id!(
    /// One sign-in of a person, in one browser.
    SessionId, "ses"
);
row_id!(
    /// One token of the API.
    TokenId, "tok"
);
row_id!(
    /// One act that waits, or waited, for a second person.
    ApprovalId, "apr"
);

row_id!(
    /// One open exception that people are told of.
    AlertId, "alr"
);
row_id!(
    /// One message to one channel.
    MessageId, "msg"
);

/// A name or key that is text on the outside and a type on the inside.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// From anything that is text.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id!(
    /// One brand; every row belongs to one.
    Brand
);
text_id!(
    /// One brand's configured account on a system, by its name in the config.
    ConnectionName
);
text_id!(
    /// One flow, by its name in the config.
    FlowName
);

impl FlowName {
    /// What the name of a flow of customers ends with that comes with a flow of orders.
    const CUSTOMERS: &str = "-customers";

    /// The flow of customers that comes with this flow of orders, where there is one.
    #[must_use]
    pub fn customers(&self) -> Self {
        Self(format!("{self}{}", Self::CUSTOMERS))
    }

    /// The flow of orders that this would come with, by its name.
    pub fn comes_with(&self) -> Option<Self> {
        self.0.strip_suffix(Self::CUSTOMERS).map(Self::new)
    }
}
text_id!(
    /// *Our* key of a record, the same on every system: an order's number, a customer's id and market.
    RecordKey
);
text_id!(
    /// *Their* id of a document at one system.
    ExternalId
);
text_id!(
    /// A place that keeps stock, by its system's own id: a location of an ERP, a warehouse of a shop.
    LocationId
);
text_id!(
    /// Stock-keeping unit, compared byte for byte: `15056BL` and `15056bl` are two SKUs.
    Sku
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_text_and_refuses_others() {
        assert_eq!("obl_17".parse::<ObligationId>().unwrap(), ObligationId(17));
        assert_eq!("17".parse::<ObligationId>().unwrap(), ObligationId(17));
        assert!("exc_17".parse::<ObligationId>().is_err());
        assert_eq!(ExceptionId(3).to_string(), "exc_3");
    }
}
