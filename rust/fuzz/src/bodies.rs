//! What a fuzzer does with its bytes. Also run by `cargo test` with a bounded loop of mutations
//! (`rust/ocpp-core/tests/fuzz_smoke.rs`), so that it never depends on cargo-fuzz alone.
//!
//! Allowed outcomes, for any bytes: a frame (or payload), or a violation with a cause. Never a
//! panic, an endless loop or a list left open in the sink. And beyond that:
//!
//! - a decoder that has seen other messages answers as a fresh one;
//! - what strict mode accepts, tolerant mode accepts as the same, without deviations;
//! - tolerant mode lets pass only the four things it is documented to let pass;
//! - what was accepted can be encoded and decodes to itself, unless it holds an over-long string,
//!   which the encoder refuses.

use ocpp_core::Deviation;
use ocpp_core::encode::{Encoder, Fragments};
use ocpp_core::frame::{Decoder, Frame, Invalid, OpenCall, Policy};
use ocpp_core::schema::{Schema, v21, v201};
use ocpp_core::violation::{Rule, Violation};
use ocpp_core::writer::Writer;

use super::tree::{Tree, TreeSink, TreeSource};

const STRICT: Policy = Policy { tolerant: false, max_bytes: 1 << 20 };
const TOLERANT: Policy = Policy { tolerant: true, max_bytes: 1 << 20 };
const TOLERATED: [Rule; 4] = [Rule::UnknownMember, Rule::MaxLength, Rule::Type, Rule::MinItems];

/// What one decoding gave, comparable.
#[derive(Debug, PartialEq)]
enum Outcome {
    Request(bool, Tree, usize, Tree),
    Result(Tree, Option<Tree>),
    Error(bool, [Tree; 4]),
    Invalid(Option<i64>, Option<String>, Option<String>, Violation),
}

impl From<Frame<Tree>> for Outcome {
    fn from(frame: Frame<Tree>) -> Self {
        match frame {
            Frame::Request { send, id, action, payload } => {
                Self::Request(send, id, action, payload)
            }
            Frame::Result { id, payload } => Self::Result(id, payload),
            Frame::Error { of_result, id, code, description, details } => {
                Self::Error(of_result, [id, code, description, details])
            }
            Frame::Invalid(invalid) => {
                let Invalid { message_type, id, action, violation } = *invalid;
                Self::Invalid(message_type, id, action, *violation)
            }
        }
    }
}

/// Decoders that go on from one input to the next, so that they have seen other messages.
pub struct Fuzz {
    versions: [Version; 2],
}

struct Version {
    schema: &'static Schema,
    decoder: Decoder,
    fragments: Fragments,
    sink: TreeSink,
}

impl Default for Fuzz {
    fn default() -> Self {
        Self { versions: [Version::new(&v201::SCHEMA), Version::new(&v21::SCHEMA)] }
    }
}

impl Fuzz {
    /// Any bytes as a frame, in both versions and modes. A CALLRESULT whose message id is the
    /// name of an action answers a CALL of that action.
    pub fn frame(&mut self, bytes: &[u8]) {
        for version in &mut self.versions {
            version.frame(bytes);
        }
    }

    /// `2.1 AuthorizeRequest`, a line feed and any bytes as a payload of that type.
    pub fn schema(&mut self, bytes: &[u8]) {
        let line_end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(line_end);
        let payload = rest.get(1..).unwrap_or_default();
        let (number, name) = line.split_at(line.iter().position(|b| *b == b' ').unwrap_or(0));
        let version = &mut self.versions[usize::from(number != b"2.0.1")];
        let name = name.trim_ascii();
        let objects = version.schema.objects;
        let known = objects.iter().position(|object| object.name.as_bytes() == name);
        let id = known.unwrap_or_else(|| line.iter().map(|b| usize::from(*b)).sum());
        version.payload(payload, u16::try_from(id % objects.len()).unwrap_or(0));
    }
}

impl Version {
    fn new(schema: &'static Schema) -> Self {
        Self {
            schema,
            decoder: Decoder::new(schema),
            fragments: Fragments::new(schema),
            sink: TreeSink::default(),
        }
    }

