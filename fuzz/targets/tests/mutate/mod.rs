//! Inputs that are nearly those of a corpus.

/// Numbers at which something changes.
const NUMBERS: [u32; 12] = [
    0,
    1,
    2,
    16,
    0x7f,
    0xff,
    0xffff,
    0x10_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
];

/// Makes the same inputs each time.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of the inputs with one to eight changes.
    pub(crate) fn mutate(&mut self, inputs: &[&[u8]]) -> Vec<u8> {
        let mut bytes = self.choose(inputs).to_vec();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, inputs);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[&[u8]]) {
        let at = self.below(bytes.len() + 1);
        let len = self.below((bytes.len() - at).min(64) + 1);
        match self.below(9) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            2 => {
                let value = self.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            3 | 4 => {
                let number = self.choose(&NUMBERS).to_be_bytes();
                if let Some(place) = bytes.get_mut(at..at + number.len()) {
                    place.copy_from_slice(&number);
                }
            }
            5 => bytes.truncate(at),
            6 => drop(bytes.drain(at..at + len)),
            7 => {
                let copy = bytes[at..at + len].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let other = self.choose(inputs);
                let from = self.below(other.len() + 1);
                let len = self.below((other.len() - from).min(256) + 1);
                bytes.splice(at..at, other[from..from + len].iter().copied());
            }
        }
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
