//! The reasons that an amount can have, in words that a person can act on.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use crate::money::Rounding;

/// Why an amount is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Explanation {
    /// The same prices and rates, rounded in another way.
    Rounding {
        /// Every policy that gives their figures and not ours, the most usual first.
        fits: Vec<Policy>,
        /// The most usual policy that gives ours, where one does.
        ours: Option<Policy>,
    },
    /// Taxed at another rate.
    Rate {
        /// Ours, in percent.
        ours: Decimal,
        /// Theirs, in percent.
        theirs: Decimal,
        /// What is known of theirs.
        known: Option<KnownRate>,
    },
    /// The same document with the discount in other places.
    DiscountSpread {
        /// Where they have it.
        how: Spread,
    },
    /// The same shipping, taxed in another way or told in another place.
    ShippingTaxed {
        /// How they do it.
        how: ShippingTax,
    },
    /// Another price, with no policy behind it.
    Price {
        /// What became of it.
        how: PriceChange,
    },
    /// Another number of units at the same price.
    Quantity {
        /// Ours.
        ours: i64,
        /// Theirs.
        theirs: i64,
    },
    /// A line that only one side has.
    OneSided,
    /// Nothing that systems are known to do gives their figure.
    Unexplained,
}

/// What is known of a rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownRate {
    /// Nothing is taxed.
    Zero,
    /// Theirs is the country's rate of that day, ours is not.
    InForce,
    /// The country had it before: booked by too early a date.
    OldRate {
        /// The last day on which it held.
        until: Date,
    },
    /// The country has it later: booked by too late a date.
    NewRate {
        /// The first day on which it holds.
        since: Date,
    },
    /// A reduced rate of the country.
    Reduced,
    /// The standard rate of other countries on that day.
    OtherCountry {
        /// Their codes.
        countries: Vec<String>,
    },
}

/// Where a discount of the document is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Over the lines by what they cost without tax.
    ByNet,
    /// Over the lines by what they cost with tax.
    ByGross,
    /// The same for each line.
    Evenly,
    /// The same for each unit.
    PerUnit,
    /// On the first line.
    FirstLine,
    /// On the last line.
    LastLine,
    /// On the line that costs most.
    DearestLine,
    /// As a line of its own.
    OwnLine,
    /// Over the lines, by no rule that is known.
    Otherwise,
    /// Not on the lines: on the document.
    OnDocument,
    /// Its amount with tax was taken off the net.
    GrossFromNet,
    /// It is taken off after tax: the tax is that of the full price.
    AfterTax,
}

/// How a charge for shipping is taxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShippingTax {
    /// At the rate by which most of the goods are taxed.
    MainRate,
    /// At the highest rate among the goods.
    HighestRate,
    /// At the lowest rate among the goods.
    LowestRate,
    /// At the average of the goods, weighed by price.
    WeightedAverage,
    /// Split over the rates of the goods, each share rounded.
    SplitByRate,
    /// Not at all.
    Zero,
    /// Not as shipping: inside a line, or as one.
    InLine,
}

/// What became of a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceChange {
    /// Somebody edited it.
    Edited,
    /// The amount with tax was sent as the one without.
    GrossAsNet,
    /// The amount without tax was sent as the one with, and tax was taken out once more.
    NetAsGross,
    /// It has the other sign.
    SignFlipped,
    /// So many times too large: minor units were taken for whole ones.
    ScaledUp(u32),
    /// So many times too small: whole units were taken for minor ones.
    ScaledDown(u32),
    /// The price of a unit was sent as that of the line.
    UnitForLine,
    /// The price of the line was sent as that of a unit.
    LineForUnit,
    /// The price of a unit was rounded, then multiplied.
    PerUnitRounded {
        /// Every way of rounding that gives it.
        roundings: Vec<Rounding>,
    },
}

impl Explanation {
    /// What happened, in a sentence.
    pub fn told(&self) -> String {
        match self {
            Explanation::Rounding { fits, ours } => {
                let theirs: Vec<String> = fits.iter().map(|policy| policy.name()).collect();
                let ours = ours.map_or_else(String::new, |policy| format!(" We have {}.", policy.name()));
                format!("Same prices and rates, rounded in another way. Theirs is {}.{ours}", theirs.join("; or "))
            }
            Explanation::Rate { ours, theirs, known } => {
                let known = known.as_ref().map_or_else(String::new, |known| format!(": {}", known.told()));
                format!("Taxed at {} % instead of {} %{known}.", theirs.normalize(), ours.normalize())
            }
            Explanation::DiscountSpread { how } => format!("The discount is told {}.", how.told()),
            Explanation::ShippingTaxed { how } => format!("Shipping is {}.", how.told()),
            Explanation::Price { how } => how.told(),
            Explanation::Quantity { ours, theirs } => format!("{theirs} units instead of {ours}, at the same price."),
            Explanation::OneSided => "A line that only one side has.".to_owned(),
            Explanation::Unexplained => "No rounding, rate, spread or edit gives this figure.".to_owned(),
        }
    }

