//! `GET /metrics`: what a monitor should see, in the text format of Prometheus.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    serve::App,
    view::{self, stock},
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

async fn read(app: &App) -> selvedge_store::Result<String> {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, what: &str, kind: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(out, "# HELP {name} {what}\n# TYPE {name} {kind}");
    };
    let warehouses = stock::status(&app.store, &app.brand, &app.engine.setup().stocks, app.clock.now()).await?;
    head(&mut out, "selvedge_stock_age_seconds", "Age of the figures that a warehouse shows.", "gauge");
    for one in &warehouses {
        let (flow, place) = (label(&one.flow), label(one.warehouse.as_str()));
        for (quantile, ms) in [("0.5", one.freshness.p50_ms), ("0.99", one.freshness.p99_ms), ("1", one.freshness.max_ms)] {
            let _ = writeln!(
                out,
                "selvedge_stock_age_seconds{{flow=\"{flow}\",warehouse=\"{place}\",quantile=\"{quantile}\"}} {}",
                seconds(ms)
            );
        }
    }
    head(&mut out, "selvedge_stock_figures", "Figures by where they stand.", "gauge");
    for one in &warehouses {
        let (flow, place) = (label(&one.flow), label(one.warehouse.as_str()));
        let b = &one.balance;
        for (state, count) in [("agreed", b.agreed), ("in_flight", b.in_flight), ("held", b.held), ("left", b.left)] {
            let _ = writeln!(out, "selvedge_stock_figures{{flow=\"{flow}\",warehouse=\"{place}\",state=\"{state}\"}} {count}");
        }
    }
    let balances = view::balance(&app.store, &app.brand, &app.ends(), None).await?;
    head(&mut out, "selvedge_obligations", "Revisions by where they stand.", "gauge");
    for balance in &balances {
        let terms = &balance.terms;
        let flow = label(&terms.flow);
        for (state, count) in
            [("captured", terms.captured), ("confirmed", terms.confirmed), ("in_flight", terms.in_flight), ("held", terms.held)]
        {
            let _ = writeln!(out, "selvedge_obligations{{flow=\"{flow}\",state=\"{state}\"}} {count}");
        }
    }
    head(&mut out, "selvedge_exceptions_open", "Exceptions that need a person.", "gauge");
    let open = view::exceptions(&app.store, &app.brand, false).await?.len();
    let _ = writeln!(out, "selvedge_exceptions_open {open}");
    head(&mut out, "selvedge_calls_total", "Calls sent, by what they were spent on.", "counter");
    let brand = app.brand.clone();
    for (connection, purpose, count) in app.store.read(move |view| view.calls(&brand)).await? {
        let (connection, purpose) = (label(&connection), label(&purpose));
        let _ = writeln!(out, "selvedge_calls_total{{connection=\"{connection}\",purpose=\"{purpose}\"}} {count}");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!((seconds(0), seconds(1_234), seconds(60_000)), ("0.000".into(), "1.234".into(), "60.000".into()));
    }
}
