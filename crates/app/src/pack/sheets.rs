//! `pack.xlsx`: the pack in a spreadsheet.
//!
//! A spreadsheet keeps numbers as binary fractions, which hold most cents only nearly. So each amount stands twice: as a number
//! to sum and sort, and as the exact text. Nothing is computed with the numbers here.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};
use selvedge_model::{Currency, Money, close::NetTax};

use super::{
    seal::{SHOWN_MAX, Told},
    tables::{ADJUSTMENT_COLUMNS, OPEN_ITEM_COLUMNS},
};

/// The longest text that a cell of a spreadsheet holds.
const CELL_CHARS_MAX: usize = 32_000;

struct Styles {
    head: Format,
    title: Format,
}

/// The workbook, as bytes.
///
/// # Errors
/// It has more rows than a sheet holds.
pub fn workbook(told: &Told<'_>) -> Result<Vec<u8>, XlsxError> {
    let styles = Styles { head: Format::new().set_bold().set_text_wrap(), title: Format::new().set_bold().set_font_size(14) };
    let mut book = Workbook::new();
    // The moment of signing, so that the same rows make the same file.
    let created = ExcelDateTime::from_timestamp(told.heading.signed_at.as_second())?;
    let title = format!("{} {}", told.heading.entity.name, told.heading.period);
    book.set_properties(&DocProperties::new().set_title(title).set_creation_datetime(&created));
    summary(book.add_worksheet().set_name("Summary")?, told, &styles)?;
    trial_balance(book.add_worksheet().set_name("Trial balance")?, told, &styles)?;
    items(book.add_worksheet().set_name("Open items")?, &OPEN_ITEM_COLUMNS, &told.open_items, told.standing.open, &styles)?;
    items(
        book.add_worksheet().set_name("Adjustments")?,
        &ADJUSTMENT_COLUMNS,
        &told.adjustments,
        told.standing.adjusted,
        &styles,
    )?;
    book.save_to_buffer()
}

fn text(sheet: &mut Worksheet, row: u32, column: u16, text: &str) -> Result<(), XlsxError> {
    sheet.write_string(row, column, text.chars().take(CELL_CHARS_MAX).collect::<String>())?;
    Ok(())
}

/// With as many decimals as the currency has.
fn number_format(currency: Currency) -> Format {
    let decimals = usize::try_from(currency.minor_units().unwrap_or(0)).unwrap_or(0);
    let point = if decimals == 0 { "" } else { "." };
    Format::new().set_num_format(format!("#,##0{point}{}", "0".repeat(decimals)))
}

fn number(sheet: &mut Worksheet, row: u32, column: u16, money: Money) -> Result<(), XlsxError> {
    match money.decimal().to_string().parse::<f64>() {
        Ok(number) => sheet.write_number_with_format(row, column, number, &number_format(money.currency()))?,
        Err(_) => sheet.write_string(row, column, money.decimal().to_string())?,
    };
    Ok(())
}

fn count(sheet: &mut Worksheet, row: u32, column: u16, count: u64) -> Result<(), XlsxError> {
    match count.to_string().parse::<f64>() {
        Ok(number) => sheet.write_number(row, column, number)?,
        Err(_) => sheet.write_string(row, column, count.to_string())?,
    };
    Ok(())
}

fn head(sheet: &mut Worksheet, row: u32, columns: &[String], styles: &Styles) -> Result<(), XlsxError> {
    for (column, name) in (0_u16..).zip(columns) {
        sheet.write_string_with_format(row, column, name, &styles.head)?;
        sheet.set_column_width(column, 16)?;
    }
    Ok(())
}

fn summary(sheet: &mut Worksheet, told: &Told<'_>, styles: &Styles) -> Result<(), XlsxError> {
    let heading = told.heading;
    sheet.write_string_with_format(0, 0, format!("Close of {}, {}", heading.entity.name, heading.period), &styles.title)?;
    let zone = heading.entity.zone.iana_name().unwrap_or_default();
    let restated = heading.restates.as_ref();
    let facts = [
        ("Brand", heading.brand.to_string()),
        ("Entity", heading.entity.name.clone()),
        ("Period", heading.period.to_string()),
        ("From", heading.bounds.from.to_string()),
        ("To (excluded)", heading.bounds.to.to_string()),
        ("Time zone", zone.to_owned()),
        ("Books in", heading.entity.currency.code().to_owned()),
        ("Restatement", heading.restatement.to_string()),
        ("Restates", restated.map(|of| of.hash.clone()).unwrap_or_default()),
        ("Because", restated.map(|of| of.reason.clone()).unwrap_or_default()),
        ("Pack before", heading.previous.as_ref().map(|of| of.hash.clone()).unwrap_or_default()),
        ("Signed by", heading.signed_by.clone()),
        ("Signed at", heading.signed_at.to_string()),
        ("Last hash of rows.csv", told.last_row.clone()),
    ];
    let mut row = 2;
    for (name, value) in facts {
        sheet.write_string_with_format(row, 0, name, &styles.head)?;
        text(sheet, row, 1, &value)?;
        row += 1;
    }
    for (name, value) in
        [("Rows", told.standing.rows), ("Open items", told.standing.open), ("Adjustments", told.standing.adjusted)]
    {
        sheet.write_string_with_format(row, 0, name, &styles.head)?;
        count(sheet, row, 1, value)?;
        row += 1;
    }
    row += 1;
    let columns = ["Flow", "Kind", "Source documents", "Agreed", "Open", "Excluded", "In flight", "Target documents"];
    head(sheet, row, &columns.map(str::to_owned), styles)?;
    for (flow, kind, counts) in told.standing.balance.counts() {
        row += 1;
        text(sheet, row, 0, flow.as_str())?;
        text(sheet, row, 1, kind.word())?;
        let of = counts.sources;
        for (column, value) in (2_u16..).zip([of.total(), of.agreed, of.open, of.excluded, of.in_flight, counts.targets.total()])
        {
            count(sheet, row, column, value)?;
        }
    }
    sheet.set_column_width(0, 24)?;
    sheet.set_column_width(1, 30)?;
    Ok(())
}

