//! What a `console` block says: commands, what they print, and Ctrl-C.

/// One thing that happens in a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A command is typed.
    Command(String),
    /// These lines are printed.
    Output(Vec<String>),
    /// Ctrl-C is pressed.
    Interrupt,
}

/// The turns of a block, in order.
pub(crate) fn turns(body: &[String]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for line in body {
        match (turns.last_mut(), line.strip_prefix("$ ")) {
            (Some(Turn::Command(command)), _) if command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (_, Some(command)) => turns.push(Turn::Command(command.to_owned())),
            _ if line == "^C" => turns.push(Turn::Interrupt),
            (Some(Turn::Output(lines)), _) => lines.push(line.clone()),
            _ => turns.push(Turn::Output(vec![line.clone()])),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_output_and_interrupts_come_apart() {
        let body = ["from before", "$ a \\", "    b", "one", "two", "^C"].map(str::to_owned);
        let expected = [
            Turn::Output(vec!["from before".into()]),
            Turn::Command("a \\\n    b".into()),
            Turn::Output(vec!["one".into(), "two".into()]),
            Turn::Interrupt,
        ];
        assert_eq!(turns(&body), expected);
    }
}
