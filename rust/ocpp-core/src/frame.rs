//! RPC frames (Part 4, chapter 4): from bytes to a typed message in one pass.

use crate::guess::Guesses;
use crate::parse::{Deviation, Parsed, Parser};
use crate::scan::{PADDING, string_end};
use crate::schema::Schema;
use crate::sink::Sink;
use crate::violation::{Rule, Violation};

/// Longest message id, in characters (Part 4, 4.1.4).
pub const MAX_ID_LENGTH: usize = 36;

/// Message type number of a CALL.
pub const CALL: i64 = 2;
/// Message type number of a CALLRESULT.
pub const CALL_RESULT: i64 = 3;
/// Message type number of a CALLERROR.
pub const CALL_ERROR: i64 = 4;
/// Message type number of a CALLRESULTERROR (OCPP 2.1).
pub const CALL_RESULT_ERROR: i64 = 5;
/// Message type number of a SEND (OCPP 2.1).
pub const SEND: i64 = 6;

/// The CALL that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct OpenCall<'a> {
    /// Its message id.
    pub id: &'a str,
    /// Object type of its response.
    pub response: u16,
}

/// A decoded frame.
#[derive(Debug, PartialEq)]
pub enum Frame<V> {
    /// CALL or SEND.
    Request {
        /// Whether it is a SEND.
        send: bool,
        /// Message id.
        id: V,
        /// Index of the action.
        action: usize,
        /// The typed payload.
        payload: V,
    },
    /// CALLRESULT.
    Result {
        /// Message id.
        id: V,
        /// The typed payload; `None` if no open call has this id.
        payload: Option<V>,
    },
    /// CALLERROR or CALLRESULTERROR.
    Error {
        /// Whether it is a CALLRESULTERROR.
        of_result: bool,
        /// Message id.
        id: V,
        /// Error code as received.
        code: V,
        /// Description as received.
        description: V,
        /// Details, a JSON object.
        details: V,
    },
    /// Anything that cannot be accepted.
    Invalid(Box<Invalid>),
}

/// What is wrong with a frame, and what was readable of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The message type number, if there is one.
    pub message_type: Option<i64>,
    /// The message id; `None` if it cannot be read.
    pub id: Option<String>,
    /// The action, if there is one.
    pub action: Option<String>,
    /// The broken rule and the place in the payload.
    pub violation: Box<Violation>,
}

/// Reusable state for decoding the messages of one version.
#[derive(Debug)]
pub struct Decoder {
    schema: &'static Schema,
    guesses: Guesses,
    padded: Vec<u8>,
}

/// Limits and leniency of a decoding.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether harmless deviations are kept and reported instead of refused.
    pub tolerant: bool,
    /// Longest accepted input, in bytes.
    pub max_bytes: usize,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    #[must_use]
    pub fn new(schema: &'static Schema) -> Self {
        Self { schema, guesses: Guesses::new(schema), padded: Vec::new() }
    }

    /// The version that it decodes.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Decodes one frame and hands it to [`Sink::frame`].
    #[inline]
    pub fn frame<S: Sink>(
        &mut self,
        bytes: &[u8],
        policy: Policy,
        open: Option<OpenCall<'_>>,
        sink: &mut S,
    ) -> S::Frame {
        let ascii = match self.load(bytes, policy) {
            Ok(ascii) => ascii,
            Err(violation) => return Header::default().invalid(violation, sink),
        };
        let mut frame =
            FrameParser { parser: self.parser(ascii, policy, sink), header: Header::default() };
        match frame.frame(open) {
            Ok(result) => result,
            Err(violation) => frame.header.invalid(violation, frame.parser.sink),
        }
    }

    /// Decodes the JSON object of one message or datatype.
    pub fn payload<S: Sink>(
        &mut self,
        bytes: &[u8],
        policy: Policy,
        object_type: u16,
        sink: &mut S,
    ) -> Result<(S::Value, Vec<Deviation>), Box<Violation>> {
        let ascii = self.load(bytes, policy)?;
        let mut parser = self.parser(ascii, policy, sink);
        parser.skip_space();
        let value = parser.payload(object_type)?;
        parser.skip_space();
        if parser.at != bytes.len() {
            return Err(parser.broken("expected the end"));
        }
        Ok((value, parser.deviations))
    }

    /// Copies the input in front of the padding; returns whether it is ASCII.
    #[inline]
    fn load(&mut self, bytes: &[u8], policy: Policy) -> Parsed<bool> {
        if bytes.len() > policy.max_bytes {
            return Err(unreadable(format!("longer than {} bytes", policy.max_bytes)));
        }
        self.padded.clear();
        self.padded.reserve(bytes.len() + PADDING);
        self.padded.extend_from_slice(bytes);
        self.padded.extend_from_slice(&[0; PADDING]);
        let ascii = bytes.is_ascii();
        if !ascii && str::from_utf8(bytes).is_err() {
            return Err(unreadable("not UTF-8"));
        }
        Ok(ascii)
    }

    #[inline]
    fn parser<'a, S: Sink>(
        &'a mut self,
        ascii: bool,
        policy: Policy,
        sink: &'a mut S,
    ) -> Parser<'a, S> {
        Parser {
            schema: self.schema,
            padded: &self.padded,
            at: 0,
            position: 0,
            ascii,
            tolerant: policy.tolerant,
            guesses: &mut self.guesses,
            sink,
            deviations: Vec::new(),
        }
    }
}

