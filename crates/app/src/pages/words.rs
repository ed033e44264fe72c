//! How values read on a page: times, durations, amounts, states.

use jiff::Timestamp;
use maud::{Markup, html};
use rust_decimal::Decimal;
use selvedge_model::{
    Currency, DifferenceId, FlowName, Money, RecordId, Sku,
    obligation::State,
    records::{HoldReason, LineKind, OrderStatus, PaymentKind, PaymentStatus},
};
use selvedge_store::stock::FigureState;

use crate::view::Standing;

/// An instant in UTC, and how long ago that is.
pub(super) fn when(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")) {
            span.at { (at.strftime("%Y-%m-%d %H:%M:%S")) " UTC" } " "
            span.ago { (ago(at, now)) }
        }
    }
}

/// `3 min ago`, `in 12 s`, `just now`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    let length = |seconds: u64| match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    match seconds {
        0 | 1 => "just now".to_owned(),
        2.. => format!("{} ago", length(seconds.unsigned_abs())),
        _ => format!("in {}", length(seconds.unsigned_abs())),
    }
}

/// `84 ms`, `1.2 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn length(ms: u64) -> String {
    let seconds = ms / 1_000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Digits in groups of three, with a narrow space that does not break.
pub(super) fn grouped(number: u64) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("−", digits));
    let mut text = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Units, which may be below nought: `1 204`, `−3`.
pub(super) fn units(number: i64) -> String {
    group(&number.to_string())
}

/// Units that come or go: `+5`, `−1 204`, `0`.
pub(super) fn change(number: i64) -> String {
    if number > 0 { format!("+{}", units(number)) } else { units(number) }
}

/// `1 record`, `1 204 records`.
pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `18200.00 EUR` with its digits grouped; what reads otherwise stays as it is.
pub(super) fn amount(text: &str) -> String {
    let Some((number, currency)) = text.split_once(' ') else {
        return text.to_owned();
    };
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    format!("{}{fraction}\u{a0}{currency}", group(whole))
}

/// An amount with its currency.
pub(super) fn money(value: Money) -> String {
    amount(&value.to_string())
}

/// An amount in a column whose head names the currency.
pub(super) fn figure(value: Money) -> String {
    let text = value.decimal().to_string();
    let with = amount(&format!("{text} ."));
    with.strip_suffix("\u{a0}.").map_or(text, str::to_owned)
}

/// The price of one unit: as many places as it has, and at least those of its currency.
pub(super) fn price(value: Decimal, currency: Currency) -> String {
    let mut value = value.normalize();
    let places = currency.minor_units().unwrap_or(0);
    if value.scale() < places {
        value.rescale(places);
    }
    let with = amount(&format!("{value} ."));
    with.strip_suffix("\u{a0}.").map_or_else(|| value.to_string(), str::to_owned)
}

/// Amounts of several currencies.
pub(super) fn amounts(texts: &[String]) -> String {
    texts.iter().map(|text| amount(text)).collect::<Vec<_>>().join(" + ")
}

/// One part of a path, so that a number of any shape leads to its page.
pub(super) fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Where a list of records goes on. `broken_off`: fewer stand here than a page takes, so the rest was not looked through yet.
pub(super) fn further(list: &str, search: &str, later: bool, next: Option<RecordId>, broken_off: bool) -> Markup {
    html! {
        @if let Some(next) = next {
            @if broken_off { p.quiet { "Very many have each of these words, so only the newest were looked through." } }
            p { a href={ (list) "?search=" (part(search)) "&before=" (next) } { @if broken_off { "Look further back" } @else { "Older" } } }
        }
        @if later { p { a href={ (list) "?search=" (part(search)) } { "Back to the newest" } } }
    }
}

/// The address of an order's page.
pub(super) fn order_address(number: &str) -> String {
    format!("/orders/{}", part(number))
}

/// The address of a flow's page.
pub(super) fn flow_address(flow: &FlowName) -> String {
    format!("/flows/{}", part(flow.as_str()))
}

