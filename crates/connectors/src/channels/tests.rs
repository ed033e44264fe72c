//! Every channel against its stand-in, over real sockets: what arrives, what a fault means, and that no secret shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_connector::{AlertSink, Clock, Reach, Secrets};
use selvedge_model::{ConnectionName, alert::Event};
use selvedge_sim::channels::{Channels, Mishap, mail};
use serde_json::{Value, json};

use super::samples::{links, opened};
use super::*;

const KEY: &str = "routing-key-hidden";
const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_c2Vjb25kIHNlY3JldCBvZiBhIHdlYmhvb2s=";

/// The time of the machine, as receivers of signed webhooks look at it.
#[derive(Debug)]
struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "the receiver compares it with its own")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn open(
    kind: &str,
    settings: Value,
    secrets: &[(&str, &str)],
    reach: Reach,
) -> Result<Arc<dyn AlertSink>, Vec<selvedge_connector::SettingProblem>> {
    let mut kept = Secrets::default();
    secrets.iter().for_each(|(path, text)| kept.set(*path, Secret::new(*text)));
    let context = OpenContext {
        name: &ConnectionName::from("alerts-test"),
        settings: &settings,
        secrets: &kept,
        clock: Arc::new(Now),
        read_only: false,
        reach,
    };
    by_name(kind).unwrap().open(&context).map(|connection| connection.alert_sink.unwrap())
}

const HERE: Reach = Reach { allow_private: true, allow_http: false };

async fn all(channels: &Channels) -> BTreeMap<&'static str, Arc<dyn AlertSink>> {
    let url = channels.url();
    let at = |path: &str| format!("{url}{path}");
    BTreeMap::from([
        ("chat", open("slack", json!({}), &[("url", &at("/chat"))], HERE).unwrap()),
        ("card", open("teams", json!({}), &[("url", &at("/card"))], HERE).unwrap()),
        ("event", open("pagerduty", json!({ "base_url": url }), &[("routing_key", KEY)], HERE).unwrap()),
        ("hook", open("webhook", json!({}), &[("url", &at("/hook")), ("secret", NEW), ("previous_secret", OLD)], HERE).unwrap()),
    ])
}

