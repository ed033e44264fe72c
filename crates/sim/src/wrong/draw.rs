//! Draws the orders whose documents are made wrong.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::{Dice, Done, Kind, Run};
use crate::centra::Family;
use crate::netsuite::{Behind, Policy, Way};

/// In which turn the kinds draw: those that few orders can be made into first.
const TURNS: [Kind; 26] = [
    Kind::MappingMidway,
    Kind::RefundMissing,
    Kind::CreditWithoutGoods,
    Kind::GoodsWithoutCredit,
    Kind::OverCredit,
    Kind::RefundDoubled,
    Kind::RoundHalfEven,
    Kind::DayShifted,
    Kind::OldRate,
    Kind::RoundGross,
    Kind::RoundUnit,
    Kind::RoundDocument,
    Kind::RoundDown,
    Kind::StaleEdit,
    Kind::MissingShipment,
    Kind::Tracking,
    Kind::ShippedTwice,
    Kind::SkuCase,
    Kind::EditedTax,
    Kind::EditedHeader,
    Kind::EditedLine,
    Kind::Subsidiary,
    Kind::Currency,
    Kind::Late,
    Kind::Deleted,
    Kind::Doubled,
];

/// The most times that a kind goes through the orders: the best ones first, then whatever will do.
const PASSES: usize = 3;

/// An order near midnight, in minutes.
const NEAR_MIDNIGHT: i32 = 120;

struct Open<'f> {
    family: &'f Family,
    /// Whether anything was taken back or credited, in either system.
    gave_back: bool,
    drawn: bool,
}

pub(super) fn documents(run: &mut Run<'_>) -> anyhow::Result<()> {
    let scene = run.scene;
    let families = scene.centra.families();
    let mut netsuite = scene.netsuite.behind();
    let families: Vec<Family> = families.into_iter().filter(|one| netsuite.stands(&one.number)).collect();
    let mut open: Vec<Open<'_>> = families
        .iter()
        .map(|family| Open {
            family,
            gave_back: family.gave_back || netsuite.gave_back(&family.number),
            drawn: run.orders.contains(&family.number),
        })
        .collect();
    for kind in TURNS {
        let wanted = run.wish.of(kind);
        let missing = match kind {
            _ if wanted == 0 => 0,
            Kind::MappingMidway => stretches(run, &mut netsuite, &mut open, wanted)?,
            _ => draw(run, &mut netsuite, &mut open, kind, wanted)?,
        };
        run.short(kind, missing);
    }
    drop(netsuite);
    lost_orders(run)
}

