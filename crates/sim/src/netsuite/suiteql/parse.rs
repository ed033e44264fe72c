//! From the text of a query to its tree.
//!
//! Source: the vendor's help topic "SuiteQL Syntax and Examples". Not known here: `WITH`, `UNION`, `HAVING`, `ROWNUM`,
//! `FETCH FIRST`; a query that uses them is refused.

use super::Cell;

/// A comparison or calculation of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Plus,
    Minus,
    Times,
    Over,
    Concat,
}

/// A figure over the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Const(Cell<'static>),
    /// Table (or alias) and column, as written, lower case.
    Name(Option<String>, String),
    /// Number of the table in `FROM`, and the column.
    Column(usize, super::tables::Col),
    /// Name of the function, upper case.
    Call(String, Vec<Expr>),
    Aggregate(Aggregate, Option<Box<Expr>>),
    Binary(Op, Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    In(Box<Expr>, Vec<Expr>, bool),
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    Like(Box<Expr>, Box<Expr>, bool),
    IsNull(Box<Expr>, bool),
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// One value, or a list of values inside `IN`.
    Query(Box<Select>),
}

#[derive(Clone, Debug)]
pub(super) struct From {
    pub(super) table: String,
    pub(super) alias: String,
    /// `LEFT JOIN`.
    pub(super) outer: bool,
    pub(super) on: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) distinct: bool,
    /// Value and alias; `None` is `*`.
    pub(super) columns: Vec<Option<(Expr, Option<String>)>>,
    pub(super) from: Vec<From>,
    pub(super) condition: Option<Expr>,
    pub(super) group: Vec<Expr>,
    /// Value and whether descending.
    pub(super) order: Vec<(Expr, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Text(String),
    Number(String),
    Mark(&'static str),
}

const MARKS: [&str; 18] = ["<=", ">=", "<>", "!=", "||", "=", "<", ">", "(", ")", ",", ".", "*", "/", "+", "-", "?", ";"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
            continue;
        }
        let used = if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].to_owned()));
            end
        } else if first == '\'' {
            let mut value = String::new();
            let mut at = 1;
            loop {
                let Some(length) = rest[at..].find('\'') else {
                    return Err("unterminated text".into());
                };
                value.push_str(&rest[at..at + length]);
                at += length + 1;
                if rest[at..].starts_with('\'') {
                    value.push('\'');
                    at += 1;
                } else {
                    break;
                }
            }
            tokens.push(Token::Text(value));
            at
        } else if first == '"' {
            let Some(length) = rest[1..].find('"') else {
                return Err("unterminated name".into());
            };
            tokens.push(Token::Quoted(rest[1..=length].to_owned()));
            length + 2
        } else {
            let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) else {
                return Err(format!("unexpected character {first:?}"));
            };
            tokens.push(Token::Mark(mark));
            mark.len()
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    params: std::slice::Iter<'a, Cell<'static>>,
    depth: u32,
}

/// Words that end an expression or a table, and so are no alias.
const RESERVED: [&str; 26] = [
    "FROM", "WHERE", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "ON", "GROUP", "ORDER", "BY", "AND", "OR", "NOT", "IN",
    "BETWEEN", "LIKE", "IS", "AS", "HAVING", "UNION", "WHEN", "THEN", "ELSE", "END",
];

