//! What the targets for files share: decisions read from the fuzzer's bytes, and damage done by
//! them to something sound. Checksums keep a fuzzer from ever making a sound file of its own.

/// Decisions, until the bytes are used up; zeros after that.
pub struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    /// Up to `count` bytes as they are.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number of up to eight bytes.
    pub fn number(&mut self, bytes: usize) -> u64 {
        let mut number = [0; 8];
        let taken = self.bytes(bytes);
        number[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(number)
    }

    /// A number below `bound`, or zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.number(2) as usize % bound.max(1)
    }
}

/// Damages pieces until the choices are used up.
pub fn edit(pieces: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) {
    while !choices.0.is_empty() && !pieces.is_empty() {
        let kind = choices.number(1) % 7;
        let which = choices.below(pieces.len());
        let other = choices.below(pieces.len());
        let piece = &mut pieces[which];
        let at = choices.below(piece.len());
        match kind {
            0 => piece.truncate(at),
            1 if !piece.is_empty() => piece[at] ^= 1 << choices.below(8),
            2 => {
                let count = choices.below(64);
                let bytes = choices.bytes(count);
                let end = (at + bytes.len()).min(piece.len());
                piece.splice(at..end, bytes.iter().copied());
            }
            3 => {
                let count = choices.below(64);
                piece.splice(at..at, choices.bytes(count).iter().copied());
            }
            4 => drop(pieces.remove(which)),
            5 => pieces.swap(which, other),
            _ => {
                let copied = pieces[other].clone();
                let until = (at + choices.below(512)).min(copied.len());
                let piece = &mut pieces[which];
                let part = copied.get(at..until).unwrap_or_default();
                let end = (at + part.len()).min(piece.len());
                piece.splice(at..end, part.iter().copied());
            }
        }
    }
}
