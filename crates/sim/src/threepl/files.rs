//! The files of the exchange as the partner reads and writes them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SHOP;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    pub sku: String,
    pub quantity: i64,
}

/// Something that left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    pub id: String,
    pub carrier: String,
    /// Which line of the order, and how many units.
    pub lines: Vec<(usize, i64)>,
    pub tracking: Option<String>,
    /// What will be told some time later.
    pub tracking_later: Option<String>,
    /// Whether it will be told once more.
    pub again: bool,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub file: String,
    pub doc: String,
    /// The control number of its group, for X12.
    pub control: String,
    pub service: String,
    pub lines: Vec<Line>,
    pub shipments: Vec<Shipment>,
    pub cancelled: bool,
    pub refused: bool,
    /// Whether it was settled if something of it comes back that nobody announced.
    #[serde(default)]
    pub looked_at: bool,
}

impl Order {
    pub fn sku(&self, at: usize) -> String {
        self.lines.get(at).map(|line| line.sku.clone()).unwrap_or_default()
    }

    /// Units of each line that have not left.
    pub fn left(&self) -> Vec<(usize, i64)> {
        let gone = |at: usize| -> i64 {
            self.shipments
                .iter()
                .flat_map(|shipment| &shipment.lines)
                .filter(|(line, _)| *line == at)
                .map(|(_, units)| units)
                .sum()
        };
        let open = self.lines.iter().enumerate().map(|(at, line)| (at, line.quantity - gone(at)));
        open.filter(|(_, units)| *units > 0).collect()
    }
}

/// A file that was put down for the warehouse.
pub enum Taken {
    Order(Order),
    Cancellation {
        doc: String,
    },
    /// A 997 about a file of ours.
    Acknowledgement,
    /// Goods that are to come back.
    Announcement(Announcement),
    /// They will not come.
    Withdrawal {
        reference: String,
    },
}

/// Goods that the shop expects back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    pub file: String,
    /// The shop's number of the return.
    pub reference: String,
    pub order: String,
    /// The control number of its group, for X12.
    pub control: String,
    pub reason: String,
    pub lines: Vec<Line>,
    pub withdrawn: bool,
    /// Turns that it has waited for its goods.
    pub waited: u64,
    /// Whether the goods have come.
    pub arrived: bool,
}

/// Units that came back, all of them in one condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The order's line, where a paper told it.
    pub line: String,
    pub sku: String,
    /// Units that were announced.
    pub announced: i64,
    pub units: i64,
    /// `restock`, `scrap` or `hold`.
    pub word: String,
    pub grade: String,
}

/// A parcel that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The return that was announced, or the order: what brought it about, once.
    pub cause: String,
    /// The shop's number of the return, or the warehouse's own; empty where there was no paper.
    pub reference: String,
    pub order: String,
    pub reason: String,
    pub comment: String,
    pub pieces: Vec<Piece>,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Whether it was told.
    pub told: bool,
    /// Whether it is told with a row that cannot be read first, and once more, mended.
    pub again: bool,
}

/// Reads an announced return, or that it will not come; the error is what the partner would complain of.
pub fn read_announcement(name: &str, text: &str) -> Result<Taken, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|why| why.to_string())?.clone();
    let place =
        |column: &str| header.iter().position(|known| known == column).ok_or_else(|| format!("it has no column {column}"));
    let (reference, order, line) = (place("return_ref")?, place("order_ref")?, place("order_line_id")?);
    let (sku, quantity, reason) = (place("sku")?, place("quantity_expected")?, place("reason_code")?);
    let mut announced: Option<Announcement> = None;
    for record in reader.records() {
        let record = record.map_err(|why| why.to_string())?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let units: i64 = cell(quantity).parse().map_err(|_| format!("{:?} is no quantity", cell(quantity)))?;
        if units < 1 || cell(reference).is_empty() || cell(sku).is_empty() {
            return Err("a line without a number, an item or units".to_owned());
        }
        let one = announced.get_or_insert_with(|| Announcement {
            file: name.to_owned(),
            reference: cell(reference),
            order: cell(order),
            control: String::new(),
            reason: cell(reason),
            lines: Vec::new(),
            withdrawn: false,
            waited: 0,
            arrived: false,
        });
        if one.reference != cell(reference) {
            return Err("it holds two returns".to_owned());
        }
        one.lines.push(Line { id: cell(line), sku: cell(sku), quantity: units });
    }
    let announced = announced.ok_or("it holds no line")?;
    Ok(if name.starts_with("rmc_") {
        Taken::Withdrawal { reference: announced.reference }
    } else {
        Taken::Announcement(announced)
    })
}

