//! What comes back: return authorizations, item receipts, credit memos, customer refunds and inventory adjustments.
//!
//! What the vendor's papers say: the transforms and their selector `orderLine`, the fields, the letters of the statuses, that an
//! authorization made from an order takes what was fulfilled of it, and that a refund is applied to a memo by a line of `apply`.
//! Choices where they are silent (inferred):
//! * A line that a transform has filled in is taken whole unless the body says otherwise; one of no units is left out; with
//!   `replace=item` only the named lines stay.
//! * An authorization without units left to receive is no document to receive from: `invalid reference`.
//! * A memo made from an authorization moves no stock; one made by itself does, unless [`Options::memo_moves_stock`] says no.
//! * No more is credited of an authorization's line than it has; before it arrived only with [`Options::credit_in_advance`].
//! * No more is paid back than a memo has left; customer, subsidiary and currency have to be the memo's.
//! * Amounts and lines of what has been applied, and everything of receipts, refunds and adjustments but the memo, stay.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::fields::{self, Field};
use super::fixed::Fixed;
use super::items::decimal;
use super::read::utc;
use super::records::{Desk, number, some_text, sublist};
use super::seed::{self, ItemKind};
use super::state::{Adjusted, Arrived, Back, Kind, Line, Paper, State, Tran, What};
use super::stock::{place, shipped};
use super::{Account, Answer, Call, Key, Refusal, SINGULAR, broken, fulfilments, not_allowed};

/// A record that is neither a document with prices nor a fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaperKind {
    Receipt,
    Refund,
    Adjustment,
}

impl PaperKind {
    /// The kind of this record type, in any case.
    pub(super) fn find(record: &str) -> Option<PaperKind> {
        match record.to_ascii_lowercase().as_str() {
            "itemreceipt" => Some(PaperKind::Receipt),
            "customerrefund" => Some(PaperKind::Refund),
            "inventoryadjustment" => Some(PaperKind::Adjustment),
            _ => None,
        }
    }

    fn is(self, paper: &Paper) -> bool {
        match paper.what {
            What::Receipt { .. } => self == PaperKind::Receipt,
            What::Refund { .. } => self == PaperKind::Refund,
            What::Adjustment { .. } => self == PaperKind::Adjustment,
        }
    }
}

/// What a body says of one line of an authorization.
#[derive(Default)]
struct Ask {
    left_out: bool,
    quantity: Option<Fixed>,
    location: Option<u32>,
    restock: Option<bool>,
}

/// What a body says of a refund.
#[derive(Default)]
struct RefundDraft {
    subsidiary: u32,
    currency: u32,
    account: u32,
    option: u32,
    applied: Vec<(u32, Fixed)>,
}

fn is_goods(state: &State, line: &Line) -> bool {
    state.stock.items.get(line.item).is_some_and(|item| item.kind.is_goods())
}

