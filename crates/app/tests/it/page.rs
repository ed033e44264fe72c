//! The page in a real browser: what a person sees, clicks and types, with scripts and without.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::Instant,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use serde_json::json;

use crate::{
    demo::selvedge,
    world::{ASK, PATIENCE},
};

/// A child process that does not outlive the test.
/// A program, and a folder for what it leaves behind where nothing else is said.
pub struct Running(Child, #[expect(dead_code, reason = "it goes when the program has ended")] tempfile::TempDir);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and reads its output until `pick` finds what it waits for.
pub fn start(command: &mut Command, pick: impl Fn(&str) -> Option<String>) -> (Running, String) {
    started(command, pick).unwrap_or_else(|why| panic!("{why}"))
}

/// The same, or why it ended without saying it.
fn started(command: &mut Command, pick: impl Fn(&str) -> Option<String>) -> Result<(Running, String), String> {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut child =
        command.env("TMPDIR", temporary.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (output, mut errors) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
    let mut running = Running(child, temporary);
    let complaint = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = errors.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let (mut lines, mut said) = (output.lines().map_while(Result::ok), Vec::new());
    let found = lines.find_map(|line| {
        let found = pick(&line);
        said.push(line);
        found
    });
    let Some(found) = found else {
        // Its output has ended, and so has it.
        let ended = running.0.wait();
        let complaint = complaint.join().unwrap_or_default();
        return Err(format!("it does not say where it listens: {ended:?}\n{}\n{complaint}", said.join("\n")));
    };
    // Whatever it prints later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((running, found))
}

pub fn demo(args: &[&str]) -> (Running, String) {
    let mut command = selvedge();
    command.args(["demo", "--listen", "127.0.0.1:0", "--seed", "3", "--no-warehouse"]).args(args);
    start(&mut command, |line| line.trim().strip_prefix("page").map(|address| address.trim().trim_end_matches('/').to_owned()))
}

pub struct Browser {
    pub client: Client,
    _driver: Running,
}

impl Browser {
    pub async fn open(scripts: bool, width: u32) -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let port = |line: &str| Some(line.split_once("started successfully on port ")?.1.trim_end_matches('.').to_owned());
        // It takes a port of one family of addresses, and ends when somebody has it in the other.
        let again = (0..3).find_map(|_| started(&mut command, port).ok());
        let (driver, port) = again.unwrap_or_else(|| start(&mut command, port));
        let size = format!("--window-size={width},900");
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", size],
            "prefs": {"profile.managed_default_content_settings.javascript": if scripts { 1 } else { 2 }},
        });
        let capabilities =
            [("goog:chromeOptions".to_owned(), options), ("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}))];
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.into_iter().collect())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("the browser opens");
        Self { client, _driver: driver }
    }

    /// The text of an element, once it has any.
    pub async fn see(&self, selector: &str) -> String {
        self.wait_for(selector, false, |text| !text.is_empty()).await
    }

    /// Waits until the text of an element fulfils a condition, reloading where nothing else would bring news.
    pub async fn wait_for(&self, selector: &str, reload: bool, fulfilled: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            // An element may be replaced by a newer one between the two calls.
            let found = self.client.find(Locator::Css(selector)).await;
            let text = match found {
                Ok(element) => element.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if fulfilled(&text) {
                return text;
            }
            assert!(Instant::now() < end, "{selector} still says {text:?}");
            tokio::time::sleep(ASK).await;
            if reload {
                self.client.refresh().await.unwrap();
            }
        }
    }

    pub async fn click(&self, selector: &str) {
        self.with(selector, async |element| element.click().await).await;
    }

    /// Types into a field, in place of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.with(selector, async |field| {
            field.clear().await?;
            field.send_keys(text).await
        })
        .await;
    }

    /// Does something with an element, once it is there and lets that be done: a page that follows may replace it meanwhile.
    async fn with(&self, selector: &str, act: impl AsyncFn(&Element) -> Result<(), CmdError>) {
        let end = Instant::now() + PATIENCE;
        loop {
            let done = match self.client.find(Locator::Css(selector)).await {
                Ok(element) => act(&element).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return,
                Err(error) => assert!(Instant::now() < end, "{selector}: {error}"),
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let strokes = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |strokes, value| {
            strokes.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(strokes).await.unwrap();
    }

    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Closes it. Nothing may have failed in its scripts, and nothing been refused by the policy of our own pages.
    pub async fn close(self) {
        let lines = self.client.issue_cmd(ReadConsole).await.unwrap();
        let bad = |line: &&serde_json::Value| line["level"] == "SEVERE" && line["source"] != "network";
        let bad: Vec<_> = lines.as_array().unwrap().iter().filter(bad).collect();
        assert!(bad.is_empty(), "the console says {bad:#?}");
        self.client.close().await.unwrap();
    }
}

/// What the console of the browser was told, of all pages since it was last read.
#[derive(Debug)]
struct ReadConsole;

impl WebDriverCompatibleCommand for ReadConsole {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

/// What a script says, and what the policy of a page refuses, is read in the console: the check at every close is one.
#[tokio::test]
async fn the_console_tells_of_what_fails_and_of_what_is_refused() {
    let (_demo, address) = demo(&["--orders", "5", "--pace", "20"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.see("h1").await;
    browser
        .run("console.error('something is wrong'); document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")
        .await;
    let lines = browser.client.issue_cmd(ReadConsole).await.unwrap();
    let said = lines.to_string();
    assert!(said.contains("something is wrong") && said.contains("Content Security Policy"), "{said}");
    browser.close().await;
}

/// What another shipping method is mapped to, as the mappings page says.
async fn mapped_item(browser: &Browser, address: &str) -> String {
    browser.client.goto(&format!("{address}/mappings")).await.unwrap();
    let script = "const cell = [...document.querySelectorAll('td')].find(cell => cell.innerText.includes('shipping_item')); \
                  return cell.parentElement.querySelectorAll('td')[2].innerText";
    browser.run(script).await.as_str().unwrap().to_owned()
}

/// From the first look to the last order: one exception, mended on the page, releases all that it held.
async fn mend_the_one_exception(browser: &Browser, address: &str, live: bool) {
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", !live, |text| text.starts_with("1 exception needs")).await;
    browser.click("#exceptions a").await;
    let says = browser.see("h1").await;
    assert!(says.contains("shipping"), "{says}");
    let held = browser.see("#exception dd b").await;
    assert!(held.ends_with("records") || held.ends_with("record"), "{held}");

    // Nothing typed is not sent; what is typed by mistake is refused in words and kept.
    browser.fill("#value", "   ").await;
    browser.click("section[aria-labelledby=map] button").await;
    let wrong = browser.see("#wrong-value").await;
    assert!(!wrong.is_empty());

    // What the other methods are mapped to is on the mappings page.
    let exception = browser.client.current_url().await.unwrap();
    let item = mapped_item(browser, address).await;
    let exception = exception.as_str().trim_end_matches("/map");
    browser.client.goto(exception).await.unwrap();
    browser.fill("#value", &item).await;
    browser.click("section[aria-labelledby=map] button").await;
    browser.see("p.done").await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", !live, |text| text == "Nothing needs you.").await;
}

#[tokio::test]
async fn a_person_mends_the_cause_and_everything_goes_on() {
    let (_demo, address) = demo(&["--orders", "40", "--pace", "20"]);
    let browser = Browser::open(true, 1280).await;
    mend_the_one_exception(&browser, &address, true).await;

    // Live: the page follows without being loaded again.
    browser.see("#live:not([hidden])").await;
    browser.wait_for(".flow .way b[data-n='orders.captured']", false, |text| text == "0").await;

    // An order's story, found by its number.
    browser.click("#orders a").await;
    let title = browser.see("h1").await;
    assert!(title.contains("Order"), "{title}");
    let story = browser.see("main").await;
    for word in ["captured", "passed the gate", "delivered", "read back and equal"] {
        assert!(story.to_lowercase().contains(word), "no {word} in {story}");
    }

    // Nothing from elsewhere.
    let elsewhere = browser
        .run("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))")
        .await;
    assert_eq!(elsewhere, json!([]));
    browser.close().await;
}

/// An unmapped shipping method, from the list to fixed: whose it is, why, what a release would do, one record first.
#[tokio::test]
async fn from_the_list_to_fixed_one_record_first() {
    let (_demo, address) = demo(&["--orders", "80", "--pace", "40"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/exceptions")).await.unwrap();
    let ranked = browser.wait_for("#exceptions section", false, |text| text.contains("customers")).await;
    assert!(ranked.contains("Ranked by") && ranked.contains("records held"), "{ranked}");
    browser.click("#exceptions h2 a").await;
    let why = browser.see("#why").await;
    assert!(why.contains("asked what") && why.contains("found no entry"), "{why}");
    let exception = browser.client.current_url().await.unwrap();

    // Whose it is.
    browser.fill("#person", "Åsa").await;
    browser.click("section[aria-labelledby=assign] button").await;
    browser.wait_for("p.done", false, |text| text == "Handed over.").await;
    browser.wait_for("#history", false, |text| text.contains("handed over") && text.contains("Åsa")).await;
    browser.client.goto(&format!("{address}/exceptions?person=%C3%85sa")).await.unwrap();
    browser.see("#exceptions h2 a").await;

    // What would happen, before and without a mapping.
    browser.client.goto(&format!("{exception}?preview=yes")).await.unwrap();
    let foreseen = browser.see("section[aria-labelledby=foreseen]").await;
    assert!(foreseen.contains("would be held again") && foreseen.contains("One first: order"), "{foreseen}");

    let item = mapped_item(&browser, &address).await;
    browser.client.goto(exception.as_str()).await.unwrap();
    browser.fill("#value", &item).await;
    browser.click("section[aria-labelledby=map] button").await;
    let done = browser.see("p.done").await;
    assert!(done.contains("1 record went back to the gate first"), "{done}");

    // It closes by itself, and its history says how.
    browser.client.goto(exception.as_str()).await.unwrap();
    let history = browser.wait_for("#history", false, |text| text.contains("everything it held has settled")).await;
    for said in ["opened", "mapped by demo@selvedge.example", "canary sent", "canary passed", "released", "closed"] {
        assert!(history.contains(said), "no {said} in {history}");
    }
    browser.client.goto(&format!("{address}/exceptions?shelf=closed")).await.unwrap();
    browser.see("#exceptions h2 a").await;
    browser.close().await;
}

#[tokio::test]
async fn everything_works_without_scripts() {
    let (_demo, address) = demo(&["--orders", "30", "--pace", "20"]);
    let browser = Browser::open(false, 1280).await;
    mend_the_one_exception(&browser, &address, false).await;
    browser.close().await;
}

#[tokio::test]
async fn it_fits_a_phone_and_everything_has_a_name() {
    let (_demo, address) = demo(&["--orders", "30", "--pace", "20"]);
    let browser = Browser::open(true, 500).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", false, |text| text.starts_with("1 exception needs")).await;
    for path in [
        "/",
        "/orders",
        "/exceptions",
        "/exceptions/exc_1",
        "/alerts",
        "/reconcile",
        "/reconcile/differences?all=yes",
        "/stock",
        "/stock/rehearse",
        "/mappings",
    ] {
        browser.client.goto(&format!("{address}{path}")).await.unwrap();
        browser.client.set_window_size(390, 844).await.unwrap();
        let wide = browser.run("return document.documentElement.scrollWidth > innerWidth").await;
        assert_eq!(wide, json!(false), "{path} is wider than a phone");
        let unnamed = browser
            .run(
                "return [...document.querySelectorAll('a, button, input:not([type=hidden]), select')]
                   .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)",
            )
            .await;
        assert_eq!(unnamed, json!([]), "{path} has something without a name");
        let first = browser.run("return document.querySelector('a, button, input').getAttribute('href')").await;
        assert!(first.as_str().is_some_and(|href| href.starts_with('#')), "{path}: the first stop leads past the menu: {first}");
    }
    browser.close().await;
}

/// Presses Tab until an element has the focus. Whatever has it on the way shows that it has.
async fn tab_to(browser: &Browser, selector: &str) {
    let look = format!(
        "const e = document.activeElement, s = getComputedStyle(e); \
         return [e.matches({selector:?}), e === document.body || s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0, e.outerHTML.slice(0, 120)]"
    );
    for _ in 0..150 {
        browser.press(&Key::Tab.to_string()).await;
        let seen = browser.run(&look).await;
        assert_eq!(seen[1], json!(true), "the focus does not show on {}", seen[2]);
        if seen[0] == json!(true) {
            return;
        }
    }
    panic!("Tab does not come to {selector}");
}

#[tokio::test]
async fn an_exception_is_found_and_mended_with_the_keyboard_alone() {
    let (_demo, address) = demo(&["--orders", "30", "--pace", "20"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.wait_for("#says", false, |text| text.starts_with("1 exception needs")).await;
    let item = mapped_item(&browser, &address).await;
    browser.client.goto(&format!("{}/exceptions", address.split("/demo/").next().unwrap())).await.unwrap();
    browser.see("#exceptions h2 a").await;

    // Past the menu, to the list, into the exception.
    tab_to(&browser, "a.skip").await;
    browser.press(&Key::Enter.to_string()).await;
    assert_eq!(browser.run("return document.activeElement.id").await, json!("main"));
    tab_to(&browser, "#exceptions h2 a").await;
    browser.press(&Key::Enter.to_string()).await;
    browser.see("#because").await;

    // The value is typed and sent where it stands.
    tab_to(&browser, "#value").await;
    browser.press(&item).await;
    browser.press(&Key::Enter.to_string()).await;
    let done = browser.see("p.done").await;
    assert!(done.contains("back to the gate"), "{done}");
    browser.client.goto(&format!("{}/", address.split("/demo/").next().unwrap())).await.unwrap();
    browser.wait_for("#says", false, |text| text == "Nothing needs you.").await;
    browser.close().await;
}
