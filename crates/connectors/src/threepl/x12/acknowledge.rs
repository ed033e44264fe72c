//! The 997: what we tell the partner of what we read, and what they tell us. It speaks of syntax only; whether an order
//! can ship, it does not say.

use super::{Group, Interchange, Set};
use crate::threepl::message::Answer;

/// What is wrong with an element (AK4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::threepl) struct ElementFault {
    pub element: usize,
    /// 1 missing, 5 too long, 6 characters that do not belong there …
    pub code: &'static str,
    pub value: String,
}

/// What is wrong with a segment (AK3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::threepl) struct SegmentFault {
    pub id: String,
    pub position: usize,
    /// 3 missing, 8 its elements are wrong.
    pub code: &'static str,
    pub elements: Vec<ElementFault>,
}

/// What is wrong with a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::threepl) struct Faults {
    /// Codes of AK5 with their reasons.
    pub set: Vec<(&'static str, String)>,
    pub segments: Vec<SegmentFault>,
}

impl Faults {
    /// All of it, in a sentence; nothing when the set is good.
    pub fn said(&self) -> Option<String> {
        let segments = self.segments.iter().map(|fault| {
            let elements: Vec<String> =
                fault.elements.iter().map(|e| format!("element {} is {} ({:?})", e.element, meaning(e.code), e.value)).collect();
            let what = if elements.is_empty() { "is missing".to_owned() } else { elements.join(", ") };
            format!("segment {} at {}: {what}", fault.id, fault.position)
        });
        let all: Vec<String> = self.set.iter().map(|(_, why)| why.clone()).chain(segments).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What the codes of AK4 mean (fact sheet 4.3).
fn meaning(code: &str) -> &str {
    match code {
        "1" => "missing",
        "2" => "missing beside another",
        "3" => "too many",
        "4" => "too short",
        "5" => "too long",
        "6" => "of characters that do not belong there",
        "7" => "no code that they know",
        "8" => "no date",
        "9" => "no time",
        "10" => "beside one that excludes it",
        other => other,
    }
}

/// The segments of the 997 for a group, between ST and SE; none for a group of 997s: those are never acknowledged.
pub(in crate::threepl) fn segments(group: &Group) -> Option<Vec<Vec<String>>> {
    if group.functional == "FA" {
        return None;
    }
    let of = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let mut out = vec![of(&["AK1", &group.functional, &group.control])];
    let mut taken = 0_usize;
    for set in &group.sets {
        out.push(of(&["AK2", &set.code, &set.control]));
        for fault in &set.faults.segments {
            out.push(of(&["AK3", &fault.id, &fault.position.to_string(), "", fault.code]));
            for element in &fault.elements {
                out.push(of(&["AK4", &element.element.to_string(), "", element.code, &element.value]));
            }
        }
        let mut codes: Vec<&str> = set.faults.set.iter().map(|(code, _)| *code).collect();
        if !set.faults.segments.is_empty() {
            codes.push("5");
        }
        if codes.is_empty() {
            taken += 1;
            out.push(of(&["AK5", "A"]));
        } else {
            out.push([of(&["AK5", "R"]), of(&codes)].concat());
        }
    }
    let all = group.sets.len();
    let word = if taken == all {
        "A"
    } else if taken == 0 {
        "R"
    } else {
        "P"
    };
    out.push(of(&["AK9", word, &all.to_string(), &all.to_string(), &taken.to_string()]));
    Some(out)
}

/// What a partner's 997s say: each of our groups by its control number, and the answer; and why others say nothing.
pub(in crate::threepl) fn answers(interchange: &Interchange) -> (Vec<(String, Answer)>, Vec<String>) {
    let (mut said, mut unread) = (Vec::new(), Vec::new());
    for group in &interchange.groups {
        for set in &group.sets {
            let name = format!("set {} {} of group {}", set.code, set.control, group.control);
            match (group.functional == "FA" && set.code == "997", set.faults.said(), answer(set)) {
                (true, None, Some(answer)) => said.push(answer),
                (true, Some(why), _) => unread.push(format!("{name}: {why}")),
                (true, None, None) => unread.push(format!("{name} says nothing of a group")),
                (false, ..) => unread.push(format!("{name} is no acknowledgement")),
            }
        }
    }
    (said, unread)
}

fn answer(set: &Set) -> Option<(String, Answer)> {
    let ak1 = set.segments.iter().find(|segment| segment.id() == "AK1")?;
    let ak9 = set.segments.iter().find(|segment| segment.id() == "AK9")?;
    let status = match ak9.get(1).unwrap_or_default() {
        "A" => "accepted".to_owned(),
        "E" => "accepted_with_errors".to_owned(),
        "P" => "partial".to_owned(),
        "R" | "M" | "W" | "X" => "rejected".to_owned(),
        other => other.to_owned(),
    };
    let mut messages = Vec::new();
    let mut about = String::new();
    for segment in &set.segments {
        match segment.id() {
            "AK3" => about = format!("segment {} at {}", segment.get(1).unwrap_or("?"), segment.get(2).unwrap_or("?")),
            "AK4" => messages.push(format!(
                "{about}: element {} is {}",
                segment.get(1).unwrap_or("?"),
                meaning(segment.get(3).unwrap_or("wrong"))
            )),
            "AK5" if segment.get(1) != Some("A") => {
                messages.push(format!("set code {} {}", segment.get(1).unwrap_or("?"), segment.get(2).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Some((ak1.get(2)?.to_owned(), Answer { status, messages }))
}
