//! What a person may change of one held order before it goes on: where it goes, how, and how its buyer is reached.
//! Never money, units or items: those are the source's to change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::records::{Address, Named, Order};

/// What a brand may allow to be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Editable {
    /// The delivery address, without phone and e-mail.
    Address,
    /// The phone number of the delivery address.
    Phone,
    /// The e-mail of the delivery address.
    Email,
    /// The shipping method, by the word that mapping tables know it by.
    ShippingMethod,
}

/// One field of an order that can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EditField {
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Company.
    Company,
    /// Street and number.
    Line1,
    /// Second line.
    Line2,
    /// Post code.
    Postcode,
    /// Town.
    City,
    /// State or province.
    State,
    /// ISO 3166-1 alpha-2, upper case.
    Country,
    /// Phone.
    Phone,
    /// E-mail.
    Email,
    /// How it travels.
    ShippingMethod,
}

/// The longest value, in characters.
pub const VALUE_CHARS_MAX: usize = 200;

impl Editable {
    /// All of them.
    pub const ALL: [Editable; 4] = [Editable::Address, Editable::Phone, Editable::Email, Editable::ShippingMethod];
}

impl EditField {
    /// All of them, in the order of a form.
    pub const ALL: [EditField; 12] = [
        EditField::FirstName,
        EditField::LastName,
        EditField::Company,
        EditField::Line1,
        EditField::Line2,
        EditField::Postcode,
        EditField::City,
        EditField::State,
        EditField::Country,
        EditField::Phone,
        EditField::Email,
        EditField::ShippingMethod,
    ];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            EditField::FirstName => "first_name",
            EditField::LastName => "last_name",
            EditField::Company => "company",
            EditField::Line1 => "line1",
            EditField::Line2 => "line2",
            EditField::Postcode => "postcode",
            EditField::City => "city",
            EditField::State => "state",
            EditField::Country => "country",
            EditField::Phone => "phone",
            EditField::Email => "email",
            EditField::ShippingMethod => "shipping_method",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            EditField::FirstName => "First name",
            EditField::LastName => "Last name",
            EditField::Company => "Company",
            EditField::Line1 => "Street and number",
            EditField::Line2 => "Second line",
            EditField::Postcode => "Postcode",
            EditField::City => "Town",
            EditField::State => "State or province",
            EditField::Country => "Country, two letters",
            EditField::Phone => "Phone",
            EditField::Email => "E-mail",
            EditField::ShippingMethod => "Shipping method",
        }
    }

    /// Where it stands in an order, as problems name it: `shipping.postcode`.
    pub fn path(self) -> String {
        if self == EditField::ShippingMethod { self.word().to_owned() } else { format!("shipping.{}", self.word()) }
    }

    /// The field with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.word() == word)
    }

    /// Which permission it falls under.
    pub const fn permission(self) -> Editable {
        match self {
            EditField::Phone => Editable::Phone,
            EditField::Email => Editable::Email,
            EditField::ShippingMethod => Editable::ShippingMethod,
            _ => Editable::Address,
        }
    }

    /// What the order says of it; nothing is none.
    pub fn of(self, order: &Order) -> Option<String> {
        if self == EditField::ShippingMethod {
            return order.shipping_method.as_ref().map(|_| order.method_word().to_owned());
        }
        let mut address = order.shipping.clone()?;
        self.place(&mut address)?.clone().filter(|text| !text.is_empty())
    }

    /// Puts a value in its place; none takes it away.
    pub fn put(self, order: &mut Order, value: Option<&str>) {
        let value = value.map(str::to_owned);
        if self == EditField::ShippingMethod {
            // By its name alone: the source's id belongs to another method.
            order.shipping_method = value.map(|name| Named { id: String::new(), name });
            return;
        }
        let address = order.shipping.get_or_insert_with(Address::default);
        if let Some(place) = self.place(address) {
            *place = value;
        }
    }

    fn place(self, address: &mut Address) -> Option<&mut Option<String>> {
        Some(match self {
            EditField::FirstName => &mut address.first_name,
            EditField::LastName => &mut address.last_name,
            EditField::Company => &mut address.company,
            EditField::Line1 => &mut address.line1,
            EditField::Line2 => &mut address.line2,
            EditField::Postcode => &mut address.postcode,
            EditField::City => &mut address.city,
            EditField::State => &mut address.state,
            EditField::Country => &mut address.country,
            EditField::Phone => &mut address.phone,
            EditField::Email => &mut address.email,
            EditField::ShippingMethod => return None,
        })
    }

    /// The value as it is kept: trimmed, nothing for an empty one.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn checked(self, text: &str) -> Result<Option<String>, String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(format!("{} is one line of text, without control characters.", self.name()));
        }
        match text.chars().count() {
            0 if self == EditField::ShippingMethod => Err("An order needs a shipping method: give its name.".to_owned()),
            0 => Ok(None),
            _ if self == EditField::Country && (text.len() != 2 || !text.bytes().all(|b| b.is_ascii_uppercase())) => {
                Err("A country is two capital letters, as in SE.".to_owned())
            }
            1..=VALUE_CHARS_MAX => Ok(Some(text.to_owned())),
            _ => Err(format!("{} has at most {VALUE_CHARS_MAX} characters.", self.name())),
        }
    }
}

