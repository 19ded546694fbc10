//! What the sinks count, beside their parts of the ledger.

use super::{Samples, counter, gauge};
use crate::appliance::board::Board;
use brink_shipper::{counter::Counter, kafka::sink::KafkaCounters};

/// The sinks. Without a Kafka cluster its figures are 0.
pub(super) fn sinks(board: &Board) -> Vec<Samples> {
    let one = |sink: &str, value: u64| [(vec![("sink", sink.to_owned())], value)];
    let objects = &board.objects;
    let of_objects =
        |name, help, value: &Counter| counter(name, help, one("objects", value.read()));
    let kafka = board.kafka.as_deref();
    let figure = |value: fn(&KafkaCounters) -> &Counter| kafka.map_or(0, |k| value(k).read());
    let of_kafka = |name, help, value| counter(name, help, one("kafka", figure(value)));
    let is_so = |name, help, value| {
        let flag = one("kafka", figure(value));
        gauge(name, help, flag.map(|(labels, value)| (labels, value as f64)))
    };
    let (committed, aborted) = (figure(|k| &k.committed), figure(|k| &k.aborted));
    vec![
        of_objects("brink_sink_objects", "Objects made", &objects.objects),
        of_objects("brink_sink_object_bytes", "Bytes of objects made", &objects.object_bytes),
        of_objects("brink_sink_manifests", "Manifests written", &objects.manifests),
        of_objects("brink_sink_put_errors", "PUTs that did not end well", &objects.put_errors),
        of_objects(
            "brink_sink_conflicts",
            "Keys under which something else existed",
            &objects.conflicts,
        ),
        of_kafka("brink_sink_batches", "Batches acknowledged", |k| &k.batches),
        of_kafka("brink_sink_batch_bytes", "Bytes of batches sent", |k| &k.bytes),
        of_kafka("brink_sink_batch_errors", "Batches that were not taken", |k| &k.errors),
        of_kafka("brink_sink_batches_resent", "Batches sent more than once", |k| &k.resent),
        of_kafka("brink_sink_events_doubtful", "Events that may stand twice in their topic", |k| {
            &k.doubtful
        }),
        counter(
            "brink_sink_transactions",
            "Transactions of events with their positions, by what became of them",
            [("committed", committed), ("aborted", aborted)].map(|(result, count)| {
                (vec![("sink", "kafka".to_owned()), ("result", result.to_owned())], count)
            }),
        ),
        is_so("brink_sink_transactional", "1, if this start delivers in transactions", |k| {
            &k.transactional
        }),
        is_so(
            "brink_sink_fenced",
            "1, if another start of the edge has taken over its transactions",
            |k| &k.fenced,
        ),
        of_kafka(
            "brink_sink_connects",
            "Connections made to ask the cluster where everything is",
            |k| &k.connects,
        ),
    ]
}
