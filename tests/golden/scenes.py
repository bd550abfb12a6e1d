"""The scenes of the golden capture: which requests are made of which server.

What lives here: each operation, each error and each event once. The connections and the record
are in recorder.py, the servers in capture.py.
"""

import struct

import encode as e
from recorder import Link

QUOTA_LIMIT = b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3"


def new_session(record, port, name, **options):
    link = Link(port)
    return link, record.connect(name, link, e.connect(**options))


def handshakes(record, port):
    """Connect requests of every form; returns a live connection."""
    link, (session, password) = new_session(record, port, "connect: new session")
    old, _ = new_session(record, port, "connect: client without the read-only flag",
                         read_only=None)
    record.call("closeSession", old, e.CLOSE_SESSION)
    record.closed(old)
    first, ids = new_session(record, port, "connect: shortest timeout", timeout_ms=1)
    again = Link(port)
    record.connect("connect: reconnect to a live session", again,
                   e.connect(session=ids[0], password=ids[1], read_only=True))
    record.closed(first)
    record.call("ping", again, e.PING, xid=-2)
    record.call("closeSession: the session's last request", again, e.CLOSE_SESSION)
    again.close()
    wrong = Link(port)
    record.connect("connect: session expired", wrong, e.connect(session=ids[0], password=ids[1]))
    record.closed(wrong)
    wrong = Link(port)
    record.connect("connect: wrong password", wrong,
                   e.connect(session=session, password=b"x" * 16))
    record.closed(wrong)
    ahead = Link(port)
    record.connect("connect: client has seen a later zxid", ahead, e.connect(last_zxid=2**40))
    # The refused attempts took the session's connection away: come back for the rest.
    link.close()
    link = Link(port)
    record.connect("connect: back to the first session", link,
                   e.connect(session=session, password=password, timeout_ms=10**6))
    return link


def creates(record, link):
    """Every way to create, and what create refuses."""
    call = record.call
    call("create", link, e.CREATE, e.create("/a", b"one"))
    call("create: ephemeral", link, e.CREATE, e.create("/e", b"", flags=1))
    call("create: sequential", link, e.CREATE, e.create("/a/s-", None, flags=2))
    call("create: ephemeral sequential", link, e.CREATE, e.create("/a/", b"x", flags=3))
    call("create2", link, e.CREATE2, e.create("/b", b"two"))
    call("create2: null data", link, e.CREATE2, e.create("/null", None))
    call("createContainer", link, e.CREATE_CONTAINER, e.create("/c", b"", flags=4))
    call("createTTL", link, e.CREATE_TTL, e.create_ttl("/t", b"", flags=5, ttl=10**10))
    call("createTTL: sequential", link, e.CREATE_TTL,
         e.create_ttl("/a/t", b"", flags=6, ttl=(1 << 40) - 1))
    call("create: two acl entries", link, e.CREATE, e.create(
        "/acl", b"", [(e.READ | e.ADMIN, "world", "anyone"), (e.ALL, "ip", "127.0.0.1/8")]))
    call("create: name beyond ascii", link, e.CREATE,
         e.create("/z\u00fcrich-\u4e2d", "\u00e9".encode()))
    call("create: -110 node exists", link, e.CREATE, e.create("/a"))
    call("create: -101 no parent", link, e.CREATE, e.create("/nope/x"))
    call("create: -108 parent is ephemeral", link, e.CREATE, e.create("/e/x"))
    call("create: -8 bad path", link, e.CREATE, e.create("/a/.."))
    call("create: -8 no leading slash", link, e.CREATE, e.create("abc"))
    call("create: -101 an empty component", link, e.CREATE, e.create("/a//b"))
    call("create: -8 bad flags", link, e.CREATE, e.create("/f", flags=7))
    call("create: -114 empty acl", link, e.CREATE, e.create("/f", acl=[]))
    call("create: -114 null acl", link, e.CREATE, e.create("/f", acl=None))
    call("create: -5 null path", link, e.CREATE, e.create(None))


