//! Monitors, evaluated when their variable is written.
//!
//! Periodic ones are not known here: they need a clock, and say only the value of the moment.

use std::collections::{HashMap, HashSet};

use super::definition::{AttributeKind, DataType, MonitorKind};
use super::model::Model;
use super::structure::VariableId;
use super::value::parse_number;
use crate::datetime::DateTime;

/// What a station watches.
#[derive(Clone, Debug, Default)]
pub struct Monitors {
    by_id: HashMap<i64, Monitor>,
    by_variable: HashMap<VariableId, Vec<i64>>,
    /// EVSEs with a transaction.
    transactions: HashSet<u32>,
    /// Monitors of a higher severity number than this are not evaluated for the time being.
    live_up_to: LiveUpTo,
    events: Vec<Event>,
}

/// A severity number, -1 for none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LiveUpTo(i8);

impl Default for LiveUpTo {
    /// All of them.
    fn default() -> Self {
        Self(9)
    }
}

/// A monitor that the CSMS, or the station's maker, has set.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Its id.
    pub id: i64,
    /// What it watches.
    pub variable: VariableId,
    /// What triggers it; not a periodic kind.
    pub kind: MonitorKind,
    /// Threshold or difference.
    pub value: f64,
    /// 0 (danger) to 9 (debug).
    pub severity: u8,
    /// Whether it is live during transactions only.
    pub transaction: bool,
}

#[derive(Clone, Debug)]
struct Monitor {
    setup: Setup,
    /// The boundary is crossed, and the CSMS was told.
    triggered: bool,
    /// What a delta is counted from, empty for no value; `None` before the first look.
    reference: Option<Box<str>>,
    /// Its variable was written while it was suspended.
    stale: bool,
}

/// A monitor has triggered, or its value has returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Id of the monitor.
    pub monitor: i64,
    /// Its variable.
    pub variable: VariableId,
    /// The Actual value; empty if it must not leave the station (N07.FR.10).
    pub value: Box<str>,
    /// Whether the value has returned (N07.FR.02).
    pub cleared: bool,
}

impl Model {
    /// Sets a monitor, or replaces the one of that id, and looks at once where the value stands.
    ///
    /// One that is replaced tells also if it had triggered before (N07.FR.11). `triggered` says
    /// that the CSMS was told in an earlier run: then only a return is news (N07.FR.14).
    pub fn set_monitor(&mut self, setup: Setup, triggered: bool) {
        let replaced = self.clear_monitor(setup.id);
        let now = self.monitored_value(setup.variable).unwrap_or_default();
        let mut monitor = Monitor { setup, triggered, reference: Some(now.into()), stale: false };
        if let Some(old) = replaced {
            let beyond = matches!(self.judge(&monitor), Some(Verdict::Beyond));
            monitor.triggered = old.triggered && !beyond;
        }
        self.monitors.by_id.insert(setup.id, monitor);
        self.monitors.by_variable.entry(setup.variable).or_default().push(setup.id);
        self.set_monitored(setup.variable, true);
        self.evaluate_one(setup.id);
    }

    /// Forgets a monitor, and tells nobody (N07.FR.12); false if there is none of that id.
    pub fn remove_monitor(&mut self, id: i64) -> bool {
        self.clear_monitor(id).is_some()
    }

