package peer;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** create-topics, delete-topics, recreate-topics, add-partitions, alter-topics, delete-records, topic-configs. */
final class Topics {
    private Topics() {}

    static int create(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        List<NewTopic> topics = new ArrayList<>();
        for (String spec : args.needAll("topic")) {
            topics.add(parse(spec));
        }
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            create(admin, topics);
        }
        Clients.print(Clients.JSON.createObjectNode().put("created", topics.size()));
        return 0;
    }

    /** Creates the topics and waits until every partition is served. */
    static void create(Admin admin, List<NewTopic> topics) throws Exception {
        admin.createTopics(topics).all().get();
        for (NewTopic topic : topics) {
            awaitLeaders(admin, topic.name(), topic.numPartitions());
        }
    }

    /**
     * A new partition is announced before its leader serves it. An idempotent producer that hits this window can lose its
     * first batch to NOT_LEADER while its second is taken, and is then refused for ever as out of sequence. Asking the
     * leader for the end offset closes the window. The admin client repeats that by itself, but gives up at once where a busy
     * broker does not know the topic yet.
     */
    private static void awaitLeaders(Admin admin, String topic, int partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            latest.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        for (long deadline = System.nanoTime() + 30_000_000_000L;; Thread.sleep(100)) {
            try {
                admin.listOffsets(latest).all().get();
                return;
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException) || System.nanoTime() > deadline) {
                    throw e;
                }
            }
        }
    }

    static int delete(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        List<String> names = args.needAll("topic");
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.deleteTopics(names).all().get();
        }
        Clients.print(Clients.JSON.createObjectNode().put("deleted", names.size()));
        return 0;
    }

    /** Deletes topics and makes them anew at once, so that hardly anybody sees them missing. */
    static int recreate(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        List<NewTopic> topics = new ArrayList<>();
        for (String spec : args.needAll("topic")) {
            topics.add(parse(spec));
        }
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.deleteTopics(topics.stream().map(NewTopic::name).toList()).all().get();
            create(admin, topics);
        }
        Clients.print(Clients.JSON.createObjectNode().put("created", topics.size()));
        return 0;
    }

    static int addPartitions(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        Map<String, NewPartitions> totals = new HashMap<>();
        for (String spec : args.needAll("topic")) {
            NewTopic topic = parse(spec);
            totals.put(topic.name(), NewPartitions.increaseTo(topic.numPartitions()));
        }
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.createPartitions(totals).all().get();
            for (var change : totals.entrySet()) {
                awaitLeaders(admin, change.getKey(), change.getValue().totalCount());
            }
        }
        Clients.print(Clients.JSON.createObjectNode().put("changed", totals.size()));
        return 0;
    }

    static int alter(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        Map<ConfigResource, Collection<AlterConfigOp>> changes = new HashMap<>();
        for (String spec : args.needAll("topic")) {
            String[] parts = spec.split(":", 2);
            List<AlterConfigOp> ops = new ArrayList<>();
            configs(parts.length == 2 ? parts[1] : "").forEach(
                    (name, value) -> ops.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
            changes.put(new ConfigResource(ConfigResource.Type.TOPIC, parts[0]), ops);
        }
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.incrementalAlterConfigs(changes).all().get();
        }
        Clients.print(Clients.JSON.createObjectNode().put("altered", changes.size()));
        return 0;
    }

    static int deleteRecords(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        Map<TopicPartition, RecordsToDelete> before = new HashMap<>();
        for (String spec : args.needAll("topic")) {
            String[] parts = spec.split(":");
            if (parts.length != 3 || !parts[1].matches("[0-9]{1,6}") || !parts[2].matches("[0-9]{1,18}")) {
                throw new Args.Usage("--topic takes NAME:PARTITION:BEFORE, not '" + spec + "'");
            }
            before.put(new TopicPartition(parts[0], Integer.parseInt(parts[1])), RecordsToDelete.beforeOffset(Long.parseLong(parts[2])));
        }
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.deleteRecords(before).all().get();
        }
        Clients.print(Clients.JSON.createObjectNode().put("deleted", before.size()));
        return 0;
    }

    /** Sets a topic's own settings where it is told to, and prints those that it has. */
    static int configs(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, args.need("topic"));
        List<AlterConfigOp> changes = new ArrayList<>();
        for (String pair : args.all("set")) {
            String[] sides = pair.split("=", 2);
            if (sides.length != 2) {
                throw new Args.Usage("--set takes config=value, not '" + pair + "'");
            }
            changes.add(new AlterConfigOp(new ConfigEntry(sides[0], sides[1]), AlterConfigOp.OpType.SET));
        }
        args.done();
        var own = Clients.JSON.createObjectNode();
        try (Admin admin = Clients.admin(bootstrap)) {
            if (!changes.isEmpty()) {
                admin.incrementalAlterConfigs(Map.of(topic, changes)).all().get();
            }
            for (ConfigEntry entry : admin.describeConfigs(List.of(topic)).all().get().get(topic).entries()) {
                if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                    own.put(entry.name(), entry.value());
                }
            }
        }
        Clients.print(own);
        return 0;
    }

    /** {@code NAME:PARTITIONS[:config=value,...]}; a value may hold colons, a list value's commas are written as {@code ;}. */
    private static NewTopic parse(String spec) {
        String[] parts = spec.split(":", 3);
        if (parts.length < 2 || !parts[1].matches("[1-9][0-9]{0,5}")) {
            throw new Args.Usage("--topic takes NAME:PARTITIONS[:config=value,...], not '" + spec + "'");
        }
        NewTopic topic = new NewTopic(parts[0], Integer.parseInt(parts[1]), (short) 1);
        return topic.configs(parts.length == 3 ? configs(parts[2]) : Map.of());
    }

    private static Map<String, String> configs(String list) {
        Map<String, String> configs = new HashMap<>();
        for (String pair : list.split(",")) {
            String[] sides = pair.split("=", 2);
            if (sides.length != 2) {
                throw new Args.Usage("'" + pair + "' in --topic is not config=value");
            }
            configs.put(sides[0], sides[1].replace(';', ','));
        }
        return configs;
    }
}
