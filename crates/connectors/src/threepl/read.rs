//! Bytes of a file → what it says. Pure.

use std::collections::BTreeMap;

use super::{
    csv,
    decode::{Receipt, Told},
    message::{Answer, Contents, FileKind, Row, Unread},
    settings::{Form, Format},
    x12,
    x12::sets::{CONDITION, is_other},
};

/// A file of a kind.
pub(super) fn contents(bytes: &[u8], kind: FileKind, form: &Form) -> Result<Vec<Contents>, Unread> {
    if bytes.is_empty() {
        return Err(Unread::Refused("it is empty".to_owned()));
    }
    match form.format {
        // There is no set for these that a desk would write.
        _ if kind == FileKind::Credit => csv::read(bytes, kind, form).map(|contents| vec![contents]),
        Format::Csv => csv::read(bytes, kind, form).map(|contents| vec![contents]),
        Format::X12 => {
            let interchanges = x12::read_all(&text(bytes, form)?)?;
            let stranger = interchanges.iter().find(|interchange| {
                let (us, them) = (&form.parties.sender, &form.parties.receiver);
                interchange.sender != *them || interchange.receiver != *us
            });
            if let Some(stranger) = stranger {
                return Err(Unread::Refused(format!(
                    "it is from {}:{} to {}:{}, and not for us",
                    stranger.sender.0, stranger.sender.1, stranger.receiver.0, stranger.receiver.1
                )));
            }
            if interchanges.iter().any(|interchange| interchange.test == form.parties.production) {
                let (it, we) = if form.parties.production { ("a test", "for real") } else { ("for real", "a test") };
                return Err(Unread::Refused(format!("it says that it is {it}, and this connection is {we}")));
            }
            let found = x12::sets::contents(&interchanges)?;
            match found.iter().find(|contents| contents.kind != kind) {
                Some(other) => Err(Unread::Refused(format!("its name says {kind:?} and it holds {:?}", other.kind))),
                None => Ok(found),
            }
        }
    }
}

fn text(bytes: &[u8], form: &Form) -> Result<String, Unread> {
    let utf8 = std::str::from_utf8(bytes).ok().map(str::to_owned);
    utf8.or_else(|| form.dialect.charset.and_then(|charset| charset.decode(bytes)))
        .ok_or_else(|| Unread::Refused("its characters are not UTF-8; state the encoding as csv.charset".to_owned()))
}

/// The shipments of a file, each under what tells it from the others.
pub(super) fn shipments(file: &str, all: &[Contents], form: &Form) -> Vec<(String, Told)> {
    let mut told: Vec<(String, Told)> = Vec::new();
    let rows = all.iter().flat_map(|contents| &contents.rows);
    let faults: Vec<String> =
        rows.clone().filter_map(|row| row.fault.as_ref().map(|why| format!("row {}: {why}", row.number))).collect();
    for row in rows {
        let key = match (row.get("order_ref"), row.get("shipment_ref")) {
            (Some(order), Some(shipment)) => format!("{order}/{shipment}"),
            // Rows of one order without a shipment's id are one shipment each day and parcel.
            (Some(order), None) => format!(
                "{order}/{}/{}",
                row.get("shipped_at").unwrap_or_default(),
                row.get("tracking_number").unwrap_or_default()
            ),
            (None, _) => format!("row {}", row.number),
        };
        match told.iter_mut().find(|(known, _)| *known == key) {
            Some((_, one)) => one.rows.push(row.clone()),
            None => told.push((key, Told { file: file.to_owned(), rows: vec![row.clone()], ..Told::default() })),
        }
    }
    if form.hold_file && !faults.is_empty() {
        for (_, one) in &mut told {
            one.held_by = Some(faults.join("; "));
        }
    }
    told
}