/// A word at the head of a sentence: `Credit note`.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The address of a difference's page.
pub(super) fn difference_address(id: DifferenceId) -> String {
    format!("/reconcile/differences/{id}")
}

/// The address of a return's page.
pub(super) fn return_address(key: &str) -> String {
    format!("/returns/{}", part(key))
}

/// What a state means to whoever looks.
pub(super) const fn meaning(state: State) -> &'static str {
    match state {
        State::Captured => "at the gate",
        State::Cleared => "ready to send",
        State::Sending => "being sent",
        State::Unanswered => "sent, no answer",
        State::Delivered => "to be read back",
        State::Confirmed => "confirmed",
        State::Compared => "compared",
        State::Held => "held",
        State::Superseded => "superseded",
        State::Excluded => "excluded",
        State::Dismissed => "dismissed",
    }
}

/// A state as a word and a mark, so that no meaning hangs on colour alone.
pub(super) fn state(state: State) -> Markup {
    let (mark, tone) = match state {
        State::Confirmed => ("✓", "good"),
        State::Held => ("‖", "bad"),
        State::Compared => ("≈", "quiet"),
        State::Superseded | State::Excluded | State::Dismissed => ("–", "quiet"),
        State::Captured | State::Cleared | State::Sending | State::Unanswered | State::Delivered => ("→", "busy"),
    };
    html! { span class={ "state " (tone) } { span aria-hidden="true" { (mark) " " } (meaning(state)) } }
}

/// Where a figure of stock stands, as a word and a mark.
pub(super) fn figure_state(state: FigureState) -> Markup {
    let (mark, tone) = match state {
        FigureState::Agreed => ("✓", "good"),
        FigureState::Held => ("‖", "bad"),
        FigureState::Left => ("–", "quiet"),
        FigureState::Due | FigureState::Sending => ("→", "busy"),
    };
    html! { span class={ "state " (tone) } { span aria-hidden="true" { (mark) " " } (state.word()) } }
}

/// Where the page of an item is.
pub(super) fn item_address(sku: &Sku) -> String {
    format!("/stock/items/{}", part(sku.as_str()))
}

/// Where a record stands, flow by flow.
pub(super) fn standings(standings: &[Standing]) -> Markup {
    html! {
        @for (place, standing) in standings.iter().enumerate() {
            @if place > 0 { " " }
            @if standings.len() > 1 { span.quiet { (standing.flow) ": " } }
            (state(standing.state))
        }
        @if standings.is_empty() { span.quiet { "no flow wants it" } }
    }
}

/// Where an order stands at its source.
pub(super) const fn order_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => "pending",
        OrderStatus::Confirmed => "confirmed by the shop",
        OrderStatus::Processing => "processing",
        OrderStatus::Shipped => "shipped",
        OrderStatus::Archived => "archived",
        OrderStatus::Cancelled => "cancelled",
    }
}

/// Why its source holds an order back.
pub(super) const fn hold(hold: &HoldReason) -> &'static str {
    match hold {
        HoldReason::OnHold => "on hold at the shop",
        HoldReason::WaitingForPayment => "waiting for payment",
    }
}

/// What a line sells, where that is not plain.
pub(super) const fn line_kind(kind: LineKind) -> Option<&'static str> {
    match kind {
        LineKind::Product => None,
        LineKind::Bundle => Some("bundle"),
        LineKind::BundleItem => Some("in a bundle"),
        LineKind::GiftCertificate => Some("gift certificate"),
    }
}

/// What a payment entry says.
pub(super) const fn payment(kind: PaymentKind) -> &'static str {
    match kind {
        PaymentKind::Authorisation => "authorised",
        PaymentKind::Capture => "captured",
        PaymentKind::Refund => "refunded",
        PaymentKind::Cancellation => "cancelled",
        PaymentKind::Other => "other",
    }
}

/// Whether it happened.
pub(super) const fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Success => "done",
        PaymentStatus::Pending => "pending",
        PaymentStatus::Failed => "failed",
    }
}

