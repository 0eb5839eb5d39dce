//! One scan: coefficients from entropy-coded data. Source: ITU-T T.81, annexes F and G.

use super::Damaged;
use super::bits::{Bits, Huffman};
use super::frame::{Frame, ZIGZAG};

/// What a scan's header says.
pub(super) struct Scan<'a> {
    /// Indices into the frame's components.
    pub(super) components: Vec<usize>,
    /// For each of them its tables.
    pub(super) direct: Vec<Option<&'a Huffman>>,
    pub(super) alternating: Vec<Option<&'a Huffman>>,
    /// The first and the last coefficient, in zigzag order.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The bit that came before, and the one that is coded now.
    pub(super) high: u32,
    pub(super) low: u32,
    /// Units between restart markers; 0 for none.
    pub(super) restart_interval: usize,
}

const NO_TABLE: Damaged = Damaged("a Huffman table is missing");
const BEYOND: Damaged = Damaged("a block has more than 64 coefficients");

/// What is carried from block to block.
struct State<'a, 'b> {
    bits: Bits<'a>,
    scan: &'b Scan<'b>,
    is_progressive: bool,
    /// For each component of the scan the last direct coefficient.
    last: Vec<i32>,
    /// Blocks whose band is over already.
    run: u32,
}

/// Decodes a scan whose data begin at `at`. Returns where they end.
pub(super) fn decode_scan(
    frame: &mut Frame,
    scan: &Scan<'_>,
    bytes: &[u8],
    at: usize,
) -> Result<usize, Damaged> {
    let band_is_whole = scan.start == 0 && scan.end == 63 && scan.high == 0 && scan.low == 0;
    let band_is_right = match frame.is_progressive {
        true if scan.start == 0 => scan.end == 0,
        true => scan.start <= scan.end && scan.end < 64 && scan.components.len() == 1,
        false => band_is_whole,
    };
    if !band_is_right || scan.low > 13 || scan.components.is_empty() {
        return Err(Damaged("the header of a scan makes no sense"));
    }
    let mut state = State {
        bits: Bits::new(bytes, at),
        scan,
        is_progressive: frame.is_progressive,
        last: vec![0; scan.components.len()],
        run: 0,
    };
    // a scan of one component goes through its own blocks, one of several through units of all of them
    let (units_across, units_down) = match scan.components.as_slice() {
        [only] => {
            let component = &frame.components[*only];
            (component.width.div_ceil(8), component.height.div_ceil(8))
        }
        _ => (frame.width.div_ceil(8 * frame.most_across), frame.height.div_ceil(8 * frame.most_down)),
    };
    for unit in 0..units_across * units_down {
        if scan.restart_interval > 0 && unit > 0 && unit.is_multiple_of(scan.restart_interval) {
            state.bits.restart()?;
            state.last.fill(0);
            state.run = 0;
        }
        let (row, column) = (unit / units_across, unit % units_across);
        for (place, index) in scan.components.iter().enumerate() {
            let component = &mut frame.components[*index];
            let (across, down) =
                if scan.components.len() == 1 { (1, 1) } else { (component.across, component.down) };
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let block = (row * down + y) * component.blocks_across + column * across + x;
                let coefficients = &mut component.coefficients[64 * block..][..64];
                state.block(place, coefficients)?;
            }
        }
    }
    match state.bits.ran_out() {
        true => Err(Damaged("its data end too early")),
        false => Ok(state.bits.position()),
    }
}

impl State<'_, '_> {
    fn block(&mut self, place: usize, block: &mut [i16]) -> Result<(), Damaged> {
        match (self.is_progressive, self.scan.start, self.scan.high) {
            (false, ..) => {
                self.direct(place, block)?;
                self.whole_band(place, block)
            }
            (true, 0, 0) => self.direct(place, block),
            (true, 0, _) => {
                if self.bits.bit() {
                    block[0] |= 1 << self.scan.low;
                }
                Ok(())
            }
            (true, _, 0) => self.first_of_band(place, block),
            (true, ..) => self.refine_band(place, block),
        }
    }

