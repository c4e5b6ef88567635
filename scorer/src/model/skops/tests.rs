use std::io::{Cursor, Write as _};
use std::path::Path;

use proptest::prelude::*;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::model::{MAX_BYTES, Model};

fn refused(bytes: &[u8]) -> String {
    let text = Model::from_bytes("m", bytes).unwrap_err().to_string();
    assert!(text.starts_with("model m: ") && text.len() < 600, "{text}");
    text
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/skops").join(name)).unwrap()
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn schema(json: &str) -> Vec<u8> {
    archive(&[("schema.json", json.as_bytes())])
}

const SVM: &str = r#"{"__class__":"OneClassSVM","__module__":"sklearn.svm._classes","__loader__":"ObjectNode","content":
    {"__class__":"dict","__module__":"builtins","__loader__":"DictNode","content":{"kernel":"linear",
    "support_vectors_":{"__loader__":"NdArrayNode","type":"numpy","file":"FILE"}}}}"#;

/// An array's file with such a header.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

#[test]
fn a_zip_archive_of_another_kind_is_refused_with_what_to_do() {
    assert!(refused(&archive(&[("word/document.xml", b"<x/>")])).contains("save the model with skops.io.dump"));
}

#[test]
fn what_is_not_on_the_list_is_refused_by_its_name() {
    for (json, name) in [
        (r#"{"__class__":"system","__module__":"posix","__loader__":"FunctionNode","content":"x"}"#, "posix.system"),
        (
            r#"{"__class__":"DBSCAN","__module__":"sklearn.cluster","__loader__":"ObjectNode"}"#,
            "sklearn.cluster.DBSCAN",
        ),
        (r#"{"__class__":"dtype","__module__":"numpy","__loader__":"ObjectNode","content":"\"x\""}"#, "numpy.dtype"),
        (r#"{"__class__":"x","__module__":"y","__loader__":"MethodNode","content":{}}"#, "y.x (MethodNode)"),
    ] {
        let message = refused(&schema(json));
        assert!(message.contains(name) && message.contains("nothing was executed"), "{message}");
    }
}

#[test]
fn a_bomb_is_refused_before_it_unfolds() {
    let zeros = vec![0; usize::try_from(MAX_BYTES / 2 + 1).unwrap()];
    let bomb = archive(&[("1.npy", &zeros), ("2.npy", &zeros)]);
    assert!(bomb.len() < 1 << 20);
    assert!(
        refused(&bomb).contains("more than 67108864 bytes when it is unpacked, and a model may have at most 67108864")
    );
    assert!(refused(&archive(&[("schema.json", &zeros[..(16 << 20) + 1])])).contains("16777216 bytes"));
}

#[test]
fn a_deep_tree_does_not_exhaust_the_stack() {
    let deep = format!("{}{}", r#"{"__loader__":"ListNode","content":["#.repeat(100_000), "]}".repeat(100_000));
    assert!(refused(&schema(&deep)).contains("recursion limit"));
}

#[test]
fn an_array_that_is_none_names_its_member() {
    for file in [
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", &[]),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", &[0; 24]),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }", b"\x80\x04N."),
        npy("{'descr': [('a', '<f8'), ('a', [('b', '<f8')])], 'fortran_order': False, 'shape': (1, 1), }", &[0; 16]),
        npy("{'descr': '<f8', 'shape': (1, 1), }", &[0; 8]),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(),
        b"not numpy's".to_vec(),
    ] {
        let bytes = archive(&[("schema.json", SVM.replace("FILE", "1.npy").as_bytes()), ("1.npy", &file)]);
        let message = refused(&bytes);
        assert!(message.starts_with("model m: 1.npy: is no array of numpy's"), "{message}");
    }
    let message = refused(&schema(&SVM.replace("FILE", "../../etc/passwd")));
    assert!(message.contains("../../etc/passwd: is not in the archive"), "{message}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = fixture("sklearn19_named.skops");
    Model::from_bytes("m", &bytes).unwrap();
    for end in 0..bytes.len() {
        assert!(Model::from_bytes("m", &bytes[..end]).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(at: prop::sample::Index, byte: u8, stored: bool) {
        let mut bytes = fixture(if stored { "sklearn19_big_endian.skops" } else { "sklearn19_forest.skops" });
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Model::from_bytes("m", &bytes);
    }

    #[test]
    fn any_header_of_an_array_is_read_or_refused(header in "[{(\\[]['a-z<>|0-9:, ()\\[\\]{}]{0,80}", data: Vec<u8>) {
        let _ = super::npy::load(&npy(&header, &data));
    }

    #[test]
    fn any_tree_is_read_or_refused(
        loader in "(Object|List|Tuple|Dict|Json|NdArray|Tree|Slice|Set)Node", content in "[\\[{\"]?[a-z0-9:\",]{0,20}[\\]}\"]?"
    ) {
        let json = format!(
            r#"{{"__class__":"Pipeline","__module__":"sklearn.pipeline","__loader__":"{loader}","content":{content}}}"#
        );
        refused(&schema(&json));
    }
}
