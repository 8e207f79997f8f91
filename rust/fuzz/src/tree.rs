//! The plainest home for decoded values: a tree in memory, made by a [`Sink`], read by a [`Source`].

use std::marker::PhantomData;

use ocpp_core::Deviation;
use ocpp_core::datetime::DateTime;
use ocpp_core::frame::Frame;
use ocpp_core::sink::{Sink, Source};
use ocpp_core::writer::Writer;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Moment(DateTime),
    Enumeration(u16, usize),
    Json(String),
    Object(u16, Vec<Option<Tree>>),
    List(Vec<Tree>),
}

/// An object made from the first bytes of its text.
struct Leaf {
    object_type: u16,
    head: [u8; 32],
    length: usize,
    value: Tree,
}

/// How many leaves are shared; few, so that they are also exchanged.
const LEAVES: usize = 8;

/// How many places for readings there are; few, so that they get into each other's way.
const READINGS: usize = 4;

/// Builds trees.
#[derive(Default)]
pub struct TreeSink {
    lists: Vec<Tree>,
    leaves: Vec<Leaf>,
    next_leaf: usize,
    readings: [Option<(u16, Vec<u8>, Tree)>; READINGS],
}

impl TreeSink {
    /// Whether every list that was begun has been ended.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lists.is_empty()
    }
}

impl Sink for TreeSink {
    type Value = Tree;
    type Object = (u16, Vec<Option<Tree>>);
    type Frame = (Frame<Tree>, Vec<Deviation>);

    fn frame(&mut self, frame: Frame<Tree>, deviations: Vec<Deviation>) -> Self::Frame {
        (frame, deviations)
    }

    fn ascii(&mut self, text: &[u8]) -> Tree {
        assert!(text.is_ascii());
        Tree::Text(String::from_utf8_lossy(text).into_owned())
    }

    fn shared_ascii(&mut self, text: &[u8], _hash: u64) -> Tree {
        self.ascii(text)
    }

    fn text(&mut self, text: &str) -> Tree {
        assert!(!text.is_ascii());
        Tree::Text(text.to_owned())
    }

    fn integer(&mut self, value: i64) -> Tree {
        Tree::Integer(value)
    }

    fn number(&mut self, value: f64) -> Tree {
        assert!(value.is_finite());
        Tree::Number(value)
    }

    fn boolean(&mut self, value: bool) -> Tree {
        Tree::Boolean(value)
    }

    fn date_time(&mut self, value: DateTime) -> Tree {
        Tree::Moment(value)
    }

    fn enumeration(&mut self, enumeration: u16, value: usize) -> Tree {
        Tree::Enumeration(enumeration, value)
    }

    fn json(&mut self, text: &str) -> Tree {
        Tree::Json(text.to_owned())
    }

    fn object(&mut self, object_type: u16) -> Self::Object {
        (object_type, Vec::new())
    }

    fn set(&mut self, (_, members): &mut Self::Object, field: usize, value: Tree) {
        if members.len() <= field {
            members.resize(field + 1, None);
        }
        assert!(members[field].is_none(), "a member is set once");
        members[field] = Some(value);
    }

    fn finish(&mut self, (object_type, members): Self::Object) -> Tree {
        Tree::Object(object_type, members)
    }

    fn list(&mut self) -> usize {
        self.lists.len()
    }

    fn push(&mut self, value: Tree) {
        self.lists.push(value);
    }

    fn finish_list(&mut self, mark: usize) -> Tree {
        Tree::List(self.lists.split_off(mark))
    }

    fn discard_list(&mut self, mark: usize) {
        self.lists.truncate(mark);
    }

    fn reading(
        &mut self,
        object_type: u16,
        place: usize,
        number: Tree,
        tail: &[u8],
    ) -> Result<(Tree, usize), Tree> {
        match &self.readings[place % READINGS] {
            Some((id, text, Tree::Object(_, members)))
                if *id == object_type && tail.starts_with(text) =>
            {
                let mut members = members.clone();
                members[0] = Some(number);
                Ok((Tree::Object(object_type, members), text.len()))
            }
            _ => Err(number),
        }
    }

