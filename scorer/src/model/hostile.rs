//! Files that mean harm, and files that came to harm: every one is an error, quickly and in little memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes("m", bytes)
}

fn refused(bytes: &[u8]) -> String {
    let text = read(bytes).unwrap_err().to_string();
    assert!(text.len() < 600, "{text}");
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/estimators")
}

/// Every model of a version that is kept in the repository.
fn fixtures(version: &str) -> Vec<(String, Vec<u8>)> {
    let names = std::fs::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let models = names.filter(|n| n.starts_with(&format!("{version}_")));
    let mut models: Vec<_> = models.map(|n| (n.clone(), std::fs::read(folder().join(n)).unwrap())).collect();
    models.sort();
    assert!(models.len() > 20, "{version} has {} models", models.len());
    models
}

/// `module.class` made without arguments and given the attributes that a state's opcodes make, as protocol 3 has it.
fn object(module: &str, class: &str, state: &[&[u8]]) -> Vec<u8> {
    [format!("c{module}\n{class}\n").as_bytes(), b")\x81}(", &state.concat(), b"ub"].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}

fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x03".as_slice(), &parts.concat(), b"."].concat()
}

fn forest(nodes: &[u8]) -> Vec<u8> {
    object("sklearn.ensemble.iforest", "IsolationForest", &[&text("estimators_"), nodes])
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    for (name, whole) in fixtures("sklearn19") {
        read(&whole).unwrap();
        // The forests' files are long, and much the same all along.
        let step = if whole.len() > 3_000 { 13 } else { 1 };
        for end in (0..whole.len()).step_by(step) {
            assert!(read(&whole[..end]).is_err(), "{name} of {} bytes cut at {end}", whole.len());
        }
    }
}

#[test]
fn a_command_is_refused_by_its_name_wherever_it_hides() {
    let command = b"cos\nsystem\nX\x02\x00\x00\x00id\x85R";
    let hidden: [Vec<u8>; 4] = [
        command.to_vec(),
        object("sklearn.svm._classes", "OneClassSVM", &[&text("kernel"), command]),
        // Among the arguments and in the state of something that is not looked into.
        [b"cnumpy.random._pickle\n__randomstate_ctor\n".as_slice(), command, b"\x85R"].concat(),
        [b"csklearn.neighbors._kd_tree\nnewObj\n)R".as_slice(), command, b"b"].concat(),
    ];
    for code in hidden {
        let message = refused(&pickle(&[&code]));
        assert!(message.contains("os.system") && message.contains("nothing was executed"), "{message}");
    }
    let mut zipped = ZlibEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&pickle(&[command])).unwrap();
    assert!(refused(&zipped.finish().unwrap()).contains("os.system"));
}

#[test]
fn a_decompression_bomb_is_refused_when_it_has_grown_too_large() {
    let zeros = vec![0; 1 << 20];
    let too_many = MAX_BYTES / (1 << 20) + 1;
    let (mut zlib, mut gzip) =
        (ZlibEncoder::new(Vec::new(), Compression::fast()), GzEncoder::new(Vec::new(), Compression::fast()));
    for _ in 0..too_many {
        zlib.write_all(&zeros).unwrap();
        gzip.write_all(&zeros).unwrap();
    }
    for bomb in [zlib.finish().unwrap(), gzip.finish().unwrap()] {
        assert!(refused(&bomb).contains("more than 67108864 bytes when it is unpacked"));
        assert_eq!(read(&bomb).unwrap_err().reason(), "ModelTooLarge");
    }
}

#[test]
fn a_dictionary_of_gigabytes_is_refused_before_it_is_there() {
    // The header of an LZMA file: properties, size of the dictionary, unknown length.
    let lzma = [b"\x5d\x00\x00\x00\xff".as_slice(), &[0xff; 8], &[0; 32]].concat();
    assert!(refused(&lzma).contains("lzma-compressed"));
}

