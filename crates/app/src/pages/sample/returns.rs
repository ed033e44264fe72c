//! What came back to the sample shop, and what was given back for it.

use selvedge_model::{
    AnyRecord, CreditNote, Refund, Return,
    credit::whole::Portion,
    records::{
        CreditKind, CreditLine, CreditReason, CreditStatus, Disposition, ReturnLine, ReturnStatus, SoldPart, Tender, return_key,
    },
};
use selvedge_store::{
    Tx,
    parts::{Claim as PartsClaim, PartRow, PartsOf, WholeRow},
};

use super::*;

fn sek(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("SEK").unwrap())
}

fn goods(order: Option<&str>, from: &str, id: &str, status: ReturnStatus) -> Return {
    Return {
        key: return_key(order, from, id),
        id: id.into(),
        order: order.map(Into::into),
        counterpart: None,
        shipment: None,
        status,
        created_at: start(),
        received_at: None,
        updated_at: start(),
        warehouse: None,
        disposition: Disposition::Quarantine,
        reason: None,
        comment: None,
        lines: vec![ReturnLine {
            order: order.map(Into::into),
            order_line: order.map(|_| "1".into()),
            sku: "COAT-42".into(),
            quantity: 1,
            condition: None,
            reason: None,
        }],
    }
}

fn credit(order: Option<&str>, from: &str, id: &str, name: &str) -> CreditNote {
    let sale =
        order.map(|order| SoldPart { order: order.into(), line: "1".into(), quantity: 1, net: sek(240_000), tax: sek(60_000) });
    let none = Charge::none(sek(0).currency());
    CreditNote {
        key: return_key(order, from, id),
        id: id.into(),
        number: id.to_owned(),
        order: order.map(Into::into),
        of_return: order.map(|order| return_key(Some(order), from, id)),
        goods: None,
        reason: CreditReason::Return,
        status: CreditStatus::Issued,
        issued_at: start(),
        issued_on: jiff::civil::date(2026, 2, 3),
        updated_at: start(),
        buyer: Some("17850".to_owned()),
        currency: sek(0).currency(),
        lines: vec![CreditLine {
            id: "1".into(),
            kind: CreditKind::Goods,
            sold: sale.into_iter().collect(),
            sku: "COAT-42".into(),
            name: name.to_owned(),
            quantity: 1,
            unit_net: Decimal::from(2_400),
            net: sek(240_000),
            tax: sek(60_000),
            taxes: Vec::new(),
        }],
        discounts: Vec::new(),
        shipping: none.clone(),
        handling: none.clone(),
        fee: none.clone(),
        goodwill: none,
        totals: Totals { net: sek(240_000), tax: sek(60_000), gross: sek(300_000) },
        comment: None,
        sale: None,
    }
}

fn refund(order: &str, id: &str, credit: &CreditNote, reference: &str) -> Refund {
    Refund {
        key: return_key(Some(order), "shop", id),
        id: id.into(),
        order: Some(order.into()),
        credit_note: credit.key.clone(),
        status: PaymentStatus::Success,
        tender: Tender::Payment,
        method: Some("card".to_owned()),
        reference: Some(reference.to_owned()),
        amount: credit.totals.gross,
        at: start(),
        on: jiff::civil::date(2026, 2, 3),
        updated_at: start(),
        market: None,
    }
}

/// How far a document gets.
enum End {
    Captured,
    Confirmed(Box<AnyRecord>),
    Held(Problem),
}

fn enter(tx: &Tx<'_>, from: &str, flow: &str, record: AnyRecord, end: End) -> selvedge_store::Result<Option<ExceptionId>> {
    let (kind, key, flow) = (record.kind(), record.key(), FlowName::from(flow));
    let new = NewRecord {
        brand: brand(),
        connection: from.into(),
        capture: None,
        version: None,
        record,
        problems: Vec::new(),
        received_at: start(),
    };
    let Recorded::Revision(record, revision) = tx.put_record(&new)? else { return Ok(None) };
    let owed =
        NewObligation { brand: brand(), flow: flow.clone(), kind, key: key.clone(), record, revision, captured_at: start() };
    let id = tx.owe(&owed, start())?;
    match end {
        End::Captured => {}
        End::Confirmed(prepared) => {
            tx.step(id, Event::Clear, &Step { prepared: Some(*prepared), ..Step::default() }, start())?;
            tx.step(id, Event::Claim, &Step::default(), start())?;
            let target = ExternalId::new(format!("n-{key}"));
            tx.step(id, Event::Answer, &Step { target: Some(target.clone()), ..Step::default() }, start())?;
            tx.bind(&brand(), &"books".into(), kind, &key, &target, start())?;
            tx.step(id, Event::Confirm, &Step::default(), start())?;
        }
        End::Held(problem) => {
            let exception = tx.raise(&brand(), &flow, &problem, start())?;
            tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, start())?;
            tx.tell(id, "gate", "held", &problem.message, start())?;
            return Ok(Some(exception));
        }
    }
    Ok(None)
}