impl Desk<'_> {
    /// The members that receipts, refunds and adjustments share. Answers whether it was one of them.
    fn shared(&mut self, paper: &mut Paper, field: Field, path: &str, value: &Value) -> bool {
        match field {
            Field::ExternalId => {
                if let Some(external) = self.external_id(value) {
                    paper.external = external;
                }
            }
            Field::TranDate => {
                if let Some(date) = self.date(path, value) {
                    paper.date = date;
                }
            }
            Field::Memo => {
                if let Some(text) = self.text(path, value) {
                    paper.memo = some_text(text);
                }
            }
            Field::Customer => {
                let customers = self.customers;
                if let Some(id) = self.reference(path, value, |id| customers.contains_key(&id)) {
                    paper.entity = id;
                }
            }
            Field::Subsidiary => {
                if let Some(id) = self.reference(path, value, |id| seed::subsidiary(id).is_some()) {
                    paper.subsidiary = id;
                }
            }
            _ => return false,
        }
        true
    }

    fn account(&mut self, path: &str, value: &Value, kinds: &[&str]) -> u32 {
        let known = |id: u32| seed::ACCOUNTS.iter().any(|(known, kind, _)| *known == id && kinds.contains(kind));
        self.reference(path, value, known).unwrap_or(0)
    }

    /// What a receipt's body says of the lines of its authorization, by line.
    fn arrivals(&mut self, value: Option<&Value>, known: &[u32]) -> BTreeMap<u32, Ask> {
        let mut asked = BTreeMap::new();
        let Some(value) = value else { return asked };
        let Ok(rows) = sublist(value) else {
            self.content("item");
            return asked;
        };
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("item.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut line, mut ask) = (None, Ask::default());
            for (name, value) in body {
                let Some(spec) = self.field(&fields::RECEIPT_LINE_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::OrderLine => {
                        let wanted = number(value).and_then(|number| number.text(0).parse::<u32>().ok());
                        line = wanted.filter(|wanted| known.contains(wanted));
                        if line.is_none() {
                            self.content(&at);
                        }
                    }
                    Field::ItemReceive => ask.left_out = self.flag(&at, value) == Some(false),
                    Field::Quantity => {
                        ask.quantity = self.amount(&at, value);
                        if ask.quantity.is_some_and(Fixed::is_negative) {
                            self.content(&at);
                        }
                    }
                    Field::Location => ask.location = self.reference(&at, value, |id| seed::location(id).is_some()),
                    Field::Restock => ask.restock = self.flag(&at, value),
                    _ => {}
                }
            }
            match line {
                Some(line) => drop(asked.insert(line, ask)),
                None if body.keys().any(|name| name.eq_ignore_ascii_case("orderLine")) => {}
                None => self.missing("Order Line"),
            }
        }
        asked
    }

    fn refund(&mut self, paper: &mut Paper, body: &Map<String, Value>) -> RefundDraft {
        let mut draft = RefundDraft::default();
        for (name, value) in body {
            let Some(spec) = self.field(&fields::REFUND_TABLE, true, "", name) else { continue };
            let path = spec.name;
            if self.shared(paper, spec.field, path, value) {
                continue;
            }
            match spec.field {
                Field::Currency => {
                    draft.currency = self.reference(path, value, |id| seed::currency(id).is_some()).unwrap_or(0);
                }
                Field::MoneyAccount => draft.account = self.account(path, value, &["Bank", "OthCurrLiab", "OthCurrAsset"]),
                Field::PaymentOption => {
                    let known = |id| seed::named(seed::PAYMENT_METHODS, id).is_some();
                    draft.option = self.reference(path, value, known).unwrap_or(0);
                }
                Field::Apply => self.applications(&mut draft, value),
                _ => {}
            }
        }
        draft.subsidiary = paper.subsidiary;
        draft
    }

    fn applications(&mut self, draft: &mut RefundDraft, value: &Value) {
        let Ok(rows) = sublist(value) else { return self.content("apply") };
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("apply.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut doc, mut apply, mut amount) = (None, false, None);
            for (name, value) in body {
                let Some(spec) = self.field(&fields::APPLY_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::Doc => doc = self.reference(&at, value, |_| true),
                    Field::ApplyFlag => apply = self.flag(&at, value) == Some(true),
                    Field::Amount => amount = self.amount(&at, value),
                    _ => {}
                }
            }
            match (doc, amount) {
                (Some(doc), Some(amount)) if apply => draft.applied.push((doc, amount)),
                (Some(_), _) if !apply => {}
                _ => self.missing("Apply"),
            }
        }
    }

    fn adjustment(&mut self, paper: &mut Paper, body: &Map<String, Value>) -> (u32, Vec<Adjusted>) {
        let (mut account, mut rows, mut head) = (0, None, 0);
        for (name, value) in body {
            let Some(spec) = self.field(&fields::ADJUSTMENT_TABLE, true, "", name) else { continue };
            let path = spec.name;
            if self.shared(paper, spec.field, path, value) {
                continue;
            }
            match spec.field {
                Field::AdjustmentAccount => {
                    account = self.account(path, value, &["COGS", "Expense", "Income", "OthCurrAsset"]);
                }
                Field::Location => head = self.reference(path, value, |id| seed::location(id).is_some()).unwrap_or(0),
                Field::Inventory => rows = Some(value),
                _ => {}
            }
        }
        let mut lines = Vec::new();
        let list = match rows.map(sublist) {
            Some(Ok(list)) => list.unwrap_or_default(),
            Some(Err(())) => {
                self.content("inventory");
                &[]
            }
            None => &[],
        };
        for (at, row) in list.iter().enumerate() {
            let path = format!("inventory.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut item, mut location, mut quantity) = (None, head, None);
            for (name, value) in body {
                let Some(spec) = self.field(&fields::ADJUSTMENT_LINE_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::Item => item = self.find_item(&at, value),
                    Field::Location => location = self.reference(&at, value, |id| seed::location(id).is_some()).unwrap_or(0),
                    Field::AdjustBy => quantity = self.amount(&at, value),
                    _ => {}
                }
            }
            let Some(item) = item else { continue };
            let known = self.items.get(item);
            if known.is_some_and(|known| known.inactive) {
                self.business(format!("The item {} is inactive.", known.map_or("?", |known| &known.sku)));
            }
            if known.is_some_and(|known| known.kind != ItemKind::Inventory) {
                self.content(&format!("{path}.item.id"));
            }
            match (location, quantity) {
                (0, _) => self.missing("Location"),
                (_, None) => self.missing("Adjust Qty. By"),
                (_, Some(quantity)) => {
                    self.location_fits(location, paper.subsidiary);
                    let number = u32::try_from(at).unwrap_or(0) + 1;
                    lines.push(Adjusted { number, item, location, quantity });
                }
            }
        }
        if account == 0 {
            self.missing("Adjustment Account");
        }
        if paper.subsidiary == 0 {
            if self.options.one_world {
                self.missing("Subsidiary");
            } else {
                paper.subsidiary = 1;
            }
        }
        if lines.is_empty() {
            self.business("You must enter at least one line item for this transaction.");
        }
        (account, lines)
    }
}

