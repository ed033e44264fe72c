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
    /// A uuid.
    Id,
    /// A list of uuids.
    Ids,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of these words.
    Each(&'static [&'static str]),
}

use Kind::{Each, Flag, Id, Ids, Number, Object, Objects, Text, Texts, Whole, Words};

/// The members of one object.
pub type Members = &'static [(&'static str, Kind)];

/// By what bookings are looked for.
const FILTERS: Members = &[
    ("Actionable", Flag),
    (
        "Type",
        Words(&["HEADER_ID", "ORDER_ID", "HEADER_REFERENCE", "ORDER_REFERENCES", "ORDER_TRACKING", "ITEM_INFO", "CUSTOMER_INFO"]),
    ),
    ("Value", Text),
];

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
    ("Orders_CancelOrderRequest", &[("orderId", Id), ("fulfilmentCenter", Id), ("refund", Number), ("note", Text)]),
    (
        "Stock_GetStockItemsFullRequest",
        &[
            ("keyword", Text),
            ("loadCompositeParents", Flag),
            ("loadVariationParents", Flag),
            ("entriesPerPage", Whole),
            ("pageNumber", Whole),
            (
                "dataRequirements",
                Each(&[
                    "StockLevels",
                    "Pricing",
                    "Supplier",
                    "ShippingInformation",
                    "ChannelTitle",
                    "ChannelDescription",
                    "ChannelPrice",
                    "ExtendedProperties",
                    "Images",
                ]),
            ),
            ("searchTypes", Each(&["SKU", "Title", "Barcode"])),
        ],
    ),
    ("Stock_SetStockLevelRequest", &[("stockLevels", Objects("StockLevelUpdate")), ("changeSource", Text)]),
    ("Stock_UpdateStockLevelsBySKURequest", &[("stockLevels", Objects("StockLevelUpdate")), ("changeSource", Text)]),
    ("StockLevelUpdate", &[("SKU", Text), ("LocationId", Id), ("Level", Whole)]),
    ("Stock_GetStockLevel_BatchRequest", &[("request", Object("GetStockLevel_BatchRequest"))]),
    ("GetStockLevel_BatchRequest", &[("StockItemIds", Ids)]),
    ("Inventory_GetStockItemIdsBySKURequest", &[("request", Object("GetStockItemIdsBySKURequest"))]),
    ("GetStockItemIdsBySKURequest", &[("SKUS", Texts)]),
    ("Inventory_AddInventoryItemRequest", &[("inventoryItem", Object("StockItem"))]),
    ("Inventory_UpdateInventoryItemRequest", &[("inventoryItem", Object("UpdateInventoryItemRequest"))]),
    (
        "StockItem",
        &[
            ("StockItemId", Id),
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
            ("CategoryId", Id),
            ("CategoryName", Text),
            ("PackageGroupId", Id),
            ("PackageGroupName", Text),
            ("PostalServiceId", Id),
            ("PostalServiceName", Text),
            ("IsCompositeParent", Flag),
            ("CreationDate", Text),
        ],
    ),
    (
        "UpdateInventoryItemRequest",
        &[
            ("StockItemId", Id),
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
            ("CategoryId", Id),
            ("CategoryName", Text),
            ("PackageGroupId", Id),
            ("PackageGroupName", Text),
            ("PostalServiceId", Id),
            ("PostalServiceName", Text),
            ("IsCompositeParent", Flag),
            ("CreationDate", Text),
        ],
    ),
    ("Inventory_ArchiveInventoryItemsRequest", &[("parameters", Object("InventoryParametersRequest"))]),
    ("Inventory_UnarchiveInventoryItemsRequest", &[("parameters", Object("InventoryParametersRequest"))]),
    ("InventoryParametersRequest", &[("InventoryItemIds", Ids), ("SelectedRegions", Objects("Tuple_Int32_Int32"))]),
    ("Tuple_Int32_Int32", &[("Item1", Whole), ("Item2", Whole)]),
    ("Stock_GetStockItemsFullByIdsRequest", &[("request", Object("GetStockItemsFullByIdsRequest"))]),
    (
        "GetStockItemsFullByIdsRequest",
        &[
            ("StockItemIds", Ids),
            (
                "DataRequirements",
                Each(&[
                    "StockLevels",
                    "Supplier",
                    "ChannelTitle",
                    "ChannelDescription",
                    "ChannelPrice",
                    "ExtendedProperties",
                    "Images",
                ]),
            ),
        ],
    ),
    ("GetStockItemTypeInfoRequest", &[("SKUS", Texts)]),
    ("Inventory_GetInventoryItemsCompositionByIdsRequest", &[("request", Object("GetInventoryItemsCompositionByIdsRequest"))]),
    ("GetInventoryItemsCompositionByIdsRequest", &[("InventoryItemIds", Ids)]),
    (
        "Inventory_UpdateInventoryItemFieldRequest",
        &[("inventoryItemId", Id), ("fieldName", Words(&["SKU", "Title", "Barcode", "Weight"])), ("fieldValue", Text)],
    ),
    ("Inventory_CreateInventoryItemCompositionsRequest", &[("inventoryItemCompositions", Objects("StockItemComposition"))]),
    ("Inventory_UpdateInventoryItemCompositionsRequest", &[("inventoryItemCompositions", Objects("StockItemComposition"))]),
    ("Inventory_DeleteInventoryItemCompositionsRequest", &[("stockItemId", Id), ("inventoryItemCompositionIds", Ids)]),
    (
        "StockItemComposition",
        &[
            ("StockItemId", Id),
            ("LinkedStockItemId", Id),
            ("SKU", Text),
            ("ItemTitle", Text),
            ("Quantity", Whole),
            ("PurchasePrice", Number),
        ],
    ),
    (
        "Inventory_GetInventoryItemExtendedPropertiesRequest",
        &[("inventoryItemId", Id), ("propertyParams", Object("GetExtendedPropertyFilter")), ("itemNumber", Text)],
    ),
    ("GetExtendedPropertyFilter", &[("PropertyName", Text), ("PropertyType", Text)]),
    (
        "Inventory_CreateInventoryItemExtendedPropertiesRequest",
        &[("inventoryItemExtendedProperties", Objects("StockItemExtendedPropertyUpsertItem"))],
    ),
    (
        "StockItemExtendedPropertyUpsertItem",
        &[("fkStockItemId", Id), ("SKU", Text), ("ProperyName", Text), ("PropertyValue", Text), ("PropertyType", Text)],
    ),
    (
        "Inventory_UpdateInventoryItemExtendedPropertiesRequest",
        &[("inventoryItemExtendedProperties", Objects("StockItemExtendedPropertyWithSku"))],
    ),
    (
        "StockItemExtendedPropertyWithSku",
        &[
            ("ItemNumber", Text),
            ("pkRowId", Id),
            ("fkStockItemId", Id),
            ("ProperyName", Text),
            ("PropertyValue", Text),
            ("PropertyType", Text),
        ],
    ),
    (
        "Inventory_DeleteInventoryItemExtendedPropertiesRequest",
        &[("inventoryItemId", Id), ("inventoryItemExtendedPropertyIds", Ids), ("itemNumber", Text)],
    ),
    ("ReturnsRefunds_CreateRMABookingRequest", &[("request", Object("CreateRMABookingRequest"))]),
    (
        "CreateRMABookingRequest",
        &[
            ("ChannelInitiated", Flag),
            ("OrderId", Id),
            ("ReturnItems", Objects("ReturnItem")),
            ("ExchangeItems", Objects("ExchangeItem")),
            ("ResendItems", Objects("ResendItem")),
            ("Reference", Text),
        ],
    ),
    (
        "ReturnItem",
        &[
            ("OrderItemRowId", Id),
            ("ReturnItemSKU", Text),
            ("ReturnItemTitle", Text),
            ("BatchInventoryId", Whole),
            ("ReturnLocation", Id),
            ("ReturnQuantity", Whole),
            ("RefundAmount", Number),
            ("ScrapQuantity", Whole),
            ("ReasonCategory", Text),
            ("IsFreeText", Flag),
            ("Reason", Text),
            ("ReasonTag", Text),
            ("SubReasonTag", Text),
            ("BinrackOverride", Text),
        ],
    ),
    ("ExchangeItem", &[("ExchangeSKU", Text), ("ExchangeQuantity", Whole), ("OrderItemRowId", Id)]),
    ("ResendItem", &[("ResendQuantity", Whole), ("OrderItemRowId", Id)]),
    ("ReturnsRefunds_GetActionableRMAHeadersRequest", &[("request", Object("GetActionableRMAHeadersRequest"))]),
    ("GetActionableRMAHeadersRequest", &[("Page", Whole), ("Filters", Object("ActionablePostSaleSearchFilters"))]),
    ("ActionablePostSaleSearchFilters", FILTERS),
    (
        "ReturnsRefunds_GetProcessedOrAckedErrorRMAHeadersRequest",
        &[("request", Object("GetProcessedOrAckedErrorRMAHeadersRequest"))],
    ),
    ("GetProcessedOrAckedErrorRMAHeadersRequest", &[("Page", Whole), ("Filters", Object("ProcessedPostSaleSearchFilters"))]),
    ("ProcessedPostSaleSearchFilters", FILTERS),
    ("UpdateStockLevelsBulkRequest", &[("Items", Objects("UpdateStockLevelsBulkRequestItem"))]),
    (
        "UpdateStockLevelsBulkRequestItem",
        &[
            ("SKU", Text),
            ("StockItemId", Id),
            ("StockLocationName", Text),
            ("StockLocationId", Id),
            ("StockLevel", Whole),
            ("StockValue", Number),
            ("UnitCost", Number),
            ("Binrack", Text),
            ("MinimumLevel", Whole),
            ("RowIndex", Whole),
        ],
    ),
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
    ("CreateRMABookingRequest", &["OrderId", "ReturnItems"]),
    ("ReturnItem", &["OrderItemRowId", "ReturnQuantity"]),
    ("StockLevelUpdate", &["SKU", "LocationId", "Level"]),
    ("StockItem", &["ItemNumber", "ItemTitle"]),
    ("Inventory_UpdateInventoryItemFieldRequest", &["inventoryItemId", "fieldName", "fieldValue"]),
    ("StockItemComposition", &["StockItemId", "LinkedStockItemId", "Quantity"]),
    ("StockItemExtendedPropertyUpsertItem", &["fkStockItemId", "ProperyName", "PropertyValue", "PropertyType"]),
    ("StockItemExtendedPropertyWithSku", &["pkRowId", "fkStockItemId", "ProperyName", "PropertyValue", "PropertyType"]),
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

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok())
}

