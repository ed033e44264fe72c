//! Levels into Centra.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use selvedge_connector::{Fault, Figure, Finding, Priority, Receipt, Request, StockSink};
use selvedge_model::{ExternalId, LocationId, Problem};
use serde_json::{Value, json};

use super::{
    super::{graphql::Api, operations, settings::Settings},
    draws, inspect,
};
use crate::complaint::cause_of;

/// What Centra keeps beside each change: who made it.
const DESCRIPTION: &str = "Selvedge";

/// Writes physical figures into the warehouses of one instance, by `setStock`.
///
/// A refusal is [`Fault::Refused`] with one problem per `userErrors` entry, and a problem whose path is
/// `productSizes.17` is about the figure with the index 17 among those that were encoded; any other path is about the
/// call. Whether the other figures of a refused call were taken is not documented: read them back before anything is
/// concluded, as after [`Fault::Unanswered`]. A figure below what is allocated may be lifted to that in silence
/// (documented for the older API alone), which also shows only when it is read back.
#[derive(Debug)]
pub struct Sink {
    api: Arc<Api>,
    batch: u32,
}

impl Sink {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings) -> Self {
        Self { api, batch: settings.stock_batch }
    }
}

/// An id of Centra's as a number, or what was written instead, for [`faulty`] to find.
fn id(text: &str) -> Value {
    super::number(text).map_or_else(|| json!(text), |number| json!(number))
}

/// What Centra's types cannot carry, found before anything leaves.
fn faulty(body: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !body["warehouse"].is_number() {
        problems.push(super::no_warehouse(body["warehouse"].as_str().unwrap_or_default()));
    }
    for (index, row) in body["productSizes"].as_array().into_iter().flatten().enumerate() {
        let whole = row["quantity"].as_i64().and_then(|units| i32::try_from(units).ok());
        if whole.is_none_or(|units| units < 0) {
            let problem = Problem::new(
                "stock.figure",
                format!("productSizes.{index}"),
                format!("{} is no figure that Centra keeps: it takes 0 to {}", row["quantity"], i32::MAX),
                "Mend the figure at its source.",
            );
            problems.push(problem.value(row["quantity"].to_string()));
        }
    }
    problems
}

/// `input.productSizes.17.productSize` → `productSizes.17`.
fn our_path(path: &str) -> String {
    let mut parts = path.split('.').skip_while(|part| *part != "productSizes");
    match (parts.next(), parts.next().filter(|index| index.parse::<usize>().is_ok())) {
        (Some(list), Some(index)) => format!("{list}.{index}"),
        _ => path.to_owned(),
    }
}

/// A refusal in the words of stock.
fn refusal(problem: Problem) -> Problem {
    let path = our_path(&problem.path);
    Problem::new(
        "stock.refused",
        path,
        format!("Centra: {}", problem.message.chars().take(600).collect::<String>()),
        "Mend what Centra names. A bundle has no stock of its own: take it out of the flow, its parts are kept instead.",
    )
    .cause(cause_of(&problem.message))
}

#[async_trait]
impl StockSink for Sink {
    fn batch_max(&self) -> usize {
        usize::try_from(self.batch).unwrap_or(1)
    }

    /// The body is the variables of the operation; the index of a row is that of its figure. A size goes by its id, and
    /// by its SKU where the id is none of Centra's.
    fn encode(&self, place: &LocationId, figures: &[Figure]) -> Request {
        let rows: Vec<Value> = figures
            .iter()
            .map(|figure| {
                let size = match super::number(figure.item.as_str()) {
                    Some(number) => json!({ "id": number }),
                    None => json!({ "SKU": figure.sku }),
                };
                json!({ "productSize": size, "quantity": figure.units })
            })
            .collect();
        Request {
            what: format!("set the stock of {} sizes in warehouse {place}", figures.len()),
            method: "POST".to_owned(),
            path: "/graphql".to_owned(),
            body: json!({ "warehouse": id(place.as_str()), "description": DESCRIPTION, "productSizes": rows }),
            update: Some(ExternalId::new(place.as_str())),
            unfinished: false,
        }
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let what = &request.what;
        let problems = faulty(&request.body);
        if !problems.is_empty() {
            return Err(Fault::Refused { what: what.clone(), problems });
        }
        let reply = self.api.ask(&operations::SET_STOCK, request.body.clone(), what, Priority::Stock).await?;
        match reply.payload() {
            Ok(warnings) => Ok(Receipt { id: request.update.clone(), warnings }),
            Err(Fault::Refused { what, problems }) => {
                Err(Fault::Refused { what, problems: problems.into_iter().map(refusal).collect() })
            }
            Err(fault) => Err(fault),
        }
    }

    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
        draws::draws(&self.api).await
    }

    async fn inspect(&self, places: &[LocationId]) -> Vec<Finding> {
        inspect::warehouses(&self.api, places).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_figure_or_stays_as_it_is() {
        for (theirs, ours) in [
            ("input.productSizes.17.productSize", "productSizes.17"),
            ("productSizes.0", "productSizes.0"),
            ("input.productSizes.3.quantity", "productSizes.3"),
            ("input.productSizes", "input.productSizes"),
            ("input.productSizes.x", "input.productSizes.x"),
            ("input.warehouse", "input.warehouse"),
            ("", ""),
        ] {
            assert_eq!(our_path(theirs), ours);
        }
    }

    #[test]
    fn the_same_complaint_about_two_sizes_has_one_cause() {
        let cause = |text: &str| refusal(Problem::new("source.refused", "", text, "")).cause;
        assert_eq!(cause("Product size 17 is a bundle"), cause("Product size 18 is a bundle"));
        assert_ne!(cause("Product size 17 is a bundle"), cause("Product size 17 does not exist"));
    }
}
