//! What the description at the end of a table claims, before the crate `parquet` believes it: it allocates as many children of a column
//! as are claimed. Source: Apache's parquet.thrift, and Thrift's compact protocol.

use std::fs::File;
use std::io;

use frostline_files::positioned::read_exact_at;

/// The length of the description, and the mark behind it.
const TAIL: usize = 8;
/// Structures lie in each other no deeper.
const DEEPEST: usize = 32;

/// What a value is, as the protocol numbers it.
mod kind {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

/// The list of columns in `FileMetaData`, and the number of children in one of them.
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;

/// Whether each column claims no more children than there are columns. A file that is none of Parquet is left to its reader.
///
/// Errors: the file cannot be read.
pub(super) fn is_possible(file: &File) -> io::Result<bool> {
    let len = file.metadata()?.len();
    let Some(end) = len.checked_sub(TAIL as u64) else { return Ok(true) };
    let mut tail = [0; TAIL];
    read_exact_at(file, &mut tail, end)?;
    let [a, b, c, d, mark @ ..] = tail;
    let about = u32::from_le_bytes([a, b, c, d]);
    let Some(start) = end.checked_sub(about.into()).filter(|_| mark == *b"PAR1") else { return Ok(true) };
    let mut bytes = vec![0; about as usize];
    read_exact_at(file, &mut bytes, start)?;
    Ok(Reader(&bytes).file().is_some())
}

/// What is left to read. Nothing is read twice, and nothing is kept.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(len).ok()?..)?;
        Some(())
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Small numbers of either sign are small: 0, -1, 1, -2 are 0, 1, 2, 3.
    fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The number and the kind of the next field; none at the end of a structure.
    fn field(&mut self, before: i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => self.number()?,
            more => before.checked_add(more.into())?,
        };
        Some(Some((id, head & 0xf)))
    }

    /// The kind and the number of the elements of a list.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            0xf => self.varint()?,
            count => count.into(),
        };
        // each takes a byte at least
        (count <= self.0.len() as u64).then_some((head & 0xf, count))
    }

    /// Skips a value. Those of lists that are true or false take a byte, those of fields none.
    fn value(&mut self, kind: u8, deep: usize) -> Option<()> {
        if deep > DEEPEST {
            return None;
        }
        match kind {
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.skip(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.skip(8),
            kind::BINARY => {
                let len = self.varint()?;
                self.skip(len)
            }
            kind::LIST | kind::SET => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.element(kind, deep))
            }
            kind::MAP => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.element(kinds >> 4, deep)?;
                    self.element(kinds & 0xf, deep)
                })
            }
            kind::STRUCT => {
                let mut id = 0;
                while let Some((next, kind)) = self.field(id)? {
                    self.value(kind, deep + 1)?;
                    id = next;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn element(&mut self, kind: u8, deep: usize) -> Option<()> {
        match kind {
            kind::TRUE | kind::FALSE => self.skip(1),
            kind => self.value(kind, deep + 1),
        }
    }

    /// `FileMetaData`: none where it is damaged, or claims what cannot be.
    fn file(&mut self) -> Option<()> {
        let mut id = 0;
        while let Some((next, kind)) = self.field(id)? {
            match (next, kind) {
                (SCHEMA, kind::LIST) => self.schema()?,
                _ => self.value(kind, 0)?,
            }
            id = next;
        }
        Some(())
    }

    fn schema(&mut self) -> Option<()> {
        let (_, count) = self.list().filter(|(kind, _)| *kind == kind::STRUCT)?;
        for _ in 0..count {
            let mut id = 0;
            while let Some((next, kind)) = self.field(id)? {
                match (next, kind) {
                    (CHILDREN, kind::I32) => {
                        let children = u64::try_from(self.number()?).ok()?;
                        (children <= count).then_some(())?;
                    }
                    _ => self.value(kind, 0)?,
                }
                id = next;
            }
        }
        Some(())
    }
}
