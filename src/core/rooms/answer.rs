//! Answers to requests that read the tree, written by a connection in place and by the tree
//! store for those that travelled.

use crate::tree::Tree;
use crate::types::{
    AuthId, ErrorCode, NULL, Read, ReadReply, Reply, Request, SessionId, Xid, Zxid,
};
use crate::wire::Codec;
use alloc::vec::Vec;

/// Who reads, and how the answer is written.
pub struct Reader<'a> {
    /// How the answer is encoded.
    pub codec: Codec,
    /// Whose ephemerals `getEphemerals` lists.
    pub session: SessionId,
    /// What the permissions are checked against.
    pub ids: &'a [AuthId],
}

impl Reader<'_> {
    /// Answers a read; says whether a watch it asked for is to be set.
    ///
    /// A watch is set by a read that succeeds, and by `exists` on a missing znode.
    pub fn read(&self, tree: &Tree, xid: Xid, read: &Read<'_>, out: &mut Vec<u8>) -> bool {
        let zxid = tree.last_applied();
        let mut encode = |reply: &Reply<'_>| self.codec.encode_reply(xid, zxid, reply, out);
        match read {
            Read::Ephemerals { prefix } => {
                encode(&Reply::Paths(&tree.ephemerals(self.session, prefix)));
                false
            }
            Read::Acl { path } => {
                match tree.acl(path, self.ids) {
                    Ok((acl, stat)) => encode(&Reply::Acl(&acl, stat)),
                    Err(error) => encode(&Reply::Error(error)),
                }
                false
            }
            Read::DescendantCount { path } => {
                encode(
                    &tree.descendant_count(path, self.ids).map_or_else(Reply::Error, Reply::Count),
                );
                false
            }
            Read::Exists { path, watch } => {
                let found = tree.exists(path, self.ids);
                encode(&found.map_or_else(Reply::Error, Reply::Stat));
                *watch && matches!(found, Ok(_) | Err(ErrorCode::NoNode))
            }
            Read::Data { watch, .. } | Read::Children { watch, .. } => {
                let found = self.with_reply(tree, read, |reply| {
                    encode(reply);
                    !matches!(reply, Reply::Error(_))
                });
                *watch && found
            }
            Read::Multi(reads) => {
                self.read_all(tree, reads, &mut encode);
                false
            }
        }
    }

    /// Answers a request that needs the tree but neither writes nor watches.
    pub fn other(&self, zxid: Zxid, xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
        let mut encode = |zxid, reply: &Reply<'_>| self.codec.encode_reply(xid, zxid, reply, out);
        match request {
            // A null path is given back too; it has the bytes of a null token.
            Request::Sync(path) if *path == NULL => encode(zxid, &Reply::Token(None)),
            Request::Sync(path) => encode(zxid, &Reply::Path(path)),
            Request::WhoAmI => encode(zxid, &Reply::Identities(self.ids)),
            // A server without a SASL provider answers a null token.
            Request::Sasl(_) => encode(Zxid::ZERO, &Reply::Token(None)),
            Request::Malformed => encode(zxid, &Reply::Error(ErrorCode::MarshallingError)),
            Request::Unknown => {
                encode(Zxid::from_wire(-1), &Reply::Error(ErrorCode::Unimplemented));
            }
            Request::Ping => self.codec.encode_reply(Xid::PING, zxid, &Reply::Done, out),
            Request::Write(_)
            | Request::Reconfig
            | Request::Read(_)
            | Request::Watch(_)
            | Request::Auth { .. }
            | Request::CloseSession => {
                unreachable!("answered elsewhere: {request:?}")
            }
        }
    }

    fn with_reply<R>(&self, tree: &Tree, read: &Read<'_>, then: impl FnOnce(&Reply<'_>) -> R) -> R {
        match read {
            Read::Data { path, .. } => match tree.data(path, self.ids) {
                Ok((data, stat)) => then(&Reply::Data(data, stat)),
                Err(error) => then(&Reply::Error(error)),
            },
            Read::Children { path, with_stat, .. } => match tree.children(path, self.ids) {
                Ok((names, stat)) => then(&Reply::Children(&names, with_stat.then_some(stat))),
                Err(error) => then(&Reply::Error(error)),
            },
            Read::Exists { .. }
            | Read::Acl { .. }
            | Read::Ephemerals { .. }
            | Read::DescendantCount { .. }
            | Read::Multi(_) => then(&Reply::Error(ErrorCode::MarshallingError)),
        }
    }

    fn read_all(&self, tree: &Tree, reads: &[Read<'_>], encode: &mut dyn FnMut(&Reply<'_>)) {
        // Names of children must outlive the replies that borrow them.
        let children: Vec<_> = reads.iter().map(|read| self.children_of(tree, read)).collect();
        let mut all = Vec::with_capacity(reads.len());
        for (read, names) in reads.iter().zip(&children) {
            all.push(match (read, names) {
                (_, Some(Ok(names))) => ReadReply::Children(names),
                (_, Some(Err(error))) => ReadReply::Error(*error),
                (Read::Data { path, .. }, None) => match tree.data(path, self.ids) {
                    Ok((data, stat)) => ReadReply::Data(data, stat),
                    Err(error) => ReadReply::Error(error),
                },
                (_, None) => ReadReply::Error(ErrorCode::MarshallingError),
            });
        }
        encode(&Reply::Reads(all));
    }

    fn children_of<'t>(
        &self,
        tree: &'t Tree,
        read: &Read<'_>,
    ) -> Option<Result<crate::tree::Children<'t>, ErrorCode>> {
        match read {
            Read::Children { path, .. } => {
                Some(tree.children(path, self.ids).map(|(names, _)| names))
            }
            Read::Data { .. }
            | Read::Exists { .. }
            | Read::Acl { .. }
            | Read::Ephemerals { .. }
            | Read::DescendantCount { .. }
            | Read::Multi(_) => None,
        }
    }
}
