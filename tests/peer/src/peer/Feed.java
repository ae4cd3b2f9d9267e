package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.github.luben.zstd.ZstdInputStream;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * feed: recorded events, one JSON object a line ({@code ts_us, topic, key, headers, value | value_b64}, sorted by time), on
 * their own time line. Create time is the time of sending; the client's default partitioner chooses the partition.
 */
final class Feed {
    /** What the parser has ready ahead of the sender, so that a storm finds its records parsed. */
    private static final int AHEAD = 65_536;

    private record Event(ProducerRecord<byte[], byte[]> record, long tsUs, Exception error) {}

    private static final Event END = new Event(null, 0, null);

    private final String file;
    private final long limit;
    private final String prefix;

    private Feed(String file, long limit, String prefix) {
        this.file = file;
        this.limit = limit;
        this.prefix = prefix;
    }

    static int run(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        double speed = args.decimal("speed");
        Feed feed = new Feed(args.need("file"), args.number("limit", Long.MAX_VALUE), args.get("prefix", ""));
        int create = (int) args.number("create-partitions", 0L);
        String compression = args.get("compression", "none");
        args.done();
        if (!(speed > 0)) {
            throw new Args.Usage("--speed must be above 0");
        }
        if (create > 0) {
            feed.createTopics(bootstrap, create);
        }
        ArrayBlockingQueue<Event> ready = new ArrayBlockingQueue<>(AHEAD);
        Thread parser = new Thread(() -> feed.parseAll(ready), "parser");
        parser.setDaemon(true);
        parser.start();
        while (ready.remainingCapacity() > 0 && parser.isAlive()) {
            Thread.sleep(5);
        }
        try (Sender sender = new Sender(bootstrap, compression)) {
            // Metadata of every topic before the clock starts: fetching it blocks the first send to a topic.
            Set<String> known = new HashSet<>();
            for (Event event : ready) {
                if (event.record != null && known.add(event.record.topic())) {
                    sender.partitions(event.record.topic());
                }
            }
            sender.start();
            long firstUs = Long.MIN_VALUE;
            for (Event event = ready.take(); event != END; event = ready.take()) {
                if (event.error != null) {
                    throw event.error;
                }
                firstUs = firstUs == Long.MIN_VALUE ? event.tsUs : firstUs;
                sender.send(event.record, (long) ((event.tsUs - firstUs) * 1000.0 / speed));
            }
            return sender.finish();
        }
    }

    private BufferedReader open() throws IOException {
        InputStream in = new FileInputStream(file);
        return new BufferedReader(
                new InputStreamReader(file.endsWith(".zst") ? new ZstdInputStream(in) : in, StandardCharsets.UTF_8), 1 << 16);
    }

    private void createTopics(String bootstrap, int partitions) throws Exception {
        Set<String> names = new HashSet<>();
        try (BufferedReader lines = open()) {
            long count = 0;
            for (String line; count < limit && (line = lines.readLine()) != null; count++) {
                names.add(prefix + Clients.JSON.readTree(line).required("topic").textValue());
            }
        }
        try (Admin admin = Clients.admin(bootstrap)) {
            names.removeAll(admin.listTopics().names().get());
            Topics.create(admin, names.stream().map(name -> new NewTopic(name, partitions, (short) 1)).toList());
        }
    }

    private void parseAll(ArrayBlockingQueue<Event> ready) {
        long number = 0;
        try (BufferedReader lines = open()) {
            for (String line; number < limit && (line = lines.readLine()) != null; ) {
                number++;
                ready.put(parse(Clients.JSON.readTree(line)));
            }
            ready.put(END);
        } catch (Exception e) {
            try {
                ready.put(new Event(null, 0, new IOException(file + ", line " + number + ": " + e, e)));
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private Event parse(JsonNode event) {
        JsonNode text = event.get("value");
        JsonNode binary = event.get("value_b64");
        if ((text == null) == (binary == null)) {
            throw new IllegalArgumentException("exactly one of value and value_b64 is expected");
        }
        byte[] value = text != null ? bytes(text) : Base64.getDecoder().decode(binary.textValue());
        List<Header> headers = new ArrayList<>();
        event.path("headers").properties().forEach(h -> headers.add(new RecordHeader(h.getKey(), bytes(h.getValue()))));
        String topic = prefix + event.required("topic").textValue();
        var record = new ProducerRecord<>(topic, null, null, bytes(event.path("key")), value, headers);
        return new Event(record, event.required("ts_us").longValue(), null);
    }

    private static byte[] bytes(JsonNode text) {
        return text.isTextual() ? text.textValue().getBytes(StandardCharsets.UTF_8) : null;
    }
}
