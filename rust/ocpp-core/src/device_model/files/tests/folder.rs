//! Many files: templates, replacement, numbering.

use super::*;

#[test]
fn templates_stand_for_what_the_station_has() {
    let definitions = accept(&station(), Some(&[2, 1]));
    let names = names(&definitions);
    let tiers: Vec<_> = names.iter().filter(|name| name.contains(' ')).collect();
    assert_eq!(tiers, ["EVSE 1", "Connector 1 1", "Connector 1 2", "EVSE 2", "Connector 2 1"]);
    assert_eq!(names[0], "AlignedDataCtrlr");
    for definition in &definitions {
        let again = parse_component("stored", definition.text.as_bytes()).unwrap();
        assert_eq!(&again, definition);
    }
}

#[test]
fn order_of_files_does_not_matter() {
    let mut files = station();
    let forwards = accept(&files, Some(&[1, 1]));
    files.reverse();
    assert_eq!(accept(&files, Some(&[1, 1])), forwards);
}

#[test]
fn ranges_and_numbers_need_no_topology() {
    let mut files = controllers();
    files.push(("custom/EVSE.json".into(), evse(json!({"evse_id": "1-3"}))));
    let first = json!({"evse_id": "1-3", "connector_id": 1});
    files.push(("custom/Connector_first.json".into(), connector(first)));
    let more = json!({"evse_id": 2, "connector_id": "2-3"});
    files.push(("custom/Connector_more.json".into(), connector(more)));
    let definitions = accept(&files, None);
    let names = names(&definitions);
    let connectors: Vec<_> = names.iter().filter(|name| name.starts_with("Connector")).collect();
    assert_eq!(
        connectors,
        ["Connector 1 1", "Connector 2 1", "Connector 2 2", "Connector 2 3", "Connector 3 1"]
    );
    accept(&files, Some(&[1, 3, 1]));
}

#[test]
fn all_needs_a_topology() {
    let message = "\"*\" needs to know the station's EVSEs, and nobody has named them";
    let connector = format!("standardized/Connector.json#/evse_id Connector[*,*]: {message}");
    let evse = format!("standardized/EVSE.json#/evse_id EVSE[*]: {message}");
    assert_eq!(refuse(&station(), None), [connector, evse]);
    let one = json!({"evse_id": 1, "connector_id": "*"});
    let files = with(station(), "standardized/Connector.json", super::connector(one));
    let found = refuse(&files, None);
    let connector = format!("standardized/Connector.json#/connector_id Connector[1,*]: {message}");
    let evse = format!("standardized/EVSE.json#/evse_id EVSE[*]: {message}");
    assert_eq!(found, [connector, evse]);
}

#[test]
fn custom_replaces_standardized_replaces_templates() {
    let clock = |date: &str| {
        let variables = vec![
            variable("DateTime", "string", json!(date)),
            variable("TimeSource", "string", json!("NTP")),
        ];
        component("clockctrlr", json!({}), variables)
    };
    let value = |files: &Files| {
        let definitions = accept(files, Some(&[1]));
        let mut clocks = definitions.iter().filter(|d| same(&d.key.name, "ClockCtrlr"));
        let clock = clocks.next().unwrap();
        assert!(clocks.next().is_none());
        clock.variables[0].attributes[0].value.clone().unwrap()
    };
    let files = with(station(), "templates/Clock.json", clock("template"));
    assert_eq!(&*value(&files), "1");
    let files = with(files, "custom/Clock.json", clock("custom"));
    assert_eq!(&*value(&files), "custom");
    let files = with(files, "standardized/ClockCtrlr.json", clock("standardized"));
    assert_eq!(&*value(&files), "custom");
}

#[test]
fn one_copy_of_a_template_can_be_replaced() {
    let mut files = station();
    let odd = evse(json!({"evse_id": 2})).replace("22000", "350000");
    files.push(("custom/EVSE_2.json".into(), odd));
    let definitions = accept(&files, Some(&[1, 1, 1]));
    let limits: Vec<_> = definitions
        .iter()
        .filter(|definition| &*definition.key.name == "EVSE")
        .map(|definition| definition.variables[0].characteristics.max_limit.unwrap())
        .collect();
    assert_eq!(limits, [22000.0, 350_000.0, 22000.0]);
}

