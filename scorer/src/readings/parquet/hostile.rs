//! Files that mean harm, and files that came to harm: an error, or rows, but never a panic.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::Encoding;
use super::tests::{SAME, fixture, readings};
use super::*;

fn read(bytes: &[u8]) -> Result<usize, ReadingsError> {
    let said = Encoding { format: Some(spec::work::DataFormat::Parquet), ..Encoding::default() };
    readings("f.parquet", bytes, None, &said).map(|found| found.sensors.len())
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    for name in ["pyarrow.parquet", "duckdb_v2.parquet", "polars.parquet"] {
        let whole = fixture(name);
        for end in 1..whole.len() {
            let error = read(&whole[..end]).unwrap_err();
            assert_eq!(error.reason(), "DataInvalid", "{name} cut at {end}: {error}");
        }
    }
}

#[test]
fn an_encrypted_file_says_so() {
    let mut bytes = fixture("pyarrow.parquet");
    bytes.truncate(bytes.len() - 4);
    bytes.extend(b"PARE");
    let error = read(&bytes).unwrap_err();
    assert!(error.to_string().contains("encrypted"), "{error}");
    assert_eq!(error.reason(), "DataUnsupported");
}

#[test]
fn a_page_that_claims_more_than_it_holds_takes_no_memory_for_it() {
    // Snappy says first how much comes out: 4 GiB.
    let claims = bytes::Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]);
    let error = unpack::unpack(parquet::basic::Compression::SNAPPY, &claims, 1 << 20).unwrap_err();
    assert!(error.to_string().contains("smaller pages"), "{error}");
}

#[test]
fn what_unpacks_to_more_than_fits_is_stopped() {
    let zeros = vec![0_u8; 4 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &zeros).unwrap();
    let packed = [
        (parquet::basic::Compression::GZIP(parquet::basic::GzipLevel::default()), gzip.finish().unwrap()),
        (
            parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default()),
            ruzstd::encoding::compress_to_vec(&zeros[..], ruzstd::encoding::CompressionLevel::Fastest),
        ),
        (parquet::basic::Compression::LZ4_RAW, lz4_flex::block::compress(&zeros)),
        (parquet::basic::Compression::SNAPPY, snap::raw::Encoder::new().compress_vec(&zeros).unwrap()),
    ];
    for (compression, packed) in packed {
        let packed = bytes::Bytes::from(packed);
        assert_eq!(unpack::unpack(compression, &packed, 4 << 20).unwrap(), zeros, "{compression:?}");
        let error = unpack::unpack(compression, &packed, (4 << 20) - 1).unwrap_err();
        assert!(error.to_string().contains("smaller pages"), "{compression:?}: {error}");
    }
}

proptest! {
    // More of them: PROPTEST_CASES=100000.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1_000)))]

    #[test]
    fn a_file_with_a_few_other_bytes_is_read_or_refused(
        name in select(&SAME[..]),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        near_the_end: bool,
    ) {
        let mut bytes = fixture(&format!("{name}.parquet"));
        let from = if near_the_end { bytes.len().saturating_sub(1_000) } else { 0 };
        for (at, byte) in changes {
            let at = from + at.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Err(error) = read(&bytes) {
            prop_assert!(error.to_string().starts_with("f.parquet: "), "{}", error);
        }
    }
}
