"""What librdkafka and Google's Protobuf see of a topic, as JSON on standard output.

    read_kafka.py BROKER TOPIC PROTO MESSAGE [--rows FILE]

Reads what is committed of all partitions, from the first offset to the last, with every checksum checked, and decodes each
value as MESSAGE of the file PROTO. `--rows` writes every record as one line of JSON: the fields of its
message, null for an optional one that is not set, with `@partition`, `@offset` and `@timestamp`.
"""

import argparse
import json
import os
import tempfile

import confluent_kafka
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields
from grpc_tools import protoc

SECONDS_MAX = 30


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("broker", "topic", "proto", "message"):
        parser.add_argument(name)
    parser.add_argument("--rows")
    return parser.parse_args()


def message_class(proto, name):
    """The class of a message, as protoc understands its file."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "descriptors")
        path = os.path.abspath(proto)
        folder = os.path.dirname(path)
        if protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={out}", path]) != 0:
            raise SystemExit(f"protoc does not take {proto}")
        with open(out, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def fields(message):
    """All fields of a message; null for an optional one that is not set."""

    def value(field):
        is_set = not field.has_presence or message.HasField(field.name)
        return getattr(message, field.name) if is_set else None

    return {field.name: value(field) for field in message.DESCRIPTOR.fields}


def records(broker, topic):
    """The records of all partitions that are committed, each up to the end that it has now: which may
    be the mark that ends a transaction, and no record."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "brink-readers",
            "enable.auto.commit": False,
            "check.crcs": True,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "broker.address.family": "v4",
        }
    )
    ends, starts = {}, []
    for number in consumer.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions:
        partition = confluent_kafka.TopicPartition(topic, number)
        first, end = consumer.get_watermark_offsets(partition, timeout=SECONDS_MAX)
        if first < end:
            partition.offset = first
            starts.append(partition)
            ends[number] = end
    consumer.assign(starts)
    while ends:
        record = consumer.poll(SECONDS_MAX)
        if record is None:
            raise SystemExit(f"nothing came for {SECONDS_MAX} s; partitions end at {ends}")
        is_end = record.error() and record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF
        if record.error() and not is_end:
            raise SystemExit(f"{record.error()}, of partitions that end at {ends}")
        # Behind the last record that is told of, or behind the mark that is told of nobody.
        if record.offset() + (not is_end) >= ends.get(record.partition(), float("inf")):
            del ends[record.partition()]
        if not is_end:
            yield record
    consumer.close()


def main():
    asked = arguments()
    decode = message_class(asked.proto, asked.message).FromString
    seen = {"records": 0, "keys": 0, "headers": 0, "unknown_fields": 0, "not_create_time": 0}
    with open(asked.rows or os.devnull, "w", encoding="utf-8") as rows:
        for record in records(asked.broker, asked.topic):
            message = decode(record.value())
            kind, timestamp = record.timestamp()
            seen["records"] += 1
            seen["keys"] += record.key() is not None
            seen["headers"] += record.headers() is not None
            seen["unknown_fields"] += len(unknown_fields.UnknownFieldSet(message))
            seen["not_create_time"] += kind != confluent_kafka.TIMESTAMP_CREATE_TIME
            row = fields(message)
            row["@partition"] = record.partition()
            row["@offset"] = record.offset()
            row["@timestamp"] = timestamp
            rows.write(json.dumps(row) + "\n")
    print(json.dumps({"reader": f"librdkafka {confluent_kafka.libversion()[0]}", **seen}))


main()
