//! `[desk]`: how exceptions are ranked, whose they are, and what of a held order may be edited.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use selvedge_flow::DeskSetup;
use selvedge_model::{ConnectionName, Currency, FlowName, edit::Editable, impact::Scale, owners::OwnerRule, team::Team};
use serde::{Deserialize, Serialize};

use super::{
    Config,
    words::{Span, did_you_mean, short},
};

/// The longest name of a person, in characters.
pub const PERSON_CHARS_MAX: usize = 80;
/// A million: past that a weight or a rate is a slip of the pen.
const LARGEST: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// How exceptions are ranked, whose they are, and what of a held order may be edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeskSettings {
    /// The currency in which exceptions are ranked. Default: EUR.
    #[schemars(extend("format" = "currency"))]
    pub currency: String,
    /// What one unit of another currency is worth in it, as { SEK = "0.088" }. For ranking only: no amount is ever converted.
    pub rates: BTreeMap<String, String>,
    /// What a customer who waits counts in the ranking, in that currency. Default: "25".
    pub customer: String,
    /// What a record without a customer counts (a figure of stock, a product). Default: "5".
    pub record: String,
    /// How long money that a shopper has reserved can be taken, from the reservation on. Default: 7d.
    pub capture_expiry: Span,
    /// For how long nothing may come through from a system (not reached, or nothing but server errors) before that is an exception. Default: 5m.
    pub down_after: Span,
    /// Whose exceptions are; the first that fits counts, without one it is the team of the rule that found it.
    pub owners: Vec<OwnerSettings>,
    /// What a person may edit of a held order, as ["address", "phone", "email", "shipping_method"], and of a held shipment, as ["tracking"]: number and carrier of each parcel. Default: [], nothing.
    pub edit: Vec<EditWord>,
}

/// A team, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamWord {
    Operations,
    Finance,
    CustomerExperience,
    Engineering,
}

impl From<TeamWord> for Team {
    fn from(word: TeamWord) -> Self {
        match word {
            TeamWord::Operations => Team::Operations,
            TeamWord::Finance => Team::Finance,
            TeamWord::CustomerExperience => Team::CustomerExperience,
            TeamWord::Engineering => Team::Engineering,
        }
    }
}

/// What may be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EditWord {
    Address,
    Phone,
    Email,
    ShippingMethod,
    Tracking,
}

impl From<EditWord> for Editable {
    fn from(word: EditWord) -> Self {
        match word {
            EditWord::Address => Editable::Address,
            EditWord::Phone => Editable::Phone,
            EditWord::Email => Editable::Email,
            EditWord::ShippingMethod => Editable::ShippingMethod,
            EditWord::Tracking => Editable::Tracking,
        }
    }
}

/// One rule of ownership. A condition that is left out always fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OwnerSettings {
    /// A connection at either end of the flow.
    pub connection: Option<String>,
    /// A flow.
    pub flow: Option<String>,
    /// Id or name of a market: every order that is held is of it.
    pub market: Option<String>,
    /// How the rule that found it begins, as "mapping." or "shipment.overdue".
    pub rule: Option<String>,
    /// The team that owns it: operations, finance, customer_experience or engineering. Default: the rule's own.
    pub team: Option<TeamWord>,
    /// The person that owns it.
    pub person: Option<String>,
}

impl Default for DeskSettings {
    fn default() -> Self {
        let DeskSetup { scale, .. } = DeskSetup::default();
        Self {
            currency: scale.currency.code().to_owned(),
            rates: BTreeMap::new(),
            customer: scale.customer.to_string(),
            record: scale.record.to_string(),
            capture_expiry: Span::seconds(7 * 86_400),
            down_after: Span::seconds(300),
            owners: Vec::new(),
            edit: Vec::new(),
        }
    }
}

fn amount(text: &str) -> Option<Decimal> {
    text.trim().parse::<Decimal>().ok().filter(|value| !value.is_sign_negative() && *value <= LARGEST)
}

