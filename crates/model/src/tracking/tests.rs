use super::*;

/// Numbers that carriers, posts and public lists show, with what their check digits say.
const NUMBERS: &[(Scheme, &str, bool)] = &[
    (Scheme::S10, "RB123456785GB", true),
    (Scheme::S10, "RR473124829GB", true),
    (Scheme::S10, "LX000000080GB", true),
    (Scheme::S10, "LX000000155SE", true),
    (Scheme::S10, "RB123456786US", false),
    (Scheme::Ups1z, "1Z5R89390357567127", true),
    (Scheme::Ups1z, "1ZXX3150YW44070023", true),
    (Scheme::Ups1z, "1Z9999999999999999", false),
    (Scheme::Ups1z, "1Z12345E0205271688", false),
    (Scheme::UpsWaybill, "K1506235620", true),
    (Scheme::UpsWaybill, "K1506235622", false),
    (Scheme::Fedex12, "986578788855", true),
    (Scheme::Fedex12, "996578788855", false),
    (Scheme::FedexGround15, "041441760228964", true),
    (Scheme::FedexGround15, "568283610012732", false),
    (Scheme::FedexGround96, "9611020987654312345672", true),
    (Scheme::FedexGround96, "9611020987654312345673", false),
    (Scheme::Fedex34, "1001921334250001000300779017972697", true),
    (Scheme::Fedex34, "1001921334250001000300779017972698", false),
    (Scheme::FedexSmartPost, "61299998820821171811", true),
    (Scheme::FedexSmartPost, "61299998820821171812", false),
    (Scheme::Usps, "9400111206206406260787", true),
    (Scheme::Usps, "03071790000523483741", true),
    (Scheme::Usps, "71969010756003077385", true),
    (Scheme::Usps, "420787459400111206206406260787", true),
    (Scheme::Usps, "4201002334249200190132607600833457", true),
    (Scheme::Usps, "9434611206206407667131", false),
    (Scheme::DhlExpress, "3318810025", true),
    (Scheme::DhlExpress, "73891051146", true),
    (Scheme::DhlExpress, "3318810010", false),
    (Scheme::DhlPiece, "JJD0099999999", true),
    (Scheme::DhlEcommerce, "GM60511234500000001", true),
    (Scheme::Dpd, "09980000020033F", true),
    (Scheme::Dpd, "008182709980000020033350276C", true),
    (Scheme::Dpd, "09980000020033D", false),
    (Scheme::Sscc18, "373500123456789012", true),
    (Scheme::Sscc18, "00373500123456789012", true),
    (Scheme::Sscc18, "373500123456789013", false),
    (Scheme::CanadaPost16, "0073938000549297", true),
    (Scheme::CanadaPost16, "0073938000549298", false),
    (Scheme::Purolator12, "320595463938", true),
    (Scheme::Purolator12, "320595463939", false),
    (Scheme::PurolatorLetters, "ABC123456789", true),
    (Scheme::Parcelforce, "AA1234567", true),
    (Scheme::Parcelforce, "AAAA1234567890", true),
    (Scheme::Yodel, "JJD0002257639032011", true),
    (Scheme::Amazon, "TBA502887274000", true),
    (Scheme::AmazonInternational, "A1234567890", true),
    (Scheme::OnTrac, "C10999911320231", true),
    (Scheme::OnTrac, "C10999911320232", false),
    (Scheme::LaserShip, "LX12345678", true),
    (Scheme::Landmark, "LTN12345678N1", true),
    (Scheme::YunExpress, "YT1234567890123456", true),
];

#[test]
fn check_digits() {
    for (scheme, number, right) in NUMBERS {
        assert_eq!(scheme.check(number), Some(*right), "{} {number}", scheme.name());
        assert_eq!(scheme.check(&format!("{number}/")), None, "{} has no such character", scheme.name());
    }
    assert_eq!(Scheme::S10.check("RB123456785XX"), None, "no country");
}

/// Every number of the project's list of facts, where it lies beside the project.
#[test]
fn the_whole_list_where_it_is_there() {
    let list = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/facts/tracking_vectors.json");
    let Ok(text) = std::fs::read_to_string(list) else { return };
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    for vector in list["vectors"].as_array().unwrap() {
        let (name, number) = (vector["scheme"].as_str().unwrap(), vector["number"].as_str().unwrap());
        let (scheme, ..) = NUMBERS.iter().find(|(scheme, ..)| scheme.name() == name).unwrap();
        let expected = vector["check_digit_ok"].as_bool().unwrap_or(true);
        assert_eq!(scheme.check(number), Some(expected), "{name} {number}");
    }
}

