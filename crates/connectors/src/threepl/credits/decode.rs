//! A desk's rows of one credit → a credit note. Pure, and it never fails.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    CreditNote, Currency, ExternalId, Money, Problem, RecordKey, Return, Sku,
    records::{
        Charge, CreditKind, CreditLine, CreditReason, CreditStatus, Disposition, ReturnLine, ReturnStatus, SoldPart, TaxLine,
        Totals,
    },
};

use super::super::{
    decode::{Told, is_usable, not_kept, row_problem},
    message::Row,
    settings::Form,
};

/// The word for lines that give sold goods back; every other line is something else.
const PRODUCT: &str = "product";

/// One credit note out of its rows.
pub(in crate::threepl) fn credit(raw: &Raw, form: &Form) -> Decoded<CreditNote> {
    let mut problems = Vec::new();
    let record = match serde_json::from_slice::<Told>(&raw.body) {
        Ok(told) => Reading { told: &told, form, problems: &mut problems }.credit(raw),
        Err(why) => {
            problems.push(not_kept(raw, &why));
            None
        }
    };
    Decoded::of(record, problems)
}

/// One credit as its rows tell it, and where findings go.
struct Reading<'a> {
    told: &'a Told,
    form: &'a Form,
    problems: &'a mut Vec<Problem>,
}

/// A line, and whether its goods came back.
type Read = (CreditLine, Option<RecordKey>, bool);

