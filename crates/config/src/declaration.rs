//! What a setting is: its names, meaning, type, default, example, and who reads it. Each stands
//! once, in the field that holds the value (`settings!`); everything else is made of it.

use crate::value::{Raw, Show, Wrong, flag_name};

/// Prefix of our variables.
pub(crate) const PREFIX: &str = "POSTRIDER_";
/// These settings of ours have the broker's variable of the same ending as a fallback.
const ALSO_THE_BROKERS: &str = "WEBHOOK_";

/// Who reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What takes events in and answers for webhooks and the operations API.
    Ingest,
    /// What sends deliveries.
    Worker,
    /// What looks for what a person should know.
    Monitor,
    /// The commands that speak to a running postrider or to a broker.
    Command,
}

impl Role {
    /// As it is said to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Monitor => "monitor",
            Self::Command => "commands",
        }
    }
}

pub(crate) const INGEST: &[Role] = &[Role::Ingest];
pub(crate) const WORKER: &[Role] = &[Role::Worker];
pub(crate) const MONITOR: &[Role] = &[Role::Monitor];
pub(crate) const COMMAND: &[Role] = &[Role::Command];
pub(crate) const INGEST_AND_WORKER: &[Role] = &[Role::Ingest, Role::Worker];
pub(crate) const INGEST_AND_MONITOR: &[Role] = &[Role::Ingest, Role::Monitor];
pub(crate) const ROLES: &[Role] = &[Role::Ingest, Role::Worker, Role::Monitor];
pub(crate) const EVERYBODY: &[Role] = &[Role::Ingest, Role::Worker, Role::Monitor, Role::Command];

/// Under which names a setting is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `POSTRIDER_<ENDING>`, in lower case a key of the settings file; then variables of other
    /// programs.
    Ours { ending: &'static str, fallbacks: &'static [&'static str] },
    /// Variables of other programs, of which the first that is set counts.
    Others(&'static [&'static str]),
    /// A variable that counts in lower case too, which then wins.
    EitherCase { lower: &'static str, upper: &'static str },
}

/// What is in force when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// This, written as one would write it.
    Value(&'static str),
    /// What these words say.
    InWords(&'static str),
    /// Nothing.
    Nothing,
}

/// All that is said of a setting.
#[derive(Debug, Clone)]
pub struct Declaration {
    pub(crate) names: Names,
    pub(crate) show: Show,
    /// The heading that it stands under.
    pub(crate) section: &'static str,
    /// Lines of the field's comment.
    pub(crate) meaning: &'static [&'static str],
    /// What may be written, in words.
    pub kind: String,
    /// What is in force when nobody sets it.
    pub unset: Unset,
    /// A value that could be written.
    pub example: &'static str,
    /// Who reads it.
    pub roles: &'static [Role],
    /// What stands for the value in the help of its command-line flag, if it has one.
    pub flag: Option<&'static str>,
}

impl Declaration {
    /// The variable that is named first.
    pub fn variable(&self) -> String {
        match self.names {
            Names::Ours { ending, .. } => format!("{PREFIX}{ending}"),
            Names::Others(names) => names.first().copied().unwrap_or_default().to_owned(),
            Names::EitherCase { upper, .. } => upper.to_owned(),
        }
    }

    /// Other variables that are asked when that one is not set, in this order.
    pub fn fallbacks(&self) -> Vec<String> {
        match self.names {
            Names::Ours { ending, fallbacks } => {
                let of_broker = ending.starts_with(ALSO_THE_BROKERS);
                let of_broker = of_broker.then(|| format!("PACT_BROKER_{ending}"));
                fallbacks.iter().map(|name| (*name).to_owned()).chain(of_broker).collect()
            }
            Names::Others(names) => names.iter().skip(1).map(|name| (*name).to_owned()).collect(),
            Names::EitherCase { lower, .. } => vec![lower.to_owned()],
        }
    }

