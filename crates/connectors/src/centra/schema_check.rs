//! What our operations need, against what a live instance offers.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_connector::FindingLevel;

use super::{
    operations::Need,
    wire::{LiveInput, LiveSchema, LiveType},
};

/// One need that is not met, or only just.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Whether it will not work, or works with less.
    pub level: FindingLevel,
    /// What is otherwise, by name.
    pub message: String,
    /// The optional part that has to be left out of the operations, by its guard.
    pub leave_out: Option<&'static str>,
}

/// Everything that is missing or of another type, by name. Looser nullability than documented is a
/// warning: the decoder copes, but someone should know.
pub fn compare(needs: &[Need], live: &LiveSchema) -> Vec<Unmet> {
    let types: BTreeMap<&str, &LiveType> = live.types.iter().map(|ty| (ty.name.as_str(), ty)).collect();
    let mut unmet = Vec::new();
    let mut missing_types = BTreeSet::new();
    for need in needs {
        let owner = match need {
            Need::Field { owner, .. } | Need::Input { owner, .. } | Need::Value { owner, .. } => *owner,
        };
        match types.get(owner) {
            Some(ty) => one(need, ty, &mut unmet),
            None => {
                let (Need::Field { part, .. } | Need::Input { part, .. } | Need::Value { part, .. }) = *need;
                if missing_types.insert(owner) {
                    unmet.push(Unmet { level: level_of(part), message: format!("the type {owner} is missing"), leave_out: part });
                }
            }
        }
    }
    required_inputs(needs, &types, &mut unmet);
    unmet
}

/// What is left out is done without; the rest is needed.
fn level_of(part: Option<&str>) -> FindingLevel {
    if part.is_some() { FindingLevel::Warning } else { FindingLevel::Bad }
}

fn one(need: &Need, ty: &LiveType, unmet: &mut Vec<Unmet>) {
    match need {
        Need::Field { owner, field, ty: wanted, arguments, part } => {
            let worst = level_of(*part);
            let mut bad = |message: String| unmet.push(Unmet { level: worst, message, leave_out: *part });
            let Some(live) = ty.fields.iter().flatten().find(|f| f.name == *field) else {
                bad(format!("{owner}.{field} is missing"));
                return;
            };
            let found = live.ty.print();
            if shape(&found) != shape(wanted) {
                bad(format!("{owner}.{field} is {found}, it should be {wanted}"));
            } else if looser(&found, wanted) {
                unmet.push(Unmet {
                    level: FindingLevel::Warning,
                    message: format!("{owner}.{field} may be null here: it is {found}, documented is {wanted}"),
                    leave_out: None,
                });
            }
            if live.is_deprecated {
                let reason = live.deprecation_reason.as_deref().unwrap_or("no reason given");
                unmet.push(Unmet {
                    level: FindingLevel::Warning,
                    message: format!("{owner}.{field} is deprecated: {reason}"),
                    leave_out: None,
                });
            }
            let mut bad = |message: String| unmet.push(Unmet { level: worst, message, leave_out: *part });
            for (argument, wanted) in *arguments {
                match live.args.iter().find(|a| a.name == *argument) {
                    None => bad(format!("the argument {argument} of {owner}.{field} is missing")),
                    Some(found) if shape(&found.ty.print()) != shape(wanted) => {
                        bad(format!("the argument {argument} of {owner}.{field} is {}, it should be {wanted}", found.ty.print()));
                    }
                    Some(_) => {}
                }
            }
            for demanded in live.args.iter().filter(|a| is_demanded(a) && !arguments.iter().any(|(name, _)| *name == a.name)) {
                bad(format!("{owner}.{field} demands an argument that we do not know: {}", demanded.name));
            }
        }
        Need::Input { owner, field, ty: wanted, part } => {
            let live = ty.input_fields.iter().flatten().find(|f| f.name == *field).map(|live| live.ty.print());
            let message = match live {
                None => format!("{owner}.{field} is missing"),
                Some(found) if shape(&found) != shape(wanted) => format!("{owner}.{field} is {found}, it should be {wanted}"),
                Some(_) => return,
            };
            unmet.push(Unmet { level: level_of(*part), message, leave_out: *part });
        }
        Need::Value { owner, value, part } => {
            if !ty.enum_values.iter().flatten().any(|v| v.name == *value) {
                let message = format!("the value {value} of {owner} is missing");
                unmet.push(Unmet { level: level_of(*part), message, leave_out: *part });
            }
        }
    }
}

