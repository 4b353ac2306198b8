//! The shape of the code: who may depend on whom, and the budgets of the house style.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;
use syn::visit::{self, Visit};

const LONGEST_FUNCTION: usize = 70;
const LONGEST_FILE: usize = 800;
const MEDIAN_FUNCTION_BELOW: usize = 10;

/// Each crate and what of ours it may use. Arrows point inward: the program, roles, adapters,
/// render, domain. Roles never use each other, nor adapters one another, telemetry aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("render", &["domain"]),
    ("telemetry", &["domain"]),
    ("queue", &["domain", "render", "telemetry"]),
    ("store", &["domain", "render", "telemetry"]),
    ("github", &["domain", "render", "telemetry"]),
    ("broker", &["domain", "render", "telemetry"]),
    ("ingest", &["domain", "render", "queue", "store", "github", "telemetry"]),
    ("deliver", &["domain", "render", "queue", "store", "github", "telemetry"]),
    ("monitor", &["domain", "render", "queue", "store", "github", "broker", "telemetry"]),
    (
        "postrider",
        &[
            "domain",
            "render",
            "queue",
            "store",
            "github",
            "broker",
            "telemetry",
            "ingest",
            "deliver",
            "monitor",
            "github-double",
        ],
    ),
    ("github-double", &[]),
    ("bench", &["domain", "render", "queue", "store", "telemetry", "github-double"]),
];

/// Libraries that only one crate may know.
const ONE_OWNER: &[(&str, &str)] = &[("sqlx", "store"), ("jiff-sqlx", "store"), ("lapin", "queue")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What cargo tells about the workspace in a directory.
pub(crate) fn metadata(dir: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(dir)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The workspace's packages.
fn packages() -> Result<Vec<Value>> {
    let metadata = metadata(&root())?;
    Ok(metadata["packages"].as_array().context("packages")?.clone())
}

/// A crate's name without the project's.
fn short(name: &str) -> &str {
    name.strip_prefix("postrider-").unwrap_or(name)
}

/// What the crate itself depends on, its tests aside.
fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    let own = all.filter(|dependency| dependency["kind"] != "dev");
    own.filter_map(|dependency| dependency["name"].as_str())
}

#[test]
fn arrows_point_inward() -> Result<()> {
    let packages = packages()?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in &packages {
        let name = short(package["name"].as_str().context("a name")?);
        let arrows = ARROWS.iter().find(|(crate_name, _)| *crate_name == name);
        let (_, allowed) = arrows.with_context(|| format!("{name} has no row in ARROWS"))?;
        for dependency in dependencies(package).filter(|dependency| names.contains(dependency)) {
            ensure!(allowed.contains(&short(dependency)), "{name} may not use {dependency}");
        }
    }
    ensure!(packages.len() == ARROWS.len(), "each row of ARROWS is a crate: {names:?}");
    Ok(())
}

#[test]
fn one_crate_knows_sql_and_one_knows_amqp() -> Result<()> {
    for package in packages()? {
        let name = short(package["name"].as_str().context("a name")?).to_owned();
        for dependency in dependencies(&package) {
            let owner = ONE_OWNER.iter().find(|(library, _)| *library == dependency);
            // The benchmark also measures the bare pipeline that the product is compared with.
            let may = owner.is_none_or(|(_, owner)| *owner == name || name == "bench");
            ensure!(may, "{name} may not use {dependency}");
        }
    }
    Ok(())
}

/// A source file of ours.
struct Source {
    path: PathBuf,
    text: String,
    syntax: syn::File,
}

impl Source {
    fn name(&self) -> String {
        let path = self.path.strip_prefix(root()).unwrap_or(&self.path);
        path.display().to_string()
    }

    /// Whether all of it is tests.
    fn is_test(&self) -> bool {
        let name = self.name();
        name.starts_with("tests/")
            || name.contains("/tests/")
            || name.ends_with("/tests.rs")
            || name.contains("/benches/")
    }

    fn is_of(&self, crate_name: &str) -> bool {
        self.name().starts_with(&format!("crates/{crate_name}/"))
    }
}

fn sources() -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for dir in ["crates", "tests"] {
        collect(&root().join(dir), &mut paths)?;
    }
    let rust = paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources = rust.map(|path| {
        let text = fs::read_to_string(&path)?;
        let syntax = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        Ok(Source { path, text, syntax })
    });
    let sources: Vec<Source> = sources.collect::<Result<_>>()?;
    ensure!(sources.len() > 100, "only {} source files were found", sources.len());
    Ok(sources)
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_output = path.ends_with("target") || path.ends_with("node_modules");
        if path.is_dir() && !is_output {
            collect(&path, paths)?;
        } else if path.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

/// A function, from its signature to its closing brace.
struct Function {
    name: String,
    first_line: usize,
    lines: usize,
    is_of_tests: bool,
}

/// What a walk over one file finds.
#[derive(Default)]
struct Findings {
    functions: Vec<Function>,
    /// Lines of `unwrap()` outside tests.
    unwraps: Vec<usize>,
    /// Names of macros called outside tests.
    macros: Vec<String>,
    /// Text literals outside tests.
    literals: Vec<String>,
    /// Public re-exports of everything.
    globs: Vec<usize>,
    /// Names of modules.
    modules: Vec<String>,
    inside_tests: usize,
}

impl Findings {
    fn of(source: &Source) -> Self {
        let mut findings = Self { inside_tests: usize::from(source.is_test()), ..Self::default() };
        findings.visit_file(&source.syntax);
        findings
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first_line = signature.fn_token.span.start().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            first_line,
            lines: block.brace_token.span.close().end().line - first_line + 1,
            is_of_tests: self.inside_tests > 0,
        });
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute.path().segments.last().map(|segment| segment.ident.to_string());
        match last.as_deref() {
            Some("test") => true,
            Some("cfg") => matches!(
                &attribute.meta,
                syn::Meta::List(inner) if inner.tokens.to_string().contains("test")
            ),
            _ => false,
        }
    })
}

