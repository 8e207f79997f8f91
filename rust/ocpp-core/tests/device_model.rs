//! Values, monitors and report pages of a small device model.

use std::sync::Arc;

use ocpp_core::datetime::DateTime;
use ocpp_core::device_model::definition::{
    AttributeDefinition, AttributeKind, Characteristics, ComponentDefinition, ComponentKey,
    DataType, MonitorKind, Mutability, VariableDefinition,
};
use ocpp_core::device_model::model::{Model, NotRead, NotSet, Sizes};
use ocpp_core::device_model::monitor::{Event, Setup};
use ocpp_core::device_model::report::{Base, PageFrame, Selection};
use ocpp_core::device_model::structure::{Address, Structure, VariableId};
use ocpp_core::writer::Writer;

fn characteristics(data_type: DataType) -> Characteristics {
    Characteristics {
        data_type,
        unit: None,
        min_limit: None,
        max_limit: None,
        max_elements: None,
        values_list: None,
        supports_monitoring: true,
    }
}

fn attribute(kind: AttributeKind, mutability: Mutability, value: &str) -> AttributeDefinition {
    let value = (!value.is_empty()).then(|| value.into());
    AttributeDefinition { kind, mutability, value, persistent: false, constant: false }
}

fn variable(
    name: &str,
    data_type: DataType,
    attributes: &[AttributeDefinition],
) -> VariableDefinition {
    VariableDefinition {
        name: name.into(),
        instance: None,
        characteristics: characteristics(data_type),
        attributes: attributes.to_vec(),
        monitors: Vec::new(),
        source: None,
    }
}

fn component(
    name: &str,
    evse_id: Option<u32>,
    variables: Vec<VariableDefinition>,
) -> ComponentDefinition {
    let key = ComponentKey { name: name.into(), instance: None, evse_id, connector_id: None };
    ComponentDefinition { key, variables, text: "".into() }
}

/// A fan at EVSE 1 with a speed of all four attributes, a name and a password.
fn fan() -> Model {
    use AttributeKind::{Actual, MaxSet, MinSet, Target};
    use Mutability::{ReadOnly, ReadWrite, WriteOnly};
    let speed = [
        attribute(Actual, ReadOnly, "300"),
        attribute(Target, ReadWrite, "300"),
        attribute(MinSet, ReadWrite, "200"),
        attribute(MaxSet, ReadWrite, "500"),
    ];
    let variables = vec![
        variable("FanSpeed", DataType::Decimal, &speed),
        variable("Label", DataType::String, &[attribute(Actual, ReadWrite, "left")]),
        variable("Key", DataType::String, &[attribute(Actual, WriteOnly, "geheim")]),
        variable(
            "Clock",
            DataType::DateTime,
            &[attribute(Actual, ReadOnly, "2026-01-01T00:00:00Z")],
        ),
    ];
    let mut structure = Structure::default();
    assert!(structure.add(&component("Fan", Some(1), variables)));
    Model::new(Arc::new(structure))
}

const SPEED: VariableId = 0;
const LABEL: VariableId = 1;
const KEY: VariableId = 2;
const CLOCK: VariableId = 3;

fn address(name: &'static str) -> Address<'static> {
    Address { component: b"fan", evse_id: Some(1), variable: name.as_bytes(), ..Address::default() }
}

fn write(model: &mut Model, variable: VariableId, kind: AttributeKind, value: &str) {
    let structure = model.structure();
    let attribute = structure.find_attribute(&structure.variable(variable), kind).unwrap();
    model.write(variable, attribute, value, "internal").unwrap();
}

fn read<'m>(
    model: &'m Model,
    address: &Address<'_>,
    kind: AttributeKind,
) -> Result<&'m str, NotRead> {
    model.read(&[(*address, kind)]).remove(0)
}

fn actual(model: &mut Model, variable: VariableId, value: &str) -> Vec<Event> {
    write(model, variable, AttributeKind::Actual, value);
    model.take_events()
}

