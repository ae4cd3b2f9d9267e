package peer;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/** dump: every record of the topics, one JSON object a line, in order per partition; bytes in base64, null is null. */
final class Dump {
    private Dump() {}

    static int run(Args args) {
        String bootstrap = args.need("bootstrap");
        String[] topics = args.need("topics").split(",");
        String isolation = args.get("isolation", "read_uncommitted");
        args.done();
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false);
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer(bootstrap, isolation)) {
            for (String topic : topics) {
                int partitions = PartitionReader.partitions(consumer, topic);
                for (int partition = 0; partition < partitions; partition++) {
                    var reader = new PartitionReader(consumer, new TopicPartition(topic, partition));
                    while (reader.hasNext()) {
                        out.println(toJson(reader.next()));
                    }
                }
            }
        }
        out.flush();
        return out.checkError() ? 1 : 0;
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
