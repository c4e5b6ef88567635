//! Runs whose schedule says when readings are complete.

use spec::Complete;

use super::*;

fn within_the_hour(complete: serde_json::Value) -> impl FnOnce(&mut RunRequest) {
    let complete: Complete = serde_json::from_value(complete).unwrap();
    move |request| {
        request.work.window = Some(serde_json::from_str(r#"{"length": "1h"}"#).unwrap());
        let (start, end) = ("2018-08-28T23:00:00Z".parse().unwrap(), "2018-08-29T00:00:00Z".parse().unwrap());
        request.window = Some(spec::TimeRange { start, end });
        request.work.data.complete = Some(complete);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_readings_that_are_not_complete_in_time_says_so_in_its_report_and_its_record() {
    let Some(plant) = plant() else { return };
    let late = serde_json::json!({"marker": "data/{yyyy}/{MM}/{dd}/{HH}/_SUCCESS", "waitUpTo": "0s"});
    let context = plant.context("local-1", 10, within_the_hour(late.clone()));
    let (record, _) = plant.run(&context).await.unwrap();
    let warning = record.warnings.first().unwrap();
    assert!(warning.starts_with("DataIncomplete: the readings were not complete by "), "{warning}");
    assert!(warning.ends_with("data/2018/08/28/23/_SUCCESS is not there yet (0 of 1 are)"), "{warning}");
    let told = crate::plan::report(&context, &plan(&context).await.unwrap()).incomplete.unwrap();
    assert_eq!(format!("DataIncomplete: {told}"), *warning, "a plan that is made again tells what the first one found");

    fs::create_dir_all(plant.path("data/2018/08/28/23")).unwrap();
    fs::write(plant.path("data/2018/08/28/23/_SUCCESS"), "").unwrap();
    let (again, _) = plant.run(&plant.context("local-2", 10, within_the_hour(late))).await.unwrap();
    assert!(!again.warnings.iter().any(|warning| warning.contains("DataIncomplete")), "{:?}", again.warnings);
    assert_eq!(again.totals.rows, record.totals.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_to_have_complete_readings_or_none_writes_nothing() {
    let Some(plant) = plant() else { return };
    let never = serde_json::json!({"watermark": "data/_watermarks", "waitUpTo": "0s", "onTimeout": "Fail"});
    let error = plant.run(&plant.context("local-1", 10, within_the_hour(never))).await.unwrap_err();
    assert_eq!(error.reason(), "DataIncomplete");
    assert!(error.to_string().contains("there is none yet"), "{error}");
    assert!(!plant.path("runs").exists() && !plant.path("predictions").exists());
}
