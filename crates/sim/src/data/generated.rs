//! Orders and items made up from a seed and the number of orders, always the same ones.

use super::*;

/// Rates in thousandths of a percent that generated orders may carry.
pub(super) const RATES: &[(&str, &[i64])] = &[
    ("SE", &[25_000, 6_000, 0]),
    ("DE", &[19_000, 7_000, 0]),
    ("AT", &[20_000, 10_000, 0]),
    ("GB", &[20_000, 0]),
    ("US", &[8_875, 7_250, 8_250, 0]),
    ("JP", &[10_000, 0]),
];

/// (code, name, city, zip, rate) of the American states that are sent to.
const STATES: &[(&str, &str, &str, &str, i64)] = &[
    ("NY", "New York", "New York", "10001", 8_875),
    ("CA", "California", "Sacramento", "95814", 7_250),
    ("TX", "Texas", "Houston", "77002-1234", 8_250),
    ("OR", "Oregon", "Portland", "97201", 0),
];

/// The name of an American state by its code.
pub fn state_name(code: &str) -> Option<(i32, &'static str)> {
    (1..).zip(STATES).find(|(_, state)| state.0 == code).map(|(id, state)| (id, state.1))
}

const STYLES: &[(&str, i64)] = &[
    ("Boxy Tee", 29),
    ("Merino Crew", 119),
    ("Wide Leg Jean", 139),
    ("Linen Shirt", 89),
    ("Wrap Dress", 159),
    ("Chore Jacket", 189),
    ("Pleated Skirt", 99),
    ("Rib Tank", 25),
    ("Wool Coat", 349),
    ("Poplin Blouse", 79),
    ("Cargo Trouser", 129),
    ("Knit Vest", 95),
    ("Slip Dress", 145),
    ("Trench", 299),
    ("Hoodie", 85),
];
const LINES_OF_STYLES: &[&str] = &["Alva", "Bo", "Cleo", "Disa"];
/// A shop with so few orders sells only the first styles of each line: a large collection would be read and written for nothing.
const ORDERS_OF_FEW: u64 = 150;
const FEW_STYLES: usize = 4;
const COLOURS: &[(&str, &str)] = &[("BLK", "Black"), ("ECR", "Écru"), ("NVY", "Navy"), ("RST", "Rost")];
const SIZES: &[&str] = &["XS", "S", "M", "L", "XL", "24x26"];
const FIRST_NAMES: &[&str] = &[
    "Anna", "Björn", "Claire", "Dmitri", "Ebba", "Finn", "Greta", "Hannah", "Isak", "Jürgen", "Karin", "Liam", "Maja", "Noah",
    "Olivia", "Per", "Qiana", "Ruth", "Søren", "Tove",
];
const LAST_NAMES: &[&str] = &[
    "Andersson",
    "Brown",
    "Cohen",
    "Dürr",
    "Ekström",
    "Fischer",
    "García",
    "Holm",
    "Ibsen",
    "Jones",
    "Köhler",
    "Lindqvist",
    "Müller",
    "Nyström",
    "O'Brien",
    "Petit",
    "Quist",
    "Rossi",
    "Smith",
    "Ångström",
];
const JAPANESE: &[(&str, &str)] = &[("花子", "山田"), ("太郎", "佐藤"), ("翔", "髙橋"), ("さくら", "𠮷野")];
/// Names that break careless code.
const NAUGHTY: &[(&str, &str)] = &[
    ("Robert'); DROP TABLE orders;--", "Tables"),
    ("<script>alert(1)</script>", "& Sons"),
    ("=1+1", "\"Quoted, \\ Name\""),
    ("null", "undefined"),
    ("علي", "العربي"),
    ("Zoë\u{301}", "Nguyễn\u{200b}"),
    ("👩‍👩‍👧", "🏳️‍🌈 Family"),
    ("İsmail", "ﬁne ﬂow"),
    ("A", "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessenschafe"),
];
const STREETS: &[&str] = &["Storgatan", "Hauptstraße", "High Street", "Main St", "本町", "Rue de l'Église", "Calle Ñandú"];
const COMMENTS: &[&str] =
    &["", "Please leave at the door", "Ring twice — the bell is broken 🔔", "Gift: no price tags\nThank you!"];

