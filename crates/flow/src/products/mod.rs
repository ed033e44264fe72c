//! Products: what the gate asks of them, and who changed them where they went.
//!
//! Each field of an item has one owner at each target. What the source owns is written and read back like any record; what
//! somebody changes there afterwards is found by [`watch`], whatever way it happened, and is an exception that shows both
//! values until it is settled by the flow's policy.

mod watch;

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, Kind, Product, RecordKey,
    gate::products::{ProductPolicy, check_product},
};
use selvedge_store::{Result, Tx, obligations::ObligationRow, records::RecordRow};

use crate::prepare::{Bench, Prepared, Ready};

impl Bench<'_> {
    pub(crate) fn product(
        &self,
        row: &ObligationRow,
        record: &RecordRow,
        product: &Product,
        policy: &ProductPolicy,
        handed_over: bool,
    ) -> Result<Prepared> {
        if !product.active && self.view.has_active(self.brand, &record.connection, &product.sku, &product.id)? {
            // What stands there is the other one's.
            let reason = "another item with this SKU is on sale".to_owned();
            return Ok(Prepared::Excluded { rule: "product.twin_on_sale", version: 1, reason, routed: Vec::new() });
        }
        if !product.active && !handed_over {
            let reason = "it is not sold, and does not stand there".to_owned();
            return Ok(Prepared::Excluded { rule: "product.inactive", version: 1, reason, routed: Vec::new() });
        }
        // Whatever is wrong with an item must not keep it on sale.
        if product.active {
            let problems = check_product(product, policy, &self.view.twins(self.brand, &record.connection, product)?);
            if !problems.is_empty() {
                return Ok(Prepared::Unfit(problems));
            }
        }
        // What a source could not tell is nobody's to write.
        let mut ready = Product { owned: policy.owned.and(product.owned), ..product.clone() };
        let (mut remarks, mut forgotten) = (Vec::new(), Vec::new());
        for accepted in self.view.accepted_fields(self.brand, self.flow, &row.key)? {
            let field = accepted.field;
            if accepted.holds_for(product) {
                ready = ready.with(field, &accepted.theirs);
                remarks.push(format!("{} stands as it was changed there, until the shop changes it", field.word()));
            } else {
                forgotten.push(field);
            }
        }
        Ok(Prepared::As(Box::new(Ready { remarks, forgotten, ..Ready::of(ready) })))
    }
}

/// Notes what an item shares with others, and sends back to the gate whoever was held for what it shares no more. Under
/// a SKU that it gave up for another it is sold no more: the record of that is handed back, to be entered.
pub(crate) fn mark(
    tx: &Tx<'_>,
    brand: &Brand,
    connection: &ConnectionName,
    product: &Product,
    now: Timestamp,
) -> Result<Option<Product>> {
    let before = tx.marked_sku(brand, connection, &product.id)?.filter(|before| *before != product.sku);
    for value in tx.mark_product(brand, connection, product)? {
        for rule in ["product.alike", "product.sku_twice", "product.barcode_twice"] {
            for exception in tx.exceptions_by_cause(brand, &format!("{rule}:{value}"))? {
                tx.release(exception, None, now)?;
            }
        }
    }
    let Some(before) = before else { return Ok(None) };
    if tx.has_active(brand, connection, &before, &product.id)? {
        return Ok(None);
    }
    Ok(match tx.latest(brand, Kind::Product, &RecordKey::new(before.as_str()))?.map(|row| row.record) {
        Some(AnyRecord::Product(old)) if old.id == product.id && old.active => {
            Some(Product { active: false, updated_at: product.updated_at, ..*old })
        }
        _ => None,
    })
}
