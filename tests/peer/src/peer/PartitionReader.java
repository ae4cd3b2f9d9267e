package peer;

import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * The records of one partition, from its beginning to where it ended when the reader was made, in order and in flat memory.
 * The end is judged by the consumer's position, since markers and aborted records take offsets too.
 */
final class PartitionReader implements Iterator<ConsumerRecord<byte[], byte[]>> {
    private static final long STALL_NS = 30_000_000_000L;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final TopicPartition partition;
    private final long end;
    private Iterator<ConsumerRecord<byte[], byte[]>> batch = List.<ConsumerRecord<byte[], byte[]>>of().iterator();
    private ConsumerRecord<byte[], byte[]> next;
    private boolean ended;

    PartitionReader(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
        this.consumer = consumer;
        this.partition = partition;
        List<TopicPartition> one = List.of(partition);
        consumer.assign(one);
        long start = consumer.beginningOffsets(one).get(partition);
        end = consumer.endOffsets(one).get(partition);
        consumer.seek(partition, start);
        ended = start >= end;
    }

    @Override
    public boolean hasNext() {
        long deadline = System.nanoTime() + STALL_NS;
        while (next == null && !ended) {
            if (batch.hasNext()) {
                next = batch.next();
                if (next.offset() >= end) {
                    next = null;
                    ended = true;
                }
            } else if (consumer.position(partition) >= end) {
                ended = true;
            } else if (System.nanoTime() > deadline) {
                throw new IllegalStateException(
                        partition + " gave nothing for 30 s at offset " + consumer.position(partition) + " of " + end);
            } else {
                batch = consumer.poll(Duration.ofMillis(200)).iterator();
            }
        }
        return next != null;
    }

    @Override
    public ConsumerRecord<byte[], byte[]> next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        ConsumerRecord<byte[], byte[]> record = next;
        next = null;
        return record;
    }

    /** How many partitions the topic has; an unknown topic is an error. */
    static int partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) {
        var infos = consumer.partitionsFor(topic);
        if (infos == null || infos.isEmpty()) {
            throw new IllegalStateException("there is no topic " + topic);
        }
        return infos.size();
    }
}
