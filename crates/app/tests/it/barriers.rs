//! Every page in a real browser, looked through by axe-core for what shuts people out: light, dark, and as wide as a phone.
//! Asked to (`SELVEDGE_SCREENSHOTS=1`), it takes the pictures of docs/images, too.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{Locator, wd::WebDriverCompatibleCommand};
use hyper::http;
use serde_json::{Value, json};

use crate::{
    demo::selvedge,
    page::{Browser, Running, start},
    world::World,
};

/// A command of the DevTools protocol: what the page's own policy forbids the page, it does not forbid whoever holds the browser.
#[derive(Debug)]
struct Devtools(&'static str, Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

async fn devtools(browser: &Browser, command: &'static str, params: Value) -> Value {
    browser.client.issue_cmd(Devtools(command, params)).await.unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Light,
    Dark,
    Phone,
}

impl Look {
    const ALL: [Look; 3] = [Look::Light, Look::Dark, Look::Phone];

    const fn width(self) -> u32 {
        if matches!(self, Look::Phone) { 390 } else { 1280 }
    }

    async fn set(self, browser: &Browser) {
        let scheme = if self == Look::Dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        devtools(browser, "Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let size = json!({ "width": self.width(), "height": 900, "deviceScaleFactor": 1, "mobile": false });
        devtools(browser, "Emulation.setDeviceMetricsOverride", size).await;
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// axe-core, under the MPL 2.0 as it came from its makers: used by this test alone, never part of the program.
fn axe() -> String {
    let mut text = String::new();
    let packed = include_bytes!("axe-core-4.14.1.min.js.gz");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    text
}

/// What axe finds on the page that is open, a line each.
async fn found(browser: &Browser, axe: &str, look: Look) -> Vec<String> {
    devtools(browser, "Runtime.evaluate", json!({ "expression": axe })).await;
    // The dark page is the light one in other colours; the narrow one has the colours of the light one.
    let which = match look {
        Look::Light => "rules: { 'target-size': { enabled: true } }",
        Look::Dark => "runOnly: ['color-contrast', 'link-in-text-block']",
        Look::Phone => "rules: { 'target-size': { enabled: true }, 'color-contrast': { enabled: false } }",
    };
    let run = "axe.run(document, { resultTypes: ['violations'], WHICH }).then(r => JSON.stringify(r.violations.map(v => \
               v.id + ': ' + v.nodes.slice(0, 4).map(n => n.html.slice(0, 200) + ' ' + (n.any[0]?.message ?? n.failureSummary)).join(' | '))))";
    let run = run.replace("WHICH", which);
    let params = json!({ "expression": run, "awaitPromise": true, "returnByValue": true });
    let answer = devtools(browser, "Runtime.evaluate", params).await;
    let text = answer["result"]["value"].as_str().unwrap_or_else(|| panic!("axe did not run: {answer}"));
    serde_json::from_str(text).unwrap()
}

/// A whole demo, once everything that it does by itself is done, and one amount is wrong in the books behind its back.
async fn settled(store: &Path) -> (Running, Browser, String) {
    let mut command = selvedge();
    command.args(["demo", "--listen", "127.0.0.1:0", "--seed", "3", "--orders", "60", "--pace", "30", "--store"]).arg(store);
    let (demo, address) = start(&mut command, |line| {
        line.trim().strip_prefix("page").map(|address| address.trim().trim_end_matches('/').to_owned())
    });
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", false, |text| text.contains("exception")).await;
    // Figures stand still for a while.
    let (mut before, mut quiet) = (String::new(), 0);
    for _ in 0..120 {
        let stands = browser.see("main").await;
        let stands: String = stands.lines().filter(|line| line.contains("captured") || line.contains("in flight")).collect();
        quiet = if stands == before { quiet + 1 } else { 0 };
        before = stands;
        if quiet > 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let world = World::of(store);
    world.wrong("old_rate");
    world.reconcile();
    (demo, browser, address)
}

/// The address of an invitation that nobody has taken yet.
fn invited(store: &Path) -> String {
    let words = ["people", "invite", "new@example.com", "--name", "New", "--role", "viewer", "--json"];
    let output = selvedge().arg("--config").arg(World::of(store).config()).args(words).output().unwrap();
    let link: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (_, token) = link["link"].as_str().unwrap().split_once("/invitation/").unwrap();
    format!("/invitation/{token}")
}

/// Where the first link that begins so leads, from a page.
async fn first(browser: &Browser, address: &str, page: &str, begins: &str) -> String {
    browser.client.goto(&format!("{address}{page}")).await.unwrap();
    // In one step: what is live may be replaced between two.
    let link = format!("return document.querySelector(\"main a[href^='{begins}']\")?.getAttribute('href') ?? null");
    let found = browser.client.execute(&link, Vec::new()).await.unwrap();
    found
        .as_str()
        .unwrap_or_else(|| panic!("{page} has no link to {begins}: the demo no longer makes one, and its page is not looked at"))
        .to_owned()
}

/// Every page: what its picture is called, and where it is.
async fn pages(browser: &Browser, address: &str) -> Vec<(&'static str, String)> {
    let mut pages: Vec<(&'static str, String)> = [
        ("today", "/"),
        ("orders", "/orders"),
        ("returns", "/returns"),
        ("exceptions", "/exceptions"),
        ("alerts", "/alerts"),
        ("reconcile", "/reconcile"),
        ("differences", "/reconcile/differences?all=yes"),
        ("stock", "/stock"),
        ("rehearse", "/stock/rehearse"),
        ("flows", "/flows"),
        ("flow", "/flows/orders?since=2d"),
        ("connections", "/connections"),
        ("mappings", "/mappings"),
        ("mappings-import", "/mappings/import"),
        ("mappings-history", "/mappings/history"),
        ("handbook", "/handbook"),
        ("approvals", "/approvals"),
        ("people", "/people"),
        ("account", "/account"),
        ("settings", "/settings"),
        ("nowhere", "/nowhere"),
        ("replay", "/flows/orders/replay?since=30d"),
        // What was typed wrong, said in words beside its field.
        ("wrong-sweep", "/flows/orders?since=never"),
        ("wrong-replay", "/flows/orders/replay?since=lately"),
        ("wrong-rehearse", "/stock/rehearse?interval=soon"),
    ]
    .map(|(name, path)| (name, path.to_owned()))
    .to_vec();
    for (name, page, begins) in [
        ("order", "/orders", "/orders/"),
        ("return", "/returns", "/returns/"),
        ("exception", "/exceptions", "/exceptions/"),
        ("item", "/stock", "/stock/items/"),
        ("checklist", "/handbook", "/handbook/daily"),
        ("person", "/people", "/people/"),
        ("difference", "/reconcile/differences?all=yes", "/reconcile/differences/"),
    ] {
        pages.push((name, first(browser, address, page, begins).await));
    }
    // One that asks for a value, and a value that is none.
    let unmapped = first(browser, address, "/exceptions?rule=mapping.", "/exceptions/").await;
    pages.push(("wrong-mapping", format!("{unmapped}?preview=yes&value=%20")));
    pages
}

/// A picture of the page that is open, from its top; only so much of a long one.
async fn picture(browser: &Browser, name: &str, look: Look) {
    let tall = browser.client.execute("return document.documentElement.scrollHeight", Vec::new()).await.unwrap();
    let tall = tall.as_u64().unwrap().clamp(500, if look == Look::Phone { 1_700 } else { 1_250 });
    // As tall as the picture, so that what is fixed to the window goes all the way down.
    let size = json!({ "width": look.width(), "height": tall, "deviceScaleFactor": 1, "mobile": false });
    devtools(browser, "Emulation.setDeviceMetricsOverride", size).await;
    let clip = json!({ "x": 0, "y": 0, "width": look.width(), "height": tall, "scale": 1 });
    let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let shot = devtools(browser, "Page.captureScreenshot", params).await;
    let bytes = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
    let mark = match look {
        Look::Light => "",
        Look::Dark => "-dark",
        Look::Phone => "-phone",
    };
    look.set(browser).await;
    std::fs::write(root().join(format!("docs/images/{name}{mark}.png")), bytes).unwrap();
}

/// Looks through the page that is open, for a test that comes to one that stands nowhere in the demo; with a picture, if asked.
pub async fn look_over(browser: &Browser, name: &str) {
    let axe = axe();
    for look in [Look::Phone, Look::Dark, Look::Light] {
        look.set(browser).await;
        let found = found(browser, &axe, look).await;
        assert!(found.is_empty(), "{name} ({look:?}): {}", found.join("\n"));
    }
    if std::env::var_os("SELVEDGE_SCREENSHOTS").is_some() {
        picture(browser, name, Look::Light).await;
    }
}

/// Pages that are pictured in the dark and on a phone, too.
const IN_ALL_LOOKS: [&str; 2] = ["today", "flows"];
/// Pages that tell what no guide shows, or that another test pictures.
const NO_PICTURE: [&str; 6] = ["replay", "nowhere", "wrong-sweep", "wrong-replay", "wrong-rehearse", "wrong-mapping"];

#[tokio::test]
async fn nothing_shuts_anybody_out() {
    let axe = axe();
    let pictures = std::env::var_os("SELVEDGE_SCREENSHOTS").is_some();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("demo.db");
    let (_demo, browser, address) = settled(&store).await;
    let mut wrong = Vec::new();
    let pages = pages(&browser, &address).await;
    for look in Look::ALL {
        look.set(&browser).await;
        for (name, path) in &pages {
            browser.client.goto(&format!("{}{path}", address.split("/demo/").next().unwrap())).await.unwrap();
            if *name == "wrong-mapping" {
                browser.client.find(Locator::Css("#wrong-value")).await.expect("the refused value is told beside its field");
            }
            if pictures && (look == Look::Light || IN_ALL_LOOKS.contains(name)) && !NO_PICTURE.contains(name) {
                picture(&browser, name, look).await;
            }
            wrong.extend(found(&browser, &axe, look).await.into_iter().map(|finding| format!("{path} ({look:?}): {finding}")));
            let wide =
                browser.client.execute("return document.documentElement.scrollWidth > innerWidth", Vec::new()).await.unwrap();
            if wide == json!(true) {
                let by = "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1) \
                          .slice(0, 3).map(e => e.outerHTML.slice(0, 160))";
                let by = browser.client.execute(by, Vec::new()).await.unwrap();
                wrong.push(format!("{path} ({look:?}) is wider than the window: {by}"));
            }
        }
    }
    // Whoever is not signed in yet.
    browser.client.delete_all_cookies().await.unwrap();
    for (name, path) in [("login", "/login".to_owned()), ("invitation", invited(&store))] {
        for look in Look::ALL {
            look.set(&browser).await;
            browser.client.goto(&format!("{}{path}", address.split("/demo/").next().unwrap())).await.unwrap();
            wrong.extend(found(&browser, &axe, look).await.into_iter().map(|finding| format!("{name} ({look:?}): {finding}")));
            if pictures && look == Look::Light {
                picture(&browser, name, look).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.close().await;
}
