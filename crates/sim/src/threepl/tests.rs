use super::files::{Taken, read_csv, read_x12};
use super::*;

const CSV: &str = "order_ref,order_line_id,sku,quantity,service_code,ship_name,ship_address1,ship_country,total_units\r\n\
                   1001,7,TEE,2,STD,Ada Lovelace,1 Road,GB,3\r\n1001,8,CAP,1,STD,Ada Lovelace,1 Road,GB,3\r\n";

fn warehouse(options: Options) -> ThreePl {
    ThreePl::open(1, "test", Vec::new(), Mischief::new(1, Profile::None, "threepl"), options, None).unwrap()
}

#[test]
fn an_order_is_taken_acknowledged_and_shipped() {
    let warehouse = warehouse(Options::default());
    std::fs::write(warehouse.root().join("in/ord_1001_000000001.csv"), CSV).unwrap();
    while !warehouse.orders().iter().any(|_| warehouse.shipments().iter().map(|s| s.lines.len()).sum::<usize>() >= 2) {
        assert!(warehouse.step().unwrap() > 0);
    }
    while warehouse.step().unwrap() > 0 {}
    let units: i64 = warehouse.shipments().iter().flat_map(|shipment| &shipment.lines).map(|(_, units)| units).sum();
    assert_eq!(units, 3);
    let names: Vec<String> = std::fs::read_dir(warehouse.root().join("out"))
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.contains(&"ack_000001.csv".to_owned()) && names.contains(&"inv_WH01.csv".to_owned()), "{names:?}");
    assert_eq!(warehouse.violations(), Vec::<String>::new());
    assert!(!warehouse.is_done(), "what it told waits to be taken");
}

#[test]
fn what_a_partner_would_complain_of_is_remembered() {
    let warehouse = warehouse(Options { unknown: vec!["CAP".to_owned()], ..Options::default() });
    std::fs::write(warehouse.root().join("in/ord_1001_000000001.csv"), CSV).unwrap();
    std::fs::write(warehouse.root().join("in/ord_1002_000000002.csv"), CSV.replace(",3\r", ",4\r")).unwrap();
    std::fs::write(warehouse.root().join("in/ord_1003_000000003.csv"), CSV.replace("STD", "DRONE").replace("CAP", "HAT"))
        .unwrap();
    warehouse.step().unwrap();
    let answer = std::fs::read_to_string(warehouse.root().join("out/ack_000001.csv")).unwrap();
    assert!(answer.contains("rejected") && answer.contains("CAP not found"), "{answer}");
    let violations = warehouse.violations();
    assert!(violations.iter().any(|why| why.contains("states 4 units")), "{violations:?}");
    assert!(violations.iter().any(|why| why.contains("DRONE")), "{violations:?}");
}

#[test]
fn counts_and_numbers_of_an_interchange_are_checked() {
    let whole = "ISA*00*          *00*          *ZZ*SHOP01         *ZZ*WH01           *260204*1010*U*00401*000000001*0*T*>~\
                 GS*OW*SHOP01*WH01*20260204*1010*1*X*004010~ST*940*0001~W05*N*100045*100045~N1*ST*Test Person~N3*Gatan 1~\
                 N4*Stockholm**11122*SE~W66*PP*U***STD~LX*1~W01*2*EA**SK*TEE~N9*LI*7~W76*2~SE*11*0001~GE*1*1~IEA*1*000000001~";
    assert!(matches!(read_x12("ord_1", whole), Ok(Taken::Order(order)) if order.lines[0].id == "7" && order.service == "STD"));
    for (from, to) in
        [("SE*11", "SE*12"), ("W76*2", "W76*3"), ("IEA*1*000000001", "IEA*1*000000002"), ("SK*TEE", "UP*TEE"), ("940", "850")]
    {
        assert!(read_x12("ord_1", &whole.replace(from, to)).is_err(), "{from}");
    }
    assert!(matches!(read_x12("can", &whole.replace("W05*N", "W05*F")), Ok(Taken::Cancellation { .. })));
    assert!(read_csv("ord_1", "order_ref,sku\n1,2\n").is_err());
}

