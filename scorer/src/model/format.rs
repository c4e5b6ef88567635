//! What kind of file a model is in.

use std::fmt;

use serde::Serialize;

use super::{compressed, native, onnx, skops};

/// What kind of file a model is in, as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum Format {
    /// The project's own.
    Native {
        /// Its version.
        version: u32,
    },
    /// A pickle, by pickle or joblib.
    Pickle {
        /// Its protocol.
        protocol: u8,
    },
    /// A pickle, compressed by joblib.
    Compressed {
        /// How.
        with: &'static str,
    },
    /// A zip archive, as skops writes it.
    Skops,
    /// An ONNX file, as skl2onnx writes it.
    #[serde(rename_all = "camelCase")]
    Onnx {
        /// The version of the file format.
        ir_version: u8,
    },
    /// None of these.
    Unknown,
}

impl Format {
    /// The format of a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            _ if native::is_native(bytes) => {
                native::version(bytes).map_or(Self::Unknown, |version| Self::Native { version })
            }
            [0x80, protocol, ..] => Self::Pickle { protocol: *protocol },
            _ if skops::is_zip(bytes) => Self::Skops,
            _ if onnx::is_onnx(bytes) => Self::Onnx { ir_version: onnx::ir_version(bytes) },
            _ => compressed::method(bytes).map_or(Self::Unknown, |with| Self::Compressed { with }),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native { version } => write!(f, "the scorer's own, version {version}"),
            Self::Pickle { protocol } => write!(f, "pickle, protocol {protocol}"),
            Self::Compressed { with } => write!(f, "pickle, compressed with {with}"),
            Self::Skops => f.write_str("skops"),
            Self::Onnx { ir_version } => write!(f, "ONNX, IR version {ir_version}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
