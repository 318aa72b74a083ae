//! What timely says of operators and channels, counted.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use timely::logging::{
    ChannelsEvent, MessagesEvent, OperatesEvent, ParkEvent, ScheduleEvent, StartStop, TimelyEvent,
    TimelyEventBuilder,
};
use timely::worker::Worker as TimelyWorker;

/// How often durations were of which size: by the least power of two that is not below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    by_exponent: Vec<i64>,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, duration: Duration) {
        let exponent = bucket(duration).trailing_zeros() as usize;
        if self.by_exponent.len() <= exponent {
            self.by_exponent.resize(exponent + 1, 0);
        }
        self.by_exponent[exponent] += 1;
    }
    /// Nanoseconds, and how often.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, i64)> {
        let counted = self.by_exponent.iter().enumerate().filter(|(_, count)| **count != 0);
        counted.map(|(exponent, count)| (1 << exponent, *count))
    }
}

/// Nanoseconds, as a power of two that is not below.
fn bucket(duration: Duration) -> u64 {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    ns.checked_next_power_of_two().unwrap_or(1 << 63)
}

/// An operator, or a scope.
#[derive(Debug, Default)]
pub struct Operator {
    /// For people.
    pub name: String,
    /// Within its dataflow, which comes first.
    pub address: Vec<usize>,
    /// How long it ran in all.
    pub elapsed: Duration,
    /// How long it ran each time.
    pub durations: Histogram,
    started: Option<Duration>,
}

/// Messages from one worker to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Records sent.
    pub sent: i64,
    /// Records received.
    pub received: i64,
    /// Batches sent.
    pub batches_sent: i64,
    /// Batches received.
    pub batches_received: i64,
}

/// A channel between operators.
#[derive(Debug)]
pub struct Channel {
    /// The scope it is in.
    pub scope: Vec<usize>,
    /// The operator within the scope, and its output.
    pub source: (usize, usize),
    /// The operator within the scope, and its input.
    pub target: (usize, usize),
    /// The type of what it carries.
    pub kind: String,
    /// By the sending worker and the receiving one.
    pub messages: HashMap<(usize, usize), Messages>,
}

/// What has been said since the worker began, of what is still there.
#[derive(Default)]
pub struct Events {
    /// By number.
    pub operators: HashMap<usize, Operator>,
    /// By number; operators have other ones.
    pub channels: HashMap<usize, Channel>,
    /// How often the worker slept, by how long it did and wanted to (powers of two, nanoseconds).
    pub parks: HashMap<(u64, Option<u64>), i64>,
    /// Scopes run whatever is within them: their own time says nothing.
    scopes: HashSet<Vec<usize>>,
    parked: Option<(Duration, Option<Duration>)>,
}

