//! The rules of the house, each with its reason. A rule that matters is a program.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Context;

/// Which of our crates each may know. An arrow that is not here is a wall.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("connector", &["model"]),
    // A protocol, as HTTP is one: connectors and stand-ins may both speak it.
    ("sftp", &[]),
    ("connectors", &["model", "connector", "sftp"]),
    ("store", &["model"]),
    ("flow", &["model", "connector", "store"]),
    ("sim", &["sftp"]),
    ("app", &["model", "connector", "connectors", "store", "flow", "sim"]),
];

/// The systems by name. In product code they are known to `connectors` and the wiring alone.
const SYSTEMS: &[&str] = &["centra", "linnworks", "netsuite", "threepl", "veeqo"];

/// Makers of channels: the same holds for their names.
const CHANNELS: &[&str] = &["pagerduty", "lettre"];

/// Where in `app` a system's name may stand: what is written to be read by people who set one up, and the demo.
const MAY_NAME_SYSTEMS: &[&str] =
    &["app/src/commands/init.rs", "app/src/commands/demo.rs", "app/src/commands/demo/", "app/src/config"];

/// The longest file, its unit tests not counted, that is let be: a longer one does more than one job.
const LINES_MAX: usize = 1500;

/// Everything that breaks a rule, a line each.
pub fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let sources = files(&root.join("crates"), "rs")?;
    walls(root, &mut found)?;
    names(&sources, &mut found);
    rooms(&sources, &mut found);
    leftovers(&sources, &mut found);
    systems_are_complete(root, &mut found);
    exceptions_have_pages(root, &sources, &mut found)?;
    links(root, &mut found)?;
    Ok(found)
}

type Source = (String, String);

fn files(folder: &Path, ending: &str) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == ending) {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                found.push((name, fs::read_to_string(&path).with_context(|| path.display().to_string())?));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The direction of knowledge, from the manifests.
fn walls(root: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
    for (name, allowed) in MAY_KNOW {
        let file = root.join("crates").join(name).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(&file).with_context(|| file.display().to_string())?.parse()?;
        let Some(dependencies) = manifest.get("dependencies").and_then(|d| d.as_table()) else { continue };
        for other in dependencies.keys().filter_map(|d| d.strip_prefix("selvedge-")) {
            if !allowed.contains(&other) {
                found.push(format!("crates/{name}/Cargo.toml: {name} must not know {other}"));
            }
        }
        if *name != "store" && dependencies.contains_key("rusqlite") {
            found.push(format!("crates/{name}/Cargo.toml: the database is known to store alone"));
        }
        if !["connector", "sim", "app"].contains(name) && dependencies.contains_key("reqwest") {
            found.push(format!("crates/{name}/Cargo.toml: HTTP leaves through connector::session alone"));
        }
    }
    Ok(())
}

/// The part of a file before its unit tests: tests may name what they like.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Whether the whole file is there for tests.
fn is_test(file: &str) -> bool {
    ["tests", "laws.rs", "sample"].iter().any(|word| file.contains(word))
}

/// No system's name outside its folder and the wiring.
fn names(sources: &[Source], found: &mut Vec<String>) {
    for (file, text) in sources {
        let guarded =
            ["model/src", "connector/src", "store/src", "flow/src", "app/src"].iter().any(|room| file.starts_with(room));
        if !guarded || MAY_NAME_SYSTEMS.iter().any(|allowed| file.starts_with(allowed)) {
            continue;
        }
        for (number, line) in product(text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line).to_lowercase();
            if SYSTEMS.iter().chain(CHANNELS).any(|system| code.contains(system)) {
                found.push(format!("crates/{file}:{}: a system's name outside connectors", number + 1));
            }
        }
    }
}

/// What may stand in which room.
fn rooms(sources: &[Source], found: &mut Vec<String>) {
    for (file, text) in sources {
        let pure = file.starts_with("model/src")
            || ["wire.rs", "decode.rs", "encode.rs"].iter().any(|f| file.starts_with("connectors/src") && file.ends_with(f));
        for (number, line) in product(text).lines().enumerate() {
            let at = format!("crates/{file}:{}", number + 1);
            let code = line.split("//").next().unwrap_or(line);
            if pure && (code.contains("async fn") || code.contains(".await")) {
                found.push(format!("{at}: nothing pure waits"));
            }
            if (code.contains("Timestamp::now()") || code.contains("SystemTime::now()"))
                && file != "flow/src/clock.rs"
                && !file.starts_with("sim/")
                && !is_test(file)
            {
                found.push(format!("{at}: the time is known to flow/clock.rs alone"));
            }
        }
    }
}

