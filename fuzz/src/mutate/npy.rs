//! NumPy's arrays: the header's text, with a length that fits it, and numbers.

use super::{bytes, chance, number};
use fastrand::Rng;

const MAGIC: &[u8] = b"\x93NUMPY";
const KINDS: [&str; 22] = [
    "<f4",
    ">f4",
    "<f8",
    "<f2",
    "|u1",
    "|i1",
    "<i2",
    "<u2",
    "<i4",
    "<u4",
    "<i8",
    "<u8",
    "|b1",
    "<U1",
    "<U0",
    "|S3",
    "|S0",
    "|O",
    "<c8",
    "<M8[s]",
    "|V4",
    "<U99999999999",
];

/// The header or the numbers change; now and then any bytes do.
pub fn npy(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Some((header, data)) = parts(file).filter(|_| !chance(rng, 25)) else {
        return bytes(rng, file, others);
    };
    let mut header = String::from_utf8_lossy(header).into_owned();
    let mut data = data.to_vec();
    for _ in 0..=rng.usize(..3) {
        match rng.u8(..6) {
            0 => header = with(&header, "'descr':", &format!(" '{}'", KINDS[rng.usize(..KINDS.len())])),
            1 | 2 => {
                let extents: String = (0..rng.usize(..6)).map(|_| format!("{}, ", number(rng))).collect();
                header = with_shape(&header, &extents);
            }
            3 => header = with(&header, "'fortran_order':", if rng.bool() { " True" } else { " False" }),
            4 => header = String::from_utf8_lossy(&bytes(rng, header.as_bytes(), &[])).into_owned(),
            _ if rng.bool() => data.truncate(rng.usize(..=data.len())),
            _ => data = bytes(rng, &data, &[]),
        }
    }
    let version = if chance(rng, 10) { rng.u8(..5) } else { 1 };
    let mut made = MAGIC.to_vec();
    made.extend([version, 0]);
    match version {
        1 => made.extend((header.len() as u16).to_le_bytes()),
        _ => made.extend((header.len() as u32).to_le_bytes()),
    }
    made.extend(header.as_bytes());
    made.extend(data);
    made
}

fn parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = file.strip_prefix(MAGIC)?;
    let len = usize::from(u16::from_le_bytes([*rest.get(2)?, *rest.get(3)?]));
    Some((rest.get(4..4 + len)?, rest.get(4 + len..)?))
}

/// The header with another value behind a key.
fn with(header: &str, key: &str, value: &str) -> String {
    let Some((before, after)) = header.split_once(key) else { return header.to_owned() };
    let end = after.find(',').unwrap_or(after.len());
    format!("{before}{key}{value}{}", &after[end..])
}

fn with_shape(header: &str, extents: &str) -> String {
    match (header.find('('), header.find(')')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}({extents}{}", &header[..start], &header[end..])
        }
        _ => header.to_owned(),
    }
}
