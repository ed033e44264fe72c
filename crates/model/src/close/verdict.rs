//! Whether a period may be signed, and what stands against it.
//!
//! Open items are no obstacle: a month may be signed with every one of them listed beside its owner. What does not add up is: a
//! count, a sum or a cent that nothing explains may hide anything.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::{
    balance::TrialBalance,
    row::{CloseRow, Verdict},
};
use crate::{
    id::FlowName,
    moment::Interval,
    money::{Currency, Money, MoneyError},
    records::Kind,
};

/// One of the two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it is to stand.
    Target,
}

impl End {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            End::Source => "source",
            End::Target => "target",
        }
    }

    /// The end with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [End::Source, End::Target].into_iter().find(|end| end.word() == word)
    }
}

/// What was read from one end for the period, counted and summed where it was read: not from the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumerated {
    /// The flow.
    pub flow: FlowName,
    /// The kind of document.
    pub kind: Kind,
    /// Which end.
    pub end: End,
    /// How many documents.
    pub documents: u64,
    /// What they come to with tax, one amount for each currency; zero may be left out.
    pub sums: Vec<Money>,
}

/// Rows that share a fault: how many, and the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faulty {
    /// How many.
    pub count: u64,
    /// The key of the first.
    pub first: String,
}

impl Faulty {
    fn add(&mut self, row: &CloseRow) {
        if self.count == 0 {
            self.first = format!("{} {}", row.kind, row.key);
        }
        self.count = self.count.saturating_add(1);
    }
}

/// What stands against signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// The period has not ended.
    NotOver {
        /// When it ends.
        ends: Timestamp,
    },
    /// There is no row and nothing was enumerated.
    Nothing,
    /// One end was not read whole.
    NotEnumerated {
        /// The flow.
        flow: FlowName,
        /// The kind.
        kind: Kind,
        /// Which end.
        end: End,
    },
    /// More or fewer documents than the rows account for.
    Counts {
        /// The flow.
        flow: FlowName,
        /// The kind.
        kind: Kind,
        /// Which end.
        end: End,
        /// Documents that were read.
        read: u64,
        /// Documents that stand in rows.
        rows: u64,
    },
    /// The documents come to another sum than the rows.
    Sums {
        /// The flow.
        flow: FlowName,
        /// The kind.
        kind: Kind,
        /// Which end.
        end: End,
        /// What was read.
        read: Money,
        /// What stands in rows.
        rows: Money,
    },
    /// A difference that no row explains.
    Unexplained {
        /// The flow.
        flow: FlowName,
        /// The kind.
        kind: Kind,
        /// Of which market.
        market: String,
        /// At which tax rate.
        rate: String,
        /// Without tax.
        net: Money,
        /// The tax.
        tax: Money,
    },
    /// In flight past its time.
    Overdue(Faulty),
    /// Open, and nobody owns it.
    Unowned(Faulty),
    /// Of another period.
    Outside(Faulty),
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = |count: u64| format!("{count} document{}", if count == 1 { "" } else { "s" });
        match self {
            Against::NotOver { ends } => write!(f, "the period is not over: it ends at {ends}"),
            Against::Nothing => f.write_str("nothing was reconciled for this period: no row, and nothing read on either side"),
            Against::NotEnumerated { flow, kind, end } => {
                write!(f, "{flow}: the {kind}s of the {} were not read whole for this period", end.word())
            }
            Against::Counts { flow, kind, end, read, rows } => write!(
                f,
                "{flow}: {} of kind {kind} were read at the {}, the rows account for {rows}",
                documents(*read),
                end.word()
            ),
            Against::Sums { flow, kind, end, read, rows } => {
                write!(f, "{flow}: the {kind}s read at the {} come to {read}, the rows to {rows}", end.word())
            }
            Against::Unexplained { flow, kind, market, rate, net, tax } => {
                let market = if market.is_empty() { "no market" } else { market };
                write!(
                    f,
                    "{flow}: no row explains a difference of {net} net and {tax} tax ({kind}, market {market}, rate {rate})"
                )
            }
            Against::Overdue(rows) => {
                write!(f, "{} in flight past the time they were expected, first {}", Rows(rows.count), rows.first)
            }
            Against::Unowned(rows) => write!(f, "{} open without an owner, first {}", Rows(rows.count), rows.first),
            Against::Outside(rows) => write!(f, "{} of another period, first {}", Rows(rows.count), rows.first),
        }
    }
}