fn leftovers(sources: &[Source], found: &mut Vec<String>) {
    // Written apart, so that this file does not find itself.
    let banned = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimpl", "emented!(")];
    for (file, text) in sources {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                found.push(format!("crates/{file}:{}: {word} is left over", number + 1));
            }
        }
        let lines = product(text).lines().count();
        if lines > LINES_MAX && !is_test(file) {
            found.push(format!("crates/{file}: {lines} lines; a file of more than {LINES_MAX} does more than one job"));
        }
    }
}

/// A system is a connector, a stand-in and a page.
fn systems_are_complete(root: &Path, found: &mut Vec<String>) {
    for system in SYSTEMS {
        for place in [
            format!("crates/connectors/src/{system}/mod.rs"),
            format!("crates/sim/src/{system}/mod.rs"),
            format!("docs/systems/{system}.md"),
        ] {
            if !root.join(&place).is_file() {
                found.push(format!("{place} is missing: a system is a connector, a stand-in and a page"));
            }
        }
    }
}

/// Every rule that can hold a record has its page: `docs/exceptions/<rule>.md`, or its area's.
fn exceptions_have_pages(root: &Path, sources: &[Source], found: &mut Vec<String>) -> anyhow::Result<()> {
    let pages: BTreeSet<String> = files(&root.join("docs/exceptions"), "md")?.into_iter().map(|(name, _)| name).collect();
    for (file, text) in sources.iter().filter(|(file, _)| !file.starts_with("sim/") && file.contains("/src/") && !is_test(file)) {
        for part in product(text).split("Problem::new(").skip(1) {
            let Some(rule) = part
                .trim_start()
                .trim_start_matches("&format!(")
                .trim_start()
                .strip_prefix('"')
                .and_then(|p| p.split('"').next())
            else {
                continue;
            };
            let Some((area, _)) = rule.split_once('.') else { continue };
            if !pages.contains(&format!("{rule}.md")) && !pages.contains(&format!("{area}.md")) {
                found.push(format!("crates/{file}: rule {rule} has no page docs/exceptions/{rule}.md (or {area}.md)"));
            }
        }
    }
    Ok(())
}

/// Where auditors are told what proves what: each row of its table leads to its evidence by a click.
const EVIDENCE: &str = "docs/guide/trust.md";

/// A link in a page leads somewhere, to a heading that is there.
fn links(root: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
    let mut pages: Vec<Source> =
        files(&root.join("docs"), "md")?.into_iter().map(|(name, text)| (format!("docs/{name}"), text)).collect();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        match fs::read_to_string(root.join(name)) {
            Ok(text) => pages.push((name.to_owned(), text)),
            Err(_) => found.push(format!("{name} is missing")),
        }
    }
    for (page, text) in &pages {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let folder = Path::new(page).parent().unwrap_or(Path::new(""));
            let file = root.join(if target.is_empty() { page.into() } else { folder.join(target) });
            if !file.exists() {
                found.push(format!("{page}: the link to {target} leads nowhere"));
            } else if !heading.is_empty() && file.extension().is_some_and(|ending| ending == "md") {
                let there = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                if !headings(&there).contains(heading) {
                    found.push(format!("{page}: the link to {link} leads to no heading"));
                }
            }
        }
        if page == EVIDENCE {
            evidence(page, text, found);
        }
    }
    Ok(())
}

/// The headings of a page as links name them: in small letters, with dashes for blanks, without punctuation.
fn headings(text: &str) -> BTreeSet<String> {
    let mut code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        code ^= line.starts_with("```");
        if code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    found
}

/// Every row of the table of evidence has a link in its last cell.
fn evidence(page: &str, text: &str, found: &mut Vec<String>) {
    let table = text.lines().skip_while(|line| !line.starts_with("| asked for |"));
    for row in table.skip(2).take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split(" | ");
        let asked = cells.next().unwrap_or_default().trim();
        if !cells.last().is_some_and(|cell| cell.contains("](")) {
            found.push(format!("{page}: the evidence for {asked:?} is no link"));
        }
    }
}
