package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** Data, versions, deletes, children, sync and the limits of a frame. */
class DataTest extends ServerTest {

    /** The largest request frame that a server with default settings reads. */
    private static final int FRAME_BYTES_MAX = 0xfffff;

    @Test
    void setDataRaisesVersionAndZxid() throws Exception {
        Stat created = zk.exists(root, false);
        Stat set = zk.setData(root, bytes("one"), 0);
        assertEquals(1, set.getVersion());
        assertTrue(set.getMzxid() > created.getMzxid());
        assertEquals(created.getCzxid(), set.getCzxid());
        assertEquals(created.getPzxid(), set.getPzxid());
        assertEquals(created.getCtime(), set.getCtime());
        assertTrue(set.getMtime() >= created.getMtime());
        assertEquals(2, zk.setData(root, bytes("two"), -1).getVersion());
        Stat stat = new Stat();
        assertEquals("two", new String(zk.getData(root, false, stat)));
        assertEquals(2, stat.getVersion());
        assertEquals(3, stat.getDataLength());
    }

    @Test
    void versionsAreCompared() throws Exception {
        assertFails(Code.BADVERSION, root, () -> zk.setData(root, bytes("x"), 7));
        assertFails(Code.BADVERSION, root, () -> zk.delete(root, 7));
        zk.setData(root, bytes("x"), 0);
        assertFails(Code.BADVERSION, root, () -> zk.setData(root, bytes("y"), 0));
        assertEquals("x", text(root));
        zk.delete(root, 1);
        assertNull(zk.exists(root, false));
    }

    @Test
    void missingZnodesAreNamed() throws Exception {
        String missing = root + "/missing";
        assertNull(zk.exists(missing, false));
        assertFails(Code.NONODE, missing, () -> zk.getData(missing, false, null));
        assertFails(Code.NONODE, missing, () -> zk.setData(missing, null, -1));
        assertFails(Code.NONODE, missing, () -> zk.delete(missing, -1));
        assertFails(Code.NONODE, missing, () -> zk.getChildren(missing, false));
        assertFails(Code.NONODE, missing, () -> zk.getChildren(missing, false, new Stat()));
        assertFails(Code.NONODE, missing, () -> zk.getACL(missing, new Stat()));
        assertFails(Code.NONODE, missing, () -> zk.setACL(missing, Ids.OPEN_ACL_UNSAFE, -1));
        assertFails(Code.NONODE, missing, () -> zk.getAllChildrenNumber(missing));
    }

    @Test
    void deleteNeedsAnEmptyZnode() throws Exception {
        create(root + "/child");
        assertFails(Code.NOTEMPTY, root, () -> zk.delete(root, -1));
        zk.delete(root + "/child", 0);
        zk.delete(root, -1);
        assertFails(Code.NONODE, root, () -> zk.delete(root, -1));
    }

