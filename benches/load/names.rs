//! Names of the znodes of one run. All of them live under one root, so that a run can tell its own
//! from everybody else's and clean up after itself.
//!
//! ```text
//! /ob-<run>             the root
//! /ob-<run>/k/<n>       keys that are read and written
//! /ob-<run>/l/<n>       children that are listed
//! /ob-<run>/c/<t>/<n>   made by track t
//! /ob-<run>/f/<n>       made by all tracks, where one parent is asked for
//! ```

use std::fmt::Write;

/// Where a made znode goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under the parent of its track.
    Apart,
    /// All under one parent; there are this many tracks.
    Together {
        /// Number of tracks.
        tracks: u64,
    },
}

/// The names of one run.
#[derive(Clone, Debug)]
pub(super) struct Names {
    root: String,
    path_bytes: usize,
    place: Place,
}

impl Names {
    /// `path_bytes` is the length that paths of keys and made znodes are filled up to; a number is
    /// never cut for it.
    pub(super) fn new(run: u64, path_bytes: usize, place: Place) -> Self {
        Self { root: format!("/ob-{run:08x}"), path_bytes, place }
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Parents that have to be there, after the root, in order.
    pub(super) fn parents(&self, tracks: u64) -> Vec<String> {
        let mut parents: Vec<_> = ["k", "l", "c", "f"].map(|name| self.under(name)).into();
        parents.extend((0..tracks).map(|track| format!("{}/c/{track}", self.root)));
        parents
    }

    pub(super) fn under(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(super) fn listed(&self, number: u64) -> String {
        format!("{}/l/{number:08}", self.root)
    }

    /// The parent whose children are listed.
    pub(super) fn list(&self) -> String {
        self.under("l")
    }

    /// Appends the path of a key.
    pub(super) fn write_key(&self, number: u64, out: &mut String) {
        let start = out.len();
        out.push_str(&self.root);
        out.push_str("/k/");
        self.write_number(start, number, out);
    }

    /// Appends the path of the `number`-th znode that this track makes.
    pub(super) fn write_made(&self, track: u64, number: u64, out: &mut String) {
        let start = out.len();
        out.push_str(&self.root);
        match self.place {
            Place::Apart => {
                write!(out, "/c/{track}/").expect("writing to memory does not fail");
                self.write_number(start, number, out);
            }
            Place::Together { tracks } => {
                out.push_str("/f/");
                self.write_number(start, number * tracks + track, out);
            }
        }
    }

    /// The number, after zeros that fill the path up.
    fn write_number(&self, start: usize, number: u64, out: &mut String) {
        let width = self.path_bytes.saturating_sub(out.len() - start);
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        out.extend(std::iter::repeat_n('0', width.saturating_sub(digits)));
        let mut scale = 10_u64.pow(digits as u32 - 1);
        while scale > 0 {
            out.push(char::from(b'0' + (number / scale % 10) as u8));
            scale /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &Names, number: u64) -> String {
        let mut out = String::new();
        names.write_key(number, &mut out);
        out
    }

    #[test]
    fn paths_have_the_length_asked_for_and_stay_apart() {
        let names = Names::new(0xabc, 40, Place::Apart);
        assert_eq!(key(&names, 0), "/ob-00000abc/k/0000000000000000000000000");
        assert_eq!(key(&names, 1234), "/ob-00000abc/k/0000000000000000000001234");
        assert_eq!(key(&names, 1234).len(), 40);
        let short = Names::new(1, 0, Place::Apart);
        assert_eq!(key(&short, 10), "/ob-00000001/k/10");
        assert_eq!(key(&short, 9), "/ob-00000001/k/9");
        assert_eq!(key(&short, u64::from(u32::MAX)), "/ob-00000001/k/4294967295");
    }

    #[test]
    fn tracks_never_make_the_same_znode() {
        for place in [Place::Apart, Place::Together { tracks: 3 }] {
            let names = Names::new(1, 30, place);
            let mut all = Vec::new();
            for track in 0..3 {
                for number in 0..20 {
                    let mut path = String::new();
                    names.write_made(track, number, &mut path);
                    all.push(path);
                }
            }
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 60);
        }
    }
}
