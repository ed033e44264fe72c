//! What would be signed, as CSV on standard output.

use std::io::{BufWriter, Write};

use clap::ValueEnum;
use selvedge_model::close::Standing;

use super::{Place, rows::Input, show::off_thread};
use crate::{
    commands::out::{Done, Failure},
    pack::{cells::line, rows, tables},
};

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Every row, chained as in a pack
    Rows,
    /// The trial balance
    TrialBalance,
    /// Open items with their owners
    OpenItems,
    /// Differences accepted under a rule
    Adjustments,
    /// The statements that were read
    Evidence,
}

/// Writes it.
pub(super) async fn run(place: &Place, input: Input, what: What) -> Done {
    let bounds = place.bounds;
    let written = off_thread(move || Ok(write(&mut BufWriter::new(std::io::stdout().lock()), input, bounds, what))).await?;
    match written {
        Ok(()) => Ok(0),
        // Whoever listened has gone away.
        Err(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => Err(Failure::from(error)),
            Err(error) => Err(Failure::from(error)),
        },
    }
}

pub(super) fn write(out: &mut impl Write, input: Input, bounds: selvedge_model::Interval, what: What) -> anyhow::Result<()> {
    let header = match what {
        What::Rows => rows::header(),
        What::TrialBalance => line(tables::TRIAL_BALANCE_COLUMNS),
        What::OpenItems => line(tables::OPEN_ITEM_COLUMNS),
        What::Adjustments => line(tables::ADJUSTMENT_COLUMNS),
        What::Evidence => line(tables::EVIDENCE_COLUMNS),
    };
    writeln!(out, "{header}")?;
    if what == What::Evidence {
        for one in &input.evidence {
            writeln!(out, "{}", tables::evidence(one))?;
        }
        return Ok(out.flush()?);
    }
    let mut hash = rows::start();
    // Whether it is over, and what stands against it, is not asked here.
    let mut standing = Standing::new(bounds, bounds.to);
    for row in input.rows {
        let row = row?;
        match what {
            What::Rows => {
                let text = rows::write(&row);
                hash = rows::link(&hash, &text);
                writeln!(out, "{text}{hash}")?;
            }
            What::TrialBalance => standing.take(&row)?,
            What::OpenItems => {
                if let Some(cells) = tables::open_item(&row) {
                    writeln!(out, "{}", line(cells))?;
                }
            }
            What::Adjustments | What::Evidence => {
                if let Some(cells) = tables::adjustment(&row) {
                    writeln!(out, "{}", line(cells))?;
                }
            }
        }
    }
    for (key, of) in standing.balance.lines() {
        writeln!(out, "{}", line(tables::trial_balance(key, of)?))?;
    }
    Ok(out.flush()?)
}