#[test]
fn the_carrier_decides_which_schemes_are_asked() {
    let right_for = |carrier: &str, number: &str| check(Some(carrier), number);
    assert_eq!(right_for("UPS Express Saver", "1z 5r8 939 03 5756 712 7"), Verdict::Good(Scheme::Ups1z));
    assert_eq!(right_for("FedEx", "320595463938"), Verdict::Failed(Scheme::Fedex12));
    assert_eq!(right_for("Purolator", "320595463938"), Verdict::Good(Scheme::Purolator12));
    assert_eq!(right_for("Parcelforce", "320595463939"), Verdict::Good(Scheme::Parcelforce));
    assert_eq!(right_for("PostNord", "373500123456789013"), Verdict::Failed(Scheme::Sscc18));
    assert_eq!(right_for("Evri", "320595463938"), Verdict::NoRule);
    assert_eq!(right_for("UPS", "3318810025"), Verdict::NoRule, "right for another, by chance");
    // Nobody that we know: digits say nothing, a shape of its own does.
    assert_eq!(right_for("Bike messenger", "3318810025"), Verdict::NoRule);
    assert_eq!(right_for("Bike messenger", "RB123456786US"), Verdict::Failed(Scheme::S10));
    for nobody in [None, Some(""), Some("\u{a0}")] {
        assert_eq!(check(nobody, "3318810025"), Verdict::Good(Scheme::DhlExpress));
        assert_eq!(check(nobody, "3318810010"), Verdict::NoRule);
        assert_eq!(check(nobody, "1Z9999999999999999"), Verdict::Failed(Scheme::Ups1z));
        assert_eq!(check(nobody, ""), Verdict::NoRule);
    }
}

#[test]
fn carriers_by_their_names() {
    for (one, other) in [
        ("DPD", "dpd_local"),
        ("DPD", "Interlink Express"),
        ("dhl", "DHL Express Worldwide"),
        ("DHL", "UK Mail"),
        ("PostNord", "POST-NORD"),
        ("PostNord", "Post Danmark A/S"),
        ("Royal Mail", "RoyalMail"),
        ("Bring", "Posten Norge"),
        ("FedEx", "FDEG"),
        ("Canada Post", "canadapost"),
        ("Evri", "Hermes"),
    ] {
        assert_eq!(schemes(one), schemes(other), "{one} {other}");
        assert!(schemes(one).is_some());
    }
    for unknown in ["", "upsell", "Acme", "post", "-"] {
        assert_eq!(schemes(unknown), None, "{unknown}");
    }
}

#[test]
fn fields_with_one_number_and_with_several() {
    let numbers = |field: &str| -> Vec<String> { read(field).unwrap().into_iter().map(|one| one.number).collect() };
    for (field, expected) in [
        ("1Z5R89390357567127", &["1Z5R89390357567127"][..]),
        (" 5682 8361 0012 734 ", &["568283610012734"]),
        ("RB 123 456 785 GB", &["RB123456785GB"]),
        ("1Z-5R8.939 03\u{a0}5756 712 7", &["1Z5R89390357567127"]),
        ("1Z5R89390357567127,1Z879E930346834440", &["1Z5R89390357567127", "1Z879E930346834440"]),
        ("3318810025; 3318810036 |3318810025;", &["3318810025", "3318810036"]),
        ("3318810025 3318810036", &["3318810025", "3318810036"]),
        ("3318810025 3318810036, RB 123 456 785 GB", &["3318810025", "3318810036", "RB123456785GB"]),
        ("JJD 0002257639032011", &["JJD0002257639032011"]),
        ("94001112 06206406260787", &["9400111206206406260787"]),
        ("collected, no number", &["COLLECTED,NONUMBER"]),
        ("1Z5R89390357567127, n/a", &["1Z5R89390357567127,N/A"]),
        ("", &[]),
        (" ; ", &[]),
    ] {
        assert_eq!(numbers(field), expected, "{field:?}");
    }
    assert_eq!(read(" rb123456785gb ").unwrap(), [Number { raw: "rb123456785gb".into(), number: "RB123456785GB".into() }]);
}

#[test]
fn what_is_no_number_any_more() {
    for damaged in ["9.40011E+21", "9,40011E+21", "3318810025;9.40011E+21", "9,40011E+21;9,40012E+21"] {
        assert_eq!(read(damaged), Err(Unreadable::Rounded(damaged.into())));
    }
    assert!(matches!(read("https://carrier.test/track?n=3318810025"), Err(Unreadable::Link(_))));
}
