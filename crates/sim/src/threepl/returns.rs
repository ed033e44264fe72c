//! What comes back to the warehouse.

use std::collections::BTreeMap;

use crate::mischief::{Profile, hash_text};

use super::files::{self, Announcement, Arrival, Order, Piece};
use super::{Format, ThreePl, can_move};

/// What can become of what comes back: its word and its grade.
const GOOD: (&str, &str) = ("restock", "A");
const BAD: (&str, &str) = ("scrap", "D");
const DOUBTFUL: (&str, &str) = ("hold", "B");

fn piece(line: &str, sku: &str, announced: i64, units: i64, (word, grade): (&str, &str)) -> Piece {
    Piece { line: line.to_owned(), sku: sku.to_owned(), announced, units, word: word.to_owned(), grade: grade.to_owned() }
}

impl ThreePl {
    /// What came back, one row per item and condition: `ref,order,sku,announced,received,disposition,reason`, by reference.
    pub fn returns_csv(&self) -> String {
        let state = self.0.state();
        let mut rows: Vec<String> = state
            .arrivals
            .values()
            .flat_map(|arrival| arrival.pieces.iter().map(move |piece| (arrival, piece)))
            .map(|(arrival, piece)| {
                let texts = [
                    files::cell(&arrival.reference),
                    files::cell(&arrival.order),
                    files::cell(&piece.sku),
                    piece.announced.to_string(),
                    piece.units.to_string(),
                    piece.word.clone(),
                    files::cell(&arrival.reason),
                ];
                texts.join(",")
            })
            .collect();
        rows.sort();
        rows.insert(0, "ref,order,sku,announced,received,disposition,reason".to_owned());
        rows.iter().map(|row| format!("{row}\n")).collect()
    }

    /// Returns that were announced and not taken back, by the shop's number of them.
    pub fn announced_returns(&self) -> Vec<String> {
        let state = self.0.state();
        state.announcements.values().filter(|one| !one.withdrawn).map(|one| one.reference.clone()).collect()
    }

    pub(super) fn announced(&self, name: &str, one: Announcement) -> anyhow::Result<()> {
        if self.0.state().announcements.get(&one.reference).is_some_and(|known| !known.withdrawn) {
            self.blame(format!("{name}: return {} is here already", one.reference));
        }
        for line in &one.lines {
            if !self.0.items.is_empty() && !self.0.items.iter().any(|item| item.sku == line.sku) {
                self.blame(format!("{name}: return {} is of {}, which is unknown here", one.reference, line.sku));
            }
        }
        self.answer_180(&one.control)?;
        self.0.state().put_announcement(one)
    }

    pub(super) fn withdrawn(&self, name: &str, reference: &str) -> anyhow::Result<()> {
        let known = self.0.state().announcements.get(reference).cloned();
        match known {
            Some(one) => {
                // What has arrived has arrived.
                let withdrawn = !one.arrived;
                self.0.state().put_announcement(Announcement { withdrawn, ..one })
            }
            None => {
                self.blame(format!("{name}: takes back return {reference}, which was never announced"));
                Ok(())
            }
        }
    }

    fn answer_180(&self, control: &str) -> anyhow::Result<()> {
        if self.0.options.format != Format::X12 || !self.0.options.acknowledges {
            return Ok(());
        }
        let number = self.0.state().next_file();
        let text = files::x12_answer(("AN", "180", control), number, false, &self.0.options.warehouse);
        self.put(&format!("ack_{number:06}.x12"), text.as_bytes())?;
        self.0.state().take_file(number)
    }

    /// Whether something is still to come back, or to be told of.
    pub(super) fn awaits(&self) -> bool {
        let state = self.0.state();
        state.announcements.values().any(|one| !one.withdrawn && !one.arrived)
            || state.arrivals.values().any(|arrival| arrival.again || !arrival.told)
            || state.orders.values().any(|order| may_come_back(order) && !order.looked_at)
    }

    /// Each announced return waits a turn or arrives; an order that has left may come back unannounced.
    pub(super) fn take_back(&self) -> anyhow::Result<usize> {
        let mut done = 0;
        let untold: Vec<Arrival> = self.0.state().arrivals.values().filter(|one| one.again || !one.told).cloned().collect();
        for one in untold {
            let bad = one.again && !one.told;
            self.tell_return(&one, bad)?;
            self.0.state().put_arrival(Arrival { told: true, again: bad, ..one })?;
            done += 1;
        }
        let open: Vec<Announcement> =
            self.0.state().announcements.values().filter(|one| !one.withdrawn && !one.arrived).cloned().collect();
        for one in open {
            done += 1;
            let turns = 1 + self.0.mischief.pick("back", hash_text(&one.reference), 3);
            if one.waited < turns {
                self.0.state().put_announcement(Announcement { waited: one.waited + 1, ..one })?;
                continue;
            }
            // A kill may have come between the parcel and the word that it is here.
            if !self.0.state().arrivals.contains_key(&one.reference) {
                let arrival = self.parcel(&one);
                self.0.state().put_arrival(arrival)?;
            }
            self.0.state().put_announcement(Announcement { arrived: true, ..one })?;
        }
        let left: Vec<Order> =
            self.0.state().orders.values().filter(|order| may_come_back(order) && !order.looked_at).cloned().collect();
        for order in left {
            done += 1;
            if let Some(arrival) = self.unannounced(&order) {
                self.0.state().put_arrival(arrival)?;
            }
            self.0.state().put(Order { looked_at: true, ..order })?;
        }
        Ok(done)
    }

