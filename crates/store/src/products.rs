//! What is known of products beside their records: what active items must not share, and values that somebody changed at
//! a target and that stand there by policy.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{
    Brand, ConnectionName, ExternalId, FlowName, Product, RecordKey, Sku, gate::products::Twin, records::ProductField,
    written::lookalike_key,
};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, pack, unpack, unreadable},
    records::{from_json, json},
};

/// How many twins of one item are named.
const TWINS_MAX: usize = 20;

/// A field that somebody changed at a target.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedField {
    /// Which.
    pub field: ProductField,
    /// The product as its source had it when the change was accepted.
    pub ours: Product,
    /// The product as the target had it.
    pub theirs: Product,
}

impl AcceptedField {
    /// Whether the source still says what it said then; if not, its own value counts again.
    pub fn holds_for(&self, product: &Product) -> bool {
        product.agrees(self.field, &self.ours)
    }
}

/// What an item shares with others: mark and value.
fn marks(product: &Product) -> Vec<(&'static str, String)> {
    if !product.active {
        return Vec::new();
    }
    let barcode = product.barcode.as_deref().map(str::trim).filter(|code| !code.is_empty());
    let alike = ("alike", lookalike_key(product.sku.as_str()));
    [alike].into_iter().chain(barcode.map(|code| ("barcode", code.to_owned()))).collect()
}

