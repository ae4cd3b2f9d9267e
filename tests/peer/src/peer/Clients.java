package peer;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The clients as the sub-commands need them, and their JSON. */
final class Clients {
    static final ObjectMapper JSON = new ObjectMapper();

    private Clients() {}

    private static Properties common(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("default.api.timeout.ms", "30000");
        properties.put("request.timeout.ms", "20000");
        return properties;
    }

    static Admin admin(String bootstrap) {
        return Admin.create(common(bootstrap));
    }

    /** A producer with the client's defaults (idempotent, acks=all) apart from what {@code extra} says. */
    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Properties extra) {
        Properties properties = common(bootstrap);
        properties.remove("default.api.timeout.ms");
        properties.put("delivery.timeout.ms", "60000");
        // How long a send may wait for the topic's metadata or for room.
        properties.put("max.block.ms", "15000");
        properties.putAll(extra);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** A consumer without a group: it can commit nothing. */
    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        return consumer(bootstrap, isolation, new Properties());
    }

    /** The same with {@code extra}, which may name a group: then the caller commits. */
    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation, Properties extra) {
        Properties properties = common(bootstrap);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        properties.put("allow.auto.create.topics", "false");
        properties.put("isolation.level", isolation);
        properties.put("max.poll.records", "5000");
        // A fetch that waits at the end of one partition would hold up the first fetch of the next.
        properties.put("fetch.max.wait.ms", "10");
        properties.putAll(extra);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void print(ObjectNode node) {
        System.out.println(node);
    }
}
