//! `selvedge stock rehearse`: what would have been oversold or lost.

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use selvedge_model::{FlowName, stock::rehearse::Quantity};
use selvedge_store::stock::Of;

use crate::{
    commands::{
        About,
        out::{Done, Failure, Out, clean, counted, cut, failed, moment, unclear},
    },
    config::words::Span,
    rehearse::{
        Asked, BufferAsked, EXPORT_DELAY, Material, Rehearsal, SCENARIOS_MAX, SHIP_DELAY, VALUES_MAX, count,
        history::history,
        import::{Files, ImportError, online_retail},
        play,
    },
};

/// How many bad rows are shown; JSON has more.
const BAD_SHOWN: usize = 20;
/// How many events of the store are played.
const EVENTS_MAX: usize = 1_000_000;

/// What is read at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Read {
    /// What is left when every promise is kept
    Available,
    /// What is physically there
    OnHand,
}

/// Play recorded days again under other settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without files, the days that the store has seen are played. Files may be packed (.gz).\n\nExamples:\n  selvedge stock rehearse\n  selvedge stock rehearse --orders orders.csv --movements moves.csv --opening opening.csv --time-zone Europe/Stockholm\n  selvedge stock rehearse --interval 30s,2m --buffer none --buffer quantile=0.999 --outage 4h\n  selvedge stock rehearse --data FOLDER --json"
)]
pub struct RehearseArgs {
    /// A folder with docs.csv, lines.csv and stock.csv, as the demo plays it.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["orders", "movements", "opening", "flow"])]
    data: Option<PathBuf>,
    /// What was wanted in the shop: time,order,sku,units.
    #[arg(long, value_name = "FILE", requires = "opening", conflicts_with = "flow")]
    orders: Option<PathBuf>,
    /// How the source moved apart from the shop's orders: time,sku,units.
    #[arg(long, value_name = "FILE", requires = "orders")]
    movements: Option<PathBuf>,
    /// What was there when it begins: sku,units.
    #[arg(long, value_name = "FILE", requires = "orders")]
    opening: Option<PathBuf>,
    /// What times without an offset mean, such as Europe/Stockholm.
    #[arg(long, value_name = "ZONE", requires = "orders")]
    time_zone: Option<String>,
    /// The stock flow whose history is played. [default: the first]
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// How often is polled, several joined by commas. [default: 1m,5m,10m,15m,1h, naively]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    interval: Vec<Span>,
    /// What is held back: none, fixed=N, percent=P or quantile=Q; may be given several times.
    #[arg(long, value_name = "BUFFER")]
    buffer: Vec<BufferAsked>,
    /// How long nothing goes through at the busiest time. [default: 1h]
    #[arg(long, value_name = "SPAN")]
    outage: Option<Span>,
    /// What naive polls read. [default: both in turn]
    #[arg(long, value_enum)]
    quantity: Option<Read>,
    /// Only polls that overwrite the shop's figure.
    #[arg(long)]
    naive: bool,
    /// From an order in the shop until the source has it; the same for every scenario.
    #[arg(long, value_name = "SPAN", default_value_t = EXPORT_DELAY)]
    export_delay: Span,
    /// From a promise until its units leave the shelf.
    #[arg(long, value_name = "SPAN", default_value_t = SHIP_DELAY)]
    ship_delay: Span,
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read, a store with nothing to play.
pub async fn run(about: &About, args: RehearseArgs) -> Done {
    let asked = Asked {
        intervals: args.interval.clone(),
        buffers: args.buffer.clone(),
        outage: args.outage,
        quantity: args.quantity.map(|read| match read {
            Read::Available => Quantity::Available,
            Read::OnHand => Quantity::OnHand,
        }),
        naive: args.naive,
        export_delay: args.export_delay,
        ship_delay: args.ship_delay,
    };
    if asked.intervals.len() > VALUES_MAX || asked.buffers.len() > VALUES_MAX || count(&asked) > SCENARIOS_MAX {
        return Err(unclear(
            format!("that makes up to {} scenarios, of at most {SCENARIOS_MAX}", count(&asked)),
            "Give fewer intervals or buffers, and rehearse several times.",
        ));
    }
    let material = material(about, args).await?;
    let out = about.out;
    let bar = out.progress(u64::try_from(count(&asked)).unwrap_or(0), "playing");
    let played = play(material, &asked, || bar.inc(1));
    bar.finish_and_clear();
    let rehearsal =
        played.map_err(|error| failed(error.to_string(), "Nothing was played.", "Correct the files and try again."))?;
    if out.json {
        out.json(&rehearsal)?
    } else {
        tell(out, &rehearsal)?
    }
    Ok(0)
}

async fn material(about: &About, args: RehearseArgs) -> Result<Material, Failure> {
    let unread = |error: ImportError| {
        failed(error.to_string(), "Nothing was played.", "selvedge stock rehearse --help says what the files look like.")
    };
    if let Some(folder) = args.data {
        return online_retail(&folder).map_err(unread);
    }
    if let (Some(orders), Some(opening)) = (args.orders, args.opening) {
        let zone = args.time_zone.map(|name| {
            TimeZone::get(&name)
                .map_err(|_| unclear(format!("{} is no time zone", clean(&cut(&name, 60))), "Write it like Europe/Stockholm."))
        });
        return Files { orders, movements: args.movements, opening, zone: zone.transpose()? }.read().map_err(unread);
    }
    let config = about.config()?;
    let flow = args.flow.map(|name| FlowName::new(name.trim())).or_else(|| config.stocks.keys().next().cloned());
    let Some(flow) = flow else {
        return Err(failed(
            "no stock flow is configured",
            "The store has no history of stock to play.",
            "Give the recording as files: --orders, --movements and --opening.",
        ));
    };
    let store = about.store_to_read(&config).await?;
    let of = Of { brand: config.brand.clone(), flow };
    history(&store, of, EVENTS_MAX).await?.map_err(|missing| {
        failed(
            "the history is too short to be played",
            missing.join(" "),
            "Let it run for some days, or give the recording as files: --orders, --movements and --opening.",
        )
    })
}

/// A stretch of milliseconds, in the largest unit that leaves it a number to read.
fn stretch(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..36_000_000 => format!("{} min", ms / 60_000),
        36_000_000..864_000_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

fn tell(out: Out, rehearsal: &Rehearsal) -> Result<(), Failure> {
    let recording = &rehearsal.recording;
    out.say(format!(
        "{} to {}: {}, {}, {}",
        moment(recording.from),
        moment(recording.until),
        counted(recording.skus, "SKU"),
        counted(recording.lines, "order line"),
        counted(recording.moves, "other movement")
    ))?;
    for note in &rehearsal.notes {
        out.say(format!("  {}", clean(note)))?;
    }
    if rehearsal.bad_rows > 0 {
        out.line(format!("{} left out:", counted(rehearsal.bad_rows, "bad row")))?;
        for bad in rehearsal.bad.iter().take(BAD_SHOWN) {
            out.line(format!("  {}", clean(&bad.to_string())))?;
        }
        if rehearsal.bad_rows > 20 {
            out.line("  and more; --json names the first thousand")?;
        }
    }
    out.table(
        ["SCENARIO", "OVERSOLD", "SKUS", "LINES", "LOST: BUFFER", "STALENESS", "EMPTINESS", "STALE P50", "P99", "MAX", "WRITTEN"],
        rehearsal.scenarios.iter().map(|played| {
            let outcome = &played.outcome;
            let age = |of: fn(&selvedge_model::stock::rehearse::Staleness) -> u64| {
                outcome.staleness.as_ref().map_or_else(|| "-".to_owned(), |staleness| stretch(of(staleness)))
            };
            [
                played.name.clone(),
                outcome.oversold.to_string(),
                outcome.oversold_skus.to_string(),
                outcome.oversold_lines.to_string(),
                outcome.lost_to_buffer.to_string(),
                outcome.lost_to_staleness.to_string(),
                outcome.lost_to_emptiness.to_string(),
                age(|staleness| staleness.p50_ms),
                age(|staleness| staleness.p99_ms),
                age(|staleness| staleness.max_ms),
                outcome.figures_written.to_string(),
            ]
        }),
    )?;
    out.say(format!(
        "{} in {} ms, {} a minute. Units, unless a column says otherwise; docs/rehearse.md says what is left out.",
        counted(u64::try_from(rehearsal.scenarios.len()).unwrap_or(u64::MAX), "scenario"),
        rehearsal.took_us / 1_000,
        rehearsal.a_minute
    ))
}
