//! Entropy-coded data: bits, and Huffman codes.

use super::Damaged;

/// Codes of up to so many bits are looked up at once.
const QUICK: u32 = 9;

/// A table of Huffman codes.
#[derive(Clone, Debug)]
pub(super) struct Huffman {
    /// For each `QUICK` bits `length << 8 | value`; 0 where the code is longer.
    quick: Vec<u16>,
    /// For each length the largest code of that length, or −1.
    largest: [i32; 17],
    /// For each length what to add to a code for its place in `values`.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Huffman {
    /// `counts[l]` codes have the length `l + 1`; `values` are in the order of the codes.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, Damaged> {
        let mut table =
            Self { quick: vec![0; 1 << QUICK], largest: [-1; 17], offset: [0; 17], values: values.to_vec() };
        let (mut code, mut place) = (0i32, 0i32);
        for length in 1..=16u32 {
            let count = i32::from(counts[length as usize - 1]);
            table.offset[length as usize] = place - code;
            for _ in 0..count {
                if code >= 1 << length {
                    return Err(Damaged("a table of Huffman codes is overfull"));
                }
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(values[place as usize]);
                    table.quick[first..first + (1 << (QUICK - length))].fill(entry);
                }
                code += 1;
                place += 1;
            }
            if count > 0 {
                table.largest[length as usize] = code - 1;
            }
            code <<= 1;
        }
        Ok(table)
    }
}

/// Reads the bits of one scan, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
    /// Bits that were made up behind the end of the data.
    invented: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0, invented: 0 }
    }

    /// Where the data ended: at a marker.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), Some(0xFF)) => {
                    self.at += 1;
                    continue;
                }
                (Some(0xFF), _) | (None, _) => {
                    // a marker: zeros follow, as in libjpeg
                    self.invented += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next `count` bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> i32 {
        if self.count < count {
            self.fill();
        }
        self.count -= count;
        ((self.held >> self.count) & ((1 << count) - 1)) as i32
    }

    pub(super) fn bit(&mut self) -> bool {
        self.take(1) == 1
    }

    /// A number of `size` bits, of which those with a leading 0 are negative.
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let value = self.take(size);
        if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
    }

    pub(super) fn code(&mut self, table: &Huffman) -> Result<u8, Damaged> {
        if self.count < 16 {
            self.fill();
        }
        let entry = table.quick[((self.held >> (self.count - QUICK)) & ((1 << QUICK) - 1)) as usize];
        if entry != 0 {
            self.count -= u32::from(entry >> 8);
            return Ok(entry as u8);
        }
        for length in QUICK + 1..=16 {
            let code = ((self.held >> (self.count - length)) & ((1 << length) - 1)) as i32;
            if code <= table.largest[length as usize] {
                self.count -= length;
                let place = code + table.offset[length as usize];
                return table.values.get(place as usize).copied().ok_or(Damaged("a Huffman code is unknown"));
            }
        }
        Err(Damaged("a Huffman code is unknown"))
    }

    /// Whether more was read than there is.
    pub(super) fn ran_out(&self) -> bool {
        self.invented > self.count
    }

    /// Goes on behind the restart marker that must follow.
    pub(super) fn restart(&mut self) -> Result<(), Damaged> {
        (self.held, self.count, self.invented) = (0, 0, 0);
        match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
            (Some(0xFF), Some(0xD0..=0xD7)) => {
                self.at += 2;
                Ok(())
            }
            _ => Err(Damaged("a restart marker is missing")),
        }
    }
}
