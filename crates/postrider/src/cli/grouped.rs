//! The program's own help: commands by what they are for.

use clap::Command;

/// What commands are for, and their names.
pub(super) const GROUPS: [(&str, &[&str]); 6] = [
    ("Try it", &["demo", "serve"]),
    (
        "See what became of it",
        &["events", "deliveries", "lanes", "incidents", "doctor", "freshness", "audit"],
    ),
    ("Set it up", &["connect", "webhooks", "secrets", "context"]),
    ("In CI, and after trouble", &["check", "reconcile"]),
    (
        "Run it in earnest",
        &["ingest", "worker", "monitor", "migrate", "config", "health", "topology", "alerts"],
    ),
    ("About the program", &["openapi", "completions", "man", "version"]),
];

/// Below this column what is said of a command begins.
const WIDTH: usize = 12;

/// With the help that `--help` shows, or the short one of `-h`.
pub(super) fn grouped(command: Command, is_short: bool) -> Command {
    let groups = if is_short { short() } else { long(&command) };
    let template = if is_short {
        format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}")
    } else {
        format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}\
             {{after-help}}"
        )
    };
    command.help_template(template)
}

/// One line a group.
fn short() -> String {
    let widest = GROUPS.iter().map(|(title, _)| title.len()).max().unwrap_or_default();
    let lines = GROUPS.map(|(title, names)| format!("  {title:<widest$}  {}\n", names.join(" ")));
    let begin = "Begin with `postrider demo`, or `postrider serve --dev`.\n";
    let more =
        "`postrider --help` says what each is for, `postrider COMMAND --help` how it is used.";
    format!("{}\n{begin}{more}\n", lines.concat())
}

/// One line a command.
fn long(command: &Command) -> String {
    let one = |name: &&str| {
        let about = command.find_subcommand(name).and_then(Command::get_about);
        let about = about.map(ToString::to_string).unwrap_or_default();
        format!("  {name:<WIDTH$} {about}\n")
    };
    let group = |(title, names): (&str, &[&str])| {
        let lines: String = names.iter().map(one).collect();
        format!("{title}:\n{lines}\n")
    };
    GROUPS.map(group).concat()
}
