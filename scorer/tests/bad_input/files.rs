//! Files as a whole: absent, empty, in another encoding, container or compression, damaged.

use super::*;

#[test]
fn a_file_that_is_not_there_fails_the_sensor() {
    failed(&read_as("", None), "DataNotFound", &["data/bad", "data.path"]);
}

#[test]
fn an_empty_file_fails_the_sensor() {
    failed(&read(""), "DataInvalid", &["data/bad", "empty"]);
}

#[test]
fn a_header_that_is_not_utf_8_fails_the_sensor() {
    failed(&read(b"ts,val\xe9\n2026-01-01T00:00:00Z,50\n"), "DataInvalid", &["data/bad", "line 1", "UTF-8"]);
}

#[test]
fn a_file_in_utf_16_fails_the_sensor() {
    let text: Vec<u8> = std::iter::once(0xfeff).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    failed(&read(text), "DataInvalid", &["data/bad", "UTF-16", "UTF-8"]);
}

#[test]
fn gzip_that_is_cut_short_or_damaged_fails_the_sensor() {
    let packed = gzip(GOOD.repeat(50).as_bytes());
    let mut damaged = packed.clone();
    let middle = packed.len() / 2;
    damaged[middle] ^= 0xff;
    for bytes in [&packed[..packed.len() - 9], &damaged] {
        failed(&read(bytes), "DataInvalid", &["data/bad"]);
    }
}

#[test]
fn zstd_that_is_cut_short_fails_the_sensor() {
    let packed = ruzstd::encoding::compress_to_vec(GOOD.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    failed(&read(&packed[..packed.len() - 5]), "DataInvalid", &["data/bad"]);
}

#[test]
fn what_excel_writes_is_read_or_told() {
    let semicolons = GOOD.replace(',', ";");
    scored(&read(format!("sep=;\r\n{semicolons}")), [3, 3, 0], &[]);
    let commas = semicolons.replace(";5", ";1,5");
    failed(&read(&commas), "ColumnMissing", &["decimal commas, such as 1,50", "write points"]);
    let one = semicolons.replace(";51", ";5,1");
    scored(&read(&one), [3, 2, 1], &["line 3", "5,1", "write a point for the comma"]);
}

#[test]
fn line_ends_of_cr_alone_are_told() {
    failed(&read(GOOD.replace('\n', "\r")), "DataUnsupported", &["data/bad", "CR alone", "LF"]);
}

#[test]
fn containers_that_are_not_read_are_told_by_their_names() {
    for (file, what) in [
        (&b"PK\x03\x04\x14\0"[..], "zip archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (&gzip(&gzip(GOOD.as_bytes())), "compressed twice"),
        (&gzip(b"BZh91AY&SY"), "bzip2"),
    ] {
        failed(&read(file), "DataUnsupported", &["data/bad", what, "gzip or zstd"]);
    }
}

#[test]
fn gzip_that_is_padded_with_zeros_is_read() {
    let padded = [gzip(GOOD.as_bytes()), vec![0; 70_000]].concat();
    scored(&read(&padded), [3, 3, 0], &[]);
    failed(&read([padded, b"what is no gzip at all".to_vec()].concat()), "DataInvalid", &["data/bad", "damaged"]);
}

#[test]
fn zstd_that_begins_with_a_frame_to_be_skipped_is_read() {
    let packed = ruzstd::encoding::compress_to_vec(GOOD.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    scored(&read([&b"\x50\x2a\x4d\x18\x04\0\0\0\x01\x02\x03\x04"[..], &packed].concat()), [3, 3, 0], &[]);
}

#[test]
fn zstd_that_asks_for_too_much_memory_is_told_and_not_called_damaged() {
    // A frame's header that says: a window of 2^27 bytes.
    failed(&read(b"\x28\xb5\x2f\xfd\x00\x88\x01\0\0"), "DataUnsupported", &["128 MiB", "without --long"]);
}

/// The readings that pyarrow wrote, of one sensor here.
fn parquet() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readings/pyarrow.parquet")).unwrap()
}

#[test]
fn parquet_that_is_cut_short_or_damaged_fails_the_sensor() {
    let whole = parquet();
    failed(&read(&whole[..whole.len() / 2]), "DataInvalid", &["data/bad", "Parquet file is damaged", "write it again"]);
    // The header of the first page.
    let mut damaged = whole;
    damaged[4..12].fill(0xff);
    failed(&read(&damaged), "DataInvalid", &["data/bad: column TS", "Parquet file is damaged"]);
}

#[test]
fn no_room_for_a_copy_of_parquet_fails_the_sensor_and_says_what_to_mount() {
    let plant = Plant::new();
    plant.put("models/bad", std::fs::read(model("sklearn19_one_p4.pkl")).unwrap());
    plant.put("data/bad", parquet());
    let lines = "  model: {path: \"models/{device}\"}\n  data: {path: \"data/{device}\"}\n";
    let record = plant.record_with(lines, AT, &[("TMPDIR", "/nonexistent")]);
    failed(&record["outcomes"][0], "NoTemporarySpace", &["data/bad", "/nonexistent cannot take", "mount a volume"]);
}
