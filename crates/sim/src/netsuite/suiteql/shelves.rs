//! The quick way to the rows of stock: which items, places and times the conditions of a query allow.

use std::collections::BTreeSet;

use super::super::stock::Slice;
use super::parse::{Expr, Op};
use super::tables::{Col, Row, Table};
use super::{Cell, Engine, Outcome, Plan, last_table, mirrored, number};

impl<'a> Engine<'a> {
    /// The slice of the stock that the conditions on the table at `at` leave, and the conditions that it decides.
    pub(super) fn slice<'e>(
        &self,
        at: usize,
        conditions: impl Iterator<Item = &'e Expr>,
        current: &[Row<'a>],
    ) -> Outcome<(Slice, Vec<&'e Expr>)> {
        let mut slice = Slice::default();
        let mut used = Vec::new();
        for condition in conditions {
            match condition {
                Expr::Binary(op, left, right) => {
                    let (col, other, op) = match (&**left, &**right) {
                        (Expr::Column(t, col), other) if *t == at => (*col, other, *op),
                        (other, Expr::Column(t, col)) if *t == at => (*col, other, mirrored(*op)),
                        _ => continue,
                    };
                    if last_table(other).is_some_and(|t| t >= at) {
                        continue;
                    }
                    let value = self.eval(other, current, None)?;
                    match (col, op) {
                        (Col::Item | Col::Location, Op::Eq) => {
                            narrow(&mut slice, col, whole(&value).into_iter().collect());
                        }
                        (Col::Item, Op::Gt | Op::Ge) => {
                            let Some(low) = whole(&value) else { continue };
                            slice.from = slice.from.max(low.saturating_add(u32::from(op == Op::Gt)));
                        }
                        (Col::LastQuantityAvailableChange, Op::Gt | Op::Ge) if value != Cell::Null => {
                            let since = self.as_instant(&value)?.saturating_add(i64::from(op == Op::Gt));
                            // What never changed has no time.
                            slice.since = Some(slice.since.unwrap_or(1).max(since));
                        }
                        _ => continue,
                    }
                    used.push(condition);
                }
                Expr::In(of, list, false) => {
                    let Expr::Column(t, col @ (Col::Item | Col::Location)) = &**of else { continue };
                    if *t != at || list.iter().any(|value| last_table(value).is_some()) {
                        continue;
                    }
                    let mut values = BTreeSet::new();
                    for value in list {
                        values.extend(whole(&self.eval(value, current, None)?));
                    }
                    narrow(&mut slice, *col, values);
                    used.push(condition);
                }
                _ => {}
            }
        }
        Ok((slice, used))
    }
}

/// Leaves only these items or places.
fn narrow(slice: &mut Slice, col: Col, values: BTreeSet<u32>) {
    let place = if col == Col::Item { &mut slice.items } else { &mut slice.locations };
    *place = Some(match place.take() {
        Some(before) => before.intersection(&values).copied().collect(),
        None => values,
    });
}

/// An id, if the value is one.
fn whole(value: &Cell<'_>) -> Option<u32> {
    number(value)?.text(0).parse().ok()
}

/// Whether the rows of a query that begins with stock come in the wanted order by themselves, no two of them equal in it:
/// they come by item, then place.
pub(super) fn in_order(plan: &Plan) -> bool {
    let stock = matches!(plan.tables.first(), Some(Table::PerPlace | Table::PerPlaceFull));
    // Each row of stock has at most one item.
    let single = plan.tables.iter().zip(&plan.matching).enumerate().skip(1).all(|(at, (table, matching))| {
        *table == Table::Item
            && matching.iter().any(|condition| {
                matches!(condition, Expr::Binary(Op::Eq, left, right)
                    if [left, right].iter().any(|side| matches!(***side, Expr::Column(t, Col::Id) if t == at))
                        && [left, right].iter().any(|side| matches!(***side, Expr::Column(0, Col::Item))))
            })
    });
    let one_place = || {
        plan.matching.first().is_some_and(|matching| {
            matching.iter().any(|condition| {
                matches!(condition, Expr::Binary(Op::Eq, left, right)
                    if [left, right].iter().any(|side| matches!(***side, Expr::Column(0, Col::Location)))
                        && [left, right].iter().any(|side| last_table(side).is_none()))
            })
        })
    };
    let by = |order: &(Expr, bool), col: Col| matches!(order, (Expr::Column(0, known), false) if *known == col);
    stock
        && single
        && match plan.order.as_slice() {
            [first] => by(first, Col::Item) && one_place(),
            [first, second] => by(first, Col::Item) && by(second, Col::Location),
            _ => false,
        }
}
