package peer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.SplittableRandom;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * hard: records that a careless client changes. Null, empty and binary for key and value in all nine pairs; headers that
 * repeat, are empty, null, binary, unnamed; a big message. They go to the partitions in turn. (A Java header name is a
 * String, so names that are no UTF-8 have to be tested by other means.)
 */
final class Hard {
    private Hard() {}

    static int run(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        String topic = args.need("topic");
        int largest = (int) args.number("largest", 900_000L);
        args.done();
        byte[] binary = {0, (byte) 0xff, (byte) 0xc3, 0x28, '\n', 0, (byte) 0x80};
        byte[][] kinds = {null, {}, binary};
        List<List<Header>> sets = headerSets(binary);
        Properties properties = new Properties();
        properties.put("max.request.size", Integer.toString(largest + 65_536));
        int sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer(bootstrap, properties)) {
            int partitions = producer.partitionsFor(topic).size();
            List<java.util.concurrent.Future<?>> answers = new ArrayList<>();
            for (List<Header> headers : sets) {
                for (byte[] key : kinds) {
                    for (byte[] value : kinds) {
                        answers.add(producer.send(new ProducerRecord<>(topic, sent++ % partitions, null, key, value, headers)));
                    }
                }
            }
            byte[] big = new byte[largest];
            new SplittableRandom(7).nextBytes(big);
            answers.add(producer.send(new ProducerRecord<>(topic, sent++ % partitions, null, binary, big, sets.get(0))));
            for (var answer : answers) {
                answer.get();
            }
        }
        Clients.print(Clients.JSON.createObjectNode().put("count", sent).put("largest", largest));
        return 0;
    }

    private static List<List<Header>> headerSets(byte[] binary) {
        byte[] text = "grün".getBytes(StandardCharsets.UTF_8);
        List<Header> many = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            many.add(new RecordHeader("h" + i % 7, new byte[] {(byte) i}));
        }
        return List.of(
                List.of(),
                List.of(new RecordHeader("a", text)),
                // The same name three times, with another between them: order and duplicates count.
                List.of(new RecordHeader("a", text), new RecordHeader("b", binary), new RecordHeader("a", new byte[0]),
                        new RecordHeader("a", (byte[]) null)),
                List.of(new RecordHeader("", new byte[0]), new RecordHeader("", (byte[]) null), new RecordHeader("ключ", binary)),
                // A NUL in a name, which ends a string in C.
                List.of(new RecordHeader("a\0b", text), new RecordHeader("\0", new byte[0]), new RecordHeader("c\0", binary)),
                many);
    }
}
