//! The last word of a command that failed.

use std::process::ExitCode;

use postrider_cli::{Exit, Failure, complain};
use postrider_config::{Problems, Unreadable};
use postrider_store::StoreError;

/// Says on standard error what went wrong and returns the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        problems.lines().for_each(|line| complain(&line));
        return Exit::Usage.into();
    }
    let failure = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>().cloned())
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref().map(of_settings_file)))
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref().map(of_store)))
        .unwrap_or_else(|| Failure::new(Exit::No, one_line(&format!("{error:#}"))));
    complain(&format!("error: {}", one_line(&failure.message)));
    if let Some(fix) = &failure.fix {
        complain(&format!("fix: {}", one_line(fix)));
    }
    failure.exit.into()
}

fn of_settings_file(error: &Unreadable) -> Failure {
    Failure::usage(error.to_string()).fix(Unreadable::FIX)
}

fn of_store(error: &StoreError) -> Failure {
    let message = error.to_string();
    match error {
        StoreError::Unavailable(_) | StoreError::Unknown(_) => {
            Failure::new(Exit::Unreachable, message)
                .fix("check POSTRIDER_DATABASE_URL and that the database is up")
        }
        StoreError::Slow(_) => Failure::new(Exit::Unreachable, message)
            .fix("ask for less, or try again when the database is less busy"),
        StoreError::Corrupt(_) => Failure::new(Exit::No, message),
        StoreError::NewerSchema { .. } => {
            Failure::usage(message).fix("run the postrider that migrated this database, or newer")
        }
        StoreError::WrongKey { .. } => Failure::usage(message)
            .fix("set POSTRIDER_MASTER_KEY (embedded: master.key) to the key that sealed them"),
        StoreError::Unusable(_) => Failure::usage(message),
    }
}

/// Folds line breaks, so that an error stays one line whatever it quotes.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: impl Into<anyhow::Error>) -> ExitCode {
        report(&error.into())
    }

    #[test]
    fn each_store_error_has_its_exit_code() {
        let refused = "refused".to_owned();
        assert_eq!(code(StoreError::Unavailable(refused.clone())), ExitCode::from(3));
        assert_eq!(code(StoreError::Unknown(refused.clone())), ExitCode::from(3));
        assert_eq!(code(StoreError::Slow(refused)), ExitCode::from(3));
        assert_eq!(code(StoreError::NewerSchema { found: 9, known: 1 }), ExitCode::from(2));
        assert_eq!(code(StoreError::Unusable("no".to_owned())), ExitCode::from(2));
        assert_eq!(code(StoreError::Corrupt("no".to_owned())), ExitCode::from(1));
        let wrong = StoreError::WrongKey { have: "a".to_owned(), need: "b".to_owned() };
        assert_eq!(code(anyhow::Error::new(wrong).context("opening the store")), ExitCode::from(2));
    }

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let failure = Failure::new(Exit::Credential, "refused");
        assert_eq!(code(anyhow::Error::new(failure).context("listing")), ExitCode::from(4));
        assert_eq!(code(anyhow::anyhow!("anything else")), ExitCode::from(1));
    }

    #[test]
    fn errors_stay_on_one_line() {
        assert_eq!(one_line("a\n  b\r\nc"), "a b c");
    }
}
