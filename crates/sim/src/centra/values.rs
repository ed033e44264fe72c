//! What orders can be made of: shipping options with their markets, tax groups with their rules.

use crate::data::{Market, ShippingMethod};

use super::answer::{Reader, Refused, number, object, push_text, rows};
use super::plan::Pick;

/// The one tax group of the instance.
const TAX_GROUP: i32 = 1;

impl Reader<'_> {
    /// Every shipping option once, in the order of their ids.
    fn options(&self) -> Vec<&ShippingMethod> {
        let mut all: Vec<&ShippingMethod> = self.state.catalogue.markets().iter().flat_map(|market| &market.methods).collect();
        all.sort_by_key(|method| method.id);
        all.dedup_by_key(|method| method.id);
        all
    }

    /// Writes the answer to `shippingOptions`.
    pub fn shipping_options(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        rows(out, self.options().into_iter().skip(skip).take(limit), |out, option| self.shipping_option(out, pick, option));
        Ok(())
    }

    /// Writes one shipping option.
    pub fn shipping_option(&self, out: &mut String, pick: &Pick, option: &ShippingMethod) {
        let offers = |market: &&Market| market.methods.iter().any(|method| method.id == option.id);
        let markets = || self.state.catalogue.markets().iter().filter(offers);
        object(out, "ShippingOption", pick.shape("ShippingOption"), |out, pick| match pick.name.as_str() {
            "id" => number(out, option.id),
            "name" => push_text(out, option.name),
            "uri" => push_text(out, option.uri),
            "status" => push_text(out, "ACTIVE"),
            "storeType" => push_text(out, "DIRECT_TO_CONSUMER"),
            "currency" => match markets().next() {
                Some(market) => self.currency(out, pick, market.currency),
                None => out.push_str("null"),
            },
            "markets" => rows(out, markets(), |out, market| self.market(out, pick, market)),
            _ => out.push_str("null"),
        });
    }

    /// Writes the answer to `taxGroups`: one group, and a rule for each rate of each country.
    pub fn tax_groups(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        rows(out, [()].into_iter().skip(skip).take(limit), |out, ()| {
            object(out, "TaxGroup", pick.shape("TaxGroup"), |out, pick| match pick.name.as_str() {
                "id" => number(out, TAX_GROUP),
                "name" => push_text(out, "Standard"),
                "status" => push_text(out, "ACTIVE"),
                _ => self.rules_of_group(out, pick),
            });
        });
        Ok(())
    }

    fn rules_of_group(&self, out: &mut String, pick: &Pick) {
        let taxes = self.state.catalogue.reference("UTC").taxes;
        rows(out, taxes.iter().enumerate(), |out, (at, (country, rate))| {
            let name = format!("{country} {rate}%");
            object(out, "TaxRule", pick.shape("TaxRule"), |out, pick| match pick.name.as_str() {
                "id" => number(out, at + 1),
                "name" | "displayName" | "code" => push_text(out, &name),
                "rate" => out.push_str(rate),
                "countries" => {
                    let countries = self.state.catalogue.countries();
                    let found = countries.iter().position(|known| known.code == *country).and_then(|at| u32::try_from(at).ok());
                    rows(out, found, |out, at| self.country(out, pick, Some(at)));
                }
                _ => out.push_str("[]"),
            });
        });
    }
}