/// Lists of a product that we read as whole, which Centra's guides do, and that this instance cuts by a page size of its own.
pub fn cut_lists(live: &LiveSchema) -> Vec<String> {
    let mut cut = Vec::new();
    for (owner, field) in [("Product", "variants"), ("ProductVariant", "productSizes"), ("BundleSection", "productVariants")] {
        let ty = live.types.iter().find(|ty| ty.name == owner);
        let found = ty.and_then(|ty| ty.fields.iter().flatten().find(|known| known.name == field));
        if found.is_some_and(|found| found.args.iter().any(|arg| arg.name == "limit" && arg.default.is_some())) {
            cut.push(format!("{owner}.{field}"));
        }
    }
    cut
}

/// Fields that an input type demands and our operations do not send.
fn required_inputs(needs: &[Need], types: &BTreeMap<&str, &LiveType>, unmet: &mut Vec<Unmet>) {
    let mut sent: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for need in needs {
        if let Need::Input { owner, field, .. } = need {
            sent.entry(owner).or_default().insert(field);
        }
    }
    for (owner, fields) in sent {
        let live = types.get(owner).and_then(|ty| ty.input_fields.as_ref());
        for demanded in live.into_iter().flatten().filter(|f| is_demanded(f) && !fields.contains(f.name.as_str())) {
            let message = format!("{owner} demands a field that we do not know: {}", demanded.name);
            unmet.push(Unmet { level: FindingLevel::Bad, message, leave_out: None });
        }
    }
}

fn is_demanded(input: &LiveInput) -> bool {
    input.ty.kind == "NON_NULL" && input.default.is_none()
}

/// The type without its nullability: `[Int!]!` → `[Int]`.
fn shape(ty: &str) -> String {
    ty.chars().filter(|c| *c != '!').collect()
}