/// A small stream of pseudo-random numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, salt: u64, index: u64) -> Dice {
        Dice(mix(mix(seed) ^ mix(salt)) ^ mix(index.wrapping_add(1)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).unwrap_or(1);
        usize::try_from(self.next() % most).unwrap_or(0)
    }

    /// Units from 0 to below `most`.
    pub(super) fn units(&mut self, most: usize) -> i64 {
        i64::try_from(self.below(most)).unwrap_or(0)
    }

    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    pub(super) fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

pub(super) fn method(id: i32, name: &'static str, uri: &'static str, price: i64) -> ShippingMethod {
    ShippingMethod { id, name, uri, price }
}

fn generated_markets() -> Vec<Market> {
    let currency = |at: usize| CURRENCIES.get(at).copied().unwrap_or(Currency { id: 0, code: "XXX", digits: 2 });
    vec![
        Market {
            id: 1,
            name: "Sweden",
            currency: currency(0),
            tax_included: true,
            countries: &["SE"],
            methods: vec![
                method(1, "PostNord MyPack", "postnord-mypack", 49_000),
                method(2, "Budbee Home", "budbee-home", 79_000),
            ],
        },
        Market {
            id: 2,
            name: "Germany",
            currency: currency(1),
            tax_included: true,
            countries: &["DE", "AT"],
            methods: vec![method(3, "DHL Paket", "dhl-paket", 4_900), method(4, "DHL Express", "dhl-express", 14_900)],
        },
        Market {
            id: 3,
            name: "United Kingdom",
            currency: currency(2),
            tax_included: true,
            countries: &["GB"],
            methods: vec![
                method(5, "Royal Mail Tracked 48", "royal-mail-48", 3_950),
                method(6, "DPD Next Day", "dpd-next-day", 6_950),
            ],
        },
        Market {
            id: 4,
            name: "United States",
            currency: currency(3),
            tax_included: false,
            countries: &["US"],
            methods: vec![method(7, "UPS Ground", "ups-ground", 8_000), method(8, "FedEx 2Day", "fedex-2day", 19_990)],
        },
        Market {
            id: 5,
            name: "Japan",
            currency: currency(4),
            tax_included: true,
            countries: &["JP"],
            methods: vec![method(9, "Yamato TA-Q-BIN", "yamato", 990_000), method(10, "Sagawa", "sagawa", 1_200_000)],
        },
    ]
}

/// The price in mills of something that costs so many euros, as a shop would round it.
pub(super) fn local_price(currency: Currency, euros: i64) -> i64 {
    match currency.code {
        "SEK" => euros * 11_000 - 1_000,
        "EUR" => euros * 1_000 - 50,
        "GBP" => euros * 900,
        "USD" => euros * 1_100 - 10,
        _ => euros * 160_000,
    }
}

impl Catalogue {
    pub(super) fn generated(seed: u64, orders: u64) -> Catalogue {
        let mut items: Vec<Item> = Vec::new();
        let (mut product, mut variant) = (0, 0);
        let styles = if orders > ORDERS_OF_FEW { STYLES.len() } else { FEW_STYLES };
        for (line, line_name) in LINES_OF_STYLES.iter().enumerate() {
            for (style, (style_name, euros)) in STYLES.iter().enumerate().take(styles) {
                product += 1;
                for (colour, colour_name) in COLOURS {
                    variant += 1;
                    for size in SIZES {
                        items.push(Item {
                            sku: format!("{}{colour}{size}", 1_000 + line * 100 + style),
                            product_number: (1_000 + line * 100 + style).to_string(),
                            variant_number: (*colour).to_owned(),
                            size_number: (*size).to_owned(),
                            product_name: format!("{line_name} {style_name}"),
                            variant_name: (*colour_name).to_owned(),
                            size_name: (*size).to_owned(),
                            product,
                            variant,
                            euros: *euros + 10 * i64::from(u8::try_from(line).unwrap_or(0)),
                            components: Vec::new(),
                            tax: TaxGroup::Standard,
                        });
                    }
                }
            }
        }
        let singles = u32::try_from(items.len() + 3).unwrap_or(0);
        let mut one = |sku: &str, name: &str, size: &str, euros: i64, tax: TaxGroup, components: &[(u32, i32)]| {
            product += 1;
            variant += 1;
            items.push(Item {
                sku: sku.to_owned(),
                product_number: sku.to_owned(),
                variant_number: String::new(),
                size_number: String::new(),
                product_name: name.to_owned(),
                variant_name: String::new(),
                size_name: size.to_owned(),
                product,
                variant,
                euros,
                components: components.to_vec(),
                tax,
            });
        };
        one("TOTE", "Canvas Tote", ONE_SIZE, 19, TaxGroup::Standard, &[]);
        one("BEANIE", "Rib Beanie", ONE_SIZE, 35, TaxGroup::Standard, &[]);
        one("LOOKBOOK", "Lookbook No 4", ONE_SIZE, 12, TaxGroup::Reduced, &[]);
        // What stands above are single items; what follows are bundles of them. A fixed bundle has a size, and its parts
        // have the same one, or come in one only.
        one("SETWINTER", "Winter Set", "M", 139, TaxGroup::Standard, &[(26, 1), (singles - 2, 1)]);
        one("SETTEE3", "Three Tees", "M", 75, TaxGroup::Standard, &[(2, 2), (8, 1)]);
        let markets = generated_markets();
        Catalogue {
            seed,
            source: Orders::Generated(orders),
            items,
            flash: None,
            credits: Vec::new(),
            shelves: stock::of_generated(seed, singles, markets.len(), orders),
            markets,
            countries: countries(),
            bundles: vec![singles, singles + 1],
            singles,
        }
    }

