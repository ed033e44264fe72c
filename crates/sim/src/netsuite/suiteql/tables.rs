//! The tables that can be asked, their columns, and what a row holds in them.
//!
//! Source: the vendor's Records Catalog as described in "SuiteQL in the Connect Service"; header amounts are
//! positive, lines of sales documents negative.

use std::ops::Bound;

use super::super::fixed::Fixed;
use super::super::periods::{Period, Span};
use super::super::read::unique_key;
use super::super::records::country_of;
use super::super::seed::{self, Item, Items, Member};
use super::super::state::{
    Customer, Fulfilment, Gone, Kind, Line, PENDING_APPROVAL, Paper, SHIPPING, State, TaxLine, Tran, What,
};
use super::super::stock::{Shelf, Slice, shipped};
use super::Cell;

macro_rules! columns {
    ($($name:ident),* $(,)?) => {
        /// A column of some table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::upper_case_acronyms)]
        pub(super) enum Col { $($name),* }

        impl Col {
            /// Its name, lower case, as it is answered.
            pub(super) fn name(self) -> String {
                match self { $(Col::$name => stringify!($name).to_ascii_lowercase()),* }
            }

            fn find(name: &str) -> Option<Col> {
                $(if name.eq_ignore_ascii_case(stringify!($name)) { return Some(Col::$name); })*
                None
            }
        }
    };
}

columns!(
    Id,
    TranId,
    ExternalId,
    Type,
    RecordType,
    Status,
    Entity,
    TranDate,
    CreatedDate,
    LastModifiedDate,
    Posting,
    Voided,
    Currency,
    ExchangeRate,
    ForeignTotal,
    Total,
    Subsidiary,
    Memo,
    OtherRefNum,
    ShippingAddress,
    BillingAddress,
    TaxDetailsOverride,
    ShipMethod,
    Transaction,
    LineSequenceNumber,
    Item,
    Quantity,
    Rate,
    NetAmount,
    ForeignAmount,
    Location,
    MainLine,
    TaxLine,
    IsCogs,
    IsClosed,
    QuantityShipRecv,
    QuantityBilled,
    DoNotDisplayLine,
    UniqueKey,
    ItemId,
    DisplayName,
    FullName,
    Description,
    ItemType,
    IsInactive,
    Name,
    Country,
    Parent,
    IsElimination,
    Symbol,
    EntityId,
    CompanyName,
    FirstName,
    LastName,
    Email,
    Phone,
    IsPerson,
    TaxType,
    CurrencyPrecision,
    NKey,
    Addressee,
    Addr1,
    Addr2,
    City,
    State,
    Zip,
    QuantityOnHand,
    QuantityAvailable,
    QuantityCommitted,
    QuantityBackOrdered,
    QuantityOnOrder,
    QuantityInTransit,
    ReorderPoint,
    LastQuantityAvailableChange,
    ParentItem,
    CreatedFrom,
    PreviousDoc,
    NextDoc,
    Line,
    TaxCode,
    TaxRate,
    TaxBasis,
    TaxAmount,
    PeriodName,
    StartDate,
    EndDate,
    Closed,
    AllLocked,
    ArLocked,
    ApLocked,
    AllowNonGlChanges,
    IsPosting,
    IsQuarter,
    IsYear,
    IsAdjust,
);

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Transaction,
    Line,
    Item,
    Subsidiary,
    Location,
    Currency,
    Customer,
    TaxItem,
    ShipItem,
    PaymentMethod,
    ShippingAddress,
    BillingAddress,
    /// `aggregateItemLocation`.
    PerPlace,
    /// `inventoryItemLocations`.
    PerPlaceFull,
    /// `itemmember`.
    Member,
    PriceLevel,
    Period,
    /// `PreviousTransactionLineLink`: what was made from what.
    Link,
    /// `transactionTaxDetail`. Not in the vendor's papers: as public programs that read it ask for it (inferred).
    TaxDetail,
}

impl Table {
    pub(super) fn find(name: &str) -> Option<Table> {
        Some(match name {
            "transaction" => Table::Transaction,
            "transactionline" => Table::Line,
            "item" => Table::Item,
            "subsidiary" => Table::Subsidiary,
            "location" => Table::Location,
            "currency" => Table::Currency,
            "customer" => Table::Customer,
            "salestaxitem" => Table::TaxItem,
            "shipitem" => Table::ShipItem,
            "paymentmethod" => Table::PaymentMethod,
            "transactionshippingaddress" => Table::ShippingAddress,
            "transactionbillingaddress" => Table::BillingAddress,
            "aggregateitemlocation" => Table::PerPlace,
            "inventoryitemlocations" => Table::PerPlaceFull,
            "itemmember" => Table::Member,
            "pricelevel" => Table::PriceLevel,
            "accountingperiod" => Table::Period,
            "previoustransactionlinelink" => Table::Link,
            "transactiontaxdetail" => Table::TaxDetail,
            _ => return None,
        })
    }

