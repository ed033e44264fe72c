//! A sealed pack is whole; and altered by one byte, wherever, it is not.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use selvedge_model::{
    Currency, Kind, Money,
    close::{Adjustment, Calendar, CloseRow, End, Entity, Enumerated, Evidence, Open, Period, Rate, Side, Standing, Verdict},
    moment::Interval,
};
use tempfile::TempDir;

use super::{
    CONTENTS, FILES, MANIFEST, ROWS, SHEETS, TRIAL_BALANCE, manifest,
    manifest::{Previous, Restates},
    rows,
    seal::{Heading, Input, SealError, Sealed, seal},
    verify,
};

pub(crate) fn sek(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("SEK").unwrap())
}

pub(crate) fn entity() -> Entity {
    Entity {
        name: "nordvik".to_owned(),
        zone: TimeZone::get("Europe/Stockholm").unwrap(),
        currency: Currency::from_code("SEK").unwrap(),
        markets: BTreeSet::new(),
        subsidiaries: BTreeSet::new(),
        calendar: Calendar::Months { first_month: 1 },
    }
}

fn side(net: i64, tax: i64) -> Side {
    let mut side = Side { units: 2, currency: Currency::from_code("SEK"), shipping: Some(sek(100)), ..Side::default() };
    side.put(Rate::of(Some(25.into())), sek(net), sek(tax)).unwrap();
    side.put(Rate::Document, sek(0), sek(1)).unwrap();
    side
}

fn row(number: i64) -> CloseRow {
    let (net, tax) = (10_000 + number * 8, 2_500 + number * 2);
    let at: Timestamp = "2026-11-03T08:00:00Z".parse().unwrap();
    let key = format!("SE-{number}");
    let good = CloseRow {
        flow: "orders".into(),
        kind: Kind::Order,
        key: key.as_str().into(),
        order: Some(key.as_str().into()),
        sources: vec![key.as_str().into()],
        targets: vec![format!("70{number}").as_str().into()],
        at: at.checked_add(jiff::SignedDuration::from_mins(number * 300)).unwrap(),
        on: Some("2026-11-04".parse().unwrap()),
        market: (number % 3).to_string(),
        subsidiary: Some("1".to_owned()),
        ours: Some(side(net, tax)),
        theirs: Some(side(net, tax)),
        verdict: Verdict::Agreed(None),
        note: String::new(),
    };
    let missing = CloseRow { targets: Vec::new(), theirs: None, on: None, ..good.clone() };
    match number % 11 {
        1 => CloseRow {
            verdict: Verdict::Open(Open {
                exception: Some(selvedge_model::ExceptionId(number)),
                cause: "missing".to_owned(),
                owner: Some("finance".to_owned()),
                money: vec![sek(net + tax + 1)],
                first_seen: at,
            }),
            note: "=never arrived, said \"anna\"\nand bo".to_owned(),
            ..missing
        },
        2 => CloseRow { verdict: Verdict::Excluded { rule: "internal".to_owned(), version: "3".to_owned() }, ..missing },
        3 => CloseRow { verdict: Verdict::InFlight { until: "2026-12-09T00:00:00Z".parse().unwrap() }, ..missing },
        4 => CloseRow {
            theirs: Some(side(net, tax - 1)),
            verdict: Verdict::Agreed(Some(Adjustment { rule: "tolerance 1 SEK".to_owned(), money: sek(1) })),
            ..good
        },
        5 => CloseRow { targets: vec!["1|a".into(), "2".into()], ..good },
        _ => good,
    }
}

/// So many rows, and what an honest reading of both ends would count of them.
pub(crate) fn input(count: i64) -> Input {
    let rows: Vec<CloseRow> = (0..count).map(row).collect();
    let gross = |side: &dyn Fn(&CloseRow) -> Option<Side>| {
        Money::sum(sek(0).currency(), rows.iter().filter_map(side).map(|side| side.gross().unwrap().unwrap())).unwrap()
    };
    let end = |end, documents: usize, sum| Enumerated {
        flow: "orders".into(),
        kind: Kind::Order,
        end,
        documents: documents as u64,
        sums: vec![sum],
    };
    let enumerated = vec![
        end(End::Source, rows.iter().map(|row| row.sources.len()).sum(), gross(&|row| row.ours.clone())),
        end(End::Target, rows.iter().map(|row| row.targets.len()).sum(), gross(&|row| row.theirs.clone())),
    ];
    let bounds = heading(count).bounds;
    let evidence = ["shop", "erp"].map(|connection| Evidence {
        connection: connection.into(),
        kind: Kind::Order,
        window: bounds,
        read_at: bounds.to,
        calls: 12,
        entries: count as u64,
        digest: "ab".repeat(32),
    });
    Input { evidence: evidence.to_vec(), enumerated, rows: Box::new(rows.into_iter().map(Ok)) }
}

