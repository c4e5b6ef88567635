//! The cluster of a simulation: machines that take their time, a scheduler, and pods that come and end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use jiff::Timestamp;

use super::backlog::{Backlog, Pending};
use super::demand::{Demand, Job};
use super::dice::Dice;
use super::outcome::{Late, Outcome};
use super::{Billed, Setting};
use crate::capacity::{PODS, Resources};
use crate::pool::{Machine, Node, Readiness};
use crate::warmth::{End, Packing};

/// Second 0 of every simulation: midnight, 1 January 2026.
pub(super) fn clock(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap_or(Timestamp::MAX)
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A machine becomes a node.
    Joins(u32),
    /// So many pods of a kind end on a machine.
    End { id: u32, kind: usize, pods: u32, thought: i64 },
    /// Machines are gone, and not billed any more.
    Gone(Vec<u32>),
    /// The operation on the pool ends.
    Done,
}

/// A machine, beside what the planner sees of it.
#[derive(Debug)]
struct Server {
    id: u32,
    accepted: i64,
    joins: i64,
    pods: u32,
    /// Since when pods have been on it.
    busy_since: i64,
    /// Room on it, in the order of the packing.
    room: Box<[u64]>,
}

/// The machines and pods.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) now: i64,
    pub(super) setting: Setting,
    /// As the planner sees them, in the order of their names.
    pub(super) machines: Vec<Machine>,
    servers: Vec<Server>,
    pub(super) pending: Backlog,
    requests: Vec<Resources>,
    taken: Taken,
    packing: Packing,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    happened: u64,
    dice: Dice,
    made: u32,
    /// The count of the agent pool.
    pub(super) count: u32,
    /// An operation on the pool is under way.
    pub(super) running: bool,
    /// How long machines took that came since this was last looked at, and that went.
    pub(super) came: Vec<i64>,
    pub(super) went: Vec<i64>,
    /// When pods were on each machine: its number, from, to.
    pub(super) uses: Vec<(u32, i64, i64)>,
    pub(super) outcome: Outcome,
    starts: Vec<i64>,
    ends: Vec<i64>,
    done: Vec<i64>,
    last_end: i64,
}

impl Cluster {
    pub(super) fn new(setting: Setting, demand: &Demand, dice: Dice) -> Self {
        let packing = Packing::new(&setting.capacity, &demand.requests);
        Self {
            now: 0,
            setting,
            machines: Vec::new(),
            servers: Vec::new(),
            pending: Backlog::default(),
            requests: demand.requests.clone(),
            taken: Taken::default(),
            packing,
            events: BinaryHeap::new(),
            happened: 0,
            dice,
            made: 0,
            count: 0,
            running: false,
            came: Vec::new(),
            went: Vec::new(),
            uses: Vec::new(),
            outcome: Outcome::default(),
            starts: Vec::new(),
            ends: Vec::new(),
            done: Vec::new(),
            last_end: 0,
        }
    }

