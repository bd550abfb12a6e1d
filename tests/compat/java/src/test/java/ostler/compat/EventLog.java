package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

/** A watcher that keeps the events of znodes in their order; events of the connection are left. */
final class EventLog implements Watcher {

    private static final int WAIT_SECONDS = 15;

    private final LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() != Event.EventType.None) {
            events.add(event);
        }
    }

    /** The next event must be this one; returns it. */
    WatchedEvent expect(Watcher.Event.EventType type, String path) throws InterruptedException {
        WatchedEvent event = events.poll(WAIT_SECONDS, TimeUnit.SECONDS);
        assertNotNull(event, "no event where " + type + " of " + path + " was due");
        assertEquals(type + " " + path, event.getType() + " " + event.getPath());
        return event;
    }

    /** The next events must be these, each once, as "type path", in any order. */
    void expectAnyOrder(Collection<String> expected) throws InterruptedException {
        Set<String> seen = new TreeSet<>();
        for (int number = 0; number < expected.size(); number++) {
            WatchedEvent event = events.poll(WAIT_SECONDS, TimeUnit.SECONDS);
            assertNotNull(event, "only " + seen);
            seen.add(event.getType() + " " + event.getPath());
        }
        assertEquals(new TreeSet<>(expected), seen);
    }

    /**
     * No event has come. Needs no waiting: the callback of a read runs on the thread that delivers
     * events, after all events that stand before the reply.
     */
    void expectNone(ZooKeeper client) throws InterruptedException {
        CountDownLatch answered = new CountDownLatch(1);
        client.exists("/", false, (code, path, context, stat) -> answered.countDown(), null);
        answered.await(WAIT_SECONDS, TimeUnit.SECONDS);
        assertEquals(0, answered.getCount(), "no answer to a read");
        WatchedEvent event = events.peek();
        assertNull(event, () -> "unexpected " + event);
    }
}
