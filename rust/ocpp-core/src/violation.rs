//! Everything that can be wrong with a frame, and the error code that answers it.

/// Error codes of the RPC framework (Part 4, section 4.3) that decoding can call for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The payload is not well formed for its action.
    FormatViolation,
    /// The message type number is unknown.
    MessageTypeNotSupported,
    /// The action is unknown.
    NotImplemented,
    /// Too few or too many of something.
    OccurrenceConstraintViolation,
    /// A value outside what its type allows.
    PropertyConstraintViolation,
    /// The frame itself cannot be read.
    RpcFrameworkError,
    /// A value of the wrong JSON type.
    TypeConstraintViolation,
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `type`.
    Type,
    /// `required`.
    Required,
    /// `minItems`.
    MinItems,
    /// `maxItems`.
    MaxItems,
    /// `enum`.
    Enum,
    /// `maxLength`.
    MaxLength,
    /// `minimum`.
    Minimum,
    /// `maximum`.
    Maximum,
    /// A number that its Python type cannot hold.
    Range,
    /// `format: date-time`.
    DateTime,
    /// `additionalProperties: false`.
    UnknownMember,
    /// The same member twice.
    DuplicateMember,
    /// A payload that is no object.
    PayloadObject,
    /// Broken JSON inside the payload.
    Syntax,
    /// Nested too deeply.
    Depth,
    /// A frame that is no frame.
    Frame,
    /// An action that this version does not know.
    Action,
    /// A message type number that this version does not know.
    MessageType,
}

impl Rule {
    /// All rules, with the JSON-schema keyword or a short name, in the order of the documentation.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::Type, "type"),
        (Self::Required, "required"),
        (Self::MinItems, "minItems"),
        (Self::MaxItems, "maxItems"),
        (Self::Enum, "enum"),
        (Self::MaxLength, "maxLength"),
        (Self::Minimum, "minimum"),
        (Self::Maximum, "maximum"),
        (Self::Range, "range"),
        (Self::DateTime, "date-time"),
        (Self::UnknownMember, "additionalProperties"),
        (Self::DuplicateMember, "duplicate member"),
        (Self::PayloadObject, "payload no object"),
        (Self::Syntax, "broken JSON in the payload"),
        (Self::Depth, "nesting"),
        (Self::Frame, "unreadable frame"),
        (Self::Action, "unknown action"),
        (Self::MessageType, "unknown message type"),
    ];

    /// The code that answers a breach of this rule.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Type => ErrorCode::TypeConstraintViolation,
            Self::Required | Self::MinItems | Self::MaxItems => {
                ErrorCode::OccurrenceConstraintViolation
            }
            Self::Enum
            | Self::MaxLength
            | Self::Minimum
            | Self::Maximum
            | Self::Range
            | Self::DateTime => ErrorCode::PropertyConstraintViolation,
            Self::UnknownMember
            | Self::DuplicateMember
            | Self::PayloadObject
            | Self::Syntax
            | Self::Depth => ErrorCode::FormatViolation,
            Self::Frame => ErrorCode::RpcFrameworkError,
            Self::Action => ErrorCode::NotImplemented,
            Self::MessageType => ErrorCode::MessageTypeNotSupported,
        }
    }
}

impl ErrorCode {
    /// The code as it stands in a CALLERROR.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FormatViolation => "FormatViolation",
            Self::MessageTypeNotSupported => "MessageTypeNotSupported",
            Self::NotImplemented => "NotImplemented",
            Self::OccurrenceConstraintViolation => "OccurrenceConstraintViolation",
            Self::PropertyConstraintViolation => "PropertyConstraintViolation",
            Self::RpcFrameworkError => "RpcFrameworkError",
            Self::TypeConstraintViolation => "TypeConstraintViolation",
        }
    }
}

/// A broken rule, where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was wrong, in a few words; never repeats the offending value.
    pub cause: String,
    /// Steps from the innermost value outwards.
    path: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(Box<str>),
    Item(usize),
    Pointer(Box<str>),
}

impl Violation {
    /// A breach at the current value.
    #[cold]
    #[must_use]
    pub fn new(rule: Rule, cause: impl Into<String>) -> Self {
        Self { rule, cause: cause.into(), path: Vec::new() }
    }

    /// The same, seen from the object around it.
    #[cold]
    pub fn in_member(&mut self, key: &str) {
        self.path.push(Step::Member(key.into()));
    }

    /// The same, at a JSON pointer that starts at the current value.
    #[cold]
    #[must_use]
    pub fn at(mut self, pointer: &str) -> Self {
        self.path.push(Step::Pointer(pointer.into()));
        self
    }

    /// The same, seen from the array around it.
    #[cold]
    pub fn in_item(&mut self, index: usize) {
        self.path.push(Step::Item(index));
    }

    /// JSON pointer (RFC 6901) to the place, from the outermost object.
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Member(key) => {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Step::Item(index) => pointer.push_str(&format!("/{index}")),
                Step::Pointer(rest) => pointer.push_str(rest),
            }
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_is_written_from_the_outside_and_escaped() {
        let mut violation = Violation::new(Rule::Type, "expected a string");
        violation.in_member("a/b~c");
        violation.in_item(3);
        violation.in_member("data");
        assert_eq!(violation.pointer(), "/data/3/a~1b~0c");
    }

    #[test]
    fn every_rule_is_listed_once() {
        for (rule, _) in Rule::ALL {
            assert_eq!(Rule::ALL.iter().filter(|(other, _)| *other == rule).count(), 1);
        }
    }
}
