//! X12 4010: envelopes, segments, and what a 997 says of them. Pure.
//!
//! The three separators are read from the interchange's own header, whose length is fixed. Counts and control numbers
//! are all checked: a wrong one at a transaction set refuses that set, a wrong one around it the whole interchange.

pub(super) mod acknowledge;
mod dictionary;
pub(super) mod sets;

use super::message::Unread;

/// Characters of an ISA segment before its terminator (fact sheet 4.1).
const ISA_CHARS: usize = 105;
/// Segments of one interchange; more is no file of a warehouse.
const SEGMENTS_MAX: usize = 1_000_000;

/// What parts elements and segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separators {
    pub element: char,
    pub component: char,
    pub segment: char,
}

impl Default for Separators {
    fn default() -> Self {
        Self { element: '*', component: '>', segment: '~' }
    }
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its id and its elements.
    pub parts: Vec<String>,
    /// Which of its set; ST is 1.
    pub position: usize,
}

impl Segment {
    pub fn id(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// An element, counted from 1; empty and absent are the same.
    pub fn get(&self, element: usize) -> Option<&str> {
        self.parts.get(element).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// One transaction set, from ST to SE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    /// `945`.
    pub code: String,
    pub control: String,
    pub segments: Vec<Segment>,
    /// What is wrong with it, as AK3, AK4 and AK5 say it.
    pub faults: acknowledge::Faults,
}

/// One functional group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// `SW`.
    pub functional: String,
    pub control: String,
    pub sets: Vec<Set>,
}

/// One interchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interchange {
    pub separators: Separators,
    /// Qualifier and id.
    pub sender: (String, String),
    pub receiver: (String, String),
    pub control: String,
    /// Whether it is a test.
    pub test: bool,
    pub groups: Vec<Group>,
}

fn refused(why: impl Into<String>) -> Unread {
    Unread::Refused(why.into())
}

/// The separators that an interchange states.
fn separators(text: &str) -> Result<Separators, Unread> {
    let head: Vec<char> = text.chars().take(ISA_CHARS + 1).collect();
    if !text.starts_with("ISA") {
        return Err(refused("it does not begin with ISA"));
    }
    match (head.get(3), head.get(ISA_CHARS - 1), head.get(ISA_CHARS)) {
        (Some(element), Some(component), Some(segment)) if !element.is_alphanumeric() && !segment.is_alphanumeric() => {
            Ok(Separators { element: *element, component: *component, segment: *segment })
        }
        (_, _, None) => Err(Unread::Unfinished("its header is cut".to_owned())),
        _ => Err(refused("its header has not the fixed length, so its separators cannot be known")),
    }
}

/// All interchanges of a file.
pub(super) fn read_all(text: &str) -> Result<Vec<Interchange>, Unread> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    let mut all = Vec::new();
    while !rest.trim_matches(['\u{1a}', ' ', '\r', '\n', '\t']).is_empty() {
        let (interchange, after) = read_one(rest)?;
        all.push(interchange);
        rest = after.trim_start();
    }
    if all.is_empty() { Err(refused("it is empty")) } else { Ok(all) }
}

fn read_one(text: &str) -> Result<(Interchange, &str), Unread> {
    let separators = separators(text)?;
    let mut reader = Reader { separators, rest: text, read: 0 };
    let isa = reader.next()?;
    if isa.parts.len() != 17 {
        return Err(refused(format!("its ISA has {} elements instead of 16", isa.parts.len().saturating_sub(1))));
    }
    let of = |element: usize| isa.get(element).unwrap_or_default().to_owned();
    let mut interchange = Interchange {
        separators,
        sender: (of(5), of(6)),
        receiver: (of(7), of(8)),
        control: of(13),
        test: isa.get(15) == Some("T"),
        groups: Vec::new(),
    };
    loop {
        let segment = reader.next()?;
        match segment.id() {
            "GS" => interchange.groups.push(group(&segment, &mut reader)?),
            "IEA" => {
                if segment.get(2) != Some(interchange.control.as_str()) {
                    return Err(refused(format!(
                        "its control number is {} at the beginning and {} at the end",
                        interchange.control,
                        segment.get(2).unwrap_or("missing")
                    )));
                }
                count("groups", segment.get(1), interchange.groups.len())?;
                return Ok((interchange, reader.rest));
            }
            other => return Err(refused(format!("{other} stands between groups"))),
        }
    }
}

fn count(what: &str, stated: Option<&str>, counted: usize) -> Result<(), Unread> {
    match stated.and_then(|text| text.parse::<usize>().ok()) {
        Some(stated) if stated == counted => Ok(()),
        _ => Err(refused(format!("it states {} {what} and holds {counted}", stated.unwrap_or("no number of")))),
    }
}

