package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** Opening, moving, expiring and closing sessions, and chroots. */
class SessionTest extends ServerTest {

    private static String ephemeral(ZooKeeper client, String path) throws Exception {
        return client.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
    }

    @Test
    void timeoutIsClampedToTheServersLimits() throws Exception {
        String connect = ServerUnderTest.CONNECT;
        try (Session low = Session.open(connect, 400); Session mid = Session.open(connect, 4_321);
             Session high = Session.open(connect, 1_000_000)) {
            assertEquals(ServerUnderTest.SESSION_MS_MIN, low.zk.getSessionTimeout());
            assertEquals(4_321, mid.zk.getSessionTimeout());
            assertEquals(ServerUnderTest.SESSION_MS_MAX, high.zk.getSessionTimeout());
        }
    }

    @Test
    void sessionsHaveTheirOwnIds() throws Exception {
        try (Session other = Session.open()) {
            assertNotEquals(0, zk.getSessionId());
            assertNotEquals(zk.getSessionId(), other.zk.getSessionId());
            assertEquals(16, other.zk.getSessionPasswd().length);
        }
    }

    @Test
    void closeRemovesEphemeralsBeforeItReturns() throws Exception {
        try (Session other = Session.open()) {
            ephemeral(other.zk, root + "/e1");
            ephemeral(other.zk, root + "/e2");
            other.zk.create(root + "/p", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        }
        assertEquals(List.of("p"), zk.getChildren(root, false));
    }

    @Test
    void closedEphemeralsGoInOneStep() throws Exception {
        EventLog log = new EventLog();
        zk.addWatch(root, log, AddWatchMode.PERSISTENT_RECURSIVE);
        try (Session other = Session.open()) {
            ephemeral(other.zk, root + "/e1");
            ephemeral(other.zk, root + "/e2");
        }
        log.expect(EventType.NodeCreated, root + "/e1");
        log.expect(EventType.NodeCreated, root + "/e2");
        log.expectAnyOrder(List.of(
            EventType.NodeDeleted + " " + root + "/e1", EventType.NodeDeleted + " " + root + "/e2"));
    }

    @Test
    void idAndPasswordOpenTheSessionAgain() throws Exception {
        Session first = Session.open();
        long id = first.zk.getSessionId();
        ephemeral(first.zk, root + "/e");
        try (Session second = Session.attach(id, first.zk.getSessionPasswd())) {
            second.await(KeeperState.SyncConnected);
            assertEquals(id, second.zk.getSessionId());
            assertEquals(id, second.zk.exists(root + "/e", false).getEphemeralOwner());
            ephemeral(second.zk, root + "/e2");
            // The older connection is closed; its handle comes back and takes the session again.
            first.await(KeeperState.Disconnected);
        }
        first.await(KeeperState.Expired);
        assertEquals(List.of(), zk.getChildren(root, false));
    }

    @Test
    void wrongPasswordMeansExpired() throws Exception {
        byte[] wrong = zk.getSessionPasswd().clone();
        wrong[3] ^= 1;
        try (Session thief = Session.attach(zk.getSessionId(), wrong)) {
            thief.await(KeeperState.Expired);
        }
        // A server may cut the owner's connection when the thief knocks, but not end its session.
        long id = zk.getSessionId();
        try {
            zk.exists(root, false);
        } catch (KeeperException.ConnectionLossException cut) {
            session.await(KeeperState.Disconnected);
            session.await(KeeperState.SyncConnected);
        }
        assertNotNull(zk.exists(root, false));
        assertEquals(id, zk.getSessionId());
    }

    @Test
    void unknownIdMeansExpired() throws Exception {
        try (Session stranger = Session.attach(0x1234_5678_9abcL, new byte[16])) {
            stranger.await(KeeperState.Expired);
            assertThrows(KeeperException.SessionExpiredException.class,
                () -> stranger.zk.exists("/", false));
        }
    }

    @Test
    void closedSessionCannotBeOpenedAgain() throws Exception {
        Session gone = Session.open();
        long id = gone.zk.getSessionId();
        byte[] password = gone.zk.getSessionPasswd();
        gone.close();
        try (Session late = Session.attach(id, password)) {
            late.await(KeeperState.Expired);
        }
    }

    @Test
    void silentSessionExpiresAndItsEphemeralsGo() throws Exception {
        EventLog log = new EventLog();
        try (Gate gate = new Gate();
             Session silent = Session.open(gate.connect(), ServerUnderTest.SESSION_MS_MIN)) {
            String path = ephemeral(silent.zk, root + "/e");
            zk.exists(path, log);
            gate.shut();
            long began = System.nanoTime();
            log.expect(EventType.NodeDeleted, path);
            long millis = (System.nanoTime() - began) / 1_000_000;
            assertTrue(millis > 300 && millis < 5_000, "expired after " + millis + " ms");
            gate.reopen();
            silent.await(KeeperState.Expired);
        }
    }

    @Test
    void pingsKeepAnIdleSession() throws Exception {
        try (Session idle =
                 Session.open(ServerUnderTest.CONNECT, ServerUnderTest.SESSION_MS_MIN)) {
            String path = ephemeral(idle.zk, root + "/e");
            EventLog log = new EventLog();
            zk.exists(path, log);
            // Three timeouts without a request: nothing but time can show that it stays.
            Thread.sleep(3L * ServerUnderTest.SESSION_MS_MIN);
            log.expectNone(zk);
            assertNotNull(idle.zk.exists(path, false));
        }
    }

    @Test
    void injectedExpiryIsSeenByTheOwnerAndThenByAll() throws Exception {
        EventLog log = new EventLog();
        Session victim = Session.open(ServerUnderTest.CONNECT, ServerUnderTest.SESSION_MS_MIN);
        String path = ephemeral(victim.zk, root + "/e");
        zk.exists(path, log);
        victim.zk.getTestable().injectSessionExpiration();
        victim.await(KeeperState.Expired);
        assertThrows(KeeperException.SessionExpiredException.class,
            () -> victim.zk.exists(path, false));
        log.expect(EventType.NodeDeleted, path);
    }

    @Test
    void sessionMovesWithItsEphemeralsThroughAnotherDoor() throws Exception {
        try (Gate one = new Gate(); Gate two = new Gate()) {
            two.shut();
            moveToAndFro(one, two);
        }
    }

    private void moveToAndFro(Gate one, Gate two) throws Exception {
        String connect = one.connect() + "," + two.connect();
        try (Session mover = Session.open(connect, 10_000)) {
            long id = mover.zk.getSessionId();
            ephemeral(mover.zk, root + "/e");
            for (int times = 0; times < 4; times++) {
                Gate from = times % 2 == 0 ? one : two;
                Gate to = times % 2 == 0 ? two : one;
                to.reopen();
                from.shut();
                mover.await(KeeperState.Disconnected);
                mover.await(KeeperState.SyncConnected);
                assertEquals(id, mover.zk.getSessionId());
                assertEquals(id, mover.zk.exists(root + "/e", false).getEphemeralOwner());
            }
        }
    }

    @Test
    void chrootHidesWhatIsAboveIt() throws Exception {
        create(root + "/jail");
        try (Session jailed = Session.open(ServerUnderTest.CONNECT + root + "/jail", 10_000)) {
            ZooKeeper client = jailed.zk;
            EventLog log = new EventLog();
            client.addWatch("/", log, AddWatchMode.PERSISTENT_RECURSIVE);
            assertEquals("/a", client.create("/a", null, Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT));
            log.expect(EventType.NodeCreated, "/a");
            assertEquals("/e", ephemeral(client, "/e"));
            log.expect(EventType.NodeCreated, "/e");
            // This client does not strip its chroot here.
            assertEquals(List.of(root + "/jail/e"), client.getEphemerals());
            client.multi(List.of(Op.setData("/a", bytes("x"), 0), Op.delete("/e", -1)));
            log.expect(EventType.NodeDataChanged, "/a");
            log.expect(EventType.NodeDeleted, "/e");
            assertFails(KeeperException.Code.NONODE, "/b", () -> client.getData("/b", false, null));
            client.sync("/");
        }
        assertEquals("x", text(root + "/jail/a"));
        assertEquals(List.of("a"), zk.getChildren(root + "/jail", false));
    }

    @Test
    void chrootMayBeMadeLater() throws Exception {
        try (Session early = Session.open(ServerUnderTest.CONNECT + root + "/later", 10_000)) {
            assertNull(early.zk.exists("/", false));
            assertFails(KeeperException.Code.NONODE, () -> ephemeral(early.zk, "/e"));
            create(root + "/later");
            assertEquals("/e", ephemeral(early.zk, "/e"));
            assertEquals(1, early.zk.getChildren("/", false, new Stat()).size());
        }
    }

    @Test
    void serverListCanBeChangedWhileConnected() throws Exception {
        try (Gate gate = new Gate(); Session session = Session.open()) {
            session.zk.updateServerList(gate.connect());
            session.await(KeeperState.Disconnected);
            session.await(KeeperState.SyncConnected);
            gate.shut();
            session.await(KeeperState.Disconnected);
            gate.reopen();
            session.await(KeeperState.SyncConnected);
            assertNotNull(session.zk.exists(root, false));
        }
    }

    @Test
    void manySessionsLiveTogether() throws Exception {
        Session[] sessions = new Session[50];
        try {
            for (int number = 0; number < sessions.length; number++) {
                sessions[number] = Session.open();
                ephemeral(sessions[number].zk, root + "/e" + number);
            }
            assertEquals(sessions.length, zk.getChildren(root, false).size());
        } finally {
            for (Session each : sessions) {
                if (each != null) {
                    each.close();
                }
            }
        }
        assertEquals(List.of(), zk.getChildren(root, false));
    }
}
