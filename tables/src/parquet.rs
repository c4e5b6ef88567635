//! Tables as Parquet: a row group at a time, a column at a time, packed by snappy.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
pub use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
pub use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

/// A row group ends with what brings it to so many rows.
pub const GROUP_ROWS: usize = 65_536;
/// Or to about so many bytes in memory.
pub const GROUP_BYTES: usize = 16 << 20;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts; [`ByteArrayType`].
    Text,
    /// Microseconds since 1970 in UTC; [`Int64Type`].
    Instant,
    /// [`Int32Type`].
    Integer,
    /// [`Int64Type`].
    Long,
    /// [`DoubleType`].
    Number,
}

/// A column, in which every row has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    name: String,
    kind: Kind,
    repeats: bool,
}

impl Column {
    /// One of this name.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, repeats: true }
    }

    /// One whose values hardly ever repeat: a dictionary of them is work for nothing.
    #[must_use]
    pub fn distinct(self) -> Self {
        Self { repeats: false, ..self }
    }

    fn field(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Instant => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Kind::Integer => (Physical::INT32, None),
            Kind::Long => (Physical::INT64, None),
            Kind::Number => (Physical::DOUBLE, None),
        };
        let field = Type::primitive_type_builder(&self.name, physical);
        field.with_repetition(Repetition::REQUIRED).with_logical_type(logical).build().map(Arc::new)
    }
}

/// A file under way.
pub struct File {
    writer: SerializedFileWriter<Vec<u8>>,
}

impl File {
    /// Begins a file of these columns.
    ///
    /// # Errors
    /// When no schema can be made of them.
    pub fn begin(table: &str, columns: &[Column]) -> Result<Self, ParquetError> {
        let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        for column in columns.iter().filter(|column| !column.repeats) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name.as_str()), false);
        }
        let fields = columns.iter().map(Column::field).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder(table).with_fields(fields).build()?;
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self { writer })
    }

    /// Begins a row group.
    ///
    /// # Errors
    /// When the one before was not closed.
    pub fn group(&mut self) -> Result<Group<'_>, ParquetError> {
        self.writer.next_row_group().map(Group)
    }

    /// Moves the bytes that are ready to where they go.
    ///
    /// # Errors
    /// None that is known: there is room in memory, or the process ends.
    pub fn ready(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.writer.flush().map_err(ParquetError::from)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }

    /// Ends the file and moves its last bytes.
    ///
    /// # Errors
    /// When a row group was not closed.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        out.append(&mut self.writer.into_inner()?);
        Ok(())
    }
}

/// A row group under way: its columns are written in their order.
pub struct Group<'a>(SerializedRowGroupWriter<'a, Vec<u8>>);

impl Group<'_> {
    /// Writes the next column and empties it.
    ///
    /// # Errors
    /// When there is none such.
    pub fn column<T: DataType>(&mut self, values: &mut Vec<T::T>) -> Result<(), ParquetError> {
        let missing = || ParquetError::General("the schema has fewer columns than the rows".to_owned());
        let mut column = self.0.next_column()?.ok_or_else(missing)?;
        column.typed::<T>().write_batch(values, None, None)?;
        values.clear();
        column.close()
    }

    /// Ends the row group.
    ///
    /// # Errors
    /// When its columns differ in how many rows they have.
    pub fn close(self) -> Result<(), ParquetError> {
        self.0.close().map(|_| ())
    }
}
