package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.Test;

/** Pipelined requests: answers in order, reads behind their own writes, events before data. */
class OrderTest extends ServerTest {

    private static final int COUNT = 2_000;

    @Test
    void pipelinedRequestsAreAnsweredInTheirOrder() throws Exception {
        List<Integer> answered = new ArrayList<>();
        CompletableFuture<Integer> done = new CompletableFuture<>();
        for (int number = 0; number < COUNT; number++) {
            int mine = number;
            if (number % 2 == 0) {
                zk.setData(root, bytes("" + number), -1, (code, path, context, stat) ->
                    answered.add(code == 0 ? mine : code), null);
            } else {
                zk.getData(root, false, (code, path, context, data, stat) -> {
                    // Only this session writes, so a read shows the write before it exactly.
                    answered.add(Integer.parseInt(new String(data)) + 1);
                    if (mine == COUNT - 1) {
                        done.complete(mine);
                    }
                }, null);
            }
        }
        done.get(50, TimeUnit.SECONDS);
        for (int number = 0; number < COUNT; number++) {
            assertEquals(number, answered.get(number));
        }
    }

    @Test
    void failedWritesKeepTheirPlace() throws Exception {
        List<String> answered = new ArrayList<>();
        CompletableFuture<Void> done = new CompletableFuture<>();
        for (int number = 0; number < 200; number++) {
            zk.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (code, path, context, name) -> answered.add("create " + code), null);
            zk.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (code, path, context, name) -> answered.add("again " + code), null);
            zk.exists(root + "/a", false,
                (code, path, context, stat) -> answered.add("exists " + code), null);
            zk.delete(root + "/a", -1,
                (code, path, context) -> answered.add("delete " + code), null);
            zk.exists(root + "/a", false,
                (code, path, context, stat) -> answered.add("gone " + code), null);
        }
        zk.sync(root, (code, path, context) -> done.complete(null), null);
        done.get(50, TimeUnit.SECONDS);
        List<String> once =
            List.of("create 0", "again -110", "exists 0", "delete 0", "gone -101");
        for (int number = 0; number < answered.size(); number++) {
            assertEquals(once.get(number % once.size()), answered.get(number), "at " + number);
        }
        assertEquals(1_000, answered.size());
    }

    @Test
    void eventComesBeforeTheDataThatCausedIt() throws Exception {
        try (Session other = Session.open()) {
            AtomicReference<String> wrong = new AtomicReference<>();
            int[] events = {0};
            other.zk.addWatch(root, event -> events[0]++, AddWatchMode.PERSISTENT);
            CompletableFuture<Void> done = new CompletableFuture<>();
            readUntil(other.zk, events, wrong, done, 300);
            for (int number = 1; number <= 300; number++) {
                zk.setData(root, bytes("" + number), -1);
            }
            done.get(50, TimeUnit.SECONDS);
            assertNull(wrong.get());
        }
    }

    /** Reads again and again; the callback runs on the thread that has delivered the events. */
    private void readUntil(ZooKeeper reader, int[] events, AtomicReference<String> wrong,
                           CompletableFuture<Void> done, int last) {
        reader.getData(root, false, (code, path, context, data, stat) -> {
            if (stat.getVersion() > events[0]) {
                wrong.set("saw version " + stat.getVersion() + " after " + events[0] + " events");
            }
            if (stat.getVersion() >= last || wrong.get() != null) {
                done.complete(null);
            } else {
                readUntil(reader, events, wrong, done, last);
            }
        }, null);
    }

    @Test
    void zxidsThatOneSessionSeesNeverFall() throws Exception {
        try (Session other = Session.open()) {
            long last = 0;
            for (int number = 0; number < 300; number++) {
                ZooKeeper writer = number % 2 == 0 ? zk : other.zk;
                long zxid = writer.setData(root, bytes("" + number), number).getMzxid();
                assertEquals(true, zxid > last);
                last = zxid;
            }
        }
    }

    @Test
    void concurrentCreatesOfOneNameHaveOneWinner() throws Exception {
        int sessions = 8;
        List<Session> all = new ArrayList<>();
        try {
            for (int number = 0; number < sessions; number++) {
                all.add(Session.open());
            }
            for (int round = 0; round < 25; round++) {
                assertEquals(1, winners(all, root + "/" + round));
            }
        } finally {
            for (Session each : all) {
                each.close();
            }
        }
    }

    private static int winners(List<Session> sessions, String path) throws Exception {
        List<CompletableFuture<Integer>> answers = new ArrayList<>();
        for (Session each : sessions) {
            CompletableFuture<Integer> answer = new CompletableFuture<>();
            answers.add(answer);
            each.zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (code, where, context, name) -> answer.complete(code), null);
        }
        int winners = 0;
        for (CompletableFuture<Integer> answer : answers) {
            int code = answer.get(15, TimeUnit.SECONDS);
            assertEquals(true, code == 0 || code == -110, "code " + code);
            winners += code == 0 ? 1 : 0;
        }
        return winners;
    }
}
