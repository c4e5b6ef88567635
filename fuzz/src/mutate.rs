//! Changes to files that carry checksums: inside, so that what comes behind the checksum is reached.

use std::io::{Cursor, Read, Write};

use libfuzzer_sys::fuzzer_mutate;
use scorer::model::sha256;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A change of bytes to others of at most so many; gives how many they are.
type Change = fn(&mut [u8], usize, usize) -> usize;

/// Changes a member of a skops file's archive; every eighth time the archive itself.
pub fn skops(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    changed(data, size, max_size, seed, |file| skops_inside(file, max_size, seed, fuzzer_mutate))
}

/// Changes the second line of the project's own format, and its checksum in the first; every eighth time just bytes.
pub fn native(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    changed(data, size, max_size, seed, |file| native_inside(file, max_size, fuzzer_mutate))
}

fn changed(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    inside: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> usize {
    let new = if seed.is_multiple_of(8) { None } else { inside(&data[..size]).filter(|new| new.len() <= max_size) };
    match new {
        Some(new) => {
            data[..new.len()].copy_from_slice(&new);
            new.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
}

fn mutated(mut bytes: Vec<u8>, max_size: usize, change: Change) -> Vec<u8> {
    let size = bytes.len();
    bytes.resize(max_size.max(size), 0);
    let size = change(&mut bytes, size, max_size.max(size));
    bytes.truncate(size);
    bytes
}

fn skops_inside(file: &[u8], max_size: usize, seed: u32, change: Change) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(file)).ok()?;
    let mut members = Vec::new();
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).ok()?;
        let name = member.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        member.by_ref().take(1 << 20).read_to_end(&mut bytes).ok()?;
        members.push((name, bytes));
    }
    let schema = members.iter().position(|(name, _)| name == "schema.json")?;
    // The schema is what matters most.
    let at = if seed.is_multiple_of(3) { seed as usize / 24 % members.len() } else { schema };
    let bytes = std::mem::take(&mut members[at].1);
    members[at].1 = mutated(bytes, max_size, change);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        writer.start_file(name, stored).ok()?;
        writer.write_all(&bytes).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

fn native_inside(file: &[u8], max_size: usize, change: Change) -> Option<Vec<u8>> {
    let (header, body) = file.split_at(file.iter().position(|b| *b == b'\n')?);
    let body = body.strip_prefix(b"\n")?;
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut header: serde_json::Map<_, _> = serde_json::from_slice(header).ok()?;
    let mut body = mutated(body.to_vec(), max_size, change);
    header.insert("sha256".to_owned(), sha256(&body).into());
    // The format's name comes first, which tells what the file is.
    let (format, version) = (header.remove("format")?, header.remove("version")?);
    let mut new = format!(r#"{{"format":{format},"version":{version},"sha256":{}}}"#, header["sha256"]).into_bytes();
    new.push(b'\n');
    new.append(&mut body);
    new.push(b'\n');
    Some(new)
}