def reads_and_writes(record, link):
    """Reads, writes and their errors."""
    call = record.call
    call("exists", link, e.EXISTS, e.path_watch("/a"))
    call("exists: -101 no node", link, e.EXISTS, e.path_watch("/nope"))
    call("getData", link, e.GET_DATA, e.path_watch("/a"))
    call("getData: null data", link, e.GET_DATA, e.path_watch("/null"))
    call("getData: empty data", link, e.GET_DATA, e.path_watch("/t"))
    call("getData: -101 no node", link, e.GET_DATA, e.path_watch("/nope"))
    call("getChildren", link, e.GET_CHILDREN, e.path_watch("/a"))
    call("getChildren: none", link, e.GET_CHILDREN, e.path_watch("/b"))
    call("getChildren2", link, e.GET_CHILDREN2, e.path_watch("/a"))
    call("getAllChildrenNumber", link, e.GET_ALL_CHILDREN_NUMBER, e.path_only("/a"))
    call("getEphemerals", link, e.GET_EPHEMERALS, e.path_only("/"))
    call("sync", link, e.SYNC, e.path_only("/a"))
    call("whoAmI", link, e.WHO_AM_I)
    call("setData", link, e.SET_DATA, e.set_data("/a", b"second", 0))
    call("setData: null data", link, e.SET_DATA, e.set_data("/null", None))
    call("setData: -103 bad version", link, e.SET_DATA, e.set_data("/a", b"x", 7))
    call("setData: -101 no node", link, e.SET_DATA, e.set_data("/nope", b"x"))
    call("delete", link, e.DELETE, e.path_int("/b", 0))
    call("delete: -101 no node", link, e.DELETE, e.path_int("/b", -1))
    call("delete: -103 bad version", link, e.DELETE, e.path_int("/t", 3))
    call("delete: -111 has children", link, e.DELETE, e.path_int("/a", -1))
    call("delete: -8 the root", link, e.DELETE, e.path_int("/", -1))
    call("getACL", link, e.GET_ACL, e.path_only("/acl"))
    call("getACL: -101 no node", link, e.GET_ACL, e.path_only("/nope"))
    call("setACL", link, e.SET_ACL, e.set_acl("/acl", e.OPEN, 0))
    call("setACL: -103 bad version", link, e.SET_ACL, e.set_acl("/acl", e.OPEN, 9))
    call("setACL: -114 unknown scheme", link, e.SET_ACL,
         e.set_acl("/acl", [(31, "nobody", "knows")]))
    call("getData: /zookeeper/config", link, e.GET_DATA, e.path_watch("/zookeeper/config"))
    call("reconfig: -123 disabled", link, e.RECONFIG, e.reconfig(leaving="3"))
    call("sasl: server without a login section", link, e.SASL, e.buffer(b""))


def multis(record, link):
    """multi and multiRead, whole and failing."""
    call = record.call
    call("multi: every kind of operation", link, e.MULTI, e.multi([
        (e.CREATE, e.create("/m", b"1")), (e.CREATE2, e.create("/m/x", None)),
        (e.CREATE, e.create("/m/seq-", b"", flags=2)),
        (e.CREATE_CONTAINER, e.create("/m/c", b"", flags=4)),
        (e.CREATE_TTL, e.create_ttl("/m/t", b"")),
        (e.CHECK, e.path_int("/m", 0)), (e.SET_DATA, e.set_data("/m", b"2", 0)),
        (e.DELETE, e.path_int("/m/x", 0))]))
    call("multi: empty", link, e.MULTI, e.multi([]))
    call("multi: -101 and -2 behind it", link, e.MULTI, e.multi([
        (e.CREATE, e.create("/m/y")), (e.DELETE, e.path_int("/nope", -1)),
        (e.SET_DATA, e.set_data("/m", b"3"))]))
    call("multi: -103 from a check", link, e.MULTI, e.multi([(e.CHECK, e.path_int("/m", 0))]))
    call("multiRead", link, e.MULTI_READ, e.multi([
        (e.GET_DATA, e.path_watch("/m")), (e.GET_CHILDREN, e.path_watch("/m")),
        (e.GET_DATA, e.path_watch("/nope"))]))
    call("multiRead: empty", link, e.MULTI_READ, e.multi([]))
    record.raw("malformed multi: -5 an operation that is not allowed", link, "multi",
               e.request(900, e.MULTI, e.multi([(e.EXISTS, e.path_watch("/m"))])))
    record.raw("malformed multi: -5 reads and writes mixed", link, "multi",
               e.request(901, e.MULTI, e.multi([(e.CREATE, e.create("/m/z")),
                                                (e.GET_DATA, e.path_watch("/m"))])))


