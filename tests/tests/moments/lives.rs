//! A hundred minutes, a hundred deaths.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::{ScoringRun, ScoringSchedule};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use operator::settings::Settings;
use serde_json::{Value, json};
use tests::control_plane::{ControlPlane, NAMESPACE};

use crate::diary::{differs, shown};
use crate::dice::Dice;
use crate::life::{Birth, Life, VirtualClock};
use crate::oracle::Fate;
use crate::plan::{self, DAWN, DUSK, MINUTES, NEVER, Planned, SCHEDULES, START, Second};
use crate::trap::{Death, Moment, Side};
use crate::world::{Seen, World};
use crate::{Shared, tell, told};

const DEATHS: usize = 100;
/// After so long without agreement whatever waits is woken, in case that it set its timer in the moment of a jump.
const NUDGE: Duration = Duration::from_secs(3);
/// The longest that a controller sleeps.
const LOOK: Duration = Duration::from_secs(300);
/// How long the world may take to become as the oracle says.
const LIMIT: Duration = Duration::from_secs(120);

/// The operator, dead or alive, and all that happens to it.
struct Story {
    birth: Birth,
    life: Option<Life>,
    world: World,
    client: Client,
    planned: Vec<Planned>,
    now: Second,
    dice: Dice,
    /// How many deaths are still to come in this minute.
    due: usize,
    /// Requests of the minute before: a death comes within about so many.
    lively: u64,
    deaths: Vec<Option<Death>>,
}

pub(crate) async fn test(shared: Arc<Shared>) -> Result<()> {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().context("SEED is a number")?,
        Err(_) => 1,
    };
    let ControlPlane { client, facts, .. } = &shared.0;
    let planned = plan::schedules(seed);
    let ticks: usize = planned.iter().map(|planned| planned.ticks.len()).sum();
    tell(&format!("seed {seed}: {SCHEDULES} schedules tick {ticks} times in {MINUTES} virtual minutes"));
    // Jumps of the time would be taken for silence of the other side.
    let mut config = tests::local::config(facts).await?;
    (config.connect_timeout, config.write_timeout) = (None, None);
    let birth = Birth { config, settings: settings(facts)?, clock: VirtualClock::at(DAWN) };
    let mut dice = Dice::new(seed.wrapping_add(1_000));
    let mut deaths = [0_usize; MINUTES];
    // The times that it stays down are deaths, too.
    for _ in plan::down().len()..DEATHS {
        deaths[usize::try_from(dice.below(MINUTES as u64))?] += 1;
    }
    let world = World::watch(client);
    let mut story = Story {
        life: Some(Life::start(&birth, None)?),
        birth,
        world,
        client: client.clone(),
        planned,
        now: DAWN,
        dice,
        due: 0,
        lively: 50,
        deaths: Vec::new(),
    };
    let began = Instant::now();
    story.begin().await.context("the schedules begin")?;
    for now in plan::moments(&story.planned) {
        if now % 60 == 0
            && let Some(deaths) = deaths.get(usize::try_from((now - START) / 60)?)
        {
            story.minute(*deaths).await?;
        }
        story.moment(now).await.with_context(|| format!("at {}, after {} deaths", shown(now), story.deaths.len()))?;
    }
    story.end().await?;
    let events = told::check(client, &story.planned).await?;
    story.sum_up(events, began.elapsed())
}

fn settings(facts: &local_aks::Facts) -> Result<Settings> {
    Ok(Settings {
        placeholders: None,
        scorer_image: "scorer".to_owned(),
        namespace: "batch-scoring".to_owned(),
        arm_endpoint: facts.arm_endpoint.parse()?,
        arm_scope: None,
        listen: "127.0.0.1:0".parse()?,
        leader_elect: false,
        identity: None,
    })
}

impl Story {
    fn schedules(&self) -> Api<ScoringSchedule> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn edit(&self, name: &str, spec: &Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.schedules().patch(name, &PatchParams::default(), &patch).await.with_context(|| format!("edit {name}"))?;
        Ok(())
    }

