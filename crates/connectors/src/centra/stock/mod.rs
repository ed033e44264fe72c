//! Stock in Centra: what each warehouse keeps of each size, read and written.
//!
//! `decode` reads (pure), `source` and `sink` are the ports, `inspect` is what `check` asks of the warehouses.
//!
//! Centra keeps a *physical* figure per size and warehouse and subtracts its own allocations itself; what is
//! written is the physical one. Bundles are sizes like others in everything that the API documents, so they
//! cannot be told apart here: one is listed with no stock, and `setStock` refuses it by name.

mod decode;
mod draws;
mod inspect;
mod sink;
mod source;

#[cfg(test)]
mod tests;

pub use sink::Sink;
pub use source::Source;

use selvedge_connector::Fault;
use selvedge_model::{LocationId, Problem};

/// The most places that one call asks for: the most rows that Centra gives of a list.
const PLACES_MAX: usize = 200;

/// A warehouse's id as Centra numbers it.
fn number(id: &str) -> Option<i32> {
    // Parsing takes a sign, too; an id of ours has none.
    id.parse().ok().filter(|number| *number > 0 && id.bytes().all(|b| b.is_ascii_digit()))
}

/// The ids of places that a config names.
///
/// # Errors
/// [`Fault::Refused`] naming the place that is no warehouse id, or that there are too many.
fn warehouses(what: &str, places: &[LocationId]) -> Result<Vec<i32>, Fault> {
    let refused = |problem: Problem| Fault::Refused { what: what.to_owned(), problems: vec![problem] };
    if places.len() > PLACES_MAX {
        let message = format!("{} warehouses are asked for at once, more than {PLACES_MAX}", places.len());
        return Err(refused(Problem::new("stock.place", "places", message, "Make several flows of it.")));
    }
    let mut numbers = Vec::new();
    for place in places {
        let number = number(place.as_str()).ok_or_else(|| refused(no_warehouse(place.as_str())))?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn no_warehouse(place: &str) -> Problem {
    Problem::new(
        "stock.place",
        "warehouse",
        format!("{place:?} is not the id of a warehouse"),
        "Write the number under which Centra keeps the warehouse (AMS: Inventory > Warehouses) in the flow's config.",
    )
    .value(place)
    .cause(place)
}
