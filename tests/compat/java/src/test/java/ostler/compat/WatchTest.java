package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.junit.jupiter.api.Test;

/** Every kind of watch: what fires it, what does not, and how it is removed. */
class WatchTest extends ServerTest {

    private final EventLog log = new EventLog();

    @Test
    void dataWatchFiresOnce() throws Exception {
        zk.getData(root, log, null);
        long zxid = zk.setData(root, bytes("1"), -1).getMzxid();
        WatchedEvent event = log.expect(EventType.NodeDataChanged, root);
        assertEquals(KeeperState.SyncConnected, event.getState());
        assertEquals(zxid, event.getZxid());
        zk.setData(root, bytes("2"), -1);
        log.expectNone(zk);
    }

    @Test
    void existsWatchWaitsForTheZnode() throws Exception {
        String path = root + "/later";
        zk.exists(path, log);
        create(path);
        log.expect(EventType.NodeCreated, path);
        zk.exists(path, log);
        zk.setData(path, bytes("x"), -1);
        log.expect(EventType.NodeDataChanged, path);
        zk.exists(path, log);
        zk.delete(path, -1);
        log.expect(EventType.NodeDeleted, path);
    }

    @Test
    void childWatchSeesCreatesAndDeletesOnly() throws Exception {
        create(root + "/old");
        zk.getChildren(root, log);
        zk.setData(root + "/old", bytes("x"), -1);
        zk.setData(root, bytes("x"), -1);
        create(root + "/old/deep");
        log.expectNone(zk);
        create(root + "/new");
        log.expect(EventType.NodeChildrenChanged, root);
        zk.getChildren(root, log);
        zk.delete(root + "/new", -1);
        log.expect(EventType.NodeChildrenChanged, root);
    }

    @Test
    void deletedZnodeTellsDataAndChildWatchersOnce() throws Exception {
        String path = create(root + "/a");
        EventLog children = new EventLog();
        zk.getData(path, log, null);
        zk.getChildren(path, children);
        zk.delete(path, -1);
        log.expect(EventType.NodeDeleted, path);
        children.expect(EventType.NodeDeleted, path);
        log.expectNone(zk);
        children.expectNone(zk);
    }

    @Test
    void failedReadSetsNoWatch() throws Exception {
        String path = root + "/missing";
        assertFails(Code.NONODE, path, () -> zk.getData(path, log, null));
        assertFails(Code.NONODE, path, () -> zk.getChildren(path, log));
        create(path);
        log.expectNone(zk);
    }

    @Test
    void setAclFiresNothing() throws Exception {
        zk.getData(root, log, null);
        zk.getChildren(root, log);
        zk.setACL(root, Ids.OPEN_ACL_UNSAFE, -1);
        log.expectNone(zk);
    }

    @Test
    void persistentWatchSeesItsZnodeAndChildrenAgainAndAgain() throws Exception {
        zk.addWatch(root, log, AddWatchMode.PERSISTENT);
        create(root + "/a");
        log.expect(EventType.NodeChildrenChanged, root);
        zk.setData(root, bytes("1"), -1);
        log.expect(EventType.NodeDataChanged, root);
        zk.setData(root, bytes("2"), -1);
        log.expect(EventType.NodeDataChanged, root);
        zk.setData(root + "/a", bytes("x"), -1);
        create(root + "/a/deep");
        log.expectNone(zk);
        zk.delete(root + "/a/deep", -1);
        zk.delete(root + "/a", -1);
        log.expect(EventType.NodeChildrenChanged, root);
        zk.delete(root, -1);
        log.expect(EventType.NodeDeleted, root);
        create(root);
        log.expect(EventType.NodeCreated, root);
    }

    @Test
    void recursiveWatchSeesTheWholeSubtree() throws Exception {
        zk.addWatch(root, log, AddWatchMode.PERSISTENT_RECURSIVE);
        create(root + "/a");
        log.expect(EventType.NodeCreated, root + "/a");
        create(root + "/a/b");
        log.expect(EventType.NodeCreated, root + "/a/b");
        zk.setData(root + "/a/b", bytes("1"), -1);
        log.expect(EventType.NodeDataChanged, root + "/a/b");
        zk.setData(root, bytes("1"), -1);
        log.expect(EventType.NodeDataChanged, root);
        zk.delete(root + "/a/b", -1);
        log.expect(EventType.NodeDeleted, root + "/a/b");
        zk.delete(root + "/a", -1);
        log.expect(EventType.NodeDeleted, root + "/a");
        log.expectNone(zk);
    }