/// What the sample holds back.
pub(crate) struct Withheld {
    /// A credit note in a month that is closed.
    pub(crate) closed: ExceptionId,
    /// A credit note that no sale explains.
    pub(crate) unlinked: ExceptionId,
}

/// Order 1001: a coat came back, its money went back, and its credit note is held. Order 1002: a coat is announced back, and
/// another was credited at the desk, whose credit the gate has linked. One more credit of the desk, `desk.C5`, is of no order
/// that is known.
pub(crate) async fn returned() -> (Arc<App>, Withheld) {
    let more = [
        ("returns", Kind::Return, "shop"),
        ("credits", Kind::CreditNote, "shop"),
        ("refunds", Kind::Refund, "shop"),
        ("desk", Kind::CreditNote, "desk"),
    ];
    let (app, clock) = with(Vec::new(), &more, Vec::new()).await;
    place(&app, order("1001", "Åsa", 2), start(), Fate::Confirmed).await;
    place(&app, order("1002", "Bo", 2), start(), Fate::Confirmed).await;
    let withheld = app
        .store
        .write(|tx| {
            let came = AnyRecord::from(goods(Some("1001"), "shop", "r1", ReturnStatus::Received));
            enter(tx, "shop", "returns", came.clone(), End::Confirmed(Box::new(came)))?;
            let first = credit(Some("1001"), "shop", "r1", "Wool coat, charcoal");
            let paid = AnyRecord::from(refund("1001", "p7", &first, "re_3Nk9"));
            enter(tx, "shop", "refunds", paid.clone(), End::Confirmed(Box::new(paid)))?;
            let locked = Problem::new("period.locked", "issued_on", "February 2026 is locked", "Open the period, or post later.");
            let closed = enter(tx, "shop", "credits", first.into(), End::Held(locked))?.unwrap();

            let awaited = goods(Some("1002"), "shop", "r2", ReturnStatus::Announced);
            enter(tx, "shop", "returns", awaited.into(), End::Captured)?;
            let mut open = credit(Some("1002"), "shop", "r2", "Wool coat, charcoal");
            open.status = CreditStatus::Open;
            enter(tx, "shop", "credits", open.into(), End::Captured)?;

            let mut desk = credit(None, "desk", "C6", "Wool coat, charcoal");
            desk.goods = Some(Box::new(goods(None, "desk", "C6", ReturnStatus::Received)));
            let mut linked = credit(Some("1002"), "desk", "C6", "Wool coat, charcoal");
            linked.key = desk.key.clone();
            linked.goods = Some(Box::new(goods(Some("1002"), "desk", "C6", ReturnStatus::Received)));
            let of = PartsOf { brand: brand(), at: "books".into(), kind: Kind::CreditNote };
            let amount =
                |units: u32| Portion { units, net: sek(240_000 * i64::from(units)), tax: sek(60_000 * i64::from(units)) };
            let (owner, line) = (RecordKey::new("1002"), ExternalId::new("1"));
            let whole = WholeRow { owner: owner.clone(), line: line.clone(), whole: amount(2), taken: amount(0), stated: false };
            let part = PartRow { owner, line, place: 0, portion: amount(1) };
            assert!(tx.claim_parts(&PartsClaim {
                of,
                key: desk.key.clone(),
                flow: "desk".into(),
                wholes: vec![whole],
                parts: vec![part]
            })?);
            enter(tx, "desk", "desk", desk.into(), End::Confirmed(Box::new(linked.into())))?;

            let unknown = credit(None, "desk", "C5", NAUGHTY);
            let unlinked = Problem::new("credit.unlinked", "lines[0]", "no sale explains it", "Name the order in the file.");
            let unlinked = enter(tx, "desk", "desk", unknown.into(), End::Held(unlinked))?.unwrap();
            Ok(Withheld { closed, unlinked })
        })
        .await
        .unwrap();
    clock.advance(Duration::from_secs(20));
    (app, withheld)
}