    /// What is in the parcel of an announced return.
    fn parcel(&self, one: &Announcement) -> Arrival {
        let key = hash_text(&one.reference);
        let mut pieces: Vec<Piece> =
            one.lines.iter().map(|line| piece(&line.id, &line.sku, line.quantity, line.quantity, GOOD)).collect();
        let (mut reason, mut comment) = (one.reason.clone(), String::new());
        match self.0.mischief.pick("parcel", key, 12) {
            // Short: one unit less, at times nothing at all.
            0 => {
                if let Some(last) = pieces.last_mut() {
                    last.units -= 1;
                    comment = "one is missing".to_owned();
                }
            }
            // Over.
            1 => {
                if let Some(first) = pieces.first_mut() {
                    first.units += 1;
                    comment = "one more than announced".to_owned();
                }
            }
            // Another item.
            2 => {
                let other = self.0.items.iter().find(|item| item.parts.is_empty() && one.lines.iter().all(|l| l.sku != item.sku));
                if let (Some(first), Some(other)) = (pieces.first_mut(), other) {
                    first.units -= 1;
                    pieces.push(piece("", &other.sku, 0, 1, DOUBTFUL));
                    comment = "wrong item in parcel".to_owned();
                }
            }
            // In mixed condition.
            3 | 4 => {
                let split: Vec<Piece> = pieces
                    .iter()
                    .flat_map(|whole| {
                        let (bad, good) = ((whole.units + 1) / 2, whole.units / 2);
                        let parts = [
                            piece(&whole.line, &whole.sku, whole.announced, good, GOOD),
                            piece(&whole.line, &whole.sku, 0, bad, BAD),
                        ];
                        parts.into_iter().filter(|part| part.units > 0)
                    })
                    .collect();
                pieces = split;
                comment = "torn".to_owned();
            }
            // All of it doubtful.
            5 => pieces.iter_mut().for_each(|one| (one.word, one.grade) = (DOUBTFUL.0.to_owned(), DOUBTFUL.1.to_owned())),
            _ => {}
        }
        if reason.is_empty() {
            reason = ["TOO_SMALL", "TOO_LARGE", "NOT_AS_EXPECTED"][usize::try_from(key % 3).unwrap_or(0)].to_owned();
        }
        let again = self.0.mischief.profile() != Profile::None && self.0.mischief.pick("told badly", key, 6) == 0;
        let at = self.0.mischief.now().as_millisecond();
        Arrival {
            cause: one.reference.clone(),
            reference: one.reference.clone(),
            order: one.order.clone(),
            reason,
            comment,
            pieces,
            at,
            told: false,
            again,
        }
    }

    /// What comes back of an order that nobody announced: all of it undelivered, or a unit without a paper.
    fn unannounced(&self, order: &Order) -> Option<Arrival> {
        // What the shop expects back comes as it is announced.
        if self.0.state().announcements.values().any(|one| one.order == order.doc && !one.withdrawn) {
            return None;
        }
        let mut gone: BTreeMap<usize, i64> = BTreeMap::new();
        for (line, units) in order.shipments.iter().flat_map(|shipment| &shipment.lines) {
            *gone.entry(*line).or_default() += units;
        }
        let at = self.0.mischief.now().as_millisecond();
        let of = |line: usize, units: i64, paper: bool, what: (&str, &str)| {
            let id = order.lines.get(line).filter(|_| paper).map(|line| line.id.clone()).unwrap_or_default();
            piece(&id, &order.sku(line), 0, units, what)
        };
        match self.0.mischief.pick("unannounced", hash_text(&order.doc), 30) {
            0 => Some(Arrival {
                cause: format!("order {}", order.doc),
                reference: format!("U{}", order.doc),
                order: order.doc.clone(),
                reason: "UNDELIVERABLE".to_owned(),
                comment: "addressee unknown".to_owned(),
                pieces: gone.into_iter().map(|(line, units)| of(line, units, true, GOOD)).collect(),
                at,
                told: false,
                again: false,
            }),
            1 => gone.into_iter().next().map(|(line, _)| Arrival {
                cause: format!("order {}", order.doc),
                reference: String::new(),
                order: String::new(),
                reason: "UNANNOUNCED".to_owned(),
                comment: "no paper in parcel".to_owned(),
                pieces: vec![of(line, 1, false, DOUBTFUL)],
                at,
                told: false,
                again: false,
            }),
            _ => None,
        }
    }

    fn tell_return(&self, arrival: &Arrival, bad: bool) -> anyhow::Result<()> {
        let number = self.0.state().next_file();
        let warehouse = &self.0.options.warehouse;
        let (file, text) = match self.0.options.format {
            Format::Csv => (format!("ret_{warehouse}_{number:06}.csv"), files::csv_return(arrival, warehouse, bad)),
            Format::X12 => (format!("ret_{warehouse}_{number:06}.x12"), files::x12_return(arrival, number, warehouse, bad)),
        };
        self.put(&file, text.as_bytes())?;
        self.0.state().take_file(number)
    }
}

/// Whether all of an order has left that will, so that it can come back.
fn may_come_back(order: &Order) -> bool {
    !order.shipments.is_empty() && !can_move(order)
}
