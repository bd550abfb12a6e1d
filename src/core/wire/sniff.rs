//! What a new connection is going to speak, told from its first bytes.
//!
//! Knows the four-letter words' names, not their answers. Called once per connection, before any
//! frame is read.

/// Bytes every native connection begins with, before its version.
pub(super) const NATIVE_MAGIC: &[u8; 6] = b"OSTLER";

/// What the first bytes of a connection announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A Jute frame. Its length may still be out of range, which closes the connection.
    Jute,
    /// The native protocol's greeting; its version has not been looked at.
    Native,
    /// A four-letter word.
    Word(FourLetterWord),
    /// Control-C typed in telnet: close without an answer.
    TelnetInterrupt,
    /// Too few bytes to tell.
    NeedMore,
    /// A TLS handshake.
    Tls,
}

/// Tells by its first bytes what a connection speaks. At most six bytes are looked at.
pub fn sniff(first: &[u8]) -> Sniffed {
    let Some(head) = first.first_chunk::<4>() else {
        return Sniffed::NeedMore;
    };
    if let Some(word) = FourLetterWord::from_bytes(*head) {
        return Sniffed::Word(word);
    }
    match head {
        [0xff, 0xf4, 0xff, 0xfd] => Sniffed::TelnetInterrupt,
        [0x16, 0x03, ..] => Sniffed::Tls,
        _ => sniff_native(first),
    }
}

fn sniff_native(first: &[u8]) -> Sniffed {
    if first.starts_with(NATIVE_MAGIC) {
        Sniffed::Native
    } else if NATIVE_MAGIC.starts_with(first) {
        Sniffed::NeedMore
    } else {
        Sniffed::Jute
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A question in four letters, answered as text; then the connection is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FourLetterWord {
            $($(#[$doc])* $name,)*
        }

        impl FourLetterWord {
            /// Every word, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word itself, in lower case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

words! {
    /// Counters of connections start again.
    Crst = "crst",
    /// One line per connection, in full.
    Cons = "cons",
    /// The settings.
    Conf = "conf",
    /// Bytes of snapshots and of logs.
    Dirs = "dirs",
    /// Sessions and their ephemeral znodes.
    Dump = "dump",
    /// The environment of the process.
    Envi = "envi",
    /// The trace mask.
    Gtmk = "gtmk",
    /// Digests of the tree at past zxids.
    Hash = "hash",
    /// Whether this server takes writes.
    Isro = "isro",
    /// Metrics.
    Mntr = "mntr",
    /// Whether the process answers.
    Ruok = "ruok",
    /// Ostler's own: the tree of rooms, their restarts and what they are doing.
    Room = "room",
    /// The server, in short.
    Srvr = "srvr",
    /// Counters of the server start again.
    Srst = "srst",
    /// The server and its connections.
    Stat = "stat",
    /// Sets the trace mask, whose 8 bytes follow the word.
    Stmk = "stmk",
    /// Watches by connection.
    Wchc = "wchc",
    /// Watches by path.
    Wchp = "wchp",
    /// Number of watches.
    Wchs = "wchs",
}

impl FourLetterWord {
    /// The word these bytes spell; `None` for any others.
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.name().as_bytes() == bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (bytes, expected) in [
            (&b""[..], Sniffed::NeedMore),
            (b"\0\0\0", Sniffed::NeedMore),
            (b"\0\0\0\x2d", Sniffed::Jute),
            (b"\xff\xff\xff\xff", Sniffed::Jute),
            (b"GET / HTTP/1.1", Sniffed::Jute),
            (b"OST", Sniffed::NeedMore),
            (b"OSTL", Sniffed::NeedMore),
            (b"OSTLE", Sniffed::NeedMore),
            (b"OSTLER", Sniffed::Native),
            (b"OSTLER\x01\0", Sniffed::Native),
            (b"OSTLEX", Sniffed::Jute),
            (b"ruo", Sniffed::NeedMore),
            (b"ruok", Sniffed::Word(FourLetterWord::Ruok)),
            (b"stmk\0\0\0\0\0\0\0\0", Sniffed::Word(FourLetterWord::Stmk)),
            (b"RUOK", Sniffed::Jute),
            (b"\xff\xf4\xff\xfd", Sniffed::TelnetInterrupt),
            (b"\x16\x03\x01\x02", Sniffed::Tls),
        ] {
            assert_eq!(sniff(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn every_word_is_found_by_its_letters() {
        assert_eq!(FourLetterWord::ALL.len(), 19);
        for word in FourLetterWord::ALL {
            assert_eq!(sniff(word.name().as_bytes()), Sniffed::Word(*word));
        }
    }
}
