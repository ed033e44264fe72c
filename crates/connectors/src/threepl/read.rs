//! Bytes of a file → what it says. Pure.

use super::{
    csv,
    decode::Told,
    message::{Answer, Contents, FileKind, Row, Unread},
    settings::{Form, Format},
    x12,
};

/// A file of a kind.
pub(super) fn contents(bytes: &[u8], kind: FileKind, form: &Form) -> Result<Vec<Contents>, Unread> {
    if bytes.is_empty() {
        return Err(Unread::Refused("it is empty".to_owned()));
    }
    match form.format {
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
            let kind = if row.get("report") == Some("C") { FileKind::Return } else { contents.kind };
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
