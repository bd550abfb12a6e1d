//! ACLs: what a request may store, who may do what, and the table that keeps each list once.

use super::effects::Readers;
use crate::types::{Acl, AclEntry, AuthId, ErrorCode, Perms};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Which list a znode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AclRef(pub(super) u32);

/// Every list in use, once, with the number of znodes that have it.
#[derive(Default)]
pub(super) struct AclTable {
    slots: Vec<(Arc<[Acl]>, u32)>,
    free: Vec<u32>,
    by_list: BTreeMap<Arc<[Acl]>, u32>,
}

impl AclTable {
    /// The list for one more znode.
    pub(super) fn intern(&mut self, list: &[Acl]) -> AclRef {
        if let Some(slot) = self.by_list.get(list).copied() {
            self.slots[slot as usize].1 += 1;
            return AclRef(slot);
        }
        let list: Arc<[Acl]> = Arc::from(list);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = (list.clone(), 1);
                slot
            }
            None => {
                self.slots.push((list.clone(), 1));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 distinct ACLs")
            }
        };
        self.by_list.insert(list, slot);
        AclRef(slot)
    }

    /// One znode more has this list.
    pub(super) fn keep(&mut self, acl: AclRef) {
        self.slots[acl.0 as usize].1 += 1;
    }

    /// One znode less has this list.
    pub(super) fn release(&mut self, acl: AclRef) {
        let (list, uses) = &mut self.slots[acl.0 as usize];
        *uses -= 1;
        if *uses == 0 {
            self.by_list.remove(list);
            *list = Arc::from([]);
            self.free.push(acl.0);
        }
    }

    pub(super) fn list(&self, acl: AclRef) -> &Arc<[Acl]> {
        &self.slots[acl.0 as usize].0
    }

    /// Lists in use with their numbers, in the order of the numbers.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (AclRef, &Arc<[Acl]>)> {
        (0..)
            .map(AclRef)
            .zip(&self.slots)
            .filter(|(_, (_, uses))| *uses > 0)
            .map(|(r, s)| (r, &s.0))
    }

    /// Whether these identities have any of the permissions.
    pub(super) fn allows(&self, acl: AclRef, wanted: Perms, ids: &[AuthId]) -> bool {
        is_super(ids) || list_allows(self.list(acl), wanted, ids)
    }

    /// Who may be told of a change of a znode with this list.
    pub(super) fn readers(&self, acl: AclRef) -> Readers {
        let list = self.list(acl);
        if list_allows(list, Perms::READ, &[]) {
            Readers::Anyone
        } else {
            Readers::Listed(list.clone())
        }
    }
}

/// Whether one of the identities passes every check.
pub(super) fn is_super(ids: &[AuthId]) -> bool {
    ids.iter().any(|id| id.scheme == "super")
}

/// Whether the list gives any of the permissions to one of the identities. An empty list, which
/// only an import can bring, is open to all as in ZooKeeper.
pub(super) fn list_allows(list: &[Acl], wanted: Perms, ids: &[AuthId]) -> bool {
    list.is_empty()
        || list.iter().filter(|entry| entry.perms.intersects(wanted)).any(|entry| {
            (entry.scheme == "world" && entry.id == "anyone")
                || ids.iter().any(|id| id.scheme == entry.scheme && matches(entry, id))
        })
}

/// The list as it is stored: `auth` replaced by what the creator has proven, duplicates removed.
pub(super) fn fix_up(entries: &[AclEntry<'_>], ids: &[AuthId]) -> Result<Vec<Acl>, ErrorCode> {
    let mut list = Vec::with_capacity(entries.len());
    let mut add = |acl: Acl| {
        if !list.contains(&acl) {
            list.push(acl);
        }
    };
    for entry in entries {
        if entry.scheme == "auth" {
            let proven = ids.iter().filter(|id| id.scheme == "digest");
            let mut any = false;
            for AuthId { scheme, id } in proven {
                add(Acl { perms: entry.perms, scheme: scheme.to_owned(), id: id.to_owned() });
                any = true;
            }
            if !any {
                return Err(ErrorCode::InvalidAcl);
            }
        } else if is_valid(entry) {
            add(entry.to_acl());
        } else {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    if list.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(list) }
}

/// A list as shown to someone without ADMIN: digests keep only their user.
pub(super) fn masked(list: &[Acl]) -> Vec<Acl> {
    let mask = |acl: &Acl| {
        let mut acl = acl.clone();
        if acl.scheme == "digest" {
            let user = acl.id.split(':').next().unwrap_or_default().to_owned();
            acl.id = user + ":x";
        }
        acl
    };
    list.iter().map(mask).collect()
}

fn is_valid(entry: &AclEntry<'_>) -> bool {
    match entry.scheme {
        "world" => entry.id == "anyone",
        "digest" => entry.id.split(':').count() == 2,
        "ip" => network(entry.id).is_some(),
        _ => false,
    }
}

fn matches(entry: &Acl, id: &AuthId) -> bool {
    if entry.scheme != "ip" {
        return entry.id == id.id;
    }
    let (Some((network, bits)), Ok(address)) = (network(&entry.id), id.id.parse::<IpAddr>()) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((address, bits))
}
