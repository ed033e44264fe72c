//! The OpenAPI document: the table of operations, told in the standard's words. Its schemas come from the types of the answers.

use axum::Json;
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Operation, operations,
    problem::{Answer, Problem},
};
use crate::people::routes::Need;

/// What stands at the head of it.
const ABOUT: &str = "Everything that the pages show and do. Whoever asks is signed in on the page, or sends a token as \
    `Authorization: Bearer slv_…`; what an operation needs stands with it as `x-right`. Times are RFC 3339 in UTC. Amounts are text. \
    Errors are `application/problem+json` (RFC 9457). Lists that may be long are told page by page: `after` takes the `next` of the \
    answer before, and no `next` is the end. A write may carry an `Idempotency-Key`: sent again within 24 hours, the same request \
    with the same key is done once and answered the same.";

/// `GET /api/openapi.json`
pub(super) async fn show() -> Answer<Value> {
    Ok(Json(document()))
}

/// The document.
pub(crate) fn document() -> Value {
    let beside = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
    let inside = |settings: &mut SchemaSettings| settings.inline_subschemas = true;
    let mut answers = SchemaSettings::draft2020_12().for_serialize().with(beside).into_generator();
    let mut takes = SchemaSettings::draft2020_12().for_deserialize().with(inside).into_generator();
    let refusal = answers.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let sketch = operation.sketch(&mut answers, &mut takes);
        let mut told = json!({
            "operationId": operation_id(&operation),
            "summary": operation.says,
            "tags": [tag(operation.path)],
            "x-right": right(operation.need),
            "parameters": parameters(&operation, sketch.query.as_ref()),
            "responses": responses(&operation, sketch.answer, &refusal),
        });
        if let Some((schema, required)) = sketch.body {
            let content = json!({"application/json": {"schema": plain(schema)}});
            told["requestBody"] = json!({"required": required, "content": content});
        }
        let path = paths.entry(format!("/api{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = told;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Selvedge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": answers.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token that its person made under Account."},
                "session": {"type": "apiKey", "in": "cookie", "name": "selvedge", "description": "Signed in on the page; with TLS the cookie is called __Host-selvedge."},
            },
        },
    })
}

/// One word for an operation: `get_exceptions_id_preview`.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    std::iter::once(operation.method.to_ascii_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn tag(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn right(need: Need) -> String {
    match need {
        Need::Nothing => "nothing".to_owned(),
        Need::SignedIn => "signed in".to_owned(),
        Need::Right(right) => right.to_string(),
    }
}

/// What the address takes: in its path, after the question mark, and the key of a write.
fn parameters(operation: &Operation, query: Option<&Schema>) -> Vec<Value> {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect();
    let empty = Map::new();
    let of = |word: &str| query.and_then(|schema| schema.get(word));
    let required: Vec<&str> = of("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in of("properties").and_then(Value::as_object).unwrap_or(&empty) {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({"name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema});
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameters.push(parameter);
    }
    if operation.writes() {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Any text of your own, at most 255 characters. The same request with the same key is done once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }));
    }
    parameters
}

fn responses(operation: &Operation, answer: Option<Schema>, refusal: &Schema) -> Value {
    let problem =
        |description: &str| json!({"description": description, "content": {"application/problem+json": {"schema": refusal}}});
    let mut responses = json!({
        "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
        "default": problem("What is wrong, and what to do about it."),
    });
    if operation.writes() {
        responses["202"] = problem("It takes a second person: it was asked for, and is done once somebody approves it.");
    }
    responses
}

/// A schema inside of the document, which says its own dialect.
fn plain(schema: Schema) -> Value {
    let mut value = schema.to_value();
    if let Some(object) = value.as_object_mut() {
        object.remove("$schema");
    }
    value
}
