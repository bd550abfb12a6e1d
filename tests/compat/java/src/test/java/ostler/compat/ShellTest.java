package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.regex.Pattern;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** zkCli: each command against the server, and what it prints. */
class ShellTest extends ServerTest {

    private Shell shell;

    @BeforeEach
    void openShell() throws Exception {
        shell = new Shell();
    }

    @AfterEach
    void closeShell() throws Exception {
        shell.close();
    }

    private String out(String line) throws Exception {
        return shell.run(line).out();
    }

    private String err(String line) throws Exception {
        return shell.run(line).err();
    }

    private static void assertLine(String text, String pattern) {
        assertTrue(Pattern.compile("^" + pattern + "$", Pattern.MULTILINE).matcher(text).find(),
            () -> "no line " + pattern + " in\n" + text);
    }

    @Test
    void createNamesWhatItMade() throws Exception {
        assertEquals("Created " + root + "/a\n", err("create " + root + "/a data"));
        assertEquals("data", text(root + "/a"));
        assertEquals("Created " + root + "/s-0000000001\n", err("create -s " + root + "/s- x"));
        assertEquals("Created " + root + "/e\n", err("create -e " + root + "/e x"));
        assertTrue(zk.exists(root + "/e", false).getEphemeralOwner() != 0);
        assertEquals("Created " + root + "/c\n", err("create -c " + root + "/c"));
        assertEquals("Created " + root + "/t\n", err("create -t 60000 " + root + "/t x"));
        assertEquals("Created " + root + "/acl\n",
            err("create " + root + "/acl x world:anyone:r"));
        assertEquals("Node already exists: " + root + "/a\n", err("create " + root + "/a x"));
        assertEquals("Node does not exist: " + root + "/no/a\n", err("create " + root + "/no/a"));
        assertEquals("Ephemerals cannot have children: " + root + "/e/x\n",
            err("create " + root + "/e/x"));
    }

    @Test
    void getPrintsDataAndStat() throws Exception {
        create(root + "/a", "hello", CreateMode.PERSISTENT);
        assertEquals("hello\n", out("get " + root + "/a"));
        String printed = out("get -s " + root + "/a");
        Stat stat = zk.exists(root + "/a", false);
        assertTrue(printed.startsWith("hello\n"), printed);
        assertStat(printed, stat);
        assertStat(out("stat " + root + "/a"), stat);
        assertEquals("aGVsbG8=\n", out("get -b " + root + "/a"));
        assertEquals("Node does not exist: " + root + "/b\n", err("get " + root + "/b"));
        zk.setData(root + "/a", null, -1);
        assertEquals("null\n", out("get " + root + "/a"));
    }

    private static void assertStat(String printed, Stat stat) {
        for (String line : List.of(
                "cZxid = 0x" + Long.toHexString(stat.getCzxid()), "ctime = .+",
                "mZxid = 0x" + Long.toHexString(stat.getMzxid()), "mtime = .+",
                "pZxid = 0x" + Long.toHexString(stat.getPzxid()),
                "cversion = " + stat.getCversion(), "dataVersion = " + stat.getVersion(),
                "aclVersion = " + stat.getAversion(),
                "ephemeralOwner = 0x" + Long.toHexString(stat.getEphemeralOwner()),
                "dataLength = " + stat.getDataLength(),
                "numChildren = " + stat.getNumChildren())) {
            assertLine(printed, line);
        }
    }

    @Test
    void lsListsSortedAndRecursively() throws Exception {
        for (String name : List.of("/b", "/a", "/a/deep", "/c")) {
            create(root + name);
        }
        assertEquals("[a, b, c]\n", out("ls " + root));
        assertEquals(String.join("\n", root, root + "/a", root + "/b", root + "/c",
            root + "/a/deep") + "\n", out("ls -R " + root));
        String withStat = out("ls -s " + root);
        assertTrue(withStat.startsWith("[a, b, c]"), withStat);
        assertLine(withStat, "numChildren = 3");
        assertEquals("4\n", out("getAllChildrenNumber " + root));
        assertEquals("Node does not exist: " + root + "/x\n", err("ls " + root + "/x"));
    }

    @Test
    void setChangesDataAndChecksVersion() throws Exception {
        assertEquals("", out("set " + root + " one"));
        assertEquals("one", text(root));
        assertLine(out("set -s " + root + " two"), "dataVersion = 2");
        assertEquals("version No is not valid : " + root + "\n", err("set -v 1 " + root + " x"));
        assertEquals("", err("set -v 2 " + root + " three"));
        assertEquals("three", text(root));
        assertEquals("", err("set -b " + root + " aGVsbG8="));
        assertEquals("hello", text(root));
    }

    @Test
    void deleteAndDeleteall() throws Exception {
        for (String name : List.of("/a", "/a/b", "/a/b/c", "/d", "/e")) {
            create(root + name);
        }
        assertEquals("Node not empty: " + root + "/a\n", err("delete " + root + "/a"));
        assertEquals("version No is not valid : " + root + "/d\n",
            err("delete -v 7 " + root + "/d"));
        assertEquals("", err("delete -v 0 " + root + "/d"));
        assertEquals("", err("deleteall " + root + "/a"));
        assertEquals("", err("deleteall -b 1 " + root + "/e"));
        assertEquals(List.of(), zk.getChildren(root, false));
        assertEquals("Node does not exist: " + root + "/a\n", err("delete " + root + "/a"));
    }

