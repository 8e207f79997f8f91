//! Expectations that make decoding quick: what stood here last time.

use crate::schema::Schema;
use crate::schema::tables::Window;

/// What came where, last time.
///
/// Peers write the members of a type in the same order again and again, and the items of an array
/// with the same members and enumerated values, so comparing with the expected text is nearly
/// always the only comparison. A guess is made for each slot (a field, or the start of an object)
/// at each of the first positions of an array.
#[derive(Debug)]
pub(crate) struct Guesses {
    /// The slot of each type's start; those of its fields follow.
    pub(crate) first_slot: Vec<u32>,
    /// The field that followed a slot.
    pub(crate) next: Vec<u8>,
    /// The value of an enumerated field.
    pub(crate) values: Vec<u8>,
    /// The action of the last request.
    action: usize,
    /// Each action's name in quotes.
    actions: Vec<(Window, String)>,
}

/// Positions of an array that have guesses of their own; later ones share them.
pub(crate) const POSITIONS: usize = 16;

impl Guesses {
    pub(crate) fn new(schema: &Schema) -> Self {
        let quoted = schema.actions.iter().map(|action| format!("\"{}\"", action.name));
        let mut guesses = Self {
            first_slot: Vec::new(),
            next: Vec::new(),
            values: Vec::new(),
            action: 0,
            actions: quoted.map(|name| (Window::of(name.as_bytes()), name)).collect(),
        };
        let mut slots = 0;
        for object_type in schema.objects {
            guesses.first_slot.push(slots);
            for field in 0..=object_type.fields.len() {
                guesses.next.extend([field as u8; POSITIONS]);
                slots += 1;
            }
        }
        guesses.values.resize(guesses.next.len(), 0);
        guesses
    }

    /// The action of the last request and the length of its text, if that stands here again.
    #[inline]
    pub(crate) fn action_at(&self, padded: &[u8]) -> Option<(usize, usize)> {
        let (window, quoted) = &self.actions[self.action];
        let matches = padded.first_chunk().is_some_and(|head| window.matches(head))
            && (quoted.len() <= Window::WIDTH || padded.starts_with(quoted.as_bytes()));
        matches.then_some((self.action, quoted.len()))
    }

    /// Remembers the action of a request.
    pub(crate) fn remember_action(&mut self, index: usize) {
        self.action = index;
    }
}
