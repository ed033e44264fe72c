//! Word that counts have changed, for pages that are open. One look a second at the store serves
//! all of them, and none happens while nobody watches.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, future};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_stream::wrappers::WatchStream;

use crate::{
    serve::{App, Stopping},
    view,
};

/// Pages that are told at once.
const WATCHERS_MAX: usize = 64;
/// How often the counts are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long one stream goes on. The browser asks for the next by itself, and is let in only if it still may.
const STREAM_MAX: Duration = Duration::from_secs(60);
/// After which time it asks.
const RETRY: Duration = Duration::from_secs(1);
/// A look that takes long is followed by a rest so many times as long.
const REST_FACTOR: u32 = 10;

/// Who watches, and what they were last told.
pub(crate) struct Live {
    pulse: watch::Sender<String>,
    awake: AtomicBool,
    room: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            pulse: watch::Sender::new(String::new()),
            awake: AtomicBool::new(false),
            room: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }
}

/// `GET /live`: server-sent events named `pulse`, the first one at once.
pub(super) async fn stream(State(app): State<Arc<App>>, stopping: Option<Extension<Stopping>>) -> Response {
    let Ok(seat) = Arc::clone(&app.live.room).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], "Too many pages watch already.\n")
            .into_response();
    };
    let pulses = WatchStream::new(app.live.pulse.subscribe());
    if !app.live.awake.swap(true, Ordering::SeqCst) {
        tokio::spawn(look(Arc::clone(&app)));
    }
    let end = async move {
        let stopped = async {
            match stopping {
                Some(Extension(stopping)) => stopping.wait().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = stopped => {}
            () = tokio::time::sleep(STREAM_MAX) => {}
        }
    };
    let events = pulses
        .filter(|pulse| future::ready(!pulse.is_empty()))
        .map(move |pulse| {
            let _taken = &seat;
            Ok::<_, Infallible>(Event::default().event("pulse").retry(RETRY).data(pulse))
        })
        .take_until(Box::pin(end));
    // A proxy that collects answers would keep the events back.
    ([(header::HeaderName::from_static("x-accel-buffering"), "no")], Sse::new(events).keep_alive(KeepAlive::default()))
        .into_response()
}

/// Looks at the counts while anybody watches.
async fn look(app: Arc<App>) {
    let live = &app.live;
    loop {
        let began = Instant::now();
        match view::pulse(&app.store, &app.brand, &app.ends(), &app.engine.setup().stocks)
            .await
            .map(|pulse| serde_json::to_string(&pulse))
        {
            Ok(Ok(text)) => {
                live.pulse.send_if_modified(|known| {
                    let news = *known != text;
                    *known = text;
                    news
                });
            }
            Ok(Err(error)) => tracing::error!(%error, "the counts could not be written"),
            Err(error) => {
                tracing::warn!(%error, "the counts could not be read; open pages stand still")
            }
        }
        tokio::time::sleep(EVERY.max(began.elapsed() * REST_FACTOR)).await;
        if live.pulse.receiver_count() == 0 {
            live.awake.store(false, Ordering::SeqCst);
            // Somebody may have come between the two lines; then one of us goes on.
            if live.pulse.receiver_count() == 0 || live.awake.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}
