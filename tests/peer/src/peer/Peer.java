package peer;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * An independent Kafka client for dejaq's tests: Apache Kafka's own Java client, no line of dejaq and no librdkafka.
 *
 * <p>It fills the source cluster before a capture and reads both clusters after a replay, so that neither side of a
 * comparison goes through the code under test. stdout is JSON, stderr is talk. Exit codes: 0 done, 1 failed or different,
 * 2 usage.
 */
public final class Peer {
    /** One sub-command. */
    interface Command {
        /** Returns the exit code; an exception is a failure. */
        int run(Args args) throws Exception;
    }

    private static final Map<String, Command> COMMANDS = new TreeMap<>(Map.ofEntries(
            Map.entry("create-topics", Topics::create),
            Map.entry("delete-topics", Topics::delete),
            Map.entry("recreate-topics", Topics::recreate),
            Map.entry("add-partitions", Topics::addPartitions),
            Map.entry("alter-topics", Topics::alter),
            Map.entry("delete-records", Topics::deleteRecords),
            Map.entry("create-replicated", Leaders::create),
            Map.entry("await-leader", Leaders::await),
            Map.entry("feed", Feed::run),
            Map.entry("feed-synthetic", FeedSynthetic::run),
            Map.entry("dump", Dump::run),
            Map.entry("compare", Compare::run),
            Map.entry("hard", Hard::run),
            Map.entry("partition-keys", PartitionKeys::run),
            Map.entry("topic-configs", Topics::configs),
            Map.entry("txn", Txn::run),
            Map.entry("consume", Consume::run),
            Map.entry("offsets", Offsets::run),
            Map.entry("hlog", Hlog::run),
            Map.entry("access", Access::run)));

    private static final String USAGE = """
            Usage: tests/peer/peer COMMAND --bootstrap HOST:PORT [OPTION VALUE]...

              create-topics   --topic NAME:PARTITIONS[:config=value,...] (may be repeated)
              delete-topics   --topic NAME (may be repeated)
              recreate-topics --topic NAME:PARTITIONS[:config=value,...] (may be repeated): deleted and made anew at once
              add-partitions  --topic NAME:NEW_TOTAL
              alter-topics    --topic NAME:config=value,... (may be repeated)
              delete-records  --topic NAME:PARTITION:BEFORE (may be repeated): what retention does, at once
              create-replicated  --topic NAME --replicas A,B: one partition on these brokers, with unclean election allowed
              await-leader    --topic NAME --leader A --in-sync A,B: waits until it is so
              topic-configs   --topic NAME [--set config=value]... sets them, and prints all that the topic has of its own
              feed            --file X.ndjson[.zst] --speed N [--limit N] [--prefix P] [--create-partitions N] [--compression C]
                              sends recorded events on their own time line, divided by the speed
              feed-synthetic  --topic T (may be repeated) --count N --bytes N [--rate N] [--keys N] [--first N] [--seed N]
                              [--partitions round-robin|key|shares=50,25,…] [--compression C] [--span-ms N [--start-ms N]]; each
                              value begins with its sequence number in 12 digits; with a span, create times are spread evenly
                              over it; prints how long acknowledgements took
              dump            --topics A,B [--isolation read_committed|read_uncommitted]
              compare         --source HOST:PORT --target HOST:PORT --topics A,B [--map OLD=NEW]... [--ignore-header NAME]
                              [--isolation ...]; no --bootstrap; exit 1 when they differ or when there was nothing to compare
              hard            --topic T [--largest BYTES]: nulls, empties, binary, duplicate headers, one big message
              partition-keys  --partitions A,B,…; no --bootstrap: for a fixed set of keys (in hexadecimal) the client's hash and
                              the partition that its default partitioner chooses among A, among B, …
              txn             --topic T --commit N --abort N [--records N] [--open N]: alternating transactions of N records
                              each; then one of as many as --open says, which stays open for ten minutes
              consume         --topic T --group G --count N: a member of a group that reads and commits
              access          --user NAME:PASSWORD, --grant USER:OPERATION:TYPE:NAME, --revoke ... (each may be repeated): SCRAM
                              users and ACLs; TYPE is topic, group, cluster, ...; NAME* is a prefix
              hlog            --file F (may be repeated) --tag T [--from SECOND]; no --bootstrap: percentiles of one tag of an
                              HdrHistogram interval log, of the intervals that begin at or after that second of it
              offsets         every consumer group, its members and what it has committed, and the cluster's id

            Example:
              tests/peer/peer create-topics --bootstrap "$DEJAQ_KAFKA_PROD" --topic orders:4:max.message.bytes=20971520
            """;

    private Peer() {}

    public static void main(String[] argv) {
        int code;
        Command command = argv.length == 0 ? null : COMMANDS.get(argv[0]);
        if (command == null) {
            System.err.print(USAGE);
            code = argv.length == 1 && argv[0].matches("-h|--help") ? 0 : 2;
        } else {
            code = run(command, argv);
        }
        System.out.flush();
        System.exit(code);
    }

    private static int run(Command command, String[] argv) {
        try {
            Args args = new Args(Arrays.copyOfRange(argv, 1, argv.length));
            return command.run(args);
        } catch (Args.Usage e) {
            System.err.println("peer " + argv[0] + ": " + e.getMessage());
            return 2;
        } catch (Exception e) {
            Throwable cause = e instanceof java.util.concurrent.ExecutionException && e.getCause() != null ? e.getCause() : e;
            System.err.println("peer " + argv[0] + ": " + cause);
            return 1;
        }
    }
}
