//! Money that goes back twice: somebody of the shop's staff pays a return back, and the provider does it two times.

use crate::data::Order;

use super::super::Centra;
use super::super::hooks::Notice;
use super::super::state::{Entry, State};
use super::super::stock::Goods;
use super::write::{Cost, Way, Wish, captured, make, pay_back};

/// A refund that went out once too often.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PaidTwice {
    /// The order's number.
    pub order: i32,
    /// The return's id.
    pub returned: i32,
    /// The entry of the payment history that is one too many.
    pub entry: i32,
}

/// Whether the provider answers at once, and pays all of it.
fn is_plain(sold: &Order) -> bool {
    sold.payment_method.2 != "klarna_payments" && sold.payments.iter().all(|paid| paid.entry_type != "AUTH_GIFT_CARD")
}

impl Centra {
    /// One unit of an order that has left comes back and is paid back twice. `None` where no order will do.
    /// Errors when the journal cannot be written.
    pub fn refund_twice(&self) -> anyhow::Result<Option<PaidTwice>> {
        let families = self.families();
        let mut state = self.0.write();
        let now = self.0.mischief.now().as_millisecond();
        for family in families.into_iter().filter(|family| !family.gave_back) {
            let order = family.order;
            if !is_plain(&state.base(order)) {
                continue;
            }
            let left = |state: &State| {
                let parcels = state.shipments.of(order).filter(|one| one.shipped_at.is_some() && captured(state, one.id));
                parcels.filter(|one| !one.lines.is_empty()).map(|one| one.id).next()
            };
            let Some(shipment) = left(&state) else { continue };
            let wish = Wish {
                order,
                shipment,
                lines: vec![(0, 1)],
                goods: Goods::Remove,
                shipping: Cost::Nothing,
                handling: Cost::Nothing,
                voucher: Cost::FromShipment,
                cost: 0,
                comment: None,
                created: now,
                by: "AMS",
            };
            let Ok(made) = make(&state, &wish) else { continue };
            let amount = made.grand(state.order(order).0.tax_included);
            if amount <= 0 {
                continue;
            }
            let id = state.returns.next_id();
            state.record(Entry::Returned { id, at: now, made: Box::new(made), act: None })?;
            state.record(Entry::ReturnMarked { id, at: now, completed: Some(true), deleted: false, act: None })?;
            let mut entry = 0;
            for _ in 0..2 {
                let entries = pay_back(&state, order, Some(id), amount, now, Way::default());
                entry = entries.last().map_or(entry, |paid| paid.id);
                state.record(Entry::Paid { entries, act: None })?;
            }
            let number = state.number(order);
            self.0.hooks.tell([
                Notice { kind: "order", number, action: "update", at: now },
                Notice { kind: "return", number: id, action: "insert", at: now },
            ]);
            return Ok(Some(PaidTwice { order: number, returned: id, entry }));
        }
        Ok(None)
    }

    /// The provider takes back what it paid once too often: that entry has failed after all.
    /// Errors when the journal cannot be written.
    pub fn reverse_refund(&self, paid: &PaidTwice) -> anyhow::Result<()> {
        let now = self.0.mischief.now().as_millisecond();
        self.0.write().record(Entry::Reversed { id: paid.entry, at: now })?;
        self.0.hooks.tell([
            Notice { kind: "order", number: paid.order, action: "update", at: now },
            Notice { kind: "return", number: paid.returned, action: "update", at: now },
        ]);
        Ok(())
    }
}