#[test]
fn a_replaced_file_is_still_checked_for_itself() {
    let mut files = station();
    let bad = evse(json!({"evse_id": 1})).replace("22000", "\"much\"");
    files.push(("templates/EVSE.json".into(), bad));
    let found = refuse(&files, Some(&[1]));
    assert_eq!(
        found,
        ["templates/EVSE.json#/properties/Key000/characteristics/maxLimit EVSE[1].Power: \
          expected a number, found a string"]
    );
    let mut files = station();
    // Nothing that the standard requires is missing, as another file is in use.
    files.push(("templates/EVSE.json".into(), component("EVSE", json!({"evse_id": 1}), vec![])));
    accept(&files, Some(&[1]));
}

#[test]
fn a_file_for_one_goes_before_a_template_of_its_folder() {
    let limited = |place: Value, limit: &str| evse(place).replace("22000", limit);
    let mut files = controllers();
    let all = json!({"evse_id": "*", "connector_id": "*"});
    files.push(("custom/Connector.json".into(), connector(all)));
    files.push(("custom/A.json".into(), limited(json!({"evse_id": 2}), "2")));
    files.push(("custom/B.json".into(), limited(json!({"evse_id": "*"}), "3")));
    files.push(("custom/C.json".into(), limited(json!({"evse_id": "3-3"}), "4")));
    // The folder comes first: these are not in use.
    files.push(("standardized/EVSE.json".into(), limited(json!({"evse_id": "1-3"}), "5")));
    files.push(("standardized/EVSE_1.json".into(), limited(json!({"evse_id": 1}), "6")));
    let definitions = accept(&files, Some(&[1, 1, 1]));
    let limits: Vec<_> = definitions
        .iter()
        .filter(|definition| &*definition.key.name == "EVSE")
        .map(|definition| definition.variables[0].characteristics.max_limit.unwrap())
        .collect();
    assert_eq!(limits, [3.0, 2.0, 4.0]);
}

#[test]
fn the_same_component_twice() {
    let mut files = station();
    files.push(("standardized/EVSE_2.json".into(), evse(json!({"evse_id": 2}))));
    files.push(("standardized/EVSE_2b.json".into(), evse(json!({"evse_id": "2-2"}))));
    files.push(("standardized/EVSEs.json".into(), evse(json!({"evse_id": "1-3"}))));
    let found = refuse(&files, Some(&[1, 1, 1]));
    assert_eq!(
        found,
        [
            "standardized/EVSE_2b.json#/name EVSE[2]: the same component as in \
             standardized/EVSE_2.json",
            "standardized/EVSEs.json#/name EVSE[1]: the same component as in \
             standardized/EVSE.json",
        ]
    );
    let slot = |instance: &str| component("Fan", json!({"instance": instance}), vec![]);
    let files = with(station(), "custom/A.json", slot("a"));
    let files = with(files, "custom/B.json", slot("b"));
    accept(&files, Some(&[1]));
    let files = with(files, "custom/B.json", slot("A"));
    let found = refuse(&files, Some(&[1]));
    assert_eq!(found, ["custom/B.json#/name Fan(A): the same component as in custom/A.json"]);
}

/// EVSEs and connectors as files of their own: number of the EVSE, numbers of its connectors.
fn tiers(evses: &[(u32, &[u32])]) -> Files {
    let mut files = controllers();
    for (id, connectors) in evses {
        files.push((format!("custom/EVSE_{id}.json"), evse(json!({"evse_id": id}))));
        for connector_id in *connectors {
            let place = json!({"evse_id": id, "connector_id": connector_id});
            files.push((format!("custom/Connector_{id}_{connector_id}.json"), connector(place)));
        }
    }
    files
}

