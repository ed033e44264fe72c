//! SuiteQL: enough of it for looking up by key, paging by key, counting, and reading orders with their lines.
//!
//! Source: the vendor's help topics "Executing SuiteQL Queries Through REST Web Services" and "SuiteQL Syntax and
//! Examples". Rows without `ORDER BY`, and rows that an `ORDER BY` leaves equal, come in a new order each time.

mod parse;
mod shelves;
mod tables;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::fixed::Fixed;
use super::json::Json;
use super::periods::Period;
use super::seed::Items;
use super::state::State;
use super::stock::Slice;
use crate::mischief::mix;
use parse::{Aggregate, Expr, Op, Select};
use tables::{Access, Col, Row, Table};

/// A value. Truth values are the texts `T` and `F`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Num(Fixed),
    Date(Date),
    /// Seconds since 1970.
    Time(i64),
}

/// What a query runs against.
pub(super) struct Engine<'a> {
    pub(super) state: &'a State,
    pub(super) items: &'a Items,
    /// The accounting periods, where they are asked for.
    pub(super) periods: &'a [Period],
    /// Whether there is a column `lastquantityavailablechange`.
    pub(super) change_time: bool,
    /// The session's zone: timestamps are shown and read in it.
    pub(super) zone: &'a TimeZone,
    pub(super) now: Timestamp,
    /// Changes with each query, so that an unstated order does too.
    pub(super) shuffle: u64,
}

/// Most rows looked at by one query.
const MOST_STEPS: u64 = 50_000_000;
/// Most rows that can be paged through.
pub(super) const MOST_ROWS: usize = 100_000;

/// The rows of a query, all tables of one row side by side.
struct Rows<'a> {
    width: usize,
    flat: Vec<Row<'a>>,
}

impl<'a> Rows<'a> {
    fn count(&self) -> usize {
        self.flat.len().checked_div(self.width).unwrap_or(0)
    }

    fn at(&self, at: usize) -> &[Row<'a>] {
        self.flat.get(at * self.width..(at + 1) * self.width).unwrap_or(&[])
    }
}

/// A query with its names resolved.
struct Plan {
    tables: Vec<Table>,
    outer: Vec<bool>,
    /// Conditions to check as soon as a table has its row: those that decide whether a row matches.
    matching: Vec<Vec<Expr>>,
    /// For left-joined tables: those that are checked whether or not it matched.
    after: Vec<Vec<Expr>>,
    columns: Vec<(Expr, String)>,
    group: Vec<Expr>,
    grouped: bool,
    distinct: bool,
    order: Vec<(Expr, bool)>,
}

type Outcome<T> = Result<T, String>;

impl<'a> Engine<'a> {
    /// Answers a query with a page as JSON. The error says what the vendor would.
    pub(super) fn answer(
        &self,
        query: &str,
        params: &[Cell<'static>],
        limit: usize,
        offset: usize,
        url: &str,
    ) -> Outcome<String> {
        let select = parse::parse(query, params)?;
        let plan = self.plan(select)?;
        let (total, page) = self.run(&plan, offset, limit)?;
        let count = page.len();
        let mut json = Json::with_capacity(200 + count * 160);
        json.open('{');
        json.link("self", &format!("{url}?limit={limit}&offset={offset}"));
        json.raw("count", &count.to_string());
        json.flag("hasMore", offset + count < total);
        json.key("items");
        json.open('[');
        for row in page {
            json.open('{');
            json.raw("links", "[]");
            for ((_, name), cell) in plan.columns.iter().zip(row) {
                if let Some(text) = self.text(&cell) {
                    json.text(name, &text);
                }
            }
            json.close('}');
        }
        json.close(']');
        json.raw("offset", &offset.to_string());
        json.raw("totalResults", &total.to_string());
        json.close('}');
        Ok(json.finish())
    }

    // ---- planning ----

    fn plan(&self, select: Select) -> Outcome<Plan> {
        let mut tables = Vec::new();
        let mut aliases: Vec<(String, Table)> = Vec::new();
        for from in &select.from {
            let table = Table::find(&from.table).ok_or_else(|| format!("Record '{}' was not found", from.table))?;
            if aliases.iter().any(|(alias, _)| *alias == from.alias) {
                return Err(format!("Duplicate alias '{}'", from.alias));
            }
            tables.push(table);
            aliases.push((from.alias.clone(), table));
        }
        let mut plan = Plan {
            outer: select.from.iter().map(|from| from.outer).collect(),
            matching: vec![Vec::new(); tables.len()],
            after: vec![Vec::new(); tables.len()],
            tables,
            columns: Vec::new(),
            group: Vec::new(),
            grouped: false,
            distinct: select.distinct,
            order: Vec::new(),
        };
        for (at, from) in select.from.into_iter().enumerate() {
            if let Some(on) = from.on {
                for part in conjuncts(self.resolve(on, &aliases, true)?) {
                    let last = last_table(&part).unwrap_or(0);
                    let home = if from.outer { at } else { last };
                    if last > at {
                        return Err("a join refers to a table that comes later".into());
                    }
                    if let Some(list) = plan.matching.get_mut(home) {
                        list.push(part);
                    }
                }
            }
        }
        if let Some(condition) = select.condition {
            for part in conjuncts(self.resolve(condition, &aliases, true)?) {
                let home = last_table(&part).unwrap_or(0);
                let outer = plan.outer.get(home) == Some(&true);
                let list = if outer { &mut plan.after } else { &mut plan.matching };
                if let Some(list) = list.get_mut(home) {
                    list.push(part);
                }
            }
        }
        for column in select.columns {
            match column {
                None => {
                    for (at, (_, table)) in aliases.iter().enumerate() {
                        for col in table.columns().iter().filter(|col| self.knows(**col)) {
                            plan.columns.push((Expr::Column(at, *col), col.name()));
                        }
                    }
                }
                Some((value, alias)) => {
                    let value = self.resolve(value, &aliases, false)?;
                    let name = match (alias, &value) {
                        (Some(alias), _) => alias.to_ascii_lowercase(),
                        (None, Expr::Column(_, col)) => col.name(),
                        (None, _) => format!("expr{}", plan.columns.len() + 1),
                    };
                    plan.columns.push((value, name));
                }
            }
        }
        for value in select.group {
            plan.group.push(self.resolve(value, &aliases, true)?);
        }
        for (value, descending) in select.order {
            let by_alias = match &value {
                Expr::Name(None, name) => plan.columns.iter().find(|(_, known)| known == name).map(|(value, _)| value.clone()),
                Expr::Const(Cell::Num(number)) => number
                    .text(0)
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| at.checked_sub(1))
                    .and_then(|at| plan.columns.get(at))
                    .map(|(value, _)| value.clone()),
                _ => None,
            };
            let value = match by_alias {
                Some(value) => value,
                None => self.resolve(value, &aliases, false)?,
            };
            plan.order.push((value, descending));
        }
        plan.grouped = !plan.group.is_empty() || plan.columns.iter().any(|(value, _)| has_aggregate(value));
        Ok(plan)
    }

