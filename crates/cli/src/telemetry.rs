//! Logs and traces, set up at the edge and only where the environment asks: text or JSON lines on standard error, spans
//! as OTLP over HTTP to a collector. Content (words, arguments, results, paths) never leaves unless the person says so.
//! A collector that is down costs a task nothing: spans wait in a bounded queue, and what does not fit is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::env;
use crate::screen::{Look, Screen};

/// Spans that may wait for the collector.
const SPANS_QUEUED_MAX: usize = 4_096;

/// Spans of one batch.
const BATCH_SPANS_MAX: usize = 256;

/// Events of one span; more are left out.
const SPAN_EVENTS_MAX: usize = 64;

/// How long a batch is gathered.
const GATHER: Duration = Duration::from_secs(1);

/// How long the end of the program waits for the last batch.
const FLUSH: Duration = Duration::from_secs(3);

/// Our own parts: what libraries say does not leave the machine.
const OURS: [&str; 6] = ["agent", "server", "tools", "sandbox", "thenar", "model"];

/// What a span has from the one above it.
const INHERITED: [&str; 2] = ["task.id", "gen_ai.conversation.id"];

/// Fields whose words come from elsewhere and may name a file or repeat what was said.
const WORDS: [&str; 2] = ["error", "reason"];

/// What the program holds until its end; dropped, it hands over what is left.
pub(crate) struct Telemetry {
    exporter: Option<Receiver<()>>,
    open: Option<SyncSender<Parcel>>,
}

/// What goes to the exporter's thread.
enum Parcel {
    Span(Box<Value>),
    End,
}

/// Sets up what the environment asks for: by default nothing.
pub(crate) fn start(screen: Screen) -> Telemetry {
    let content = env::var(env::TELEMETRY_CONTENT).is_some_and(|value| value.trim() == "yes");
    let warn = |what: &str| screen.say(&format!("{} {what}", screen.paint(Look::Warn, "warning:")));
    let log = env::var(env::LOG).and_then(|wanted| match wanted.parse::<Targets>() {
        Ok(targets) => Some(targets),
        Err(error) => {
            warn(&format!("{} is not understood: {error}", env::LOG));
            None
        }
    });
    let collector = collector().and_then(|made| made.map_err(|failure| warn(&failure.to_string())).ok());
    if log.is_none() && collector.is_none() {
        return Telemetry { exporter: None, open: None };
    }
    let may_leave = move |metadata: &Metadata<'_>| content || metadata.target() != agent::CONTENT;
    let lines = log.map(|targets| {
        let wanted =
            filter_fn(move |metadata| targets.would_enable(metadata.target(), metadata.level()) && may_leave(metadata));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        match env::var(env::LOG_FORMAT).as_deref() {
            Some("json") => lines.json().with_filter(wanted).boxed(),
            Some(_) | None => lines.with_ansi(false).with_filter(wanted).boxed(),
        }
    });
    let mut telemetry = Telemetry { exporter: None, open: None };
    let spans = collector.and_then(|collector| {
        let (sender, parcels) = sync_channel(SPANS_QUEUED_MAX);
        let (ended, end) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let thread = std::thread::Builder::new().name("telemetry".to_owned());
        thread.spawn(move || export(&collector, &parcels, &counted, ended)).ok()?;
        telemetry = Telemetry { exporter: Some(end), open: Some(sender.clone()) };
        let ours = filter_fn(move |metadata| {
            let part = metadata.target().split("::").next().unwrap_or_default();
            OURS.contains(&part) && *metadata.level() <= Level::INFO && may_leave(metadata)
        });
        Some(Spans { sender, dropped, content }.with_filter(ours))
    });
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    telemetry
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(sender) = self.open.take() {
            let _ = sender.try_send(Parcel::End);
        }
        if let Some(end) = self.exporter.take() {
            // A slow collector loses the last batch; the person does not wait for it.
            let _ = end.recv_timeout(FLUSH);
        }
    }
}

/// The collector that the environment names.
fn collector() -> Option<Result<model::Collector, model::Failure>> {
    let whole = env::var(env::OTLP_TRACES_ENDPOINT);
    let url = whole
        .or_else(|| env::var(env::OTLP_ENDPOINT).map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))))?;
    let given = env::var(env::OTLP_HEADERS).unwrap_or_default();
    let pairs = given.split(',').filter_map(|pair| pair.split_once('='));
    let headers: Vec<_> = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    Some(model::Collector::new(&url, &headers))
}

