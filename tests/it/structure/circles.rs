//! No circle of files inside a crate: whoever reads a file need not have read one that reads it.
//!
//! A file uses another when a path in it leads to an item that the other defines. Re-exports are
//! passed through: they are a facade, no use.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::none;
use super::source::{Source, is_test, sources};

/// Longest chain of re-exports that is followed.
const LONGEST_CHAIN: usize = 16;

/// Path of a module from the crate's root.
type Path = Vec<String>;

/// Modules of a crate.
#[derive(Default)]
struct Crate {
    /// Names of files by number.
    files: Vec<String>,
    modules: BTreeMap<Path, Module>,
}

struct Module {
    file: usize,
    /// Names that `use` brings in, and the paths that they stand for.
    names: BTreeMap<String, Path>,
}

impl Crate {
    /// The file that defines what a path leads to, as it is written in a module.
    fn file_of(&self, module: &[String], path: &[String], chain: usize) -> Option<usize> {
        if chain > LONGEST_CHAIN {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.below(&[], rest, chain),
            "self" => self.below(module, rest, chain),
            "super" => {
                let (_, parent) = module.split_last()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.file_of(parent, rest, chain + 1),
                    _ => self.below(parent, rest, chain),
                }
            }
            name => {
                if self.modules.contains_key(&child(module, name)) {
                    return self.below(module, path, chain);
                }
                let stands_for = self.modules.get(module)?.names.get(name)?;
                self.file_of(module, &[stands_for, rest].concat(), chain + 1)
            }
        }
    }

    fn below(&self, from: &[String], path: &[String], chain: usize) -> Option<usize> {
        let mut module = from.to_vec();
        let mut path = path;
        while let Some((next, rest)) = path.split_first() {
            let inner = child(&module, next);
            if !self.modules.contains_key(&inner) {
                break;
            }
            (module, path) = (inner, rest);
        }
        // The module alone: what is used of it says which file is meant.
        let (item, rest) = path.split_first()?;
        let found = self.modules.get(&module)?;
        match found.names.get(item) {
            Some(stands_for) => {
                self.file_of(&module, &[stands_for.as_slice(), rest].concat(), chain + 1)
            }
            None => Some(found.file),
        }
    }
}

fn child(module: &[String], name: &str) -> Path {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

/// Paths and names of one file.
struct Walk<'a> {
    module: Path,
    /// Names by module: a file may hold modules of its own.
    names: BTreeMap<Path, BTreeMap<String, Path>>,
    used: Vec<(Path, Path)>,
    file: &'a Source,
}

impl<'a> Walk<'a> {
    fn of(file: &'a Source, module: Path) -> Self {
        let names = BTreeMap::from([(module.clone(), BTreeMap::new())]);
        let mut walk = Self { module, names, used: Vec::new(), file };
        walk.visit_file(&file.syntax);
        walk
    }

    fn uses(&mut self, path: Path) {
        self.used.push((self.module.clone(), path));
    }

    fn brings_in(&mut self, tree: &syn::UseTree, so_far: &[String], is_facade: bool) {
        let (name, path) = match tree {
            syn::UseTree::Path(path) => {
                let so_far = child(so_far, &path.ident.to_string());
                return self.brings_in(&path.tree, &so_far, is_facade);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.brings_in(tree, so_far, is_facade));
            }
            syn::UseTree::Glob(_) => return self.uses(child(so_far, "*")),
            syn::UseTree::Name(name) if name.ident == "self" => {
                (so_far.last().cloned().unwrap_or_default(), so_far.to_vec())
            }
            syn::UseTree::Name(name) => {
                (name.ident.to_string(), child(so_far, &name.ident.to_string()))
            }
            syn::UseTree::Rename(rename) => {
                (rename.rename.to_string(), child(so_far, &rename.ident.to_string()))
            }
        };
        if !is_facade {
            self.uses(path.clone());
        }
        self.names.entry(self.module.clone()).or_default().insert(name, path);
    }

    /// Paths among the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.uses(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => colons = 0,
            }
        }
        self.uses(path);
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            self.names.entry(self.module.clone()).or_default();
        }
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_facade = !matches!(item.vis, syn::Visibility::Inherited);
        self.brings_in(&item.tree, &[], is_facade);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.uses(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }
}

