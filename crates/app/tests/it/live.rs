//! An open page that follows takes nothing out of anybody's hands.

use serde_json::json;

use crate::page::{Browser, demo};

/// Two lists that are merged: `part` as it stands, `fresh` as it comes. What is used of it is kept at hand.
const LISTS: &str = r#"
const part = document.createElement("div"), fresh = document.createElement("div");
document.querySelector("main").append(part);
const row = (name, held, more = "") => `<section><h2><a href="/exceptions/${name}">${name}</a></h2><p>${held}</p>${more}</section>`;
const form = '<form action="/assign"><label>Who<input name="person" value=""></label><button>Hand over</button></form>';
const link = (name) => part.querySelector(`a[href="/exceptions/${name}"]`);
"#;

/// What a person holds, and what comes: each case returns what is wrong, in words.
const CASES: [(&str, &str); 8] = [
    (
        "a link keeps the focus while a row comes before it and it moves",
        r##"
        part.innerHTML = row("exc_1", 5) + row("exc_2", 4) + row("exc_3", 1);
        fresh.innerHTML = row("exc_4", 9) + row("exc_3", 8) + row("exc_1", 5) + row("exc_2", 4);
        const held = link("exc_3");
        held.focus();
        merge(part, fresh);
        if (link("exc_3") !== held) return "the link is another element";
        if (document.activeElement !== held) return "the focus is on " + document.activeElement.outerHTML;
        "##,
    ),
    (
        "the focus never goes on to what leads elsewhere",
        r##"
        part.innerHTML = row("exc_1", 5) + row("exc_2", 4);
        fresh.innerHTML = row("exc_2", 4) + row("exc_3", 1);
        link("exc_1").focus();
        merge(part, fresh);
        if (document.activeElement !== document.body) return "the focus is on " + document.activeElement.outerHTML;
        "##,
    ),
    (
        "the only table of a part stays, whatever its first row is",
        r##"
        const table = (names) => `<table><tbody>${names.map((name) => `<tr><td><a href="/exceptions/${name}">${name}</a></td></tr>`).join("")}</tbody></table>`;
        part.innerHTML = table(["a", "b"]);
        fresh.innerHTML = table(["c", "a", "b"]);
        const held = link("b");
        merge(part, fresh);
        if (link("b") !== held) return "the row is another element";
        "##,
    ),
    (
        "what is typed, chosen and ticked stays while the rest moves",
        r##"
        const fields = '<input id="typed" value=""><select id="chosen"><option>a</option><option>b</option></select><input type="checkbox" id="ticked"><textarea id="long"></textarea>';
        part.innerHTML = `<p>1</p>${fields}`;
        fresh.innerHTML = `<p>2</p>${fields}`;
        const [typed, chosen, ticked, long] = ["typed", "chosen", "ticked", "long"].map((id) => part.querySelector(`#${id}`));
        typed.value = "601"; chosen.value = "b"; ticked.checked = true; long.value = "why";
        merge(part, fresh);
        if (part.querySelector("p").textContent !== "2") return "the rest stands still";
        if (part.querySelector("#typed").value !== "601") return "what was typed is gone";
        if (part.querySelector("#chosen").value !== "b") return "what was chosen is gone";
        if (!part.querySelector("#ticked").checked) return "the tick is gone";
        if (part.querySelector("#long").value !== "why") return "the text is gone";
        "##,
    ),
    (
        "a button that is being pressed is the same when it is let go",
        r##"
        part.innerHTML = row("exc_1", 5, form);
        fresh.innerHTML = row("exc_1", 6, form);
        const button = part.querySelector("button");
        merge(part, fresh);
        if (part.querySelector("button") !== button) return "the button is another element";
        if (part.querySelector("p").textContent !== "6") return "the rest stands still";
        "##,
    ),
    (
        "what was opened stays open, and what was closed closed",
        r##"
        part.innerHTML = "<details><summary>a</summary>1</details><details open><summary>b</summary>1</details>";
        fresh.innerHTML = "<details><summary>a</summary>2</details><details open><summary>b</summary>2</details>";
        const [first, second] = part.querySelectorAll("details");
        first.open = true; second.open = false;
        merge(part, fresh);
        if (!first.open || second.open) return part.innerHTML;
        if (!first.textContent.endsWith("2")) return "the rest stands still";
        "##,
    ),
    (
        "what was opened is the same when another comes before it",
        r##"
        const box = (id) => `<details id="${id}"><summary>delivered</summary>${id}</details>`;
        part.innerHTML = box("obl_1");
        fresh.innerHTML = box("obl_2") + box("obl_1");
        const held = part.querySelector("details");
        held.open = true;
        held.querySelector("summary").focus();
        merge(part, fresh);
        if (!held.open || held.id !== "obl_1" || part.querySelector("#obl_2").open) return part.innerHTML;
        if (document.activeElement !== held.querySelector("summary")) return "the focus is on " + document.activeElement.outerHTML;
        "##,
    ),
    (
        "whatever it was before, it is like the fresh one afterwards",
        r##"
        let state = SEED;
        const roll = (n) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state >>> 8) % n; };
        const tree = (depth) => [...Array(roll(5))].map(() => {
            const tag = ["p", "a", "section", "form", "ul", "svg"][roll(6)];
            const inner = depth && tag !== "p" && tag !== "a" ? tree(depth - 1) : `t${roll(4)}`;
            const key = { a: ` href="/${roll(6)}"`, form: ` action="/${roll(3)}"` }[tag] ?? "";
            const id = roll(4) ? "" : ` id="i${roll(9)}"`;
            const marks = roll(3) ? "" : ` class="c${roll(3)}" data-n="${roll(3)}"`;
            // What is no element stands beside.
            return roll(6) ? `<${tag}${key}${id}${marks}>${inner}</${tag}>` : `w${roll(3)}<!--${roll(3)}-->`;
        }).join("");
        for (let n = 0; n < 3000; n++) {
            const [was, comes] = [tree(3), tree(3)];
            part.innerHTML = was;
            fresh.innerHTML = comes;
            merge(part, fresh);
            if (part.innerHTML !== fresh.innerHTML) return `after ${n}: ${was} became ${part.innerHTML} and not ${fresh.innerHTML}`;
        }
        "##,
    ),
];

