//! Which values of the readings are a model's features.

use super::ScoreError;
use crate::model::Model;
use crate::readings::Head;

/// The places of a model's features among the values of the readings, in the model's order.
pub(super) fn select(model: &Model, head: &Head) -> Result<Vec<usize>, ScoreError> {
    let values = &head.layout.values;
    let names = &model.metadata().feature_names;
    let found: Vec<Option<usize>> = names.iter().map(|name| values.iter().position(|c| c.name == *name)).collect();
    let file = || head.files.first().cloned().unwrap_or_default();
    let data_names = || values.iter().map(|c| c.name.clone()).collect();
    let several = |name: &str| {
        let count = values.iter().filter(|c| c.name == *name).count();
        let (name, wanted, found) = (name.to_owned(), model.n_features(), values.len());
        (count > 1).then(|| ScoreError::Ambiguous { file: file(), name, count, wanted, found })
    };
    // Values that were said are all meant, by whatever names.
    if found.iter().any(Option::is_some) && (!head.values_said || values.len() == model.n_features()) {
        if let Some(error) = names.iter().find_map(|name| several(name)) {
            return Err(error);
        }
        return found.iter().copied().collect::<Option<_>>().ok_or_else(|| ScoreError::Names {
            file: file(),
            names: names.clone(),
            missing: names.iter().zip(&found).filter(|(_, at)| at.is_none()).map(|(name, _)| name.clone()).collect(),
            found: data_names(),
        });
    }
    if model.n_features() == values.len() {
        return Ok((0..values.len()).collect());
    }
    let wanted = model.n_features();
    let ambiguous = values.iter().filter(|_| !head.values_said).find_map(|c| several(&c.name));
    Err(ambiguous.unwrap_or_else(|| ScoreError::Features { file: file(), wanted, found: data_names() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Estimator, Kernel, Metadata, OneClassSvm};
    use crate::readings::{Column, Layout};

    fn model(names: &[&str]) -> Model {
        let svm = OneClassSvm {
            n_features: 2,
            kernel: Kernel::Rbf { gamma: 1.0 },
            support: vec![0.0; 2],
            coefficients: vec![1.0],
            intercept: -0.5,
        };
        let feature_names = names.iter().map(|name| (*name).to_owned()).collect();
        let metadata = Metadata { feature_names, ..Metadata::default() };
        Model::new(Vec::new(), Estimator::OneClassSvm(svm), metadata).unwrap()
    }

    fn selected(names: &[&str], values: &[&str], values_said: bool) -> Result<Vec<usize>, ScoreError> {
        let column = |(index, name): (usize, &&str)| Column { index, name: (*name).to_owned() };
        let values = values.iter().enumerate().map(column).collect();
        let files = vec!["data.csv".to_owned()];
        let head = Head { layout: Layout { values, ..Layout::default() }, values_said, files };
        select(&model(names), &head)
    }

    #[test]
    fn a_model_with_names_takes_the_columns_of_these_names_in_its_own_order() {
        assert_eq!(selected(&["flow", "heat"], &["heat", "level", "flow"], false).unwrap(), [2, 0]);
        assert_eq!(selected(&["flow", "heat"], &["heat", "flow"], true).unwrap(), [1, 0]);
    }

    #[test]
    fn without_names_in_common_a_model_takes_the_values_as_they_stand() {
        assert_eq!(selected(&["flow", "heat"], &["a", "b"], false).unwrap(), [0, 1]);
        assert_eq!(selected(&[], &["heat", "flow"], false).unwrap(), [0, 1]);
        assert_eq!(selected(&["Flow", "Heat"], &["heat", "flow"], true).unwrap(), [0, 1], "names have a case");
    }

    #[test]
    fn some_names_in_common_are_refused_with_those_that_are_missing() {
        for said in [false, true] {
            let error = selected(&["flow", "heat"], &["heat", "pressure"], said).unwrap_err();
            assert_eq!(error.reason(), "FeaturesMismatch");
            let message = error.to_string();
            assert!(message.contains("the data has no flow among its values (heat, pressure)"), "{message}");
        }
    }

    #[test]
    fn another_number_of_values_is_refused() {
        for (names, said) in [(&["a", "b"][..], false), (&[], false), (&["heat", "flow"], true)] {
            let error = selected(names, &["heat", "flow", "level"], said).unwrap_err();
            assert!(error.to_string().starts_with("data.csv: the model takes 2 value(s) per reading, the data has 3"));
        }
    }

    #[test]
    fn of_columns_of_one_name_none_is_taken_for_the_models() {
        for (names, values, found) in [
            (&["flow", "heat"][..], &["flow", "heat", "flow"][..], 3),
            (&[], &["heat", "flow", "flow"], 3),
            (&["a", "b"], &["flow", "flow", "flow", "heat"], 4),
            (&["flow", "heat"], &["flow", "flow"], 2),
        ] {
            let error = selected(names, values, false).unwrap_err();
            assert_eq!(error.reason(), "ColumnAmbiguous");
            let message = error.to_string();
            assert!(message.starts_with("data.csv: ") && message.contains("columns are named \"flow\""), "{message}");
            assert!(message.contains(&format!("which of the {found} columns of values are the 2")), "{message}");
        }
    }

    #[test]
    fn columns_of_one_name_do_no_harm_where_the_model_takes_others_or_all_as_they_stand() {
        assert_eq!(selected(&["flow", "heat"], &["note", "heat", "flow", "note"], false).unwrap(), [2, 1]);
        assert_eq!(selected(&[], &["value", "value"], false).unwrap(), [0, 1]);
    }
}