    fn direct(&mut self, place: usize, block: &mut [i16]) -> Result<(), Damaged> {
        let size = u32::from(self.bits.code(self.scan.direct[place].ok_or(NO_TABLE)?)?);
        if size > 15 {
            return Err(Damaged("a direct coefficient is too large"));
        }
        self.last[place] = self.last[place].wrapping_add(self.bits.signed(size));
        block[0] = (self.last[place] << self.scan.low) as i16;
        Ok(())
    }

    fn whole_band(&mut self, place: usize, block: &mut [i16]) -> Result<(), Damaged> {
        let table = self.scan.alternating[place].ok_or(NO_TABLE)?;
        let mut index = 1;
        while index < 64 {
            let code = self.bits.code(table)?;
            let (zeros, size) = (usize::from(code >> 4), u32::from(code & 15));
            if size == 0 {
                if zeros != 15 {
                    break;
                }
                index += 16;
                continue;
            }
            index += zeros;
            *block.get_mut(*ZIGZAG.get(index).ok_or(BEYOND)?).ok_or(BEYOND)? = self.bits.signed(size) as i16;
            index += 1;
        }
        Ok(())
    }

    fn first_of_band(&mut self, place: usize, block: &mut [i16]) -> Result<(), Damaged> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let table = self.scan.alternating[place].ok_or(NO_TABLE)?;
        let mut index = self.scan.start;
        while index <= self.scan.end {
            let code = self.bits.code(table)?;
            let (zeros, size) = (usize::from(code >> 4), u32::from(code & 15));
            if size == 0 {
                if zeros < 15 {
                    self.run = (1 << zeros) - 1 + self.bits.take(zeros as u32) as u32;
                    break;
                }
                index += 16;
                continue;
            }
            index += zeros;
            let place = *ZIGZAG.get(index).ok_or(BEYOND)?;
            block[place] = (self.bits.signed(size) << self.scan.low) as i16;
            index += 1;
        }
        Ok(())
    }

    fn refine_band(&mut self, place: usize, block: &mut [i16]) -> Result<(), Damaged> {
        let table = self.scan.alternating[place].ok_or(NO_TABLE)?;
        let bit = 1i16 << self.scan.low;
        let mut index = self.scan.start;
        if self.run == 0 {
            while index <= self.scan.end {
                let code = self.bits.code(table)?;
                let (mut zeros, size) = (usize::from(code >> 4), code & 15);
                let new = match size {
                    0 if zeros < 15 => {
                        self.run = (1 << zeros) + self.bits.take(zeros as u32) as u32;
                        break;
                    }
                    0 => 0,
                    1 if self.bits.bit() => bit,
                    1 => -bit,
                    _ => return Err(Damaged("a refined coefficient is no single bit")),
                };
                // over coefficients that are known, which are refined, and over as many zeros
                while index <= self.scan.end {
                    let value = &mut block[ZIGZAG[index]];
                    if *value != 0 {
                        refine(value, bit, &mut self.bits);
                    } else if zeros == 0 {
                        *value = new;
                        index += 1;
                        break;
                    } else {
                        zeros -= 1;
                    }
                    index += 1;
                }
            }
        }
        if self.run > 0 {
            for place in &ZIGZAG[index..=self.scan.end] {
                if block[*place] != 0 {
                    refine(&mut block[*place], bit, &mut self.bits);
                }
            }
            self.run -= 1;
        }
        Ok(())
    }
}

/// One more bit of a coefficient that is not zero.
fn refine(value: &mut i16, bit: i16, bits: &mut Bits<'_>) {
    if bits.bit() && *value & bit == 0 {
        *value = if *value >= 0 { value.wrapping_add(bit) } else { value.wrapping_sub(bit) };
    }
}
