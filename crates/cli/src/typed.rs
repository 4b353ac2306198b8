//! What people type: secrets, and whether they mean it.

use std::io::{self, BufRead as _, Read as _, stdin};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use crate::{Failure, complain};

/// Secrets larger than this are mistakes.
const MOST: u64 = 64 * 1024;
/// What Ctrl-C types.
const INTERRUPT: u8 = 3;

/// Everything up to the end.
pub(crate) fn piped() -> Result<String, Failure> {
    let mut text = String::new();
    let read = stdin().lock().take(MOST + 1).read_to_string(&mut text);
    read.map_err(|error| unread(&error))?;
    fits(text)
}

/// Whether a person on the terminal says yes.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failure> {
    complain(&format!("{question} [y/N]"));
    let mut text = Vec::new();
    read_line(&mut text).map_err(|error| unread(&error))?;
    let answer = String::from_utf8_lossy(&text).trim().to_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

/// One line, which the terminal does not show while it is typed.
pub(crate) fn hidden(what: &str) -> Result<String, Failure> {
    fits(line(what).map_err(|error| unread(&error))?)
}

/// Asks once the terminal shows nothing more: who answers at once would be seen, and not heard.
/// Ctrl-C ends the line instead of the process, so that the terminal shows again what is typed
/// afterwards.
fn line(what: &str) -> io::Result<String> {
    let before = tcgetattr(stdin())?;
    let mut hidden = before.clone();
    hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG;
    hidden.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
    complain(&format!("type or paste {what}, then Enter; it is not shown"));
    let mut text = Vec::new();
    let read = read_line(&mut text);
    tcsetattr(stdin(), OptionalActions::Now, &before)?;
    complain("");
    read?;
    if text.contains(&INTERRUPT) {
        return Err(io::Error::other("interrupted"));
    }
    String::from_utf8(text).map_err(io::Error::other)
}

/// Up to Enter, Ctrl-C, or the end.
fn read_line(text: &mut Vec<u8>) -> io::Result<()> {
    let mut input = stdin().lock();
    while text.len() as u64 <= MOST {
        let piece = input.fill_buf()?;
        let (length, last) = (piece.len(), piece.last().copied());
        text.extend_from_slice(piece);
        input.consume(length);
        if matches!(last, None | Some(b'\n' | INTERRUPT)) {
            break;
        }
    }
    Ok(())
}

fn fits(text: String) -> Result<String, Failure> {
    if text.len() as u64 > MOST {
        return Err(Failure::usage(format!("the value is longer than {MOST} bytes")));
    }
    Ok(text)
}

fn unread(error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read the value: {error}"))
}
