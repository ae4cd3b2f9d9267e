package peer;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/**
 * compare: whether a plain consumer reads the same from two clusters. Per partition, in order: key, value, headers (order,
 * duplicates, nulls). Not compared: offsets, time stamps, ignored headers. Nothing to compare is a failure.
 */
final class Compare {
    private static final int LISTED = 10;

    private final Set<String> ignored;
    private final ArrayNode listed = Clients.JSON.createArrayNode();
    private long compared;
    private long differences;

    private Compare(Set<String> ignored) {
        this.ignored = ignored;
    }

    static int run(Args args) {
        String source = args.need("source");
        String target = args.need("target");
        String[] topics = args.need("topics").split(",");
        String isolation = args.get("isolation", "read_uncommitted");
        Map<String, String> renamed = new HashMap<>();
        for (String pair : args.all("map")) {
            String[] sides = pair.split("=", 2);
            if (sides.length != 2) {
                throw new Args.Usage("--map takes OLD=NEW, not '" + pair + "'");
            }
            renamed.put(sides[0], sides[1]);
        }
        Compare compare = new Compare(Set.copyOf(args.all("ignore-header")));
        args.done();
        try (var left = Clients.consumer(source, isolation); var right = Clients.consumer(target, isolation)) {
            for (String topic : topics) {
                compare.topic(left, topic, right, renamed.getOrDefault(topic, topic));
            }
        }
        ObjectNode summary = Clients.JSON.createObjectNode();
        summary.put("compared", compare.compared).put("differences", compare.differences);
        summary.put("equal", compare.differences == 0 && compare.compared > 0);
        summary.set("first_differences", compare.listed);
        Clients.print(summary);
        return compare.differences == 0 && compare.compared > 0 ? 0 : 1;
    }

    private void topic(KafkaConsumer<byte[], byte[]> left, String topic, KafkaConsumer<byte[], byte[]> right, String other) {
        int leftPartitions = PartitionReader.partitions(left, topic);
        int rightPartitions = PartitionReader.partitions(right, other);
        // More partitions on one side are no difference as long as nothing is in them.
        for (int partition = 0; partition < Math.max(leftPartitions, rightPartitions); partition++) {
            var a = partition < leftPartitions ? new PartitionReader(left, new TopicPartition(topic, partition)) : null;
            var b = partition < rightPartitions ? new PartitionReader(right, new TopicPartition(other, partition)) : null;
            partition(topic + "/" + partition, a, b);
        }
    }

    private void partition(String place, PartitionReader left, PartitionReader right) {
        for (long index = 0; ; index++) {
            boolean more = left != null && left.hasNext();
            boolean moreRight = right != null && right.hasNext();
            if (!more && !moreRight) {
                return;
            }
            if (more != moreRight) {
                long extra = 0;
                for (PartitionReader longer = more ? left : right; longer.hasNext(); longer.next()) {
                    extra++;
                }
                differences += extra;
                list(place, index, (more ? "source" : "target") + " has " + extra + " more", null, null);
                return;
            }
            ConsumerRecord<byte[], byte[]> a = left.next();
            ConsumerRecord<byte[], byte[]> b = right.next();
            compared++;
            String what = difference(a, b);
            if (what != null) {
                differences++;
                list(place, index, what, a, b);
            }
        }
    }

    private String difference(ConsumerRecord<byte[], byte[]> a, ConsumerRecord<byte[], byte[]> b) {
        if (!Arrays.equals(a.key(), b.key())) {
            return "key";
        }
        if (!Arrays.equals(a.value(), b.value())) {
            return "value";
        }
        List<Header> left = headers(a);
        List<Header> right = headers(b);
        if (left.size() != right.size()) {
            return "number of headers";
        }
        for (int i = 0; i < left.size(); i++) {
            if (!Objects.equals(left.get(i).key(), right.get(i).key()) || !Arrays.equals(left.get(i).value(), right.get(i).value())) {
                return "header " + i;
            }
        }
        return null;
    }

    private List<Header> headers(ConsumerRecord<byte[], byte[]> record) {
        List<Header> kept = new ArrayList<>();
        for (Header header : record.headers()) {
            if (!ignored.contains(header.key())) {
                kept.add(header);
            }
        }
        return kept;
    }

    private void list(String place, long index, String what, ConsumerRecord<byte[], byte[]> a, ConsumerRecord<byte[], byte[]> b) {
        if (listed.size() == LISTED) {
            return;
        }
        ObjectNode entry = listed.addObject().put("partition", place).put("record", index).put("what", what);
        if (a != null && b != null) {
            entry.set("source", brief(a));
            entry.set("target", brief(b));
        }
    }

    /** A record for a person to look at: as dump shows it, values cut. */
    private static ObjectNode brief(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = Dump.toJson(record);
        if (record.value() != null && record.value().length > 300) {
            node.put("value", Arrays.copyOf(record.value(), 300)).put("value_length", record.value().length);
        }
        return node;
    }
}