def permissions(record, port, link):
    """auth, digest permissions, masking, the super user."""
    call = record.call
    call("auth: digest", link, e.AUTH, e.auth("digest", b"ann:secret"), xid=-4)
    call("whoAmI: with a digest id", link, e.WHO_AM_I)
    call("create: acl by auth", link, e.CREATE, e.create("/mine", b"m", [
        (e.ALL, "auth", ""), (e.READ, "world", "anyone")]))
    call("getACL: own digest", link, e.GET_ACL, e.path_only("/mine"))
    call("create: nobody may do anything", link, e.CREATE,
         e.create("/shut", b"", [(e.ALL, "digest", "bob:aGFzaA==")]))
    other, _ = new_session(record, port, "connect: a second client")
    call("getACL: digest masked", other, e.GET_ACL, e.path_only("/mine"))
    call("setData: -102 no permission", other, e.SET_DATA, e.set_data("/mine", b"x"))
    call("getData: -102 no permission", other, e.GET_DATA, e.path_watch("/shut"))
    call("create: -114 auth without ids", other, e.CREATE,
         e.create("/f", acl=[(31, "auth", "")]))
    call("auth: digest of the super user", other, e.AUTH, e.auth("digest", b"super:super"), xid=-4)
    call("whoAmI: super user", other, e.WHO_AM_I)
    call("getData: super user", other, e.GET_DATA, e.path_watch("/shut"))
    call("auth: -115 unknown scheme", other, e.AUTH, e.auth("nobody", b""), xid=-4)
    record.closed(other)


def watches(record, port, link):
    """Every kind of watch, every event, and the operations on watches."""
    call = record.call
    watcher, _ = new_session(record, port, "connect: a watching client")
    call("exists: watch on a missing node", watcher, e.EXISTS, e.path_watch("/w", True))
    call("event NodeCreated", link, e.CREATE, e.create("/w", b""), events=[watcher])
    call("getData: with watch", watcher, e.GET_DATA, e.path_watch("/w", True))
    call("event NodeDataChanged", link, e.SET_DATA, e.set_data("/w", b"1"), events=[watcher])
    call("getChildren: with watch", watcher, e.GET_CHILDREN, e.path_watch("/w", True))
    call("event NodeChildrenChanged", link, e.CREATE, e.create("/w/x"), events=[watcher])
    call("getChildren2: with watch", watcher, e.GET_CHILDREN2, e.path_watch("/w/x", True))
    call("event NodeDeleted", link, e.DELETE, e.path_int("/w/x", -1), events=[watcher])
    call("exists: with watch, then set by the same client", watcher, e.EXISTS,
         e.path_watch("/w", True))
    call("event before the reply of its own cause", watcher, e.SET_DATA, e.set_data("/w", b"2"))
    call("addWatch: persistent", watcher, e.ADD_WATCH, e.path_int("/w", 0))
    call("addWatch: persistent recursive", watcher, e.ADD_WATCH, e.path_int("/w", 1))
    call("event to a recursive watch", link, e.CREATE, e.create("/w/deep"),
         events=[watcher, watcher])
    call("addWatch: -5 unknown mode", watcher, e.ADD_WATCH, e.path_int("/w", 2))
    call("checkWatches", watcher, e.CHECK_WATCHES, e.path_int("/w", 4))
    call("checkWatches: -121 none", watcher, e.CHECK_WATCHES, e.path_int("/w/deep", 1))
    call("removeWatches: persistent recursive", watcher, e.REMOVE_WATCHES, e.path_int("/w", 5))
    call("removeWatches: any", watcher, e.REMOVE_WATCHES, e.path_int("/w", 3))
    call("removeWatches: -121 none", watcher, e.REMOVE_WATCHES, e.path_int("/w", 2))
    call("checkWatches: -5 unknown type", watcher, e.CHECK_WATCHES, e.path_int("/w", 9))
    call("setWatches: catching up", watcher, e.SET_WATCHES, e.set_watches(
        0, ["/w", "/gone"], ["/w/deep", "/absent"], ["/w", "/gone/too"]), xid=-8)
    call("setWatches2: nothing missed", watcher, e.SET_WATCHES2, e.set_watches(
        1 << 40, ["/w"], ["/absent"], ["/w"], ["/w/deep"], ["/"]), xid=-8)
    call("setWatches2: -5 null lists", watcher, e.SET_WATCHES2,
         e.set_watches(0, None, None, None, None, None), xid=-8)
    watcher.close()


def quotas(record, link):
    call = record.call
    call("create: a node for quotas", link, e.CREATE, e.create("/q"))
    call("create: /zookeeper/quota/q", link, e.CREATE, e.create("/zookeeper/quota/q"))
    call("create: quota limits", link, e.CREATE,
         e.create("/zookeeper/quota/q/zookeeper_limits", QUOTA_LIMIT))
    call("create: quota counters", link, e.CREATE,
         e.create("/zookeeper/quota/q/zookeeper_stats", b"count=0,bytes=0"))
    call("create: -125 bytes over quota", link, e.CREATE, e.create("/q/x", b"eleven byte"))
    call("setData: -125 bytes over quota", link, e.SET_DATA, e.set_data("/q", b"eleven byte"))
    call("getData: quota counters", link, e.GET_DATA,
         e.path_watch("/zookeeper/quota/q/zookeeper_stats"))


