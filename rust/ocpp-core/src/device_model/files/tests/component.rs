//! One file: what is understood, what is refused.

use super::*;
use crate::device_model::definition::{
    AttributeKind, DataType, MonitorConfig, MonitorKind, Mutability,
};

/// A component that uses all that the format has.
fn everything() -> Value {
    json!({
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
    })
}

#[test]
fn everything_that_a_file_can_say() {
    let definition = parse(&everything().to_string()).unwrap();
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

/// What the fuzzer has found: a limit of many digits was not read as the nearest double.
#[test]
fn limits_are_exact() {
    let limit = "419433333333333333333333333333333333333333333333333333333333333333333333304";
    let content = with_variable(&json!({"characteristics": {"maxLimit": "LIMIT"}}));
    let content = content.replace("\"LIMIT\"", limit);
    let definition = parse(&content).unwrap();
    assert_eq!(definition.variables[0].characteristics.max_limit, limit.parse().ok());
    assert_eq!(parse(&definition.text).unwrap(), definition);
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
        ("{\"name\": \"Fa\\tn\", \"properties\": {}}", "#/name Fa\\u{9}n: has a control character"),
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

/// All places of a document, as pointers.
fn places(value: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    let mut below = |step: &str, value: &Value| places(value, &format!("{here}/{step}"), into);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                below(&name.replace('~', "~0").replace('/', "~1"), value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                below(&index.to_string(), value);
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_stands_wherever_is_told_where_it_stands() {
    let document = everything();
    let mut all = Vec::new();
    places(&document, "", &mut all);
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("ä\n"),
        json!("x".repeat(3000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"a": 1}),
    ];
    for place in &all {
        for other in &others {
            let mut document = document.clone();
            *document.pointer_mut(place).unwrap() = other.clone();
            match parse_component(PATH, document.to_string().as_bytes()) {
                Ok(definition) => {
                    let again = parse_component(PATH, definition.text.as_bytes());
                    assert_eq!(again, Ok(definition), "{place} {other}");
                }
                Err(problems) => {
                    assert!(!problems.is_empty());
                    for Problem { pointer, message, .. } in problems {
                        assert!(document.pointer(&pointer).is_some(), "{pointer}: {message}");
                    }
                }
            }
        }
    }
}

#[test]
fn half_a_file_is_no_file() {
    let whole = everything().to_string();
    for end in 0..whole.len() {
        let problems = parse_component(PATH, &whole.as_bytes()[..end]).unwrap_err();
        assert_eq!(problems.len(), 1, "{end}");
    }
}
