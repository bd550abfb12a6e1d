package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** One client handle and the states that its connection went through. */
final class Session implements Watcher, AutoCloseable {

    private static final int WAIT_SECONDS = 30;

    final ZooKeeper zk;
    private final LinkedBlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

    private Session(String connect, int timeoutMs) throws IOException {
        zk = new ZooKeeper(connect, timeoutMs, this);
    }

    private Session(String connect, int timeoutMs, long id, byte[] password) throws IOException {
        zk = new ZooKeeper(connect, timeoutMs, this, id, password);
    }

    /** A connected new session with the longest timeout. */
    static Session open() throws Exception {
        return open(ServerUnderTest.CONNECT, ServerUnderTest.SESSION_MS_MAX);
    }

    /** A connected new session. */
    static Session open(String connect, int timeoutMs) throws Exception {
        Session session = new Session(connect, timeoutMs);
        session.await(KeeperState.SyncConnected);
        return session;
    }

    /** A connected new session that may do everything; its digest is in the configuration. */
    static Session openSuper() throws Exception {
        Session session = open();
        session.zk.addAuthInfo("digest", "super:ostler".getBytes(StandardCharsets.UTF_8));
        return session;
    }

    /** A handle on an existing session; what becomes of it is the caller's to await. */
    static Session attach(long id, byte[] password) throws Exception {
        return new Session(ServerUnderTest.CONNECT, ServerUnderTest.SESSION_MS_MAX, id, password);
    }

    /** Waits until the connection enters this state; states that come before it are skipped. */
    void await(KeeperState wanted) throws InterruptedException {
        KeeperState state;
        do {
            state = states.poll(WAIT_SECONDS, TimeUnit.SECONDS);
            assertNotNull(state, "the connection never became " + wanted);
        } while (state != wanted);
    }

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            states.add(event.getState());
        }
    }

    @Override
    public void close() throws InterruptedException {
        zk.close();
    }
}