impl DeskSettings {
    /// Everything that is wrong with it: the setting below it, what, and what to do.
    pub fn faults(&self, connections: &[String], flows: &[&str]) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |path: String, message: String, remedy: String| faults.push((path, message, remedy));
        let how = "Write a number in quotes, as \"25\" or \"0.088\".";
        for (setting, text) in [("customer", &self.customer), ("record", &self.record)] {
            if amount(text).is_none() {
                wrong(setting.to_owned(), format!("{:?} is no amount from 0 to 1000000", short(text)), how.to_owned());
            }
        }
        for (code, rate) in &self.rates {
            let path = format!("rates.{code}");
            if Currency::from_code(code).is_none() {
                let remedy = "Write its three capital letters: SEK = \"0.088\".".to_owned();
                wrong(path, format!("{:?} is not an ISO 4217 currency", short(code)), remedy);
            } else if amount(rate).is_none_or(|rate| rate.is_zero()) {
                wrong(path, format!("{:?} is no rate above 0", short(rate)), how.to_owned());
            } else if *code == self.currency {
                let message = "is the currency of the desk itself, which counts as it is".to_owned();
                wrong(path, message, "Take it out.".to_owned());
            }
        }
        for (index, owner) in self.owners.iter().enumerate() {
            let path = |setting: &str| format!("owners[{index}]{setting}");
            if owner.team.is_none() && owner.person.is_none() {
                let remedy = "Add team = \"operations\", or person = \"…\".".to_owned();
                wrong(path(""), "names nobody".to_owned(), remedy);
            }
            if let Some(name) = owner.connection.as_ref().filter(|name| !connections.contains(name)) {
                let remedy = did_you_mean(name, connections.iter().map(String::as_str), "Name one of [connections].");
                wrong(path(".connection"), format!("there is no connection {:?}", short(name)), remedy);
            }
            if let Some(name) = owner.flow.as_ref().filter(|name| !flows.contains(&name.as_str())) {
                let remedy = did_you_mean(name, flows.iter().copied(), "Name one of [flows] or [stock].");
                wrong(path(".flow"), format!("there is no flow {:?}", short(name)), remedy);
            }
            if let Some(person) = owner.person.as_ref().filter(|person| self::person(person).is_err()) {
                let remedy = format!("Write a name of at most {PERSON_CHARS_MAX} characters.");
                wrong(path(".person"), format!("{:?} cannot serve as a name", short(person)), remedy);
            }
        }
        faults
    }

    fn scale(&self) -> Scale {
        let default = Scale::default();
        let rate = |(code, rate): (&String, &String)| Some((Currency::from_code(code)?, amount(rate)?));
        Scale {
            currency: Currency::from_code(&self.currency).unwrap_or(default.currency),
            rates: self.rates.iter().filter_map(rate).collect(),
            customer: amount(&self.customer).unwrap_or(default.customer),
            record: amount(&self.record).unwrap_or(default.record),
        }
    }

    fn owners(&self) -> Vec<OwnerRule> {
        let rule = |owner: &OwnerSettings| OwnerRule {
            connection: owner.connection.as_deref().map(ConnectionName::new),
            flow: owner.flow.as_deref().map(FlowName::new),
            market: owner.market.clone(),
            rule: owner.rule.clone(),
            team: owner.team.map(Team::from),
            person: owner.person.as_deref().map(|person| person.trim().to_owned()),
        };
        self.owners.iter().map(rule).collect()
    }
}

/// A person's name, trimmed.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn person(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=PERSON_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("A name is one line of at most {PERSON_CHARS_MAX} characters.")) }
}

impl Config {
    /// How exceptions are ranked, owned and mended.
    pub fn desk(&self) -> DeskSetup {
        DeskSetup {
            scale: self.desk.scale(),
            owners: self.desk.owners(),
            capture_expiry: self.desk.capture_expiry.0,
            down_after: self.desk.down_after.0,
            promises: self.dispatch.promises(),
            calendar: self.dispatch.calendar(),
            // One that is wrong was named; it ends no period.
            entities: self.entities.iter().filter_map(|(name, entity)| entity.entity(name).ok()).collect(),
            editable: self.desk.edit.iter().map(|word| Editable::from(*word)).collect(),
        }
    }
}
