//! The buffer that frames are written into.

use crate::scan::plain_prefix;
use crate::schema::tables::Window;

/// A piece of text that is copied as a block of fixed size, without a branch on its length.
pub type Block = [u8; Window::WIDTH];

/// Bytes in front of the write position are text, those behind it are scratch.
///
/// The position is handed from call to call as a value, so that it stays in a register.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    length: usize,
}

impl Writer {
    /// Starts anew, keeping the memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// What has been written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends text as it is.
    pub fn raw(&mut self, text: &[u8]) {
        self.length = self.put(self.length, text);
    }

    /// Appends a JSON string.
    pub fn string(&mut self, text: &[u8]) {
        self.length = self.put_string(self.length, text);
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> usize {
        self.length
    }

    /// Ends the writing at `at`.
    pub(crate) fn end_at(&mut self, at: usize) {
        self.length = at;
    }

    /// What stands between two positions.
    pub(crate) fn between(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[from..to]
    }

    /// Writes the first `length` bytes of a block.
    #[inline]
    pub fn put_block<const N: usize>(
        &mut self,
        at: usize,
        block: &[u8; N],
        length: usize,
    ) -> usize {
        debug_assert!(length <= N);
        if let Some(room) = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *room = *block;
            return at + length;
        }
        self.grow(at + N);
        self.put(at, &block[..length])
    }

    #[inline]
    pub(crate) fn put_byte(&mut self, at: usize, byte: u8) -> usize {
        if at >= self.bytes.len() {
            self.grow(at + 1);
        }
        self.bytes[at] = byte;
        at + 1
    }

    /// Writes text at a position; returns the one behind it.
    #[inline]
    pub fn put(&mut self, at: usize, text: &[u8]) -> usize {
        let end = at + text.len();
        if end > self.bytes.len() {
            self.grow(end);
        }
        self.bytes[at..end].copy_from_slice(text);
        end
    }

    #[inline]
    pub(crate) fn put_string(&mut self, at: usize, text: &[u8]) -> usize {
        let at = self.put_byte(at, b'"');
        let plain = plain_prefix(text);
        let mut at = self.put(at, &text[..plain]);
        if plain < text.len() {
            at = self.put_escaped(at, &text[plain..]);
        }
        self.put_byte(at, b'"')
    }

    /// Replaces the comma before `at`, or appends if the bracket was opened there.
    #[inline]
    pub(crate) fn put_close(&mut self, at: usize, open: u8, close: u8) -> usize {
        if self.bytes[at - 1] == open {
            return self.put_byte(at, close);
        }
        self.bytes[at - 1] = close;
        at
    }

    #[cold]
    fn put_escaped(&mut self, mut at: usize, mut text: &[u8]) -> usize {
        while let Some((byte, tail)) = text.split_first() {
            at = self.put_escape(at, *byte);
            let plain = plain_prefix(tail);
            at = self.put(at, &tail[..plain]);
            text = &tail[plain..];
        }
        at
    }

    fn put_escape(&mut self, at: usize, byte: u8) -> usize {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' => self.put(at, b"\\\""),
            b'\\' => self.put(at, b"\\\\"),
            b'\n' => self.put(at, b"\\n"),
            b'\r' => self.put(at, b"\\r"),
            b'\t' => self.put(at, b"\\t"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                let at = self.put(at, b"\\u00");
                self.put(at, &digits)
            }
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize((needed * 2).max(4096), 0);
    }
}
