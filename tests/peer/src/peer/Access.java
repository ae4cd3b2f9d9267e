package peer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.utils.SecurityUtils;

/** access: makes users with passwords, grants them rights and takes rights away, and waits until the broker acts on it. */
final class Access {
    private Access() {}

    static int run(Args args) throws Exception {
        String bootstrap = args.need("bootstrap");
        Map<ScramMechanism, List<UserScramCredentialAlteration>> users = new HashMap<>();
        List<String> names = new ArrayList<>();
        for (String spec : args.all("user")) {
            String[] parts = split(spec, 2, "--user takes NAME:PASSWORD");
            names.add(parts[0]);
            for (ScramMechanism mechanism : List.of(ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)) {
                var strength = new ScramCredentialInfo(mechanism, 4096);
                var all = users.computeIfAbsent(mechanism, m -> new ArrayList<>());
                all.add(new UserScramCredentialUpsertion(parts[0], strength, parts[1].getBytes(StandardCharsets.UTF_8)));
            }
        }
        List<AclBinding> granted = args.all("grant").stream().map(Access::binding).toList();
        List<AclBinding> revoked = args.all("revoke").stream().map(Access::binding).toList();
        args.done();
        try (Admin admin = Clients.admin(bootstrap)) {
            // A request takes a user once only.
            for (var one : users.values()) {
                admin.alterUserScramCredentials(one).all().get();
            }
            if (!names.isEmpty()) {
                admin.describeUserScramCredentials(names).all().get();
            }
            admin.createAcls(granted).all().get();
            admin.deleteAcls(revoked.stream().map(AclBinding::toFilter).toList()).all().get();
            await(admin, granted, true);
            await(admin, revoked, false);
        }
        var summary = Clients.JSON.createObjectNode();
        Clients.print(summary.put("users", names.size()).put("granted", granted.size()).put("revoked", revoked.size()));
        return 0;
    }

    /** The controller answers first; the broker that is asked here answers from what it acts on. */
    private static void await(Admin admin, List<AclBinding> bindings, boolean there) throws Exception {
        for (AclBinding binding : bindings) {
            AclBindingFilter filter = binding.toFilter();
            while (admin.describeAcls(filter).values().get().isEmpty() == there) {
                Thread.sleep(5);
            }
        }
    }

    /** {@code USER:OPERATION:TYPE:NAME}; a name that ends with an asterisk is a prefix, an asterisk alone is all. */
    private static AclBinding binding(String spec) {
        String[] parts = split(spec, 4, "--grant and --revoke take USER:OPERATION:TYPE:NAME");
        AclOperation operation;
        ResourceType type;
        try {
            operation = SecurityUtils.operation(parts[1]);
            type = ResourceType.fromString(parts[2]);
        } catch (IllegalArgumentException e) {
            throw new Args.Usage(e.getMessage() + ": '" + spec + "'");
        }
        if (operation.isUnknown() || type.isUnknown()) {
            throw new Args.Usage("no such operation or type of resource: '" + spec + "'");
        }
        boolean prefix = parts[3].length() > 1 && parts[3].endsWith("*");
        String name = prefix ? parts[3].substring(0, parts[3].length() - 1) : parts[3];
        ResourcePattern resource = new ResourcePattern(type, name, prefix ? PatternType.PREFIXED : PatternType.LITERAL);
        return new AclBinding(resource, new AccessControlEntry("User:" + parts[0], "*", operation, AclPermissionType.ALLOW));
    }

    private static String[] split(String spec, int count, String usage) {
        String[] parts = spec.split(":", count);
        if (parts.length != count) {
            throw new Args.Usage(usage + ", not '" + spec + "'");
        }
        return parts;
    }
}
