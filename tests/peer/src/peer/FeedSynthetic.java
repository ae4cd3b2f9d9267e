package peer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** feed-synthetic: numbered values of one size, so that a test can say which record is missing, twice or out of order. */
final class FeedSynthetic {
    private static final int DIGITS = 12;
    private static final byte[] ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789".getBytes(StandardCharsets.US_ASCII);

    private FeedSynthetic() {}

    static int run(Args args) {
        String bootstrap = args.need("bootstrap");
        List<String> topics = args.needAll("topic");
        long count = args.number("count", null);
        int size = (int) args.number("bytes", null);
        long rate = args.number("rate", 0L);
        String partitions = args.get("partitions", "round-robin");
        long keys = args.number("keys", 1000L);
        long first = args.number("first", 0L);
        SplittableRandom random = new SplittableRandom(args.number("seed", 1L));
        String compression = args.get("compression", "none");
        args.done();
        if (size < DIGITS) {
            throw new Args.Usage("--bytes must be at least " + DIGITS + ", the length of the sequence number");
        }
        boolean byKey = partitions.equals("key");
        if (!byKey && !partitions.equals("round-robin")) {
            throw new Args.Usage("--partitions takes round-robin or key, not '" + partitions + "'");
        }
        try (Sender sender = new Sender(bootstrap, compression)) {
            List<TopicPartition> lanes = new ArrayList<>();
            for (String topic : topics) {
                for (int partition = 0; partition < sender.partitions(topic); partition++) {
                    lanes.add(new TopicPartition(topic, partition));
                }
            }
            sender.start();
            for (long i = 0; i < count; i++) {
                long number = first + i;
                byte[] key = byKey ? ("k" + random.nextLong(keys)).getBytes(StandardCharsets.US_ASCII) : null;
                // By key: the client chooses the partition, so only the topics take turns.
                TopicPartition lane = lanes.get((int) (number % lanes.size()));
                Integer partition = byKey ? null : lane.partition();
                var record = new ProducerRecord<>(byKey ? topics.get((int) (number % topics.size())) : lane.topic(), partition, key, value(number, size, random));
                if (rate > 0) {
                    sender.send(record, (long) (i * (1e9 / rate)));
                } else {
                    sender.sendNow(record);
                }
            }
            return sender.finish();
        }
    }

    private static byte[] value(long number, int size, SplittableRandom random) {
        byte[] value = new byte[size];
        for (int at = DIGITS - 1; at >= 0; at--, number /= 10) {
            value[at] = (byte) ('0' + number % 10);
        }
        for (int at = DIGITS; at < size; at++) {
            value[at] = at == DIGITS ? (byte) ' ' : ALPHABET[random.nextInt(ALPHABET.length)];
        }
        return value;
    }
}
