//! Tables: whole for pipes; for terminals cut, with times told from now and states in colour. On a
//! narrow one some columns are left out, which is said; on one that is too narrow for that each row
//! is a block of lines.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use postrider_domain::without_bidirectional_controls;

use super::terminal::Terminal;

/// Characters of an id that tell it from all others: the instant and some chance.
const SHORT_ID: usize = 18;
/// Between columns.
const GAP: usize = 2;
/// A column is not cut below this while another can be.
const LEAST: usize = 12;

/// Columns that a narrow terminal goes without, the first of them first, where they are not what
/// names a row.
const LEFT_OUT: [&str; 3] = ["event", "lane", "attempts"];
/// Columns that stay: the state and the name.
const STAY: usize = 2;
/// A command to copy, which is of no use in part.
const COMMAND: &str = "next";
/// Sentences, always in the last column: they go on in the next line of the terminal.
const SENTENCES: [&str; 3] = ["what happened", "what is known", "why not"];

/// The lines of a table. The state of things comes first.
pub(super) fn lines(
    header: &[&str],
    mut rows: Vec<Vec<String>>,
    terminal: Option<&Terminal>,
    now: Timestamp,
) -> Vec<String> {
    let mut header = header.to_vec();
    if let Some(place) = state_of(&header) {
        first(&mut header, place);
        for row in &mut rows {
            first(row, place);
        }
    }
    for cell in rows.iter_mut().flatten() {
        *cell = printable(cell);
    }
    let mut left_out = Vec::new();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(terminal) = terminal {
        for cell in rows.iter_mut().flatten() {
            shorten(cell, now);
        }
        let width = usize::from(terminal.width);
        if needed(&header, &rows, usize::MAX) > width {
            leave_out_empty(&mut header, &mut rows);
        }
        let Some(columns) = to_leave_out(&header, &rows, width) else {
            return blocks(&header, &rows);
        };
        left_out = columns.iter().filter_map(|column| header.get(*column).copied()).collect();
        remove(&mut header, &mut rows, &columns);
        fit(&header, &mut rows, width);
    }
    let colours = terminal.is_some_and(|terminal| terminal.colours);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    let coloured = state_of(&header).filter(|_| colours);
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(|(place, text)| {
            let colour = colour(&text).filter(|_| coloured == Some(place));
            let cell = Cell::new(text);
            colour.map_or(cell.clone(), |colour| cell.fg(colour))
        }));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    let note = format!("not shown: {}; -o wide shows all", left_out.join(", "));
    lines.chain((!left_out.is_empty()).then_some(note)).collect()
}

fn state_of(header: &[&str]) -> Option<usize> {
    header.iter().position(|name| ["status", "state"].contains(name))
}

fn first<T>(row: &mut [T], place: usize) {
    if let Some(part) = row.get_mut(..=place) {
        part.rotate_right(1);
    }
}

/// Good, waiting and bad ones.
fn colour(state: &str) -> Option<Color> {
    match state {
        "delivered" | "open" | "fresh" | "enabled" | "all_well" => Some(Color::Green),
        "retrying" | "paused" | "owing" | "queued" | "silent" | "unknown" => Some(Color::Yellow),
        "failed" | "held" | "stale" | "unguarded" => Some(Color::Red),
        _ => None,
    }
}

/// An instant from now, an id without its second half.
fn shorten(cell: &mut String, now: Timestamp) {
    if let Some(at) = instant(cell) {
        *cell = since(at, now);
    } else if uuid::Uuid::try_parse(cell).is_ok() {
        *cell = short(cell);
    }
}

/// As much of an id as tells it from all others.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(SHORT_ID).collect()
}

fn instant(text: &str) -> Option<Timestamp> {
    let looks_so = text.len() >= 20 && text.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| looks_so)
}

/// `3m ago`, `in 2h 5m`, `now`.
fn since(at: Timestamp, now: Timestamp) -> String {
    let apart = now.duration_since(at).as_secs_f64();
    match apart {
        apart if apart.abs() < 1.0 => "now".to_owned(),
        apart if apart > 0.0 => format!("{} ago", seconds(apart)),
        apart => format!("in {}", seconds(-apart)),
    }
}

/// Characters of the longest cell of a column, or its name.
fn widest(header: &[&str], rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    let name = header.get(column).map_or(0, |name| name.chars().count());
    cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(name)
}

