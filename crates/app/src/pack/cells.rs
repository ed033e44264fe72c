//! Lines of comma-separated values, one line a record whatever stands in it.
//!
//! Lines are chained, cut and pointed at, so no cell may hold a line break. What comes from outside is shown and never obeyed:
//! control characters are written out, and a text that a spreadsheet would take for a formula begins with an apostrophe.

use crate::commands::out::clean;

/// Many values in one cell.
const BETWEEN: char = '|';

/// A text from outside as it may stand in a cell. What is clean stays as it is.
pub fn text(value: &str) -> String {
    let value = clean(value);
    if value.starts_with(['=', '+', '-', '@']) { format!("'{value}") } else { value }
}

/// Many texts in one cell. Each stays countable.
pub fn many<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let one = |value: &str| if value.is_empty() { "?".to_owned() } else { value.replace(BETWEEN, "%7C") };
    text(&values.map(one).collect::<Vec<_>>().join("|"))
}

/// The texts of such a cell.
pub fn each(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(BETWEEN).filter(|value| !value.is_empty())
}

/// A line, without its end.
pub fn line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        if cell.contains([',', '"']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(cell);
        }
    }
    line
}

/// The cells of a line; `None` when its quotes do not close.
pub fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cells.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            letter => cells.last_mut()?.push(letter),
        }
    }
    (!quoted).then_some(cells)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_read_back(values in prop::collection::vec("\\PC{0,12}|[\n\r\t\",|=+@-]{0,4}", 1..6)) {
            let clean: Vec<String> = values.iter().map(|value| text(value)).collect();
            let line = line(&clean);
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert_eq!(cells(&line).unwrap(), clean.clone());
            for cell in clean {
                prop_assert_eq!(text(&cell), cell);
            }
        }

        #[test]
        fn many_stay_as_many(values in prop::collection::vec("[a-z|=-]{0,4}", 0..5)) {
            let cell = many(values.iter().map(String::as_str));
            prop_assert_eq!(each(&cell).count(), values.len());
            prop_assert_eq!(many(each(&cell)), cell.clone());
        }
    }

    #[test]
    fn a_formula_is_a_text() {
        assert_eq!(text("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(cells("a,\"b"), None);
    }
}
