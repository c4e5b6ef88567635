//! The scalers of `sklearn.preprocessing`.

use super::SklearnError;
use super::attributes::{Attributes, number};
use crate::model::{Clip, MinMaxScaler, Scaler, Transform};

impl Attributes<'_, '_> {
    /// `(x - mean_) / scale_`, each only where its switch is on.
    pub(super) fn standard_scaler(&self) -> Result<Transform, SklearnError> {
        self.scaler(("with_mean", "mean_"), "with_std").map(Transform::StandardScaler)
    }

    /// `(x - center_) / scale_`, each only where its switch is on.
    pub(super) fn robust_scaler(&self) -> Result<Transform, SklearnError> {
        self.scaler(("with_centering", "center_"), "with_scaling").map(Transform::RobustScaler)
    }

    fn scaler(&self, (with_mean, mean): (&str, &str), with_scale: &str) -> Result<Scaler, SklearnError> {
        let mean = self.flag(with_mean)?.then(|| self.numbers(&[mean])).transpose()?;
        let scale = self.flag(with_scale)?.then(|| self.numbers(&["scale_"])).transpose()?;
        Ok(match (mean, scale) {
            (Some(mean), Some(scale)) => Scaler { mean, scale },
            (Some(mean), None) => Scaler { scale: vec![1.0; mean.len()], mean },
            (None, Some(scale)) => Scaler { mean: vec![0.0; scale.len()], scale },
            (None, None) => Scaler::default(),
        })
    }

    /// `x / scale_`; `clip` came with scikit-learn 1.8.
    pub(super) fn max_abs_scaler(&self) -> Result<Transform, SklearnError> {
        if self.flag_if_there("clip")? {
            return Err(self.unsupported("has clip=True, which is not supported; train without it"));
        }
        let scale = self.numbers(&["scale_"])?;
        Ok(Transform::MaxAbsScaler(Scaler { mean: vec![0.0; scale.len()], scale }))
    }

    /// `x * scale_ + min_`.
    pub(super) fn min_max_scaler(&self) -> Result<Transform, SklearnError> {
        let clip = if self.flag_if_there("clip")? {
            let ends = self.get("feature_range").and_then(|r| self.heap.items(r));
            let clip = match ends {
                Some(&[low, high]) => number(low).zip(number(high)),
                _ => None,
            };
            let (low, high) = clip.ok_or_else(|| self.wrong("feature_range", "is not two numbers"))?;
            Some(Clip { low, high })
        } else {
            None
        };
        Ok(Transform::MinMaxScaler(MinMaxScaler {
            scale: self.numbers(&["scale_"])?,
            min: self.numbers(&["min_"])?,
            clip,
        }))
    }
}
