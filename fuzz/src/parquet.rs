//! Parquet, of which the crate that reads it panics on damaged files; the product makes errors of these panics.

use std::panic::PanicHookInfo;

use scorer::readings::{Encoding, Wanted, read};
use spec::TimeRange;
use spec::work::DataFormat;

use crate::readings::in_blocks;

/// A panic in a dependency ends the process no more, unless nobody catches it; one in our own code does so at once.
pub fn let_dependencies_panic() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if !info.location().is_some_and(|at| at.file().contains("/registry/src/")) {
            abort(info);
        }
    }));
}

/// A file is refused with a reason, or gives the same rows in whatever blocks they go on.
pub fn parquet(file: &[u8]) {
    let time = |text: &str| text.parse().expect("a time");
    let window = TimeRange { start: time("2018-08-28T23:00:00Z"), end: time("2018-08-29T00:00:00Z") };
    let some = Wanted {
        encoding: Encoding { format: Some(DataFormat::Parquet), ..Encoding::default() },
        keys: ["device", "tag"].map(str::to_owned).to_vec(),
        window: Some(window),
        ..Wanted::default()
    };
    let all = Wanted { keys: Vec::new(), window: None, ..some.clone() };
    for wanted in [some, all] {
        let name = "data.parquet";
        let whole = read([(name.to_owned(), file)], wanted.clone());
        match whole {
            Ok(whole) => in_blocks(name, file, wanted, 100, &whole),
            Err(error) => assert!(error.to_string().starts_with(name), "{error}"),
        }
    }
}
