//! All chores, in one place: `cargo xtask test | ci | setup | tidy | bench`.
#![allow(clippy::print_stdout, reason = "a chore talks to the person who runs it")]

mod setup;
mod tidy;

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, bail};

const HELP: &str = "\
cargo xtask COMMAND

  test          set up what the tests need, then run every check and test (what CI runs)
  ci            the same as test
  setup         only what the tests need and a fresh machine does not have: a headless browser
  tidy          the rules of the house alone: who may know whom, what may stand where
  bench [ARGS]  build in release and measure against the floor of the same run
";

fn main() -> anyhow::Result<()> {
    let root = root()?;
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("test" | "ci") => test(&root),
        Some("setup") => setup::browser(),
        Some("tidy") => report(&tidy::findings(&root)?),
        Some("bench") => bench(&root, args.collect()),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("there is no chore {other:?}\n\n{HELP}"),
    }
}

/// The workspace, wherever the command was called from.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies below the workspace")?.to_path_buf())
}

fn test(root: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    report(&tidy::findings(root)?)?;
    cargo(root, &["fmt", "--all", "--check"])?;
    setup::browser()?;
    cargo(root, &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    setup::deny(root)?;
    // The long tests wait for systems and people nearly as much as they work.
    let threads = 1 + std::thread::available_parallelism().map_or(1, NonZero::get);
    cargo(root, &["test", "--locked", "--workspace", "--", "--test-threads", &threads.to_string()])?;
    println!("everything passed in {} s", start.elapsed().as_secs());
    Ok(())
}

fn bench(root: &Path, args: Vec<String>) -> anyhow::Result<()> {
    cargo(root, &["build", "--locked", "--release", "--package", "selvedge-app", "--package", "selvedge-bench"])?;
    // What was just built, and not `cargo run`: that takes one package, whose features would have most of it built a second time.
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("xtask stands in target/debug")?;
    let bench = target.join("release/selvedge-bench");
    let status = Command::new(&bench).args(args).current_dir(root).status().with_context(|| bench.display().to_string())?;
    if status.success() { Ok(()) } else { bail!("{} failed", bench.display()) }
}

fn report(findings: &[String]) -> anyhow::Result<()> {
    for finding in findings {
        println!("tidy: {finding}");
    }
    if findings.is_empty() { Ok(()) } else { bail!("{} rule(s) of the house are broken", findings.len()) }
}

fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<()> {
    println!("$ cargo {}", args.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(args).current_dir(root).status().context("cargo did not start")?;
    if status.success() { Ok(()) } else { bail!("cargo {} failed", args.join(" ")) }
}
