//! From a GraphQL document to a plan: what to write for each concrete type, in order.
//!
//! The document is parsed and validated by `apollo-compiler` against the schema; introspection is its
//! own too. Execution is ours: a stand-in shares two cores with what is measured, and a plan that is
//! made once per document and written straight as text costs a small part of a general executor.

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::ast::Value as Literal;
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::introspection;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use serde_json::{Map, Value, json};

/// The variables of a request, after coercion to the types the operation declares.
pub type Variables = Map<String, Value>;

/// One argument as written: a value, with variables still in it.
#[derive(Clone, Debug)]
enum Argument {
    Value(Value),
    Variable(String),
    List(Vec<Argument>),
    Object(Vec<(String, Argument)>),
}

impl Argument {
    fn of(literal: &Literal) -> Argument {
        match literal {
            Literal::Null => Self::Value(Value::Null),
            Literal::Enum(name) => Self::Value(Value::from(name.as_str())),
            Literal::Variable(name) => Self::Variable(name.to_string()),
            Literal::String(text) => Self::Value(Value::from(text.as_str())),
            // Kept as text, so that a decimal stays the decimal it was.
            Literal::Float(number) => Self::Value(number_value(number.as_str())),
            Literal::Int(number) => Self::Value(number_value(number.as_str())),
            Literal::Boolean(flag) => Self::Value(Value::from(*flag)),
            Literal::List(items) => Self::List(items.iter().map(|item| Self::of(item)).collect()),
            Literal::Object(fields) => {
                Self::Object(fields.iter().map(|(name, value)| (name.to_string(), Self::of(value))).collect())
            }
        }
    }

    fn value(&self, variables: &Variables) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Variable(name) => variables.get(name).cloned(),
            Self::List(items) => {
                Some(Value::Array(items.iter().map(|item| item.value(variables).unwrap_or(Value::Null)).collect()))
            }
            Self::Object(fields) => Some(Value::Object(
                fields.iter().filter_map(|(name, field)| Some((name.clone(), field.value(variables)?))).collect(),
            )),
        }
    }
}

fn number_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// One field to write.
#[derive(Clone, Debug)]
pub struct Pick {
    /// `"key":`, ready to be written.
    pub key: String,
    /// The response key alone.
    pub alias: String,
    /// The field's name.
    pub name: String,
    arguments: Vec<(String, Argument)>,
    including_tax: Option<bool>,
    shapes: Vec<(String, Vec<Pick>)>,
    /// What it costs, once or per row; `None` when that depends on variables.
    cost: Option<u64>,
    /// What it costs by itself, without what is below it.
    own: u64,
    paged: bool,
}

impl Pick {
    /// The value of an argument, if one was given.
    pub fn argument(&self, name: &str, variables: &Variables) -> Option<Value> {
        self.arguments
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, argument)| argument.value(variables))
            .filter(|value| !value.is_null())
    }

    /// The `includingTax` argument; true unless said otherwise.
    pub fn including_tax(&self, variables: &Variables) -> bool {
        self.including_tax
            .unwrap_or_else(|| self.argument("includingTax", variables).and_then(|value| value.as_bool()).unwrap_or(true))
    }

    /// What to write of the value if it is of this concrete type.
    pub fn shape(&self, type_name: &str) -> &[Pick] {
        self.shapes.iter().find(|(known, _)| known == type_name).map_or(&[], |(_, picks)| picks)
    }

    /// The concrete type of a field that can have only one.
    pub fn only_shape(&self) -> &str {
        self.shapes.first().map_or("", |(name, _)| name)
    }

    fn complexity(&self, variables: &Variables) -> u64 {
        let cost = self.cost.unwrap_or_else(|| self.own.saturating_add(dearest(&self.shapes, variables)));
        if !self.paged {
            return cost;
        }
        let rows = PAGE_SIZES.iter().find_map(|name| self.argument(name, variables).and_then(|v| v.as_u64())).unwrap_or(20);
        cost.saturating_mul(rows)
    }

    /// Whether what it costs depends on the variables of the request.
    fn cost_varies(&self) -> bool {
        let by_variable = |name: &str| {
            self.arguments.iter().any(|(known, argument)| known == name && matches!(argument, Argument::Variable(_)))
        };
        self.cost.is_none() || self.paged && PAGE_SIZES.iter().any(|name| by_variable(name))
    }
}