/// Parses a query; each `?` takes the next of `params`.
pub(super) fn parse(text: &str, params: &[Cell<'static>]) -> Result<Select, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, params: params.iter(), depth: 0 };
    let select = parser.select()?;
    parser.mark(";");
    match parser.tokens.get(parser.at) {
        Some(token) => Err(format!("Invalid or unsupported search: unexpected {token:?}")),
        None if parser.params.next().is_some() => Err("more parameters than placeholders".into()),
        None => Ok(select),
    }
}

impl Parser<'_> {
    fn peek_word(&self) -> Option<String> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Mark(m)) if *m == mark);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), String> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.mark(mark) { Ok(()) } else { Err(self.unexpected(mark)) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.tokens.get(self.at) {
            Some(token) => {
                format!("Invalid or unsupported search: expected {wanted}, found {token:?}")
            }
            None => format!("Invalid or unsupported search: expected {wanted} at the end"),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let name = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => word.to_ascii_lowercase(),
            Some(Token::Quoted(name)) => name.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.at += 1;
        Ok(name)
    }

    /// An alias, with or without `AS`.
    fn alias(&mut self) -> Result<Option<String>, String> {
        if self.word("AS") {
            return self.name().map(Some);
        }
        match self.tokens.get(self.at) {
            Some(Token::Quoted(_)) => self.name().map(Some),
            Some(Token::Word(word)) if !RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word)) => self.name().map(Some),
            _ => Ok(None),
        }
    }

    fn select(&mut self) -> Result<Select, String> {
        self.depth += 1;
        if self.depth > 4 {
            return Err("too many nested queries".into());
        }
        self.expect_word("SELECT")?;
        let distinct = self.word("DISTINCT");
        let mut columns = Vec::new();
        loop {
            if self.mark("*") {
                columns.push(None);
            } else {
                let value = self.expr()?;
                columns.push(Some((value, self.alias()?)));
            }
            if !self.mark(",") {
                break;
            }
        }
        self.expect_word("FROM")?;
        let mut from = vec![self.table(false)?];
        loop {
            if self.mark(",") {
                from.push(self.table(false)?);
                continue;
            }
            let outer = self.word("LEFT");
            if outer {
                self.word("OUTER");
            } else {
                self.word("INNER");
            }
            if !self.word("JOIN") {
                if outer {
                    return Err(self.unexpected("JOIN"));
                }
                break;
            }
            let mut table = self.table(outer)?;
            self.expect_word("ON")?;
            table.on = Some(self.expr()?);
            from.push(table);
        }
        let condition = if self.word("WHERE") { Some(self.expr()?) } else { None };
        let mut group = Vec::new();
        if self.word("GROUP") {
            self.expect_word("BY")?;
            loop {
                group.push(self.expr()?);
                if !self.mark(",") {
                    break;
                }
            }
        }
        let mut order = Vec::new();
        if self.word("ORDER") {
            self.expect_word("BY")?;
            loop {
                let value = self.expr()?;
                let descending = self.word("DESC");
                if !descending {
                    self.word("ASC");
                }
                order.push((value, descending));
                if !self.mark(",") {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(Select { distinct, columns, from, condition, group, order })
    }

    fn table(&mut self, outer: bool) -> Result<From, String> {
        let table = self.name()?.to_ascii_lowercase();
        let alias = self.alias()?.map_or_else(|| table.clone(), |alias| alias.to_ascii_lowercase());
        Ok(From { table, alias, outer, on: None })
    }

    fn expr(&mut self) -> Result<Expr, String> {
        let mut all = vec![self.conjunction()?];
        while self.word("OR") {
            all.push(self.conjunction()?);
        }
        Ok(single(all, Expr::Or))
    }

    fn conjunction(&mut self) -> Result<Expr, String> {
        let mut all = vec![self.negation()?];
        while self.word("AND") {
            all.push(self.negation()?);
        }
        Ok(single(all, Expr::And))
    }

    fn negation(&mut self) -> Result<Expr, String> {
        if self.word("NOT") {
            return Ok(Expr::Not(Box::new(self.negation()?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.sum()?;
        for (mark, op) in
            [("=", Op::Eq), ("!=", Op::Ne), ("<>", Op::Ne), ("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)]
        {
            if self.mark(mark) {
                return Ok(Expr::Binary(op, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.word("IS") {
            let not = self.word("NOT");
            self.expect_word("NULL")?;
            return Ok(Expr::IsNull(Box::new(left), not));
        }
        let not = self.word("NOT");
        if self.word("IN") {
            self.expect("(")?;
            if self.peek_word().as_deref() == Some("SELECT") {
                let query = Expr::Query(Box::new(self.select()?));
                self.expect(")")?;
                return Ok(Expr::In(Box::new(left), vec![query], not));
            }
            let mut list = Vec::new();
            loop {
                list.push(self.sum()?);
                if !self.mark(",") {
                    break;
                }
            }
            self.expect(")")?;
            if list.len() > 1_000 {
                return Err("the maximum number of values in a list is 1000".into());
            }
            return Ok(Expr::In(Box::new(left), list, not));
        }
        if self.word("BETWEEN") {
            let low = self.sum()?;
            self.expect_word("AND")?;
            let high = self.sum()?;
            return Ok(Expr::Between(Box::new(left), Box::new(low), Box::new(high), not));
        }
        if self.word("LIKE") {
            return Ok(Expr::Like(Box::new(left), Box::new(self.sum()?), not));
        }
        if not {
            return Err(self.unexpected("IN, BETWEEN or LIKE"));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let mut left = self.product()?;
        loop {
            let op = if self.mark("+") {
                Op::Plus
            } else if self.mark("-") {
                Op::Minus
            } else if self.mark("||") {
                Op::Concat
            } else {
                return Ok(left);
            };
            left = Expr::Binary(op, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, String> {
        let mut left = self.primary()?;
        loop {
            let op = if self.mark("*") {
                Op::Times
            } else if self.mark("/") {
                Op::Over
            } else {
                return Ok(left);
            };
            left = Expr::Binary(op, Box::new(left), Box::new(self.primary()?));
        }
    }

    fn primary(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > 60 {
            return Err("the query is nested too deeply".into());
        }
        let value = self.value();
        self.depth -= 1;
        value
    }

    fn value(&mut self) -> Result<Expr, String> {
        if self.mark("(") {
            let inner = if self.peek_word().as_deref() == Some("SELECT") {
                let depth = std::mem::take(&mut self.depth);
                let query = self.select()?;
                self.depth = depth;
                Expr::Query(Box::new(query))
            } else {
                self.expr()?
            };
            self.expect(")")?;
            return Ok(inner);
        }
        if self.mark("-") {
            let zero = Expr::Const(Cell::Num(super::Fixed::ZERO));
            return Ok(Expr::Binary(Op::Minus, Box::new(zero), Box::new(self.primary()?)));
        }
        if self.mark("?") {
            return match self.params.next() {
                Some(value) => Ok(Expr::Const(value.clone())),
                None => Err("more placeholders than parameters".into()),
            };
        }
        match self.tokens.get(self.at).cloned() {
            Some(Token::Text(text)) => {
                self.at += 1;
                Ok(Expr::Const(Cell::Text(text.into())))
            }
            Some(Token::Number(number)) => {
                self.at += 1;
                let number = super::Fixed::parse(&number).ok_or("the number is too large")?;
                Ok(Expr::Const(Cell::Num(number)))
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("NULL") => {
                self.at += 1;
                Ok(Expr::Const(Cell::Null))
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("CASE") => self.case(),
            Some(Token::Word(word)) if RESERVED.iter().any(|r| r.eq_ignore_ascii_case(&word)) => Err(self.unexpected("a value")),
            Some(Token::Word(_) | Token::Quoted(_)) => {
                let first = self.name()?;
                if self.mark("(") {
                    return self.call(&first.to_ascii_uppercase());
                }
                if !self.mark(".") {
                    return Ok(match first.as_str() {
                        "sysdate" | "current_timestamp" | "systimestamp" => Expr::Call(first.to_ascii_uppercase(), Vec::new()),
                        _ => Expr::Name(None, first.to_ascii_lowercase()),
                    });
                }
                if self.mark("*") {
                    return Err("Invalid or unsupported search: name the columns".into());
                }
                let second = self.name()?;
                if self.mark("(") {
                    return self.call(&format!("{first}.{second}").to_ascii_uppercase());
                }
                Ok(Expr::Name(Some(first.to_ascii_lowercase()), second.to_ascii_lowercase()))
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn case(&mut self) -> Result<Expr, String> {
        self.expect_word("CASE")?;
        let mut arms = Vec::new();
        while self.word("WHEN") {
            let condition = self.expr()?;
            self.expect_word("THEN")?;
            arms.push((condition, self.expr()?));
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_word("END")?;
        Ok(Expr::Case(arms, otherwise))
    }

    fn call(&mut self, name: &str) -> Result<Expr, String> {
        let aggregate = match name {
            "COUNT" => Some(Aggregate::Count),
            "SUM" => Some(Aggregate::Sum),
            "MIN" => Some(Aggregate::Min),
            "MAX" => Some(Aggregate::Max),
            _ => None,
        };
        if let Some(aggregate) = aggregate {
            let of = if aggregate == Aggregate::Count && self.mark("*") { None } else { Some(Box::new(self.expr()?)) };
            self.expect(")")?;
            return Ok(Expr::Aggregate(aggregate, of));
        }
        let mut arguments = Vec::new();
        if !self.mark(")") {
            loop {
                arguments.push(self.expr()?);
                if !self.mark(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        const KNOWN: [(&str, usize, usize); 14] = [
            ("TO_CHAR", 1, 2),
            ("TO_DATE", 1, 2),
            ("TO_TIMESTAMP", 1, 2),
            ("TO_NUMBER", 1, 1),
            ("NVL", 2, 2),
            ("COALESCE", 1, 9),
            ("UPPER", 1, 1),
            ("LOWER", 1, 1),
            ("TRIM", 1, 1),
            ("LENGTH", 1, 1),
            ("ABS", 1, 1),
            ("ROUND", 1, 2),
            ("SUBSTR", 2, 3),
            ("BUILTIN.DF", 1, 1),
        ];
        match KNOWN.iter().find(|(known, ..)| *known == name) {
            Some((_, least, most)) if (*least..=*most).contains(&arguments.len()) => Ok(Expr::Call(name.to_owned(), arguments)),
            Some(_) => Err(format!("wrong number of arguments of {name}")),
            None => Err(format!("Unknown function '{name}'")),
        }
    }
}

fn single(mut all: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            join(all)
        }
        None => Expr::Const(Cell::Null),
    }
}
