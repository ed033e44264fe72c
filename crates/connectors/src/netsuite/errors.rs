//! An answer that is no success → what the flow does next.
//!
//! (NetSuite help: "Error Handling and Logging" of SuiteTalk REST; error shape `o:errorDetails`.)

use selvedge_connector::{Answer, Effect, Fault, redact};
use selvedge_model::Problem;
use serde_json::Value;

use super::wire;
use crate::complaint::cause_of;

/// One entry of `o:errorDetails`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub code: String,
    pub text: String,
    pub path: Option<String>,
}

/// The details of an error body; none when it is not one.
pub(crate) fn details(body: &[u8]) -> Vec<Detail> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let title = wire::text(&body, "title").unwrap_or_default();
    let of = |entry: &Value| Detail {
        code: wire::text(entry, "o:errorCode").unwrap_or_default(),
        text: wire::text(entry, "detail").unwrap_or_else(|| title.clone()),
        path: wire::text(entry, "o:errorPath"),
    };
    match body.get("o:errorDetails").and_then(Value::as_array) {
        Some(entries) if !entries.is_empty() => entries.iter().map(of).collect(),
        _ if !title.is_empty() => {
            vec![Detail { text: title, code: wire::text(&body, "o:errorCode").unwrap_or_default(), path: None }]
        }
        _ => Vec::new(),
    }
}

/// What a call was about, to judge its answer by.
pub(crate) struct Asked<'a> {
    /// For faults.
    pub what: &'a str,
    /// Read or write.
    pub effect: Effect,
    /// The document sent, so that a problem can name the value.
    pub sent: Option<&'a Value>,
    /// Whether it was to create something under our key.
    pub creates: bool,
}

/// The fault that an answer other than 2xx is.
pub(crate) fn fault(asked: &Asked<'_>, answer: &Answer) -> Fault {
    let what = asked.what.to_owned();
    let details = details(&answer.body);
    let said = || {
        let texts: Vec<String> = details.iter().map(|d| format!("{} {}", d.code, d.text).trim().to_owned()).collect();
        let texts = texts.join("; ");
        if texts.is_empty() { format!("status {}", answer.status) } else { shorten(&redact::sentence(&texts), 400) }
    };
    let coded = |code: &str| details.iter().any(|d| d.code == code);
    match answer.status {
        401 => {
            let hint = answer.header("www-authenticate").map(|h| format!(" ({})", shorten(h, 200))).unwrap_or_default();
            Fault::Unauthorized {
                what,
                detail: format!("{}{hint}. The reason stands in the account's Login Audit Trail", said()),
            }
        }
        429 => Fault::Throttled { what, wait: None },
        _ if coded("CONCURRENCY_LIMIT_EXCEEDED") || coded("SSS_REQUEST_LIMIT_EXCEEDED") => Fault::Throttled { what, wait: None },
        403 if !details.is_empty() => Fault::Unauthorized { what, detail: format!("the role lacks a permission: {}", said()) },
        // A page instead of an answer: a wrong host, maintenance, something in between.
        300..=499 if details.is_empty() && !looks_like_json(answer) => not_served(asked, answer),
        400..=499 if details.is_empty() => Fault::Unexpected { what, detail: excerpt(answer) },
        400..=499 if asked.creates && details.iter().any(is_duplicate) => Fault::Exists { what, id: None },
        400..=499 => Fault::Refused { what, problems: details.iter().map(|detail| problem(detail, asked.sent)).collect() },
        _ => not_served(asked, answer),
    }
}

fn not_served(asked: &Asked<'_>, answer: &Answer) -> Fault {
    let (what, source) = (asked.what.to_owned(), Some(excerpt(answer).into()));
    match asked.effect {
        Effect::Read => Fault::Transient { what, source },
        // A write may have taken effect behind a 5xx.
        Effect::Write => Fault::Unanswered { what, source },
    }
}

fn looks_like_json(answer: &Answer) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|v| v.is_object())
}

fn excerpt(answer: &Answer) -> String {
    format!("status {}: {}", answer.status, redact::excerpt(&answer.body, 200))
}

