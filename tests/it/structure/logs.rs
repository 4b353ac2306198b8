//! Log messages: one list of their names, with the fields that come with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, bail, ensure};
use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;
use syn::visit::{self, Visit};

use super::source::{Source, is_test, sources};
use super::{none, root};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Crates of the product.
const CRATES: [&str; 2] = ["crates/github-double/", "crates/sim/"];

/// Where one message is written.
struct Line {
    file: String,
    level: String,
    message: String,
    fields: BTreeSet<String>,
}

/// Calls of tracing's macros outside tests.
struct Lines<'a> {
    source: &'a Source,
    found: Vec<Line>,
    /// Constants of text, by name.
    constants: &'a BTreeMap<String, String>,
    /// Dotted names that the file hands to its functions, by function.
    handed: Handed,
    /// The function that is walked through.
    function: String,
}

/// Dotted names among the arguments of calls, by what is called.
#[derive(Default)]
struct Handed(BTreeMap<String, Vec<String>>);

impl Handed {
    fn add<'ast>(&mut self, called: String, arguments: impl Iterator<Item = &'ast syn::Expr>) {
        let mut literals = Literals(Vec::new());
        arguments.for_each(|argument| literals.visit_expr(argument));
        let dotted = literals.0.into_iter().filter(|text| text.contains('.') && is_name(text));
        self.0.entry(called).or_default().extend(dotted);
    }
}

impl<'ast> Visit<'ast> for Handed {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func
            && let Some(last) = path.path.segments.last()
        {
            self.add(last.ident.to_string(), call.args.iter());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.add(call.method.to_string(), call.args.iter());
        visit::visit_expr_method_call(self, call);
    }
}

/// Texts that are arguments themselves.
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }
}

impl Lines<'_> {
    /// Calls among the arguments of another macro, such as `select!`.
    fn inside(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (place, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            let before: Vec<String> =
                tokens.iter().take(place).rev().take(5).map(ToString::to_string).collect();
            match before.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["!", level, ":", ":", "tracing"] => self.line(level, group.stream()),
                _ => self.inside(group.stream()),
            }
        }
    }

    fn line(&mut self, level: &str, arguments: TokenStream) {
        if !LEVELS.contains(&level) {
            return;
        }
        let (fields, message) = parts(arguments);
        for message in self.messages(message) {
            let (file, level, fields) = (self.source.name(), level.to_owned(), fields.clone());
            self.found.push(Line { file, level, message, fields });
        }
    }

    /// What stands for a message: itself, a constant, or for one that is an argument of its function
    /// every dotted name that is handed to that function.
    fn messages(&self, written: String) -> Vec<String> {
        let Some(name) = written.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
            return vec![written];
        };
        if let Some(message) = self.constants.get(name) {
            return vec![message.clone()];
        }
        self.handed.0.get(&self.function).cloned().unwrap_or_else(|| vec![written])
    }
}

/// Words in lower case, joined by dots.
fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_part)
    };
    text.split('.').all(is_word)
}

impl<'ast> Visit<'ast> for Lines<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let path: Vec<String> =
            call.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        match &path[..] {
            [library, level] if library == "tracing" => self.line(level, call.tokens.clone()),
            _ => self.inside(call.tokens.clone()),
        }
    }
}

/// Names of fields, and the text of the message, which comes last.
fn parts(tokens: TokenStream) -> (BTreeSet<String>, String) {
    let mut arguments: Vec<Vec<TokenTree>> = vec![Vec::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => arguments.push(Vec::new()),
            _ => arguments.last_mut().into_iter().for_each(|last| last.push(token.clone())),
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    let message = match arguments.pop().as_deref() {
        Some([TokenTree::Literal(text)]) => syn::parse_str::<syn::LitStr>(&text.to_string())
            .map_or_else(|_| String::new(), |text| text.value()),
        _ => String::new(),
    };
    (arguments.iter().map(|argument| field(argument)).collect(), message)
}

/// `%error` and `error = …` are both the field `error`.
fn field(argument: &[TokenTree]) -> String {
    let name = argument
        .iter()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == '='));
    let name: String = name.map(ToString::to_string).collect();
    name.trim_start_matches(['%', '?']).to_owned()
}

