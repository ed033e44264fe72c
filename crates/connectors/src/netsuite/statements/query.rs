//! The queries of a statement, and the pages in which they are read. Pure but for the reading.
//!
//! Documents come by their id, some hundred at a time, never by an offset. What belongs to them is asked for by their ids and
//! paged by a key of its own, so that no page's end cuts anything off. Times are asked for with an hour to spare on both sides: what the clock of the session shows is not unique in
//! the hour that comes twice.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use selvedge_connector::{Fault, Priority};
use selvedge_model::Interval;

use super::super::{
    client::Client,
    settings::{OrderKey, StatementSettings},
    suiteql::{self, Row},
};
use super::hidden::Hidden;

/// What the bounds are widened by.
const SPARE: SignedDuration = SignedDuration::from_hours(1);

/// What of a head is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads<'a> {
    /// The transaction's type.
    pub query_type: &'a str,
    /// Whether there are subsidiaries.
    pub one_world: bool,
    /// Whether it has prices, a buyer and a method of shipping.
    pub priced: bool,
    /// What is not asked for.
    pub hidden: Hidden,
    pub settings: &'a StatementSettings,
    /// The custom field of a refund's reference.
    pub reference: Option<&'a str>,
}

/// The column of a custom field that holds the order's number, as a part of a list of columns.
fn custom(settings: &StatementSettings) -> String {
    match &settings.order_key {
        Some(OrderKey::Custom(field)) => format!(", t.{field} AS order_text"),
        _ => String::new(),
    }
}

/// A name that may stand in a query as it is.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl Heads<'_> {
    fn sql(&self) -> String {
        let mut columns = String::from(
            "t.id, t.tranid, t.externalid, t.status, TO_CHAR(t.trandate,'YYYY-MM-DD') AS td, \
             TO_CHAR(t.createddate,'YYYY-MM-DD HH24:MI:SS') AS cd, TO_CHAR(t.lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm, \
             t.foreigntotal, t.otherrefnum, t.memo, c.symbol",
        );
        let mut from = String::from("transaction t LEFT JOIN currency c ON c.id = t.currency");
        if self.one_world {
            columns.push_str(", t.subsidiary, BUILTIN.DF(t.subsidiary) AS subsidiary_name");
        }
        let people = self.priced && !self.hidden.people;
        if people && !self.hidden.mail {
            columns.push_str(", t.email AS mail");
        }
        if self.priced && !self.hidden.method {
            columns.push_str(", t.shipmethod");
        }
        if people {
            columns.push_str(", u.email, a.country, a.addr1, a.city, a.zip");
            from.push_str(
                " LEFT JOIN customer u ON u.id = t.entity LEFT JOIN transactionShippingAddress a ON a.nkey = t.shippingaddress",
            );
        }
        columns.push_str(&custom(self.settings));
        if let Some(field) = self.reference.filter(|field| is_plain(field)) {
            columns.push_str(&format!(", t.{field} AS reference"));
        }
        let time = "TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS')";
        format!(
            "SELECT {columns} FROM {from} WHERE t.type = '{}' AND t.id > ? AND t.createddate >= {time} AND t.createddate <= {time} \
             ORDER BY t.id",
            self.query_type
        )
    }

    /// The heads of so many documents after one; whether there are more; or the refusal, which a role may meet.
    pub async fn read(
        &self,
        client: &Client,
        interval: &Interval,
        zone: &TimeZone,
        after: &str,
        limit: usize,
    ) -> Result<Result<suiteql::Rows, Fault>, Fault> {
        let text = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let from = text(interval.from.checked_sub(SPARE).unwrap_or(interval.from));
        let to = text(interval.to.checked_add(SPARE).unwrap_or(interval.to));
        let what = format!("state {} documents", self.query_type);
        let asked = suiteql::query_or_refusal(client, &what, &self.sql(), &[after, &from, &to], limit, Priority::Sweeps).await?;
        match asked {
            Ok(rows) => Ok(Ok(rows)),
            Err((answer, fault)) if matches!(answer.status, 400 | 403 | 404) => Ok(Err(fault)),
            Err((_, fault)) => Err(fault),
        }
    }
}