/// Arguments that say how many rows are wanted.
const PAGE_SIZES: &[&str] = &["limit", "first", "last"];

/// What the dearest of the possible types costs.
fn dearest(shapes: &[(String, Vec<Pick>)], variables: &Variables) -> u64 {
    let cost = |picks: &[Pick]| picks.iter().map(|pick| pick.complexity(variables)).fold(0, u64::saturating_add);
    shapes.iter().map(|(_, picks)| cost(picks)).max().unwrap_or(0)
}

/// What a field costs by itself. Of stock, what is free to allocate costs nothing and every other quantity is expensive, as
/// Centra says; how expensive is our figure. All else is 1.
fn own_cost(type_name: &str, field: &str) -> u64 {
    match (type_name, field) {
        ("Stock" | "StockTotals", "freeToAllocateQuantity") => 0,
        ("Stock" | "StockTotals", quantity) if quantity.ends_with("Quantity") => QUANTITY_COST,
        _ => 1,
    }
}

/// What a quantity of stock costs that must be counted together.
const QUANTITY_COST: u64 = 10;

/// An operation ready to run.
#[derive(Debug)]
pub struct Plan {
    /// Whether it is a mutation.
    pub mutation: bool,
    /// The root fields, in order.
    pub root: Vec<Pick>,
    /// The permissions it needs, each with the root field that needs it first.
    pub permissions: Vec<(&'static str, String)>,
    introspects: bool,
}

impl Plan {
    /// What the operation costs. The formula is ours: Centra tells the figure, not how it comes about.
    pub fn complexity(&self, variables: &Variables) -> u64 {
        let fields: u64 = self.root.iter().map(|pick| pick.complexity(variables)).fold(0, u64::saturating_add);
        let mutations = if self.mutation { 100 * u64::try_from(self.root.len()).unwrap_or(1) } else { 0 };
        fields.saturating_add(mutations).saturating_add(8)
    }
}

/// A validated document and the plans made of it so far.
#[derive(Debug)]
pub struct Document {
    document: Valid<ExecutableDocument>,
    /// Whether a plan depends on the variables, because of `@skip` or `@include`.
    conditional: bool,
}

/// A refused request: the body of its 400.
#[derive(Debug)]
pub struct Refusal(pub Value);

impl Refusal {
    /// A refusal with one message.
    pub fn new(message: impl Into<String>) -> Refusal {
        let message: String = message.into();
        Refusal(json!({"errors": [{"message": message, "extensions": {"category": "graphql"}}]}))
    }
}

/// The schema, and what is derived from it once.
#[derive(Debug)]
pub struct Contract {
    schema: Valid<Schema>,
    implementers: ApolloMap<Name, Implementers>,
    possible: HashMap<String, Vec<String>>,
}

impl Contract {
    /// Reads the schema. Errors when it is not valid.
    pub fn read(text: &str) -> anyhow::Result<Contract> {
        let schema = Schema::parse_and_validate(text, "schema.graphql")
            .map_err(|broken| anyhow::anyhow!("the schema is broken: {}", broken.errors))?;
        let implementers = schema.implementers_map();
        let mut possible = HashMap::new();
        for (name, definition) in &schema.types {
            let mut types: Vec<String> = match definition {
                ExtendedType::Object(_) => vec![name.to_string()],
                ExtendedType::Interface(_) => implementers
                    .get(name)
                    .map(|found| found.objects.iter().map(ToString::to_string).collect())
                    .unwrap_or_default(),
                ExtendedType::Union(union) => union.members.iter().map(|member| member.to_string()).collect(),
                _ => continue,
            };
            types.sort();
            possible.insert(name.to_string(), types);
        }
        Ok(Contract { schema, implementers, possible })
    }

    /// The schema itself.
    #[cfg(test)]
    pub fn schema(&self) -> &Valid<Schema> {
        &self.schema
    }