impl Reading<'_> {
    fn wrong(&mut self, row: &Row, path: &str, message: impl Into<String>) {
        self.problems.push(row_problem(self.told, row, "file.row", path, message.into()));
    }

    /// What all rows that can be read have to say alike.
    fn alike(&mut self, name: &str) -> Option<String> {
        let told = self.told;
        let mut rows = told.rows.iter().filter(|row| row.fault.is_none());
        let stated = rows.clone().find_map(|row| row.get(name))?;
        if let Some(row) = rows.find(|row| row.get(name) != Some(stated)) {
            let other = row.get(name).unwrap_or("nothing");
            self.wrong(row, name, format!("{name} is {other}, and {stated} in another row of the same credit"));
        }
        Some(stated.to_owned())
    }

    fn number(&mut self, row: &Row, name: &str) -> Option<Decimal> {
        match row.get(name).map(|text| self.form.numbers.decimal(text)) {
            Some(Ok(number)) => Some(number),
            Some(Err(why)) => {
                self.wrong(row, name, format!("{name}: {why}"));
                None
            }
            None => {
                self.wrong(row, name, format!("{name} is empty, which is not nought"));
                None
            }
        }
    }

    fn money(&mut self, row: &Row, name: &str, currency: Currency) -> Option<Money> {
        let number = self.number(row, name)?;
        match Money::exact(number, currency) {
            Ok(money) => Some(money),
            Err(why) => {
                self.wrong(row, name, format!("{name}: {why}"));
                None
            }
        }
    }

    fn line(&mut self, row: &Row, currency: Currency) -> Option<Read> {
        if let Some(why) = &row.fault {
            self.wrong(row, "", why.clone());
            return None;
        }
        let before = self.problems.len();
        for name in ["line", "sku"] {
            if row.get(name).is_none() {
                self.wrong(row, name, format!("it names no {name}"));
            }
        }
        let quantity = self.number(row, "quantity").and_then(|number| {
            let units = number.fract().is_zero().then(|| u32::try_from(number).ok()).flatten().filter(|units| *units > 0);
            if units.is_none() {
                self.wrong(row, "quantity", format!("quantity is {number}, and not a number of units above zero"));
            }
            units
        });
        let (unit_net, net, tax) =
            (self.number(row, "unit_price"), self.money(row, "net", currency), self.money(row, "tax", currency));
        if net.is_some_and(|net| net.minor() <= 0) || unit_net.is_some_and(|price| price.is_sign_negative()) {
            self.wrong(row, "net", "what is given back is written above zero");
        }
        if tax.is_some_and(Money::is_negative) {
            self.wrong(row, "tax", "tax that is given back is written above zero");
        }
        let rate = row.get("tax_rate").and_then(|_| self.number(row, "tax_rate"));
        let goods = match row.get("goods").map(str::to_lowercase).as_deref() {
            None | Some("yes" | "y" | "true" | "1") => true,
            Some("no" | "n" | "false" | "0") => false,
            Some(other) => {
                self.wrong(row, "goods", format!("goods is {other:?}, and neither yes nor no"));
                false
            }
        };
        let (Some(quantity), Some(unit_net), Some(net), Some(tax)) = (quantity, unit_net, net, tax) else { return None };
        if self.problems.len() > before {
            return None;
        }
        let is_product = row.get("line_type").is_none_or(|word| word.eq_ignore_ascii_case(PRODUCT));
        let order = row.get("order_ref").map(RecordKey::new);
        let of = order.clone().zip(row.get("order_line_id").map(ExternalId::new));
        let line = CreditLine {
            id: ExternalId::new(row.get("line")?),
            kind: if is_product { CreditKind::Goods } else { CreditKind::Other },
            sold: of.map(|(order, line)| SoldPart { order, line, quantity, net, tax }).into_iter().collect(),
            sku: Sku::new(row.get("sku")?),
            name: row.get("name").unwrap_or_default().to_owned(),
            quantity,
            unit_net,
            net,
            tax,
            taxes: rate.map(|rate| TaxLine { name: String::new(), rate, amount: tax }).into_iter().collect(),
        };
        Some((line, order, is_product && goods))
    }

    fn credit(mut self, raw: &Raw) -> Option<CreditNote> {
        let told = self.told;
        if !is_usable(told, self.problems) {
            return None;
        }
        let before = self.problems.len();
        let number = told.rows.iter().find_map(|row| row.get("credit_ref")).map(str::to_owned);
        let (currency, issued_at, buyer) = (self.alike("currency"), self.alike("issued_at"), self.alike("buyer"));
        let first = told.rows.iter().find(|row| row.fault.is_none()).or(told.rows.first())?;
        let currency = match currency.as_deref().map(Currency::from_code) {
            Some(Some(currency)) => Some(currency),
            Some(None) => {
                self.wrong(first, "currency", "currency is none that we know");
                None
            }
            None => None,
        };
        let issued_at = match issued_at.as_deref().map(|text| self.form.times.instant(text)) {
            Some(Ok(at)) => Some(at),
            Some(Err(why)) => {
                self.wrong(first, "issued_at", format!("issued_at: {why}"));
                None
            }
            None => None,
        };
        let (Some(number), Some(currency), Some(issued_at)) = (number, currency, issued_at) else {
            if self.problems.len() == before {
                let why = first.fault.clone().unwrap_or_else(|| "credit_ref, issued_at or currency is empty".to_owned());
                self.wrong(first, "", why);
            }
            return None;
        };
        let read: Vec<Read> = told.rows.iter().filter_map(|row| self.line(row, currency)).collect();
        self.no_line_twice(&read, first);
        self.note(raw, &number, currency, issued_at, buyer, read)
    }

    /// Two rows of one line would be credited twice: a row that was written twice is no second line.
    fn no_line_twice(&mut self, read: &[Read], first: &Row) {
        let mut seen = BTreeSet::new();
        if let Some((line, ..)) = read.iter().find(|(line, ..)| !seen.insert(line.id.as_str())) {
            self.wrong(first, "line", format!("line {} stands more than once in this credit", line.id));
        }
    }

    fn note(
        mut self,
        raw: &Raw,
        number: &str,
        currency: Currency,
        issued_at: Timestamp,
        buyer: Option<String>,
        read: Vec<Read>,
    ) -> Option<CreditNote> {
        let updated_at = raw.version.unwrap_or(issued_at);
        let key = RecordKey::new(number);
        let mut orders: Vec<&RecordKey> = read.iter().filter_map(|(_, order, _)| order.as_ref()).collect();
        orders.dedup();
        let order = match orders.as_slice() {
            [one] if read.iter().all(|(line, order, _)| line.kind == CreditKind::Other || order.is_some()) => {
                Some((*one).clone())
            }
            _ => None,
        };
        let back = |(line, order, goods): &Read| {
            goods.then(|| ReturnLine {
                order: order.clone(),
                order_line: line.sold.first().map(|part| part.line.clone()),
                sku: line.sku.clone(),
                quantity: line.quantity,
                condition: None,
                reason: None,
            })
        };
        let back: Vec<ReturnLine> = read.iter().filter_map(back).collect();
        let goods = (!back.is_empty()).then(|| {
            Box::new(Return {
                key: key.clone(),
                id: ExternalId::new(number),
                order: order.clone(),
                counterpart: None,
                shipment: None,
                status: ReturnStatus::Received,
                created_at: issued_at,
                received_at: Some(issued_at),
                updated_at,
                warehouse: None,
                disposition: Disposition::Restock,
                reason: None,
                comment: None,
                lines: back,
            })
        });
        let told = self.told;
        let mut comments: Vec<&str> = told.rows.iter().filter_map(|row| row.get("comment")).collect();
        comments.dedup();
        let lines: Vec<CreditLine> = read.into_iter().map(|(line, ..)| line).collect();
        let sums = Money::sum(currency, lines.iter().map(|line| line.net)).and_then(|net| {
            let tax = Money::sum(currency, lines.iter().map(|line| line.tax))?;
            Ok(Totals { net, tax, gross: net.plus(tax)? })
        });
        let totals = match sums {
            Ok(totals) => totals,
            Err(why) => {
                let row = told.rows.first().cloned().unwrap_or_default();
                self.wrong(&row, "net", format!("its lines cannot be added up: {why}"));
                return None;
            }
        };
        Some(CreditNote {
            key: key.clone(),
            id: ExternalId::new(number),
            number: number.to_owned(),
            order,
            of_return: goods.as_ref().map(|_| key),
            reason: if goods.is_some() { CreditReason::Return } else { CreditReason::Goodwill },
            goods,
            status: CreditStatus::Issued,
            issued_at,
            issued_on: issued_at.to_zoned(self.form.zone.clone()).date(),
            updated_at,
            buyer,
            currency,
            lines,
            discounts: Vec::new(),
            shipping: Charge::none(currency),
            handling: Charge::none(currency),
            fee: Charge::none(currency),
            goodwill: Charge::none(currency),
            totals,
            comment: (!comments.is_empty()).then(|| comments.join("; ")),
            sale: None,
        })
    }
}
