//! The header of an array. It is Python's text for a dictionary, and what reads any such text may take very long over one that is
//! nearly right: only the form that NumPy writes for plain arrays is handed on.

use npyz::NpyHeader;
use std::io::{Cursor, Error, ErrorKind, Read, Result};

/// NumPy reads no longer one either, unless it is told to.
const LONGEST: usize = 10_000;
const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads up to the first number.
///
/// Errors: no array, or another form of header.
pub(super) fn header(reader: &mut impl Read) -> Result<NpyHeader> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut bytes = vec![0; MAGIC.len() + 2];
    reader.read_exact(&mut bytes)?;
    let version = bytes[MAGIC.len()];
    if !bytes.starts_with(MAGIC) || !(1..=3).contains(&version) {
        return Err(wrong("it does not begin as an array does"));
    }
    let start = bytes.len() + if version == 1 { 2 } else { 4 };
    let mut length = [0; 4];
    reader.read_exact(&mut length[..start - bytes.len()])?;
    bytes.extend(&length[..start - bytes.len()]);
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(wrong(&format!("its header is {length} bytes long")));
    }
    bytes.resize(start + length, 0);
    reader.read_exact(&mut bytes[start..])?;
    let text = String::from_utf8_lossy(&bytes[start..]);
    if !is_plain(&text) {
        return Err(wrong("its header is not that of a plain array, one without named fields"));
    }
    NpyHeader::from_reader(Cursor::new(bytes))
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
fn is_plain(text: &str) -> bool {
    let Some(mut rest) = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return false;
    };
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return true;
        }
        let value = quoted(rest).and_then(|rest| rest.trim_start().strip_prefix(':')).map(str::trim_start);
        let after = value.and_then(|value| {
            let word = || ["True", "False"].into_iter().find_map(|word| value.strip_prefix(word));
            quoted(value).or_else(word).or_else(|| shape(value))
        });
        let Some(after) = after.map(str::trim_start) else { return false };
        rest = match after.strip_prefix(',') {
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return false,
        };
    }
}

/// What follows a text in quotes, without any in it.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|first| ['\'', '"'].contains(first))?;
    let (inner, rest) = text[1..].split_once(quote)?;
    inner.chars().all(|letter| letter.is_ascii_graphic() && letter != '\\').then_some(rest)
}

/// What follows extents in brackets. Python 2 wrote an `L` behind long numbers.
fn shape(text: &str) -> Option<&str> {
    let (inner, rest) = text.strip_prefix('(')?.split_once(')')?;
    let is_part = |letter: char| letter.is_ascii_digit() || [',', ' ', 'L'].contains(&letter);
    inner.chars().all(is_part).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_numpy_writes_is_plain() {
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }            \n",
            "{'descr': '|u1', 'fortran_order': True, 'shape': (), }\n",
            "{'shape': (3L,), \"fortran_order\": False, 'descr': '<U7'}",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn all_else_is_not() {
        for text in [
            "",
            "{",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order\u{7f}: False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ((((((((3))))))))}",
            "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (3,), }",
            "{'descr' '<f4'}",
        ] {
            assert!(!is_plain(text), "{text}");
        }
        let mut long = b"\x93NUMPY\x02\0\xff\xff\xff\xff{".as_slice();
        assert!(header(&mut long).is_err());
    }
}