#[test]
fn numbers_have_no_gaps() {
    accept(&tiers(&[(1, &[1]), (2, &[1, 2])]), None);
    let found = refuse(&tiers(&[(2, &[1]), (5, &[1, 4])]), None);
    assert_eq!(
        found,
        [
            "custom/Connector_5_4.json#/connector_id Connector[5,2-3]: is missing: connectors are \
             numbered from 1 without gaps",
            "custom/EVSE_2.json#/evse_id EVSE[1]: is missing: EVSEs are numbered from 1 without \
             gaps",
            "custom/EVSE_5.json#/evse_id EVSE[3-4]: is missing: EVSEs are numbered from 1 without \
             gaps",
        ]
    );
    let found = refuse(&controllers(), None);
    assert_eq!(found, ["# EVSE: there is no EVSE"]);
    accept(&controllers(), Some(&[]));
    let found = refuse(&tiers(&[(1, &[1]), (2, &[])]), None);
    assert_eq!(found, ["custom/EVSE_2.json#/evse_id EVSE[2]: the EVSE has no connector"]);
}

#[test]
fn files_fit_the_topology() {
    let files = tiers(&[(1, &[1]), (2, &[1, 2])]);
    accept(&files, Some(&[1, 2]));
    accept(&tiers(&[(1, &[])]), Some(&[0]));
    assert_eq!(
        refuse(&files, Some(&[1])),
        ["custom/EVSE_2.json#/evse_id EVSE[2]: the station has 1 EVSEs"]
    );
    assert_eq!(
        refuse(&files, Some(&[1, 1])),
        ["custom/Connector_2_2.json#/connector_id Connector[2,2]: EVSE 2 of the station has 1 \
          connectors"]
    );
    assert_eq!(
        refuse(&files, Some(&[2, 2, 1, 1])),
        [
            "# EVSE[3-4]: is missing: the station has 4 EVSEs",
            "# Connector[1,2]: is missing: EVSE 1 has 2 connectors",
        ]
    );
    assert_eq!(
        refuse(&tiers(&[(1, &[1]), (3, &[1])]), Some(&[1, 1])),
        [
            "# EVSE[2]: is missing: the station has 2 EVSEs",
            "custom/EVSE_3.json#/evse_id EVSE[3]: the station has 2 EVSEs",
        ]
    );
}

#[test]
fn components_at_places_that_do_not_exist() {
    let fan = |place: Value| component("Fan", place, vec![]);
    let files = with(station(), "custom/Fan.json", fan(json!({"evse_id": "*"})));
    let files = with(files, "custom/Fan_2.json", fan(json!({"evse_id": 2, "connector_id": "*"})));
    let definitions = accept(&files, Some(&[1, 2]));
    assert_eq!(names(&definitions).iter().filter(|name| name.starts_with("Fan")).count(), 4);
    let files = with(station(), "custom/Fan.json", fan(json!({"evse_id": "2-9"})));
    let files = with(files, "custom/Fan_1.json", fan(json!({"evse_id": 1, "connector_id": 3})));
    assert_eq!(
        refuse(&files, Some(&[1, 1])),
        [
            "custom/Fan.json#/evse_id Fan[3]: there is no EVSE 3",
            "custom/Fan_1.json#/connector_id Fan[1,3]: EVSE 1 has no connector 3",
        ]
    );
    let files = with(station(), "custom/Connector_3.json", {
        connector(json!({"evse_id": 3, "connector_id": 1}))
    });
    assert_eq!(
        refuse(&files, Some(&[1, 1])),
        ["custom/Connector_3.json#/evse_id Connector[3,1]: there is no EVSE 3"]
    );
}

#[test]
fn tiers_know_their_place() {
    for (content, expected) in [
        (evse(json!({})), "#/name EVSE: an EVSE needs an evse_id"),
        (
            evse(json!({"evse_id": 1, "connector_id": 1})),
            "#/connector_id EVSE[1,1]: an EVSE has no connector_id",
        ),
        (
            connector(json!({"evse_id": 1})),
            "#/name Connector[1]: a Connector needs an evse_id and a connector_id",
        ),
    ] {
        let files = with(station(), "custom/odd.json", content);
        assert_eq!(refuse(&files, Some(&[1])), [format!("custom/odd.json{expected}")]);
    }
    // With an instance it is something else.
    let hall = evse(json!({"instance": "Hall"}));
    accept(&with(station(), "custom/odd.json", hall), Some(&[1]));
}

