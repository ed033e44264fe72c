//! What the vendor's specification allows in the requests that matter, condensed: names and types of each object's members.
//!
//! A member that is not here, or is of another type, is refused and remembered as a violation, whatever the stand-in
//! itself would do with it. A test compares these lists with the specification files where they are at hand.

use serde_json::Value;

/// A member's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Whole,
    Flag,
    /// An object of the named list.
    Object(&'static str),
    /// A list of objects of the named list.
    Objects(&'static str),
    /// A list of texts.
    Texts,
    /// One of these words.
    Words(&'static [&'static str]),
}

use Kind::{Flag, Number, Object, Objects, Text, Texts, Whole, Words};

/// The members of one object.
pub type Members = &'static [(&'static str, Kind)];

/// The objects that requests are made of, as the specification names them.
pub const OBJECTS: &[(&str, Members)] = &[
    ("Orders_CreateOrdersRequest", &[("orders", Objects("ChannelOrder")), ("location", Text)]),
    (
        "ChannelOrder",
        &[
            ("Source", Text),
            ("SubSource", Text),
            ("Site", Text),
            ("ReferenceNumber", Text),
            ("ExternalReference", Text),
            ("SecondaryReferenceNumber", Text),
            ("ChannelBuyerName", Text),
            ("AutomaticallyLinkBySKU", Flag),
            ("AutomaticallyLinkByBarcode", Flag),
            ("MatchPostalServiceTag", Text),
            ("PostalServiceName", Text),
            ("SavePostalServiceIfNotExist", Flag),
            ("MatchPaymentMethodTag", Text),
            ("PaymentMethodName", Text),
            ("SavePaymentMethodIfNotExist", Flag),
            ("OrderState", Words(&["None", "Hold", "Park"])),
            ("PaymentStatus", Words(&["Unpaid", "Paid", "Cancelled"])),
            ("OrderStatus", Text),
            ("ReceivedDate", Text),
            ("UpdatedDate", Text),
            ("DispatchBy", Text),
            ("PaidOn", Text),
            ("Currency", Text),
            ("ConversionRate", Number),
            ("PostalServiceCost", Number),
            ("PostalServiceTaxRate", Number),
            ("PostalServiceDiscount", Number),
            ("Discount", Number),
            ("UseChannelTax", Flag),
            ("BuyerTaxNumber", Text),
            ("BillingAddress", Object("ChannelAddress")),
            ("DeliveryAddress", Object("ChannelAddress")),
            ("OrderItems", Objects("ChannelOrderItem")),
        ],
    ),
    (
        "ChannelAddress",
        &[
            ("MatchCountryCode", Text),
            ("MatchCountryName", Text),
            ("FullName", Text),
            ("Company", Text),
            ("Address1", Text),
            ("Address2", Text),
            ("Address3", Text),
            ("Town", Text),
            ("Region", Text),
            ("PostCode", Text),
            ("Country", Text),
            ("PhoneNumber", Text),
            ("EmailAddress", Text),
        ],
    ),
    (
        "ChannelOrderItem",
        &[
            ("ItemNumber", Text),
            ("ChannelReferenceId", Text),
            ("ChannelSKU", Text),
            ("ItemTitle", Text),
            ("Qty", Whole),
            ("PricePerUnit", Number),
            ("TaxRate", Number),
            ("TaxCostInclusive", Flag),
            ("UseChannelTax", Flag),
            ("LineDiscount", Number),
            ("PostalServiceCost", Number),
            ("IsService", Flag),
        ],
    ),
    ("Orders_CancelOrderRequest", &[("orderId", Text), ("fulfilmentCenter", Text), ("refund", Number), ("note", Text)]),
    (
        "Stock_GetStockItemsFullRequest",
        &[
            ("keyword", Text),
            ("loadCompositeParents", Flag),
            ("loadVariationParents", Flag),
            ("entriesPerPage", Whole),
            ("pageNumber", Whole),
            ("dataRequirements", Texts),
            ("searchTypes", Texts),
        ],
    ),
    ("Stock_SetStockLevelRequest", &[("stockLevels", Objects("StockLevelUpdate")), ("changeSource", Text)]),
    ("Stock_UpdateStockLevelsBySKURequest", &[("stockLevels", Objects("StockLevelUpdate")), ("changeSource", Text)]),
    ("StockLevelUpdate", &[("SKU", Text), ("LocationId", Text), ("Level", Whole)]),
    ("Stock_GetStockLevel_BatchRequest", &[("request", Object("GetStockLevel_BatchRequest"))]),
    ("GetStockLevel_BatchRequest", &[("StockItemIds", Texts)]),
    ("Inventory_GetStockItemIdsBySKURequest", &[("request", Object("GetStockItemIdsBySKURequest"))]),
    ("GetStockItemIdsBySKURequest", &[("SKUS", Texts)]),
    ("Inventory_AddInventoryItemRequest", &[("inventoryItem", Object("StockItem"))]),
    ("Inventory_UpdateInventoryItemRequest", &[("inventoryItem", Object("UpdateInventoryItemRequest"))]),
    (
        "StockItem",
        &[
            ("StockItemId", Text),
            ("ItemNumber", Text),
            ("ItemTitle", Text),
            ("ItemDescription", Text),
            ("BarcodeNumber", Text),
            ("MetaData", Text),
            ("PurchasePrice", Number),
            ("RetailPrice", Number),
            ("TaxRate", Number),
            ("Weight", Number),
            ("Height", Number),
            ("Width", Number),
            ("Depth", Number),
            ("Quantity", Whole),
            ("MinimumLevel", Whole),
            ("CategoryId", Text),
            ("CategoryName", Text),
            ("PackageGroupId", Text),
            ("PackageGroupName", Text),
            ("PostalServiceId", Text),
            ("PostalServiceName", Text),
            ("IsCompositeParent", Flag),
            ("CreationDate", Text),
        ],
    ),
    (
        "UpdateInventoryItemRequest",
        &[
            ("StockItemId", Text),
            ("ItemNumber", Text),
            ("ItemTitle", Text),
            ("ItemDescription", Text),
            ("BarcodeNumber", Text),
            ("MetaData", Text),
            ("PurchasePrice", Number),
            ("RetailPrice", Number),
            ("TaxRate", Number),
            ("Weight", Number),
            ("Height", Number),
            ("Width", Number),
            ("Depth", Number),
            ("Quantity", Whole),
            ("MinimumLevel", Whole),
            ("CategoryId", Text),
            ("CategoryName", Text),
            ("PackageGroupId", Text),
            ("PackageGroupName", Text),
            ("PostalServiceId", Text),
            ("PostalServiceName", Text),
            ("IsCompositeParent", Flag),
            ("CreationDate", Text),
        ],
    ),
    ("Inventory_ArchiveInventoryItemsRequest", &[("parameters", Object("InventoryParametersRequest"))]),
    ("Inventory_UnarchiveInventoryItemsRequest", &[("parameters", Object("InventoryParametersRequest"))]),
    ("InventoryParametersRequest", &[("InventoryItemIds", Texts)]),
];

