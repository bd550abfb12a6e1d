//! Every bound that is not a setting, in one place. Units stand last in the name.

/// Largest request frame, as ZooKeeper's default `jute.maxbuffer`, in bytes.
pub const FRAME_BYTES_DEFAULT: usize = 0xf_ffff;
/// Largest request frame that may be allowed, in bytes. A link between servers holds two of them
/// together with all else, and so does what a learner may owe its leader.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Largest frame of a connection that has not shaken hands yet, in bytes. A connect request has
/// 45 with the password every known client sends; longer passwords are refused only for being
/// wrong, as ZooKeeper does.
pub const HANDSHAKE_FRAME_BYTES_MAX: usize = 16 << 10;
/// Requests in one native frame. A byte of a frame may take some twenty when it is decoded, so the
/// length of a frame alone would bound little.
pub const NATIVE_FRAME_REQUESTS_MAX: usize = 1024;
/// Longest time to live of a TTL znode, in milliseconds (ZooKeeper: 2^40 - 1).
pub const TTL_MS_MAX: i64 = 0xff_ffff_ffff;
/// Transactions applied under one write lock, so that readers wait microseconds.
pub const APPLY_BATCH_MAX: usize = 64;
/// Bytes of requests that may share one allocation; a larger one has its own.
pub const BODIES_BYTES_MAX: usize = 16 << 10;
/// Znodes written per slice of a background snapshot.
pub const SNAPSHOT_SLICE_ZNODES: usize = 512;
/// Requests of one connection that may be in flight behind its socket. They all stand before the
/// next client's request, so this many is what one client can make another wait for; a thousand
/// keep the disk busy all the same.
pub const CONNECTION_REQUESTS_IN_FLIGHT_MAX: usize = 1024;
/// Bytes of one connection's requests that may be in flight behind its socket.
pub const CONNECTION_BYTES_IN_FLIGHT_MAX: usize = 8 << 20;
/// Bytes of linearizable reads that wait at one connection to be vouched for, beyond which its
/// socket is not read.
pub const CONNECTION_BYTES_KEPT_MAX: usize = 64 << 10;
/// Writes of one session whose outcomes are kept for a client that sends them again.
pub const RECALLED_WRITES_MAX: usize = CONNECTION_REQUESTS_IN_FLIGHT_MAX;
/// Bytes of one session's outcomes that are kept, of one write however large. An outcome is at most
/// four times as large as its request, for there may be a stat for each path.
pub const RECALLED_BYTES_MAX: usize = 4 * RESENT_BYTES_MAX;
/// Bytes of requests that a native client may leave unanswered, if it wants to know their outcomes
/// after a crash; one request alone may be larger.
pub const RESENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of unsent output at which a connection stops reading requests.
pub const CONNECTION_OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Bytes that may wait to be written to another server before its link is broken: what a learner
/// may owe a leader, and a snapshot's chunk more.
pub const LINK_QUEUE_BYTES_MAX: usize = 96 << 20;
/// Messages of one server kept while the pipeline they are for begins anew. A server that has no
/// answer yet says that it would join or that it follows, and no more.
pub const UNHEARD_MESSAGES_MAX: usize = 256;
/// Znodes proposed for reaping by one sweep.
pub const REAP_BATCH_MAX: usize = 10_000;