struct Rows(u64);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} row{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// What was read at one end: documents, and sums by currency.
type Read = (u64, BTreeMap<Currency, Money>);

/// Where a period stands after its rows were taken in.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The trial balance.
    pub balance: TrialBalance,
    /// All rows.
    pub rows: u64,
    /// Open items.
    pub open: u64,
    /// Agreed with a difference that a rule accepts.
    pub adjusted: u64,
    bounds: Interval,
    overdue: Faulty,
    unowned: Faulty,
    outside: Faulty,
    now: Timestamp,
}

impl Standing {
    /// Before the first row.
    pub fn new(bounds: Interval, now: Timestamp) -> Self {
        Self {
            balance: TrialBalance::default(),
            rows: 0,
            open: 0,
            adjusted: 0,
            bounds,
            overdue: Faulty::default(),
            unowned: Faulty::default(),
            outside: Faulty::default(),
            now,
        }
    }

    /// Takes a row in.
    ///
    /// # Errors
    /// As [`TrialBalance::add`].
    pub fn take(&mut self, row: &CloseRow) -> Result<(), MoneyError> {
        self.balance.add(row)?;
        self.rows = self.rows.saturating_add(1);
        if !self.bounds.contains(row.at) {
            self.outside.add(row);
        }
        match &row.verdict {
            Verdict::Open(open) => {
                self.open = self.open.saturating_add(1);
                if open.owner.as_ref().is_none_or(|owner| owner.trim().is_empty()) {
                    self.unowned.add(row);
                }
            }
            Verdict::Agreed(Some(_)) => self.adjusted = self.adjusted.saturating_add(1),
            Verdict::InFlight { until } if *until <= self.now => self.overdue.add(row),
            _ => {}
        }
        Ok(())
    }