/// Reads the segments of a 180.
fn read_180(name: &str, segments: &[Vec<&str>], group: &str, control: &str) -> Result<Taken, String> {
    let find = |id: &str| segments.iter().find(|segment| segment.first() == Some(&id));
    let of = |id: &str, at: usize| find(id).and_then(|segment| segment.get(at)).copied().unwrap_or_default();
    if group != "AN" {
        return Err(format!("a set 180 in a group {group}"));
    }
    if of("BGN", 2).is_empty() || of("BGN", 2).len() > 50 || of("BGN", 3).len() != 8 || of("PRF", 1).len() > 22 {
        return Err("an element of BGN or PRF has not the length that it may have".to_owned());
    }
    let mut lines: Vec<Line> = Vec::new();
    for segment in segments {
        let part = |at: usize| segment.get(at).copied().unwrap_or_default();
        match segment.first() {
            Some(&"BLI") => {
                let quantity = part(3).parse().map_err(|_| "BLI has no quantity".to_owned())?;
                if part(1) != "SK" || part(4) != "EA" || quantity < 1 {
                    return Err("BLI names no unit or SKU".to_owned());
                }
                lines.push(Line { id: String::new(), sku: part(2).to_owned(), quantity });
            }
            Some(&"N9") if part(1) == "LI" => {
                if let Some(last) = lines.last_mut() {
                    last.id = part(2).to_owned();
                }
            }
            _ => {}
        }
    }
    if lines.is_empty() {
        return Err("a 180 without a line".to_owned());
    }
    let reason = if of("RDR", 2).is_empty() { of("RDR", 4) } else { of("RDR", 2) };
    match of("BGN", 1) {
        "01" => Ok(Taken::Withdrawal { reference: of("BGN", 2).to_owned() }),
        "00" => Ok(Taken::Announcement(Announcement {
            file: name.to_owned(),
            reference: of("BGN", 2).to_owned(),
            order: of("PRF", 1).to_owned(),
            control: control.to_owned(),
            reason: reason.to_owned(),
            lines,
            withdrawn: false,
            waited: 0,
            arrived: false,
        })),
        other => Err(format!("BGN has the purpose {other}")),
    }
}

/// Reads a delimited file; the error is what the partner would complain of.
pub fn read_csv(name: &str, text: &str) -> Result<Taken, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|why| why.to_string())?.clone();
    let place =
        |column: &str| header.iter().position(|known| known == column).ok_or_else(|| format!("it has no column {column}"));
    let must = [
        "order_ref",
        "order_line_id",
        "sku",
        "quantity",
        "service_code",
        "ship_name",
        "ship_address1",
        "ship_country",
        "total_units",
    ];
    let mut places = Vec::new();
    for column in must {
        places.push(place(column)?);
    }
    let mut order: Option<Order> = None;
    let mut total = 0;
    for record in reader.records() {
        let record = record.map_err(|why| why.to_string())?;
        let cell = |at: usize| places.get(at).and_then(|place| record.get(*place)).unwrap_or_default().to_owned();
        let quantity: i64 = cell(3).parse().map_err(|_| format!("{:?} is no quantity", cell(3)))?;
        if quantity < 1 {
            return Err(format!("a line of {quantity} units"));
        }
        total = cell(8).parse().map_err(|_| "its total is no number".to_owned())?;
        let cancels = name.starts_with("can_");
        if !cancels && [5, 6].into_iter().any(|at| cell(at).is_empty()) || cell(7).len() != 2 {
            return Err("its address is not whole".to_owned());
        }
        let one = order.get_or_insert_with(|| Order {
            file: name.to_owned(),
            doc: cell(0),
            control: String::new(),
            service: cell(4),
            lines: Vec::new(),
            shipments: Vec::new(),
            cancelled: false,
            refused: false,
            looked_at: false,
        });
        if one.doc != cell(0) {
            return Err("it holds two orders".to_owned());
        }
        one.lines.push(Line { id: cell(1), sku: cell(2), quantity });
    }
    let order = order.ok_or("it holds no line")?;
    let counted: i64 = order.lines.iter().map(|line| line.quantity).sum();
    if counted != total {
        return Err(format!("it states {total} units and holds {counted}"));
    }
    if name.starts_with("can_") { Ok(Taken::Cancellation { doc: order.doc }) } else { Ok(Taken::Order(order)) }
}

