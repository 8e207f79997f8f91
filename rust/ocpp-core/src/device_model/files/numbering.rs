//! EVSEs and connectors: numbered from 1 without gaps (Part 1, section 7), as many as the station
//! has, and none that only other components know.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::{Found, Label};
use super::{Copy, Draft, Folder, Numbers, Part, Topology, same};

/// Where a tier's components are.
type Tier = BTreeMap<u32, Copy>;

/// Checks the numbers of all components.
pub(super) fn check(folder: &Folder<'_>, topology: Topology<'_>, found: &mut Vec<Found>) {
    let mut checker = Checker { folder, found };
    let mut evses = Tier::new();
    let mut connectors: BTreeMap<u32, Tier> = BTreeMap::new();
    for copy in &folder.copies {
        match (checker.is(copy, "EVSE"), copy.evse, copy.connector) {
            (true, Some(evse), None) => drop(evses.insert(evse, *copy)),
            (true, None, _) => checker.report(copy, Part::Name, "an EVSE needs an evse_id"),
            (true, ..) => checker.report(copy, Part::Connector, "an EVSE has no connector_id"),
            (false, ..) if !checker.is(copy, "Connector") => {}
            (false, Some(evse), Some(connector)) => {
                connectors.entry(evse).or_default().insert(connector, *copy);
            }
            _ => {
                checker.report(copy, Part::Name, "a Connector needs an evse_id and a connector_id")
            }
        }
    }
    checker.evses(&evses, topology);
    // An EVSE that the station does not have has been reported above, whatever its connectors.
    let count = |evse: &u32| {
        topology.map(|topology| topology.get(*evse as usize - 1).copied().unwrap_or_default())
    };
    let is_stranger = |evse: &u32| topology.is_some_and(|all| *evse as usize > all.len());
    for (evse, tier) in &connectors {
        if evses.contains_key(evse) && !is_stranger(evse) {
            checker.connectors(*evse, tier, count(evse));
        }
    }
    for (evse, copy) in &evses {
        let none = !connectors.contains_key(evse) && !folder.may_hide("Connector");
        if none && count(evse) != Some(0) {
            checker.report(copy, Part::Evse, "the EVSE has no connector");
        }
    }
    checker.strangers(&evses, &connectors);
}

struct Checker<'c, 'n> {
    folder: &'c Folder<'n>,
    found: &'c mut Vec<Found>,
}

impl<'n> Checker<'_, 'n> {
    fn draft(&self, copy: &Copy) -> &Draft<'n> {
        &self.folder.drafts[copy.draft]
    }

    /// Whether it is the component that stands for a whole tier (Part 1, section 3.1).
    fn is(&self, copy: &Copy, tier: &str) -> bool {
        let draft = self.draft(copy);
        draft.instance.is_none() && same(draft.name, tier)
    }

    fn report(&mut self, copy: &Copy, part: Part, message: &str) {
        let draft = self.draft(copy);
        let label = draft.label().at(copy.evse, copy.connector);
        let problem = draft.problem(part, &label, message.to_owned());
        self.found.push(problem);
    }

    /// Something is missing in front of `copy`, or nowhere in particular.
    fn missing(&mut self, before: Option<&Copy>, part: Part, label: &Label<'_>, message: String) {
        let problem = match before {
            Some(copy) => self.draft(copy).problem(part, label, message),
            None => Found::nowhere(label, message),
        };
        self.found.push(problem);
    }

    fn evses(&mut self, evses: &Tier, topology: Topology<'_>) {
        let expected = topology.map(|topology| topology.len() as u32);
        if let Some(expected) = expected {
            for (_, copy) in evses.range(expected + 1..) {
                self.report(copy, Part::Evse, &format!("the station has {expected} EVSEs"));
            }
        }
        if self.folder.may_hide("EVSE") {
            return;
        }
        if evses.is_empty() && expected.is_none() {
            let label = Label { component: "EVSE", ..Label::default() };
            return self.missing(None, Part::Evse, &label, "there is no EVSE".to_owned());
        }
        for (first, last, before) in gaps(evses, expected) {
            let label =
                Label { component: "EVSE", evse: Numbers::Range(first, last), ..Label::default() };
            let message = match expected {
                Some(expected) => format!("is missing: the station has {expected} EVSEs"),
                None => "is missing: EVSEs are numbered from 1 without gaps".to_owned(),
            };
            self.missing(before.as_ref(), Part::Evse, &label, message);
        }
    }

    fn connectors(&mut self, evse: u32, connectors: &Tier, expected: Option<u32>) {
        if let Some(expected) = expected {
            for (_, copy) in connectors.range(expected + 1..) {
                let message = format!("EVSE {evse} of the station has {expected} connectors");
                self.report(copy, Part::Connector, &message);
            }
        }
        if self.folder.may_hide("Connector") {
            return;
        }
        for (first, last, before) in gaps(connectors, expected) {
            let label = Label {
                component: "Connector",
                evse: Numbers::Range(evse, evse),
                connector: Numbers::Range(first, last),
                ..Label::default()
            };
            let message = match expected {
                Some(expected) => format!("is missing: EVSE {evse} has {expected} connectors"),
                None => "is missing: connectors are numbered from 1 without gaps".to_owned(),
            };
            self.missing(before.as_ref(), Part::Connector, &label, message);
        }
    }

    /// Components at an EVSE or connector that is not there; once for each file.
    fn strangers(&mut self, evses: &Tier, connectors: &BTreeMap<u32, Tier>) {
        let mut told = BTreeSet::new();
        let hidden = ["EVSE", "Connector"].map(|tier| self.folder.may_hide(tier));
        for copy in &self.folder.copies {
            let Some(evse) = copy.evse else {
                continue;
            };
            if !evses.contains_key(&evse) {
                if !hidden[0] && !self.is(copy, "EVSE") && told.insert(copy.draft) {
                    self.report(copy, Part::Evse, &format!("there is no EVSE {evse}"));
                }
                continue;
            }
            let Some(connector) = copy.connector else {
                continue;
            };
            let known = connectors.get(&evse).is_some_and(|tier| tier.contains_key(&connector));
            if !known && !hidden[1] && !self.is(copy, "EVSE") && told.insert(copy.draft) {
                let message = format!("EVSE {evse} has no connector {connector}");
                self.report(copy, Part::Connector, &message);
            }
        }
    }
}

/// Runs of missing numbers with what comes behind them; up to `expected`, or to the highest number.
fn gaps(tier: &Tier, expected: Option<u32>) -> Vec<(u32, u32, Option<Copy>)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for (number, copy) in tier {
        if expected.is_some_and(|expected| *number > expected) {
            break;
        }
        if *number > next {
            gaps.push((next, number - 1, Some(*copy)));
        }
        next = number + 1;
    }
    if let Some(expected) = expected
        && next <= expected
    {
        gaps.push((next, expected, None));
    }
    gaps
}