#[tokio::test]
async fn an_open_page_follows_and_takes_nothing_out_of_anybodys_hands() {
    let (_demo, address) = demo(&["--orders", "5", "--pace", "20"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.see("#says").await;
    // The handbook has no part that follows: nothing moves but what is merged here.
    browser.client.goto(&format!("{}/handbook", address.split("/demo/").next().unwrap())).await.unwrap();
    browser.see("h1").await;
    let seed = std::env::var("SELVEDGE_SEED").ok().and_then(|seed| seed.parse::<u32>().ok()).unwrap_or_else(std::process::id);
    for (case, script) in CASES {
        let script = format!("{LISTS}{}; return 'as it should be';", script.replace("SEED", &seed.to_string()));
        let said = browser.run(&script).await;
        assert_eq!(said, json!("as it should be"), "{case}; SELVEDGE_SEED={seed} plays it again");
    }
    browser.close().await;
}

/// A page that nobody sees gives its connection to the server back, and takes it again when somebody looks.
const HIDDEN: &str = r#"
const streams = [], Real = EventSource;
EventSource = class extends Real { constructor(...of) { super(...of); streams.push(this); } };
const see = (hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
};
see(true); see(false); see(false);
if (streams.length !== 1) return `${streams.length} streams`;
see(true);
return streams[0].readyState === Real.CLOSED ? "as it should be" : "it is open still";
"#;

/// A file that is no text says so and leaves what was pasted; what is pasted after it is sent.
const NO_TEXT: &str = r##"
const into = document.querySelector("#csv"), picked = document.querySelector("input[type=file]"), form = into.form;
const choose = (bytes) => {
    const list = new DataTransfer();
    list.items.add(new File([new Uint8Array(bytes)], "mappings.csv"));
    picked.files = list.files;
    picked.dispatchEvent(new Event("change"));
};
const until = async (holds) => { while (!holds()) await new Promise((done) => setTimeout(done, 10)); };
into.value = "pasted before";
choose([0xff, 0xfe]);
await until(() => !picked.validity.valid);
if (into.value !== "pasted before") return "what was pasted is gone";
into.value = "pasted after";
into.dispatchEvent(new Event("input"));
if (!form.checkValidity()) return "it cannot be sent";
choose([0x61, 0x62]);
await until(() => into.value === "ab");
return form.checkValidity() ? "as it should be" : "a good file cannot be sent";
"##;

#[tokio::test]
async fn what_nobody_sees_holds_no_connection_and_a_file_that_is_no_text_bars_nothing() {
    let (_demo, address) = demo(&["--orders", "5", "--pace", "20"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.see("#live:not([hidden])").await;
    assert_eq!(browser.run(HIDDEN).await, json!("as it should be"));
    let root = address.split("/demo/").next().unwrap();
    browser.client.goto(&format!("{root}/mappings/import")).await.unwrap();
    browser.see("#pick").await;
    // Nothing of this page follows, and so it does not say that it is live.
    assert_eq!(browser.run("return document.querySelector('#live').hidden").await, json!(true));
    let no_text = format!("return (async () => {{ {NO_TEXT} }})()");
    assert_eq!(browser.run(&no_text).await, json!("as it should be"));
    browser.close().await;
}

/// Marks what a person holds on the page of an exception: a link with the focus, and half a sentence.
const HOLD: &str = r##"
const link = document.querySelector("#holds a"), said = document.querySelector("#said");
said.value = "half a sentence";
link.focus();
[link.mark, said.mark] = ["mine", "mine"];
return document.querySelector("#exception dd b").textContent;
"##;

/// The same a while later.
const HELD: &str = r##"
const link = document.activeElement, said = document.querySelector("#said");
return [link.mark, said.mark, said.value];
"##;

#[tokio::test]
async fn a_page_that_changes_under_somebodys_hands_leaves_them_what_they_hold() {
    let (_demo, address) = demo(&["--orders", "120", "--pace", "10"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", false, |text| text.starts_with("1 exception needs")).await;
    browser.click("#exceptions a").await;
    browser.see("#holds a").await;
    browser.see("#live:not([hidden])").await;
    let before = browser.run(HOLD).await.as_str().unwrap().to_owned();
    // More is held, and the page says so by itself.
    browser.wait_for("#exception dd b", false, |text| !text.is_empty() && text != before).await;
    assert_eq!(browser.run(HELD).await, json!(["mine", "mine", "half a sentence"]));
    browser.close().await;
}
