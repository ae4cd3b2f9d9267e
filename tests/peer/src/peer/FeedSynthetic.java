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
        long spanMs = args.number("span-ms", 0L);
        long startMs = args.number("start-ms", System.currentTimeMillis() - spanMs);
        args.done();
        if (size < DIGITS) {
            throw new Args.Usage("--bytes must be at least " + DIGITS + ", the length of the sequence number");
        }
        boolean byKey = partitions.equals("key");
        int[] shares = partitions.startsWith("shares=") ? shares(partitions.substring("shares=".length())) : null;
        if (!byKey && shares == null && !partitions.equals("round-robin")) {
            throw new Args.Usage("--partitions takes round-robin, key or shares=50,25,…, not '" + partitions + "'");
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
                // By key: the client chooses the partition, so only the topics take turns. With shares: of the first topic.
                TopicPartition lane = shares == null
                        ? lanes.get((int) (number % lanes.size()))
                        : new TopicPartition(topics.get(0), shares[random.nextInt(shares.length)]);
                String topic = byKey ? topics.get((int) (number % topics.size())) : lane.topic();
                Long createMs = spanMs == 0 ? null : startMs + (long) ((double) spanMs * i / count);
                var record = new ProducerRecord<>(topic, byKey ? null : lane.partition(), createMs, key, value(number, size, random));
                if (rate > 0) {
                    sender.send(record, (long) (i * (1e9 / rate)));
                } else {
                    sender.sendNow(record);
                }
            }
            return sender.finish();
        }
    }

    /** Partition 0 as often as the first number says, and so on: an array to draw from. */
    private static int[] shares(String list) {
        String[] weights = list.split(",");
        return java.util.stream.IntStream.range(0, weights.length)
                .flatMap(p -> java.util.stream.IntStream.generate(() -> p).limit(Integer.parseInt(weights[p])))
                .toArray();
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
