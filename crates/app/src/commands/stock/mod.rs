//! `selvedge stock`: how fresh the figures are, and why each is what it is.

mod buffers;
mod rehearse;

use std::{collections::BTreeSet, time::Duration};

use clap::{Subcommand, ValueEnum};
use selvedge_flow::StockSetup;
use selvedge_model::{ConnectionName, LocationId, Sku};
use selvedge_store::stock::FigureState;

use super::{
    About,
    out::{Done, Out, Paint, clean, failed, moment, unclear},
};
use crate::{
    config::Config,
    view::stock::{self, Item},
};

/// See how fresh stock is, where the figures stand, and why one is what it is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge stock status\n  selvedge stock list --warehouse 2 --state held\n  selvedge stock explain 15056BL\n  selvedge stock buffers --with candidate.toml\n  selvedge stock drift"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

/// Where a figure stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Due,
    Sending,
    Agreed,
    Held,
    Left,
}

impl From<State> for FigureState {
    fn from(state: State) -> Self {
        match state {
            State::Due => FigureState::Due,
            State::Sending => FigureState::Sending,
            State::Agreed => FigureState::Agreed,
            State::Held => FigureState::Held,
            State::Left => FigureState::Left,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Per warehouse: where the figures stand, and how old what the shop shows is
    Status,
    /// The figures, by SKU
    List {
        /// Of this warehouse only, by its id at the shop.
        #[arg(long, value_name = "ID")]
        warehouse: Option<String>,
        /// In this state only. left: the source does not keep the item.
        #[arg(long)]
        state: Option<State>,
        /// With this text in the SKU.
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// At most so many of each warehouse.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Every term of one item's figure, with its time and origin
    Explain {
        /// The SKU, exactly as the systems write it.
        sku: String,
    },
    /// What is kept back and by which rule; or what another config would keep back
    Buffers(buffers::Args),
    /// What would have been oversold or lost: recorded days, played again under other settings
    Rehearse(rehearse::RehearseArgs),
    /// Figures that somebody changed, or that were missed, and why
    Drift {
        /// At most so many, the newest.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

/// How long an order may be missing from the figures of a connection, as its config says.
fn lag(config: &Config, from: &ConnectionName) -> Duration {
    let configured = config.connections.get(from).and_then(|connection| connection.settings.get("commit_lag_seconds")?.as_u64());
    Duration::from_secs(configured.unwrap_or(30))
}

/// Runs it.
///
/// # Errors
/// The store's; no stock flow; an item that no shop lists.
pub async fn run(about: &About, args: Args) -> Done {
    let act = match args.act {
        Act::Rehearse(args) => return rehearse::run(about, args).await,
        act => act,
    };
    let config = about.config()?;
    let setups: Vec<StockSetup> = config.stocks.iter().map(|(name, stock)| stock.setup(name)).collect();
    if setups.is_empty() {
        return Err(failed(
            "no stock flows in this config",
            "There is nothing to show.",
            "Add [stock.main] with from, to and warehouses: selvedge config schema, docs/stock.md.",
        ));
    }
    let store = about.store_to_read(&config).await?;
    let (brand, now, out) = (&config.brand, about.clock.now(), about.out);
    match act {
        // Seen to above: it needs no stock flow.
        Act::Rehearse(_) => {}
        Act::Buffers(args) => {
            let lagged = setups.into_iter().map(|setup| (lag(&config, &setup.from), setup)).map(|(lag, setup)| (setup, lag));
            return buffers::run(about, &store, lagged.collect(), &args).await;
        }
        Act::Status => {
            let found = stock::status(&store, brand, &setups, now).await?;
            if out.json {
                out.json(&found)?;
            } else {
                out.table(
                    [
                        "FLOW",
                        "WAREHOUSE",
                        "LISTED",
                        "=",
                        "AGREED",
                        "IN FLIGHT",
                        "HELD",
                        "LEFT",
                        "FREE",
                        "AGE P50",
                        "P99",
                        "MAX",
                        "READ WHOLE",
                    ],
                    found.iter().map(|row| {
                        let b = &row.balance;
                        [
                            row.flow.clone(),
                            row.warehouse.0.clone(),
                            b.listed.to_string(),
                            "=".to_owned(),
                            b.agreed.to_string(),
                            b.in_flight.to_string(),
                            b.held.to_string(),
                            b.left.to_string(),
                            b.free_units.to_string(),
                            stock::age(row.freshness.p50_ms),
                            stock::age(row.freshness.p99_ms),
                            stock::age(row.freshness.max_ms),
                            row.snapshot_at.map_or_else(|| "never".to_owned(), moment),
                        ]
                    }),
                )?;
            }
        }
        Act::List { warehouse, state, search, limit } => {
            let known: BTreeSet<&str> = setups.iter().flat_map(|setup| setup.places.values()).map(LocationId::as_str).collect();
            if let Some(other) = warehouse.as_deref().filter(|id| !known.contains(id)) {
                return Err(unclear(
                    format!("no stock flow feeds a warehouse {:?}", clean(other)),
                    format!("There are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
                ));
            }
            let wanted = stock::Wanted {
                warehouse: warehouse.map(LocationId),
                state: state.map(Into::into),
                search,
                after: String::new(),
                limit: limit.clamp(1, 10_000),
            };
            let found = stock::figures(&store, brand, &setups, wanted).await?;
            if out.json {
                out.json(&found)?;
            } else if found.is_empty() {
                out.say("No figure is like that.")?;
            } else {
                out.table(
                    [
                        "SKU",
                        "WAREHOUSE",
                        "STATE",
                        "FREE",
                        "KEPT",
                        "PROMISED",
                        "LEFT AT SOURCE",
                        "NOT TAKEN IN",
                        "BUFFER",
                        "AS OF",
                    ],
                    found.iter().map(|(_, row)| {
                        let term = |what: fn(&selvedge_store::stock::Terms) -> i64| {
                            row.terms.as_ref().map_or_else(|| "–".to_owned(), |terms| what(terms).to_string())
                        };
                        [
                            clean(&row.sku.0),
                            row.place.0.clone(),
                            row.state.word().to_owned(),
                            row.shown.free().to_string(),
                            row.shown.units.to_string(),
                            row.shown.promised.to_string(),
                            term(|t| t.net),
                            term(|t| t.not_taken_in),
                            term(|t| t.buffer),
                            row.terms.as_ref().map_or_else(|| "–".to_owned(), |terms| moment(terms.as_of)),
                        ]
                    }),
                )?;
            }
        }
        Act::Explain { sku } => {
            let lagged: Vec<(StockSetup, Duration)> =
                setups.iter().map(|setup| (setup.clone(), lag(&config, &setup.from))).collect();
            let found = stock::item(&store, brand, &lagged, &Sku::new(sku.clone()), now).await?;
            if found.is_empty() {
                let wanted = stock::Wanted { search: sku.trim().to_lowercase(), limit: 5, ..stock::Wanted::default() };
                let like = stock::figures(&store, brand, &setups, wanted).await?;
                let mut like: Vec<String> = like.into_iter().map(|(_, row)| clean(&row.sku.0)).collect();
                like.dedup();
                let next = if like.is_empty() {
                    "SKUs are compared letter by letter; see which there are: selvedge stock list --search TEXT".to_owned()
                } else {
                    format!("SKUs are compared letter by letter. There are: {}", like.join(", "))
                };
                return Err(failed(format!("no shop lists the SKU {:?}", clean(&sku)), "There is nothing to explain.", next));
            }
            if out.json {
                out.json(&found)?;
            } else {
                for item in &found {
                    explain(out, item)?;
                }
            }
        }
        Act::Drift { limit } => {
            let found = stock::drifts(&store, brand, &setups, None, limit.clamp(1, 10_000)).await?;
            if out.json {
                out.json(&found)?;
            } else if found.is_empty() {
                out.say(out.paint(Paint::Good, "Nothing was changed behind our back."))?;
            } else {
                out.table(
                    ["FOUND", "WAREHOUSE", "SKU", "CAUSE", "SHOULD BE", "WAS", "SETTLED", "EXCEPTION"],
                    found.iter().map(|row| {
                        [
                            moment(row.found_at),
                            row.place.0.clone(),
                            clean(&row.sku.0),
                            row.cause.replace('_', " "),
                            row.expected.to_string(),
                            row.shown.to_string(),
                            row.settled_at.map_or_else(|| "no".to_owned(), moment),
                            row.exception.to_string(),
                        ]
                    }),
                )?;
            }
        }
    }
    Ok(0)
}

fn explain(out: Out, item: &Item) -> Result<(), super::out::Failure> {
    for at in &item.warehouses {
        let figure = &at.figure;
        out.line(format!(
            "{} in warehouse {} ({}): {} free to buy, {} kept, {} promised, read {}",
            clean(&item.sku.0),
            figure.place,
            figure.state.word(),
            figure.shown.free(),
            figure.shown.units,
            figure.shown.promised,
            moment(figure.shown.at)
        ))?;
        match &at.lines {
            None => out.line("  The source does not keep this item, or was not read whole yet: the figure is left alone.")?,
            Some(lines) => {
                out.table(
                    ["UNITS", "WHAT", "AS OF", "FROM"],
                    lines.lines.iter().map(|line| {
                        let part = line.part.as_ref().map(|sku| format!("{sku}: ")).unwrap_or_default();
                        [
                            format!("{:+}", line.units),
                            format!("{part}{}", stock::term(line.term)),
                            line.as_of.map_or_else(String::new, moment),
                            clean(&line.origin),
                        ]
                    }),
                )?;
            }
        }
        for (level, via) in &at.levels {
            out.line(format!(
                "  {} at {}: on hand {}, promised {}, back ordered {}, pending approval {}, the source itself says {} available; by {via}, as of {}",
                level.item,
                level.location,
                level.on_hand,
                level.committed,
                level.back_ordered,
                level.pending_approval,
                level.available,
                moment(level.as_of)
            ))?;
        }
        for order in &at.orders {
            let taken = order.taken_at.map_or_else(|| "not taken in".to_owned(), |at| format!("taken in {}", moment(at)));
            out.line(format!("  order {}: {} units, {taken}", clean(order.key.as_str()), order.units))?;
        }
        if let Some((units, when)) = figure.sent {
            out.line(format!("  last written: {units} units, {}", moment(when)))?;
        }
    }
    for moved in item.moves.iter().take(10) {
        out.line(format!(
            "  {} at {}: {} to {}, {} of it by our orders, by {}",
            moment(moved.at),
            moved.location,
            moved.before,
            moved.after,
            moved.own,
            moved.via
        ))?;
    }
    Ok(())
}