def refusals(record, port):
    """What ends in -6 or a close: one connection each."""
    for name, op, body in [
            ("unknown op: -6 and close", 999, b""),
            ("check alone: -6 and close", e.CHECK, e.path_int("/a", -1)),
            ("notification as a request: -6 and close", e.NOTIFICATION, b""),
            ("error as a request: -6 and close", e.ERROR, b"")]:
        link = Link(port)
        link.send(e.connect())
        link.frame()
        record.call(name, link, op, body)
        record.closed(link)
    link = Link(port)
    link.send(e.connect())
    link.frame()
    body = e.create("/short", b"data")
    record.raw("malformed create: -5 the record is cut short", link, "create",
               e.request(1, e.CREATE, body[:-2]))
    record.raw("malformed getData: -5 a length that lies", link, "getData",
               e.request(2, e.GET_DATA, b"\x00\x00\x00\x7f/a"))
    record.raw("malformed setData: -5 a negative length", link, "setData",
               e.request(3, e.SET_DATA, e.string("/a") + b"\xff\xff\xff\x00"))
    record.raw("exists: bytes behind the record are ignored", link, "exists",
               e.request(4, e.EXISTS, e.path_watch("/a") + b"more"))
    record.raw("malformed frame: negative length, the server closes", link, "unknown",
               b"\xff\xff\xff\xfe\x00\x00")


def one_quorum_server(record, port):
    """Errors and operations that only a member of an ensemble shows."""
    link, _ = new_session(record, port, "connect: to a quorum server")
    call = record.call
    call("reconfig: -102 no permission", link, e.RECONFIG, e.reconfig())
    call("auth: super user on a quorum server", link, e.AUTH, e.auth("digest", b"super:super"),
         xid=-4)
    call("getData: /zookeeper/config with watch", link, e.GET_DATA,
         e.path_watch("/zookeeper/config", True))
    call("reconfig: a new version of the same members", link, e.RECONFIG, e.reconfig())
    call("reconfig: -103 bad version", link, e.RECONFIG, e.reconfig(config_id=77))
    call("reconfig: -8 bad text", link, e.RECONFIG, e.reconfig(joining="server.2=nonsense"))
    call("reconfig: -13 no quorum of the new members", link, e.RECONFIG, e.reconfig(
        joining="server.2=127.0.0.1:22092:22093;22094,server.3=127.0.0.1:22095:22096;22097"))


def local_sessions(record, port):
    link, _ = new_session(record, port, "connect: a local session")
    record.call("create: -120 ephemeral on a local session", link, e.CREATE,
                e.create("/e", flags=1))


def read_only_server(record, port):
    link, _ = new_session(record, port, "connect: read-only server", read_only=True)
    record.call("create: -119 read-only server", link, e.CREATE, e.create("/x"))
    record.call("exists: read-only server", link, e.EXISTS, e.path_watch("/", True))
    refused = Link(port)
    record.connect("connect: read-only server refuses a client without the flag set", refused,
                   e.connect())


def throttled(record, port):
    """Many requests at once through a pipeline one wide: those that waited are refused."""
    link = Link(port)
    link.send(e.connect())
    link.frame()
    data = bytes(100_000)
    burst = [e.request(n, e.CREATE, e.create(f"/n{n}", data)) for n in range(1, 101)]
    link.send(b"".join(burst))
    for frame in burst:
        reply = link.frame()
        if struct.unpack_from(">i", reply, 16)[0] == -127:
            note = f"# the request was {len(frame)} bytes long and is left out"
            record.blocks.append(["name create: -127 throttled", note, f"reply {reply.hex()}"])
            return
    raise SystemExit("no request was throttled")


def requires_sasl(record, port):
    link, _ = new_session(record, port, "connect: server that requires SASL")
    record.call("create: -124 session closed, SASL required", link, e.CREATE, e.create("/x"))
    record.closed(link)


def ttl_switched_off(record, port):
    link, _ = new_session(record, port, "connect: server without TTL nodes")
    record.call("createTTL: -6 switched off, stays open", link, e.CREATE_TTL, e.create_ttl("/t"))


def reconfig_standalone(record, port):
    link, _ = new_session(record, port, "connect: standalone server with reconfig")
    record.call("reconfig: -6 standalone", link, e.RECONFIG, e.reconfig(leaving="3"))


def plain_server(record, port):
    link = handshakes(record, port)
    creates(record, link)
    reads_and_writes(record, link)
    multis(record, link)
    permissions(record, port, link)
    watches(record, port, link)
    quotas(record, link)
    refusals(record, port)