    /// The schedules are made, and once they are known, told when they tick: from now on, and not since they were made.
    async fn begin(&mut self) -> Result<()> {
        for planned in &self.planned {
            let schedule = serde_json::from_value(planned.manifest())?;
            self.schedules().create(&PostParams::default(), &schedule).await.context("make a schedule")?;
        }
        self.agree(|seen, planned| {
            let schedule = seen.schedules.get(&planned.name).filter(|schedule| schedule.status.is_some());
            schedule.is_none().then(|| format!("{} has no status", planned.name))
        })
        .await?;
        for planned in &self.planned {
            tell(&format!("  {} {} in {}: {}", planned.name, planned.expression, planned.zone, planned.rules));
            self.edit(&planned.name, &json!({"schedule": planned.expression})).await?;
        }
        let now = self.now;
        self.agree(|seen, planned| differs(planned, now, seen)).await
    }

    /// A new minute with so many deaths. One that has not come by now comes before the minute.
    async fn minute(&mut self, deaths: usize) -> Result<()> {
        let Some(life) = self.life.take() else {
            self.due += deaths;
            return Ok(());
        };
        self.lively = u64::try_from(life.requests()).unwrap_or(0).clamp(12, 200);
        self.life = Some(life);
        if self.due > 0 {
            self.die().await?;
            self.due -= 1;
            self.rise()?;
        }
        self.due += deaths;
        if self.due > 0 {
            let moment = self.a_moment();
            self.life.as_ref().into_iter().for_each(|life| life.dies_at(moment));
        }
        Ok(())
    }

    fn a_moment(&mut self) -> Moment {
        let changes_only = self.dice.below(2) == 0;
        let within = if changes_only { self.lively / 4 } else { self.lively };
        let side = if self.dice.below(2) == 0 { Side::Before } else { Side::After };
        Moment { side, changes_only, pass: usize::try_from(self.dice.below(within + 1)).unwrap_or(0) }
    }

    /// It dies now, whatever it does.
    async fn die(&mut self) -> Result<()> {
        if let Some(life) = self.life.take() {
            self.deaths.push(life.kill().await?);
        }
        Ok(())
    }

    /// It is started again, and dies again where that is due.
    fn rise(&mut self) -> Result<()> {
        let moment = (self.due > 0).then(|| self.a_moment());
        self.life = Some(Life::start(&self.birth, moment)?);
        Ok(())
    }

    /// Something happens: a tick, the end of a run, an edit, a death for long, or the end of that.
    async fn moment(&mut self, now: Second) -> Result<()> {
        let down = plan::down();
        if down.iter().any(|(from, _)| *from == now) {
            self.die().await?;
        }
        if let Some(life) = &self.life {
            life.jump(now, Duration::from_secs(u64::try_from(now - self.now)?)).await;
        }
        self.birth.clock.set(now);
        self.now = now;
        self.edit_schedules().await?;
        self.end_runs().await?;
        if down.iter().any(|(_, to)| *to == now) {
            self.rise()?;
        }
        if self.life.is_none() {
            return Ok(());
        }
        self.agree(|seen, planned| differs(planned, now, seen)).await
    }

    /// Suspends and resumes, and in the end takes the ticks away.
    async fn edit_schedules(&self) -> Result<()> {
        for planned in &self.planned {
            for (from, _) in planned.rules.suspended.iter().filter(|(from, to)| [*from, *to].contains(&self.now)) {
                self.edit(&planned.name, &json!({"suspend": *from == self.now})).await?;
            }
            if self.now == DUSK {
                self.edit(&planned.name, &json!({"schedule": NEVER})).await?;
            }
        }
        Ok(())
    }

