//! What the standard requires.

use super::*;

fn lines_of(versions: &[&str], files: &Files, topology: &[u32]) -> Vec<String> {
    let sources: Vec<_> = files
        .iter()
        .map(|(path, content)| SourceFile { path, content: content.as_bytes() })
        .collect();
    load(&sources, Some(topology), versions).map_or_else(lines, |_| Vec::new())
}

/// A file without the variable of that name.
fn without(content: &str, name: &str) -> String {
    let mut file: Value = serde_json::from_str(content).unwrap();
    let properties = file["properties"].as_object_mut().unwrap();
    properties.retain(|_, variable| variable["variable_name"] != name);
    file.to_string()
}

#[test]
fn each_variable_that_is_always_required() {
    let files = station();
    assert!(lines_of(&["2.0.1", "2.1"], &files, &[1]).is_empty());
    for (path, content) in &files {
        let file: Value = serde_json::from_str(content).unwrap();
        let properties = file["properties"].as_object().unwrap();
        for (key, variable) in properties {
            let mut file = file.clone();
            file["properties"].as_object_mut().unwrap().remove(key);
            let found = refuse(&with(files.clone(), path, file.to_string()), Some(&[1]));
            let name = variable["variable_name"].as_str().unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("{path}#/properties ")), "{found:?}");
            assert!(
                found[0].contains(name) && found[0].contains("required by OCPP 2"),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_component_that_is_missing() {
    let mut files = station();
    files.retain(|(path, _)| !path.contains("ClockCtrlr"));
    let by = "required by OCPP 2.0.1 and 2.1, but there is no component ClockCtrlr";
    let expected =
        [format!("# ClockCtrlr.DateTime: {by}"), format!("# ClockCtrlr.TimeSource: {by}")];
    assert_eq!(refuse(&files, Some(&[1])), expected);
    // Those of an EVSE, or of an instance, are not the station's.
    let clock = json!({"evse_id": 1});
    let clock = component("ClockCtrlr", clock, vec![variable("DateTime", "string", json!("1"))]);
    assert_eq!(refuse(&with(files, "custom/ClockCtrlr.json", clock), Some(&[1])), expected);
}

#[test]
fn versions_differ() {
    let connector = connector(json!({"evse_id": "*", "connector_id": "*"}));
    let path = "standardized/Connector.json";
    let files = with(station(), path, without(&connector, "AvailabilityState"));
    assert!(lines_of(&["2.0.1"], &files, &[1]).is_empty());
    assert_eq!(
        lines_of(&["2.1"], &files, &[1]),
        ["standardized/Connector.json#/properties Connector[*,*].AvailabilityState: required by \
          OCPP 2.1, but missing"]
    );
    assert!(lines_of(&[], &Files::new(), &[]).is_empty());
    assert_eq!(lines_of(&["1.6"], &station(), &[1]), ["# : nothing is known of OCPP \"1.6\""]);
}

#[test]
fn values_are_required_too() {
    let fan = component("TxCtrlr", json!({}), vec![]);
    let mut file: Value = serde_json::from_str(&fan).unwrap();
    for name in
        ["EVConnectionTimeOut", "StopTxOnEVSideDisconnect", "StopTxOnInvalidId", "TxStartPoint"]
    {
        file["properties"][name] = variable(name, "string", json!("1"));
    }
    let mut stop = variable("TXSTOPPOINT", "string", json!("1"));
    stop["attributes"] = json!([{"type": "Actual", "mutability": "ReadWrite"}]);
    file["properties"]["Stop"] = stop.clone();
    let files = with(station(), "standardized/TxCtrlr.json", file.to_string());
    assert_eq!(
        refuse(&files, Some(&[1])),
        ["standardized/TxCtrlr.json#/properties/Stop TxCtrlr.TXSTOPPOINT: required by OCPP 2.0.1 \
          and 2.1, but without value"]
    );
    stop["attributes"][0]["mutability"] = json!("WriteOnly");
    file["properties"]["Stop"] = stop;
    accept(&with(files, "standardized/TxCtrlr.json", file.to_string()), Some(&[1]));
}

#[test]
fn power_needs_its_limit_only() {
    let evse: Value = serde_json::from_str(&evse(json!({"evse_id": "*"}))).unwrap();
    let mut unlimited = evse.clone();
    unlimited["properties"]["Key000"]["characteristics"]["maxLimit"] = Value::Null;
    let files = with(station(), "standardized/EVSE.json", unlimited.to_string());
    assert_eq!(
        refuse(&files, Some(&[1])),
        ["standardized/EVSE.json#/properties/Key000 EVSE[*].Power: required by OCPP 2.0.1 and \
          2.1, but without maxLimit"]
    );
    let mut unset = evse;
    unset["properties"]["Key000"]["attributes"][0]["value"] = Value::Null;
    unset["required"] = json!(["Key000"]);
    accept(&with(station(), "standardized/EVSE.json", unset.to_string()), Some(&[1]));
}

#[test]
fn components_that_are_available_are_complete() {
    let list = |available: Option<Value>| {
        let available = available.map(|value| variable("Available", "boolean", value));
        let entries = variable("Entries", "integer", json!(0));
        let variables = available.into_iter().chain([entries]).collect();
        component("LocalAuthListCtrlr", json!({}), variables)
    };
    let found = |available| {
        let files = with(station(), "custom/LocalAuthListCtrlr.json", list(available));
        lines_of(&["2.0.1", "2.1"], &files, &[1])
    };
    assert!(found(Some(json!(false))).is_empty());
    assert!(found(Some(json!(""))).is_empty());
    let start = "custom/LocalAuthListCtrlr.json#/properties LocalAuthListCtrlr.";
    let end = ": required by OCPP 2.0.1 and 2.1, but missing";
    let expected = [format!("{start}BytesPerMessage{end}"), format!("{start}ItemsPerMessage{end}")];
    assert_eq!(found(None), expected);
    assert_eq!(found(Some(json!(true))), expected);
}

#[test]
fn an_evse_may_leave_out_what_the_station_has() {
    let contract = variable("ContractValidationOffline", "boolean", json!(true));
    let of_evse = component("ISO15118Ctrlr", json!({"evse_id": "*"}), vec![]);
    let files = with(station(), "custom/evse.json", of_evse);
    let found = refuse(&files, Some(&[1]));
    assert_eq!(
        found,
        ["custom/evse.json#/properties ISO15118Ctrlr[*].ContractValidationOffline: required by \
          OCPP 2.0.1 and 2.1, but missing"]
    );
    let of_station = component("ISO15118Ctrlr", json!({}), vec![contract]);
    accept(&with(files, "custom/station.json", of_station), Some(&[1]));
}

#[test]
fn slots_of_the_network_configuration_may_be_unset() {
    let names = [
        "ApnEnabled",
        "BasicAuthPassword",
        "MessageTimeout",
        "OcppCsmsUrl",
        "OcppInterface",
        "OcppTransport",
        "OcppVersion",
        "SecurityProfile",
        "VpnEnabled",
    ];
    let unset = |name: &str| {
        let mut variable = variable(name, "integer", Value::Null);
        variable["attributes"] = json!([{"type": "Actual", "mutability": "ReadWrite"}]);
        variable
    };
    let slot = |names: &[&str]| {
        let variables = names.iter().copied().map(unset).collect();
        let mut slot: Value = serde_json::from_str(&component(
            "NetworkConfiguration",
            json!({"instance": "2"}),
            variables,
        ))
        .unwrap();
        slot["required"] = json!(["Key001"]);
        slot.to_string()
    };
    let path = "standardized/NetworkConfiguration_2.json";
    accept(&with(station(), path, slot(&names)), Some(&[1]));
    let files = with(station(), path, slot(&names[..8]));
    assert!(lines_of(&["2.0.1"], &files, &[1]).is_empty());
    assert_eq!(
        lines_of(&["2.1"], &files, &[1]),
        [format!(
            "{path}#/properties NetworkConfiguration(2).VpnEnabled: required by OCPP 2.1, but \
             missing"
        )]
    );
}

#[test]
fn tariff_and_cost_have_conditions_of_their_own() {
    let found = |tariff: bool, cost: bool, enabled: bool| {
        let of = |name: &str, instance: &str, value: bool| {
            let mut variable = variable(name, "boolean", json!(value));
            variable["instance"] = json!(instance);
            variable
        };
        let mut message = variable("TariffFallbackMessage", "string", json!(""));
        message["instance"] = json!("en");
        let variables = vec![
            of("Available", "Tariff", tariff),
            of("Available", "Cost", cost),
            of("Enabled", "Tariff", enabled),
            message,
        ];
        let content = component("TariffCostCtrlr", json!({}), variables);
        let files = with(station(), "custom/TariffCostCtrlr.json", content);
        let lines = lines_of(&["2.1"], &files, &[1]);
        let variable = |line: String| {
            let line = line.split_once("TariffCostCtrlr.").unwrap().1.to_owned();
            let line = line.split_once("TariffCostCtrlr.").unwrap().1.to_owned();
            line.split(':').next().unwrap().to_owned()
        };
        lines.into_iter().map(variable).collect::<Vec<_>>()
    };
    assert!(found(false, false, false).is_empty());
    let tariff =
        ["ConditionsSupported(Tariff)", "HandleFailedTariff(Tariff)", "MaxElements(Tariff)"];
    let cost = ["Enabled(Cost)", "Enabled(RunningCost)", "Interval(Cost)"];
    let sorted = |parts: &[&[&'static str]]| {
        let mut all = parts.concat();
        all.push("TotalCostFallbackMessage");
        all.sort_unstable();
        all
    };
    assert_eq!(found(true, false, true), sorted(&[&tariff]));
    assert_eq!(found(true, false, false), sorted(&[&tariff, &["Currency"]]));
    assert_eq!(found(false, true, true), sorted(&[&cost]));
    let both = ["Interval(Tariff)"];
    assert_eq!(found(true, true, true), sorted(&[&tariff, &cost, &both]));
}

#[test]
fn discharging_asks_for_more() {
    let v2x = |place: Value, available: bool, modes: &str| {
        let variables = vec![
            variable("Available", "boolean", json!(available)),
            variable("Enabled", "boolean", json!(true)),
            variable("SupportedEnergyTransferModes", "MemberList", json!("AC_BPT")),
            variable("SupportedOperationModes", "MemberList", json!(modes)),
        ];
        component("V2XChargingCtrlr", place, variables)
    };
    let path = "custom/V2XChargingCtrlr.json";
    let found = |content: String| lines_of(&["2.1"], &with(station(), path, content), &[1, 1]);
    assert!(found(v2x(json!({"evse_id": 2}), false, "LocalFrequency")).is_empty());
    let power = "standardized/EVSE.json#/properties EVSE[*].DischargePower: required by OCPP 2.1, \
                 but missing";
    assert_eq!(found(v2x(json!({"evse_id": 2}), true, "")), [power]);
    assert_eq!(found(v2x(json!({}), true, "ChargingOnly")), [power]);
    let frequency = format!(
        "{path}#/properties V2XChargingCtrlr[*].LocalFrequencyUpdateThreshold: required by OCPP \
         2.1, but missing"
    );
    let modes = "ChargingOnly,LocalFrequency";
    assert_eq!(found(v2x(json!({"evse_id": "*"}), true, modes)), [&frequency, power]);
    let balancing = found(v2x(json!({"evse_id": "*"}), true, "LocalLoadBalancing"));
    assert_eq!(balancing.len(), 5, "{balancing:#?}");
    // A vehicle's component is required to be complete only if the files have one.
    let files = with(station(), path, v2x(json!({"evse_id": 1}), true, ""));
    let vehicle = component("ConnectedEV", json!({"evse_id": 1}), vec![]);
    let found = lines_of(&["2.1"], &with(files, "custom/ConnectedEV.json", vehicle), &[1, 1]);
    let of_vehicle = found.iter().filter(|line| line.contains("ConnectedEV[1].")).count();
    assert_eq!((of_vehicle, found.len()), (7, 8), "{found:#?}");
}

#[test]
fn the_table_is_well_formed() {
    let table = include_str!("../../required.csv");
    let mut seen = std::collections::HashSet::new();
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [versions, component, variable, instance, when, needs] = fields[..] else {
            panic!("{line}");
        };
        assert!(matches!(versions, "2.0.1" | "2.1" | "2.0.1 2.1"), "{line}");
        assert!(matches!(needs, "value" | "maxLimit" | "variable"), "{line}");
        let always = when == "always";
        assert!(always || component != "Connector", "{line}");
        for version in versions.split(' ') {
            assert!(seen.insert((version, component, variable, instance)), "{line}");
        }
    }
    let always = |version: &str| {
        let is = |line: &&str| line.contains(",always,") && line.contains(version);
        table.lines().skip(1).filter(|line| is(line)).count()
    };
    assert_eq!((always("2.0.1"), always("2.1")), (52, 53));
    assert_eq!(seen.len(), 52 + 53 + 17 + 88 + 8);
}