impl Account {
    /// A document made from another: an authorization from a sale, a memo from an authorization.
    pub(super) fn make_back(&self, call: &Call<'_>, base: &str, from: Kind, id: u32, to: Kind) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let state = &mut *state;
        let invalid =
            || Refusal::user(format!("You can not initialize {}: invalid reference {id}.", to.record().to_ascii_lowercase()));
        let source = state.trans.get(&id).filter(|tran| tran.kind == from).ok_or_else(invalid)?;
        let usable = match from {
            Kind::Return => source.approved && !source.is_closed(),
            _ => true,
        };
        let nothing = Back::default();
        let back = source.back.as_deref().unwrap_or(&nothing);
        let left = |line: &Line| match from {
            Kind::SalesOrder => shipped(source, line.number),
            Kind::Return => line.quantity.minus(back.credited_of(line.number)).unwrap_or_default(),
            _ => line.quantity,
        };
        let mut tran = self.blank(to);
        for line in source.lines.iter().filter(|line| is_goods(state, line) && !line.closed) {
            let quantity = left(line);
            if quantity <= Fixed::ZERO {
                continue;
            }
            tran.last_line = match tran.last_line {
                0 => 1,
                last if to.is_sparse() => last.saturating_add(3),
                last => last.saturating_add(1),
            };
            let digits = source.digits();
            let whole = quantity == line.quantity;
            let amount = if whole { line.amount } else { line.rate.times(quantity, digits).unwrap_or_default() };
            let location = place(source, line);
            tran.lines.push(Line { number: tran.last_line, source: line.number, quantity, amount, location, ..line.clone() });
        }
        if !usable || tran.lines.is_empty() {
            return Err(invalid());
        }
        (tran.entity, tran.subsidiary, tran.currency) = (source.entity, source.subsidiary, source.currency);
        (tran.exchange, tran.location) = (source.exchange, source.location);
        (tran.ship_to, tran.bill_to) = (source.ship_to.clone(), source.bill_to.clone());
        tran.back = Some(Box::new(Back { from: id, ..Back::default() }));
        self.save_as(call, base, state, Box::new(tran), true, None)
    }