    pub(super) fn person(&self, salt: u64, key: u64, country: &str) -> (String, String) {
        let mut dice = Dice::new(self.seed, salt, key);
        if dice.percent(4)
            && let Some((first, last)) = dice.of(NAUGHTY)
        {
            return ((*first).to_owned(), (*last).to_owned());
        }
        if country == "JP"
            && let Some((first, last)) = dice.of(JAPANESE)
        {
            return ((*first).to_owned(), (*last).to_owned());
        }
        let first = dice.of(FIRST_NAMES).copied().unwrap_or("Anna");
        let last = dice.of(LAST_NAMES).copied().unwrap_or("Holm");
        (first.to_owned(), last.to_owned())
    }

    fn country_index(&self, code: &str) -> Option<u32> {
        self.countries.iter().position(|c| c.code == code).and_then(|at| u32::try_from(at).ok())
    }

    pub(super) fn address(&self, dice: &mut Dice, country: Option<u32>, first: &str, last: &str, email: &str) -> Address {
        let place = country.and_then(|at| self.countries.get(at as usize));
        let street = dice.of(STREETS).copied().unwrap_or("High Street");
        Address {
            first_name: Some(first.to_owned()),
            last_name: Some(last.to_owned()),
            company: dice.percent(5).then(|| "Søster & Brødre AB".to_owned()),
            attention: None,
            address1: Some(format!("{street} {}", 1 + dice.below(120))),
            address2: dice.percent(15).then(|| format!("Apt {}", 1 + dice.below(40))),
            city: Some(place.map_or("St Peter Port", |c| &c.city).to_owned()),
            zip: Some(place.map_or("GY1 1AA", |c| &c.zip).to_owned()),
            state: None,
            country,
            email: Some(email.to_owned()),
            phone: Some(format!("+44 20 7946 0{:03}", dice.below(1_000))),
            cell_phone: None,
        }
    }