    /// Ends the runs that have gone on for their time: the operator does it, when it is asked to cancel them; while it is
    /// dead, nobody minds that the test does.
    async fn end_runs(&self) -> Result<()> {
        let runs: Api<ScoringRun> = Api::namespaced(self.client.clone(), NAMESPACE);
        for planned in &self.planned {
            for (tick, ..) in planned.runs().filter(|(.., end)| *end == self.now) {
                let seen = self.world.seen().runs_of(&planned.name).get(&tick).map(|run| (*run).clone());
                let Some(run) = seen.filter(|run| !run.ended) else { continue };
                let params = PatchParams::default();
                let ended = match &self.life {
                    Some(_) => runs.patch(&run.name, &params, &Patch::Merge(json!({"spec": {"cancel": true}}))).await,
                    None => runs.patch_status(&run.name, &params, &Patch::Merge(failed(self.now)?)).await,
                };
                ended.with_context(|| format!("end {}", run.name))?;
            }
        }
        Ok(())
    }

    /// Waits until nothing differs any more, whatever becomes of the operator meanwhile.
    async fn agree(&mut self, differs: impl Fn(&Seen, &Planned) -> Option<String>) -> Result<()> {
        let began = Instant::now();
        loop {
            let differs = {
                let seen = self.world.seen();
                self.planned.iter().find_map(|planned| differs(&seen, planned))
            };
            let Some(why) = differs else { return Ok(()) };
            ensure!(began.elapsed() < LIMIT, "after {LIMIT:?}: {why}");
            let life = self.life.as_mut().context("there is no operator")?;
            tokio::select! {
                changed = self.world.changed() => changed?,
                death = life.ended() => {
                    self.deaths.push(death?);
                    self.due = self.due.saturating_sub(1);
                    self.rise()?;
                }
                () = tokio::time::sleep(NUDGE) => life.jump(self.now, LOOK).await,
            }
        }
    }

    /// The deaths that are left, and nothing changes any more.
    async fn end(&mut self) -> Result<()> {
        let now = self.now;
        while self.deaths.len() < DEATHS {
            self.die().await?;
            self.due = self.due.saturating_sub(1);
            self.rise()?;
            self.agree(|seen, planned| differs(planned, now, seen)).await?;
        }
        if let Some(life) = self.life.take() {
            life.kill().await?;
        }
        Ok(())
    }

    fn sum_up(&self, told: usize, took: Duration) -> Result<()> {
        let seen = self.world.seen();
        let twice: Vec<_> = seen.runs.values().filter(|run| run.uids.len() != 1).map(|run| &run.name).collect();
        ensure!(twice.is_empty(), "made more than once: {twice:?}");
        let mut deaths = BTreeMap::<String, usize>::new();
        for death in &self.deaths {
            let at = death.as_ref().map_or_else(|| "at rest".to_owned(), ToString::to_string);
            *deaths.entry(at).or_default() += 1;
        }
        deaths.iter().for_each(|(at, count)| tell(&format!("  killed {count:3} times {at}")));
        let mut fates = BTreeMap::<&str, usize>::new();
        for (.., fate) in self.planned.iter().flat_map(|planned| &planned.fates) {
            let fate = match fate {
                Fate::Run => "run",
                Fate::Missed(why) => why,
            };
            *fates.entry(fate).or_default() += 1;
        }
        let ticks: usize = self.planned.iter().map(|planned| planned.ticks.len()).sum();
        ensure!(fates.values().sum::<usize>() == ticks, "the oracle leaves ticks open: {fates:?} of {ticks}");
        let runs = fates.remove("run").unwrap_or(0);
        let missed: usize = fates.values().sum();
        let at_rest = self.deaths.iter().filter(|death| death.is_none()).count();
        let reasons: Vec<String> = fates.iter().map(|(why, count)| format!("{why} {count}")).collect();
        tell(&format!(
            "{ticks} ticks of {SCHEDULES} schedules in {MINUTES} virtual minutes, {} kills ({at_rest} at rest): {runs} runs, \
             {missed} misses ({}), each tick once; {told} misses told by events, each once; {} s",
            self.deaths.len(),
            reasons.join(", "),
            took.as_secs(),
        ));
        Ok(())
    }
}

fn failed(now: Second) -> Result<Value> {
    let condition = json!({
        "type": "Failed", "status": "True", "reason": "Ended", "message": "", "lastTransitionTime": plan::at(now)?,
    });
    Ok(json!({"status": {"state": "Failed", "conditions": [condition]}}))
}