impl Tx<'_> {
    /// Notes what an item of a shop shares with others, in place of what was noted of it before; returns what it shares no
    /// more: whoever was held for that may pass now.
    pub fn mark_product(&self, brand: &Brand, connection: &ConnectionName, product: &Product) -> Result<Vec<String>> {
        let marks = marks(product);
        let sql = "SELECT mark, value FROM product_marks WHERE brand = ?1 AND connection = ?2 AND item = ?3";
        let item = params![brand.as_str(), connection.as_str(), product.id.as_str()];
        let mut statement = self.connection.prepare_cached(sql)?;
        let before = statement.query_map(item, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let before = before.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        let sql = "DELETE FROM product_marks WHERE brand = ?1 AND connection = ?2 AND item = ?3";
        self.connection.prepare_cached(sql)?.execute(item)?;
        let sql = "INSERT INTO product_marks (brand, connection, mark, value, item, sku) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (mark, value) in &marks {
            statement.execute(params![
                brand.as_str(),
                connection.as_str(),
                mark,
                value,
                product.id.as_str(),
                product.sku.as_str()
            ])?;
        }
        let gone = before.into_iter().filter(|(mark, value)| !marks.iter().any(|(m, v)| m == mark && v == value));
        Ok(gone.map(|(_, value)| value).collect())
    }

    /// Lets the target's value of a field stand until the source's own changes.
    pub fn accept_field(
        &self,
        brand: &Brand,
        flow: &FlowName,
        key: &RecordKey,
        accepted: &AcceptedField,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO product_accepted (brand, flow, key, field, at, ours, theirs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (brand, flow, key, field) DO UPDATE SET at = excluded.at, ours = excluded.ours, theirs = excluded.theirs";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            flow.as_str(),
            key.as_str(),
            accepted.field.word(),
            micros(now),
            pack(&json(&accepted.ours)?),
            pack(&json(&accepted.theirs)?),
        ])?;
        Ok(())
    }

    /// The source's own value of these fields counts again.
    pub fn forget_accepted(&self, brand: &Brand, flow: &FlowName, key: &RecordKey, fields: &[ProductField]) -> Result<()> {
        let sql = "DELETE FROM product_accepted WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND field = ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        for field in fields {
            statement.execute(params![brand.as_str(), flow.as_str(), key.as_str(), field.word()])?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// The SKU under which an item of a shop was noted as active.
    pub fn marked_sku(&self, brand: &Brand, connection: &ConnectionName, item: &ExternalId) -> Result<Option<Sku>> {
        let sql = "SELECT sku FROM product_marks WHERE brand = ?1 AND connection = ?2 AND item = ?3 LIMIT 1";
        let values = params![brand.as_str(), connection.as_str(), item.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(Sku)).optional()?)
    }

    /// Whether an active item of the shop other than this one has the SKU.
    pub fn has_active(&self, brand: &Brand, connection: &ConnectionName, sku: &Sku, but: &ExternalId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM product_marks
                   WHERE brand = ?1 AND connection = ?2 AND mark = 'alike' AND value = ?3 AND sku = ?4 AND item <> ?5)";
        let alike = lookalike_key(sku.as_str());
        let values = params![brand.as_str(), connection.as_str(), alike, sku.as_str(), but.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Other active items of the same shop that share something with this one.
    pub fn twins(&self, brand: &Brand, connection: &ConnectionName, product: &Product) -> Result<Vec<Twin>> {
        let sql = "SELECT item, sku FROM product_marks
                   WHERE brand = ?1 AND connection = ?2 AND mark = ?3 AND value = ?4 AND item <> ?5 ORDER BY item LIMIT ?6";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut twins = Vec::new();
        for (mark, value) in marks(product) {
            let values = params![brand.as_str(), connection.as_str(), mark, value, product.id.as_str(), limit(TWINS_MAX)];
            let rows = statement.query_map(values, |row| {
                let (item, sku): (String, String) = (row.get(0)?, row.get(1)?);
                let sku = Sku::new(sku);
                Ok(if mark == "alike" { Twin::Alike { sku, item } } else { Twin::Barcode { sku } })
            })?;
            twins.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(twins)
    }

    /// Fields of a product that stand at a flow's target as somebody changed them there.
    pub fn accepted_fields(&self, brand: &Brand, flow: &FlowName, key: &RecordKey) -> Result<Vec<AcceptedField>> {
        let sql = "SELECT field, ours, theirs FROM product_accepted WHERE brand = ?1 AND flow = ?2 AND key = ?3 ORDER BY field";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), flow.as_str(), key.as_str()], |row| {
            let (field, ours, theirs): (String, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let field = ProductField::from_word(&field).ok_or_else(|| unreadable("a field of a product", &field))?;
            let product = |packed: &[u8]| from_json("a product", &unpack("a product", packed)?);
            Ok(AcceptedField { field, ours: product(&ours)?, theirs: product(&theirs)? })
        })?;
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, connection, flow, memory, product};

    #[tokio::test]
    async fn twins_come_and_go_with_what_they_share() {
        let store = memory().await;
        store
            .write(|tx| {
                let (shop, other) = (connection("shop"), connection("other"));
                let coat = |item: &str, sku: &str, barcode: Option<&str>| Product {
                    id: item.into(),
                    barcode: barcode.map(str::to_owned),
                    ..product(sku)
                };
                let alike = |item: &str, sku: &str| Twin::Alike { sku: sku.into(), item: item.into() };
                let one = coat("1", "COAT-M", Some("4006381333931"));
                assert_eq!(tx.mark_product(&brand(), &shop, &one)?, [] as [&str; 0]);
                assert_eq!(tx.twins(&brand(), &shop, &one)?, [], "nothing is its own twin");
                let two = coat("2", "coat-m", Some(" 4006381333931 "));
                assert_eq!(tx.twins(&brand(), &shop, &two)?, [alike("1", "COAT-M"), Twin::Barcode { sku: "COAT-M".into() }]);
                tx.mark_product(&brand(), &shop, &two)?;
                assert_eq!(tx.twins(&brand(), &shop, &one)?[0], alike("2", "coat-m"));
                assert_eq!(tx.twins(&brand(), &other, &one)?, [], "another shop has its own SKUs");
                assert_eq!(tx.twins(&"other".into(), &shop, &one)?, []);
                // A barcode is mended, then the item is given up.
                assert_eq!(tx.mark_product(&brand(), &shop, &coat("2", "coat-m", None))?, ["4006381333931"]);
                assert_eq!(tx.twins(&brand(), &shop, &one)?.len(), 1);
                let inactive = Product { active: false, ..coat("2", "coat-m", None) };
                assert_eq!(tx.mark_product(&brand(), &shop, &inactive)?, ["COAT-M"]);
                assert_eq!(tx.twins(&brand(), &shop, &one)?, []);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_accepted_value_stands_until_the_source_changes_its_own() {
        let store = memory().await;
        store
            .write(|tx| {
                let (key, ours) = (RecordKey::new("COAT-M"), product("COAT-M"));
                let theirs = Product { name: "Winter coat".into(), ..ours.clone() };
                let accepted = AcceptedField { field: ProductField::Name, ours: ours.clone(), theirs };
                tx.accept_field(&brand(), &flow(), &key, &accepted, at(1))?;
                assert_eq!(tx.accepted_fields(&brand(), &flow(), &key)?, std::slice::from_ref(&accepted));
                assert_eq!(tx.accepted_fields(&brand(), &"others".into(), &key)?, []);
                assert!(accepted.holds_for(&Product { barcode: None, ..ours.clone() }));
                assert!(!accepted.holds_for(&Product { name: "Coat, long".into(), ..ours }));
                tx.forget_accepted(&brand(), &flow(), &key, &[ProductField::Barcode])?;
                assert_eq!(tx.accepted_fields(&brand(), &flow(), &key)?.len(), 1);
                tx.forget_accepted(&brand(), &flow(), &key, &[ProductField::Name])?;
                assert_eq!(tx.accepted_fields(&brand(), &flow(), &key)?, []);
                Ok(())
            })
            .await
            .unwrap();
    }
}