    pub(super) fn make_order(&self, index: u32) -> Order {
        let key = u64::from(index);
        let mut dice = Dice::new(self.seed, hash_text("order"), key);
        let market_at = match dice.below(100) {
            _ if self.flash.is_some() => 0,
            0..30 => 0,
            30..60 => 1,
            60..78 => 2,
            78..92 => 3,
            _ => 4,
        };
        let fallback = Market {
            id: 0,
            name: "",
            currency: Currency { id: 0, code: "XXX", digits: 2 },
            tax_included: true,
            countries: &[],
            methods: Vec::new(),
        };
        let market = self.markets.get(market_at).unwrap_or(&fallback);
        let code = match market.countries {
            [only] => *only,
            [most, rest @ ..] => {
                if dice.percent(80) {
                    *most
                } else {
                    dice.of(rest).copied().unwrap_or(most)
                }
            }
            [] => "SE",
        };
        let country = self.country_index(code);
        let state = (code == "US").then(|| dice.of(STATES).copied()).flatten();
        let rates = RATES.iter().find(|(c, _)| *c == code).map_or(&[0_i64][..], |(_, rates)| *rates);
        let standard = state.map_or_else(|| rates.first().copied().unwrap_or(0), |state| state.4);
        let reduced = match rates {
            [_, reduced, _] if code != "US" => *reduced,
            _ => standard,
        };

        let pool = (u64::from(self.orders()) / 4).max(50);
        let account = dice.percent(60).then(|| dice.next() % pool);
        // A country per account, so that an account's name suits its market.
        let (first, last, email, customer) = match account {
            Some(account) => {
                let account = account * 8 + u64::try_from(market_at).unwrap_or(0);
                let (first, last) = self.person(hash_text("account"), account, code);
                let id = i32::try_from(account + 1).unwrap_or(1);
                let email = format!("customer{id}@example.com");
                let customer = Customer { id, email: email.clone(), first_name: first.clone(), last_name: last.clone() };
                (first, last, email, Some(customer))
            }
            None => {
                let (first, last) = self.person(hash_text("guest"), key, code);
                (first, last, format!("guest{}@example.com", self.number(index)), None)
            }
        };
        let mut shipping_address = self.address(&mut dice, country, &first, &last, &email);
        if let Some((state_code, _, city, zip, _)) = state {
            shipping_address.state = Some(state_code.to_owned());
            shipping_address.city = Some(city.to_owned());
            shipping_address.zip = Some(zip.to_owned());
        }
        let mut billing_address = shipping_address.clone();
        if dice.percent(10) {
            // Somebody else pays; the state stays, as it decided the tax.
            let other = self.address(&mut dice, country, "Bill", "Payer", &email);
            billing_address.first_name = other.first_name;
            billing_address.last_name = other.last_name;
            billing_address.address1 = other.address1;
        }

        let mut order = Order {
            number: self.number(index),
            created: None,
            market: market_at,
            currency: market.currency,
            tax_included: market.tax_included,
            customer,
            shipping_address,
            billing_address,
            lines: Vec::new(),
            method: dice.below(market.methods.len()),
            shipping: Taxed::default(),
            handling: Taxed::default(),
            rate: standard,
            discounts: Vec::new(),
            payment_method: dice.of(PAYMENT_METHODS).copied().unwrap_or((1, "adyen-card", "adyen")),
            payments: Vec::new(),
            comment: if dice.percent(15) { dice.of(COMMENTS).copied().unwrap_or("").to_owned() } else { String::new() },
        };
        match self.flash {
            Some(flash) => self.flash_lines(flash, index, &mut order, standard),
            None => self.make_lines(index, &mut dice, &mut order, standard, reduced),
        }
        self.make_charges(&mut dice, &mut order, market);
        make_payments(&mut dice, &mut order, index);
        order
    }

    fn make_lines(&self, index: u32, dice: &mut Dice, order: &mut Order, standard: i64, reduced: i64) {
        let currency = order.currency;
        let first_id = line_id(index, 0);
        let wanted = match dice.below(100) {
            0..45 => 1,
            45..75 => 2,
            75..90 => 3,
            _ => 4 + dice.below(5),
        };
        for _ in 0..wanted {
            let id = first_id + i32::try_from(order.lines.len()).unwrap_or(0);
            let kind = dice.below(1_000);
            if kind < 10 {
                order.lines.push(Line {
                    id,
                    kind: LineKind::GiftCertificate,
                    item: None,
                    ordered: 1,
                    cancelled: 0,
                    unit_original: local_price(currency, 50) / 1_000 * 1_000,
                    unit: local_price(currency, 50) / 1_000 * 1_000,
                    rate: 0,
                    comment: None,
                });
            } else if kind < 40 {
                self.push_bundle(dice, order, id, standard);
            } else {
                let at = dice.next() % u64::from(self.singles.max(1));
                let at = u32::try_from(at).unwrap_or(0);
                let Some(item) = self.items.get(at as usize) else {
                    continue;
                };
                let original = local_price(currency, item.euros);
                // A line campaign takes 20 percent off, rounded to the coin.
                let unit = if dice.percent(12) { currency.round(i128::from(original) * 8, 10) } else { original };
                let ordered = if dice.percent(12) { 2 + i32::try_from(dice.below(3)).unwrap_or(0) } else { 1 };
                let line = Line {
                    id,
                    kind: LineKind::Product,
                    item: Some(at),
                    ordered,
                    cancelled: 0,
                    unit_original: original,
                    unit,
                    rate: match item.tax {
                        TaxGroup::Standard => standard,
                        TaxGroup::Reduced => reduced,
                    },
                    comment: None,
                };
                let again =
                    dice.percent(3).then(|| Line { id: id + 1, comment: Some("Monogram: Å.B."), ordered: 1, ..line.clone() });
                order.lines.push(line);
                order.lines.extend(again);
            }
        }
    }

