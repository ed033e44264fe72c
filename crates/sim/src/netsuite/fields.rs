//! Which fields a record has. The names are the vendor's; case does not matter on the way in.
//!
//! Source: the vendor's REST API Browser, records `salesOrder`, `cashSale`, `customer`, `inventoryItem`, `kitItem`,
//! `itemFulfillment`, `returnAuthorization`, `itemReceipt`, `creditMemo`, `customerRefund` and `inventoryAdjustment`. That a line of
//! an item receipt has `restock` is inferred: the browser of 2026.1 does not show it, see [`Options::restock_field`].

use std::collections::HashMap;
use std::sync::LazyLock;

use super::state::Kind;
use super::{Options, TaxRegime};

/// What a field is to this stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    // transaction body
    ExternalId,
    Entity,
    Subsidiary,
    Currency,
    ExchangeRate,
    TranDate,
    Memo,
    OtherRefNum,
    OrderStatus,
    Location,
    ShipMethod,
    ShippingCost,
    HandlingCost,
    ShippingTaxCode,
    ShippingAddress,
    BillingAddress,
    DiscountItem,
    DiscountRate,
    PaymentMethod,
    PaymentOption,
    Items,
    TaxDetails,
    TaxDetailsOverride,
    // line
    Line,
    Item,
    Quantity,
    Price,
    Rate,
    Amount,
    GrossAmt,
    Description,
    TaxDetailsReference,
    TaxCode,
    Tax1Amt,
    IsClosed,
    // tax detail
    TaxType,
    TaxBasis,
    TaxRate,
    TaxAmount,
    // customer
    EntityId,
    IsPerson,
    CompanyName,
    FirstName,
    LastName,
    Email,
    Phone,
    Comments,
    IsInactive,
    CurrencyList,
    AddressBook,
    // item
    ItemId,
    DisplayName,
    Weight,
    WeightUnit,
    Country,
    /// An account of this type.
    Account(&'static str),
    TaxSchedule,
    UnitsType,
    Prices,
    Members,
    Subsidiaries,
    IncludeChildren,
    // fulfilment
    ShipStatus,
    Packages,
    OrderLine,
    ItemReceive,
    Tracking,
    PackageDescription,
    PackageWeight,
    // receipt
    Restock,
    // refund
    Customer,
    /// An account that money is paid from.
    MoneyAccount,
    Apply,
    Doc,
    ApplyFlag,
    // adjustment
    AdjustmentAccount,
    Inventory,
    AdjustBy,
    /// Kept and given back as it came.
    Plain,
    /// Written by the system; ignored on the way in.
    ReadOnly,
}

/// The JSON a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Flag,
    Number,
    Date,
    Time,
    /// `{"id": ..}` of another record.
    Reference,
    /// A bare id or `{"id": ..}`.
    Choice,
    List,
    Record,
}

/// Where a field exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    SuiteTax,
    Legacy,
    OneWorld,
    /// Sales orders only.
    Order,
    /// Cash sales only.
    Sale,
    /// Inventory items only.
    Stocked,
    /// Kits only.
    Kit,
    /// Accounts whose receipts have a flag for what goes back on the shelf.
    RestockField,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) field: Field,
    pub(super) shape: Shape,
    pub(super) when: When,
}

impl Spec {
    /// Whether an account with these options has it on such a record: `order` tells sales orders from cash sales, and
    /// inventory items from kits.
    pub(super) fn exists(&self, options: &Options, order: bool) -> bool {
        match self.when {
            When::Always => true,
            When::SuiteTax => options.tax.is_suite_tax(),
            When::Legacy => {
                matches!(options.tax, TaxRegime::LegacyLine | TaxRegime::LegacyTransaction)
            }
            When::OneWorld => options.one_world,
            When::RestockField => options.restock_field,
            When::Order | When::Stocked => order,
            When::Sale | When::Kit => !order,
        }
    }
}

const fn f(name: &'static str, field: Field, shape: Shape, when: When) -> Spec {
    Spec { name, field, shape, when }
}

use Field::{Plain, ReadOnly};
use Shape::{Choice, Date, Flag, List, Number, Record, Reference, Text, Time};
use When::{Always, Kit, Legacy, OneWorld, Order, RestockField, Sale, Stocked, SuiteTax};

