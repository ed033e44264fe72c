//! `rows.csv`: a row as a line and back, and the chain that the lines form.
//!
//! The hash at the end of a line is BLAKE3 over the hash of the line before (its 64 letters) and the line up to its last comma
//! (included). The header ends with the word `hash`; the hash that the first row follows is that of the header line.

use rust_decimal::Decimal;
use selvedge_model::{
    Currency, Kind, Money,
    close::{Adjustment, CloseRow, Open, Rate, RateAmount, Side, Verdict},
};

use super::{
    cells::{cells, each, line, many, text},
    digest::hash,
};

/// The columns, but for the hash.
pub const COLUMNS: [&str; 30] = [
    "flow",
    "kind",
    "key",
    "order",
    "sources",
    "targets",
    "at",
    "on",
    "market",
    "subsidiary",
    "verdict",
    "reason",
    "version",
    "explains",
    "until",
    "exception",
    "owner",
    "first_seen",
    "our_units",
    "our_currency",
    "our_gross",
    "our_rates",
    "our_shipping",
    "our_discount",
    "their_units",
    "their_currency",
    "their_gross",
    "their_rates",
    "their_shipping",
    "their_discount",
];
/// The last columns: a remark, and the hash.
const LAST: [&str; 2] = ["note", "hash"];

/// The header line, without its end.
pub fn header() -> String {
    line(COLUMNS.iter().chain(&LAST))
}