    /// The concrete types a value of this type can have.
    #[cfg(test)]
    pub fn possible_types(&self, name: &str) -> Vec<String> {
        self.possible.get(name).cloned().unwrap_or_default()
    }

    /// Parses and validates a document.
    pub fn document(&self, text: &str) -> Result<Document, Refusal> {
        match ExecutableDocument::parse_and_validate(&self.schema, text, "query.graphql") {
            Ok(document) => {
                let conditional = text.contains("@skip") || text.contains("@include");
                Ok(Document { document, conditional })
            }
            Err(broken) => {
                let errors: Vec<Value> = broken
                    .errors
                    .iter()
                    .map(|fault| {
                        let fault = fault.to_json();
                        let places: Vec<Value> =
                            fault.locations.iter().map(|place| json!({"line": place.line, "column": place.column})).collect();
                        json!({
                            "message": fault.message,
                            "locations": places,
                            "extensions": {"category": "graphql"},
                        })
                    })
                    .collect();
                Err(Refusal(json!({ "errors": errors })))
            }
        }
    }

    fn operation<'a>(&self, document: &'a Document, name: Option<&str>) -> Result<&'a Node<Operation>, Refusal> {
        document.document.operations.get(name).map_err(|fault| Refusal::new(fault.message().to_string()))
    }

    /// Coerces a request's variables to the types its operation declares.
    pub fn variables(&self, document: &Document, name: Option<&str>, raw: &JsonMap) -> Result<Variables, Refusal> {
        let operation = self.operation(document, name)?;
        let coerced =
            coerce_variable_values(&self.schema, operation, raw).map_err(|fault| Refusal::new(fault.message().to_string()))?;
        match serde_json::to_value(&*coerced) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(Refusal::new("the variables cannot be read")),
        }
    }

    /// Plans one operation of a document.
    pub fn plan(&self, document: &Document, name: Option<&str>, variables: &Variables) -> Result<Plan, Refusal> {
        let operation = self.operation(document, name)?;
        if operation.is_subscription() {
            return Err(Refusal::new("subscriptions are not offered"));
        }
        let planner = Planner { contract: self, document: &document.document, variables };
        let mut permissions = Vec::new();
        let root_type = operation.object_type().to_string();
        let root = planner.picks(&root_type, &[&operation.selection_set]);
        for pick in &root {
            let mut needed = BTreeSet::new();
            needs(&root_type, std::slice::from_ref(pick), &mut needed);
            for permission in needed {
                if !permissions.iter().any(|(known, _)| *known == permission) {
                    permissions.push((permission, pick.alias.clone()));
                }
            }
        }
        let introspects = root.iter().any(|pick| pick.name == "__schema" || pick.name == "__type");
        Ok(Plan { mutation: operation.is_mutation(), root, permissions, introspects })
    }

    /// Whether plans of this document may be kept.
    pub fn keeps(&self, document: &Document) -> bool {
        !document.conditional
    }

    /// The answers to `__schema` and `__type` of an operation; empty when it asks neither.
    pub fn introspect(
        &self,
        document: &Document,
        name: Option<&str>,
        plan: &Plan,
        raw: &JsonMap,
    ) -> Result<Map<String, Value>, Refusal> {
        if !plan.introspects {
            return Ok(Map::new());
        }
        let operation = self.operation(document, name)?;
        let coerced =
            coerce_variable_values(&self.schema, operation, raw).map_err(|fault| Refusal::new(fault.message().to_string()))?;
        introspection::check_max_depth(&document.document, operation)
            .map_err(|fault| Refusal::new(fault.message().to_string()))?;
        let answer = introspection::partial_execute(&self.schema, &self.implementers, &document.document, operation, &coerced)
            .map_err(|fault| Refusal::new(fault.message().to_string()))?;
        match serde_json::to_value(&answer.data) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(Refusal::new("introspection failed")),
        }
    }
}

struct Planner<'a> {
    contract: &'a Contract,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
}

