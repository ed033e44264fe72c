//! What a person may change of one held order or shipment before it goes on: where it goes, how, how its buyer is reached, and by
//! which number it can be followed. Never money, units or items: those are the source's to change.

use std::num::NonZeroU8;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::records::{Address, AnyRecord, Kind, Named, Order, Parcel, Shipment};

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
    /// The tracking number of each parcel of a shipment, and who carries it.
    Tracking,
}

/// Which parcel of a shipment, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParcelNumber(NonZeroU8);

/// One field of an order or of a shipment that can be edited; its word in JSON, as `postcode` or, of a shipment's second parcel,
/// `tracking_2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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
    /// By which number a parcel of a shipment can be followed.
    Tracking(ParcelNumber),
    /// Who carries that parcel, by the word that mapping tables know them by.
    Carrier(ParcelNumber),
}

/// The longest value, in characters.
pub const VALUE_CHARS_MAX: usize = 200;

impl Editable {
    /// All of them.
    pub const ALL: [Editable; 5] =
        [Editable::Address, Editable::Phone, Editable::Email, Editable::ShippingMethod, Editable::Tracking];

    /// Of which kind of record it is.
    pub const fn kind(self) -> Kind {
        match self {
            Editable::Address | Editable::Phone | Editable::Email | Editable::ShippingMethod => Kind::Order,
            Editable::Tracking => Kind::Shipment,
        }
    }
}

impl ParcelNumber {
    /// The first parcel, which a shipment that says nothing of its parcels has, too.
    pub const FIRST: ParcelNumber = ParcelNumber(NonZeroU8::MIN);

    /// The parcels of a shipment, and at least one.
    fn of(shipment: &Shipment) -> impl Iterator<Item = ParcelNumber> {
        let count = u8::try_from(shipment.parcels.len()).unwrap_or(u8::MAX);
        (1..=count.max(1)).filter_map(NonZeroU8::new).map(ParcelNumber)
    }

    fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

impl EditField {
    /// Those of an order, in the order of a form.
    pub const OF_ORDERS: [EditField; 12] = [
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

    /// Those that a record has, in the order of a form: of a shipment, each parcel's.
    pub fn of_record(record: &AnyRecord) -> Vec<EditField> {
        match record {
            AnyRecord::Order(_) => EditField::OF_ORDERS.to_vec(),
            AnyRecord::Shipment(shipment) => {
                ParcelNumber::of(shipment).flat_map(|parcel| [EditField::Tracking(parcel), EditField::Carrier(parcel)]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The word, without the number of a parcel.
    const fn stem(self) -> &'static str {
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
            EditField::Tracking(_) => "tracking",
            EditField::Carrier(_) => "carrier",
        }
    }

    /// Of which parcel it is, where it is a shipment's.
    pub const fn parcel(self) -> Option<ParcelNumber> {
        match self {
            EditField::Tracking(parcel) | EditField::Carrier(parcel) => Some(parcel),
            _ => None,
        }
    }

    /// The word: `postcode`; `tracking` of a shipment's first parcel, `tracking_2` of its second.
    pub fn word(self) -> String {
        match self.parcel().filter(|parcel| *parcel != ParcelNumber::FIRST) {
            Some(parcel) => format!("{}_{}", self.stem(), parcel.0),
            None => self.stem().to_owned(),
        }
    }

    /// What people read.
    pub fn name(self) -> String {
        let name = match self {
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
            EditField::Tracking(_) => "Tracking number",
            EditField::Carrier(_) => "Carrier",
        };
        match self.parcel() {
            Some(parcel) => format!("{name} of parcel {}", parcel.0),
            None => name.to_owned(),
        }
    }

    /// Where it stands in the record, as problems name it: `shipping.postcode`.
    pub fn path(self) -> String {
        match (self, self.parcel()) {
            (EditField::ShippingMethod, _) => self.stem().to_owned(),
            (_, Some(parcel)) => format!("parcels[{}].{}", parcel.index(), self.stem()),
            (_, None) => format!("shipping.{}", self.stem()),
        }
    }

    /// The field with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let parcel = |stem: &str| {
            let number = match word.strip_prefix(stem)? {
                "" => NonZeroU8::MIN,
                rest => rest.strip_prefix('_')?.parse().ok()?,
            };
            Some(ParcelNumber(number))
        };
        let of_order = || EditField::OF_ORDERS.into_iter().find(|field| field.stem() == word);
        let field = parcel("tracking")
            .map(EditField::Tracking)
            .or_else(|| parcel("carrier").map(EditField::Carrier))
            .or_else(of_order)?;
        // One word for one field: no number of the first parcel, no leading noughts, no sign.
        (field.word() == word).then_some(field)
    }

    /// Which permission it falls under.
    pub const fn permission(self) -> Editable {
        match self {
            EditField::Phone => Editable::Phone,
            EditField::Email => Editable::Email,
            EditField::ShippingMethod => Editable::ShippingMethod,
            EditField::Tracking(_) | EditField::Carrier(_) => Editable::Tracking,
            _ => Editable::Address,
        }
    }

    /// What the record says of it; nothing is none, as is what a record of its kind does not have.
    pub fn of(self, record: &AnyRecord) -> Option<String> {
        match record {
            AnyRecord::Order(order) => self.of_order(order),
            AnyRecord::Shipment(shipment) => {
                let mut parcel = shipment.parcels.get(self.parcel()?.index())?.clone();
                self.place_of_parcel(&mut parcel)?.clone().filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    /// Puts a value in its place; none takes it away. What a record of its kind does not have is left alone.
    pub fn put(self, record: &mut AnyRecord, value: Option<&str>) {
        match record {
            AnyRecord::Order(order) => self.put_in_order(order, value),
            AnyRecord::Shipment(shipment) => self.put_in_shipment(shipment, value),
            _ => {}
        }
    }

    fn of_order(self, order: &Order) -> Option<String> {
        if self == EditField::ShippingMethod {
            return order.shipping_method.as_ref().map(|_| order.method_word().to_owned());
        }
        let mut address = order.shipping.clone()?;
        self.place(&mut address)?.clone().filter(|text| !text.is_empty())
    }

    fn put_in_order(self, order: &mut Order, value: Option<&str>) {
        let value = value.map(str::to_owned);
        if self == EditField::ShippingMethod {
            // By its name alone: the source's id belongs to another method.
            order.shipping_method = value.map(|name| Named { id: String::new(), name });
            return;
        }
        if self.parcel().is_some() {
            return;
        }
        let address = order.shipping.get_or_insert_with(Address::default);
        if let Some(place) = self.place(address) {
            *place = value;
        }
    }

    fn put_in_shipment(self, shipment: &mut Shipment, value: Option<&str>) {
        let Some(number) = self.parcel() else { return };
        if shipment.parcels.is_empty() && number == ParcelNumber::FIRST {
            shipment.parcels.push(Parcel::default());
        }
        if let Some(place) = shipment.parcels.get_mut(number.index()).and_then(|parcel| self.place_of_parcel(parcel)) {
            *place = value.map(str::to_owned);
        }
    }

    fn place_of_parcel(self, parcel: &mut Parcel) -> Option<&mut Option<String>> {
        match self {
            EditField::Tracking(_) => Some(&mut parcel.tracking),
            EditField::Carrier(_) => Some(&mut parcel.carrier),
            _ => None,
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
            EditField::ShippingMethod | EditField::Tracking(_) | EditField::Carrier(_) => return None,
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

/// A value as the field of a form shows it: one line, without blanks at its ends, nothing where that is empty.
pub fn one_line(value: Option<String>) -> Option<String> {
    let line: String = value?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

impl From<EditField> for String {
    fn from(field: EditField) -> String {
        field.word()
    }
}

impl TryFrom<String> for EditField {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        EditField::from_word(&word).ok_or_else(|| format!("{word:?} is no field that can be edited"))
    }
}

impl JsonSchema for EditField {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EditField".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = EditField::OF_ORDERS.map(EditField::stem).join("|");
        json_schema!({
            "type": "string",
            "description": "One field of an order or of a shipment that can be edited. tracking and carrier are the first parcel's, tracking_2 and carrier_2 the second's.",
            "pattern": format!("^({words}|(tracking|carrier)(_([2-9]|[1-9][0-9]|1[0-9]{{2}}|2[0-4][0-9]|25[0-5]))?)$"),
        })
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
    /// What the source said of all parcels of the shipment, where it has several. They have no names: once the source says anything
    /// else of them, nobody knows whether the second is still the second.
    #[serde(skip)]
    pub beside: Option<String>,
}

impl Edit {
    /// An edit over what the source says now.
    pub fn over(source: &AnyRecord, field: EditField, after: Option<String>) -> Self {
        Self { field, before: field.of(source), after, beside: beside(source) }
    }

    fn holds(&self, source: &AnyRecord) -> bool {
        EditField::of_record(source).contains(&self.field)
            && self.field.of(source) == self.before
            && beside(source) == self.beside
    }
}

fn beside(source: &AnyRecord) -> Option<String> {
    let AnyRecord::Shipment(shipment) = source else { return None };
    let told = |parcel: &Parcel| [&parcel.carrier, &parcel.service, &parcel.tracking].map(Clone::clone);
    let told: Vec<_> = shipment.parcels.iter().map(told).collect();
    (told.len() > 1).then(|| serde_json::json!(told).to_string())
}

/// Lays edits over a record; returns those that no longer hold, as the source has changed the same field since, or any of several
/// parcels.
pub fn lay_over(record: &mut AnyRecord, edits: &[Edit]) -> Vec<EditField> {
    let source = record.clone();
    let mut overtaken = Vec::new();
    for edit in edits {
        if edit.holds(&source) {
            edit.field.put(record, edit.after.as_deref());
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

    fn source() -> AnyRecord {
        order(vec![line("1", "A", 1, 100)]).into()
    }

    fn shipment(parcels: Vec<Parcel>) -> AnyRecord {
        let at = "2026-02-03T09:00:00Z".parse().unwrap();
        Shipment {
            key: crate::records::shipment_key("1", "depot", "a"),
            id: "a".into(),
            order: crate::id::RecordKey::new("1"),
            status: crate::records::ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: at,
            warehouse: None,
            lines: Vec::new(),
            short: Vec::new(),
            parcels,
            captured: None,
            bundles: Vec::new(),
        }
        .into()
    }

    #[test]
    fn an_edit_holds_until_the_source_changes_the_same_field() {
        let source = source();
        let edit = |field: EditField, after: &str| Edit::over(&source, field, Some(after.to_owned()));
        let edits = [edit(EditField::Postcode, "111 22"), edit(EditField::ShippingMethod, "Express")];
        let mut edited = source.clone();
        assert_eq!(lay_over(&mut edited, &edits), []);
        assert_eq!(EditField::Postcode.of(&edited).as_deref(), Some("111 22"));
        assert_eq!(EditField::ShippingMethod.of(&edited).as_deref(), Some("Express"));
        let (AnyRecord::Order(edited), AnyRecord::Order(unedited)) = (&edited, &source) else { panic!("orders") };
        assert_eq!((&edited.lines, edited.totals), (&unedited.lines, unedited.totals));

        let mut newer = source.clone();
        EditField::Postcode.put(&mut newer, Some("333 44"));
        assert_eq!(lay_over(&mut newer, &edits), [EditField::Postcode]);
        assert_eq!(EditField::Postcode.of(&newer).as_deref(), Some("333 44"), "the source has the last word");
        assert_eq!(EditField::ShippingMethod.of(&newer).as_deref(), Some("Express"), "of this field it has said nothing new");
    }

    fn parcel(tracking: Option<&str>) -> Parcel {
        Parcel { tracking: tracking.map(str::to_owned), ..Parcel::default() }
    }

    fn number(source: &AnyRecord, field: EditField, text: &str) -> Edit {
        Edit::over(source, field, Some(text.to_owned()))
    }

    #[test]
    fn a_shipment_is_given_its_number_until_the_warehouse_gives_one() {
        let first = EditField::Tracking(ParcelNumber::FIRST);
        let mut without = shipment(Vec::new());
        let edits = [number(&without, first, "RR123456785SE")];
        assert_eq!(lay_over(&mut without, &edits), []);
        let AnyRecord::Shipment(edited) = &without else { panic!("a shipment") };
        assert_eq!((edited.tracking(), edited.parcels.len()), (vec!["RR123456785SE"], 1));
        // One parcel is that parcel, whatever else is said of it.
        let mut carried = shipment(vec![Parcel { carrier: Some("PostNord".to_owned()), ..Parcel::default() }]);
        assert_eq!(lay_over(&mut carried, &edits), []);
        assert_eq!(first.of(&carried).as_deref(), Some("RR123456785SE"));
        let mut entered = shipment(vec![parcel(Some("AB1"))]);
        assert_eq!(lay_over(&mut entered, &edits), [first]);
        assert_eq!(first.of(&entered).as_deref(), Some("AB1"), "the warehouse has the last word");
        let mut untold = shipment(Vec::new());
        EditField::from_word("tracking_2").unwrap().put(&mut untold, Some("AB1"));
        assert_eq!(untold, shipment(Vec::new()), "a shipment that says nothing of its parcels has one");
    }

    #[test]
    fn each_parcel_has_its_number_while_the_source_says_the_same_of_all() {
        let by = |carrier: &str, tracking: Option<&str>| Parcel { carrier: Some(carrier.to_owned()), ..parcel(tracking) };
        let mut two = shipment(vec![by("DPD", None), by("GLS", None)]);
        let words: Vec<String> = EditField::of_record(&two).into_iter().map(EditField::word).collect();
        assert_eq!(words, ["tracking", "carrier", "tracking_2", "carrier_2"]);
        let (first, second) = (EditField::from_word("tracking").unwrap(), EditField::from_word("tracking_2").unwrap());
        assert_eq!((second.name().as_str(), second.path().as_str()), ("Tracking number of parcel 2", "parcels[1].tracking"));
        assert_eq!(first.name(), "Tracking number of parcel 1");
        let edits = [number(&two, first, "AB1"), number(&two, second, "RR123456785SE")];
        assert_eq!(lay_over(&mut two, &edits), []);
        assert_eq!(two, shipment(vec![by("DPD", Some("AB1")), by("GLS", Some("RR123456785SE"))]));
        // The warehouse told them the other way round, one of them alone, another one as well, or gave one its number: whose number
        // was whose is not known any more.
        for parcels in [
            vec![by("GLS", None), by("DPD", None)],
            vec![by("GLS", None)],
            vec![by("DPD", None), by("GLS", None), by("GLS", None)],
            vec![by("DPD", None), by("GLS", Some("CD2"))],
        ] {
            let mut now = shipment(parcels.clone());
            assert_eq!(lay_over(&mut now, &edits), [first, second]);
            assert_eq!(now, shipment(parcels));
        }
        let single = shipment(vec![by("DPD", None)]);
        let mut more = shipment(vec![by("DPD", None), by("DPD", None)]);
        assert_eq!(lay_over(&mut more, &[number(&single, first, "AB1")]), [first]);
    }

    #[test]
    fn a_field_has_one_word() {
        for word in [
            "tracking_",
            "tracking_1",
            "tracking_0",
            "tracking_02",
            "tracking_+2",
            "tracking_256",
            "tracking2",
            "parcel_2",
            "",
            "Postcode",
        ] {
            assert_eq!(EditField::from_word(word), None, "{word:?}");
        }
        let second = EditField::from_word("tracking_2").unwrap();
        assert_eq!(serde_json::to_value(second).unwrap(), "tracking_2");
        assert_eq!(serde_json::from_value::<EditField>("tracking_2".into()).unwrap(), second);
        assert!(serde_json::from_value::<EditField>("tracking_1".into()).unwrap_err().to_string().contains("no field"));
    }

    #[test]
    fn every_field_is_read_where_it_was_put_and_touches_nothing_else() {
        let (ordered, shipped) = (source(), shipment(vec![Parcel::default(), Parcel::default()]));
        for (source, other) in [(&ordered, &shipped), (&shipped, &ordered)] {
            let fields = EditField::of_record(source);
            for field in &fields {
                let mut edited = source.clone();
                field.put(&mut edited, Some("XX"));
                assert_eq!(field.of(&edited).as_deref(), Some("XX"), "{}", field.word());
                assert_eq!(EditField::from_word(&field.word()), Some(*field));
                assert_eq!(field.permission().kind(), source.kind());
                let others = fields.iter().filter(|other| *other != field);
                others.for_each(|other| assert_eq!(other.of(&edited), other.of(source), "{} by {}", other.word(), field.word()));
                let mut untouched = other.clone();
                field.put(&mut untouched, Some("XX"));
                assert_eq!((field.of(&untouched), &untouched), (None, other), "{} is not of the other kind", field.word());
            }
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
