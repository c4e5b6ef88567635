//! Decision scores against scikit-learn, a blocked product and exp in numpy, and ONNX Runtime; see README.md.

#[path = "clock/mod.rs"]
mod clock;
#[path = "python/mod.rs"]
mod python;
#[path = "targets/mod.rs"]
mod targets;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clock::thread_seconds;
use scorer::kernel::{InstructionSet, Precision, Rbf};
use serde_json::{Value, json};
use targets::Targets;

/// Pairs of a row and a support vector that are scored in one repeat.
const PAIRS: usize = 4_000_000;
/// Portable code without fused multiply-add in the compiler's target is slow: fewer rows tell as much.
const PORTABLE_SHARE: usize = 32;
/// What two threads share, in repeats of one at most: starting a thread takes time, too.
const THREADS_SHARE: usize = 16;
/// Numbers (40 MB) that they share at most: more would be the memory's speed, which both share, and not the kernel's.
const THREADS_NUMBERS: usize = 5_000_000;
const REPEATS: usize = 7;
/// Of ours within one of those; they are that much shorter.
const OURS: usize = 10;
/// Of one thread and two within one of those: elapsed time needs more luck than processor time.
const THREADS: usize = 30;
const BLOCKS: [usize; 7] = [32, 64, 128, 256, 512, 1_024, 4_096];
/// Rows whose decisions are compared with the formula's.
const CHECKED: usize = 2_000;

fn main() -> ExitCode {
    targets::exit(run())
}

fn run() -> Result<ExitCode, String> {
    let mut worker = python::Worker::start("decisions.py")?;
    let versions = worker.ask(&json!({}))?;
    println!("{}", versions["versions"].as_str().unwrap_or_default());
    println!("instruction sets: {:?}", InstructionSet::available().collect::<Vec<_>>());
    println!("ns for each pair of a row and a support vector; the least of {REPEATS} alternating repeats\n");
    println!(
        "points feat.   nu   SVs   rows | sklearn  numpy (block)    ORT | AVX-512    AVX2 portable f32 512 | 2 threads \
         numpy | error"
    );
    let folder = python::folder("decisions")?;
    let mut targets = Targets::default();
    for points in [1_000, 5_000] {
        for features in [2, 10, 30] {
            for nu in [0.01, 0.1] {
                let case = Case::fit(&mut worker, points, features, nu, &folder)?;
                let times = case.measure(&mut worker)?;
                case.print(&times);
                case.judge(&times, &mut targets);
            }
        }
    }
    Ok(targets.verdict())
}

/// A model and rows, as Python has them.
struct Case {
    points: usize,
    features: usize,
    nu: f64,
    gamma: f64,
    intercept: f64,
    support: Vec<f64>,
    coefficients: Vec<f64>,
    rows: Vec<f64>,
}

/// Seconds for each pair, the least of all repeats.
struct Times {
    sklearn: f64,
    numpy: (f64, usize),
    onnx: f64,
    avx512: Option<f64>,
    avx2: Option<f64>,
    portable: f64,
    f32: f64,
    /// One thread and two, of as many rows; elapsed.
    threads: (f64, f64),
    /// numpy with two BLAS threads; elapsed.
    numpy_two: f64,
    error: f64,
}

impl Case {
    fn fit(
        worker: &mut python::Worker,
        points: usize,
        features: usize,
        nu: f64,
        folder: &Path,
    ) -> Result<Self, String> {
        let fit = json!({"points": points, "features": features, "nu": nu, "pairs": PAIRS, "folder": folder});
        let answer = worker.ask(&json!({ "fit": fit }))?;
        let number = |name: &str| answer[name].as_f64().ok_or(format!("{answer} lacks {name}"));
        let (gamma, intercept) = (number("gamma")?, number("intercept")?);
        let read = |name: &str| {
            let path = folder.join(format!("{name}.f64"));
            let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            Ok::<_, String>(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect::<Vec<_>>())
        };
        let (support, coefficients, rows) = (read("support")?, read("coefficients")?, read("rows")?);
        Ok(Self { points, features, nu, gamma, intercept, support, coefficients, rows })
    }

    fn prepared(&self, precision: Precision) -> Rbf {
        let Self { features, gamma, support, coefficients, intercept, .. } = self;
        Rbf::new(precision, *features, *gamma, support, coefficients, *intercept)
    }

