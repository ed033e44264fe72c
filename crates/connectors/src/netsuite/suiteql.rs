//! Queries. Pages are cut by key (`id > ? ORDER BY id`), never by offset: without a unique total
//! order rows repeat or vanish between pages (NetSuite help: "Executing SuiteQL Queries Through REST").

use std::collections::BTreeMap;

use selvedge_connector::{Answer, Effect, Fault, Priority};
use serde_json::{Value, json};

use super::client::{Ask, Client, fault, json_of};

/// The most rows that one page has.
pub(crate) const PAGE: usize = 1000;

/// One row: column names in lower case, values as text; a column that is null is absent.
pub(crate) type Row = BTreeMap<String, String>;

/// The rows of one page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub rows: Vec<Row>,
    /// Whether the query has more than these.
    pub more: bool,
}

/// Runs a query for its first `limit` rows.
pub(crate) async fn query(
    client: &Client,
    what: &str,
    sql: &str,
    parameters: &[&str],
    limit: usize,
    priority: Priority,
) -> Result<Rows, Fault> {
    match query_or_refusal(client, what, sql, parameters, limit, priority).await? {
        Ok(rows) => Ok(rows),
        Err((_, fault)) => Err(fault),
    }
}

/// The same, with an answer that is no success beside its fault: some tables exist in some accounts only.
pub(crate) async fn query_or_refusal(
    client: &Client,
    what: &str,
    sql: &str,
    parameters: &[&str],
    limit: usize,
    priority: Priority,
) -> Result<Result<Rows, (Answer, Fault)>, Fault> {
    let mut body = json!({ "q": sql });
    if !parameters.is_empty() {
        body["params"] = json!(parameters);
    }
    let path = format!("/services/rest/query/v1/suiteql?limit={limit}&offset=0");
    let ask = Ask {
        what: what.to_owned(),
        method: "POST",
        path: &path,
        headers: vec![("accept", "application/json"), ("prefer", "transient")],
        body: Some(&body),
        effect: Effect::Read,
        priority,
    };
    let answer = client.ask(&ask).await?;
    if !(200..300).contains(&answer.status) {
        let fault = fault(&ask, &answer);
        return Ok(Err((answer, fault)));
    }
    Ok(Ok(read(&json_of(&ask, &answer)?)))
}

fn read(body: &Value) -> Rows {
    let items = body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows = items.iter().filter_map(Value::as_object).map(|item| {
        item.iter()
            .filter(|(name, _)| *name != "links")
            .filter_map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    Value::Bool(true) => "T".to_owned(),
                    Value::Bool(false) => "F".to_owned(),
                    _ => return None,
                };
                Some((name.to_lowercase(), text))
            })
            .collect()
    });
    Rows { rows: rows.collect(), more: super::wire::truth(body, "hasMore") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_lower_case_and_nulls_absent() {
        let rows = read(
            &json!({"count": "1", "hasMore": true, "items": [{"links": [], "ID": "7", "ItemId": "A-1", "isinactive": "F", "x": null, "n": 3}]}),
        );
        assert!(rows.more);
        let row = &rows.rows[0];
        assert_eq!(
            (row.get("id").map(String::as_str), row.get("itemid").map(String::as_str), row.get("n").map(String::as_str)),
            (Some("7"), Some("A-1"), Some("3"))
        );
        assert!(!row.contains_key("x") && !row.contains_key("links"));
        assert!(read(&json!({"items": 3})).rows.is_empty());
    }
}
