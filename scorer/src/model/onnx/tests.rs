use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::{Estimator, Format, Model, ModelError, Transform};

fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes("m", bytes)
}

/// The message with which bytes are refused.
fn refused(bytes: &[u8]) -> String {
    let text = read(bytes).unwrap_err().to_string();
    assert!(text.starts_with("model m: ") && text.len() < 600, "{text}");
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/onnx")
}

fn fixture(case: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("skl2onnx120_{case}.onnx"))).unwrap()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A field with a number.
fn number(field: u64, number: i64) -> Vec<u8> {
    [varint(field << 3), varint(number.cast_unsigned())].concat()
}

/// A field with bytes: a text or a message.
fn bytes(field: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn node(domain: &str, op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| bytes(1, i)).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| bytes(5, a)).collect();
    let rest = [bytes(2, output), bytes(3, "N1"), bytes(4, op), bytes(7, domain), attributes].concat();
    bytes(1, [inputs, rest].concat())
}

fn floats(name: &str, numbers: &[f32]) -> Vec<u8> {
    let packed: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    [bytes(1, name), bytes(7, packed)].concat()
}

fn tensor(name: &str, dims: &[i64], numbers: &[f32]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| number(1, *d)).collect();
    let raw: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    bytes(5, [dims, number(2, 1), bytes(8, name), bytes(9, raw)].concat())
}

/// An input of 32-bit numbers, so many in a row.
fn input(name: &str, width: i64) -> Vec<u8> {
    let shape = [bytes(1, bytes(2, "N")), bytes(1, number(1, width))].concat();
    let of = bytes(1, [number(1, 1), bytes(2, shape)].concat());
    bytes(11, [bytes(1, name), bytes(2, of)].concat())
}

fn outputs() -> Vec<u8> {
    [bytes(12, bytes(1, "label")), bytes(12, bytes(1, "scores"))].concat()
}

fn file(graph: &[Vec<u8>]) -> Vec<u8> {
    [number(1, 8), bytes(2, "skl2onnx"), bytes(3, "1.20.0"), bytes(7, graph.concat())].concat()
}

/// `rows · coefficients - 1`, for rows that a graph has made of its input `X`.
fn sgd(rows: &str, coefficients: &[f32]) -> Vec<u8> {
    [
        tensor("coef", &[i64::try_from(coefficients.len()).unwrap()], coefficients),
        tensor("offset", &[1], &[1.0]),
        node("", "MatMul", &[rows, "coef"], "product", &[]),
        node("", "Sub", &["product", "offset"], "scores", &[]),
        outputs(),
    ]
    .concat()
}

#[test]
fn a_graph_of_two_nodes_is_a_linear_machine() {
    let model = read(&file(&[input("X", 2), sgd("X", &[2.0, -1.0])])).unwrap();
    assert_eq!(model.decisions(&[3.0, 1.0, 0.5, 0.0]), [4.0, 0.0]);
    assert!(!model.is_anomaly(0.0), "SGDOneClassSVM's own predict calls 0 normal");
    assert_eq!(model.metadata().producer.as_deref(), Some("skl2onnx 1.20.0"));
}