/// Whether something that we count on is nullable here. Both types have the same shape.
fn looser(found: &str, wanted: &str) -> bool {
    // Walk both from the outside in; a `!` after a closing bracket or name belongs to that level.
    let levels = |ty: &str| {
        let mut rest = ty.to_owned();
        let mut levels = Vec::new();
        loop {
            levels.push(rest.ends_with('!'));
            let bare = rest.trim_end_matches('!');
            match bare.strip_prefix('[').and_then(|b| b.strip_suffix(']')) {
                Some(inner) => rest = inner.to_owned(),
                None => return levels,
            }
        }
    };
    levels(found).into_iter().zip(levels(wanted)).any(|(found, wanted)| wanted && !found)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::centra::{operations::NEEDS, wire::LiveField};

    /// A live schema that offers exactly what we need.
    fn enough() -> LiveSchema {
        let mut types: BTreeMap<&str, LiveType> = BTreeMap::new();
        for need in NEEDS {
            let (Need::Field { owner, .. } | Need::Input { owner, .. } | Need::Value { owner, .. }) = *need;
            let ty = types.entry(owner).or_insert_with(|| LiveType { name: owner.to_owned(), ..LiveType::default() });
            match *need {
                Need::Field { field, ty: printed, arguments, .. } => {
                    let args: Vec<Value> =
                        arguments.iter().map(|(name, ty)| json!({ "name": name, "type": reference(ty) })).collect();
                    let field: LiveField =
                        serde_json::from_value(json!({ "name": field, "type": reference(printed), "args": args })).unwrap();
                    ty.fields.get_or_insert_default().push(field);
                }
                Need::Input { field, ty: printed, .. } => {
                    let input = serde_json::from_value(json!({ "name": field, "type": reference(printed) })).unwrap();
                    ty.input_fields.get_or_insert_default().push(input);
                }
                Need::Value { value, .. } => {
                    ty.enum_values.get_or_insert_default().push(serde_json::from_value(json!({ "name": value })).unwrap())
                }
            }
        }
        LiveSchema { types: types.into_values().collect() }
    }

    fn reference(ty: &str) -> Value {
        if let Some(inner) = ty.strip_suffix('!') {
            return json!({ "kind": "NON_NULL", "ofType": reference(inner) });
        }
        match ty.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            Some(inner) => json!({ "kind": "LIST", "ofType": reference(inner) }),
            None => json!({ "kind": "OBJECT", "name": ty }),
        }
    }

    fn messages(live: &LiveSchema) -> Vec<(FindingLevel, String)> {
        compare(NEEDS, live).into_iter().map(|u| (u.level, u.message)).collect()
    }

    #[test]
    fn nothing_is_found_where_all_is_there() {
        assert_eq!(messages(&enough()), []);
    }

    #[test]
    fn what_is_missing_or_different_is_named_one_by_one() {
        let mut live = enough();
        for ty in &mut live.types {
            match ty.name.as_str() {
                "Order" => {
                    let fields = ty.fields.as_mut().unwrap();
                    fields.retain(|f| f.name != "isOnHold");
                    for field in fields {
                        match field.name.as_str() {
                            "number" => field.ty = serde_json::from_value(reference("String!")).unwrap(),
                            "status" => field.ty = serde_json::from_value(reference("OrderStatus")).unwrap(),
                            "grandTotal" => field.args.clear(),
                            _ => {}
                        }
                    }
                }
                "OrderLine" => ty.fields.as_mut().unwrap().retain(|f| f.name != "appliedTaxRules"),
                "OrderSort" => ty.enum_values.as_mut().unwrap().retain(|v| v.name != "number_ASC"),
                "EventsConfirmInput" => {
                    let demanded = json!({ "name": "queue", "type": reference("String!") });
                    ty.input_fields.as_mut().unwrap().push(serde_json::from_value(demanded).unwrap());
                }
                _ => {}
            }
        }
        live.types.retain(|ty| ty.name != "Voucher");
        let found = messages(&live);
        let bad = |text: &str| found.contains(&(FindingLevel::Bad, text.to_owned()));
        let warning = |text: &str| found.contains(&(FindingLevel::Warning, text.to_owned()));
        assert!(bad("Order.isOnHold is missing"), "{found:?}");
        assert!(bad("Order.number is String!, it should be Int!"), "{found:?}");
        assert!(warning("Order.status may be null here: it is OrderStatus, documented is OrderStatus!"), "{found:?}");
        assert!(bad("the argument includingTax of Order.grandTotal is missing"), "{found:?}");
        assert!(warning("OrderLine.appliedTaxRules is missing"), "{found:?}");
        assert!(bad("the value number_ASC of OrderSort is missing"), "{found:?}");
        assert!(bad("EventsConfirmInput demands a field that we do not know: queue"), "{found:?}");
        assert!(warning("the type Voucher is missing"), "{found:?}");
        assert_eq!(found.len(), 8, "{found:?}");
        let left_out: Vec<_> = compare(NEEDS, &live).into_iter().filter_map(|u| u.leave_out).collect();
        assert_eq!(left_out, ["appliedTaxRules", "AppliedVoucher"]);
    }

    #[test]
    fn what_only_an_optional_part_needs_is_left_out_and_no_fault() {
        let live = LiveSchema { types: Vec::new() };
        let found = compare(crate::centra::operations::PRODUCT_NEEDS, &live);
        let of = |name: &str| found.iter().find(|unmet| unmet.message.contains(name)).unwrap();
        let sort = of("ProductVariantSort");
        assert_eq!((sort.level, sort.leave_out), (FindingLevel::Warning, Some("productVariants")));
        assert_eq!(of("ProductVariantFilter").level, FindingLevel::Warning);
        assert_eq!(of("the type ProductSize is").level, FindingLevel::Bad);
    }

    #[test]
    fn a_list_with_a_page_size_of_its_own_is_told() {
        let variants = |args: Value| {
            let field = json!({ "name": "variants", "type": reference("[ProductVariant!]!"), "args": args });
            let fields = Some(vec![serde_json::from_value(field).unwrap()]);
            LiveSchema { types: vec![LiveType { name: "Product".to_owned(), fields, ..LiveType::default() }] }
        };
        let limit = json!([{ "name": "limit", "type": reference("Int"), "defaultValue": "20" }]);
        assert_eq!(cut_lists(&variants(limit)), ["Product.variants"]);
        assert!(cut_lists(&variants(json!([{ "name": "limit", "type": reference("Int") }]))).is_empty());
    }

    #[test]
    fn looser_is_seen_at_every_level() {
        assert!(looser("[Int]!", "[Int!]!") && looser("[Int!]", "[Int!]!") && !looser("[Int!]!", "[Int]"));
    }
}