/// Members that a request must have. (The vendor's help names them for orders; the specification marks none.)
pub const MANDATORY: &[(&str, &[&str])] = &[
    ("Orders_CreateOrdersRequest", &["orders", "location"]),
    ("ChannelOrder", &["Source", "SubSource", "ReferenceNumber", "ReceivedDate", "DispatchBy", "OrderItems"]),
    (
        "ChannelOrderItem",
        &[
            "TaxCostInclusive",
            "UseChannelTax",
            "PricePerUnit",
            "Qty",
            "TaxRate",
            "LineDiscount",
            "ItemNumber",
            "ChannelSKU",
            "IsService",
            "ItemTitle",
        ],
    ),
    ("StockLevelUpdate", &["SKU", "LocationId", "Level"]),
];

/// What the specification does not allow in a value, each with its place.
pub fn check(object: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    let Some((_, members)) = OBJECTS.iter().find(|(name, _)| *name == object) else {
        found.push(format!("{path}: {object} is not simulated"));
        return;
    };
    let Some(map) = value.as_object() else {
        found.push(format!("{path}: {object} must be an object"));
        return;
    };
    for (key, value) in map {
        let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match members.iter().find(|(name, _)| name == key) {
            None => found.push(format!("{at}: {object} has no member of this name")),
            Some(_) if value.is_null() => {}
            Some((_, kind)) => member(*kind, value, &at, found),
        }
    }
    let mandatory = MANDATORY.iter().find(|(name, _)| *name == object).map_or(&[][..], |(_, names)| names);
    for name in mandatory.iter().filter(|name| map.get(**name).is_none_or(Value::is_null)) {
        found.push(format!("{path}: {object} needs {name}"));
    }
}

fn member(kind: Kind, value: &Value, at: &str, found: &mut Vec<String>) {
    let fits = match kind {
        Text => value.is_string(),
        Number => value.is_number(),
        Whole => value.is_i64() || value.is_u64(),
        Flag => value.is_boolean(),
        Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Words(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Object(name) => return check(name, value, at, found),
        Objects(name) => {
            match value.as_array() {
                Some(list) => list.iter().enumerate().for_each(|(n, one)| check(name, one, &format!("{at}[{n}]"), found)),
                None => found.push(format!("{at}: must be a list")),
            }
            return;
        }
    };
    if !fits {
        found.push(format!("{at}: {value} is not {kind:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_in_the_specification_is_found() {
        let mut found = Vec::new();
        check("Orders_CancelOrderRequest", &json!({"orderId": 7, "reason": "x", "refund": 0}), "", &mut found);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn the_lists_are_the_vendors() {
        let folder = ["../../../shared", "../../../../shared"]
            .iter()
            .map(|up| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(up).join("facts/specs"))
            .find(|path| path.is_dir());
        let Some(folder) = folder else { return };
        let mut definitions = serde_json::Map::new();
        for name in ["orders", "stock", "inventory"] {
            let text = std::fs::read(folder.join(format!("linnworks-1.0-{name}.json"))).unwrap();
            let document: Value = serde_json::from_slice(&text).unwrap();
            definitions.extend(document["definitions"].as_object().unwrap().clone());
        }
        for (object, members) in OBJECTS {
            let theirs = definitions.get(*object).unwrap_or_else(|| panic!("{object} is no object of the specification"));
            for (name, kind) in *members {
                let property = &theirs["properties"][*name];
                assert!(!property.is_null(), "{object}.{name} is not in the specification");
                let ty = property["type"].as_str();
                let fits = match kind {
                    Text => ty == Some("string"),
                    Number => ty == Some("number"),
                    Whole => ty == Some("integer"),
                    Flag => ty == Some("boolean"),
                    Texts => ty == Some("array") && property["items"]["type"] == "string",
                    Objects(of) => {
                        ty == Some("array")
                            && property["items"]["$ref"].as_str().is_some_and(|to| to.ends_with(&format!("/{of}")))
                    }
                    Object(of) => property["$ref"].as_str().is_some_and(|to| to.ends_with(&format!("/{of}"))),
                    Words(words) => {
                        let all: Vec<&str> = property["enum"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
                        words.iter().all(|word| all.contains(word))
                    }
                };
                assert!(fits, "{object}.{name}: {kind:?} against {property}");
            }
        }
    }
}
