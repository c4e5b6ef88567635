//! The local files of a sensor: its model, its readings, and where its predictions are to be.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use sha2::{Digest, Sha256};
use spec::CommandInput;
use spec::work::Columns;
use store::{Fetch, Reader, StoreError};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};

use super::Work;
use crate::context::Context;
use crate::engine::{Counts, Totals};
use crate::item::files::files_of;
use crate::item::job::SensorJob;
use crate::item::model::{self, Fetched};
use crate::model::hex;
use crate::predictions::ReadingsFile;
use crate::problem::Problem;

/// Bytes of a file that are moved at once.
const CHUNK: usize = 256 << 10;

/// The files of one sensor, in a folder that goes with this.
pub(super) struct Local {
    pub(super) model: PathBuf,
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    /// The folder.
    pub(super) folder: TempDir,
    /// Readings as they are, which others may have, too.
    _shared: Option<Arc<TempDir>>,
    pub(super) model_hash: String,
    /// What is to be said of the model.
    pub(super) warnings: Vec<String>,
    /// What the readings were; not known of files that are handed over as they are.
    pub(super) readings: Option<Readings>,
}

/// What is known of readings that were looked at.
pub(super) struct Readings {
    /// How many rows are to be expected of the output: as many as the command was given, or fewer where it leaves out
    /// those that lack a value.
    pub(super) expected: RangeInclusive<u64>,
    pub(super) counts: Counts,
    pub(super) columns: Columns,
    pub(super) totals: Arc<Totals>,
    /// The sum of each value that the command gets, and how many rows have it.
    pub(super) inputs: Vec<(f64, u64)>,
}

impl Local {
    /// Fetches a sensor's model, and makes its input.
    pub(super) async fn make(work: &Work<'_>, job: &SensorJob) -> Result<Self, Problem> {
        let context = work.context;
        let folder = tempfile::Builder::new().prefix("scoring-").tempdir();
        let folder = folder.map_err(|e| no_space(&std::env::temp_dir(), &e))?;
        let extension = context.request.work.predictions.format.extension();
        let output = folder.path().join(format!("predictions.{extension}"));
        let model = folder.path().join("model").join(model_name(context, job));
        let input = async {
            match work.command.input {
                CommandInput::Rows => {
                    let path = folder.path().join("readings.csv");
                    let readings = rows(work, job, &path).await?;
                    Ok::<_, Problem>((path, Some(readings), None))
                }
                CommandInput::Files => {
                    let path = job.data_path(context)?;
                    let shared = work.files.of(context, &path).await?;
                    Ok((shared.path().to_owned(), None, Some(shared)))
                }
            }
        };
        let ((model_hash, warning), (input, readings, shared)) =
            tokio::try_join!(fetch_model(work, job, &model), input)?;
        let warnings = warning.into_iter().collect();
        Ok(Self { model, input, output, folder, _shared: shared, model_hash, warnings, readings })
    }
}

/// The name of a sensor's published model, by which programs tell what it is; a version of it has the same.
fn model_name(context: &Context, job: &SensorJob) -> String {
    let published = context.request.work.model.path.render(job.sensor());
    let path = published.as_deref().unwrap_or(&job.model().path);
    path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned()
}

/// Fetches a sensor's model, and gives its hash and what is to be said of it.
async fn fetch_model(work: &Work<'_>, job: &SensorJob, to: &Path) -> Result<(String, Option<String>), Problem> {
    let (context, log, started) = (work.context, work.ledger.log(job.sensor()), (work.context.clock)());
    job.check_model(context)?;
    let (store, model) = (&context.store, job.model());
    let planned = model.etag.as_deref().map(|etag| store.read_version(&model.path, etag));
    let found = model::planned_or_present(planned, store.read(&model.path)).await;
    let Fetched { model: found, replaced } = found.map_err(|e| Problem::of_model(&e))?;
    let (bytes, hash) = save(Ok(found), to.to_owned(), Problem::of_model).await?;
    log.chunk(&format!("fetching the model ({bytes} bytes)"), (context.clock)().duration_since(started));
    let warning = replaced.then(|| model::replaced(&store.uri(&model.path), &hash));
    Ok((hash, warning))
}

/// Writes an object to a file, and gives its size and its hash.
async fn save(
    found: Result<(Reader, Fetch), StoreError>,
    to: PathBuf,
    problem: impl Fn(&StoreError) -> Problem,
) -> Result<(u64, String), Problem> {
    let (mut reader, fetch) = found.map_err(|e| problem(&e))?;
    let written = tokio::task::spawn_blocking(move || {
        let written = copy(&mut reader, &to);
        (written, to)
    });
    let (written, to) = written.await.map_err(|e| Problem::internal("fetching a file", e))?;
    // What became of the fetching explains a file that broke off.
    fetch.end().await.map_err(|e| problem(&e))?;
    written.map_err(|e| no_space(&to, &e))
}