fn shorten(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

/// Whether the refusal may mean that our document is there already. The text for transactions is not
/// documented, so this only says that it is worth a look by our key; it decides nothing alone.
fn is_duplicate(detail: &Detail) -> bool {
    let (code, text) = (detail.code.as_str(), detail.text.to_lowercase());
    code.starts_with("DUP_")
        || code == "UNIQUE_CUST_ID_REQD"
        || text.contains("already exist")
        || text.contains("already been used")
        || text.contains("already in use")
        || text.contains("already an item with that name")
        || text.contains("must be unique")
        || text.contains("duplicate")
        || text.contains("dup_")
}

fn problem(detail: &Detail, sent: Option<&Value>) -> Problem {
    let code = if detail.code.is_empty() { "refused".to_owned() } else { detail.code.to_lowercase() };
    let text = detail.text.strip_prefix("Error while accessing a resource.").unwrap_or(&detail.text).trim();
    let text = if text.is_empty() { detail.text.trim() } else { text };
    let their_path = detail.path.as_deref().unwrap_or_default();
    let message = if their_path.is_empty() { format!("NetSuite: {text}") } else { format!("NetSuite, at {their_path}: {text}") };
    let (path, message, remedy) = (our_path(their_path), shorten(&message, 600), remedy(&detail.code, text));
    let mut problem = match about(&detail.code, text) {
        Some(About::Period) => Problem::new("period.closed", path, message, remedy),
        Some(About::InactiveItem) => Problem::new("target.inactive_item", path, message, remedy),
        Some(About::InactiveSubsidiary) => Problem::new("target.inactive_subsidiary", path, message, remedy),
        None => Problem::new(&format!("target.{code}"), path, message, remedy),
    };
    if let Some(value) = sent.and_then(|sent| value_at(sent, their_path)) {
        problem = problem.value(value);
    }
    problem.cause(normalised(&format!("{} {text}", without_numbers(their_path))))
}

/// What finance or whoever keeps the master data has to see to, and not the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Period,
    InactiveItem,
    InactiveSubsidiary,
}

fn about(code: &str, text: &str) -> Option<About> {
    let lower = text.to_lowercase();
    let inactive = lower.contains("inactive");
    match code {
        "TRAN_PERIOD_CLOSED" | "DATE_PRD_MISMATCH" | "MISSING_ACCT_PRD" => Some(About::Period),
        _ if lower.contains("period") && ["closed", "locked", "date range"].iter().any(|word| lower.contains(word)) => {
            Some(About::Period)
        }
        _ if lower.contains("subsidiary") && (inactive || lower.contains("closed")) => Some(About::InactiveSubsidiary),
        _ if inactive && lower.contains("item") => Some(About::InactiveItem),
        _ => None,
    }
}

/// The same complaint about two orders has one cause: quoted names are taken out, too.
fn normalised(text: &str) -> String {
    let mut out = String::new();
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match quote {
            Some(end) if c == end => {
                quote = None;
                out.push('\u{2026}');
            }
            Some(_) => {}
            None if c == '"' || c == '\u{201c}' => quote = Some(if c == '"' { '"' } else { '\u{201d}' }),
            None => out.push(c),
        }
    }
    cause_of(&out)
}

fn without_numbers(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Their path → ours, as far as one stands for the other. Document line n is our n-th priced line.
fn our_path(path: &str) -> String {
    let path = path.trim_start_matches("$.");
    if let Some((index, field)) = path.strip_prefix("item.items[").and_then(|rest| rest.split_once(']')) {
        let field = match field.trim_start_matches('.').split('.').next().unwrap_or_default() {
            "item" => ".sku",
            "quantity" => ".quantity",
            "amount" | "rate" | "grossAmt" => ".net",
            "taxCode" | "taxRate1" | "taxDetailsReference" => ".taxes",
            "description" => ".name",
            _ => "",
        };
        return format!("lines[{index}]{field}");
    }
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    match head {
        "entity" => "customer".to_owned(),
        "subsidiary" | "location" => "market".to_owned(),
        "tranDate" => "placed_on".to_owned(),
        "externalId" | "otherRefNum" | "tranId" => "number".to_owned(),
        "shipMethod" => "shipping_method".to_owned(),
        "shippingCost" => "shipping_charge.net".to_owned(),
        "shippingAddress" | "billingAddress" => {
            let side = if head == "shippingAddress" { "shipping" } else { "billing" };
            let field = match rest.split('.').next().unwrap_or_default() {
                "" => return side.to_owned(),
                "addr1" => "line1",
                "addr2" => "line2",
                "zip" => "postcode",
                "addrPhone" => "phone",
                "addressee" => "last_name",
                other => other,
            };
            format!("{side}.{field}")
        }
        "firstName" => "first_name".to_owned(),
        "lastName" => "last_name".to_owned(),
        "companyName" => "company".to_owned(),
        "itemId" => "sku".to_owned(),
        "displayName" | "salesDescription" => "name".to_owned(),
        "upcCode" => "barcode".to_owned(),
        "weightUnit" => "weight".to_owned(),
        "manufacturerTariff" => "hs_code".to_owned(),
        "countryOfManufacture" => "origin".to_owned(),
        "isInactive" => "active".to_owned(),
        _ if head.starts_with("price.items") || head.starts_with("price[") || head == "price" => "prices".to_owned(),
        "member" => "recipe".to_owned(),
        "package" => "parcels".to_owned(),
        _ if head.starts_with("apply") => "amount".to_owned(),
        _ if head.starts_with("inventory.") => "lines".to_owned(),
        "account" | "paymentOption" => "tender".to_owned(),
        _ if head.starts_with("taxDetails") => "lines".to_owned(),
        _ => path.to_owned(),
    }
}

/// The value that stands at their path in what was sent.
fn value_at(sent: &Value, path: &str) -> Option<String> {
    let mut at = sent;
    for part in path.trim_start_matches("$.").split(['.', '[']).filter(|part| !part.is_empty()) {
        at = match part.strip_suffix(']') {
            Some(index) => at.get(index.parse::<usize>().ok()?)?,
            None => at.get(part)?,
        };
    }
    match at {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            members.get("id").and_then(|id| id.as_str().map(str::to_owned).or_else(|| Some(id.to_string())))
        }
        Value::Null | Value::Array(_) => None,
        other => Some(other.to_string()),
    }
}