/// The hash of a line, given the one of the line before.
pub fn link(before: &str, line_to_last_comma: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before.as_bytes());
    hasher.update(line_to_last_comma.as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// What the first row is chained to.
pub fn start() -> String {
    hash(header().as_bytes())
}

/// An exact amount as it stands in a cell: `12.30 SEK`.
pub fn amount(money: Money) -> String {
    money.to_string()
}

fn read_amount(text: &str) -> Option<Money> {
    let (amount, code) = text.split_once(' ')?;
    Money::exact(Decimal::from_str_exact(amount).ok()?, Currency::from_code(code)?).ok()
}

/// A row as a line, up to its last comma.
pub fn write(row: &CloseRow) -> String {
    let (mut reason, mut version, mut explains, mut until) = (String::new(), String::new(), String::new(), String::new());
    let (mut exception, mut owner, mut first_seen) = (String::new(), String::new(), String::new());
    match &row.verdict {
        Verdict::Agreed(None) => {}
        Verdict::Agreed(Some(adjustment)) => {
            reason = text(&adjustment.rule);
            explains = amount(adjustment.money);
        }
        Verdict::Open(open) => {
            reason = text(&open.cause);
            explains = open.money.iter().copied().map(amount).collect::<Vec<_>>().join("|");
            exception = open.exception.map(|id| id.to_string()).unwrap_or_default();
            owner = open.owner.as_deref().map(text).unwrap_or_default();
            first_seen = open.first_seen.to_string();
        }
        Verdict::Excluded { rule, version: of } => (reason, version) = (text(rule), text(of)),
        Verdict::InFlight { until: then } => until = then.to_string(),
    }
    let maybe = |value: Option<&str>| value.map(text).unwrap_or_default();
    let mut record = vec![
        text(row.flow.as_str()),
        row.kind.word().to_owned(),
        text(row.key.as_str()),
        maybe(row.order.as_ref().map(|order| order.as_str())),
        many(row.sources.iter().map(|id| id.as_str())),
        many(row.targets.iter().map(|id| id.as_str())),
        row.at.to_string(),
        row.on.map(|on| on.to_string()).unwrap_or_default(),
        text(&row.market),
        maybe(row.subsidiary.as_deref()),
        row.verdict.word().to_owned(),
        reason,
        version,
        explains,
        until,
        exception,
        owner,
        first_seen,
    ];
    record.extend(side(row.ours.as_ref()));
    record.extend(side(row.theirs.as_ref()));
    record.push(text(&row.note));
    record.push(String::new());
    line(record)
}

fn side(side: Option<&Side>) -> [String; 6] {
    let Some(side) = side else { return Default::default() };
    let rate = |amount: &RateAmount| format!("{}={}/{}", amount.rate, amount.net.decimal(), amount.tax.decimal());
    let plain = |money: Option<Money>| money.map(|money| money.decimal().to_string()).unwrap_or_default();
    [
        side.units.to_string(),
        side.currency.map(|currency| currency.code().to_owned()).unwrap_or_default(),
        plain(side.gross().ok().flatten()),
        side.rates.iter().map(rate).collect::<Vec<_>>().join(" "),
        plain(side.shipping),
        plain(side.discount),
    ]
}

/// The row that a line says, its hash left aside; or which column does not read.
pub fn read(line: &str) -> Result<CloseRow, &'static str> {
    let record = cells(line).ok_or("quotes")?;
    if record.len() != COLUMNS.len() + LAST.len() {
        return Err("number of columns");
    }
    let cell = |column: &'static str| {
        let place = COLUMNS.iter().chain(&LAST).position(|name| *name == column);
        place.and_then(|place| record.get(place)).map(String::as_str).ok_or(column)
    };
    let some = |column| cell(column).map(|value| Some(value).filter(|value| !value.is_empty()));
    fn parsed<T: std::str::FromStr>(value: &str, column: &'static str) -> Result<T, &'static str> {
        value.parse().map_err(|_| column)
    }
    let explains = || each(cell("explains")?).map(|money| read_amount(money).ok_or("explains")).collect::<Result<Vec<_>, _>>();
    let verdict = match cell("verdict")? {
        "agreed" if cell("reason")?.is_empty() => Verdict::Agreed(None),
        "agreed" => {
            let money = explains()?.first().copied().ok_or("explains")?;
            Verdict::Agreed(Some(Adjustment { rule: cell("reason")?.to_owned(), money }))
        }
        "open" => Verdict::Open(Open {
            exception: some("exception")?.map(|id| parsed(id, "exception")).transpose()?,
            cause: cell("reason")?.to_owned(),
            owner: some("owner")?.map(str::to_owned),
            money: explains()?,
            first_seen: parsed(cell("first_seen")?, "first_seen")?,
        }),
        "excluded" => Verdict::Excluded { rule: cell("reason")?.to_owned(), version: cell("version")?.to_owned() },
        "in_flight" => Verdict::InFlight { until: parsed(cell("until")?, "until")? },
        _ => return Err("verdict"),
    };
    let read_side = |columns: [&'static str; 6]| -> Result<Option<Side>, &'static str> {
        let [units, currency, _, rates, shipping, discount] = columns;
        if cell(units)?.is_empty() {
            return Ok(None);
        }
        let mut side = Side { units: parsed(cell(units)?, units)?, ..Side::default() };
        let Some(code) = some(currency)? else { return Ok(Some(side)) };
        let in_currency = Currency::from_code(code).ok_or(currency)?;
        let money = |text: &str, column| {
            let decimal = Decimal::from_str_exact(text).map_err(|_| column)?;
            Money::exact(decimal, in_currency).map_err(|_| column)
        };
        side.currency = Some(in_currency);
        for part in cell(rates)?.split(' ').filter(|part| !part.is_empty()) {
            let (rate, amounts) = part.split_once('=').ok_or(rates)?;
            let (net, tax) = amounts.split_once('/').ok_or(rates)?;
            let rate = Rate::from_text(rate).ok_or(rates)?;
            side.rates.push(RateAmount { rate, net: money(net, rates)?, tax: money(tax, rates)? });
        }
        side.shipping = some(shipping)?.map(|text| money(text, shipping)).transpose()?;
        side.discount = some(discount)?.map(|text| money(text, discount)).transpose()?;
        Ok(Some(side))
    };
    Ok(CloseRow {
        flow: cell("flow")?.into(),
        kind: Kind::from_word(cell("kind")?).ok_or("kind")?,
        key: cell("key")?.into(),
        order: some("order")?.map(Into::into),
        sources: each(cell("sources")?).map(Into::into).collect(),
        targets: each(cell("targets")?).map(Into::into).collect(),
        at: parsed(cell("at")?, "at")?,
        on: some("on")?.map(|on| parsed(on, "on")).transpose()?,
        market: cell("market")?.to_owned(),
        subsidiary: some("subsidiary")?.map(str::to_owned),
        verdict,
        ours: read_side(["our_units", "our_currency", "our_gross", "our_rates", "our_shipping", "our_discount"])?,
        theirs: read_side(["their_units", "their_currency", "their_gross", "their_rates", "their_shipping", "their_discount"])?,
        note: cell("note")?.to_owned(),
    })
}
