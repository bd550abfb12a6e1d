package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.junit.jupiter.api.Test;

/** A lost connection and a restarted server: sessions go on, watches come back or catch up. */
class ReconnectTest extends ServerTest {

    private final EventLog log = new EventLog();

    @Test
    void watchesAreSetAgainAfterALostConnection() throws Exception {
        setOneWatchOfEachKind();
        loseConnection();
        expectEachKindToFire();
    }

    @Test
    void watchesAreSetAgainAfterARestart() throws Exception {
        setOneWatchOfEachKind();
        ServerUnderTest.restart();
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
        expectEachKindToFire();
    }

    @Test
    void changesMissedWhileAwayAreTold() throws Exception {
        for (String name : List.of("changed", "deleted", "parent", "parent/old", "same")) {
            create(root + "/" + name);
        }
        try (Gate gate = new Gate(); Session away = Session.open(gate.connect(), 10_000)) {
            away.zk.getData(root + "/changed", log, null);
            away.zk.getData(root + "/deleted", log, null);
            away.zk.getData(root + "/same", log, null);
            away.zk.getChildren(root + "/parent", log);
            away.zk.exists(root + "/created", log);
            away.zk.exists(root + "/never", log);
            gate.shut();
            away.await(KeeperState.Disconnected);
            zk.setData(root + "/changed", bytes("x"), -1);
            zk.delete(root + "/deleted", -1);
            create(root + "/parent/child");
            create(root + "/created");
            gate.reopen();
            away.await(KeeperState.SyncConnected);
            log.expectAnyOrder(List.of(
                EventType.NodeDataChanged + " " + root + "/changed",
                EventType.NodeDeleted + " " + root + "/deleted",
                EventType.NodeChildrenChanged + " " + root + "/parent",
                EventType.NodeCreated + " " + root + "/created"));
            zk.setData(root + "/changed", bytes("y"), -1);
            log.expectNone(away.zk);
            zk.setData(root + "/same", bytes("z"), -1);
            log.expect(EventType.NodeDataChanged, root + "/same");
        }
    }

    @Test
    void persistentWatchesComeBackWithoutWhatWasMissed() throws Exception {
        try (Gate gate = new Gate(); Session away = Session.open(gate.connect(), 10_000)) {
            away.zk.addWatch(root, log, AddWatchMode.PERSISTENT_RECURSIVE);
            gate.shut();
            away.await(KeeperState.Disconnected);
            create(root + "/missed");
            gate.reopen();
            away.await(KeeperState.SyncConnected);
            log.expectNone(away.zk);
            create(root + "/seen");
            log.expect(EventType.NodeCreated, root + "/seen");
        }
    }

    @Test
    void killedServerComesBackWithSessionsAndData() throws Exception {
        long id = zk.getSessionId();
        List<String> paths = new ArrayList<>();
        for (int number = 0; number < 20; number++) {
            paths.add(create(root + "/e-", "" + number, CreateMode.EPHEMERAL_SEQUENTIAL));
            paths.add(create(root + "/p-", "" + number, CreateMode.PERSISTENT_SEQUENTIAL));
        }
        ServerUnderTest.killAndRestart();
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
        assertEquals(id, zk.getSessionId());
        for (String path : paths) {
            assertNotNull(zk.exists(path, false), path);
        }
        assertEquals(20, zk.getEphemerals(root).size());
        String next = create(root + "/p-", "", CreateMode.PERSISTENT_SEQUENTIAL);
        assertEquals(root + "/p-0000000040", next);
    }

    @Test
    void restartKeepsEveryFieldOfTheStat() throws Exception {
        create(root + "/a", "x", CreateMode.PERSISTENT);
        zk.setData(root + "/a", bytes("y"), -1);
        create(root + "/a/b");
        var before = zk.exists(root + "/a", false);
        var beforeRoot = zk.exists(root, false);
        ServerUnderTest.restart();
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
        assertEquals(before, zk.exists(root + "/a", false));
        assertEquals(beforeRoot, zk.exists(root, false));
        assertEquals("y", text(root + "/a"));
        long zxid = zk.setData(root, bytes("later"), -1).getMzxid();
        assertTrue(zxid > before.getPzxid());
    }

    @Test
    void manyWatchesComeBackInSeveralChunks() throws Exception {
        // Over 128 KiB of paths: the client sends more than one setWatches.
        String name = "n".repeat(600);
        int count = 400;
        try (Gate gate = new Gate(); Session away = Session.open(gate.connect(), 10_000)) {
            for (int number = 0; number < count; number++) {
                away.zk.exists(root + "/" + name + number, log);
            }
            gate.shut();
            away.await(KeeperState.Disconnected);
            gate.reopen();
            away.await(KeeperState.SyncConnected);
            log.expectNone(away.zk);
            createSome(root + "/" + name, count);
        }
    }

    private void createSome(String prefix, int count) throws Exception {
        for (int number = 0; number < count; number += 57) {
            create(prefix + number, "", CreateMode.EPHEMERAL);
            log.expect(EventType.NodeCreated, prefix + number);
        }
    }

    @Test
    void writeToAnAbsentServerIsReportedLost() throws Exception {
        ServerUnderTest.stop();
        session.await(KeeperState.Disconnected);
        assertFails(Code.CONNECTIONLOSS, () -> create(root + "/lost"));
        ServerUnderTest.restart();
        session.await(KeeperState.SyncConnected);
        assertNull(zk.exists(root + "/lost", false));
        create(root + "/after");
        assertNotNull(zk.exists(root + "/after", false));
    }

    private void loseConnection() throws Exception {
        zk.getTestable().closeSocket();
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
    }

    private void setOneWatchOfEachKind() throws Exception {
        for (String name : List.of("data", "child", "persistent", "recursive")) {
            create(root + "/" + name);
        }
        zk.getData(root + "/data", log, null);
        zk.getChildren(root + "/child", log);
        zk.exists(root + "/exist", log);
        zk.addWatch(root + "/persistent", log, AddWatchMode.PERSISTENT);
        zk.addWatch(root + "/recursive", log, AddWatchMode.PERSISTENT_RECURSIVE);
    }

    private void expectEachKindToFire() throws Exception {
        log.expectNone(zk);
        zk.setData(root + "/data", bytes("x"), -1);
        log.expect(EventType.NodeDataChanged, root + "/data");
        create(root + "/child/a");
        log.expect(EventType.NodeChildrenChanged, root + "/child");
        create(root + "/exist");
        log.expect(EventType.NodeCreated, root + "/exist");
        for (int times = 0; times < 2; times++) {
            zk.setData(root + "/persistent", bytes("x"), -1);
            log.expect(EventType.NodeDataChanged, root + "/persistent");
            create(root + "/recursive/" + times);
            log.expect(EventType.NodeCreated, root + "/recursive/" + times);
        }
        zk.setData(root + "/data", bytes("y"), -1);
        log.expectNone(zk);
    }
}
