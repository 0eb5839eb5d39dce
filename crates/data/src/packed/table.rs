//! A table of Parquet with a column of pictures, as Hugging Face writes it: `image` with `bytes` and `path`, and a column of
//! labels, whose names the file's own metadata say.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frostline_files::regular;
use parquet::basic::{CompressionCodec, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::serialized_reader::SerializedPageReader;

pub(super) use super::blocks::Blocks;
use super::blocks::{BLOCK_BYTES, Block};
use super::{Contents, Found, Label, Place, columns, footer};
use crate::decode::contained;
use crate::{DataError, path_text};

const HELP: &str = "write the file again, or copy it again";

/// A file, and what is needed to read a picture of it.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    about: ParquetMetaData,
    /// The column of pictures.
    column: usize,
    /// The first row of each group of rows.
    starts: Vec<usize>,
    /// What was read last, of this file and others.
    blocks: Arc<Blocks>,
    /// Its number among those.
    number: usize,
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Table {}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

/// Reads which rows there are, and what is said of them.
pub(super) fn read(path: &Path, blocks: &Arc<Blocks>) -> Result<Contents, DataError> {
    contained(&path_text(path), || contents(path, blocks))
}

fn contents(path: &Path, blocks: &Arc<Blocks>) -> Result<Contents, DataError> {
    let file = open(path)?;
    let io = |error: std::io::Error| DataError::io(path, error);
    if !footer::is_possible(&file).map_err(io)? {
        let message = "cannot be read as Parquet: the description at its end is damaged";
        return Err(DataError::source(path, message, HELP));
    }
    let about =
        ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| damaged(path, &error))?;
    let columns = columns::of(path, &about)?;
    for column in [Some(columns.image), columns.path, columns.label].into_iter().flatten() {
        require_readable(path, &about, column)?;
    }
    require_embedded(path, &about, &columns)?;
    let (mut starts, mut rows) = (Vec::new(), 0);
    for group in about.row_groups() {
        starts.push(rows);
        rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX).saturating_add(rows);
    }
    let bytes = file.metadata().map_err(io)?.len();
    if rows as u64 > bytes {
        return Err(DataError::source(path, format!("claims {rows} rows in {bytes} bytes"), HELP));
    }
    let (mut labels, mut names): (Vec<Option<Label>>, Vec<Option<String>>) = Default::default();
    for group in 0..about.num_row_groups() {
        let cells =
            |column: usize| cells(&about, group, column, &file).map_err(|error| damaged(path, &error));
        if let Some(column) = columns.label {
            let is_list = about.file_metadata().schema_descr().column(column).max_rep_level() > 0;
            labels.extend(cells(column)?.into_iter().map(|cell| label(cell?, is_list)));
        }
        if let Some(column) = columns.path {
            names.extend(cells(column)?.into_iter().map(|cell| match cell?.into_iter().next() {
                Some(Cell::Text(name)) if !name.is_empty() => Some(name),
                _ => None,
            }));
        }
    }
    if labels.len() != rows && columns.label.is_some() {
        let message = format!("has {rows} rows, and {} labels", labels.len());
        return Err(DataError::source(path, message, HELP));
    }
    let has_names = names.len() == rows && names.iter().all(Option::is_some);
    let number = blocks.file();
    let table = Arc::new(Table {
        path: path.to_path_buf(),
        about,
        column: columns.image,
        starts,
        blocks: blocks.clone(),
        number,
    });
    let mut labels = labels.into_iter();
    let mut names = names.into_iter();
    let found = |row: usize| Found {
        place: Place::Row { table: table.clone(), row },
        name: names.next().flatten().filter(|_| has_names).unwrap_or_else(|| row.to_string()),
        label: labels.next().flatten(),
        split: None,
    };
    Ok(Contents {
        found: (0..rows).map(found).collect(),
        names: columns.names,
        others: columns.others,
        has_names,
    })
}

