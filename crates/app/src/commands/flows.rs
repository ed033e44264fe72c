//! `selvedge flows`: what is where, and how far reading is proven.

use clap::Subcommand;
use jiff::Timestamp;
use selvedge_model::{FlowName, Interval, Kind, Mode, obligation::State};
use serde::Serialize;

use super::{
    About,
    out::{Done, Paint, moment},
    shadow,
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

/// Show the flows. A flow in shadow mode compares with what stands at its target and writes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "From shadow to live: mode = \"live\" in [flows.NAME], flows adopt NAME to see what that does, flows adopt NAME --yes to do it, run.\n\nExamples:\n  selvedge flows\n  selvedge flows shadow orders --json\n  selvedge flows adopt orders\n  selvedge flows adopt orders --yes"
)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// What a flow in shadow mode found: what stands as it should, what differs and by how much, what is missing
    Shadow {
        /// The flow.
        flow: FlowName,
        /// How many records that differ or are missing are shown.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Take over what a flow compared, now that it is live: what stands as it should is tied and read back, the rest is due
    Adopt {
        /// The flow.
        flow: FlowName,
        /// Do it; without, it is only shown.
        #[arg(long)]
        yes: bool,
    },
    /// Have what was captured while a flow was off, or not there, go through its gate
    CatchUp {
        /// The flow.
        flow: FlowName,
        /// Do it; without, it is only shown.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; there is no such flow.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        None => list(about).await,
        Some(Act::Shadow { flow, limit }) => shadow::show(about, &flow, limit).await,
        Some(Act::Adopt { flow, yes }) => shadow::adopt(about, &flow, yes).await,
        Some(Act::CatchUp { flow, yes }) => shadow::catch_up(about, &flow, yes).await,
    }
}

async fn list(about: &About) -> Done {
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
    let header =
        ["FLOW", "FROM → TO", "KIND", "MODE", "CAPTURED", "CONFIRMED", "COMPARED", "IN FLIGHT", "HELD", "PROVEN UNTIL", "HOLES"];
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
                flow.mode.word().to_owned(),
                terms.captured.to_string(),
                terms.confirmed.to_string(),
                terms.compared.to_string(),
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
        let compared = line.flow.balance.terms.compared;
        if compared > 0 && line.flow.mode == Mode::Live {
            out.line(out.paint(
                Paint::Warning,
                format!(
                    "{0}: {compared} compared in shadow mode and not taken over yet: selvedge flows adopt {0}",
                    line.flow.flow
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
