//! The official emulator, without its window.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use super::*;

/// Starts the emulator's two servers in the directory of the first argument, holding the emulator's lock as its window
/// does, and sets what comes on the standard input: humidity, temperature, pressure and temperature.
const EMULATOR: &str = r"
import os, sys
from sense_emu import humidity, lock, pressure
place = lambda name: lambda: os.path.join(sys.argv[1], name)
humidity.humidity_filename = place('rpi-sense-emu-humidity')
pressure.pressure_filename = place('rpi-sense-emu-pressure')
lock.lock_filename = place('rpi-sense-emu-pid')
with lock.EmulatorLock('sensegate'):
    of_humidity, of_pressure = humidity.HumidityServer(False), pressure.PressureServer(False)
    print('ready')
    for line in sys.stdin:
        if line == 'crash\n':
            os._exit(1)
        values = [float(word) for word in line.split()]
        if len(values) == 1:
            of_humidity.simulate_noise = of_pressure.simulate_noise = True
        else:
            of_humidity.set_values(*values[:2])
            of_pressure.set_values(*values[2:])
        print('set')
    of_humidity.close()
    of_pressure.close()
";

/// Plays the recording of the second argument into memory in the directory of the first one, with the official player,
/// which lets go of its lock only when the standard input ends.
const PLAYER: &str = r"
import os, sys
from sense_emu import humidity, imu, lock, play, pressure
place = lambda name: lambda: os.path.join(sys.argv[1], name)
humidity.humidity_filename = place('rpi-sense-emu-humidity')
imu.imu_filename = place('rpi-sense-emu-imu')
pressure.pressure_filename = place('rpi-sense-emu-pressure')
lock.lock_filename = place('rpi-sense-emu-pid')
class Lock(lock.EmulatorLock):
    def release(self):
        print('played')
        sys.stdin.read()
        super().release()
play.EmulatorLock = Lock
class Arguments:
    input = open(sys.argv[2], 'rb')
sys.exit(play.PlayApplication().main(Arguments))
";

/// The official servers, or the official player.
struct Emulator {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Emulator {
    fn start(place: &Place, python: &Python) -> Self {
        let mut emulator = Self::spawn(place.python(python, EMULATOR), &[place.directory.path()]);
        emulator.expect("ready\n");
        emulator
    }

    /// Plays a recording, to its end.
    fn play(place: &Place, python: &Python, file: &Path) -> Self {
        let mut player = Self::spawn(place.python(python, PLAYER), &[place.directory.path(), file]);
        player.expect("played\n");
        player
    }

    fn spawn(mut command: Command, arguments: &[&Path]) -> Self {
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, input, output }
    }

    fn expect(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn set(&mut self, values: &str) {
        self.say(values);
        self.expect("set\n");
    }

    /// Closes it, as its window is closed.
    fn close(&mut self) {
        self.input = None;
        assert!(self.process.wait().unwrap().success());
    }

    fn crash(&mut self) {
        self.say("crash");
        assert_eq!(self.process.wait().unwrap().code(), Some(1));
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_the_official_emulator_shows_is_read_and_labelled() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let mut emulator = Emulator::start(&place, &python);
    emulator.set("31.5 25.25 987.5 24.0");
    let sample = place.read(&place.emulator());
    assert_eq!(sample["source"], "emulator");
    assert_eq!((value(&sample, "humidity"), value(&sample, "temperature")), (31.5, 25.25));
    assert_eq!((value(&sample, "pressure"), value(&sample, "temperature_from_pressure")), (987.5, 24.0));
    // the real chip's zero of 42.5 °C would make 29.5 of the 24
    emulator.set("nan 25.25 1260 -30");
    let sample = place.read(&place.emulator());
    assert_eq!(reason(&sample, "humidity"), "stale");
    assert_eq!((value(&sample, "pressure"), value(&sample, "temperature_from_pressure")), (1260.0, -30.0));
    emulator.set("1");
    for _ in 0..5 {
        let sample = place.read(&place.emulator());
        assert!((value(&sample, "temperature") - 25.25).abs() < 2.0, "{sample:#}");
    }
}

#[test]
fn emulator_that_is_closed_or_has_crashed_is_absent_although_its_memory_stays() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    has_nothing(&place.read(&place.emulator()), "no_chip");
    let mut emulator = Emulator::start(&place, &python);
    assert!((value(&place.read(&place.emulator()), "humidity") - 45.0).abs() < 0.01);
    emulator.close();
    assert!(place.path("rpi-sense-emu-humidity").exists());
    has_nothing(&place.read(&place.emulator()), "ended");
    let mut emulator = Emulator::start(&place, &python);
    assert!((value(&place.read(&place.emulator()), "humidity") - 45.0).abs() < 0.01);
    emulator.crash();
    assert!(place.path("rpi-sense-emu-pid").exists());
    has_nothing(&place.read(&place.emulator()), "ended");
}

#[test]
fn doctor_says_whether_the_emulator_runs() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let examine = || text(&place.command("doctor", &place.emulator()).output().unwrap().stdout);
    assert!(examine().contains("problem  hat            the Sense HAT emulator is not running"), "{}", examine());
    let emulator = Emulator::start(&place, &python);
    let expected = format!("ok       hat            the Sense HAT emulator, process {}, in ", emulator.process.id());
    assert!(examine().contains(&expected), "{}", examine());
}

#[test]
fn recording_is_played_by_the_official_player_and_read_from_its_memory() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"8d f5 3f\" }\n";
    let (dump, file) = (place.write("hat.toml", dump), place.path("a.hat"));
    let mut record = place.command("record", "");
    record.arg("--simulate").arg(dump).args(["--interval", "250ms", "--duration", "2s"]).arg(&file);
    said(&record.output().unwrap());
    let mut player = Emulator::play(&place, &python, &file);
    let sample = place.read(&place.emulator());
    assert!((value(&sample, "pressure") - 4_191_629.0 / 4096.0).abs() < 1e-4, "{sample:#}");
    assert_eq!((reason(&sample, "humidity"), reason(&sample, "temperature")), ("stale", "stale"));
    player.close();
    has_nothing(&place.read(&place.emulator()), "ended");
}
