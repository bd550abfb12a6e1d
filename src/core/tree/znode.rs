//! One znode as it is stored: its name and data in one allocation, its stat, and its links.
//!
//! A znode knows its parent's slot and its own name, never its full path. It decides nothing;
//! `store` links znodes together and keeps their sums.

use super::acl::AclList;
use crate::types::{Owner, Stat};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Place of a znode in the slab. It may be used again once the znode is gone.
pub(super) type Slot = u32;
/// No znode.
pub(super) const NONE: Slot = u32::MAX;
/// The root, which is never removed.
pub(super) const ROOT: Slot = 0;

/// What a client can give or change of a znode, apart from its name and its data.
#[derive(Clone, Debug)]
pub(super) struct Znode {
    blob: Box<[u8]>,
    name_len: u32,
    null_data: bool,
    /// Shared with every znode that has the same ACL.
    pub(super) acl: Arc<AclList>,
    /// Seeded hash of the full path, kept so that the index can grow without paths.
    pub(super) index_hash: u64,
    pub(super) parent: Slot,
    pub(super) prev: Slot,
    pub(super) next: Slot,
    pub(super) first_child: Slot,
    pub(super) last_child: Slot,
    pub(super) num_children: i32,
    pub(super) fields: Fields,
}

/// The persisted part of a stat, and the place among the siblings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    /// Milliseconds since the Unix epoch.
    pub(super) ctime: i64,
    /// Milliseconds since the Unix epoch.
    pub(super) mtime: i64,
    pub(super) pzxid: i64,
    /// See [`Owner::encode`].
    pub(super) owner: i64,
    pub(super) version: i32,
    pub(super) aversion: i32,
    /// Children ever created; the number of the next sequential child.
    pub(super) creates: i32,
    /// The parent's `creates` before this znode: with `czxid` it orders siblings.
    pub(super) ordinal: i32,
}

impl Znode {
    /// A znode without links.
    pub(super) fn new(name: &str, data: Option<&[u8]>, acl: Arc<AclList>, fields: Fields) -> Self {
        let (blob, name_len) = pack(name.as_bytes(), data);
        Self {
            blob,
            name_len,
            null_data: data.is_none(),
            acl,
            index_hash: 0,
            parent: NONE,
            prev: NONE,
            next: NONE,
            first_child: NONE,
            last_child: NONE,
            num_children: 0,
            fields,
        }
    }

    pub(super) fn name_bytes(&self) -> &[u8] {
        &self.blob[..self.name_len as usize]
    }

    pub(super) fn name(&self) -> &str {
        core::str::from_utf8(self.name_bytes()).expect("names are made from text")
    }

    pub(super) fn data(&self) -> Option<&[u8]> {
        (!self.null_data).then(|| &self.blob[self.name_len as usize..])
    }

    /// Bytes of data; null data has none.
    pub(super) fn data_len(&self) -> usize {
        self.blob.len() - self.name_len as usize
    }

    pub(super) fn set_data(&mut self, data: Option<&[u8]>) {
        let (blob, _) = pack(self.name_bytes(), data);
        self.blob = blob;
        self.null_data = data.is_none();
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::decode(self.fields.owner)
    }

    /// As clients see it.
    pub(super) fn stat(&self) -> Stat {
        let fields = &self.fields;
        Stat {
            czxid: fields.czxid,
            mzxid: fields.mzxid,
            ctime: fields.ctime,
            mtime: fields.mtime,
            version: fields.version,
            cversion: fields.creates.wrapping_mul(2).wrapping_sub(self.num_children),
            aversion: fields.aversion,
            ephemeral_owner: self.owner().shown(),
            data_length: i32::try_from(self.data_len()).unwrap_or(i32::MAX),
            num_children: self.num_children,
            pzxid: fields.pzxid,
        }
    }

    /// This znode's share of the tree's digest that depends on its data.
    pub(super) fn data_digest(&self, path_hash: u64) -> u64 {
        match self.data() {
            Some(data) => xxh3_64_with_seed(data, path_hash),
            None => path_hash,
        }
    }

    /// This znode's share of the tree's digest that does not depend on its data, so that a
    /// parent with much data is not hashed anew for every child.
    pub(super) fn stat_digest(&self, path_hash: u64) -> u64 {
        let f = &self.fields;
        let wide = [f.czxid, f.mzxid, f.ctime, f.mtime, f.pzxid, f.owner];
        let narrow = [f.version, f.aversion, f.creates, f.ordinal];
        let mut bytes = [0u8; 80];
        for (place, value) in bytes.chunks_exact_mut(8).zip(wide) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        for (place, value) in bytes[48..64].chunks_exact_mut(4).zip(narrow) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes[64..72].copy_from_slice(&self.acl.hash().to_le_bytes());
        bytes[72..80].copy_from_slice(&path_hash.to_le_bytes());
        xxh3_64(&bytes)
    }
}

/// A path's part in the digest: without seed, for servers compare their digests.
pub(super) fn digest_path_hash(path: &str) -> u64 {
    xxh3_64(path.as_bytes())
}

fn pack(name: &[u8], data: Option<&[u8]>) -> (Box<[u8]>, u32) {
    let data = data.unwrap_or_default();
    let mut blob = Vec::with_capacity(name.len() + data.len());
    blob.extend_from_slice(name);
    blob.extend_from_slice(data);
    let name_len = u32::try_from(name.len()).expect("a frame, and so a name, is below 4 GiB");
    (blob.into_boxed_slice(), name_len)
}