/// What is known of a frame that turns out to be invalid.
#[derive(Debug, Default)]
struct Header {
    message_type: Option<i64>,
    id: Option<String>,
    action: Option<String>,
}

impl Header {
    #[cold]
    fn invalid<S: Sink>(self, violation: Box<Violation>, sink: &mut S) -> S::Frame {
        let Self { message_type, id, action } = self;
        let invalid = Invalid { message_type, id, action, violation };
        sink.frame(Frame::Invalid(Box::new(invalid)), Vec::new())
    }
}

struct FrameParser<'a, S: Sink> {
    parser: Parser<'a, S>,
    header: Header,
}

/// A string of the frame: where it stands if it is plain, else its value.
enum Span {
    Plain(usize, usize),
    Resolved(String),
}

impl<S: Sink> FrameParser<'_, S> {
    #[inline]
    fn frame(&mut self, open: Option<OpenCall<'_>>) -> Parsed<S::Frame> {
        let message_type = self.message_type()?;
        self.comma()?;
        let id = self.message_id()?;
        let has_send = self.parser.schema.has_send;
        let known = match message_type {
            Some(CALL | CALL_RESULT | CALL_ERROR) => true,
            Some(CALL_RESULT_ERROR | SEND) => has_send,
            Some(_) => false,
            None => {
                self.remember_id(&id);
                return Err(unreadable("the message type must be an integer"));
            }
        };
        let result = match message_type {
            Some(number) if !known => Err(unknown_type(number)),
            Some(CALL_RESULT) => self.result(&id, open),
            Some(CALL_ERROR) => self.error(&id, false),
            Some(CALL_RESULT_ERROR) => self.error(&id, true),
            _ => self.request(&id, message_type == Some(SEND)),
        };
        if result.is_err() {
            self.remember_id(&id);
        }
        result
    }

    /// Reads `[` and the message type number, `None` if that is something else.
    #[inline]
    fn message_type(&mut self) -> Parsed<Option<i64>> {
        let parser = &mut self.parser;
        if let [b'[', digit @ b'2'..=b'6', b',', ..] = parser.padded {
            self.header.message_type = Some(i64::from(digit - b'0'));
            parser.at = 2;
            return Ok(self.header.message_type);
        }
        parser.skip_space();
        if parser.peek() != b'[' {
            return Err(unreadable("a frame is a JSON array"));
        }
        parser.at += 1;
        parser.skip_space();
        if matches!(parser.peek(), b'0'..=b'9' | b'-') {
            let number = parser.any_number("an integer").map_err(|_| no_message_type())?;
            self.header.message_type = number.as_whole();
        } else {
            parser.any_value().map_err(|_| no_message_type())?;
        }
        Ok(self.header.message_type)
    }

    #[inline]
    fn message_id(&mut self) -> Parsed<Span> {
        let id = self.string("the message id")?;
        let length = match &id {
            Span::Plain(from, to) if self.parser.ascii => to - from,
            _ => self.resolve(&id).chars().count(),
        };
        if length == 0 || length > MAX_ID_LENGTH {
            let cause = format!("the message id must have 1 to {MAX_ID_LENGTH} characters");
            return Err(unreadable(cause));
        }
        Ok(id)
    }

    #[inline]
    fn request(&mut self, id: &Span, send: bool) -> Parsed<S::Frame> {
        self.comma()?;
        let index = self.action(send)?;
        let action = &self.parser.schema.actions[index];
        match self.comma().and_then(|()| self.payload(action.request)) {
            Ok(payload) => {
                let id = self.value(id);
                Ok(self.finish(Frame::Request { send, id, action: index, payload }))
            }
            Err(violation) => {
                self.header.action = Some(action.name.to_owned());
                Err(violation)
            }
        }
    }

    /// Index of the action, which must have this framing.
    #[inline]
    fn action(&mut self, send: bool) -> Parsed<usize> {
        let parser = &mut self.parser;
        let (index, length) = match parser.guesses.action_at(&parser.padded[parser.at..]) {
            Some(guess) => guess,
            None => return self.search_action(send),
        };
        if parser.schema.actions[index].response.is_none() != send {
            return self.search_action(send);
        }
        parser.at += length;
        Ok(index)
    }

    fn search_action(&mut self, send: bool) -> Parsed<usize> {
        let action = self.string("the action")?;
        let name = self.resolve(&action);
        let schema = self.parser.schema;
        let candidate = schema.action_lookup.candidate(name.as_bytes());
        let found = candidate.filter(|index| {
            let action = &schema.actions[*index];
            action.name == name && action.response.is_none() == send
        });
        let Some(index) = found else {
            self.header.action = Some(name);
            return Err(unknown_action(send));
        };
        self.parser.guesses.remember_action(index);
        Ok(index)
    }

    fn result(&mut self, id: &Span, open: Option<OpenCall<'_>>) -> Parsed<S::Frame> {
        self.comma()?;
        let Some(open) = open.filter(|open| self.is_id(id, open.id)) else {
            self.parser.any_value()?;
            self.close()?;
            let id = self.value(id);
            return Ok(self.finish(Frame::Result { id, payload: None }));
        };
        let payload = self.payload(open.response)?;
        let id = self.value(id);
        Ok(self.finish(Frame::Result { id, payload: Some(payload) }))
    }

    fn is_id(&self, id: &Span, expected: &str) -> bool {
        match id {
            Span::Plain(from, to) => &self.parser.padded[*from..*to] == expected.as_bytes(),
            Span::Resolved(text) => text == expected,
        }
    }

    fn error(&mut self, id: &Span, of_result: bool) -> Parsed<S::Frame> {
        self.comma()?;
        let code = self.string("the error code")?;
        self.comma()?;
        let description = self.string("the error description")?;
        self.comma()?;
        if self.parser.peek() != b'{' {
            return Err(unreadable("the error details must be an object"));
        }
        let details = self.parser.any_value()?;
        self.close()?;
        let frame = Frame::Error {
            of_result,
            id: self.value(id),
            code: self.value(&code),
            description: self.value(&description),
            details: self.parser.sink.json(&details),
        };
        Ok(self.finish(frame))
    }

    #[inline(always)]
    fn finish(&mut self, frame: Frame<S::Value>) -> S::Frame {
        let deviations = std::mem::take(&mut self.parser.deviations);
        self.parser.sink.frame(frame, deviations)
    }

    /// The payload and everything behind it.
    #[inline]
    fn payload(&mut self, object_type: u16) -> Parsed<S::Value> {
        let payload = self.parser.payload(object_type)?;
        self.close()?;
        Ok(payload)
    }

    #[inline]
    fn comma(&mut self) -> Parsed<()> {
        self.parser.skip_space();
        if self.parser.peek() != b',' {
            return Err(unreadable("the frame has too few elements"));
        }
        self.parser.at += 1;
        self.parser.skip_space();
        Ok(())
    }

    #[inline]
    fn close(&mut self) -> Parsed<()> {
        let parser = &mut self.parser;
        parser.skip_space();
        if parser.peek() != b']' {
            return Err(unreadable("the frame must end behind its last element"));
        }
        parser.at += 1;
        parser.skip_space();
        if parser.at + PADDING != parser.padded.len() {
            return Err(unreadable("something stands behind the frame"));
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self, what: &str) -> Parsed<Span> {
        let parser = &mut self.parser;
        if parser.peek() != b'"' {
            return Err(unreadable(format!("{what} must be a string")));
        }
        let start = parser.at + 1;
        let end = string_end(parser.padded, start);
        if parser.padded[end] == b'"' {
            parser.at = end + 1;
            return Ok(Span::Plain(start, end));
        }
        match parser.string_value() {
            Ok(text) => Ok(Span::Resolved(text)),
            Err(_) => Err(unreadable(format!("{what} is malformed"))),
        }
    }

    #[inline]
    fn value(&mut self, span: &Span) -> S::Value {
        match span {
            Span::Plain(from, to) if self.parser.ascii => {
                self.parser.sink.ascii(&self.parser.padded[*from..*to])
            }
            _ => {
                let text = self.resolve(span);
                if text.is_ascii() {
                    self.parser.sink.ascii(text.as_bytes())
                } else {
                    self.parser.sink.text(&text)
                }
            }
        }
    }

    fn resolve(&self, span: &Span) -> String {
        match span {
            Span::Plain(from, to) => {
                String::from_utf8_lossy(&self.parser.padded[*from..*to]).into_owned()
            }
            Span::Resolved(text) => text.clone(),
        }
    }

    #[cold]
    fn remember_id(&mut self, id: &Span) {
        self.header.id = Some(self.resolve(id));
    }
}

#[cold]
fn unreadable(cause: impl Into<String>) -> Box<Violation> {
    Box::new(Violation::new(Rule::Frame, cause))
}

#[cold]
fn no_message_type() -> Box<Violation> {
    unreadable("the message type cannot be read")
}

#[cold]
fn unknown_type(number: i64) -> Box<Violation> {
    let cause = format!("this version has no message type {number}");
    Box::new(Violation::new(Rule::MessageType, cause))
}

#[cold]
fn unknown_action(send: bool) -> Box<Violation> {
    let framing = if send { "SEND" } else { "CALL" };
    Box::new(Violation::new(Rule::Action, format!("this version has no such {framing} action")))
}