    /// What has to hold between a document and what it was made from.
    pub(super) fn fits(&self, state: &State, tran: &mut Tran, create: bool) -> Result<(), Refusal> {
        let nothing = Back::default();
        if create && tran.from() != 0 {
            // A line of no units was left out.
            tran.lines.retain(|line| !line.quantity.is_zero());
            if tran.lines.is_empty() {
                return Err(Refusal::user("You must enter at least one line item for this transaction."));
            }
        }
        let applied = tran.back.as_ref().map(|back| back.applied).unwrap_or_default();
        if tran.kind == Kind::Credit && tran.totals().total < applied {
            return Err(Refusal::user("The amount of a credit memo cannot be lower than what has been applied of it."));
        }
        if tran.kind == Kind::Credit && tran.totals().total.is_negative() {
            return Err(Refusal::user("The total of a credit memo cannot be negative."));
        }
        let Some(source) = state.trans.get(&tran.from()) else { return Ok(()) };
        let back = source.back.as_deref().unwrap_or(&nothing);
        for line in tran.lines.iter().filter(|line| line.source != 0) {
            let sku = state.stock.items.get(line.item).map_or("?", |item| &*item.sku);
            let sold = source.lines.iter().find(|known| known.number == line.source);
            let (most, word) = match source.kind {
                Kind::SalesOrder => (shipped(source, line.source), "fulfilled"),
                Kind::Return => {
                    let others = back.credited.iter().filter(|came| came.line == line.source && came.by != tran.id);
                    let others = Fixed::sum(others.map(|came| came.quantity)).unwrap_or_default();
                    let whole = if self.options.credit_in_advance {
                        sold.map(|line| line.quantity).unwrap_or_default()
                    } else {
                        back.received_of(line.source)
                    };
                    (whole.minus(others).unwrap_or_default(), "left to be credited")
                }
                _ => (sold.map(|line| line.quantity).unwrap_or_default(), "sold"),
            };
            if line.quantity > most {
                return Err(Refusal::user(format!(
                    "The quantity {} of {sku} is greater than the quantity {word} {} of line {}.",
                    line.quantity.text(0),
                    most.text(0),
                    line.source
                )));
            }
        }
        Ok(())
    }

    fn paper_of(&self, what: What) -> Paper {
        let now = self.mischief.now();
        Paper {
            id: 0,
            number: 0,
            external: None,
            entity: 0,
            subsidiary: 0,
            date: self.zone.to_datetime(now).date(),
            created: now.as_second(),
            modified: now.as_second(),
            memo: None,
            what,
        }
    }

    /// `POST .../returnAuthorization/{id}/!transform/itemReceipt`.
    pub(super) fn receive(&self, call: &Call<'_>, base: &str, id: u32) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let state = &mut *state;
        let invalid = || Refusal::user(format!("You can not initialize itemreceipt: invalid reference {id}."));
        let source = state.trans.get(&id).filter(|tran| tran.kind == Kind::Return).cloned().ok_or_else(invalid)?;
        let open = open_lines(state, &source);
        if !source.approved || source.is_closed() || open.is_empty() {
            return Err(invalid());
        }
        let body = call.object()?;
        let mut paper = self.paper_of(What::Receipt { from: id, lines: Vec::new() });
        let numbers: Vec<u32> = open.iter().map(|(line, _)| line.number).collect();
        let mut desk = self.desk(call, state)?;
        let mut rows = None;
        for (name, value) in &body {
            let Some(spec) = desk.field(&fields::RECEIPT_TABLE, true, "", name) else { continue };
            if !desk.shared(&mut paper, spec.field, spec.name, value) && spec.field == Field::Items {
                rows = Some(value);
            }
        }
        (paper.entity, paper.subsidiary) = (source.entity, source.subsidiary);
        desk.period_open(paper.date);
        let asked = desk.arrivals(rows, &numbers);
        let mut lines = Vec::new();
        for (line, remaining) in &open {
            let ask = asked.get(&line.number);
            let quantity = ask.and_then(|ask| ask.quantity).unwrap_or(*remaining);
            if ask.is_some_and(|ask| ask.left_out) || quantity.is_zero() {
                continue;
            }
            let sku = desk.items.get(line.item).map_or("?", |item| &*item.sku);
            if quantity > *remaining {
                desk.business(format!(
                    "The quantity {} of {sku} is greater than the quantity remaining {} of line {}.",
                    quantity.text(0),
                    remaining.text(0),
                    line.number
                ));
                continue;
            }
            let given = ask.and_then(|ask| ask.location).filter(|id| *id != 0);
            let location = given.unwrap_or_else(|| place(&source, line));
            if location == 0 {
                desk.missing("Items list: Location");
                continue;
            }
            desk.location_fits(location, source.subsidiary);
            lines.push(Arrived {
                number: u32::try_from(lines.len()).unwrap_or(0) + 1,
                order_line: line.number,
                item: line.item,
                quantity,
                location,
                restock: ask.and_then(|ask| ask.restock).unwrap_or(true),
                parts: Vec::new(),
            });
        }
        if lines.is_empty() {
            desk.business("You must have at least one valid line item for this transaction.");
        }
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        for line in &mut lines {
            line.parts = state.stock.parts(line.item);
        }
        paper.what = What::Receipt { from: id, lines };
        let place = self.keep(state, base, paper)?;
        Ok(Answer::Done(Some(place), findings.warnings))
    }

