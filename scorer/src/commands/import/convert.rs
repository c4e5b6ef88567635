//! One model into the project's own format, and the proof that it is still the same.

use crate::model::{Format, Imported, Model, ModelError, sha256};

/// Rows that the original and the converted model are compared with.
const ROWS: usize = 256;

/// Why a model that loads was not converted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConvertError {
    #[error("model {file} does not serialise: {source}")]
    Serialise { file: String, source: serde_json::Error },
    #[error("the converted model cannot be read back: {0}; please report this")]
    ReadBack(ModelError),
    #[error("converted to the scorer's own format, {0}")]
    TooLarge(ModelError),
    #[error("model {file} is not the same after its conversion, row {row}; please report this")]
    Differs { file: String, row: usize },
}

/// The model's file in the project's own format; such a file is left as it is.
pub(super) fn convert(file: &str, bytes: &[u8], model: &Model) -> Result<Vec<u8>, ConvertError> {
    if matches!(Format::of(bytes), Format::Native { .. }) {
        return Ok(bytes.to_vec());
    }
    // Without its folder or store, so that the same model has the same bytes wherever it is converted.
    let origin = Imported { file: file.rsplit('/').next().unwrap_or(file).to_owned(), sha256: sha256(bytes) };
    let serialise = |source| ConvertError::Serialise { file: file.to_owned(), source };
    let converted = model.to_bytes(&origin).map_err(serialise)?;
    ModelError::check_size(file, converted.len() as u64).map_err(ConvertError::TooLarge)?;
    let again = Model::from_bytes(file, &converted).map_err(ConvertError::ReadBack)?;
    let rows = model.probe(ROWS);
    let bits = |model: &Model| model.decisions(&rows).into_iter().map(f64::to_bits).collect::<Vec<_>>();
    if let Some(row) = bits(model).iter().zip(bits(&again)).position(|(a, b)| *a != b) {
        return Err(ConvertError::Differs { file: file.to_owned(), row });
    }
    Ok(converted)
}
