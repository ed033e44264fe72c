//! Orders into and out of the account: sales orders, or cash sales.

use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime};
use selvedge_connector::{
    Answer, Cursor, Decoded, Effect, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Needed, Page, Priority, Raw,
    Receipt, Request, Sink, Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Order, Problem, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
};
use serde_json::Value;

use super::{
    client::{Ask, Client, fault, json_of},
    decode, encode,
    settings::{Document, Form, Tax},
    suiteql, wire,
};

/// Documents of one order number that are told apart: more than one is one too many.
const ALIKE_MAX: usize = 10;
/// Documents of one page of `list`: each is a call of its own.
const LIST_PAGE: usize = 25;

/// Both ports.
pub(crate) struct Orders {
    pub client: Client,
    pub form: Form,
}

impl Orders {
    fn record(&self) -> &'static str {
        self.form.document.record()
    }

    /// One page of our documents in an interval, by the column that counts.
    async fn page(
        &self,
        column: &str,
        interval: &Interval,
        page: Option<&Cursor>,
        limit: usize,
    ) -> Result<EnumeratedPage, Fault> {
        // Stored at second granularity: a part of a second at the end must not cut a row off.
        let zone = &self.form.query_time_zone;
        let text = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let sql = format!(
            "SELECT id, externalid, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm FROM transaction WHERE type = '{}' AND id > ? \
             AND {column} >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND {column} <= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') ORDER BY id",
            self.form.document.query_type()
        );
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let rows = suiteql::query(
            &self.client,
            "list orders",
            &sql,
            &[last, &text(interval.from), &text(interval.to)],
            limit,
            Priority::Sweeps,
        )
        .await?;
        let full = rows.more || rows.rows.len() >= limit;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        let items = rows.rows.iter().filter_map(|row| self.enumerated(row)).collect();
        Ok(EnumeratedPage { items, next })
    }

    /// A document of ours; the account's own are nobody's business here.
    fn enumerated(&self, row: &suiteql::Row) -> Option<Enumerated> {
        let key = wire::key_of_external_id(self.form.document.prefix(), row.get("externalid")?)?;
        let version = row.get("lm").and_then(|text| text.parse::<DateTime>().ok());
        let version = version.and_then(|local| self.form.query_time_zone.to_timestamp(local).ok());
        Some(Enumerated { id: ExternalId::new(row.get("id")?), key: Some(RecordKey::new(key)), version })
    }
}

#[async_trait]
impl Sink<Order> for Orders {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        encode::order_lookups(order, &self.form)
    }

    fn needs(&self, order: &Order) -> Option<Need> {
        let customer = order.customer.as_ref().filter(|_| encode::wants_customer(order, &self.form))?;
        Some(Need {
            key_text: encode::customer_key_text(customer),
            table: "customer".to_owned(),
            what: Needed::Record(customer.clone().into()),
        })
    }

    fn encode(&self, order: &Order, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        encode::order(order, values, there.own, &self.form)
    }

    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        let key = &record.number;
        let external_id = wire::external_id(self.form.document.prefix(), key.as_str());
        let sql = format!("SELECT id FROM transaction WHERE externalid = ? AND type = '{}'", self.form.document.query_type());
        find(&self.client, &sql, &external_id).await
    }

    /// By the field that people see as PO number: whoever enters the shop's orders writes their number there.
    async fn find_alike(&self, record: &Order) -> Result<Vec<Found>, Fault> {
        let number = record.number.as_str();
        let sql = format!(
            "SELECT id FROM transaction WHERE otherrefnum = ? AND type = '{}' ORDER BY id",
            self.form.document.query_type()
        );
        let what = format!("find by number {number}");
        let rows = suiteql::query(&self.client, &what, &sql, &[number], ALIKE_MAX, Priority::Orders).await?;
        Ok(rows.rows.iter().filter_map(|row| row.get("id")).map(|id| Found { id: ExternalId::new(id) }).collect())
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        Carries {
            amounts: true,
            line_tax: self.form.tax == Tax::Suite,
            shipping_address: true,
            billing_address: true,
            // The customer is compared by its mapped id, among the values.
            customer: false,
            status: self.form.document == Document::SalesOrder,
            shipping_charge: true,
            placed_on: true,
            ..Carries::default()
        }
    }
}

