use super::*;
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Table {
    Table::read(bytes, &Dialect::default()).unwrap()
}

fn cells(table: &Table) -> Vec<Vec<&str>> {
    table.rows.iter().map(|row| row.cells.iter().map(String::as_str).collect()).collect()
}

fn utf_16le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn the_same_table_in_every_dialect() {
    let latin = Dialect { charset: Charset::from_label("iso-8859-1"), ..Dialect::default() };
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("plain", b"order;qty;name\n1;1,5;\xc3\x85sa\n".to_vec()),
        ("comma, quoted", b"order,qty,name\r\n1,\"1,5\",\xc3\x85sa\r\n".to_vec()),
        ("tab, no last line end", b"order\tqty\tname\n1\t1,5\t\xc3\x85sa".to_vec()),
        ("pipe, CR", b"order|qty|name\r1|1,5|\xc3\x85sa\r".to_vec()),
        ("byte-order mark", b"\xef\xbb\xbforder;qty;name\n1;1,5;\xc3\x85sa\n".to_vec()),
        ("windows-1252", b"order;qty;name\r\n1;1,5;\xc5sa\r\n".to_vec()),
        ("UTF-16LE, mark", [b"\xff\xfe".to_vec(), utf_16le("order;qty;name\r\n1;1,5;Åsa\r\n")].concat()),
        ("UTF-16LE, no mark", utf_16le("order;qty;name\r\n1;1,5;Åsa\r\n")),
        ("Ctrl-Z", b"order;qty;name\r\n1;1,5;\xc3\x85sa\r\n\x1a".to_vec()),
        ("Ctrl-Z and a line end", b"order;qty;name\r\n1;1,5;\xc3\x85sa\r\n\x1a\r\n".to_vec()),
        ("a spreadsheet's tail", b"order;qty;name;;\n1;1,5;\xc3\x85sa;;\n".to_vec()),
        ("empty lines", b"\n\norder;qty;name\n\n1;1,5;\xc3\x85sa\n\n".to_vec()),
    ];
    for (what, bytes) in files {
        let table = Table::read(&bytes, &latin).unwrap();
        assert_eq!(table.header, ["order", "qty", "name"], "{what}");
        assert_eq!(cells(&table), [["1", "1,5", "Åsa"]], "{what}");
        assert!(table.problems.is_empty(), "{what}");
    }
}

#[test]
fn quotes() {
    let table = read(b"a,b\n\"say \"\"hi\"\"\",\"two\r\nlines, one cell\"\n");
    assert_eq!(cells(&table), [["say \"hi\"", "two\r\nlines, one cell"]]);

    let backslash = Dialect { quotes: Quotes::Backslash, ..Dialect::default() };
    let table = Table::read(
        br#"a,b
"5\" wide, \\",2
"#,
        &backslash,
    )
    .unwrap();
    assert_eq!(cells(&table), [["5\" wide, \\", "2"]]);
    assert!(table.problems.is_empty());

    let none = Dialect { quotes: Quotes::None, delimiter: Some(b';'), ..Dialect::default() };
    let table = Table::read(b"a;b\n\"5;3\"\"\n", &none).unwrap();
    assert_eq!(cells(&table), [["\"5", "3\"\""]]);
}

#[test]
fn one_bad_row_is_set_aside_and_told_with_its_place() {
    let table = read(b"a,b\r\n1,\"x\r\ny\"\r\n\"q\"z,1\r\n3\r\n4,5,6\r\n5\" wide,7\r\n8,9,,\r\n");
    assert_eq!(cells(&table), [["1", "x\r\ny"], ["5\" wide", "7"], ["8", "9"]]);
    let places: Vec<(u64, u64)> = table.rows.iter().map(|row| (row.number, row.line)).collect();
    assert_eq!(places, [(2, 2), (6, 7), (7, 8)]);
    let problems: Vec<_> = table.problems.iter().map(|p| (p.number, p.line, p.fault.clone(), p.raw.as_str())).collect();
    assert_eq!(
        problems,
        [
            (3, 4, RowFault::AfterQuote, "\"q\"z,1"),
            (4, 5, RowFault::Width { expected: 2, found: 1 }, "3"),
            (5, 6, RowFault::Width { expected: 2, found: 3 }, "4,5,6"),
            (6, 7, RowFault::Stray, "5\" wide,7"),
        ]
    );
    let table = read(b"a,b\n1,2\n3,\"4\n5,6\n");
    assert_eq!((table.rows.len(), table.problems[0].fault.clone()), (1, RowFault::Unclosed));
    assert_eq!(read(b"a,b\r1,2\r\r3\r").problems[0].line, 4, "lines that end with CR are lines, too");
}

