//! Which fields a record has. The names are the vendor's; case does not matter on the way in.
//!
//! Source: the vendor's REST API Browser, records `salesOrder`, `cashSale` and `customer`.

use std::collections::HashMap;
use std::sync::LazyLock;

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
    /// Whether an account with these options has it on such a record.
    pub(super) fn exists(&self, options: &Options, order: bool) -> bool {
        match self.when {
            When::Always => true,
            When::SuiteTax => options.tax.is_suite_tax(),
            When::Legacy => {
                matches!(options.tax, TaxRegime::LegacyLine | TaxRegime::LegacyTransaction)
            }
            When::OneWorld => options.one_world,
            When::Order => order,
            When::Sale => !order,
        }
    }
}

const fn f(name: &'static str, field: Field, shape: Shape, when: When) -> Spec {
    Spec { name, field, shape, when }
}

use Field::{Plain, ReadOnly};
use Shape::{Choice, Date, Flag, List, Number, Record, Reference, Text, Time};
use When::{Always, Legacy, OneWorld, Order, Sale, SuiteTax};

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
