//! `sensegate record`.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::io::ioctl_fionbio;

use super::*;

#[test]
fn what_is_recorded_is_read_by_the_official_player() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"00 54 3f\" }\n";
    let dump = place.write("hat.toml", dump);
    let file = place.path("a.hat");
    let mut command = place.command("record", "");
    command.arg("--simulate").arg(&dump).args(["--interval", "50ms", "--duration", "300ms"]).arg(&file);
    let said = said(&command.output().unwrap());
    let records = official_records(&place, &python, &file);
    assert!(said.contains(&format!("sensegate: {} records over ", records.len())), "{said}");
    assert!(said.contains(&format!("no humidity in {}", records.len())), "{said}");
    assert!(said.starts_with("sensegate: no temperature, humidity, temperature_from_humidity: cannot read"), "{said}");
    assert!((2..=6).contains(&records.len()), "{said}");
    for record in &records {
        assert_eq!((record[1], record[3], record[4]), (Some(1013.25), None, None));
        assert_eq!((record[2].is_some(), &record[5..14]), (true, &[None; 9][..]));
        assert_eq!(record[14..], [Some(0.0); 3]);
    }
    // read with a clock that stands at zero, the time of a record is its distance from the start
    assert!(records[0][0].unwrap().abs() < 10.0 && records[1][0] > records[0][0], "{records:?}");
}

#[test]
fn what_is_recorded_is_replayed_to_the_same_readings() {
    let place = Place::new();
    let file = place.path("a.hat");
    let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"8d f5 3f\" }\n";
    let dump = place.write("hat.toml", dump);
    let mut command = place.command("record", "");
    command.arg("--simulate").arg(&dump).args(["--duration", "1ms"]).arg(&file);
    assert!(said(&command.output().unwrap()).contains("1 record over 0s"));
    let output = place.command("read", "").arg("--simulate").arg(&dump).output().unwrap();
    let original: Value = serde_json::from_slice(&output.stdout).unwrap();
    let replayed = place.read(&place.replay("a.hat", ""));
    for quantity in ["pressure", "temperature_from_pressure"] {
        assert!(value(&original, quantity) > 0.0, "{original:#}");
        assert_eq!(replayed["readings"][quantity], original["readings"][quantity]);
    }
    assert_eq!((reason(&replayed, "humidity"), reason(&original, "humidity")), ("not_recorded", "no_chip"));
    // and recorded again
    let copy = place.path("b.hat");
    let output = place.command("record", &place.replay("a.hat", "")).arg(&copy).output().unwrap();
    assert!(said(&output).contains("1 record over 0s, no gaps; no temperature_from_humidity in 1"), "{output:?}");
    assert_eq!(fs::read(&copy).unwrap()[32..160], fs::read(&file).unwrap()[32..160]);
}

#[test]
fn existing_file_is_not_overwritten_unasked() {
    let place = Place::new();
    let file = place.write("a.hat", "mine");
    let record = || {
        let mut command = place.command("record", "source = \"simulated\"");
        command.args(["--duration", "1ms"]).arg(&file);
        command
    };
    let refused = record().output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("a.hat exists"), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(said(&record().arg("--force").output().unwrap()).contains("1 record over 0s, no gaps"));
    assert_eq!(fs::metadata(&file).unwrap().len(), 24 + 136);
}

#[test]
fn signal_ends_a_recording_with_all_records_whole() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = Place::new();
        let file = place.path("a.hat");
        let mut command = place.command("record", "source = \"simulated\"");
        let mut process = Process::spawn(command.args(["--interval", "40ms", "--flush"]).arg(&file));
        let length = || fs::metadata(&file).map_or(0, |metadata| metadata.len());
        eventually("three records", || (length() > 24 + 3 * 136).then_some(()));
        send(process.id(), signal);
        assert!(process.wait().success());
        assert_eq!((length() - 24) % 136, 0);
        let expected = format!("sensegate: {} records over ", (length() - 24) / 136);
        assert!(process.printed().contains(&expected), "{}", process.printed());
    }
}

fn send(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn recording_that_is_not_to_mind_a_lost_session_goes_on() {
    let place = Place::new();
    let file = place.path("a.hat");
    let record = place.command("record", "source = \"simulated\"");
    let mut command = Command::new("nohup");
    command.arg(record.get_program()).args(record.get_args()).args(["--interval", "40ms", "--flush"]).arg(&file);
    let mut process = Process::spawn(&mut command);
    let length = || fs::metadata(&file).map_or(0, |metadata| metadata.len());
    eventually("three records", || (length() > 24 + 3 * 136).then_some(()));
    send(process.id(), Signal::HUP);
    let before = length();
    eventually("three more records", || (length() > before + 3 * 136).then_some(()));
    send(process.id(), Signal::TERM);
    assert!(process.wait().success());
}

#[test]
fn duration_ends_a_recording_within_an_interval() {
    let place = Place::new();
    let mut command = place.command("record", "source = \"simulated\"");
    command.args(["--interval", "1h", "--duration", "100ms"]).arg(place.path("a.hat"));
    let mut process = Process::spawn(&mut command);
    eventually("its end", || process.printed().contains("1 record over 0s, no gaps").then_some(()));
    assert!(process.wait().success());
}

#[test]
fn recording_that_is_replayed_is_not_overwritten_by_itself() {
    let place = Place::new();
    let file = place.path("a.hat");
    let mut record = place.command("record", "source = \"simulated\"");
    said(&record.args(["--duration", "1ms"]).arg(&file).output().unwrap());
    let before = fs::read(&file).unwrap();
    let mut again = place.command("record", &place.replay("a.hat", ""));
    let refused = again.arg("--force").arg(place.path("./a.hat")).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("a.hat is the recording that is replayed"), "{refused:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn signal_ends_a_recording_whose_reader_takes_nothing() {
    let place = Place::new();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    let filled = std::iter::from_fn(|| writer.write(&[0; 4096]).ok()).sum::<usize>();
    ioctl_fionbio(&writer, false).unwrap();
    let mut command = place.command("record", "source = \"simulated\"");
    let mut process = command.args(["--interval", "40ms", "-"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let status = format!("/proc/{}/status", process.id());
    let catches_terminate = |status: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> 14 & 1 == 1
    };
    eventually("that SIGTERM is heard", || catches_terminate(&fs::read_to_string(&status).unwrap()).then_some(()));
    send(process.id(), Signal::TERM);
    let ended = within_patience(&mut process);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!((ended.map(|status| status.success()), bytes.len()), (Some(true), filled));
}

/// How it ended; `None` when it did not, and was killed.
fn within_patience(process: &mut std::process::Child) -> Option<std::process::ExitStatus> {
    let ended = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(20));
        process.try_wait().unwrap()
    });
    let ended = ended.take(500).flatten().next();
    process.kill().unwrap();
    process.wait().unwrap();
    ended
}

#[test]
fn reader_that_goes_ends_a_recording() {
    let place = Place::new();
    let mut command = place.command("record", "source = \"simulated\"");
    command.args(["--interval", "40ms", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut head = vec![0; 24 + 136];
    std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut head).unwrap();
    assert_eq!(head[..8], *b"SENSEHAT");
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert!(said(&output).contains(" over "), "{output:?}");
}