const RMA: &str = "return_ref,order_ref,order_line_id,sku,quantity_expected,reason_code,comment\r\n\
                   1001.shop.7,1001,7,TEE,2,TOO_SMALL,\r\n1001.shop.7,1001,8,CAP,1,,\r\n";

/// All that was told of returns: the reference, the SKU and the units of each row.
fn receipts(warehouse: &ThreePl) -> Vec<(String, String, String)> {
    let mut names: Vec<String> = std::fs::read_dir(warehouse.root().join("out"))
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("ret_"))
        .collect();
    names.sort();
    let mut rows = Vec::new();
    for name in names {
        let mut reader = csv::Reader::from_path(warehouse.root().join("out").join(name)).unwrap();
        rows.extend(reader.records().map(|row| {
            let row = row.unwrap();
            (row[0].to_owned(), row[3].to_owned(), row[5].to_owned())
        }));
    }
    rows
}

#[test]
fn announced_goods_come_back_once_and_some_that_nobody_announced() {
    let asked = warehouse(Options { returns: true, ..Options::default() });
    std::fs::write(asked.root().join("in/rma_1001.shop.7_000000001.csv"), RMA).unwrap();
    for at in 0..120 {
        let doc = format!("20{at:02}");
        std::fs::write(asked.root().join(format!("in/ord_{doc}_000000002.csv")), CSV.replace("1001", &doc)).unwrap();
    }
    let mut turns = 0;
    while asked.step().unwrap() > 0 {
        turns += 1;
        assert!(turns < 100, "it comes to an end");
    }
    let rows = receipts(&asked);
    assert!(rows.iter().any(|(reference, ..)| reference == "1001.shop.7"), "{rows:?}");
    assert!(rows.iter().any(|(reference, ..)| reference.starts_with("U20")), "something came back undelivered: {rows:?}");
    assert!(rows.iter().any(|(reference, ..)| reference.is_empty()), "something came back without a paper: {rows:?}");
    assert_eq!(asked.violations(), Vec::<String>::new());
    let table = asked.returns_csv();
    assert!(table.starts_with("ref,order,sku,announced,received,disposition,reason\n") && table.contains("1001.shop.7,1001,"));
    assert_eq!(table.lines().count() - 1, rows.len(), "{table}");

    let unasked = warehouse(Options::default());
    std::fs::write(unasked.root().join("in/rma_1001.shop.7_000000001.csv"), RMA).unwrap();
    while unasked.step().unwrap() > 0 {}
    assert!(receipts(&unasked).is_empty() && unasked.is_done(), "unless it is asked for");
    assert_eq!(unasked.announced_returns(), ["1001.shop.7"]);
}

#[test]
fn parcels_come_back_in_every_way() {
    let items = vec![Item { sku: "OTHER".into(), ..Item::default() }, Item { sku: "TEE".into(), ..Item::default() }];
    let asked = ThreePl::open(
        1,
        "test",
        items,
        Mischief::new(1, Profile::None, "threepl"),
        Options { returns: true, ..Options::default() },
        None,
    )
    .unwrap();
    for at in 0..60 {
        let text =
            RMA.replace("1001", &format!("30{at:02}")).lines().take(2).map(|line| format!("{line}\r\n")).collect::<String>();
        std::fs::write(asked.root().join(format!("in/rma_30{at:02}.shop.7_000000001.csv")), text).unwrap();
    }
    while asked.step().unwrap() > 0 {}
    let rows = receipts(&asked);
    for (sku, units) in [("TEE", "2"), ("TEE", "1"), ("TEE", "3"), ("OTHER", "1")] {
        assert!(rows.iter().any(|(_, known, there)| known == sku && there == units), "{units} of {sku}: {rows:?}");
    }
    let table = asked.returns_csv();
    for word in ["restock", "scrap", "hold"] {
        assert!(table.contains(&format!(",{word},")), "{word}: {table}");
    }
    let stock = std::fs::read_to_string(asked.root().join("out/inv_WH01.csv")).unwrap();
    let of = |word: &str| -> i64 {
        table
            .lines()
            .filter(|row| row.contains(",TEE,") && row.contains(word))
            .map(|row| row.split(',').nth(4).unwrap().parse::<i64>().unwrap())
            .sum()
    };
    let (good, held) = (of("restock"), of("hold"));
    let level = format!(",TEE,{},0,{held},0,{good},0", good + held);
    assert!(stock.contains(&level), "what came back is there, and what is doubtful is blocked: {level} in {stock}");
}

