//! Delimited files → rows under neutral names. Pure.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_connector::table::{RowFault, Table};

use super::{
    message::{Contents, Fields, FileKind, Row, Unread},
    settings::{Form, Total},
};

/// Neutral names with what else partners call them (fact sheet 3.1 to 3.4).
const COLUMNS: &[(&str, &[&str])] = &[
    ("order_ref", &["order_ref", "order", "order_number", "order_no"]),
    ("order_line_id", &["order_line_id", "line_id"]),
    ("shipment_ref", &["shipment_ref", "shipment", "shipment_id"]),
    ("sku", &["sku", "item", "article"]),
    ("quantity_shipped", &["quantity_shipped", "shipped", "qty_shipped", "qty", "quantity"]),
    ("quantity_backordered", &["quantity_backordered", "backordered"]),
    ("quantity_cancelled", &["quantity_cancelled", "cancelled"]),
    ("shipped_sku", &["shipped_sku"]),
    ("line_status", &["line_status", "status"]),
    ("reason_code", &["reason_code", "reason"]),
    ("carrier", &["carrier"]),
    ("service", &["service"]),
    ("tracking_number", &["tracking_number", "tracking"]),
    ("tracking_url", &["tracking_url", "tracking_link"]),
    ("parcel_ref", &["parcel_ref", "sscc"]),
    ("shipped_at", &["shipped_at", "ship_date", "shipped_date"]),
    ("warehouse", &["warehouse"]),
    ("snapshot_id", &["snapshot_id"]),
    ("generated_at", &["generated_at"]),
    ("on_hand", &["on_hand", "total", "physical", "stock", "soh"]),
    ("allocated", &["allocated", "committed", "reserved"]),
    ("quarantine", &["quarantine", "qc", "hold", "blocked"]),
    ("damaged", &["damaged", "unusable", "defect"]),
    ("available", &["available", "free", "ats"]),
    ("incoming", &["incoming", "on_order", "in_transit"]),
    ("receipt_ref", &["receipt_ref"]),
    ("asn_ref", &["asn_ref"]),
    ("line_no", &["line_no"]),
    ("quantity_expected", &["quantity_expected", "expected"]),
    ("quantity_received", &["quantity_received", "received"]),
    ("quantity_damaged", &["quantity_damaged"]),
    ("received_at", &["received_at"]),
    ("final", &["final"]),
    ("return_ref", &["return_ref", "rma"]),
    ("disposition", &["disposition"]),
    ("grade", &["grade", "condition"]),
    ("comment", &["comment"]),
    ("file_name", &["file_name"]),
    ("code", &["code"]),
    ("message", &["message"]),
    ("record_no", &["record_no"]),
];

/// Neutral names of a file of credit notes. Some mean another thing there than in a file of a warehouse.
const CREDIT_COLUMNS: &[(&str, &[&str])] = &[
    ("credit_ref", &["credit_ref", "credit", "credit_note", "credit_number"]),
    ("line", &["line", "line_no", "line_id"]),
    ("line_type", &["line_type", "type"]),
    ("issued_at", &["issued_at", "issued", "credit_date"]),
    ("buyer", &["buyer", "customer", "customer_id"]),
    ("order_ref", &["order_ref", "order", "order_number", "order_no"]),
    ("order_line_id", &["order_line_id"]),
    ("sku", &["sku", "item", "article"]),
    ("name", &["name", "description"]),
    ("quantity", &["quantity", "qty"]),
    ("unit_price", &["unit_price", "price"]),
    ("net", &["net", "net_amount"]),
    ("tax", &["tax", "tax_amount", "vat"]),
    ("tax_rate", &["tax_rate", "vat_rate"]),
    ("currency", &["currency"]),
    ("goods", &["goods", "goods_back"]),
    ("comment", &["comment"]),
];

/// What each kind of file must have to be of any use.
fn needed(kind: FileKind) -> &'static [&'static str] {
    match kind {
        FileKind::Shipment => &["order_ref", "sku", "quantity_shipped"],
        FileKind::Stock => &["sku"],
        FileKind::Receipt => &["receipt_ref", "sku", "quantity_received"],
        FileKind::Return => &["sku", "quantity_received"],
        FileKind::Answer => &["file_name", "line_status"],
        FileKind::Credit => &["credit_ref", "line", "issued_at", "sku", "quantity", "unit_price", "net", "tax", "currency"],
        FileKind::Order | FileKind::Cancellation | FileKind::Announcement | FileKind::Withdrawal => &[],
    }
}

