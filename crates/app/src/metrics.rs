//! `GET /metrics`: what a monitor should see, in the text format of Prometheus.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use selvedge_store::alerts::ChannelCount;

use crate::{
    serve::App,
    view::{
        self,
        stock::{self, Warehouse},
        webhooks::{self, WebhookView},
    },
};

/// A label's value as the format wants it.
fn label(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\\' => "\\\\".to_owned(),
            '"' => "\\\"".to_owned(),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// The answer.
pub async fn show(State(app): State<Arc<App>>) -> Response {
    match read(&app).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the store refused the metrics");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

/// What a metric is, before its values.
fn head(out: &mut String, name: &str, what: &str, kind: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "# HELP {name} {what}\n# TYPE {name} {kind}");
}

/// How fresh the figures of stock are, and where they stand. What is not known is left out: nought would say that all is well.
fn of_stock(out: &mut String, warehouses: &[Warehouse]) {
    let labels: Vec<(String, &Warehouse)> = warehouses
        .iter()
        .map(|one| (format!("flow=\"{}\",warehouse=\"{}\"", label(&one.flow), label(one.warehouse.as_str())), one))
        .collect();
    head(
        out,
        "selvedge_stock_age_seconds",
        "How long ago the figures of a warehouse were last known to be right; quantile 1 is the oldest.",
        "gauge",
    );
    for (labels, one) in labels.iter().filter(|(_, one)| one.freshness.figures > 0) {
        for (quantile, ms) in [("0.5", one.freshness.p50_ms), ("0.99", one.freshness.p99_ms), ("1", one.freshness.max_ms)] {
            let _ = writeln!(out, "selvedge_stock_age_seconds{{{labels},quantile=\"{quantile}\"}} {}", seconds(ms));
        }
    }
    head(
        out,
        "selvedge_stock_wrong_seconds",
        "Measured: how long a figure is wrong after a change, 99 times of 100 at most.",
        "gauge",
    );
    for (labels, one) in &labels {
        if let Some(ms) = one.window_ms {
            let _ = writeln!(out, "selvedge_stock_wrong_seconds{{{labels}}} {}", seconds(ms));
        }
    }
    type At = fn(&Warehouse) -> Option<Timestamp>;
    let moments: [(&str, &str, At); 3] = [
        ("selvedge_stock_proven_timestamp_seconds", "Until when every place that feeds a warehouse is known.", |one| {
            one.proven_at
        }),
        ("selvedge_stock_snapshot_timestamp_seconds", "When the places that feed a warehouse were last read whole.", |one| {
            one.snapshot_at
        }),
        ("selvedge_stock_read_back_timestamp_seconds", "When the shop was last read back whole.", |one| one.read_back_at),
    ];
    for (name, what, at) in moments {
        head(out, name, what, "gauge");
        for (labels, one) in &labels {
            if let Some(at) = at(one) {
                let _ = writeln!(out, "{name}{{{labels}}} {}", at.as_second());
            }
        }
    }
    head(out, "selvedge_stock_figures", "Figures by where they stand; their sum is what the shop lists.", "gauge");
    for (labels, one) in &labels {
        let b = &one.balance;
        for (state, count) in [("agreed", b.agreed), ("in_flight", b.in_flight), ("held", b.held), ("left", b.left)] {
            let _ = writeln!(out, "selvedge_stock_figures{{{labels},state=\"{state}\"}} {count}");
        }
    }
    head(out, "selvedge_stock_free_units", "Units that shoppers can buy.", "gauge");
    for (labels, one) in &labels {
        let _ = writeln!(out, "selvedge_stock_free_units{{{labels}}} {}", one.balance.free_units);
    }
}

/// Whether other programs take the events that they are told.
fn of_webhooks(out: &mut String, webhooks: &[WebhookView]) {
    if webhooks.is_empty() {
        return;
    }
    type Of = fn(&WebhookView) -> u64;
    let figures: [(&str, &str, &str, Of); 3] = [
        ("selvedge_webhook_taken_total", "Events that a webhook took.", "counter", |one| {
            one.standing.as_ref().map_or(0, |row| row.taken)
        }),
        ("selvedge_webhook_failures", "How often in a row a webhook did not take its next event.", "gauge", |one| {
            one.standing.as_ref().map_or(0, |row| row.tries.into())
        }),
        ("selvedge_webhook_waiting", "Events behind a webhook's place, of all types of its streams.", "gauge", |one| one.waiting),
    ];
    for (name, what, kind, of) in figures {
        head(out, name, what, kind);
        for one in webhooks {
            let _ = writeln!(out, "{name}{{webhook=\"{}\"}} {}", label(&one.webhook), of(one));
        }
    }
}

/// Messages by channel and by what became of them.
fn of_alerts(out: &mut String, channels: &[ChannelCount]) {
    head(out, "selvedge_alert_messages", "Messages of alerts that are kept, by channel: sent, failed, waiting.", "gauge");
    for one in channels {
        let channel = label(one.channel.as_str());
        for (state, count) in [("sent", one.confirmed), ("failed", one.held), ("waiting", one.in_flight)] {
            let _ = writeln!(out, "selvedge_alert_messages{{channel=\"{channel}\",state=\"{state}\"}} {count}");
        }
    }
}

async fn read(app: &App) -> selvedge_store::Result<String> {
    let mut out = String::new();
    let warehouses = stock::status(&app.store, &app.brand, &app.engine.setup().stocks, app.clock.now()).await?;
    if !warehouses.is_empty() {
        of_stock(&mut out, &warehouses);
    }
    let balances = view::balance(&app.store, &app.brand, &app.ends(), None).await?;
    head(&mut out, "selvedge_captured_total", "Revisions captured: the sum of selvedge_obligations.", "counter");
    for balance in &balances {
        let _ = writeln!(out, "selvedge_captured_total{{flow=\"{}\"}} {}", label(&balance.terms.flow), balance.terms.captured);
    }
    head(&mut out, "selvedge_obligations", "Revisions by where they stand.", "gauge");
    for balance in &balances {
        let terms = &balance.terms;
        let flow = label(&terms.flow);
        for (state, count) in [
            ("confirmed", terms.confirmed),
            ("compared", terms.compared),
            ("in_flight", terms.in_flight),
            ("held", terms.held),
            ("excluded", terms.excluded),
            ("superseded", terms.superseded),
            ("dismissed", terms.dismissed),
        ] {
            let _ = writeln!(out, "selvedge_obligations{{flow=\"{flow}\",state=\"{state}\"}} {count}");
        }
    }
    head(&mut out, "selvedge_exceptions_open", "Exceptions that need a person.", "gauge");
    let open = view::open_count(&app.store, &app.brand).await?;
    let _ = writeln!(out, "selvedge_exceptions_open {open}");
    let brand = app.brand.clone();
    of_alerts(&mut out, &app.store.read(move |view| view.channel_counts(&brand)).await?);
    head(&mut out, "selvedge_calls_total", "Calls sent, by what they were spent on.", "counter");
    let brand = app.brand.clone();
    for (connection, purpose, count) in app.store.read(move |view| view.calls(&brand)).await? {
        let (connection, purpose) = (label(&connection), label(&purpose));
        let _ = writeln!(out, "selvedge_calls_total{{connection=\"{connection}\",purpose=\"{purpose}\"}} {count}");
    }
    of_webhooks(&mut out, &webhooks::webhooks(&app.store, &app.brand, &app.engine.setup().webhooks).await?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_by_channel_and_by_what_became_of_them() {
        let mut out = String::new();
        let channel =
            ChannelCount { channel: "ops".into(), owed: 9, confirmed: 5, in_flight: 1, held: 2, excluded: 1, superseded: 0 };
        of_alerts(&mut out, &[channel]);
        let told: Vec<&str> = out.lines().skip(2).collect();
        assert_eq!(
            told,
            [
                "selvedge_alert_messages{channel=\"ops\",state=\"sent\"} 5",
                "selvedge_alert_messages{channel=\"ops\",state=\"failed\"} 2",
                "selvedge_alert_messages{channel=\"ops\",state=\"waiting\"} 1",
            ]
        );
    }

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!((seconds(0), seconds(1_234), seconds(60_000)), ("0.000".into(), "1.234".into(), "60.000".into()));
    }
}
