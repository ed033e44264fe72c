//! The runbook of each rule: the same page as in `docs/exceptions`, at hand where it is needed.
//!
//! The pages are ours and small, so a small part of Markdown is enough: headings, paragraphs, lists, tables, code, bold. A link
//! shows its words: where it leads to lies in the documentation, not here.

use maud::{Markup, html};

macro_rules! pages {
    ($($area:literal),+ $(,)?) => {
        /// Area and page.
        pub(crate) const PAGES: &[(&str, &str)] = &[$(($area, include_str!(concat!("../../../../docs/exceptions/", $area, ".md")))),+];
    };
}

pages!(
    "address",
    "alert",
    "bundle",
    "confirm",
    "connection",
    "credit",
    "currency",
    "decode",
    "exchange",
    "file",
    "flow",
    "lines",
    "mapping",
    "needed",
    "order",
    "payment",
    "period",
    "pick",
    "preflight",
    "product",
    "reconcile",
    "refund",
    "return",
    "route",
    "shipment",
    "source",
    "statement",
    "status",
    "stock",
    "target",
    "totals",
    "webhook",
);

/// Under which heading a page says what to do.
const STEPS: &str = "What to do";

/// The page of the area of a rule.
fn page(rule: &str) -> Option<&'static str> {
    let area = rule.split_once('.').map_or(rule, |(area, _)| area);
    PAGES.iter().find(|(known, _)| *known == area).map(|(_, text)| *text)
}

/// The runbook of a rule, if its area has one.
pub(super) fn shown(rule: &str) -> Option<Markup> {
    page(rule).map(markup)
}

/// The areas that have a page, by name.
pub(crate) fn areas() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(area, _)| *area)
}

/// The title of an area's page: what has happened, in a few words.
pub(crate) fn title(area: &str) -> Option<&'static str> {
    page(area).and_then(|text| text.lines().next()).map(|line| line.trim_start_matches('#').trim())
}

/// What an area's page says under *What to do*, as Markdown whose links are their words. Where a page has several, each stands
/// under the heading of what it is about.
pub(crate) fn steps(area: &str) -> Option<String> {
    let (mut out, mut part, mut taken) = (String::new(), "", None);
    for line in page(area)?.lines() {
        let level = line.chars().take_while(|c| *c == '#').count();
        let heading = line.trim_start_matches('#').trim();
        match (level, taken) {
            (1.., _) if heading == STEPS => {
                if level > 2 {
                    out.push_str(&format!("#### {part}\n\n"));
                }
                taken = Some(level);
            }
            (1.., Some(from)) if level <= from => taken = None,
            (1.., Some(_)) => out.push_str(&format!("#### {heading}\n")),
            (_, Some(_)) => {
                out.push_str(&words(line));
                out.push('\n');
            }
            _ => {}
        }
        if level > 0 && level <= 2 {
            part = heading;
        }
    }
    Some(out.trim().to_owned())
}

