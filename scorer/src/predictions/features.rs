//! Which values of the readings are a model's features.

use std::sync::Arc;

use super::ScoreError;
use crate::model::Model;
use crate::readings::{Head, Named, by_name};
use crate::shown;

/// The places of a model's features among the values of the readings, in the model's order; and the model for them, which
/// takes none that it drops.
pub(super) fn select(model: Arc<Model>, head: &Head) -> Result<(Arc<Model>, Vec<usize>), ScoreError> {
    let values = &head.layout.values;
    let places = by_name(values.iter().map(|column| column.name.as_str()));
    let find = |name: &String| places.get(name.as_str()).copied();
    let file = || head.files.first().cloned().unwrap_or_default();
    let data_names = || shown::names(values.iter().map(|column| &column.name));
    let wanted = model.n_features();
    let ambiguous = |Named { first, count }| {
        let name = values.get(first).map(|column| shown::cut(&column.name)).unwrap_or_default();
        ScoreError::Ambiguous { file: file(), name, count, wanted, found: values.len() }
    };
    let known = model.metadata().feature_names.iter().any(|name| find(name).is_some());
    let (model, used) = match model.without_dropped() {
        Some((narrow, used)) => (Arc::new(narrow), used),
        None => (model, (0..wanted).collect()),
    };
    // Values that were said are all meant, by whatever names.
    if known && (!head.values_said || [wanted, used.len()].contains(&values.len())) {
        let names = &model.metadata().feature_names;
        let found: Vec<Option<Named>> = names.iter().map(find).collect();
        if let Some(several) = found.iter().flatten().find(|named| named.count > 1) {
            return Err(ambiguous(*several));
        }
        let missing = names.iter().zip(&found).filter(|(_, named)| named.is_none()).map(|(name, _)| name);
        let places = found.iter().map(|named| named.map(|named| named.first)).collect::<Option<_>>();
        let places = places.ok_or_else(|| {
            let (names, missing) = (shown::names(names), shown::names(missing));
            ScoreError::Names { file: file(), names, missing, found: data_names() }
        })?;
        return Ok((model, places));
    }
    if wanted == values.len() {
        return Ok((model, used));
    }
    let several = places.values().filter(|named| named.count > 1 && !head.values_said);
    Err(several.min_by_key(|named| named.first).map_or_else(
        || ScoreError::Features { file: file(), wanted, found: values.len(), columns: data_names() },
        |several| ambiguous(*several),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Branch, ColumnTransformer, Estimator, Kernel, Metadata, OneClassSvm, Transform};
    use crate::readings::{Column, Layout};

    fn model(names: &[&str]) -> Model {
        with_steps(names, Vec::new())
    }

    /// Of four columns it takes the last and the second, and drops the others.
    fn dropping() -> Model {
        let columns =
            ColumnTransformer { n_features: 4, branches: vec![Branch { columns: vec![3, 1], steps: vec![] }] };
        with_steps(&["a", "b", "c", "d"], vec![Transform::ColumnTransformer(columns)])
    }

    fn with_steps(names: &[&str], steps: Vec<Transform>) -> Model {
        let svm = OneClassSvm {
            n_features: 2,
            kernel: Kernel::Rbf { gamma: 1.0 },
            support: vec![0.0; 2],
            coefficients: vec![1.0],
            intercept: -0.5,
        };
        let feature_names = names.iter().map(|name| (*name).to_owned()).collect();
        let metadata = Metadata { feature_names, ..Metadata::default() };
        Model::new(steps, Estimator::OneClassSvm(svm), metadata).unwrap()
    }

    fn selected(names: &[&str], values: &[&str], values_said: bool) -> Result<Vec<usize>, ScoreError> {
        select_of(model(names), values, values_said)
    }

    fn select_of(model: Model, values: &[&str], values_said: bool) -> Result<Vec<usize>, ScoreError> {
        let column = |(index, name): (usize, &&str)| Column { index, name: (*name).to_owned() };
        let values = values.iter().enumerate().map(column).collect();
        let files = vec!["data.csv".to_owned()];
        let head = Head { layout: Layout { values, ..Layout::default() }, values_said, files };
        select(Arc::new(model), &head).map(|(_, places)| places)
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
    fn columns_that_are_dropped_need_not_be_there_by_name() {
        let places = |values: &[&str], said| select_of(dropping(), values, said).unwrap();
        assert_eq!(places(&["d", "x", "b"], false), [2, 0]);
        assert_eq!(places(&["d", "b"], true), [1, 0]);
        assert_eq!(places(&["a", "b", "c", "d"], true), [1, 3], "and are not taken where they are");
        assert_eq!(places(&["c", "d", "c", "b"], false), [3, 1], "however often");
        assert_eq!(places(&["p", "q", "r", "s"], false), [1, 3], "without names, by their places among all");
        let message = |values: &[&str], said| select_of(dropping(), values, said).unwrap_err().to_string();
        assert!(message(&["a", "b", "c", "x"], false).contains("the data has no d among its values"));
        assert!(message(&["a", "x", "y", "z"], false).contains("the data has no b, d among its values"));
        assert!(message(&["b", "d", "x"], true).contains("takes 4 value(s)"));
    }

    #[test]
    fn a_model_without_what_it_drops_scores_as_it_did() {
        let (whole, (narrow, used)) = (dropping(), dropping().without_dropped().unwrap());
        assert_eq!(used, [1, 3]);
        assert_eq!(narrow.metadata().feature_names, ["b", "d"]);
        assert_eq!(narrow.decisions(&[0.3, -0.7]), whole.decisions(&[9.0, 0.3, f64::NAN, -0.7]));
        assert_eq!(narrow.without_dropped(), None);
        assert_eq!(model(&["flow", "heat"]).without_dropped(), None);
    }

    #[test]
    fn another_number_of_values_is_refused() {
        for (names, said) in [(&["a", "b"][..], false), (&[], false), (&["heat", "flow"], true)] {
            let error = selected(names, &["heat", "flow", "level"], said).unwrap_err();
            assert!(error.to_string().starts_with("data.csv: the model takes 2 value(s) per reading, the data has 3"));
        }
    }

    #[test]
    fn of_very_many_columns_a_message_names_a_few() {
        let columns: Vec<String> = (0..200_000).map(|n| format!("c{n}")).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        for names in [&[][..], &["c0", "flow"]] {
            let message = selected(names, &columns, false).unwrap_err().to_string();
            assert!(message.contains("c8, c9 and 199990 more") && message.len() < 500, "{message}");
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