#[async_trait]
impl Source<Order> for Orders {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Order> {
        decode::order(raw, words, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let found = self.page("lastmodifieddate", interval, page, LIST_PAGE).await?;
        let mut raws = Vec::new();
        for item in &found.items {
            raws.extend(fetch(&self.client, Kind::Order, self.record(), &item.id, Priority::Sweeps).await?);
        }
        Ok(Page { raws, next: found.next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page("createddate", interval, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(fetch(&self.client, Kind::Order, self.record(), id, priority).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

/// Looks for a document by our external id.
pub(crate) async fn find(client: &Client, sql: &str, external_id: &str) -> Result<Option<Found>, Fault> {
    let rows = suiteql::query(client, &format!("find {external_id}"), sql, &[external_id], 10, Priority::Orders).await?;
    Ok(rows.rows.first().and_then(|row| row.get("id")).map(|id| Found { id: ExternalId::new(id) }))
}

/// Sends a request, once.
pub(crate) async fn put(client: &Client, request: &Request) -> Result<Receipt, Fault> {
    let ask = Ask {
        what: request.what.clone(),
        // A change of one document may be the making of another: goods arrive under their authorization.
        method: if request.method == "PATCH" { "PATCH" } else { "POST" },
        path: &request.path,
        // Without it a misspelt member is dropped with no more than a warning.
        headers: vec![("accept", "application/json"), ("x-netsuite-propertynamevalidation", "Error")],
        body: Some(&request.body),
        effect: Effect::Write,
        priority: Priority::Orders,
    };
    let answer = client.succeed(&ask).await?;
    Ok(receipt(request, &answer))
}

fn receipt(request: &Request, answer: &Answer) -> Receipt {
    let located = answer.header("location").and_then(id_of_location);
    let in_body = || wire::id(&serde_json::from_slice::<Value>(&answer.body).ok()?, "id").map(ExternalId::new);
    let warnings = answer.headers.iter().filter(|(name, value)| name.contains("warning") && !value.trim().is_empty());
    Receipt {
        // A change keeps its id, whatever the answer says or leaves out.
        id: request.update.clone().or(located).or_else(in_body),
        warnings: warnings.map(|(_, value)| value.chars().take(400).collect()).collect(),
    }
}

/// The id at the end of `.../record/v1/salesOrder/1042`, whatever host stands before it.
fn id_of_location(location: &str) -> Option<ExternalId> {
    let path = location.split(['?', '#']).next()?.trim_end_matches('/');
    let last = path.rsplit('/').next()?;
    (!last.is_empty() && last.chars().all(|c| c.is_ascii_digit())).then(|| ExternalId::new(last))
}

/// One document as it stands; `None` when it is not there.
pub(crate) async fn fetch(
    client: &Client,
    kind: Kind,
    record: &str,
    id: &ExternalId,
    priority: Priority,
) -> Result<Option<Raw>, Fault> {
    if id.as_str().is_empty() || !id.as_str().chars().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let path = format!("{}/{record}/{id}?expandSubResources=true", encode::RECORDS);
    let ask = Ask::get(format!("read {record} {id}"), &path, priority);
    let answer = client.ask(&ask).await?;
    match answer.status {
        200..=299 => {
            let document = json_of(&ask, &answer)?;
            let version =
                wire::text(&document, "lastModifiedDate").and_then(|text| selvedge_model::moment::with_offset(&text).ok());
            Ok(Some(Raw { kind, id: id.clone(), version, body: answer.body }))
        }
        _ if is_absent(&answer) => Ok(None),
        _ => Err(fault(&ask, &answer)),
    }
}

/// Not there: said as 404, or for a transaction as a 400 that its type is another.
fn is_absent(answer: &Answer) -> bool {
    let details = super::errors::details(&answer.body);
    match answer.status {
        // A page instead of an answer is a wrong address, and says nothing about the document.
        404 => answer.body.is_empty() || serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body.is_object()),
        400 => details.iter().any(|d| {
            d.code == "NONEXISTENT_ID"
                || d.code == "RCRD_DSNT_EXIST"
                || d.text.to_lowercase().contains("transaction type specified is incorrect")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.as_bytes().to_vec().into(),
        }
    }

    fn request(update: Option<&str>) -> Request {
        Request {
            what: String::new(),
            method: "POST".to_owned(),
            path: String::new(),
            body: Value::Null,
            update: update.map(ExternalId::new),
            unfinished: false,
        }
    }

    #[test]
    fn the_id_stands_at_the_end_of_the_location_of_any_host() {
        for location in [
            "https://1.suitetalk.api.netsuite.com/services/rest/record/v1/salesOrder/1042",
            "/services/rest/record/v1/salesorder/1042/",
            "http://127.0.0.1:9/x/1042?y=1",
        ] {
            assert_eq!(
                receipt(&request(None), &answer(204, &[("location", location)], "")).id,
                Some(ExternalId::new("1042")),
                "{location}"
            );
        }
        assert_eq!(receipt(&request(None), &answer(202, &[("location", "/services/rest/async/v1/job/abc")], "")).id, None);
        assert_eq!(receipt(&request(None), &answer(200, &[], r#"{"id":"7"}"#)).id, Some(ExternalId::new("7")));
        assert_eq!(receipt(&request(Some("5")), &answer(204, &[("location", "/x/9")], "")).id, Some(ExternalId::new("5")));
    }

    #[test]
    fn warnings_are_never_silent() {
        let receipt =
            receipt(&request(Some("5")), &answer(204, &[("x-netsuite-warning", "Unknown property: memmo"), ("x", "y")], ""));
        assert_eq!(receipt.warnings, ["Unknown property: memmo"]);
    }

    #[test]
    fn a_document_that_is_not_there_is_told_from_a_wrong_host() {
        let body = |code: &str, text: &str| {
            format!(r#"{{"title":"x","o:errorDetails":[{{"detail":"{text}","o:errorCode":"{code}"}}]}}"#)
        };
        assert!(is_absent(&answer(404, &[], &body("NONEXISTENT_ID", "no"))));
        assert!(is_absent(&answer(400, &[], &body("USER_ERROR", "Transaction type specified is incorrect."))));
        assert!(!is_absent(&answer(404, &[], "<html>")));
        assert!(!is_absent(&answer(400, &[], &body("USER_ERROR", "something else"))));
    }
}