    /// The name of ours without prefix, by which flags hand a value over.
    pub fn ending(&self) -> Option<&'static str> {
        match self.names {
            Names::Ours { ending, .. } => Some(ending),
            Names::Others(_) | Names::EitherCase { .. } => None,
        }
    }

    /// What a flag of it sets: the end of its variable, of a secret's that of the file's.
    pub fn flag_sets(&self) -> Option<String> {
        let ending = self.ending()?;
        Some(if self.is_secret() { format!("{ending}_FILE") } else { ending.to_owned() })
    }

    /// The help of its flag.
    pub fn flag_help(&self) -> String {
        let (summary, variable) = (self.summary(), self.variable());
        if self.is_secret() {
            return format!("File with the {summary} [env {variable}_FILE, or {variable} itself]");
        }
        match self.unset {
            Unset::Value(default) | Unset::InWords(default) => {
                format!("{summary} [env {variable}; default: {default}]")
            }
            Unset::Nothing => format!("{summary} [env {variable}]"),
        }
    }

    /// Its key in the settings file; variables of other programs have none.
    pub fn file_key(&self) -> Option<String> {
        self.ending().map(str::to_lowercase)
    }

    /// Whether its value is starred, and may be given by a file that `<NAME>_FILE` names.
    pub fn is_secret(&self) -> bool {
        self.show != Show::Plain
    }

    /// The heading that it stands under.
    pub fn section(&self) -> &'static str {
        self.section.trim().trim_end_matches('.')
    }

    /// What it decides, in one paragraph.
    pub fn meaning(&self) -> String {
        let lines: Vec<&str> = self.meaning.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }

    /// What is told beside the meaning, each with its name; code in backquotes.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let code = |text: &str| format!("`{text}`");
        let default = match self.unset {
            Unset::Value("") => "empty".to_owned(),
            Unset::Value(value) => code(value),
            Unset::InWords(words) => words.to_owned(),
            Unset::Nothing => "none".to_owned(),
        };
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        let fallbacks: Vec<String> = self.fallbacks().iter().map(|name| code(name)).collect();
        let file = code(&format!("{}_FILE", self.variable()));
        let flag = self.flag.and_then(|_| Some(code(&flag_name(&self.flag_sets()?))));
        [
            Some(("type", self.kind.clone())),
            Some(("default", default)),
            Some(("example", code(self.example))),
            Some(("read by", roles.join(", "))),
            (!fallbacks.is_empty()).then(|| ("else", fallbacks.join(", "))),
            self.is_secret().then(|| ("secret", format!("yes; its file: {file}"))),
            flag.map(|flag| ("flag", flag)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The first sentence of the meaning, without its full stop.
    pub fn summary(&self) -> String {
        let meaning = self.meaning();
        let first = meaning.split(". ").next().unwrap_or_default();
        first.trim_end_matches('.').to_owned()
    }
}

/// A setting whose field is still to be told whether it has a default.
pub(crate) struct Setting<T> {
    pub(crate) declaration: Declaration,
    pub(crate) parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&Raw) -> Result<T, Wrong>>;

/// A setting with a default.
pub(crate) struct Defaulted<T>(pub(crate) Setting<T>, pub(crate) &'static str);

/// A setting that may be left out.
pub(crate) struct Optional<T>(pub(crate) Setting<T>);

/// A setting that is read as it was written, because what it means hangs on others.
pub(crate) struct Unparsed(pub(crate) Declaration);

impl Declaration {
    fn new(names: Names, kind: String) -> Self {
        Self {
            names,
            show: Show::Plain,
            section: "",
            meaning: &[],
            kind,
            unset: Unset::Nothing,
            example: "",
            roles: ROLES,
            flag: None,
        }
    }
}

/// Variables of other programs, of which the first that is set counts.
pub(crate) fn variable(names: &'static [&'static str], kind: &str) -> Setting<()> {
    of_others(Names::Others(names), kind)
}

/// A variable of other programs that counts in lower case too.
pub(crate) fn in_either_case(lower: &'static str, upper: &'static str, kind: &str) -> Setting<()> {
    of_others(Names::EitherCase { lower, upper }, kind)
}

fn of_others(names: Names, kind: &str) -> Setting<()> {
    Setting { declaration: Declaration::new(names, kind.to_owned()), parse: Box::new(|_| Ok(())) }
}

impl Setting<()> {
    /// It is read as it was written.
    pub(crate) fn unparsed(self) -> Unparsed {
        Unparsed(self.declaration)
    }

    /// The same; in force when nobody sets it.
    pub(crate) fn unparsed_else(mut self, default: &'static str) -> Unparsed {
        self.declaration.unset = Unset::Value(default);
        Unparsed(self.declaration)
    }
}

impl<T> Setting<T> {
    /// A setting of ours that anybody may see; `kind` says what may be written.
    pub(crate) fn new(
        ending: &'static str,
        kind: impl Into<String>,
        parse: impl Fn(&Raw) -> Result<T, Wrong> + 'static,
    ) -> Self {
        let names = Names::Ours { ending, fallbacks: &[] };
        Self { declaration: Declaration::new(names, kind.into()), parse: Box::new(parse) }
    }

    /// Variables of other programs that are asked when ours is not set.
    pub(crate) fn else_of(mut self, fallbacks: &'static [&'static str]) -> Self {
        if let Names::Ours { ending, .. } = self.declaration.names {
            self.declaration.names = Names::Ours { ending, fallbacks };
        }
        self
    }

    /// Its value is starred, and may be given by file.
    pub(crate) fn secret(mut self) -> Self {
        self.declaration.show = Show::Stars;
        self
    }

    /// Of its value, a URL, the password is starred; it may be given by file.
    pub(crate) fn secret_password(mut self) -> Self {
        self.declaration.show = Show::UrlStars;
        self
    }

    /// Who reads it; all roles unless told otherwise.
    pub(crate) fn of(mut self, roles: &'static [Role]) -> Self {
        self.declaration.roles = roles;
        self
    }

    /// A value that could be written.
    pub(crate) fn example(mut self, example: &'static str) -> Self {
        self.declaration.example = example;
        self
    }

    /// It can be given as a flag too, whose help calls the value so.
    pub(crate) fn flag(mut self, value: &'static str) -> Self {
        self.declaration.flag = Some(value);
        self
    }

    /// In force when nobody sets it.
    pub(crate) fn default(mut self, default: &'static str) -> Defaulted<T> {
        self.declaration.unset = Unset::Value(default);
        Defaulted(self, default)
    }

    /// It may be left out.
    pub(crate) fn optional(self) -> Optional<T> {
        Optional(self)
    }

    /// It may be left out; then what these words say is in force.
    pub(crate) fn else_in_words(mut self, words: &'static str) -> Optional<T> {
        self.declaration.unset = Unset::InWords(words);
        Optional(self)
    }
}
