//! The command line's own promises.

use clap::{Command, CommandFactory};

use super::Cli;

fn leaves(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
    visit(path, command);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        leaves(sub, &format!("{path} {}", sub.get_name()), visit);
    }
}

fn help(path: &[&str]) -> String {
    let mut command = super::command(false);
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).unwrap();
    }
    let text = found.render_long_help().to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example_of_itself() {
    leaves(&Cli::command(), "postrider", &mut |path, command| {
        assert!(command.get_about().is_some(), "{path} does not say what it does");
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.starts_with("Example:\n"), "{path} has no example");
        assert!(after.contains(path), "{path} is not in its own example: {after}");
    });
}

#[test]
fn what_is_not_due_does_not_exist() {
    let mut all = Vec::new();
    leaves(&Cli::command(), "postrider", &mut |path, command| {
        let name = path.trim_start_matches("postrider ").to_owned();
        all.extend((!command.has_subcommands()).then_some(name));
    });
    insta::assert_snapshot!(all.join("\n"), @r#"
    demo
    serve
    ingest
    worker
    monitor
    migrate
    config check
    config show
    health
    alerts test
    topology
    openapi
    completions
    version
    man
    events publish
    events list
    events show
    webhooks list
    webhooks show
    webhooks delete
    webhooks release
    webhooks apply
    webhooks test
    webhooks lint
    webhooks import
    connect
    context add
    context use
    context list
    secrets set
    secrets list
    secrets delete
    secrets probe
    secrets rotate
    deliveries list
    deliveries show
    deliveries tail
    deliveries replay
    deliveries discard
    lanes list
    lanes hold
    lanes release
    incidents list
    incidents show
    incidents ack
    audit list
    freshness
    doctor
    reconcile
    check verification
    "#);
}

#[test]
fn help_of_the_program() {
    let told = help(&[]);
    assert_eq!(told.trim(), include_str!("tests/help_of_the_program.txt").trim());
}

/// Each command has its place, and one alone.
#[test]
fn every_command_is_in_a_group() {
    let mut named: Vec<&str> =
        super::grouped::GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let command = Cli::command();
    let mut all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all);
}

