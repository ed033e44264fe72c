//! Walks: ten things that go wrong, each from the alert to its end on evidence, as one of the five people for whom Selvedge is made.
//!
//! A walk breaks something in the stand-ins, waits until people are told, opens the link of the alert as somebody of the right role, reads
//! what the page says, follows its links and presses its buttons, and waits until the exception has closed by itself. It counts what a
//! person would have to click. The table in `docs/guide/walks.md` is what it found; `SELVEDGE_WRITE_DOCS=1` writes it anew. Times are
//! told there and never compared.

use std::{
    cell::RefCell,
    fmt::Write as _,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use selvedge_sim::channels::Channels;
use serde_json::{Value, json};

use crate::{
    demo::selvedge,
    page::{Running, start},
    webhooks::{exchange, set_cookie},
    world::{ASK, PATIENCE, World, until},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PASSWORD: &str = "correct+horse+battery+staple";

/// Whoever walks: what they are to the brand, and as whom they sign in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Person {
    Engineer,
    Operations,
    Finance,
    Service,
    Owner,
}

impl Person {
    const ALL: [Person; 5] = [Self::Engineer, Self::Operations, Self::Finance, Self::Service, Self::Owner];

    const fn name(self) -> &'static str {
        match self {
            Self::Engineer => "integration engineer",
            Self::Operations => "operations",
            Self::Finance => "finance",
            Self::Service => "customer experience",
            Self::Owner => "platform owner",
        }
    }

    const fn role(self) -> &'static str {
        match self {
            Self::Engineer => "engineer",
            Self::Operations | Self::Service => "operator",
            Self::Finance => "finance",
            Self::Owner => "admin",
        }
    }

    fn email(self) -> String {
        format!("{}@example.com", self.name().replace(' ', "."))
    }
}

/// One who has signed in.
struct Seat {
    person: Person,
    cookie: String,
}

/// The product with its stand-ins, and the people who have a seat.
struct House {
    folder: tempfile::TempDir,
    channels: Channels,
    /// Host and port of the page.
    address: String,
    demo: Mutex<Option<Running>>,
    seats: Vec<Seat>,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let channels = Channels::open("", &[SECRET]).await.unwrap();
        // Links in alerts lead to the page, so its port has to be known before.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut house =
            Self { folder, channels, address: format!("127.0.0.1:{port}"), demo: Mutex::default(), seats: Vec::new() };
        std::fs::write(house.path("secret"), SECRET).unwrap();
        std::fs::write(house.path("hook"), format!("{}/hook", house.channels.url())).unwrap();
        let more = format!(
            r#"
[server]
url = "http://{address}"

[alerts.channels.desk]
kind = "webhook"
allow_private = true
url = {{ file = {hook:?} }}
secret = {{ file = {secret:?} }}

[[alerts.routes]]
channels = ["desk"]
group = "1s"

[desk]
down_after = "3s"

[silence]
every = "1s"
after_start = "1s"

[stock.stock]
foreign_change = "ask"
read_back = "10s"

[flows.shipments]
tracking_wait = "4s"
"#,
            address = house.address,
            hook = house.path("hook").display().to_string(),
            secret = house.path("secret").display().to_string(),
        );
        std::fs::write(house.path("more.toml"), more).unwrap();
        house.start();
        for person in Person::ALL {
            let cookie = house.sign_in(person);
            house.seats.push(Seat { person, cookie });
        }
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn world(&self) -> World {
        World::of(&self.path("demo.db"))
    }

    fn start(&self) {
        // The one before ends first.
        *self.demo.lock().unwrap() = None;
        let mut command = selvedge();
        command.args(["demo", "--seed", "3", "--orders", "40", "--pace", "20", "--listen", &self.address, "--and-config"]);
        command.arg(self.path("more.toml")).arg("--store").arg(self.path("demo.db"));
        let (running, _) = start(&mut command, |line| line.trim().strip_prefix("page").map(str::to_owned));
        *self.demo.lock().unwrap() = Some(running);
    }

