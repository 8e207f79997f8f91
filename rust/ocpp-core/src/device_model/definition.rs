//! What a component consists of: the result of reading a component file.
//!
//! Words and numbers are those of the messages (NotifyReport, SetVariableMonitoring); the order of
//! the enumerations is the order of the schemas, so that their numbers may go over the binding.

/// An enumeration whose members have a spelling.
macro_rules! words {
    (
        $(#[$about:meta])* $name:ident {
            $($(#[$member_about:meta])* $member:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$member_about])* $member,)+
        }

        impl $name {
            /// All members, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The spelling in messages and component files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $word,)+
                }
            }

            /// The member of this exact spelling.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$member),)+
                    _ => None,
                }
            }

            /// The member of this number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

words! {
    /// `DataEnumType`: what the text of a value means.
    DataType {
        /// Any text; limits are its length in characters.
        String = "string",
        /// A number.
        Decimal = "decimal",
        /// A whole number.
        Integer = "integer",
        /// RFC 3339.
        DateTime = "dateTime",
        /// `true` or `false`.
        Boolean = "boolean",
        /// One of the values list.
        OptionList = "OptionList",
        /// Members of the values list, in an order that matters.
        SequenceList = "SequenceList",
        /// Members of the values list, in any order.
        MemberList = "MemberList",
    }
}

words! {
    /// `AttributeEnumType`.
    AttributeKind {
        /// The value itself.
        Actual = "Actual",
        /// Where the value should go.
        Target = "Target",
        /// Lowest value that may be set.
        MinSet = "MinSet",
        /// Highest value that may be set.
        MaxSet = "MaxSet",
    }
}

words! {
    /// `MutabilityEnumType`: what the CSMS may do.
    Mutability {
        /// Read.
        ReadOnly = "ReadOnly",
        /// Write; the value never leaves the station.
        WriteOnly = "WriteOnly",
        /// Both.
        ReadWrite = "ReadWrite",
    }
}

words! {
    /// `MonitorEnumType`; the last two exist in 2.1 only.
    MonitorKind {
        /// The value rises above.
        UpperThreshold = "UpperThreshold",
        /// The value falls below.
        LowerThreshold = "LowerThreshold",
        /// The value has changed by that much.
        Delta = "Delta",
        /// Every so many seconds.
        Periodic = "Periodic",
        /// Every so many seconds, counted from midnight.
        PeriodicClockAligned = "PeriodicClockAligned",
        /// Actual is that far from Target.
        TargetDelta = "TargetDelta",
        /// Actual is that far from Target, as a part of Target.
        TargetDeltaRelative = "TargetDeltaRelative",
    }
}

words! {
    /// Who a monitor belongs to, in the words of component files (`config_type`).
    MonitorConfig {
        /// The station's own; nothing removes it.
        HardWired = "HardWiredMonitor",
        /// Set by the manufacturer.
        Preconfigured = "PreconfiguredMonitor",
        /// Set by the CSMS.
        Custom = "CustomMonitor",
    }
}

impl DataType {
    /// Whether values are numbers.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Decimal | Self::Integer)
    }
}

impl MonitorKind {
    /// Whether this kind may watch a variable of this type (Part 1, section 3.4; N04.FR.05).
    #[must_use]
    pub const fn suits(self, data_type: DataType) -> bool {
        match self {
            Self::UpperThreshold | Self::LowerThreshold => data_type.is_number(),
            Self::Delta => true,
            _ => !matches!(data_type, DataType::DateTime),
        }
    }
}

/// `VariableCharacteristicsType`.
#[derive(Clone, Debug, PartialEq)]
pub struct Characteristics {
    /// What the text of a value means.
    pub data_type: DataType,
    /// Unit of measure.
    pub unit: Option<Box<str>>,
    /// Lowest number, or shortest text in characters.
    pub min_limit: Option<f64>,
    /// Highest number, or longest text in characters.
    pub max_limit: Option<f64>,
    /// Most elements of a list; 2.1 only.
    pub max_elements: Option<u32>,
    /// What a list may consist of, comma separated; absent: anything, empty: nothing.
    pub values_list: Option<Box<str>>,
    /// Whether monitors may be set.
    pub supports_monitoring: bool,
}