/// Draws orders for one kind. Answers how many are missing.
fn draw(run: &mut Run<'_>, netsuite: &mut Behind<'_>, open: &mut [Open<'_>], kind: Kind, mut wanted: u64) -> anyhow::Result<u64> {
    let mut dice = run.dice(&format!("{kind:?}"));
    let mut places: Vec<usize> = (0..open.len()).collect();
    dice.shuffle(&mut places);
    for pass in 0..PASSES {
        for at in &places {
            if wanted == 0 {
                return Ok(0);
            }
            let Some(one) = open.get_mut(*at).filter(|one| !one.drawn && one.gave_back == kind.of_returns()) else { continue };
            if let Some(done) = make(run, netsuite, one.family, kind, pass, &mut dice)? {
                one.drawn = true;
                wanted -= 1;
                run.note(kind, Some(&one.family.number), done)?;
            }
        }
    }
    Ok(wanted)
}

fn make(
    run: &Run<'_>,
    netsuite: &mut Behind<'_>,
    family: &Family,
    kind: Kind,
    pass: usize,
    dice: &mut Dice,
) -> anyhow::Result<Option<Done>> {
    let (number, centra) = (family.number.as_str(), run.scene.centra);
    // Of all kinds that take whatever comes, one pass is enough.
    let once = pass == 0;
    let round = |netsuite: &mut Behind<'_>, policy| netsuite.misround(number, policy, family.tax_included, pass);
    match kind {
        Kind::RoundUnit => round(netsuite, Policy::Unit),
        Kind::RoundDocument => round(netsuite, Policy::Document),
        Kind::RoundHalfEven => round(netsuite, Policy::HalfEven),
        Kind::RoundDown => round(netsuite, Policy::Down),
        Kind::RoundGross => round(netsuite, Policy::OtherBase),
        // Near a change; else where there was one; else anywhere.
        Kind::OldRate => netsuite.old_rate(number, pass < 2, once),
        Kind::DayShifted => shift(netsuite, family, centra.zone(), pass, dice),
        // In a world that has just begun no such hours have passed; better a document of tomorrow than none.
        Kind::Late => netsuite.delay(number, family.created, once, dice),
        _ if !once => Ok(None),
        Kind::Deleted => netsuite.delete(number),
        Kind::Doubled => netsuite.double(number, dice),
        Kind::EditedHeader => netsuite.edit_header(number, dice),
        Kind::EditedLine => netsuite.edit_line(number, dice),
        Kind::EditedTax => netsuite.edit_tax(number, dice),
        Kind::SkuCase => netsuite.swap_sku(number, dice),
        Kind::Subsidiary => netsuite.swap_subsidiary(number, dice),
        Kind::Currency => netsuite.swap_currency(number, dice),
        Kind::MissingShipment => centra.lose_shipment(family.order),
        Kind::Tracking => centra.swap_tracking(family.order, dice),
        Kind::ShippedTwice if dice.below(2) == 0 && netsuite.has_left(number) => netsuite.fulfil_twice(number),
        Kind::ShippedTwice => centra.ship_twice(family.order),
        Kind::StaleEdit => centra.edit_untold(family.order, dice),
        Kind::CreditWithoutGoods => netsuite.forget_goods(number),
        Kind::GoodsWithoutCredit => netsuite.forget_credit(number),
        Kind::OverCredit => netsuite.over_credit(number, dice),
        Kind::RefundMissing => netsuite.forget_refund(number),
        Kind::RefundDoubled => netsuite.refund_twice(number),
        Kind::OnHand | Kind::ForeignStock | Kind::LostEvent | Kind::MappingMidway => Ok(None),
    }
}

/// Orders of the hours in which it is another day in UTC first, then those near midnight, then any.
fn shift(
    netsuite: &mut Behind<'_>,
    family: &Family,
    zone: &TimeZone,
    pass: usize,
    dice: &mut Dice,
) -> anyhow::Result<Option<Done>> {
    let local = family.created.to_zoned(zone.clone());
    let utc = family.created.to_zoned(TimeZone::UTC).date();
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let near = !(NEAR_MIDNIGHT..24 * 60 - NEAR_MIDNIGHT).contains(&minute);
    let fits = match pass {
        0 => utc != local.date(),
        1 => near,
        _ => true,
    };
    if fits { netsuite.shift_day(&family.number, utc, dice) } else { Ok(None) }
}

/// Stretches of orders of one market and method, each with another method from its first order to its last. Answers how many are missing.
fn stretches(run: &mut Run<'_>, netsuite: &mut Behind<'_>, open: &mut [Open<'_>], mut wanted: u64) -> anyhow::Result<u64> {
    let mut dice = run.dice("MappingMidway");
    let mut ways: BTreeMap<(usize, Way), Vec<usize>> = BTreeMap::new();
    for (at, one) in open.iter().enumerate() {
        if let Some(way) = netsuite.way(&one.family.number) {
            ways.entry((one.family.market, way)).or_default().push(at);
        }
    }
    let ways: Vec<(Way, Vec<usize>)> =
        ways.into_iter().map(|((_, way), places)| (way, places)).filter(|(_, places)| places.len() >= 3).collect();
    let mut tries = 400 + wanted.saturating_mul(20);
    while wanted > 0 && tries > 0 {
        tries -= 1;
        let Some((way, places)) = dice.of(&ways) else { break };
        let most = i64::try_from(places.len() / 2).unwrap_or(3).clamp(3, 9);
        let long = usize::try_from(dice.between(3, most + 1)).unwrap_or(3);
        let start = dice.below(places.len().saturating_sub(long) + 1);
        let Some(stretch) = places.get(start..start + long) else { continue };
        if stretch.iter().any(|at| open.get(*at).is_none_or(|one| one.drawn)) {
            continue;
        }
        let (method, what) = netsuite.wrong_method(way.2, &mut dice);
        let (mut orders, mut ids, mut days) = (Vec::new(), Vec::new(), Vec::new());
        for at in stretch {
            let Some(one) = open.get_mut(*at) else { continue };
            if let Some(id) = netsuite.set_method(&one.family.number, method)? {
                one.drawn = true;
                orders.push(one.family.number.clone());
                days.push(one.family.created);
                ids.push(id);
            }
        }
        let span = |at: Option<&jiff::Timestamp>| at.map(ToString::to_string).unwrap_or_default();
        let detail = format!(
            "{} documents of one market, of orders placed from {} to {}: {what}",
            orders.len(),
            span(days.first()),
            span(days.last())
        );
        let done = Done { system: "netsuite", record: "order", id: ids.into_iter().next(), detail, ..Done::default() };
        let first = orders.first().cloned().unwrap_or_default();
        run.note_several(Kind::MappingMidway, Some(&first), done, |one| one.orders = orders)?;
        wanted -= 1;
    }
    Ok(wanted)
}

/// New orders at the shop of which nobody is told.
fn lost_orders(run: &mut Run<'_>) -> anyhow::Result<()> {
    let mut wanted = run.wish.of(Kind::LostEvent);
    let mut dice = run.dice("LostEvent");
    while wanted > 0 {
        let Some((number, done)) = run.scene.centra.buy_untold(&mut dice)? else { break };
        run.note(Kind::LostEvent, Some(&number), done)?;
        wanted -= 1;
    }
    run.short(Kind::LostEvent, wanted);
    Ok(())
}
