//! The revision that the program is built of: what `POSTRIDER_REVISION` says, else for a release
//! build what git says of this tree, else `unknown`.
//!
//! Builds for development don't ask: each commit would build the program and its tests anew.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=POSTRIDER_REVISION");
    let given = option_env!("POSTRIDER_REVISION").map(|text| text.trim().to_owned());
    let given = given.filter(|text| !text.is_empty());
    let revision = given.or_else(of_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=POSTRIDER_BUILT_OF={revision}");
}

/// The commit that is checked out here; `None` without git, outside of a clone, and in a folder
/// that only lies in somebody else's.
fn of_git() -> Option<String> {
    if cfg!(debug_assertions) {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok()?;
    let top = Path::new(&git(&root, &["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top != root {
        return None;
    }
    // Each commit and each checkout writes a line there.
    let log = git(&root, &["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&root, &["rev-parse", "--short=12", "HEAD"])
}

fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