#[test]
fn a_node_that_is_not_known_is_named_with_its_domain_and_what_to_do() {
    let graph = [input("X", 2), node("ai.onnx.ml", "Normalizer", &["X"], "norm", &[]), sgd("norm", &[2.0, -1.0])];
    let message = refused(&file(&graph));
    for part in ["node \"N1\" (Normalizer of ai.onnx.ml)", "upload the pickle or skops file instead"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(read(&file(&graph)).unwrap_err().reason(), "ModelUnsupported");
    let own = [input("X", 2), node("evil", "Sub", &["X", "X"], "scores", &[]), outputs()];
    assert!(refused(&file(&own)).contains("(Sub of evil)"));
}

#[test]
fn a_model_that_gives_no_scores_is_refused() {
    let label = bytes(12, bytes(1, "label"));
    let graph = [input("X", 1), node("", "Sign", &["X"], "label", &[]), label];
    assert!(refused(&file(&graph)).contains("no output `scores`"));
}

#[test]
fn numbers_in_another_file_are_refused() {
    let elsewhere = [bytes(13, [bytes(1, "location"), bytes(2, "/etc/passwd")].concat()), number(14, 1)].concat();
    let coef = bytes(5, [number(1, 2), number(2, 1), bytes(8, "coef"), elsewhere].concat());
    let graph = [
        input("X", 2),
        coef,
        tensor("offset", &[1], &[1.0]),
        node("", "MatMul", &["X", "coef"], "product", &[]),
        node("", "Sub", &["product", "offset"], "scores", &[]),
        outputs(),
    ];
    let message = refused(&file(&graph));
    assert!(message.contains("tensor \"coef\" has its numbers in another file"), "{message}");
}

#[test]
fn tensors_that_declare_more_than_there_is_are_refused_without_allocating() {
    for dims in [&[3][..], &[i64::MAX, i64::MAX], &[-1], &[1, 1, 1, 1, 1, 1, 1, 1, 2]] {
        let graph = [
            input("X", 2),
            tensor("coef", dims, &[1.0, 2.0]),
            tensor("offset", &[1], &[1.0]),
            node("", "MatMul", &["X", "coef"], "product", &[]),
            node("", "Sub", &["product", "offset"], "scores", &[]),
            outputs(),
        ];
        assert!(refused(&file(&graph)).contains("dimension"), "{dims:?}");
    }
    let huge = [number(1, 8), varint(7 << 3 | 2), varint(u64::MAX >> 1)].concat();
    assert!(refused(&huge).contains("ends in the middle"));
}

#[test]
fn inputs_without_end_are_refused() {
    for width in [0, -1, i64::MAX, 1 << 40] {
        assert!(refused(&file(&[input("X", width), sgd("X", &[1.0])])).contains("convert with"), "{width}");
    }
    let many: Vec<u8> = (0..70).flat_map(|i| input(&format!("X{i}"), 1 << 15)).collect();
    assert!(refused(&file(&[many, sgd("X0", &[1.0])])).contains("features together"));
}

#[test]
fn nodes_that_take_what_comes_later_are_refused() {
    let circle = [
        input("X", 1),
        tensor("one", &[1], &[1.0]),
        node("", "Add", &["b", "one"], "a", &[]),
        node("", "Add", &["a", "one"], "b", &[]),
        sgd("b", &[1.0]),
    ];
    assert!(refused(&file(&circle)).contains("takes the tensor \"b\", which nothing before it makes"));
    let twice =
        [input("X", 1), tensor("one", &[1], &[1.0]), node("", "Add", &["X", "one"], "X", &[]), sgd("X", &[1.0])];
    assert!(refused(&file(&twice)).contains("is there already"));
}

#[test]
fn a_constant_that_is_shared_by_thousands_of_nodes_is_not_copied_for_each() {
    let mut graph = vec![input("X", 5_000), tensor("c", &[5_000], &[1.0; 5_000])];
    let mut last = "X".to_owned();
    for i in 0..200 {
        graph.push(node("", "Add", &[&last, "c"], &format!("t{i}"), &[]));
        last = format!("t{i}");
    }
    graph.push(sgd(&last, &[1.0; 5_000]));
    assert!(refused(&file(&graph)).contains("tensors are shared"));
}

#[test]
fn columns_joined_with_themselves_do_not_multiply() {
    // Each Concat takes the two before it: as many branches as Fibonacci's rabbits, if they were followed.
    let mut graph = vec![input("X", 1), tensor("two", &[1], &[2.0]), node("", "Mul", &["X", "two"], "t0", &[])];
    graph.push(node("", "Concat", &["X", "t0"], "t1", &[]));
    for i in 2..60 {
        let (a, b) = (format!("t{}", i - 1), format!("t{}", i - 2));
        graph.push(node("", "Concat", &[&a, &b], &format!("t{i}"), &[]));
    }
    graph.push(sgd("t59", &[1.0]));
    let message = refused(&file(&graph));
    assert!(message.contains("tensors are shared") || message.contains("deeper nested"), "{message}");
}

#[test]
fn a_long_chain_does_not_exhaust_the_stack() {
    let mut graph = vec![input("X", 1), tensor("two", &[1], &[2.0])];
    let mut last = "X".to_owned();
    for i in 0..60_000 {
        graph.push(node("", "Mul", &[&last, "two"], &format!("t{i}"), &[]));
        last = format!("t{i}");
    }
    graph.push(sgd(&last, &[1.0]));
    assert!(refused(&file(&graph)).contains("longer"));
    let mut constants = vec![input("X", 1), tensor("c", &[1], &[2.0])];
    let mut last = "c".to_owned();
    for i in 0..60_000 {
        constants.push(node("", "Sqrt", &[&last], &format!("s{i}"), &[]));
        last = format!("s{i}");
    }
    constants.push(node("", "Mul", &["X", &last], "t", &[]));
    constants.push(sgd("t", &[1.0]));
    assert!(refused(&file(&constants)).contains("stands where skl2onnx has a constant"));
}

#[test]
fn more_nodes_than_any_model_has_are_refused() {
    let graph = node("", "", &[], "", &[]).repeat(70_000);
    assert!(refused(&file(&[graph])).contains("too many nodes"));
}

#[test]
fn a_machine_that_gives_labels_instead_of_scores_is_refused() {
    let svm = |attributes: &[Vec<u8>]| {
        let usual = [
            floats("coefficients", &[1.0]),
            floats("support_vectors", &[1.0, 2.0]),
            floats("rho", &[-0.5]),
            floats("kernel_params", &[0.5, 0.0, 3.0]),
            [bytes(1, "kernel_type"), bytes(4, "RBF")].concat(),
            [bytes(1, "n_supports"), number(3, 1)].concat(),
        ];
        let node = node("ai.onnx.ml", "SVMRegressor", &["X"], "scores", &[&usual, attributes].concat());
        file(&[input("X", 2), node, outputs()])
    };
    assert_eq!(read(&svm(&[])).unwrap().decisions(&[1.0, 2.0]), [0.5]);
    assert!(refused(&svm(&[[bytes(1, "one_class"), number(3, 1)].concat()])).contains("labels"));
    let logistic = [bytes(1, "post_transform"), bytes(4, "LOGISTIC")].concat();
    assert!(refused(&svm(&[logistic])).contains("transformed scores"));
}

#[test]
fn products_that_are_no_polynomial_features_are_refused() {
    use super::products::recognise;
    let all: [&[usize]; 6] = [&[], &[0], &[1], &[0, 0], &[0, 1], &[1, 1]];
    assert!(recognise(2, &all).is_some_and(|p| p.include_bias && p.max_degree == 2 && !p.interaction_only));
    assert!(recognise(2, &[&[0], &[1], &[0, 1]]).is_some_and(|p| p.interaction_only && !p.include_bias));
    assert!(recognise(2, &[&[0, 0], &[0, 1], &[1, 1]]).is_some_and(|p| (p.min_degree, p.max_degree) == (2, 2)));
    for wrong in [&all[..5], &[&[0], &[0, 1]], &[&[1], &[0]], &[&[], &[]], &[&[0], &[2]], &[&[]], &[]] {
        assert_eq!(recognise(2, wrong), None, "{wrong:?}");
    }
}

#[test]
fn scalers_of_doubles_become_one_transform() {
    let model = read(&fixture("svm_double")).unwrap();
    let [Transform::StandardScaler(scaler)] = model.steps() else { panic!("{:?}", model.steps()) };
    assert!(scaler.mean.iter().chain(&scaler.scale).any(|x| f64::from(*x as f32) != *x), "all 64 bits are kept");
}

#[test]
fn how_many_rows_a_tree_was_grown_from_is_found_again() {
    let Estimator::IsolationForest(forest) = read(&fixture("forest")).unwrap().estimator().clone() else {
        panic!("no forest")
    };
    assert_eq!((forest.max_samples, forest.trees.len(), forest.n_features), (8, 3, 3));
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    for case in ["svm_rbf", "forest", "factor_minkowski", "columns_nested", "sgd_double"] {
        let whole = fixture(case);
        assert!(matches!(Format::of(&whole), Format::Onnx { ir_version: 8.. }));
        read(&whole).unwrap();
        // What stands behind the graph is for nobody but ONNX Runtime: which operators it needs.
        let graph_ends = whole.len() - 40;
        for end in 0..graph_ends {
            assert!(read(&whole[..end]).is_err(), "{case} of {} bytes cut at {end}", whole.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_changed_bytes_never_panics(
        which in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let cases = ["svm_poly", "columns_nested", "columns_named", "poly", "pca_whiten", "minmax_clip", "imputer", "forest",
            "factor_cdist", "factor_minkowski", "factor_opset9", "sgd", "sgd_double"];
        let mut bytes = fixture(cases[which.index(cases.len())]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(model) = read(&bytes) {
            let _ = model.warnings();
            let _ = model.to_bytes(&crate::model::Trained::default());
            if model.n_features() < 100 {
                let _ = model.decisions(&vec![1.0; model.n_features() * 2]);
            }
        }
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[b"\x08\x08\x12\x00".as_slice(), &noise].concat());
        let _ = read(&file(&[noise]));
    }

    #[test]
    fn any_nodes_are_read_or_refused(
        nodes in proptest::collection::vec((0_usize..16, 0_usize..6, 0_usize..6), 1..12),
    ) {
        let ops = ["Add", "Sub", "Mul", "Div", "Concat", "MatMul", "Clip", "Gather", "ReduceProd", "Shape", "Cast", "Sqrt",
            "Identity", "Neg", "Pow", "Squeeze"];
        let mut graph = vec![input("t0", 2), tensor("t1", &[2], &[1.0, 0.0]), tensor("t2", &[1], &[-1.0])];
        for (i, (op, a, b)) in nodes.iter().enumerate() {
            let (a, b) = (format!("t{}", a % (i + 3)), format!("t{}", (i + 2).saturating_sub(*b)));
            graph.push(node("", ops[*op], &[&a, &b], &format!("t{}", i + 3), &[]));
        }
        graph.push(sgd(&format!("t{}", nodes.len() + 2), &[1.0, 2.0]));
        if let Ok(model) = read(&file(&graph)) {
            let _ = model.decisions(&[1.0, 2.0, 3.0, 4.0]);
        }
    }
}