/// Which column holds what.
fn columns(table: &Table, kind: FileKind, form: &Form) -> Result<BTreeMap<String, usize>, Unread> {
    let mut places = BTreeMap::new();
    for (ours, theirs) in if kind == FileKind::Credit { CREDIT_COLUMNS } else { COLUMNS } {
        let place = match form.columns.get(*ours) {
            Some(stated) if !form.dialect.header => stated.parse::<usize>().ok().and_then(|number| number.checked_sub(1)),
            Some(stated) => table.column(&[stated]),
            None if form.dialect.header => table.column(theirs),
            None => None,
        };
        if let Some(place) = place {
            places.insert((*ours).to_owned(), place);
        }
    }
    let missing: Vec<&str> = needed(kind).iter().copied().filter(|name| !places.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(places);
    }
    let there = if table.header.is_empty() { "has no header".to_owned() } else { format!("has {}", table.header.join(", ")) };
    Err(Unread::Refused(format!("it {there}, and no column for {}: name it under columns", missing.join(", "))))
}

/// Reads a file.
pub(super) fn read(bytes: &[u8], kind: FileKind, form: &Form) -> Result<Contents, Unread> {
    let table = Table::read(bytes, &form.dialect).map_err(|why| Unread::Refused(why.to_string()))?;
    let places = columns(&table, kind, form)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut trailer: Option<Vec<String>> = None;
    for row in table.rows.iter().filter(|row| !row.is_blank()) {
        let first = row.cell(0).trim();
        if trailer.is_some() {
            return Err(Unread::Refused(format!("row {} stands after the trailer", row.number)));
        }
        if form.trailer.as_ref().is_some_and(|(word, _)| word == first) {
            trailer = Some(row.cells.clone());
        } else if form.rows.as_ref().is_none_or(|word| word == first) {
            let fields: Fields = places.iter().map(|(name, place)| (name.clone(), row.cell(*place).to_owned())).collect();
            rows.push(Row { number: row.number, fields, fault: None });
        }
    }
    for problem in table.problems.iter().filter(|problem| problem.fault != RowFault::Stray) {
        // A row that is cut short at the very end is the mark of a file that is still being written.
        let fault = format!("line {}: {}: {}", problem.line, problem.fault, problem.raw);
        rows.push(Row { number: problem.number, fields: Fields::new(), fault: Some(fault) });
    }
    rows.sort_by_key(|row| row.number);
    if let Some((word, totals)) = &form.trailer {
        let Some(cells) = trailer else {
            return Err(Unread::Unfinished(format!("the last row, which begins with {word}, is missing")));
        };
        count(&rows, &cells, totals, form)?;
    }
    Ok(Contents { kind, rows, acknowledgement: None })
}

/// The totals of the trailer against the rows.
fn count(rows: &[Row], cells: &[String], totals: &[Total], form: &Form) -> Result<(), Unread> {
    let documents =
        rows.iter().filter_map(|row| row.get("credit_ref").or_else(|| row.get("order_ref"))).collect::<BTreeSet<_>>().len();
    let units: i128 = rows
        .iter()
        .filter_map(|row| {
            let names = ["quantity_shipped", "quantity_received", "quantity", "on_hand", "available"];
            names.iter().find_map(|name| row.get(name)).and_then(|text| form.numbers.units(text).ok())
        })
        .map(i128::from)
        .sum();
    for (cell, total) in cells.iter().skip(1).zip(totals) {
        let (what, counted) = match total {
            Total::Documents => ("documents", i128::try_from(documents).unwrap_or(i128::MAX)),
            Total::Rows => ("rows", i128::try_from(rows.len()).unwrap_or(i128::MAX)),
            Total::Units => ("units", units),
            Total::Nothing => continue,
        };
        let stated =
            form.numbers.units(cell).map_err(|why| Unread::Refused(format!("its total of {what} cannot be read: {why}")))?;
        if i128::from(stated) != counted {
            return Err(Unread::Refused(format!("it states {stated} {what} and holds {counted}")));
        }
    }
    Ok(())
}
