//! What the segments of the sets that we read must look like: only what the fact sheet (4.2) says.

use super::{
    Set,
    acknowledge::{ElementFault, SegmentFault},
};

/// An element: its number, whether it must be there, its longest text, whether it is a number.
type Element = (usize, bool, usize, bool);

const SEGMENTS: &[(&str, &[Element])] = &[
    ("W05", &[(1, true, 1, false), (2, true, 22, false), (3, false, 22, false)]),
    ("W06", &[(1, true, 1, false), (2, false, 22, false), (4, false, 30, false), (5, false, 12, false), (6, false, 22, false)]),
    ("W17", &[(1, true, 1, false), (2, true, 8, false), (3, true, 12, false), (4, false, 22, false), (5, false, 30, false)]),
    ("W07", &[(1, true, 7, true), (2, true, 2, false), (5, false, 48, false), (7, false, 48, false), (8, false, 12, false)]),
    ("W13", &[(1, true, 15, true), (2, true, 2, false), (3, true, 2, false), (5, false, 2, false)]),
    ("W14", &[(1, true, 7, true)]),
    ("W27", &[(1, true, 2, false), (2, false, 4, false), (3, false, 35, false)]),
    ("W66", &[(1, true, 2, false), (2, true, 2, false), (5, false, 35, false), (10, false, 4, false)]),
    ("W01", &[(1, true, 15, true), (2, true, 2, false), (5, false, 48, false), (7, false, 48, false)]),
    (
        "W12",
        &[
            (1, true, 2, false),
            (2, false, 15, true),
            (3, false, 10, true),
            (4, false, 9, true),
            (5, false, 2, false),
            (6, false, 12, false),
            (8, false, 48, false),
            (9, false, 12, false),
        ],
    ),
    ("W76", &[(1, true, 15, true)]),
    ("W03", &[(1, true, 10, true)]),
    ("MAN", &[(1, true, 2, false), (2, true, 48, false), (3, false, 48, false), (4, false, 2, false), (5, false, 48, false)]),
    ("N9", &[(1, true, 3, false), (2, false, 30, false)]),
    ("N1", &[(1, true, 3, false), (2, false, 60, false), (3, false, 2, false), (4, false, 80, false)]),
    ("N3", &[(1, true, 55, false), (2, false, 55, false)]),
    ("N4", &[(1, false, 30, false), (2, false, 2, false), (3, false, 15, false), (4, false, 3, false)]),
    ("G62", &[(1, false, 2, false), (2, false, 8, false)]),
    ("BIA", &[(1, true, 2, false), (2, true, 2, false), (3, true, 30, false), (4, true, 8, false)]),
    ("QTY", &[(1, true, 2, false), (2, true, 15, true)]),
    ("LIN", &[(2, true, 2, false), (3, true, 48, false)]),
    ("BGN", &[(1, true, 2, false), (2, true, 50, false), (3, true, 8, false)]),
    ("BLI", &[(1, true, 2, false), (2, true, 48, false), (3, false, 15, true)]),
    ("RDR", &[(1, false, 2, false), (2, false, 2, false)]),
    ("PRF", &[(1, true, 22, false)]),
];

/// What a set must hold to be one of its kind.
fn needed(code: &str) -> &'static [&'static str] {
    match code {
        "940" => &["W05", "W66", "W76"],
        "945" => &["W06", "W27", "W03"],
        "944" => &["W17", "W14"],
        "846" => &["BIA"],
        "180" => &["BGN"],
        "997" => &["AK1", "AK9"],
        _ => &[],
    }
}

/// Everything in a set that these rules do not allow.
pub(super) fn check(set: &Set) -> Vec<SegmentFault> {
    let mut faults = Vec::new();
    for segment in &set.segments {
        let Some((_, elements)) = SEGMENTS.iter().find(|(id, _)| *id == segment.id()) else { continue };
        let fault = |(number, must, longest, is_number): &Element| -> Option<ElementFault> {
            let value = segment.get(*number);
            let code = match value {
                None if *must => "1",
                None => return None,
                Some(text) if text.chars().count() > *longest => "5",
                Some(text) if *is_number && text.parse::<rust_decimal::Decimal>().is_err() => "6",
                Some(_) => return None,
            };
            Some(ElementFault { element: *number, code, value: value.unwrap_or_default().to_owned() })
        };
        let found: Vec<ElementFault> = elements.iter().filter_map(fault).collect();
        if !found.is_empty() {
            faults.push(SegmentFault { id: segment.id().to_owned(), position: segment.position, code: "8", elements: found });
        }
    }
    let end = set.segments.len();
    for id in needed(&set.code).iter().filter(|id| !set.segments.iter().any(|segment| segment.id() == **id)) {
        faults.push(SegmentFault { id: (*id).to_owned(), position: end, code: "3", elements: Vec::new() });
    }
    faults
}