    /// What pods of a kind ask for.
    pub(super) fn request(&self, kind: usize) -> &Resources {
        &self.requests[kind]
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<i64> {
        self.events.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Lets everything happen that is due. True: the pool is to be looked at.
    pub(super) fn happen(&mut self, now: i64) -> bool {
        self.now = now;
        let mut matters = false;
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, event))) = self.events.pop() else { break };
            matters |= self.one(event);
        }
        matters
    }

    fn one(&mut self, event: Event) -> bool {
        match event {
            Event::Joins(id) => {
                let Some(at) = self.find(id) else { return false };
                let now = clock(self.now);
                // Nobody waited for what was there from the start.
                let took = self.now - self.servers[at].accepted;
                self.came.extend((took > 0).then_some(took));
                self.machines[at].node = Some(Node {
                    ready: Readiness::Ready,
                    since: now,
                    joining: false,
                    out_of_service: None,
                    cordoned: false,
                    draining_since: None,
                    busy: false,
                    busy_until: None,
                    ends: Vec::new(),
                    idle_since: Some(now),
                    unforeseen: false,
                    free: self.setting.capacity.clone(),
                });
                if self.setting.billed == Billed::FromReady {
                    self.bill(1);
                }
                true
            }
            Event::End { id, kind, pods, thought } => self.end(id, kind, pods, thought),
            Event::Gone(ids) => {
                let before = self.servers.len();
                let billed = |server: &Server, now| self.setting.billed == Billed::FromPut || server.joins <= now;
                let gone = self.servers.iter().filter(|s| ids.contains(&s.id));
                let less = gone.clone().filter(|s| billed(s, self.now)).count();
                let killed: u32 = gone.map(|server| server.pods).sum();
                self.outcome.killed += killed;
                let now = clock(self.now);
                for machine in self.machines.iter().filter(|machine| machine.leaving) {
                    let since = machine.node.as_ref().and_then(|node| node.draining_since);
                    self.went.extend(since.map(|since| now.duration_since(since).as_secs()));
                }
                self.machines.retain(|machine| !ids.contains(&number(&machine.name)));
                self.servers.retain(|server| !ids.contains(&server.id));
                if self.setting.count_falls {
                    self.count = self.count.saturating_sub(size(before - self.servers.len()));
                }
                self.bill(-i64::try_from(less).unwrap_or(0));
                true
            }
            Event::Done => {
                self.running = false;
                true
            }
        }
    }

    fn end(&mut self, id: u32, kind: usize, pods: u32, thought: i64) -> bool {
        let Some(at) = self.find(id) else { return false };
        let (server, machine) = (&mut self.servers[at], &mut self.machines[at]);
        server.pods -= pods;
        self.packing.give(&mut server.room, kind, pods);
        let used = self.taken.of(&self.setting, &self.requests, kind, pods);
        let Some(node) = &mut machine.node else { return false };
        node.free = std::mem::take(&mut node.free).plus(used);
        let thought = clock(thought);
        if let Some(end) = node.ends.iter().position(|end| end.at == thought && end.frees == *used) {
            node.ends.swap_remove(end);
        }
        if server.pods == 0 {
            node.busy = false;
            node.busy_until = None;
            node.idle_since = Some(clock(self.now));
            self.uses.push((id, server.busy_since, self.now));
        }
        server.pods == 0 || !self.pending.is_empty()
    }

    /// Work with slots: its pods want nodes.
    pub(super) fn admit(&mut self, job: Job) {
        self.pending.push(job);
    }

    /// The scheduler: each pod goes to the first node with room, the earliest run first.
    pub(super) fn schedule(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.offer(|work| self.place(work));
        self.pending = pending;
    }

    fn place(&mut self, work: &mut Pending) {
        let Job { kind, .. } = work.job;
        for at in 0..self.servers.len() {
            if work.left == 0 {
                return;
            }
            let Some(node) = self.machines[at].node.as_mut().filter(|node| !node.cordoned) else { continue };
            let server = &mut self.servers[at];
            let pods = self.packing.take(&mut server.room, kind, work.left);
            if pods == 0 {
                continue;
            }
            let starts = self.now + self.setting.pod_start;
            let (ends, thought) = (starts + work.job.takes, starts + work.job.lasts);
            let used = self.taken.of(&self.setting, &self.requests, kind, pods);
            let until = clock(thought);
            node.free = std::mem::take(&mut node.free).less(used);
            node.busy_until = Some(node.busy_until.map_or(until, |last| last.max(until)));
            node.ends.push(End { at: until, frees: used.clone() });
            node.unforeseen = !work.job.foretold;
            node.busy = true;
            node.idle_since = None;
            if server.pods == 0 {
                server.busy_since = self.now;
            }
            server.pods += pods;
            work.left -= pods;
            if !work.started {
                work.started = true;
                self.starts.push(starts - work.job.at);
            }
            if work.left == 0 {
                self.ends.push(ends - work.job.at - work.job.takes);
                self.done.push(ends - work.job.at);
            }
            self.last_end = self.last_end.max(ends);
            let id = server.id;
            self.later(ends, Event::End { id, kind, pods, thought });
        }
    }

    /// Machines that are there from the start.
    pub(super) fn start_with(&mut self, nodes: u32) {
        for _ in 0..nodes {
            self.make(0);
        }
        self.count = nodes;
    }

    /// Takes machines in. Returns when the last of them joins.
    pub(super) fn grow(&mut self, nodes: u32) -> i64 {
        self.outcome.puts += 1;
        let mut last = self.now;
        for _ in 0..nodes {
            let joins = self.now + self.setting.provisioning.draw(&mut self.dice);
            last = last.max(joins);
            self.make(joins);
        }
        last
    }

    fn make(&mut self, joins: i64) {
        self.made += 1;
        let id = self.made;
        let room = self.packing.empty();
        self.servers.push(Server { id, accepted: self.now, joins, pods: 0, busy_since: 0, room });
        self.machines.push(Machine {
            name: name(id),
            listed: true,
            seen: clock(self.now),
            leaving: false,
            node: None,
            node_gone: None,
        });
        if self.setting.billed == Billed::FromPut {
            self.bill(1);
        }
        self.later(joins, Event::Joins(id));
    }

    /// Lets machines go. Returns when they are gone.
    pub(super) fn shrink(&mut self, names: &[String]) -> i64 {
        self.outcome.deletes += 1;
        let gone = self.now + self.setting.deletion;
        for machine in self.machines.iter_mut().filter(|machine| names.contains(&machine.name)) {
            machine.leaving = true;
        }
        self.later(gone, Event::Gone(names.iter().map(|name| number(name)).collect()));
        gone
    }

    /// An operation on the pool is under way until then.
    pub(super) fn operate(&mut self, until: i64) {
        self.running = true;
        self.later(until, Event::Done);
    }

    /// Lets nothing new onto these nodes, or lets pods onto them again.
    pub(super) fn cordon(&mut self, names: &[String], cordoned: bool) {
        let now = clock(self.now);
        for machine in self.machines.iter_mut().filter(|machine| names.contains(&machine.name)) {
            if let Some(node) = &mut machine.node {
                node.cordoned = cordoned;
                node.draining_since = cordoned.then_some(now);
            }
        }
    }

    /// What became of it all.
    pub(super) fn outcome(mut self, end: i64) -> (Outcome, Vec<(u32, i64, i64)>) {
        self.now = end.max(self.last_end);
        self.bill(0);
        self.outcome.starts = Late::of(self.starts);
        self.outcome.ends = Late::of(self.ends);
        self.outcome.done = Late::of(self.done);
        (self.outcome, self.uses)
    }

    fn later(&mut self, at: i64, event: Event) {
        self.happened += 1;
        self.events.push(Reverse((at, self.happened, event)));
    }

    fn find(&self, id: u32) -> Option<usize> {
        self.servers.binary_search_by_key(&id, |server| server.id).ok()
    }

    /// So many machines more are billed from now on.
    fn bill(&mut self, more: i64) {
        let nodes = &mut self.outcome.nodes;
        let (since, billed) = nodes.last().copied().unwrap_or((0, 0));
        self.outcome.node_seconds += i64::from(billed) * (self.now - since);
        let billed = u32::try_from(i64::from(billed) + more).unwrap_or(0);
        self.outcome.most_nodes = self.outcome.most_nodes.max(billed);
        if since == self.now {
            nodes.pop();
        }
        nodes.push((self.now, billed));
    }
}

/// What so many pods of a kind take of what a node names: it is asked for again and again.
#[derive(Debug, Default)]
struct Taken(BTreeMap<(usize, u32), Resources>);

impl Taken {
    fn of(&mut self, setting: &Setting, requests: &[Resources], kind: usize, pods: u32) -> &Resources {
        self.0.entry((kind, pods)).or_insert_with(|| {
            let one = requests[kind].amounts().filter(|(name, _)| *name != PODS).chain([(PODS, 1000)]);
            let named = one.filter(|(name, _)| setting.capacity.amounts().any(|(known, _)| known == *name));
            Resources::of_amounts(named.map(|(name, amount)| (name.to_owned(), amount.saturating_mul(pods.into()))))
        })
    }
}

fn name(id: u32) -> String {
    format!("{id:08}")
}

fn number(name: &str) -> u32 {
    name.parse().unwrap_or(0)
}

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