impl<'a> Planner<'a> {
    /// The fields to write for an object of `type_name` that all of `sets` are asked of.
    fn picks(&self, type_name: &str, sets: &[&'a SelectionSet]) -> Vec<Pick> {
        let mut keys: Vec<&'a Name> = Vec::new();
        let mut fields: HashMap<&'a Name, Vec<&'a Field>> = HashMap::new();
        for set in sets {
            self.collect(type_name, set, &mut keys, &mut fields);
        }
        keys.into_iter().filter_map(|key| self.pick(type_name, key, fields.get(key)?)).collect()
    }

    fn collect(
        &self,
        type_name: &str,
        set: &'a SelectionSet,
        keys: &mut Vec<&'a Name>,
        fields: &mut HashMap<&'a Name, Vec<&'a Field>>,
    ) {
        for selection in &set.selections {
            if self.skipped(selection) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key();
                    let known = fields.entry(key).or_default();
                    if known.is_empty() {
                        keys.push(key);
                    }
                    known.push(field);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.applies(type_name, fragment.type_condition())
                    {
                        self.collect(type_name, &fragment.selection_set, keys, fields);
                    }
                }
                Selection::InlineFragment(inline) => {
                    if inline.type_condition.as_ref().is_none_or(|on| self.applies(type_name, on)) {
                        self.collect(type_name, &inline.selection_set, keys, fields);
                    }
                }
            }
        }
    }

    fn applies(&self, type_name: &str, condition: &str) -> bool {
        self.contract.possible.get(condition).is_some_and(|types| types.iter().any(|known| known == type_name))
    }

    fn skipped(&self, selection: &Selection) -> bool {
        let condition = |directive: &str| {
            let found = selection.directives().get(directive)?;
            let value = Argument::of(found.specified_argument_by_name("if")?);
            value.value(self.variables)?.as_bool()
        };
        condition("skip").unwrap_or(false) || !condition("include").unwrap_or(true)
    }

    fn pick(&self, type_name: &str, key: &Name, fields: &[&'a Field]) -> Option<Pick> {
        let field = fields.first()?;
        let sets: Vec<&'a SelectionSet> =
            fields.iter().map(|field| &field.selection_set).filter(|set| !set.selections.is_empty()).collect();
        let shapes = if sets.is_empty() || field.name.starts_with("__") {
            Vec::new()
        } else {
            self.contract
                .possible
                .get(field.ty().inner_named_type().as_str())
                .into_iter()
                .flatten()
                .map(|concrete| (concrete.clone(), self.picks(concrete, &sets)))
                .collect()
        };
        let arguments: Vec<(String, Argument)> =
            field.arguments.iter().map(|argument| (argument.name.to_string(), Argument::of(&argument.value))).collect();
        let including_tax = match arguments.iter().find(|(name, _)| name == "includingTax") {
            None => Some(true),
            Some((_, Argument::Value(value))) => value.as_bool(),
            Some(_) => None,
        };
        let paged = field.definition.arguments.iter().any(|a| a.name == "limit" || a.name == "first");
        let own = own_cost(type_name, &field.name);
        let varies = shapes.iter().any(|(_, picks): &(String, Vec<Pick>)| picks.iter().any(Pick::cost_varies));
        let cost = (!varies).then(|| own.saturating_add(dearest(&shapes, self.variables)));
        Some(Pick {
            key: format!("\"{key}\":"),
            alias: key.to_string(),
            name: field.name.to_string(),
            arguments,
            including_tax,
            shapes,
            cost,
            own,
            paged,
        })
    }
}

