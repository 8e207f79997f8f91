//! A component as text, in the format of component files.

use super::super::definition::{
    AttributeDefinition, Characteristics, ComponentKey, MonitorDefinition, Mutability,
    VariableDefinition,
};
use crate::writer::Writer;

/// Whether a value survives a restart when its file does not say so: what the CSMS may change does.
pub(super) const fn persistent_by_default(mutability: Mutability) -> bool {
    !matches!(mutability, Mutability::ReadOnly)
}

/// Everything behind the key; the same for all copies of a template.
pub(super) fn properties(writer: &mut Writer, variables: &[VariableDefinition]) -> String {
    let mut out = Text::over(writer);
    out.raw("\"properties\":");
    out.object(variables, |out, variable| {
        out.label(variable);
        out.raw(":{\"variable_name\":");
        out.string(&variable.name);
        out.text(",\"instance\":", variable.instance.as_deref());
        out.characteristics(&variable.characteristics);
        out.raw(",\"attributes\":");
        out.list(&variable.attributes, Text::attribute);
        if !variable.monitors.is_empty() {
            out.raw(",\"monitors\":");
            out.list(&variable.monitors, Text::monitor);
        }
        out.text(",\"source\":", variable.source.as_deref());
        out.raw("}");
    });
    out.raw("}");
    out.finish()
}

/// The text of one component.
pub(super) fn component(writer: &mut Writer, key: &ComponentKey, properties: &str) -> Box<str> {
    let mut out = Text::over(writer);
    out.raw("{\"name\":");
    out.string(&key.name);
    out.text(",\"instance\":", key.instance.as_deref());
    out.integer(",\"evse_id\":", key.evse_id);
    out.integer(",\"connector_id\":", key.connector_id);
    out.raw(",");
    [out.finish().as_str(), properties].concat().into_boxed_str()
}

struct Text<'w>(&'w mut Writer);

impl<'w> Text<'w> {
    /// Uses the writer's memory for another text.
    fn over(writer: &'w mut Writer) -> Self {
        writer.clear();
        Self(writer)
    }

    fn raw(&mut self, text: &str) {
        self.0.raw(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        self.0.string(text.as_bytes());
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.raw(name);
            self.string(text);
        }
    }

    fn integer(&mut self, name: &str, number: Option<u32>) {
        if let Some(number) = number {
            self.raw(name);
            self.raw(itoa::Buffer::new().format(number));
        }
    }

    fn number(&mut self, name: &str, number: Option<f64>) {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let Some(number) = number else {
            return;
        };
        self.raw(name);
        if number.fract() == 0.0 && number.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and exact")]
            self.raw(itoa::Buffer::new().format(number as i64));
        } else {
            self.raw(zmij::Buffer::new().format_finite(number));
        }
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.raw(name);
        self.raw(if value { "true" } else { "false" });
    }

    fn object<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.between("{", items, "}", write);
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.between("[", items, "]", write);
    }

    fn between<T>(&mut self, open: &str, items: &[T], close: &str, write: impl Fn(&mut Self, &T)) {
        self.raw(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw(close);
    }

    /// The name with its instance, which tells the variables of a component apart.
    fn label(&mut self, variable: &VariableDefinition) {
        match &variable.instance {
            None => self.string(&variable.name),
            Some(instance) => self.string(&format!("{}({instance})", variable.name)),
        }
    }

    fn characteristics(&mut self, about: &Characteristics) {
        self.raw(",\"characteristics\":{\"dataType\":\"");
        self.raw(about.data_type.name());
        self.raw("\"");
        self.text(",\"unit\":", about.unit.as_deref());
        self.number(",\"minLimit\":", about.min_limit);
        self.number(",\"maxLimit\":", about.max_limit);
        self.integer(",\"maxElements\":", about.max_elements);
        self.text(",\"valuesList\":", about.values_list.as_deref());
        self.boolean(",\"supportsMonitoring\":", about.supports_monitoring);
        self.raw("}");
    }

    fn attribute(&mut self, attribute: &AttributeDefinition) {
        self.raw("{\"type\":\"");
        self.raw(attribute.kind.name());
        self.raw("\",\"mutability\":\"");
        self.raw(attribute.mutability.name());
        self.raw("\"");
        self.text(",\"value\":", attribute.value.as_deref());
        if attribute.persistent != persistent_by_default(attribute.mutability) {
            self.boolean(",\"persistent\":", attribute.persistent);
        }
        if attribute.constant {
            self.raw(",\"constant\":true");
        }
        self.raw("}");
    }

    fn monitor(&mut self, monitor: &MonitorDefinition) {
        self.raw("{\"type\":\"");
        self.raw(monitor.kind.name());
        self.raw("\"");
        self.number(",\"value\":", Some(monitor.value));
        self.integer(",\"severity\":", Some(monitor.severity.into()));
        self.boolean(",\"transaction\":", monitor.transaction);
        self.raw(",\"config_type\":\"");
        self.raw(monitor.config.name());
        self.raw("\"}");
    }

    fn finish(self) -> String {
        String::from_utf8_lossy(self.0.bytes()).into_owned()
    }
}
