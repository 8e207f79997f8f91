//! One variable: values, limits, monitors.

use super::*;
use crate::device_model::definition::{DataType, MonitorKind};

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