    fn clear_monitor(&mut self, id: i64) -> Option<Monitor> {
        let monitor = self.monitors.by_id.remove(&id)?;
        let variable = monitor.setup.variable;
        if let Some(ids) = self.monitors.by_variable.get_mut(&variable) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.monitors.by_variable.remove(&variable);
                self.set_monitored(variable, false);
            }
        }
        Some(monitor)
    }

    /// A transaction begins or ends on an EVSE: monitors for transactions wake up or fall asleep.
    pub fn set_transaction(&mut self, evse_id: u32, active: bool) {
        let changed = if active {
            self.monitors.transactions.insert(evse_id)
        } else {
            self.monitors.transactions.remove(&evse_id)
        };
        if !changed {
            return;
        }
        let all = self.monitors.by_id.values().map(|monitor| monitor.setup);
        let mut concerned: Vec<_> = all.filter(|setup| setup.transaction).map(|s| s.id).collect();
        concerned.sort_unstable();
        for id in concerned {
            self.evaluate_one(id);
        }
    }

    /// From now on only monitors up to that severity number are evaluated, none for -1. Those that
    /// are live again and whose variable was written meanwhile are evaluated by the values of now
    /// (N07, remark 8).
    pub fn set_live_up_to(&mut self, severity: i8) {
        self.monitors.live_up_to = LiveUpTo(severity);
        let mut ids = Vec::new();
        for monitor in self.monitors.by_id.values_mut().filter(|monitor| monitor.stale) {
            if monitor.setup.severity.cast_signed() <= severity {
                monitor.stale = false;
                ids.push(monitor.setup.id);
            }
        }
        ids.sort_unstable();
        for id in ids {
            self.evaluate_one(id);
        }
    }

    /// What has triggered since this was last asked, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.monitors.events)
    }

    /// Whether events wait to be taken.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.monitors.events.is_empty()
    }

    /// The monitors of a variable that was written.
    pub(super) fn evaluate(&mut self, variable: VariableId) {
        let Some(ids) = self.monitors.by_variable.get(&variable) else { return };
        for id in ids.clone() {
            self.evaluate_one(id);
        }
    }

    fn evaluate_one(&mut self, id: i64) {
        let Some(monitor) = self.monitors.by_id.get(&id) else { return };
        let setup = monitor.setup;
        if setup.transaction && !self.has_transaction(setup.variable) {
            self.put_to_sleep(id);
            return;
        }
        if LiveUpTo(setup.severity.cast_signed()) > self.monitors.live_up_to {
            self.change(id, |monitor| monitor.stale = true);
            return;
        }
        let Some(verdict) = self.judge(monitor) else { return };
        let now = self.monitored_value(setup.variable).map(Box::from);
        match verdict {
            Verdict::Within if monitor.triggered => {
                self.change(id, |monitor| monitor.triggered = false);
                self.emit(&setup, true);
            }
            Verdict::Beyond if !monitor.triggered => {
                self.change(id, |monitor| monitor.triggered = true);
                self.emit(&setup, false);
            }
            Verdict::Moved => {
                self.change(id, |monitor| monitor.reference = now);
                self.emit(&setup, false);
            }
            Verdict::First => self.change(id, |monitor| monitor.reference = now),
            Verdict::Within | Verdict::Beyond => {}
        }
    }

    /// Without its transaction a monitor knows nothing; it starts anew with the next one.
    fn put_to_sleep(&mut self, id: i64) {
        self.change(id, |monitor| {
            monitor.triggered = false;
            monitor.reference = None;
        });
    }

    fn change(&mut self, id: i64, change: impl FnOnce(&mut Monitor)) {
        if let Some(monitor) = self.monitors.by_id.get_mut(&id) {
            change(monitor);
        }
    }

    fn emit(&mut self, setup: &Setup, cleared: bool) {
        let value = self.value_for_peer(setup.variable);
        let Setup { id: monitor, variable, .. } = *setup;
        self.monitors.events.push(Event { monitor, variable, value, cleared });
    }

    /// The Actual value as the CSMS may see it: empty for a WriteOnly variable (N07.FR.10).
    #[must_use]
    pub fn value_for_peer(&self, variable: VariableId) -> Box<str> {
        let definition = self.structure().variable(variable);
        self.structure()
            .find_attribute(&definition, AttributeKind::Actual)
            .filter(|attribute| !self.is_secret(*attribute))
            .and_then(|attribute| self.value(attribute))
            .map_or("", |value| self.reported(value))
            .into()
    }

    fn monitored_value(&self, variable: VariableId) -> Option<&str> {
        self.actual(&self.structure().variable(variable))
    }

    /// Whether a transaction runs where the variable is; for the station, anywhere.
    fn has_transaction(&self, variable: VariableId) -> bool {
        let component = self.structure().variable(variable).component;
        match self.structure().component(component).evse_id {
            0 => !self.monitors.transactions.is_empty(),
            evse_id => self.monitors.transactions.contains(&evse_id),
        }
    }

    /// How the value of now stands to the monitor; `None` if that cannot be said.
    fn judge(&self, monitor: &Monitor) -> Option<Verdict> {
        let Setup { variable, kind, value: limit, .. } = monitor.setup;
        let definition = self.structure().variable(variable);
        let actual = self.actual(&definition)?;
        let beyond = match kind {
            MonitorKind::UpperThreshold => parse_number(actual)? > limit, // N07.FR.16
            MonitorKind::LowerThreshold => parse_number(actual)? < limit, // N07.FR.17
            MonitorKind::Delta => {
                return moved(
                    self.data_type(&definition),
                    monitor.reference.as_deref(),
                    actual,
                    limit,
                );
            }
            MonitorKind::TargetDelta | MonitorKind::TargetDeltaRelative => {
                let attribute =
                    self.structure().find_attribute(&definition, AttributeKind::Target)?;
                let target = self.value(attribute)?;
                if self.data_type(&definition).is_number() {
                    off_target(kind, parse_number(actual)?, parse_number(target)?, limit)
                } else {
                    actual != target
                }
            }
            MonitorKind::Periodic | MonitorKind::PeriodicClockAligned => return None,
        };
        Some(if beyond { Verdict::Beyond } else { Verdict::Within })
    }
}

enum Verdict {
    /// On the quiet side of the boundary, or on it.
    Within,
    /// Past the boundary.
    Beyond,
    /// Far enough from the reference.
    Moved,
    /// The first value there is to count from.
    First,
}

/// Whether a value is far enough from the one that was last told (N07.FR.18, N07.FR.19). Date-times
/// count in seconds (Part 1, 3.4); for everything else that is no number any change will do.
fn moved(
    data_type: DataType,
    reference: Option<&str>,
    actual: &str,
    limit: f64,
) -> Option<Verdict> {
    let Some(reference) = reference else { return Some(Verdict::First) };
    let measure: fn(&str) -> Option<f64> = match data_type {
        DataType::Decimal | DataType::Integer => parse_number,
        DataType::DateTime => seconds,
        _ => return (reference != actual).then_some(Verdict::Moved),
    };
    let now = measure(actual)?;
    let Some(before) = measure(reference) else { return Some(Verdict::First) };
    ((now - before).abs() > limit).then_some(Verdict::Moved)
}

/// N07.FR.22, N07.FR.23.
fn off_target(kind: MonitorKind, actual: f64, target: f64, limit: f64) -> bool {
    let relative = kind == MonitorKind::TargetDeltaRelative;
    let allowed = if relative { limit * target.abs() } else { limit };
    (actual - target).abs() > allowed
}

/// Seconds since the beginning of year 0, near enough to compare two date-times.
fn seconds(text: &str) -> Option<f64> {
    let time = DateTime::parse(text.as_bytes())?;
    let (year, month) = (i64::from(time.year), i64::from(time.month));
    // Days of the civil calendar, with years that begin in March.
    let shifted = year - i64::from(month <= 2);
    let era_day = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + (153 * ((month + 9) % 12) + 2) / 5
        + i64::from(time.day);
    let clock = (i64::from(time.hour) * 60 + i64::from(time.minute)) * 60 + i64::from(time.second);
    Some((era_day * 86_400 + clock) as f64 + f64::from(time.millisecond) / 1000.0)
}
