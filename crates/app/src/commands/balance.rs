//! `selvedge balance`: the equation.

use selvedge_model::Interval;

use super::{
    About,
    out::{Done, EXIT_FAILED, Paint, unclear},
};
use crate::{config::words::Moment, view};

/// Print the equation per flow: captured = confirmed + compared + in flight + held + excluded + superseded + dismissed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 1 if the equation does not hold for some flow.\n\nExamples:\n  selvedge balance\n  selvedge balance --since 24h\n  selvedge balance --since 2026-01-01T00:00:00+01:00 --until 2026-02-01T00:00:00+01:00 --json"
)]
pub struct Args {
    /// Only what was captured since: so long ago (24h), or an instant with its offset.
    #[arg(long, value_name = "WHEN")]
    since: Option<Moment>,
    /// Only what was captured before.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
}

/// Runs it.
///
/// # Errors
/// The store's, or a window that ends before it begins.
pub async fn run(about: &About, args: &Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let now = about.clock.now();
    let window = match (args.since, args.until) {
        (None, None) => None,
        (since, until) => Some(Interval {
            from: since.map_or(jiff::Timestamp::MIN, |since| since.instant(now)),
            to: until.map_or(jiff::Timestamp::MAX, |until| until.instant(now)),
        }),
    };
    if window.is_some_and(|window| window.to < window.from) {
        return Err(unclear("the window ends before it begins", "Give a --since that lies before --until."));
    }
    let balances = view::balance(&store, &config.brand, &config.ends(), window).await?;
    let holds = balances.iter().all(|balance| balance.balanced);
    let out = about.out;
    if out.json {
        out.json(&balances)?;
    } else {
        let header = [
            "FLOW",
            "CAPTURED",
            "=",
            "CONFIRMED",
            "COMPARED",
            "IN FLIGHT",
            "HELD",
            "EXCLUDED",
            "SUPERSEDED",
            "DISMISSED",
            "DIFFERENCE",
        ];
        out.table(
            header,
            balances.iter().map(|balance| {
                let terms = &balance.terms;
                let numbers = [
                    terms.confirmed,
                    terms.compared,
                    terms.in_flight,
                    terms.held,
                    terms.excluded,
                    terms.superseded,
                    terms.dismissed,
                ];
                let [confirmed, compared, in_flight, held, excluded, superseded, dismissed] =
                    numbers.map(|number| number.to_string());
                let sign = if balance.balanced { "=" } else { "≠" };
                [
                    terms.flow.clone(),
                    terms.captured.to_string(),
                    sign.to_owned(),
                    confirmed,
                    compared,
                    in_flight,
                    held,
                    excluded,
                    superseded,
                    dismissed,
                    balance.difference.to_string(),
                ]
            }),
        )?;
        if holds {
            out.say(out.paint(Paint::Good, "The equation holds."))?;
        } else {
            out.line(out.paint(Paint::Bad, "The equation does not hold: something was lost or made up. Keep the store as it is and compare it with a back-up."))?;
        }
    }
    Ok(if holds { 0 } else { EXIT_FAILED })
}