#[test]
fn an_announcement_that_is_wrong_or_told_twice_is_complained_of() {
    let asked = warehouse(Options { returns: true, ..Options::default() });
    let put = |name: &str, text: &str| std::fs::write(asked.root().join("in").join(name), text).unwrap();
    put("rma_1001.shop.7_000000001.csv", RMA);
    put("rma_1001.shop.7_000000002.csv", RMA);
    put("rma_1002.shop.7_000000003.csv", &RMA.replace(",2,TOO", ",0,TOO"));
    put("rmc_1003.shop.7_000000004.csv", &RMA.replace("1001", "1003"));
    asked.step().unwrap();
    let violations = asked.violations().join("; ");
    for said in ["1001.shop.7 is here already", "without a number, an item or units", "which was never announced"] {
        assert!(violations.contains(said), "{said}: {violations}");
    }
    let off = warehouse(Options { returns: true, ..Options::default() });
    std::fs::write(off.root().join("in/rma_1001.shop.7_000000001.csv"), RMA).unwrap();
    std::fs::write(off.root().join("in/rmc_1001.shop.7_000000002.csv"), RMA).unwrap();
    while off.step().unwrap() > 0 {}
    assert!(receipts(&off).is_empty() && off.is_done(), "what was taken back does not come");

    let set = "ISA*00*          *00*          *ZZ*SHOP01         *ZZ*WH01           *260204*1010*U*00401*000000001*0*T*>~\
               GS*AN*SHOP01*WH01*20260204*1010*1*X*004010~ST*180*0001~BGN*00*1001.shop.7*20260210~PRF*1001~N1*WH*WH01*91*WH01~\
               BLI*SK*TEE*2*EA~N9*LI*7~RDR*RA*PF~SE*8*0001~GE*1*1~IEA*1*000000001~";
    let read = |text: &str| read_x12("rma_1", text);
    assert!(matches!(read(set), Ok(Taken::Announcement(one)) if one.reference == "1001.shop.7" && one.lines[0].id == "7"));
    assert!(matches!(read(&set.replace("BGN*00", "BGN*01")), Ok(Taken::Withdrawal { .. })));
    for (from, to) in [("GS*AN", "GS*OW"), ("BGN*00", "BGN*07"), ("BLI*SK", "BLI*UP"), ("TEE*2", "TEE*0"), ("20260210", "260210")]
    {
        assert!(read(&set.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn a_desk_puts_each_file_down_once_also_after_a_kill() {
    let folder = std::env::temp_dir().join(format!("sim-desk-test-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).unwrap();
    let open = |identity: &str| Desk::open(1, identity, Mischief::new(1, Profile::None, "desk"), Some(&folder));
    let desk = open("test").unwrap();
    assert!(desk.is_done());
    assert!(desk.drop("crd_000001.csv", "credit_ref\r\nC1\r\n").unwrap());
    assert!(!desk.drop("crd_000001.csv", "credit_ref\r\nC1\r\n").unwrap() && !desk.is_done());
    std::fs::remove_file(desk.root().join("out/crd_000001.csv")).unwrap();
    drop(desk);
    let again = open("test").unwrap();
    assert!(!again.drop("crd_000001.csv", "credit_ref\r\nC1\r\n").unwrap(), "it was taken, and is not told again");
    assert_eq!((again.dropped(), again.is_done()), (1, true));
    drop(again);
    assert!(open("other").is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