pub(super) const BODY: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("entity", Field::Entity, Reference, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("currency", Field::Currency, Reference, Always),
    f("exchangeRate", Field::ExchangeRate, Number, Always),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("otherRefNum", Field::OtherRefNum, Text, Always),
    f("orderStatus", Field::OrderStatus, Choice, Order),
    f("status", ReadOnly, Choice, Always),
    f("location", Field::Location, Reference, Always),
    f("shipMethod", Field::ShipMethod, Reference, Always),
    f("shippingCost", Field::ShippingCost, Number, Always),
    f("handlingCost", Field::HandlingCost, Number, Always),
    f("shippingAddress", Field::ShippingAddress, Record, Always),
    f("billingAddress", Field::BillingAddress, Record, Always),
    f("discountItem", Field::DiscountItem, Reference, Always),
    f("discountRate", Field::DiscountRate, Number, Always),
    f("paymentMethod", Field::PaymentMethod, Reference, Always),
    f("paymentOption", Field::PaymentOption, Reference, Always),
    f("item", Field::Items, List, Always),
    f("taxDetails", Field::TaxDetails, List, SuiteTax),
    f("taxDetailsOverride", Field::TaxDetailsOverride, Flag, SuiteTax),
    f("taxPointDate", Plain, Date, SuiteTax),
    f("taxPointDateOverride", Plain, Flag, SuiteTax),
    f("taxRegOverride", Plain, Flag, SuiteTax),
    f("subsidiaryTaxRegNum", Plain, Reference, SuiteTax),
    f("entityTaxRegNum", Plain, Reference, SuiteTax),
    f("nexus", ReadOnly, Reference, SuiteTax),
    f("shippingTaxAmount", ReadOnly, Number, SuiteTax),
    f("handlingTaxAmount", ReadOnly, Number, SuiteTax),
    f("totalAfterTaxes", ReadOnly, Number, SuiteTax),
    f("taxItem", Plain, Reference, Legacy),
    f("taxRate", ReadOnly, Number, Legacy),
    f("isTaxable", Plain, Flag, Legacy),
    f("shippingTaxCode", Field::ShippingTaxCode, Reference, Legacy),
    f("shippingTax1Rate", ReadOnly, Number, Legacy),
    f("handlingTaxCode", Plain, Reference, Legacy),
    f("handlingTax1Rate", ReadOnly, Number, Legacy),
    f("tax2Total", ReadOnly, Number, Legacy),
    f("vatRegNum", Plain, Text, Legacy),
    f("subtotal", ReadOnly, Number, Always),
    f("discountTotal", ReadOnly, Number, Always),
    f("taxTotal", ReadOnly, Number, Always),
    f("total", ReadOnly, Number, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
    f("source", ReadOnly, Text, Always),
    f("sourceSystem", ReadOnly, Text, Always),
    f("linkedTrackingNumbers", ReadOnly, Text, Always),
    f("billAddress", ReadOnly, Text, Always),
    f("shipAddress", ReadOnly, Text, Always),
    f("email", Plain, Text, Always),
    f("message", Plain, Text, Always),
    f("toBeEmailed", Plain, Flag, Always),
    f("toBePrinted", Plain, Flag, Always),
    f("toBeFaxed", Plain, Flag, Always),
    f("shippingCostOverridden", Plain, Flag, Always),
    f("overrideShippingCost", Plain, Number, Always),
    f("shipDate", Plain, Date, Always),
    f("actualShipDate", Plain, Date, Order),
    f("startDate", Plain, Date, Always),
    f("endDate", Plain, Date, Always),
    f("salesEffectiveDate", Plain, Date, Always),
    f("shipComplete", Plain, Flag, Order),
    f("shipCarrier", Plain, Choice, Always),
    f("shipIsResidential", Plain, Flag, Always),
    f("billIsResidential", Plain, Flag, Always),
    f("customForm", Plain, Choice, Always),
    f("billAddressList", Plain, Reference, Always),
    f("shipAddressList", Plain, Reference, Always),
    f("couponCode", Plain, Reference, Always),
    f("promoCode", Plain, Reference, Always),
    f("terms", Plain, Reference, Always),
    f("salesChannel", Plain, Reference, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
    f("salesRep", Plain, Reference, Always),
    f("leadSource", Plain, Reference, Always),
    f("partner", Plain, Reference, Always),
    f("messageSel", Plain, Reference, Always),
    f("account", Plain, Reference, Sale),
    f("undepFunds", Plain, Choice, Sale),
    f("postingPeriod", Plain, Reference, Sale),
];

pub(super) const LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", Field::Line, Number, Always),
    f("lineUniqueKey", ReadOnly, Text, Always),
    f("item", Field::Item, Reference, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("units", Plain, Choice, Always),
    f("description", Field::Description, Text, Always),
    f("price", Field::Price, Reference, Always),
    f("rate", Field::Rate, Number, Always),
    f("amount", Field::Amount, Number, Always),
    f("grossAmt", Field::GrossAmt, Number, Always),
    f("rateIncludingTax", ReadOnly, Number, Always),
    f("taxAmount", ReadOnly, Number, Always),
    f("taxDetailsReference", Field::TaxDetailsReference, Text, SuiteTax),
    f("taxCode", Field::TaxCode, Reference, Legacy),
    f("taxRate1", ReadOnly, Number, Legacy),
    f("taxRate2", ReadOnly, Number, Legacy),
    f("tax1Amt", Field::Tax1Amt, Number, Legacy),
    f("location", Field::Location, Reference, Always),
    f("inventoryLocation", Field::Location, Reference, OneWorld),
    f("inventorySubsidiary", Field::Subsidiary, Reference, OneWorld),
    f("commitInventory", Plain, Choice, Order),
    f("itemFulfillmentChoice", Plain, Choice, Order),
    f("isClosed", Field::IsClosed, Flag, Order),
    f("isOpen", ReadOnly, Flag, Order),
    f("expectedShipDate", Plain, Date, Order),
    f("requestedDate", Plain, Date, Order),
    f("giftCertFrom", Plain, Text, Always),
    f("giftCertMessage", Plain, Text, Always),
    f("giftCertNumber", Plain, Text, Always),
    f("giftCertRecipientName", Plain, Text, Always),
    f("giftCertRecipientEmail", Plain, Text, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
    f("quantityCommitted", ReadOnly, Number, Order),
    f("quantityBackOrdered", ReadOnly, Number, Order),
    f("quantityFulfilled", ReadOnly, Number, Order),
    f("quantityBilled", ReadOnly, Number, Order),
    f("quantityPicked", ReadOnly, Number, Order),
    f("quantityPacked", ReadOnly, Number, Order),
    f("itemType", ReadOnly, Choice, Always),
    f("itemSubtype", ReadOnly, Choice, Always),
    f("linked", ReadOnly, Flag, Order),
];

pub(super) const TAX_DETAIL: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("taxDetailsReference", Field::TaxDetailsReference, Reference, Always),
    f("taxType", Field::TaxType, Choice, Always),
    f("taxCode", Field::TaxCode, Reference, Always),
    f("taxBasis", Field::TaxBasis, Number, Always),
    f("taxRate", Field::TaxRate, Number, Always),
    f("taxAmount", Field::TaxAmount, Number, Always),
    f("lineType", ReadOnly, Text, Always),
    f("lineName", ReadOnly, Text, Always),
    f("netAmount", ReadOnly, Number, Always),
    f("grossAmount", ReadOnly, Number, Always),
    f("calcDetail", ReadOnly, Text, Always),
];

pub(super) const CUSTOMER: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("entityId", Field::EntityId, Text, Always),
    f("isPerson", Field::IsPerson, Flag, Always),
    f("companyName", Field::CompanyName, Text, Always),
    f("firstName", Field::FirstName, Text, Always),
    f("middleName", Plain, Text, Always),
    f("lastName", Field::LastName, Text, Always),
    f("salutation", Plain, Text, Always),
    f("email", Field::Email, Text, Always),
    f("phone", Field::Phone, Text, Always),
    f("altPhone", Plain, Text, Always),
    f("mobilePhone", Plain, Text, Always),
    f("comments", Field::Comments, Text, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("currency", Field::Currency, Reference, Always),
    f("currencyList", Field::CurrencyList, List, Always),
    f("addressBook", Field::AddressBook, List, Always),
    f("isInactive", Field::IsInactive, Flag, Always),
    f("customForm", Plain, Choice, Always),
    f("language", Plain, Choice, Always),
    f("emailPreference", Plain, Choice, Always),
    f("entityStatus", Plain, Choice, Always),
    f("receivablesAccount", Plain, Choice, Always),
    f("globalSubscriptionStatus", Plain, Choice, Always),
    f("taxable", Plain, Flag, Always),
    f("unsubscribe", Plain, Flag, Always),
    f("vatRegNumber", Plain, Text, Legacy),
    f("defaultTaxReg", Plain, Reference, SuiteTax),
    f("category", Plain, Reference, Always),
    f("terms", Plain, Reference, Always),
    f("salesRep", Plain, Reference, Always),
    f("parent", Plain, Reference, Always),
    f("priceLevel", Plain, Reference, Always),
    f("dateCreated", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
    f("balance", ReadOnly, Number, Always),
    f("defaultAddress", ReadOnly, Text, Always),
];

pub(super) const ITEM: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("internalId", ReadOnly, Number, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("itemId", Field::ItemId, Text, Always),
    f("itemType", ReadOnly, Choice, Always),
    f("displayName", Field::DisplayName, Text, Always),
    f("description", Plain, Text, Always),
    f("salesDescription", Plain, Text, Stocked),
    f("purchaseDescription", Plain, Text, Stocked),
    f("storeDisplayName", Plain, Text, Always),
    f("storeDescription", Plain, Text, Always),
    f("storeDetailedDescription", Plain, Text, Always),
    f("upcCode", Plain, Text, Always),
    f("mpn", Plain, Text, Always),
    f("vendorName", Plain, Text, Stocked),
    f("isInactive", Field::IsInactive, Flag, Always),
    f("isOnline", Plain, Flag, Always),
    f("isTaxable", Plain, Flag, Always),
    f("isFulfillable", Plain, Flag, Kit),
    f("printItems", Plain, Flag, Kit),
    f("weight", Field::Weight, Number, Always),
    f("weightUnit", Field::WeightUnit, Choice, Always),
    f("countryOfManufacture", Field::Country, Choice, Always),
    f("manufacturer", Plain, Text, Always),
    f("manufacturerTariff", Plain, Text, Always),
    f("scheduleBNumber", Plain, Text, Always),
    f("scheduleBQuantity", Plain, Number, Always),
    f("cost", Plain, Number, Stocked),
    f("costingMethod", Plain, Choice, Stocked),
    f("averageCost", ReadOnly, Number, Stocked),
    f("incomeAccount", Field::Account("Income"), Reference, Always),
    f("cogsAccount", Field::Account("COGS"), Reference, Stocked),
    f("assetAccount", Field::Account("OthCurrAsset"), Reference, Stocked),
    f("taxSchedule", Field::TaxSchedule, Reference, Always),
    f("unitsType", Field::UnitsType, Reference, Stocked),
    f("subsidiary", Field::Subsidiaries, List, OneWorld),
    f("includeChildren", Field::IncludeChildren, Flag, OneWorld),
    f("price", Field::Prices, List, Always),
    f("member", Field::Members, List, Kit),
    f("parent", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
    f("department", Plain, Reference, Always),
    f("customForm", Plain, Choice, Always),
    f("quantityOnHand", ReadOnly, Number, Stocked),
    f("quantityAvailable", ReadOnly, Number, Stocked),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
];

pub(super) const PRICE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("currencyPage", Field::Currency, Reference, Always),
    f("priceLevel", Field::Price, Reference, Always),
    f("priceLevelName", ReadOnly, Text, Always),
    f("price", Field::Amount, Number, Always),
    f("quantity", Field::Quantity, Record, Always),
    f("discountDisplay", ReadOnly, Number, Always),
    f("isInactive", ReadOnly, Flag, Always),
    f("priceQty", ReadOnly, Number, Always),
];

pub(super) const MEMBER: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("id", ReadOnly, Number, Always),
    f("lineNumber", ReadOnly, Number, Always),
    f("item", Field::Item, Reference, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("memberDescr", ReadOnly, Text, Always),
    f("memberUnit", ReadOnly, Text, Always),
];

pub(super) const FULFILMENT: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("createdFrom", ReadOnly, Reference, Always),
    f("orderId", ReadOnly, Number, Always),
    f("entity", ReadOnly, Reference, Always),
    f("subsidiary", ReadOnly, Reference, OneWorld),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("shipStatus", Field::ShipStatus, Choice, Always),
    f("status", ReadOnly, Choice, Always),
    f("shipMethod", ReadOnly, Reference, Always),
    f("item", Field::Items, List, Always),
    f("package", Field::Packages, List, Always),
    f("pickedDate", ReadOnly, Date, Always),
    f("packedDate", ReadOnly, Date, Always),
    f("shippedDate", ReadOnly, Date, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
];

pub(super) const FULFILMENT_LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", ReadOnly, Number, Always),
    f("orderLine", Field::OrderLine, Number, Always),
    f("orderDoc", ReadOnly, Reference, Always),
    f("item", ReadOnly, Reference, Always),
    f("itemReceive", Field::ItemReceive, Flag, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("location", Field::Location, Reference, Always),
    f("quantityRemaining", ReadOnly, Number, Always),
    f("onHand", ReadOnly, Number, Always),
    f("kitMemberOf", ReadOnly, Number, Always),
    f("itemType", ReadOnly, Text, Always),
    f("description", ReadOnly, Text, Always),
];

pub(super) const PACKAGE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("packageTrackingNumber", Field::Tracking, Text, Always),
    f("packageDescr", Field::PackageDescription, Text, Always),
    f("packageWeight", Field::PackageWeight, Number, Always),
    f("packageCartonNumber", ReadOnly, Text, Always),
];

pub(super) const RETURN: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("createdFrom", ReadOnly, Reference, Always),
    f("entity", Field::Entity, Reference, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("currency", Field::Currency, Reference, Always),
    f("exchangeRate", Field::ExchangeRate, Number, Always),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("otherRefNum", Field::OtherRefNum, Text, Always),
    f("orderStatus", Field::OrderStatus, Choice, Always),
    f("status", ReadOnly, Choice, Always),
    f("location", Field::Location, Reference, Always),
    f("shippingAddress", Field::ShippingAddress, Record, Always),
    f("billingAddress", Field::BillingAddress, Record, Always),
    f("discountItem", Field::DiscountItem, Reference, Always),
    f("discountRate", Field::DiscountRate, Number, Always),
    f("item", Field::Items, List, Always),
    f("taxDetails", Field::TaxDetails, List, SuiteTax),
    f("taxDetailsOverride", Field::TaxDetailsOverride, Flag, SuiteTax),
    f("nexus", ReadOnly, Reference, SuiteTax),
    f("totalAfterTaxes", ReadOnly, Number, SuiteTax),
    f("subtotal", ReadOnly, Number, Always),
    f("discountTotal", ReadOnly, Number, Always),
    f("taxTotal", ReadOnly, Number, Always),
    f("total", ReadOnly, Number, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
    f("source", ReadOnly, Text, Always),
    f("email", Plain, Text, Always),
    f("message", Plain, Text, Always),
    f("customForm", Plain, Choice, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
    f("salesRep", Plain, Reference, Always),
];

pub(super) const RETURN_LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", Field::Line, Number, Always),
    f("lineUniqueKey", ReadOnly, Text, Always),
    f("orderLine", Field::OrderLine, Number, Always),
    f("orderDoc", ReadOnly, Reference, Always),
    f("item", Field::Item, Reference, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("quantityReceived", ReadOnly, Number, Always),
    f("quantityBilled", ReadOnly, Number, Always),
    f("units", Plain, Choice, Always),
    f("description", Field::Description, Text, Always),
    f("price", Field::Price, Reference, Always),
    f("rate", Field::Rate, Number, Always),
    f("amount", Field::Amount, Number, Always),
    f("taxDetailsReference", Field::TaxDetailsReference, Text, SuiteTax),
    f("location", Field::Location, Reference, Always),
    f("isClosed", Field::IsClosed, Flag, Always),
    f("isOpen", ReadOnly, Flag, Always),
    f("itemType", ReadOnly, Choice, Always),
    f("itemSubtype", ReadOnly, Choice, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
];

pub(super) const CREDIT: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("createdFrom", ReadOnly, Reference, Always),
    f("entity", Field::Entity, Reference, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("currency", Field::Currency, Reference, Always),
    f("exchangeRate", Field::ExchangeRate, Number, Always),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("otherRefNum", Field::OtherRefNum, Text, Always),
    f("status", ReadOnly, Choice, Always),
    f("location", Field::Location, Reference, Always),
    f("shipMethod", Field::ShipMethod, Reference, Always),
    f("shippingCost", Field::ShippingCost, Number, Always),
    f("handlingCost", Field::HandlingCost, Number, Always),
    f("shippingAddress", Field::ShippingAddress, Record, Always),
    f("billingAddress", Field::BillingAddress, Record, Always),
    f("discountItem", Field::DiscountItem, Reference, Always),
    f("discountRate", Field::DiscountRate, Number, Always),
    f("item", Field::Items, List, Always),
    f("apply", ReadOnly, List, Always),
    f("autoApply", Plain, Flag, Always),
    f("applied", ReadOnly, Number, Always),
    f("amountPaid", ReadOnly, Number, Always),
    f("amountRemaining", ReadOnly, Number, Always),
    f("taxDetails", Field::TaxDetails, List, SuiteTax),
    f("taxDetailsOverride", Field::TaxDetailsOverride, Flag, SuiteTax),
    f("taxPointDate", Plain, Date, SuiteTax),
    f("nexus", ReadOnly, Reference, SuiteTax),
    f("shippingTaxAmount", ReadOnly, Number, SuiteTax),
    f("totalAfterTaxes", ReadOnly, Number, SuiteTax),
    f("shippingTaxCode", Field::ShippingTaxCode, Reference, Legacy),
    f("taxItem", Plain, Reference, Legacy),
    f("isTaxable", Plain, Flag, Legacy),
    f("subtotal", ReadOnly, Number, Always),
    f("discountTotal", ReadOnly, Number, Always),
    f("taxTotal", ReadOnly, Number, Always),
    f("total", ReadOnly, Number, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
    f("source", ReadOnly, Text, Always),
    f("email", Plain, Text, Always),
    f("message", Plain, Text, Always),
    f("account", Plain, Reference, Always),
    f("postingPeriod", Plain, Reference, Always),
    f("customForm", Plain, Choice, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
    f("salesRep", Plain, Reference, Always),
];

pub(super) const CREDIT_LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", Field::Line, Number, Always),
    f("lineUniqueKey", ReadOnly, Text, Always),
    f("uniqueKey", ReadOnly, Number, Always),
    f("orderLine", Field::OrderLine, Number, Always),
    f("orderDoc", ReadOnly, Reference, Always),
    f("item", Field::Item, Reference, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("units", Plain, Choice, Always),
    f("description", Field::Description, Text, Always),
    f("price", Field::Price, Reference, Always),
    f("rate", Field::Rate, Number, Always),
    f("amount", Field::Amount, Number, Always),
    f("grossAmt", Field::GrossAmt, Number, Always),
    f("taxAmount", ReadOnly, Number, Always),
    f("taxDetailsReference", Field::TaxDetailsReference, Text, SuiteTax),
    f("taxCode", Field::TaxCode, Reference, Legacy),
    f("taxRate1", ReadOnly, Number, Legacy),
    f("taxRate2", ReadOnly, Number, Legacy),
    f("tax1Amt", Field::Tax1Amt, Number, Legacy),
    f("location", Field::Location, Reference, Always),
    f("itemType", ReadOnly, Choice, Always),
    f("itemSubtype", ReadOnly, Choice, Always),
    f("department", Plain, Reference, Always),
    f("class", Plain, Reference, Always),
];

pub(super) const RECEIPT: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("createdFrom", ReadOnly, Reference, Always),
    f("orderId", ReadOnly, Number, Always),
    f("orderType", ReadOnly, Text, Always),
    f("entity", ReadOnly, Reference, Always),
    f("subsidiary", ReadOnly, Reference, OneWorld),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("item", Field::Items, List, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
];

pub(super) const RECEIPT_LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", ReadOnly, Number, Always),
    f("orderLine", Field::OrderLine, Number, Always),
    f("orderDoc", ReadOnly, Reference, Always),
    f("item", ReadOnly, Reference, Always),
    f("itemReceive", Field::ItemReceive, Flag, Always),
    f("quantity", Field::Quantity, Number, Always),
    f("location", Field::Location, Reference, Always),
    f("restock", Field::Restock, Flag, RestockField),
    f("quantityRemaining", ReadOnly, Number, Always),
    f("onHand", ReadOnly, Number, Always),
    f("kitMemberOf", ReadOnly, Number, Always),
    f("itemType", ReadOnly, Text, Always),
    f("description", ReadOnly, Text, Always),
];

pub(super) const REFUND: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("customer", Field::Customer, Reference, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("currency", Field::Currency, Reference, Always),
    f("exchangeRate", ReadOnly, Number, Always),
    f("account", Field::MoneyAccount, Reference, Always),
    f("arAcct", ReadOnly, Reference, Always),
    f("paymentOption", Field::PaymentOption, Reference, Always),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("apply", Field::Apply, List, Always),
    f("deposit", ReadOnly, List, Always),
    f("total", ReadOnly, Number, Always),
    f("status", ReadOnly, Choice, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
];

pub(super) const APPLY: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("doc", Field::Doc, Reference, Always),
    f("line", Field::Line, Number, Always),
    f("apply", Field::ApplyFlag, Flag, Always),
    f("amount", Field::Amount, Number, Always),
    f("applyDate", ReadOnly, Date, Always),
    f("currency", ReadOnly, Text, Always),
    f("due", ReadOnly, Number, Always),
    f("refNum", ReadOnly, Text, Always),
    f("total", ReadOnly, Number, Always),
    f("type", ReadOnly, Text, Always),
];

pub(super) const ADJUSTMENT: &[Spec] = &[
    f("id", ReadOnly, Text, Always),
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("externalId", Field::ExternalId, Text, Always),
    f("customer", Field::Customer, Reference, Always),
    f("subsidiary", Field::Subsidiary, Reference, OneWorld),
    f("account", Field::AdjustmentAccount, Reference, Always),
    f("adjLocation", Field::Location, Reference, Always),
    f("tranDate", Field::TranDate, Date, Always),
    f("tranId", ReadOnly, Text, Always),
    f("memo", Field::Memo, Text, Always),
    f("inventory", Field::Inventory, List, Always),
    f("estimatedTotalValue", ReadOnly, Number, Always),
    f("createdDate", ReadOnly, Time, Always),
    f("lastModifiedDate", ReadOnly, Time, Always),
];

pub(super) const ADJUSTMENT_LINE: &[Spec] = &[
    f("links", ReadOnly, List, Always),
    f("refName", ReadOnly, Text, Always),
    f("line", ReadOnly, Number, Always),
    f("item", Field::Item, Reference, Always),
    f("location", Field::Location, Reference, Always),
    f("adjustQtyBy", Field::AdjustBy, Number, Always),
    f("description", ReadOnly, Text, Always),
    f("newQuantity", ReadOnly, Number, Always),
    f("quantityOnHand", ReadOnly, Number, Always),
];

/// The fields of a transaction of this kind, and of its lines.
pub(super) fn of(kind: Kind) -> (&'static Table, &'static Table) {
    match kind {
        Kind::SalesOrder | Kind::CashSale => (&BODY_TABLE, &LINE_TABLE),
        Kind::Return => (&RETURN_TABLE, &RETURN_LINE_TABLE),
        Kind::Credit => (&CREDIT_TABLE, &CREDIT_LINE_TABLE),
    }
}

/// A list of fields that can be asked by name.
pub(super) struct Table(HashMap<String, &'static Spec>);

impl Table {
    fn new(specs: &'static [Spec]) -> Table {
        Table(specs.iter().flat_map(|spec| [(spec.name.to_owned(), spec), (spec.name.to_ascii_lowercase(), spec)]).collect())
    }

    /// The field with this name in any case.
    pub(super) fn get(&self, name: &str) -> Option<&'static Spec> {
        self.0.get(name).or_else(|| self.0.get(&name.to_ascii_lowercase())).copied()
    }
}

pub(super) static BODY_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(BODY));
pub(super) static LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINE));
pub(super) static TAX_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(TAX_DETAIL));
pub(super) static CUSTOMER_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(CUSTOMER));
pub(super) static ITEM_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ITEM));
pub(super) static PRICE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PRICE));
pub(super) static MEMBER_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(MEMBER));
pub(super) static FULFILMENT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(FULFILMENT));
pub(super) static FULFILMENT_LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(FULFILMENT_LINE));
pub(super) static PACKAGE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PACKAGE));
pub(super) static RETURN_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(RETURN));
pub(super) static RETURN_LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(RETURN_LINE));
pub(super) static CREDIT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(CREDIT));
pub(super) static CREDIT_LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(CREDIT_LINE));
pub(super) static RECEIPT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(RECEIPT));
pub(super) static RECEIPT_LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(RECEIPT_LINE));
pub(super) static REFUND_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(REFUND));
pub(super) static APPLY_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(APPLY));
pub(super) static ADJUSTMENT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ADJUSTMENT));
pub(super) static ADJUSTMENT_LINE_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ADJUSTMENT_LINE));
