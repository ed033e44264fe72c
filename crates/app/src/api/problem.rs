//! What the API answers when it cannot do what was asked.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use selvedge_store::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// One refusal.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
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
    Problem::absent(
        "There is nothing at this address. The API has /api/flows, /api/balance, /api/orders, /api/returns, /api/exceptions, /api/alerts, /api/mappings, /api/reconcile, /api/stock and /api/calls.",
    )
}

/// The address exists, and takes other methods.
pub(crate) async fn not_so() -> Problem {
    Problem::other_method()
}

/// A JSON body, with its refusal in our own form.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Json::from_request(request, state).await.map(|Json(body)| Self(body)).map_err(|rejection: JsonRejection| Problem {
            title: "The body does not read",
            status: rejection.status(),
            detail: rejection.body_text(),
        })
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