/// Crate and module of a file of `crates/*/src`; `None` for programs beside a library and tests.
fn place(source: &Source) -> Option<(String, Path)> {
    let name = source.name();
    let (crate_name, file) = name.strip_prefix("crates/")?.split_once("/src/")?;
    let file = file.strip_suffix(".rs")?;
    let beside =
        file == "main" && super::root().join(format!("crates/{crate_name}/src/lib.rs")).exists();
    if source.is_test() || beside || file.starts_with("bin/") {
        return None;
    }
    let mut module: Path = file.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        module.pop();
    }
    Some((crate_name.to_owned(), module))
}

/// What each file of a crate uses of the crate's other files.
fn uses_of(walks: &[Walk<'_>]) -> (Crate, Vec<BTreeSet<usize>>) {
    let mut all = Crate::default();
    for (file, walk) in walks.iter().enumerate() {
        all.files.push(walk.file.name());
        for (module, names) in &walk.names {
            all.modules.insert(module.clone(), Module { file, names: names.clone() });
        }
    }
    let targets = |(file, walk): (usize, &Walk<'_>)| {
        let used = walk.used.iter();
        let used = used.filter_map(|(module, path)| all.file_of(module, path, 0));
        used.filter(|other| *other != file).collect()
    };
    let uses = walks.iter().enumerate().map(targets).collect();
    (all, uses)
}

/// Everything that a file uses, by whatever way.
fn reached(uses: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in uses.get(file).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(*next);
            }
        }
    }
    reached
}

/// Groups of files that all use each other.
fn circles(uses: &[BTreeSet<usize>]) -> BTreeSet<BTreeSet<usize>> {
    let reached: Vec<_> = (0..uses.len()).map(|file| reached(uses, file)).collect();
    let circle = |file: usize| -> BTreeSet<usize> {
        let own = reached.get(file).into_iter().flatten().copied();
        own.filter(|other| reached.get(*other).is_some_and(|back| back.contains(&file))).collect()
    };
    (0..uses.len()).map(circle).filter(|circle| !circle.is_empty()).collect()
}

fn found() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let sources = sources()?;
    let mut walks: BTreeMap<String, Vec<Walk<'_>>> = BTreeMap::new();
    for source in &sources {
        if let Some((crate_name, module)) = place(source) {
            walks.entry(crate_name).or_default().push(Walk::of(source, module));
        }
    }
    ensure!(walks.len() > 10, "only {} crates were found", walks.len());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (crate_name, walks) in &walks {
        let (all, uses) = uses_of(walks);
        for circle in circles(&uses) {
            let names = circle.iter().filter_map(|file| all.files.get(*file));
            let prefix = format!("crates/{crate_name}/src/");
            let names: BTreeSet<String> = names.map(|name| name.replacen(&prefix, "", 1)).collect();
            let names: Vec<String> = names.into_iter().collect();
            found.entry(crate_name.clone()).or_default().insert(names.join(" "));
        }
    }
    Ok(found)
}

#[test]
fn no_file_uses_what_uses_it() -> Result<()> {
    let found = found()?;
    let circles = found.iter().flat_map(|(name, circles)| {
        circles.iter().map(move |circle| format!("a circle in {name}: {circle}"))
    });
    none("files use each other", &circles.collect::<Vec<_>>())
}

/// The walk sees uses through re-exports, aliases and macros, and not those of tests.
#[test]
fn circles_are_seen() -> Result<()> {
    let file = |name: &str, text: &str| -> Result<Source> {
        let path = super::root().join("crates/x/src").join(name);
        Ok(Source { path, text: text.to_owned(), syntax: syn::parse_file(text)? })
    };
    let files = [
        file("lib.rs", "mod a; mod b; mod c; pub use a::A;")?,
        file("a.rs", "use crate::b; pub struct A; fn f() { println!(\"{}\", b::g()) }")?,
        file("b.rs", "use crate::A; pub fn g() -> A { A }")?,
        file("c.rs", "use super::A; #[cfg(test)] mod tests { use crate::c::X; }")?,
    ];
    let walks: Vec<_> = files
        .iter()
        .filter_map(|file| place(file).map(|(_, module)| Walk::of(file, module)))
        .collect();
    let (_, uses) = uses_of(&walks);
    ensure!(circles(&uses) == BTreeSet::from([BTreeSet::from([1, 2])]), "{uses:?}");
    ensure!(uses.get(3) == Some(&BTreeSet::from([1])), "{uses:?}");
    Ok(())
}
