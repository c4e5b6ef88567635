//! The columns of a Parquet file, and how their values become texts.

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

/// A column of the file.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// Its place among the columns as they are stored; none if it cannot be read.
    pub(super) leaf: Option<usize>,
    pub(super) kind: Kind,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts, booleans and numbers as they are stored.
    Plain,
    /// Integers without a sign.
    Unsigned,
    /// Days since 1970.
    Date,
    /// An instant in so many nanoseconds; `utc`: since 1970 in UTC, else of a clock on the wall.
    Time { unit: i64, utc: bool },
    /// An instant as Impala and Spark wrote it once: a day and nanoseconds.
    Int96,
    /// An integer with so many digits behind the point.
    Decimal { scale: u32 },
    /// Sixteen bytes.
    Uuid,
    /// Not read, and why.
    Other(&'static str),
}

impl Field {
    /// The columns of a file, in order.
    pub(super) fn all(schema: &SchemaDescriptor) -> Vec<Self> {
        let mut leaves = vec![None; schema.root_schema().get_fields().len()];
        for leaf in 0..schema.num_columns() {
            leaves[schema.get_column_root_idx(leaf)] = Some(leaf);
        }
        let fields = schema.root_schema().get_fields().iter().zip(leaves);
        let fields = fields.map(|(field, leaf)| {
            let info = field.get_basic_info();
            let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
            let kind = match leaf {
                Some(leaf) if field.is_primitive() && !repeated => kind(&schema.column(leaf)),
                _ => Kind::Other("it is nested"),
            };
            let leaf = leaf.filter(|_| !matches!(kind, Kind::Other(_)));
            Self { name: field.name().to_owned(), leaf, kind }
        });
        fields.collect()
    }

    /// Whether it is an instant, which is not written in a format of the user's.
    pub(super) fn is_instant(&self) -> bool {
        matches!(self.kind, Kind::Time { .. } | Kind::Int96 | Kind::Date)
    }
}

fn kind(column: &ColumnDescriptor) -> Kind {
    let time = |unit, utc| {
        let unit = match unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        };
        Kind::Time { unit, utc }
    };
    let physical = column.physical_type();
    let kind = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(of)), _) => time(of.unit, of.is_adjusted_to_u_t_c),
        (_, ConvertedType::TIMESTAMP_MILLIS) => time(TimeUnit::MILLIS, true),
        (_, ConvertedType::TIMESTAMP_MICROS) => time(TimeUnit::MICROS, true),
        (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Kind::Date,
        (Some(LogicalType::Decimal(of)), _) => decimal(of.scale),
        (_, ConvertedType::DECIMAL) => decimal(column.type_scale()),
        (Some(LogicalType::Integer(of)), _) if !of.is_signed => Kind::Unsigned,
        (_, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64) => {
            Kind::Unsigned
        }
        (Some(LogicalType::Time(_)), _) | (_, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => {
            Kind::Other("it is a time of day")
        }
        (Some(LogicalType::Uuid), _) => Kind::Uuid,
        _ if physical == Type::INT96 => Kind::Int96,
        _ if physical == Type::FIXED_LEN_BYTE_ARRAY => Kind::Other("it holds bytes"),
        _ => Kind::Plain,
    };
    let fits = match kind {
        Kind::Time { .. } => physical == Type::INT64,
        Kind::Date => physical == Type::INT32,
        Kind::Unsigned => matches!(physical, Type::INT32 | Type::INT64),
        Kind::Decimal { .. } => !matches!(physical, Type::BOOLEAN | Type::INT96 | Type::FLOAT | Type::DOUBLE),
        Kind::Uuid => physical == Type::FIXED_LEN_BYTE_ARRAY && column.type_length() == 16,
        Kind::Plain | Kind::Int96 | Kind::Other(_) => true,
    };
    if fits { kind } else { Kind::Other("its type is at odds with how it is stored") }
}

fn decimal(scale: i32) -> Kind {
    match u32::try_from(scale) {
        Ok(scale @ 0..=38) => Kind::Decimal { scale },
        _ => Kind::Other("it is a decimal of more than 38 digits"),
    }
}