/// Ids as a list of values; only numbers get in.
fn list<'a>(ids: impl IntoIterator<Item = &'a String>) -> String {
    let numbers: BTreeSet<&str> =
        ids.into_iter().map(String::as_str).filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).collect();
    numbers.into_iter().collect::<Vec<_>>().join(",")
}

/// A query that is paged by key, the first column of its order, or the first two: so no page cuts or repeats anything.
struct Keyed<'a> {
    what: &'a str,
    /// What is asked for, up to its last condition.
    sql: String,
    /// What follows the condition on the key: a grouping.
    group: &'a str,
    /// The key as it is written in the query, and as it is called in the answer.
    keys: &'a [(&'a str, &'a str)],
}

impl Keyed<'_> {
    fn sql(&self) -> String {
        let order: Vec<&str> = self.keys.iter().map(|(key, _)| *key).collect();
        let after = match order.as_slice() {
            [first, second] => format!("({first} > ? OR ({first} = ? AND {second} > ?))"),
            _ => format!("{} > ?", order.first().copied().unwrap_or("id")),
        };
        format!("{} AND {after}{} ORDER BY {}", self.sql, self.group, order.join(", "))
    }

    /// All rows, or the refusal of the first page: some tables exist in some accounts only, or for some roles.
    async fn ask(&self, client: &Client, rows_max: usize) -> Result<Result<Vec<Row>, Fault>, Fault> {
        let sql = self.sql();
        // Lines are numbered from nought.
        let (mut all, mut at) = (Vec::new(), vec!["0".to_owned(), "-1".to_owned()]);
        loop {
            let [first, second] = at.as_slice() else { return Ok(Ok(all)) };
            let parameters: &[&str] = if self.keys.len() > 1 { &[first, first, second] } else { &[first] };
            let page = suiteql::query_or_refusal(client, self.what, &sql, parameters, rows_max, Priority::Sweeps).await?;
            let rows = match page {
                Ok(rows) => rows,
                Err((answer, fault)) if matches!(answer.status, 400 | 403 | 404) => return Ok(Err(fault)),
                Err((_, fault)) => return Err(fault),
            };
            let full = rows.more || rows.rows.len() >= rows_max;
            let key = |row: &Row| -> Option<Vec<String>> {
                let mut key: Vec<String> = self.keys.iter().map(|(_, name)| row.get(*name).cloned()).collect::<Option<_>>()?;
                key.resize(2, String::new());
                Some(key)
            };
            let last = rows.rows.last().and_then(key);
            all.extend(rows.rows);
            match last.filter(|last| full && *last != at) {
                Some(last) => at = last,
                None => return Ok(Ok(all)),
            }
        }
    }

    /// The same; none where the account does not show the table.
    async fn if_shown(&self, client: &Client, rows_max: usize) -> Result<Option<Vec<Row>>, Fault> {
        let asked = self.ask(client, rows_max).await?;
        Ok(asked
            .inspect_err(
                |fault| tracing::warn!(what = self.what, %fault, "the account does not show it; the statement goes without"),
            )
            .ok())
    }
}

/// Every line of these documents, by document and line.
pub(super) async fn lines(client: &Client, rows_max: usize, ids: &[String]) -> Result<Vec<Row>, Fault> {
    let among = list(ids);
    if among.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT l.transaction, l.id, l.mainline, l.taxline, l.item, i.itemid, i.itemtype, l.quantity, l.rate, l.foreignamount, \
         l.location, BUILTIN.DF(l.location) AS location_name, l.isclosed, l.quantityshiprecv, l.quantitybilled, l.createdfrom \
         FROM transactionline l LEFT JOIN item i ON i.id = l.item WHERE l.transaction IN ({among}) AND NVL(l.iscogs,'F') = 'F'"
    );
    let keys = &[("l.transaction", "transaction"), ("l.id", "id")];
    Keyed { what: "state their lines", sql, group: "", keys }.ask(client, rows_max).await?
}