/// `VariableAttributeType`: one of up to four values of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeDefinition {
    /// Which of the four.
    pub kind: AttributeKind,
    /// What the CSMS may do with it.
    pub mutability: Mutability,
    /// The default; fits the characteristics.
    pub value: Option<Box<str>>,
    /// Whether the value survives a restart.
    pub persistent: bool,
    /// Whether the value never changes at run time.
    pub constant: bool,
}

/// A monitor that the station has from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorDefinition {
    /// What triggers it.
    pub kind: MonitorKind,
    /// Threshold, difference or seconds, as `kind` says.
    pub value: f64,
    /// 0 (danger) to 9 (debug).
    pub severity: u8,
    /// Whether it is live during transactions only.
    pub transaction: bool,
    /// Who it belongs to.
    pub config: MonitorConfig,
}

/// A variable of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableDefinition {
    /// Name as the file spells it; compares case-insensitively.
    pub name: Box<str>,
    /// Instance as the file spells it; compares case-insensitively.
    pub instance: Option<Box<str>>,
    /// The same for all attributes.
    pub characteristics: Characteristics,
    /// At least one, each kind at most once, in the order of the kinds.
    pub attributes: Vec<AttributeDefinition>,
    /// In the order of the file.
    pub monitors: Vec<MonitorDefinition>,
    /// Who owns the variable, in the integrator's words.
    pub source: Option<Box<str>>,
}

/// What tells components apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ComponentKey {
    /// Name as the file spells it; compares case-insensitively.
    pub name: Box<str>,
    /// Instance as the file spells it; compares case-insensitively.
    pub instance: Option<Box<str>>,
    /// 1 and up; absent: the station.
    pub evse_id: Option<u32>,
    /// 1 and up, with an EVSE only; absent: the EVSE or the station.
    pub connector_id: Option<u32>,
}

/// A component with everything that its file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentDefinition {
    /// Which component.
    pub key: ComponentKey,
    /// In the order of the file.
    pub variables: Vec<VariableDefinition>,
    /// This one component as compact JSON in the format of component files: a template's copy with
    /// its own EVSE and connector, nothing that the definition leaves out. Reading it gives this
    /// definition again.
    pub text: Box<str>,
}

impl std::fmt::Display for ComponentKey {
    /// As people write it: `Connector[1,1]`, `NetworkConfiguration(2)`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.name)?;
        if let Some(instance) = &self.instance {
            write!(out, "({instance})")?;
        }
        match (self.evse_id, self.connector_id) {
            (Some(evse), Some(connector)) => write!(out, "[{evse},{connector}]"),
            (Some(evse), None) => write!(out, "[{evse}]"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_those_of_the_schemas() {
        for (number, kind) in (0..).zip(DataType::ALL) {
            assert_eq!(DataType::parse(kind.name()), Some(*kind));
            assert_eq!(DataType::from_number(number), Some(*kind));
            assert_eq!(*kind as u8, number);
        }
        let names = |all: &[MonitorKind]| all.iter().map(|kind| kind.name()).collect::<Vec<_>>();
        assert_eq!(
            names(MonitorKind::ALL),
            [
                "UpperThreshold",
                "LowerThreshold",
                "Delta",
                "Periodic",
                "PeriodicClockAligned",
                "TargetDelta",
                "TargetDeltaRelative"
            ]
        );
        assert_eq!(AttributeKind::from_number(3), Some(AttributeKind::MaxSet));
        assert_eq!(Mutability::from_number(2), Some(Mutability::ReadWrite));
        assert_eq!(Mutability::from_number(3), None);
        assert_eq!(AttributeKind::parse("actual"), None);
        assert_eq!(MonitorConfig::parse("CustomMonitor"), Some(MonitorConfig::Custom));
    }

    #[test]
    fn keys_are_written_as_people_write_them() {
        let key = |instance: Option<&str>, evse_id, connector_id| {
            let (name, instance) = ("Fan".into(), instance.map(Into::into));
            ComponentKey { name, instance, evse_id, connector_id }.to_string()
        };
        assert_eq!(key(None, None, None), "Fan");
        assert_eq!(key(None, Some(2), None), "Fan[2]");
        assert_eq!(key(Some("Rear"), Some(2), Some(1)), "Fan(Rear)[2,1]");
    }
}
