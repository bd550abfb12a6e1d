package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.junit.jupiter.api.Test;

/** Curator's caches, counters, queues, watchers and fluent calls. */
class CuratorSharedTest extends CuratorTest {

    @Test
    void curatorCacheFollowsASubtree() throws Exception {
        create(root + "/a", "1", CreateMode.PERSISTENT);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        try (CuratorCache cache = CuratorCache.build(client(), root)) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(data -> events.add("created " + data.getPath()))
                .forChanges((old, now) -> events.add("changed " + now.getPath()))
                .forDeletes(data -> events.add("deleted " + data.getPath()))
                .forInitialized(() -> events.add("initialized"))
                .build());
            cache.start();
            expectUntil(events, "initialized");
            assertEquals("1", new String(cache.get(root + "/a").orElseThrow().getData()));
            create(root + "/a/b", "2", CreateMode.PERSISTENT);
            expectUntil(events, "created " + root + "/a/b");
            zk.setData(root + "/a", bytes("3"), -1);
            expectUntil(events, "changed " + root + "/a");
            zk.delete(root + "/a/b", -1);
            expectUntil(events, "deleted " + root + "/a/b");
            assertEquals(2, cache.size());
        }
    }

    @Test
    void curatorCacheIsRightAgainAfterAnAbsence() throws Exception {
        try (Gate gate = new Gate();
             CuratorCache cache = CuratorCache.build(client(gate.connect()), root)) {
            cache.start();
            create(root + "/before");
            eventually("before is seen", () -> cache.get(root + "/before").isPresent());
            gate.shut();
            create(root + "/during");
            zk.delete(root + "/before", -1);
            gate.reopen();
            eventually("during is seen", () -> cache.get(root + "/during").isPresent());
            eventually("before is gone", () -> cache.get(root + "/before").isEmpty());
        }
    }

    private static void expectUntil(BlockingQueue<String> events, String wanted)
        throws InterruptedException {
        String event;
        do {
            event = events.poll(WAIT_SECONDS, TimeUnit.SECONDS);
            assertNotNull(event, "never: " + wanted);
        } while (!event.equals(wanted));
    }

    @Test
    void pathChildrenCacheTellsEachChange() throws Exception {
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        try (PathChildrenCache cache = new PathChildrenCache(client(), root, true)) {
            cache.getListenable().addListener((client, event) -> events.add(describe(event)));
            cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
            expectUntil(events, "INITIALIZED");
            create(root + "/a", "1", CreateMode.PERSISTENT);
            expectUntil(events, "CHILD_ADDED " + root + "/a");
            zk.setData(root + "/a", bytes("2"), -1);
            expectUntil(events, "CHILD_UPDATED " + root + "/a");
            assertEquals("2", new String(cache.getCurrentData(root + "/a").getData()));
            zk.delete(root + "/a", -1);
            expectUntil(events, "CHILD_REMOVED " + root + "/a");
        }
    }

    private static String describe(PathChildrenCacheEvent event) {
        String path = event.getData() == null ? "" : " " + event.getData().getPath();
        return event.getType() + path;
    }

    @Test
    void sharedCountIsSetByVersion() throws Exception {
        try (SharedCount one = new SharedCount(client(), root + "/count", 5);
             SharedCount two = new SharedCount(client(), root + "/count", 5)) {
            one.start();
            two.start();
            assertEquals(5, two.getCount());
            var old = two.getVersionedValue();
            one.setCount(6);
            assertFalse(two.trySetCount(old, 7));
            eventually("the change is seen", () -> two.getCount() == 6);
            assertTrue(two.trySetCount(two.getVersionedValue(), 7));
            eventually("so is the other's", () -> one.getCount() == 7);
        }
    }

    @Test
    void atomicLongAddsUpOverManyClients() throws Exception {
        List<Future<Long>> workers = new ArrayList<>();
        for (int number = 0; number < 4; number++) {
            DistributedAtomicLong counter = new DistributedAtomicLong(
                client(), root + "/long", new RetryNTimes(100, 5));
            workers.add(start(() -> {
                long added = 0;
                for (int times = 0; times < 25; times++) {
                    AtomicValue<Long> value = counter.increment();
                    added += value.succeeded() ? 1 : 0;
                }
                return added;
            }));
        }
        long added = 0;
        for (Future<Long> worker : workers) {
            added += result(worker);
        }
        assertTrue(added > 0);
        DistributedAtomicLong counter = new DistributedAtomicLong(
            client(), root + "/long", new RetryNTimes(3, 5));
        assertEquals(added, counter.get().postValue());
        assertTrue(counter.compareAndSet(added, -1L).succeeded());
        assertFalse(counter.compareAndSet(added, 0L).succeeded());
    }

    @Test
    void queueHandsEachItemToOneConsumer() throws Exception {
        int count = 100;
        BlockingQueue<String> taken = new LinkedBlockingQueue<>();
        try (DistributedQueue<String> one = queue(client(), taken);
             DistributedQueue<String> two = queue(client(), taken)) {
            for (int number = 0; number < count; number++) {
                one.put("item-" + number);
            }
            eventually("all are taken", () -> taken.size() >= count);
            assertEquals(count, taken.stream().distinct().count());
            assertEquals(count, taken.size());
            assertNotNull(two);
        }
    }

    private DistributedQueue<String> queue(CuratorFramework client, BlockingQueue<String> taken)
        throws Exception {
        QueueConsumer<String> consumer = new QueueConsumer<>() {
            @Override
            public void consumeMessage(String message) {
                taken.add(message);
            }

            @Override
            public void stateChanged(CuratorFramework changed, ConnectionState state) {
                // The queue itself deals with its connection.
            }
        };
        QueueSerializer<String> serializer = new QueueSerializer<>() {
            @Override
            public byte[] serialize(String item) {
                return bytes(item);
            }

            @Override
            public String deserialize(byte[] data) {
                return new String(data);
            }
        };
        DistributedQueue<String> queue = QueueBuilder
            .builder(client, consumer, serializer, root + "/queue")
            .lockPath(root + "/queue-lock").buildQueue();
        queue.start();
        return queue;
    }

    @Test
    void simpleQueueKeepsItsOrder() throws Exception {
        SimpleDistributedQueue in = new SimpleDistributedQueue(client(), root + "/simple");
        SimpleDistributedQueue out = new SimpleDistributedQueue(client(), root + "/simple");
        for (int number = 0; number < 20; number++) {
            in.offer(bytes("" + number));
        }
        for (int number = 0; number < 20; number++) {
            assertEquals("" + number, new String(out.poll(WAIT_SECONDS, TimeUnit.SECONDS)));
        }
        Future<byte[]> waiting = start(out::take);
        in.offer(bytes("late"));
        assertEquals("late", new String(result(waiting)));
    }

    @Test
    void persistentWatcherSurvivesAReconnect() throws Exception {
        try (Gate gate = new Gate()) {
            CuratorFramework client = client(gate.connect());
            BlockingQueue<String> events = new LinkedBlockingQueue<>();
            BlockingQueue<String> resets = new LinkedBlockingQueue<>();
            try (PersistentWatcher watcher = new PersistentWatcher(client, root, true)) {
                watcher.getListenable().addListener(
                    event -> events.add(event.getType() + " " + event.getPath()));
                watcher.getResetListenable().addListener(() -> resets.add("set"));
                watcher.start();
                expectUntil(resets, "set");
                create(root + "/a");
                expectUntil(events, "NodeCreated " + root + "/a");
                gate.shut();
                eventually("it is cut off", () -> !client.getZookeeperClient().isConnected());
                gate.reopen();
                // No listener says that the watch is there again: a reset may still be the one of
                // the first connection. What is made while the client is away is never told.
                AtomicInteger made = new AtomicInteger();
                eventually("changes are told again", () -> {
                    create(root + "/b" + made.incrementAndGet());
                    String told = "NodeCreated " + root + "/b";
                    return events.stream().anyMatch(event -> event.startsWith(told));
                });
            }
        }
    }

    @Test
    void fluentCallsCoverTheApi() throws Exception {
        CuratorFramework client = client();
        String path = client.create().creatingParentContainersIfNeeded().withProtection()
            .withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(root + "/x/y/n-", bytes("1"));
        assertTrue(path.matches(root + "/x/y/_c_[-0-9a-f]{36}-n-0{10}"), path);
        client.create().orSetData().forPath(root + "/d", bytes("a"));
        client.create().orSetData().forPath(root + "/d", bytes("b"));
        assertEquals("b", new String(client.getData().forPath(root + "/d")));
        assertThrows(KeeperException.BadVersionException.class,
            () -> client.setData().withVersion(9).forPath(root + "/d", bytes("c")));
        List<CuratorTransactionResult> results = client.transaction().forOperations(
            client.transactionOp().check().withVersion(1).forPath(root + "/d"),
            client.transactionOp().create().forPath(root + "/t", bytes("t")),
            client.transactionOp().setData().forPath(root + "/t", bytes("u")),
            client.transactionOp().delete().forPath(root + "/d"));
        assertEquals(4, results.size());
        client.delete().quietly().forPath(root + "/d");
        client.delete().deletingChildrenIfNeeded().forPath(root + "/x");
        assertEquals(List.of("t"), client.getChildren().forPath(root));
        client.sync().forPath(root);
    }
}
