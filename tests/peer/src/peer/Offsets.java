package peer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Comparator;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.common.TopicPartition;

/** offsets: the cluster's id, every group, its members and what it has committed, sorted: equal output means no change. */
final class Offsets {
    private Offsets() {}

    static int run(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        args.done();
        ObjectNode summary = Clients.JSON.createObjectNode();
        try (Admin admin = Clients.admin(bootstrap)) {
            summary.put("cluster_id", admin.describeCluster().clusterId().get());
            var groups = summary.putArray("groups");
            var listings = admin.listGroups().all().get().stream().sorted(Comparator.comparing(GroupListing::groupId)).toList();
            for (GroupListing listing : listings) {
                ObjectNode group = groups.addObject().put("group", listing.groupId()).put("protocol", listing.protocol());
                var described = admin.describeConsumerGroups(List.of(listing.groupId())).all().get().get(listing.groupId());
                group.put("state", described.groupState().toString());
                var members = group.putArray("members");
                described.members().stream().map(member -> member.consumerId()).sorted().forEach(members::add);
                var offsets = group.putArray("offsets");
                var committed = admin.listConsumerGroupOffsets(listing.groupId()).partitionsToOffsetAndMetadata().get();
                committed.entrySet().stream()
                        .filter(entry -> entry.getValue() != null)
                        .sorted(Comparator.comparing(entry -> entry.getKey(),
                                Comparator.comparing(TopicPartition::topic).thenComparingInt(TopicPartition::partition)))
                        .forEach(entry -> offsets.addObject().put("topic", entry.getKey().topic())
                                .put("partition", entry.getKey().partition()).put("offset", entry.getValue().offset()));
            }
        }
        Clients.print(summary);
        return 0;
    }
}