/// Which permission a field of a type needs. Names seen in Centra's papers, else by their pattern.
fn permission(type_name: &str, field: &str) -> Option<&'static str> {
    Some(match (type_name, field) {
        (_, "__typename") => return None,
        ("DirectToConsumerOrder", "shippingAddress") => "Order.shippingAddress:read",
        ("DirectToConsumerOrder", "billingAddress") => "Order.billingAddress:read",
        ("DirectToConsumerOrder", "internalComment") => "Order.internalComment:read",
        ("DirectToConsumerOrder", "userIP") => "Order.userIP:read",
        ("DirectToConsumerOrder", "attributes") => "Order.attributes:read",
        ("DirectToConsumerOrder", "paymentHistory") => "PaymentHistory:read",
        ("DirectToConsumerOrder", "customer") => "Customer:read",
        ("DirectToConsumerOrder", "shipments") => "Shipment:read",
        ("DirectToConsumerOrder" | "DirectToConsumerShipment", "returns") => "Return:read",
        // The next five follow the pattern of orders (inferred).
        ("PaymentHistoryEntry", "return") => "Return:read",
        ("DirectToConsumerReturn", "shipment") => "Shipment:read",
        ("DirectToConsumerReturn", "order") => "Order:read",
        ("DirectToConsumerReturn", "refundPaymentHistory") => "PaymentHistory:read",
        ("DirectToConsumerReturn", "customer") => "Customer:read",
        ("DirectToConsumerReturn", _) => "Return:read",
        ("DirectToConsumerOrder", _) => "Order:read",
        ("ProductOrderLine" | "BundleOrderLine" | "BundleItemOrderLine", "allocations") => "Allocation:read",
        ("ProductSize", "stock" | "stockTotals") => "ProductSize.stock:read",
        ("Warehouse", "stock") => "Warehouse.stock:read",
        ("Product", "brand") => "Brand:read",
        ("Product", "bundle") => "Bundle:read",
        ("Product", "collection") => "Collection:read",
        ("Product", "countryOfOrigin") => "Product.countryOfOrigin:read",
        ("Product", "folder") => "Folder:read",
        ("ProductSize", "productVariant") => "ProductVariant:read",
        // The next two follow the pattern of their neighbours (inferred).
        ("ProductVariant", "product") => "Product:read",
        ("ProductVariant", "prices") => "Price:read",
        ("Bundle" | "Pricelist", "prices") => "Price:read",
        // The next two follow the pattern of the root fields (inferred).
        ("Warehouse", _) => "Warehouse:read",
        ("Stock", "productSize") => "ProductSize:read",
        ("Query", "order" | "orders" | "orderConnection") => "Order:read",
        ("Query", "stores") => "Store:read",
        ("Query", "markets") => "Market:read",
        ("Query", "pricelists") => "Pricelist:read",
        ("Query", "currencies") => "Currency:read",
        ("Query", "countries") => "Country:read",
        ("Query", "warehouses") => "Warehouse:read",
        ("Query", "shippingOptions") => "ShippingOption:read",
        // Inferred from the pattern; the permission of its rules is documented.
        ("Query", "taxGroups") => "TaxGroup:read",
        ("TaxGroup", "rules") => "TaxRule:read",
        ("ShippingOption", "markets") => "Market:read",
        ("Query", "allocationRules") => "AllocationRule:read",
        ("Query", "product" | "products") => "Product:read",
        ("Query", "productVariants") => "ProductVariant:read",
        ("Query", "productSizes") => "ProductSize:read",
        ("Query", "shipments") => "Shipment:read",
        ("Query", "returns") => "Return:read",
        ("Query", "events" | "eventListeners") => "Event:read",
        ("Query", "idConversions") => "IdConversion:read",
        ("Mutation", "setEventListeners" | "unsetEventListeners" | "confirmEvents") => "Event:write",
        ("Mutation", "setIdConversions" | "unsetIdConversions") => "IdConversion:write",
        ("Mutation", "setOrdersLock") => "Order.isLocked:write",
        (
            "Mutation",
            "updateDirectToConsumerOrder"
            | "cancelDirectToConsumerOrder"
            | "confirmOrder"
            | "captureOrder"
            | "allocateOrder"
            | "unallocateOrder"
            | "releaseRemainingOrderAuthorization",
        ) => "Order:write",
        ("Mutation", "createShipment" | "updateShipment" | "captureShipment" | "completeShipment") => "Shipment:write",
        ("Mutation", "createReturn" | "completeReturn" | "uncompleteReturn" | "deleteReturn" | "refundReturn") => "Return:write",
        // Inferred: Centra's papers name the permissions to read stock, not the one to write it.
        ("Mutation", "setStock" | "changeStock") => "StockChange:write",
        _ => return None,
    })
}

