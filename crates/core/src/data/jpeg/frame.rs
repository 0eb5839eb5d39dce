//! From the markers of a file to the coefficients of its components.

use super::Damaged;
use super::bits::Huffman;
use super::scan::{Scan, decode_scan};

/// The order in which coefficients are coded: from the lowest frequency to the highest.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// One component.
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    table: usize,
    /// The extents of its samples.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks in a row and in a column, those included that only fill the last units up.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// `[blocks_down, blocks_across, 64]`, row by row.
    pub(super) coefficients: Vec<i16>,
    /// As it was when its first scan began.
    pub(super) quantization: Option<[u16; 64]>,
}

/// How three components are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    Grey,
    Rgb,
    YCbCr,
}

/// A whole picture in coefficients.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) is_progressive: bool,
    pub(super) most_across: usize,
    pub(super) most_down: usize,
    pub(super) components: Vec<Component>,
    pub(super) colors: Colors,
}

/// What the markers have said so far.
#[derive(Default)]
struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    direct: [Option<Huffman>; 4],
    alternating: [Option<Huffman>; 4],
    restart_interval: usize,
    is_jfif: bool,
    adobe: Option<u8>,
}

const CUT_OFF: Damaged = Damaged("a marker is cut off");

/// Reads a file up to its end marker. `None` for kinds that are not decoded here.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Frame>, Damaged> {
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    let mut at = 2;
    loop {
        at += bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xFF)).ok_or(CUT_OFF)?;
        let marker = *bytes.get(at + 1).ok_or(CUT_OFF)?;
        at += if marker == 0xFF { 1 } else { 2 };
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF) {
            continue;
        }
        if marker == 0xD9 {
            break;
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(CUT_OFF),
        };
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or(CUT_OFF)?;
        at += length.max(2);
        match marker {
            0xC0..=0xC2 if frame.is_none() => match start_of_frame(segment, marker == 0xC2)? {
                Some(read) => frame = Some(read),
                None => return Ok(None),
            },
            0xC4 => huffman_tables(segment, &mut tables)?,
            0xC0..=0xCF => return Ok(None),
            0xDA => {
                let Some(frame) = &mut frame else { return Err(Damaged("a scan comes before its frame")) };
                at = scan(segment, frame, &tables, bytes, at)?;
            }
            0xDB => quantization_tables(segment, &mut tables)?,
            0xDD => match segment {
                [high, low, ..] => tables.restart_interval = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return Err(CUT_OFF),
            },
            0xE0 if segment.starts_with(b"JFIF\0") => tables.is_jfif = true,
            0xEE if segment.starts_with(b"Adobe") => tables.adobe = segment.get(11).copied(),
            _ => {}
        }
    }
    let mut frame = frame.ok_or(Damaged("the file holds no picture"))?;
    if frame.components.iter().any(|component| component.quantization.is_none()) {
        return Err(Damaged("a component has no scan"));
    }
    frame.colors = colors(&frame, &tables);
    Ok(Some(frame))
}

/// As libjpeg guesses.
fn colors(frame: &Frame, tables: &Tables) -> Colors {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match (ids.as_slice(), tables.is_jfif, tables.adobe) {
        ([_], ..) => Colors::Grey,
        (_, true, _) => Colors::YCbCr,
        (_, _, Some(0)) => Colors::Rgb,
        (_, _, Some(_)) => Colors::YCbCr,
        (b"RGB", ..) => Colors::Rgb,
        _ => Colors::YCbCr,
    }
}