/// Columns of a terminal that the table needs when no column of it is wider than `most`.
fn needed(header: &[&str], rows: &[Vec<String>], most: usize) -> usize {
    (0..header.len()).map(|column| need(header, rows, column, most)).sum()
}

/// The same of one column.
fn need(header: &[&str], rows: &[Vec<String>], column: usize, most: usize) -> usize {
    let widest = widest(header, rows, column);
    let name = header.get(column).copied().unwrap_or_default();
    let most = if SENTENCES.contains(&name) { LEAST } else { most };
    GAP + if name == COMMAND { widest } else { widest.min(most) }
}

/// Columns in which no row has anything.
fn leave_out_empty(header: &mut Vec<&str>, rows: &mut [Vec<String>]) {
    let is_empty =
        |column: &usize| rows.iter().all(|row| row.get(*column).is_none_or(|cell| cell == "-"));
    let empty: Vec<usize> = (0..header.len()).filter(is_empty).collect();
    remove(header, rows, &empty);
}

/// Columns without which the others fit, in the order in which they go; `None` when none would do.
fn to_leave_out(header: &[&str], rows: &[Vec<String>], width: usize) -> Option<Vec<usize>> {
    let mut total = needed(header, rows, LEAST);
    let mut left_out = Vec::new();
    for name in LEFT_OUT {
        let place = header.iter().position(|column| *column == name);
        if let Some(place) = place.filter(|place| *place >= STAY && total > width) {
            total -= need(header, rows, place, LEAST);
            left_out.push(place);
        }
    }
    (total <= width).then_some(left_out)
}

fn remove(header: &mut Vec<&str>, rows: &mut [Vec<String>], columns: &[usize]) {
    let mut columns = columns.to_vec();
    columns.sort_unstable();
    for column in columns.into_iter().rev() {
        header.remove(column);
        for row in rows.iter_mut().filter(|row| row.len() > column) {
            row.remove(column);
        }
    }
}

/// What each row has, a line each, whole.
fn blocks(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let names = header.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in rows {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for (name, cell) in header.iter().zip(row).filter(|(_, cell)| *cell != "-") {
            lines.push(format!("{:<names$}  {cell}", name.to_uppercase()));
        }
    }
    lines
}

/// Cuts the widest columns until all fit.
fn fit(header: &[&str], rows: &mut [Vec<String>], width: usize) {
    let may_be_cut = |column: &usize| {
        header.get(*column).is_some_and(|name| *name != COMMAND && !SENTENCES.contains(name))
    };
    let columns: Vec<usize> = (0..header.len()).filter(may_be_cut).collect();
    let mut widths: Vec<usize> =
        columns.iter().map(|column| widest(header, rows, *column)).collect();
    let others = needed(header, rows, usize::MAX) - widths.iter().sum::<usize>();
    let room = width.saturating_sub(others);
    loop {
        let over = widths.iter().sum::<usize>().saturating_sub(room);
        let Some(most) = widths.iter_mut().max().filter(|most| over > 0 && **most > LEAST) else {
            break;
        };
        *most -= 1;
    }
    for row in rows {
        for (column, width) in columns.iter().zip(&widths) {
            if let Some(cell) = row.get_mut(*column) {
                cut(cell, *width);
            }
        }
    }
}

/// With an ellipsis at the end of what is cut.
pub(crate) fn cut(text: &mut String, width: usize) {
    if text.chars().count() > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        *text = format!("{kept}…");
    }
}

