//! Component files of all kinds; what is in them is made here.

mod component;
mod folder;
mod standard;
mod variable;

use serde_json::{Value, json};

use super::*;

/// A station is built of these: path and content.
type Files = Vec<(String, String)>;

/// A variable without instance.
fn variable(name: &str, data_type: &str, value: Value) -> Value {
    json!({
        "variable_name": name,
        "characteristics": {"dataType": data_type, "supportsMonitoring": true},
        "attributes": [{"type": "Actual", "mutability": "ReadOnly", "value": value}],
        "description": "an annotation",
    })
}

/// A component with the keys of variables made up.
fn component(name: &str, place: Value, variables: Vec<Value>) -> String {
    let properties: serde_json::Map<_, _> = variables
        .into_iter()
        .enumerate()
        .map(|(index, variable)| (format!("Key{index:03}"), variable))
        .collect();
    let mut file = json!({"name": name, "type": "object", "properties": properties});
    if let (Value::Object(file), Value::Object(place)) = (&mut file, place) {
        file.extend(place);
    }
    file.to_string()
}

fn evse(place: Value) -> String {
    let mut power = variable("Power", "decimal", json!(0));
    power["characteristics"]["maxLimit"] = json!(22000);
    let mut phases = variable("SupplyPhases", "integer", Value::Null);
    phases["attributes"] = json!([{"type": "Actual"}]);
    let available = variable("Available", "boolean", json!(true));
    let state = variable("AvailabilityState", "string", json!("Available"));
    component("EVSE", place, vec![power, phases, available, state])
}

fn connector(place: Value) -> String {
    let variables = vec![
        variable("Available", "boolean", json!(true)),
        variable("AvailabilityState", "string", json!("Available")),
        variable("ConnectorType", "string", json!("cType2")),
        variable("SupplyPhases", "integer", json!(3)),
    ];
    component("Connector", place, variables)
}

/// All that both versions require of every station, but EVSEs and connectors.
fn controllers() -> Files {
    let mut components: Vec<(&str, Vec<Value>)> = Vec::new();
    for line in include_str!("../required.csv").lines().skip(1) {
        let [_, name, own, instance, when, _] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        if when != "always" || matches!(name, "EVSE" | "Connector") {
            continue;
        }
        let mut variable = variable(own, "string", json!("1"));
        if !instance.is_empty() {
            variable["instance"] = json!(instance);
        }
        match components.iter_mut().find(|(known, _)| *known == name) {
            Some((_, variables)) => variables.push(variable),
            None => components.push((name, vec![variable])),
        }
    }
    let file = |(name, variables)| {
        (format!("standardized/{name}.json"), component(name, json!({}), variables))
    };
    components.into_iter().map(file).collect()
}

/// A station with templates of its EVSEs and connectors.
fn station() -> Files {
    let mut files = controllers();
    files.push(("standardized/EVSE.json".into(), evse(json!({"evse_id": "*"}))));
    let all = json!({"evse_id": "*", "connector_id": "*"});
    files.push(("standardized/Connector.json".into(), connector(all)));
    files
}

fn with(mut files: Files, path: &str, content: impl Into<String>) -> Files {
    files.retain(|(other, _)| other != path);
    files.push((path.to_owned(), content.into()));
    files
}

fn read(files: &Files, topology: Topology<'_>) -> Result<Vec<ComponentDefinition>, Vec<Problem>> {
    let sources: Vec<_> = files
        .iter()
        .map(|(path, content)| SourceFile { path, content: content.as_bytes() })
        .collect();
    load(&sources, topology, &["2.0.1", "2.1"])
}

#[track_caller]
fn accept(files: &Files, topology: Topology<'_>) -> Vec<ComponentDefinition> {
    read(files, topology).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// File, pointer, variable and message of each problem, a line each.
#[track_caller]
fn refuse(files: &Files, topology: Topology<'_>) -> Vec<String> {
    lines(read(files, topology).expect_err("there are problems"))
}

fn lines(problems: Vec<Problem>) -> Vec<String> {
    let line = |Problem { file, pointer, variable, message }: Problem| {
        format!("{file}#{pointer} {variable}: {message}")
    };
    problems.into_iter().map(line).collect()
}

/// How people write the components.
fn names(components: &[ComponentDefinition]) -> Vec<String> {
    let name = |ComponentDefinition { key, .. }: &ComponentDefinition| {
        let instance = key.instance.as_deref().map(|instance| format!("({instance})"));
        let numbers = [key.evse_id, key.connector_id].map(|id| id.map(|id| format!(" {id}")));
        let [evse, connector] = numbers.map(Option::unwrap_or_default);
        format!("{}{}{evse}{connector}", key.name, instance.unwrap_or_default())
    };
    components.iter().map(name).collect()
}

/// The file that [`parse`] says it reads.
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
