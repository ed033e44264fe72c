//! Credits of a folder: what a desk of customer service hands over as files.
//!
//! A document of the kind `credit` is mirrored: the data say what it takes back (units below nought), a row says what the shopper
//! gets, above nought. A line that takes something off a credit (units above nought, or a price below) keeps its own sign: its units
//! are above nought, its price, net and tax below. In the Online Retail data no credit has such a line; there a `discount` of a
//! credit is money given back, like any other line. Net is rounded to the coin per line, and tax is that of the line at the rate of
//! `docs_vat`, half away from zero; both add up to what `docs` and `docs_vat` say of the document, or the folder contradicts itself.

use std::fmt::Write as _;

use super::*;

/// The columns of a credit file.
pub const CREDIT_COLUMNS: [&str; 14] = [
    "credit_ref",
    "line",
    "line_type",
    "issued_at",
    "buyer",
    "sku",
    "name",
    "quantity",
    "unit_price",
    "net",
    "tax",
    "tax_rate",
    "currency",
    "goods",
];

/// How many credits are in one file. A name always stands for the same rows, so that a file is put down once whatever is killed.
const CREDITS_PER_FILE: usize = 25;

/// One credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Its number.
    pub doc: String,
    /// It is issued after so many orders, and before the next.
    pub after: u32,
    /// Its rows in the columns of [`CREDIT_COLUMNS`], quoted, without a head.
    pub rows: String,
    /// Its lines together, in mills.
    pub net: i64,
    /// Their tax, in mills.
    pub tax: i64,
}

/// A file that the desk puts down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditFile {
    /// What it is called.
    pub name: String,
    /// It may be put down once so many orders are placed.
    pub after: u32,
    /// What is in it.
    pub text: String,
}

impl Catalogue {
    /// The same world with a desk that tells of its credits: they are nothing that happens on the shop floor any more.
    /// Errors when the folder is broken or contradicts itself.
    pub fn with_desk(mut self) -> anyhow::Result<Catalogue> {
        if let Orders::Folder(folder) = &self.source {
            let wrong = || format!("read the credits of the data folder {}", folder.path.display());
            self.credits = of_folder(&folder.path, &folder.docs, folder.whole).with_context(wrong)?;
            self.shelves.events.retain(|event| !event.why.starts_with("credit "));
        }
        Ok(self)
    }

    /// The credits, in the order of their time, then of their number.
    pub fn credits(&self) -> &[Credit] {
        &self.credits
    }

    /// The credits in files, in this order.
    pub fn credit_files(&self) -> Vec<CreditFile> {
        let head = format!("{}\r\n", CREDIT_COLUMNS.join(","));
        let file = |(number, credits): (usize, &[Credit])| CreditFile {
            name: format!("crd_{:06}.csv", number + 1),
            after: credits.iter().map(|credit| credit.after).max().unwrap_or(0),
            text: credits.iter().fold(head.clone(), |text, credit| text + &credit.rows),
        };
        self.credits.chunks(CREDITS_PER_FILE).enumerate().map(file).collect()
    }
}

struct Head {
    doc: String,
    at: Timestamp,
    issued_at: String,
    buyer: String,
    currency: Currency,
    after: u32,
    rate: Option<i64>,
    /// What the tables say of the whole.
    stated_net: i64,
    stated_tax: Option<i64>,
}

