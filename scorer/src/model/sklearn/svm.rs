//! `sklearn.svm.OneClassSVM`, from what its own `predict` hands to libsvm.

use super::SklearnError;
use super::attributes::Attributes;
use crate::model::pickle::Value;
use crate::model::{Estimator, Kernel, OneClassSvm};

impl Attributes<'_, '_> {
    pub(super) fn one_class_svm(&self) -> Result<Estimator, SklearnError> {
        if matches!(self.get("_sparse"), Some(Value::Bool(true))) {
            return Err(self.unsupported("was fitted to a sparse matrix; fit it to a dense one"));
        }
        // `_gamma` is the number that gamma="scale" or "auto" came to.
        let gamma = || match self.get("support_vectors_") {
            Some(_) => self.number(&["_gamma", "gamma"]),
            None => Err(self.unfitted("support_vectors_")),
        };
        let kernel = match self.text("kernel") {
            Some("rbf") => Kernel::Rbf { gamma: gamma()? },
            Some("linear") => Kernel::Linear,
            Some("poly") => Kernel::Poly { degree: self.degree()?, gamma: gamma()?, coef0: self.number(&["coef0"])? },
            Some("sigmoid") => Kernel::Sigmoid { gamma: gamma()?, coef0: self.number(&["coef0"])? },
            other => {
                let kernel = other.map_or_else(|| "a function".to_owned(), |k| format!("{k:?}"));
                return Err(self.unsupported(&format!(
                    "has kernel={kernel}; supported are \"rbf\", \"linear\", \"poly\" and \"sigmoid\": train with one of these"
                )));
            }
        };
        let (count, n_features, support) = self.matrix(&["support_vectors_"])?;
        let coefficients = self.numbers(&["_dual_coef_", "dual_coef_"])?;
        let intercept = self.number(&["_intercept_", "intercept_"])?;
        if coefficients.len() != count {
            let what = format!("has {} numbers for {count} support vectors", coefficients.len());
            return Err(self.wrong("dual_coef_", &what));
        }
        Ok(Estimator::OneClassSvm(OneClassSvm { n_features, kernel, support, coefficients, intercept }))
    }

    fn degree(&self) -> Result<u32, SklearnError> {
        match self.get("degree") {
            Some(Value::Int(degree)) => u32::try_from(degree).ok(),
            _ => None,
        }
        .ok_or_else(|| self.wrong("degree", "is not a whole number of at least 0"))
    }
}
