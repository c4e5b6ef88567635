//! Sensors whose models have one path, and models that are found as another sensor's than theirs.

use std::collections::{BTreeMap, HashMap};

use spec::{SensorKeys, Task, Template};

const SEPARATE: &str = "put between the keys of model.path what no value has, such as /";

/// Why sensors can be neither trained nor scored: their model's path is that of another sensor's model, too. Of those that
/// differ in no key of the path a schedule that scores may have many, one model for all of them.
pub(super) fn refused(
    task: Task,
    template: &Template,
    paths: &BTreeMap<SensorKeys, String>,
) -> HashMap<SensorKeys, String> {
    let mut of_path: HashMap<&str, Vec<&SensorKeys>> = HashMap::with_capacity(paths.len());
    for (sensor, path) in paths {
        of_path.entry(path).or_default().push(sensor);
    }
    let keys = template.keys();
    let alike = |a: &SensorKeys, b: &SensorKeys| keys.iter().all(|key| a.get(key) == b.get(key));
    let mut refused = HashMap::new();
    for (path, sensors) in of_path {
        let [first, second, ..] = sensors.as_slice() else { continue };
        let odd = sensors.iter().find(|sensor| !alike(first, sensor));
        if odd.is_none() && task.is_score() {
            continue;
        }
        for sensor in &sensors {
            let other = match odd {
                Some(_) if !alike(first, sensor) => first,
                Some(odd) => odd,
                None if sensor == first => second,
                None => first,
            };
            let advice = match alike(sensor, other) {
                false => SEPARATE.to_owned(),
                true => {
                    let missing: Vec<String> = sensor
                        .0
                        .keys()
                        .filter(|key| !keys.contains(key.as_str()))
                        .map(|key| format!("{{{key}}}"))
                        .collect();
                    format!("add {} to model.path, since one model is trained for each sensor", missing.join(" and "))
                }
            };
            let why = format!("its model is {path}, and so is that of sensor {other}: {advice}");
            refused.insert((*sensor).clone(), why);
        }
    }
    refused
}

/// What is said of models that a schedule which names no sensors would take for another sensor's.
pub(super) fn misread<'a>(
    template: &Template,
    models: impl IntoIterator<Item = (&'a SensorKeys, &'a String)>,
) -> Option<String> {
    let keys = template.keys();
    let mut misread = models.into_iter().filter_map(|(sensor, path)| {
        let found = template.matches(path)?;
        keys.iter().any(|key| found.get(key) != sensor.get(key)).then_some((sensor, path, found))
    });
    let (sensor, path, found) = misread.next()?;
    Some(format!(
        "{} model(s) will not be found as their sensors' by a schedule that names no sensors; the first is {path} of sensor \
         {sensor}, which is found as {found}'s: {SEPARATE}, or give sensors to schedules that score",
        misread.count() + 1,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(device: &str, tag: &str) -> SensorKeys {
        [("device", device), ("tag", tag)].into_iter().collect()
    }

    fn of(task: Task, form: &str, sensors: &[SensorKeys]) -> HashMap<SensorKeys, String> {
        let template: Template = form.parse().unwrap();
        let paths = sensors.iter().map(|sensor| (sensor.clone(), template.render(sensor).unwrap())).collect();
        refused(task, &template, &paths)
    }

    #[test]
    fn sensors_with_one_path_are_refused_with_each_others_names_and_no_other_is() {
        let sensors = [sensor("a", "1_1"), sensor("a_1", "1"), sensor("b", "1")];
        for task in [Task::Train, Task::Score] {
            let refused = of(task, "m/{device}_{tag}", &sensors);
            assert_eq!(refused.len(), 2);
            let expected = format!("its model is m/a_1_1, and so is that of sensor {}: {SEPARATE}", sensors[1]);
            assert_eq!(refused[&sensors[0]], expected);
            assert!(refused[&sensors[1]].contains(&sensors[0].to_string()));
            assert!(of(task, "m/{device}/{tag}", &sensors).is_empty());
        }
    }

    #[test]
    fn one_model_for_many_sensors_may_score_and_cannot_be_trained() {
        let sensors = [sensor("a", "1"), sensor("a", "2"), sensor("a", "3"), sensor("b", "1")];
        assert!(of(Task::Score, "m/{device}", &sensors).is_empty());
        let refused = of(Task::Train, "m/{device}", &sensors);
        assert_eq!(refused.len(), 3);
        assert!(refused[&sensors[0]].contains("tag=2: add {tag} to model.path"), "{refused:?}");
        assert!(refused[&sensors[2]].contains("tag=1: add {tag} to model.path"), "{refused:?}");
    }

    #[test]
    fn a_model_that_is_found_as_another_sensors_is_told_with_both() {
        let template: Template = "m/{device}_{tag}".parse().unwrap();
        let sensors = [sensor("a", "b"), sensor("pump_1", "temp"), sensor("pump_2", "temp")];
        let paths = sensors.each_ref().map(|sensor| template.render(sensor).unwrap());
        let warning = misread(&template, sensors.iter().zip(&paths)).unwrap();
        assert!(warning.starts_with("2 model(s) will not be found"), "{warning}");
        assert!(
            warning.contains(
                "m/pump_1_temp of sensor device=pump_1, tag=temp, which is found as device=pump, tag=1_temp's"
            )
        );
        assert_eq!(misread(&template, [(&sensors[0], &paths[0])]), None);
    }
}