    /// Whether this account has the column, where its table can have it.
    fn knows(&self, col: Col) -> bool {
        self.change_time || col != Col::LastQuantityAvailableChange
    }

    /// Puts columns in the place of names and values in the place of inner queries.
    fn resolve(&self, expr: Expr, aliases: &[(String, Table)], flat: bool) -> Outcome<Expr> {
        let inner = |expr: Box<Expr>| self.resolve(*expr, aliases, flat).map(Box::new);
        let all =
            |list: Vec<Expr>| list.into_iter().map(|expr| self.resolve(expr, aliases, flat)).collect::<Outcome<Vec<Expr>>>();
        Ok(match expr {
            Expr::Name(qualifier, name) => {
                let mut found = aliases.iter().enumerate().filter_map(|(at, (alias, table))| {
                    let here = qualifier.as_ref().is_none_or(|q| q == alias);
                    here.then(|| table.column(&name)).flatten().filter(|col| self.knows(*col)).map(|col| Expr::Column(at, col))
                });
                match (found.next(), found.next()) {
                    (Some(column), None) => column,
                    (Some(_), Some(_)) => return Err(format!("Ambiguous identifier '{name}'")),
                    (None, _) => {
                        let known: Vec<String> = aliases.iter().map(|(alias, _)| alias.clone()).collect();
                        return Err(format!("Unknown identifier '{name}'. Available identifiers are: {{{}}}", known.join(", ")));
                    }
                }
            }
            Expr::Aggregate(..) if flat => return Err("an aggregate is not allowed here".into()),
            Expr::Aggregate(kind, of) => Expr::Aggregate(kind, of.map(inner).transpose()?),
            Expr::Call(name, arguments) => Expr::Call(name, all(arguments)?),
            Expr::Binary(op, left, right) => Expr::Binary(op, inner(left)?, inner(right)?),
            Expr::And(list) => Expr::And(all(list)?),
            Expr::Or(list) => Expr::Or(all(list)?),
            Expr::Not(of) => Expr::Not(inner(of)?),
            Expr::In(of, list, not) => {
                let mut values = Vec::with_capacity(list.len());
                for value in list {
                    match value {
                        Expr::Query(query) => {
                            values.extend(self.values(*query)?.into_iter().map(Expr::Const));
                        }
                        other => values.push(self.resolve(other, aliases, flat)?),
                    }
                }
                Expr::In(inner(of)?, values, not)
            }
            Expr::Between(of, low, high, not) => Expr::Between(inner(of)?, inner(low)?, inner(high)?, not),
            Expr::Like(of, pattern, not) => Expr::Like(inner(of)?, inner(pattern)?, not),
            Expr::IsNull(of, not) => Expr::IsNull(inner(of)?, not),
            Expr::Case(arms, otherwise) => Expr::Case(
                arms.into_iter()
                    .map(|(condition, value)| Ok((self.resolve(condition, aliases, flat)?, self.resolve(value, aliases, flat)?)))
                    .collect::<Outcome<Vec<_>>>()?,
                otherwise.map(inner).transpose()?,
            ),
            Expr::Query(query) => {
                let mut values = self.values(*query)?;
                if values.len() > 1 {
                    return Err("an inner query returns more than one row".into());
                }
                Expr::Const(values.pop().unwrap_or(Cell::Null))
            }
            done @ (Expr::Const(_) | Expr::Column(..)) => done,
        })
    }