/// Reads a 940 or a 997; the error is what the partner would complain of.
pub fn read_x12(name: &str, text: &str) -> Result<Taken, String> {
    if text.len() < 106 || text.as_bytes().get(105) != Some(&b'~') {
        return Err("its ISA has not the fixed length".to_owned());
    }
    let segments: Vec<Vec<&str>> = text
        .split('~')
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(|segment| segment.split('*').collect())
        .collect();
    let find = |id: &str| segments.iter().find(|segment| segment.first() == Some(&id));
    let of = |id: &str, at: usize| find(id).and_then(|segment| segment.get(at)).copied().unwrap_or_default();
    let (st, se) =
        (segments.iter().position(|s| s.first() == Some(&"ST")), segments.iter().position(|s| s.first() == Some(&"SE")));
    let (Some(st), Some(se)) = (st, se) else { return Err("it has no set".to_owned()) };
    if of("SE", 1).parse() != Ok(se - st + 1) {
        return Err(format!("it states {} segments and holds {}", of("SE", 1), se - st + 1));
    }
    if of("ISA", 13) != of("IEA", 2) || of("GS", 6) != of("GE", 2) || of("ST", 2) != of("SE", 2) {
        return Err("its control numbers do not meet".to_owned());
    }
    if of("ISA", 6).trim() != SHOP {
        return Err(format!("it is from {}", of("ISA", 6)));
    }
    if of("ST", 1) == "997" {
        return if of("GS", 1) == "FA" { Ok(Taken::Acknowledgement) } else { Err("a 997 in a group that is not FA".to_owned()) };
    }
    if of("ST", 1) == "180" {
        return read_180(name, &segments, of("GS", 1), of("GS", 6));
    }
    if of("ST", 1) != "940" || of("GS", 1) != "OW" {
        return Err(format!("a set {} in a group {}", of("ST", 1), of("GS", 1)));
    }
    for id in ["W05", "N1", "N3", "N4", "W66", "W76"] {
        find(id).ok_or_else(|| format!("it has no {id}"))?;
    }
    if of("N4", 3).len() < 3 || of("N4", 2).len() > 2 || of("W05", 2).len() > 22 {
        return Err("an element has not the length that it may have".to_owned());
    }
    let mut lines: Vec<Line> = Vec::new();
    for segment in &segments {
        match segment.first() {
            Some(&"W01") => {
                let quantity = segment.get(1).and_then(|text| text.parse().ok()).ok_or("W01 has no quantity")?;
                if segment.get(2) != Some(&"EA") || segment.get(4) != Some(&"SK") {
                    return Err("W01 names no unit or SKU".to_owned());
                }
                lines.push(Line { id: String::new(), sku: segment.get(5).copied().unwrap_or_default().to_owned(), quantity });
            }
            Some(&"N9") if segment.get(1) == Some(&"LI") => {
                if let Some(last) = lines.last_mut() {
                    last.id = segment.get(2).copied().unwrap_or_default().to_owned();
                }
            }
            _ => {}
        }
    }
    let counted: i64 = lines.iter().map(|line| line.quantity).sum();
    if of("W76", 1).parse() != Ok(counted) {
        return Err(format!("W76 states {} units, and there are {counted}", of("W76", 1)));
    }
    let doc = of("W05", 2).to_owned();
    match of("W05", 1) {
        "F" => Ok(Taken::Cancellation { doc }),
        "N" => Ok(Taken::Order(Order {
            file: name.to_owned(),
            doc,
            control: of("GS", 6).to_owned(),
            service: of("W66", 5).to_owned(),
            lines,
            shipments: Vec::new(),
            cancelled: false,
            refused: false,
            looked_at: false,
        })),
        other => Err(format!("W05 has the status {other}")),
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The acknowledgement of an order, as in the fact sheet's sample.
pub fn csv_answer(order: &Order, unknown: Option<&str>) -> String {
    let head = "file_name,sha256,received_at,status,record_no,order_ref,code,message\n";
    match unknown {
        None => format!("{head}{},,,accepted,,{},,\n", order.file, order.doc),
        Some(sku) => {
            format!("{head}{},,,rejected,1,{},UNKNOWN_SKU,{}\n", order.file, order.doc, cell(&format!("{sku} not found")))
        }
    }
}

/// What left, one row per line.
pub fn csv_shipment(order: &Order, shipment: &Shipment, warehouse: &str, bad: bool) -> String {
    let mut out = String::from(
        "message_id,shipment_ref,order_ref,order_line_id,sku,quantity_shipped,quantity_backordered,line_status,reason_code,carrier,service,tracking_number,parcel_ref,shipped_at,warehouse\r\n",
    );
    let moment = at(shipment.at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (at, units) in &shipment.lines {
        let Some(line) = order.lines.get(*at) else { continue };
        // A decimal comma in a file of decimal points: read either way it is wrong.
        let quantity = if bad { format!("\"{units},5\"") } else { units.to_string() };
        out.push_str(&format!(
            "m-{id},{id},{},{},{},{quantity},,shipped,,{},{},{},P1,{moment},{warehouse}\r\n",
            cell(&order.doc),
            cell(&line.id),
            cell(&line.sku),
            shipment.carrier,
            order.service,
            shipment.tracking.as_deref().unwrap_or_default(),
            id = shipment.id,
        ));
    }
    out
}

/// What there is of an item.
pub struct Level {
    pub sku: String,
    pub there: i64,
    pub promised: i64,
    /// Kept apart until somebody has looked at it.
    pub blocked: i64,
}

/// The stock.
pub fn csv_stock(rows: &[Level], now: Timestamp, warehouse: &str) -> String {
    let mut out =
        String::from("snapshot_id,generated_at,warehouse,sku,on_hand,allocated,quarantine,damaged,available,incoming\r\n");
    let moment = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for Level { sku, there, promised, blocked } in rows {
        let free = there - promised - blocked;
        out.push_str(&format!("S-{moment},{moment},{warehouse},{},{there},{promised},{blocked},0,{free},0\r\n", cell(sku)));
    }
    out
}

/// One interchange of ours with one set.
fn interchange(functional: &str, code: &str, number: u64, warehouse: &str, body: &[String]) -> String {
    let set = body.iter().map(|segment| format!("{segment}~\n")).collect::<String>();
    format!(
        "ISA*00*          *00*          *ZZ*{warehouse:15}*ZZ*{SHOP:15}*260204*1010*U*00401*{number:09}*0*P*>~\n\
         GS*{functional}*{warehouse}*{SHOP}*20260204*1010*{number}*X*004010~\nST*{code}*0001~\n{set}SE*{}*0001~\n\
         GE*1*{number}~\nIEA*1*{number:09}~\n",
        body.len() + 2
    )
}

/// The 997 about a file of ours: its group, its set and its control number.
pub fn x12_answer(about: (&str, &str, &str), number: u64, refused: bool, warehouse: &str) -> String {
    let (group, set, control) = about;
    let mut body = vec![format!("AK1*{group}*{control}"), format!("AK2*{set}*0001")];
    if refused {
        body.extend(["AK3*W01*13*LX*8".to_owned(), "AK4*5*234*7".to_owned(), "AK5*R*5".to_owned(), "AK9*R*1*1*0".to_owned()]);
    } else {
        body.extend(["AK5*A".to_owned(), "AK9*A*1*1*1".to_owned()]);
    }
    interchange("FA", "997", number, warehouse, &body)
}

/// A 945.
pub fn x12_shipment(order: &Order, shipment: &Shipment, number: u64, warehouse: &str, bad: bool) -> String {
    let day = at(shipment.at).strftime("%Y%m%d").to_string();
    let mut body = vec![
        format!("W06*F*{}*{day}*{}**{}", order.doc, shipment.id, order.doc),
        format!("N1*SF*Main*91*{warehouse}"),
        format!("G62*11*{day}"),
        format!("W27*U*PSTN*{}", shipment.carrier),
        "LX*1".to_owned(),
    ];
    body.extend(shipment.tracking.as_ref().map(|tracking| format!("MAN*CP*{tracking}")));
    for (at, units) in &shipment.lines {
        let Some(line) = order.lines.get(*at) else { continue };
        let quantity = if bad { "X".to_owned() } else { units.to_string() };
        body.push(format!("W12*CC*{}*{quantity}*0*EA**SK*{}", line.quantity, line.sku));
        body.push(format!("N9*LI*{}", line.id));
    }
    body.push(format!("W03*{}", shipment.lines.iter().map(|(_, units)| units).sum::<i64>()));
    interchange("SW", "945", number, warehouse, &body)
}

/// An 846.
pub fn x12_stock(rows: &[Level], now: Timestamp, warehouse: &str) -> String {
    let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%H%M").to_string());
    let mut body = vec![format!("BIA*00*DD*INV{day}{time}*{day}*{time}"), format!("N1*WH*Main*91*{warehouse}")];
    for (at, Level { sku, there, promised, blocked }) in rows.iter().enumerate() {
        body.push(format!("LIN*{}*SK*{sku}", at + 1));
        body.push(format!("QTY*17*{there}*EA"));
        body.push(format!("QTY*33*{}*EA", there - promised - blocked));
    }
    body.push(format!("CTT*{}", rows.len()));
    interchange("IB", "846", u64::try_from(now.as_second()).unwrap_or(1) % 1_000_000_000, warehouse, &body)
}

/// What came back, one row per condition of an item.
pub fn csv_return(arrival: &Arrival, warehouse: &str, bad: bool) -> String {
    let mut out = String::from(
        "return_ref,order_ref,order_line_id,sku,quantity_expected,quantity_received,disposition,grade,reason_code,received_at,warehouse,comment\r\n",
    );
    let moment = at(arrival.at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for piece in &arrival.pieces {
        let units = if bad { format!("\"{},5\"", piece.units) } else { piece.units.to_string() };
        out.push_str(&format!(
            "{},{},{},{},{},{units},{},{},{},{moment},{warehouse},{}\r\n",
            cell(&arrival.reference),
            cell(&arrival.order),
            cell(&piece.line),
            cell(&piece.sku),
            piece.announced,
            piece.word,
            piece.grade,
            cell(&arrival.reason),
            cell(&arrival.comment),
        ));
    }
    out
}

/// A 180 of what came back. Without a paper it has a number of the warehouse's own, as BGN needs one.
pub fn x12_return(arrival: &Arrival, number: u64, warehouse: &str, bad: bool) -> String {
    let day = at(arrival.at).strftime("%Y%m%d").to_string();
    let own = format!("B{:09}", crate::mischief::hash_text(&arrival.cause) % 1_000_000_000);
    let reference = if arrival.reference.is_empty() { own } else { arrival.reference.clone() };
    let mut body = vec![format!("BGN*00*{reference}*{day}")];
    if !arrival.order.is_empty() {
        body.push(format!("PRF*{}", arrival.order));
    }
    body.push(format!("N1*WH*Main*91*{warehouse}"));
    for piece in &arrival.pieces {
        let units = if bad { "X".to_owned() } else { piece.units.to_string() };
        body.push(format!("BLI*SK*{}*{units}*EA", piece.sku));
        if !piece.line.is_empty() {
            body.push(format!("N9*LI*{}", piece.line));
        }
        let code = match piece.word.as_str() {
            _ if arrival.reference.is_empty() => "RN",
            "scrap" => "DI",
            "hold" => "RP",
            _ => "RA",
        };
        body.push(format!("RDR*{code}***{}", arrival.reason));
    }
    interchange("AN", "180", number, warehouse, &body)
}
