//! `scorer inspect`, as a user types it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn scorer(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scorer")).current_dir(folder).arg("inspect").args(args).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

/// A store of two models that load, and four that do not for three reasons.
fn plant() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let pickle = std::fs::read(fixtures().join("sklearn19_one_p4.pkl")).unwrap();
    std::fs::write(models.join("model_1_1"), &pickle).unwrap();
    std::fs::copy(fixtures().join("sklearn12_named.joblib"), models.join("model_1_2")).unwrap();
    std::fs::write(models.join("model_1_3"), &pickle[..900]).unwrap();
    std::fs::write(models.join("model_1_4"), &pickle[..901]).unwrap();
    std::fs::write(models.join("model_2_1"), b"").unwrap();
    std::fs::write(models.join("model_2_2"), b"\x80\x03csklearn.cluster._dbscan\nDBSCAN\n.").unwrap();
    std::fs::write(models.join("notes.txt"), b"no model, and no match").unwrap();
    folder
}

#[test]
fn a_model_is_told_in_scikit_learns_words() {
    let output = scorer(&fixtures(), &["sklearn19_named_p4.pkl"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for says in [
        "  format           pickle, protocol 4\n",
        "  scikit-learn     1.9.",
        "  features         3: flow, pressure, heat\n",
        "  transforms       StandardScaler(mean_=[",
        "  estimator        OneClassSVM(kernel=\"rbf\", gamma=0.2, intercept_=-",
        "  support vectors  ",
        "  anomaly          a decision of at most 0\n",
        "  missing values   make a bad row\n",
        "  warnings         none\n",
    ] {
        assert!(text.contains(says), "{says:?} in {text}");
    }
}

#[test]
fn an_onnx_model_is_told_with_what_converted_it() {
    let output = scorer(&fixtures(), &["onnx/skl2onnx120_named.onnx"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for says in [
        "  format           ONNX, IR version 10\n",
        "  scikit-learn     not said\n",
        "  producer         skl2onnx 1.20.0\n",
        "  features         3: flow, pressure, heat\n",
        "  transforms       StandardScaler(mean_=[",
        "  estimator        OneClassSVM(kernel=\"rbf\", gamma=0.3",
        "  support vectors  ",
        "  warnings         ONNX keeps an SVM's numbers in 32 bits: ",
    ] {
        assert!(text.contains(says), "{says:?} in {text}");
    }
    let output = scorer(&fixtures(), &["onnx/skl2onnx120_named.onnx", "-o", "json"]);
    let [svm] = &lines(&output)[..] else { panic!("one line") };
    assert!(svm["warnings"][0].as_str().unwrap().starts_with("ONNX keeps"), "{svm}");
    let output = scorer(&fixtures(), &["onnx/skl2onnx120_forest.onnx", "-o", "json"]);
    let [model] = &lines(&output)[..] else { panic!("one line") };
    assert_eq!(model["warnings"], serde_json::json!([]), "its thresholds are scikit-learn's own");
    assert_eq!(model["format"], serde_json::json!({"name": "onnx", "irVersion": 8}));
    assert_eq!(model["estimator"]["class"], "IsolationForest");
    assert_eq!(model["producer"], "skl2onnx 1.20.0");
}

#[test]
fn a_model_whose_neighbours_are_found_by_brute_force_is_warned_about() {
    let of = |file: &str| {
        let output = scorer(&fixtures(), &[&format!("ties/sklearn19_factor_{file}_whole.joblib"), "-o", "json"]);
        let [model] = <[Value; 1]>::try_from(lines(&output)).unwrap();
        (model["estimator"]["parameters"]["algorithm"].clone(), model["warnings"].to_string())
    };
    let (algorithm, warnings) = of("brute");
    assert_eq!(algorithm, "brute");
    assert!(warnings.contains("algorithm brute: which of equally distant neighbours count"), "{warnings}");
    assert_eq!(of("kd_tree"), ("kd_tree".into(), "[]".to_owned()));
}

#[test]
fn json_tells_the_same() {
    let output = scorer(&fixtures(), &["sklearn19_named_p4.pkl", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let [model] = &lines(&output)[..] else { panic!("one line") };
    assert_eq!(model["format"], serde_json::json!({"name": "pickle", "protocol": 4}));
    assert_eq!(model["estimator"]["class"], "OneClassSVM");
    assert_eq!(model["estimator"]["parameters"]["gamma"], 0.2);
    assert_eq!(model["featureNames"], serde_json::json!(["flow", "pressure", "heat"]));
    assert_eq!(model["transforms"][0]["class"], "StandardScaler");
    assert_eq!(model["warnings"], serde_json::json!([]));
    assert_eq!(model["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_file_that_does_not_load_is_told_with_its_reason() {
    let plant = plant();
    let output = scorer(plant.path(), &["models/model_2_2", "-o", "json"]);
    assert_eq!(output.status.code(), Some(64));
    let [model] = &lines(&output)[..] else { panic!("one line") };
    assert_eq!(model["error"]["reason"], "ModelUnsupported");
    assert!(model["error"]["message"].as_str().unwrap().contains("sklearn.cluster._dbscan.DBSCAN"));
    let output = scorer(plant.path(), &["models/none"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read the model models/none"));
}

#[test]
fn a_file_larger_than_a_model_may_be_is_told_with_its_size_and_the_limit_and_never_hashed_in_part() {
    let plant = plant();
    let path = plant.path().join("models/model_3_1");
    std::fs::copy(fixtures().join("sklearn19_one_p4.pkl"), &path).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len((64 << 20) + 7).unwrap();
    let url = format!("file://{}", plant.path().display());
    let told = |args: &[&str], name: &str, size: &str| {
        let output = scorer(plant.path(), &[args, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(64));
        let model = &lines(&output)[0];
        assert_eq!((model["error"]["reason"].as_str(), model.get("sha256")), (Some("ModelTooLarge"), None), "{model}");
        let message = model["error"]["message"].as_str().unwrap();
        let expected = format!(
            "model {name}: it has {size}, and a model may have at most 67108864 (64 MiB); fit it to fewer rows, or with \
             fewer trees"
        );
        assert_eq!(message, expected);
    };
    told(&["models/model_3_1"], "models/model_3_1", "67108871 bytes");
    let uri = format!("{url}/models/model_3_1");
    told(&["--all", &url, "--models", "models/model_3_{tag}"], &uri, "67108871 bytes");
    told(&["/dev/zero"], "/dev/zero", "more than 67108864 bytes");
}

#[test]
fn of_a_store_the_models_that_do_not_load_are_grouped_by_why() {
    let plant = plant();
    let output = scorer(plant.path(), &["--all", &format!("file://{}", plant.path().display())]);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stdout).unwrap();
    for says in ["6 models, read in ", "  2 load: 2 OneClassSVM\n", "  0 of them with a warning\n", "  4 do not load\n"]
    {
        assert!(text.contains(says), "{says:?} in {text}");
    }
    assert_eq!(text.matches("  1 ModelInvalid: the file is empty").count(), 1, "{text}");
    assert_eq!(text.matches("  1 ModelUnsupported: byte ").count(), 1, "{text}");
    assert_eq!(text.matches("  2 ModelInvalid: byte ").count(), 1, "{text}");
    assert_eq!(text.matches("/models/model_").count(), 4, "{text}");
}

#[test]
fn of_a_store_every_model_has_a_json_line_in_order_and_the_last_line_counts() {
    let plant = plant();
    let url = format!("file://{}", plant.path().display());
    let output = scorer(plant.path(), &["--all", &url, "--models", "models/model_1_{tag}", "-o", "json"]);
    assert_eq!(output.status.code(), Some(64));
    let lines = lines(&output);
    let names: Vec<String> = (1..=4).map(|i| format!("{url}/models/model_1_{i}")).collect();
    assert_eq!(lines[..4].iter().map(|l| l["model"].as_str().unwrap()).collect::<Vec<_>>(), names);
    assert_eq!((&lines[4]["models"], &lines[4]["loaded"], &lines[4]["failed"]), (&4.into(), &2.into(), &2.into()));
}

#[test]
fn a_store_without_such_models_says_what_is_there() {
    let plant = plant();
    let url = format!("file://{}", plant.path().display());
    let output = scorer(plant.path(), &["--all", &url, "--models", "models/{device}.pkl"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("such as models/model_1_1, but none has this form"));
    let output = scorer(plant.path(), &["--all", &url, "--models", "models/model_1_{tag}", "x.pkl"]);
    assert_eq!(output.status.code(), Some(2), "a file and --all at once");
}
