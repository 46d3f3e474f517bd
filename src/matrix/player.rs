//! The machine of the matrix: what is shown, and which frame that is now.

use super::command::{Command, Picture};
use super::graph::Values;
use super::shown::Shown;
use super::{Brightness, Frame, Gamma, Options, Rotation, State};
use crate::base::clock::Monotonic;

/// What is shown and how. Commands and values go in, each with the time; frames, deadlines and the state come out.
///
/// A picture whose time is over is dark from that moment on, whether or not anything is called then.
#[derive(Clone, Debug)]
pub struct Player {
    options: Options,
    rotation: Rotation,
    low_light: bool,
    brightness: Brightness,
    shown: Shown,
    values: Values,
}

impl Player {
    /// A dark matrix.
    pub fn new(options: Options, now: Monotonic) -> Self {
        let Options { low_light, brightness_max, rotation, .. } = options;
        let shown = Shown::new(Picture::Clear, now);
        Self { options, rotation, low_light, brightness: brightness_max, shown, values: Values::default() }
    }

    /// Does what a command asks for, in the place of what was shown before. Settings stay until a command changes them;
    /// a timeout is the picture's, and falls back to that of the options with the next one.
    pub fn handle_command(&mut self, command: Command, now: Monotonic) {
        self.rotation = command.rotation.unwrap_or(self.rotation);
        self.low_light = command.low_light.unwrap_or(self.low_light);
        self.brightness = command.brightness.unwrap_or(self.brightness).min(self.options.brightness_max);
        let is_new = command.picture.is_some();
        self.shown.settle(now);
        if let Some(picture) = command.picture {
            self.shown = Shown::new(picture, now);
        }
        let fallback = self.options.timeout.filter(|_| is_new);
        if let Some(timeout) = command.timeout.or(fallback) {
            self.shown.limit(now + timeout);
        }
    }

    /// Takes the newest value of a quantity, or that there is none. Tells whether that changes the frame.
    pub fn handle_value(&mut self, quantity: &str, value: Option<f64>, now: Monotonic) -> bool {
        self.values.add(quantity, value);
        matches!(self.shown.picture(now), Picture::Graph(graph) if graph.quantity == quantity)
    }

    /// The frame of this moment, turned, and at the brightness that is set. The gamma is left to the framebuffer.
    pub fn frame(&self, now: Monotonic) -> Frame {
        self.shown.frame(&self.values, now).rotated(self.rotation).at(self.brightness)
    }

    /// Which table the framebuffer uses.
    pub fn gamma(&self) -> Gamma {
        if self.low_light { Gamma::LowLight } else { Gamma::Default }
    }

    /// The next moment after `now` at which the frame changes by itself: text moves, or time is over.
    pub fn next_deadline(&self, now: Monotonic) -> Option<Monotonic> {
        self.shown.next_deadline(now)
    }

