package peer;

import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * txn: committed and aborted transactions in turn. Each value says which transaction it belongs to, its fate and its number,
 * so that a reader can tell what it should not have seen.
 */
final class Txn {
    private Txn() {}

    static int run(Args args) {
        String bootstrap = args.need("bootstrap");
        String topic = args.need("topic");
        long commit = args.number("commit", null);
        long abort = args.number("abort", null);
        long records = args.number("records", 10L);
        long open = args.number("open", 0L);
        args.done();
        Properties properties = new Properties();
        properties.put("transactional.id", "peer-" + UUID.randomUUID());
        properties.put("transaction.timeout.ms", "600000");
        long committed = 0;
        long aborted = 0;
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer(bootstrap, properties)) {
            producer.initTransactions();
            int partitions = producer.partitionsFor(topic).size();
            for (long number = 0; committed < commit || aborted < abort; number++) {
                boolean keep = aborted == abort || (committed < commit && number % 2 == 0);
                producer.beginTransaction();
                for (long i = 0; i < records; i++) {
                    String value = String.format("%s transaction %06d record %06d", keep ? "committed" : "aborted", number, i);
                    int partition = (int) ((number * records + i) % partitions);
                    producer.send(new ProducerRecord<>(topic, partition, null, value.getBytes(StandardCharsets.US_ASCII)));
                }
                // An abort drops what is still in the client; flushed, the records really are in the log, and then void.
                producer.flush();
                if (keep) {
                    producer.commitTransaction();
                    committed++;
                } else {
                    producer.abortTransaction();
                    aborted++;
                }
            }
            if (open > 0) {
                producer.beginTransaction();
                for (long i = 0; i < open; i++) {
                    String value = String.format("open record %06d", i);
                    producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes(StandardCharsets.US_ASCII)));
                }
                producer.flush();
                print(committed, aborted, records);
                System.out.flush();
                // As a producer that died: closing it would abort the transaction.
                Runtime.getRuntime().halt(0);
            }
        }
        print(committed, aborted, records);
        return 0;
    }

    private static void print(long committed, long aborted, long records) {
        var summary = Clients.JSON.createObjectNode();
        summary.put("committed_transactions", committed).put("aborted_transactions", aborted);
        summary.put("committed_records", committed * records).put("aborted_records", aborted * records);
        Clients.print(summary);
    }
}