    /// What a person does about it, in a sentence.
    pub fn remedy(&self) -> String {
        match self {
            Explanation::Rounding { ours: Some(policy), .. } => format!("Set the target to our way: {}.", policy.setting()),
            Explanation::Rounding { fits, ours: None } => match fits.first() {
                Some(policy) => format!("Set both sides to one way. Theirs is: {}.", policy.setting()),
                None => "Set both sides to one way of rounding.".to_owned(),
            },
            Explanation::Rate { known: Some(KnownRate::OldRate { .. } | KnownRate::NewRate { .. }), .. } => {
                "Have the target tax by the day of supply, not by the day of booking.".to_owned()
            }
            Explanation::Rate { known: Some(KnownRate::InForce), .. } => {
                "Mend the rate at the source: theirs is the one in force.".to_owned()
            }
            Explanation::Rate { .. } => "Map the tax code of these lines to the right rate at the target.".to_owned(),
            Explanation::DiscountSpread { .. } => "Choose the same spread of discounts on both sides.".to_owned(),
            Explanation::ShippingTaxed { .. } => "Set the target's tax code for shipping as it is at the source.".to_owned(),
            Explanation::Price { how: PriceChange::Edited } => {
                "Ask who changed the price, then correct the document that is wrong.".to_owned()
            }
            Explanation::Price { how: PriceChange::PerUnitRounded { .. } } => {
                "Send the amount of the line, or the price of a unit with more decimals.".to_owned()
            }
            Explanation::Price { .. } => "Mend the mapping of this amount, then send the document again.".to_owned(),
            Explanation::Quantity { .. } | Explanation::OneSided => {
                "Find out which side is right, then correct the other document.".to_owned()
            }
            Explanation::Unexplained => "Compare both documents by hand and correct the one that is wrong.".to_owned(),
        }
    }
}

impl KnownRate {
    fn told(&self) -> String {
        match self {
            KnownRate::Zero => "no tax".to_owned(),
            KnownRate::InForce => "the rate in force on that day, which ours is not".to_owned(),
            KnownRate::OldRate { until } => format!("the country's rate until {until}"),
            KnownRate::NewRate { since } => format!("the country's rate since {since}"),
            KnownRate::Reduced => "a reduced rate of the country".to_owned(),
            KnownRate::OtherCountry { countries } => format!("the rate of {}", countries.join(", ")),
        }
    }
}

impl Spread {
    fn told(self) -> &'static str {
        match self {
            Spread::ByNet => "over the lines by net price",
            Spread::ByGross => "over the lines by price with tax",
            Spread::Evenly => "over the lines evenly",
            Spread::PerUnit => "over the units evenly",
            Spread::FirstLine => "on the first line",
            Spread::LastLine => "on the last line",
            Spread::DearestLine => "on the dearest line",
            Spread::OwnLine => "as a line of its own",
            Spread::Otherwise => "over the lines by a rule that is not known",
            Spread::OnDocument => "on the document, not on its lines",
            Spread::GrossFromNet => "with tax, and taken off the net",
            Spread::AfterTax => "after tax: the full price is taxed",
        }
    }
}

impl ShippingTax {
    fn told(self) -> &'static str {
        match self {
            ShippingTax::MainRate => "taxed at the rate of most of the goods",
            ShippingTax::HighestRate => "taxed at the highest rate of the goods",
            ShippingTax::LowestRate => "taxed at the lowest rate of the goods",
            ShippingTax::WeightedAverage => "taxed at the average rate of the goods",
            ShippingTax::SplitByRate => "split over the rates of the goods, each share rounded",
            ShippingTax::Zero => "not taxed",
            ShippingTax::InLine => "told as a line, or inside one",
        }
    }
}

impl PriceChange {
    fn told(&self) -> String {
        match self {
            PriceChange::Edited => "The price is another: somebody edited it.".to_owned(),
            PriceChange::GrossAsNet => "The amount with tax was sent as the amount without.".to_owned(),
            PriceChange::NetAsGross => "The amount without tax was taken for one with tax.".to_owned(),
            PriceChange::SignFlipped => "The amount has the other sign.".to_owned(),
            PriceChange::ScaledUp(times) => format!("{times} times too large: minor units were taken for whole ones."),
            PriceChange::ScaledDown(times) => format!("{times} times too small: whole units were taken for minor ones."),
            PriceChange::UnitForLine => "The price of one unit was sent as that of the line.".to_owned(),
            PriceChange::LineForUnit => "The price of the line was sent as that of one unit.".to_owned(),
            PriceChange::PerUnitRounded { roundings } => {
                let ways: Vec<&str> = roundings.iter().map(|rounding| rounding.words()).collect();
                format!("The price of a unit was rounded ({}) before it was multiplied.", ways.join(", or "))
            }
        }
    }
}