    /// Keeps a new paper. Answers where it is.
    fn keep(&self, state: &mut State, base: &str, mut paper: Paper) -> Result<String, Refusal> {
        if let Some(external) = paper.external.as_ref().filter(|external| state.by_external.contains_key(*external)) {
            return Err(Refusal::user(format!("A transaction with the external ID {external} already exists.")));
        }
        paper.id = state.next_tran();
        paper.number = state.next_paper();
        let place = format!("{base}/{}/{}", paper.record(), paper.id);
        state.put_paper(Box::new(paper), self.mischief.now().as_millisecond()).map_err(|fault| broken(&fault))?;
        self.tell(state);
        Ok(place)
    }

    pub(super) fn receive_by_hand(&self, external_id: &str, sku: &str, units: u32) -> anyhow::Result<bool> {
        let mut state = self.settled();
        let state = &mut *state;
        let id = state.by_external.get(external_id).copied().unwrap_or(0);
        let Some(source) = state.trans.get(&id).filter(|tran| tran.kind == Kind::Return).cloned() else { return Ok(false) };
        let open = open_lines(state, &source);
        let named = |line: &Line| state.stock.items.get(line.item).is_some_and(|item| &*item.sku == sku);
        let Some((line, remaining)) = open.into_iter().find(|(line, _)| named(line)) else { return Ok(false) };
        let quantity = Fixed::whole(i64::from(units)).min(remaining);
        let arrived = Arrived {
            number: 1,
            order_line: line.number,
            item: line.item,
            quantity,
            location: place(&source, &line),
            restock: true,
            parts: state.stock.parts(line.item),
        };
        let mut paper = self.paper_of(What::Receipt { from: id, lines: vec![arrived] });
        (paper.entity, paper.subsidiary) = (source.entity, source.subsidiary);
        paper.id = state.next_tran();
        paper.number = state.next_paper();
        state.put_paper(Box::new(paper), self.mischief.now().as_millisecond())?;
        self.tell(state);
        Ok(true)
    }