    /// The one column of an inner query.
    fn values(&self, select: Select) -> Outcome<Vec<Cell<'static>>> {
        let plan = self.plan(select)?;
        if plan.columns.len() != 1 {
            return Err("an inner query must have one column".into());
        }
        let (_, rows) = self.run(&plan, 0, MOST_ROWS)?;
        Ok(rows.into_iter().flatten().map(own).collect())
    }

    // ---- running ----

    /// How many rows there are, and the values of a page of them.
    fn run(&self, plan: &Plan, offset: usize, limit: usize) -> Outcome<(usize, Vec<Vec<Cell<'a>>>)> {
        let mut rows = Rows { width: plan.tables.len(), flat: Vec::new() };
        let mut current = Vec::with_capacity(plan.tables.len());
        let mut steps = 0;
        self.join(plan, &mut current, &mut rows.flat, &mut steps)?;
        if plan.grouped {
            return self.grouped(plan, &rows, offset, limit);
        }
        let mut order: Vec<u32> = (0..u32::try_from(rows.count()).map_err(|_| "too many rows")?).collect();
        if !already_sorted(plan) && !shelves::in_order(plan) {
            self.mix_up(&mut order);
            self.sort(plan, &rows, &mut order)?;
        }
        let values = |at: &u32| {
            let row = rows.at(usize::try_from(*at).unwrap_or(0));
            plan.columns.iter().map(|(value, _)| self.eval(value, row, None)).collect::<Outcome<Vec<_>>>()
        };
        if plan.distinct {
            let mut seen = HashSet::new();
            let mut all = Vec::new();
            for at in &order {
                let row = values(at)?;
                if seen.insert(row.iter().map(|cell| self.text(cell)).collect::<Vec<_>>()) {
                    all.push(row);
                }
            }
            let total = all.len();
            return Ok((total, all.into_iter().skip(offset).take(limit).collect()));
        }
        let page = order.iter().skip(offset).take(limit).map(values).collect::<Outcome<Vec<_>>>()?;
        Ok((order.len(), page))
    }

    fn mix_up<T>(&self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = mix(self.shuffle ^ mix(u64::try_from(at).unwrap_or(0)))
                .checked_rem(u64::try_from(at + 1).unwrap_or(1))
                .and_then(|other| usize::try_from(other).ok())
                .unwrap_or(0);
            list.swap(at, other);
        }
    }

    fn sort(&self, plan: &Plan, rows: &Rows<'a>, order: &mut Vec<u32>) -> Outcome<()> {
        if plan.order.is_empty() {
            return Ok(());
        }
        let mut keyed = Vec::with_capacity(order.len());
        for at in order.iter() {
            let row = rows.at(usize::try_from(*at).unwrap_or(0));
            let keys = plan.order.iter().map(|(value, _)| self.eval(value, row, None)).collect::<Outcome<Vec<_>>>()?;
            keyed.push((keys, *at));
        }
        keyed.sort_by(|(left, _), (right, _)| self.by_keys(plan, left, right));
        *order = keyed.into_iter().map(|(_, at)| at).collect();
        Ok(())
    }

    fn by_keys(&self, plan: &Plan, left: &[Cell<'a>], right: &[Cell<'a>]) -> Ordering {
        for (((_, descending), a), b) in plan.order.iter().zip(left).zip(right) {
            // NULL comes last when ascending.
            let order = match (a, b) {
                (Cell::Null, Cell::Null) => Ordering::Equal,
                (Cell::Null, _) => Ordering::Greater,
                (_, Cell::Null) => Ordering::Less,
                _ => self.compare(a, b).ok().flatten().unwrap_or(Ordering::Equal),
            };
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    fn join(&self, plan: &Plan, current: &mut Vec<Row<'a>>, out: &mut Vec<Row<'a>>, steps: &mut u64) -> Outcome<()> {
        let at = current.len();
        let (Some(table), Some(matching)) = (plan.tables.get(at), plan.matching.get(at)) else {
            out.extend_from_slice(current);
            return Ok(());
        };
        let after = plan.after.get(at).map_or(&[][..], |list| list);
        let mut values = Vec::new();
        let found = self.access(*table, at, matching, after, current, &mut values)?;
        // What the index has decided need not be checked again.
        let decided = |condition: &Expr| match &found {
            Found::Equal(_, used) => std::ptr::eq(*used, condition),
            Found::Stock(_, used) => used.iter().any(|used| std::ptr::eq(*used, condition)),
            Found::All | Found::From(_) => false,
        };
        let access = match &found {
            Found::All => Access::All,
            Found::Equal(col, _) => Access::Equal(*col, &values),
            Found::From(id) => Access::From(*id),
            Found::Stock(slice, _) => Access::Stock(slice),
        };
        let mut matched = false;
        let mut row = |row: Row<'a>| -> Outcome<()> {
            *steps += 1;
            if *steps > MOST_STEPS {
                return Err("the query takes too long".into());
            }
            current.push(row);
            let mut good = true;
            for condition in matching {
                good = good && (decided(condition) || self.truth(condition, current, None)? == Some(true));
            }
            if good {
                matched = true;
                for condition in after {
                    good = good && (decided(condition) || self.truth(condition, current, None)? == Some(true));
                }
            }
            if good {
                self.join(plan, current, out, steps)?;
            }
            current.pop();
            Ok(())
        };
        tables::scan(*table, &access, self.state, self.items, self.periods, &mut row)?;
        if !matched && plan.outer.get(at) == Some(&true) {
            current.push(Row::Null);
            let mut good = true;
            for condition in after {
                good = good && self.truth(condition, current, None)? == Some(true);
            }
            if good {
                self.join(plan, current, out, steps)?;
            }
            current.pop();
        }
        Ok(())
    }

    /// The quickest way to the rows of a table that its conditions allow.
    fn access<'e>(
        &self,
        table: Table,
        at: usize,
        matching: &'e [Expr],
        after: &'e [Expr],
        current: &[Row<'a>],
        values: &mut Vec<Cell<'a>>,
    ) -> Outcome<Found<'e>> {
        if matches!(table, Table::PerPlace | Table::PerPlaceFull) {
            let (slice, used) = self.slice(at, matching.iter().chain(after), current)?;
            return Ok(Found::Stock(slice, used));
        }
        let mut from = Found::All;
        for condition in matching.iter().chain(after) {
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
                    if op == Op::Eq && table.is_indexed(col) {
                        values.push(self.eval(other, current, None)?);
                        return Ok(Found::Equal(col, condition));
                    }
                    let ranged = matches!(table, Table::Transaction | Table::Customer) && col == Col::Id;
                    if matches!(op, Op::Gt | Op::Ge) && ranged {
                        let low = match self.eval(other, current, None)? {
                            Cell::Num(number) => Some(number),
                            Cell::Text(text) => Fixed::parse(text.trim()),
                            _ => None,
                        };
                        if let Some(low) = low.and_then(|low| low.text(0).parse().ok()) {
                            from = Found::From(low);
                        }
                    }
                }
                Expr::In(of, list, false) => {
                    if let Expr::Column(t, col) = &**of
                        && *t == at
                        && table.is_indexed(*col)
                        && list.iter().all(|value| last_table(value).is_none())
                    {
                        let mut seen = HashSet::new();
                        for value in list {
                            let value = self.eval(value, current, None)?;
                            if seen.insert(self.text(&value)) {
                                values.push(value);
                            }
                        }
                        return Ok(Found::Equal(*col, condition));
                    }
                }
                _ => {}
            }
        }
        Ok(from)
    }

    fn grouped(&self, plan: &Plan, rows: &Rows<'a>, offset: usize, limit: usize) -> Outcome<(usize, Vec<Vec<Cell<'a>>>)> {
        let mut groups: BTreeMap<Vec<Option<String>>, Vec<usize>> = BTreeMap::new();
        if plan.group.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for at in 0..rows.count() {
            let mut key = Vec::with_capacity(plan.group.len());
            for value in &plan.group {
                key.push(self.text(&self.eval(value, rows.at(at), None)?));
            }
            groups.entry(key).or_default().push(at);
        }
        let nothing = vec![Row::Null; plan.tables.len()];
        let mut all = Vec::with_capacity(groups.len());
        for members in groups.values() {
            let first = members.first().map_or(&nothing[..], |at| rows.at(*at));
            let group = Some((rows, &members[..]));
            let values = plan.columns.iter().map(|(value, _)| self.eval(value, first, group)).collect::<Outcome<Vec<_>>>()?;
            let keys = plan.order.iter().map(|(value, _)| self.eval(value, first, group)).collect::<Outcome<Vec<_>>>()?;
            all.push((keys, values));
        }
        self.mix_up(&mut all);
        all.sort_by(|(left, _), (right, _)| self.by_keys(plan, left, right));
        let total = all.len();
        Ok((total, all.into_iter().skip(offset).take(limit).map(|(_, values)| values).collect()))
    }

    // ---- values ----

    fn eval(&self, expr: &Expr, row: &[Row<'a>], group: Group<'_, 'a>) -> Outcome<Cell<'a>> {
        Ok(match expr {
            Expr::Const(cell) => cell.clone(),
            Expr::Column(table, col) => row.get(*table).map_or(Cell::Null, |row| tables::get(*row, *col, self.state)),
            Expr::Aggregate(kind, of) => return self.aggregate(*kind, of.as_deref(), group),
            Expr::Call(name, arguments) => return self.call(name, arguments, row, group),
            Expr::Binary(op @ (Op::Plus | Op::Minus | Op::Times | Op::Over), left, right) => {
                let (left, right) = (self.eval(left, row, group)?, self.eval(right, row, group)?);
                self.calculate(*op, &left, &right)?
            }
            Expr::Binary(Op::Concat, left, right) => {
                let (left, right) = (self.eval(left, row, group)?, self.eval(right, row, group)?);
                let mut text = self.text(&left).unwrap_or_default();
                text.push_str(&self.text(&right).unwrap_or_default());
                if text.is_empty() { Cell::Null } else { Cell::Text(text.into()) }
            }
            Expr::Case(arms, otherwise) => {
                for (condition, value) in arms {
                    if self.truth(condition, row, group)? == Some(true) {
                        return self.eval(value, row, group);
                    }
                }
                match otherwise {
                    Some(value) => return self.eval(value, row, group),
                    None => Cell::Null,
                }
            }
            Expr::Name(..) | Expr::Query(_) => return Err("an unresolved name".into()),
            _ => match self.truth(expr, row, group)? {
                Some(flag) => Cell::Text(if flag { "T" } else { "F" }.into()),
                None => Cell::Null,
            },
        })
    }

    /// Three-valued truth; `None` is unknown.
    fn truth(&self, expr: &Expr, row: &[Row<'a>], group: Group<'_, 'a>) -> Outcome<Option<bool>> {
        let not = |truth: Option<bool>, not: bool| truth.map(|truth| truth != not);
        Ok(match expr {
            Expr::And(list) => {
                let mut all = Some(true);
                for part in list {
                    match self.truth(part, row, group)? {
                        Some(false) => return Ok(Some(false)),
                        None => all = None,
                        Some(true) => {}
                    }
                }
                all
            }
            Expr::Or(list) => {
                let mut any = Some(false);
                for part in list {
                    match self.truth(part, row, group)? {
                        Some(true) => return Ok(Some(true)),
                        None => any = None,
                        Some(false) => {}
                    }
                }
                any
            }
            Expr::Not(of) => not(self.truth(of, row, group)?, true),
            Expr::IsNull(of, negated) => Some((self.eval(of, row, group)? == Cell::Null) != *negated),
            Expr::Binary(op, left, right) => {
                let (left, right) = (self.eval(left, row, group)?, self.eval(right, row, group)?);
                self.compare(&left, &right)?.map(|order| match op {
                    Op::Eq => order == Ordering::Equal,
                    Op::Ne => order != Ordering::Equal,
                    Op::Lt => order == Ordering::Less,
                    Op::Le => order != Ordering::Greater,
                    Op::Gt => order == Ordering::Greater,
                    Op::Ge => order != Ordering::Less,
                    _ => false,
                })
            }
            Expr::In(of, list, negated) => {
                let of = self.eval(of, row, group)?;
                let mut found = Some(false);
                for value in list {
                    match self.compare(&of, &self.eval(value, row, group)?)? {
                        Some(Ordering::Equal) => {
                            found = Some(true);
                            break;
                        }
                        None => found = None,
                        Some(_) => {}
                    }
                }
                not(found, *negated)
            }
            Expr::Between(of, low, high, negated) => {
                let of = self.eval(of, row, group)?;
                let low = self.compare(&of, &self.eval(low, row, group)?)?;
                let high = self.compare(&of, &self.eval(high, row, group)?)?;
                let inside = low.zip(high).map(|(low, high)| low != Ordering::Less && high != Ordering::Greater);
                not(inside, *negated)
            }
            Expr::Like(of, pattern, negated) => {
                let (of, pattern) = (self.eval(of, row, group)?, self.eval(pattern, row, group)?);
                let like = self.text(&of).zip(self.text(&pattern)).map(|(text, pattern)| like(&text, &pattern));
                not(like, *negated)
            }
            _ => return Err("Invalid or unsupported search: a condition is expected".into()),
        })
    }

    fn aggregate(&self, kind: Aggregate, of: Option<&Expr>, group: Group<'_, 'a>) -> Outcome<Cell<'a>> {
        let (rows, members) = group.ok_or("an aggregate is not allowed here")?;
        let Some(of) = of else {
            return Ok(Cell::Num(Fixed::whole(i64::try_from(members.len()).unwrap_or(i64::MAX))));
        };
        let mut count = 0;
        let mut result = Cell::Null;
        for at in members {
            let value = self.eval(of, rows.at(*at), None)?;
            if value == Cell::Null {
                continue;
            }
            count += 1;
            result = match (kind, result) {
                (Aggregate::Count, _) => Cell::Null,
                (_, Cell::Null) => value,
                (Aggregate::Sum, sum) => self.calculate(Op::Plus, &sum, &value)?,
                (Aggregate::Min, best) => match self.compare(&value, &best)? {
                    Some(Ordering::Less) => value,
                    _ => best,
                },
                (Aggregate::Max, best) => match self.compare(&value, &best)? {
                    Some(Ordering::Greater) => value,
                    _ => best,
                },
            };
        }
        if kind == Aggregate::Count {
            return Ok(Cell::Num(Fixed::whole(count)));
        }
        Ok(result)
    }

    fn calculate(&self, op: Op, left: &Cell<'a>, right: &Cell<'a>) -> Outcome<Cell<'a>> {
        if *left == Cell::Null || *right == Cell::Null {
            return Ok(Cell::Null);
        }
        if let (Cell::Time(at), Some(days)) = (left, number(right)) {
            let seconds = days.times(Fixed::whole(86_400), 0).and_then(|s| s.text(0).parse::<i64>().ok()).unwrap_or(0);
            return match op {
                Op::Plus => Ok(Cell::Time(at.saturating_add(seconds))),
                Op::Minus => Ok(Cell::Time(at.saturating_sub(seconds))),
                _ => Err("a time cannot be multiplied".into()),
            };
        }
        let (Some(left), Some(right)) = (number(left), number(right)) else {
            return Err("Invalid number".into());
        };
        let result = match op {
            Op::Plus => left.plus(right),
            Op::Minus => left.minus(right),
            Op::Times => left.times(right, 8),
            _ => left.over(right),
        };
        result.map(Cell::Num).ok_or_else(|| "Numeric overflow or division by zero".into())
    }

    fn call(&self, name: &str, arguments: &[Expr], row: &[Row<'a>], group: Group<'_, 'a>) -> Outcome<Cell<'a>> {
        if name == "BUILTIN.DF" {
            return match arguments.first() {
                Some(Expr::Column(table, col)) => {
                    Ok(row.get(*table).map_or(Cell::Null, |row| tables::shown(*row, *col, self.state, self.items)))
                }
                _ => Err("BUILTIN.DF takes a column".into()),
            };
        }
        let mut values = arguments.iter().map(|argument| self.eval(argument, row, group));
        let mut next = || values.next().unwrap_or(Ok(Cell::Null));
        let text = |cell: &Cell<'a>| self.text(cell);
        Ok(match name {
            "SYSDATE" => Cell::Time(self.server_time()),
            "CURRENT_TIMESTAMP" | "SYSTIMESTAMP" => Cell::Time(self.now.as_second()),
            "NVL" | "COALESCE" => {
                for value in values {
                    let value = value?;
                    if value != Cell::Null {
                        return Ok(value);
                    }
                }
                Cell::Null
            }
            "TO_CHAR" => {
                let value = next()?;
                match (self.local(&value), text(&next()?)) {
                    (Some(at), Some(format)) => Cell::Text(to_char(at, &format)?.into()),
                    _ => text(&value).map_or(Cell::Null, |text| Cell::Text(text.into())),
                }
            }
            "TO_DATE" | "TO_TIMESTAMP" => {
                let Some(value) = text(&next()?) else {
                    return Ok(Cell::Null);
                };
                let format = text(&next()?).unwrap_or_else(|| "MM/DD/YYYY".into());
                let at = from_char(&value, &format)?;
                Cell::Time(self.instant(at)?)
            }
            "TO_NUMBER" => match next()? {
                Cell::Null => Cell::Null,
                value => number(&value).map(Cell::Num).ok_or("Invalid number")?,
            },
            "UPPER" | "LOWER" | "TRIM" => match text(&next()?) {
                None => Cell::Null,
                Some(value) => Cell::Text(
                    match name {
                        "UPPER" => value.to_uppercase(),
                        "LOWER" => value.to_lowercase(),
                        _ => value.trim().to_owned(),
                    }
                    .into(),
                ),
            },
            "LENGTH" => text(&next()?)
                .map_or(Cell::Null, |value| Cell::Num(Fixed::whole(i64::try_from(value.chars().count()).unwrap_or(0)))),
            "ABS" => match next()? {
                Cell::Null => Cell::Null,
                value => Cell::Num(number(&value).ok_or("Invalid number")?.abs()),
            },
            "ROUND" => match next()? {
                Cell::Null => Cell::Null,
                value => {
                    let digits = number(&next()?).and_then(|digits| digits.text(0).parse().ok()).unwrap_or(0);
                    Cell::Num(number(&value).ok_or("Invalid number")?.round(digits))
                }
            },
            "SUBSTR" => {
                let (value, start, length) = (next()?, next()?, next()?);
                let place = |cell: &Cell<'a>| number(cell).and_then(|n| n.text(0).parse::<usize>().ok());
                match (text(&value), place(&start)) {
                    (Some(value), Some(start)) => {
                        let length = place(&length).unwrap_or(usize::MAX);
                        let part: String = value.chars().skip(start.saturating_sub(1)).take(length).collect();
                        Cell::Text(part.into())
                    }
                    _ => Cell::Null,
                }
            }
            other => return Err(format!("Unknown function '{other}'")),
        })
    }

    /// An instant whose reading in the session's zone is what the server's clock in Pacific time shows.
    fn server_time(&self) -> i64 {
        let pacific = zone("America/Los_Angeles").to_datetime(self.now);
        self.instant(pacific).unwrap_or_else(|_| self.now.as_second())
    }

    fn instant(&self, at: DateTime) -> Outcome<i64> {
        self.zone.to_timestamp(at).map(Timestamp::as_second).map_err(|_| "Invalid date".to_owned())
    }

    /// What the clock in the session's zone shows.
    fn local(&self, cell: &Cell<'_>) -> Option<DateTime> {
        match cell {
            Cell::Date(date) => Some(date.at(0, 0, 0, 0)),
            Cell::Time(at) => Timestamp::from_second(*at).ok().map(|at| self.zone.to_datetime(at)),
            _ => None,
        }
    }

    fn compare(&self, left: &Cell<'_>, right: &Cell<'_>) -> Outcome<Option<Ordering>> {
        Ok(match (left, right) {
            (Cell::Null, _) | (_, Cell::Null) => None,
            (Cell::Num(a), Cell::Num(b)) => Some(a.cmp(b)),
            (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
            (Cell::Date(a), Cell::Date(b)) => Some(a.cmp(b)),
            (Cell::Num(a), b) => number(b).map(|b| a.cmp(&b)),
            (a, Cell::Num(b)) => number(a).map(|a| a.cmp(b)),
            (a, b) => Some(self.as_instant(a)?.cmp(&self.as_instant(b)?)),
        })
    }

    /// A date is its midnight; a text is read in the user's date format, month first.
    fn as_instant(&self, cell: &Cell<'_>) -> Outcome<i64> {
        match cell {
            Cell::Time(at) => Ok(*at),
            Cell::Date(date) => self.instant(date.at(0, 0, 0, 0)),
            Cell::Text(text) => self.instant(from_char(text, "MM/DD/YYYY")?),
            _ => Err("Invalid date".into()),
        }
    }

    /// How a value is answered: always text; nothing for NULL. Dates show without a time, month first.
    fn text(&self, cell: &Cell<'_>) -> Option<String> {
        match cell {
            Cell::Null => None,
            Cell::Text(text) => Some(text.to_string()),
            Cell::Num(number) => Some(number.text(0)),
            Cell::Date(_) | Cell::Time(_) => {
                let at = self.local(cell)?;
                Some(format!("{}/{}/{}", at.month(), at.day(), at.year()))
            }
        }
    }
}

type Group<'r, 'a> = Option<(&'r Rows<'a>, &'r [usize])>;

enum Found<'e> {
    All,
    /// By this column, as this condition says.
    Equal(Col, &'e Expr),
    From(u32),
    /// This part of the stock, as these conditions say.
    Stock(Slice, Vec<&'e Expr>),
}

/// The zone of this name; UTC when the machine does not know it.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn own(cell: Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Null => Cell::Null,
        Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
        Cell::Num(number) => Cell::Num(number),
        Cell::Date(date) => Cell::Date(date),
        Cell::Time(at) => Cell::Time(at),
    }
}

fn number(cell: &Cell<'_>) -> Option<Fixed> {
    match cell {
        Cell::Num(number) => Some(*number),
        Cell::Text(text) => Fixed::parse(text.trim()),
        _ => None,
    }
}

fn mirrored(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        other => other,
    }
}

fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::And(list) => list.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

fn children<'e>(expr: &'e Expr, each: &mut dyn FnMut(&'e Expr)) {
    match expr {
        Expr::Const(_) | Expr::Name(..) | Expr::Column(..) | Expr::Query(_) => {}
        Expr::Call(_, list) | Expr::And(list) | Expr::Or(list) => list.iter().for_each(each),
        Expr::Aggregate(_, of) => of.iter().for_each(|of| each(of)),
        Expr::Binary(_, left, right) | Expr::Like(left, right, _) => {
            each(left);
            each(right);
        }
        Expr::Not(of) | Expr::IsNull(of, _) => each(of),
        Expr::In(of, list, _) => {
            each(of);
            list.iter().for_each(each);
        }
        Expr::Between(of, low, high, _) => {
            each(of);
            each(low);
            each(high);
        }
        Expr::Case(arms, otherwise) => {
            for (condition, value) in arms {
                each(condition);
                each(value);
            }
            otherwise.iter().for_each(|value| each(value));
        }
    }
}

/// The last table an expression looks at.
fn last_table(expr: &Expr) -> Option<usize> {
    if let Expr::Column(table, _) = expr {
        return Some(*table);
    }
    let mut last = None;
    children(expr, &mut |child| last = last.max(last_table(child)));
    last
}

fn has_aggregate(expr: &Expr) -> bool {
    let mut any = matches!(expr, Expr::Aggregate(..));
    children(expr, &mut |child| any |= has_aggregate(child));
    any
}

/// One table, ordered by its id: rows come that way already, and no two are equal.
fn already_sorted(plan: &Plan) -> bool {
    plan.tables.len() == 1
        && matches!(plan.order.first(), Some((Expr::Column(0, Col::Id), false)))
        && !matches!(plan.tables.first(), Some(Table::Line))
        && !plan.matching.iter().flatten().any(|condition| matches!(condition, Expr::In(..)))
}

fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let mut known: HashMap<(usize, usize), bool> = HashMap::new();
    fn at(text: &[char], pattern: &[char], place: (usize, usize), known: &mut HashMap<(usize, usize), bool>) -> bool {
        if let Some(done) = known.get(&place) {
            return *done;
        }
        let (t, p) = place;
        let result = match pattern.get(p) {
            None => t == text.len(),
            Some('%') => at(text, pattern, (t, p + 1), known) || t < text.len() && at(text, pattern, (t + 1, p), known),
            Some('_') => t < text.len() && at(text, pattern, (t + 1, p + 1), known),
            Some(c) => text.get(t) == Some(c) && at(text, pattern, (t + 1, p + 1), known),
        };
        known.insert(place, result);
        result
    }
    // Long texts would nest too deeply.
    text.len() <= 500 && at(&text, &pattern, (0, 0), &mut known)
}

/// The parts of a date format.
const PARTS: [&str; 9] = ["YYYY", "MM", "DD", "HH24", "HH12", "HH", "MI", "SS", "AM"];

fn part(format: &str) -> Option<&'static str> {
    PARTS.into_iter().find(|part| format.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part)))
}

