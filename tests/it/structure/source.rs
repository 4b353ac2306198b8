//! Our sources as syntax, and what a walk over a file finds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use syn::visit::{self, Visit};

use super::root;

/// A source file of ours.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) syntax: syn::File,
}

impl Source {
    pub(super) fn name(&self) -> String {
        let path = self.path.strip_prefix(root()).unwrap_or(&self.path);
        path.display().to_string()
    }

    /// Whether all of it is tests.
    pub(super) fn is_test(&self) -> bool {
        let name = self.name();
        name.starts_with("tests/")
            || name.contains("/tests/")
            || name.ends_with("/tests.rs")
            || name.contains("/benches/")
    }

    pub(super) fn is_of(&self, crate_name: &str) -> bool {
        let name = self.name();
        // The benchmark is no crate of the product and stands beside them.
        let name = name.strip_prefix("crates/").unwrap_or(&name);
        name.starts_with(&format!("{crate_name}/"))
    }
}

pub(super) fn sources() -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for dir in ["crates", "bench", "tests"] {
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

pub(super) fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
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
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
    pub(super) is_of_tests: bool,
}

/// What a walk over one file finds.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) functions: Vec<Function>,
    /// Lines of `unwrap()` outside tests.
    pub(super) unwraps: Vec<usize>,
    /// Names of macros called outside tests.
    pub(super) macros: Vec<String>,
    /// Text literals outside tests.
    pub(super) literals: Vec<String>,
    /// Public re-exports of everything.
    pub(super) globs: Vec<usize>,
    /// Names of modules.
    pub(super) modules: Vec<String>,
    inside_tests: usize,
}

impl Findings {
    pub(super) fn of(source: &Source) -> Self {
        let mut findings = Self { inside_tests: usize::from(source.is_test()), ..Self::default() };
        findings.visit_file(&source.syntax);
        findings
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first_line = signature.fn_token.span.start().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: block.brace_token.span.close().end().line - first_line + 1,
            is_of_tests: self.inside_tests > 0,
        });
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
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
