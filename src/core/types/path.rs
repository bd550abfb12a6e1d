//! Absolute paths: what makes one valid, and how it splits.
//!
//! The rules are ZooKeeper's `PathUtils.validatePath`, by UTF-16 code unit as Java sees them:
//! a character outside the basic plane is two surrogates there and therefore refused.

/// Stands in a request for a null that ZooKeeper stumbles over no sooner than it looks at it: a
/// path, or the id of an ACL. It names nothing: no valid path has such a character.
pub const NULL: &str = "\0null";

/// Whether `path` can name a znode.
pub fn is_valid_path(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    path.starts_with('/')
        && !path.ends_with('/')
        && path[1..].split('/').all(|name| !matches!(name, "" | "." | ".."))
        && path.chars().all(is_valid_char)
}

/// Parent and name of a path with a `/` that is not the root: `("/a", "b")` of `/a/b`, and
/// `("/", "a")` of `/a`. `None` for "/" and for text without a `/`.
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    let slash = path.rfind('/')?;
    if path.len() == 1 {
        return None;
    }
    let parent = if slash == 0 { "/" } else { &path[..slash] };
    Some((parent, &path[slash + 1..]))
}

/// The parent's path, see [`split_path`].
pub fn parent_of(path: &str) -> Option<&str> {
    split_path(path).map(|(parent, _)| parent)
}

fn is_valid_char(c: char) -> bool {
    !matches!(c as u32,
        0x00..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff | 0x1_0000..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_judged_as_zookeeper_judges_them() {
        for good in ["/", "/a", "/a/b", "/a..b", "/.a", "/a b", "/ä/日本", "/zookeeper"] {
            assert!(is_valid_path(good), "{good:?}");
        }
        for bad in [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/..",
            "/a\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{fff0}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_path_splits_into_parent_and_name() {
        assert_eq!(split_path("/a"), Some(("/", "a")));
        assert_eq!(split_path("/a/b"), Some(("/a", "b")));
        assert_eq!(split_path("/a/"), Some(("/a", "")));
        assert_eq!(split_path("/"), None);
        assert_eq!(split_path("abc"), None);
        assert_eq!(parent_of("/a/b"), Some("/a"));
    }
}