    pub(super) fn columns(self) -> &'static [Col] {
        use Col::*;
        match self {
            Table::Transaction => &[
                Id,
                TranId,
                ExternalId,
                Type,
                RecordType,
                Status,
                Entity,
                TranDate,
                CreatedDate,
                LastModifiedDate,
                Posting,
                Voided,
                Currency,
                ExchangeRate,
                ForeignTotal,
                Total,
                Subsidiary,
                Memo,
                OtherRefNum,
                ShippingAddress,
                BillingAddress,
                TaxDetailsOverride,
                ShipMethod,
                Email,
            ],
            Table::Line => &[
                Id,
                Transaction,
                LineSequenceNumber,
                Item,
                Quantity,
                Rate,
                NetAmount,
                ForeignAmount,
                Memo,
                Location,
                Subsidiary,
                Entity,
                MainLine,
                TaxLine,
                IsCogs,
                IsClosed,
                QuantityShipRecv,
                QuantityBilled,
                DoNotDisplayLine,
                UniqueKey,
                CreatedFrom,
            ],
            Table::Item => {
                &[Id, ItemId, ExternalId, DisplayName, FullName, Description, ItemType, IsInactive, CreatedDate, LastModifiedDate]
            }
            Table::PriceLevel => &[Id, Name, IsInactive],
            Table::Subsidiary => &[Id, Name, FullName, Currency, Country, Parent, IsInactive, IsElimination],
            Table::Location => &[Id, Name, FullName, ExternalId, Subsidiary, IsInactive],
            Table::Currency => &[Id, Symbol, Name, CurrencyPrecision, IsInactive],
            Table::Customer => &[
                Id,
                EntityId,
                ExternalId,
                CompanyName,
                FirstName,
                LastName,
                Email,
                Phone,
                IsPerson,
                Subsidiary,
                Currency,
                IsInactive,
                LastModifiedDate,
            ],
            Table::TaxItem => &[Id, ItemId, Name, FullName, Rate, Country, TaxType, IsInactive],
            Table::ShipItem => &[Id, ItemId, IsInactive],
            Table::PaymentMethod => &[Id, Name, IsInactive],
            Table::ShippingAddress | Table::BillingAddress => &[NKey, Addressee, Addr1, Addr2, City, State, Zip, Country],
            Table::PerPlace => &[
                Item,
                Location,
                QuantityOnHand,
                QuantityAvailable,
                QuantityCommitted,
                QuantityOnOrder,
                ReorderPoint,
                LastQuantityAvailableChange,
            ],
            Table::PerPlaceFull => &[
                Item,
                Location,
                QuantityOnHand,
                QuantityAvailable,
                QuantityCommitted,
                QuantityBackOrdered,
                QuantityOnOrder,
                QuantityInTransit,
                LastQuantityAvailableChange,
            ],
            Table::Member => &[ParentItem, Item, Quantity],
            Table::Link => &[PreviousDoc, NextDoc],
            Table::TaxDetail => &[Transaction, Line, TaxType, TaxCode, TaxBasis, TaxRate, TaxAmount],
            Table::Period => &[
                Id,
                PeriodName,
                StartDate,
                EndDate,
                Closed,
                AllLocked,
                ArLocked,
                ApLocked,
                AllowNonGlChanges,
                IsPosting,
                IsQuarter,
                IsYear,
                IsAdjust,
                IsInactive,
            ],
        }
    }

    /// The column of this name, in any case.
    pub(super) fn column(self, name: &str) -> Option<Col> {
        Col::find(name).filter(|col| self.columns().contains(col))
    }

    /// Whether rows can be found by this column without looking at all of them.
    pub(super) fn is_indexed(self, col: Col) -> bool {
        matches!(
            (self, col),
            (Table::Transaction, Col::Id | Col::ExternalId | Col::Status)
                | (Table::Line, Col::Transaction)
                | (Table::Item, Col::Id | Col::ItemId | Col::ExternalId)
                | (Table::Customer, Col::Id | Col::ExternalId | Col::EntityId)
                | (Table::TaxItem, Col::Id)
                | (Table::ShippingAddress | Table::BillingAddress, Col::NKey)
                | (Table::Member, Col::ParentItem)
                | (Table::Link, Col::NextDoc)
                | (Table::TaxDetail, Col::Transaction)
        )
    }
}

/// What a row of `transactionline` stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Main,
    Item(&'a Line),
    Discount,
    Shipping,
    Tax(usize, &'a TaxLine),
}

/// A line of a receipt or an adjustment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    number: u32,
    item: u32,
    quantity: Fixed,
    location: u32,
}

