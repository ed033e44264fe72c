//! What the tests need and a fresh machine does not have.

use std::{path::Path, process::Command};

use anyhow::{Context, bail};

/// What the page tests look for barriers with (MPL 2.0): used by the tests alone, never part of the program.
const AXE: &str = "axe-core-4.14.1.tgz";
const AXE_SHA256: &str = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745";

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

/// axe-core, fetched once into a folder of its own below `target` and held against its digest, whoever serves it.
pub fn axe(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/axe");
    let script = folder.join("package/axe.min.js");
    let mark = folder.join(AXE_SHA256);
    if script.is_file() && mark.is_file() {
        return Ok(());
    }
    println!("fetching {AXE} for the page tests …");
    std::fs::create_dir_all(&folder)?;
    let archive = folder.join(AXE);
    let fetched = fetch(&folder, &archive);
    let Ok(()) = fetched else {
        bail!("{AXE} could not be fetched; put it into {} by hand and run this again", folder.display());
    };
    let sum = Command::new("sha256sum").arg(&archive).output().context("sha256sum did not start")?;
    if !String::from_utf8_lossy(&sum.stdout).starts_with(AXE_SHA256) {
        std::fs::remove_file(&archive)?;
        bail!("what came as {AXE} is not what was reviewed: its SHA-256 is another. It was thrown away");
    }
    let unpacked = Command::new("tar").arg("-xzf").arg(&archive).args(["-C"]).arg(&folder).arg("package/axe.min.js").status();
    if !unpacked.is_ok_and(|status| status.success()) {
        bail!("{AXE} could not be unpacked");
    }
    std::fs::write(mark, "")?;
    Ok(())
}

/// By the registry's own client, where there is one, as it knows the way out; else from the public address.
fn fetch(folder: &Path, archive: &Path) -> anyhow::Result<()> {
    if archive.is_file() {
        return Ok(());
    }
    let version = AXE.trim_start_matches("axe-core-").trim_end_matches(".tgz");
    let packed = Command::new("npm").args(["pack", "--silent", &format!("axe-core@{version}")]).current_dir(folder).status();
    if packed.is_ok_and(|status| status.success()) && archive.is_file() {
        return Ok(());
    }
    let address = format!("https://registry.npmjs.org/axe-core/-/{AXE}");
    let got = Command::new("curl").args(["-fsSL", "--retry", "3", "-o"]).arg(archive).arg(address).status();
    if got.is_ok_and(|status| status.success()) { Ok(()) } else { bail!("not there") }
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
