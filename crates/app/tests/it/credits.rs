//! What a data folder says of its credits: which of them its sales explain, and what those come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rust_decimal::{Decimal, RoundingStrategy};

/// What a credit that is linked comes to: above nought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Without tax.
    pub net: Decimal,
    /// Tax, rounded per line.
    pub tax: Decimal,
    /// With tax.
    pub gross: Decimal,
    /// Lines.
    pub lines: usize,
}

/// The credits of a data folder.
#[derive(Debug, Default)]
pub struct Credits {
    /// Those of which every line is of a sale that can stand in the books, by number.
    pub linked: BTreeMap<String, Sums>,
    /// The others, and which of their lines (by number) nothing explains.
    pub held: BTreeMap<String, Vec<String>>,
    /// Items of goods that a held credit brings back: what is left of these is not what the data say.
    pub skus_of_held: BTreeSet<String>,
}

pub type Row = BTreeMap<String, String>;

/// A table of a data folder, packed or not.
pub fn table(folder: &Path, name: &str) -> Vec<Row> {
    let packed = folder.join(format!("{name}.csv.gz"));
    let reader: Box<dyn Read> = match File::open(&packed) {
        Ok(file) => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Err(_) => Box::new(File::open(folder.join(format!("{name}.csv"))).unwrap()),
    };
    csv::Reader::from_reader(reader).deserialize().map(Result::unwrap).collect()
}

/// What is to be made of the credits of a folder when its first `limit` sales are placed (all, if not given): the credits before
/// the last of these. A credit without a line is none.
pub fn credits_of(folder: &Path, limit: Option<usize>) -> Credits {
    let docs = table(folder, "docs");
    let mut sales: Vec<(&str, &str)> =
        docs.iter().filter(|doc| doc["kind"] == "sale").map(|doc| (doc["ts"].as_str(), doc["doc"].as_str())).collect();
    sales.sort_unstable();
    let last = limit.filter(|limit| *limit < sales.len()).and_then(|limit| sales.get(limit.checked_sub(1)?)).copied();
    let taken: BTreeSet<&str> = sales.iter().filter(|sale| last.is_none_or(|last| **sale <= last)).map(|(_, doc)| *doc).collect();
    // A sale without a country is held, and so is what gives it back.
    let stands = |doc: &Row| doc["kind"] == "sale" && !doc["iso2"].is_empty() && taken.contains(doc["doc"].as_str());
    let standing: BTreeSet<&str> = docs.iter().filter(|doc| stands(doc)).map(|doc| doc["doc"].as_str()).collect();
    let rates: BTreeMap<String, Decimal> =
        table(folder, "docs_vat").into_iter().map(|row| (row["doc"].clone(), row["rate"].parse().unwrap())).collect();
    let mut explained: BTreeMap<(String, String), bool> = BTreeMap::new();
    for link in table(folder, "return_links") {
        let good = link["rule"] != "unlinked" && standing.contains(link["sale_doc"].as_str());
        *explained.entry((link["credit_doc"].clone(), link["credit_line"].clone())).or_insert(true) &= good;
    }
    let mut lines: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in table(folder, "lines") {
        lines.entry(line["doc"].clone()).or_default().push(line);
    }
    let mut found = Credits::default();
    for doc in docs.iter().filter(|doc| doc["kind"] == "credit") {
        let number = &doc["doc"];
        if last.is_some_and(|last| (doc["ts"].as_str(), number.as_str()) > last) {
            continue;
        }
        let lines = lines.get(number).map(Vec::as_slice).unwrap_or_default();
        let is_explained = |line: &&Row| explained.get(&(number.clone(), line["line"].clone())).copied().unwrap_or(false);
        let unexplained: Vec<&Row> = lines.iter().filter(|line| !is_explained(line)).collect();
        if !unexplained.is_empty() {
            let goods = lines.iter().filter(|line| line["line_type"] == "product");
            found.skus_of_held.extend(goods.map(|line| line["sku"].clone()));
            found.held.insert(number.clone(), unexplained.iter().map(|line| line["line"].clone()).collect());
            continue;
        }
        let mut sums = Sums { lines: lines.len(), ..Sums::default() };
        for line in lines {
            let round = |value: Decimal| value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
            let net = round(-line["qty"].parse::<Decimal>().unwrap() * line["unit_price"].parse::<Decimal>().unwrap());
            sums.net += net;
            sums.tax += round(net * rates.get(number).copied().unwrap_or_default() / Decimal::ONE_HUNDRED);
        }
        sums.gross = sums.net + sums.tax;
        found.linked.insert(number.clone(), sums);
    }
    found
}

/// The whole data, where they lie beside the repository, or beside the folder of its worktrees.
pub fn whole() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let both = ["../../../shared", "../../../../shared"].map(|shared| here.join(shared).join("data/online-retail"));
    both.into_iter().find(|path| path.is_dir())
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/samples/online-retail")
}

#[test]
fn the_carried_credits_are_linked_or_held() {
    let found = credits_of(&sample(), None);
    let linked: Vec<&str> = found.linked.keys().map(String::as_str).collect();
    assert_eq!(linked, ["C539114", "C540151", "C540377", "C540938", "C542259", "C543787", "C548731", "C553801"]);
    let held: Vec<&str> = found.held.keys().map(String::as_str).collect();
    assert_eq!(held, ["C536379", "C536383", "C537610", "C548941"]);
    assert_eq!(found.skus_of_held, ["35004C", "85178"].map(str::to_owned).into());
    let d = |text: &str| text.parse::<Decimal>().unwrap();
    assert_eq!(found.linked["C540377"], Sums { net: d("34.65"), tax: d("6.93"), gross: d("41.58"), lines: 2 });
    assert_eq!(found.linked["C553801"], Sums { net: d("262.80"), tax: d("52.56"), gross: d("315.36"), lines: 1 });
    // With fewer sales there are the credits before the last of them, and what later sales would explain is held.
    let few = credits_of(&sample(), Some(9));
    assert!(few.linked.contains_key("C539114") && !few.linked.contains_key("C553801") && !few.held.contains_key("C553801"));
}

#[test]
fn the_whole_datas_credits_are_linked_or_held() {
    let Some(folder) = whole() else { return };
    let found = credits_of(&folder, None);
    assert_eq!(found.linked.len() + found.held.len(), 1_677);
    assert_eq!(found.linked.len(), 1_104);
    let vat: BTreeMap<String, Row> = table(&folder, "docs_vat").into_iter().map(|row| (row["doc"].clone(), row)).collect();
    for (number, sums) in &found.linked {
        assert_eq!(-sums.tax, vat[number]["excl_line"].parse::<Decimal>().unwrap(), "{number}");
    }
    let docs: BTreeMap<String, Row> = table(&folder, "docs").into_iter().map(|row| (row["doc"].clone(), row)).collect();
    for (number, sums) in &found.linked {
        assert_eq!(-sums.net, docs[number]["net"].parse::<Decimal>().unwrap(), "{number}");
    }
}
