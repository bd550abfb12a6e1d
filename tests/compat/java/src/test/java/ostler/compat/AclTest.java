package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;
import org.junit.jupiter.api.Test;

/** ACLs of every scheme that needs no TLS and no SASL, each permission, and who one is. */
class AclTest extends ServerTest {

    private static String digest(String credentials) throws Exception {
        return DigestAuthenticationProvider.generateDigest(credentials);
    }

    private static Session openAs(String credentials) throws Exception {
        Session session = Session.open();
        session.zk.addAuthInfo("digest", bytes(credentials));
        return session;
    }

    @Test
    void worldAclIsTheDefaultThatWasGiven() throws Exception {
        Stat stat = new Stat();
        assertEquals(Ids.OPEN_ACL_UNSAFE, zk.getACL(root, stat));
        assertEquals(0, stat.getAversion());
        Stat set = zk.setACL(root, Ids.READ_ACL_UNSAFE, 0);
        assertEquals(1, set.getAversion());
        assertEquals(0, set.getVersion());
        assertEquals(set.getCzxid(), set.getMzxid());
        assertEquals(Ids.READ_ACL_UNSAFE, zk.getACL(root, new Stat()));
        assertFails(Code.NOAUTH, root, () -> zk.setACL(root, Ids.OPEN_ACL_UNSAFE, -1));
        asSuper(client -> client.setACL(root, Ids.OPEN_ACL_UNSAFE, 1));
        assertFails(Code.BADVERSION, root, () -> zk.setACL(root, Ids.OPEN_ACL_UNSAFE, 1));
    }

    @Test
    void digestOpensOnlyToItsCredentials() throws Exception {
        String path = root + "/digest";
        zk.create(path, bytes("secret"), acl(Perms.ALL, "digest", digest("ada:lovelace")),
            CreateMode.PERSISTENT);
        assertFails(Code.NOAUTH, path, () -> zk.getData(path, false, null));
        assertFails(Code.NOAUTH, path, () -> zk.exists(path, false));
        assertFails(Code.NOAUTH, path, () -> zk.getACL(path, new Stat()));
        try (Session wrong = openAs("ada:wrong")) {
            assertFails(Code.NOAUTH, path, () -> wrong.zk.getData(path, false, null));
        }
        try (Session ada = openAs("ada:lovelace")) {
            assertEquals("secret", new String(ada.zk.getData(path, false, null)));
            assertEquals(acl(Perms.ALL, "digest", digest("ada:lovelace")),
                ada.zk.getACL(path, new Stat()));
        }
    }

