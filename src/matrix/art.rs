//! Pictures drawn in the source: some glyphs side by side, which columns of spaces part.

/// Eight rows of glyphs: `#` shines, `.` does not.
pub(super) type Rows = [&'static str; 8];

/// The columns of the glyph at this place, from left to right: bit y of a column lights its row y.
pub(super) fn columns(rows: &Rows, place: usize) -> Vec<u8> {
    let mut columns = Vec::new();
    for (y, row) in rows.iter().enumerate() {
        let pixels = row.split(' ').nth(place).unwrap_or_default();
        columns.resize(pixels.len(), 0);
        for (column, pixel) in columns.iter_mut().zip(pixels.bytes()) {
            *column |= u8::from(pixel == b'#') << y;
        }
    }
    columns
}

/// The width of each glyph in each row, for tests.
#[cfg(test)]
pub(super) fn widths(rows: &Rows) -> [Vec<usize>; 8] {
    assert!(rows.iter().all(|row| row.bytes().all(|pixel| b".# ".contains(&pixel))));
    rows.map(|row| row.split(' ').map(str::len).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_row_is_the_lowest_bit() {
        let rows = ["#. .#", ".. .#", ".. .#", ".. .#", ".. .#", ".. .#", ".. .#", ".# .#"];
        assert_eq!(columns(&rows, 0), [1, 0x80]);
        assert_eq!(columns(&rows, 1), [0, 0xff]);
        assert_eq!(columns(&rows, 2), [0_u8; 0]);
    }
}