impl Table {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the picture in a row. `name` is for messages.
    pub(super) fn picture(&self, row: usize, name: &str) -> Result<Vec<u8>, DataError> {
        let group = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        let row = row - self.starts[group];
        let about = self.about.row_group(group);
        let rows = usize::try_from(about.num_rows()).unwrap_or(0).max(1);
        let bytes = usize::try_from(about.column(self.column).uncompressed_size()).unwrap_or(0);
        // a group that is small is one block; of others, as many rows as are about a block
        let pieces = bytes.div_ceil(BLOCK_BYTES).clamp(1, rows);
        let each = rows.div_ceil(pieces);
        let first = row / each * each;
        // numbers of blocks are unlike in all groups
        let key = (self.number, self.starts[group] + first);
        let block = self.blocks.get(key, || {
            contained(&path_text(&self.path), || {
                let file = open(&self.path)?;
                self.block(file, group, first, each.min(rows - first))
                    .map_err(|error| damaged(&self.path, &error))
            })
        })?;
        match block.get(row - first) {
            Some(Some(bytes)) => Ok(bytes.clone()),
            Some(None) => Err(DataError::image(
                name,
                "has no picture: the row is empty",
                "leave the row out of the table",
            )),
            None => Err(DataError::source(
                &self.path,
                format!("has fewer pictures than rows: none for `{name}`"),
                HELP,
            )),
        }
    }

    /// The pictures of some rows of a group.
    fn block(&self, file: File, group: usize, first: usize, count: usize) -> Result<Block, ParquetError> {
        let about = self.about.row_group(group);
        let rows = usize::try_from(about.num_rows()).unwrap_or(0);
        let pages = SerializedPageReader::new(Arc::new(file), about.column(self.column), rows, None)?;
        let column = self.about.file_metadata().schema_descr().column(self.column);
        let most = column.max_def_level();
        let mut reader = ColumnReaderImpl::<ByteArrayType>::new(column, Box::new(pages));
        reader.skip_records(first)?;
        let mut block = Block::with_capacity(count);
        while block.len() < count {
            let (mut levels, mut values): (Vec<i16>, Vec<ByteArray>) = Default::default();
            // copied one by one, so that a block holds no whole pages
            let (read, _, _) = reader.read_records(1, Some(&mut levels), None, &mut values)?;
            if read == 0 {
                break;
            }
            let is_there = most == 0 || levels.first() == Some(&most);
            block.push(values.first().filter(|_| is_there).map(|value| value.data().to_vec()));
        }
        Ok(block)
    }
}

/// A value of a cell; a cell that is a list has several.
enum Cell {
    Whole(i64),
    Fraction(f32),
    Text(String),
}

/// The cells of a column in a group of rows; none where a cell is empty.
fn cells(
    about: &ParquetMetaData,
    group: usize,
    column: usize,
    file: &File,
) -> Result<Vec<Option<Vec<Cell>>>, ParquetError> {
    let descriptor = about.file_metadata().schema_descr().column(column);
    let about = about.row_group(group);
    let rows = usize::try_from(about.num_rows()).unwrap_or(0);
    let pages = SerializedPageReader::new(Arc::new(file.try_clone()?), about.column(column), rows, None)?;
    let levels = [descriptor.max_def_level(), descriptor.max_rep_level()];
    let text = |value: ByteArray| Cell::Text(String::from_utf8_lossy(value.data()).into_owned());
    match get_column_reader(descriptor, Box::new(pages)) {
        ColumnReader::BoolColumnReader(reader) => values(reader, levels, rows, |v| Cell::Whole(i64::from(v))),
        ColumnReader::Int32ColumnReader(reader) => {
            values(reader, levels, rows, |v| Cell::Whole(i64::from(v)))
        }
        ColumnReader::Int64ColumnReader(reader) => values(reader, levels, rows, Cell::Whole),
        ColumnReader::FloatColumnReader(reader) => values(reader, levels, rows, Cell::Fraction),
        ColumnReader::DoubleColumnReader(reader) => {
            values(reader, levels, rows, |v| Cell::Fraction(v as f32))
        }
        ColumnReader::ByteArrayColumnReader(reader) => values(reader, levels, rows, text),
        _ => Err(ParquetError::General("a column of labels or paths is of an odd type".to_owned())),
    }
}

fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    [most, repeated]: [i16; 2],
    rows: usize,
    cell: impl Fn(T::T) -> Cell,
) -> Result<Vec<Option<Vec<Cell>>>, ParquetError> {
    let (mut definition, mut repetition, mut found) = (Vec::new(), Vec::new(), Vec::new());
    while reader.read_records(rows, Some(&mut definition), Some(&mut repetition), &mut found)?.0 > 0 {}
    let mut found = found.into_iter().map(cell);
    if most == 0 {
        return Ok(found.map(|cell| Some(vec![cell])).collect());
    }
    let mut cells: Vec<Option<Vec<Cell>>> = Vec::with_capacity(rows);
    for (at, level) in definition.iter().enumerate() {
        if repeated == 0 || repetition.get(at) == Some(&0) {
            // an empty list is there, an empty cell is not
            let is_there = if repeated == 0 { *level == most } else { *level > 0 };
            cells.push(is_there.then(Vec::new));
        }
        if *level == most
            && let (Some(Some(own)), Some(value)) = (cells.last_mut(), found.next())
        {
            own.push(value);
        }
    }
    Ok(cells)
}

/// What a cell says; none where it says nothing.
fn label(cells: Vec<Cell>, is_list: bool) -> Option<Label> {
    let one = |cell: &Cell| match cell {
        Cell::Whole(index) => Label::Index(*index),
        Cell::Fraction(number) => Label::Number(*number),
        Cell::Text(name) => Label::Name(name.trim().to_owned()),
    };
    if !is_list {
        return cells.first().map(one).filter(|label| *label != Label::Name(String::new()));
    }
    let indices: Option<Vec<i64>> =
        cells.iter().map(|cell| if let Cell::Whole(index) = cell { Some(*index) } else { None }).collect();
    Some(indices.map_or_else(
        || {
            let text = |cell: &Cell| match cell {
                Cell::Text(name) => name.trim().to_owned(),
                Cell::Whole(number) => number.to_string(),
                Cell::Fraction(number) => number.to_string(),
            };
            Label::Several(cells.iter().map(text).collect())
        },
        Label::Indices,
    ))
}

/// Errors where a column is of a kind that is not read.
fn require_readable(path: &Path, about: &ParquetMetaData, column: usize) -> Result<(), DataError> {
    use CompressionCodec::{GZIP, SNAPPY, UNCOMPRESSED, ZSTD};
    for group in about.row_groups() {
        let codec = group.column(column).compression_codec();
        if !matches!(codec, UNCOMPRESSED | SNAPPY | GZIP | ZSTD) {
            return Err(DataError::source(
                path,
                format!("is compressed by {codec:?}, which is not read"),
                "write it again with snappy, zstd or gzip, or without compression",
            ));
        }
    }
    let descriptor = about.file_metadata().schema_descr().column(column);
    match descriptor.physical_type() {
        Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => Err(DataError::source(
            path,
            format!(
                "its column `{}` is of the type {}, which is not read",
                descriptor.path().string(),
                descriptor.physical_type()
            ),
            "write whole numbers, texts or numbers",
        )),
        _ => Ok(()),
    }
}

/// Errors where all pictures are paths to files elsewhere.
fn require_embedded(
    path: &Path,
    about: &ParquetMetaData,
    columns: &columns::Columns,
) -> Result<(), DataError> {
    let is_empty = |group: &parquet::file::metadata::RowGroupMetaData| {
        let nulls = group.column(columns.image).statistics().and_then(|known| known.null_count_opt());
        nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
    };
    let groups = about.row_groups();
    match columns.path.is_some() && !groups.is_empty() && groups.iter().all(is_empty) {
        true => Err(DataError::source(
            path,
            "holds paths of pictures, and no pictures",
            "write it by `dataset.push_to_hub` or `embed_table_storage` of `datasets`, which put the pictures into the file",
        )),
        false => Ok(()),
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    regular::open(path).map_err(|error| DataError::io(path, error))
}

fn damaged(path: &Path, error: &ParquetError) -> DataError {
    DataError::source(path, format!("cannot be read as Parquet: {error}"), HELP)
}
