package peer;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/**
 * dump: every record of the topics, one JSON object a line, in order per partition; bytes in base64, null is null. All
 * partitions are read at once, since there may be a thousand of them. Where a partition ends is asked at the beginning, with
 * the isolation level that it is read with, and judged by the consumer's position: markers and aborted records take offsets
 * too.
 */
final class Dump {
    private static final long STALL_NS = 30_000_000_000L;

    private Dump() {}

    static int run(Args args) {
        String bootstrap = args.need("bootstrap");
        String[] topics = args.need("topics").split(",");
        String isolation = args.get("isolation", "read_uncommitted");
        args.done();
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false);
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer(bootstrap, isolation)) {
            Map<TopicPartition, Long> ends = ends(consumer, topics);
            long deadline = System.nanoTime() + STALL_NS;
            while (!ends.isEmpty()) {
                var batch = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<byte[], byte[]> record : batch) {
                    if (record.offset() < ends.getOrDefault(new TopicPartition(record.topic(), record.partition()), 0L)) {
                        out.println(toJson(record));
                    }
                }
                int before = ends.size();
                ends.entrySet().removeIf(entry -> consumer.position(entry.getKey()) >= entry.getValue());
                if (!batch.isEmpty() || ends.size() < before) {
                    deadline = System.nanoTime() + STALL_NS;
                } else if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("nothing came for 30 s; not read to the end: " + ends);
                }
            }
        }
        out.flush();
        return out.checkError() ? 1 : 0;
    }

    /** Assigns all partitions from their beginning, and says where each ends now. */
    private static Map<TopicPartition, Long> ends(KafkaConsumer<byte[], byte[]> consumer, String[] topics) {
        Map<String, Integer> counts = new HashMap<>();
        if (topics.length == 1) {
            counts.put(topics[0], PartitionReader.partitions(consumer, topics[0]));
        } else {
            var all = consumer.listTopics();
            for (String topic : topics) {
                if (!all.containsKey(topic)) {
                    throw new IllegalStateException("there is no topic " + topic);
                }
                counts.put(topic, all.get(topic).size());
            }
        }
        Map<TopicPartition, Long> ends = new HashMap<>();
        counts.forEach((topic, count) -> {
            for (int partition = 0; partition < count; partition++) {
                ends.put(new TopicPartition(topic, partition), 0L);
            }
        });
        consumer.assign(ends.keySet());
        ends.putAll(consumer.endOffsets(ends.keySet()));
        consumer.beginningOffsets(ends.keySet()).forEach(consumer::seek);
        return ends;
    }

    static ObjectNode toJson(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = Clients.JSON.createObjectNode();
        node.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
        node.put("ts", record.timestamp()).put("ts_type", record.timestampType().name);
        // A byte array is base64 in Jackson, and a null one is null.
        node.put("key", record.key()).put("value", record.value());
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addObject().put("name", header.key()).put("value", header.value());
        }
        return node;
    }
}