fn start_of_frame(segment: &[u8], is_progressive: bool) -> Result<Option<Frame>, Damaged> {
    let [precision, h0, h1, w0, w1, count, rest @ ..] = segment else { return Err(CUT_OFF) };
    let (height, width) = (u16::from_be_bytes([*h0, *h1]), u16::from_be_bytes([*w0, *w1]));
    if *precision != 8 || !matches!(count, 1 | 3) || height == 0 {
        return Ok(None);
    }
    let (width, height) = (usize::from(width), usize::from(height));
    let listed: Vec<&[u8]> = rest.chunks_exact(3).take(usize::from(*count)).collect();
    if listed.len() < usize::from(*count) || width == 0 {
        return Err(CUT_OFF);
    }
    let factors = |entry: &&[u8]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
    let most_across = listed.iter().map(|entry| factors(entry).0).max().unwrap_or(1);
    let most_down = listed.iter().map(|entry| factors(entry).1).max().unwrap_or(1);
    let fits = |entry: &&[u8]| {
        let (across, down) = factors(entry);
        (1..=4).contains(&across)
            && (1..=4).contains(&down)
            && most_across.is_multiple_of(across)
            && most_down.is_multiple_of(down)
            && entry[2] < 4
    };
    if !listed.iter().all(fits) {
        return Ok(None);
    }
    let units_across = width.div_ceil(8 * most_across);
    let units_down = height.div_ceil(8 * most_down);
    let component = |entry: &&[u8]| {
        let (across, down) = factors(entry);
        let (blocks_across, blocks_down) = (units_across * across, units_down * down);
        Component {
            id: entry[0],
            across,
            down,
            table: usize::from(entry[2]),
            width: (width * across).div_ceil(most_across),
            height: (height * down).div_ceil(most_down),
            blocks_across,
            blocks_down,
            coefficients: vec![0; 64 * blocks_across * blocks_down],
            quantization: None,
        }
    };
    let components = listed.iter().map(component).collect();
    let colors = Colors::YCbCr;
    Ok(Some(Frame { width, height, is_progressive, most_across, most_down, components, colors }))
}

fn quantization_tables(mut segment: &[u8], tables: &mut Tables) -> Result<(), Damaged> {
    while let [head, rest @ ..] = segment {
        let wide = head >> 4 != 0;
        let size = if wide { 128 } else { 64 };
        let (values, after) = rest.split_at_checked(size).ok_or(CUT_OFF)?;
        let mut table = [0; 64];
        for (index, place) in ZIGZAG.into_iter().enumerate() {
            table[place] = match wide {
                true => u16::from_be_bytes([values[2 * index], values[2 * index + 1]]),
                false => u16::from(values[index]),
            };
        }
        let slot = tables.quantization.get_mut(usize::from(head & 15));
        *slot.ok_or(Damaged("a quantization table has an unknown number"))? = Some(table);
        segment = after;
    }
    Ok(())
}

fn huffman_tables(mut segment: &[u8], tables: &mut Tables) -> Result<(), Damaged> {
    while let [head, rest @ ..] = segment {
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or(CUT_OFF)?;
        let total = counts.iter().map(|count| usize::from(*count)).sum();
        let (values, after) = rest.split_at_checked(total).ok_or(CUT_OFF)?;
        let kind = if head >> 4 == 0 { &mut tables.direct } else { &mut tables.alternating };
        let slot = kind.get_mut(usize::from(head & 15));
        *slot.ok_or(Damaged("a Huffman table has an unknown number"))? = Some(Huffman::new(counts, values)?);
        segment = after;
    }
    Ok(())
}

/// Decodes one scan. Returns where the markers go on.
fn scan(
    segment: &[u8],
    frame: &mut Frame,
    tables: &Tables,
    bytes: &[u8],
    at: usize,
) -> Result<usize, Damaged> {
    let [count, rest @ ..] = segment else { return Err(CUT_OFF) };
    let count = usize::from(*count);
    let [start, end, approximation] =
        rest.get(2 * count..).and_then(<[u8]>::first_chunk::<3>).ok_or(CUT_OFF)?;
    let mut scan = Scan {
        components: Vec::new(),
        direct: Vec::new(),
        alternating: Vec::new(),
        start: usize::from(*start),
        end: usize::from(*end),
        high: u32::from(approximation >> 4),
        low: u32::from(approximation & 15),
        restart_interval: tables.restart_interval,
    };
    for entry in rest[..2 * count].chunks_exact(2) {
        let index = frame.components.iter().position(|component| component.id == entry[0]);
        let index = index.ok_or(Damaged("a scan is of an unknown component"))?;
        let component = &mut frame.components[index];
        if component.quantization.is_none() {
            component.quantization = tables.quantization[component.table];
        }
        if component.quantization.is_none() || scan.components.contains(&index) {
            return Err(Damaged("a component has no quantization table"));
        }
        scan.components.push(index);
        scan.direct.push(tables.direct.get(usize::from(entry[1] >> 4)).and_then(Option::as_ref));
        scan.alternating.push(tables.alternating.get(usize::from(entry[1] & 15)).and_then(Option::as_ref));
    }
    decode_scan(frame, &scan, bytes, at)
}
