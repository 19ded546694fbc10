import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * What Apache's own consumer and Google's Protobuf for Java see of a topic, as JSON.
 *
 * <pre>ReadTopic BROKER TOPIC DESCRIPTORS MESSAGE</pre>
 *
 * <p>Reads all partitions to their ends, with checksums checked and of committed records only, and decodes
 * each value with the descriptor set. A record is known by edge, incarnation, shard and sequence.
 */
public class ReadTopic {
    /** Longest that nothing may come before the end. */
    private static final Duration SILENCE_MAX = Duration.ofSeconds(30);

    public static void main(String[] asked) throws Exception {
        Descriptor type = type(Path.of(asked[2]), asked[3]);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", asked[0]);
        settings.put("check.crcs", "true");
        settings.put("isolation.level", "read_committed");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        long records = 0;
        long disordered = 0;
        Set<String> seen = new HashSet<>();
        Map<String, Long> last = new HashMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(asked[1]).stream()
                            .map(p -> new TopicPartition(p.topic(), p.partition()))
                            .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                var batch = consumer.poll(SILENCE_MAX);
                if (batch.isEmpty()) {
                    throw new IllegalStateException("nothing came for " + SILENCE_MAX);
                }
                for (var record : batch) {
                    DynamicMessage event = DynamicMessage.parseFrom(type, record.value());
                    String stream = text(event, "edge") + "-" + text(event, "incarnation") + "-" + text(event, "shard");
                    long sequence = Long.parseLong(text(event, "sequence"));
                    records++;
                    seen.add(stream + "-" + sequence);
                    Long before = last.put(stream, sequence);
                    disordered += before != null && before >= sequence ? 1 : 0;
                }
            }
        }
        System.out.printf(
                "{\"reader\": \"kafka-clients %s\", \"records\": %d, \"distinct\": %d, \"disordered\": %d}%n",
                AppInfoParser.getVersion(), records, seen.size(), disordered);
    }

    private static String text(DynamicMessage event, String field) {
        return event.getField(event.getDescriptorForType().findFieldByName(field)).toString();
    }

    private static Descriptor type(Path descriptors, String name) throws Exception {
        FileDescriptorSet files = FileDescriptorSet.parseFrom(Files.readAllBytes(descriptors));
        Map<String, FileDescriptor> built = new HashMap<>();
        for (var file : files.getFileList()) {
            FileDescriptor[] needed =
                    file.getDependencyList().stream().map(built::get).toArray(FileDescriptor[]::new);
            built.put(file.getName(), FileDescriptor.buildFrom(file, needed));
        }
        return built.values().stream()
                .flatMap(file -> file.getMessageTypes().stream())
                .filter(message -> message.getFullName().equals(name))
                .findFirst()
                .orElseThrow();
    }
}