fn copy(from: &mut impl Read, to: &Path) -> io::Result<(u64, String)> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let (mut file, mut hash, mut bytes) = (File::create(to)?, Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok((bytes, hex(&hash.finalize())));
        }
        hash.update(&chunk[..read]);
        file.write_all(&chunk[..read])?;
        bytes += read as u64;
    }
}

/// Writes a sensor's readings as they come.
async fn rows(work: &Work<'_>, job: &SensorJob, to: &Path) -> Result<Readings, Problem> {
    let context = work.context;
    let (log, started, path) = (work.ledger.log(job.sensor()), (context.clock)(), job.data_path(context)?);
    let mut feed = work.data.feed(context, &path, job.sensor())?;
    feed.claim();
    let head = feed.head().await?;
    let columns = head.layout.to_columns();
    let begun = ReadingsFile::begin(job.sensor(), head);
    let mut readings = begun.map_err(|e| Problem::of_predictions(&e))?;
    let mut file = File::create(to).map_err(|e| no_space(to, &e))?;
    while let Some(rows) = feed.next().await? {
        let to = to.to_owned();
        let written = tokio::task::spawn_blocking(move || {
            readings.add(rows).map_err(|e| Problem::of_predictions(&e))?;
            file.write_all(readings.ready()).map_err(|e| no_space(&to, &e))?;
            readings.ready().clear();
            Ok::<_, Problem>((readings, file))
        });
        (readings, file) = written.await.map_err(|e| Problem::internal("writing readings", e))??;
    }
    let totals = feed.end().await?;
    let (tally, counts) = job.check(context, &feed, &totals, readings.tally().clone())?;
    log.chunk(&format!("reading {}", context.data_uri(&path)), (context.clock)().duration_since(started));
    log.info(format_args!("{} rows, {} of them bad ones that the command does not get", counts.rows, tally.bad_rows));
    let given = counts.rows.saturating_sub(tally.bad_rows);
    let lacking: u64 = tally.inputs.iter().map(|(_, have)| given.saturating_sub(*have)).sum();
    let expected = given.saturating_sub(lacking)..=given;
    Ok(Readings { expected, counts, columns, totals, inputs: tally.inputs })
}

/// The files of data paths as they are, fetched once for sensors that have them in common.
#[derive(Default)]
pub(super) struct InputFiles {
    paths: Mutex<BTreeMap<String, Arc<OnceCell<Weak<TempDir>>>>>,
}

impl InputFiles {
    /// The folder of a path's files, each at its path in the store; it goes with the last who has it.
    async fn of(&self, context: &Context, path: &str) -> Result<Arc<TempDir>, Problem> {
        let cell = Arc::clone(self.paths.lock().await.entry(path.to_owned()).or_default());
        let mut made = None;
        let folder = cell
            .get_or_try_init(|| async {
                let folder = Arc::new(fetch_files(context, path).await?);
                made = Some(Arc::clone(&folder));
                Ok::<_, Problem>(Arc::downgrade(&folder))
            })
            .await?;
        if let Some(folder) = made.or_else(|| folder.upgrade()) {
            return Ok(folder);
        }
        // Whoever had it is done.
        let folder = Arc::new(fetch_files(context, path).await?);
        let again = Arc::new(OnceCell::new_with(Some(Arc::downgrade(&folder))));
        self.paths.lock().await.insert(path.to_owned(), again);
        Ok(folder)
    }
}

async fn fetch_files(context: &Context, path: &str) -> Result<TempDir, Problem> {
    let folder = tempfile::Builder::new().prefix("scoring-input-").tempdir();
    let folder = folder.map_err(|e| no_space(&std::env::temp_dir(), &e))?;
    for file in files_of(context, path).await? {
        save(context.store.read(&file).await, folder.path().join(&file), Problem::of_data).await?;
    }
    Ok(folder)
}

/// Why a local file cannot be written.
pub(super) fn no_space(path: &Path, error: &io::Error) -> Problem {
    let message = format!(
        "{}: {error}; in a pod, the emptyDir at /tmp must have room for the files of four sensors; elsewhere, set TMPDIR to a \
         folder with room",
        path.display()
    );
    // Another node, or the same one later, may have room.
    let retry = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    Problem { retry, ..Problem::failed("NoTemporarySpace", message) }
}
