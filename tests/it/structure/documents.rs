//! Documents that have to follow the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use regex::Regex;

use super::source::{collect, sources};
use super::{none, root};

/// Names in capitals that comments use and that are others': of SQLite, of Linux, of standards.
const OF_OTHERS: &[&str] = &[
    "EADDRNOTAVAIL",
    "ENOBUFS",
    "ENOMEM",
    "IEEE",
    "SQLITE_CORRUPT",
    "SQLITE_ERROR",
    "SQLITE_INTERRUPT",
    "SQLITE_NOTADB",
    "USER_HZ",
];

/// Each row of the table "Where is …" points to something that is there.
#[test]
fn the_map_knows_where_things_are() -> Result<()> {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let (_, table) = map.split_once("## Where is").context("the table")?;
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

/// Paths in backquotes outside that table exist, too.
#[test]
fn paths_in_the_map_exist() -> Result<()> {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let path = Regex::new("`((?:crates|docs|migrations|tests|testkit|bench|deploy)/[^` ]*)`")?;
    let named = path.captures_iter(&map).map(|captures| captures[1].to_owned());
    let faults: Vec<String> = named.filter(|name| !root().join(name).exists()).collect();
    none("is not there", &faults)
}

fn pages() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for dir in [".github", "bench", "crates", "deploy", "docs", "migrations", "testkit", "tests"] {
        collect(&root().join(dir), &mut paths)?;
    }
    for entry in fs::read_dir(root())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "md") && path.is_file());
    ensure!(paths.len() > 8, "only {} pages were found", paths.len());
    Ok(paths)
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let link = Regex::new(r"\]\(([^)\s]+)\)")?;
    let mut faults = Vec::new();
    let mut found = 0;
    for page in pages()? {
        let text = fs::read_to_string(&page)?;
        for (_, [target]) in link.captures_iter(&text).map(|captures| captures.extract()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            found += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let dir = page.parent().context("a directory")?;
            let path = if file.is_empty() { page.clone() } else { dir.join(file) };
            let leads = match fs::read_to_string(&path) {
                Ok(text) => {
                    let mut headings = text.lines().filter(|line| line.starts_with('#'));
                    heading.is_empty() || headings.any(|line| anchor(line) == heading)
                }
                // A folder, a picture.
                Err(_) => path.exists() && heading.is_empty(),
            };
            if !leads {
                faults.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none("leads nowhere", &faults)?;
    ensure!(found > 3, "only {found} links were found");
    Ok(())
}

/// Words of a text.
fn words<'a>(word: &'a Regex, text: &'a str) -> impl Iterator<Item = String> + 'a {
    word.captures_iter(text).map(|captures| captures[1].to_owned())
}

/// A comment may cite a rule by its name in capitals and a transition by its letter and number:
/// both stand in the protocol, the steps of tests at the top of their file.
#[test]
fn what_comments_cite_stands_in_the_protocol() -> Result<()> {
    let protocol = fs::read_to_string(root().join("docs/protocol.md"))?;
    let steps = fs::read_to_string(root().join("crates/store/src/executions.rs"))?;
    let rule = Regex::new(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")?;
    let short_rule = Regex::new(r"\(`?([A-Z]{4,})`?\)")?;
    let transition = Regex::new(r"\b([TJLERW][1-9][0-9]?[a-z]?)\b")?;
    let sources: Vec<_> =
        sources()?.into_iter().filter(|source| source.name().starts_with("crates/")).collect();
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let settings = fs::read_to_string(root().join("docs/settings.md"))?;
    let mut known: BTreeSet<String> =
        words(&rule, &protocol).chain(words(&rule, &settings)).collect();
    for source in &sources {
        let code: Vec<&str> = source.text.lines().filter(|line| !is_comment(line)).collect();
        known.extend(words(&rule, &code.join("\n")));
    }
    known.extend(words(&Regex::new(r"\b([A-Z]{4,})\b")?, &protocol));
    known.extend(words(&transition, &protocol).chain(words(&transition, &steps)));
    known.extend(OF_OTHERS.iter().map(ToString::to_string));
    let mut faults = BTreeSet::new();
    let mut cited = 0;
    for source in &sources {
        for comment in source.text.lines().filter(is_comment) {
            let names = [&rule, &short_rule, &transition];
            for name in names.into_iter().flat_map(|kind| words(kind, comment)) {
                cited += 1;
                if !known.contains(&name) {
                    faults.insert(format!("{}: {name}", source.name()));
                }
            }
        }
    }
    none("is not in docs/protocol.md", &faults.into_iter().collect::<Vec<_>>())?;
    ensure!(cited > 150, "only {cited} citations were found");
    Ok(())
}

/// Notes of how the project came about are no part of it, and paths of one machine are none of
/// all others.
#[test]
fn the_project_speaks_of_itself_alone() -> Result<()> {
    let documents = ["contract", "design", "engine", "semantics"].map(|name| format!("{name}.md"));
    let places = ["work/main", "work/shared", "tmp/pr/"].map(|path| format!("/{path}"));
    let words: Vec<String> = documents.into_iter().chain(places).collect();
    let mut paths = Vec::new();
    for dir in ["bench", "crates", "deploy", "docs", "migrations", "tests"] {
        collect(&root().join(dir), &mut paths)?;
    }
    let alone = ["ARCHITECTURE.md", "README.md", "Cargo.toml", "docker-compose.yml"];
    paths.extend(alone.map(|name| root().join(name)));
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