#[test]
fn arrays_that_declare_more_than_there_is_are_refused() {
    let array = |shape: &[u8]| {
        let dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x85R";
        let state = [b"(K\x01".as_slice(), shape, dtype, b"\x89C\x08\0\0\0\0\0\0\0\0tb"].concat();
        [b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R".as_slice(), &state].concat()
    };
    assert!(refused(&pickle(&[&array(b"K\x01\x85")])).contains("a numpy array"), "well made, but no model");
    for shape in [&b"K\x02\x85"[..], b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"J\xff\xff\xff\xff\x85", b"K\x00\x85"]
    {
        assert!(refused(&pickle(&[&array(shape)])).contains("state"), "{shape:?}");
    }
}

#[test]
fn one_array_shared_by_thousands_of_trees_is_not_copied_for_each() {
    let trees = [b"](".as_slice(), &b"h\x00".repeat(100_000), b"e"].concat();
    let code = [b"]q\x000".as_slice(), &forest(&trees)].concat();
    refused(&pickle(&[&code]));
}

#[test]
fn pipelines_in_columns_in_pipelines_do_not_multiply() {
    // Each ColumnTransformer does the one before to sixteen columns: 16^12 steps if they were followed.
    let transformers = |inner: &str| {
        let one = [text("a"), inner.as_bytes().to_vec(), b"]K\x00a\x87".to_vec()].concat();
        [b"](".as_slice(), &one.repeat(16), b"e"].concat()
    };
    let mut code = Vec::new();
    for level in 0..12_u8 {
        let inner =
            if level == 0 { String::from_utf8(text("passthrough")).unwrap() } else { format!("g{}\n", level - 1) };
        let state = [text("n_features_in_"), b"K\x01".to_vec(), text("transformers_"), transformers(&inner)];
        let state: Vec<&[u8]> = state.iter().map(Vec::as_slice).collect();
        code.extend(object("sklearn.compose._column_transformer", "ColumnTransformer", &state));
        code.extend(format!("p{level}\n").bytes());
    }
    assert!(refused(&pickle(&[&code])).contains("steps") || refused(&pickle(&[&code])).contains("nested"));
}

#[test]
fn a_slice_of_a_billion_columns_is_refused() {
    let slice = b"c__builtin__\nslice\nK\x00J\xff\xff\xff\x7fN\x87R";
    let transformers = [b"](".as_slice(), &text("a"), &text("passthrough"), slice, b"\x87e"].concat();
    let state: [&[u8]; 4] = [&text("n_features_in_"), b"J\xff\xff\xff\x7f", &text("transformers_"), &transformers];
    let code = object("sklearn.compose._column_transformer", "ColumnTransformer", &state);
    assert!(refused(&pickle(&[&code])).contains("more than any model has"));
}

#[test]
fn polynomials_without_end_are_refused() {
    let poly = |n_features, max_degree, interaction_only| {
        let polynomial =
            PolynomialFeatures { n_features, min_degree: 0, max_degree, interaction_only, include_bias: true };
        let sgd = SgdOneClassSvm { coefficients: vec![1.0; 10], offset: 0.0 };
        Model::new(vec![Transform::PolynomialFeatures(polynomial)], Estimator::SgdOneClassSvm(sgd), Metadata::default())
    };
    for (n_features, degree) in [(2, u32::MAX), (usize::MAX, 2), (1_000, 1_000), (100_000, 2), (1, 1_000_000)] {
        for interaction_only in [false, true] {
            assert!(poly(n_features, degree, interaction_only).is_err(), "{n_features} {degree}");
        }
    }
    assert!(poly(3, 2, false).is_ok(), "1, three, six");
}

#[test]
fn trees_that_lead_back_or_nowhere_are_refused() {
    let tree = |left: [u32; 3], right: [u32; 3], feature: u32| {
        let tree = Tree {
            left: left.to_vec(),
            right: right.to_vec(),
            feature: vec![feature; 3],
            threshold: vec![0.5; 3],
            samples: vec![1; 3],
        };
        let forest = IsolationForest {
            n_features: 2,
            trees: vec![tree],
            max_samples: 4,
            offset: -0.5,
            boundary: Boundary { at: 0.0, inclusive: false },
            single_rows_count: false,
        };
        Model::new(vec![], Estimator::IsolationForest(forest), Metadata::default())
    };
    assert!(tree([1, 0, 0], [2, 0, 0], 1).is_ok());
    assert!(tree([1, 1, 0], [2, 2, 0], 1).is_err(), "a node that is its own child");
    assert!(tree([1, 0, 1], [2, 0, 1], 1).is_err(), "a child before its parent");
    assert!(tree([1, 0, 0], [3, 0, 0], 1).is_err(), "no such node");
    assert!(tree([1, 0, 0], [2, 0, 0], 2).is_err(), "no such feature");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_flipped_bits_never_panics(
        which in any::<Index>(),
        flips in proptest::collection::vec((any::<Index>(), 0_u8..8), 1..4),
    ) {
        let models = fixtures("sklearn10");
        let (_, bytes) = &models[which.index(models.len())];
        let mut bytes = bytes.clone();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Ok(model) = read(&bytes) {
            let _ = model.warnings();
            if model.n_features() < 100 {
                let _ = model.decisions(&vec![1.0; model.n_features() * 2]);
            }
        }
    }

    #[test]
    fn compressed_noise_never_panics(kind in 0_usize..5, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let magic: [&[u8]; 5] = [b"x\x9c", b"\x1f\x8b\x08\x00", b"BZh9", b"\xfd7zXZ\x00", b"\x5d\x00\x00\x80\x00"];
        let _ = read(&[magic[kind], &noise].concat());
    }
}
