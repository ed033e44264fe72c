//! Orders and items read from a folder in the layout of the sample in this crate.

use super::{
    generated::{Dice, line_id, method},
    *,
};

fn open_table(folder: &Path, name: &str) -> anyhow::Result<csv::Reader<Box<dyn Read>>> {
    let packed = folder.join(format!("{name}.csv.gz"));
    let plain = folder.join(format!("{name}.csv"));
    let reader: Box<dyn Read> = if packed.exists() {
        Box::new(flate2::read::MultiGzDecoder::new(File::open(&packed)?))
    } else {
        Box::new(File::open(&plain).with_context(|| format!("neither {name}.csv.gz nor {name}.csv can be opened"))?)
    };
    Ok(csv::Reader::from_reader(reader))
}

/// Calls `each` with the wanted columns of every row.
pub(super) fn each_row<const N: usize>(
    folder: &Path,
    name: &str,
    columns: [&str; N],
    mut each: impl FnMut([&str; N]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = open_table(folder, name)?;
    let headers = reader.headers().with_context(|| format!("{name}: header"))?.clone();
    let mut places = [0_usize; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = headers.iter().position(|header| header == column).with_context(|| format!("{name} has no column {column}"))?;
    }
    let mut record = csv::StringRecord::new();
    let mut row = 1_u64;
    while reader.read_record(&mut record).with_context(|| format!("{name}: after row {row}"))? {
        row += 1;
        let fields = places.map(|place| record.get(place).unwrap_or(""));
        each(fields).with_context(|| format!("{name} row {row}"))?;
    }
    Ok(())
}

impl Catalogue {
    pub(super) fn folder(seed: u64, path: &Path, limit: Option<u64>) -> anyhow::Result<Catalogue> {
        let mut countries = countries();
        let london = TimeZone::get("Europe/London").context("the time zone database is missing")?;
        let mut docs: Vec<Doc> = Vec::new();
        let mut stated: HashMap<i32, u32> = HashMap::new();
        each_row(
            path,
            "docs",
            ["doc", "kind", "ts", "customer", "country", "iso2", "currency", "lines"],
            |[doc, kind, ts, customer, label, iso2, currency, lines]| {
                if kind != "sale" {
                    return Ok(());
                }
                let number: i32 = doc.parse().with_context(|| format!("doc {doc:?}"))?;
                let local: DateTime = ts.parse().with_context(|| format!("ts {ts:?}"))?;
                let country = if iso2.is_empty() {
                    None
                } else {
                    let known = countries.iter().position(|c| c.code == iso2);
                    let at = known.unwrap_or(countries.len());
                    if known.is_none() {
                        countries.push(Country {
                            id: i32::try_from(at)? + 1,
                            code: iso2.to_owned(),
                            name: label.to_owned(),
                            continent: "Europe".to_owned(),
                            eu: false,
                            city: label.to_owned(),
                            zip: "00000".to_owned(),
                        });
                    }
                    Some(u32::try_from(at)?)
                };
                stated.insert(number, lines.parse().context("lines")?);
                docs.push(Doc {
                    number,
                    created: london.to_timestamp(local)?,
                    customer: match customer {
                        "" => None,
                        id => Some(id.parse().with_context(|| format!("customer {id:?}"))?),
                    },
                    country,
                    label: label.to_owned(),
                    currency: Currency::find(currency).with_context(|| format!("currency {currency:?} is not known here"))?,
                    rate: 0,
                    first_line: 0,
                    lines: 0,
                });
                Ok(())
            },
        )?;
        docs.sort_by_key(|doc| (doc.created, doc.number));
        let all = docs.len();
        if let Some(limit) = limit {
            docs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let mut by_number: Vec<(i32, u32)> = docs.iter().map(|doc| doc.number).zip(0..).collect();
        by_number.sort_unstable();
        if let Some(twice) = by_number.array_windows::<2>().find(|[a, b]| a.0 == b.0) {
            bail!("doc {} stands twice in docs", twice[0].0);
        }
        let index_of: HashMap<i32, u32> = by_number.iter().copied().collect();

        each_row(path, "docs_vat", ["doc", "rate"], |[doc, rate]| {
            let index = doc.parse::<i32>().ok().and_then(|number| index_of.get(&number));
            if let Some(doc) = index.and_then(|at| docs.get_mut(*at as usize)) {
                doc.rate = parse_mills(rate)?;
            }
            Ok(())
        })?;

        let mut items: Vec<Item> = Vec::new();
        let mut item_of: HashMap<String, u32> = HashMap::new();
        let mut add_item = |sku: &str, name: &str, items: &mut Vec<Item>| -> anyhow::Result<u32> {
            if let Some(at) = item_of.get(sku) {
                return Ok(*at);
            }
            let at = u32::try_from(items.len())?;
            item_of.insert(sku.to_owned(), at);
            let id = i32::try_from(at)? + 1;
            items.push(Item {
                sku: sku.to_owned(),
                product_number: sku.to_owned(),
                variant_number: String::new(),
                size_number: String::new(),
                product_name: name.to_owned(),
                variant_name: String::new(),
                size_name: ONE_SIZE.to_owned(),
                product: id,
                variant: id,
                euros: 0,
                components: Vec::new(),
                tax: TaxGroup::Standard,
            });
            Ok(at)
        };
        each_row(path, "products", ["sku", "name"], |[sku, name]| {
            let name = if name.trim().is_empty() { sku } else { name };
            add_item(sku, name, &mut items).map(|_| ())
        })?;

        // Lines of one document stand together in the file; they are sorted to be sure.
        let mut raw: Vec<(u32, u32, DocLine)> = Vec::new();
        each_row(path, "lines", ["doc", "line", "sku", "qty", "unit_price"], |[doc, line, sku, quantity, price]| {
            let index = doc.parse::<i32>().ok().and_then(|number| index_of.get(&number));
            let Some(index) = index else {
                return Ok(());
            };
            raw.push((
                *index,
                line.parse().context("line")?,
                DocLine {
                    item: add_item(sku, sku, &mut items)?,
                    quantity: quantity.parse().context("qty")?,
                    price: parse_mills(price)?,
                },
            ));
            Ok(())
        })?;
        raw.sort_by_key(|(index, line, _)| (*index, *line));
        let mut lines = Vec::with_capacity(raw.len());
        for (index, _, line) in raw {
            if let Some(doc) = docs.get_mut(index as usize) {
                if doc.lines == 0 {
                    doc.first_line = u32::try_from(lines.len())?;
                }
                doc.lines += 1;
            }
            lines.push(line);
        }
        for doc in &docs {
            if stated.get(&doc.number) != Some(&doc.lines) {
                bail!("doc {} has {} lines, docs says {:?}", doc.number, doc.lines, stated.get(&doc.number));
            }
            if doc.lines >= LINE_BLOCK.unsigned_abs() {
                bail!("doc {} has too many lines", doc.number);
            }
        }
        let shelves = stock::of_folder(path, &docs, docs.len() == all, |sku| add_item(sku, sku, &mut items))?;
        let whole = docs.len() == all;
        let currency = docs.first().map_or_else(|| Currency { id: 3, code: "GBP", digits: 2 }, |doc| doc.currency);
        let singles = u32::try_from(items.len())?;
        let prices = wares::last_prices(items.len(), &lines, currency);
        Ok(Catalogue {
            seed,
            source: Orders::Folder(Folder { path: path.to_owned(), whole, docs, lines, by_number, prices }),
            items,
            flash: None,
            shelves,
            credits: Vec::new(),
            markets: vec![Market {
                id: 1,
                name: "Online Retail",
                currency,
                tax_included: false,
                countries: &[],
                methods: vec![method(1, "Standard", "standard", 0)],
            }],
            countries,
            bundles: Vec::new(),
            singles,
        })
    }

    pub(super) fn folder_order(&self, folder: &Folder, index: u32) -> Order {
        let fallback = Doc {
            number: 0,
            created: Timestamp::UNIX_EPOCH,
            customer: None,
            country: None,
            label: String::new(),
            currency: Currency { id: 3, code: "GBP", digits: 2 },
            rate: 0,
            first_line: 0,
            lines: 0,
        };
        let doc = folder.docs.get(index as usize).unwrap_or(&fallback);
        let code = doc.country.and_then(|at| self.countries.get(at as usize)).map_or("", |c| c.code.as_str());
        let (salt, key, email) = match doc.customer {
            Some(id) => (hash_text("account"), id.unsigned_abs(), format!("customer{id}@example.com")),
            None => (hash_text("guest"), doc.number.unsigned_abs(), format!("guest{}@example.com", doc.number)),
        };
        let (first, last) = self.person(salt, u64::from(key), code);
        let mut dice = Dice::new(self.seed, salt ^ 1, u64::from(key));
        let mut address = self.address(&mut dice, doc.country, &first, &last, &email);
        if doc.country.is_none() {
            address.city = Some(doc.label.clone());
        }
        let first_line = doc.first_line as usize;
        let lines = folder.lines.get(first_line..first_line + doc.lines as usize).unwrap_or(&[]);
        let mut order = Order {
            number: doc.number,
            created: Some(doc.created),
            market: 0,
            currency: doc.currency,
            tax_included: false,
            customer: doc.customer.map(|id| Customer { id, email, first_name: first, last_name: last }),
            billing_address: address.clone(),
            shipping_address: address,
            lines: lines
                .iter()
                .enumerate()
                .map(|(place, line)| Line {
                    id: line_id(index, place),
                    kind: LineKind::Product,
                    item: Some(line.item),
                    ordered: line.quantity,
                    cancelled: 0,
                    unit_original: line.price,
                    unit: line.price,
                    rate: doc.rate,
                    comment: None,
                })
                .collect(),
            method: 0,
            shipping: Taxed::default(),
            handling: Taxed::default(),
            rate: doc.rate,
            discounts: Vec::new(),
            payment_method: (1, "adyen-card", "adyen"),
            payments: Vec::new(),
            comment: String::new(),
        };
        let mut dice = Dice::new(self.seed, hash_text("payment"), u64::from(doc.number.unsigned_abs()));
        let total = order.totals().grand;
        let id = i32::try_from(index).unwrap_or(0) * 8 + 1;
        let reference = format!("{:016X}", dice.next());
        order.payments.push(Payment { id, entry_type: "AUTH", reference: reference.clone(), amount: total });
        if dice.percent(10) {
            order.payments.push(Payment { id: id + 1, entry_type: "CAPTURE", reference, amount: total });
        }
        order
    }
}
