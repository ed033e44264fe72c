//! What the tests need and a fresh machine does not have.

use std::{path::Path, process::Command};

use anyhow::bail;

/// A headless browser for the page tests and the program that drives it: Debian's, installed if they are missing.
pub fn browser() -> anyhow::Result<()> {
    if find("chromium").or_else(|| find("google-chrome")).is_some() && find("chromedriver").is_some() {
        return Ok(());
    }
    println!("installing Chromium for the page tests …");
    for args in [&["update", "-qq"][..], &["install", "-y", "-qq", "chromium", "chromium-driver"][..]] {
        let mut command = if find("sudo").is_some() && !is_root() { sudo("apt-get") } else { Command::new("apt-get") };
        let done = command.args(args).env("DEBIAN_FRONTEND", "noninteractive").status();
        if !done.is_ok_and(|status| status.success()) {
            bail!(
                "Chromium could not be installed; install it by hand (apt-get install chromium chromium-driver) and run this again"
            );
        }
    }
    Ok(())
}

/// Licences and sources, where cargo-deny is at hand; the advisory database is a download and is left to the release check.
pub fn deny(root: &Path) -> anyhow::Result<()> {
    if find("cargo-deny").is_none() {
        println!("cargo-deny is not installed: licences and sources are not checked in this run (cargo install cargo-deny)");
        return Ok(());
    }
    let status = Command::new("cargo-deny").args(["check", "licenses", "bans", "sources"]).current_dir(root).status()?;
    if status.success() { Ok(()) } else { bail!("cargo deny found something") }
}

fn sudo(program: &str) -> Command {
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

fn is_root() -> bool {
    std::env::var("USER").is_ok_and(|user| user == "root")
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
