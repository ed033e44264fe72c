//! Traces for a collector, as OpenTelemetry describes it: off unless the environment names one.
//!
//! What is told of is asked for in the standard's own words (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` …), which the library reads. A span says which verb worked on which record, which call
//! left for which connection and what came of it; no headers, no bodies, no addresses of pages.

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    registry::LookupSpan,
};

/// Spans on their way to a collector.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// What the environment asks for; nothing where it names no collector. Not to be called where tasks run: the exporter has a
    /// client of its own that waits, and makes it here.
    ///
    /// # Errors
    /// What it asks for cannot be had: why.
    pub fn asked() -> Result<Option<Self>, String> {
        let named = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let Some(name) = named.iter().find(|name| is_set(name)) else { return Ok(None) };
        if std::env::var_os("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
            format!(
                "selvedge: traces cannot be sent where {name} says: {error}\n  Nothing was started.\n  Name a collector's address, as http://127.0.0.1:4318, or unset it."
            )
        })?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("selvedge");
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    /// What takes the spans of this program.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let ours: FilterFn = filter_fn(|metadata| {
            let deepest = if metadata.is_span() { Level::DEBUG } else { Level::INFO };
            metadata.target().starts_with("selvedge") && *metadata.level() <= deepest
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("selvedge"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    }

    /// Sends what is left.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not taken");
        }
    }
}