    @Test
    void aclsAreShownAndSet() throws Exception {
        create(root + "/a");
        assertEquals("'world,'anyone\n: cdrwa\n", out("getAcl " + root));
        assertEquals("", err("setAcl " + root + " world:anyone:cdra"));
        assertEquals("'world,'anyone\n: cdra\n", out("getAcl " + root));
        assertLine(out("getAcl -s " + root), "aclVersion = 1");
        assertEquals("Insufficient permission : " + root + "\n", err("set " + root + " x"));
        assertEquals("", err("setAcl -R " + root + " world:anyone:cdrwa"));
        assertEquals(1, zk.exists(root + "/a", false).getAversion());
        assertEquals("version No is not valid : " + root + "\n",
            err("setAcl -v 1 " + root + " world:anyone:r"));
        assertEquals("Acl is not valid : " + root + "\n",
            err("setAcl " + root + " digest:nocolon:r"));
    }

    @Test
    void addauthGivesRightsAndWhoamiShowsThem() throws Exception {
        assertEquals("Auth scheme: User\nip: 127.0.0.1\n", out("whoami"));
        assertEquals("", err("addauth digest hal:nine"));
        assertLine(out("whoami"), "digest: hal");
        assertEquals("Created " + root + "/mine\n", err("create " + root + "/mine x auth::cdrwa"));
        assertLine(out("getAcl " + root + "/mine"), "'digest,'hal:.+");
        assertFails(org.apache.zookeeper.KeeperException.Code.NOAUTH,
            () -> zk.getData(root + "/mine", false, null));
    }

    @Test
    void quotasAreSetListedAndDeleted() throws Exception {
        assertEquals("", err("setquota -n 5 " + root));
        assertEquals("", err("setquota -b 100 " + root));
        create(root + "/a", "12345", CreateMode.PERSISTENT);
        String listed = out("listquota " + root);
        assertLine(err("listquota " + root),
            "absolute path is /zookeeper/quota" + root + "/zookeeper_limits");
        assertLine(listed, "Output quota for " + root + " count=5,bytes=100.*");
        assertLine(listed, "Output stat for " + root + " count=2,bytes=5.*");
        assertEquals("", err("setquota -N 2 " + root));
        assertEquals("Quota has exceeded : " + root + "/b\n", err("create " + root + "/b"));
        for (String which : List.of("-n", "-b", "-N")) {
            assertEquals("", err("delquota " + which + " " + root));
        }
        assertEquals("Created " + root + "/b\n", err("create " + root + "/b"));
        // Limits of -1 stay behind; the whole quota goes by a delquota without options.
        shell.run("delquota " + root);
        assertNull(zk.exists("/zookeeper/quota" + root + "/zookeeper_limits", false));
    }

    @Test
    void watchesPrintTheirEvents() throws Exception {
        shell.run("addWatch " + root);
        create(root + "/a");
        shell.awaitPrinted("WatchedEvent state:SyncConnected type:NodeCreated path:" + root + "/a");
        shell.run("get -w " + root + "/a");
        zk.setData(root + "/a", bytes("x"), -1);
        shell.awaitPrinted("type:NodeDataChanged path:" + root + "/a");
        shell.run("ls -w " + root + "/a");
        create(root + "/a/b");
        shell.awaitPrinted("type:NodeChildrenChanged path:" + root + "/a");
        shell.run("stat -w " + root + "/a/b");
        zk.delete(root + "/a/b", -1);
        shell.awaitPrinted("type:NodeDeleted path:" + root + "/a/b");
        shell.run("addWatch -m PERSISTENT " + root);
        create(root + "/c");
        shell.awaitPrinted("type:NodeChildrenChanged path:" + root);
        shell.run("removewatches " + root);
        shell.awaitPrinted("WatchRemoved path:" + root);
    }

    @Test
    void ephemeralsSyncConfigAndVersion() throws Exception {
        shell.run("create -e " + root + "/e x");
        assertTrue(out("getEphemerals " + root).contains("[" + root + "/e]"));
        assertTrue(out("getEphemerals").contains(root + "/e"));
        assertEquals("Sync is OK\n", out("sync " + root));
        assertEquals("\n", out("config"));
        assertLine(out("version"), "ZooKeeper CLI version: "
            + Pattern.quote(System.getProperty("zookeeper.version")) + ".*");
        assertTrue(err("reconfig -remove 5").contains("Reconfig"));
    }

    @Test
    void commandsOnTheLineRunOnceAndExit() throws Exception {
        Shell.Printed created = Shell.once("create", root + "/once", "data");
        assertEquals(0, created.code());
        assertTrue(created.err().contains("Created " + root + "/once"), created.err());
        assertNotNull(zk.exists(root + "/once", false));
        Shell.Printed read = Shell.once("get", "-s", root + "/once");
        assertEquals(0, read.code());
        assertLine(read.out(), "data");
        assertLine(read.out(), "dataLength = 4");
        assertLine(Shell.once("ls", root).out(), "\\[once\\]");
    }

    @Test
    void failuresOnTheLineHaveTheirExitCodes() throws Exception {
        Shell.Printed missing = Shell.once("get", root + "/missing");
        assertEquals(1, missing.code());
        assertTrue(missing.err().contains("Node does not exist: " + root + "/missing"));
        assertEquals(127, Shell.once("nosuchcommand").code());
    }
}