/// A line of a timeline in words, and its tone.
pub(super) fn step(verb: &str, outcome: &str) -> (String, &'static str) {
    let (words, tone) = match (verb, outcome) {
        ("capture", "captured") => ("Captured", "plain"),
        (_, "superseded") => ("A newer revision took its place", "quiet"),
        ("gate", "cleared") => ("Passed the gate", "plain"),
        ("gate", "held") => ("Held at the gate", "bad"),
        ("gate", "waits") => ("Waits", "busy"),
        ("deliver", "delivered") => ("Delivered", "plain"),
        (_, "advanced") => ("A step further", "plain"),
        ("gate", "remarked") => ("Said in passing", "plain"),
        ("watch", "held") => ("Changed by somebody else there", "bad"),
        ("watch", "reverted") => ("To be written again", "busy"),
        ("watch", "accepted") => ("Let stand as it is there", "plain"),
        ("deliver", "unanswered") => ("Sent, no answer came", "busy"),
        ("deliver", "held") => ("Refused by the target", "bad"),
        ("find", "delivered") => ("Looked for, and found", "plain"),
        ("find", "nothing") => ("Looked for, nothing there yet", "busy"),
        ("find", "cleared") => ("Looked for, nothing there: may be sent again", "busy"),
        ("confirm", "confirmed") => ("Confirmed", "good"),
        ("confirm", "held") => ("Read back, and different", "bad"),
        ("release", _) => ("Released", "plain"),
        ("dismiss", _) => ("Dismissed", "quiet"),
        (_, "excluded") => ("Excluded by rule", "quiet"),
        (_, "transient") => ("Could not be reached; tries again", "busy"),
        (_, "throttled") => ("The target asks for patience", "busy"),
        _ => return (format!("{verb}: {outcome}"), "plain"),
    };
    (words.to_owned(), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lengths_read_well() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (then, text) in [(1_000, "just now"), (999, "just now"), (990, "10 s ago"), (400, "10 min ago"), (1_030, "in 30 s")] {
            assert_eq!(ago(at(then), at(1_000)), text);
        }
        assert_eq!(ago(at(0), at(3 * 86_400)), "3 days ago");
        for (ms, text) in
            [(84, "84 ms"), (1_250, "1.2 s"), (184_000, "3 min 4 s"), (7_500_000, "2 h 5 min"), (273_600_000, "3 d 4 h")]
        {
            assert_eq!(length(ms), text);
        }
    }

    #[test]
    fn digits_are_grouped_and_odd_texts_left_alone() {
        for (number, text) in [(0, "0"), (999, "999"), (1_204, "1\u{202f}204"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((units(-1_204), units(0)), ("−1\u{202f}204".to_owned(), "0".to_owned()));
        assert_eq!((change(5), change(0), change(-5)), ("+5".to_owned(), "0".to_owned(), "−5".to_owned()));
        assert_eq!(amount("18200.00 EUR"), "18\u{202f}200.00\u{a0}EUR");
        assert_eq!(amount("-1234 JPY"), "−1\u{202f}234\u{a0}JPY");
        for odd in ["", "EUR", "x EUR", "- EUR"] {
            assert_eq!(amount(odd), odd);
        }
    }

    #[test]
    fn a_price_may_be_finer_than_a_cent() {
        let (eur, jpy) = (Currency::from_code("EUR").unwrap(), Currency::from_code("JPY").unwrap());
        for (value, currency, text) in
            [("2400", eur, "2\u{202f}400.00"), ("0.12500", eur, "0.125"), ("1200.0", jpy, "1\u{202f}200"), ("0.5", jpy, "0.5")]
        {
            assert_eq!(price(value.parse().unwrap(), currency), text);
        }
    }

    #[test]
    fn any_number_fits_into_a_path() {
        assert_eq!(part("SE-1042"), "SE-1042");
        assert_eq!(part("a/b?c#ö ."), "a%2Fb%3Fc%23%C3%B6%20%2E");
    }
}
