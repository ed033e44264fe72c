//! Sales orders that somebody deletes, doubles or edits, or that were entered wrongly from the start.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::super::fixed::Fixed;
use super::super::records::{address_parts, country_of};
use super::super::seed::{self, Item, ItemKind};
use super::super::state::{Extra, Kind, Tran};
use super::Behind;
use crate::wrong::{Dice, Done};

/// What separates the fields of a kept address; the country comes last.
const JOINT: char = '\u{1f}';

/// Countries to which somebody may send something by mistake.
const ELSEWHERE: [&str; 6] = ["NL", "FR", "FI", "ES", "CH", "IE"];

/// The SKU with the case of its letters turned; `None` where it has none.
fn turned(sku: &str) -> Option<String> {
    let lower = sku.to_ascii_lowercase();
    let turned = if lower == sku { sku.to_ascii_uppercase() } else { lower };
    (turned != sku).then_some(turned)
}

impl Behind<'_> {
    /// The order's document is gone, with what left of it.
    pub(crate) fn delete(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        let Some(tran) = self.sale(number).cloned() else { return Ok(None) };
        let parcels = self.state.fulfilments_of(tran.id).to_vec();
        let detail = match parcels.len() {
            0 => "stood → is gone".to_owned(),
            count => format!("stood with {count} fulfilments → is gone with them"),
        };
        let done = self.done(&tran, detail);
        let shelves = self.shelves_of(&tran);
        self.quietly(shelves, |state, at| {
            parcels.iter().try_for_each(|id| state.delete_fulfilment(*id, at))?;
            state.delete_tran(tran.id, at)
        })?;
        self.sales.remove(number);
        Ok(done)
    }

    /// One document is gone. Answers whether it stood.
    pub(crate) fn delete_by_id(&mut self, id: u32) -> anyhow::Result<bool> {
        let Some(tran) = self.state.trans.get(&id).cloned() else { return Ok(false) };
        let shelves = self.shelves_of(&tran);
        self.quietly(shelves, |state, at| state.delete_tran(id, at))?;
        Ok(true)
    }

    /// The order stands a second time, under its number and without an external id, as a retry makes it.
    pub(crate) fn double(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(tran) = self.sale(number).cloned() else { return Ok(None) };
        let mut second = tran.clone();
        second.id = self.state.next_tran();
        second.number = self.state.next_number(second.kind);
        second.external = None;
        second.other_ref = second.other_ref.or_else(|| Some(number.into()));
        (second.billed, second.fulfilled) = (false, false);
        second.shipped.clear();
        second.created = second.created.saturating_add(dice.between(40, 900)).min(self.now.as_second()).max(second.created);
        second.modified = second.created;
        let detail = format!("stands once → stands a second time as {} (internal id {})", second.tran_id(), second.id);
        let done = self.done(&tran, detail);
        self.sales.entry(number.to_owned()).or_default().push(second.id);
        self.keep(second)?;
        Ok(done)
    }

    /// One thing in the head of the order's document is another.
    pub(crate) fn edit_header(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let mut choices = Vec::new();
        choices.extend((!country_of(tran.ship_to.as_deref()).is_empty()).then_some("country"));
        choices.extend((tran.ship_method != 0).then_some("method"));
        let email = self.state.symbols.put("email");
        choices.extend(tran.extra.iter().any(|extra| extra.line == 0 && extra.name == email).then_some("email"));
        // Without a key of its own a document is known by this alone.
        choices.extend(tran.external.as_deref().is_some_and(|id| id.starts_with("so_")).then_some("reference"));
        let detail = match dice.of(&choices).copied() {
            Some("country") => {
                let kept = tran.ship_to.as_deref().unwrap_or_default();
                let (_, was) = address_parts(kept);
                let fits: Vec<&str> = ELSEWHERE.into_iter().filter(|code| *code != was).collect();
                let is = dice.of(&fits).copied().unwrap_or("NL");
                let detail = format!("delivery country: {was} → {is}");
                let rest = kept.rsplit_once(JOINT).map_or("", |(rest, _)| rest);
                tran.ship_to = Some(format!("{rest}{JOINT}{is}").into());
                detail
            }
            Some("method") => {
                let (is, name) = self.other_method(tran.ship_method, dice);
                let was = seed::named(seed::SHIP_ITEMS, tran.ship_method).unwrap_or("none");
                tran.ship_method = is;
                format!("shipping method: {was} → {name}")
            }
            Some("email") => {
                let is = format!("typo{}@example.com", dice.below(100_000));
                let mut was = String::new();
                for Extra { json, .. } in tran.extra.iter_mut().filter(|extra| extra.line == 0 && extra.name == email) {
                    was = std::mem::replace(json, format!("\"{is}\"").into()).trim_matches('"').to_owned();
                }
                format!("e-mail: {was} → {is}")
            }
            Some(_) => {
                let was = tran.other_ref.as_deref().unwrap_or("none").to_owned();
                let is = format!("PO-{}", dice.between(100_000, 999_999));
                let detail = format!("purchase order number: {was} → {is}");
                tran.other_ref = Some(is.into());
                detail
            }
            None => return Ok(None),
        };
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    fn other_method(&self, was: u32, dice: &mut Dice) -> (u32, &'static str) {
        let others: Vec<(u32, &str)> = seed::SHIP_ITEMS.iter().copied().filter(|(id, _)| *id != was).collect();
        dice.of(&others).copied().unwrap_or((606, "Freight"))
    }

    /// One line of goods has another quantity or another price.
    pub(crate) fn edit_line(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let digits = tran.digits();
        let places = self.goods(&tran);
        let Some(at) = dice.of(&places).copied() else { return Ok(None) };
        let sku = tran.lines.get(at).map(|line| self.sku(line.item));
        let Some(line) = tran.lines.get_mut(at) else { return Ok(None) };
        let more = if digits == 0 { Fixed::whole(dice.between(300, 3_000)) } else { Fixed::mills(10 * dice.between(205, 1_995)) };
        let (quantity, amount) = (line.quantity, line.amount);
        let detail = if dice.below(2) == 0 {
            line.quantity = quantity.plus(Fixed::whole(1)).unwrap_or(quantity);
            line.amount = line.rate.times(line.quantity, digits).unwrap_or(amount);
            let (was, is) = (quantity.text(0), line.quantity.text(0));
            format!("quantity of line {}: {was} → {is}, amount {} → {}", line.number, amount.text(2), line.amount.text(2))
        } else {
            line.amount = amount.plus(more).unwrap_or(amount);
            line.rate = line.amount.over(line.quantity).unwrap_or(line.rate);
            format!("amount of line {}: {} → {}", line.number, amount.text(2), line.amount.text(2))
        };
        let done = self.done(&tran, detail).map(|done| Done { sku, ..done });
        self.put(tran)?;
        Ok(done)
    }

    /// The places of lines of goods that have a price.
    fn goods(&self, tran: &Tran) -> Vec<usize> {
        let is_goods = |item: u32| self.state.stock.items.get(item).is_some_and(|item| item.kind.is_goods());
        let fits =
            |at: &usize| tran.lines.get(*at).is_some_and(|line| is_goods(line.item) && line.amount > Fixed::ZERO && !line.closed);
        (0..tran.lines.len()).filter(fits).collect()
    }

    /// A line points to an item whose name differs in the case of its letters alone; made where there is none.
    pub(crate) fn swap_sku(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let inventory = |item: u32| self.state.stock.items.get(item).filter(|item| item.kind == ItemKind::Inventory);
        let item_of = |at: &usize| tran.lines.get(*at).and_then(|line| inventory(line.item));
        let places: Vec<usize> =
            self.goods(&tran).into_iter().filter(|at| item_of(at).is_some_and(|item| turned(&item.sku).is_some())).collect();
        let Some((at, item)) = dice.of(&places).and_then(|at| Some((*at, item_of(at)?.clone()))) else { return Ok(None) };
        let Some(sku) = turned(&item.sku) else { return Ok(None) };
        let twin = self.state.stock.items.named(&sku).find(|twin| twin.kind == ItemKind::Inventory).map(|twin| twin.id);
        let (twin, made) = match twin {
            Some(twin) => (twin, ""),
            None => {
                let id = self.state.stock.items.next_id();
                // As old as the others: it was there all the time, and nobody looked.
                let twin = Item { id, sku: sku.as_str().into(), external: None, ..item.clone() };
                let now = self.millis();
                self.state.put_item(twin, None, now)?;
                (id, " (an item of the list that nobody had used)")
            }
        };
        let Some(line) = tran.lines.get_mut(at) else { return Ok(None) };
        line.item = twin;
        let detail = format!("item of line {}: {} → {sku}{made}", line.number, item.sku);
        let done = self.done(&tran, detail).map(|done| Done { sku: Some(item.sku.to_string()), ..done });
        self.put(tran)?;
        Ok(done)
    }

    /// The order's document is another company's.
    pub(crate) fn swap_subsidiary(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let others: Vec<&seed::Subsidiary> =
            seed::SUBSIDIARIES.iter().filter(|one| !one.inactive && one.id != tran.subsidiary && one.id != 1).collect();
        let Some(other) = dice.of(&others) else { return Ok(None) };
        let was = seed::subsidiary(tran.subsidiary).map_or("none", |one| one.name);
        let detail = format!("subsidiary: {was} → {}", other.name);
        tran.subsidiary = other.id;
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    /// The same figures stand in another currency.
    pub(crate) fn swap_currency(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let digits = tran.digits();
        let usual = ["USD", "GBP", "EUR", "SEK", "DKK", "NOK", "JPY", "KRW"];
        let fits = |one: &&seed::Currency| one.id != tran.currency && one.digits == digits && usual.contains(&one.symbol);
        let others: Vec<&seed::Currency> = seed::CURRENCIES.iter().filter(fits).collect();
        let Some(other) = dice.of(&others) else { return Ok(None) };
        let was = seed::currency(tran.currency).map_or("none", |one| one.symbol);
        let detail = format!("currency: {was} → {}, {} as before", other.symbol, tran.totals().total.text(2));
        tran.currency = other.id;
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    /// The document was made many hours after the order was placed. `by_now`: only where those hours have passed.
    pub(crate) fn delay(
        &mut self,
        number: &str,
        placed: Timestamp,
        by_now: bool,
        dice: &mut Dice,
    ) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let seconds = dice.between(26 * 3_600, 70 * 3_600);
        let (was, late) = (tran.created, placed.as_second().saturating_add(seconds));
        if by_now && late > self.now.as_second() {
            return Ok(None);
        }
        tran.created = late;
        tran.modified = tran.modified.max(late);
        let shown = |second: i64| Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default();
        let hours = seconds / 3_600;
        let detail = format!("made at {} → at {}, {hours} hours after the order was placed", shown(was), shown(late));
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    /// The day of the document is that of another zone: the day in UTC where that is another one, else the day before or after.
    pub(crate) fn shift_day(&mut self, number: &str, utc: Date, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let was = tran.date;
        let (is, why) = match utc == was {
            false => (utc, "the day in UTC"),
            true if dice.below(2) == 0 => (was.checked_sub(1.day()).unwrap_or(utc), "the day before"),
            true => (was.checked_add(1.day()).unwrap_or(utc), "the day after"),
        };
        tran.date = is;
        let done = self.done(&tran, format!("date: {was} → {is}, {why}"));
        self.put(tran)?;
        Ok(done)
    }

    /// A method that no document of this stretch has.
    pub(crate) fn wrong_method(&self, was: u32, dice: &mut Dice) -> (u32, String) {
        let (id, name) = self.other_method(was, dice);
        let was = seed::named(seed::SHIP_ITEMS, was).unwrap_or("none");
        (id, format!("shipping method: {was} → {name}"))
    }

    /// The order's document gets a method of sending. Answers its id.
    pub(crate) fn set_method(&mut self, number: &str, method: u32) -> anyhow::Result<Option<String>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        tran.ship_method = method;
        let id = tran.id.to_string();
        self.put(tran)?;
        Ok(Some(id))
    }

    /// Whether the document is a sales order, which alone has fulfilments.
    pub(crate) fn has_left(&self, number: &str) -> bool {
        let sale = self.sale(number).filter(|tran| tran.kind == Kind::SalesOrder);
        sale.is_some_and(|tran| !self.state.fulfilments_of(tran.id).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_turned_in_its_letters_alone() {
        assert_eq!(turned("1000BLKXS").as_deref(), Some("1000blkxs"));
        assert_eq!(turned("15056bl").as_deref(), Some("15056BL"));
        assert_eq!(turned("A1b").as_deref(), Some("a1b"));
        assert_eq!(turned("22236"), None);
    }
}