/// What a person does, by what the refusal is about.
fn remedy(code: &str, text: &str) -> &'static str {
    let lower = text.to_lowercase();
    match about(code, text) {
        Some(About::Period) => return PERIOD,
        Some(About::InactiveItem) => {
            return "Make it active there for as long as documents of it follow, or map its SKU to the item that took its place; then release.";
        }
        Some(About::InactiveSubsidiary) => {
            return "The subsidiary is closed in NetSuite. Let finance open it again or say which one takes its documents, and map the market to that one; a document of a sale in the closed one is booked by hand. Then release or dismiss with the reason.";
        }
        None => {}
    }
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match code {
        "TRAN_PERIOD_CLOSED" | "DATE_PRD_MISMATCH" | "MISSING_ACCT_PRD" => PERIOD,
        "SUBSIDIARY_MISMATCH" | "MATCHING_CUR_SUB_REQD" | "RCRD_SUB_MISMATCH_WITH_CLASS" | "REQD_SUB_FIELDS_MISSING" => {
            SUBSIDIARY
        }
        "LOCATION_REQD" => "Map the market in the table location, or set default_location; then release.",
        "MISMATCHED_CURRENCY" => CURRENCY,
        "NONEXISTENT_FIELD" => FIELD,
        "FEATURE_DISABLED" => {
            "A feature of the account is off that this document needs. Turn it on, or change the connection's settings; then release."
        }
        "RCRD_HAS_BEEN_CHANGED" | "CANT_UPDATE_RECRD_HAS_CHANGED" | "RCRD_EDITED_SINCE_RETRIEVED" => {
            "Someone saved it at the same moment. Release; it is read again first."
        }
        _ if about(&["initialize creditmemo", "initialize itemreceipt", "initialize returnauthorization"]) => BACK,
        "VALID_LINE_ITEM_REQD" | "INVALID_INITIALIZE_REF" => FULFIL,
        _ if about(&["period"]) => PERIOD,
        _ if about(&["initialize", "valid line item"]) => FULFIL,
        _ if about(&["restock"]) => {
            "Item receipts of the account have no such field. Map disposition=write_off of the warehouse in return_location to a place that is not for sale: written-off goods are then received there, without the field. Then release."
        }
        _ if about(&["amount remaining", "cannot be applied", "already been refunded"]) || code == "TRANS_ALREADY_REFUNDED" => {
            "The credit memo there has less left than is paid back, or is no open credit of this customer. See what was applied to it, mend it there, then release."
        }
        _ if about(&["left to be credited", "quantity fulfilled"]) => BACK,
        _ if about(&["quantity remaining", "greater than the quantity", "exceeds the quantity"]) => {
            "The order there has less left than was shipped: see what fulfilled it already, or who changed it. Mend it there, then release."
        }
        _ if about(&["not enough inventory", "insufficient inventory", "inventory quantit", "committed", "on hand"]) => {
            "The location there has less than was shipped. Receive or count the stock there (or map the table warehouse to the right location), then release."
        }
        _ if about(&["maximum number", "characters allowed", "too long"]) => {
            "The text is longer than the field takes. Shorten it at its source; for names set items.name_field = \"salesDescription\". Then release."
        }
        _ if about(&["member of itself"]) => "A bundle contains itself. Mend the recipe at its source, then release.",
        _ if about(&["items list: location"]) => {
            "The order's lines have no location there. Set default_location or map the table location, or map the table warehouse; give the order its location there, then release."
        }
        _ if about(&["for: weight", "package weight"]) => "Set shipments.package_weight of this connection, then release.",
        _ if about(&["tax schedule", "asset account", "cogs account", "income account"]) => {
            "The account demands a value of new items that we do not send. Set it under items of this connection, then release."
        }
        _ if about(&["please enter value", "please enter a value", "mandatory", "required field", "missing required"]) => {
            "The custom form demands a field that we do not send. Give it a default there, name it under fields or line_fields of the connection, or choose another custom_form; then release."
        }
        _ if about(&[
            "unknown property",
            "unknown field",
            "unknown reference or field",
            "invalid property name",
            "does not exist on",
            "nonexistent field",
            "property name",
        ]) =>
        {
            FIELD
        }
        _ if about(&["inactive"]) => "Make it active there, or map another in its place; then release.",
        _ if about(&["subsidiary"]) => SUBSIDIARY,
        _ if about(&["currency"]) => CURRENCY,
        _ if about(&["script", "workflow", "user event"]) => {
            "A script or workflow of the account refuses it. Ask who keeps it; once it lets the document pass, release."
        }
        _ if about(&["tax"]) => {
            "See the tax_code mapping of this country and rate, the tax type, and that the setting tax fits the account (selvedge check tells); then release."
        }
        _ if about(&["invalid field value", "invalid reference", "invalid value", "not a valid"])
            || code == "INVALID_CONTENT" =>
        {
            "The mapped id or the value does not exist there or may not be used. Mend the mapping or the record there, then release."
        }
        _ => "Read NetSuite's words, mend what they name there or in the mapping, then release.",
    }
}

