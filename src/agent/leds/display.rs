//! A player and its screen: what the thread of the matrix drives.

use std::path::PathBuf;

use super::inbox::News;
use super::report::Report;
use super::screen::Screen;
use crate::base::clock::Monotonic;
use crate::matrix::{Command, Options, Player};

/// The matrix, as long as it is in use.
#[derive(Debug)]
pub(super) struct Display {
    options: Options,
    player: Player,
    screen: Screen,
}

impl Display {
    /// A dark one; the framebuffer is looked for below `root`.
    pub(super) fn new(root: PathBuf, options: Options, now: Monotonic, seed: u64) -> Self {
        Self { player: Player::new(options.clone(), now), options, screen: Screen::open(root, now, seed) }
    }

    /// Goes on with other options. What is shown goes, as at a start; options that are the same change nothing.
    pub(super) fn set_options(&mut self, options: Options, now: Monotonic) {
        if self.options != options {
            self.player = Player::new(options.clone(), now);
            self.options = options;
        }
    }

    /// Takes a command and values in.
    pub(super) fn handle_news(&mut self, news: News, now: Monotonic) {
        for (quantity, value) in news.values.into_iter().flatten() {
            self.player.handle_value(quantity, value, now);
        }
        if let Some(command) = news.command {
            self.player.handle_command(command, now);
        }
    }

    /// Shows the frame of now; tells what that is, and whether it can be seen.
    pub(super) fn show(&mut self, now: Monotonic) -> Report {
        self.screen.show(&self.player.frame(now), self.player.gamma(), now);
        Report { state: self.player.state(now), health: self.screen.health() }
    }

    /// Makes the matrix dark: a picture that stays when nobody renews it would be taken for the truth.
    pub(super) fn clear(&mut self, now: Monotonic) -> Report {
        self.player.handle_command(Command::CLEAR, now);
        self.show(now)
    }

    /// The next moment at which there is something to do.
    pub(super) fn next_deadline(&self, now: Monotonic) -> Monotonic {
        let of_screen = self.screen.next_deadline();
        self.player.next_deadline(now).map_or(of_screen, |of_player| of_player.min(of_screen))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::super::report::Health;
    use super::*;

    /// The moment this long after the boot.
    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    /// Makes files below `root` that look like a matrix.
    fn plug_in(root: &Path) {
        let class = root.join("sys/class/graphics/fb0");
        fs::create_dir_all(&class).unwrap();
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::write(class.join("name"), "RPi-Sense FB\n").unwrap();
        fs::write(device(root), [0xff; 128]).unwrap();
    }

    fn device(root: &Path) -> PathBuf {
        root.join("dev/fb0")
    }

    fn is_filled(root: &Path, bytes: [u8; 2]) -> bool {
        fs::read(device(root)).unwrap() == bytes.repeat(64)
    }

    fn display(root: &Path) -> Display {
        Display::new(root.into(), Options { low_light: false, ..Options::default() }, at(0), 7)
    }

    fn tell(display: &mut Display, payload: &str, now: Monotonic) -> Report {
        let command = Some(Command::parse(payload.as_bytes()).unwrap());
        display.handle_news(News { command, ..News::default() }, now);
        display.show(now)
    }

    #[test]
    fn a_start_makes_the_matrix_dark_and_so_does_the_end() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        assert_eq!(display.show(at(0)).health, Health::Ok);
        assert!(is_filled(root.path(), [0, 0]));
        tell(&mut display, r#"{"fill": "blue"}"#, at(1));
        assert!(is_filled(root.path(), [0x1f, 0]));
        display.clear(at(2));
        assert!(is_filled(root.path(), [0, 0]));
    }

    #[test]
    fn a_frame_that_is_there_already_is_not_written_again() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        tell(&mut display, r#"{"fill": "blue"}"#, at(1));
        fs::write(device(root.path()), [0xff; 128]).unwrap();
        tell(&mut display, r#"{"fill": "blue"}"#, at(2));
        assert!(is_filled(root.path(), [0xff, 0xff]));
        assert_eq!(display.next_deadline(at(2)), at(10), "when it is looked whether it is still there");
    }

    #[test]
    fn an_absent_matrix_is_looked_for_until_it_is_there_and_then_shows_what_it_was_told() {
        let root = tempfile::tempdir().unwrap();
        let mut display = display(root.path());
        let report = tell(&mut display, r#"{"fill": "red"}"#, at(0));
        assert!(matches!(&report.health, Health::Absent(text) if text.contains("rpi-sense")), "{report:?}");
        plug_in(root.path());
        assert_eq!(display.show(at(0)).health, report.health, "it is not yet time to look");
        let deadline = display.next_deadline(at(0));
        assert!((at(1)..=at(3)).contains(&deadline));
        assert_eq!(display.show(deadline).health, Health::Ok);
        assert!(is_filled(root.path(), [0, 0xf8]));
    }

    #[test]
    fn looks_for_an_absent_matrix_are_thirty_seconds_apart_at_most() {
        let root = tempfile::tempdir().unwrap();
        let mut display = display(root.path());
        let mut now = at(0);
        for _ in 0..50 {
            let deadline = display.next_deadline(now);
            assert!((Duration::from_secs(1)..=Duration::from_secs(30)).contains(&deadline.since(now)));
            now = deadline;
            display.show(now);
        }
    }

    #[test]
    fn a_picture_goes_when_its_time_is_over() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        tell(&mut display, r#"{"fill": "red", "timeout": 5}"#, at(1));
        assert_eq!(display.next_deadline(at(1)), at(6));
        display.show(at(6));
        assert!(is_filled(root.path(), [0, 0]));
    }

    #[test]
    fn a_matrix_that_is_taken_away_is_noticed_and_one_that_comes_shows_the_picture() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        tell(&mut display, r#"{"fill": "blue"}"#, at(1));
        fs::remove_file(device(root.path())).unwrap();
        assert!(matches!(display.show(at(10)).health, Health::Absent(_)));
        plug_in(root.path());
        assert_eq!(display.show(display.next_deadline(at(10))).health, Health::Ok);
        assert!(is_filled(root.path(), [0x1f, 0]));
    }

    #[test]
    fn a_graph_follows_the_samples() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        tell(&mut display, r#"{"graph": "pressure", "low": 1000, "high": 1010, "colour": "blue"}"#, at(1));
        let values = Some(vec![("temperature", None), ("pressure", Some(1010.0))]);
        display.handle_news(News { values, ..News::default() }, at(2));
        display.show(at(2));
        let bytes = fs::read(device(root.path())).unwrap();
        let newest: Vec<_> = bytes.chunks(16).map(|row| row[14]).collect();
        assert_eq!(newest, [0x1f; 8]);
    }

    #[test]
    fn other_options_begin_anew_and_the_same_ones_keep_the_picture() {
        let root = tempfile::tempdir().unwrap();
        plug_in(root.path());
        let mut display = display(root.path());
        tell(&mut display, r#"{"fill": "red"}"#, at(1));
        display.set_options(Options { low_light: false, ..Options::default() }, at(2));
        display.show(at(2));
        assert!(is_filled(root.path(), [0, 0xf8]));
        display.set_options(Options::default(), at(3));
        display.show(at(3));
        assert!(is_filled(root.path(), [0, 0]));
    }
}