fn trial_balance(sheet: &mut Worksheet, told: &Told<'_>, styles: &Styles) -> Result<(), XlsxError> {
    let keys = ["Flow", "Kind", "Market", "Currency", "Rate %", "Our rows", "Their rows"];
    let amounts = ["Ours", "Theirs", "Difference", "Open", "Adjusted", "Excluded", "In flight", "Unexplained"];
    let of_amounts =
        |how: &str| amounts.iter().flat_map(|name| [format!("{name} net{how}"), format!("{name} tax{how}")]).collect::<Vec<_>>();
    let mut columns: Vec<String> = keys.map(str::to_owned).to_vec();
    columns.extend(of_amounts(""));
    columns.extend(of_amounts(" (exact)"));
    head(sheet, 0, &columns, styles)?;
    let mut row = 0;
    for (key, line) in told.standing.balance.lines() {
        row += 1;
        let rate = key.rate.to_string();
        for (column, value) in (0_u16..).zip([key.flow.as_str(), key.kind.word(), &key.market, key.currency.code(), &rate]) {
            text(sheet, row, column, value)?;
        }
        count(sheet, row, 5, line.ours_rows)?;
        count(sheet, row, 6, line.theirs_rows)?;
        let difference = line.difference().unwrap_or(NetTax::zero(key.currency));
        let amounts =
            [line.ours, line.theirs, difference, line.open, line.adjusted, line.excluded, line.in_flight, line.unexplained];
        let amounts: Vec<Money> = amounts.iter().flat_map(|amount| [amount.net, amount.tax]).collect();
        for (column, money) in (7_u16..).zip(&amounts) {
            number(sheet, row, column, *money)?;
        }
        for (column, money) in (23_u16..).zip(&amounts) {
            text(sheet, row, column, &money.decimal().to_string())?;
        }
    }
    sheet.set_freeze_panes(1, 5)?;
    sheet.autofilter(0, 0, row, 38)?;
    Ok(())
}

/// The lines of a file; amounts (`12.00 SEK`) once more as numbers behind them.
fn items<const N: usize>(
    sheet: &mut Worksheet,
    columns: &[&str; N],
    items: &[[String; N]],
    all: u64,
    styles: &Styles,
) -> Result<(), XlsxError> {
    let amounts: Vec<usize> = (0..N)
        .filter(|at| columns.get(*at).is_some_and(|name| ["ours", "theirs", "explains", "adjustment"].contains(name)))
        .collect();
    let exact = columns
        .iter()
        .enumerate()
        .map(|(at, name)| if amounts.contains(&at) { format!("{name} (exact)") } else { (*name).to_owned() });
    let numbers = amounts.iter().filter_map(|at| columns.get(*at)).map(|name| format!("{name} (number)"));
    head(sheet, 0, &exact.chain(numbers).collect::<Vec<_>>(), styles)?;
    let mut row = 0;
    for item in items {
        row += 1;
        for (column, value) in (0_u16..).zip(item) {
            text(sheet, row, column, value)?;
        }
        for (column, at) in (u16::try_from(N).unwrap_or(u16::MAX)..).zip(&amounts) {
            let money = item.get(*at).and_then(|text| {
                let (amount, code) = text.split_once(' ')?;
                Money::exact(amount.parse().ok()?, Currency::from_code(code)?).ok()
            });
            if let Some(money) = money {
                number(sheet, row, column, money)?;
            }
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    if all > SHOWN_MAX as u64 {
        text(sheet, row + 1, 0, &format!("{SHOWN_MAX} of {all} are shown; the file beside this one has all."))?;
    }
    Ok(())
}
