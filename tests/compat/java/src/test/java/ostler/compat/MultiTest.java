package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.OpResult.CheckResult;
import org.apache.zookeeper.OpResult.CreateResult;
import org.apache.zookeeper.OpResult.DeleteResult;
import org.apache.zookeeper.OpResult.ErrorResult;
import org.apache.zookeeper.OpResult.GetChildrenResult;
import org.apache.zookeeper.OpResult.GetDataResult;
import org.apache.zookeeper.OpResult.SetDataResult;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** Atomic lists of writes, and lists of reads. */
class MultiTest extends ServerTest {

    private Op createOp(String path, CreateMode mode) {
        return Op.create(path, bytes("d"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    @Test
    void allOperationsHappenAtOneZxid() throws Exception {
        create(root + "/old");
        create(root + "/changed");
        List<OpResult> results = zk.multi(List.of(
            Op.check(root, 0),
            createOp(root + "/new", CreateMode.PERSISTENT),
            createOp(root + "/new/e", CreateMode.EPHEMERAL),
            createOp(root + "/new/s-", CreateMode.PERSISTENT_SEQUENTIAL),
            Op.setData(root + "/changed", bytes("set"), 0),
            Op.delete(root + "/old", 0)));
        assertInstanceOf(CheckResult.class, results.get(0));
        assertEquals(root + "/new", ((CreateResult) results.get(1)).getPath());
        assertEquals(root + "/new/e", ((CreateResult) results.get(2)).getPath());
        String sequential = ((CreateResult) results.get(3)).getPath();
        assertEquals(root + "/new/s-0000000001", sequential);
        assertEquals(1, ((SetDataResult) results.get(4)).getStat().getVersion());
        assertInstanceOf(DeleteResult.class, results.get(5));
        long zxid = zk.exists(root + "/new", false).getCzxid();
        assertEquals(zxid, zk.exists(sequential, false).getCzxid());
        assertEquals(zxid, zk.exists(root + "/changed", false).getMzxid());
        assertEquals(zxid, zk.exists(root, false).getPzxid());
        assertNull(zk.exists(root + "/old", false));
    }

    @Test
    void containerAndTtlCreatesAnswerWithTheirStat() throws Exception {
        List<OpResult> results = zk.multi(List.of(
            createOp(root + "/c", CreateMode.CONTAINER),
            Op.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                60_000)));
        CreateResult container = (CreateResult) results.get(0);
        CreateResult ttl = (CreateResult) results.get(1);
        assertEquals(root + "/c", container.getPath());
        assertEquals(zk.exists(root + "/c", false), container.getStat());
        assertEquals(zk.exists(root + "/t", false), ttl.getStat());
    }

    @Test
    void oneFailureUndoesAll() throws Exception {
        List<Op> operations = List.of(
            createOp(root + "/a", CreateMode.PERSISTENT),
            Op.delete(root + "/missing", -1),
            createOp(root + "/b", CreateMode.PERSISTENT));
        KeeperException error = assertFails(Code.NONODE, () -> zk.multi(operations));
        List<Integer> codes = new ArrayList<>();
        for (OpResult result : error.getResults()) {
            codes.add(((ErrorResult) result).getErr());
        }
        assertEquals(List.of(0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()),
            codes);
        assertEquals(List.of(), zk.getChildren(root, false));
        assertEquals(0, zk.exists(root, false).getCversion());
    }

    @Test
    void eachKindOfFailureKeepsItsCode() throws Exception {
        create(root + "/a");
        create(root + "/a/b");
        assertFails(Code.BADVERSION, () -> zk.multi(List.of(Op.check(root, 5))));
        assertFails(Code.NONODE, () -> zk.multi(List.of(Op.check(root + "/no", -1))));
        assertFails(Code.NODEEXISTS,
            () -> zk.multi(List.of(createOp(root, CreateMode.PERSISTENT))));
        assertFails(Code.NOTEMPTY, () -> zk.multi(List.of(Op.delete(root + "/a", -1))));
        assertFails(Code.BADVERSION,
            () -> zk.multi(List.of(Op.setData(root, bytes("x"), 3))));
        assertFails(Code.NOCHILDRENFOREPHEMERALS, () -> zk.multi(List.of(
            createOp(root + "/e", CreateMode.EPHEMERAL),
            createOp(root + "/e/child", CreateMode.PERSISTENT))));
        assertNull(zk.exists(root + "/e", false));
    }

    @Test
    void laterOperationsSeeEarlierOnes() throws Exception {
        zk.multi(List.of(
            createOp(root + "/a", CreateMode.PERSISTENT),
            Op.setData(root + "/a", bytes("1"), 0),
            Op.check(root + "/a", 1),
            Op.delete(root + "/a", 1),
            createOp(root + "/a", CreateMode.PERSISTENT)));
        Stat stat = zk.exists(root + "/a", false);
        assertEquals(0, stat.getVersion());
        assertEquals(3, zk.exists(root, false).getCversion());
    }

    @Test
    void emptyMultiIsAnswered() throws Exception {
        assertEquals(List.of(), zk.multi(List.of()));
    }

    @Test
    void transactionsCommitOrTellWhatFailed() throws Exception {
        List<OpResult> results = zk.transaction()
            .create(root + "/t", bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .check(root + "/t", 0)
            .setData(root + "/t", bytes("2"), 0)
            .commit();
        assertEquals(3, results.size());
        assertEquals("2", text(root + "/t"));
        assertFails(Code.BADVERSION, () -> zk.transaction()
            .delete(root + "/t", 9)
            .create(root + "/u", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .commit());
        assertNull(zk.exists(root + "/u", false));
    }

    @Test
    void asynchronousMultiReportsItsResults() throws Exception {
        CompletableFuture<String> good = new CompletableFuture<>();
        zk.multi(List.of(createOp(root + "/a", CreateMode.PERSISTENT)),
            (code, path, context, results) -> good.complete(code + " " + results.size()), null);
        CompletableFuture<String> bad = new CompletableFuture<>();
        zk.multi(List.of(Op.check(root, 9)),
            (code, path, context, results) -> bad.complete(code + " " + results.size()), null);
        assertEquals("0 1", good.get(15, TimeUnit.SECONDS));
        assertEquals("-103 1", bad.get(15, TimeUnit.SECONDS));
    }

    @Test
    void watchesFireForEveryOperation() throws Exception {
        EventLog created = new EventLog();
        EventLog children = new EventLog();
        zk.exists(root + "/a", created);
        zk.getChildren(root, children);
        zk.multi(List.of(
            createOp(root + "/a", CreateMode.PERSISTENT),
            createOp(root + "/b", CreateMode.PERSISTENT)));
        created.expect(EventType.NodeCreated, root + "/a");
        children.expect(EventType.NodeChildrenChanged, root);
        children.expectNone(zk);
    }

    @Test
    void failedMultiFiresNoWatch() throws Exception {
        EventLog log = new EventLog();
        zk.exists(root + "/a", log);
        zk.getChildren(root, log);
        assertFails(Code.BADVERSION, () -> zk.multi(List.of(
            createOp(root + "/a", CreateMode.PERSISTENT), Op.check(root, 9))));
        log.expectNone(zk);
    }

    @Test
    void readsAreAnsweredEachForItself() throws Exception {
        create(root + "/a", "data", CreateMode.PERSISTENT);
        List<OpResult> results = zk.multi(List.of(
            Op.getData(root + "/a"), Op.getChildren(root), Op.getData(root + "/missing"),
            Op.getChildren(root + "/a")));
        GetDataResult data = (GetDataResult) results.get(0);
        assertEquals("data", new String(data.getData()));
        assertEquals(zk.exists(root + "/a", false), data.getStat());
        assertEquals(List.of("a"), ((GetChildrenResult) results.get(1)).getChildren());
        assertEquals(Code.NONODE.intValue(), ((ErrorResult) results.get(2)).getErr());
        assertEquals(List.of(), ((GetChildrenResult) results.get(3)).getChildren());
    }

    @Test
    void fiveHundredOperationsFitIntoOne() throws Exception {
        List<Op> operations = new ArrayList<>();
        for (int number = 0; number < 500; number++) {
            operations.add(createOp(root + "/n-", CreateMode.PERSISTENT_SEQUENTIAL));
        }
        List<OpResult> results = zk.multi(operations);
        assertEquals(root + "/n-0000000499", ((CreateResult) results.get(499)).getPath());
        assertEquals(500, zk.getChildren(root, false).size());
        assertNotNull(zk.exists(root + "/n-0000000000", false));
        assertTrue(zk.exists(root, false).getCversion() == 500);
    }
}
