//! A month from its rows to a pack that verifies, and once more when something came late.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use selvedge_connector::clock::ManualClock;
use selvedge_store::Store;
use tempfile::TempDir;

use super::{Args, Of, Place, Which, export, run, show, sign};
use crate::{
    commands::{About, Cli, Command, Global, out::Out},
    pack::{manifest::Manifest, tests::input},
};

const CONFIG: &str = "brand = \"nordvik\"\n[store]\nurl = \"sqlite://a.db\"\n[connections.shop]\nsystem = \"centra\"\nurl = \"https://nordvik.centraqa.com/graphql\"\ntoken = { env = \"SHOP\" }\n[connections.erp]\nsystem = \"netsuite\"\n[flows.orders]\nfrom = \"shop\"\nto = \"erp\"\n[entities.nordvik]\ntime_zone = \"Europe/Stockholm\"\ncurrency = \"SEK\"\n";

fn about(folder: &Path, now: &str) -> About {
    let global = Global { config: folder.join("selvedge.toml"), json: false, quiet: true, log: None, key_file: None };
    About { global, out: Out::new(false, true), clock: Arc::new(ManualClock::at(now.parse::<Timestamp>().unwrap())) }
}

async fn place(folder: &Path, about: &About) -> Place {
    std::fs::write(folder.join("selvedge.toml"), CONFIG).unwrap();
    let (config, problems) = about.read();
    assert!(problems.iter().all(|problem| !problem.path.starts_with("entities")), "{problems:?}");
    Store::open(&config.store_url).await.unwrap();
    let which = Which { period: "2026-11".parse().unwrap(), of: Of { entity: None } };
    Place::of(about, config, which).await.unwrap()
}

fn close(line: &str) -> Args {
    use clap::Parser;
    match Cli::parse_from(["selvedge", "close"].into_iter().chain(line.split(' '))).command {
        Command::Close(args) => args,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_month_is_signed_and_restated_and_both_packs_verify() {
    let folder = TempDir::new().unwrap();
    let about = about(folder.path(), "2026-12-03T09:00:00Z");
    let place = place(folder.path(), &about).await;
    let packs = folder.path().join("packs");
    // A document was read that no row accounts for: red, and kept.
    let mut short = input(30);
    short.enumerated[0].documents += 1;
    assert_eq!(show::period(&about, &place, short).await.unwrap(), 1);
    // Not all open items were seen.
    assert_eq!(sign::sign(&about, &place, input(30), &packs, 0).await.unwrap_err().exit(), 2);
    assert_eq!(show::period(&about, &place, input(30)).await.unwrap(), 0);
    assert_eq!(sign::sign(&about, &place, input(30), &packs, 3).await.unwrap(), 0);
    // Signed is signed.
    assert_eq!(sign::sign(&about, &place, input(33), &packs, 3).await.unwrap_err().exit(), 1);
    sign::restate(&about, &place, "SE-31 came late").await.unwrap();
    assert_eq!(sign::sign(&about, &place, input(33), &packs, 3).await.unwrap(), 0);

    let read = |name: &str| -> Manifest {
        serde_json::from_slice(&std::fs::read(packs.join(name).join("manifest.json")).unwrap()).unwrap()
    };
    let (first, second) = (read("nordvik-2026-11"), read("nordvik-2026-11-r1"));
    assert_eq!((first.rows, second.rows, second.sequence, second.restatement), (30, 33, 2, 1));
    assert_eq!(second.previous.as_ref().map(|previous| &previous.hash), Some(&first.hash));
    assert_eq!(
        second.restates.as_ref().map(|of| (of.hash.as_str(), of.reason.as_str())),
        Some((first.hash.as_str(), "SE-31 came late"))
    );

    let (looks, acts) = place
        .store
        .read(|view| {
            let looks = view.close_verdicts(&"nordvik".into(), "nordvik", "2026-11".parse().unwrap())?;
            Ok((looks, view.audit_rows(&"nordvik".into(), 10)?))
        })
        .await
        .unwrap();
    assert_eq!(looks.iter().map(|look| look.against.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
    assert_eq!(
        acts.iter().rev().map(|act| act.action.as_str()).collect::<Vec<_>>(),
        ["close.sign", "close.restate", "close.sign"]
    );
    assert!(acts[0].detail.contains(&second.hash));

    // Verified where there is neither config nor store.
    let elsewhere = TempDir::new().unwrap();
    let about = self::about(elsewhere.path(), "2027-01-01T00:00:00Z");
    let name = |pack: &str| packs.join(pack).display().to_string();
    let both = format!("verify {} {}", name("nordvik-2026-11"), name("nordvik-2026-11-r1"));
    assert_eq!(run(&about, close(&both)).await.unwrap(), 0);
    assert_eq!(run(&about, close(&format!("{both} --hash {}", second.hash))).await.unwrap(), 0);
    assert_eq!(run(&about, close(&format!("{both} --hash {}", first.hash))).await.unwrap(), 1);
    let page = packs.join("nordvik-2026-11").join("pack.html");
    let mut bytes = std::fs::read(&page).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&page, bytes).unwrap();
    assert_eq!(run(&about, close(&both)).await.unwrap(), 1);
    assert_eq!(run(&about, close(&format!("verify {}", name("nowhere")))).await.unwrap_err().exit(), 1);
}

#[tokio::test]
async fn a_month_that_is_not_over_is_not_signed() {
    let folder = TempDir::new().unwrap();
    let about = about(folder.path(), "2026-11-30T22:59:59Z");
    let place = place(folder.path(), &about).await;
    let failure = sign::sign(&about, &place, input(30), folder.path(), 3).await.unwrap_err().to_string();
    assert!(failure.contains("the period is not over: it ends at 2026-11-30T23:00:00Z"), "{failure}");
}

#[tokio::test]
async fn tables_are_written_as_in_a_pack() {
    let folder = TempDir::new().unwrap();
    let place = place(folder.path(), &about(folder.path(), "2026-12-03T09:00:00Z")).await;
    for (what, lines) in [
        (export::What::Rows, 31),
        (export::What::OpenItems, 4),
        (export::What::Adjustments, 4),
        (export::What::Evidence, 3),
        (export::What::TrialBalance, 7),
    ] {
        let mut out = Vec::new();
        export::write(&mut out, input(30), place.bounds, what).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), lines, "{what:?}");
    }
}
