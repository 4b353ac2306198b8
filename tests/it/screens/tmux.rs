//! A terminal with a shell in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use crate::harness::{Looking, SOON, Setting, wait_until};

/// Stands where the shell waits: which command it waits for, and how the last one ended.
const PROMPT: &str = r"~[\#:$?]~ ";
/// Lines above the screen that are read too.
const HISTORY: &str = "-2000";

/// A server of its own with one window.
pub(super) struct Tmux {
    socket: String,
    /// The command that it was last seen to wait for.
    next: u32,
}

impl Tmux {
    /// Opens it, with the program in the path.
    pub(super) fn start(
        (columns, rows): (u16, u16),
        variables: &[Setting],
        dir: &Path,
    ) -> Result<Self> {
        let terminal = Self { socket: format!("postrider-{}", Uuid::now_v7()), next: 0 };
        let program = Path::new(env!("CARGO_BIN_EXE_postrider"));
        let bin = program.parent().context("a folder")?.display();
        let mut shell = vec![
            "new-session".to_owned(),
            "-d".to_owned(),
            format!("-x{columns}"),
            format!("-y{rows}"),
            "env".to_owned(),
            "-i".to_owned(),
            format!("PATH={bin}:/usr/bin:/bin"),
            format!("HOME={}", dir.display()),
            format!("PS1={PROMPT}"),
            "TERM=screen".to_owned(),
            "LC_ALL=C.UTF-8".to_owned(),
        ];
        shell.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        shell.extend(["bash", "--norc", "--noprofile"].map(str::to_owned));
        let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
        terminal.tmux(&shell)?;
        Ok(terminal)
    }

    /// Types a command and waits until it has ended; its exit code and what it wrote.
    pub(super) async fn run(&mut self, command: &str) -> Result<(i32, String)> {
        self.types(command).await?;
        self.until_prompt().await
    }

    /// Types a command, on a clean screen.
    pub(super) async fn types(&mut self, command: &str) -> Result<()> {
        if self.next == 0 {
            self.until_prompt().await?;
        }
        self.tmux(&["send-keys", "-R", ";", "clear-history"])?;
        self.tmux(&["send-keys", "-l", command])?;
        self.tmux(&["send-keys", "Enter"]).map(drop)
    }

    /// Ctrl-C.
    pub(super) fn interrupts(&mut self) -> Result<()> {
        self.tmux(&["send-keys", "C-c"]).map(drop)
    }

    /// What stands there now.
    pub(super) fn sees(&self) -> Result<String> {
        let seen = self.tmux(&["capture-pane", "-p", "-J", "-S", HISTORY])?;
        Ok(seen.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned())
    }

    /// How the command ended and what it wrote, once the shell waits for another.
    pub(super) async fn until_prompt(&mut self) -> Result<(i32, String)> {
        let last = self.next;
        let (next, code, seen) = wait_until("the shell to wait", SOON, async || {
            let seen = self.sees()?;
            Ok(match prompt(&seen).filter(|(next, _)| *next > last) {
                Some((next, code)) => Looking::Found((next, code, seen)),
                None => Looking::NotYet(seen),
            })
        })
        .await?;
        self.next = next;
        let lines: Vec<&str> = seen.lines().collect();
        let end = lines.len().saturating_sub(1);
        Ok((code, lines.get(1..end).unwrap_or_default().join("\n")))
    }

    fn tmux(&self, args: &[&str]) -> Result<String> {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.socket, "-f", "/dev/null"]).args(args);
        let output = tmux.env("LC_ALL", "C.UTF-8").output().context("tmux")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tmux {args:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        if let Err(error) = self.tmux(&["kill-server"]) {
            crate::harness::say(&format!("tmux goes on: {error:#}"));
        }
    }
}

/// The prompt at the end, with nothing typed behind it.
fn prompt(seen: &str) -> Option<(u32, i32)> {
    let (_, last) = seen.lines().last()?.rsplit_once("~[")?;
    let (next, code) = last.trim_end().strip_suffix("]~")?.split_once(':')?;
    Some((next.parse().ok()?, code.parse().ok()?))
}