/// The receipts of a file, of goods or of returns, each under what tells it from the others.
pub(super) fn receipts(file: &str, all: &[Contents]) -> Vec<(String, Told)> {
    let mut told: Vec<(String, Told)> = Vec::new();
    for contents in all {
        for row in &contents.rows {
            // With the reporting code C, a 944 is about goods that customers sent back.
            let kind = if is_return(contents, row) { FileKind::Return } else { contents.kind };
            let number = row.get("return_ref").or_else(|| row.get("receipt_ref"));
            let key = number.map_or_else(|| format!("row {}", row.number), str::to_owned);
            match told.iter_mut().find(|(known, one)| *known == key && one.kept == Some(kind)) {
                Some((_, one)) => one.rows.push(row.clone()),
                None => {
                    let one = Told { file: file.to_owned(), rows: vec![row.clone()], kept: Some(kind), ..Told::default() };
                    told.push((key, one));
                }
            }
        }
    }
    told
}

/// The longest word for what becomes of goods that tells one return from another.
const WORD_MAX: usize = 40;

/// Whether a row is about goods that customers sent back.
fn is_return(contents: &Contents, row: &Row) -> bool {
    contents.kind == FileKind::Return || row.get("report") == Some("C")
}

/// The row of a 944 by the condition of its units, each a row of its own.
fn by_condition(row: &Row, form: &Form) -> Vec<Row> {
    let named = |name: &str, code: &str, units: String| {
        let mut one = row.clone();
        one.fields.retain(|known, _| !is_other(known) && !known.starts_with(CONDITION));
        one.fields.insert("disposition".to_owned(), code.to_owned());
        one.fields.insert("grade".to_owned(), code.to_owned());
        one.fields.insert(name.to_owned(), units);
        one
    };
    let units = |text: &str| form.numbers.units(text).ok().filter(|units| *units >= 0);
    let others = row.fields.iter().filter(|(name, _)| is_other(name));
    let others: Option<Vec<(&str, i64)>> =
        others.map(|(name, text)| Some((name.strip_prefix(CONDITION).unwrap_or("01"), units(text)?))).collect();
    let stated = row.get("quantity_received").and_then(units);
    let (Some(others), Some(stated)) = (others, stated) else { return vec![named("quantity_received", "07", String::new())] };
    let bad = others.iter().try_fold(0_i64, |sum, (_, units)| sum.checked_add(*units)).unwrap_or(i64::MAX);
    let good = match row.get("others") {
        _ if bad == 0 => Some(stated),
        Some("apart") => Some(stated),
        Some("within") => stated.checked_sub(bad).filter(|good| *good >= 0),
        _ => None,
    };
    let Some(good) = good else {
        let fault = format!(
            "{bad} units are said not to be good, and nothing says whether they are among the {stated} that were received"
        );
        return vec![Row { fault: Some(fault), ..row.clone() }];
    };
    let mut rows = vec![named("quantity_received", "07", good.to_string())];
    rows.extend(
        others
            .into_iter()
            .filter(|(_, units)| *units > 0)
            .map(|(code, units)| named("quantity_received", code, units.to_string())),
    );
    rows
}