fn setup(variable: VariableId, kind: MonitorKind, value: f64) -> Setup {
    Setup { id: 7, variable, kind, value, severity: 5, transaction: false }
}

fn event(variable: VariableId, value: &str, cleared: bool) -> Event {
    Event { monitor: 7, variable, value: value.into(), cleared }
}

fn none() -> Vec<Event> {
    Vec::new()
}

#[test]
fn what_may_be_read() {
    let model = fan();
    let actual = AttributeKind::Actual;
    assert_eq!(read(&model, &address("FANSPEED"), actual), Ok("300"));
    assert_eq!(read(&model, &address("Key"), actual), Err(NotRead::WriteOnly));
    assert_eq!(read(&model, &address("Nothing"), actual), Err(NotRead::UnknownVariable));
    let target = AttributeKind::Target;
    assert_eq!(read(&model, &address("Label"), target), Err(NotRead::NotSupportedAttributeType));
    let nowhere = Address { evse_id: Some(2), ..address("Label") };
    assert_eq!(read(&model, &nowhere, actual), Err(NotRead::UnknownComponent));
    let no_evse = Address { evse_id: Some(-1), ..address("Label") };
    assert_eq!(read(&model, &no_evse, actual), Err(NotRead::UnknownComponent));
}

#[test]
fn long_values_are_cut_where_messages_say() {
    let mut model = fan();
    model.set_sizes(Sizes { reported: 2, configured: 3 });
    assert_eq!(read(&model, &address("Label"), AttributeKind::Actual), Ok("le"));
    let refused = model.check(&address("Label"), AttributeKind::Actual, "four", &[]);
    assert!(matches!(refused, Err(NotSet::Rejected(code, _)) if code == "TooLargeElement"));
    assert!(model.check(&address("Label"), AttributeKind::Actual, "äöü", &[]).is_ok());
}

#[test]
fn min_set_and_max_set_bound_the_target_and_each_other() {
    let model = fan();
    let check =
        |kind, value, earlier: &[_]| model.check(&address("FanSpeed"), kind, value, earlier);
    use AttributeKind::{Actual, MaxSet, MinSet, Target};
    for (kind, value, fine) in [
        (Target, "500", true),
        (Target, "501", false),
        (Target, "200", true),
        (Target, "199.9", false),
        (MinSet, "500", true),
        (MinSet, "501", false),
        (MaxSet, "199", false),
        (Actual, "300", false),
    ] {
        assert_eq!(check(kind, value, &[]).is_ok(), fine, "{kind:?} {value}");
    }
    let wider = check(MaxSet, "600", &[]).unwrap();
    assert!(check(Target, "600", &[wider]).is_ok());
}

#[test]
fn thresholds_trigger_when_crossed_and_clear_when_the_value_is_back() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 400.0), false);
    assert_eq!(model.take_events(), none());
    assert_eq!(actual(&mut model, SPEED, "400"), none());
    assert_eq!(actual(&mut model, SPEED, "400.5"), [event(SPEED, "400.5", false)]);
    assert_eq!(actual(&mut model, SPEED, "500"), none());
    assert_eq!(actual(&mut model, SPEED, "400"), [event(SPEED, "400", true)]);
    assert_eq!(actual(&mut model, SPEED, "399"), none());
}

#[test]
fn a_lower_threshold_is_the_other_way_round() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::LowerThreshold, 300.0), false);
    assert_eq!(actual(&mut model, SPEED, "299"), [event(SPEED, "299", false)]);
    assert_eq!(actual(&mut model, SPEED, "300"), [event(SPEED, "300", true)]);
}

#[test]
fn a_monitor_that_is_set_beyond_its_boundary_triggers_at_once() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 100.0), false);
    assert_eq!(model.take_events(), [event(SPEED, "300", false)]);
    // Replaced and still beyond: told again; replaced and within: cleared.
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 200.0), false);
    assert_eq!(model.take_events(), [event(SPEED, "300", false)]);
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 310.0), false);
    assert_eq!(model.take_events(), [event(SPEED, "300", true)]);
}