    @Test
    void reservedZnodesCannotBeDeleted() {
        for (String path : List.of("/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
            assertFails(Code.BADARGUMENTS, path, () -> zk.delete(path, -1));
        }
    }

    @Test
    void childrenAreListedWithStatAndCounted() throws Exception {
        for (String name : List.of("a", "b", "c")) {
            create(root + "/" + name);
        }
        create(root + "/a/deep");
        Stat stat = new Stat();
        assertEquals(new TreeSet<>(List.of("a", "b", "c")),
            new TreeSet<>(zk.getChildren(root, false, stat)));
        assertEquals(zk.exists(root, false), stat);
        assertEquals(3, stat.getNumChildren());
        assertEquals(new TreeSet<>(List.of("a", "b", "c")),
            new TreeSet<>(zk.getChildren(root, false)));
        assertEquals(4, zk.getAllChildrenNumber(root));
        assertEquals(0, zk.getAllChildrenNumber(root + "/b"));
        CompletableFuture<Integer> number = new CompletableFuture<>();
        zk.getAllChildrenNumber(root, (code, path, context, count) -> number.complete(count), null);
        assertEquals(4, number.get(15, TimeUnit.SECONDS));
    }

    @Test
    void rootHoldsItsOwnZnodes() throws Exception {
        assertTrue(zk.getChildren("/", false).contains("zookeeper"));
        assertEquals(new TreeSet<>(List.of("config", "quota")),
            new TreeSet<>(zk.getChildren("/zookeeper", false)));
        Stat stat = zk.exists("/", false);
        assertEquals(0, stat.getCzxid());
        assertEquals(0, stat.getCtime());
    }

    @Test
    void tenThousandChildrenComeInOneReply() throws Exception {
        int count = 10_000;
        CompletableFuture<Integer> last = new CompletableFuture<>();
        for (int number = 0; number < count; number++) {
            boolean end = number == count - 1;
            zk.create(root + "/child-with-a-longish-name-" + number, null, Ids.OPEN_ACL_UNSAFE,
                CreateMode.EPHEMERAL, (code, path, context, name) -> {
                    if (end || code != 0) {
                        last.complete(code);
                    }
                }, null);
        }
        assertEquals(0, last.get(50, TimeUnit.SECONDS));
        assertEquals(count, zk.getChildren(root, false).size());
        assertEquals(count, zk.exists(root, false).getNumChildren());
        assertEquals(count, zk.getEphemerals(root + "/child").size());
    }

    @Test
    void ephemeralsAreListedByPrefix() throws Exception {
        create(root + "/a-1", "", CreateMode.EPHEMERAL);
        create(root + "/a-2", "", CreateMode.EPHEMERAL);
        create(root + "/b", "", CreateMode.EPHEMERAL);
        create(root + "/kept");
        List<String> all = List.of(root + "/a-1", root + "/a-2", root + "/b");
        assertEquals(new TreeSet<>(all), new TreeSet<>(zk.getEphemerals()));
        assertEquals(2, zk.getEphemerals(root + "/a").size());
        assertEquals(List.of(), zk.getEphemerals("/none"));
        CompletableFuture<List<String>> answer = new CompletableFuture<>();
        zk.getEphemerals(root + "/b", (code, context, paths) -> answer.complete(paths), null);
        assertEquals(List.of(root + "/b"), answer.get(15, TimeUnit.SECONDS));
        try (Session other = Session.open()) {
            assertEquals(List.of(), other.zk.getEphemerals());
        }
    }

    @Test
    void dataNearTheFrameLimitIsKept() throws Exception {
        byte[] data = new byte[FRAME_BYTES_MAX - 200];
        new Random(1).nextBytes(data);
        zk.setData(root, data, -1);
        assertArrayEquals(data, zk.getData(root, false, null));
        byte[] other = Arrays.copyOf(data, data.length - 1);
        zk.create(root + "/big", other, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        assertArrayEquals(other, zk.getData(root + "/big", false, null));
    }

    @Test
    void tooLargeFrameEndsTheConnectionButNotTheSession() throws Exception {
        long id = zk.getSessionId();
        byte[] data = new byte[FRAME_BYTES_MAX + 1];
        assertThrows(KeeperException.ConnectionLossException.class,
            () -> zk.setData(root, data, -1));
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
        assertEquals(id, zk.getSessionId());
        assertEquals("", text(root));
    }

    @Test
    void syncAnswersWithItsPath() throws Exception {
        zk.sync(root);
        zk.sync(root + "/missing");
        CompletableFuture<String> answer = new CompletableFuture<>();
        zk.sync(root, (code, path, context) -> answer.complete(code + path), null);
        assertEquals("0" + root, answer.get(15, TimeUnit.SECONDS));
    }

    @Test
    void writesAreReadByOthersAfterSync() throws Exception {
        try (Session other = Session.open()) {
            for (int number = 0; number < 50; number++) {
                zk.setData(root, bytes("" + number), -1);
                other.zk.sync(root);
                assertEquals("" + number, new String(other.zk.getData(root, false, null)));
            }
        }
    }

    @Test
    void configOfASingleServerIsEmptyAndFixed() throws Exception {
        Stat stat = new Stat();
        assertEquals(0, zk.getConfig(false, stat).length);
        assertEquals(0, stat.getVersion());
        assertEquals(-1, stat.getAversion());
        assertFails(Code.NOAUTH, () -> zk.setData("/zookeeper/config", bytes("x"), -1));
        try (ZooKeeperAdmin admin =
                 new ZooKeeperAdmin(ServerUnderTest.CONNECT, 10_000, event -> { })) {
            assertFails(Code.RECONFIGDISABLED, () -> admin.reconfigure(
                "server.9=127.0.0.1:1:2:observer;3", null, null, -1, null));
        }
    }

    @Test
    void zxidsRiseWithEveryWriteEvenARefusedOne() throws Exception {
        long before = zk.setData(root, bytes("1"), -1).getMzxid();
        assertFails(Code.NODEEXISTS, root, () -> create(root));
        long after = zk.setData(root, bytes("2"), -1).getMzxid();
        assertTrue(after >= before + 2, before + " " + after);
        assertNotEquals(0, before);
    }
}
