//! What changes between two texts, line by line.

/// The lines that go (`- `) and those that come (`+ `), in order, without those that stay.
///
/// Cost: the product of the numbers of lines; configurations have hundreds.
pub(in crate::cli) fn changes(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let common = lengths(&old, &new);
    let at = |row: usize, column: usize| common.get(row).and_then(|row| row.get(column)).copied().unwrap_or_default();
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(row), new.get(column)) {
            (None, None) => return lines,
            (Some(left), Some(right)) if left == right => (row, column) = (row + 1, column + 1),
            (Some(left), right) if right.is_none() || at(row + 1, column) >= at(row, column + 1) => {
                lines.push(format!("- {left}"));
                row += 1;
            }
            (_, right) => {
                lines.extend(right.map(|right| format!("+ {right}")));
                column += 1;
            }
        }
    }
}

/// For each pair of positions, how many lines the rests behind them have in common.
fn lengths(old: &[&str], new: &[&str]) -> Vec<Vec<u32>> {
    let mut rows = vec![vec![0; new.len() + 1]];
    for left in old.iter().rev() {
        let mut row = vec![0; new.len() + 1];
        if let Some(below) = rows.last() {
            fill(&mut row, below, left, new);
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

/// One row, from its end, out of the one below.
fn fill(row: &mut [u32], below: &[u32], left: &str, new: &[&str]) {
    let at = |row: &[u32], column: usize| row.get(column).copied().unwrap_or_default();
    for (column, right) in new.iter().enumerate().rev() {
        let length =
            if left == *right { at(below, column + 1) + 1 } else { at(below, column).max(at(row, column + 1)) };
        if let Some(cell) = row.get_mut(column) {
            *cell = length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &[&str]) {
        assert_eq!(changes(old, new), expected, "{old:?} {new:?}");
    }

    #[test]
    fn only_what_differs_is_told() {
        check("a\nb\nc\n", "a\nb\nc\n", &[]);
        check("a\nb\nc\n", "a\nx\nc\nd\n", &["- b", "+ x", "+ d"]);
        check("", "a\nb\n", &["+ a", "+ b"]);
        check("a\nb\n", "", &["- a", "- b"]);
        check("a\nb\na\nb\n", "b\na\n", &["- a", "- b"]);
    }
}