/// A text as a part of an id.
fn part(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// The partner's number of a receipt of returned goods. Without one it is the file's of that order; of a parcel that nobody knows
/// anything of, the row's.
fn reference(file: &str, row: &Row) -> String {
    if let Some(stated) = row.get("receipt_ref").or_else(|| row.get("return_ref")) {
        return stated.to_owned();
    }
    match row.get("order_ref") {
        Some(order) => format!("{}-{}", part(file), part(order)),
        None => format!("{}-{}", part(file), row.number),
    }
}

/// The returns of a file, each under what tells it from the others: the receipt, and the partner's word for what becomes of the
/// goods, as goods of which different things become are different returns.
pub(super) fn returns(file: &str, all: &[Contents], form: &Form) -> Vec<(String, Told)> {
    let mut found: Vec<(Receipt, Vec<Row>)> = Vec::new();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut faults: Vec<String> = Vec::new();
    for contents in all {
        for row in contents.rows.iter().filter(|row| is_return(contents, row)) {
            let parts = match row.get("report") {
                Some(_) if row.fault.is_none() => by_condition(row, form),
                _ => vec![row.clone()],
            };
            for row in parts {
                faults.extend(row.fault.as_ref().map(|why| format!("row {}: {why}", row.number)));
                let reference = reference(file, &row);
                let word = row.get("disposition").or_else(|| row.get("grade")).unwrap_or_default();
                let word: String = word.chars().take(WORD_MAX).collect::<String>().to_lowercase();
                let nothing = row.get("quantity_received").is_some_and(|text| form.numbers.units(text) == Ok(0));
                // Of what did not come nothing becomes: it stands with what came of the same receipt.
                let places = places.entry(reference.clone()).or_default();
                let place = places.iter().copied().find(|at| {
                    found.get(*at).is_some_and(|(known, rows)| known.word == word || nothing || all_nothing(rows, form))
                });
                match place.and_then(|at| found.get_mut(at)) {
                    Some((receipt, rows)) => {
                        if !nothing && all_nothing(rows, form) {
                            receipt.word = word;
                        }
                        rows.push(row);
                    }
                    None => {
                        places.push(found.len());
                        found.push((Receipt { reference, word, one_of_several: false }, vec![row]));
                    }
                }
            }
        }
    }
    let held_by = (form.hold_file && !faults.is_empty()).then(|| faults.join("; "));
    found
        .into_iter()
        .map(|(receipt, rows)| {
            let one_of_several = places.get(&receipt.reference).is_some_and(|places| places.len() > 1);
            let key = format!("{}/{}", receipt.reference, part(&receipt.word));
            let returned = Some(Receipt { one_of_several, ..receipt });
            (key, Told { file: file.to_owned(), rows, held_by: held_by.clone(), returned, ..Told::default() })
        })
        .collect()
}

fn all_nothing(rows: &[Row], form: &Form) -> bool {
    rows.iter().all(|row| row.get("quantity_received").is_some_and(|text| form.numbers.units(text) == Ok(0)))
}

/// The credit notes of a file, each under its number, in the order in which they stand.
pub(super) fn credits(file: &str, all: &[Contents], form: &Form) -> Vec<(String, Told)> {
    let mut told: Vec<(String, Told)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let rows = all.iter().flat_map(|contents| &contents.rows);
    let faults: Vec<String> =
        rows.clone().filter_map(|row| row.fault.as_ref().map(|why| format!("row {}: {why}", row.number))).collect();
    for row in rows {
        let key = row.get("credit_ref").map_or_else(|| format!("row {}", row.number), str::to_owned);
        let place = *places.entry(key.clone()).or_insert_with(|| {
            told.push((key, Told { file: file.to_owned(), ..Told::default() }));
            told.len() - 1
        });
        if let Some((_, one)) = told.get_mut(place) {
            one.rows.push(row.clone());
        }
    }
    if form.hold_file && !faults.is_empty() {
        for (_, one) in &mut told {
            one.held_by = Some(faults.join("; "));
        }
    }
    told
}

/// What acknowledgements say of files of ours.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The file's name or, in a 997, its control number; and what is said of it.
    pub said: Vec<(String, Answer)>,
    /// What could not be read.
    pub unread: Vec<Row>,
}

/// What an acknowledgement says of files of ours.
pub(super) fn answers(bytes: &[u8], form: &Form) -> Result<Answers, Unread> {
    let mut answers = Answers::default();
    if form.format == Format::X12 {
        for interchange in &x12::read_all(&text(bytes, form)?)? {
            let (said, unread) = x12::acknowledge::answers(interchange);
            answers.said.extend(said);
            answers.unread.extend(unread.into_iter().map(|why| Row { fault: Some(why), ..Row::default() }));
        }
        return Ok(answers);
    }
    let contents = csv::read(bytes, FileKind::Answer, form)?;
    for row in contents.rows {
        let Some(file) = row.get("file_name").filter(|_| row.fault.is_none()).map(str::to_owned) else {
            let fault = row.fault.clone().or_else(|| Some("it names no file".to_owned()));
            answers.unread.push(Row { fault, ..row });
            continue;
        };
        let status = row.get("line_status").unwrap_or_default().to_lowercase();
        let parts = [row.get("order_ref"), row.get("code"), row.get("message")];
        let said: Vec<&str> = parts.into_iter().flatten().collect();
        let place = answers.said.iter().position(|(known, _)| *known == file).unwrap_or_else(|| {
            answers.said.push((file, Answer { status, messages: Vec::new() }));
            answers.said.len() - 1
        });
        if let Some((_, answer)) = answers.said.get_mut(place).filter(|_| !said.is_empty()) {
            answer.messages.push(said.join(" "));
        }
    }
    Ok(answers)
}