const FULFIL: &str = "The order there cannot be fulfilled now: it waits for approval, is closed or billed, has no location, or its items are not committed and the account fulfils only what is. Mend it there, then release.";
const BACK: &str = "What it is made from there has less left than comes back: the order has not left that far, or the return was received, credited, closed or not approved there. Look at it there, mend it, then release.";
const PERIOD: &str = "The accounting period of the date is closed or locked. Let finance open it, then release. (Credits, refunds and receipts may go into the next open one by returns.closed_period = \"next_open\"; an order keeps its day.)";
const SUBSIDIARY: &str = "Customer, items, location and currency must belong to the subsidiary of the document. See the mapping of the market and the records there, then release.";
const CURRENCY: &str = "Add the currency to the customer and the subsidiary there, or mend the mapping; then release.";
const FIELD: &str = "The account does not know the field. See the settings that name fields and the regime in tax (selvedge check compares them with the account), then release.";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec().into() }
    }

    fn error(status: u16, details: &[(&str, &str, &str)]) -> Answer {
        let details: Vec<Value> = details
            .iter()
            .map(|(code, text, path)| {
                let mut entry = json!({"detail": text, "o:errorCode": code});
                if !path.is_empty() {
                    entry["o:errorPath"] = json!(path);
                }
                entry
            })
            .collect();
        answer(status, &json!({"type": "x", "title": "Bad Request", "status": status, "o:errorDetails": details}).to_string())
    }

    fn judge(answer: &Answer, effect: Effect, creates: bool) -> Fault {
        let sent = json!({"item": {"items": [{"item": {"id": "98"}}]}, "tranDate": "2026-02-03"});
        fault(&Asked { what: "create order so_1", effect, sent: Some(&sent), creates }, answer)
    }

    #[test]
    fn whom_an_answer_names_is_not_told() {
        let document = r#"{"status":"odd","entity":{"id":"7","refName":"Ada Lovelace","email":"ada@example.com"}}"#;
        let texts = error(401, &[("USER_ERROR", "odd: the token of ada@example.com", "")]);
        for (status, body) in [(400, document), (500, document), (502, &document[..60])] {
            for effect in [Effect::Read, Effect::Write] {
                let told = format!("{:?}", judge(&answer(status, body), effect, true));
                assert!(told.contains("odd") && !told.contains("Ada") && !told.contains("example.com"), "{told}");
            }
        }
        let told = format!("{:?}", judge(&texts, Effect::Read, false));
        assert!(told.contains("odd") && !told.contains("example.com"), "{told}");
        // At the desk the system's own words are read; in a log they are not.
        let refused = judge(&error(400, &[("USER_ERROR", "odd: ada@example.com is no address", "")]), Effect::Write, true);
        let told = refused.to_string();
        assert!(told.contains("odd") && !told.contains("example.com"), "{told}");
    }

    #[test]
    fn every_answer_has_its_fault() {
        use Effect::{Read, Write};
        let html = answer(503, "<html>maintenance</html>");
        for (answer, effect, creates, word) in [
            (error(400, &[("USER_ERROR", "Please enter value(s) for: Class", "")]), Write, true, "refused"),
            (error(400, &[("INVALID_CONTENT", "Invalid Field Value 98", "item.items[0].item")]), Write, true, "refused"),
            (
                error(400, &[("USER_ERROR", "Error while accessing a resource. This entity already exists.", "")]),
                Write,
                true,
                "exists",
            ),
            (error(400, &[("DUP_RCRD", "A record with the same unique ID", "")]), Write, true, "exists"),
            (error(400, &[("USER_ERROR", "This entity already exists.", "")]), Write, false, "refused"),
            (error(401, &[("INVALID_LOGIN", "Invalid login attempt.", "")]), Read, false, "unauthorized"),
            (error(403, &[("INSUFFICIENT_PERMISSION", "Permission Violation: TRAN_SALESORD", "")]), Write, true, "unauthorized"),
            (error(404, &[("NONEXISTENT_ID", "no such record", "")]), Write, false, "refused"),
            (error(429, &[("CONCURRENCY_LIMIT_EXCEEDED", "too many", "")]), Write, true, "throttled"),
            (error(400, &[("CONCURRENCY_LIMIT_EXCEEDED", "too many", "")]), Write, true, "throttled"),
            (error(500, &[("UNEXPECTED_ERROR", "Error ID: x", "")]), Write, true, "unanswered"),
            (error(500, &[("UNEXPECTED_ERROR", "Error ID: x", "")]), Read, false, "transient"),
            (html.clone(), Write, true, "unanswered"),
            (html, Read, false, "transient"),
            (answer(302, ""), Read, false, "transient"),
            (answer(302, ""), Write, true, "unanswered"),
            (answer(404, "<html>"), Write, true, "unanswered"),
            (answer(400, "{}"), Write, true, "unexpected"),
        ] {
            assert_eq!(judge(&answer, effect, creates).word(), word, "{answer:?}");
        }
    }

    #[test]
    fn each_detail_is_a_problem_with_place_value_and_remedy() {
        let both = error(
            400,
            &[
                ("INVALID_CONTENT", "Invalid value for item 98.", "item.items[0].item"),
                (
                    "USER_ERROR",
                    "Error while accessing a resource. The transaction date you specified is not within the date range of your accounting period.",
                    "tranDate",
                ),
            ],
        );
        let Fault::Refused { problems, .. } = judge(&both, Effect::Write, true) else { panic!() };
        assert_eq!(problems.len(), 2);
        assert_eq!(
            (problems[0].rule.as_str(), problems[0].path.as_str(), problems[0].value.as_deref()),
            ("target.invalid_content", "lines[0].sku", Some("98"))
        );
        assert_eq!((problems[1].path.as_str(), problems[1].value.as_deref()), ("placed_on", Some("2026-02-03")));
        assert_eq!(problems[1].remedy, PERIOD);
        assert!(!problems[1].message.contains("Error while accessing"));
    }

    #[test]
    fn one_complaint_about_two_orders_is_one_cause() {
        let cause = |item: &str, order: &str, index: usize| {
            let text = format!("The item {item} \"Shirt {item}\" of SO{order} is inactive.");
            let answer = error(400, &[("USER_ERROR", &text, &format!("item.items[{index}].item"))]);
            let Fault::Refused { problems, .. } = judge(&answer, Effect::Write, true) else { panic!() };
            problems[0].cause.clone()
        };
        assert_eq!(cause("98", "1042", 0), cause("107", "9", 3));
        assert!(cause("98", "1042", 0).starts_with("target.inactive_item:"), "{}", cause("98", "1042", 0));
    }

    #[test]
    fn their_paths_become_ours() {
        for (theirs, ours) in [
            ("item.items[2].quantity", "lines[2].quantity"),
            ("shippingAddress.zip", "shipping.postcode"),
            ("shippingAddress.country.id", "shipping.country"),
            ("entity.id", "customer"),
            ("custbody_x", "custbody_x"),
            ("", ""),
        ] {
            assert_eq!(our_path(theirs), ours);
        }
    }
}
