//! `selvedge flows`: what is where, and how far reading is proven.

use jiff::Timestamp;
use selvedge_model::{Interval, Kind, obligation::State};
use serde::Serialize;

use super::{
    About,
    out::{Done, Paint, moment},
};
use crate::view::{self, FlowView};

/// One flow with what was proven of its source.
#[derive(Debug, Serialize)]
struct FlowLine {
    #[serde(flatten)]
    flow: FlowView,
    /// What the last poll or sweep covered.
    last_proven: Option<Proven>,
    /// Stretches that lie between proven ones and are covered by none.
    holes: Vec<Interval>,
}

#[derive(Debug, Serialize)]
struct Proven {
    /// Which way: poll or sweep.
    via: String,
    /// What it covered.
    interval: Interval,
    /// When.
    at: Timestamp,
}

/// Runs it.
///
/// # Errors
/// The store's.
pub async fn run(about: &About) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let mut lines = Vec::new();
    for flow in view::flows(&store, &config.brand, &config.ends(), about.clock.now()).await? {
        let (brand, from, kind) = (config.brand.clone(), flow.from.clone(), flow.kind);
        // Customers come with their orders: nothing is read for them, so nothing of theirs is proven.
        let (proven, holes) = if kind == Kind::Order {
            store.read(move |view| Ok((view.proven(&brand, &from, kind, 1)?, view.holes(&brand, &from, kind)?))).await?
        } else {
            (Vec::new(), Vec::new())
        };
        let newest = proven.into_iter().max_by_key(|row| row.at);
        lines.push(FlowLine {
            flow,
            last_proven: newest.map(|row| Proven { via: row.via, interval: row.interval, at: row.at }),
            holes,
        });
    }
    let out = about.out;
    if out.json {
        out.json(&lines)?;
        return Ok(0);
    }
    let header = ["FLOW", "FROM → TO", "KIND", "CAPTURED", "CONFIRMED", "IN FLIGHT", "HELD", "PROVEN UNTIL", "HOLES"];
    out.table(
        header,
        lines.iter().map(|line| {
            let flow = &line.flow;
            let terms = &flow.balance.terms;
            let holes = if line.holes.is_empty() { "none".to_owned() } else { line.holes.len().to_string() };
            let proven = line.last_proven.as_ref().map(|proven| format!("{} ({})", moment(proven.interval.to), proven.via));
            [
                flow.flow.0.clone(),
                format!("{} → {}", flow.from, flow.to),
                flow.kind.to_string(),
                terms.captured.to_string(),
                terms.confirmed.to_string(),
                terms.in_flight.to_string(),
                terms.held.to_string(),
                proven.unwrap_or_else(|| "–".to_owned()),
                if flow.kind == Kind::Order { holes } else { "–".to_owned() },
            ]
        }),
    )?;
    for line in &lines {
        for hole in &line.holes {
            out.line(out.paint(
                Paint::Bad,
                format!(
                    "{}: nothing proves what {} changed from {} to {}",
                    line.flow.flow,
                    line.flow.from,
                    moment(hole.from),
                    moment(hole.to)
                ),
            ))?;
        }
        let unanswered = line.flow.states.iter().find(|count| count.state == State::Unanswered).map_or(0, |count| count.count);
        if unanswered > 0 {
            out.line(format!(
                "{}: {unanswered} unanswered; each is looked for at {} before it is sent again",
                line.flow.flow, line.flow.to
            ))?;
        }
    }
    Ok(0)
}