    /// What stands against signing; nothing: it may be signed.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn against(&self, enumerated: &[Enumerated]) -> Result<Vec<Against>, MoneyError> {
        let mut against = Vec::new();
        if self.now < self.bounds.to {
            against.push(Against::NotOver { ends: self.bounds.to });
        }
        if self.rows == 0 && enumerated.is_empty() {
            against.push(Against::Nothing);
        }
        self.completeness(enumerated, &mut against)?;
        for (key, line) in self.balance.lines().filter(|(_, line)| !line.unexplained.is_zero()) {
            against.push(Against::Unexplained {
                flow: key.flow.clone(),
                kind: key.kind,
                market: key.market.clone(),
                rate: key.rate.to_string(),
                net: line.unexplained.net,
                tax: line.unexplained.tax,
            });
        }
        let some = |rows: &Faulty, made: fn(Faulty) -> Against| (rows.count > 0).then(|| made(rows.clone()));
        against.extend(some(&self.overdue, Against::Overdue));
        against.extend(some(&self.unowned, Against::Unowned));
        against.extend(some(&self.outside, Against::Outside));
        Ok(against)
    }

    /// Counts and sums of what was read against those of the rows.
    fn completeness(&self, enumerated: &[Enumerated], against: &mut Vec<Against>) -> Result<(), MoneyError> {
        // Several connections may serve one end.
        let mut read: BTreeMap<(&FlowName, Kind, End), Read> = BTreeMap::new();
        for one in enumerated {
            let (documents, sums) = read.entry((&one.flow, one.kind, one.end)).or_default();
            *documents = documents.saturating_add(one.documents);
            for money in &one.sums {
                let sum = sums.entry(money.currency()).or_insert(Money::zero(money.currency()));
                *sum = sum.plus(*money)?;
            }
        }
        for (flow, kind, _) in self.balance.counts() {
            for end in [End::Source, End::Target] {
                if !read.contains_key(&(flow, kind, end)) {
                    against.push(Against::NotEnumerated { flow: flow.clone(), kind, end });
                }
            }
        }
        let sums = self.balance.sums()?;
        for ((flow, kind, end), (documents, read_sums)) in read {
            let counts = self.balance.counts_of(flow, kind);
            let rows = match end {
                End::Source => counts.sources.total(),
                End::Target => counts.targets.total(),
            };
            if documents != rows {
                against.push(Against::Counts { flow: flow.clone(), kind, end, read: documents, rows });
            }
            let mut in_rows: BTreeMap<Currency, Money> = BTreeMap::new();
            for ((.., currency), line) in sums.iter().filter(|((of, what, _), _)| of == flow && *what == kind) {
                let side = if end == End::Source { line.ours } else { line.theirs };
                in_rows.insert(*currency, side.gross()?);
            }
            let mut currencies: Vec<Currency> = in_rows.keys().chain(read_sums.keys()).copied().collect();
            currencies.sort();
            currencies.dedup();
            for currency in currencies {
                let of = |sums: &BTreeMap<Currency, Money>| sums.get(&currency).copied().unwrap_or(Money::zero(currency));
                let (read, rows) = (of(&read_sums), of(&in_rows));
                if read != rows {
                    against.push(Against::Sums { flow: flow.clone(), kind, end, read, rows });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::balance::tests::{money, open, row, side};

    fn bounds() -> Interval {
        Interval { from: "2026-11-01T00:00:00Z".parse().unwrap(), to: "2026-12-01T00:00:00Z".parse().unwrap() }
    }

    fn enumerated(end: End, documents: u64, sum: i64) -> Enumerated {
        Enumerated { flow: "orders".into(), kind: Kind::Order, end, documents, sums: vec![money(sum, "SEK")] }
    }

    fn against(rows: &[CloseRow], enumerated: &[Enumerated], now: &str) -> Vec<String> {
        let mut standing = Standing::new(bounds(), now.parse().unwrap());
        for row in rows {
            standing.take(row).unwrap();
        }
        standing.against(enumerated).unwrap().iter().map(Against::to_string).collect()
    }

    const AFTER: &str = "2026-12-03T00:00:00Z";

    fn month() -> Vec<CloseRow> {
        let good = || Some(side(&[("25", 8000, 2000)], "SEK"));
        let until = "2026-12-04T00:00:00Z".parse().unwrap();
        vec![
            row("1", good(), good(), Verdict::Agreed(None)),
            row("2", good(), None, open(&[money(10000, "SEK")])),
            row("3", good(), None, Verdict::Excluded { rule: "internal".to_owned(), version: "3".to_owned() }),
            row("4", good(), None, Verdict::InFlight { until }),
        ]
    }

    #[test]
    fn a_month_with_owned_open_items_may_be_signed() {
        let ends = [enumerated(End::Source, 4, 40000), enumerated(End::Target, 1, 10000)];
        assert_eq!(against(&month(), &ends, AFTER), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_does_not_add_up_stands_against_it() {
        let ends = [enumerated(End::Source, 4, 40000), enumerated(End::Target, 1, 10000)];
        let changed = |change: fn(&mut Vec<CloseRow>)| {
            let mut rows = month();
            change(&mut rows);
            rows
        };
        for (rows, ends, now, words) in [
            (month(), ends.to_vec(), "2026-11-30T00:00:00Z", "the period is not over"),
            (month(), ends.to_vec(), "2026-12-04T00:00:00Z", "1 row in flight past"),
            (
                month(),
                vec![enumerated(End::Source, 5, 40000), ends[1].clone()],
                AFTER,
                "5 documents of kind order were read at the source, the rows account for 4",
            ),
            (
                month(),
                vec![enumerated(End::Source, 4, 40001), ends[1].clone()],
                AFTER,
                "come to 400.01 SEK, the rows to 400.00 SEK",
            ),
            (month(), vec![ends[0].clone(), enumerated(End::Target, 1, 10001)], AFTER, "read at the target come to 100.01 SEK"),
            (month(), vec![ends[0].clone()], AFTER, "the orders of the target were not read whole"),
            (vec![], vec![], AFTER, "nothing was reconciled"),
            (
                changed(|rows| rows[0].at = "2026-12-01T00:00:00Z".parse().unwrap()),
                ends.to_vec(),
                AFTER,
                "1 row of another period, first order 1",
            ),
            (
                changed(|rows| {
                    if let Verdict::Open(open) = &mut rows[1].verdict {
                        open.owner = Some(" ".to_owned());
                    }
                }),
                ends.to_vec(),
                AFTER,
                "1 row open without an owner, first order 2",
            ),
            (
                changed(|rows| {
                    if let Verdict::Open(open) = &mut rows[1].verdict {
                        open.money = vec![money(9999, "SEK")];
                    }
                }),
                ends.to_vec(),
                AFTER,
                "no row explains a difference of 0.01 SEK net and 0.00 SEK tax (order, market 2, rate 25)",
            ),
        ] {
            let found = against(&rows, &ends, now);
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        }
    }
}
