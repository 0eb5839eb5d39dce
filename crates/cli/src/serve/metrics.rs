//! Counters for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Counters for Prometheus.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answer, Counter>,
    seconds: Family<Route, Histogram>,
    images: Family<Outcome, Counter>,
    batches: Histogram,
    pub(super) connections: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    method: String,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    path: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::<Answer, Counter>::default();
        // from a millisecond to half a minute
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let seconds = Family::<Route, Histogram>::new_with_constructor(histogram);
        let images = Family::<Outcome, Counter>::default();
        let batches = Histogram::new(exponential_buckets(1.0, 2.0, 9));
        let connections = Gauge::default();
        let mut registry = Registry::with_prefix("frostline");
        registry.register("requests", "Requests that were answered", requests.clone());
        registry.register(
            "request_seconds",
            "Time from the head of a request to its answer",
            seconds.clone(),
        );
        registry.register("images", "Images that were predicted, and that were refused", images.clone());
        registry.register("batch_images", "Images that were predicted together", batches.clone());
        registry.register("connections", "Connections that are open", connections.clone());
        Self { registry, requests, seconds, images, batches, connections }
    }
}

impl Metrics {
    /// A request that was answered; `path` is the pattern that it matched.
    pub(super) fn answered(&self, method: &str, path: &str, status: u16, took: Duration) {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.seconds.get_or_create(&Route { path: path.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answer { method, path, status }).inc();
    }

    /// Images that were predicted together, of which some were refused.
    pub(super) fn batch(&self, images: usize, refused: usize) {
        self.batches.observe(images as f64);
        for (outcome, count) in [("predicted", images - refused), ("refused", refused)] {
            self.images.get_or_create(&Outcome { outcome: outcome.to_owned() }).inc_by(count as u64);
        }
    }

    /// All of them, in the text format of OpenMetrics, which Prometheus reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all that is written");
        text
    }
}
