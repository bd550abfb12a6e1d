package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryOneTime;
import org.junit.jupiter.api.AfterEach;

/** Curator clients and threads for the tests of its recipes. */
abstract class CuratorTest extends ServerTest {

    protected static final int WAIT_SECONDS = 20;

    private final List<CuratorFramework> clients = new ArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    final void closeClients() throws Exception {
        threads.shutdownNow();
        assertTrue(threads.awaitTermination(WAIT_SECONDS, TimeUnit.SECONDS), "a thread hangs");
        clients.forEach(CuratorFramework::close);
    }

    /** A started client with a session of its own. */
    protected final CuratorFramework client() throws Exception {
        return client(ServerUnderTest.CONNECT);
    }

    protected final CuratorFramework client(String connect) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
            connect, 4_000, 3_000, new RetryOneTime(200));
        clients.add(client);
        client.start();
        assertTrue(client.blockUntilConnected(WAIT_SECONDS, TimeUnit.SECONDS));
        return client;
    }

    /** Runs work on a thread of its own. */
    protected final <T> Future<T> start(Callable<T> work) {
        return threads.submit(work);
    }

    /** The result of work that must end in time; its failure is the test's. */
    protected static <T> T result(Future<T> work) throws Exception {
        try {
            return work.get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw new AssertionError(error.getCause());
        }
    }

    /** Waits until a condition holds that only another thread can bring about. */
    protected static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!condition.call()) {
            assertTrue(System.nanoTime() < deadline, "never: " + what);
            Thread.sleep(10);
        }
    }
}