/// What a folder says about credits. `docs` are the orders that are taken, sorted; `whole` says that these are all there are.
fn of_folder(path: &Path, docs: &[Doc], whole: bool) -> anyhow::Result<Vec<Credit>> {
    let london = TimeZone::get("Europe/London").context("the time zone database is missing")?;
    let mut heads: Vec<Head> = Vec::new();
    folder::each_row(
        path,
        "docs",
        ["doc", "kind", "ts", "customer", "currency", "net"],
        |[doc, kind, ts, buyer, currency, net]| {
            if kind != "credit" {
                return Ok(());
            }
            let local: DateTime = ts.parse().with_context(|| format!("ts {ts:?}"))?;
            let zoned = local.to_zoned(london.clone())?;
            let at = zoned.timestamp();
            let before = docs.partition_point(|sale| (sale.created, sale.number.to_string().as_str()) < (at, doc));
            // What comes after the last order that is taken belongs to the orders that are not.
            if whole || before < docs.len() {
                heads.push(Head {
                    doc: doc.to_owned(),
                    at,
                    issued_at: zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
                    buyer: buyer.to_owned(),
                    currency: Currency::find(currency).with_context(|| format!("currency {currency:?} is not known here"))?,
                    after: u32::try_from(before)?,
                    rate: None,
                    stated_net: -parse_mills(net)?,
                    stated_tax: None,
                });
            }
            Ok(())
        },
    )?;
    heads.sort_by(|one, other| (one.at, &one.doc).cmp(&(other.at, &other.doc)));
    let place_of: HashMap<String, usize> = heads.iter().enumerate().map(|(at, head)| (head.doc.clone(), at)).collect();
    folder::each_row(path, "docs_vat", ["doc", "rate", "excl_line"], |[doc, rate, tax]| {
        if let Some(head) = place_of.get(doc).and_then(|at| heads.get_mut(*at)) {
            head.rate = Some(parse_mills(rate)?);
            head.stated_tax = Some(-parse_mills(tax)?);
        }
        Ok(())
    })?;
    let mut names: HashMap<String, String> = HashMap::new();
    folder::each_row(path, "products", ["sku", "name"], |[sku, name]| {
        names.insert(sku.to_owned(), name.to_owned());
        Ok(())
    })?;
    // Lines of one document stand together in the file; they are sorted to be sure.
    let mut lines: Vec<(usize, u32, [String; 4])> = Vec::new();
    folder::each_row(
        path,
        "lines",
        ["doc", "line", "sku", "line_type", "qty", "unit_price"],
        |[doc, line, sku, kind, units, price]| {
            if let Some(at) = place_of.get(doc) {
                lines.push((*at, line.parse().context("line")?, [sku, kind, units, price].map(str::to_owned)));
            }
            Ok(())
        },
    )?;
    lines.sort_by_key(|(at, line, _)| (*at, *line));
    let credit = |head: &Head| Credit { doc: head.doc.clone(), after: head.after, rows: String::new(), net: 0, tax: 0 };
    let mut credits: Vec<Credit> = heads.iter().map(credit).collect();
    for (at, line, [sku, kind, units, price]) in &lines {
        let (Some(head), Some(credit)) = (heads.get(*at), credits.get_mut(*at)) else { continue };
        let (units, price): (i64, i64) = (-units.parse::<i64>().context("qty")?, parse_mills(price)?);
        let currency = head.currency;
        let net = currency.round(i128::from(units) * i128::from(price), 1);
        let tax = head.rate.map_or(0, |rate| currency.round(i128::from(net) * i128::from(rate), 100_000));
        // Units are above nought; what takes something off says so in its price.
        let price = if units < 0 { -price } else { price };
        credit.net += net;
        credit.tax += tax;
        let name = names.get(sku).map(String::as_str).filter(|name| !name.trim().is_empty()).unwrap_or(sku);
        let cells = [
            head.doc.clone(),
            line.to_string(),
            kind.clone(),
            head.issued_at.clone(),
            head.buyer.clone(),
            sku.clone(),
            name.to_owned(),
            units.unsigned_abs().to_string(),
            mills_text(price),
            mills_fixed(net, currency.digits),
            mills_fixed(tax, currency.digits),
            head.rate.map(mills_text).unwrap_or_default(),
            currency.code.to_owned(),
            if kind == "product" { "yes" } else { "no" }.to_owned(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        let _ = write!(credit.rows, "{}\r\n", cells.join(","));
    }
    for (head, credit) in heads.iter().zip(&credits) {
        let exact = head.currency.round(i128::from(head.stated_net), 1);
        if credit.net != exact || head.stated_tax.is_some_and(|tax| tax != credit.tax) {
            let (net, tax) = (mills_text(credit.net), mills_text(credit.tax));
            bail!("credit {} has lines of {net} and tax of {tax}, docs and docs_vat say otherwise", head.doc);
        }
    }
    Ok(credits)
}

/// A cell as RFC 4180 writes it.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::tests::{sample, whole},
        *,
    };

    fn rows(credits: &[Credit]) -> Vec<BTreeMap<String, String>> {
        let text = credits.iter().fold(format!("{}\n", CREDIT_COLUMNS.join(",")), |text, credit| text + &credit.rows);
        csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn credits_are_mirrored_with_their_tax_and_time() {
        let catalogue = Catalogue::open(1, &sample()).unwrap().with_desk().unwrap();
        let rows = rows(catalogue.credits());
        assert_eq!(rows.len(), 13);
        let row = |doc: &str| rows.iter().find(|row| row["credit_ref"] == doc).unwrap();
        let linked = row("C539114");
        for (column, value) in [
            ("line", "1"),
            ("line_type", "product"),
            ("issued_at", "2010-12-16T11:24:00+00:00"),
            ("buyer", "12494"),
            ("sku", "22667"),
            ("quantity", "3"),
            ("unit_price", "2.95"),
            ("net", "8.85"),
            ("tax", "1.73"),
            ("tax_rate", "19.6"),
            ("currency", "GBP"),
            ("goods", "yes"),
        ] {
            assert_eq!(linked[column], value, "{column}");
        }
        // In summer London is an hour ahead.
        assert_eq!(row("C553801")["issued_at"], "2011-05-19T11:05:00+01:00");
        let discount = row("C536379");
        assert_eq!((discount["net"].as_str(), discount["tax"].as_str(), discount["goods"].as_str()), ("27.50", "4.81", "no"));
        let manual = row("C537610");
        assert_eq!((manual["line_type"].as_str(), manual["buyer"].as_str(), manual["net"].as_str()), ("manual", "", "631.31"));
        assert_eq!(row("C540377")["net"], "19.80");
    }

    #[test]
    fn they_come_after_the_sales_that_were_before_them_and_never_twice() {
        let Source::Folder { path, .. } = sample() else { unreachable!("the sample is a folder") };
        let all = Catalogue::open(1, &sample()).unwrap();
        let on_the_floor = all.floor_events().len();
        let all = all.with_desk().unwrap();
        assert_eq!(on_the_floor - all.floor_events().len(), 10, "the credits with goods");
        for credit in all.credits() {
            let issued = rows(std::slice::from_ref(credit))[0]["issued_at"].parse::<Timestamp>().unwrap();
            assert!(
                (0..all.orders()).all(|index| (index < credit.after) == (all.own_time(index).unwrap() < issued)),
                "{}",
                credit.doc
            );
        }
        assert!(all.credits().array_windows::<2>().all(|[a, b]| a.after <= b.after));
        let files = all.credit_files();
        assert_eq!(files.iter().map(|file| file.text.lines().count() - 1).sum::<usize>(), 13);
        assert_eq!(files[0].name, "crd_000001.csv");
        assert!(files[0].text.starts_with("credit_ref,line,line_type,issued_at,"));
        // Fewer sales, and the credits before the last of them.
        let few = Catalogue::open(1, &Source::Folder { path, limit: Some(9) }).unwrap().with_desk().unwrap();
        let before: Vec<_> = all.credits().iter().filter(|credit| credit.after < 9).cloned().collect();
        assert_eq!(few.credits(), before);
        assert!(!before.is_empty() && before.len() < all.credits().len());
    }

    #[test]
    fn all_credits_of_the_real_data_add_up() {
        let Some(path) = whole() else { return };
        let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(path.join("expected.json")).unwrap()).unwrap();
        let expected = &expected["by_kind"]["credit"];
        let catalogue = Catalogue::open(1, &Source::Folder { path, limit: None }).unwrap().with_desk().unwrap();
        let rows = rows(catalogue.credits());
        assert_eq!(catalogue.credits().len() as u64, expected["documents"].as_u64().unwrap());
        assert_eq!(rows.len() as u64, expected["lines"].as_u64().unwrap());
        let units: i64 = rows.iter().map(|row| row["quantity"].parse::<i64>().unwrap()).sum();
        assert_eq!(-units, expected["units"].as_i64().unwrap());
        let net: i64 = catalogue.credits().iter().map(|credit| credit.net).sum();
        assert_eq!(-net, parse_mills(expected["net"].as_str().unwrap()).unwrap());
        let sums = rows.iter().map(|row| (parse_mills(&row["net"]).unwrap(), parse_mills(&row["tax"]).unwrap()));
        let (nets, taxes) = sums.fold((0, 0), |(nets, taxes), (net, tax)| (nets + net, taxes + tax));
        assert_eq!((nets, taxes), (net, catalogue.credits().iter().map(|credit| credit.tax).sum::<i64>()));
        assert!(
            rows.iter().all(|row| ["quantity", "unit_price", "net"].iter().all(|column| parse_mills(&row[*column]).unwrap() > 0))
        );
    }

    #[test]
    fn lines_that_contradict_their_document_are_refused() {
        let Source::Folder { path, .. } = sample() else { unreachable!("the sample is a folder") };
        let folder = tempfile::tempdir().unwrap();
        for table in ["docs.csv", "docs_vat.csv", "lines.csv", "products.csv", "stock.csv"] {
            std::fs::copy(path.join(table), folder.path().join(table)).unwrap();
        }
        let lines = std::fs::read_to_string(path.join("lines.csv")).unwrap();
        // A line that takes something off keeps its own sign.
        let off = lines.replace("C540377,2,21259,product,-3,4.95", "C540377,2,21259,discount,3,4.95");
        let docs = std::fs::read_to_string(path.join("docs.csv")).unwrap();
        let vat = std::fs::read_to_string(path.join("docs_vat.csv")).unwrap();
        std::fs::write(folder.path().join("lines.csv"), &off).unwrap();
        let source = Source::Folder { path: folder.path().to_owned(), limit: None };
        let error = Catalogue::open(1, &source).unwrap().with_desk().unwrap_err();
        assert!(format!("{error:#}").contains("C540377"), "{error:#}");
        std::fs::write(folder.path().join("docs.csv"), docs.replace(",2,-15,-34.65", ",2,-9,-4.95")).unwrap();
        std::fs::write(folder.path().join("docs_vat.csv"), vat.replace("C540377,GB,20,-6.93", "C540377,GB,20,-0.99")).unwrap();
        let catalogue = Catalogue::open(1, &source).unwrap().with_desk().unwrap();
        let taken_off =
            rows(catalogue.credits()).into_iter().find(|row| row["line_type"] == "discount" && row["sku"] == "21259").unwrap();
        for (column, value) in [("quantity", "3"), ("unit_price", "-4.95"), ("net", "-14.85"), ("tax", "-2.97"), ("goods", "no")]
        {
            assert_eq!(taken_off[column], value, "{column}");
        }
    }
}
