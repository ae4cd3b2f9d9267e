package peer;

import java.time.Duration;
import java.util.List;
import java.util.Properties;

/** consume: a member of a consumer group, as production has them: it commits what it has read after every poll. */
final class Consume {
    private static final long STALL_NS = 120_000_000_000L;

    private Consume() {}

    static int run(Args args) {
        String bootstrap = args.need("bootstrap");
        String topic = args.need("topic");
        String group = args.need("group");
        long count = args.number("count", null);
        args.done();
        long read = 0;
        Properties extra = new Properties();
        extra.put("group.id", group);
        extra.put("auto.offset.reset", "earliest");
        try (var consumer = Clients.consumer(bootstrap, "read_uncommitted", extra)) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + STALL_NS;
            while (read < count) {
                int came = consumer.poll(Duration.ofMillis(200)).count();
                if (came > 0) {
                    consumer.commitSync();
                    read += came;
                    deadline = System.nanoTime() + STALL_NS;
                } else if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("nothing came for two minutes, after " + read + " records of " + count);
                }
            }
        }
        Clients.print(Clients.JSON.createObjectNode().put("count", read));
        return 0;
    }
}