/// Text from elsewhere without what would steer a terminal or turn a line around.
pub fn printable(text: &str) -> String {
    let text = without_bidirectional_controls(text);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Seconds as people say them: `45s`, `12m`, `3h 20m`, `2d 4h`.
pub(crate) fn seconds(total: f64) -> String {
    if !total.is_finite() || total < 0.0 {
        return "-".to_owned();
    }
    if total < 60.0 {
        return format!("{total:.0}s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: finite and not negative; a cast saturates"
    )]
    let minutes = (total / 60.0) as u64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, m) => format!("{m}m"),
        (0, h, m) => format!("{h}h {m}m"),
        (d, h, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T12:00:00Z";

    fn table(terminal: Option<&Terminal>) -> Vec<String> {
        let cells = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = vec![
            cells(["01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e", "2026-11-22T11:57:00Z", "failed", "x"]),
            cells(["01936f2e-7b1c-7cc1-9d5e-0a3f5b6c7d8e", "-", "delivered", &"long ".repeat(20)]),
        ];
        lines(&["id", "created", "status", "lane"], rows, terminal, NOW.parse().unwrap())
    }

    #[test]
    fn pipes_get_everything() {
        let lines = table(None);
        assert!(lines[0].trim_start().starts_with("STATUS"), "{lines:?}");
        assert!(lines[1].contains("01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"), "{lines:?}");
        assert!(lines[1].contains("2026-11-22T11:57:00Z"), "{lines:?}");
        assert!(lines[2].contains("long ".repeat(20).trim()), "{lines:?}");
    }

    #[test]
    fn terminals_get_what_fits() {
        for width in [80, 60, 200] {
            let lines = table(Some(&Terminal { width, colours: false }));
            for line in &lines {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line:?}");
            }
            assert!(lines[1].contains("3m ago"), "{lines:?}");
            assert!(lines[1].contains("01936f2e-7b1c-7cc0") && !lines[1].contains("9d5e"));
            assert_eq!(lines[2].contains('…'), width < 100, "{lines:?}");
        }
        let coloured = table(Some(&Terminal { width: 80, colours: true }));
        assert!(coloured[1].contains("\u{1b}["), "{coloured:?}");
    }

    #[test]
    fn narrow_terminals_get_what_there_is() {
        let cells = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = vec![cells(["held", "a lane with a long name", "-", "do this\u{7} and that"])];
        let narrow = |width| {
            let terminal = Terminal { width, colours: false };
            let header = ["state", "lane", "since", "next"];
            lines(&header, rows.clone(), Some(&terminal), NOW.parse().unwrap())
        };
        let table = narrow(50);
        assert!(table[0].contains("NEXT") && !table[0].contains("SINCE"), "{table:?}");
        assert!(table[1].contains("do this\u{fffd} and that"), "a command is whole: {table:?}");
        assert!(table.iter().all(|line| line.chars().count() <= 50), "{table:?}");
        let block =
            ["STATE  held", "LANE   a lane with a long name", "NEXT   do this\u{fffd} and that"];
        assert_eq!(narrow(30), block);
    }

    #[test]
    fn columns_are_left_out_before_rows_become_blocks() {
        let header = ["id", "event", "consumer", "status", "last", "lane"];
        let cells = ["01936f2e-7b1c", "contract_published", "checkout", "held", "x", "a-long-lane"];
        let narrow = |width| {
            let terminal = Terminal { width, colours: false };
            let rows = vec![cells.map(str::to_owned).to_vec()];
            lines(&header, rows, Some(&terminal), NOW.parse().unwrap())
        };
        assert_eq!(narrow(70).len(), 2, "all fit when they are cut");
        let [header, row, note] = narrow(52).try_into().unwrap();
        assert!(header.contains("LANE") && !header.contains("EVENT") && row.contains("checkout"));
        assert_eq!(note, "not shown: event; -o wide shows all");
        let blocks = narrow(20);
        assert!(blocks.iter().any(|line| line.contains("contract_published")), "{blocks:?}");
        let lanes = lines(
            &["lane", "status"],
            vec![vec!["a-long-lane".to_owned(), "held".to_owned()]],
            Some(&Terminal { width: 16, colours: false }),
            NOW.parse().unwrap(),
        );
        assert!(lanes.iter().any(|line| line.contains("a-long-lane")), "it names the row");
    }

    #[test]
    fn sentences_go_on_in_the_next_line() {
        let rows = vec![vec!["a-name".to_owned(), "it was said ".repeat(9).trim().to_owned()]];
        let terminal = Terminal { width: 40, colours: false };
        let header = ["name", "what happened"];
        let lines = lines(&header, rows, Some(&terminal), NOW.parse().unwrap());
        assert!(lines[1].contains("a-name") && lines[1].ends_with("was said"), "{lines:?}");
    }

    #[test]
    fn times_are_told_from_now() {
        let now: Timestamp = NOW.parse().unwrap();
        for (at, told) in [
            ("2026-11-22T12:00:00.4Z", "now"),
            ("2026-11-22T11:59:30Z", "30s ago"),
            ("2026-11-22T14:05:00Z", "in 2h 5m"),
        ] {
            assert_eq!(since(at.parse().unwrap(), now), told);
        }
    }

    #[test]
    fn terminals_are_not_steered_by_data() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }

    #[test]
    fn seconds_read_well() {
        for (given, expected) in [
            (0.0, "0s"),
            (59.4, "59s"),
            (61.0, "1m"),
            (12_000.0, "3h 20m"),
            (187_200.0, "2d 4h"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(seconds(given), expected);
        }
    }
}
