use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes("m", bytes)
}

/// The message with which bytes are refused.
fn refused(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("model m: ") && text.len() < 600, "{text}");
    text
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)).unwrap()
}

fn own() -> (Model, Vec<u8>) {
    let svm = OneClassSvm {
        n_features: 2,
        kernel: Kernel::Rbf { gamma: 0.1 },
        support: vec![1.0 / 3.0, -2.5e-300, 4.0, 5.0],
        coefficients: vec![0.3, 0.7],
        intercept: -0.4,
    };
    let scaler = Transform::StandardScaler(Scaler { mean: vec![1.0, 2.0], scale: vec![0.1, 3.0] });
    let metadata = Metadata {
        sklearn_version: Some("1.9.1".to_owned()),
        producer: None,
        feature_names: vec!["flow".to_owned(), "heat".to_owned()],
        n_samples: None,
    };
    let model = Model::new(vec![scaler], Estimator::OneClassSvm(svm), metadata).unwrap();
    let bytes = model.to_bytes(&Trained::default()).unwrap();
    (model, bytes)
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused_by_the_commands_name() {
    // What pickle.dumps writes for an object whose __reduce__ returns (os.system, ("touch /tmp/owned",)).
    let system = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x10touch /tmp/owned\x85R.";
    let message = refused(system);
    assert!(message.contains("posix.system") && message.contains("nothing was executed"), "{message}");
    assert_eq!(read(system).unwrap_err().reason(), "ModelUnsupported");
    for (code, name) in [
        (&b"\x80\x03cbuiltins\neval\n."[..], "builtins.eval"),
        (b"\x80\x03cos\nsystem\n.", "os.system"),
        (b"\x80\x03csubprocess\nPopen\n.", "subprocess.Popen"),
        (b"\x80\x03csklearn.cluster._dbscan\nDBSCAN\n.", "sklearn.cluster._dbscan.DBSCAN"),
    ] {
        assert!(refused(code).contains(name), "{name}");
    }
}

#[test]
fn allowed_classes_are_no_way_to_anything_else() {
    // A numpy dtype, array or instance made from arguments it cannot have, and calls of what is no class.
    for code in [
        &b"\x80\x03cnumpy\ndtype\n)R."[..],
        b"\x80\x03cnumpy\ndtype\nX\x01\x00\x00\x00\xc3\x85R.",
        b"\x80\x03csklearn.pipeline\nPipeline\nK\x01\x85\x81.",
        b"\x80\x03csklearn.pipeline\nPipeline\n)\x81K\x01b.",
        b"\x80\x03K\x01)R.",
        b"\x80\x03X\x02\x00\x00\x00os)R.",
        b"\x80\x03P1\n.",
        b"\x80\x03\x82\x01.",
        b"\x80\x03(cnumpy\ndtype\no.",
        b"\x80\x09.",
    ] {
        refused(code);
    }
}

#[test]
fn a_memo_bomb_costs_no_more_than_its_opcodes() {
    // Each round doubles what the tuple would hold if it were unfolded: 2^5000 items.
    let mut bomb = b"\x80\x04N".to_vec();
    for _ in 0..5_000 {
        bomb.extend(b"2\x86\x94");
    }
    bomb.push(b'.');
    assert!(refused(&bomb).contains("tuple"));
}

#[test]
fn deep_nesting_and_cycles_do_not_exhaust_the_stack() {
    let depth = 300_000;
    let mut deep = b"\x80\x03".to_vec();
    deep.extend(std::iter::repeat_n(b']', depth));
    deep.extend(std::iter::repeat_n(b'a', depth - 1));
    deep.push(b'.');
    assert!(refused(&deep).contains("list"));
    let mut marks = b"\x80\x03".to_vec();
    marks.extend(std::iter::repeat_n(b'(', depth));
    refused(&marks);
    assert!(refused(b"\x80\x03]q\x00h\x00a.").contains("list"), "a list in itself");
}

#[test]
fn more_opcodes_than_any_model_has_are_refused() {
    let mut long = b"\x80\x03".to_vec();
    long.extend(std::iter::repeat_n(b'N', 1_300_000));
    long.push(b'.');
    assert!(refused(&long).contains("opcodes"));
    let mut many = b"\x80\x03".to_vec();
    many.extend(b"]".repeat(1_100_000));
    many.push(b'.');
    assert!(refused(&many).contains("opcodes"), "what they make counts, too");
}

#[test]
fn a_large_pickle_may_have_more_opcodes_than_a_small_one() {
    // As in a forest of 5,000 small trees: six bytes or so for each of them.
    let mut large = b"\x80\x03".to_vec();
    large.extend(b"X\x06\x00\x00\x00abcdef0".repeat(600_000));
    large.extend(b"].");
    assert!(refused(&large).contains("list"));
}

#[test]
fn sizes_that_are_not_there_are_refused_without_allocating() {
    for code in [
        &b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x04B\xff\xff\xff\xff",
        b"\x80\x04\x8b\xff\xff\xff\xff",
    ] {
        assert!(refused(code).contains("the file ends"), "{code:?}");
    }
}

#[test]
fn a_shared_step_is_not_copied_a_hundred_thousand_times() {
    let mut code = b"\x80\x03csklearn.pipeline\nPipeline\n)\x81}X\x05\x00\x00\x00steps](".to_vec();
    code.extend(b"X\x01\x00\x00\x00acsklearn.preprocessing.data\nStandardScaler\n)\x81\x86");
    code.extend(std::iter::repeat_n(b'2', 100_000));
    code.extend(b"esb.");
    assert!(refused(&code).contains("steps"));
}

#[test]
fn every_truncation_of_a_pickle_is_an_error() {
    for name in ["sklearn12_one_p3.pkl", "sklearn19_named_p4.pkl", "sklearn19_scale.joblib"] {
        let whole = fixture(name);
        assert!(read(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{name} cut at {end}");
        }
        assert!(read(&[whole.as_slice(), b"x"].concat()).is_err(), "{name} with a byte more");
    }
}

#[test]
fn files_of_other_kinds_are_refused_with_what_to_do() {
    for (bytes, hint) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04...", "the zip archive: "),
        (b"\x04\x22\x4d\x18....", "compress=3"),
        (b"\x78\x9c....", "zlib-compressed file cannot be read"),
        (b"TS,Device,Tag,Value\n", "no model"),
    ] {
        assert!(refused(bytes).contains(hint), "{hint}");
    }
}

#[test]
fn an_estimator_that_cannot_score_is_refused() {
    let unfitted = b"\x80\x03csklearn.svm.classes\nOneClassSVM\n)\x81}X\x06\x00\x00\x00kernelX\x03\x00\x00\x00rbfsb.";
    assert!(refused(unfitted).contains("call fit first"));
    // As it is made: with gamma="scale".
    let unfitted = b"\x80\x03csklearn.svm._classes\nOneClassSVM\n)\x81}(X\x06\x00\x00\x00kernelX\x03\x00\x00\x00rbf\
                     X\x05\x00\x00\x00gammaX\x05\x00\x00\x00scaleub.";
    assert!(refused(unfitted).contains("call fit first"));
    let own = b"\x80\x03csklearn.svm.classes\nOneClassSVM\n)\x81}X\x06\x00\x00\x00kernelX\x04\x00\x00\x00minesb.";
    assert!(refused(own).contains("kernel=\"mine\""));
    assert!(refused(b"\x80\x03csklearn.preprocessing.data\nStandardScaler\n)\x81}b.").contains("with_mean"));
}

#[test]
fn the_own_format_reads_back_bit_by_bit() {
    let (model, bytes) = own();
    assert_eq!(read(&bytes).unwrap(), model);
}

#[test]
fn version_1_of_the_own_format_is_still_read() {
    let body = r#"{"trained":{"data":"x.csv","rows":9,"nu":0.1,"margin":0.5},"scalers":[{"mean":["1.0"],"scale":["2.0"]}],"oneClassSvm":{"features":1,"gamma":"0.5","supportVectors":["0.0"],"coefficients":["1.0"],"intercept":"-0.5"}}"#;
    let sha256 = Sha256::digest(body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let file = format!("{{\"format\":\"batchscoring.dev/model\",\"version\":1,\"sha256\":\"{sha256}\"}}\n{body}\n");
    let model = read(file.as_bytes()).unwrap();
    assert_eq!(model.decisions(&[1.0]), [0.5], "at the only support vector");
    assert_eq!(model.steps().len(), 1);
}

#[test]
fn a_decision_at_the_boundary_is_what_predict_makes_of_it() {
    let at = |inclusive| Boundary { at: 0.0, inclusive };
    assert!(at(true).is_anomaly(0.0) && at(true).is_anomaly(-0.0) && !at(true).is_anomaly(f64::MIN_POSITIVE));
    assert!(!at(false).is_anomaly(0.0) && !at(false).is_anomaly(-0.0) && at(false).is_anomaly(-f64::MIN_POSITIVE));
    assert!(at(true).is_anomaly(f64::NAN) && at(false).is_anomaly(f64::NAN), "no number is never normal");
}

#[test]
fn a_model_accepts_missing_values_only_where_its_own_steps_fill_them_in() {
    let accepts = |steps: Vec<Transform>| {
        let sgd = SgdOneClassSvm { coefficients: vec![1.0; 2], offset: 0.0 };
        Model::new(steps, Estimator::SgdOneClassSvm(sgd), Metadata::default()).unwrap().accepts_missing()
    };
    let scaler = || Transform::StandardScaler(Scaler { mean: vec![0.0; 2], scale: vec![1.0; 2] });
    let imputer = |missing| Transform::SimpleImputer(SimpleImputer { missing, statistics: vec![1.0; 2] });
    let pca = || Transform::Pca(Pca { mean: vec![0.0; 2], components: vec![1.0; 4], scale: vec![1.0; 2] });
    assert!(!accepts(vec![]));
    assert!(!accepts(vec![scaler()]));
    assert!(accepts(vec![imputer(f64::NAN)]));
    assert!(accepts(vec![scaler(), imputer(f64::NAN), pca()]), "scalers leave them as they are");
    assert!(!accepts(vec![pca(), imputer(f64::NAN)]), "too late");
    assert!(!accepts(vec![imputer(-999.0)]), "only -999 is missing");
}

#[test]
fn f32_is_a_choice_that_changes_scores_in_their_last_digits_only() {
    use crate::kernel::Precision;
    let score = |model: Model| model.decisions(&[1.2, 3.0, 0.9, -1.0]);
    let (usual, f64, f32) =
        (score(own().0), score(own().0.with_precision(Precision::F64)), score(own().0.with_precision(Precision::F32)));
    assert_eq!(usual, f64);
    assert_ne!(usual, f32);
    assert!(usual.iter().zip(&f32).all(|(a, b)| (a - b).abs() < 2e-6), "{usual:?} {f32:?}");
}

#[test]
fn any_changed_byte_of_the_own_format_is_noticed() {
    let (_, bytes) = own();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at}");
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn version_2_of_the_own_format_is_still_read() {
    let (model, bytes) = own();
    let text = String::from_utf8(bytes).unwrap();
    let body = text.lines().nth(1).unwrap();
    let body = body.replace("{\"origin\":{\"trained\":", "{\"trained\":").replace("}},\"metadata\"", "},\"metadata\"");
    let sha256 = sha256(body.as_bytes());
    let file = format!("{{\"format\":\"batchscoring.dev/model\",\"version\":2,\"sha256\":\"{sha256}\"}}\n{body}\n");
    assert_eq!(read(file.as_bytes()).unwrap(), model);
}

#[test]
fn a_newer_version_of_the_own_format_is_named() {
    let (_, bytes) = own();
    let newer = String::from_utf8(bytes).unwrap().replacen("\"version\":3", "\"version\":6", 1);
    assert!(refused(newer.as_bytes()).contains("version 6"));
}

#[test]
fn numbers_that_make_no_model_are_refused() {
    let Estimator::OneClassSvm(good) = own().0.estimator else { unreachable!("own() makes one") };
    let new = |scaler: Option<Scaler>, svm: &OneClassSvm| {
        let steps = scaler.into_iter().map(Transform::StandardScaler).collect();
        Model::new(steps, Estimator::OneClassSvm(svm.clone()), Metadata::default())
    };
    for bad in [
        OneClassSvm { kernel: Kernel::Rbf { gamma: 0.0 }, ..good.clone() },
        OneClassSvm { kernel: Kernel::Rbf { gamma: f64::NAN }, ..good.clone() },
        OneClassSvm { kernel: Kernel::Sigmoid { gamma: 1.0, coef0: f64::NAN }, ..good.clone() },
        OneClassSvm { intercept: f64::INFINITY, ..good.clone() },
        OneClassSvm { coefficients: vec![], support: vec![], ..good.clone() },
        OneClassSvm { support: vec![1.0], ..good.clone() },
        OneClassSvm { n_features: usize::MAX, ..good.clone() },
    ] {
        assert!(new(None, &bad).is_err(), "{bad:?}");
    }
    assert!(new(Some(Scaler { mean: vec![0.0; 2], scale: vec![1.0, 0.0] }), &good).is_err());
    assert!(new(Some(Scaler { mean: vec![0.0], scale: vec![1.0] }), &good).is_err());
    assert!(new(None, &good).is_ok());
}

#[test]
fn the_name_of_an_unknown_class_cannot_flood_a_log() {
    let mut code = b"\x80\x03c".to_vec();
    let mut name = String::new();
    for i in 0..10_000 {
        write!(name, "{i}\u{7}").unwrap();
    }
    code.extend(name.bytes());
    code.extend(b"\nx\n.");
    assert!(!refused(&code).contains('\u{7}'));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = read(&[&[0x80, 4], bytes.as_slice()].concat());
    }

    #[test]
    fn arbitrary_opcodes_never_panic(
        codes in proptest::collection::vec(proptest::sample::select(&b"(.012NKJGXCUB]})aetdsu\x85\x86\x87\x88\x90\x91\x8fqhrj\x94c\x93R\x81\x92b"[..]), 0..300),
    ) {
        let _ = read(&[&b"\x80\x04"[..], &codes].concat());
    }

    #[test]
    fn mutated_pickles_never_panic(
        which in 0_usize..4,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let name = ["sklearn12_one_p2.pkl", "sklearn19_named_p5.pkl", "sklearn19_fortran.joblib", "sklearn12_named.joblib"][which];
        let mut bytes = fixture(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(model) = read(&bytes) {
            let _ = model.decisions(&vec![1.0; model.n_features() * 2]);
        }
    }
}