#[tokio::test]
async fn every_message_arrives_in_the_form_that_is_taken() {
    // The receiver has not changed over yet: it knows the old secret only.
    let channels = Channels::open(KEY, &[OLD]).await.unwrap();
    for (door, sink) in all(&channels).await {
        for event in [Event::Opened, Event::Escalated, Event::Repeated, Event::Digest, Event::Acknowledged, Event::Resolved] {
            let mut message = opened();
            message.event = event;
            let before = channels.taken().len();
            let receipt = sink.put(&message, &links()).await.unwrap_or_else(|fault| panic!("{door} {event:?}: {fault:?}"));
            let taken = channels.taken().split_off(before);
            assert_eq!(taken.iter().map(|one| one.door).collect::<Vec<_>>(), [door], "{event:?}");
            assert!(!receipt.warnings.is_empty(), "what it answered is told");
            match door {
                "event" => assert_eq!((taken[0].id.as_str(), sink.one_by_one()), ("selvedge/nordvik/alr_7", true)),
                "hook" => assert_eq!(taken[0].id, "nordvik_msg_12"),
                _ => {}
            }
        }
        let mut trial = opened();
        (trial.event, trial.items) = (Event::Test, Vec::new());
        sink.put(&trial, &links()).await.unwrap_or_else(|fault| panic!("{door}: {fault:?}"));
    }
    let events: Vec<String> = channels
        .taken()
        .iter()
        .filter(|one| one.door == "event")
        .map(|one| one.body["event_action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, ["trigger", "trigger", "trigger", "trigger", "acknowledge", "resolve", "trigger", "resolve"]);
}

#[tokio::test]
async fn a_fault_says_what_happens_next() {
    let channels = Channels::open(KEY, &[NEW]).await.unwrap();
    for (door, sink) in all(&channels).await {
        for (mishap, word) in [
            (Mishap::Status(500), "transient"),
            (Mishap::Status(404), "refused"),
            (Mishap::Status(410), "refused"),
            (Mishap::AnswerLost, "unanswered"),
            (Mishap::Throttled(30), "throttled"),
        ] {
            channels.mishaps(&[mishap]);
            let fault = sink.put(&opened(), &links()).await.unwrap_err();
            assert_eq!(fault.word(), word, "{door} {mishap:?}: {fault:?}");
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains("hidden") && !shown.contains("/chat") && !shown.contains("whsec"), "{shown}");
        }
        // It asked for a pause, and is not asked before.
        let before = channels.taken().len();
        assert_eq!(sink.put(&opened(), &links()).await.unwrap_err().word(), "throttled", "{door}");
        assert_eq!(channels.taken().len(), before);
    }
}

#[tokio::test]
async fn mail_goes_through_the_conversation() {
    let server = mail::MailServer::open(Some(("selvedge", "mail-hidden"))).await.unwrap();
    let settings = |password: bool| {
        let mut settings = json!({
            "host": "127.0.0.1", "port": server.port(), "tls": "none",
            "from": "Selvedge <alerts@nordvik.example>", "to": ["ops@nordvik.example", "anna@nordvik.example"],
        });
        if password {
            settings["user"] = json!("selvedge");
        }
        settings
    };
    let sink = open("mail", settings(true), &[("password", "mail-hidden")], HERE).unwrap();
    let receipt = sink.put(&opened(), &links()).await.unwrap();
    assert_eq!(receipt.id.unwrap().as_str(), "<msg_12.nordvik.selvedge@nordvik.example>");
    assert!(receipt.warnings[0].contains("queued as 1"), "{:?}", receipt.warnings);
    let mail = server.mails().remove(0);
    assert_eq!((mail.from.as_str(), mail.to.len()), ("alerts@nordvik.example", 2));
    assert!(
        mail.text.contains("Subject: [critical] 214 records held:") && mail.text.contains("Auto-Submitted: auto-generated"),
        "{}",
        mail.text
    );
    for (mishap, word) in [
        (mail::Mishap::ComeBack, "transient"),
        (mail::Mishap::NoSuchMailbox, "refused"),
        (mail::Mishap::AnswerLost, "unanswered"),
    ] {
        server.mishaps(&[mishap]);
        let fault = sink.put(&opened(), &links()).await.unwrap_err();
        assert_eq!(fault.word(), word, "{mishap:?}: {fault:?}");
        assert!(!format!("{fault:?}").contains("hidden"));
    }
    // The wrong password, and no log-in at all.
    let stranger = open("mail", settings(true), &[("password", "wrong")], HERE).unwrap();
    assert_eq!(stranger.put(&opened(), &links()).await.unwrap_err().word(), "refused");
    let nobody = open("mail", settings(false), &[], HERE).unwrap();
    assert_eq!(nobody.put(&opened(), &links()).await.unwrap_err().word(), "refused");
    // In clear to this machine only with a word for it; a port where nobody listens took nothing.
    assert!(open("mail", settings(false), &[], Reach::PUBLIC).is_err());
    let mut deaf = settings(false);
    deaf["port"] = json!(1);
    let deaf = open("mail", deaf, &[], HERE).unwrap();
    assert_eq!(deaf.put(&opened(), &links()).await.unwrap_err().word(), "transient");
    let by_name = json!({ "host": "localhost", "tls": "tls", "from": "a@b.example", "to": "c@d.example" });
    assert!(open("mail", by_name, &[], Reach::PUBLIC).is_err(), "a name of this machine");
}

#[tokio::test]
async fn a_channel_does_not_reach_into_this_machine_by_itself() {
    let channels = Channels::open(KEY, &[NEW]).await.unwrap();
    for (kind, secrets) in [("slack", vec![("url", "/chat")]), ("webhook", vec![("url", "/hook"), ("secret", NEW)])] {
        let secrets: Vec<(&str, String)> = secrets
            .into_iter()
            .map(|(path, text)| (path, if text.starts_with('/') { format!("{}{text}", channels.url()) } else { text.to_owned() }))
            .collect();
        let secrets: Vec<(&str, &str)> = secrets.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let problems = open(kind, json!({}), &secrets, Reach::PUBLIC).err().unwrap();
        assert!(problems.iter().any(|problem| problem.path == "url" && problem.remedy.contains("allow_private")), "{problems:?}");
        assert!(
            problems.iter().all(|problem| !problem.message.contains("/chat") && !problem.message.contains("/hook")),
            "no path of a secret address shows"
        );
    }
    assert!(channels.taken().is_empty());
}

#[tokio::test]
async fn the_monitor_hears_us() {
    let channels = Channels::open(KEY, &[NEW]).await.unwrap();
    let mut secrets = Secrets::default();
    secrets.set("url", Secret::new(format!("{}/beat", channels.url())));
    let context = OpenContext {
        name: &ConnectionName::from("heartbeat"),
        settings: &json!({ "method": "post" }),
        secrets: &secrets,
        clock: Arc::new(Now),
        read_only: false,
        reach: HERE,
    };
    let pulse = HEARTBEAT.open(&context).unwrap().pulse.unwrap();
    pulse.beat().await.unwrap();
    channels.mishaps(&[Mishap::Status(500)]);
    assert_eq!(pulse.beat().await.unwrap_err().word(), "transient");
    assert_eq!(channels.taken().len(), 1);
}