impl<'ast> Visit<'ast> for Findings {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let is_test = usize::from(is_test(&item.attrs));
        self.inside_tests += is_test;
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
        self.inside_tests -= is_test;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push(item.ident.to_string());
        let is_test = usize::from(is_test(&item.attrs));
        self.inside_tests += is_test;
        visit::visit_item_mod(self, item);
        self.inside_tests -= is_test;
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if self.inside_tests == 0 && call.method == "unwrap" {
            self.unwraps.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let (0, Some(segment)) = (self.inside_tests, call.path.segments.last()) {
            self.macros.push(segment.ident.to_string());
        }
        visit::visit_macro(self, call);
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        if self.inside_tests == 0 {
            self.literals.push(literal.value());
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        if is_public && has_glob(&item.tree) {
            self.globs.push(item.use_token.span.start().line);
        }
    }
}

fn has_glob(tree: &syn::UseTree) -> bool {
    match tree {
        syn::UseTree::Path(path) => has_glob(&path.tree),
        syn::UseTree::Group(group) => group.items.iter().any(has_glob),
        syn::UseTree::Glob(_) => true,
        syn::UseTree::Name(_) | syn::UseTree::Rename(_) => false,
    }
}

/// Fails with all faults at once.
fn none(what: &str, faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    Ok(())
}

#[test]
fn functions_and_files_are_short() -> Result<()> {
    let mut faults = Vec::new();
    let mut lengths = Vec::new();
    for source in sources()? {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            faults.push(format!("{}: {lines} lines", source.name()));
        }
        for function in Findings::of(&source).functions {
            let Function { name, first_line, lines, .. } = &function;
            if *lines > LONGEST_FUNCTION {
                faults.push(format!("{}:{first_line}: {name} has {lines} lines", source.name()));
            }
            if !function.is_of_tests {
                lengths.push(*lines);
            }
        }
    }
    none("too long", &faults)?;
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    ensure!(median < MEDIAN_FUNCTION_BELOW, "the median function has {median} lines");
    Ok(())
}