    fn keep_reading(&mut self, object_type: u16, place: usize, tail: &[u8], value: &Tree) {
        self.readings[place % READINGS] = Some((object_type, tail.to_vec(), value.clone()));
    }

    fn shared(
        &mut self,
        object_type: u16,
        _place: usize,
        head: &[u8; 32],
    ) -> Option<(Tree, usize)> {
        let same = |leaf: &&Leaf| {
            leaf.object_type == object_type && leaf.head[..leaf.length] == head[..leaf.length]
        };
        self.leaves.iter().find(same).map(|leaf| (leaf.value.clone(), leaf.length))
    }

    fn share(&mut self, object_type: u16, head: &[u8; 32], length: usize, value: &Tree) {
        let leaf = Leaf { object_type, head: *head, length, value: value.clone() };
        if self.leaves.len() < LEAVES {
            self.leaves.push(leaf);
        } else {
            self.leaves[self.next_leaf] = leaf;
            self.next_leaf = (self.next_leaf + 1) % LEAVES;
        }
    }
}

/// Reads trees that live for `'a`.
#[derive(Default)]
pub struct TreeSource<'a>(PhantomData<&'a Tree>);

impl<'a> Source for TreeSource<'a> {
    type Value = &'a Tree;

    fn member(&self, object: Self::Value, field: usize) -> Option<Self::Value> {
        match object {
            Tree::Object(_, members) => members.get(field)?.as_ref(),
            other => unreachable!("no object: {other:?}"),
        }
    }

    fn text(&self, value: Self::Value) -> (&[u8], usize) {
        match value {
            Tree::Text(text) => (text.as_bytes(), text.chars().count()),
            other => unreachable!("no text: {other:?}"),
        }
    }

    fn integer(&self, value: Self::Value) -> i64 {
        match value {
            Tree::Integer(value) => *value,
            other => unreachable!("no integer: {other:?}"),
        }
    }

    fn number(&self, value: Self::Value) -> f64 {
        match value {
            Tree::Number(value) => *value,
            other => unreachable!("no number: {other:?}"),
        }
    }

    fn boolean(&self, value: Self::Value) -> bool {
        match value {
            Tree::Boolean(value) => *value,
            other => unreachable!("no boolean: {other:?}"),
        }
    }

    fn date_time(&self, value: Self::Value) -> DateTime {
        match value {
            Tree::Moment(value) => *value,
            other => unreachable!("no date-time: {other:?}"),
        }
    }

    fn enumeration(&self, enumeration: u16, value: Self::Value) -> usize {
        match value {
            Tree::Enumeration(id, value) if *id == enumeration => *value,
            other => unreachable!("no value of enumeration {enumeration}: {other:?}"),
        }
    }

    fn json(&self, value: Self::Value) -> &[u8] {
        match value {
            Tree::Json(text) => text.as_bytes(),
            other => unreachable!("no JSON: {other:?}"),
        }
    }

    fn length(&self, list: Self::Value) -> usize {
        match list {
            Tree::List(items) => items.len(),
            other => unreachable!("no list: {other:?}"),
        }
    }

    fn item(&self, list: Self::Value, index: usize) -> Self::Value {
        match list {
            Tree::List(items) => &items[index],
            other => unreachable!("no list: {other:?}"),
        }
    }

    fn put_tail(
        &self,
        _reading: Self::Value,
        _place: usize,
        _out: &mut Writer,
        _at: usize,
    ) -> Option<usize> {
        None
    }

    fn keep_tail(&self, _reading: Self::Value, _place: usize, tail: &[u8]) {
        assert!(tail.ends_with(b"}"));
    }

    fn put_encoded(&self, _object: Self::Value, _out: &mut Writer, _at: usize) -> Option<usize> {
        None
    }

    fn keep_encoded(&self, _object: Self::Value, text: &[u8]) {
        assert!(text.starts_with(b"{") && text.ends_with(b"}"));
    }
}
