//! Who may do what: the check of permissions, the fix-up of the ACLs that clients send, the
//! masking of those they get, and the table that keeps equal ACLs once.
//!
//! Pure rules; which permission an operation needs is decided in `write` and `read`.

use crate::types::{Acl, AclEntry, AuthId, ErrorCode, NULL, Perms};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3;

/// A stored ACL and its hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AclList {
    hash: u64,
    entries: Arc<[Acl]>,
}

impl AclList {
    /// The same on every server.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn entries(&self) -> &Arc<[Acl]> {
        &self.entries
    }
}

/// Every ACL in use, once.
#[derive(Default)]
pub(super) struct AclTable {
    lists: HashTable<Arc<AclList>>,
    sweep_at: usize,
    /// What was asked for last.
    recent: Option<Arc<AclList>>,
}

const SWEEP_LISTS_MIN: usize = 1024;

impl AclTable {
    /// The stored list for the one that a client sent, as [`fix_up`] has it. Mostly that is the one
    /// that was asked for last, letter by letter.
    ///
    /// # Errors
    /// As there.
    pub(super) fn stored(
        &mut self,
        sent: &[AclEntry<'_>],
        ids: &[AuthId],
    ) -> Result<Arc<AclList>, ErrorCode> {
        if let Some(recent) = &self.recent
            && stands_as_sent(&recent.entries, sent)
        {
            return Ok(recent.clone());
        }
        let list = self.intern(fix_up(sent, ids)?);
        self.recent = Some(list.clone());
        Ok(list)
    }

    /// The one stored list that equals `entries`.
    pub(super) fn intern(&mut self, entries: Vec<Acl>) -> Arc<AclList> {
        let hash = hash_entries(&entries);
        let same = |list: &Arc<AclList>| list.hash == hash && *list.entries == *entries;
        if let Some(list) = self.lists.find(hash, same) {
            return list.clone();
        }
        self.sweep();
        let list = Arc::new(AclList { hash, entries: entries.into() });
        self.lists.insert_unique(hash, list.clone(), |list| list.hash);
        list
    }

    /// Forgets lists that nothing uses, seldom enough to cost next to nothing per list.
    fn sweep(&mut self) {
        if self.lists.len() < self.sweep_at.max(SWEEP_LISTS_MIN) {
            return;
        }
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        self.sweep_at = self.lists.len() * 2;
    }
}

fn hash_entries(entries: &[Acl]) -> u64 {
    let mut hasher = Xxh3::new();
    for entry in entries {
        hasher.update(&entry.perms.0.to_le_bytes());
        for text in [&entry.scheme, &entry.id] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.digest()
}

/// Whether a holder of `ids` has one of the `wanted` permissions. An empty ACL bars nobody.
pub(super) fn permits(acl: &[Acl], wanted: Perms, ids: &[AuthId]) -> bool {
    acl.is_empty()
        || ids.iter().any(|id| id.scheme == "super")
        || acl.iter().any(|entry| entry.perms.intersects(wanted) && applies_to(entry, ids))
}

/// Whether everyone has READ, so that nobody's identities need to be looked at.
pub(super) fn is_world_readable(acl: &[Acl]) -> bool {
    acl.is_empty()
        || acl.iter().any(|entry| entry.perms.intersects(Perms::READ) && is_anyone(entry))
}

fn is_anyone(entry: &Acl) -> bool {
    entry.scheme == "world" && entry.id == "anyone"
}

fn applies_to(entry: &Acl, ids: &[AuthId]) -> bool {
    is_anyone(entry)
        || ids.iter().any(|id| {
            id.scheme == entry.scheme
                && if id.scheme == "ip" { ip_matches(&id.id, &entry.id) } else { id.id == entry.id }
        })
}

/// The list that is stored for the list a client sent: duplicates removed, `auth` replaced by
/// the client's proven identities.
pub(super) fn fix_up(sent: &[AclEntry<'_>], ids: &[AuthId]) -> Result<Vec<Acl>, ErrorCode> {
    if sent.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let mut stored = Vec::with_capacity(sent.len());
    for (place, entry) in sent.iter().enumerate() {
        if sent[..place].contains(entry) {
            continue;
        }
        if entry.scheme == "auth" {
            expand_auth(entry.perms, ids, &mut stored)?;
        } else if is_valid(entry) {
            stored.push(entry.to_acl());
        } else if entry.id == NULL {
            return Err(ErrorCode::MarshallingError);
        } else {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    Ok(stored)
}

/// Whether this list is what [`fix_up`] makes of the one that was sent. Asked of a single entry only,
/// whose answer can depend on nothing else: nothing is named twice, and no `auth` is valid as it is.
fn stands_as_sent(stored: &[Acl], sent: &[AclEntry<'_>]) -> bool {
    matches!((stored, sent), ([one], [sent]) if one.as_entry() == *sent && is_valid(sent))
}

fn expand_auth(perms: Perms, ids: &[AuthId], stored: &mut Vec<Acl>) -> Result<(), ErrorCode> {
    let before = stored.len();
    let proven = ids.iter().filter(|id| !matches!(id.scheme.as_str(), "ip" | "super" | "world"));
    stored.extend(proven.map(|id| Acl { perms, scheme: id.scheme.clone(), id: id.id.clone() }));
    if stored.len() == before { Err(ErrorCode::InvalidAcl) } else { Ok(()) }
}

fn is_valid(entry: &AclEntry<'_>) -> bool {
    match entry.scheme {
        "world" => entry.id == "anyone",
        "digest" => has_two_parts(entry.id),
        "ip" => parse_ip_range(entry.id).is_some(),
        _ => false,
    }
}

/// Two parts between colons, where empty parts at the end do not count: Java's `split`.
fn has_two_parts(id: &str) -> bool {
    let trimmed = id.trim_end_matches(':');
    !trimmed.is_empty() && trimmed.split(':').count() == 2
}

fn ip_matches(address: &str, range: &str) -> bool {
    let (Some(address), Some((network, bits))) = (parse_ip(address), parse_ip_range(range)) else {
        return false;
    };
    address.is_v4 == network.is_v4 && (address.bits ^ network.bits) & mask(bits) == 0
}

/// An address, left-aligned in 128 bits.
#[derive(Clone, Copy)]
struct Ip {
    bits: u128,
    is_v4: bool,
}

/// An address with the number of leading bits that count: all without a `/bits`.
fn parse_ip_range(text: &str) -> Option<(Ip, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (parse_ip(address)?, Some(bits.parse::<u32>().ok()?)),
        None => (parse_ip(text)?, None),
    };
    let width = if address.is_v4 { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some((address, bits))
}

fn parse_ip(text: &str) -> Option<Ip> {
    if text.contains(':') {
        let address: Ipv6Addr = text.parse().ok()?;
        return Some(Ip { bits: address.to_bits(), is_v4: false });
    }
    // Leading zeros are decimal here as in ZooKeeper, so the library's parser is too strict.
    let mut bits = 0u32;
    let mut parts = 0;
    for part in text.split('.') {
        bits = (bits << 8) | u32::from(part.parse::<u8>().ok()?);
        parts += 1;
        if parts > 4 {
            return None;
        }
    }
    (parts == 4).then_some(Ip { bits: u128::from(bits) << 96, is_v4: true })
}

fn mask(bits: u32) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (128 - bits) }
}

/// What getACL shows to those without ADMIN: users, but not the hashes of their passwords.
pub(super) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mut shown = acl.to_owned();
    for entry in shown.iter_mut().filter(|entry| entry.scheme == "digest") {
        if let Some((user, _)) = entry.id.split_once(':') {
            entry.id = format!("{user}:x");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(scheme: &'a str, id: &'a str) -> AclEntry<'a> {
        AclEntry { perms: Perms::ALL, scheme, id }
    }

    fn id(scheme: &str, id: &str) -> AuthId {
        AuthId { scheme: scheme.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn a_digest_id_has_exactly_two_parts() {
        for good in ["a:b", ":b", "a:b:", "a:b::"] {
            assert!(is_valid(&entry("digest", good)), "{good}");
        }
        for bad in ["", "a", "a:", ":", "a:b:c"] {
            assert!(!is_valid(&entry("digest", bad)), "{bad}");
        }
    }

    #[test]
    fn an_ip_range_has_at_most_the_bits_of_its_address() {
        for good in ["1.2.3.4", "1.2.3.4/0", "1.2.3.4/32", "::1", "fe80::/10", "::/128"] {
            assert!(is_valid(&entry("ip", good)), "{good}");
        }
        for bad in ["1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33", "::1/129", "1.2.3.4/", "x"] {
            assert!(!is_valid(&entry("ip", bad)), "{bad}");
        }
    }

    #[test]
    fn an_ip_range_admits_its_addresses_only() {
        assert!(ip_matches("10.1.2.3", "10.0.0.0/8"));
        assert!(!ip_matches("11.1.2.3", "10.0.0.0/8"));
        assert!(ip_matches("11.1.2.3", "10.0.0.0/0"));
        assert!(!ip_matches("::1", "0.0.0.0/0"));
        assert!(ip_matches("fe80::1", "fe80::/10"));
        assert!(!ip_matches("fec0::1", "fe80::/10"));
    }

    #[test]
    fn auth_stands_for_every_proven_identity_but_the_address() {
        let ids = [id("ip", "1.2.3.4"), id("digest", "u:h"), id("digest", "v:h")];
        let stored = fix_up(&[entry("auth", ""), entry("auth", "")], &ids).unwrap();
        let names: Vec<_> = stored.iter().map(|acl| acl.id.as_str()).collect();
        assert_eq!(names, ["u:h", "v:h"]);
        assert_eq!(fix_up(&[entry("auth", "")], &ids[..1]), Err(ErrorCode::InvalidAcl));
        assert_eq!(fix_up(&[], &ids), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn the_first_entry_that_is_wrong_says_how() {
        let (good, bad) = (entry("world", "anyone"), entry("nobody", "x"));
        let null = entry("digest", NULL);
        assert_eq!(fix_up(&[good, null, bad], &[]), Err(ErrorCode::MarshallingError));
        assert_eq!(fix_up(&[good, bad, null], &[]), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn the_super_user_passes_everything() {
        let acl = [entry("digest", "u:h").to_acl()];
        assert!(!permits(&acl, Perms::READ, &[id("digest", "v:h")]));
        assert!(permits(&acl, Perms::READ, &[id("digest", "u:h")]));
        assert!(permits(&acl, Perms::READ, &[id("super", "")]));
    }

    #[test]
    fn lists_that_nothing_uses_are_forgotten() {
        let mut table = AclTable::default();
        for number in 0..5000 {
            table.intern(alloc::vec![entry("digest", &format!("u:{number}")).to_acl()]);
        }
        assert!(table.lists.len() <= SWEEP_LISTS_MIN);
    }
}
