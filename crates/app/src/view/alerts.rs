//! Who was told of what, and whether it arrived.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{
    AlertId, Brand, ExceptionId, MessageId,
    alert::{ChannelName, Severity, text},
    obligation::State,
};
use selvedge_store::{
    Result, Store,
    alerts::{AlertRow, ChannelCount, MessageRow},
};
use serde::Serialize;

/// How many alerts and messages are shown.
const SHOWN_MAX: usize = 200;

/// One alert.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AlertView {
    /// Its row.
    pub id: AlertId,
    /// About what.
    pub exception: ExceptionId,
    /// By which rule that was found.
    pub rule: String,
    /// What is wrong, as it was told.
    pub message: String,
    /// How bad it is.
    pub severity: Severity,
    /// Which route has it.
    pub route: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// Over which channels somebody was told.
    pub told: Vec<ChannelName>,
    /// When its route looks at it next.
    pub due_at: Option<Timestamp>,
    /// When somebody took it over.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
}

/// One message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MessageView {
    /// Its row.
    pub id: MessageId,
    /// Over which channel.
    pub channel: ChannelName,
    /// Why it is sent.
    pub event: &'static str,
    /// Its first line.
    pub subject: String,
    /// Where it stands.
    pub state: State,
    /// When it was decided on.
    pub created_at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// How often it was sent.
    pub attempts: u32,
    /// What the channel answered, or why it is where it is.
    pub note: Option<String>,
}

/// Everything about alerts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AlertsView {
    /// The alerts, open ones first.
    #[serde(rename = "items")]
    pub alerts: Vec<AlertView>,
    /// What `after` takes to go on; none at the end of the list.
    pub next: Option<AlertId>,
    /// The newest messages.
    pub messages: Vec<MessageView>,
    /// What each channel was owed, and where that stands.
    pub channels: Vec<ChannelCount>,
}

impl From<&MessageRow> for MessageView {
    fn from(row: &MessageRow) -> Self {
        Self {
            id: row.id,
            channel: row.channel.clone(),
            event: row.message.event.word(),
            subject: text::subject(&row.message),
            state: row.state,
            created_at: row.created_at,
            settled_at: row.settled_at,
            attempts: row.attempts,
            note: row.note.clone(),
        }
    }
}

/// The alerts, closed ones too if `all`, and the newest messages.
///
/// # Errors
/// The store's.
pub async fn alerts(store: &Store, brand: &Brand, all: bool, after: Option<AlertId>) -> Result<AlertsView> {
    let brand = brand.clone();
    store
        .read(move |view| {
            let mut alerts = Vec::new();
            let rows = view.alerts(&brand, all, after, SHOWN_MAX)?;
            let next = rows.last().map(|row| row.id).filter(|_| rows.len() == SHOWN_MAX);
            for row in rows {
                let told = view.channels_told(row.id)?;
                let problem = view.exception(row.exception)?.problem;
                alerts.push(shown(row, told, &problem.rule, &problem.message));
            }
            let messages = view.messages(&brand, SHOWN_MAX)?.iter().map(MessageView::from).collect();
            Ok(AlertsView { alerts, next, messages, channels: view.channel_counts(&brand)? })
        })
        .await
}

fn shown(row: AlertRow, told: Vec<ChannelName>, rule: &str, message: &str) -> AlertView {
    let (acknowledged_at, acknowledged_by) = row.acknowledged.unzip();
    AlertView {
        id: row.id,
        exception: row.exception,
        rule: rule.to_owned(),
        message: text::plain(rule, message),
        severity: row.standing.severity,
        route: row.route,
        opened_at: row.standing.opened_at,
        told,
        due_at: row.due_at,
        acknowledged_at,
        acknowledged_by,
        resolved_at: row.resolved_at,
    }
}
