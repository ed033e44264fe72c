//! Of which order a document is. Pure.
//!
//! Where the shop's number stands is told by our external id, where it is ours, else by the field that the settings name. Documents
//! that are about an order are followed back to it: by our external id, else by `createdfrom` and, for refunds, by what they are
//! applied to. That a refund's link leads to its memo is inferred: the vendor's papers name the columns, not this use of them.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_model::RecordKey;

use super::super::{
    returns::credit_memo,
    settings::{Document, OrderKey, StatementSettings},
    suiteql::Row,
    wire,
};

/// How many documents may lie between a document and its order: refund, memo, authorization, invoice, order.
pub(super) const STEPS: usize = 4;

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// The shop's number in the field that the settings name.
fn stated(row: &Row, key: &OrderKey, strip: &str) -> Option<RecordKey> {
    let found = match key {
        OrderKey::ExternalId => text(row, "externalid"),
        OrderKey::OtherRefNum => text(row, "otherrefnum"),
        OrderKey::TranId => text(row, "tranid"),
        OrderKey::Memo => text(row, "memo"),
        OrderKey::Custom(_) => text(row, "order_text"),
    }?;
    let bare = found.strip_prefix(strip).unwrap_or(found).trim();
    (!bare.is_empty()).then(|| RecordKey::new(bare))
}

/// The shop's number of a sales order or cash sale.
pub(super) fn number(row: &Row, settings: &StatementSettings) -> Option<RecordKey> {
    let ours = text(row, "externalid").and_then(|external| {
        let forms = [Document::SalesOrder, Document::CashSale];
        forms.into_iter().find_map(|form| wire::key_of_external_id(form.prefix(), external))
    });
    ours.map(RecordKey::new)
        .or_else(|| stated(row, settings.order_key.as_ref().unwrap_or(&OrderKey::OtherRefNum), &settings.strip))
}

/// The order in a key of ours: order, connection and id. A number with dots in it cannot be told apart.
pub(super) fn of_key(key: &str) -> Option<RecordKey> {
    let parts: Vec<&str> = key.split('.').collect();
    match parts.as_slice() {
        [order, _, _] if !order.is_empty() => Some(RecordKey::new(*order)),
        _ => None,
    }
}

/// The order of a credit memo of ours, by its external id.
fn ours(row: &Row) -> Option<RecordKey> {
    of_key(&wire::key_of_external_id(credit_memo::PREFIX, text(row, "externalid")?)?)
}

/// What a document about an order says of it by itself, where the settings say where.
pub(super) fn named(row: &Row, settings: &StatementSettings) -> Option<RecordKey> {
    stated(row, settings.order_key.as_ref()?, &settings.strip)
}

/// Documents that lie between, by id.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Row>);

impl Origins {
    /// Takes rows in; ids that they lead to and that are not known yet.
    pub fn learn(&mut self, rows: Vec<Row>) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for row in rows {
            if !is_order(&row) {
                wanted.extend(row.get("createdfrom").cloned());
            }
            if let Some(id) = row.get("id").cloned() {
                self.0.insert(id, row);
            }
        }
        wanted.retain(|id| !self.0.contains_key(id));
        wanted
    }

    /// Whether this document is known.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The order at the end of the way from this document. A way that ends before it ends at goodwill, whose memo, where it is ours,
    /// says by itself of which order it is.
    pub fn order(&self, from: &str, settings: &StatementSettings) -> Option<RecordKey> {
        let mut at = from;
        for _ in 0..=STEPS {
            let row = self.0.get(at)?;
            if is_order(row) {
                return number(row, settings);
            }
            match row.get("createdfrom") {
                Some(next) => at = next,
                None => return ours(row).or_else(|| named(row, settings)),
            }
        }
        None
    }
}

fn is_order(row: &Row) -> bool {
    matches!(text(row, "type"), Some("SalesOrd" | "CashSale"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> Row {
        columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn by(key: Option<OrderKey>, strip: &str) -> StatementSettings {
        StatementSettings { order_key: key, strip: strip.to_owned(), tracking: false }
    }

    #[test]
    fn our_external_id_comes_first_and_then_what_the_settings_name() {
        let theirs = row(&[("externalid", "PW-1042"), ("otherrefnum", "#1042"), ("tranid", "SO7"), ("memo", " 1042 ")]);
        let ours = row(&[("externalid", "so_SE-1042"), ("otherrefnum", "x")]);
        let number = |row: &Row, key, strip| number(row, &by(key, strip)).map(|key| key.to_string());
        assert_eq!(number(&ours, Some(OrderKey::TranId), ""), Some("SE-1042".to_owned()));
        assert_eq!(number(&theirs, None, "#"), Some("1042".to_owned()));
        assert_eq!(number(&theirs, Some(OrderKey::ExternalId), "PW-"), Some("1042".to_owned()));
        assert_eq!(number(&theirs, Some(OrderKey::TranId), "PW-"), Some("SO7".to_owned()));
        assert_eq!(number(&theirs, Some(OrderKey::Memo), ""), Some("1042".to_owned()));
        assert_eq!(number(&theirs, Some(OrderKey::Custom("custbody_no".to_owned())), ""), None);
        assert_eq!(number(&row(&[("otherrefnum", "PW-")]), None, "PW-"), None);
    }

    #[test]
    fn a_document_is_followed_back_to_its_order_and_a_circle_ends() {
        // Goodwill has no document before it: a memo of ours says by itself of which order it is, somebody else's does not.
        let mut goodwill = Origins::default();
        let memo = |id: &str, external: &str| row(&[("id", id), ("type", "CustCred"), ("externalid", external)]);
        goodwill.learn(vec![memo("5", "cm_1042.shop.p7"), memo("6", "cm_7"), memo("7", "so_1042.shop.p7")]);
        let order = |id| goodwill.order(id, &by(None, ""));
        assert_eq!((order("5"), order("6"), order("7")), (Some(RecordKey::new("1042")), None, None));
        let mut origins = Origins::default();
        let memo = row(&[("id", "3"), ("type", "CustCred"), ("createdfrom", "2")]);
        assert_eq!(origins.learn(vec![memo]), ["2".to_owned()].into());
        origins.learn(vec![row(&[("id", "2"), ("type", "RtnAuth"), ("createdfrom", "1")])]);
        assert_eq!(origins.order("3", &by(None, "")), None, "the order is not known yet");
        origins.learn(vec![row(&[("id", "1"), ("type", "SalesOrd"), ("otherrefnum", "1042")])]);
        assert_eq!(origins.order("3", &by(None, "")), Some(RecordKey::new("1042")));
        origins.learn(vec![
            row(&[("id", "8"), ("type", "CustCred"), ("createdfrom", "9")]),
            row(&[("id", "9"), ("type", "CustCred"), ("createdfrom", "8")]),
        ]);
        assert_eq!(origins.order("8", &by(None, "")), None);
        assert_eq!(of_key("1042.shop.7"), Some(RecordKey::new("1042")));
        assert_eq!(of_key("10.42.shop.7"), None);
    }
}
