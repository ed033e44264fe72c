//! `OrderFilter`: which orders a list shows.

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::answer::number_of_id;
use super::dates;
use super::state::{Queue, State};

/// A filter as given. What is not simulated is refused, never ignored.
#[derive(Debug, Default)]
pub struct Filter {
    tests: Vec<(Test, bool)>,
}

/// Seconds since 1970, either end open.
pub type Window = (Option<i64>, Option<i64>);

#[derive(Debug)]
enum Test {
    Ids(Vec<i64>),
    Numbers(Vec<i64>),
    Statuses(Vec<String>),
    /// Seconds since 1970, both ends in.
    Created(Window),
    Updated(Window),
    OnHold(bool),
    WaitingForPayment(bool),
    Locked(bool),
    Internal(bool),
    Markets(Vec<i64>),
    Currencies(Vec<i64>),
    Countries(Vec<i64>),
    Customers(Vec<i64>),
    Externals(Vec<String>),
    Comment(String),
    Search(String),
    /// True for all or for none, as there is one store of one kind.
    All(bool),
}

/// A list argument; a bare scalar counts as a list of one. `None` when it is not given.
pub fn list(filter: &Value, key: &str) -> Option<Vec<Value>> {
    match filter.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) => Some(items.clone()),
        Some(one) => Some(vec![one.clone()]),
    }
}

/// A list argument of whole numbers. `None` when it is not given.
pub fn integers_given(filter: &Value, key: &str) -> Option<Vec<i64>> {
    Some(list(filter, key)?.iter().filter_map(|v| v.as_i64()).collect())
}

fn integers(filter: &Value, key: &str) -> Vec<i64> {
    integers_given(filter, key).unwrap_or_default()
}

fn texts(filter: &Value, key: &str) -> Vec<String> {
    list(filter, key).unwrap_or_default().iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// The ends of a `DateRange`, in seconds since 1970. Errors when one is no date.
pub fn window(range: &Value, zone: &TimeZone) -> Result<Window, String> {
    let end = |name: &str| match range.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(text) => text
            .as_str()
            .and_then(|text| dates::parse(text, zone))
            .map(|at| Some(at.as_second()))
            .ok_or_else(|| format!("{text} is no date")),
    };
    Ok((end("from")?, end("to")?))
}

impl Filter {
    /// Reads the `where` argument. Errors name what is not simulated or cannot be read.
    pub fn read(given: &Value, zone: &TimeZone, store: i32) -> Result<Filter, String> {
        let empty = Map::new();
        let map = given.as_object().unwrap_or(&empty);
        let negated = texts(given, "negate");
        let mut tests = Vec::new();
        for (key, value) in map {
            if value.is_null() || key == "negate" {
                continue;
            }
            let truth = value.as_bool().unwrap_or(false);
            let test = match key.as_str() {
                "id" => Test::Ids(texts(given, key).iter().filter_map(|id| number_of_id(id).map(i64::from)).collect()),
                "number" => Test::Numbers(integers(given, key)),
                "status" => Test::Statuses(texts(given, key)),
                "createdAt" | "orderDate" => Test::Created(window(value, zone)?),
                "updatedAt" => Test::Updated(window(value, zone)?),
                "isOnHold" => Test::OnHold(truth),
                "isWaitingForPayment" => Test::WaitingForPayment(truth),
                "isLocked" => Test::Locked(truth),
                "isInternal" => Test::Internal(truth),
                "isWaitingForCheckFirstAllocation" => Test::All(!truth),
                "marketId" | "pricelistId" => Test::Markets(integers(given, key)),
                "currencyId" => Test::Currencies(integers(given, key)),
                "countryId" => Test::Countries(integers(given, key)),
                "customerId" => Test::Customers(integers(given, key)),
                "storeId" => Test::All(integers(given, key).contains(&i64::from(store))),
                "storeType" => Test::All(value == "DIRECT_TO_CONSUMER"),
                "externalId" => Test::Externals(texts(given, key)),
                "otherComment" => match value.get("equals").and_then(|text| text.as_str()) {
                    Some(text) => Test::Comment(text.to_owned()),
                    None => return Err("otherComment: only equals is simulated".to_owned()),
                },
                "search" => Test::Search(value.as_str().unwrap_or("").to_owned()),
                other => return Err(format!("filtering orders by {other} is not simulated")),
            };
            tests.push((test, negated.contains(key)));
        }
        Ok(Filter { tests })
    }

    /// Whether all orders match.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The numbers that can match at all, when numbers or ids are asked for.
    pub fn only_numbers(&self) -> Option<&[i64]> {
        self.tests.iter().find_map(|(test, negated)| match test {
            Test::Numbers(numbers) | Test::Ids(numbers) if !negated => Some(numbers.as_slice()),
            _ => None,
        })
    }

    /// The window of the last change, in seconds since 1970.
    pub fn updated_window(&self) -> Option<Window> {
        self.tests.iter().find_map(|(test, negated)| match test {
            Test::Updated(window) if !negated => Some(*window),
            _ => None,
        })
    }

    /// Whether a placed order matches.
    pub fn matches(&self, state: &State, index: u32, queue: Option<&Queue>) -> bool {
        self.tests.iter().all(|(test, negated)| test.matches(state, index, queue) != *negated)
    }
}

/// Whether a second lies in a window, both ends in.
pub fn inside((from, to): Window, second: i64) -> bool {
    from.is_none_or(|from| from <= second) && to.is_none_or(|to| second <= to)
}

impl Test {
    fn matches(&self, state: &State, index: u32, queue: Option<&Queue>) -> bool {
        let number = || i64::from(state.number(index));
        match self {
            Self::Ids(numbers) | Self::Numbers(numbers) => numbers.contains(&number()),
            Self::Statuses(names) => names.iter().any(|name| name == state.life(index).status.name()),
            Self::Created(window) => inside(*window, state.created(index).as_second()),
            Self::Updated(window) => inside(*window, state.key(super::state::Sort::Updated, index).0),
            Self::OnHold(flag) => state.life(index).on_hold == *flag,
            Self::WaitingForPayment(flag) => state.life(index).waiting_for_payment == *flag,
            Self::Locked(flag) => state.life(index).locked == *flag,
            Self::Internal(flag) => state.life(index).internal == *flag,
            Self::Markets(ids) => {
                let market = state.base(index).market;
                let market = state.catalogue.markets().get(market);
                market.is_some_and(|market| ids.contains(&i64::from(market.id)))
            }
            Self::Currencies(ids) => ids.contains(&i64::from(state.base(index).currency.id)),
            Self::Countries(ids) => {
                let country = state.base(index).shipping_address.country;
                country.is_some_and(|at| ids.contains(&(i64::from(at) + 1)))
            }
            Self::Customers(ids) => {
                let customer = state.base(index).customer;
                customer.is_some_and(|customer| ids.contains(&i64::from(customer.id)))
            }
            Self::Externals(ids) => queue
                .and_then(|queue| queue.external("Order", number()))
                .is_some_and(|external| ids.iter().any(|id| id == external)),
            Self::Comment(text) => state.order(index).0.comment == *text,
            Self::Search(text) => number().to_string() == *text,
            Self::All(flag) => *flag,
        }
    }
}
