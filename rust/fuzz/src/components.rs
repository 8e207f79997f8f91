//! Any bytes as a component file.
//!
//! Allowed outcomes: a component, or problems that say where. Never a panic, an endless loop or
//! half a model. And beyond that:
//!
//! - the text of a component reads as the same component;
//! - a folder is either loaded or has problems, the same each time;
//! - what is loaded can be read, set and reported, and every page is a valid NotifyReport.

use std::sync::Arc;

use ocpp_core::datetime::DateTime;
use ocpp_core::device_model::definition::{AttributeKind, ComponentDefinition};
use ocpp_core::device_model::files::{self, Problem, SourceFile};
use ocpp_core::device_model::model::Model;
use ocpp_core::device_model::report::{Base, PageFrame, Selection};
use ocpp_core::device_model::structure::{Address, Structure};
use ocpp_core::frame::{Decoder, Frame, Policy};
use ocpp_core::schema::{v21, v201};
use ocpp_core::writer::Writer;

use super::tree::TreeSink;

const PATH: &str = "custom/It.json";
const EVSE: &[u8] = br#"{"name":"EVSE","evse_id":"*","properties":{"p":{"variable_name":"v",
    "characteristics":{"dataType":"boolean"},"attributes":[{"value":"true"}]}}}"#;
const CONNECTOR: &[u8] = br#"{"name":"Connector","evse_id":"*","connector_id":"*","properties":{
    "p":{"variable_name":"v","characteristics":{"dataType":"string"},"attributes":[{}]}}}"#;

/// The bytes alone, and in a folder with an EVSE and a connector.
pub fn component(bytes: &[u8]) {
    match files::parse_component(PATH, bytes) {
        Err(problems) => check_problems(&problems),
        Ok(definition) => {
            let again = files::parse_component(PATH, definition.text.as_bytes());
            assert_eq!(again.as_ref(), Ok(&definition), "the text says the same");
            use_model(&[definition]);
        }
    }
    let file = |path, content| SourceFile { path, content };
    let folder = [
        file("standardized/Connector.json", CONNECTOR),
        file("standardized/EVSE.json", EVSE),
        file(PATH, bytes),
    ];
    let loaded = files::load(&folder, Some(&[1, 2]), &[]);
    assert_eq!(loaded, files::load(&folder, Some(&[1, 2]), &[]), "the same each time");
    match loaded {
        Err(problems) => check_problems(&problems),
        Ok(definitions) => use_model(&definitions),
    }
}

fn check_problems(problems: &[Problem]) {
    assert!(!problems.is_empty(), "nothing is refused without a reason");
    for problem in problems {
        assert!(!problem.message.is_empty());
        assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'), "{problem:?}");
    }
}

fn use_model(definitions: &[ComponentDefinition]) {
    let mut structure = Structure::default();
    for definition in definitions {
        assert!(structure.add(definition), "loaded once");
    }
    let mut model = Model::new(Arc::new(structure));
    for definition in definitions {
        set_defaults(&mut model, definition);
    }
    for base in [Base::Full, Base::Configuration, Base::Summary] {
        check_pages(&model, base);
    }
}

/// Every variable is found by its name in capitals, and takes its own default again.
fn set_defaults(model: &mut Model, definition: &ComponentDefinition) {
    let key = &definition.key;
    let component = key.name.to_ascii_uppercase();
    for variable in &definition.variables {
        let name = variable.name.to_ascii_uppercase();
        let address = Address {
            component: component.as_bytes(),
            component_instance: key.instance.as_deref().unwrap_or_default().as_bytes(),
            evse_id: key.evse_id.map(i64::from),
            connector_id: key.connector_id.map(i64::from),
            variable: name.as_bytes(),
            variable_instance: variable.instance.as_deref().unwrap_or_default().as_bytes(),
        };
        let found = model.structure().find(&address).unwrap_or_else(|_| panic!("{address:?}"));
        for attribute in &variable.attributes {
            let number = model.structure().find_attribute(&found, attribute.kind);
            let number = number.unwrap_or_else(|| panic!("{:?}", attribute.kind));
            assert_eq!(model.value(number), attribute.value.as_deref());
            let value = attribute.value.as_deref().unwrap_or("0");
            if model.write(found.id, number, value, "fuzz").is_ok() {
                assert_eq!(model.value(number), Some(value));
            }
        }
        let _ = model.read(&[(address, AttributeKind::Target)]);
    }
}

fn check_pages(model: &Model, base: Base) {
    let policy = Policy { tolerant: false, max_bytes: 1 << 20 };
    for (schema, max_elements) in [(&v201::SCHEMA, false), (&v21::SCHEMA, true)] {
        let frame = PageFrame {
            message_id: "19223201",
            request_id: 4711,
            generated_at: DateTime::parse(b"2026-11-21T09:30:00Z")
                .unwrap_or_else(|| unreachable!()),
            max_items: 3,
            max_bytes: 1_200,
            max_elements,
        };
        let mut selection = Selection::base(model, base);
        let mut pages = 0;
        loop {
            let mut out = Writer::default();
            if !selection.write_page(model, &frame, &mut out) {
                break;
            }
            pages += 1;
            assert!(pages <= selection.len(), "every page has a variable");
            let mut sink = TreeSink::default();
            let mut decoder = Decoder::new(schema);
            let (read, _) = decoder.frame(out.bytes(), policy, None, &mut sink);
            let text = || String::from_utf8_lossy(out.bytes()).into_owned();
            assert!(matches!(read, Frame::Request { .. }), "{read:?}: {}", text());
        }
    }
}