    /// A command beside the running engine; it has to go well.
    fn run(&self, words: &[&str]) -> String {
        let output = selvedge().arg("--config").arg(self.world().config()).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn sign_in(&self, person: Person) -> String {
        let email = person.email();
        let said = self.run(&["people", "invite", &email, "--name", person.name(), "--role", person.role(), "--json"]);
        let link: Value = serde_json::from_str(&said).unwrap();
        let (_, token) = link["link"].as_str().unwrap().split_once("/invitation/").unwrap();
        let answer = self.send("POST", &format!("/invitation/{token}"), "", &format!("password={PASSWORD}&again={PASSWORD}"));
        set_cookie(&answer)
    }

    fn send(&self, method: &str, path: &str, cookie: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        exchange(&self.address, request.as_bytes())
    }

    fn seat(&self, person: Person) -> &Seat {
        self.seats.iter().find(|seat| seat.person == person).unwrap()
    }

    /// Somebody does one thing in the stand-ins, as soon as it can be done.
    fn act(&self, act: Value) -> Value {
        until(&act.to_string(), || self.world().tell("/act", &act))
    }

    fn buy(&self, sku: &str, market: i32) -> String {
        self.act(json!({ "act": "buy", "sku": sku, "market": market }))["order"].to_string()
    }

    /// What people were told since: the documents of the webhook.
    fn told(&self, since: usize) -> Vec<Value> {
        self.channels.taken().into_iter().skip(since).filter(|one| one.door == "hook").map(|one| one.body).collect()
    }

    /// The first word of an exception of a rule since then.
    fn alert(&self, rule: &str, since: usize) -> Alert {
        until(&format!("an alert of {rule}"), || {
            self.told(since).into_iter().filter(|body| body["type"] == "alert.opened").find_map(|body| {
                let alerts = body["data"]["alerts"].as_array().unwrap();
                let item = alerts.iter().find(|item| item["rule"] == rule)?;
                Some(Alert { item: item.clone(), at: Instant::now() })
            })
        })
    }

    fn store(&self) -> rusqlite::Connection {
        let store = rusqlite::Connection::open(self.path("demo.db")).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        store
    }

    /// Waits until an order stands in the books.
    fn arrived(&self, order: &str) {
        let sql = "SELECT EXISTS (SELECT 1 FROM obligations WHERE flow = 'orders' AND key = ?1 AND state = 'confirmed')";
        let stands = || self.store().query_row(sql, [order], |row| row.get::<_, bool>(0)).unwrap().then_some(());
        until(&format!("order {order} in the books"), stands);
    }

    /// Orders that have left whole and about which nothing is on its way: a later revision would bring the taxes of the shop again.
    #[expect(clippy::disallowed_methods, reason = "a moment ago, by the clock of the machine")]
    fn at_rest(&self) -> Vec<String> {
        let a_moment_ago = (Timestamp::now() - std::time::Duration::from_secs(5)).as_microsecond();
        let sql = "SELECT r.order_key FROM obligations o JOIN records r ON r.id = o.record_id WHERE r.order_key IS NOT NULL \
                   GROUP BY r.order_key HAVING count(*) = count(o.settled_at) AND max(o.settled_at) < ?1 \
                   AND sum(o.kind = 'shipment' AND o.flow = 'shipments-erp' AND o.state = 'confirmed') > 0 \
                   AND sum(o.state = 'held' OR o.kind IN ('return', 'credit_note', 'refund')) = 0 ORDER BY r.order_key";
        let store = self.store();
        let mut asked = store.prepare(sql).unwrap();
        asked.query_map([a_moment_ago], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Whether the taxes of an order are known to differ.
    fn differs_in_tax(&self, order: &str) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM differences WHERE family = ?1 AND cause = 'tax_rate' AND closed_at IS NULL)";
        self.store().query_row(sql, [order], |row| row.get(0)).unwrap()
    }

    /// Whether nothing is on its way any more.
    fn is_quiet(&self) -> bool {
        let sql = "SELECT count(*) FROM obligations WHERE settled_at IS NULL";
        self.store().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 0
    }
}

/// What somebody was told.
struct Alert {
    item: Value,
    at: Instant,
}

impl Alert {
    fn word(&self, name: &str) -> &str {
        self.item[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.item))
    }
}