    fn frame(&mut self, bytes: &[u8]) {
        let open = self.open_call(bytes);
        let strict = self.decode(bytes, STRICT, open);
        let tolerant = self.decode(bytes, TOLERANT, open);
        let fresh = Self::new(self.schema).decode(bytes, TOLERANT, open);
        assert_eq!(tolerant, fresh, "a decoder must not remember");
        assert!(strict.1.is_empty(), "strict mode has no deviations");
        match &strict.0 {
            Outcome::Invalid(_, _, _, violation) => check_violation(violation),
            _ => assert_eq!(strict, tolerant, "tolerant mode accepts what strict mode accepts"),
        }
        check_deviations(&tolerant.1);
        let (id, payload) = match tolerant.0 {
            Outcome::Request(_, _, action, payload) => {
                (self.schema.actions[action].request, payload)
            }
            Outcome::Result(_, Some(payload)) => match open {
                Some(open) => (open.response, payload),
                None => unreachable!("nothing was open"),
            },
            _ => return,
        };
        self.check_round_trip(id, payload, &tolerant.1);
    }

    /// The CALL that an id such as `"Heartbeat"` stands for.
    fn open_call(&self, bytes: &[u8]) -> Option<OpenCall<'static>> {
        let id = bytes.split(|byte| *byte == b'"').nth(1)?;
        let action = self.schema.actions.iter().find(|action| action.name.as_bytes() == id)?;
        Some(OpenCall { id: action.name, response: action.response? })
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        policy: Policy,
        open: Option<OpenCall<'_>>,
    ) -> (Outcome, Vec<Deviation>) {
        let (frame, deviations) = self.decoder.frame(bytes, policy, open, &mut self.sink);
        assert!(self.sink.is_idle(), "every list must be ended");
        (frame.into(), deviations)
    }

    fn payload(&mut self, bytes: &[u8], id: u16) {
        let strict = self.decoder.payload(bytes, STRICT, id, &mut self.sink);
        let tolerant = self.decoder.payload(bytes, TOLERANT, id, &mut self.sink);
        assert!(self.sink.is_idle(), "every list must be ended");
        let mut fresh = Self::new(self.schema);
        let again = fresh.decoder.payload(bytes, TOLERANT, id, &mut fresh.sink);
        assert_eq!(tolerant, again, "a decoder must not remember");
        match &strict {
            Err(violation) => check_violation(violation),
            Ok((_, deviations)) => {
                assert!(deviations.is_empty(), "strict mode has no deviations");
                assert_eq!(strict, tolerant, "tolerant mode accepts what strict mode accepts");
            }
        }
        if let Ok((payload, deviations)) = tolerant {
            check_deviations(&deviations);
            self.check_round_trip(id, payload, &deviations);
        }
    }

    fn check_round_trip(&mut self, id: u16, payload: Tree, deviations: &[Deviation]) {
        let too_long = |deviation: &Deviation| deviation.violation.rule == Rule::MaxLength;
        let mut out = Writer::default();
        let written =
            Encoder::new(self.schema, &self.fragments, &TreeSource::default(), &mut out, false)
                .message(id, &payload);
        if deviations.iter().any(too_long) {
            let rule = written.err().map(|violation| violation.rule);
            assert_eq!(rule, Some(Rule::MaxLength), "over-long strings stay here");
            return;
        }
        assert_eq!(written, Ok(()));
        let again = self.decoder.payload(out.bytes(), STRICT, id, &mut self.sink);
        assert_eq!(again, Ok((payload, Vec::new())), "what is written reads the same");
    }
}

fn check_violation(violation: &Violation) {
    assert!(!violation.cause.is_empty());
    let pointer = violation.pointer();
    assert!(pointer.is_empty() || pointer.starts_with('/'));
}

fn check_deviations(deviations: &[Deviation]) {
    for deviation in deviations {
        check_violation(&deviation.violation);
        assert!(TOLERATED.contains(&deviation.violation.rule), "{deviation:?}");
        assert!(!deviation.violation.pointer().is_empty(), "only members are let pass");
    }
}
