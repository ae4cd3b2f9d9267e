package peer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/**
 * partition-keys: where the Java client puts keys, by its own code. The keys are fixed: every length from 0 to 40 bytes twice
 * (text and bytes with the highest bit set, which a wrong sign would show), and some that people use.
 */
final class PartitionKeys {
    private PartitionKeys() {}

    static int run(Args args) {
        String[] partitions = args.need("partitions").split(",");
        args.done();
        for (byte[] key : keys()) {
            ObjectNode row = Clients.JSON.createObjectNode();
            row.put("key", HexFormat.of().formatHex(key)).put("murmur2", Utils.murmur2(key));
            var chosen = row.putArray("partitions");
            for (String count : partitions) {
                chosen.add(BuiltInPartitioner.partitionForKey(key, Integer.parseInt(count)));
            }
            Clients.print(row);
        }
        return 0;
    }

    private static List<byte[]> keys() {
        List<byte[]> keys = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(1);
        for (int length = 0; length <= 40; length++) {
            byte[] text = new byte[length];
            byte[] high = new byte[length];
            for (int at = 0; at < length; at++) {
                text[at] = (byte) ('a' + random.nextInt(26));
                high[at] = (byte) (0x80 | random.nextInt(128));
            }
            keys.add(text);
            if (length > 0) {
                keys.add(high);
            }
        }
        for (String word : List.of("21", "foobar", "k0", "10.164.94.120", "customer-4711", "\u00e4\u00f6\u00fc", "\0", "\0\0\0\0")) {
            keys.add(word.getBytes(StandardCharsets.UTF_8));
        }
        return keys;
    }
}
