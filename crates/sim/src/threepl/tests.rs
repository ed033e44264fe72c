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
