/* What somebody would write instead of the Kafka sink: librdkafka, and one produce call per event.
 *
 * tests/measure/kafka.sh compiles it against Debian's librdkafka-dev:
 *   cc -O2 -o peer-rdkafka rdkafka.c -lrdkafka
 *
 *   peer-rdkafka read BROKER TOPIC COUNT FILE    the values of so many records, each behind its length
 *   peer-rdkafka produce BROKER TOPIC FILE       sends them, and prints what that took as JSON
 *
 * Idempotent, acknowledged by all, zstd, and batches of 50 ms, as the appliance has them; all else is
 * the library's default. The CPU time is that of the whole process, from the first produce call to the
 * last acknowledgement; reading the file and finding the broker are not in it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <librdkafka/rdkafka.h>

/* BOUND: without news for so long it gives up. */
#define PATIENCE_MS 60000

static size_t acknowledged, failed;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "peer-rdkafka: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[512];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        fail(key, why);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *broker)
{
    char why[512];
    rd_kafka_t *rk;
    set(conf, "bootstrap.servers", broker);
    if ((rk = rd_kafka_new(type, conf, why, sizeof(why))) == NULL)
        fail("client", why);
    return rk;
}

static FILE *opened(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL)
        fail(path, "cannot be opened");
    return file;
}

static int partitions_of(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(rk, 0, topic, &metadata, PATIENCE_MS);
    int count;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("metadata", rd_kafka_err2str(error));
    count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static void read_values(const char *broker, const char *name, size_t count, const char *path)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), broker);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    FILE *file = opened(path, "wb");
    int partition;
    for (partition = partitions_of(rk, topic) - 1; partition >= 0; --partition)
        rd_kafka_consume_start_queue(topic, partition, RD_KAFKA_OFFSET_BEGINNING, queue);
    while (count > 0) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, PATIENCE_MS);
        if (message == NULL)
            fail(name, "has fewer records");
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            uint32_t bytes = (uint32_t)message->len;
            fwrite(&bytes, sizeof(bytes), 1, file);
            fwrite(message->payload, 1, message->len, file);
            --count;
        }
        rd_kafka_message_destroy(message);
    }
    if (fclose(file) != 0)
        fail(path, "cannot be written");
    /* The end of the process is an end for a reader that keeps no offsets. */
}

static void told(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        ++acknowledged;
    else
        ++failed;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void produce_values(const char *broker, const char *name, const char *path)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    FILE *file = opened(path, "rb");
    char *values, *at;
    long bytes;
    size_t count = 0;
    double cpu, began;

    set(conf, "enable.idempotence", "true");
    set(conf, "compression.codec", "zstd");
    set(conf, "linger.ms", "50");
    rd_kafka_conf_set_dr_msg_cb(conf, told);
    rk = client(RD_KAFKA_PRODUCER, conf, broker);
    topic = rd_kafka_topic_new(rk, name, NULL);

    fseek(file, 0, SEEK_END);
    bytes = ftell(file);
    rewind(file);
    if (bytes <= 0 || (values = malloc(bytes)) == NULL || fread(values, 1, bytes, file) != (size_t)bytes)
        fail(path, "cannot be read");
    partitions_of(rk, topic);

    cpu = cpu_seconds();
    began = now_seconds();
    for (at = values; at < values + bytes; ++count) {
        uint32_t length;
        memcpy(&length, at, sizeof(length));
        at += sizeof(length);
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, at, length, NULL, 0, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
            rd_kafka_poll(rk, 10);
        }
        at += length;
        rd_kafka_poll(rk, 0);
    }
    rd_kafka_flush(rk, PATIENCE_MS);
    cpu = cpu_seconds() - cpu;
    began = now_seconds() - began;
    if (acknowledged != count || failed != 0)
        fail(name, "not every event was acknowledged");
    printf("{\"events\":%zu,\"bytes\":%ld,\"seconds\":%.3f,\"cpu_us_per_event\":%.4f}\n", count,
           bytes - (long)(count * sizeof(uint32_t)), began, cpu / count * 1e6);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "read") == 0)
        read_values(argv[2], argv[3], strtoul(argv[4], NULL, 10), argv[5]);
    else if (argc == 5 && strcmp(argv[1], "produce") == 0)
        produce_values(argv[2], argv[3], argv[4]);
    else
        fail("usage", "read BROKER TOPIC COUNT FILE, or produce BROKER TOPIC FILE");
    return 0;
}