/// Gathers batches and sends them, one attempt each, until the end.
fn export(collector: &model::Collector, parcels: &Receiver<Parcel>, dropped: &AtomicU64, ended: SyncSender<()>) {
    let _ended = ended;
    let Ok(runtime) = crate::runtime() else { return };
    let mut going_on = true;
    while going_on {
        let mut batch = Vec::new();
        let mut until = None;
        while batch.len() < BATCH_SPANS_MAX {
            let left = until.map_or(GATHER, |until: Instant| until.saturating_duration_since(Instant::now()));
            match parcels.recv_timeout(left) {
                Ok(Parcel::Span(span)) => {
                    batch.push(*span);
                    until.get_or_insert_with(|| Instant::now() + GATHER);
                }
                Ok(Parcel::End) | Err(RecvTimeoutError::Disconnected) => {
                    going_on = false;
                    break;
                }
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        if batch.is_empty() {
            continue;
        }
        let spans = batch.len() as u64;
        let sent = runtime.block_on(collector.send(request(batch).to_string().into_bytes()));
        if !sent {
            let dropped = dropped.fetch_add(spans, Ordering::Relaxed) + spans;
            tracing::warn!(dropped, "the collector did not take a batch of spans");
        }
    }
}

/// A batch as OTLP has it.
fn request(spans: Vec<Value>) -> Value {
    let service = env::var(env::OTEL_SERVICE_NAME).unwrap_or_else(|| "thenar".to_owned());
    let version = env!("CARGO_PKG_VERSION");
    let resource = [attribute("service.name", service.into()), attribute("service.version", version.into())];
    json!({ "resourceSpans": [{ "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "thenar", "version": version }, "spans": spans }] }] })
}

/// Turns closed spans into OTLP.
struct Spans {
    sender: SyncSender<Parcel>,
    dropped: Arc<AtomicU64>,
    content: bool,
}

/// A span that is open.
struct Open {
    trace: String,
    span: String,
    parent: String,
    begun: u128,
    fields: Map<String, Value>,
    events: Vec<Value>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let of_parent = span
            .parent()
            .and_then(|parent| parent.extensions().get::<Open>().map(|open| (open.trace.clone(), open.span.clone())));
        // What is below a task's span is the task's, whoever opened it.
        let inherited = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let fields = &extensions.get::<Open>()?.fields;
            let known = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())));
            Some(known.collect::<Map<_, _>>())
        });
        let (trace, parent) = of_parent.unwrap_or_else(|| (format!("{}{}", chance(), chance()), String::new()));
        let mut fields = Fields { map: inherited.unwrap_or_default(), content: self.content };
        attributes.record(&mut fields);
        let open =
            Open { trace, span: chance(), parent, begun: env::now_nanos(), fields: fields.map, events: Vec::new() };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut fields = Fields { map: std::mem::take(&mut open.fields), content: self.content };
            values.record(&mut fields);
            open.fields = fields.map;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<Open>() else { return };
        let mut fields = Fields { map: Map::new(), content: self.content };
        event.record(&mut fields);
        if event.metadata().target() == agent::CONTENT {
            fields.map.remove("message");
            open.fields.extend(fields.map);
        } else if open.events.len() < SPAN_EVENTS_MAX {
            let name = fields.map.remove("message").unwrap_or_else(|| event.metadata().name().into());
            open.events.push(json!({ "timeUnixNano": env::now_nanos().to_string(), "name": name,
                "attributes": attributes_of(fields.map) }));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(mut open) = span.extensions_mut().remove::<Open>() else { return };
        let name = open.fields.remove("otel.name").unwrap_or_else(|| span.name().into());
        // Client and internal, as OTLP numbers them; a failed span has status 2.
        let kind = if open.fields.remove("otel.kind").is_some() { 3 } else { 1 };
        let status = if open.fields.contains_key("error.type") { json!({ "code": 2 }) } else { json!({}) };
        let span = json!({ "traceId": open.trace, "spanId": open.span, "parentSpanId": open.parent, "name": name,
            "kind": kind, "startTimeUnixNano": open.begun.to_string(), "endTimeUnixNano": env::now_nanos().to_string(),
            "attributes": attributes_of(open.fields), "events": open.events, "status": status });
        if self.sender.try_send(Parcel::Span(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Fields by their names.
struct Fields {
    map: Map<String, Value>,
    content: bool,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if self.content || !WORDS.contains(&field.name()) {
            self.map.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

fn attributes_of(fields: Map<String, Value>) -> Vec<Value> {
    fields.into_iter().map(|(name, value)| attribute(&name, value)).collect()
}

/// One attribute as OTLP's JSON has it: whole numbers are text there, and why a reply ended is a list.
fn attribute(name: &str, value: Value) -> Value {
    let value = match value {
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(value) if value.is_f64() => json!({ "doubleValue": value }),
        Value::Number(value) => json!({ "intValue": value.to_string() }),
        text if name == "gen_ai.response.finish_reasons" => {
            json!({ "arrayValue": { "values": [{ "stringValue": text }] } })
        }
        text => json!({ "stringValue": text }),
    };
    json!({ "key": name, "value": value })
}

/// Eight random bytes in hexadecimal digits, never all zero.
fn chance() -> String {
    format!("{:016x}", getrandom::u64().unwrap_or(1).max(1))
}
