//! The operations as the build script wrote them, after checking them against our schema subset.

use std::collections::BTreeSet;

include!(concat!(env!("OUT_DIR"), "/centra_operations.rs"));

/// One GraphQL operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// How many mutations it runs; a query runs none.
    pub mutations: u32,
    /// Its text in parts.
    pub parts: &'static [Part],
}

/// A stretch of an operation's text.
#[derive(Debug)]
pub struct Part {
    /// The text.
    pub text: &'static str,
    /// Names of types and fields that the documentation does not show as such, `Type.field` for
    /// those deeper inside; refused by an instance, the part is left out. Empty for what must go.
    pub guards: &'static [&'static str],
}

impl Operation {
    /// The text to send, without the parts that hang on a name this instance does not know.
    pub fn text(&self, unknown: &BTreeSet<&'static str>) -> String {
        let kept = self.parts.iter().filter(|part| !part.guards.iter().any(|guard| unknown.contains(guard)));
        kept.map(|part| part.text).collect()
    }

    /// Names in error messages that can be helped by leaving a part out that was sent.
    pub fn refused_names(&self, messages: &[String], unknown: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
        let sent = self.parts.iter().filter(|part| !part.guards.iter().any(|guard| unknown.contains(guard)));
        let guards = sent.flat_map(|part| part.guards);
        guards
            .copied()
            .filter(|guard| messages.iter().any(|message| guard.split('.').all(|name| quotes(message, name))))
            .collect()
    }
}

/// Whether a message names the word in quotes of some kind, as every GraphQL server does.
fn quotes(message: &str, word: &str) -> bool {
    message.split(['"', '\'', '`']).skip(1).step_by(2).any(|quoted| quoted == word || quoted.rsplit('.').next() == Some(word))
}

/// One thing that the operations need of a live schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A field of an output type.
    Field {
        /// The type.
        owner: &'static str,
        /// The field.
        field: &'static str,
        /// Its type as we know it.
        ty: &'static str,
        /// The arguments that we pass, with their types.
        arguments: &'static [(&'static str, &'static str)],
        /// The guard of the optional part that it is in; `None` for what must be there.
        part: Option<&'static str>,
    },
    /// A field of an input object.
    Input {
        /// The input type.
        owner: &'static str,
        /// The field.
        field: &'static str,
        /// Its type as we know it.
        ty: &'static str,
        /// The guard of the optional part that alone needs it.
        part: Option<&'static str>,
    },
    /// A value of an enum.
    Value {
        /// The enum.
        owner: &'static str,
        /// The value.
        value: &'static str,
        /// The guard of the optional part that alone needs it.
        part: Option<&'static str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(messages: &[&str], unknown: &[&'static str]) -> BTreeSet<&'static str> {
        let messages: Vec<String> = messages.iter().map(|m| (*m).to_owned()).collect();
        ORDERS_BY_NUMBER.refused_names(&messages, &unknown.iter().copied().collect())
    }

    #[test]
    fn a_part_that_was_refused_is_left_out_and_nothing_else() {
        let whole = ORDERS_BY_NUMBER.text(&BTreeSet::new());
        assert!(whole.contains("appliedTaxRules{") && !whole.contains("@optional"));
        let names = refused(
            &[
                "Cannot query field \"appliedTaxRules\" on type \"OrderLine\".",
                "Cannot query field 'bundleLine' on type 'BundleItemOrderLine'. Did you mean 'bundle'?",
            ],
            &[],
        );
        let cut = ORDERS_BY_NUMBER.text(&names);
        assert!(!cut.contains("appliedTaxRules") && !cut.contains("bundleLine"), "{cut}");
        assert!(cut.contains("bundleItems") && cut.contains("shippingTaxRules") && cut.contains("voucher"), "{cut}");
        assert_eq!(cut.matches('{').count(), cut.matches('}').count());
    }

    #[test]
    fn a_refusal_deep_inside_a_part_takes_the_part() {
        let names = refused(&["type `Voucher` does not have a field `code`"], &[]);
        assert!(!ORDERS_BY_NUMBER.text(&names).contains("voucher"));
        assert!(refused(&["type `Country` does not have a field `code`"], &[]).is_empty());
    }

    #[test]
    fn a_refusal_that_leaving_out_cannot_help_is_none_of_these() {
        assert!(refused(&["Cannot query field \"totals\" on type \"Order\"."], &[]).is_empty());
        assert!(refused(&["Cannot query field \"appliedTaxRules\" on type \"OrderLine\"."], &["appliedTaxRules"]).is_empty());
    }

    #[test]
    fn each_operation_runs_as_many_mutations_as_it_names() {
        assert_eq!((CONFIRM_EVENTS.mutations, SET_EVENT_LISTENERS.mutations, ORDER_EVENTS.mutations), (1, 1, 0));
        assert_eq!((SET_STOCK.mutations, STOCK_LEVELS.mutations), (1, 0));
    }

    #[test]
    fn a_list_that_an_instance_cannot_give_is_left_out_whole() {
        for message in [
            "Cannot query field \"productVariants\" on type \"Query\".",
            "Field \"updatedAt\" is not defined by type \"ProductVariantFilter\".",
            "Value \"id_ASC\" does not exist in \"ProductVariantSort\" enum.",
        ] {
            let names = PRODUCT_GROUPS_CHANGED.refused_names(&[message.to_owned()], &BTreeSet::new());
            let cut = PRODUCT_GROUPS_CHANGED.text(&names);
            assert!(cut.contains("products(") && !cut.contains("productVariants("), "{message}: {names:?}");
        }
        let prices = ["prices", "Bundle.prices"].into();
        let cut = PRODUCTS_CHANGED.text(&prices);
        assert!(!cut.contains("prices") && cut.contains("sections{"), "{cut}");
        assert_eq!(SET_PRODUCT_EVENT_LISTENERS.mutations, 1);
    }

    #[test]
    fn what_stock_alone_needs_stands_apart() {
        let input =
            |needs: &[Need], named: &str| needs.iter().any(|need| matches!(need, Need::Input { owner, .. } if *owner == named));
        for sent in ["StockSetInput", "StockSetProductSizeInput", "ProductSizeInput", "StockFilter"] {
            assert!(input(STOCK_NEEDS, sent) && !input(NEEDS, sent), "{sent}");
        }
        let field =
            |needs: &[Need], named: &str| needs.iter().any(|need| matches!(need, Need::Field { owner, .. } if *owner == named));
        assert!(field(STOCK_NEEDS, "Warehouse") && !field(NEEDS, "Warehouse"));
        assert!(STOCK_NEEDS.iter().all(|need| !NEEDS.contains(need)));
    }
}
