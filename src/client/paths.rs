//! Paths between the user, who sees the chroot as the root, and the server.

use super::ClientError;
use ostler_core::types::is_valid_path;

/// The server's path for a user's path.
///
/// # Errors
/// If no znode can have that path; the text says why, as ZooKeeper's client says it.
pub(crate) fn server_path(chroot: &str, path: &str) -> Result<String, ClientError> {
    check(path, path)?;
    Ok(joined(chroot, path))
}

/// The same for a sequential create, whose path may end in '/' since a number follows.
pub(crate) fn server_prefix(chroot: &str, path: &str) -> Result<String, ClientError> {
    check(&format!("{path}1"), path)?;
    Ok(joined(chroot, path))
}

fn joined(chroot: &str, path: &str) -> String {
    match (chroot, path) {
        ("", path) => path.to_owned(),
        (chroot, "/") => chroot.to_owned(),
        (chroot, path) => format!("{chroot}{path}"),
    }
}

fn check(whole: &str, path: &str) -> Result<(), ClientError> {
    if is_valid_path(whole) {
        return Ok(());
    }
    let fault = if path.is_empty() {
        "Path length must be > 0".to_owned()
    } else if !path.starts_with('/') {
        "Path must start with / character".to_owned()
    } else if whole.ends_with('/') {
        "Path must not end with / character".to_owned()
    } else {
        format!("Invalid path string \"{path}\" caused by {}", inner_fault(whole))
    };
    Err(ClientError::InvalidPath(fault))
}

fn inner_fault(path: &str) -> String {
    let mut at = 0;
    for name in path[1..].split('/') {
        at += 1 + name.encode_utf16().count();
        match name {
            "" => return format!("empty node name specified @{at}"),
            "." | ".." => return format!("relative paths not allowed @{at}"),
            _ => {}
        }
    }
    "an invalid character".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chroot_goes_in_front() {
        assert_eq!(server_path("", "/").as_deref(), Ok("/"));
        assert_eq!(server_path("/r", "/").as_deref(), Ok("/r"));
        assert_eq!(server_path("/r", "/a").as_deref(), Ok("/r/a"));
        assert_eq!(server_prefix("/r", "/a/").as_deref(), Ok("/r/a/"));
    }

    #[test]
    fn a_bad_path_is_refused_with_its_reason() {
        let fault = |path| server_path("", path).expect_err(path).to_string();
        assert_eq!(fault(""), "Path length must be > 0");
        assert_eq!(fault("a"), "Path must start with / character");
        assert_eq!(fault("/a/"), "Path must not end with / character");
        assert_eq!(
            fault("/a//b"),
            "Invalid path string \"/a//b\" caused by empty node name specified @3"
        );
        assert!(fault("/a/../b").contains("relative paths not allowed"));
        assert!(fault("/a\u{1}").contains("invalid character"));
    }
}
