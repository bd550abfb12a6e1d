package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.junit.jupiter.api.Test;

/** Curator's locks, semaphores and barriers between clients with sessions of their own. */
class CuratorLockTest extends CuratorTest {

    @Test
    void mutexLetsOneInAtATime() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger done = new AtomicInteger();
        List<Future<Void>> workers = new ArrayList<>();
        for (int number = 0; number < 5; number++) {
            InterProcessMutex mutex = new InterProcessMutex(client(), root + "/lock");
            workers.add(start(() -> {
                for (int times = 0; times < 10; times++) {
                    mutex.acquire();
                    assertEquals(1, inside.incrementAndGet());
                    inside.decrementAndGet();
                    done.incrementAndGet();
                    mutex.release();
                }
                return null;
            }));
        }
        for (Future<Void> worker : workers) {
            result(worker);
        }
        assertEquals(50, done.get());
    }

    @Test
    void mutexIsReentrantAndTimesOut() throws Exception {
        InterProcessMutex mine = new InterProcessMutex(client(), root + "/lock");
        InterProcessMutex theirs = new InterProcessMutex(client(), root + "/lock");
        mine.acquire();
        mine.acquire();
        assertFalse(result(start(() -> theirs.acquire(200, TimeUnit.MILLISECONDS))));
        mine.release();
        assertFalse(result(start(() -> theirs.acquire(200, TimeUnit.MILLISECONDS))));
        mine.release();
        assertTrue(result(start(() -> theirs.acquire(WAIT_SECONDS, TimeUnit.SECONDS))));
        assertEquals(1, theirs.getParticipantNodes().size());
    }

    @Test
    void mutexIsFreeWhenItsHolderExpires() throws Exception {
        try (Gate gate = new Gate()) {
            InterProcessMutex held = new InterProcessMutex(client(gate.connect()), root + "/lock");
            held.acquire();
            InterProcessMutex waiting = new InterProcessMutex(client(), root + "/lock");
            gate.shut();
            assertTrue(result(start(() -> waiting.acquire(WAIT_SECONDS, TimeUnit.SECONDS))));
        }
    }

    @Test
    void readersShareAndWritersDoNot() throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(client(), root + "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(client(), root + "/rw");
        one.readLock().acquire();
        assertTrue(result(start(() -> {
            boolean shared = two.readLock().acquire(WAIT_SECONDS, TimeUnit.SECONDS);
            two.readLock().release();
            return shared;
        })));
        assertFalse(result(start(() -> two.writeLock().acquire(200, TimeUnit.MILLISECONDS))));
        one.readLock().release();
        one.writeLock().acquire();
        one.readLock().acquire();
        assertFalse(result(start(() -> two.readLock().acquire(200, TimeUnit.MILLISECONDS))));
        one.readLock().release();
        one.writeLock().release();
        assertTrue(result(start(() -> two.writeLock().acquire(WAIT_SECONDS, TimeUnit.SECONDS))));
    }

    @Test
    void semaphoreGivesOutItsLeasesOnly() throws Exception {
        CuratorFramework client = client();
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, root + "/sem", 2);
        Lease first = semaphore.acquire(WAIT_SECONDS, TimeUnit.SECONDS);
        Lease second = semaphore.acquire(WAIT_SECONDS, TimeUnit.SECONDS);
        assertEquals(null, semaphore.acquire(200, TimeUnit.MILLISECONDS));
        semaphore.returnLease(first);
        Lease third = semaphore.acquire(WAIT_SECONDS, TimeUnit.SECONDS);
        semaphore.returnAll(List.of(second, third));
    }

    @Test
    void manyLocksAreTakenTogetherOrNotAtAll() throws Exception {
        CuratorFramework client = client();
        InterProcessMultiLock both =
            new InterProcessMultiLock(client, List.of(root + "/one", root + "/two"));
        InterProcessSemaphoreMutex two = new InterProcessSemaphoreMutex(client(), root + "/two");
        InterProcessMutex blocker = new InterProcessMutex(client(), root + "/two");
        assertTrue(two.acquire(WAIT_SECONDS, TimeUnit.SECONDS));
        two.release();
        blocker.acquire();
        assertFalse(result(start(() -> both.acquire(300, TimeUnit.MILLISECONDS))));
        blocker.release();
        assertTrue(both.acquire(WAIT_SECONDS, TimeUnit.SECONDS));
        both.release();
    }

    @Test
    void barrierHoldsUntilItIsRemoved() throws Exception {
        DistributedBarrier gatekeeper = new DistributedBarrier(client(), root + "/barrier");
        DistributedBarrier walker = new DistributedBarrier(client(), root + "/barrier");
        gatekeeper.setBarrier();
        assertFalse(result(start(() -> walker.waitOnBarrier(200, TimeUnit.MILLISECONDS))));
        Future<Boolean> waiting = start(() -> walker.waitOnBarrier(WAIT_SECONDS, TimeUnit.SECONDS));
        gatekeeper.removeBarrier();
        assertTrue(result(waiting));
    }

    @Test
    void doubleBarrierGathersEveryoneTwice() throws Exception {
        int members = 4;
        AtomicInteger entered = new AtomicInteger();
        AtomicInteger leaving = new AtomicInteger();
        List<Future<Void>> workers = new ArrayList<>();
        for (int number = 0; number < members; number++) {
            DistributedDoubleBarrier barrier =
                new DistributedDoubleBarrier(client(), root + "/double", members);
            workers.add(start(() -> {
                entered.incrementAndGet();
                assertTrue(barrier.enter(WAIT_SECONDS, TimeUnit.SECONDS));
                assertEquals(members, entered.get());
                leaving.incrementAndGet();
                assertTrue(barrier.leave(WAIT_SECONDS, TimeUnit.SECONDS));
                assertEquals(members, leaving.get());
                return null;
            }));
        }
        for (Future<Void> worker : workers) {
            result(worker);
        }
    }
}
