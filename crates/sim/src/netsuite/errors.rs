//! The one shape of every error answer.
//!
//! Source: the vendor's help topic "Error Handling and Error Messages" of the REST web services.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::json::Json;
use crate::mischief::Tongue;

/// Where in the request a detail points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    Nowhere,
    /// JSON path into the body.
    Path(String),
    /// A query parameter.
    Query(&'static str),
    /// A header.
    Header(&'static str),
    /// The URL.
    Url(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    pub(super) text: String,
    pub(super) code: &'static str,
    pub(super) at: At,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) details: Vec<Detail>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, text: impl Into<String>, at: At) -> Refusal {
        Refusal { status, details: vec![Detail { text: text.into(), code, at }], headers: Vec::new() }
    }

    /// Malformed URL or syntax.
    pub(super) fn request(text: impl Into<String>, at: At) -> Refusal {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", text, at)
    }

    /// A business rule.
    pub(super) fn user(text: impl std::fmt::Display) -> Refusal {
        Self::new(StatusCode::BAD_REQUEST, "USER_ERROR", format!("Error while accessing a resource. {text}"), At::Nowhere)
    }

    /// No such record.
    pub(super) fn missing(url: &str) -> Refusal {
        Self::new(
            StatusCode::NOT_FOUND,
            "NONEXISTENT_ID",
            "The record instance does not exist. Provide a valid record instance ID.",
            At::Url(url.to_owned()),
        )
    }

    /// A query that cannot be run.
    pub(super) fn search(text: impl std::fmt::Display) -> Refusal {
        Self::new(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER",
            format!("Invalid search query. Detailed unprocessed description follows. Search error occurred: {text}."),
            At::Nowhere,
        )
    }

    /// Authentication failed; `reason` goes into a header only.
    pub(super) fn login(reason: &str, realm: &str) -> Refusal {
        let mut refusal = Self::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_LOGIN",
            "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at Setup > \
             Users/Roles > User Management > View Login Audit Trail.",
            At::Nowhere,
        );
        refusal.headers.push((
            "www-authenticate",
            format!("OAuth realm=\"{realm}\", error=\"{reason}\", error_description=\"Invalid login attempt.\""),
        ));
        refusal
    }

    /// Too many requests at once.
    pub(super) fn concurrency(retry_after: Option<String>) -> Refusal {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "CONCURRENCY_LIMIT_EXCEEDED",
            "Concurrent request limit exceeded. Request blocked.",
            At::Nowhere,
        );
        refusal.headers.extend(retry_after.map(|wait| ("retry-after", wait)));
        refusal
    }

    /// The vendor's own fault.
    pub(super) fn unexpected(id: &str) -> Refusal {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNEXPECTED_ERROR",
            format!("An unexpected error occurred. Error ID: {id}"),
            At::Nowhere,
        )
    }

    /// The error of the token endpoint, which speaks OAuth.
    pub(super) fn oauth(error: &'static str) -> Response {
        let mut response = Response::new(Body::from(format!(r#"{{"error":"{error}"}}"#)));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
        response
    }

    pub(super) fn response(&self) -> Response {
        let (section, title) = match self.status.as_u16() {
            401 => ("rfc9110.html#section-15.5.2", "Unauthorized"),
            403 => ("rfc9110.html#section-15.5.4", "Forbidden"),
            404 => ("rfc9110.html#section-15.5.5", "Not Found"),
            405 => ("rfc9110.html#section-15.5.6", "Method Not Allowed"),
            // The vendor's title for 429 is that of 400.
            429 => ("rfc6585.html#section-4", "Bad Request"),
            500 => ("rfc9110.html#section-15.6.1", "Internal Server Error"),
            _ => ("rfc9110.html#section-15.5.1", "Bad Request"),
        };
        let mut json = Json::with_capacity(512);
        json.open('{');
        json.text("type", &format!("https://www.rfc-editor.org/rfc/{section}"));
        json.text("title", title);
        json.raw("status", self.status.as_str());
        json.key("o:errorDetails");
        json.open('[');
        for detail in &self.details {
            json.open('{');
            json.text("detail", &detail.text);
            match &detail.at {
                At::Nowhere => {}
                At::Path(path) => json.text("o:errorPath", path),
                At::Query(name) => json.text("o:errorQueryParam", name),
                At::Header(name) => json.text("o:errorHeader", name),
                At::Url(url) => json.text("o:errorUrl", url),
            }
            json.text("o:errorCode", detail.code);
            json.close('}');
        }
        json.close(']');
        json.close('}');
        let mut response = Response::new(Body::from(json.finish()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.oracle.resource+json; type=error; charset=UTF-8"),
        );
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(*name, value);
            }
        }
        response
    }
}

/// How this vendor words the faults of [`crate::mischief`].
pub(super) struct Words;

impl Tongue for Words {
    fn throttled(&self, retry_after: Option<String>) -> Response {
        Refusal::concurrency(retry_after).response()
    }

    fn server_error(&self) -> Response {
        Refusal::unexpected("m2k8f0x1q7z3").response()
    }

    fn error_in_200(&self) -> Response {
        let page = "<!DOCTYPE html><html><head><title>NetSuite | Scheduled Maintenance</title></head>\
                    <body><h1>Your NetSuite account is temporarily unavailable</h1></body></html>";
        let mut response = Response::new(Body::from(page));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}