/// The tax of each line, or the refusal. Where SuiteTax keeps it is in no paper of the vendor's that we have: as public programs read it (inferred).
pub(super) async fn taxes(client: &Client, rows_max: usize, ids: &[String]) -> Result<Result<Vec<Row>, Fault>, Fault> {
    let among = list(ids);
    if among.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let sql = format!(
        "SELECT transaction, line, SUM(taxamount) AS taxamount, MIN(taxrate) AS lowest, MAX(taxrate) AS highest \
         FROM transactiontaxdetail WHERE transaction IN ({among})"
    );
    let keys = &[("transaction", "transaction"), ("line", "line")];
    Keyed { what: "state their taxes", sql, group: " GROUP BY transaction, line", keys }.ask(client, rows_max).await
}

/// What these documents were made from or are applied to.
pub(super) async fn links(client: &Client, rows_max: usize, ids: &[String]) -> Result<Vec<Row>, Fault> {
    let among = list(ids);
    if among.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT DISTINCT nextdoc, previousdoc FROM PreviousTransactionLineLink WHERE nextdoc IN ({among})");
    let keys = &[("nextdoc", "nextdoc"), ("previousdoc", "previousdoc")];
    let found = Keyed { what: "state what they belong to", sql, group: "", keys }.if_shown(client, rows_max).await?;
    Ok(found.unwrap_or_default())
}

/// The documents with these ids, as far as it takes to tell of which order they are.
pub(super) async fn origins(
    client: &Client,
    rows_max: usize,
    ids: &[String],
    settings: &StatementSettings,
) -> Result<Vec<Row>, Fault> {
    let among = list(ids);
    if among.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT t.id, t.type, t.tranid, t.externalid, t.otherrefnum, t.memo{}, l.createdfrom FROM transaction t \
         LEFT JOIN transactionline l ON l.transaction = t.id AND l.mainline = 'T' WHERE t.id IN ({among})",
        custom(settings)
    );
    Keyed { what: "state their orders", sql, group: "", keys: &[("t.id", "id")] }.ask(client, rows_max).await?
}

/// The parts of these kits.
pub(super) async fn members(client: &Client, rows_max: usize, kits: &[String]) -> Result<Vec<Row>, Fault> {
    let among = list(kits);
    if among.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT m.parentitem, m.item, m.quantity, i.itemid FROM itemmember m INNER JOIN item i ON i.id = m.item WHERE m.parentitem IN ({among})"
    );
    let keys = &[("m.parentitem", "parentitem"), ("m.item", "item")];
    let found = Keyed { what: "read the parts of kits", sql, group: "", keys }.if_shown(client, rows_max).await?;
    Ok(found.unwrap_or_default())
}

/// The shipping items, by their ids.
pub(super) async fn shipping_items(client: &Client, rows_max: usize) -> Result<Vec<Row>, Fault> {
    let sql = "SELECT id, itemid FROM shipitem WHERE id IS NOT NULL".to_owned();
    let found = Keyed { what: "list shipping items", sql, group: "", keys: &[("id", "id")] }.if_shown(client, rows_max).await?;
    Ok(found.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_and_plain_names_get_into_a_query() {
        let ids = ["7", "12", "7", "", "1) OR (1=1", "x"].map(str::to_owned);
        assert_eq!(list(&ids), "12,7");
        assert!(is_plain("custbody_shop_no2") && !is_plain("custbody x") && !is_plain("CustBody") && !is_plain(""));
        let settings = StatementSettings {
            order_key: Some(OrderKey::Custom("custbody_no".to_owned())),
            strip: String::new(),
            tracking: false,
        };
        let heads = Heads {
            query_type: "SalesOrd",
            one_world: false,
            priced: true,
            hidden: Hidden { people: true, method: true, ..Hidden::default() },
            settings: &settings,
            reference: Some("a;b"),
        };
        let sql = heads.sql();
        assert!(sql.contains("t.custbody_no AS order_text") && !sql.contains("a;b") && !sql.contains("subsidiary"), "{sql}");
        assert!(!sql.contains("mail") && !sql.contains("shipmethod") && !sql.contains("customer"), "{sql}");
        assert!(!sql.contains("OFFSET") && sql.ends_with("ORDER BY t.id"));
    }
}