fn group(gs: &Segment, reader: &mut Reader<'_>) -> Result<Group, Unread> {
    let of = |element: usize| gs.get(element).unwrap_or_default().to_owned();
    let mut group = Group { functional: of(1), control: of(6), sets: Vec::new() };
    loop {
        let segment = reader.next()?;
        match segment.id() {
            "ST" => group.sets.push(set(segment, reader)?),
            "GE" => {
                if segment.get(2) != Some(group.control.as_str()) {
                    return Err(refused(format!("group {} ends under another control number", group.control)));
                }
                count("transaction sets", segment.get(1), group.sets.len())?;
                return Ok(group);
            }
            other => return Err(refused(format!("{other} stands between transaction sets"))),
        }
    }
}

fn set(mut st: Segment, reader: &mut Reader<'_>) -> Result<Set, Unread> {
    st.position = 1;
    let (code, control) = (st.get(1).unwrap_or_default().to_owned(), st.get(2).unwrap_or_default().to_owned());
    let mut set = Set { code, control, segments: vec![st], faults: acknowledge::Faults::default() };
    loop {
        let mut segment = reader.next()?;
        segment.position = set.segments.len() + 1;
        if matches!(segment.id(), "GE" | "IEA" | "GS" | "ISA" | "ST") {
            return Err(refused(format!("set {} has no end", set.control)));
        }
        let end = segment.id() == "SE";
        set.segments.push(segment);
        if !end {
            continue;
        }
        let se = set.segments.last().cloned();
        let se = se.as_ref();
        if se.and_then(|se| se.get(2)) != Some(set.control.as_str()) {
            set.faults.set.push(("3", format!("set {} ends under another control number", set.control)));
        }
        let stated = se.and_then(|se| se.get(1)).unwrap_or("none");
        if stated.parse() != Ok(set.segments.len()) {
            set.faults.set.push(("4", format!("set {} states {stated} segments and holds {}", set.control, set.segments.len())));
        }
        set.faults.segments = dictionary::check(&set);
        return Ok(set);
    }
}

struct Reader<'a> {
    separators: Separators,
    rest: &'a str,
    read: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Segment, Unread> {
        self.read += 1;
        if self.read > SEGMENTS_MAX {
            return Err(refused(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        let text = self.rest.trim_start_matches(['\r', '\n']);
        let Some((segment, rest)) = text.split_once(self.separators.segment) else {
            return Err(Unread::Unfinished("it ends before its IEA segment".to_owned()));
        };
        self.rest = rest;
        Ok(Segment { parts: segment.split(self.separators.element).map(str::to_owned).collect(), position: 0 })
    }
}

/// Who, when and under which number.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub sender: (String, String),
    pub receiver: (String, String),
    pub at: jiff::civil::DateTime,
    /// At most nine digits.
    pub control: u32,
    pub production: bool,
    /// `OW`.
    pub functional: &'static str,
    /// `940`.
    pub code: &'static str,
}

/// A text as it is written: one that holds no separator.
pub(super) fn written(text: &str) -> String {
    plain(text, Separators::default())
}

/// A text that holds no separator: X12 has no way to write one.
fn plain(text: &str, separators: Separators) -> String {
    let splits = |c: char| [separators.element, separators.component, separators.segment].contains(&c) || c.is_control();
    text.chars().map(|c| if splits(c) { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

/// One interchange with one group with one set, its counts and control numbers put in.
pub(super) fn write(envelope: &Envelope, segments: &[Vec<String>]) -> String {
    let separators = Separators::default();
    let (date, time) = (envelope.at.strftime("%y%m%d").to_string(), envelope.at.strftime("%H%M").to_string());
    let control = envelope.control;
    let mode = if envelope.production { "P" } else { "T" };
    let (sender, receiver) = (&envelope.sender, &envelope.receiver);
    let mut out = format!(
        "ISA*00*          *00*          *{:2}*{:15}*{:2}*{:15}*{date}*{time}*U*00401*{control:09}*0*{mode}*>~\n",
        sender.0, sender.1, receiver.0, receiver.1
    );
    let mut put = |parts: &[String]| {
        let parts: Vec<String> = parts.iter().map(|part| plain(part, separators)).collect();
        let used = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |at| at + 1);
        out.push_str(&parts.get(..used).unwrap_or_default().join("*"));
        out.push_str("~\n");
    };
    let of = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let number = control.to_string();
    let day = envelope.at.strftime("%Y%m%d").to_string();
    put(&of(&["GS", envelope.functional, &sender.1, &receiver.1, &day, &time, &number, "X", "004010"]));
    put(&of(&["ST", envelope.code, "0001"]));
    for segment in segments {
        put(segment);
    }
    put(&of(&["SE", &(segments.len() + 2).to_string(), "0001"]));
    put(&of(&["GE", "1", &number]));
    put(&of(&["IEA", "1", &format!("{control:09}")]));
    out
}
