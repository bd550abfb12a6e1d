//! Taking Jute's primitive types and shared records off a frame.
//!
//! No length is believed before the bytes it speaks of are there.

use crate::types::{Acl, AclEntry, NULL, Perms, Stat};
use crate::wire::DecodeError;
use alloc::vec::Vec;
use core::ops::Range;

/// Elements a vector's count may reserve room for before the first is read.
const RESERVED_ELEMENTS_MAX: usize = 1024;

/// The rest of a frame.
pub(super) struct Reader<'a> {
    length: usize,
    rest: &'a [u8],
    foreign: Foreign,
}

/// What becomes of a string that is not UTF-8.
enum Foreign {
    /// An error.
    Refused,
    /// Its place, counted from the frame's start, is noted here, and the empty string is read.
    Noted(Vec<Range<usize>>),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { length: bytes.len(), rest: bytes, foreign: Foreign::Refused }
    }

    /// A reader that goes on behind strings that are not UTF-8 and notes where they are.
    pub(super) fn noting_foreign(bytes: &'a [u8]) -> Self {
        Self { foreign: Foreign::Noted(Vec::new()), ..Self::new(bytes) }
    }

    /// Where the strings that are not UTF-8 are, of those that have been read.
    pub(super) fn foreign(&self) -> &[Range<usize>] {
        match &self.foreign {
            Foreign::Refused => &[],
            Foreign::Noted(places) => places,
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Any byte but 0 is true, as Java reads it.
    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array::<1>().map(|[byte]| byte != 0)
    }

    /// `None` is null.
    pub(super) fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::Length)?;
        if length > self.rest.len() {
            return Err(DecodeError::Length);
        }
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(bytes))
    }

    /// `None` is null.
    pub(super) fn string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let Some(bytes) = self.buffer()? else { return Ok(None) };
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok(Some(text));
        }
        let end = self.length - self.rest.len();
        match &mut self.foreign {
            Foreign::Refused => Err(DecodeError::Utf8),
            Foreign::Noted(places) => {
                places.push(end - bytes.len()..end);
                Ok(Some(""))
            }
        }
    }

    /// `None` is null. A negative count other than -1 is an empty vector, as Java reads it.
    pub(super) fn vector<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.int()?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        // Every element has at least the 4 bytes of a length or number.
        if count > self.rest.len() / 4 {
            return Err(DecodeError::Length);
        }
        let mut elements = Vec::with_capacity(count.min(RESERVED_ELEMENTS_MAX));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A vector of strings in which nothing is null, nor it itself.
    pub(super) fn strings(&mut self) -> Result<Vec<&'a str>, DecodeError> {
        self.vector(Self::string_or_refuse)?.ok_or(DecodeError::Null)
    }

    /// A string where null cannot be.
    pub(super) fn string_or_refuse(&mut self) -> Result<&'a str, DecodeError> {
        self.string()?.ok_or(DecodeError::Null)
    }

    /// A string that ZooKeeper may stumble over if it is null, which is [`NULL`] then.
    pub(super) fn string_or_null(&mut self) -> Result<&'a str, DecodeError> {
        Ok(self.string()?.unwrap_or(NULL))
    }

    /// An ACL; a null list is empty, a null scheme the empty string, and so is a null id, but for
    /// the schemes that look at ids: they stumble over it.
    pub(super) fn acl(&mut self) -> Result<Vec<AclEntry<'a>>, DecodeError> {
        let entries = self.vector(|reader| {
            let (perms, scheme, id) = (reader.int()?, reader.string()?, reader.string()?);
            let scheme = scheme.unwrap_or_default();
            let no_id = if matches!(scheme, "world" | "digest" | "ip") { NULL } else { "" };
            Ok(AclEntry { perms: Perms(perms), scheme, id: id.unwrap_or(no_id) })
        })?;
        Ok(entries.unwrap_or_default())
    }

    pub(super) fn owned_acl(&mut self) -> Result<Vec<Acl>, DecodeError> {
        Ok(self.acl()?.iter().map(AclEntry::to_acl).collect())
    }

    pub(super) fn stat(&mut self) -> Result<Stat, DecodeError> {
        Ok(Stat {
            czxid: self.long()?,
            mzxid: self.long()?,
            ctime: self.long()?,
            mtime: self.long()?,
            version: self.int()?,
            cversion: self.int()?,
            aversion: self.int()?,
            ephemeral_owner: self.long()?,
            data_length: self.int()?,
            num_children: self.int()?,
            pzxid: self.long()?,
        })
    }
}