    /// What is shown at this moment.
    pub fn state(&self, now: Monotonic) -> State {
        let picture = self.shown.picture(now);
        let (mut text, mut icon, mut graph) = (None, None, None);
        match picture {
            Picture::Text(shown) => text = Some(shown.text.clone()),
            Picture::Icon(shown, _) => icon = Some(shown.name),
            Picture::Graph(shown) => graph = Some(shown.quantity.clone()),
            Picture::Clear | Picture::Fill(_) | Picture::Pixels(_) | Picture::Image(_) => {}
        }
        State {
            kind: picture.kind(),
            text,
            icon,
            graph,
            colour: picture.colour(),
            rotation: self.rotation,
            low_light: self.low_light,
            brightness: self.brightness,
            since: self.shown.since(now),
            until: self.shown.until(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::matrix::Rgb;
    use crate::matrix::command::Kind;

    /// The moment this long after the boot.
    fn at(milliseconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(milliseconds))
    }

    fn player() -> Player {
        Player::new(Options::default(), at(0))
    }

    fn tell(player: &mut Player, milliseconds: u64, payload: &str) {
        player.handle_command(Command::parse(payload.as_bytes()).unwrap(), at(milliseconds));
    }

    fn colour(player: &Player, milliseconds: u64) -> Rgb {
        player.frame(at(milliseconds)).get(0, 0).unwrap()
    }

    #[test]
    fn a_matrix_starts_dark_and_in_low_light() {
        let player = player();
        assert_eq!(player.frame(at(5)), Frame::DARK);
        assert_eq!(player.gamma(), Gamma::LowLight);
        assert_eq!(player.next_deadline(at(5)), None);
        let expected = r#"{"kind":"clear","rotation":0,"low_light":true,"brightness":1.0,"since_monotonic_ms":0}"#;
        assert_eq!(player.state(at(5)).to_json(), expected);
    }

    #[test]
    fn a_later_command_replaces_an_earlier_one_at_once() {
        let mut player = player();
        tell(&mut player, 0, r#"{"text": "hello", "repeat": 9}"#);
        tell(&mut player, 50, r#"{"fill": "red"}"#);
        assert_eq!(player.frame(at(50)), Frame::filled(Rgb::RED));
        assert_eq!(player.next_deadline(at(50)), None);
        tell(&mut player, 60, "");
        assert_eq!(player.frame(at(60)), Frame::DARK);
    }

    #[test]
    fn a_picture_is_cleared_when_its_timeout_is_over() {
        let mut player = player();
        tell(&mut player, 1_000, r#"{"fill": "red", "timeout": 2}"#);
        assert_eq!(player.next_deadline(at(1_000)), Some(at(3_000)));
        assert_eq!(colour(&player, 2_999), Rgb::RED);
        assert_eq!(colour(&player, 3_000), Rgb::BLACK);
        assert_eq!(player.next_deadline(at(3_000)), None);
        let state = player.state(at(9_000));
        assert_eq!((state.kind, state.since, state.until), (Kind::Clear, at(3_000), None));
        tell(&mut player, 9_000, r#"{"timeout": 5}"#);
        assert_eq!(player.state(at(9_000)), state, "there is nothing to clear");
    }

    #[test]
    fn settings_change_the_picture_that_is_there() {
        let mut player = player();
        tell(&mut player, 0, r#"{"pixels": {"0,0": "red"}}"#);
        tell(&mut player, 10, r#"{"rotation": 90, "low_light": false, "brightness": 0.5, "timeout": 1}"#);
        let state = player.state(at(20));
        assert_eq!((state.kind, state.since, state.until), (Kind::Pixels, at(0), Some(at(1_010))));
        assert_eq!(player.frame(at(20)).get(7, 0), Some(Rgb::new(127, 0, 0)));
        assert_eq!(player.gamma(), Gamma::Default);
        tell(&mut player, 30, r#"{"fill": "red"}"#);
        assert_eq!(colour(&player, 9_999), Rgb::new(127, 0, 0), "settings stay, the timeout does not");
    }

    #[test]
    fn options_limit_brightness_and_time() {
        let brightness_max = Brightness::new(0.5).unwrap();
        let options = Options { brightness_max, timeout: Some(Duration::from_secs(60)), ..Options::default() };
        let mut player = Player::new(options, at(0));
        tell(&mut player, 0, r#"{"fill": "red", "brightness": 0.9}"#);
        assert_eq!(colour(&player, 59_999), Rgb::new(127, 0, 0));
        assert_eq!(colour(&player, 60_000), Rgb::BLACK);
        assert_eq!(player.state(at(0)).brightness, brightness_max);
    }

    #[test]
    fn text_moves_until_it_has_left() {
        let mut player = player();
        tell(&mut player, 0, r#"{"text": "Hi", "colour": "green", "background": "blue"}"#);
        let expected = "\
BBGBBGBG
BBGBBGBB
BBGBBGBG
BBGGGGBG
BBGBBGBG
BBGBBGBG
BBGBBGBG
BBBBBBBB
";
        assert_eq!(player.frame(at(500)).to_string(), expected);
        assert_eq!(player.next_deadline(at(500)), Some(at(600)));
        assert_eq!(player.next_deadline(at(1_310)), Some(at(1_400)));
        assert_eq!(player.next_deadline(at(1_400)), None);
        assert_eq!(player.frame(at(1_400)), Frame::DARK);
        tell(&mut player, 0, r#"{"text": "Hi", "timeout": 0.25}"#);
        assert_eq!(player.next_deadline(at(210)), Some(at(250)));
        let expected = r##"{"kind":"text","text":"Hi","colour":"#ffffff","rotation":0,"low_light":true,"brightness":1.0,"since_monotonic_ms":0,"until_monotonic_ms":250}"##;
        assert_eq!(player.state(at(0)).to_json(), expected);
    }

    #[test]
    fn a_graph_follows_its_quantity() {
        let mut player = player();
        assert!(!player.handle_value("temperature", Some(20.0), at(0)));
        tell(&mut player, 0, r#"{"graph": "temperature", "low": 20, "high": 27, "timeout": 9}"#);
        assert!(player.handle_value("temperature", Some(23.0), at(1)));
        assert!(!player.handle_value("pressure", Some(1000.0), at(1)));
        let row = "........\n";
        let expected = row.repeat(4) + &".......#\n".repeat(3) + "......##\n";
        assert_eq!(player.frame(at(2)).to_string(), expected);
        assert!(!player.handle_value("temperature", Some(25.0), at(9_000)), "the graph is gone");
    }
}