#[test]
fn short_help_of_the_program() {
    let text = super::command(true).render_help().to_string();
    insta::assert_snapshot!(text, @r#"
    Delivers what a Pact Broker or PactFlow says to GitHub and other targets, and loses nothing

    Usage: postrider [OPTIONS] <COMMAND>

      Try it                    demo serve
      See what became of it     events deliveries lanes incidents doctor freshness audit
      Set it up                 connect webhooks secrets context
      In CI, and after trouble  check reconcile
      Run it in earnest         ingest worker monitor migrate config health topology alerts
      About the program         openapi completions man version

    Begin with `postrider demo`, or `postrider serve --dev`.
    `postrider --help` says what each is for, `postrider COMMAND --help` how it is used.
    "#);
}

#[test]
fn help_of_serve() {
    insta::assert_snapshot!(help(&["serve"]), @r#"
    Run all roles in one process

    Usage: postrider serve [OPTIONS]

    Options:
          --config <FILE>
              Settings file; without it ./postrider.toml is read if there is one

          --dev
              For trying things out on this machine: targets over http and on this machine are allowed,
              a stand-in for GitHub runs beside it, an example webhook is there

          --data-dir <DIR>
              Directory of the embedded store [env POSTRIDER_DATA_DIR; default: ./postrider-data]

          --listen <HOST:PORT>
              Address of intake and APIs [env POSTRIDER_LISTEN; default: 127.0.0.1:9393]

          --admin-listen <HOST:PORT>
              Address of health and metrics [env POSTRIDER_ADMIN_LISTEN; default: 127.0.0.1:9394]

      -h, --help
              Print help

    Example:
      POSTRIDER_API_TOKENS=operate:$TOKEN postrider serve --listen 0.0.0.0:9393

    To try things out on this machine, with a stand-in for GitHub and a webhook that is there:
      postrider serve --dev
    "#);
}

#[test]
fn help_of_events_publish() {
    insta::assert_snapshot!(help(&["events", "publish"]), @r#"
    Send events to POST /events

    Usage: postrider events publish [OPTIONS]

    Options:
          --config <FILE>
              Settings file; without it ./postrider.toml is read if there is one

      -f, --file <FILE>
              File to read; - is standard input

              [default: -]

          --wait
              Follow to the outcome; exit 1 if it is a failure, 3 if it is not known in time

          --timeout <TIME>
              How long to wait

              [default: 1h]

      -o, --output <FORMAT>
              Output for people or for programs

              Possible values:
              - table: For people: as wide as the terminal; whole where it goes into a pipe
              - wide:  A table, whole
              - name:  What names each row, and nothing else
              - yaml:  YAML
              - json:  JSON

              [default: table]

          --json
              Same as `-o json`

          --url <URL>
              Address of postrider [env POSTRIDER_URL; default: http:// and POSTRIDER_LISTEN]

          --token-file <FILE>
              File with the API token [env POSTRIDER_TOKEN_FILE, or POSTRIDER_TOKEN itself]

      -h, --help
              Print help (see a summary with '-h')

    Example:
      postrider events publish -f events.ndjson
      echo '{"event_name": "contract_requiring_verification_published",
        "consumer": {"name": "checkout", "version_number": "1.0.1"},
        "provider": {"name": "billing"}}' | postrider events publish -f -

    The input is JSON, an array, JSON lines or CloudEvents. Nothing is sent when it can't be parsed.
    An event's own id is its idempotency key; an event without one gets a key for this run, so that
    repeats within the run do no harm.
    "#);
}

#[test]
fn help_of_webhooks_apply() {
    insta::assert_snapshot!(help(&["webhooks", "apply"]), @r#"
    Create and replace webhooks from a file

    Usage: postrider webhooks apply [OPTIONS] --file <FILE>

    Options:
          --config <FILE>
              Settings file; without it ./postrider.toml is read if there is one

      -f, --file <FILE>
              File to read; - is standard input

          --yes
              Do it

          --replace
              Replace also where only values that the server stars could differ

      -o, --output <FORMAT>
              Output for people or for programs

              Possible values:
              - table: For people: as wide as the terminal; whole where it goes into a pipe
              - wide:  A table, whole
              - name:  What names each row, and nothing else
              - yaml:  YAML
              - json:  JSON

              [default: table]

          --json
              Same as `-o json`

          --url <URL>
              Address of postrider [env POSTRIDER_URL; default: http:// and POSTRIDER_LISTEN]

          --token-file <FILE>
              File with the API token [env POSTRIDER_TOKEN_FILE, or POSTRIDER_TOKEN itself]

      -h, --help
              Print help (see a summary with '-h')

    Example:
      postrider webhooks apply -f webhooks.yaml --yes

    The file holds one webhook document or a list, JSON or YAML. A document with a uuid is that
    webhook, one without is the webhook of the same description. Without --yes the plan is shown
    and nothing is changed. Values that the server stars are compared only where the file stars
    them too; --replace sends a document whose only difference could be such a value.
    "#);
}

#[test]
fn help_of_secrets_set() {
    let told = help(&["secrets", "set"]);
    assert_eq!(told.trim(), include_str!("tests/help_of_secrets_set.txt").trim());
}

#[test]
fn help_of_deliveries_replay() {
    insta::assert_snapshot!("help_of_deliveries_replay", help(&["deliveries", "replay"]));
}

#[test]
fn help_of_demo() {
    insta::assert_snapshot!(help(&["demo"]), @r#"
    Show the whole way of an event on this machine, with a GitHub double

    Usage: postrider demo [OPTIONS]

    Options:
          --config <FILE>
              Settings file; without it ./postrider.toml is read if there is one

          --events <N>
              Events to send

              [default: 200]

          --keep
              Leave everything running until Ctrl-C and print the address

          --json
              End with one line of JSON

      -h, --help
              Print help

    Example:
      postrider demo --events 1000 --keep
    "#);
}
