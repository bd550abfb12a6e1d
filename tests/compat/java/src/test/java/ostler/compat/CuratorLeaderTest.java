package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.junit.jupiter.api.Test;

/** Curator's elections, memberships and service discovery. */
class CuratorLeaderTest extends CuratorTest {

    private LeaderLatch latch(CuratorFramework client, String id) throws Exception {
        LeaderLatch latch = new LeaderLatch(client, root + "/latch", id);
        latch.start();
        return latch;
    }

    @Test
    void latchHasOneLeaderAndPassesOn() throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int number = 0; number < 4; number++) {
            latches.add(latch(client(), "id-" + number));
        }
        while (!latches.isEmpty()) {
            eventually("one leader", () -> leaders(latches) == 1);
            LeaderLatch leader =
                latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
            assertEquals(leader.getId(), latches.get(0).getLeader().getId());
            // A latch joins in the background: the first may lead before the last has joined.
            eventually("all are listed",
                () -> leader.getParticipants().size() == latches.size());
            latches.remove(leader);
            leader.close();
        }
    }

    private static long leaders(List<LeaderLatch> latches) {
        return latches.stream().filter(LeaderLatch::hasLeadership).count();
    }

    @Test
    void latchPassesOnWhenItsLeaderIsCutOff() throws Exception {
        try (Gate gate = new Gate()) {
            LeaderLatch first = latch(client(gate.connect()), "first");
            assertTrue(first.await(WAIT_SECONDS, TimeUnit.SECONDS));
            LeaderLatch second = latch(client(), "second");
            gate.shut();
            assertTrue(second.await(WAIT_SECONDS, TimeUnit.SECONDS));
            eventually("the old leader knows", () -> !first.hasLeadership());
            gate.reopen();
            eventually("both are listed", () -> second.getParticipants().size() == 2);
            second.close();
            assertTrue(first.await(WAIT_SECONDS, TimeUnit.SECONDS));
            first.close();
        }
    }

    @Test
    void selectorLetsEveryoneLeadInTurn() throws Exception {
        AtomicInteger leading = new AtomicInteger();
        BlockingQueue<String> order = new LinkedBlockingQueue<>();
        CountDownLatch turns = new CountDownLatch(9);
        List<LeaderSelector> selectors = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            String name = "s" + number;
            LeaderSelector selector = new LeaderSelector(client(), root + "/selector",
                new LeaderSelectorListenerAdapter() {
                    @Override
                    public void takeLeadership(CuratorFramework client) throws Exception {
                        order.add(leading.incrementAndGet() == 1 ? name : "two at once");
                        Thread.sleep(20);
                        leading.decrementAndGet();
                        turns.countDown();
                    }
                });
            selector.autoRequeue();
            selector.start();
            selectors.add(selector);
        }
        assertTrue(turns.await(WAIT_SECONDS, TimeUnit.SECONDS));
        selectors.forEach(LeaderSelector::close);
        assertEquals(3, order.stream().distinct().count(), order.toString());
    }

    @Test
    void persistentNodeComesBackWhenItIsDeletedOrItsSessionEnds() throws Exception {
        String path = root + "/persistent";
        EventLog log = new EventLog();
        CuratorFramework client = client();
        try (PersistentNode node =
                 new PersistentNode(client, CreateMode.EPHEMERAL, false, path, bytes("here"))) {
            node.start();
            assertTrue(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS));
            long owner = zk.exists(path, log).getEphemeralOwner();
            assertEquals(client.getZookeeperClient().getZooKeeper().getSessionId(), owner);
            zk.delete(path, -1);
            log.expect(EventType.NodeDeleted, path);
            eventually("it is back", () -> zk.exists(path, false) != null);
            client.getZookeeperClient().getZooKeeper().getTestable().injectSessionExpiration();
            eventually("a new owner", () -> {
                var stat = zk.exists(path, false);
                return stat != null && stat.getEphemeralOwner() != owner;
            });
            assertEquals("here", text(path));
        }
        eventually("it goes with its node", () -> zk.exists(path, false) == null);
    }

    @Test
    void persistentTtlNodeIsKeptAlive() throws Exception {
        String path = root + "/ttl";
        try (PersistentTtlNode node = new PersistentTtlNode(client(), path, 1_000, bytes("t"))) {
            node.start();
            assertTrue(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS));
            eventually("it is touched again and again", () -> {
                var stat = zk.exists(path + "/touch", false);
                return stat != null && stat.getVersion() >= 2;
            });
        }
        eventually("it goes when nobody cares", () -> zk.exists(path + "/touch", false) == null);
    }

    @Test
    void groupKnowsItsMembers() throws Exception {
        try (GroupMember one = new GroupMember(client(), root + "/group", "one", bytes("1"))) {
            one.start();
            GroupMember two = new GroupMember(client(), root + "/group", "two", bytes("2"));
            two.start();
            eventually("both are seen", () -> one.getCurrentMembers().size() == 2);
            assertEquals("2", new String(one.getCurrentMembers().get("two")));
            // Others see a member before it has heard of its own creation itself.
            eventually("it may change its data", () -> changes(two, "22"));
            eventually("new data is seen", () ->
                "22".equals(new String(one.getCurrentMembers().get("two"))));
            two.close();
            eventually("one is left", () -> one.getCurrentMembers().size() == 1);
        }
    }

    private static boolean changes(GroupMember member, String data) {
        try {
            member.setThisData(bytes(data));
            return true;
        } catch (IllegalStateException early) {
            return false;
        }
    }

    @Test
    void servicesAreFoundWhileTheyLive() throws Exception {
        try (ServiceDiscovery<String> registry = discovery(client());
             ServiceDiscovery<String> seeker = discovery(client())) {
            ServiceInstance<String> a = instance("a", 1);
            registry.registerService(a);
            registry.registerService(instance("b", 2));
            assertEquals(List.of("api"), List.copyOf(seeker.queryForNames()));
            assertEquals(List.of("a", "b"), seeker.queryForInstances("api").stream()
                .map(ServiceInstance::getId).sorted().collect(Collectors.toList()));
            try (ServiceProvider<String> provider =
                     seeker.serviceProviderBuilder().serviceName("api").build()) {
                provider.start();
                eventually("both are offered", () -> provider.getAllInstances().size() == 2);
                registry.unregisterService(a);
                eventually("one is left", () -> provider.getAllInstances().size() == 1);
                assertEquals("b", provider.getInstance().getId());
            }
        }
    }

    private ServiceDiscovery<String> discovery(CuratorFramework client) throws Exception {
        ServiceDiscovery<String> discovery = ServiceDiscoveryBuilder.builder(String.class)
            .client(client).basePath(root + "/services").build();
        discovery.start();
        return discovery;
    }

    private static ServiceInstance<String> instance(String id, int port) throws Exception {
        return ServiceInstance.<String>builder().name("api").id(id).address("127.0.0.1")
            .port(port).payload("payload-" + id).build();
    }
}
