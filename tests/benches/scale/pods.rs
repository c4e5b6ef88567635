//! The items' pods, as a watch of the API server tells of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tests::fleet::NAMESPACE;
use tests::local::tell;
use tests::shares;

use crate::NAME;
use crate::setting::Setting;

/// Without news of any pod for so long, something is stuck.
const SILENCE: Duration = Duration::from_secs(180);

/// When pods came onto nodes and ended there, in seconds after the tick, by this machine's clock.
#[derive(Default)]
pub(crate) struct Pods {
    pub(crate) events: Vec<shares::Event>,
    /// Seconds that ended pods ran, by their status.
    pub(crate) ran: Vec<f64>,
    /// The runs that were seen, by name.
    runs: HashMap<String, usize>,
    /// The pods that were seen on a node, by UID: their run, and whether they have ended.
    known: HashMap<String, (usize, bool)>,
    pub(crate) ended: u32,
}

impl Pods {
    /// Watches until as many have ended as there are items.
    pub(crate) async fn watch(client: Client, setting: &Setting, tick: Timestamp) -> Result<Self> {
        let mut all = Self::default();
        let items = watcher::Config::default().labels(&format!("{}=item", crds::names::ROLE));
        let mut events = std::pin::pin!(watch(Api::<Pod>::namespaced(client, NAMESPACE), items).default_backoff());
        let mut said = Instant::now();
        while all.ended < setting.items() {
            let event = tokio::time::timeout(SILENCE, events.try_next()).await;
            let event = event.with_context(|| format!("no news of pods; {} have ended", all.ended))??;
            let at = Timestamp::now().duration_since(tick).as_secs_f64();
            match event.context("the watch ended")? {
                Event::Apply(pod) | Event::InitApply(pod) => all.seen(&pod, at, false)?,
                Event::Delete(pod) => all.seen(&pod, at, true)?,
                Event::Init | Event::InitDone => {}
            }
            if said.elapsed() > Duration::from_secs(30) {
                said = Instant::now();
                let living = all.known.len() - usize::try_from(all.ended).unwrap_or_default();
                tell(NAME, &format!("{at:.0} s after the tick: {living} pods on nodes, {} have ended", all.ended));
            }
        }
        if all.runs.len() != setting.runs {
            bail!("{} runs had pods, not {}", all.runs.len(), setting.runs);
        }
        Ok(all)
    }

    fn seen(&mut self, pod: &Pod, at: f64, deleted: bool) -> Result<()> {
        if pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_none() {
            return Ok(());
        }
        let name = pod.labels().get(crds::names::RUN).context("an item's pod without the label of its run")?;
        let number = self.runs.len();
        let run = *self.runs.entry(name.clone()).or_insert(number);
        let uid = pod.uid().context("a pod without a UID")?;
        if !self.known.contains_key(&uid) {
            self.events.push(shares::Event { at, run, begins: true });
        }
        let (_, over) = self.known.entry(uid).or_insert((run, false));
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let has_ended = matches!(phase, "Succeeded" | "Failed");
        if (deleted || has_ended) && !*over {
            *over = true;
            self.events.push(shares::Event { at, run, begins: false });
            if has_ended {
                self.ended += 1;
                self.ran.extend(seconds(pod));
            }
        }
        Ok(())
    }
}

/// How long its container ran.
fn seconds(pod: &Pod) -> Option<f64> {
    let state = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()?.terminated.as_ref()?;
    Some(state.finished_at.as_ref()?.0.duration_since(state.started_at.as_ref()?.0).as_secs_f64())
}
