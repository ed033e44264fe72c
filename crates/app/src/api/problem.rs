//! What the API answers when it cannot do what was asked.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{
        StatusCode,
        header::{self, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use selvedge_store::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// One refusal.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// What kind of thing is wrong.
    title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "number")]
    #[schemars(with = "u16")]
    status: StatusCode,
    /// What exactly, what it affects, and what to do about it.
    detail: String,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// What the API's functions return.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

impl Problem {
    /// Something that is not there.
    pub(crate) fn absent(detail: impl Into<String>) -> Self {
        Self { title: "There is no such thing", status: StatusCode::NOT_FOUND, detail: detail.into() }
    }

    /// Something was done, and reading it back failed.
    pub(super) fn unread(self) -> Self {
        let detail = format!("It was done; what it came to could not be read back. {}", self.detail);
        Self { title: "It was done", detail: detail.replace(" Nothing was changed.", ""), ..self }
    }

    /// The body of it.
    pub(super) fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// A refusal in these words.
    pub(crate) fn of(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { title, status, detail: detail.into() }
    }

    /// A method that the address does not take.
    pub(crate) fn other_method() -> Self {
        let detail = "Reading is GET; what is done about an exception is POST; a mapping is set by PUT.";
        Self::of(StatusCode::METHOD_NOT_ALLOWED, "Not with this method", detail)
    }

    /// Something that does not make sense.
    pub(crate) fn unclear(detail: impl Into<String>) -> Self {
        Self { title: "The request does not read", status: StatusCode::UNPROCESSABLE_ENTITY, detail: detail.into() }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Absent(what) => Self::absent(format!("There is no {what}.")),
            StoreError::NeedsApproval(id) => Self::of(
                StatusCode::ACCEPTED,
                "It takes a second person",
                format!(
                    "Nothing was done yet: it was asked for as {id}, and is done once somebody else approves it under Approvals."
                ),
            ),
            StoreError::Forbidden(why) => Self::of(StatusCode::FORBIDDEN, "You may not do this", why),
            StoreError::Changed(how) => {
                Self::of(StatusCode::CONFLICT, "It has changed since", format!("Nothing was done. {how}"))
            }
            taken @ StoreError::Taken(_) => {
                Self::of(StatusCode::CONFLICT, "That is taken", format!("Nothing was changed: {taken}."))
            }
            quicker @ (StoreError::Decided { .. }
            | StoreError::Signed(_)
            | StoreError::SignedMeanwhile(_)
            | StoreError::Move { .. }) => {
                Self::of(StatusCode::CONFLICT, "Somebody was quicker", format!("Nothing was changed: {quicker}."))
            }
            other => {
                tracing::error!(error = %other, "the store refused the API");
                Self {
                    title: "The store does not answer",
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    detail: "Nothing was changed. Try again shortly; the log says why.".to_owned(),
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response()
    }
}

/// There is nothing at this address.
pub(crate) async fn nowhere() -> Problem {
    Problem::absent("There is nothing at this address. What the API has stands in /api/openapi.json.")
}

/// The address exists, and takes other methods.
pub(crate) async fn not_so() -> Problem {
    Problem::other_method()
}

fn unread(rejection: BytesRejection) -> Problem {
    Problem { title: "The body does not read", status: rejection.status(), detail: rejection.body_text() }
}

/// Reads an object. A list that happens to have the values in the right order is none.
fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let unclear = |why: String| Problem::of(StatusCode::UNPROCESSABLE_ENTITY, "The body does not read", why);
    if body.first() != Some(&b'{') {
        return Err(unclear("The body is a JSON object, as {\"reason\": \"a test order\"}. Nothing was done.".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| unclear(format!("{error}. Nothing was done.")))
}

/// A JSON body, with its refusal in our own form.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // What it says of itself, and how large it may be.
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
            let why = "Send it as JSON, with Content-Type: application/json. Nothing was done.";
            return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body does not read", why));
        }
        let body = Bytes::from_request(request, state).await.map_err(unread)?;
        object(body.trim_ascii()).map(Self)
    }
}

/// A JSON body that may be left out, with its refusal in our own form.
pub(crate) struct MaybeSent<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MaybeSent<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state).await.map_err(unread)?;
        match body.trim_ascii() {
            b"" | b"null" => Ok(Self(None)),
            body => object(body).map(|body| Self(Some(body))),
        }
    }
}

/// A query string, with its refusal in our own form.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|rejection| Problem::unclear(rejection.body_text()))
    }
}