/// A field as a person wants it, over what the source says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// Which field.
    pub field: EditField,
    /// What the source said when it was edited.
    pub before: Option<String>,
    /// What goes to the target instead.
    pub after: Option<String>,
}

/// Lays edits over an order; returns those that no longer hold, as the source has changed the same field since.
pub fn lay_over(order: &mut Order, edits: &[Edit]) -> Vec<EditField> {
    let source = order.clone();
    let mut overtaken = Vec::new();
    for edit in edits {
        if edit.field.of(&source) == edit.before {
            edit.field.put(order, edit.after.as_deref());
        } else {
            overtaken.push(edit.field);
        }
    }
    overtaken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{line, order};

    #[test]
    fn an_edit_holds_until_the_source_changes_the_same_field() {
        let source = order(vec![line("1", "A", 1, 100)]);
        let before = |field: EditField| field.of(&source);
        let edit = |field: EditField, after: &str| Edit { field, before: before(field), after: Some(after.to_owned()) };
        let edits = [edit(EditField::Postcode, "111 22"), edit(EditField::ShippingMethod, "Express")];
        let mut edited = source.clone();
        assert_eq!(lay_over(&mut edited, &edits), []);
        assert_eq!(EditField::Postcode.of(&edited).as_deref(), Some("111 22"));
        assert_eq!(edited.method_word(), "Express");
        assert_eq!((edited.lines.clone(), edited.totals), (source.lines.clone(), source.totals));

        let mut newer = source.clone();
        EditField::Postcode.put(&mut newer, Some("333 44"));
        assert_eq!(lay_over(&mut newer, &edits), [EditField::Postcode]);
        assert_eq!(EditField::Postcode.of(&newer).as_deref(), Some("333 44"), "the source has the last word");
        assert_eq!(newer.method_word(), "Express", "of this field it has said nothing new");
    }

    #[test]
    fn every_field_is_read_where_it_was_put_and_touches_nothing_else() {
        let source = order(vec![line("1", "A", 1, 100)]);
        for field in EditField::ALL {
            let mut edited = source.clone();
            field.put(&mut edited, Some("XX"));
            assert_eq!(field.of(&edited).as_deref(), Some("XX"), "{}", field.word());
            assert_eq!(EditField::from_word(field.word()), Some(field));
            let others = EditField::ALL.into_iter().filter(|other| *other != field);
            others.for_each(|other| assert_eq!(other.of(&edited), other.of(&source), "{} by {}", other.word(), field.word()));
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(EditField::City.checked("  Borås ").unwrap().as_deref(), Some("Borås"));
        assert_eq!(EditField::Line2.checked(" ").unwrap(), None);
        assert!(EditField::Country.checked("Sweden").is_err());
        assert!(EditField::Country.checked("SE").is_ok());
        assert!(EditField::ShippingMethod.checked("").is_err());
        assert!(EditField::City.checked("a\nb").is_err());
        assert!(EditField::City.checked(&"x".repeat(201)).is_err());
    }
}
