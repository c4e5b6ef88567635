//! The few requests of Kafka's protocol that tests need, in versions without tags: a program of Kafka's for each would take
//! seconds of two processors.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);
/// Of an answer, in bytes.
const LARGEST: usize = 16 << 20;

/// A kind of request, in a version of it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    key: i16,
    version: i16,
}

pub(super) const LIST_OFFSETS: Kind = Kind { key: 2, version: 1 };
pub(super) const METADATA: Kind = Kind { key: 3, version: 1 };
pub(super) const CREATE_TOPICS: Kind = Kind { key: 19, version: 2 };
pub(super) const DELETE_RECORDS: Kind = Kind { key: 21, version: 0 };
pub(super) const CREATE_PARTITIONS: Kind = Kind { key: 37, version: 0 };

/// What is asked.
#[derive(Default)]
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn i8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Also the length of a list that follows; −1 is that of none.
    pub(super) fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn text(self, text: &str) -> anyhow::Result<Self> {
        let length = i16::try_from(text.len()).with_context(|| format!("too long: {text}"))?;
        let mut with_length = self.i16(length);
        with_length.0.extend(text.as_bytes());
        Ok(with_length)
    }
}

/// What is answered.
pub(super) struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let taken = *found.context("the broker's answer is cut off")?;
        self.at += N;
        Ok(taken)
    }

    pub(super) fn i8(&mut self) -> anyhow::Result<i8> {
        self.take().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> anyhow::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    /// Also the length of a list that follows.
    pub(super) fn i32(&mut self) -> anyhow::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> anyhow::Result<i64> {
        self.take().map(i64::from_be_bytes)
    }

    /// None and the empty text are one here.
    pub(super) fn text(&mut self) -> anyhow::Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let end = self.at.saturating_add(length);
        let text = self.bytes.get(self.at..end).context("the broker's answer is cut off")?;
        self.at = end;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// Asks the broker at this address.
pub(super) async fn ask(address: &str, kind: Kind, request: Request) -> anyhow::Result<Answer> {
    let answer = tokio::time::timeout(LIMIT, exchange(address, kind, request)).await;
    answer.with_context(|| format!("the broker at {address} has not answered for {LIMIT:?}"))?
}

async fn exchange(address: &str, kind: Kind, request: Request) -> anyhow::Result<Answer> {
    let unreachable = || format!("cannot reach the broker at {address}");
    let number = 1;
    let header = Request::default().i16(kind.key).i16(kind.version).i32(number).text("local-aks")?;
    let message = [header.0, request.0].concat();
    let mut stream = TcpStream::connect(address).await.with_context(unreachable)?;
    let length = u32::try_from(message.len()).context("too much for a request")?;
    stream.write_all(&[&length.to_be_bytes(), message.as_slice()].concat()).await.with_context(unreachable)?;
    let length = usize::try_from(stream.read_u32().await.with_context(unreachable)?)?;
    ensure!(length <= LARGEST, "the broker at {address} answers with {length} bytes");
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.with_context(unreachable)?;
    let mut answer = Answer { bytes, at: 0 };
    let answered = answer.i32()?;
    ensure!(answered == number, "the broker at {address} answers request {answered}, which was not asked");
    Ok(answer)
}

/// An error unless the code that a broker gave is that of none.
pub(super) fn check(what: &str, code: i16, said: &str) -> anyhow::Result<()> {
    let name = match code {
        0 => return Ok(()),
        1 => "OFFSET_OUT_OF_RANGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        17 => "INVALID_TOPIC_EXCEPTION",
        36 => "TOPIC_ALREADY_EXISTS",
        37 => "INVALID_PARTITIONS",
        40 => "INVALID_CONFIG",
        44 => "POLICY_VIOLATION",
        _ => "an error of Kafka's protocol",
    };
    bail!("{what}: {name} ({code}){}{said}", if said.is_empty() { "" } else { ": " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_off_is_told() {
        let mut answer = Answer { bytes: vec![0, 3, b'a', b'b'], at: 0 };
        assert_eq!(answer.text().unwrap_err().to_string(), "the broker's answer is cut off");
        let mut answer = Answer { bytes: vec![0, 0, 0], at: 0 };
        assert_eq!(answer.i32().unwrap_err().to_string(), "the broker's answer is cut off");
    }

    #[test]
    fn what_is_written_is_read() {
        let request = Request::default().i8(-1).i16(2).i32(-3).i64(4).text("ä").unwrap().i16(-1);
        let mut answer = Answer { bytes: request.0, at: 0 };
        assert_eq!((answer.i8().unwrap(), answer.i16().unwrap()), (-1, 2));
        assert_eq!((answer.i32().unwrap(), answer.i64().unwrap()), (-3, 4));
        assert_eq!((answer.text().unwrap(), answer.text().unwrap()), ("ä".to_owned(), String::new()));
    }

    #[test]
    fn an_error_is_called_by_its_name() {
        assert!(check("x", 0, "").is_ok());
        assert_eq!(check("topic t", 36, "").unwrap_err().to_string(), "topic t: TOPIC_ALREADY_EXISTS (36)");
        let told = check("topic t", 999, "no").unwrap_err().to_string();
        assert_eq!(told, "topic t: an error of Kafka's protocol (999): no");
    }
}