fn needs(type_name: &str, picks: &[Pick], found: &mut BTreeSet<&'static str>) {
    for pick in picks {
        found.extend(permission(type_name, &pick.name));
        for (concrete, below) in &pick.shapes {
            needs(concrete, below, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> Contract {
        Contract::read(super::super::SCHEMA).unwrap()
    }

    #[test]
    fn the_schema_is_valid() {
        contract();
    }

    #[test]
    fn fields_of_several_fragments_are_merged() {
        let contract = contract();
        let document = contract
            .document(
                "query A($no: Boolean!) { orders(limit: 3) { number ...F ... on DirectToConsumerOrder { id lines { id } } \
                 status @skip(if: $no) } } fragment F on Order { lines { quantity } number }",
            )
            .unwrap();
        let mut variables = Map::new();
        variables.insert("no".into(), json!(true));
        let plan = contract.plan(&document, None, &variables).unwrap();
        let order = plan.root[0].shape("DirectToConsumerOrder");
        let keys: Vec<&str> = order.iter().map(|p| p.alias.as_str()).collect();
        assert_eq!(keys, ["number", "lines", "id"]);
        let line: Vec<&str> = order[1].shape("ProductOrderLine").iter().map(|p| p.alias.as_str()).collect();
        assert_eq!(line, ["quantity", "id"]);
        assert!(!contract.keeps(&document));
        assert_eq!(plan.permissions, [("Order:read", "orders".to_owned())]);
    }

    #[test]
    fn the_selection_trap_of_events_is_refused() {
        // id is a String on orders and an Int on shipments.
        let clash = "{ events { object { ... on DirectToConsumerOrder { id } ... on DirectToConsumerShipment { id } } } }";
        assert!(contract().document(clash).is_err());
        let aliased = clash.replacen("{ id }", "{ orderId: id }", 1);
        assert!(contract().document(&aliased).is_ok());
    }

    #[test]
    fn variables_must_have_the_declared_types() {
        let contract = contract();
        let wrong = "query($from: String) { orders(where: {updatedAt: {from: $from}}) { number } }";
        assert!(contract.document(wrong).is_err());
        let right = contract.document(&wrong.replace("$from: String", "$from: DateTimeTz")).unwrap();
        let raw: JsonMap = serde_json::from_str(r#"{"from": "2026-01-01T00:00:00Z"}"#).unwrap();
        let variables = contract.variables(&right, None, &raw).unwrap();
        let plan = contract.plan(&right, None, &variables).unwrap();
        let filter = plan.root[0].argument("where", &variables).unwrap();
        assert_eq!(filter, json!({"updatedAt": {"from": "2026-01-01T00:00:00Z"}}));
    }

    #[test]
    fn a_page_size_in_a_variable_counts_at_every_depth() {
        let contract = contract();
        let document =
            contract.document("query($n: Int!) { productSizes(limit: 2) { stock(limit: $n) { __typename } } }").unwrap();
        let with = |n: u64| json!({ "n": n }).as_object().unwrap().clone();
        let plan = contract.plan(&document, None, &with(1)).unwrap();
        assert_eq!(plan.complexity(&with(1)), 8 + 2 * (1 + 2));
        assert_eq!(plan.complexity(&with(100)), 8 + 2 * (1 + 200), "the plan was made with another page size");
    }

    #[test]
    fn complexity_grows_with_the_page() {
        let contract = contract();
        let cost = |text: &str| {
            let document = contract.document(text).unwrap();
            contract.plan(&document, None, &Map::new()).unwrap().complexity(&Map::new())
        };
        assert_eq!(cost("{ rateLimits { quota } }"), 10);
        assert!(cost("{ orders(limit: 200) { number } }") > 5 * cost("{ orders { number } }"));
        let stock = |fields: &str| cost(&format!("{{ productSizes(limit: 200) {{ id stock(limit: 1) {{ {fields} }} }} }}"));
        let bare = stock("__typename");
        assert_eq!(stock("__typename freeToAllocateQuantity"), bare, "what is free costs nothing");
        assert_eq!(stock("__typename physicalQuantity"), bare + 200 * QUANTITY_COST);
    }
}