pub(crate) fn heading(count: i64) -> Heading {
    let entity = entity();
    let period: Period = "2026-11".parse().unwrap();
    Heading {
        brand: "nordvik".into(),
        bounds: entity.bounds(period).unwrap(),
        entity,
        period,
        sequence: 1,
        restatement: 0,
        restates: None,
        previous: None,
        signed_by: "anna (cli)".to_owned(),
        signed_at: "2026-12-03T09:00:00Z".parse().unwrap(),
        open_seen: (0..count).filter(|number| number % 11 == 1).count() as u64,
    }
}

fn sealed(out: &Path, count: i64) -> Sealed {
    seal(out, &heading(count), input(count)).unwrap()
}

fn told(report: &verify::Report) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{finding:?}")).collect()
}

#[test]
fn a_sealed_pack_is_whole_and_says_what_is_in_it() {
    let out = TempDir::new().unwrap();
    let Sealed { folder, manifest } = sealed(out.path(), 100);
    assert_eq!(folder, out.path().join("nordvik-2026-11"));
    let report = verify::pack(&folder).unwrap();
    assert_eq!(told(&report), Vec::<String>::new());
    assert_eq!((report.rows, report.hash, report.notes.len()), (100, Some(manifest.hash), 0));
    assert_eq!((manifest.rows, manifest.open_items, manifest.adjustments), (100, 9, 9));
    assert!(manifest.sums.iter().all(|sum| sum.unexplained.is_zero()));
    // Nothing but the pack is left beside it.
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    let page = fs::read_to_string(folder.join(super::PAGE)).unwrap();
    assert!(page.contains("Open items (9)") && page.contains("said &quot;anna&quot;") && !page.contains("<script"), "{page}");
    assert!(fs::read(folder.join(SHEETS)).unwrap().starts_with(b"PK"));
    let lines = fs::read_to_string(folder.join(ROWS)).unwrap();
    assert_eq!(lines.lines().count(), 101);
}

