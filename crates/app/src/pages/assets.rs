//! Style, scripts and icon, in the binary: the page loads nothing from another host.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// Name, type, content.
const ASSETS: [(&str, &str, &str); 5] = [
    ("selvedge.css", "text/css; charset=utf-8", include_str!("../../assets/selvedge.css")),
    ("merge.js", "text/javascript; charset=utf-8", include_str!("../../assets/merge.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("../../assets/live.js")),
    ("pick.js", "text/javascript; charset=utf-8", include_str!("../../assets/pick.js")),
    ("selvedge.svg", "image/svg+xml", include_str!("../../assets/selvedge.svg")),
];

/// Marks the addresses, so that a browser keeps what it has until it changes.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for (_, _, content) in ASSETS {
        hasher.update(content.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(12).collect()
});

/// The address of an asset.
pub(super) fn url(name: &str) -> String {
    format!("/assets/{name}?v={}", *MARK)
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.into_iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], content)
                .into_response()
        }
        None => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
    }
}
