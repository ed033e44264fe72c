//! What a message says. No personal data: it leaves the house, and mail is read by many.

use super::{Event, Item, Links, Message, Severity};

/// The most alerts that one message names; the rest is counted.
pub const ITEMS_MAX: usize = 20;
/// The longest sentence about one alert, in characters.
const SENTENCE_CHARS_MAX: usize = 300;
/// The longest subject.
const SUBJECT_CHARS_MAX: usize = 200;

/// A message in words: every channel shows these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// What leads into the alerts; may be empty.
    pub lead: String,
    /// One for each alert.
    pub paragraphs: Vec<Paragraph>,
    /// What follows them, a line each.
    pub tail: Vec<String>,
}

/// What is said of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// One line.
    pub title: String,
    /// Name and value: what is at stake, whose it is, what to do.
    pub facts: Vec<(&'static str, String)>,
    /// The page of its exception.
    pub url: Option<String>,
}

/// The words of a message.
pub fn words(message: &Message, links: &Links) -> Words {
    let paragraphs = message.items.iter().map(|item| paragraph(item, links)).collect();
    let mut tail = Vec::new();
    if message.more > 0 {
        tail.push(format!("And {} more.", message.more));
    }
    if message.event.asks() {
        match &links.acknowledge {
            Some(url) => tail.push(format!("Acknowledge, so that nobody else is told: {url}")),
            None => {
                let ids: Vec<String> = message.items.iter().map(|item| item.alert.to_string()).collect();
                tail.push(format!("Acknowledge, so that nobody else is told: selvedge alerts ack {}", ids.join(" ")));
            }
        }
    }
    if let Some(url) = links.alerts() {
        tail.push(format!("All alerts: {url}"));
    }
    tail.push(format!("{} · {}", message.brand, message.id));
    Words { subject: subject(message), lead: lead(message), paragraphs, tail }
}

/// One line: `[critical] 214 records held: shipping method 'express' has no entry (18,200.00 EUR)`.
pub fn subject(message: &Message) -> String {
    let mark = match message.event {
        Event::Resolved => "[resolved]".to_owned(),
        Event::Acknowledged => "[acknowledged]".to_owned(),
        Event::Test => "[test]".to_owned(),
        Event::Digest => "[digest]".to_owned(),
        Event::Escalated => format!("[{}, nobody acknowledged]", message.severity),
        Event::Repeated => format!("[{}, still open]", message.severity),
        Event::Opened => format!("[{}]", message.severity),
    };
    let total = message.items.len() as u64 + message.more;
    let text = match message.items.as_slice() {
        [] if message.event == Event::Test => format!("{}: this channel works", message.brand),
        [] => format!("{}: nothing is open", message.brand),
        [only] if total == 1 => title(only),
        [first, ..] => format!("{total} exceptions, the worst: {}", title(first)),
    };
    cut(&format!("{mark} {text}"), SUBJECT_CHARS_MAX)
}

fn lead(message: &Message) -> String {
    match message.event {
        Event::Test => "Somebody tries whether alerts arrive here. There is nothing to do.".to_owned(),
        Event::Acknowledged => {
            format!("{} looks after it. Nobody else is told.", message.by.as_deref().unwrap_or("Somebody"))
        }
        Event::Resolved => "It is over; there is nothing to do any more.".to_owned(),
        Event::Digest => "What is open now, the worst first.".to_owned(),
        Event::Escalated => "It was told before, and nobody acknowledged it in time.".to_owned(),
        Event::Repeated => "It was told before, and it is still open.".to_owned(),
        Event::Opened => String::new(),
    }
}

fn title(item: &Item) -> String {
    let money = if item.money.is_empty() { String::new() } else { format!(" ({})", grouped_money(&item.money)) };
    let stake = match (item.held, item.behind) {
        (0, 0) => String::new(),
        (0, 1) if item.rule.starts_with("reconcile.") => "1 record differs: ".to_owned(),
        (0, differ) if item.rule.starts_with("reconcile.") => format!("{} records differ: ", thousands(&differ.to_string())),
        (0, 1) => "1 record waits: ".to_owned(),
        (0, wait) => format!("{} records wait: ", thousands(&wait.to_string())),
        (1, _) => "1 record held: ".to_owned(),
        (held, _) => format!("{} records held: ", thousands(&held.to_string())),
    };
    format!("{stake}{}{money}", item.message)
}

fn paragraph(item: &Item, links: &Links) -> Paragraph {
    let mut facts = vec![("Rule", item.rule.clone())];
    if !item.flow.is_empty() {
        facts.push(("Flow", item.flow.clone()));
    }
    facts.push(("Owner", item.team.name().to_owned()));
    facts.push(("Since", item.since.strftime("%Y-%m-%d %H:%M UTC").to_string()));
    match &item.resolved {
        Some(resolved) => facts.push(("Over", resolved.clone())),
        None => facts.push(("What to do", item.remedy.clone())),
    }
    Paragraph { title: title(item), facts, url: links.exception(item.exception) }
}

/// As plain text, for mail and logs.
pub fn plain_text(words: &Words) -> String {
    let mut text = String::new();
    let mut line = |one: &str| {
        text.push_str(one);
        text.push('\n');
    };
    if !words.lead.is_empty() {
        line(&words.lead);
        line("");
    }
    for paragraph in &words.paragraphs {
        line(&paragraph.title);
        for (name, value) in &paragraph.facts {
            line(&format!("  {name}: {value}"));
        }
        if let Some(url) = &paragraph.url {
            line(&format!("  {url}"));
        }
        line("");
    }
    words.tail.iter().for_each(|one| line(one));
    text
}

/// The colour in which a channel that has colours shows it.
pub const fn is_urgent(severity: Severity) -> bool {
    matches!(severity, Severity::Error | Severity::Critical)
}

/// A sentence about an exception as it may leave the house. What is about a person is not repeated: the rule stands for it. In
/// everything else whatever looks like an e-mail address or a telephone number is blanked, and what looks like a command of the
/// receiving channel does not begin a line.
pub fn plain(rule: &str, sentence: &str) -> String {
    let area = rule.split_once('.').map_or(rule, |(area, _)| area);
    if matches!(area, "address" | "customer") || rule == "target.customer_name" {
        return format!("{rule} (what it is about stands on its page)");
    }
    let words: Vec<String> = sentence.split_whitespace().map(blank).collect();
    cut(&words.join(" "), SENTENCE_CHARS_MAX)
}

/// One word without what tells who somebody is.
fn blank(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let at_sign = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let phone = word.trim_start_matches(['(', '"', '\'']).starts_with('+') && digits >= 7;
    if at_sign || phone { "…".to_owned() } else { word.to_owned() }
}

fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `18,200.00 EUR, 3.00 SEK` of `18200.00 EUR` and `3.00 SEK`.
fn grouped_money(money: &[String]) -> String {
    let one = |amount: &String| {
        let whole = amount.find(['.', ' ']).unwrap_or(amount.len());
        let (whole, rest) = amount.split_at(whole);
        format!("{}{rest}", thousands(whole))
    };
    money.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Digits with a comma between thousands.
fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}
