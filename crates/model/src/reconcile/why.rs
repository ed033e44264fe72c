//! How a difference probably came about, in the words that people who run such integrations use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! whys {
    ($($(#[$doc:meta])* $name:ident $word:literal $title:literal $fix:literal;)*) => {
        /// How a difference probably came about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Why { $($(#[$doc])* $name,)* }

        impl Why {
            /// All of them.
            pub const ALL: &[Why] = &[$(Why::$name,)*];

            /// The word.
            pub const fn word(self) -> &'static str {
                match self { $(Why::$name => $word,)* }
            }

            /// What people read.
            pub const fn title(self) -> &'static str {
                match self { $(Why::$name => $title,)* }
            }

            /// What to do about it.
            pub const fn fix(self) -> &'static str {
                match self { $(Why::$name => $fix,)* }
            }
        }
    };
}

whys! {
    /// It is at the source and was never seen at the target.
    NeverArrived "never_arrived" "never arrived"
        "Deliver it: preview the repair and let it through. Then see why no news of it came.";
    /// It stood at the target and is gone.
    Deleted "deleted" "deleted at the target"
        "Ask who deleted it; deliver it again, or cancel it at the source, too.";
    /// An exception holds it at the gate.
    Held "held" "held by an exception"
        "Settle the exception that holds it.";
    /// It is on its way for longer than it should be.
    Stuck "stuck" "on its way for too long"
        "See its obligation and the state of the connection.";
    /// The same document stands twice.
    SentTwice "sent_twice" "sent twice"
        "Void the younger copy at the target, and make whoever sent it look by key before it sends again.";
    /// Something stands at the target that nobody owes it.
    Foreign "foreign" "not from the source"
        "Ask who entered it; void it, or enter it at the source, too.";
    /// The source has changed since, and the target kept the older state.
    Stale "stale" "the target kept an older state"
        "Deliver the newest state: preview the repair. Then see why the change was not told.";
    /// Cancelled at one side only.
    CancelledOnce "cancelled_once" "cancelled at one side only"
        "Cancel it at the other side, too, or take the cancellation back.";
    /// It counts at the target, and not yet at the source.
    Ahead "ahead" "counts at the target before it does at the source"
        "See why it was booked: take it back until the source says that it is final, or settle it at the source.";
    /// The payments that were taken come to something else.
    CapturedOther "captured_other" "another sum was captured"
        "Compare the payments with the provider; book what was taken, or take what is due.";
    /// The line's item differs in letter case only.
    SkuCase "sku_case" "another SKU, by letter case"
        "Correct the item of the line; compare SKUs exactly, or rename one of the two items.";
    /// Another item.
    OtherSku "other_sku" "another item"
        "Correct the line, or the mapping of the item.";
    /// Another legal entity than its market's.
    WrongEntity "wrong_entity" "another legal entity"
        "Move the document to the right subsidiary, and check the mapping of the market.";
    /// Another method than what the source's stands for.
    WrongMethod "wrong_method" "another shipping service"
        "Correct the method, and check its mapping.";
    /// Another place.
    WrongPlace "wrong_place" "another warehouse or location"
        "Correct the location, and check its mapping.";
    /// Everything goes by one service, whatever was chosen.
    DefaultService "default_service" "one default service for every method"
        "Map every shipping method; a default hides the ones that nobody mapped.";
    /// From an instant on, the same word of the source came out as another of the target.
    MappingChanged "mapping_changed" "the mapping was changed midway"
        "See who changed the mapping at that time; set it right, and correct what came through meanwhile.";
    /// The same figures in another currency.
    WrongCurrency "wrong_currency" "another currency"
        "Void it and book it again in the currency of the sale; map the currency by its code.";
    /// A rounding policy explains the cent.
    Rounding "rounding" "rounded by another rule"
        "Set the target to the rule that the source uses; the finding names both.";
    /// The rate before or after a change of rates.
    OldRate "old_rate" "the rate of another day"
        "Use the rate of the day of supply, and correct what was booked with the other.";
    /// Another rate.
    WrongRate "wrong_rate" "another rate of tax"
        "Correct the tax code of the line, and the mapping from country and rate.";
    /// The tax was changed to a figure that no rate and no rule gives.
    EditedTax "edited_tax" "a tax that no rule gives"
        "Ask who typed it; book the tax of the source.";
    /// A reduction is spread over the lines in another way.
    DiscountSpread "discount_spread" "the discount is spread differently"
        "Spread it as the source does; credits of single lines come out wrong otherwise.";
    /// Shipping is taxed in another way.
    ShippingTaxed "shipping_taxed" "shipping is taxed differently"
        "Tax shipping as the source does; the finding names both ways.";
    /// A price or an amount was changed.
    EditedAmount "edited_amount" "another amount"
        "Ask who changed it; set it back, or correct the sale at the source.";
    /// Gross taken for net, minor units taken for whole ones, a unit's price taken for the line's.
    Misread "misread" "the amount was misread"
        "Correct the mapping of the amount; every document that came the same way is wrong alike.";
    /// Another number of units.
    OtherUnits "other_units" "another number of units"
        "Correct the quantity; see who changed it last.";
    /// What left the warehouse is not in the shop.
    ShipmentMissing "shipment_missing" "left the warehouse, and the shop does not know"
        "Enter the shipment in the shop, so that the shopper hears of it and the money is taken.";
    /// Another tracking number.
    WrongTracking "wrong_tracking" "another tracking number"
        "Correct the number in the shop and tell the shopper.";
    /// More units shipped than were ordered.
    ShippedTwice "shipped_twice" "shipped twice"
        "Stop the second parcel or ask for it back; void the second shipment.";
    /// Money back, and the goods that it is for never came in.
    CreditWithoutGoods "credit_without_goods" "credited without the goods"
        "Look for the goods: book their receipt, or take the credit back.";
    /// Goods back, and nobody credited them.
    GoodsWithoutCredit "goods_without_credit" "goods back, not credited"
        "Credit the shopper.";
    /// More given back than was sold.
    OverCredit "over_credit" "more credited than was sold"
        "Take back what was credited too much.";
    /// Credited, and the money has not gone back.
    RefundMissing "refund_missing" "credited, not paid back"
        "Pay it back, or enter the payment.";
    /// It came into being long after the source's.
    Late "late" "arrived late"
        "See what kept it: a poll too rare, a queue that stood, a retry.";
    /// Booked on the day of another time zone.
    DayShifted "day_shifted" "booked on the day of another time zone"
        "Book by the day of the entity's own time zone; the finding names the zone that gives this day.";
    /// Another day than any time zone gives.
    OtherDay "other_day" "another day"
        "Correct the date, or say why it is booked in another period.";
    /// On hand is shown as what can be sold.
    OnHand "on_hand" "on hand is sent as available"
        "Send what is available: what is promised to orders is not there to sell.";
    /// A figure that nothing of the source gives.
    ForeignStock "foreign_stock" "a figure from elsewhere"
        "Ask who writes stock to the shop besides; there must be one source.";
    /// Head data: an address, an e-mail.
    EditedHead "edited_head" "the head was changed"
        "See who changed it last, and bring the other side to it.";
    /// The item does not stand at the target, or is switched off there.
    ItemMissing "item_missing" "the item is not there"
        "Make the item at the target before an order for it comes.";
    /// Nothing explains it.
    Unexplained "unexplained" "nothing explains it"
        "Compare the two documents by hand, and tell us what it was.";
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
