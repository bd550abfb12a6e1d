package ostler.compat;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZKUtil;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.function.Executable;

/** Gives each test a connected session and a znode of its own, {@link #root}. */
abstract class ServerTest {

    private static final AtomicInteger COUNT = new AtomicInteger();

    protected Session session;
    protected ZooKeeper zk;
    /** Path of a persistent znode that no other test knows. */
    protected String root;

    /** What a test does with a client. */
    protected interface Act {
        void with(ZooKeeper client) throws Exception;
    }

    @BeforeEach
    final void openSession() throws Exception {
        session = Session.open();
        zk = session.zk;
        root = "/" + getClass().getSimpleName() + "-" + COUNT.incrementAndGet();
        create(root);
    }

    @AfterEach
    final void removeAll() throws Exception {
        session.close();
        try (Session cleaner = Session.openSuper()) {
            if (cleaner.zk.exists(root, false) != null) {
                ZKUtil.deleteRecursive(cleaner.zk, root);
            }
        }
    }

    protected final String create(String path) throws Exception {
        return create(path, "", CreateMode.PERSISTENT);
    }

    protected final String create(String path, String data, CreateMode mode) throws Exception {
        return zk.create(path, bytes(data), Ids.OPEN_ACL_UNSAFE, mode);
    }

    protected final String text(String path) throws Exception {
        return new String(zk.getData(path, false, new Stat()), UTF_8);
    }

    protected static byte[] bytes(String text) {
        return text.getBytes(UTF_8);
    }

    /** An ACL of one entry. The client looks for null in it, which List.of would not survive. */
    protected static List<ACL> acl(int perms, String scheme, String id) {
        return new ArrayList<>(List.of(new ACL(perms, new Id(scheme, id))));
    }

    /** The call must fail with this code and name this path. */
    protected static void assertFails(Code code, String path, Executable call) {
        KeeperException error = assertThrows(KeeperException.class, call);
        assertEquals(code, error.code());
        assertEquals(path, error.getPath());
    }

    /** The call must fail with this code; which path it names does not matter. */
    protected static KeeperException assertFails(Code code, Executable call) {
        KeeperException error = assertThrows(KeeperException.class, call);
        assertEquals(code, error.code());
        return error;
    }
}
