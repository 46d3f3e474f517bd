//! Numbers as people read them: medians, percentiles, and tables in Markdown.

/// The middle value; of an even number of them the lower one.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value that `percent` of all do not exceed; NaN when there is none.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "few values"
    )]
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Prints a table whose columns are as wide as their widest cell.
pub(crate) fn print<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    print_row(&head, widths);
    print_row(&widths.map(|width| "-".repeat(width)), widths);
    for row in rows {
        print_row(row, widths);
    }
    println!();
}

fn print_row<const COLUMNS: usize>(cells: &[String; COLUMNS], widths: [usize; COLUMNS]) {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("| {} |", cells.join(" | "));
}