#[test]
fn a_monitor_of_an_earlier_run_only_tells_news() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 100.0), true);
    assert_eq!(model.take_events(), none());
    assert!(model.remove_monitor(7));
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 900.0), true);
    assert_eq!(model.take_events(), [event(SPEED, "300", true)]);
}

#[test]
fn removing_a_monitor_tells_nobody() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 100.0), true);
    assert!(model.remove_monitor(7));
    assert!(!model.remove_monitor(7));
    assert_eq!(actual(&mut model, SPEED, "50"), none());
}

#[test]
fn deltas_count_from_what_was_told_last() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::Delta, 10.0), false);
    assert_eq!(actual(&mut model, SPEED, "310"), none());
    assert_eq!(actual(&mut model, SPEED, "311"), [event(SPEED, "311", false)]);
    assert_eq!(actual(&mut model, SPEED, "301"), none());
    assert_eq!(actual(&mut model, SPEED, "300"), [event(SPEED, "300", false)]);
}

#[test]
fn any_change_of_a_text_is_a_delta() {
    let mut model = fan();
    model.set_monitor(setup(LABEL, MonitorKind::Delta, 1.0), false);
    assert_eq!(actual(&mut model, LABEL, "right"), [event(LABEL, "right", false)]);
    assert_eq!(actual(&mut model, LABEL, "right"), none());
}

#[test]
fn deltas_of_date_times_are_seconds() {
    let mut model = fan();
    model.set_monitor(setup(CLOCK, MonitorKind::Delta, 60.0), false);
    assert_eq!(actual(&mut model, CLOCK, "2026-01-01T01:01:00+01:00"), none());
    let next = "2026-01-01T00:01:01Z";
    assert_eq!(actual(&mut model, CLOCK, next), [event(CLOCK, next, false)]);
    let leap = "2028-03-01T00:00:00Z";
    assert_eq!(actual(&mut model, CLOCK, leap), [event(CLOCK, leap, false)]);
    assert_eq!(actual(&mut model, CLOCK, "2028-02-29T23:59:00Z"), none());
}

#[test]
fn target_deltas_watch_both_attributes() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::TargetDelta, 10.0), false);
    assert_eq!(actual(&mut model, SPEED, "310"), none());
    assert_eq!(actual(&mut model, SPEED, "311"), [event(SPEED, "311", false)]);
    write(&mut model, SPEED, AttributeKind::Target, "320");
    assert_eq!(model.take_events(), [event(SPEED, "311", true)]);
}

#[test]
fn relative_target_deltas_are_parts_of_the_target() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::TargetDeltaRelative, 0.1), false);
    assert_eq!(actual(&mut model, SPEED, "330"), none());
    assert_eq!(actual(&mut model, SPEED, "269"), [event(SPEED, "269", false)]);
    assert_eq!(actual(&mut model, SPEED, "270"), [event(SPEED, "270", true)]);
}

#[test]
fn values_of_credentials_are_never_told() {
    let mut model = fan();
    model.set_monitor(setup(KEY, MonitorKind::Delta, 1.0), false);
    assert_eq!(actual(&mut model, KEY, "noch geheimer"), [event(KEY, "", false)]);
}

#[test]
fn monitors_for_transactions_sleep_without_one() {
    let mut model = fan();
    let of_transaction =
        Setup { transaction: true, ..setup(SPEED, MonitorKind::UpperThreshold, 400.0) };
    model.set_monitor(of_transaction, false);
    assert_eq!(actual(&mut model, SPEED, "450"), none());
    model.set_transaction(2, true);
    assert_eq!(model.take_events(), none());
    model.set_transaction(1, true);
    assert_eq!(model.take_events(), [event(SPEED, "450", false)]);
    model.set_transaction(1, false);
    assert_eq!(actual(&mut model, SPEED, "300"), none());
}