    @Test
    void authSchemeStandsForTheCreator() throws Exception {
        String path = root + "/auth";
        assertFails(Code.INVALIDACL, path,
            () -> zk.create(path, null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        zk.addAuthInfo("digest", bytes("bob:builder"));
        zk.addAuthInfo("digest", bytes("carol:singer"));
        zk.create(path, null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> expected = new ArrayList<>();
        expected.addAll(acl(Perms.ALL, "digest", digest("bob:builder")));
        expected.addAll(acl(Perms.ALL, "digest", digest("carol:singer")));
        List<ACL> actual = zk.getACL(path, new Stat());
        assertEquals(2, actual.size());
        assertTrue(actual.containsAll(expected), actual.toString());
    }

    @Test
    void digestIsMaskedForWhoMayOnlyRead() throws Exception {
        String path = root + "/masked";
        List<ACL> acl = new ArrayList<>(acl(Perms.ALL, "digest", digest("dan:diver")));
        acl.addAll(Ids.READ_ACL_UNSAFE);
        zk.create(path, null, acl, CreateMode.PERSISTENT);
        List<ACL> shown = zk.getACL(path, new Stat());
        assertEquals(new Id("digest", "dan:x"), shown.get(0).getId());
        assertEquals(Ids.READ_ACL_UNSAFE.get(0), shown.get(1));
        try (Session dan = openAs("dan:diver")) {
            assertEquals(acl, dan.zk.getACL(path, new Stat()));
        }
    }

    @Test
    void ipSchemeTakesAddressesAndNetworks() throws Exception {
        String path = root + "/ip";
        zk.create(path, null, acl(Perms.ALL, "ip", "127.0.0.1"), CreateMode.PERSISTENT);
        zk.setData(path, bytes("here"), -1);
        zk.setACL(path, acl(Perms.ALL, "ip", "127.0.0.0/8"), -1);
        assertEquals("here", text(path));
        zk.setACL(path, acl(Perms.ALL, "ip", "10.1.2.3"), -1);
        assertFails(Code.NOAUTH, path, () -> zk.getData(path, false, null));
    }

    @Test
    void permissionsAreCheckedOneByOne() throws Exception {
        String path = root + "/perms";
        create(path);
        create(path + "/child");
        zk.setACL(path, acl(Perms.READ | Perms.ADMIN, "world", "anyone"), -1);
        zk.getData(path, false, null);
        zk.getChildren(path, false);
        assertEquals(1, zk.getAllChildrenNumber(path));
        assertFails(Code.NOAUTH, path, () -> zk.setData(path, null, -1));
        assertFails(Code.NOAUTH, () -> create(path + "/new"));
        assertFails(Code.NOAUTH, () -> zk.delete(path + "/child", -1));
        zk.setACL(path, acl(Perms.WRITE | Perms.ADMIN, "world", "anyone"), -1);
        zk.setData(path, bytes("w"), -1);
        assertFails(Code.NOAUTH, path, () -> zk.getData(path, false, null));
        assertFails(Code.NOAUTH, path, () -> zk.getChildren(path, false));
        zk.setACL(path, acl(Perms.CREATE | Perms.ADMIN, "world", "anyone"), -1);
        create(path + "/new");
        assertFails(Code.NOAUTH, () -> zk.delete(path + "/new", -1));
        zk.setACL(path, acl(Perms.DELETE | Perms.ADMIN, "world", "anyone"), -1);
        zk.delete(path + "/new", -1);
        zk.delete(path + "/child", -1);
        assertEquals(1, zk.getACL(path, new Stat()).size());
        // The parent decides about a delete, not the znode itself.
        zk.delete(path, -1);
    }

    @Test
    void badAclsAreRefused() throws Exception {
        String path = root + "/bad";
        List<List<ACL>> bad = List.of(
            acl(Perms.ALL, "world", "someone"), acl(Perms.ALL, "digest", "nocolon"),
            acl(Perms.ALL, "ip", "300.1.1.1"), acl(Perms.ALL, "ip", "10.0.0.0/33"),
            acl(Perms.ALL, "nosuchscheme", "x"));
        for (List<ACL> acl : bad) {
            assertFails(Code.INVALIDACL, path,
                () -> zk.create(path, null, acl, CreateMode.PERSISTENT));
            assertFails(Code.INVALIDACL, root, () -> zk.setACL(root, acl, -1));
        }
    }

    @Test
    void superUserPassesEveryAcl() throws Exception {
        String path = root + "/closed";
        zk.create(path, bytes("x"), acl(0, "world", "anyone"), CreateMode.PERSISTENT);
        assertFails(Code.NOAUTH, path, () -> zk.getData(path, false, null));
        asSuper(client -> {
            assertEquals("x", new String(client.getData(path, false, null)));
            client.setACL(path, Ids.OPEN_ACL_UNSAFE, -1);
        });
        assertEquals("x", text(path));
    }

    @Test
    void whoAmITellsAddressAndNames() throws Exception {
        assertEquals(List.of(new ClientInfo("ip", "127.0.0.1")), zk.whoAmI());
        zk.addAuthInfo("digest", bytes("eve:adam"));
        List<ClientInfo> both = zk.whoAmI();
        assertTrue(both.contains(new ClientInfo("digest", "eve")), both.toString());
        assertEquals(2, both.size());
    }

    @Test
    void unknownSchemeEndsInAuthFailed() throws Exception {
        try (Session failing = Session.open()) {
            failing.zk.addAuthInfo("nosuchscheme", bytes("x"));
            failing.await(KeeperState.AuthFailed);
            assertThrows(KeeperException.AuthFailedException.class,
                () -> failing.zk.exists("/", false));
        }
    }

    @Test
    void authIsGivenAgainAfterAReconnect() throws Exception {
        String path = root + "/mine";
        try (Gate gate = new Gate(); Session fay = Session.open(gate.connect(), 10_000)) {
            fay.zk.addAuthInfo("digest", bytes("fay:wray"));
            fay.zk.create(path, bytes("kept"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            gate.shut();
            fay.await(KeeperState.Disconnected);
            gate.reopen();
            fay.await(KeeperState.SyncConnected);
            assertEquals("kept", new String(fay.zk.getData(path, false, null)));
        }
        assertFails(Code.NOAUTH, path, () -> zk.getData(path, false, null));
    }

    private static void asSuper(Act act) throws Exception {
        try (Session session = Session.openSuper()) {
            act.with(session.zk);
        }
    }
}