fn member(kind: Kind, value: &Value, at: &str, found: &mut Vec<String>) {
    let fits = match kind {
        Text => value.is_string(),
        Number => value.is_number(),
        Whole => value.is_i64() || value.is_u64(),
        Flag => value.is_boolean(),
        Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Id => is_id(value),
        Ids => value.as_array().is_some_and(|list| list.iter().all(is_id)),
        Words(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Each(words) => {
            value.as_array().is_some_and(|list| list.iter().all(|one| one.as_str().is_some_and(|word| words.contains(&word))))
        }
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

    /// The vendor's files, where they are at hand; they carry no licence, so they are not shipped.
    fn specification(name: &str) -> Option<Value> {
        let folder = ["../../../shared", "../../../../shared"]
            .iter()
            .map(|up| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(up).join("facts/specs"))
            .find(|path| path.is_dir())?;
        Some(serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap())
    }

    fn words_are(words: &[&str], property: &Value) -> bool {
        let all: Vec<&str> = property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        words.iter().all(|word| all.contains(word))
    }

    #[test]
    fn the_lists_are_the_vendors() {
        let mut definitions = serde_json::Map::new();
        for name in ["orders", "stock", "inventory", "returnsrefunds"] {
            let Some(document) = specification(&format!("linnworks-1.0-{name}.json")) else { return };
            definitions.extend(document["definitions"].as_object().unwrap().clone());
        }
        for (object, members) in OBJECTS {
            let theirs = definitions.get(*object).unwrap_or_else(|| panic!("{object} is no object of the specification"));
            for (name, kind) in *members {
                let property = &theirs["properties"][*name];
                assert!(!property.is_null(), "{object}.{name} is not in the specification");
                let ty = property["type"].as_str();
                let refers = |to: &Value, of: &str| to["$ref"].as_str().is_some_and(|to| to.ends_with(&format!("/{of}")));
                let items = &property["items"];
                let fits = match kind {
                    Text => ty == Some("string") && property["format"] != "uuid",
                    Number => ty == Some("number"),
                    Whole => ty == Some("integer"),
                    Flag => ty == Some("boolean"),
                    Texts => ty == Some("array") && items["type"] == "string" && items["enum"].is_null(),
                    Id => ty == Some("string") && property["format"] == "uuid",
                    Ids => ty == Some("array") && items["type"] == "string" && items["format"] == "uuid",
                    Objects(of) => ty == Some("array") && refers(items, of),
                    Object(of) => refers(property, of),
                    Words(words) => words_are(words, property),
                    Each(words) => ty == Some("array") && words_are(words, items),
                };
                assert!(fits, "{object}.{name}: {kind:?} against {property}");
            }
        }
    }

    /// Path, verb, body, query and calls a minute of every method.
    #[test]
    fn the_methods_are_the_vendors() {
        let mut paths = serde_json::Map::new();
        for name in ["auth", "orders", "processedorders", "stock", "inventory", "postalservices", "returnsrefunds"] {
            let Some(document) = specification(&format!("linnworks-1.0-{name}.json")) else { return };
            paths.extend(document["paths"].as_object().unwrap().clone());
        }
        let second = specification("linnworks-2.0-orders-v2.json").unwrap();
        for (path, post, body, limit, _) in super::super::METHODS {
            if *path == "/api/Main/Ping" {
                continue;
            }
            let theirs = match path.strip_prefix("/v2") {
                Some(path) => &second["paths"][path],
                None => paths.get(*path).unwrap_or_else(|| panic!("{path} is no method of the specification")),
            };
            let theirs = &theirs[if *post { "post" } else { "get" }];
            assert!(theirs.is_object(), "{path} has another verb");
            let none = Vec::new();
            let parameters = theirs["parameters"].as_array().unwrap_or(&none);
            let sent = parameters.iter().find(|one| one["in"] == "body").and_then(|one| one["schema"]["$ref"].as_str());
            assert_eq!(sent.and_then(|to| to.rsplit('/').next()), *body, "{path}");
            if !*post {
                let (_, known) = super::super::QUERIES.iter().find(|(name, _)| name == path).unwrap();
                let query: Vec<&Value> = parameters.iter().filter(|one| one["in"] == "query").collect();
                assert_eq!(query.len(), known.len(), "{path}");
                for (name, id) in *known {
                    let one = query.iter().find(|one| one["name"] == *name).unwrap_or_else(|| panic!("{path}: {name}"));
                    let ids = [&one["format"], &one["schema"]["format"], &one["schema"]["items"]["format"]];
                    assert_eq!(ids.iter().any(|format| **format == "uuid"), *id, "{path}: {name}");
                }
            }
            if !path.starts_with("/v2") {
                let told = theirs["description"].as_str().unwrap_or_default();
                assert!(told.contains(&format!("<b>{limit}</b>")), "{path}: {limit} against {told}");
            }
        }
    }
}