/// Messages that are chosen among constants of the file: `"{what}"`.
fn constants(sources: &[Source]) -> Result<BTreeMap<String, String>> {
    let constant = Regex::new(r#"const ([A-Z_]+): &str = "([^"]*)";"#)?;
    let all = sources.iter().flat_map(|source| constant.captures_iter(&source.text));
    Ok(all.map(|found| (found[1].to_owned(), found[2].to_owned())).collect())
}

fn written() -> Result<Vec<Line>> {
    let sources = sources()?;
    let constants = constants(&sources)?;
    let ours = sources.iter().filter(|source| {
        let name = source.name();
        name.starts_with("crates/")
            && !source.is_test()
            && !CRATES.iter().any(|other| name.starts_with(other))
    });
    let mut all = Vec::new();
    for source in ours {
        let mut handed = Handed::default();
        handed.visit_file(&source.syntax);
        let (found, function) = (Vec::new(), String::new());
        let mut lines = Lines { source, found, constants: &constants, handed, function };
        lines.visit_file(&source.syntax);
        all.extend(lines.found);
    }
    ensure!(all.len() > 50, "only {} log lines were found", all.len());
    Ok(all)
}

/// What is said of a message.
#[derive(Default, PartialEq, Eq)]
struct Entry {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Entry {
    /// The row of `docs/logs.md`, its meaning aside.
    fn row(&self, message: &str) -> String {
        let levels: Vec<&str> = self.levels.iter().map(String::as_str).collect();
        let fields: Vec<String> = self.fields.iter().map(|field| format!("`{field}`")).collect();
        let fields = if fields.is_empty() { NOTHING.to_owned() } else { fields.join(", ") };
        format!("| `{message}` | {} | {fields} |", levels.join(", "))
    }
}

/// Stands where a message has no fields.
const NOTHING: &str = "–";

/// The messages of `docs/logs.md`.
fn listed() -> Result<BTreeMap<String, Entry>> {
    let page = fs::read_to_string(root().join("docs/logs.md"))?;
    let mut listed = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [message, levels, fields, meaning] = cells[..] else { bail!("not four cells: {row}") };
        ensure!(!meaning.is_empty(), "says nothing: {row}");
        let words = |cell: &str| -> BTreeSet<String> {
            let words = cell.split(", ").filter(|word| *word != NOTHING);
            words.map(|word| word.trim_matches('`').to_owned()).collect()
        };
        let message = message.trim_matches('`').to_owned();
        let entry = Entry { levels: words(levels), fields: words(fields) };
        ensure!(listed.insert(message.clone(), entry).is_none(), "{message} is listed twice");
    }
    Ok(listed)
}

#[test]
fn messages_of_the_log_are_listed() -> Result<()> {
    let listed = listed()?;
    let mut faults = Vec::new();
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    for Line { file, level, message, fields } in written()? {
        if !is_name(&message) {
            faults.push(format!("{file}: {message:?} is no dotted name"));
        }
        let entry = found.entry(message).or_default();
        entry.levels.insert(level);
        entry.fields.extend(fields);
    }
    none("names of messages", &faults)?;
    for (message, entry) in &found {
        match listed.get(message) {
            Some(listed) if listed == entry => {}
            Some(_) => faults.push(format!("is written otherwise: {}", entry.row(message))),
            None => faults.push(format!("is not listed: {}", entry.row(message))),
        }
    }
    let gone = listed.keys().filter(|message| !found.contains_key(*message));
    faults.extend(gone.map(|message| format!("is not written any more: {message}")));
    none("docs/logs.md is not what the sources write", &faults)
}
