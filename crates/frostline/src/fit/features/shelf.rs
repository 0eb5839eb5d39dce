//! The rows of one boundary, in memory or on disk.

use crate::fit::features::cache::{self, Form, PrefixKey, RowElement, RowKey, Store};
use frostline_engine::compile::Frozen;
use frostline_graph::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A list of examples, as far as it matters here.
#[derive(Clone, Debug)]
pub(in crate::fit) struct Part<'a> {
    pub(in crate::fit) name: &'a str,
    pub(in crate::fit) images: usize,
    pub(in crate::fit) views: usize,
    /// Of the first view; empty where nothing is on disk.
    pub(in crate::fit) keys: Vec<RowKey>,
}

impl Part<'_> {
    pub(in crate::fit) fn rows(&self) -> usize {
        self.images * self.views
    }
}

/// Where rows of a part in a view are found.
pub(in crate::fit) struct At<'a> {
    pub(in crate::fit) part: &'a str,
    pub(in crate::fit) view: usize,
    /// By image; empty where nothing is on disk.
    pub(in crate::fit) keys: &'a [RowKey],
}

/// The rows of one boundary.
pub(in crate::fit) struct Shelf {
    pub(in crate::fit) frozen: Arc<Frozen>,
    pub(in crate::fit) key: PrefixKey,
    pub(in crate::fit) form: Form,
    /// Whether rows are stored.
    pub(in crate::fit) wanted: bool,
    /// Bytes of memory that its parts may use.
    pub(in crate::fit) reserved: u64,
    pub(in crate::fit) rows: Rows,
}

pub(in crate::fit) enum Rows {
    /// By part and view; only parts for which there is room are in it.
    Memory(BTreeMap<String, BTreeMap<usize, Arc<Block>>>),
    Disk(Box<Store>),
    /// As if every row were there, and zero: for a probe of what comes after.
    Blank,
}

impl Shelf {
    pub(in crate::fit) fn store(&self) -> Option<&Store> {
        match &self.rows {
            Rows::Disk(store) => Some(store),
            Rows::Memory(_) | Rows::Blank => None,
        }
    }

    /// Whether there is room for a part.
    pub(in crate::fit) fn takes(&self, part: &str) -> bool {
        self.wanted
            && match &self.rows {
                Rows::Memory(parts) => parts.contains_key(part),
                Rows::Disk(store) => !store.is_full(),
                Rows::Blank => true,
            }
    }

    /// Whether a row is there. One on disk may turn out to be damaged.
    pub(in crate::fit) fn has(&self, at: &At<'_>, index: usize) -> bool {
        match &self.rows {
            Rows::Memory(parts) => parts.get(at.part).is_some_and(|views| views.contains_key(&at.view)),
            Rows::Disk(store) => at.keys.get(index).is_some_and(|key| store.contains(key)),
            Rows::Blank => true,
        }
    }

    /// Reads a row. False if it is missing or damaged.
    pub(in crate::fit) fn read(&self, at: &At<'_>, index: usize, row: &mut [f32]) -> bool {
        match &self.rows {
            Rows::Memory(parts) => {
                let found = parts.get(at.part).and_then(|views| views.get(&at.view));
                found.is_some_and(|rows| {
                    rows.read(index * row.len(), row);
                    true
                })
            }
            Rows::Disk(store) => at.keys.get(index).is_some_and(|key| store.read(key, row)),
            Rows::Blank => {
                row.fill(0.0);
                true
            }
        }
    }

    /// Where the rows of a part in a view are, to be read on another thread.
    pub(in crate::fit) fn located(&self, at: &At<'_>) -> Located {
        match &self.rows {
            Rows::Memory(parts) => {
                Located::Memory(parts.get(at.part).and_then(|views| views.get(&at.view)).cloned())
            }
            Rows::Disk(store) => Located::Disk(store.located(at.keys)),
            Rows::Blank => Located::Blank,
        }
    }

    /// Keeps all rows of a part in a view in memory.
    pub(in crate::fit) fn put(&mut self, at: &At<'_>, all: Vec<f32>) {
        if let Rows::Memory(parts) = &mut self.rows
            && let Some(views) = parts.get_mut(at.part)
        {
            views.insert(at.view, Arc::new(Block::new(all, self.form.element)));
        }
    }

    /// Stores rows on disk. False if the cache is too small for them.
    pub(in crate::fit) fn append<'a>(
        &mut self,
        keys: &[RowKey],
        rows: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<bool> {
        match &mut self.rows {
            Rows::Disk(store) => store.append(keys, rows),
            Rows::Memory(_) | Rows::Blank => Ok(true),
        }
    }
}

/// Rows of a part in a view, by image.
pub(in crate::fit) enum Located {
    /// None of them, or all.
    Memory(Option<Arc<Block>>),
    Disk(cache::Located),
    /// See [`Rows::Blank`].
    Blank,
}

impl Located {
    /// A row will be read soon.
    pub(in crate::fit) fn expect(&self, index: usize) {
        if let Self::Disk(rows) = self {
            rows.expect(index);
        }
    }

    /// Reads a row. False if it is missing or damaged.
    pub(in crate::fit) fn read(&self, index: usize, row: &mut [f32]) -> bool {
        match self {
            Self::Memory(None) => false,
            Self::Memory(Some(rows)) => {
                rows.read(index * row.len(), row);
                true
            }
            Self::Disk(rows) => rows.read(index, row),
            Self::Blank => {
                row.fill(0.0);
                true
            }
        }
    }
}

/// Rows in memory.
pub(in crate::fit) enum Block {
    F32(Vec<f32>),
    /// The upper halves.
    Bf16(Vec<u16>),
}

impl Block {
    fn new(rows: Vec<f32>, element: RowElement) -> Self {
        match element {
            RowElement::F32 => Self::F32(rows),
            RowElement::Bf16 => Self::Bf16(rows.iter().map(|value| (value.to_bits() >> 16) as u16).collect()),
        }
    }

    fn read(&self, start: usize, row: &mut [f32]) {
        match self {
            Self::F32(rows) => row.copy_from_slice(&rows[start..][..row.len()]),
            Self::Bf16(rows) => {
                let upper = rows[start..].iter().map(|half| f32::from_bits(u32::from(*half) << 16));
                row.iter_mut().zip(upper).for_each(|(value, stored)| *value = stored);
            }
        }
    }
}
