//! One operation of the API. What it takes and what it answers is read from the types of the function behind it, so that the
//! document and the code cannot tell two stories.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{Path, State},
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::problem::{Answer, Asked, MaybeSent, Sent};
use crate::{
    people::{Who, routes::Need},
    serve::App,
};

/// One method of one address.
pub(crate) struct Operation {
    /// `GET`, `POST`, `PUT`.
    pub(crate) method: &'static str,
    /// The address below `/api`, as the router knows it.
    pub(crate) path: &'static str,
    /// What it needs.
    pub(crate) need: Need,
    /// What it does, in a sentence for its reader.
    pub(crate) says: &'static str,
    /// What answers it.
    pub(crate) route: MethodRouter<Arc<App>>,
    sketch: fn(&mut Sketch<'_>),
}

impl Operation {
    /// `GET`: reads.
    pub(super) fn get<H, T, A>(path: &'static str, need: Need, says: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>> + Speaks<A>,
        T: 'static,
    {
        Self { method: "GET", path, need, says, route: on(MethodFilter::GET, handler), sketch: H::sketch }
    }

    /// `POST`: does something.
    pub(super) fn post<H, T, A>(path: &'static str, need: Need, says: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>> + Speaks<A>,
        T: 'static,
    {
        Self { method: "POST", path, need, says, route: on(MethodFilter::POST, handler), sketch: H::sketch }
    }

    /// `PUT`: sets something.
    pub(super) fn put<H, T, A>(path: &'static str, need: Need, says: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>> + Speaks<A>,
        T: 'static,
    {
        Self { method: "PUT", path, need, says, route: on(MethodFilter::PUT, handler), sketch: H::sketch }
    }

    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        self.method != "GET"
    }

    /// What it takes and answers.
    pub(super) fn sketch<'g>(&self, answers: &'g mut SchemaGenerator, takes: &'g mut SchemaGenerator) -> Sketch<'g> {
        let mut sketch = Sketch { answers, takes, query: None, body: None, answer: None };
        (self.sketch)(&mut sketch);
        sketch
    }
}

/// What the types of a function say.
pub(super) struct Sketch<'g> {
    answers: &'g mut SchemaGenerator,
    takes: &'g mut SchemaGenerator,
    /// The words of the address after the question mark.
    pub(super) query: Option<Schema>,
    /// The body, and whether there must be one.
    pub(super) body: Option<(Schema, bool)>,
    /// The answer.
    pub(super) answer: Option<Schema>,
}

/// A function whose types say what it takes and answers.
pub(super) trait Speaks<Arguments> {
    /// Says it.
    fn sketch(sketch: &mut Sketch<'_>);
}

/// Something that a function takes.
pub(super) trait Takes {
    /// What it adds.
    fn sketch(_: &mut Sketch<'_>) {}
}

impl Takes for State<Arc<App>> {}
impl Takes for Who {}
/// The names stand in the address itself.
impl Takes for Path<String> {}
impl Takes for Path<(String, String)> {}

impl<T: JsonSchema> Takes for Asked<T> {
    fn sketch(sketch: &mut Sketch<'_>) {
        sketch.query = Some(sketch.takes.root_schema_for::<T>());
    }
}

impl<T: JsonSchema> Takes for Sent<T> {
    fn sketch(sketch: &mut Sketch<'_>) {
        sketch.body = Some((sketch.takes.root_schema_for::<T>(), true));
    }
}

impl<T: JsonSchema> Takes for MaybeSent<T> {
    fn sketch(sketch: &mut Sketch<'_>) {
        sketch.body = Some((sketch.takes.root_schema_for::<T>(), false));
    }
}

macro_rules! speaks {
    ($($argument:ident),+) => {
        impl<F, Fut, Out, $($argument),+> Speaks<($($argument,)+)> for F
        where
            F: Fn($($argument),+) -> Fut,
            Fut: Future<Output = Answer<Out>>,
            Out: JsonSchema,
            $($argument: Takes,)+
        {
            fn sketch(sketch: &mut Sketch<'_>) {
                $($argument::sketch(sketch);)+
                sketch.answer = Some(sketch.answers.subschema_for::<Out>());
            }
        }
    };
}

impl<F, Fut, Out> Speaks<()> for F
where
    F: Fn() -> Fut,
    Fut: Future<Output = Answer<Out>>,
    Out: JsonSchema,
{
    fn sketch(sketch: &mut Sketch<'_>) {
        sketch.answer = Some(sketch.answers.subschema_for::<Out>());
    }
}

speaks!(A);
speaks!(A, B);
speaks!(A, B, C);
speaks!(A, B, C, D);
speaks!(A, B, C, D, E);
