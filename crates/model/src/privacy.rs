//! What of a record tells who somebody is, and the record without it.
//!
//! What is sold, for how much, under which number and when stays: books and proofs need it, and it names nobody. An id that a
//! shop or a provider gave (of an account, of a payment) stays, too: it leads to a person only through that system, which has
//! to erase them itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AnyRecord,
    records::{Address, Customer, Order},
};

/// What stands in a text where something was taken out.
pub const ERASED: &str = "[erased]";

/// Shorter texts than this are too common to be looked for in other texts: taking every "Li" out of a story would spoil it
/// and hide nobody.
const WORD_CHARS_MIN: usize = 4;

/// The same record, without what tells who somebody is.
///
/// ```
/// use selvedge_model::{AnyRecord, Unreadable, Kind, privacy::without_person};
/// let unreadable = AnyRecord::Unreadable(Box::new(Unreadable { of: Kind::Order, key: "1001".into() }));
/// assert_eq!(without_person(unreadable.clone()), unreadable);
/// ```
#[must_use]
pub fn without_person(mut record: AnyRecord) -> AnyRecord {
    match &mut record {
        AnyRecord::Order(order) => erase_order(order),
        AnyRecord::Customer(customer) => erase_customer(customer),
        AnyRecord::Shipment(shipment) => {
            // A tracking number opens a page with a name and an address on it.
            for parcel in &mut shipment.parcels {
                parcel.tracking = None;
                parcel.url = None;
            }
        }
        AnyRecord::Return(returned) => returned.comment = None,
        AnyRecord::CreditNote(credit) => {
            credit.buyer = None;
            credit.comment = None;
            if let Some(goods) = &mut credit.goods {
                goods.comment = None;
            }
            if let Some(sale) = &mut credit.sale {
                erase_order(sale);
            }
        }
        AnyRecord::Product(_) | AnyRecord::Refund(_) | AnyRecord::Unreadable(_) => {}
    }
    record
}

fn erase_order(order: &mut Order) {
    if let Some(customer) = &mut order.customer {
        erase_customer(customer);
    }
    for address in [&mut order.billing, &mut order.shipping].into_iter().flatten() {
        // The country decides the tax, and names nobody.
        *address = Address { country: address.country.take(), ..Address::default() };
    }
    order.comment = None;
}

fn erase_customer(customer: &mut Customer) {
    customer.email = None;
    customer.first_name = None;
    customer.last_name = None;
    customer.company = None;
}

/// The texts that tell who somebody is, each once, the longest first, so that a name goes before its parts do. For finding
/// them again in sentences: what is too short to be told from other words is left out.
pub fn words_of(record: &AnyRecord) -> Vec<String> {
    let mut words = Vec::new();
    match record {
        AnyRecord::Order(order) => of_order(order, &mut words),
        AnyRecord::Customer(customer) => of_customer(customer, &mut words),
        AnyRecord::Shipment(shipment) => {
            words.extend(shipment.parcels.iter().flat_map(|parcel| [&parcel.tracking, &parcel.url]).flatten().cloned());
        }
        AnyRecord::CreditNote(credit) => {
            words.extend(credit.buyer.clone());
            if let Some(sale) = &credit.sale {
                of_order(sale, &mut words);
            }
        }
        AnyRecord::Product(_) | AnyRecord::Return(_) | AnyRecord::Refund(_) | AnyRecord::Unreadable(_) => {}
    }
    telling(words)
}

/// What is long enough to be looked for, each once, the longest first.
pub fn telling(words: Vec<String>) -> Vec<String> {
    let mut words: Vec<String> =
        words.iter().map(|word| word.trim().to_lowercase()).filter(|word| word.chars().count() >= WORD_CHARS_MIN).collect();
    words.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    words.dedup();
    words
}

fn of_order(order: &Order, words: &mut Vec<String>) {
    for address in [&order.billing, &order.shipping].into_iter().flatten() {
        let Address {
            first_name,
            last_name,
            company,
            attention,
            line1,
            line2,
            postcode: _,
            city: _,
            state: _,
            country: _,
            email,
            phone,
            vat_number,
        } = address;
        words.extend(full_name(first_name.as_deref(), last_name.as_deref()));
        // A town, a state and a post code are shared by many: alone they tell nobody.
        words.extend(
            [first_name, last_name, company, attention, line1, line2, email, phone, vat_number].into_iter().flatten().cloned(),
        );
    }
    if let Some(customer) = &order.customer {
        of_customer(customer, words);
    }
    words.extend(order.comment.clone());
}

fn of_customer(customer: &Customer, words: &mut Vec<String>) {
    words.extend(full_name(customer.first_name.as_deref(), customer.last_name.as_deref()));
    words.extend([&customer.email, &customer.first_name, &customer.last_name, &customer.company].into_iter().flatten().cloned());
}

fn full_name(first: Option<&str>, last: Option<&str>) -> Option<String> {
    Some(format!("{} {}", first?.trim(), last?.trim()))
}

