//! Blocks of bytes, kept with little more than themselves.
//!
//! Blocks of one size share pages of 16 KiB, and a block is known by a number of 4 bytes. An allocator for everything
//! rounds sizes up by a tenth on average and hands out addresses of 8 bytes: with a million nodes of 130 bytes that
//! would be 20 bytes more for each.

use alloc::boxed::Box;
use alloc::vec::Vec;

const PAGE_BYTES: usize = 16 * 1024;
/// With fewer, a page would have more blocks than [`Block`] can tell apart.
const BLOCK_BYTES_MIN: usize = PAGE_BYTES >> BLOCK_BITS;
/// Larger ones are allocations of their own.
const BLOCK_BYTES_MAX: usize = 2048;
/// Up to here sizes are multiples of 4, above of 32.
const FINE_BYTES_MAX: usize = 512;
const FINE_CLASSES: usize = (FINE_BYTES_MAX - BLOCK_BYTES_MIN) / 4 + 1;
const CLASSES: usize = FINE_CLASSES + (BLOCK_BYTES_MAX - FINE_BYTES_MAX) / 32;
/// Bits that number a block in its page; 21 bits are left for the page: 32 GiB.
const BLOCK_BITS: u32 = 10;
/// Set for an allocation of its own.
const LARGE: u32 = 1 << 31;
/// Ends the list of free blocks of a page.
const NO_BLOCK: u16 = u16::MAX;

/// A block of a [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block(u32);

impl Block {
    /// Stands where there is none.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// Blocks of bytes of any size.
pub(crate) struct Heap {
    pages: Vec<Page>,
    /// For each size the pages with room.
    roomy: Vec<Vec<u32>>,
    /// Numbers of pages that are not in use.
    vacant: Vec<u32>,
    large: Vec<Option<Box<[u8]>>>,
    large_vacant: Vec<u32>,
}

struct Page {
    /// Blocks as far as they were ever used. A free one starts with the number of the next.
    bytes: Vec<u8>,
    class: u8,
    free: u16,
    used: u16,
    /// Place in the list of pages with room, while it has any.
    place: u32,
}

impl Heap {
    pub(crate) fn new() -> Self {
        let mut roomy = Vec::new();
        roomy.resize_with(CLASSES, Vec::new);
        Self {
            pages: Vec::new(),
            roomy,
            vacant: Vec::new(),
            large: Vec::new(),
            large_vacant: Vec::new(),
        }
    }

    /// Puts bytes into a block of their own.
    ///
    /// # Panics
    /// When all numbers are used up: 32 GiB in pages.
    pub(crate) fn insert(&mut self, bytes: &[u8]) -> Block {
        let Some(class) = class(bytes.len()) else {
            return self.insert_large(bytes);
        };
        let page = self.page_with_room(class);
        let index = self.pages[page].take(class_bytes(class));
        self.pages[page].block_mut(index, class_bytes(class))[..bytes.len()].copy_from_slice(bytes);
        if !self.pages[page].has_room(class_bytes(class)) {
            self.unlist(page);
        }
        let page = u32::try_from(page).ok().filter(|page| page >> (31 - BLOCK_BITS) == 0);
        Block(page.expect("less than 32 GiB in pages") << BLOCK_BITS | u32::from(index))
    }

    /// The bytes of a block, and what it was rounded up by.
    pub(crate) fn bytes(&self, block: Block) -> &[u8] {
        if block.0 & LARGE != 0 {
            return self.large[(block.0 & !LARGE) as usize].as_deref().unwrap_or_default();
        }
        let (page, index) = place(block);
        let page = &self.pages[page];
        let bytes = class_bytes(usize::from(page.class));
        &page.bytes[usize::from(index) * bytes..][..bytes]
    }

    /// Puts other bytes into a block, or into another one if they do not fit.
    pub(crate) fn replace(&mut self, block: Block, bytes: &[u8]) -> Block {
        if block.0 & LARGE == 0 {
            let (page, index) = place(block);
            let page = &mut self.pages[page];
            if class(bytes.len()) == Some(usize::from(page.class)) {
                let block_bytes = class_bytes(usize::from(page.class));
                page.block_mut(index, block_bytes)[..bytes.len()].copy_from_slice(bytes);
                return block;
            }
        }
        self.remove(block);
        self.insert(bytes)
    }

    /// Frees a block.
    pub(crate) fn remove(&mut self, block: Block) {
        if block.0 & LARGE != 0 {
            self.large[(block.0 & !LARGE) as usize] = None;
            self.large_vacant.push(block.0 & !LARGE);
            return;
        }
        let (at, index) = place(block);
        let page = &mut self.pages[at];
        let class = usize::from(page.class);
        let had_room = page.has_room(class_bytes(class));
        page.give_back(index, class_bytes(class));
        let is_empty = page.used == 0;
        if !had_room {
            page.place = number(self.roomy[class].len());
            self.roomy[class].push(number(at));
        }
        // The last page of a size stays: a single block that comes and goes shall not take a page along each time.
        if is_empty && self.roomy[class].len() > 1 {
            self.unlist(at);
            self.pages[at].bytes = Vec::new();
            self.vacant.push(number(at));
        }
    }

    fn insert_large(&mut self, bytes: &[u8]) -> Block {
        let bytes = Some(bytes.into());
        let at = match self.large_vacant.pop() {
            Some(at) => {
                self.large[at as usize] = bytes;
                at
            }
            None => {
                self.large.push(bytes);
                number(self.large.len() - 1)
            }
        };
        Block(at | LARGE)
    }

