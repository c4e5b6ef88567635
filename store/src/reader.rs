//! A large object as `std::io::Read`, fetched while it is parsed.

use std::io;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use object_store::GetResult;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Store, StoreError};

/// Chunks that wait to be read: a bound on memory while parsing is slower than fetching.
const WAITING: usize = 4;

/// Reads an object as it arrives. For a blocking thread; the fetching goes on in a task of the runtime.
pub struct Reader {
    chunks: mpsc::Receiver<Result<Bytes, io::Error>>,
    current: Bytes,
}

/// What became of the fetching: the typed error that an `io::Error` cannot carry through a parser.
pub struct Fetch(JoinHandle<Result<(), StoreError>>);

impl Fetch {
    /// Waits for the end of the fetching. The reader must have been dropped or read to its end.
    ///
    /// # Errors
    /// When the store failed in the middle of the object.
    pub async fn end(self) -> Result<(), StoreError> {
        // A task that was cancelled with the runtime has nothing to tell.
        self.0.await.unwrap_or(Ok(()))
    }
}

pub(crate) fn start(result: GetResult, store: Store, path: String) -> (Reader, Fetch) {
    let (send, chunks) = mpsc::channel(WAITING);
    let task = tokio::spawn(async move {
        let mut stream = result.into_stream();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(bytes) => {
                    if send.send(Ok(bytes)).await.is_err() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    let error = store.read_error(&path, &error);
                    // The reader may be gone; the task's result tells all the same.
                    let _ = send.send(Err(io::Error::other(error.to_string()))).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    });
    (Reader { chunks, current: Bytes::new() }, Fetch(task))
}

impl io::Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}
