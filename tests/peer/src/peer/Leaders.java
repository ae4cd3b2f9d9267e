package peer;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** create-replicated, await-leader: a topic whose one partition lies on brokers that are named, and who leads it. */
final class Leaders {
    private static final long PATIENCE_NS = 90_000_000_000L;

    private Leaders() {}

    /** The first broker that is named is the preferred leader; waits until all of them are there. */
    static int create(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        String topic = args.need("topic");
        List<Integer> replicas = numbers(args.need("replicas"));
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            long deadline = System.nanoTime() + PATIENCE_NS;
            while (admin.describeCluster().nodes().get().size() < replicas.size()) {
                wait(deadline, "not all of " + replicas + " are there");
            }
            Map<String, String> configs = Map.of("unclean.leader.election.enable", "true", "min.insync.replicas", "1");
            admin.createTopics(List.of(new NewTopic(topic, Map.of(0, replicas)).configs(configs))).all().get();
            awaitLeader(admin, topic, replicas.get(0), replicas.stream().sorted().toList());
        }
        Clients.print(Clients.JSON.createObjectNode().put("created", 1));
        return 0;
    }

    static int await(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        String topic = args.need("topic");
        int leader = (int) args.number("leader", null);
        List<Integer> inSync = numbers(args.need("in-sync"));
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            awaitLeader(admin, topic, leader, inSync);
        }
        Clients.print(Clients.JSON.createObjectNode().put("leader", leader));
        return 0;
    }

    private static void awaitLeader(Admin admin, String topic, int leader, List<Integer> inSync) throws Exception {
        long deadline = System.nanoTime() + PATIENCE_NS;
        for (Object seen = "nothing";; wait(deadline, "broker " + leader + " does not lead " + topic + ": " + seen)) {
            try {
                var partition = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().get(0);
                seen = partition;
                var ids = partition.isr().stream().map(node -> node.id()).sorted().toList();
                if (partition.leader() != null && partition.leader().id() == leader && ids.equals(inSync)) {
                    return;
                }
            } catch (java.util.concurrent.ExecutionException e) {
                seen = e.getCause();
            }
        }
    }

    private static void wait(long deadline, String what) throws InterruptedException {
        if (System.nanoTime() > deadline) {
            throw new IllegalStateException(what);
        }
        Thread.sleep(200);
    }

    private static List<Integer> numbers(String list) {
        return Arrays.stream(list.split(",")).map(Integer::valueOf).toList();
    }
}