#[test]
fn nothing_is_left_to_do_and_nothing_unwrapped() -> Result<()> {
    let mut faults = Vec::new();
    for source in sources()? {
        let findings = Findings::of(&source);
        for line in &findings.unwraps {
            faults.push(format!("{}:{line}: unwrap()", source.name()));
        }
        let unfinished = ["todo", "unimplemented", "dbg"];
        for name in findings.macros.iter().filter(|name| unfinished.contains(&name.as_str())) {
            faults.push(format!("{}: {name}!", source.name()));
        }
        for line in &findings.globs {
            faults.push(format!("{}:{line}: re-exports everything", source.name()));
        }
        let vague = ["utils", "util", "common", "helpers", "types", "misc"];
        for name in findings.modules.iter().filter(|name| vague.contains(&name.as_str())) {
            faults.push(format!("{}: a module named {name}", source.name()));
        }
        let names_itself = source.name().ends_with("/tests.rs");
        if !names_itself && !source.text.starts_with("//!") {
            faults.push(format!("{}: does not begin by saying what it is", source.name()));
        }
    }
    none("not in the house style", &faults)
}

#[test]
fn sql_is_in_the_store_alone() -> Result<()> {
    let sql = Regex::new(
        r"(?is)\b(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|(create|alter|drop)\s+(table|index)\s)",
    )?;
    let mut faults = Vec::new();
    for source in
        sources()?.iter().filter(|source| !source.is_of("store") && !source.is_of("bench"))
    {
        let literals = Findings::of(source).literals;
        for literal in literals.iter().filter(|literal| sql.is_match(literal)) {
            faults.push(format!("{}: {literal:?}", source.name()));
        }
    }
    none("SQL outside the store", &faults)
}

/// Each row of the README's table "Where is …" points to something that is there.
#[test]
fn the_readme_knows_where_things_are() -> Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let (_, table) = readme.split_once("## Where is").context("the table")?;
    let table = table.split("\n## ").next().unwrap_or_default();
    let quoted = Regex::new("`([^`]+)`")?;
    let mut faults = Vec::new();
    let mut found = 0;
    for row in table.lines().filter(|line| line.starts_with('|')) {
        let mut dir = root();
        for (_, [name]) in quoted.captures_iter(row).map(|captures| captures.extract()) {
            // A file without a path stands beside the one named before it.
            let path = if name.contains('/') { root().join(name) } else { dir.join(name) };
            let is_path = name.contains('/') || Path::new(name).extension().is_some();
            if is_path && !path.exists() {
                faults.push(format!("{name} in {row}"));
            }
            if is_path {
                found += 1;
                dir = path.parent().context("a directory")?.to_owned();
            }
        }
    }
    none("is not there", &faults)?;
    ensure!(found >= 10, "only {found} places are named");
    Ok(())
}

/// Notes of how the project came about are no part of it, and paths of one machine are none of
/// all others.
#[test]
fn the_project_speaks_of_itself_alone() -> Result<()> {
    let documents = ["contract", "design", "protocol"].map(|name| format!("{name}.md"));
    let places = ["work/main", "work/shared", "tmp/pr/"].map(|path| format!("/{path}"));
    let words: Vec<String> = documents.into_iter().chain(places).collect();
    let mut paths = Vec::new();
    for dir in ["crates", "tests", "migrations", "deploy"] {
        collect(&root().join(dir), &mut paths)?;
    }
    paths.extend(["README.md", "Cargo.toml", "docker-compose.yml"].map(|name| root().join(name)));
    let mut faults = Vec::new();
    for path in paths {
        // What is no text speaks of nothing.
        let text = fs::read_to_string(&path).unwrap_or_default();
        for word in words.iter().filter(|word| text.contains(word.as_str())) {
            faults.push(format!("{}: {word}", path.display()));
        }
    }
    none("speaks of something else", &faults)
}