    fn push_bundle(&self, dice: &mut Dice, order: &mut Order, id: i32, rate: i64) {
        let Some(at) = dice.of(&self.bundles).copied() else {
            return;
        };
        let Some(bundle) = self.items.get(at as usize) else {
            return;
        };
        let price = local_price(order.currency, bundle.euros);
        let place = order.lines.len();
        order.lines.push(Line {
            id,
            kind: LineKind::Bundle,
            item: Some(at),
            ordered: 1,
            cancelled: 0,
            unit_original: price,
            unit: price,
            rate,
            comment: None,
        });
        // The items' own prices, scaled to the bundle's: whoever sums all lines counts them twice.
        let own: i64 =
            bundle.components.iter().map(|(item, units)| self.component_price(order.currency, *item) * i64::from(*units)).sum();
        for (offset, (item, units)) in (1..).zip(&bundle.components) {
            let original = self.component_price(order.currency, *item);
            let scaled = order.currency.round(i128::from(original) * i128::from(price), i128::from(own.max(1)));
            order.lines.push(Line {
                id: id + offset,
                kind: LineKind::BundleItem(place),
                item: Some(*item),
                ordered: *units,
                cancelled: 0,
                unit_original: original,
                unit: scaled,
                rate,
                comment: None,
            });
        }
    }

    fn component_price(&self, currency: Currency, item: u32) -> i64 {
        self.items.get(item as usize).map_or(0, |item| local_price(currency, item.euros))
    }

    fn make_charges(&self, dice: &mut Dice, order: &mut Order, market: &Market) {
        let goods = order.totals().lines;
        let rate = order.rate;
        let cost = market.methods.get(order.method).map_or(0, |m| m.price);
        // Free shipping above a threshold, unless it is the dear method.
        let free = order.method == 0 && goods > local_price(order.currency, 200);
        order.shipping = order.taxed(if free { 0 } else { cost }, rate);
        if market.id == 2 && dice.percent(3) {
            order.handling = order.taxed(2_500, rate);
        }
        if dice.percent(8) {
            let value = order.currency.round(i128::from(goods) * 10, 100);
            order.discounts.push(Discount { voucher: Some((7, "WELCOME10")), amount: order.taxed(value, rate) });
        } else if dice.percent(1) {
            let value = order.currency.round(i128::from(goods) * 5, 100);
            order.discounts.push(Discount { voucher: None, amount: order.taxed(value, rate) });
        }
    }
}

pub(super) fn line_id(index: u32, line: usize) -> i32 {
    i32::try_from(index).unwrap_or(0) * LINE_BLOCK + i32::try_from(line).unwrap_or(0) + 1
}

fn make_payments(dice: &mut Dice, order: &mut Order, index: u32) {
    let total = order.totals().grand;
    let id = i32::try_from(index).unwrap_or(0) * 8 + 1;
    let reference = |dice: &mut Dice| format!("{:016X}", dice.next());
    let gift = if dice.percent(2) { order.currency.round(i128::from(total), 2) } else { 0 };
    let mut payments = Vec::with_capacity(2);
    if gift > 0 {
        payments.push(("AUTH_GIFT_CARD", reference(dice), gift));
    }
    let authorised = reference(dice);
    payments.push(("AUTH", authorised.clone(), total - gift));
    if dice.percent(10) {
        payments.push(("CAPTURE", authorised, total - gift));
    }
    order.payments =
        (id..).zip(payments).map(|(id, (entry_type, reference, amount))| Payment { id, entry_type, reference, amount }).collect();
}