/// One row of one table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    /// No row: the other side of a left join.
    Null,
    Tran(&'a Tran),
    Fulfilment(&'a Fulfilment),
    Paper(&'a Paper),
    Period(&'a Period),
    Line(&'a Tran, Part<'a>),
    /// A line of a fulfilment; its head without one.
    Left(&'a Fulfilment, Option<&'a Gone>),
    /// A line of another paper; its head without one.
    PaperLine(&'a Paper, Option<Moved>),
    /// (from, to).
    Link(u32, u32),
    TaxDetail(&'a Tran, &'a TaxLine),
    Item(&'a Item),
    Subsidiary(&'static seed::Subsidiary),
    Location(&'static seed::Location),
    Currency(&'static seed::Currency),
    Customer(&'a Customer),
    TaxCode(u32),
    ShipItem(u32, &'static str),
    PaymentMethod(u32, &'static str),
    /// The flag tells shipping from billing.
    Address(&'a Tran, bool),
    /// Item, place.
    Shelf(u32, u32, &'a Shelf),
    Member(&'a Member),
}

fn whole<'a>(number: impl Into<i64>) -> Cell<'a> {
    Cell::Num(Fixed::whole(number.into()))
}

fn text(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Null } else { Cell::Text(text.into()) }
}

fn owned<'a>(text: String) -> Cell<'a> {
    Cell::Text(text.into())
}

fn yes<'a>(flag: bool) -> Cell<'a> {
    Cell::Text(if flag { "T" } else { "F" }.into())
}

fn id<'a>(id: u32) -> Cell<'a> {
    if id == 0 { Cell::Null } else { whole(id) }
}

/// The address to which a document is mailed, kept as it was posted.
fn mailed<'a>(tran: &Tran, state: &'a State) -> Cell<'a> {
    let kept = tran.extra.iter().find(|extra| extra.line == 0 && state.symbols.text(extra.name) == "email");
    kept.and_then(|extra| serde_json::from_str::<String>(&extra.json).ok()).map_or(Cell::Null, owned)
}

fn address_key(tran: &Tran, shipping: bool) -> Option<u32> {
    let kept = if shipping { &tran.ship_to } else { &tran.bill_to };
    kept.as_ref().map(|_| tran.id.saturating_mul(2).saturating_add(u32::from(!shipping)))
}

/// In the currency of the subsidiary.
fn base(amount: Fixed, tran: &Tran) -> Fixed {
    amount.times(tran.exchange, 2).unwrap_or_default()
}

/// The value of a column.
pub(super) fn get<'a>(row: Row<'a>, col: Col, state: &'a State) -> Cell<'a> {
    match row {
        Row::Null => Cell::Null,
        Row::Tran(tran) => match col {
            Col::Id => whole(tran.id),
            Col::TranId => owned(tran.tran_id()),
            Col::ExternalId => tran.external.as_deref().map_or(Cell::Null, text),
            Col::Type => Cell::Text(tran.kind.code().into()),
            Col::RecordType => Cell::Text(
                match tran.kind {
                    Kind::SalesOrder => "salesorder",
                    Kind::CashSale => "cashsale",
                    Kind::Return => "returnauthorization",
                    Kind::Credit => "creditmemo",
                }
                .into(),
            ),
            Col::Status => Cell::Text(tran.status().0.into()),
            Col::Entity => id(tran.entity),
            Col::TranDate => Cell::Date(tran.date),
            Col::CreatedDate => Cell::Time(tran.created),
            Col::LastModifiedDate => Cell::Time(tran.modified),
            Col::Posting => yes(matches!(tran.kind, Kind::CashSale | Kind::Credit)),
            Col::Voided => yes(tran.kind == Kind::Credit && tran.status().0 == "V"),
            Col::Currency => id(tran.currency),
            Col::ExchangeRate => Cell::Num(tran.exchange),
            Col::ForeignTotal => Cell::Num(tran.totals().total),
            Col::Total => Cell::Num(base(tran.totals().total, tran)),
            Col::Subsidiary => id(tran.subsidiary),
            Col::Memo => tran.memo.as_deref().map_or(Cell::Null, text),
            Col::OtherRefNum => tran.other_ref.as_deref().map_or(Cell::Null, text),
            Col::ShippingAddress => address_key(tran, true).map_or(Cell::Null, whole),
            Col::BillingAddress => address_key(tran, false).map_or(Cell::Null, whole),
            Col::TaxDetailsOverride => yes(tran.tax_override),
            Col::ShipMethod => id(tran.ship_method),
            Col::Email => mailed(tran, state),
            _ => Cell::Null,
        },
        Row::Fulfilment(it) => match col {
            Col::Id => whole(it.id),
            Col::TranId => owned(it.tran_id()),
            Col::ExternalId => it.external.as_deref().map_or(Cell::Null, text),
            Col::Type => Cell::Text("ItemShip".into()),
            Col::RecordType => Cell::Text("itemfulfillment".into()),
            Col::Status => Cell::Text(it.status.words().0.into()),
            Col::Entity => state.trans.get(&it.order).map_or(Cell::Null, |order| id(order.entity)),
            Col::TranDate => Cell::Date(it.date),
            Col::CreatedDate => Cell::Time(it.created),
            Col::LastModifiedDate => Cell::Time(it.modified),
            Col::Posting => yes(it.status.words().0 == "C"),
            Col::Voided => yes(false),
            Col::Currency => state.trans.get(&it.order).map_or(Cell::Null, |order| id(order.currency)),
            Col::Memo => it.memo.as_deref().map_or(Cell::Null, text),
            Col::Subsidiary => state.trans.get(&it.order).map_or(Cell::Null, |order| id(order.subsidiary)),
            _ => Cell::Null,
        },
        Row::Paper(it) => match col {
            Col::Id => whole(it.id),
            Col::TranId => owned(it.tran_id()),
            Col::ExternalId => it.external.as_deref().map_or(Cell::Null, text),
            Col::Type => Cell::Text(it.code().into()),
            Col::RecordType => owned(it.record().to_ascii_lowercase()),
            Col::Status => text(it.status()),
            Col::Entity => id(it.entity),
            Col::TranDate => Cell::Date(it.date),
            Col::CreatedDate => Cell::Time(it.created),
            Col::LastModifiedDate => Cell::Time(it.modified),
            Col::Posting => yes(true),
            Col::Voided => yes(matches!(it.what, What::Refund { voided: true, .. })),
            Col::Memo => it.memo.as_deref().map_or(Cell::Null, text),
            Col::Subsidiary => id(it.subsidiary),
            Col::Currency | Col::ForeignTotal => match &it.what {
                What::Refund { currency, .. } if col == Col::Currency => id(*currency),
                What::Refund { applied, voided, .. } => {
                    let paid = if *voided { &[][..] } else { applied };
                    let sum = paid.iter().try_fold(Fixed::default(), |sum, (_, amount)| sum.plus(*amount));
                    sum.map_or(Cell::Null, Cell::Num)
                }
                _ => Cell::Null,
            },
            _ => Cell::Null,
        },
        Row::Left(it, gone) => match (col, gone) {
            (Col::Id | Col::LineSequenceNumber, gone) => whole(gone.map_or(0, |gone| gone.number)),
            (Col::Transaction, _) => whole(it.id),
            (Col::UniqueKey, gone) => whole(i64::try_from(unique_key(it.id, gone.map_or(0, |gone| gone.number))).unwrap_or(0)),
            (Col::Item, Some(gone)) => id(gone.item),
            (Col::Quantity, Some(gone)) => Cell::Num(gone.quantity.negated()),
            (Col::Location, Some(gone)) => id(gone.location),
            (Col::Memo, None) => it.memo.as_deref().map_or(Cell::Null, text),
            (Col::Subsidiary | Col::Entity, _) => get(Row::Fulfilment(it), col, state),
            (Col::MainLine, gone) => yes(gone.is_none()),
            (Col::TaxLine | Col::IsCogs | Col::IsClosed | Col::DoNotDisplayLine, _) => yes(false),
            (Col::CreatedFrom, _) => id(it.order),
            _ => Cell::Null,
        },
        Row::PaperLine(it, moved) => match (col, moved) {
            (Col::Id | Col::LineSequenceNumber, moved) => whole(moved.map_or(0, |moved| moved.number)),
            (Col::Transaction, _) => whole(it.id),
            (Col::UniqueKey, moved) => {
                whole(i64::try_from(unique_key(it.id, moved.map_or(0, |moved| moved.number))).unwrap_or(0))
            }
            (Col::Item, Some(moved)) => id(moved.item),
            (Col::Quantity, Some(moved)) => Cell::Num(moved.quantity),
            (Col::Location, Some(moved)) => id(moved.location),
            (Col::ForeignAmount, None) => get(Row::Paper(it), Col::ForeignTotal, state),
            (Col::Memo, None) => it.memo.as_deref().map_or(Cell::Null, text),
            (Col::Subsidiary | Col::Entity, _) => get(Row::Paper(it), col, state),
            (Col::MainLine, moved) => yes(moved.is_none()),
            (Col::TaxLine | Col::IsCogs | Col::IsClosed | Col::DoNotDisplayLine, _) => yes(false),
            (Col::CreatedFrom, _) => match it.what {
                What::Receipt { from, .. } => id(from),
                _ => Cell::Null,
            },
            _ => Cell::Null,
        },
        Row::Link(previous, next) => match col {
            Col::PreviousDoc => whole(previous),
            Col::NextDoc => whole(next),
            _ => Cell::Null,
        },
        Row::TaxDetail(tran, tax) => match col {
            Col::Transaction => whole(tran.id),
            Col::Line => whole(if tax.line == SHIPPING { shipping_number(tran) } else { tax.line }),
            Col::TaxType => seed::tax_code(tax.code).map_or(Cell::Null, |code| whole(code.tax_type)),
            Col::TaxCode => id(tax.code),
            Col::TaxBasis => Cell::Num(tax.basis),
            // A share of one, not of a hundred.
            Col::TaxRate => tax.rate.over(Fixed::whole(100)).map_or(Cell::Null, Cell::Num),
            Col::TaxAmount => Cell::Num(tax.amount),
            _ => Cell::Null,
        },
        Row::Period(it) => match col {
            Col::Id => whole(it.id),
            Col::PeriodName => text(&it.name),
            Col::StartDate => Cell::Date(it.start),
            Col::EndDate => Cell::Date(it.end),
            Col::Closed => yes(it.flags.closed),
            Col::ArLocked => yes(it.flags.ar_locked || it.flags.closed),
            Col::AllLocked | Col::ApLocked => yes(it.flags.closed),
            Col::AllowNonGlChanges | Col::IsInactive => yes(false),
            Col::IsPosting => yes(matches!(it.span, Span::Month | Span::Adjustment)),
            Col::IsQuarter => yes(it.span == Span::Quarter),
            Col::IsYear => yes(it.span == Span::Year),
            Col::IsAdjust => yes(it.span == Span::Adjustment),
            _ => Cell::Null,
        },
        Row::Line(tran, part) => line(tran, part, col, state),
        Row::Item(item) => match col {
            Col::Id => whole(item.id),
            Col::ExternalId => item.external.as_deref().map_or(Cell::Null, text),
            Col::CreatedDate => Cell::Time(item.created),
            Col::LastModifiedDate => Cell::Time(item.modified),
            Col::ItemId | Col::FullName => text(&item.sku),
            Col::DisplayName | Col::Description => text(&item.name),
            Col::ItemType => Cell::Text(item.kind.code().into()),
            Col::IsInactive => yes(item.inactive),
            _ => Cell::Null,
        },
        Row::Subsidiary(it) => match col {
            Col::Id => whole(it.id),
            Col::Name => text(it.name),
            Col::FullName if it.id == 1 => text(it.name),
            Col::FullName => owned(format!("Parent Company : {}", it.name)),
            Col::Currency => seed::currency_by_symbol(it.currency).map_or(Cell::Null, |c| whole(c.id)),
            Col::Country => text(it.country),
            Col::Parent if it.id != 1 => whole(1),
            Col::IsInactive => yes(it.inactive),
            Col::IsElimination => yes(false),
            _ => Cell::Null,
        },
        Row::Location(it) => match col {
            Col::Id => whole(it.id),
            Col::Name | Col::FullName => text(it.name),
            Col::Subsidiary => whole(it.subsidiary),
            Col::IsInactive => yes(it.inactive),
            _ => Cell::Null,
        },
        Row::Currency(it) => match col {
            Col::Id => whole(it.id),
            Col::Symbol => text(it.symbol),
            Col::Name => text(it.name),
            Col::CurrencyPrecision => whole(it.digits),
            Col::IsInactive => yes(false),
            _ => Cell::Null,
        },
        Row::Customer(it) => match col {
            Col::Id => whole(it.id),
            Col::EntityId => text(&it.entity_id),
            Col::ExternalId => it.external.as_deref().map_or(Cell::Null, text),
            Col::CompanyName => text(&it.company),
            Col::FirstName => text(&it.first),
            Col::LastName => text(&it.last),
            Col::Email => text(&it.email),
            Col::Phone => text(&it.phone),
            Col::IsPerson => yes(it.person),
            Col::Subsidiary => id(it.subsidiary),
            Col::Currency => id(it.currency),
            Col::IsInactive => yes(it.inactive),
            Col::LastModifiedDate => Cell::Time(it.modified),
            _ => Cell::Null,
        },
        Row::TaxCode(number) => match (col, seed::tax_code(number)) {
            (Col::Id, _) => whole(number),
            (Col::ItemId | Col::Name | Col::FullName, Some(code)) => owned(code.name()),
            (Col::Rate, Some(code)) => Cell::Num(code.rate),
            (Col::Country, Some(code)) => owned(code.country),
            (Col::TaxType, Some(code)) => whole(code.tax_type),
            (Col::IsInactive, _) => yes(false),
            _ => Cell::Null,
        },
        Row::ShipItem(number, name) | Row::PaymentMethod(number, name) => match col {
            Col::Id => whole(number),
            Col::IsInactive => yes(false),
            _ => text(name),
        },
        // Nothing is ever on order or on its way here, nor is a reorder point set: these are NULL.
        Row::Shelf(item, location, shelf) => match col {
            Col::Item => whole(item),
            Col::Location => whole(location),
            Col::QuantityOnHand => Cell::Num(shelf.on_hand),
            Col::QuantityAvailable => Cell::Num(shelf.available()),
            Col::QuantityCommitted => Cell::Num(shelf.committed()),
            Col::QuantityBackOrdered => Cell::Num(shelf.back_ordered()),
            Col::LastQuantityAvailableChange if shelf.changed != 0 => Cell::Time(shelf.changed),
            _ => Cell::Null,
        },
        Row::Member(member) => match col {
            Col::ParentItem => whole(member.parent),
            Col::Item => whole(member.item),
            Col::Quantity => whole(member.quantity),
            _ => Cell::Null,
        },
        Row::Address(tran, shipping) => {
            let kept = if shipping { &tran.ship_to } else { &tran.bill_to };
            let field = match col {
                Col::NKey => return address_key(tran, shipping).map_or(Cell::Null, whole),
                Col::Country => return text(country_of(kept.as_deref())),
                Col::Addressee => "addressee",
                Col::Addr1 => "addr1",
                Col::Addr2 => "addr2",
                Col::City => "city",
                Col::State => "state",
                _ => "zip",
            };
            kept.as_deref()
                .and_then(|kept| {
                    let (mut fields, _) = super::super::records::address_parts(kept);
                    fields.find(|(name, _)| *name == field)
                })
                .map_or(Cell::Null, |(_, value)| text(value))
        }
    }
}

fn shipping_number(tran: &Tran) -> u32 {
    tran.last_line.saturating_add(2)
}

fn line<'a>(tran: &'a Tran, part: Part<'a>, col: Col, state: &'a State) -> Cell<'a> {
    let number = match part {
        Part::Main => 0,
        Part::Item(line) => line.number,
        Part::Discount => tran.last_line.saturating_add(1),
        Part::Shipping => shipping_number(tran),
        Part::Tax(at, _) => tran.last_line.saturating_add(3).saturating_add(u32::try_from(at).unwrap_or(0)),
    };
    let amount = || match part {
        Part::Main => tran.totals().total,
        Part::Item(line) => line.amount.negated(),
        Part::Discount => tran.totals().discount.negated(),
        Part::Shipping => tran.shipping.negated(),
        Part::Tax(_, tax) => tax.amount.negated(),
    };
    match (col, part) {
        (Col::Id | Col::LineSequenceNumber, _) => whole(number),
        (Col::Transaction, _) => whole(tran.id),
        (Col::UniqueKey, _) => whole(i64::try_from(unique_key(tran.id, number)).unwrap_or(0)),
        (Col::Item, Part::Item(line)) => id(line.item),
        (Col::Item, Part::Discount) => id(tran.discount_item),
        (Col::Item, Part::Shipping) => id(tran.ship_method),
        (Col::Item, Part::Tax(_, tax)) => id(tax.code),
        (Col::Quantity, Part::Item(line)) => Cell::Num(line.quantity.negated()),
        (Col::Rate, Part::Item(line)) => Cell::Num(line.rate),
        (Col::Rate, Part::Tax(_, tax)) => Cell::Num(tax.rate),
        (Col::Rate, Part::Shipping) => Cell::Num(tran.shipping),
        (Col::ForeignAmount, _) => Cell::Num(amount()),
        (Col::NetAmount, _) => Cell::Num(base(amount(), tran)),
        (Col::Memo, Part::Item(line)) => text(state.symbols.text(line.description)),
        (Col::Memo, Part::Main) => tran.memo.as_deref().map_or(Cell::Null, text),
        (Col::Location, Part::Item(line)) => id(line.location),
        (Col::Location, Part::Main) => id(tran.location),
        (Col::Subsidiary, _) => id(tran.subsidiary),
        (Col::Entity, _) => id(tran.entity),
        (Col::MainLine, _) => yes(matches!(part, Part::Main)),
        (Col::TaxLine, _) => yes(matches!(part, Part::Tax(..))),
        (Col::IsCogs | Col::DoNotDisplayLine, _) => yes(false),
        (Col::IsClosed, Part::Item(line)) => yes(line.closed),
        (Col::IsClosed, _) => yes(false),
        (Col::CreatedFrom, _) => tran.back.as_ref().map_or(Cell::Null, |back| id(back.from)),
        (Col::QuantityShipRecv, Part::Item(line)) if tran.kind == Kind::Return => {
            Cell::Num(tran.back.as_ref().map(|back| back.received_of(line.number)).unwrap_or_default())
        }
        (Col::QuantityShipRecv, Part::Item(line)) => Cell::Num(shipped(tran, line.number)),
        (Col::QuantityBilled, Part::Item(line)) => {
            if tran.billed {
                Cell::Num(line.quantity)
            } else {
                whole(0)
            }
        }
        _ => Cell::Null,
    }
}

fn lines_of<'a>(tran: &'a Tran, each: &mut impl FnMut(Row<'a>) -> Result<(), String>) -> Result<(), String> {
    each(Row::Line(tran, Part::Main))?;
    for line in &tran.lines {
        each(Row::Line(tran, Part::Item(line)))?;
    }
    if tran.discount_item != 0 {
        each(Row::Line(tran, Part::Discount))?;
    }
    if !tran.shipping.is_zero() {
        each(Row::Line(tran, Part::Shipping))?;
    }
    for (at, tax) in tran.taxes.iter().enumerate() {
        each(Row::Line(tran, Part::Tax(at, tax)))?;
    }
    Ok(())
}

/// The lines of a fulfilment, its head first.
fn lines_left<'a>(it: &'a Fulfilment, each: &mut impl FnMut(Row<'a>) -> Result<(), String>) -> Result<(), String> {
    each(Row::Left(it, None))?;
    it.lines.iter().try_for_each(|gone| each(Row::Left(it, Some(gone))))
}

/// The lines of another paper, its head first.
fn lines_on<'a>(it: &'a Paper, each: &mut impl FnMut(Row<'a>) -> Result<(), String>) -> Result<(), String> {
    each(Row::PaperLine(it, None))?;
    let mut line = |number, item, quantity, location| each(Row::PaperLine(it, Some(Moved { number, item, quantity, location })));
    match &it.what {
        What::Receipt { lines, .. } => lines.iter().try_for_each(|at| line(at.number, at.item, at.quantity, at.location)),
        What::Adjustment { lines, .. } => lines.iter().try_for_each(|at| line(at.number, at.item, at.quantity, at.location)),
        What::Refund { .. } => Ok(()),
    }
}

/// What a document was made from, or what it is applied to, as links to it.
fn links_of<'a>(id: u32, state: &State, each: &mut impl FnMut(Row<'a>) -> Result<(), String>) -> Result<(), String> {
    if let Some(from) = state.trans.get(&id).and_then(|tran| tran.back.as_ref()).map(|back| back.from).filter(|from| *from != 0) {
        each(Row::Link(from, id))?;
    }
    if let Some(it) = state.fulfilments.get(&id) {
        each(Row::Link(it.order, id))?;
    }
    match state.papers.get(&id).map(|it| &it.what) {
        Some(What::Receipt { from, .. }) => each(Row::Link(*from, id)),
        Some(What::Refund { applied, .. }) => applied.iter().try_for_each(|(memo, _)| each(Row::Link(*memo, id))),
        _ => Ok(()),
    }
}

fn details_of<'a>(tran: &'a Tran, each: &mut impl FnMut(Row<'a>) -> Result<(), String>) -> Result<(), String> {
    tran.taxes.iter().try_for_each(|tax| each(Row::TaxDetail(tran, tax)))
}

fn number_of(cell: &Cell<'_>) -> Option<u32> {
    match cell {
        Cell::Num(number) => number.text(0).parse().ok(),
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn key_of(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.to_string()),
        Cell::Num(number) => Some(number.text(0)),
        _ => None,
    }
}

/// Which rows of a table to look at.
pub(super) enum Access<'e> {
    All,
    /// Those whose indexed column holds one of these.
    Equal(Col, &'e [Cell<'e>]),
    /// Ids from here on.
    From(u32),
    /// This part of the stock.
    Stock(&'e Slice),
}

/// Hands the rows of a table to `each`.
pub(super) fn scan<'a>(
    table: Table,
    access: &Access<'_>,
    state: &'a State,
    items: &'a Items,
    periods: &'a [Period],
    each: &mut impl FnMut(Row<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let from = match access {
        Access::Equal(col, values) => {
            for value in *values {
                find(table, *col, value, state, items, each)?;
            }
            return Ok(());
        }
        Access::Stock(slice) => {
            return state.stock.scan(slice, &mut |item, location, shelf| each(Row::Shelf(item, location, shelf)));
        }
        Access::All => 0,
        Access::From(from) => *from,
    };
    let from = (Bound::Included(from), Bound::Unbounded);
    match table {
        Table::Transaction => {
            state.trans.range(from).try_for_each(|(_, tran)| each(Row::Tran(tran)))?;
            state.fulfilments.range(from).try_for_each(|(_, it)| each(Row::Fulfilment(it)))?;
            state.papers.range(from).try_for_each(|(_, it)| each(Row::Paper(it)))
        }
        Table::Period => periods.iter().try_for_each(|it| each(Row::Period(it))),
        Table::Line => {
            state.trans.values().try_for_each(|tran| lines_of(tran, each))?;
            state.fulfilments.values().try_for_each(|it| lines_left(it, each))?;
            state.papers.values().try_for_each(|it| lines_on(it, each))
        }
        Table::Link => {
            state.trans.keys().try_for_each(|id| links_of(*id, state, each))?;
            state.fulfilments.keys().try_for_each(|id| links_of(*id, state, each))?;
            state.papers.keys().try_for_each(|id| links_of(*id, state, each))
        }
        Table::TaxDetail => state.trans.values().try_for_each(|tran| details_of(tran, each)),
        Table::Item => items.all().try_for_each(|item| each(Row::Item(item))),
        Table::Subsidiary => seed::SUBSIDIARIES.iter().try_for_each(|it| each(Row::Subsidiary(it))),
        Table::Location => seed::LOCATIONS.iter().try_for_each(|it| each(Row::Location(it))),
        Table::Currency => seed::CURRENCIES.iter().try_for_each(|it| each(Row::Currency(it))),
        Table::Customer => state.customers.range(from).try_for_each(|(_, it)| each(Row::Customer(it))),
        Table::TaxItem => seed::listed_tax_codes().into_iter().try_for_each(|it| each(Row::TaxCode(it))),
        Table::ShipItem => seed::SHIP_ITEMS.iter().try_for_each(|(id, name)| each(Row::ShipItem(*id, name))),
        Table::PriceLevel => seed::PRICE_LEVELS.iter().try_for_each(|(id, name)| each(Row::PaymentMethod(*id, name))),
        Table::PaymentMethod => seed::PAYMENT_METHODS.iter().try_for_each(|(id, name)| each(Row::PaymentMethod(*id, name))),
        Table::PerPlace | Table::PerPlaceFull => {
            state.stock.scan(&Slice::default(), &mut |item, location, shelf| each(Row::Shelf(item, location, shelf)))
        }
        Table::Member => items.all_members().iter().try_for_each(|it| each(Row::Member(it))),
        Table::ShippingAddress | Table::BillingAddress => {
            let shipping = table == Table::ShippingAddress;
            state
                .trans
                .values()
                .filter(|tran| address_key(tran, shipping).is_some())
                .try_for_each(|tran| each(Row::Address(tran, shipping)))
        }
    }
}

fn find<'a>(
    table: Table,
    col: Col,
    value: &Cell<'_>,
    state: &'a State,
    items: &'a Items,
    each: &mut impl FnMut(Row<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let tran = |id: Option<u32>| id.and_then(|id| state.trans.get(&id));
    // Whatever transaction it is.
    let any = |id: Option<u32>| {
        let fulfilment = || id.and_then(|id| state.fulfilments.get(&id)).map(|it| Row::Fulfilment(it));
        let paper = || id.and_then(|id| state.papers.get(&id)).map(|it| Row::Paper(it));
        tran(id).map(|tran| Row::Tran(tran)).or_else(fulfilment).or_else(paper)
    };
    match (table, col) {
        (Table::Transaction, Col::Id) => any(number_of(value)).map_or(Ok(()), each),
        (Table::Transaction, Col::Status) => {
            let status = key_of(value);
            let waits = |id: &u32| state.trans.get(id);
            match status.as_deref() {
                // A picked fulfilment has the same letter.
                Some(PENDING_APPROVAL) => {
                    state.unapproved.iter().filter_map(waits).try_for_each(|tran| each(Row::Tran(tran)))?;
                    let mut picked = state.fulfilments.values().filter(|it| it.status.words().0 == PENDING_APPROVAL);
                    picked.try_for_each(|it| each(Row::Fulfilment(it)))
                }
                other => {
                    let mut same = state.trans.values().filter(|tran| Some(tran.status().0) == other);
                    same.try_for_each(|tran| each(Row::Tran(tran)))?;
                    let mut same = state.fulfilments.values().filter(|it| Some(it.status.words().0) == other);
                    same.try_for_each(|it| each(Row::Fulfilment(it)))?;
                    let mut same = state.papers.values().filter(|it| Some(it.status()) == other);
                    same.try_for_each(|it| each(Row::Paper(it)))
                }
            }
        }
        (Table::Transaction, _) => {
            let id = key_of(value).and_then(|key| state.by_external.get(key.as_str()).copied());
            any(id).map_or(Ok(()), each)
        }
        (Table::Line, _) => match any(number_of(value)) {
            Some(Row::Tran(tran)) => lines_of(tran, each),
            Some(Row::Fulfilment(it)) => lines_left(it, each),
            Some(Row::Paper(it)) => lines_on(it, each),
            _ => Ok(()),
        },
        (Table::Link, _) => number_of(value).map_or(Ok(()), |id| links_of(id, state, each)),
        (Table::TaxDetail, _) => tran(number_of(value)).map_or(Ok(()), |tran| details_of(tran, each)),
        (Table::Item, Col::Id) => number_of(value).and_then(|id| items.get(id)).map_or(Ok(()), |item| each(Row::Item(item))),
        (Table::Item, Col::ExternalId) => {
            key_of(value).and_then(|key| items.by_external(&key)).map_or(Ok(()), |item| each(Row::Item(item)))
        }
        (Table::Item, _) => {
            let key = key_of(value).unwrap_or_default();
            items.named(&key).try_for_each(|item| each(Row::Item(item)))
        }
        (Table::Customer, col) => {
            let id = match col {
                Col::Id => number_of(value),
                Col::ExternalId => key_of(value).and_then(|key| state.customer_by_external.get(key.as_str()).copied()),
                _ => key_of(value).and_then(|key| state.entity_ids.get(key.as_str()).copied()),
            };
            id.and_then(|id| state.customers.get(&id)).map_or(Ok(()), |it| each(Row::Customer(it)))
        }
        (Table::TaxItem, _) => {
            number_of(value).filter(|id| seed::tax_code(*id).is_some()).map_or(Ok(()), |id| each(Row::TaxCode(id)))
        }
        (Table::ShippingAddress | Table::BillingAddress, _) => {
            let shipping = table == Table::ShippingAddress;
            let key = number_of(value);
            tran(key.map(|key| key / 2))
                .filter(|tran| key.is_some() && address_key(tran, shipping) == key)
                .map_or(Ok(()), |tran| each(Row::Address(tran, shipping)))
        }
        (Table::Member, _) => {
            let members = number_of(value).map_or(&[][..], |kit| items.members(kit));
            members.iter().try_for_each(|it| each(Row::Member(it)))
        }
        _ => Ok(()),
    }
}

/// What `BUILTIN.DF` shows for a column.
pub(super) fn shown<'a>(row: Row<'a>, col: Col, state: &'a State, items: &'a Items) -> Cell<'a> {
    let plain = get(row, col, state);
    let Some(number) = number_of(&plain) else {
        return match (row, col) {
            (Row::Tran(tran), Col::Status) => owned(format!("{} : {}", tran.kind.label(), tran.status().1)),
            (Row::Tran(tran), Col::Type) => Cell::Text(tran.kind.label().into()),
            _ => plain,
        };
    };
    match col {
        Col::Entity => state.customers.get(&number).map_or(plain, |it| owned(it.name())),
        Col::Currency => seed::currency(number).map_or(plain, |it| text(it.name)),
        Col::Subsidiary => seed::subsidiary(number).map_or(plain, |it| text(it.name)),
        Col::Location => seed::location(number).map_or(plain, |it| text(it.name)),
        Col::Item | Col::ParentItem => items.get(number).map_or(plain, |it| text(&it.sku)),
        Col::TaxType => seed::tax_type(number).map_or(plain, owned),
        Col::Id => match row {
            Row::Tran(tran) => owned(format!("{} #{}", tran.kind.label(), tran.tran_id())),
            Row::Line(_, Part::Tax(_, tax)) if tax.line == SHIPPING => owned("Shipping".into()),
            _ => plain,
        },
        _ => plain,
    }
}
