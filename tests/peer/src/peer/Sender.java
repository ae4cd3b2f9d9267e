package peer;

import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Sends records at given instants, counted from one absolute origin: a late record never moves those behind it.
 * Lateness is the call of {@code send} after its instant; what the client does then is not in it. An acknowledgement's time
 * counts from the instant at which its record was due.
 */
final class Sender implements AutoCloseable {
    private final KafkaProducer<byte[], byte[]> producer;
    private final AtomicLong failed = new AtomicLong();
    private final AtomicReference<Exception> firstError = new AtomicReference<>();
    /** Each {@code every}th answer's time, so that memory is bounded. Written by the client's one thread only, read after the last. */
    private final long[] ackNs = new long[1 << 20];
    private int kept;
    private long acked;
    private long every = 1;
    private long originNs;
    private long sent;
    private long bytes;
    private long maxLateNs;
    private long lateOver10Ms;

    Sender(String bootstrap, String compression) {
        Properties properties = new Properties();
        properties.put("compression.type", compression);
        properties.put("linger.ms", "1");
        properties.put("buffer.memory", Long.toString(64L << 20));
        producer = Clients.producer(bootstrap, properties);
    }

    int partitions(String topic) {
        return producer.partitionsFor(topic).size();
    }

    /** The origin of the time line is now. */
    void start() {
        originNs = System.nanoTime();
    }

    /** Sends at {@code dueNs} after the origin, or at once when that is past. */
    void send(ProducerRecord<byte[], byte[]> record, long dueNs) {
        long wait;
        while ((wait = dueNs - (System.nanoTime() - originNs)) > 0) {
            LockSupport.parkNanos(wait);
        }
        if (-wait > maxLateNs) {
            maxLateNs = -wait;
        }
        if (-wait > 10_000_000) {
            lateOver10Ms++;
        }
        hand(record, originNs + dueNs);
    }

    void sendNow(ProducerRecord<byte[], byte[]> record) {
        hand(record, System.nanoTime());
    }

    private void hand(ProducerRecord<byte[], byte[]> record, long fromNs) {
        producer.send(record, (metadata, error) -> {
            if (error != null) {
                failed.incrementAndGet();
                firstError.compareAndSet(null, error);
            } else if (acked++ % every == 0) {
                keep(System.nanoTime() - fromNs);
            }
        });
        sent++;
        bytes += record.value() == null ? 0 : record.value().length;
    }

    private void keep(long ns) {
        if (kept == ackNs.length) {
            for (int at = 0; at < kept / 2; at++) {
                ackNs[at] = ackNs[2 * at];
            }
            kept /= 2;
            every *= 2;
        }
        ackNs[kept++] = ns;
    }

    /** Waits for the last answer and prints the summary. Returns the exit code. */
    int finish() {
        double sendSeconds = (System.nanoTime() - originNs) / 1e9;
        producer.flush();
        var summary = Clients.JSON.createObjectNode();
        summary.put("count", sent).put("failed", failed.get()).put("value_bytes", bytes);
        summary.put("seconds", sendSeconds).put("max_lateness_ms", maxLateNs / 1e6).put("late_over_10ms", lateOver10Ms);
        Arrays.sort(ackNs, 0, kept);
        var ack = summary.putObject("ack_ms");
        for (String percentile : new String[] {"50", "99", "99.9", "100"}) {
            int at = (int) Math.ceil(Double.parseDouble(percentile) / 100 * kept) - 1;
            ack.put("p" + percentile, kept == 0 ? 0 : ackNs[Math.max(at, 0)] / 1e6);
        }
        if (firstError.get() != null) {
            summary.put("first_error", firstError.get().toString());
        }
        Clients.print(summary);
        return failed.get() == 0 ? 0 : 1;
    }

    @Override
    public void close() {
        producer.close();
    }
}
