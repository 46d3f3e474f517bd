//! Properties of the whole room, from payloads to bytes.

use std::time::Duration;

use proptest::prelude::*;

use super::command::Kind;
use super::{Brightness, Command, Frame, Gamma, Options, Player, Rotation};
use crate::base::clock::Monotonic;

/// What to show, by payloads without their outer braces; `""` is a command of settings alone.
const PICTURES: [&str; 9] = [
    "",
    r#""clear":true"#,
    r##""fill":"#fffefd""##,
    r#""pixels":{"0,0":"white","7,7":[255,1,2]}"#,
    r#""text":"Été 21.5 °C 漢","speed":60,"repeat":3,"background":[9,99,255]"#,
    r#""text":"i","speed":1,"repeat":1000"#,
    r#""icon":"sun""#,
    r#""graph":"temperature""#,
    r#""graph":"temperature","low":-5,"high":1e300"#,
];

#[derive(Clone, Debug)]
enum Step {
    Command(String),
    Value(Option<f64>),
    Wait(u64),
}

fn command() -> impl Strategy<Value = String> {
    let settings = (
        proptest::option::of(proptest::sample::select(vec!["0", "90", "180", "270"])),
        proptest::option::of(any::<bool>()),
        proptest::option::of(0.0..=1.0_f64),
        proptest::option::of(0.001..100.0_f64),
    );
    let text = "\\PC{1,20}".prop_map(|text| format!("\"text\":{}", serde_json::to_string(&text).unwrap()));
    let picture = prop_oneof![4 => proptest::sample::select(PICTURES.to_vec()).prop_map(str::to_owned), 1 => text];
    (picture, settings).prop_map(|(picture, (rotation, low, bright, timeout))| {
        let rotation = rotation.map(|rotation| format!("\"rotation\":{rotation}"));
        let low = low.map(|low| format!("\"low_light\":{low}"));
        let bright = bright.map(|bright| format!("\"brightness\":{bright}"));
        let timeout = timeout.map(|timeout| format!("\"timeout\":{timeout}"));
        let picture = Some(picture).filter(|picture| !picture.is_empty());
        let keys: Vec<_> = [picture, rotation, low, bright, timeout].into_iter().flatten().collect();
        if keys.is_empty() { String::new() } else { format!("{{{}}}", keys.join(",")) }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        command().prop_map(Step::Command),
        proptest::option::of(any::<f64>()).prop_map(Step::Value),
        any::<u32>().prop_map(|wait| Step::Wait(u64::from(wait % 20_000))),
        any::<u64>().prop_map(Step::Wait),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), 0.0..=1.0_f64, 0..4_usize, proptest::option::of(0..1_000_000_u64)).prop_map(
        |(low_light, share, rotation, timeout)| Options {
            low_light,
            brightness_max: Brightness::new(share).unwrap(),
            rotation: Rotation::ALL[rotation],
            timeout: timeout.map(Duration::from_millis),
        },
    )
}

/// What holds at every moment.
fn check(player: &Player, cap: Brightness, now: Monotonic) -> Result<(), TestCaseError> {
    let frame = player.frame(now);
    let limit = cap.scale(255);
    prop_assert!(frame.pixels().all(|pixel| pixel.r.max(pixel.g).max(pixel.b) <= limit), "{}", frame);
    prop_assert!(player.state(now).brightness <= cap);
    prop_assert!(player.state(now).kind != Kind::Clear || frame == Frame::DARK);
    let low = Gamma::LowLight.apply(&frame).pixels().all(|pixel| pixel.r.max(pixel.g).max(pixel.b) <= 0x94);
    prop_assert!(low, "low light is a third of the light");
    if let Some(deadline) = player.next_deadline(now) {
        prop_assert!(deadline > now);
        let before = Monotonic::from_boot(deadline.since_boot().saturating_sub(Duration::from_nanos(1)));
        prop_assert_eq!(player.frame(before), frame, "the frame stays until the deadline");
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_commanded_a_frame_is_within_the_cap_and_stays_until_its_deadline(
        options in options(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let cap = options.brightness_max;
        let mut now = Monotonic::ZERO;
        let mut player = Player::new(options, now);
        for step in steps {
            match step {
                Step::Command(payload) => player.handle_command(Command::parse(payload.as_bytes()).unwrap(), now),
                Step::Value(value) => { player.handle_value("temperature", value, now); }
                Step::Wait(milliseconds) => now = now + Duration::from_millis(milliseconds),
            }
            check(&player, cap, now)?;
        }
    }
}
