//! How a connection proves who it is. Pure: the packet and the settings in, an identity out.
//!
//! Which identities may do what is the tree's business.

use crate::types::AuthId;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Which proofs are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthRules {
    /// Whether the `digest` scheme is offered.
    pub digest_enabled: bool,
    /// The digest identity that passes every check, `user:base64(sha1(user:password))`.
    pub super_digest: Option<String>,
}

/// What an auth packet proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The identity, unless the scheme proves none.
    pub id: Option<AuthId>,
    /// Whether the connection passes every check from now on.
    pub is_super: bool,
}

/// Judges an auth packet; `None` means -115 and the end of the connection.
///
/// A wrong password is no failure: it proves another identity (ZooKeeper's digest scheme).
pub fn prove(rules: &AuthRules, scheme: &str, auth: &[u8]) -> Option<Proof> {
    match scheme {
        "digest" if rules.digest_enabled => {
            let id = digest_id(&String::from_utf8_lossy(auth));
            let is_super = rules.super_digest.as_deref() == Some(id.as_str());
            Some(Proof { id: Some(AuthId { scheme: "digest".to_owned(), id }), is_super })
        }
        // The address is known from the socket; a client may send the packet all the same.
        "ip" => Some(Proof { id: None, is_super: false }),
        _ => None,
    }
}

/// `user:base64(sha1(user:password))` of `user:password`.
///
/// Without a colon the whole text is the user, and hashed as it stands.
pub fn digest_id(credentials: &str) -> String {
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(Sha1::digest(credentials.as_bytes())))
}

/// The identity of the super user, as it stands in a connection's list.
pub fn super_id() -> AuthId {
    AuthId { scheme: "super".to_owned(), id: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_zookeeper_computes() {
        assert_eq!(digest_id("u:p"), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
        assert_eq!(digest_id("user1:12345"), "user1:+owfoSBn/am19roBPzR1/MfCblE=");
    }

    #[test]
    fn only_the_super_digest_makes_a_super_user() {
        let rules =
            AuthRules { digest_enabled: true, super_digest: Some(digest_id("super:secret")) };
        assert!(prove(&rules, "digest", b"super:secret").is_some_and(|p| p.is_super));
        assert!(prove(&rules, "digest", b"super:wrong").is_some_and(|p| !p.is_super));
        assert!(prove(&rules, "nonsense", b"x").is_none());
    }
}
