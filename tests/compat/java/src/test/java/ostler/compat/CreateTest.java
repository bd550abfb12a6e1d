package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** Every create mode, with and without the Stat, and what creates are refused for. */
class CreateTest extends ServerTest {

    @Test
    void persistentZnodeHasFreshStat() throws Exception {
        Stat stat = new Stat();
        String path = zk.create(root + "/a", bytes("abc"), Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT, stat);
        assertEquals(root + "/a", path);
        assertEquals(3, stat.getDataLength());
        assertEquals(0, stat.getVersion());
        assertEquals(0, stat.getCversion());
        assertEquals(0, stat.getAversion());
        assertEquals(0, stat.getNumChildren());
        assertEquals(0, stat.getEphemeralOwner());
        assertEquals(stat.getCzxid(), stat.getMzxid());
        assertEquals(stat.getCzxid(), stat.getPzxid());
        assertEquals(stat.getCtime(), stat.getMtime());
        assertTrue(Math.abs(System.currentTimeMillis() - stat.getCtime()) < 60_000);
        assertEquals(stat, zk.exists(path, false));
    }

    @Test
    void ephemeralBelongsToItsSession() throws Exception {
        String path = create(root + "/e", "x", CreateMode.EPHEMERAL);
        assertEquals(zk.getSessionId(), zk.exists(path, false).getEphemeralOwner());
        assertFails(Code.NOCHILDRENFOREPHEMERALS, path + "/child", () -> create(path + "/child"));
        Stat stat = new Stat();
        zk.create(root + "/e2", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, stat);
        assertEquals(zk.getSessionId(), stat.getEphemeralOwner());
    }

    @Test
    void sequenceCountsEveryCreateOfTheParent() throws Exception {
        CreateMode sequential = CreateMode.PERSISTENT_SEQUENTIAL;
        assertEquals(root + "/s-0000000000", create(root + "/s-", "", sequential));
        create(root + "/other");
        assertEquals(root + "/t-0000000002", create(root + "/t-", "", sequential));
        zk.delete(root + "/other", -1);
        assertEquals(root + "/0000000003", create(root + "/", "", sequential));
        String ephemeral = create(root + "/s-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
        assertEquals(root + "/s-0000000004", ephemeral);
        assertEquals(zk.getSessionId(), zk.exists(ephemeral, false).getEphemeralOwner());
        Stat stat = new Stat();
        String named = zk.create(root + "/s-", null, Ids.OPEN_ACL_UNSAFE, sequential, stat);
        assertEquals(root + "/s-0000000005", named);
        assertEquals(stat, zk.exists(named, false));
    }

    @Test
    void parentCountsCreatesAndDeletes() throws Exception {
        create(root + "/a");
        create(root + "/b");
        zk.delete(root + "/a", -1);
        Stat stat = zk.exists(root, false);
        assertEquals(3, stat.getCversion());
        assertEquals(1, stat.getNumChildren());
        assertTrue(stat.getPzxid() > zk.exists(root + "/b", false).getCzxid());
        assertEquals(0, stat.getVersion());
        assertEquals(stat.getCzxid(), stat.getMzxid());
    }

    @Test
    void nullAndEmptyDataStayApart() throws Exception {
        zk.create(root + "/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create(root + "/empty", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        assertNull(zk.getData(root + "/null", false, null));
        assertArrayEquals(new byte[0], zk.getData(root + "/empty", false, null));
        assertEquals(0, zk.exists(root + "/null", false).getDataLength());
    }

    @Test
    void containerGoesWithItsLastChild() throws Exception {
        Stat stat = new Stat();
        String path = zk.create(root + "/container", bytes("c"), Ids.OPEN_ACL_UNSAFE,
            CreateMode.CONTAINER, stat);
        assertEquals(0, stat.getEphemeralOwner());
        create(path + "/child");
        EventLog log = new EventLog();
        zk.exists(path, log);
        zk.delete(path + "/child", -1);
        log.expect(EventType.NodeDeleted, path);
        assertNull(zk.exists(path, false));
    }

    @Test
    void timeToLiveZnodeGoesWhenItIsLeftAlone() throws Exception {
        Stat stat = new Stat();
        String path = zk.create(root + "/ttl", bytes("t"), Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_WITH_TTL, stat, 700);
        assertEquals(0, stat.getEphemeralOwner());
        assertEquals(root + "/ttl", path);
        EventLog log = new EventLog();
        assertNotNull(zk.exists(path, log));
        log.expect(EventType.NodeDeleted, path);
    }

    @Test
    void timeToLiveZnodeWithChildrenStays() throws Exception {
        String path = zk.create(root + "/ttl-", null, Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 1);
        assertEquals(root + "/ttl-0000000000", path);
        String lasting = zk.create(root + "/ttl-", null, Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 1_000_000_000L);
        assertEquals(root + "/ttl-0000000001", lasting);
        EventLog log = new EventLog();
        if (zk.exists(path, log) != null) {
            log.expect(EventType.NodeDeleted, path);
        }
        assertNotNull(zk.exists(lasting, false));
    }

    @Test
    void createTellsWhyNot() throws Exception {
        assertFails(Code.NODEEXISTS, root, () -> create(root));
        assertFails(Code.NONODE, root + "/no/child", () -> create(root + "/no/child"));
        assertFails(Code.INVALIDACL,
            () -> zk.create(root + "/acl", null, List.of(), CreateMode.PERSISTENT));
        assertFails(Code.NODEEXISTS, "/", () -> create("/"));
    }

    @Test
    void oddNamesAreKept() throws Exception {
        for (String name : List.of("space in name", "ümlaut-ß-中文", "...", "a.b", "%2F", "\\")) {
            create(root + "/" + name, name, CreateMode.PERSISTENT);
            assertEquals(name, text(root + "/" + name));
        }
        assertEquals(6, zk.getChildren(root, false).size());
    }

    @Test
    void asynchronousCreatesOfEveryKindAnswer() throws Exception {
        CompletableFuture<String> plain = new CompletableFuture<>();
        zk.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
            (code, path, context, name) -> plain.complete(code + name), null);
        CompletableFuture<String> withStat = new CompletableFuture<>();
        zk.create(root + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
            (code, path, context, name, stat) -> withStat.complete(
                code + name + stat.getVersion()), null);
        CompletableFuture<String> withTtl = new CompletableFuture<>();
        zk.create(root + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
            (code, path, context, name, stat) -> withTtl.complete(
                code + name + stat.getVersion()), null, 60_000);
        assertEquals("0" + root + "/a", plain.get(15, TimeUnit.SECONDS));
        assertEquals("0" + root + "/b0", withStat.get(15, TimeUnit.SECONDS));
        assertEquals("0" + root + "/c0", withTtl.get(15, TimeUnit.SECONDS));
    }
}