    /// `.../itemReceipt`, `.../customerRefund`, `.../inventoryAdjustment`.
    pub(super) fn paper(&self, call: &Call<'_>, base: &str, kind: PaperKind, key: Option<Key>) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let found = match &key {
            None => None,
            Some(Key::Id(id)) => state.papers.get(id),
            Some(Key::External(external)) => state.by_external.get(external.as_str()).and_then(|id| state.papers.get(id)),
        };
        let found = found.filter(|paper| kind.is(paper));
        let unknown = || match key {
            Some(Key::Id(_)) => Refusal::user("Transaction type specified is incorrect."),
            _ => Refusal::missing(call.path),
        };
        match (call.method, &key) {
            (&Method::GET, None) => {
                let ids: Vec<u32> = state.papers.values().filter(|paper| kind.is(paper)).map(|paper| paper.id).collect();
                let record = match kind {
                    PaperKind::Receipt => "itemReceipt",
                    PaperKind::Refund => "customerRefund",
                    PaperKind::Adjustment => "inventoryAdjustment",
                };
                self.collection(call, base, record, &ids)
            }
            (&Method::GET, Some(_)) => {
                let paper = found.ok_or_else(unknown)?;
                let shown = shown(paper, &state, self.options.one_world, base, call.flag("expandSubResources"));
                Ok(Answer::Json(shown.to_string(), SINGULAR))
            }
            (&Method::POST, None) => match kind {
                PaperKind::Receipt => Err(Refusal::user("An item receipt can only be made by transforming an order.")),
                PaperKind::Refund => self.pay_back(call, base, &mut state),
                PaperKind::Adjustment => self.adjust(call, base, &mut state),
            },
            (&Method::PATCH, Some(_)) => {
                let mut paper = found.ok_or_else(unknown)?.clone();
                let body = call.object()?;
                let now = self.mischief.now();
                let was = (paper.external.clone(), paper.date, paper.entity, paper.subsidiary);
                let table = match kind {
                    PaperKind::Receipt => &*fields::RECEIPT_TABLE,
                    PaperKind::Refund => &*fields::REFUND_TABLE,
                    PaperKind::Adjustment => &*fields::ADJUSTMENT_TABLE,
                };
                let mut desk = self.desk(call, &mut state)?;
                for (name, value) in &body {
                    let Some(spec) = desk.field(table, true, "", name) else { continue };
                    if !desk.shared(&mut paper, spec.field, spec.name, value) && spec.field != Field::ReadOnly {
                        desk.business(format!("You cannot change {} of a saved transaction.", spec.name));
                    }
                }
                if was != (paper.external.clone(), paper.date, paper.entity, paper.subsidiary) {
                    desk.business("You cannot change this transaction any more but for its memo.");
                }
                let mut findings = desk.findings;
                if let Some(refusal) = findings.refusal() {
                    return Err(refusal);
                }
                paper.modified = now.as_second();
                state.put_paper(paper, now.as_millisecond()).map_err(|fault| broken(&fault))?;
                self.tell(&mut state);
                Ok(Answer::Done(None, findings.warnings))
            }
            (&Method::DELETE, Some(_)) => {
                let id = found.ok_or_else(unknown)?.id;
                state.delete_paper(id, self.mischief.now().as_millisecond()).map_err(|fault| broken(&fault))?;
                self.tell(&mut state);
                Ok(Answer::Done(None, Vec::new()))
            }
            _ => Err(not_allowed()),
        }
    }

    fn pay_back(&self, call: &Call<'_>, base: &str, state: &mut State) -> Result<Answer, Refusal> {
        let body = call.object()?;
        let what = What::Refund { currency: 0, account: 0, option: 0, applied: Vec::new(), voided: false };
        let mut paper = self.paper_of(what);
        let mut desk = self.desk(call, state)?;
        let mut draft = desk.refund(&mut paper, &body);
        desk.period_open(paper.date);
        for (label, absent) in [("Customer", paper.entity == 0), ("Account", draft.account == 0)] {
            if absent {
                desk.missing(label);
            }
        }
        if draft.applied.is_empty() {
            desk.business("You must enter at least one line item for this transaction.");
        }
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        for (doc, amount) in &draft.applied {
            let memo = state.trans.get(doc).filter(|tran| tran.kind == Kind::Credit && tran.entity == paper.entity);
            let Some(memo) = memo.filter(|memo| memo.status().0 != "V") else {
                return Err(Refusal::user(format!(
                    "The transaction {doc} cannot be applied: it is no open credit of this customer."
                )));
            };
            if *amount <= Fixed::ZERO || amount.round(memo.digits()) != *amount {
                return Err(Refusal::user(format!("The amount {} to be applied is not valid.", amount.text(2))));
            }
            if *amount > memo.remaining() {
                return Err(Refusal::user(format!(
                    "The amount {} exceeds the amount remaining {} of {}.",
                    amount.text(2),
                    memo.remaining().text(2),
                    memo.tran_id()
                )));
            }
            if draft.currency != 0 && draft.currency != memo.currency {
                return Err(Refusal::user(format!("The currency of the refund is not that of {}.", memo.tran_id())));
            }
            if draft.subsidiary != 0 && draft.subsidiary != memo.subsidiary {
                return Err(Refusal::user(format!(
                    "{} belongs to the subsidiary {} and cannot be applied on a transaction of the subsidiary {}.",
                    memo.tran_id(),
                    seed::subsidiary(memo.subsidiary).map_or("?", |it| it.name),
                    seed::subsidiary(draft.subsidiary).map_or("?", |it| it.name)
                )));
            }
            (draft.currency, paper.subsidiary) = (memo.currency, memo.subsidiary);
        }
        let RefundDraft { currency, account, option, applied, .. } = draft;
        paper.what = What::Refund { currency, account, option, applied, voided: false };
        let place = self.keep(state, base, paper)?;
        Ok(Answer::Done(Some(place), findings.warnings))
    }

    fn adjust(&self, call: &Call<'_>, base: &str, state: &mut State) -> Result<Answer, Refusal> {
        let body = call.object()?;
        let mut paper = self.paper_of(What::Adjustment { account: 0, lines: Vec::new() });
        // The lines are held against the subsidiary, whichever of them is named first.
        let mut desk = self.desk(call, state)?;
        if let Some(value) = body.get("subsidiary")
            && let Some(id) = desk.reference("subsidiary", value, |id| seed::subsidiary(id).is_some())
        {
            paper.subsidiary = id;
        }
        let (account, lines) = desk.adjustment(&mut paper, &body);
        desk.period_open(paper.date);
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        paper.what = What::Adjustment { account, lines };
        let place = self.keep(state, base, paper)?;
        Ok(Answer::Done(Some(place), findings.warnings))
    }
}