/// Those of the words that tell one person from all others: an address, a number, a full name, a sentence. A first name alone
/// is a word that stands in texts about other people, too.
pub fn unmistakable(words: &[String]) -> Vec<String> {
    let tells = |word: &&String| {
        word.contains('@') || word.contains(char::is_whitespace) || word.chars().filter(char::is_ascii_digit).count() >= 5
    };
    words.iter().filter(tells).cloned().collect()
}

/// The text with every one of these words taken out, whatever case it is written in; `None` when none of them is in it. A word
/// is one only where no letter and no digit goes on before or after it. The words are in lower case, as [`words_of`] gives them.
///
/// ```
/// use selvedge_model::privacy::without_words;
/// let words = ["ada lovelace".to_owned(), "ada@example.com".to_owned()];
/// let text = "no customer Ada@Example.com (Ada Lovelace)";
/// assert_eq!(without_words(text, &words).as_deref(), Some("no customer [erased] ([erased])"));
/// assert_eq!(without_words("nobody, or bada lovelaces", &words), None);
/// ```
pub fn without_words(text: &str, words: &[String]) -> Option<String> {
    let mut left = text.to_owned();
    let mut found = false;
    for word in words {
        while let Some((start, end)) = find(&left, word) {
            left.replace_range(start..end, ERASED);
            found = true;
        }
    }
    found.then_some(left)
}

/// Words that are looked for in many texts. Which of them may stand in one is told by the words of the text itself: a look costs
/// what the text is long, however many are looked for.
///
/// ```
/// use selvedge_model::privacy::Sought;
/// let sought = Sought::of(&["ada lovelace".to_owned(), "ada@example.com".to_owned()]);
/// assert_eq!(sought.taken_out_of("Ada Lovelace, ADA@example.com").as_deref(), Some("[erased], [erased]"));
/// assert_eq!(sought.taken_out_of("Ada asked"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// By how each begins, see [`beginning`].
    words: BTreeMap<String, BTreeSet<String>>,
}

impl Sought {
    /// These words, in lower case, as [`words_of`] gives them.
    pub fn of(words: &[String]) -> Self {
        let mut sought = Self::default();
        for word in words {
            sought.words.entry(beginning(word)).or_default().insert(word.clone());
        }
        sought
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The text with every one of the words taken out; `None` when none of them is in it.
    pub fn taken_out_of(&self, text: &str) -> Option<String> {
        // One that has neither letters nor digits begins with nothing.
        let beginnings = text.split(|c: char| !c.is_alphanumeric()).map(beginning).chain([String::new()]);
        let beginnings: BTreeSet<String> = beginnings.collect();
        let there = beginnings.iter().filter_map(|beginning| self.words.get(beginning)).flatten().cloned();
        without_words(text, &telling(there.collect()))
    }
}

/// The first letters and digits of a text, in lower case.
fn beginning(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.skip_while(|c| !c.is_alphanumeric()).take_while(|c| c.is_alphanumeric()).collect()
}

/// Where a word in lower case stands in a text of any case, in bytes of the text. Lower case may be longer or shorter than
/// what it was made of, so the two are walked side by side.
fn find(text: &str, word: &str) -> Option<(usize, usize)> {
    // What stands in place of a word is not looked into: a person called "Erased" would otherwise be taken out for ever.
    let mut from = 0;
    let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    loop {
        let rest = text.get(from..)?;
        let (at, c) = rest.char_indices().next()?;
        if rest.starts_with(ERASED) {
            from += ERASED.len();
            continue;
        }
        let begins = !goes_on(text.get(..from).and_then(|before| before.chars().next_back()));
        if begins
            && let Some(length) = starts_with(rest, word)
            && !goes_on(rest.get(length..).and_then(|after| after.chars().next()))
        {
            return Some((from + at, from + at + length));
        }
        from += c.len_utf8();
    }
}

fn starts_with(text: &str, word: &str) -> Option<usize> {
    let mut wanted = word.chars();
    let mut next = wanted.next();
    for (at, c) in text.char_indices() {
        if next.is_none() {
            return Some(at);
        }
        for lower in c.to_lowercase() {
            if next != Some(lower) {
                return None;
            }
            next = wanted.next();
        }
    }
    next.is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        CreditNote, Kind, Shipment, Unreadable,
        records::{Parcel, ShipmentStatus},
        samples::{credit, line, order},
    };

    fn text(record: &AnyRecord) -> String {
        serde_json::to_string(record).unwrap().to_lowercase()
    }

    fn ada() -> Address {
        let some = |text: &str| Some(text.to_owned());
        Address {
            first_name: some("Ada"),
            last_name: some("Lovelace"),
            company: some("Engines Ltd"),
            attention: some("Mr Babbage"),
            line1: some("12 St James's Square"),
            line2: some("2nd floor"),
            postcode: some("SW1Y 4JH"),
            city: some("London"),
            state: some("Greater London"),
            country: some("GB"),
            email: some("Ada@Example.com"),
            phone: some("+44 20 7946 0001"),
            vat_number: some("GB999 9999 73"),
        }
    }