#[test]
fn columns_by_name() {
    let table = read("\u{feff} Order Ref ;SKU;;Menge\n1;2;3;4\n".as_bytes());
    assert_eq!(table.column(&["order_ref", "orderref"]), Some(0));
    assert_eq!(table.column(&["sku"]), Some(1));
    assert_eq!(table.column(&["quantity", "MENGE"]), Some(3));
    assert_eq!(table.column(&["", "price"]), None);
    assert_eq!(table.rows[0].cell(3), "4");
    assert_eq!(table.rows[0].cell(9), "");
    assert_eq!(Table::read(b"a,b, A\n1,2,3\n", &Dialect::default()), Err(TableError::TwiceInHeader("A".into())));
    assert_eq!(Table::read(b",,\n1,2,3\n", &Dialect::default()), Err(TableError::NoHeader));
}

#[test]
fn records_of_several_kinds_without_a_header() {
    let none = Dialect { header: false, ..Dialect::default() };
    let table = Table::read(b"\"H\",\"ORDERS\",\"1\"\n\"D\",\"100045\"\n;;\n\"T\",\"1\",\"2\",\"3\"\n,,\n", &none).unwrap();
    assert_eq!(table.rows.iter().map(|row| row.cells.len()).collect::<Vec<_>>(), [3, 2, 1, 4, 3]);
    assert!(table.rows[4].is_blank() && !table.rows[2].is_blank());
    assert_eq!(Table::read(b"", &none).unwrap().rows, []);
    assert_eq!(fixed_width("D100045  Åsa  00002", &[1, 8, 5, 3]), ["D", "100045  ", "Åsa  ", "00002"]);
}

#[test]
fn files_that_are_refused() {
    let refused = |bytes: &[u8], dialect: &Dialect| Table::read(bytes, dialect).unwrap_err();
    assert_eq!(refused(b"a,b\n\xff\xfd,1\n", &Dialect::default()), TableError::Encoding("UTF-8"));
    assert_eq!(refused(b"a,b\n\0\x01\x02,1\n", &Dialect::default()), TableError::Encoding("UTF-8"));
    let half = [b"\xff\xfe".to_vec(), utf_16le("a,b\n"), vec![b'1']].concat();
    assert_eq!(refused(&half, &Dialect::default()), TableError::Encoding("UTF-16LE"));
    let small = |limits| Dialect { limits, ..Dialect::default() };
    let limits = Limits::default();
    for (what, limits) in [
        ("bytes", Limits { bytes_max: 7, ..limits }),
        ("rows", Limits { rows_max: 1, ..limits }),
        ("cells in a row", Limits { columns_max: 1, ..limits }),
    ] {
        assert!(matches!(refused(b"a,b\n1,2\n3,4\n", &small(limits)), TableError::TooLarge { what: told, .. } if told == what));
    }
    let table = Table::read(b"a,b\n1,22222\n3,4\n", &small(Limits { cell_bytes_max: 4, ..limits })).unwrap();
    assert_eq!((table.rows.len(), table.problems[0].fault.clone()), (1, RowFault::Long(5)));
}

#[test]
fn the_partner_samples_where_they_are_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/facts/samples");
    let dialect = Dialect { charset: Charset::from_label("windows-1252"), ..Dialect::default() };
    for entry in
        std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.path().extension() == Some("csv".as_ref()))
    {
        let header = entry.file_name() != "csv_control_records.csv";
        let table = Table::read(&std::fs::read(entry.path()).unwrap(), &Dialect { header, ..dialect.clone() }).unwrap();
        assert!(table.problems.is_empty() && !table.rows.is_empty(), "{:?}: {:?}", entry.file_name(), table.problems);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        rows in proptest::collection::vec(proptest::collection::vec("[a-zåж0-9,;\"\r\n\t |]{0,8}", 3), 1..8),
        delimiter in proptest::sample::select(b",;\t|".to_vec()),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let dialect = Dialect { delimiter: Some(delimiter), header: false, ..Dialect::default() };
        let table = Table::read(&writer.into_inner().unwrap(), &dialect).unwrap();
        prop_assert!(table.problems.is_empty());
        prop_assert_eq!(table.rows.into_iter().map(|row| row.cells).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn no_bytes_make_it_stumble_or_forget(bytes in proptest::collection::vec(proptest::sample::select(b"ab\",;\r\n\\\xc5\xa4\0\x1a ".to_vec()), 0..60), header: bool) {
        let dialect = Dialect { header, charset: Charset::from_label("windows-1252"), ..Dialect::default() };
        if let Ok(table) = Table::read(&bytes, &dialect) {
            let mut numbers: Vec<u64> = table.rows.iter().map(|row| row.number).collect();
            numbers.extend(table.problems.iter().filter(|problem| problem.fault != RowFault::Stray).map(|problem| problem.number));
            numbers.sort_unstable();
            let first = if header { 2 } else { 1 };
            let expected: Vec<u64> = (first..).take(numbers.len()).collect();
            prop_assert_eq!(numbers, expected, "every record is in the rows or in the problems");
        }
    }
}