    fn page_with_room(&mut self, class: usize) -> usize {
        if let Some(&page) = self.roomy[class].last() {
            return page as usize;
        }
        let page = Page {
            bytes: Vec::new(),
            class: u8::try_from(class).expect("fewer than 256 classes"),
            free: NO_BLOCK,
            used: 0,
            place: 0,
        };
        let at = match self.vacant.pop() {
            Some(at) => {
                self.pages[at as usize] = page;
                at
            }
            None => {
                self.pages.push(page);
                number(self.pages.len() - 1)
            }
        };
        self.roomy[class].push(at);
        at as usize
    }

    /// Takes a page from the list of those with room.
    fn unlist(&mut self, page: usize) {
        let (class, place) = (usize::from(self.pages[page].class), self.pages[page].place);
        self.roomy[class].swap_remove(place as usize);
        if let Some(&moved) = self.roomy[class].get(place as usize) {
            self.pages[moved as usize].place = place;
        }
    }
}

impl Page {
    fn has_room(&self, block_bytes: usize) -> bool {
        self.free != NO_BLOCK || self.bytes.len() + block_bytes <= PAGE_BYTES
    }

    fn block_mut(&mut self, index: u16, block_bytes: usize) -> &mut [u8] {
        &mut self.bytes[usize::from(index) * block_bytes..][..block_bytes]
    }

    /// Takes a block of a page that has room.
    fn take(&mut self, block_bytes: usize) -> u16 {
        self.used += 1;
        if self.free != NO_BLOCK {
            let index = self.free;
            let block = self.block_mut(index, block_bytes);
            self.free = u16::from_le_bytes([block[0], block[1]]);
            return index;
        }
        let len = self.bytes.len();
        if len + block_bytes > self.bytes.capacity() {
            // Few bytes for few nodes; a page that fills up ends with all of them and none more.
            let capacity = (2 * len).max(4 * block_bytes).min(PAGE_BYTES);
            self.bytes.reserve_exact(capacity - len);
        }
        self.bytes.resize(len + block_bytes, 0);
        u16::try_from(len / block_bytes).expect("a page has at most 1024 blocks")
    }

    fn give_back(&mut self, index: u16, block_bytes: usize) {
        let next = self.free.to_le_bytes();
        self.block_mut(index, block_bytes)[..2].copy_from_slice(&next);
        self.free = index;
        self.used -= 1;
    }
}

/// Number of a block's size, unless it is to have an allocation of its own.
const fn class(len: usize) -> Option<usize> {
    if len <= BLOCK_BYTES_MIN {
        Some(0)
    } else if len <= FINE_BYTES_MAX {
        Some((len - BLOCK_BYTES_MIN).div_ceil(4))
    } else if len <= BLOCK_BYTES_MAX {
        Some(FINE_CLASSES - 1 + (len - FINE_BYTES_MAX).div_ceil(32))
    } else {
        None
    }
}

const fn class_bytes(class: usize) -> usize {
    if class < FINE_CLASSES {
        BLOCK_BYTES_MIN + class * 4
    } else {
        FINE_BYTES_MAX + (class + 1 - FINE_CLASSES) * 32
    }
}

/// Page and number in it.
fn place(block: Block) -> (usize, u16) {
    let index = block.0 & ((1 << BLOCK_BITS) - 1);
    let index = u16::try_from(index).expect("ten bits fit into sixteen");
    ((block.0 >> BLOCK_BITS) as usize, index)
}

fn number(at: usize) -> u32 {
    u32::try_from(at)
        .ok()
        .filter(|at| at & LARGE == 0)
        .expect("fewer than 2^31")
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_little() {
        assert_eq!(class_bytes(CLASSES - 1), BLOCK_BYTES_MAX);
        for len in 0..=BLOCK_BYTES_MAX {
            let class = class(len).unwrap();
            assert!(class < CLASSES);
            assert!(class_bytes(class) >= len);
            assert!(class == 0 || class_bytes(class - 1) < len, "{len}");
        }
        assert_eq!(class(BLOCK_BYTES_MAX + 1), None);
    }

    #[test]
    fn blocks_keep_their_bytes_while_others_come_and_go() {
        let mut heap = Heap::new();
        let mut blocks: Vec<(Block, Vec<u8>)> = Vec::new();
        let mut state = 1_u32;
        let mut next = |end: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) % end) as usize
        };
        for round in 0..40_000 {
            let len = [next(40), next(600), next(2500)][next(3)];
            let bytes = vec![u8::try_from(round % 251).unwrap(); len];
            if round < 2000 || next(2) == 0 {
                blocks.push((heap.insert(&bytes), bytes));
            } else {
                let at = next(u32::try_from(blocks.len()).unwrap());
                if next(2) == 0 {
                    blocks[at] = (heap.replace(blocks[at].0, &bytes), bytes);
                } else {
                    heap.remove(blocks.swap_remove(at).0);
                }
            }
            let (block, bytes) = &blocks[next(u32::try_from(blocks.len()).unwrap())];
            assert_eq!(&heap.bytes(*block)[..bytes.len()], bytes);
        }
        for (block, bytes) in &blocks {
            assert_eq!(&heap.bytes(*block)[..bytes.len()], bytes);
            heap.remove(*block);
        }
        let in_use = heap.pages.iter().filter(|page| page.bytes.capacity() > 0).count();
        assert!(in_use <= CLASSES, "{in_use} pages without a block");
        assert!(
            heap.pages
                .iter()
                .all(|page| page.used == 0 && page.bytes.capacity() <= PAGE_BYTES)
        );
    }
}