#[test]
fn the_same_rows_make_the_same_pack() {
    let out = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let hashes = out.each_ref().map(|out| sealed(out.path(), 40).manifest.hash);
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn what_does_not_add_up_is_not_sealed_and_leaves_nothing_behind() {
    let out = TempDir::new().unwrap();
    let mut short = input(30);
    short.enumerated[0].documents += 1;
    assert!(
        matches!(seal(out.path(), &heading(30), short), Err(SealError::Against { against, rows: 30, .. }) if against.len() == 1)
    );
    let unseen = Heading { open_seen: 2, ..heading(30) };
    assert!(matches!(seal(out.path(), &unseen, input(30)), Err(SealError::OpenSeen { seen: 2, found: 3 })));
    let mut broken = input(30);
    broken.rows = Box::new((0..5).map(|n| if n < 4 { Ok(row(n)) } else { Err(anyhow::anyhow!("the disk is gone")) }));
    assert!(matches!(seal(out.path(), &heading(30), broken), Err(SealError::Rows(_))));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_sealed_pack_is_never_overwritten() {
    let out = TempDir::new().unwrap();
    let first = sealed(out.path(), 30);
    let before = fs::read(first.folder.join(MANIFEST)).unwrap();
    assert!(matches!(seal(out.path(), &heading(50), input(50)), Err(SealError::Exists(_))));
    assert_eq!(fs::read(first.folder.join(MANIFEST)).unwrap(), before);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

/// What a change of a file comes to, given the first byte that it touches; then it is undone.
fn changed(folder: &Path, name: &str, at: u64, change: impl Fn(&mut Vec<u8>)) -> Result<(), TestCaseError> {
    let path = folder.join(name);
    let before = fs::read(&path).unwrap();
    let mut after = before.clone();
    change(&mut after);
    fs::write(&path, &after).unwrap();
    let report = verify::pack(folder).unwrap();
    fs::write(&path, &before).unwrap();
    let found = told(&report);
    prop_assert!(!report.whole(), "{name} {at}: nothing found");
    prop_assert!(report.findings.iter().all(|finding| finding.file == name), "{name} {at}: others are blamed: {found:?}");
    let points_at = |finding: &verify::Finding| {
        let (Some(from), Some(to)) = (finding.from, finding.to) else { return false };
        from <= at && (at < to || from == to)
    };
    prop_assert!(report.findings.iter().any(points_at), "{name} {at}: {found:?}");
    if name == ROWS {
        prop_assert!(report.findings.iter().any(|finding| finding.line.is_some()), "{found:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Any bit of any byte of any file: verification fails, blames that file and no other, and points at the byte.
    #[test]
    fn one_altered_byte_is_found_where_it_is(places in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 12)) {
        let out = TempDir::new().unwrap();
        let Sealed { folder, .. } = sealed(out.path(), 90);
        for name in FILES {
            let bytes = fs::metadata(folder.join(name)).unwrap().len();
            for (place, with) in &places {
                let at = place.index(bytes as usize) as u64;
                changed(&folder, name, at, |bytes| bytes[at as usize] ^= with)?;
            }
        }
    }

    /// Cut short, gone on with, a stretch taken out, a stretch put in.
    #[test]
    fn other_lengths_are_found(place in any::<prop::sample::Index>(), count in 1_usize..6_000) {
        let out = TempDir::new().unwrap();
        let Sealed { folder, .. } = sealed(out.path(), 90);
        for name in FILES {
            let bytes = fs::metadata(folder.join(name)).unwrap().len() as usize;
            let at = place.index(bytes);
            changed(&folder, name, at as u64, |bytes| bytes.truncate(at))?;
            changed(&folder, name, bytes as u64, |bytes| bytes.extend(std::iter::repeat_n(b'x', count)))?;
            // Among equal bytes the place that was touched cannot be told; what counts is that it is found.
            let path = folder.join(name);
            let before = fs::read(&path).unwrap();
            let mut longer = before.clone();
            longer.splice(at..at, std::iter::repeat_n(b'x', count));
            fs::write(&path, &longer).unwrap();
            let report = verify::pack(&folder).unwrap();
            fs::write(&path, &before).unwrap();
            prop_assert!(!report.whole() && report.findings.iter().all(|finding| finding.file == name), "{:?}", told(&report));
        }
    }
}

#[test]
fn every_byte_of_the_rows_is_told_with_line_and_key() {
    let out = TempDir::new().unwrap();
    let Sealed { folder, .. } = sealed(out.path(), 40);
    let path = folder.join(ROWS);
    let before = fs::read(&path).unwrap();
    let start: usize = before.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(17).unwrap().0 + 1;
    let mut after = before.clone();
    after[start + 60] ^= 1;
    fs::write(&path, &after).unwrap();
    let report = verify::pack(&folder).unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{:?}", told(&report)) };
    assert_eq!((finding.line, finding.key.as_deref(), finding.from), (Some(19), Some("SE-17"), Some(start as u64)));
    assert!(finding.to.unwrap() < start as u64 + 500);
}

#[test]
fn deleted_added_and_swapped_files_are_found() {
    let out = TempDir::new().unwrap();
    let Sealed { folder, .. } = sealed(out.path(), 90);
    for name in FILES {
        let away = out.path().join("away");
        fs::rename(folder.join(name), &away).unwrap();
        let report = verify::pack(&folder).unwrap();
        assert!(report.findings.iter().any(|finding| finding.file == name && finding.message == "is missing"), "{name}");
        fs::rename(&away, folder.join(name)).unwrap();
    }
    fs::write(folder.join("note.txt"), "paid").unwrap();
    assert_eq!(verify::pack(&folder).unwrap().findings.len(), 1);
    fs::remove_file(folder.join("note.txt")).unwrap();
    for (index, one) in CONTENTS.iter().enumerate() {
        for other in &CONTENTS[index + 1..] {
            let swap = || {
                let away = folder.join("away");
                fs::rename(folder.join(one), &away).unwrap();
                fs::rename(folder.join(other), folder.join(one)).unwrap();
                fs::rename(&away, folder.join(other)).unwrap();
            };
            swap();
            let report = verify::pack(&folder).unwrap();
            swap();
            for name in [one, other] {
                assert!(report.findings.iter().any(|finding| finding.file == **name), "{one} {other}: {:?}", told(&report));
            }
        }
    }
    assert!(verify::pack(&folder).unwrap().whole());
}

/// Somebody who knows the hashes and works them all out again.
fn forged(folder: &Path, change: impl Fn(&Path)) -> verify::Report {
    change(folder);
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    let mut manifest: manifest::Manifest = serde_json::from_str(&text).unwrap();
    for file in &mut manifest.files {
        let bytes = fs::metadata(folder.join(&file.name)).unwrap().len();
        *file = super::digest::of_file(&folder.join(&file.name), &file.name, super::digest::block_bytes(bytes)).unwrap();
    }
    let text = manifest.seal().unwrap();
    let blocks = manifest::blocks(text.as_bytes());
    fs::write(folder.join(MANIFEST), &text).unwrap();
    fs::write(folder.join(super::BLOCKS), &blocks).unwrap();
    fs::write(folder.join(super::CHECKSUMS), manifest::checksums(&manifest.files, &text, &blocks)).unwrap();
    verify::pack(folder).unwrap()
}

#[test]
fn whoever_forges_the_hashes_too_still_has_to_make_the_sums_meet() {
    let whole = TempDir::new().unwrap();
    assert!(forged(&sealed(whole.path(), 90).folder, |_| {}).whole());

    let balance = TempDir::new().unwrap();
    let report = forged(&sealed(balance.path(), 90).folder, |folder| {
        let path = folder.join(TRIAL_BALANCE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("0.00", "0.01", 1)).unwrap();
    });
    let [finding] = report.findings.as_slice() else { panic!("{:?}", told(&report)) };
    assert_eq!((finding.file.as_str(), finding.line), (TRIAL_BALANCE, Some(2)));

    let amount = TempDir::new().unwrap();
    let report = forged(&sealed(amount.path(), 90).folder, |folder| {
        let path = folder.join(ROWS);
        let text = fs::read_to_string(&path).unwrap();
        // The first row and its chain, anew from there.
        let mut hash = rows::start();
        let mut forged = format!("{}\n", rows::header());
        for (number, line) in text.lines().skip(1).enumerate() {
            let body = &line[..=line.rfind(',').unwrap()];
            let body = if number == 0 { body.replace("25=100.00/25.00", "25=100.01/25.00") } else { body.to_owned() };
            hash = rows::link(&hash, &body);
            forged.push_str(&format!("{body}{hash}\n"));
        }
        fs::write(&path, forged).unwrap();
    });
    let found = told(&report).join("\n");
    for words in ["ends with the hash", "other sums", "this should not have been signed", "does not say what the rows say"] {
        assert!(found.contains(words), "{words}: {found}");
    }
}

fn chained(out: &Path) -> Vec<PathBuf> {
    let first = sealed(out, 30);
    let next = |sequence, restatement, of: &Sealed, restates| Heading {
        sequence,
        restatement,
        restates,
        previous: Some(Previous {
            period: of.manifest.period,
            restatement: of.manifest.restatement,
            hash: of.manifest.hash.clone(),
        }),
        ..heading(33)
    };
    let restates = Restates { hash: first.manifest.hash.clone(), reason: "SE-31 came late".to_owned() };
    let second = seal(out, &next(2, 1, &first, Some(restates)), input(33)).unwrap();
    assert_eq!(second.folder, out.join("nordvik-2026-11-r1"));
    vec![first.folder, second.folder]
}

#[test]
fn packs_follow_each_other() {
    let out = TempDir::new().unwrap();
    let folders = chained(out.path());
    for given in [folders.clone(), vec![folders[1].clone()]] {
        let reports = verify::packs(&given).unwrap();
        assert!(reports.iter().all(|report| report.whole() && report.notes.is_empty()), "{reports:?}");
    }
    // Alone, the link cannot be looked at, and that is said.
    let alone = TempDir::new().unwrap();
    let second = alone.path().join("second");
    fs::rename(&folders[1], &second).unwrap();
    let reports = verify::packs(std::slice::from_ref(&second)).unwrap();
    assert!(reports[0].whole() && reports[0].notes.len() == 1, "{reports:?}");
    // Another first pack in its place: each is whole by itself, the chain is not.
    fs::remove_dir_all(&folders[0]).unwrap();
    sealed(out.path(), 31);
    let reports = verify::packs(&[folders[0].clone(), second]).unwrap();
    assert!(reports[0].whole());
    assert_eq!(reports[1].findings.len(), 2, "{reports:?}");
    assert!(reports[1].findings[0].message.contains("the pack before it has the hash"), "{reports:?}");
}

fn any_row() -> impl Strategy<Value = CloseRow> {
    let text = "[ -~\u{e5}\u{202e}\n]{0,8}";
    (-5_i64..200, text, text, prop::option::of(text), any::<bool>()).prop_map(|(number, key, note, owner, bare)| {
        let mut row = row(number.abs());
        row.key = key.as_str().into();
        row.sources.push(key.as_str().into());
        row.note = note;
        if let Verdict::Open(open) = &mut row.verdict {
            open.owner = owner;
        }
        if bare {
            row.ours = Some(Side { units: -2, ..Side::default() });
        }
        row
    })
}

proptest! {
    /// What is written is read as the same weight, and written the same again, whatever stood in it.
    #[test]
    fn rows_read_back(row in any_row()) {
        let line = rows::write(&row);
        prop_assert!(!line.contains(['\n', '\r']));
        let read = rows::read(&format!("{line}hash")).unwrap();
        prop_assert_eq!(rows::write(&read), line);
        prop_assert_eq!((read.sources.len(), read.targets.len()), (row.sources.len(), row.targets.len()));
        prop_assert_eq!((&read.ours, &read.theirs), (&row.ours, &row.theirs));
        prop_assert_eq!(read.difference().unwrap(), row.difference().unwrap());
        let all = Interval { from: Timestamp::MIN, to: Timestamp::MAX };
        let weigh = |row: &CloseRow| {
            let mut standing = Standing::new(all, Timestamp::MIN);
            standing.take(row).unwrap();
            manifest::sums(&standing).unwrap()
        };
        prop_assert_eq!(weigh(&read), weigh(&row));
    }
}
