//! The variables that the standard requires a station to have.
//!
//! The table `required.csv` holds the facts of the appendices (dm_components_vars) and of Part 2
//! ("Referenced Components and Variables"), with the errata. `when` is
//!
//! | word | the variable is required |
//! |---|---|
//! | `always` | of every station, EVSE or connector |
//! | `available` | where the component is there and available |
//! | `Tariff`, `Cost`, `Tariff&Cost` | where `Available` of these instances is true |
//! | `NoTariff` | as `available`, unless `Enabled(Tariff)` is true |
//! | `V2X` | on an EVSE with an available V2XChargingCtrlr; of ConnectedEV only if it is there |
//! | `LocalFrequency` and the like | if SupportedOperationModes has it |
//!
//! and `needs` says what has to be there: `value` a default, `maxLimit` that limit, `variable` no
//! more than the variable, since its value comes from the hardware, from the running station, or
//! from whoever sets up a network configuration slot.

use super::definition::VariableDefinition;
use super::files::{Draft, DraftVariable, Folder, Found, Numbers, Part, same, same_instance};
use super::value::members;

const TABLE: &str = include_str!("required.csv");

const VERSIONS: [&str; 2] = ["2.0.1", "2.1"];

/// A line of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    versions: &'static str,
    component: &'static str,
    variable: &'static str,
    instance: Instance,
    when: &'static str,
    needs: Needs,
}

#[derive(Clone, Copy, Debug)]
enum Instance {
    Exactly(Option<&'static str>),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Value,
    MaxLimit,
    Variable,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split(',');
        Some(Self {
            versions: fields.next()?,
            component: fields.next()?,
            variable: fields.next()?,
            instance: match fields.next()? {
                "" => Instance::Exactly(None),
                "*" => Instance::Any,
                instance => Instance::Exactly(Some(instance)),
            },
            when: fields.next()?,
            needs: match fields.next()? {
                "value" => Needs::Value,
                "maxLimit" => Needs::MaxLimit,
                _ => Needs::Variable,
            },
        })
    }

    fn is_for(&self, version: &str) -> bool {
        self.versions.split(' ').any(|own| own == version)
    }

    fn is_about(&self, variable: &VariableDefinition) -> bool {
        same(&variable.name, self.variable)
            && match self.instance {
                Instance::Any => true,
                Instance::Exactly(instance) => {
                    same_instance(variable.instance.as_deref(), instance)
                }
            }
    }

    fn variables<'d>(&self, draft: &'d Draft<'_>) -> impl Iterator<Item = &'d DraftVariable<'d>> {
        draft.variables.iter().filter(|variable| self.is_about(&variable.definition))
    }

    fn instance(&self) -> Option<&'static str> {
        match self.instance {
            Instance::Any => None,
            Instance::Exactly(instance) => instance,
        }
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().skip(1).filter_map(Row::parse)
}

/// Whether a variable that a file calls required may still have no default.
pub(super) fn may_be_empty(component: &str, variable: &VariableDefinition) -> bool {
    same(component, "NetworkConfiguration")
        || rows().any(|row| {
            row.needs != Needs::Value && same(component, row.component) && row.is_about(variable)
        })
}

/// Checks that all is there that `versions` require.
pub(super) fn check(folder: &Folder<'_>, versions: &[&str], found: &mut Vec<Found>) {
    for version in versions.iter().filter(|version| !VERSIONS.contains(version)) {
        found.push(Found::in_file("", format!("nothing is known of OCPP {version:?}")));
    }
    let mut checker = Checker { folder, bidirectional: bidirectional(folder), found };
    for row in rows() {
        let mut by = versions.iter().filter(|version| row.is_for(version)).copied();
        if let Some(first) = by.next() {
            let by = by.fold(format!("required by OCPP {first}"), |by, next| by + " and " + next);
            checker.row(&row, &by);
        }
    }
}

/// The EVSEs that can discharge; `None` stands for all of them.
fn bidirectional(folder: &Folder<'_>) -> Vec<Option<u32>> {
    let is_v2x = |draft: &Draft<'_>| same(draft.name, "V2XChargingCtrlr") && draft.is_available();
    let copies = folder.copies.iter().filter(|copy| is_v2x(&folder.drafts[copy.draft]));
    copies.map(|copy| copy.evse).collect()
}

struct Checker<'c, 'n> {
    folder: &'c Folder<'n>,
    bidirectional: Vec<Option<u32>>,
    found: &'c mut Vec<Found>,
}

impl Checker<'_, '_> {
    fn row(&mut self, row: &Row, by: &str) {
        let folder = self.folder;
        let at_station = row.when == "always" && !matches!(row.component, "EVSE" | "Connector");
        let mut there = false;
        for (index, draft) in folder.drafts.iter().enumerate() {
            if !same(draft.name, row.component) || folder.copies_of(index).is_empty() {
                continue;
            }
            if at_station && (draft.evse != Numbers::Absent || draft.instance.is_some()) {
                continue;
            }
            there = true;
            if self.applies(row, index, draft) && !self.is_inherited(row, draft) {
                self.draft(row, draft, by);
            }
        }
        if at_station && !there && !folder.may_hide(row.component) {
            let message = format!("{by}, but there is no component {}", row.component);
            self.found.push(Found::missing(row.component, row.variable, row.instance(), message));
        }
    }

    fn applies(&self, row: &Row, index: usize, draft: &Draft<'_>) -> bool {
        let available = |instance| draft.is_true("Available", Some(instance));
        match row.when {
            "always" => true,
            "available" => draft.is_available(),
            "Tariff&Cost" => available("Tariff") && available("Cost"),
            "Tariff" | "Cost" => available(row.when),
            "NoTariff" => draft.is_available() && !draft.is_true("Enabled", Some("Tariff")),
            "V2X" => {
                let copies = self.folder.copies_of(index);
                let of_all = self.bidirectional.contains(&None);
                of_all || copies.iter().any(|copy| self.bidirectional.contains(&copy.evse))
            }
            mode => {
                let modes = draft.find("SupportedOperationModes", None);
                let modes = modes.and_then(DraftVariable::value).unwrap_or_default();
                draft.is_available() && members(modes).any(|other| other == mode)
            }
        }
    }

    /// Whether the station's own component has what one of an EVSE leaves out.
    fn is_inherited(&self, row: &Row, draft: &Draft<'_>) -> bool {
        row.when != "always"
            && draft.evse != Numbers::Absent
            && self.folder.drafts.iter().any(|other| {
                other.evse == Numbers::Absent
                    && same(other.name, draft.name)
                    && same_instance(other.instance, draft.instance)
                    && row.variables(other).next().is_some()
            })
    }

    fn draft(&mut self, row: &Row, draft: &Draft<'_>, by: &str) {
        let Some(first) = row.variables(draft).next() else {
            let label = draft.label().with(row.variable, row.instance());
            let message = format!("{by}, but missing");
            self.found.push(draft.problem(Part::Properties, &label, message));
            return;
        };
        let fulfilled = |variable: &DraftVariable<'_>| match row.needs {
            _ if variable.faulty => true,
            Needs::Variable => true,
            Needs::Value => variable.value().is_some() || variable.is_write_only(),
            Needs::MaxLimit => variable.definition.characteristics.max_limit.is_some(),
        };
        if row.variables(draft).any(fulfilled) {
            return;
        }
        let label = draft.label().of(&first.definition);
        let what = if row.needs == Needs::MaxLimit { "maxLimit" } else { "value" };
        let message = format!("{by}, but without {what}");
        self.found.push(draft.variable_problem(first, &label, message));
    }
}
