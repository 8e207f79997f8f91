//! One file: what is understood, what is refused.

use super::*;
use crate::device_model::definition::{
    AttributeKind, DataType, MonitorConfig, MonitorKind, Mutability,
};

const PATH: &str = "custom/Fan.json";

fn parse(content: &str) -> Result<ComponentDefinition, Vec<String>> {
    parse_component(PATH, content.as_bytes()).map_err(lines)
}

/// A component with one variable, whose members are overlaid by `changes`; null removes one.
fn with_variable(changes: &Value) -> String {
    let mut variable = json!({
        "variable_name": "Speed",
        "characteristics": {"dataType": "integer", "supportsMonitoring": true},
        "attributes": [{"type": "Actual", "mutability": "ReadOnly"}],
    });
    overlay(&mut variable, changes);
    json!({"name": "Fan", "properties": {"FanSpeed": variable}}).to_string()
}

fn overlay(target: &mut Value, changes: &Value) {
    let (Value::Object(target), Value::Object(changes)) = (&mut *target, changes) else {
        *target = changes.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            target.remove(name);
        } else {
            overlay(target.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[track_caller]
fn assert_variable(changes: &Value, expected: &[&str]) {
    let variable = "custom/Fan.json#/properties/FanSpeed";
    let expected: Vec<_> = expected.iter().map(|line| format!("{variable}{line}")).collect();
    let found = parse(&with_variable(changes)).err().unwrap_or_default();
    assert_eq!(found, expected, "{changes}");
}

fn only(changes: &Value) -> VariableDefinition {
    let definition = parse(&with_variable(changes)).unwrap();
    let again = parse(&definition.text).unwrap();
    assert_eq!(again, definition);
    definition.variables.into_iter().next().unwrap()
}

fn actual(changes: &Value) -> Option<Box<str>> {
    only(changes).attributes[0].value.clone()
}

#[test]
fn everything_that_a_file_can_say() {
    let content = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "name": "CoolingFan", "instance": "Rear", "evse_id": 2, "connector_id": 1,
        "type": "object", "description": "blows",
        "properties": {
            "Speed": {
                "variable_name": "FanSpeed", "instance": "Left \"1\"", "source": "EVEREST",
                "description": "how fast", "type": "number", "minimum": 0, "ocpp_version": "2.1",
                "characteristics": {
                    "dataType": "decimal", "unit": "rpm", "minLimit": -0.5, "maxLimit": 5000,
                    "supportsMonitoring": true, "supportesMonitoring": 1,
                },
                "attributes": [
                    {"type": "MaxSet", "mutability": "ReadOnly", "value": 4000, "constant": true},
                    {"mutability": "ReadOnly", "value": "12.50"},
                    {"type": "Target", "value": 1e3, "persistent": false},
                    {"type": "MinSet", "mutability": "WriteOnly", "value": 0.1},
                ],
                "monitors": [
                    {"type": "UpperThreshold", "value": 4500.5, "severity": 1,
                     "transaction": true, "config_type": "HardWiredMonitor"},
                    {"type": "Delta", "value": 100, "severity": 9, "reference_value": "3",
                     "config_type": "PreconfiguredMonitor"},
                    {"type": "TargetDeltaRelative", "value": 0, "severity": 0,
                     "config_type": "CustomMonitor"},
                    {"type": "PeriodicClockAligned", "value": 900, "severity": 5},
                ],
                "default": 7,
            },
            "": {
                "variable_name": "Mode",
                "characteristics": {
                    "dataType": "MemberList", "valuesList": "Eco,Boost", "maxElements": 1,
                },
                "attributes": [{"type": "Actual"}],
                "default": "Eco",
            },
        },
        "required": ["Speed", "mode"],
    });
    let definition = parse(&content.to_string()).unwrap();
    let key = &definition.key;
    assert_eq!((&*key.name, key.instance.as_deref()), ("CoolingFan", Some("Rear")));
    assert_eq!((key.evse_id, key.connector_id), (Some(2), Some(1)));
    let [mode, speed] = &definition.variables[..] else {
        panic!("{definition:?}");
    };
    assert_eq!((&*speed.name, speed.instance.as_deref()), ("FanSpeed", Some("Left \"1\"")));
    assert_eq!(speed.source.as_deref(), Some("EVEREST"));
    let about = &speed.characteristics;
    assert_eq!((about.data_type, about.unit.as_deref()), (DataType::Decimal, Some("rpm")));
    assert_eq!((about.min_limit, about.max_limit), (Some(-0.5), Some(5000.0)));
    assert_eq!((about.values_list.as_deref(), about.max_elements), (None, None));
    assert!(about.supports_monitoring && !mode.characteristics.supports_monitoring);
    let attributes: Vec<_> = speed
        .attributes
        .iter()
        .map(|a| (a.kind, a.mutability, a.value.as_deref(), a.persistent, a.constant))
        .collect();
    assert_eq!(
        attributes,
        [
            (AttributeKind::Actual, Mutability::ReadOnly, Some("12.50"), false, false),
            (AttributeKind::Target, Mutability::ReadWrite, Some("1000.0"), false, false),
            (AttributeKind::MinSet, Mutability::WriteOnly, Some("0.1"), true, false),
            (AttributeKind::MaxSet, Mutability::ReadOnly, Some("4000"), false, true),
        ]
    );
    let monitors: Vec<_> = speed
        .monitors
        .iter()
        .map(|m| (m.kind, m.value, m.severity, m.transaction, m.config))
        .collect();
    assert_eq!(
        monitors,
        [
            (MonitorKind::UpperThreshold, 4500.5, 1, true, MonitorConfig::HardWired),
            (MonitorKind::Delta, 100.0, 9, false, MonitorConfig::Preconfigured),
            (MonitorKind::TargetDeltaRelative, 0.0, 0, false, MonitorConfig::Custom),
            (MonitorKind::PeriodicClockAligned, 900.0, 5, false, MonitorConfig::Preconfigured),
        ]
    );
    assert_eq!(mode.characteristics.max_elements, Some(1));
    let [only] = &mode.attributes[..] else { panic!("{mode:?}") };
    assert_eq!((only.value.as_deref(), only.mutability), (Some("Eco"), Mutability::ReadWrite));
    assert!(only.persistent);
    assert_eq!(parse(&definition.text).unwrap(), definition);
}

#[test]
fn text_is_compact_and_free_of_annotations() {
    let content = with_variable(&json!({"description": "how fast", "default": 3}));
    assert_eq!(
        &*parse(&content).unwrap().text,
        r#"{"name":"Fan","properties":{"Speed":{"variable_name":"Speed","characteristics":{"dataType":"integer","supportsMonitoring":true},"attributes":[{"type":"Actual","mutability":"ReadOnly","value":"3"}]}}}"#
    );
}

#[test]
fn values_are_texts() {
    for (data_type, value, text) in [
        ("boolean", json!(true), Some("true")),
        ("boolean", json!(false), Some("false")),
        ("boolean", json!("false"), Some("false")),
        ("integer", json!(-42), Some("-42")),
        ("integer", json!(3.0), Some("3")),
        ("integer", json!("3"), Some("3")),
        ("integer", json!(""), None),
        ("decimal", json!(0.25), Some("0.25")),
        ("decimal", json!(3.0), Some("3.0")),
        ("decimal", json!(i64::MIN), Some("-9223372036854775808")),
        ("string", json!(1), Some("1")),
        ("string", json!(true), Some("true")),
        ("string", json!(""), Some("")),
        ("string", json!("ä\u{0}\"\\\n😀"), Some("ä\u{0}\"\\\n😀")),
        ("dateTime", json!(""), None),
        ("dateTime", json!("2024-01-01T00:00:00Z"), Some("2024-01-01T00:00:00Z")),
        ("OptionList", json!("what,ever"), Some("what,ever")),
        ("SequenceList", json!(""), Some("")),
        ("SequenceList", json!(1), Some("1")),
    ] {
        let changes = json!({
            "characteristics": {"dataType": data_type},
            "attributes": [{"type": "Actual", "value": value}],
        });
        assert_eq!(actual(&changes).as_deref(), text, "{data_type} {value}");
    }
}

#[test]
fn default_counts_where_actual_has_no_value() {
    let attributes = json!([{"type": "Actual", "value": 5}]);
    assert_eq!(actual(&json!({"default": 3})).as_deref(), Some("3"));
    assert_eq!(actual(&json!({"default": "", "attributes": attributes})).as_deref(), Some("5"));
    let empty = json!([{"type": "Actual", "value": ""}]);
    assert_eq!(actual(&json!({"default": 3, "attributes": empty})).as_deref(), Some("3"));
    let target = only(&json!({"default": 3, "attributes": [{"type": "Target"}]}));
    assert_eq!(target.attributes[0].value, None);
    // Not needed: limits may be broken, the type may not.
    let limits = json!({"minLimit": 4});
    let unused = json!({"default": 3, "attributes": attributes, "characteristics": limits});
    assert_eq!(actual(&unused).as_deref(), Some("5"));
    let speed = "/default Fan.Speed: ";
    let lines = [format!("{speed}the value \"three\" is no integer")];
    assert_variable(&json!({"default": "three", "attributes": attributes}), &[&lines[0]]);
    assert_variable(&json!({"default": "three"}), &[&lines[0]]);
    let line = format!("{speed}expected a string, a number or a boolean, found an array");
    assert_variable(&json!({"default": [], "attributes": attributes}), &[&line]);
    assert_variable(&json!({"default": []}), &[&line]);
}

#[test]
fn persistence_follows_mutability_unless_the_file_says_it() {
    for (mutability, persistent) in [("ReadOnly", false), ("WriteOnly", true), ("ReadWrite", true)]
    {
        let attribute = json!({"type": "Actual", "mutability": mutability});
        let changes = json!({"attributes": [attribute]});
        assert_eq!(only(&changes).attributes[0].persistent, persistent, "{mutability}");
        for said in [false, true] {
            let attribute = json!({"mutability": mutability, "persistent": said});
            let changes = json!({"attributes": [attribute]});
            assert_eq!(only(&changes).attributes[0].persistent, said, "{mutability}");
        }
    }
}

#[test]
fn absent_is_null_or_empty_or_not_there() {
    let changes = json!({
        "instance": "", "source": "", "monitors": [],
        "characteristics": {"unit": "", "valuesList": null},
    });
    let variable = only(&changes);
    assert_eq!((variable.instance, variable.source), (None, None));
    let about = variable.characteristics;
    assert_eq!((about.unit, about.values_list), (None, None));
    // An empty list of values is one: there is nothing to choose from.
    let list = json!({"dataType": "MemberList", "valuesList": ""});
    assert_eq!(actual(&json!({"characteristics": list, "default": ""})).as_deref(), Some(""));
    assert_variable(
        &json!({"characteristics": list, "default": "x"}),
        &["/default Fan.Speed: the value \"x\" is not in valuesList \"\""],
    );
    let content = r#"{"name": "Fan", "instance": null, "evse_id": null, "properties": {}}"#;
    let definition = parse(content).unwrap();
    assert_eq!((definition.key.instance, definition.key.evse_id), (None, None));
}

#[test]
fn documents_that_are_no_component() {
    for (content, expected) in [
        ("", "# : not JSON: EOF while parsing a value at line 1 column 0"),
        ("{\"name\": \"Fan\",}", "# : not JSON: trailing comma at line 1 column 16"),
        ("{} {}", "# : not JSON: trailing characters at line 1 column 4"),
        ("[]", "# : expected an object, found an array"),
        ("{}", "# : has no name"),
        (r#"{"name": 7, "properties": {}}"#, "#/name : expected a string, found a number"),
        (r#"{"name": "", "properties": {}}"#, "#/name : is empty"),
        (r#"{"name": "Fan"}"#, "# Fan: has no properties"),
        (
            r#"{"name": "Fan", "properties": []}"#,
            "#/properties Fan: expected an object, found an array",
        ),
        (
            r#"{"name": "Fan", "properties": {"a/b~c": 1}}"#,
            "#/properties/a~1b~0c Fan: expected an object, found a number",
        ),
        (
            r#"{"name": "Fan", "name": "Pump", "properties": {}}"#,
            "#/name : the member stands there twice",
        ),
        (
            r#"{"name": "Fan", "properties": {}, "connector_id": 1}"#,
            "#/connector_id Fan: a connector_id needs an evse_id",
        ),
        (
            r#"{"name": "Fan", "properties": {}, "required": "Speed"}"#,
            "#/required Fan: expected an array, found a string",
        ),
        (
            r#"{"name": "Fan", "properties": {}, "required": [1]}"#,
            "#/required/0 Fan: expected the key of a variable",
        ),
        (
            r#"{"name": "Fan", "instance": "Rear", "properties": {}, "required": ["Speed"]}"#,
            "#/required/0 Fan(Rear): the required variable \"Speed\" is missing",
        ),
        ("{\"name\": \"Fa\\tn\", \"properties\": {}}", "#/name Fa\tn: has a control character"),
    ] {
        let found = parse(content).unwrap_err();
        assert!(found.contains(&format!("custom/Fan.json{expected}")), "{content}: {found:?}");
    }
    let bytes = b"{\"name\": \"F\xff\"}";
    let found = lines(parse_component(PATH, bytes).unwrap_err());
    assert!(found[0].starts_with("custom/Fan.json# : not UTF-8"), "{found:?}");
    let marked = "\u{feff}{\"name\": \"Fan\", \"properties\": {}}";
    assert_eq!(&*parse(marked).unwrap().key.name, "Fan");
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(parse(&deep).unwrap_err()[0].contains("recursion limit"));
}

#[test]
fn numbers_of_evses_and_connectors() {
    let expected = "expected a number from 1 to 10000, a range of them like \"1-128\", or \"*\"";
    for bad in [
        json!(0),
        json!(-1),
        json!(10_001),
        json!(1.5),
        json!(true),
        json!("1"),
        json!("2-1"),
        json!("0-3"),
        json!("1-99999999999"),
        json!("all"),
        json!("1-"),
        json!([1]),
    ] {
        let content = json!({"name": "Fan", "evse_id": bad, "properties": {}}).to_string();
        let found = parse(&content).unwrap_err();
        assert_eq!(found, [format!("custom/Fan.json#/evse_id Fan: {expected}")], "{bad}");
    }
    for (evse, connector, expected) in [
        (json!("*"), json!(1), "#/evse_id Fan[*,1]: one component cannot stand for many"),
        (json!("1-3"), json!(1), "#/evse_id Fan[1-3,1]: one component cannot stand for many"),
        (json!(2), json!("*"), "#/connector_id Fan[2,*]: one component cannot stand for many"),
    ] {
        let content =
            json!({"name": "Fan", "evse_id": evse, "connector_id": connector, "properties": {}});
        let found = parse(&content.to_string()).unwrap_err();
        assert_eq!(found, [format!("custom/Fan.json{expected}")]);
    }
    let content = json!({"name": "Fan", "evse_id": "7 - 7", "properties": {}}).to_string();
    assert_eq!(parse(&content).unwrap().key.evse_id, Some(7));
}

#[test]
fn variables_without_the_necessary() {
    assert_variable(&json!({"variable_name": null}), &[" Fan: has no variable_name"]);
    assert_variable(&json!({"variable_name": ""}), &["/variable_name Fan: is empty"]);
    assert_variable(
        &json!({"variable_name": []}),
        &["/variable_name Fan: expected a string, found an array"],
    );
    assert_variable(&json!({"characteristics": null}), &[" Fan.Speed: has no characteristics"]);
    assert_variable(
        &json!({"characteristics": 5}),
        &["/characteristics Fan.Speed: expected an object, found a number"],
    );
    assert_variable(
        &json!({"characteristics": {"dataType": null}}),
        &["/characteristics Fan.Speed: has no dataType"],
    );
    assert_variable(&json!({"attributes": null}), &[" Fan.Speed: has no attributes"]);
    assert_variable(&json!({"attributes": []}), &["/attributes Fan.Speed: has no attributes"]);
    assert_variable(
        &json!({"attributes": {"type": "Actual"}}),
        &["/attributes Fan.Speed: expected an array, found an object"],
    );
    assert_variable(
        &json!({"attributes": ["Actual"]}),
        &["/attributes/0 Fan.Speed: expected an object, found a string"],
    );
    assert_variable(
        &json!({"instance": "Left", "attributes": null}),
        &[" Fan.Speed(Left): has no attributes"],
    );
}

#[test]
fn characteristics_of_wrong_types_and_sizes() {
    let place = "/characteristics";
    let types = "string, decimal, integer, dateTime, boolean, OptionList, SequenceList, MemberList";
    for (changes, expected) in [
        (json!({"dataType": "Integer"}), format!("/dataType: \"Integer\" is none of {types}")),
        (json!({"dataType": 1}), "/dataType: expected a string, found a number".into()),
        (json!({"unit": 1}), "/unit: expected a string, found a number".into()),
        (
            json!({"unit": "kilogram per hour"}),
            "/unit: 17 characters long, at most 16 are allowed".into(),
        ),
        (json!({"minLimit": "1"}), "/minLimit: expected a number, found a string".into()),
        (json!({"maxLimit": true}), "/maxLimit: expected a number, found a boolean".into()),
        (
            json!({"minLimit": 2, "maxLimit": 1.5}),
            "/maxLimit: maxLimit 1.5 is below minLimit 2".into(),
        ),
        (
            json!({"maxElements": 0}),
            "/maxElements: expected a whole number from 1 to 4294967295, not 0".into(),
        ),
        (
            json!({"valuesList": "ä".repeat(1001)}),
            "/valuesList: 1001 characters long, at most 1000 are allowed".into(),
        ),
        (json!({"valuesList": []}), "/valuesList: expected a string, found an array".into()),
        (
            json!({"supportsMonitoring": "yes"}),
            "/supportsMonitoring: expected a boolean, found a string".into(),
        ),
    ] {
        let (pointer, message) = expected.split_once(':').unwrap();
        let line = format!("{place}{pointer} Fan.Speed:{message}");
        assert_variable(&json!({"characteristics": changes}), &[&line]);
    }
    let sized = json!({"unit": "ä".repeat(16), "valuesList": "ä".repeat(1000)});
    assert!(only(&json!({"characteristics": sized})).characteristics.unit.is_some());
}

#[test]
fn names_have_fifty_characters() {
    let (longest, longer) = ("ä".repeat(50), "ä".repeat(51));
    assert_eq!(&*only(&json!({"variable_name": longest, "instance": longest})).name, longest);
    let long = "51 characters long, at most 50 are allowed";
    let line = format!("/variable_name Fan: {long}");
    assert_variable(&json!({"variable_name": longer}), &[&line]);
    let line = format!("/instance Fan.Speed: {long}");
    assert_variable(&json!({"instance": longer}), &[&line]);
    let content = json!({"name": longer, "instance": longer, "properties": {}}).to_string();
    let found = parse(&content).unwrap_err();
    assert_eq!(found[0], format!("custom/Fan.json#/instance {longer}: {long}"));
    assert_eq!(found[1], format!("custom/Fan.json#/name {longer}: {long}"));
}

#[test]
fn attributes_of_wrong_types() {
    for (attribute, expected) in [
        (json!({"type": "Real"}), "/type: \"Real\" is none of Actual, Target, MinSet, MaxSet"),
        (
            json!({"mutability": "readonly"}),
            "/mutability: \"readonly\" is none of ReadOnly, WriteOnly, ReadWrite",
        ),
        (json!({"persistent": 1}), "/persistent: expected a boolean, found a number"),
        (json!({"constant": "no"}), "/constant: expected a boolean, found a string"),
        (json!({"value": {}}), "/value: expected a string, a number or a boolean, found an object"),
        (json!({"value": true}), "/value: the value \"true\" is no integer"),
        (json!({"value": 1.5}), "/value: the value \"1.5\" is no integer"),
        (json!({"value": u64::MAX}), "/value: the value \"1.8446744073709552e+19\" is no integer"),
    ] {
        let (pointer, message) = expected.split_once(':').unwrap();
        let line = format!("/attributes/0{pointer} Fan.Speed:{message}");
        assert_variable(&json!({"attributes": [attribute]}), &[&line]);
    }
    let twice = json!([{"type": "Actual"}, {"type": "Target"}, {"type": "Actual"}]);
    assert_variable(
        &json!({"attributes": twice}),
        &["/attributes/2 Fan.Speed: a second attribute Actual"],
    );
}

#[test]
fn values_outside_of_what_is_allowed() {
    let long = "x".repeat(2501);
    let start = "x".repeat(40);
    let cases = [
        (json!({"minLimit": 1}), json!(0), "the value \"0\" is below minLimit 1".into()),
        (json!({"maxLimit": 9.5}), json!(10), "the value \"10\" is above maxLimit 9.5".into()),
        (
            json!({"dataType": "string", "maxLimit": 3}),
            json!("abcd"),
            "the value \"abcd\" is not allowed: too long".into(),
        ),
        (
            json!({"dataType": "string", "minLimit": 3}),
            json!("ab"),
            "the value \"ab\" is not allowed: too short".into(),
        ),
        (
            json!({"dataType": "string"}),
            json!(long),
            format!("the value \"{start}\"... is not allowed: too long"),
        ),
        (
            json!({"dataType": "OptionList", "valuesList": "On,Off"}),
            json!("Dimmed"),
            "the value \"Dimmed\" is not in valuesList \"On,Off\"".into(),
        ),
        (
            json!({"dataType": "MemberList", "valuesList": "On,Off"}),
            json!("Off,Off"),
            "the value \"Off,Off\" is not allowed: a member stands there twice".into(),
        ),
        (
            json!({"dataType": "dateTime"}),
            json!("today"),
            "the value \"today\" is no dateTime".into(),
        ),
    ];
    for (about, value, message) in cases {
        for kind in ["Actual", "Target", "MinSet", "MaxSet"] {
            let attributes = json!([{"type": kind, "value": value}]);
            let line = format!("/attributes/0/value Fan.Speed: {message}");
            assert_variable(&json!({"characteristics": about, "attributes": attributes}), &[&line]);
        }
    }
    // An empty text that a string may not be is no value, a secret one is not told.
    let password = json!({"dataType": "string", "minLimit": 16});
    let attributes = json!([{"mutability": "WriteOnly", "value": ""}]);
    let changes = json!({"characteristics": password, "attributes": attributes});
    assert_eq!(actual(&changes), None);
    let attributes = json!([{"mutability": "WriteOnly", "value": "geheim"}]);
    assert_variable(
        &json!({"characteristics": password, "attributes": attributes}),
        &["/attributes/0/value Fan.Speed: the value is not allowed: too short"],
    );
}

#[test]
fn zero_switches_intervals_off() {
    let file = |component: &str, variable: &str, value: i64| {
        let variable = json!({
            "variable_name": variable,
            "characteristics": {"dataType": "integer", "minLimit": 10},
            "attributes": [{"value": value}],
        });
        json!({"name": component, "properties": {"X": variable}}).to_string()
    };
    assert!(parse(&file("AlignedDataCtrlr", "Interval", 0)).is_ok());
    assert!(parse(&file("SampledDataCtrlr", "TxUpdatedInterval", 0)).is_ok());
    assert!(parse(&file("SampledDataCtrlr", "TxUpdatedInterval", 1)).is_err());
    assert!(parse(&file("OCPPCommCtrlr", "HeartbeatInterval", 0)).is_err());
}

#[test]
fn variables_that_are_the_same() {
    let one = variable("Speed", "integer", json!(1));
    let mut other = variable("SPEED", "integer", json!(1));
    let content =
        |one: &Value, other: &Value| json!({"name": "Fan", "properties": {"A": one, "B": other}});
    let found = parse(&content(&one, &other).to_string()).unwrap_err();
    let same = "the same variable as \"A\"";
    assert_eq!(found, [format!("custom/Fan.json#/properties/B Fan.SPEED: {same}")]);
    other["instance"] = json!("left");
    assert_eq!(parse(&content(&one, &other).to_string()).unwrap().variables.len(), 2);
    let mut one = one;
    one["instance"] = json!("Left");
    let found = parse(&content(&one, &other).to_string()).unwrap_err();
    assert_eq!(found, [format!("custom/Fan.json#/properties/B Fan.SPEED(left): {same}")]);
}

#[test]
fn monitors_that_make_no_sense() {
    let kinds = "UpperThreshold, LowerThreshold, Delta, Periodic, PeriodicClockAligned, \
                 TargetDelta, TargetDeltaRelative";
    let severity = "expected a whole number from 0 to 9";
    let limits = json!({"minLimit": 0, "maxLimit": 100});
    for (monitor, expected) in [
        (json!({"type": null}), ": the monitor has no type".into()),
        (json!({"value": null}), ": the monitor has no value".into()),
        (json!({"severity": null}), ": the monitor has no severity".into()),
        (json!({"type": "Slope"}), format!("/type: \"Slope\" is none of {kinds}")),
        (json!({"value": "5"}), "/value: expected a number, found a string".into()),
        (json!({"severity": 10}), format!("/severity: {severity}, not 10")),
        (json!({"severity": -1}), format!("/severity: {severity}, not -1")),
        (
            json!({"severity": "Error"}),
            "/severity: expected a whole number from 0 to 9, found a string".into(),
        ),
        (json!({"transaction": 0}), "/transaction: expected a boolean, found a number".into()),
        (
            json!({"config_type": "HardWired"}),
            "/config_type: \"HardWired\" is none of HardWiredMonitor, PreconfiguredMonitor, \
             CustomMonitor"
                .into(),
        ),
        (
            json!({"value": 101}),
            "/value: the threshold 101 is outside the variable's limits: above maxLimit".into(),
        ),
        (
            json!({"type": "LowerThreshold", "value": -1}),
            "/value: the threshold -1 is outside the variable's limits: below minLimit".into(),
        ),
        (json!({"type": "Delta", "value": -1}), "/value: the difference -1 is negative".into()),
        (
            json!({"type": "TargetDelta", "value": -0.5}),
            "/value: the difference -0.5 is negative".into(),
        ),
        (
            json!({"type": "Periodic", "value": 0}),
            "/value: the interval 0 is not above 0 seconds".into(),
        ),
    ] {
        let mut whole = json!({"type": "UpperThreshold", "value": 50, "severity": 3});
        overlay(&mut whole, &monitor);
        let (pointer, message) = expected.split_once(':').unwrap();
        let line = format!("/monitors/0{pointer} Fan.Speed:{message}");
        assert_variable(&json!({"characteristics": limits, "monitors": [whole]}), &[&line]);
    }
    let monitor = json!({"type": "Delta", "value": 1, "severity": 3});
    assert_variable(
        &json!({"characteristics": {"supportsMonitoring": false}, "monitors": [monitor]}),
        &["/monitors Fan.Speed: the variable has monitors, but supportsMonitoring is not true"],
    );
    assert_variable(
        &json!({"monitors": [monitor, {"type": "Delta", "value": 1, "severity": 4}, monitor]}),
        &["/monitors/2 Fan.Speed: a second Delta monitor of severity 3"],
    );
    assert_variable(
        &json!({"monitors": {}}),
        &["/monitors Fan.Speed: expected an array, found an object"],
    );
}

#[test]
fn monitors_suit_the_data_type() {
    // The table of Part 1, section 3.4: kinds down, types across in the order of DataType.
    for (kind, row) in [
        (MonitorKind::UpperThreshold, ".XX....."),
        (MonitorKind::LowerThreshold, ".XX....."),
        (MonitorKind::Delta, "XXXXXXXX"),
        (MonitorKind::Periodic, "XXX.XXXX"),
        (MonitorKind::PeriodicClockAligned, "XXX.XXXX"),
        (MonitorKind::TargetDelta, "XXX.XXXX"),
        (MonitorKind::TargetDeltaRelative, "XXX.XXXX"),
    ] {
        for (data_type, mark) in DataType::ALL.iter().zip(row.chars()) {
            let changes = json!({
                "characteristics": {"dataType": data_type.name()},
                "monitors": [{"type": kind.name(), "value": 5, "severity": 1}],
            });
            let (kind, data_type) = (kind.name(), data_type.name());
            let message = format!("{kind} cannot watch a {data_type} (Part 1, section 3.4)");
            let line = format!("/monitors/0/type Fan.Speed: {message}");
            let lines: &[&str] = if mark == 'X' { &[] } else { &[&line] };
            assert_variable(&changes, lines);
        }
    }
}

#[test]
fn required_variables_have_values() {
    let content = |component: &str, attribute: Value, extra: Value| {
        let mut properties = json!({"Key": {
            "variable_name": "DateTime",
            "characteristics": {"dataType": "dateTime"},
            "attributes": [attribute],
        }});
        overlay(&mut properties, &extra);
        json!({"name": component, "properties": properties, "required": ["Key"]}).to_string()
    };
    let read_only = json!({"mutability": "ReadOnly", "value": ""});
    let none = json!({});
    let found = parse(&content("Fan", read_only.clone(), none.clone())).unwrap_err();
    let message = "the required variable has no value";
    assert_eq!(found, [format!("custom/Fan.json#/required/0 Fan.DateTime: {message}")]);
    // The station's clock, a slot nobody has set up, a secret, a component that is not available.
    assert!(parse(&content("ClockCtrlr", read_only.clone(), none.clone())).is_ok());
    assert!(parse(&content("NetworkConfiguration", read_only.clone(), none.clone())).is_ok());
    assert!(parse(&content("Fan", json!({"mutability": "WriteOnly"}), none)).is_ok());
    for value in [json!(false), json!("")] {
        let available = json!({"Available": variable("Available", "boolean", value)});
        assert!(parse(&content("Fan", read_only.clone(), available)).is_ok());
    }
    let available = json!({"Available": variable("Available", "boolean", json!(true))});
    assert!(parse(&content("Fan", read_only, available)).is_err());
    // Something else is wrong with it; once is enough.
    let bad = json!({"value": "today"});
    assert_eq!(parse(&content("Fan", bad, json!({}))).unwrap_err().len(), 1);
}

#[test]
fn all_problems_in_the_order_of_the_document() {
    let content = r#"{
        "required": ["Nothing"],
        "properties": {
            "B": {"attributes": [{"value": 1}], "characteristics": {"dataType": "boolean"},
                  "variable_name": "B"},
            "A": {"variable_name": "A", "characteristics": {"unit": 1}, "attributes": [{"type": 1}]}
        },
        "evse_id": 0,
        "name": "Fan"
    }"#;
    let found = parse(content).unwrap_err();
    let places: Vec<_> = found.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(
        places,
        [
            "custom/Fan.json#/required/0",
            "custom/Fan.json#/properties/B/attributes/0/value",
            "custom/Fan.json#/properties/A/characteristics",
            "custom/Fan.json#/properties/A/characteristics/unit",
            "custom/Fan.json#/properties/A/attributes/0/type",
            "custom/Fan.json#/evse_id",
        ],
        "{found:#?}"
    );
}