    fn adas_order() -> Order {
        let comment = Some("leave it with Mrs Somerville".to_owned());
        Order { shipping: Some(ada()), billing: Some(ada()), comment, ..order(vec![line("1", "COAT", 2, 10_000)]) }
    }

    fn adas_credit() -> CreditNote {
        let (buyer, comment) = (Some("ada@example.com".to_owned()), Some("Ada was not pleased".to_owned()));
        CreditNote { buyer, comment, ..credit(adas_order()) }
    }

    fn adas_shipment() -> Shipment {
        let url = Some("https://post.example/JJD0001".to_owned());
        Shipment {
            key: "1001:depot:s1".into(),
            id: "s1".into(),
            order: "1001".into(),
            status: ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: adas_order().placed_at,
            warehouse: None,
            lines: Vec::new(),
            short: Vec::new(),
            parcels: vec![Parcel { carrier: Some("Post".to_owned()), service: None, tracking: Some("JJD0001".to_owned()), url }],
            captured: None,
            bundles: Vec::new(),
        }
    }

    #[test]
    fn many_words_are_found_as_each_of_them_is() {
        let words = telling(
            [
                "Ada Lovelace",
                "ada@example.com",
                "+44 20 7946 0001",
                "(c/o) Babbage",
                "İstanbul Cad. 1",
                "ÅSA öberg",
                "!!!!",
                "12 St James's",
            ]
            .map(str::to_owned)
            .to_vec(),
        );
        let sought = Sought::of(&words);
        for text in [
            "ADA LOVELACE, ada@example.com; call +44 20 7946 0001",
            "(C/O) BABBAGE at 12 st james's, İstanbul Cad. 1",
            "åsa ÖBERG !!!! Ada Lovelaces",
            "Adam, ada@example.company, 112 St James's, 7946 0001",
            "",
        ] {
            assert_eq!(sought.taken_out_of(text), without_words(text, &words), "{text}");
        }
        assert!(Sought::of(&[]).is_empty() && !sought.is_empty());
    }

    #[test]
    fn nothing_that_names_somebody_is_left_and_everything_that_books_need_is() {
        for record in [AnyRecord::from(adas_order()), adas_credit().into(), adas_shipment().into()] {
            let words = words_of(&record);
            assert!(!words.is_empty());
            let erased = without_person(record.clone());
            for word in words.iter().map(String::as_str).chain(["sw1y", "london", "somerville", "jjd0001", "2nd floor", "\"ada"])
            {
                assert!(!text(&erased).contains(word), "{word} is left in {}", text(&erased));
            }
            // Erased once or twice is the same, and there is nothing left to look for.
            assert_eq!(without_person(erased.clone()), erased);
            assert_eq!(words_of(&erased), Vec::<String>::new());
            assert_eq!((erased.kind(), erased.key()), (record.kind(), record.key()));
        }
        let order = adas_order();
        let AnyRecord::Order(erased) = without_person(order.clone().into()) else { panic!() };
        assert_eq!(erased.shipping.as_ref().and_then(|address| address.country.as_deref()), Some("GB"));
        assert_eq!((erased.totals, &erased.lines, &erased.payments), (order.totals, &order.lines, &order.payments));
    }

    #[test]
    fn words_are_found_in_any_case_and_the_longest_goes_first() {
        let words = telling(["Åsa", "ÅSA ÖBERG", "Öberg", "a@b.se", "İstanbul Yolu"].map(str::to_owned).to_vec());
        assert_eq!(words, ["i\u{307}stanbul yolu", "åsa öberg", "a@b.se", "öberg"]);
        let told = without_words("åsa Öberg, ÖBERG & a@B.SE live in İSTANBUL YOLU 3; Åsa too", &words);
        assert_eq!(told.as_deref(), Some("[erased], [erased] & [erased] live in [erased] 3; Åsa too"));
        assert_eq!(without_words("[erased]", &["erased".to_owned()]), None);
        assert_eq!(without_words("market=2, Marks", &["mark".to_owned()]), None);
        assert_eq!(without_words("Mark's", &["mark".to_owned()]).as_deref(), Some("[erased]'s"));
        assert_eq!(unmistakable(&words), ["i\u{307}stanbul yolu", "åsa öberg", "a@b.se"]);
    }

    proptest! {
        #[test]
        fn no_word_survives(before in ".{0,20}", word in "[a-zå@.]{4,12}", after in ".{0,20}") {
            let words = telling(vec![word.clone()]);
            let text = format!("{before} {} {after}", word.to_uppercase());
            let left = without_words(&text, &words);
            prop_assert!(left.is_some(), "{} is not found in {}", word, text);
            let left = left.unwrap();
            prop_assert!(left.split(ERASED).all(|part| !part.to_lowercase().contains(&format!(" {} ", words[0]))), "{}", left);
            prop_assert_eq!(without_words(&left, &words), None);
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_words() {
        let unreadable = Unreadable { of: Kind::Order, key: "Ada Lovelace".into() };
        assert_eq!(words_of(&AnyRecord::Unreadable(Box::new(unreadable))), Vec::<String>::new());
    }
}
