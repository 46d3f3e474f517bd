//! The picture that is shown, from its beginning to its end.

use super::command::Picture;
use super::graph::Values;
use super::scroll::Scroll;
use super::{Frame, Rgb};
use crate::base::clock::Monotonic;

/// A picture and its time. Once that is over it is a dark one, since then.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    picture: Picture,
    /// How the picture runs, where it is text.
    scroll: Option<Scroll>,
    since: Monotonic,
    /// When it is cleared.
    until: Option<Monotonic>,
}

impl Shown {
    /// The picture from now on: for ever, or until its text has left.
    pub(super) fn new(picture: Picture, since: Monotonic) -> Self {
        let scroll = match &picture {
            Picture::Text(text) => Some(Scroll::new(text)),
            _ => None,
        };
        let until = scroll.as_ref().map(|scroll| since + scroll.length());
        Self { picture, scroll, since, until }
    }

    /// Sets when it is cleared. Text that ends before does so all the same, and a dark picture has no end.
    pub(super) fn limit(&mut self, until: Monotonic) {
        let end = self.scroll.as_ref().map(|scroll| self.since + scroll.length());
        self.until = match self.picture {
            Picture::Clear => None,
            _ => Some(end.map_or(until, |end| end.min(until))),
        };
    }

    /// Becomes the dark picture, where its time is over.
    pub(super) fn settle(&mut self, now: Monotonic) {
        if let Some(end) = self.end(now) {
            *self = Self::new(Picture::Clear, end);
        }
    }

    /// When it was over, where it is.
    fn end(&self, now: Monotonic) -> Option<Monotonic> {
        self.until.filter(|until| *until <= now)
    }

    /// What is shown at this moment.
    pub(super) fn picture(&self, now: Monotonic) -> &Picture {
        if self.end(now).is_some() { &Picture::Clear } else { &self.picture }
    }

    /// Since when that is shown.
    pub(super) fn since(&self, now: Monotonic) -> Monotonic {
        self.end(now).unwrap_or(self.since)
    }

    /// Until when that is shown; `None`: until the next command.
    pub(super) fn until(&self, now: Monotonic) -> Option<Monotonic> {
        self.until.filter(|until| *until > now)
    }

    /// The next moment at which the frame changes by itself.
    pub(super) fn next_deadline(&self, now: Monotonic) -> Option<Monotonic> {
        // text has an end, so whatever changes by itself has one
        let until = self.until(now)?;
        let column = self.scroll.as_ref().map(|scroll| self.since + scroll.next(now.since(self.since)));
        Some(column.map_or(until, |column| column.min(until)))
    }

    /// The frame of this moment, as it is drawn: not turned, and at full brightness.
    pub(super) fn frame(&self, values: &Values, now: Monotonic) -> Frame {
        match self.picture(now) {
            Picture::Clear => Frame::DARK,
            Picture::Pixels(frame) | Picture::Image(frame) => *frame,
            Picture::Fill(colour) => Frame::filled(*colour),
            Picture::Icon(icon, colour) => icon.frame(*colour),
            Picture::Text(text) => {
                let window = self.scroll.as_ref().map(|scroll| scroll.window(now.since(self.since)));
                Frame::from_columns(window.unwrap_or_default(), text.colour, text.background)
            }
            Picture::Graph(graph) => {
                let bars = values.bars(&graph.quantity, graph.low, graph.high);
                Frame::from_columns(bars, graph.colour, Rgb::BLACK)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn a_picture_is_dark_from_its_end_on_whether_or_not_it_was_settled() {
        let mut shown = Shown::new(Picture::Fill(Rgb::RED), at(1));
        assert_eq!((shown.until(at(9)), shown.next_deadline(at(9))), (None, None));
        shown.limit(at(5));
        assert_eq!((shown.since(at(4)), shown.next_deadline(at(4))), (at(1), Some(at(5))));
        for settle in [false, true] {
            if settle {
                shown.settle(at(6));
            }
            assert_eq!(shown.frame(&Values::default(), at(6)), Frame::DARK);
            assert_eq!((shown.since(at(6)), shown.until(at(6))), (at(5), None));
            assert_eq!((shown.picture(at(6)), shown.next_deadline(at(6))), (&Picture::Clear, None));
        }
    }

    #[test]
    fn a_dark_picture_has_no_end() {
        let mut shown = Shown::new(Picture::Clear, at(1));
        shown.limit(at(5));
        assert_eq!((shown.until(at(1)), shown.since(at(9))), (None, at(1)));
    }
}
