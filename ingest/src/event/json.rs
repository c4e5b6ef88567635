//! Records of JSON: objects one after another, or in arrays.

use super::fields::{Raw, recycled};
use super::malformed::Malformed;
use super::reading::Reading;
use super::scanner::{Broken, Scanner};
use super::{Decoded, Enough, Found};

/// Why a record is read no further.
enum Stop {
    Enough,
    Broken(Malformed),
}

impl From<Enough> for Stop {
    fn from(Enough: Enough) -> Self {
        Self::Enough
    }
}

/// Reads a record, of which `before` bytes are passed over already.
pub(super) fn decode<F: FnMut(u32, Decoded<'_>)>(
    payload: &[u8],
    before: usize,
    reading: &mut Reading,
    raws: &mut Vec<Raw<'static>>,
    found: &mut Found<F>,
) {
    // What comes before a byte that is wrong counts.
    let (text, bad) = match std::str::from_utf8(payload) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = payload.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(good).unwrap_or_default(), Some(error.valid_up_to()))
        }
    };
    let not_utf8 = |at: usize| Malformed::NotUtf8 { at: before + at };
    let mut here = recycled(std::mem::take(raws));
    here.resize(reading.fields.len(), Raw::Absent);
    let mut values = Values { scanner: Scanner::new(text), before, reading, raws: here };
    let broken = match (values.all(found), bad) {
        (Err(Stop::Enough), _) | (Ok(()), None) => None,
        (Ok(()), Some(at)) => Some(not_utf8(at)),
        (Err(Stop::Broken(Malformed::NotJson { at, .. })), Some(bad)) if at == before + bad => Some(not_utf8(bad)),
        (Err(Stop::Broken(malformed)), _) => Some(malformed),
    };
    *raws = recycled(values.raws);
    if let Some(malformed) = broken {
        let _ = found.tell(Decoded::Malformed(malformed));
    }
}

/// The values of a record.
struct Values<'a, 'r> {
    scanner: Scanner<'a>,
    before: usize,
    reading: &'r mut Reading,
    raws: Vec<Raw<'a>>,
}

impl Values<'_, '_> {
    fn all<F: FnMut(u32, Decoded<'_>)>(&mut self, found: &mut Found<F>) -> Result<(), Stop> {
        loop {
            match self.scanner.peek() {
                None => return Ok(()),
                Some(b'{') => self.object(found)?,
                Some(b'[') => self.array(found)?,
                // A text, or a line of CSV: there is no telling where it ends.
                Some(_) => return Err(Stop::Broken(self.no_object())),
            }
        }
    }

    fn array<F: FnMut(u32, Decoded<'_>)>(&mut self, found: &mut Found<F>) -> Result<(), Stop> {
        self.scanner.at += 1;
        if self.scanner.take(b']') {
            return Ok(());
        }
        loop {
            match self.scanner.peek() {
                Some(b'{') => self.object(found)?,
                _ => {
                    let malformed = self.no_object();
                    if let Err(broken) = self.scanner.value() {
                        return Err(self.broken(broken));
                    }
                    found.tell(Decoded::Malformed(malformed))?;
                }
            }
            if self.scanner.take(b']') {
                return Ok(());
            }
            if !self.scanner.take(b',') {
                let why = if self.scanner.peek().is_none() { "an array does not end" } else { "no comma in an array" };
                return Err(self.broken(Broken { at: self.scanner.at, why }));
            }
        }
    }

    fn object<F: FnMut(u32, Decoded<'_>)>(&mut self, found: &mut Found<F>) -> Result<(), Stop> {
        match self.scanner.object(&self.reading.fields, &mut self.raws) {
            Ok(None) => found.tell(self.reading.read(&self.raws))?,
            Ok(Some(field)) => {
                let field = self.reading.fields.name(field).to_owned();
                found.tell(Decoded::Malformed(Malformed::Twice { field }))?;
            }
            Err(broken) => return Err(self.broken(broken)),
        }
        Ok(())
    }

    fn broken(&self, Broken { at, why }: Broken) -> Stop {
        Stop::Broken(Malformed::NotJson { at: self.before + at, why })
    }

    fn no_object(&self) -> Malformed {
        Malformed::NotAnObject { at: self.before + self.scanner.at }
    }
}