/// A line of Markdown whose links are their words.
fn words(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some((before, from)) = rest.split_once('[') {
        out.push_str(before);
        match from.split_once("](").and_then(|(words, to)| Some((words, to.split_once(')')?.1))) {
            Some((words, after)) if !words.contains('[') => {
                out.push_str(words);
                rest = after;
            }
            _ => {
                out.push('[');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Markdown of ours as it is shown.
pub(super) fn markup(text: &str) -> Markup {
    html! { @for block in blocks(text) { (block_of(&block)) } }
}

/// What a page is made of.
#[derive(Debug, PartialEq, Eq)]
enum Block<'a> {
    Heading(&'a str),
    Paragraph(String),
    List { ordered: bool, items: Vec<String> },
    Table(Vec<Vec<&'a str>>),
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    // Whether the line before belongs together with this one.
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            open = false;
            continue;
        }
        if let Some(heading) = trimmed.strip_prefix('#') {
            blocks.push(Block::Heading(heading.trim_start_matches('#').trim()));
            open = false;
            continue;
        }
        if let Some(row) = trimmed.strip_prefix('|') {
            let cells: Vec<&str> = cells(row.strip_suffix('|').unwrap_or(row));
            let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
            match blocks.last_mut().filter(|_| open) {
                Some(Block::Table(rows)) if !is_rule => rows.push(cells),
                Some(Block::Table(_)) => {}
                _ => blocks.push(Block::Table(vec![cells])),
            }
            open = true;
            continue;
        }
        match (item(trimmed), blocks.last_mut().filter(|_| open)) {
            (Some((ordered, first)), Some(Block::List { ordered: before, items })) if *before == ordered => {
                items.push(first.to_owned())
            }
            (Some((ordered, first)), _) => blocks.push(Block::List { ordered, items: vec![first.to_owned()] }),
            (None, Some(Block::List { items, .. })) => {
                if let Some(last) = items.last_mut() {
                    last.push(' ');
                    last.push_str(trimmed);
                }
            }
            (None, Some(Block::Paragraph(words))) => {
                words.push(' ');
                words.push_str(trimmed);
            }
            (None, _) => blocks.push(Block::Paragraph(trimmed.to_owned())),
        }
        open = true;
    }
    blocks
}

/// The cells of a row; a bar inside code parts nothing.
fn cells(row: &str) -> Vec<&str> {
    let (mut cells, mut from, mut code) = (Vec::new(), 0, false);
    for (at, c) in row.char_indices() {
        match c {
            '`' => code = !code,
            '|' if !code => {
                cells.push(row.get(from..at).unwrap_or_default().trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    cells.push(row.get(from..).unwrap_or_default().trim());
    cells
}

/// The beginning of a list's item: whether it is numbered, and its words.
fn item(line: &str) -> Option<(bool, &str)> {
    if let Some(words) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some((false, words));
    }
    let (number, words) = line.split_once(". ")?;
    (!number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit())).then_some((true, words))
}

fn block_of(block: &Block<'_>) -> Markup {
    html! {
        @match block {
            Block::Heading(words) => h4 { (inline(words)) },
            Block::Paragraph(words) => p { (inline(words)) },
            Block::List { ordered: true, items } => ol { @for words in items { li { (inline(words)) } } },
            Block::List { ordered: false, items } => ul { @for words in items { li { (inline(words)) } } },
            Block::Table(rows) => {
                @let head = rows.first().map(Vec::as_slice).unwrap_or_default();
                table.cards {
                    thead { tr { @for cell in head { th scope="col" { (inline(cell)) } } } }
                    tbody {
                        @for row in rows.iter().skip(1) {
                            tr { @for (cell, label) in row.iter().zip(head) { td data-label=(plain(label)) { (inline(cell)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Words without their marks.
fn plain(text: &str) -> String {
    text.replace(['`', '*'], "")
}

/// Code, bold and links inside a line.
fn inline(text: &str) -> Markup {
    let mut rest = text;
    let mut out: Vec<Markup> = Vec::new();
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, from) = rest.split_at(at);
        let taken = marked(from);
        let Some((markup, length)) = taken else {
            // A mark that opens nothing stands for itself.
            let width = from.chars().next().map_or(1, char::len_utf8);
            let (mark, after) = from.split_at(width);
            out.push(html! { (before) (mark) });
            rest = after;
            continue;
        };
        out.push(html! { (before) (markup) });
        rest = from.get(length..).unwrap_or_default();
    }
    html! { @for part in &out { (part) } (rest) }
}

/// What stands at the beginning of a text that begins with a mark, and how long it is.
fn marked(text: &str) -> Option<(Markup, usize)> {
    if let Some(code) = text.strip_prefix('`') {
        let end = code.find('`')?;
        return Some((html! { code { (code.get(..end)?) } }, end + 2));
    }
    if let Some(bold) = text.strip_prefix("**") {
        let end = bold.find("**")?;
        return Some((html! { b { (inline(bold.get(..end)?)) } }, end + 4));
    }
    let link = text.strip_prefix('[')?;
    let end = link.find("](")?;
    let close = link.get(end..)?.find(')')?;
    Some((html! { (inline(link.get(..end)?)) }, 1 + end + close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_here_and_shows() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exceptions");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Some(area) = name.strip_suffix(".md") else { continue };
            let shown =
                shown(&format!("{area}.anything")).unwrap_or_else(|| panic!("{area} is not among the runbooks")).into_string();
            assert!(
                shown.contains("<h4>") && !shown.contains("](") && !shown.contains("**") && !shown.contains("|-"),
                "{area}: {shown}"
            );
            seen += 1;
        }
        assert_eq!(seen, PAGES.len());
        assert!(shown("nobody.knows").is_none());
    }

    #[test]
    fn a_link_is_its_words_and_nothing_else_is_lost() {
        assert_eq!(
            words("see [the `check`](a.md#b), [one] of (two) and [three](c.md)."),
            "see the `check`, [one] of (two) and three."
        );
        assert_eq!(words("`[desk] edit` and [[twice]](x) [open"), "`[desk] edit` and [twice] [open");
    }

    #[test]
    fn the_small_part_of_markdown() {
        let text = "# Head\n\nOne `a|b` and\n**bold [link](x.md)**.\n\n1. first\n   goes on\n2. second\n\n| Rule | `x|y` |\n|---|---|\n| a | 5 * 3 <b> |\n";
        let shown: String = blocks(text).iter().map(|block| block_of(block).into_string()).collect();
        assert_eq!(
            shown,
            "<h4>Head</h4><p>One <code>a|b</code> and <b>bold link</b>.</p><ol><li>first goes on</li><li>second</li></ol>\
             <table class=\"cards\"><thead><tr><th scope=\"col\">Rule</th><th scope=\"col\"><code>x|y</code></th></tr></thead>\
             <tbody><tr><td data-label=\"Rule\">a</td><td data-label=\"x|y\">5 * 3 &lt;b&gt;</td></tr></tbody></table>"
        );
        assert_eq!(inline("a ` b [c * d").into_string(), "a ` b [c * d");
    }
}
