//! One life of the operator: its controllers on a runtime of their own, which is dropped when it dies, so that nothing of
//! what was under way goes on and nothing that it remembered is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use operator::context::{Caches, Ctx};
use operator::events::Events;
use operator::metrics::Metrics;
use operator::settings::Settings;
use operator::{Clock, start};
use tokio::sync::{mpsc, oneshot};

use crate::plan::Second;
use crate::trap::{Death, Moment, Trap};

/// The time of all lives. It stands still until it is set.
#[derive(Clone)]
pub(crate) struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    pub(crate) fn at(second: Second) -> Self {
        Self(Arc::new(AtomicI64::new(second)))
    }

    pub(crate) fn set(&self, second: Second) {
        self.0.store(second, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or_default()
    }
}

/// What every life is born with.
#[derive(Clone)]
pub(crate) struct Birth {
    pub(crate) config: kube::Config,
    pub(crate) settings: Settings,
    pub(crate) clock: VirtualClock,
}

/// An order to a life: the time becomes so much, and whatever waits for timers has waited so long.
struct Jump {
    to: Second,
    by: Duration,
    done: oneshot::Sender<()>,
}

/// A living operator.
pub(crate) struct Life {
    trap: Trap,
    jumps: mpsc::UnboundedSender<Jump>,
    ended: oneshot::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    /// Starts the operator; it dies at the moment, if one is given.
    pub(crate) fn start(birth: &Birth, moment: Option<Moment>) -> Result<Self> {
        let trap = Trap::default();
        if let Some(moment) = moment {
            trap.set(moment);
        }
        let (jumps, orders) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let (birth, lived) = (birth.clone(), trap.clone());
        let thread = std::thread::Builder::new().name("operator".to_owned()).spawn(move || {
            // Nobody waits for it any more: then nobody asks how it ended.
            let _ = end.send(live(birth, &lived, orders).err().map(|error| format!("{error:#}")));
        })?;
        Ok(Self { trap, jumps, ended, thread: Some(thread) })
    }

    /// Lets it die at a moment to come.
    pub(crate) fn dies_at(&self, moment: Moment) {
        self.trap.set(moment);
    }

    pub(crate) fn requests(&self) -> usize {
        self.trap.requests()
    }

    /// Moves the time. One that has died hears nothing of it.
    pub(crate) async fn jump(&self, to: Second, by: Duration) {
        let (done, is_done) = oneshot::channel();
        if self.jumps.send(Jump { to, by, done }).is_ok() {
            // An error says that it died meanwhile.
            let _ = is_done.await;
        }
    }

    /// Waits for its end: where it died, if that was at a request. An end that nobody asked for is an error.
    pub(crate) async fn ended(&mut self) -> Result<Option<Death>> {
        let why = (&mut self.ended).await.context("the operator panicked")?;
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the operator panicked"))?;
        }
        match why {
            Some(why) => anyhow::bail!("the operator ended by itself: {why}"),
            None => Ok(self.trap.death()),
        }
    }

    /// Kills it, whatever it does.
    pub(crate) async fn kill(mut self) -> Result<Option<Death>> {
        self.trap.shut();
        self.ended().await
    }
}

fn live(birth: Birth, trap: &Trap, mut orders: mpsc::UnboundedReceiver<Jump>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = birth.clock.clone();
    let result = runtime.block_on(async {
        let time = async {
            while let Some(Jump { to, by, done }) = orders.recv().await {
                // What has looked at the clock shall have set its timers before the clock moves.
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                clock.set(to);
                tokio::time::pause();
                tokio::time::advance(by).await;
                tokio::time::resume();
                let _ = done.send(());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = trap.is_shut() => Ok(()),
            result = work(birth, trap) => result,
            () = time => Ok(()),
        }
    });
    // It does not wait for anything either.
    runtime.shutdown_background();
    result
}

/// As `operator::start` does once it leads.
async fn work(birth: Birth, trap: &Trap) -> Result<()> {
    let client = trap.client(birth.config)?;
    let ctx = Arc::new(Ctx {
        caches: Caches::watch(&client),
        clock: Arc::new(birth.clock),
        metrics: Metrics::new()?,
        events: Events::new(client.clone(), "moments"),
        settings: Arc::new(birth.settings),
        client,
    });
    ctx.caches.ready().await;
    start::act(ctx).await?;
    anyhow::bail!("its controllers ended")
}