impl Events {
    /// Begins to count.
    pub fn of(timely: &TimelyWorker) -> Rc<RefCell<Events>> {
        let counted = Rc::<RefCell<Events>>::default();
        if let Some(mut register) = timely.log_register() {
            let shared = Rc::clone(&counted);
            register.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                let mut counted = shared.borrow_mut();
                for (time, event) in events.iter_mut().flat_map(|events| events.drain(..)) {
                    counted.take(time, event);
                }
            });
        }
        counted
    }
    /// Whether an operator is a scope.
    pub fn is_scope(&self, operator: &Operator) -> bool {
        self.scopes.contains(&operator.address)
    }
    fn take(&mut self, time: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(operates) => self.operates(operates),
            TimelyEvent::Channels(channel) => self.channel(channel),
            TimelyEvent::Schedule(schedule) => self.schedule(time, &schedule),
            TimelyEvent::Messages(messages) => self.messages(&messages),
            TimelyEvent::Park(ParkEvent::Park(wanted)) => self.parked = Some((time, wanted)),
            TimelyEvent::Park(ParkEvent::Unpark) => {
                if let Some((began, wanted)) = self.parked.take() {
                    let key = (bucket(time.saturating_sub(began)), wanted.map(bucket));
                    *self.parks.entry(key).or_insert(0) += 1;
                }
            }
            TimelyEvent::Shutdown(shutdown) => self.shutdown(shutdown.id),
            TimelyEvent::PushProgress(_) | TimelyEvent::CommChannels(_) | TimelyEvent::Text(_) => {}
        }
    }
    fn operates(&mut self, operates: OperatesEvent) {
        if let Some((_, parent)) = operates.addr.split_last()
            && !parent.is_empty()
            && !self.scopes.contains(parent)
        {
            self.scopes.insert(parent.to_vec());
        }
        let operator = self.operators.entry(operates.id).or_default();
        (operator.name, operator.address) = (operates.name, operates.addr);
    }
    fn channel(&mut self, channel: ChannelsEvent) {
        let ChannelsEvent { id, scope_addr: scope, source, target, typ: kind } = channel;
        self.channels.insert(id, Channel { scope, source, target, kind, messages: HashMap::new() });
    }
    fn schedule(&mut self, time: Duration, schedule: &ScheduleEvent) {
        let Some(operator) = self.operators.get_mut(&schedule.id) else { return };
        match schedule.start_stop {
            StartStop::Start => operator.started = Some(time),
            StartStop::Stop => {
                if let Some(began) = operator.started.take() {
                    let ran = time.saturating_sub(began);
                    operator.elapsed += ran;
                    operator.durations.add(ran);
                }
            }
        }
    }
    fn messages(&mut self, event: &MessagesEvent) {
        let Some(channel) = self.channels.get_mut(&event.channel) else { return };
        let messages = channel.messages.entry((event.source, event.target)).or_default();
        if event.is_send {
            messages.sent += event.record_count;
            messages.batches_sent += 1;
        } else {
            messages.received += event.record_count;
            messages.batches_received += 1;
        }
    }
    fn shutdown(&mut self, id: usize) {
        let Some(operator) = self.operators.remove(&id) else { return };
        if self.scopes.remove(&operator.address) {
            self.channels.retain(|_, channel| channel.scope != operator.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_the_power_of_two_that_holds_them() {
        let mut histogram = Histogram::default();
        for ns in [0, 1, 2, 3, 4, 5, 1000, 1024, 1025] {
            histogram.add(Duration::from_nanos(ns));
        }
        assert_eq!(
            histogram.buckets().collect::<Vec<_>>(),
            [(1, 2), (2, 1), (4, 2), (8, 1), (1024, 2), (2048, 1)]
        );
        assert_eq!(bucket(Duration::MAX), 1 << 63);
    }

    #[test]
    fn what_is_shut_down_is_forgotten_with_its_channels() {
        let mut events = Events::default();
        let operates = |id, addr: &[usize]| {
            TimelyEvent::Operates(OperatesEvent { id, addr: addr.to_vec(), name: "Map".into() })
        };
        let began = Duration::from_nanos(100);
        events.take(began, operates(1, &[0, 1]));
        events.take(began, operates(0, &[0]));
        let channel =
            ChannelsEvent { id: 2, scope_addr: vec![0], source: (1, 0), target: (2, 0), typ: "rows".into() };
        events.take(began, channel.into());
        for (is_send, count) in [(true, 5), (true, 2), (false, 5)] {
            let message =
                MessagesEvent { is_send, channel: 2, source: 0, target: 1, seq_no: 0, record_count: count };
            events.take(began, message.into());
        }
        events.take(began, ScheduleEvent::start(1).into());
        events.take(Duration::from_nanos(130), ScheduleEvent::stop(1).into());
        assert_eq!(events.operators[&1].elapsed, Duration::from_nanos(30));
        assert!(events.is_scope(&events.operators[&0]) && !events.is_scope(&events.operators[&1]));
        let messages = events.channels[&2].messages[&(0, 1)];
        assert_eq!(messages, Messages { sent: 7, received: 5, batches_sent: 2, batches_received: 1 });
        for id in [1, 0] {
            events.take(began, timely::logging::ShutdownEvent { id }.into());
        }
        assert!(events.operators.is_empty() && events.channels.is_empty() && events.scopes.is_empty());
    }
}
