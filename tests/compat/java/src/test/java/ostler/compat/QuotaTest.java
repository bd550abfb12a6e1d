package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Quotas;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.cli.DelQuotaCommand;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Quotas as the shell's own classes set them; the server enforces hard ones (see run.py). */
class QuotaTest extends ServerTest {

    private static final int NONE = -1;

    @AfterEach
    void removeQuota() throws Exception {
        // The session of the base class is closed only after this.
        if (zk.exists(Quotas.limitPath(root), false) != null) {
            StatsTrack all = new StatsTrack();
            all.setCount(1);
            all.setBytes(1);
            all.setCountHardLimit(1);
            all.setByteHardLimit(1);
            DelQuotaCommand.delQuota(zk, root, all);
        }
    }

    private void setQuota(long count, long bytes, long countHard, long bytesHard)
        throws Exception {
        StatsTrack quota = new StatsTrack();
        quota.setCount(count);
        quota.setBytes(bytes);
        quota.setCountHardLimit(countHard);
        quota.setByteHardLimit(bytesHard);
        assertTrue(SetQuotaCommand.createQuota(zk, root, quota));
    }

    private StatsTrack use() throws Exception {
        return new StatsTrack(text(Quotas.statPath(root)));
    }

    @Test
    void useIsCountedFromTheStart() throws Exception {
        create(root + "/before");
        zk.setData(root + "/before", bytes("12345"), -1);
        setQuota(100, 1_000, NONE, NONE);
        assertEquals(2, use().getCount());
        assertEquals(5, use().getBytes());
        create(root + "/after");
        zk.setData(root + "/after", bytes("123"), -1);
        assertEquals(3, use().getCount());
        assertEquals(8, use().getBytes());
        zk.setData(root + "/before", bytes("1"), -1);
        zk.delete(root + "/after", -1);
        assertEquals(2, use().getCount());
        assertEquals(1, use().getBytes());
    }

    @Test
    void countersChangeWithoutVersionOrWatch() throws Exception {
        setQuota(100, 1_000, NONE, NONE);
        EventLog log = new EventLog();
        zk.getData(Quotas.statPath(root), log, null);
        int version = zk.exists(Quotas.statPath(root), false).getVersion();
        create(root + "/a");
        log.expectNone(zk);
        assertEquals(version, zk.exists(Quotas.statPath(root), false).getVersion());
        assertEquals(2, use().getCount());
    }

    @Test
    void softLimitsStopNobody() throws Exception {
        setQuota(2, 4, NONE, NONE);
        create(root + "/a");
        create(root + "/b");
        zk.setData(root + "/b", bytes("longer than four"), -1);
        assertEquals(3, use().getCount());
    }

    @Test
    void hardCountStopsCreates() throws Exception {
        setQuota(NONE, NONE, 2, NONE);
        create(root + "/a");
        assertFails(Code.QUOTAEXCEEDED, root + "/b", () -> create(root + "/b"));
        assertFails(Code.QUOTAEXCEEDED, () -> zk.multi(List.of(
            Op.setData(root + "/a", bytes("x"), -1),
            Op.create(root + "/b", null, Ids.OPEN_ACL_UNSAFE, 0))));
        assertEquals("", text(root + "/a"));
        zk.delete(root + "/a", -1);
        create(root + "/b");
    }

    @Test
    void hardBytesStopCreatesAndSets() throws Exception {
        setQuota(NONE, NONE, NONE, 10);
        zk.setData(root, bytes("12345678"), -1);
        assertFails(Code.QUOTAEXCEEDED, root, () -> zk.setData(root, bytes("12345678901"), -1));
        assertFails(Code.QUOTAEXCEEDED, root + "/a", () -> create(root + "/a", "123",
            CreateMode.PERSISTENT));
        zk.setData(root, bytes("1"), -1);
        create(root + "/a", "123", CreateMode.PERSISTENT);
        assertEquals(4, use().getBytes());
    }

    @Test
    void deletedQuotaLimitsNothing() throws Exception {
        setQuota(NONE, NONE, 1, NONE);
        assertFails(Code.QUOTAEXCEEDED, root + "/a", () -> create(root + "/a"));
        StatsTrack hard = new StatsTrack();
        hard.setCountHardLimit(1);
        assertTrue(DelQuotaCommand.delQuota(zk, root, hard));
        create(root + "/a");
        assertNotNull(zk.exists(root + "/a", false));
        assertNull(zk.exists(root + "/b", false));
    }

    @Test
    void quotaHoldsAfterARestart() throws Exception {
        setQuota(NONE, NONE, 2, NONE);
        create(root + "/a");
        ServerUnderTest.killAndRestart();
        session.await(KeeperState.Disconnected);
        session.await(KeeperState.SyncConnected);
        assertEquals(2, use().getCount());
        assertFails(Code.QUOTAEXCEEDED, root + "/b", () -> create(root + "/b"));
    }
}