    fn measure(&self, worker: &mut python::Worker) -> Result<Times, String> {
        let machine = self.prepared(Precision::F64);
        let single = self.prepared(Precision::F32);
        let vectors = self.coefficients.len();
        let many = self.rows.repeat((THREADS_NUMBERS / self.rows.len()).clamp(1, THREADS_SHARE));
        let few = &self.rows[..self.rows.len() / self.features / PORTABLE_SHARE * self.features];
        let mut out = vec![0.0; many.len() / self.features];
        let mut ours = |machine: &Rbf, set, threads, rows: &[f64]| {
            let count = rows.len() / self.features;
            let (began, used) = (Instant::now(), thread_seconds());
            machine.decisions_with(set, threads, rows, &mut out[..count]);
            let (elapsed, used) = (began.elapsed().as_secs_f64(), thread_seconds() - used);
            let pairs = (count * vectors) as f64;
            Seconds { elapsed: elapsed / pairs, used: used / pairs }
        };
        let pairs = (self.rows.len() / self.features * vectors) as f64;
        let mut asked = |request: Value, what: &str| {
            let answer = worker.ask(&request)?;
            answer[what].as_f64().map(|s| s / pairs).ok_or(format!("{answer} to {request}"))
        };
        let best = InstructionSet::best();
        let (avx512, avx2) = (InstructionSet::Avx512, InstructionSet::Avx2);
        let mut least = [f64::INFINITY; 8 + 2 * BLOCKS.len()];
        for _ in 0..REPEATS {
            let mut note = |which: usize, seconds: f64| least[which] = least[which].min(seconds);
            note(0, asked(json!({"run": "sklearn"}), "seconds")?);
            note(1, asked(json!({"run": "onnx"}), "seconds")?);
            for (i, block) in BLOCKS.iter().enumerate() {
                let numpy = |threads| json!({"run": "numpy", "with": {"block": block}, "threads": threads});
                note(8 + i, asked(numpy(1), "seconds")?);
                note(8 + BLOCKS.len() + i, asked(numpy(2), "elapsed")?);
            }
            note(4, ours(&machine, InstructionSet::Portable, 1, few).used);
            for _ in 0..OURS {
                note(2, ours(&machine, avx512, 1, if has(avx512) { &self.rows } else { few }).used);
                note(3, ours(&machine, avx2, 1, if has(avx2) { &self.rows } else { few }).used);
                note(5, ours(&single, best, 1, &self.rows).used);
            }
            for _ in 0..THREADS {
                note(6, ours(&machine, best, 1, &many).elapsed);
                note(7, ours(&machine, best, 2, &many).elapsed);
            }
        }
        let (numpy, numpy_two) = least[8..].split_at(BLOCKS.len());
        let numpy_two = numpy_two.iter().copied().fold(f64::INFINITY, f64::min);
        let numpy = numpy.iter().copied().zip(BLOCKS).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        Ok(Times {
            sklearn: least[0],
            numpy,
            onnx: least[1],
            avx512: has(avx512).then_some(least[2]),
            avx2: has(avx2).then_some(least[3]),
            portable: least[4],
            f32: least[5],
            threads: (least[6], least[7]),
            numpy_two,
            error: self.error(&machine),
        })
    }

    /// The largest error against the formula, with compensated sums.
    fn error(&self, machine: &Rbf) -> f64 {
        let rows = &self.rows[..self.rows.len().min(CHECKED * self.features)];
        let mut out = vec![0.0; rows.len() / self.features];
        machine.decisions(rows, &mut out);
        let errors = rows.chunks_exact(self.features).zip(out).map(|(row, decision)| {
            let vectors = self.support.chunks_exact(self.features).zip(&self.coefficients);
            let terms = vectors.map(|(vector, coefficient)| {
                let squares = row.iter().zip(vector).map(|(x, v)| (x - v) * (x - v));
                coefficient * libm::exp(-self.gamma * compensated(squares))
            });
            (compensated(terms.chain([self.intercept])) - decision).abs()
        });
        errors.fold(0.0, f64::max)
    }

    fn print(&self, times: &Times) {
        let ns = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |s| format!("{:.3}", s * 1e9));
        let Times { sklearn, numpy, onnx, avx512, avx2, portable, f32, threads, numpy_two, error } = times;
        println!(
            "{:6} {:5} {:4} {:5} {:6} | {:>7} {:>6} ({:>5}) {:>6} | {:>7} {:>7} {:>8} {:>7} | {:>8}x {:>5} | {error:.1e}",
            self.points,
            self.features,
            self.nu,
            self.coefficients.len(),
            self.rows.len() / self.features,
            ns(Some(*sklearn)),
            ns(Some(numpy.0)),
            numpy.1,
            ns(Some(*onnx)),
            ns(*avx512),
            ns(*avx2),
            ns(Some(*portable)),
            ns(Some(*f32)),
            format!("{:.2}", threads.0 / threads.1),
            ns(Some(*numpy_two)),
        );
    }

    fn judge(&self, times: &Times, targets: &mut Targets) {
        let best = times.avx512.or(times.avx2).unwrap_or(times.portable);
        if let Some(avx512) = times.avx512 {
            targets.at_least("scikit-learn / AVX-512, at least 24", times.sklearn / avx512, 24.0);
        }
        if let Some(avx2) = times.avx2 {
            targets.at_least("scikit-learn / AVX2, at least 18", times.sklearn / avx2, 18.0);
        }
        targets.at_least("blocked numpy / ours, at least 2", times.numpy.0 / best, 2.0);
        targets.at_least("blocked numpy / ours, two threads each, at least 2", times.numpy_two / times.threads.1, 2.0);
        targets.at_least("ONNX Runtime / ours, at least 8", times.onnx / best, 8.0);
        targets.at_least("one thread / two threads, at least 1.9", times.threads.0 / times.threads.1, 1.9);
        targets.at_most("largest error, at most 1e-12", times.error, 1e-12, format!("{:.1e}", times.error));
    }
}

/// What one thread took for each pair.
struct Seconds {
    elapsed: f64,
    /// Of the processor: what other programs take on a busy machine is not held against either side.
    used: f64,
}

fn has(set: InstructionSet) -> bool {
    InstructionSet::available().any(|s| s == set)
}

fn compensated(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    sum + lost
}