/// A page without its tags.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        rest = after.split_once('>').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    plain(&text)
}

/// Without entities, and with one blank between words.
fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value of an attribute in a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| plain(value))
}

/// The elements of a name: the opening tag and what is inside. None of them may hold another of its name.
fn elements<'a>(html: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    html.split(open.as_str())
        .skip(1)
        .filter(|rest| rest.starts_with([' ', '>']))
        .filter_map(|rest| {
            let (tag, inner) = rest.split_once('>')?;
            Some((tag, inner.split_once(close.as_str()).map_or("", |(inner, _)| inner)))
        })
        .collect()
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Somebody in front of a page.
struct Walker<'a> {
    house: &'a House,
    seat: &'a Seat,
    /// Where they are, and what they see.
    path: String,
    page: String,
    clicks: u32,
}

impl Walker<'_> {
    fn load(&mut self, path: &str) {
        let answer = self.house.send("GET", path, &self.seat.cookie, "");
        self.take(path, &answer);
    }

    fn take(&mut self, path: &str, answer: &str) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer}"));
        if head.starts_with("HTTP/1.1 303") {
            let to = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
            return self.load(&to);
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{}: {path}: {head} {}", self.seat.person.name(), text_of(body));
        (self.path, self.page) = (path.to_owned(), body.to_owned());
    }

    /// Opens the link that an alert gives.
    fn open(&mut self, url: &str) {
        let path = url.strip_prefix("http://").and_then(|rest| rest.strip_prefix(self.house.address.as_str()));
        self.clicks += 1;
        self.load(path.unwrap_or_else(|| panic!("{url} leads elsewhere")));
    }

    fn follow(&mut self, words: &str) {
        let links = elements(&self.page, "a");
        let found = links.iter().find(|(_, inner)| text_of(inner).starts_with(words)).and_then(|(tag, _)| attribute(tag, "href"));
        let to = found.unwrap_or_else(|| panic!("no link {words:?} on {}: {}", self.path, text_of(&self.page)));
        self.clicks += 1;
        self.load(&to);
    }

    /// Presses a button, with what was typed into the fields of its form before.
    fn press(&mut self, words: &str, typed: &[(&str, &str)]) {
        let forms = elements(&self.page, "form");
        let form = forms.iter().find_map(|(tag, inner)| {
            let buttons = elements(inner, "button");
            let (button, _) = buttons.iter().find(|(_, inner)| text_of(inner).starts_with(words))?;
            Some((attribute(tag, "action")?, *inner, *button))
        });
        let (action, inner, button) =
            form.unwrap_or_else(|| panic!("no button {words:?} on {}: {}", self.path, text_of(&self.page)));
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut put = |name: String, value: String| {
            let value = typed.iter().find(|(field, _)| *field == name).map_or(value, |(_, text)| (*text).to_owned());
            fields.push((name, value));
        };
        for input in inner.split("<input").skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
            put(attribute(input, "name").unwrap_or_default(), attribute(input, "value").unwrap_or_default());
        }
        for (tag, inner) in elements(inner, "select") {
            let options = elements(inner, "option");
            let chosen = options.iter().find(|(tag, _)| tag.contains(" selected")).or(options.first());
            let value = chosen.and_then(|(tag, _)| attribute(tag, "value")).unwrap_or_default();
            put(attribute(tag, "name").unwrap_or_default(), value);
        }
        for (field, _) in typed {
            assert!(fields.iter().any(|(name, _)| name == field), "no field {field} beside {words:?} on {}", self.path);
        }
        if let (Some(name), Some(value)) = (attribute(button, "name"), attribute(button, "value")) {
            fields.push((name, value));
        }
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.clicks += 1;
        let answer = self.house.send("POST", &action, &self.seat.cookie, &body.join("&"));
        self.take(&action, &answer);
    }

    fn text(&self) -> String {
        text_of(&self.page)
    }

    /// What the page has to say.
    fn sees(&self, words: &[&str]) {
        let text = self.text();
        for word in words {
            assert!(text.contains(word), "{} does not say {word:?}: {text}", self.path);
        }
    }
}