fn to_char(at: DateTime, format: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let literal = rest[1..].split_once('"').ok_or("date format not recognized")?;
            out.push_str(literal.0);
            rest = literal.1;
            continue;
        }
        let Some(part) = part(rest) else {
            if first.is_alphanumeric() {
                return Err("date format not recognized".into());
            }
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.push_str(&match part {
            "YYYY" => format!("{:04}", at.year()),
            "MM" => format!("{:02}", at.month()),
            "DD" => format!("{:02}", at.day()),
            "HH24" => format!("{:02}", at.hour()),
            "HH12" | "HH" => format!("{:02}", (at.hour() + 11) % 12 + 1),
            "MI" => format!("{:02}", at.minute()),
            "SS" => format!("{:02}", at.second()),
            _ => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        });
        rest = &rest[part.len()..];
    }
    Ok(out)
}

fn from_char(text: &str, format: &str) -> Outcome<DateTime> {
    let wrong = || format!("'{text}' does not match the date format {format}");
    let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0_i16, 1_i8, 1_i8, 0_i8, 0_i8, 0_i8);
    let mut rest = format;
    let mut value = text.trim();
    while let Some(first) = rest.chars().next() {
        if value.is_empty() {
            return Err(wrong());
        }
        if first == '"' {
            let literal = rest[1..].split_once('"').ok_or_else(wrong)?;
            value = value.strip_prefix(literal.0).ok_or_else(wrong)?;
            rest = literal.1;
            continue;
        }
        let Some(part) = part(rest) else {
            value = value.strip_prefix(first).ok_or_else(wrong)?;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let most = if part == "YYYY" { 4 } else { 2 };
        let digits = value.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (number, after) = value.split_at(digits);
        let small = || number.parse::<i8>().map_err(|_| wrong());
        match part {
            "YYYY" => year = number.parse().map_err(|_| wrong())?,
            "MM" => month = small()?,
            "DD" => day = small()?,
            "HH24" => hour = small()?,
            "MI" => minute = small()?,
            "SS" => second = small()?,
            _ => return Err(wrong()),
        }
        value = after;
        rest = &rest[part.len()..];
    }
    if !value.is_empty() {
        return Err(wrong());
    }
    DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_by_format() {
        let at = from_char("2026-02-03 14:05:06", "YYYY-MM-DD HH24:MI:SS").unwrap();
        assert_eq!(to_char(at, "YYYY-MM-DD\"T\"HH24:MI:SS").unwrap(), "2026-02-03T14:05:06");
        assert_eq!(to_char(at, "MM/DD/YYYY HH12:MI am").unwrap(), "02/03/2026 02:05 PM");
        assert_eq!(from_char("2/3/2026", "MM/DD/YYYY").unwrap().date(), at.date());
        assert!(from_char("2026-02-03", "MM/DD/YYYY").is_err());
        assert!(from_char("2026-02-30", "YYYY-MM-DD").is_err());
        assert!(to_char(at, "QQ").is_err());
    }

    #[test]
    fn like_knows_its_two_signs() {
        for (text, pattern, expected) in [
            ("so_1042", "so!_%", false),
            ("so_1042", "so__0%", true),
            ("so_1042", "so_%", true),
            ("abc", "%", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("", "%", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