    @Test
    void severalKindsOnOneZnodeLiveSideBySide() throws Exception {
        EventLog recursive = new EventLog();
        EventLog data = new EventLog();
        zk.addWatch(root, log, AddWatchMode.PERSISTENT);
        zk.addWatch(root, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.getData(root, data, null);
        zk.setData(root, bytes("1"), -1);
        for (EventLog each : List.of(log, recursive, data)) {
            each.expect(EventType.NodeDataChanged, root);
        }
        zk.setData(root, bytes("2"), -1);
        log.expect(EventType.NodeDataChanged, root);
        recursive.expect(EventType.NodeDataChanged, root);
        data.expectNone(zk);
        create(root + "/a");
        log.expect(EventType.NodeChildrenChanged, root);
        recursive.expect(EventType.NodeCreated, root + "/a");
        log.expectNone(zk);
        recursive.expectNone(zk);
    }

    @Test
    void othersWatchesFireInTheOrderOfTheWrites() throws Exception {
        try (Session other = Session.open()) {
            other.zk.addWatch(root, log, AddWatchMode.PERSISTENT_RECURSIVE);
            for (int number = 0; number < 50; number++) {
                create(root + "/" + number);
                zk.setData(root, bytes("" + number), -1);
            }
            for (int number = 0; number < 50; number++) {
                log.expect(EventType.NodeCreated, root + "/" + number);
                log.expect(EventType.NodeDataChanged, root);
            }
            log.expectNone(other.zk);
        }
    }

    @Test
    void endOfASessionFiresForItsEphemerals() throws Exception {
        Session other = Session.open();
        String path = root + "/e";
        other.zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        EventLog children = new EventLog();
        zk.exists(path, log);
        zk.getChildren(root, children);
        other.close();
        log.expect(EventType.NodeDeleted, path);
        children.expect(EventType.NodeChildrenChanged, root);
    }

    @Test
    void eventIsWithheldFromWhoMayNotRead() throws Exception {
        String path = root + "/closed";
        zk.exists(path, log);
        try (Session owner = Session.open()) {
            owner.zk.addAuthInfo("digest", bytes("gil:gull"));
            owner.zk.create(path, null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            owner.zk.setData(path, bytes("1"), -1);
        }
        log.expectNone(zk);
    }

    @Test
    void eventIsWithheldWhenTheRightWasTakenAfterTheRead() throws Exception {
        zk.getData(root, log, null);
        int blind = Perms.ALL & ~Perms.READ;
        zk.setACL(root, acl(blind, "world", "anyone"), -1);
        zk.setData(root, bytes("x"), -1);
        log.expectNone(zk);
        zk.setACL(root, Ids.OPEN_ACL_UNSAFE, -1);
    }

    @Test
    void removedWatchStaysSilent() throws Exception {
        zk.getData(root, log, null);
        zk.removeWatches(root, log, WatcherType.Data, false);
        log.expect(EventType.DataWatchRemoved, root);
        zk.getChildren(root, log);
        zk.removeWatches(root, log, WatcherType.Children, false);
        log.expect(EventType.ChildWatchRemoved, root);
        zk.addWatch(root, log, AddWatchMode.PERSISTENT);
        zk.removeWatches(root, log, WatcherType.Persistent, false);
        log.expect(EventType.PersistentWatchRemoved, root);
        zk.addWatch(root, log, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.removeWatches(root, log, WatcherType.PersistentRecursive, false);
        log.expect(EventType.PersistentWatchRemoved, root);
        zk.setData(root, bytes("x"), -1);
        create(root + "/a");
        log.expectNone(zk);
    }

    @Test
    void allWatchesOfAKindAreRemovedAtTheServer() throws Exception {
        zk.getData(root, log, null);
        zk.removeAllWatches(root, WatcherType.Data, false);
        log.expect(EventType.DataWatchRemoved, root);
        zk.getChildren(root, log);
        zk.removeAllWatches(root, WatcherType.Children, false);
        log.expect(EventType.ChildWatchRemoved, root);
        zk.addWatch(root, log, AddWatchMode.PERSISTENT);
        zk.getData(root, log, null);
        zk.removeAllWatches(root, WatcherType.Any, false);
        assertThrows(KeeperException.NoWatcherException.class,
            () -> zk.removeAllWatches(root, WatcherType.Any, false));
    }

    @Test
    void onlyTheNamedKindIsRemoved() throws Exception {
        EventLog children = new EventLog();
        zk.getData(root, log, null);
        zk.getChildren(root, children);
        zk.removeAllWatches(root, WatcherType.Data, false);
        log.expect(EventType.DataWatchRemoved, root);
        zk.setData(root, bytes("x"), -1);
        create(root + "/a");
        children.expect(EventType.NodeChildrenChanged, root);
        log.expectNone(zk);
    }

    @Test
    void removingWhatWasNeverSetFails() {
        assertThrows(KeeperException.NoWatcherException.class,
            () -> zk.removeWatches(root, log, WatcherType.Any, false));
        assertThrows(KeeperException.NoWatcherException.class,
            () -> zk.removeAllWatches(root, WatcherType.Data, false));
    }
}