/// The lines of an authorization of which something is still to come, with how much.
fn open_lines(state: &State, source: &Tran) -> Vec<(Line, Fixed)> {
    let nothing = Back::default();
    let back = source.back.as_deref().unwrap_or(&nothing);
    let goods = source.lines.iter().filter(|line| !line.closed && is_goods(state, line));
    let left = |line: &Line| line.quantity.minus(back.received_of(line.number)).unwrap_or_default();
    goods.map(|line| (line.clone(), left(line))).filter(|(_, left)| *left > Fixed::ZERO).collect()
}

fn shown(it: &Paper, state: &State, one_world: bool, base: &str, expand: bool) -> Value {
    let own = format!("{base}/{}/{}", it.record(), it.id);
    let named = |id: u32, name: &str| json!({"links": [], "id": id.to_string(), "refName": name});
    let item = |id: u32| named(id, state.stock.items.get(id).map_or("", |item| &item.sku));
    let location = |id: u32| named(id, seed::location(id).map_or("", |it| it.name));
    let account = |id: u32| named(id, seed::ACCOUNTS.iter().find(|(known, ..)| *known == id).map_or("", |(.., name)| name));
    let list = |name: &str, rows: Vec<Value>| {
        let links = json!([{"rel": "self", "href": format!("{own}/{name}")}]);
        if expand {
            json!({"links": links, "count": rows.len(), "hasMore": false, "items": rows, "offset": 0, "totalResults": rows.len()})
        } else {
            json!({ "links": links })
        }
    };
    let customer = || named(it.entity, &state.customers.get(&it.entity).map(|it| it.name()).unwrap_or_default());
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("links", json!([{"rel": "self", "href": own}]));
    put("id", json!(it.id.to_string()));
    if let Some(external) = &it.external {
        put("externalId", json!(**external));
    }
    if one_world {
        put("subsidiary", named(it.subsidiary, seed::subsidiary(it.subsidiary).map_or("", |it| it.name)));
    }
    put("tranDate", json!(it.date.to_string()));
    put("tranId", json!(it.tran_id()));
    if let Some(memo) = &it.memo {
        put("memo", json!(**memo));
    }
    put("createdDate", json!(utc(it.created)));
    put("lastModifiedDate", json!(utc(it.modified)));
    match &it.what {
        What::Receipt { from, lines } => {
            put("createdFrom", named(*from, "Return Authorization"));
            put("entity", customer());
            let row = |line: &Arrived| {
                json!({
                    "links": [], "line": line.number, "orderLine": line.order_line, "item": item(line.item), "itemReceive": true,
                    "quantity": decimal(line.quantity), "location": location(line.location), "restock": line.restock,
                })
            };
            put("item", list("item", lines.iter().map(row).collect()));
        }
        What::Refund { currency, account: from, option, applied, voided } => {
            put("customer", customer());
            put("currency", named(*currency, seed::currency(*currency).map_or("", |it| it.name)));
            put("account", account(*from));
            if *option != 0 {
                put("paymentOption", named(*option, seed::named(seed::PAYMENT_METHODS, *option).unwrap_or("")));
            }
            let sum = Fixed::sum(applied.iter().map(|(_, amount)| *amount)).unwrap_or_default();
            put("total", decimal(if *voided { Fixed::ZERO } else { sum }));
            let (letter, label) = if *voided { ("V", "Voided") } else { ("R", "Not Deposited") };
            put("status", json!({"id": letter, "refName": label}));
            let row = |(doc, amount): &(u32, Fixed)| {
                let memo = state.trans.get(doc);
                json!({
                    "links": [], "doc": named(*doc, &memo.map(|memo| memo.tran_id()).unwrap_or_default()), "line": 0, "apply": true,
                    "amount": decimal(*amount), "type": "Credit Memo",
                })
            };
            put("apply", list("apply", applied.iter().map(row).collect()));
            put("deposit", list("deposit", Vec::new()));
        }
        What::Adjustment { account: to, lines } => {
            if it.entity != 0 {
                put("customer", customer());
            }
            put("account", account(*to));
            let row = |line: &Adjusted| {
                json!({
                    "links": [], "line": line.number, "item": item(line.item), "location": location(line.location),
                    "adjustQtyBy": decimal(line.quantity),
                })
            };
            put("inventory", list("inventory", lines.iter().map(row).collect()));
        }
    }
    Value::Object(map)
}