/// What a walk came to.
struct Walked {
    fault: &'static str,
    person: Person,
    said: &'static str,
    did: &'static str,
    clicks: u32,
    took: Duration,
    closed: String,
}

/// One thing that goes wrong, and who mends it how.
struct Fault {
    name: &'static str,
    person: Person,
    /// By whom it is owned.
    team: &'static str,
    rule: &'static str,
    /// What the alert says of it, among other things.
    said: &'static str,
    /// What the page says: the cause, what is at stake, what to do.
    page: &'static [&'static str],
    /// What the person did, as people read it.
    did: &'static str,
    /// By what it closes.
    closed: &'static str,
}

impl Fault {
    /// From the alert to the end. `mend` is what the person does, beginning on the page that the alert links to.
    fn walk(&self, house: &House, since: usize, mend: impl FnOnce(&mut Walker<'_>)) -> Walked {
        let alert = house.alert(self.rule, since);
        assert_eq!(alert.word("team"), self.team, "{}: {}", self.name, alert.item);
        assert!(self.said.split(", or ").any(|said| alert.word("message").contains(said)), "{}: {}", self.name, alert.item);
        let mut walker = Walker { house, seat: house.seat(self.person), path: String::new(), page: String::new(), clicks: 0 };
        walker.open(alert.word("url"));
        let exception = walker.path.clone();
        walker.sees(&[alert.word("message"), alert.word("remedy"), "Why", "Runbook", "History"]);
        // What it holds may still be coming together, and an open page is kept up to date.
        let end = Instant::now() + PATIENCE;
        while !self.page.iter().all(|word| walker.text().contains(word)) && Instant::now() < end {
            std::thread::sleep(ASK);
            walker.load(&exception);
        }
        walker.sees(self.page);
        mend(&mut walker);
        walker.load(&exception);
        let closed = until(&format!("the end of {}", self.name), || {
            walker.load(&exception);
            let text = walker.text();
            let (_, rest) = text.split_once(" Closed ")?;
            rest.split_once(" Name exc_").map(|(closed, _)| closed.to_owned())
        });
        let took = alert.at.elapsed();
        assert!(closed.contains(self.closed), "{}: it closed because {closed:?}", self.name);
        until("word that it is over", || {
            let over = |body: &Value| {
                body["type"] == "alert.resolved"
                    && body["data"]["alerts"].as_array().unwrap().iter().any(|item| item["alert"] == alert.item["alert"])
            };
            house.told(since).iter().any(over).then_some(())
        });
        let (clicks, closed) = (walker.clicks, self.closed.to_owned());
        Walked { fault: self.name, person: self.person, said: self.said, did: self.did, clicks, took, closed }
    }
}

/// Item of the shop that one warehouse keeps.
const TEE: &str = "1000BLKM";
/// Items that the depot keeps.
const DEPOTS: [&str; 3] = ["1300BLKM", "1301BLKM", "1302BLKM"];
const GERMANY: i32 = 2;
const AMERICA: i32 = 4;
/// Half an hour ago the depot fell silent, after five weeks of a shipment a minute.
const SILENT_MINUTES: i64 = 30;
const SLOT: i64 = 900;

/// Five weeks of history of a feed that is a minute old: nobody can wait for them.
#[expect(clippy::disallowed_methods, reason = "a history ends now, by the clock of the machine")]
fn teach_silence(house: &House) {
    let mut store = house.store();
    let last = Timestamp::now().as_second() - 60 * SILENT_MINUTES;
    let write = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    write.execute("DELETE FROM arrivals WHERE connection = 'depot' AND kind = 'shipment'", []).unwrap();
    let sql =
        "INSERT INTO arrivals (brand, connection, kind, slot, market, count) VALUES ('demo', 'depot', 'shipment', ?1, '', 15)";
    for slot in (last / SLOT - 5 * 7 * 96)..=(last / SLOT) {
        write.execute(sql, [slot * SLOT * 1_000_000]).unwrap();
    }
    write
        .execute("UPDATE last_arrivals SET at = ?1 WHERE connection = 'depot' AND kind = 'shipment'", [last * 1_000_000])
        .unwrap();
    write.commit().unwrap();
}

const SHIPPING: Fault = Fault {
    name: "a shipping method that nobody mapped",
    person: Person::Engineer,
    team: "engineering",
    rule: "mapping.shipping_item",
    said: "has no entry in the mapping table shipping_item",
    page: &["found no entry", "customers", "Set the mapping", "602"],
    did: "took one of the entries that the form offers, and pressed *Set and release*",
    closed: "everything it held has settled",
};

const INACTIVE: Fault = Fault {
    name: "an item that is switched off in the ERP",
    person: Person::Operations,
    team: "operations",
    rule: "target.inactive_item",
    said: "is inactive",
    page: &["did not take it as it was sent", "Holds", "Make it active there", "What was said and answered"],
    did: "switched it on in the ERP, and pressed *Release*",
    closed: "everything it held has settled",
};

const TAX: Fault = Fault {
    name: "a wrong tax code on a sales order",
    person: Person::Finance,
    team: "finance",
    rule: "reconcile.tax_rate",
    // A shopper of this market lives in Germany, whose former rate is known, or in Austria, which had none.
    said: "the rate of another day, or another rate of tax",
    page: &["Both ends were read whole", "At stake"],
    did: "set the code right in the ERP, and pressed *Read both ends now*",
    closed: "both ends agreed",
};

const TOKEN: Fault = Fault {
    name: "an API token that has expired",
    person: Person::Engineer,
    team: "engineering",
    rule: "connection.credentials",
    said: "refuses our credentials",
    page: &["Calls to shop do not come through", "Waits behind it", "Renew the credentials"],
    did: "made a new token in the shop, put it where the config says, and started Selvedge again",
    closed: "the connection answers again",
};

const DOWN: Fault = Fault {
    name: "a vendor that is down",
    person: Person::Owner,
    team: "engineering",
    rule: "connection.down",
    said: "is not reached or serves nothing",
    page: &["Calls to erp do not come through", "Waits behind it", "closes by itself when the first call comes through"],
    did: "read that nothing is lost and whom to ask, and waited for the vendor",
    closed: "the system answers again",
};

const SILENT: Fault = Fault {
    name: "a feed that has fallen silent",
    person: Person::Owner,
    team: "engineering",
    rule: "source.silent",
    said: "depot should have brought",
    page: &["more should have come by now", "selvedge check", "closes by itself when as much comes as should"],
    did: "called the warehouse, which went on working",
    closed: "as much comes again as should",
};

const ON_HAND: Fault = Fault {
    name: "on-hand stock sent as available",
    person: Person::Operations,
    team: "operations",
    rule: "stock.drift",
    said: "shows what the source has on hand, promised units included",
    page: &["on hand sent as available", "Holds 3 figures", "switch it off"],
    did: "had the other integration switched off, and pressed *Release*",
    closed: "both sides were read and are equal again",
};

const TRACKING: Fault = Fault {
    name: "a parcel without a tracking number",
    person: Person::Service,
    team: "operations",
    rule: "shipment.no_tracking",
    said: "gives no tracking number for them",
    page: &["no number by which the shopper could follow", "1 customer", "Have the number entered at the warehouse"],
    did: "opened the order to answer its shopper, and had the number entered at the warehouse",
    closed: "everything it held has settled",
};

const REFUND: Fault = Fault {
    name: "a refund that went out twice",
    person: Person::Finance,
    team: "finance",
    rule: "refund.over",
    said: "has not been paid back yet",
    page: &["Nothing was sent", "Holds 1 record", "See at the payment provider what was paid back"],
    did: "opened the order with both ledgers, and had the provider take the second one back",
    closed: "everything it held has settled",
};

const TWICE: Fault = Fault {
    name: "an order that stands twice in the ERP",
    person: Person::Operations,
    team: "operations",
    rule: "reconcile.duplicate",
    said: "sent twice",
    page: &["Both ends were read whole", "At stake", "Void the younger copy"],
    did: "voided the younger copy that the page names, and pressed *Read both ends now*",
    closed: "both ends agreed",
};

/// Whatever of these the variable `SELVEDGE_WALK` names a part of; without it all, and the table is compared.
fn is_wanted(fault: &Fault) -> bool {
    std::env::var("SELVEDGE_WALK").map_or(true, |part| fault.rule.contains(&part))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_alert_to_fixed_as_each_of_the_five() {
    let house = House::open().await;
    let mut walked = Vec::new();

    // The demo leaves a method out by itself, and nothing is quiet before it is mapped.
    walked.push(SHIPPING.walk(&house, 0, |walker| walker.press("Set and release", &[("value", "602")])));
    until("the first orders", || house.is_quiet().then_some(()));
    let mut walk = |fault: &Fault, seed: &dyn Fn() -> Value, mend: &dyn Fn(&mut Walker<'_>, &Value)| {
        if is_wanted(fault) {
            let since = house.channels.taken().len();
            let seeded = seed();
            walked.push(fault.walk(&house, since, |walker| mend(walker, &seeded)));
        }
    };

    let switch = |off: bool| house.act(json!({ "act": "switch_item", "sku": TEE, "off": off }));
    walk(
        &INACTIVE,
        &|| {
            switch(true);
            Value::from(house.buy(TEE, GERMANY))
        },
        &|walker, _| {
            switch(false);
            walker.press("Release", &[]);
        },
    );
    walk(&REFUND, &|| house.act(json!({ "act": "refund_twice" })), &|walker, paid| {
        walker.follow("refund");
        walker.sees(&["Both ledgers", "Still to be paid back"]);
        house.act(json!({ "act": "reverse_refund", "paid": paid }));
    });
    let withhold = |on: bool| house.act(json!({ "act": "withhold_tracking", "on": on }));
    walk(
        &TRACKING,
        &|| {
            withhold(true);
            Value::from(house.buy(TEE, GERMANY))
        },
        &|walker, order| {
            walker.follow("shipment");
            walker.sees(&[&format!("Order {}", order.as_str().unwrap()), "Where the goods are", TEE]);
            withhold(false);
        },
    );
    let outage = |on: bool| house.act(json!({ "act": "outage", "on": on }));
    walk(
        &DOWN,
        &|| {
            outage(true);
            Value::from(house.buy(TEE, GERMANY))
        },
        &|_, _| drop(outage(false)),
    );
    walk(
        &TWICE,
        &|| {
            let made = house.world().wrong("doubled");
            house.world().reconcile();
            made
        },
        &|walker, made| {
            let detail = made["detail"].as_str().unwrap();
            let (name, id) = detail.rsplit_once(" as ").unwrap().1.split_once(" (internal id ").unwrap();
            walker.sees(&[name, &format!("Order {}", made["order"].as_str().unwrap())]);
            house.act(json!({ "act": "delete", "id": id.trim_end_matches(')').parse::<u32>().unwrap() }));
            walker.press("Read both ends now", &[]);
        },
    );
    let retaxed = RefCell::new(Vec::new());
    walk(
        &TAX,
        &|| {
            until("an order whose taxes differ", || {
                let retax = |order: &String| house.world().tell("/act", &json!({ "act": "retax", "order": order })).is_some();
                let fresh = |order: &String| !retaxed.borrow().contains(order);
                let order = house.at_rest().into_iter().filter(fresh).find(retax)?;
                retaxed.borrow_mut().push(order.clone());
                house.world().reconcile();
                house.differs_in_tax(&order).then(|| Value::from(order))
            })
        },
        &|walker, order| {
            walker.sees(&[&format!("Order {}", order.as_str().unwrap())]);
            for order in retaxed.borrow().iter().filter(|order| house.differs_in_tax(order)) {
                house.act(json!({ "act": "tax_right", "order": order }));
            }
            walker.press("Read both ends now", &[]);
        },
    );
    // What the depot has not shipped is promised, and so less is available than is on hand.
    let stop = |on: bool| house.act(json!({ "act": "stop_depot", "on": on }));
    stop(true);
    walk(
        &ON_HAND,
        &|| {
            let bought: Vec<String> = DEPOTS.iter().map(|sku| house.buy(sku, AMERICA)).collect();
            // Before they are in the books, nothing of them is promised there.
            bought.iter().for_each(|order| house.arrived(order));
            house.world().wrong("on_hand")
        },
        &|walker, _| walker.press("Release", &[]),
    );
    walk(
        &SILENT,
        &|| {
            (0..12).for_each(|nth| drop(house.buy(DEPOTS[nth % DEPOTS.len()], AMERICA)));
            teach_silence(&house);
            Value::Null
        },
        &|_, _| drop(stop(false)),
    );
    walk(&TOKEN, &|| house.act(json!({ "act": "expire_token" })), &|_, made| {
        std::fs::write(house.path("demo.world/shop-token"), made["token"].as_str().unwrap()).unwrap();
        house.start();
    });

    if std::env::var_os("SELVEDGE_WALK").is_none() {
        written(&walked);
    }
}

/// Where the guide has what the walks came to.
const BEGIN: &str = "<!-- what the walks came to -->\n";
const END: &str = "<!-- the end of it -->\n";

/// The table of the guide.
fn table(walked: &[Walked]) -> String {
    let mut text = String::from(
        "| as | what was wrong | the alert said, among other things | clicks | time | they | it closed because |\n|---|---|---|---|---|---|---|\n",
    );
    for person in Person::ALL {
        for one in walked.iter().filter(|one| one.person == person) {
            let seconds = one.took.as_secs().max(1);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {seconds} s | {} | {} |",
                person.name(),
                one.fault,
                one.said,
                one.clicks,
                one.did,
                one.closed
            );
        }
    }
    text
}

/// What stands in the guide is what was walked, but for the times.
fn written(walked: &[Walked]) {
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/walks.md");
    let text = std::fs::read_to_string(&guide).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (stands, after) = rest.split_once(END).unwrap();
    if std::env::var_os("SELVEDGE_WRITE_DOCS").is_some() {
        std::fs::write(&guide, format!("{before}{BEGIN}{}{END}{after}", table(walked))).unwrap();
        return;
    }
    let untimed = |line: &str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        cells.iter().enumerate().filter(|(place, _)| *place != 4).map(|(_, cell)| cell.trim()).collect::<Vec<_>>().join(" | ")
    };
    let stands: Vec<String> = stands.lines().map(untimed).collect();
    let came: Vec<String> = table(walked).lines().map(untimed).collect();
    assert_eq!(stands, came, "write it anew: SELVEDGE_WRITE_DOCS=1 cargo test -p selvedge-app --test it walks");
}