#[test]
fn one_file_does_not_stand_for_millions() {
    let fan = component("Fan", json!({"evse_id": "1-10000", "connector_id": "1-10000"}), vec![]);
    let found = refuse(&with(station(), "custom/Fan.json", fan), Some(&[1]));
    let message = "stands for more than 100000 components";
    assert_eq!(found, [format!("custom/Fan.json#/evse_id Fan[1-10000,1-10000]: {message}")]);
}

#[test]
fn problems_of_all_files_at_once() {
    let mut files = station();
    files.push(("custom/B.json".into(), "{".into()));
    files.push(("custom/A.json".into(), "[]".into()));
    let fan = json!({"name": "Fan", "properties": {"Speed": {}}}).to_string();
    files.push(("standardized/Fan.json".into(), fan));
    let found = refuse(&files, Some(&[1]));
    let places: Vec<_> = found.iter().map(|line| line.split_once(':').unwrap().0).collect();
    assert_eq!(
        places,
        ["custom/A.json# ", "custom/B.json# ", "standardized/Fan.json#/properties/Speed Fan"]
    );
}

#[test]
fn an_unreadable_file_is_one_problem() {
    for broken in ["{", "[]", r#"{"name": "x", "evse_id": 0, "properties": {}}"#] {
        for path in ["OCPPCommCtrlr.json", "EVSE.json", "Connector.json"] {
            let files = with(station(), &format!("standardized/{path}"), broken);
            let found = refuse(&files, Some(&[1, 1]));
            let all = found.iter().all(|line| line.starts_with("standardized/"));
            assert!(all && !found.is_empty(), "{path}: {found:#?}");
        }
    }
}

/// 128 EVSEs with a connector each, from a file of their own: 7,000 variables with annotations.
fn large() -> Files {
    let about = "What this variable says about the component, in a sentence as people write them.";
    let fill = |content: &str, count: usize| {
        let mut file: Value = serde_json::from_str(content).unwrap();
        for index in 0..count {
            let name = format!("Temperature{index}");
            file["properties"][&name] = json!({
                "variable_name": name,
                "characteristics": {
                    "unit": "Celsius", "minLimit": -40, "maxLimit": 150.5,
                    "supportsMonitoring": true, "dataType": "decimal",
                },
                "attributes": [
                    {"type": "Actual", "mutability": "ReadOnly", "value": 21.5},
                    {"type": "MaxSet", "mutability": "ReadWrite", "value": 80},
                ],
                "description": about,
                "type": "number",
                "default": "20",
            });
        }
        serde_json::to_string_pretty(&file).unwrap()
    };
    let mut files = controllers();
    for id in 1..=128 {
        let place = json!({"evse_id": id});
        files.push((format!("custom/EVSE_{id}.json"), fill(&evse(place), 23)));
        let place = json!({"evse_id": id, "connector_id": 1});
        files.push((format!("custom/Connector_{id}_1.json"), fill(&connector(place), 23)));
    }
    files
}

#[test]
fn many_files() {
    let definitions = accept(&large(), Some(&[1; 128]));
    let variables: usize = definitions.iter().map(|definition| definition.variables.len()).sum();
    assert!(variables > 6900, "{variables}");
}

/// `cargo test --release -p ocpp-core device_model::files -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn speed() {
    let (files, evses) = (large(), [1; 128]);
    let size: usize = files.iter().map(|(_, content)| content.len()).sum();
    let mut times: Vec<_> = (0..30)
        .map(|_| {
            let start = std::time::Instant::now();
            let definitions = accept(&files, Some(&evses));
            let time = start.elapsed();
            drop(definitions);
            time
        })
        .collect();
    times.sort();
    let templates = station();
    let start = std::time::Instant::now();
    let copies = accept(&templates, Some(&[1; 1000])).len();
    let time = start.elapsed();
    let (best, median) = (times[0], times[15]);
    eprintln!("{} files, {size} bytes: {best:?}, median {median:?}", files.len());
    eprintln!("{} files, {copies} components: {time:?}", templates.len());
}