/// What an external id of ours was made of, without its prefix.
fn key_of(external: Option<&str>, prefixes: &[&str]) -> String {
    let external = external.unwrap_or_default();
    let bare = prefixes.iter().find_map(|prefix| external.strip_prefix(prefix)).unwrap_or(external);
    fulfilments::plain(bare)
}

/// One row per authorization and item: `order,ra,sku,qty,received,restock`, sorted.
pub(super) fn rows(state: &State) -> Vec<[String; 6]> {
    let mut restocked: BTreeMap<(u32, u32), Fixed> = BTreeMap::new();
    for paper in state.papers.values() {
        let What::Receipt { from, lines } = &paper.what else { continue };
        for line in lines.iter().filter(|line| line.restock) {
            let sum = restocked.entry((*from, line.order_line)).or_default();
            *sum = sum.plus(line.quantity).unwrap_or(*sum);
        }
    }
    let mut rows = Vec::new();
    for tran in state.trans.values().filter(|tran| tran.kind == Kind::Return && !tran.is_closed()) {
        let order = state.trans.get(&tran.from());
        let order = order.map(|order| {
            let external = order.external.as_deref().or(order.other_ref.as_deref());
            key_of(external, &["so_", "cs_"])
        });
        let mut units: BTreeMap<&str, [Fixed; 3]> = BTreeMap::new();
        let nothing = Back::default();
        let back = tran.back.as_deref().unwrap_or(&nothing);
        for line in tran.lines.iter().filter(|line| !line.closed) {
            let sku = state.stock.items.get(line.item).map_or("", |item| &*item.sku);
            let shelf = restocked.get(&(tran.id, line.number)).copied().unwrap_or_default();
            let all = units.entry(sku).or_default();
            for (sum, more) in all.iter_mut().zip([line.quantity, back.received_of(line.number), shelf]) {
                *sum = sum.plus(more).unwrap_or(*sum);
            }
        }
        let (order, ra) = (order.unwrap_or_default(), key_of(tran.external.as_deref(), &["ra_"]));
        rows.extend(units.into_iter().map(|(sku, [quantity, received, shelf])| {
            [order.clone(), ra.clone(), sku.to_owned(), quantity.text(0), received.text(0), shelf.text(0)]
        }));
    }
    rows.sort();
    rows
}

/// One row per refund and memo: `memo,refund,method,reference,amount`, sorted.
pub(super) fn refund_rows(state: &State) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for paper in state.papers.values() {
        let What::Refund { option, applied, voided: false, .. } = &paper.what else { continue };
        for (doc, amount) in applied {
            let memo = state.trans.get(doc);
            let number = memo.and_then(|memo| memo.other_ref.as_deref()).unwrap_or_default().to_owned();
            let digits = memo.map_or(2, |memo| memo.digits());
            rows.push([
                number,
                key_of(paper.external.as_deref(), &["crf_"]),
                seed::named(seed::PAYMENT_METHODS, *option).unwrap_or("").to_owned(),
                paper.memo.as_deref().unwrap_or_default().to_owned(),
                amount.text(usize::try_from(digits).unwrap_or(2)),
            ]);
        }
    }
    rows.sort();
    rows
}