#[test]
fn what_is_suspended_is_made_up_for_by_the_value_of_then() {
    let mut model = fan();
    model.set_monitor(setup(SPEED, MonitorKind::UpperThreshold, 400.0), false);
    model.set_live_up_to(4);
    assert_eq!(actual(&mut model, SPEED, "450"), none());
    assert_eq!(actual(&mut model, SPEED, "460"), none());
    model.set_live_up_to(5);
    assert_eq!(model.take_events(), [event(SPEED, "460", false)]);
    model.set_live_up_to(-1);
    assert_eq!(actual(&mut model, SPEED, "300"), none());
    assert_eq!(actual(&mut model, SPEED, "410"), none());
    model.set_live_up_to(9);
    assert_eq!(model.take_events(), none());
}

fn pages(model: &Model, base: Base, max_items: usize, max_bytes: usize) -> Vec<String> {
    let mut selection = Selection::base(model, base);
    let generated_at = DateTime::parse(b"2026-11-21T12:00:00Z").unwrap();
    let frame = PageFrame {
        message_id: "m",
        request_id: 5,
        generated_at,
        max_items,
        max_bytes,
        max_elements: false,
    };
    let mut pages = Vec::new();
    let mut out = Writer::default();
    while selection.write_page(model, &frame, &mut out) {
        pages.push(String::from_utf8(out.bytes().to_vec()).unwrap());
        out.clear();
    }
    assert!(selection.is_done());
    pages
}

#[test]
fn pages_are_bounded_and_numbered() {
    let model = fan();
    let whole = pages(&model, Base::Full, 100, 100_000);
    assert_eq!(whole.len(), 1);
    assert!(
        whole[0].starts_with(
            "[2,\"m\",\"NotifyReport\",{\"requestId\":5,\"generatedAt\":\"2026-11-21T12:00:00Z\""
        ),
        "{}",
        whole[0]
    );
    assert!(whole[0].ends_with("],\"tbc\":false,\"seqNo\":0}]"), "{}", whole[0]);
    let single = pages(&model, Base::Full, 1, 100_000);
    assert_eq!(single.len(), 4);
    assert!(single[0].ends_with("],\"tbc\":true,\"seqNo\":0}]"));
    assert!(single[3].ends_with("],\"tbc\":false,\"seqNo\":3}]"));
    // Too small for anything: one variable a page all the same.
    assert_eq!(pages(&model, Base::Full, 100, 1), single);
    let limit = whole[0].len() - 1;
    let split = pages(&model, Base::Full, 100, limit);
    assert_eq!(split.len(), 2);
    assert!(split.iter().all(|page| page.len() <= limit));
}

#[test]
fn credentials_are_reported_without_their_value() {
    let whole = pages(&fan(), Base::Full, 100, 100_000).concat();
    assert!(!whole.contains("geheim"));
    assert!(whole.contains("{\"type\":\"Actual\",\"mutability\":\"WriteOnly\"}"));
}

#[test]
fn the_configuration_is_what_can_be_set() {
    let page = pages(&fan(), Base::Configuration, 100, 100_000).concat();
    for (name, there) in [("FanSpeed", true), ("Label", true), ("Key", true), ("Clock", false)] {
        assert_eq!(page.contains(name), there, "{name}");
    }
}

#[test]
fn stations_share_their_structure_until_one_adds_to_it() {
    let mut model = fan();
    let copy = model.clone();
    let definition = component(
        "Lamp",
        None,
        vec![variable(
            "On",
            DataType::Boolean,
            &[attribute(AttributeKind::Actual, Mutability::ReadWrite, "true")],
        )],
    );
    assert!(model.add(&definition));
    assert!(!model.add(&definition));
    let lamp = Address { component: b"Lamp", variable: b"On", ..Address::default() };
    assert_eq!(read(&model, &lamp, AttributeKind::Actual), Ok("true"));
    assert_eq!(read(&copy, &lamp, AttributeKind::Actual), Err(NotRead::UnknownComponent));
    assert_eq!(actual(&mut model, LABEL, "x"), none());
    assert_eq!(read(&copy, &address("Label"), AttributeKind::Actual), Ok("left"));
}
