//! The pages keep up with the code: every link leads somewhere, and no reason, setting or metric is left unexplained.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("the file is there")
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/reference", "docs/decisions", "docs/benchmarks"] {
        for entry in fs::read_dir(root().join(folder)).expect("the folder is there") {
            let path = entry.expect("the entry can be read").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// What stands between two marks, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// The anchors that a page's headings make.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches(['#', ' ']));
    let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == ' ';
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).expect("the page can be read");
        for link in between(&text, "](", ")").filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).expect("the page can be read"));
                assert!(there.contains(anchor), "{}: {link} is no heading", page.display());
            }
        }
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = read("docs/SUMMARY.md");
    for page in pages().iter().filter_map(|page| page.strip_prefix(root().join("docs")).ok()) {
        let page = page.to_str().expect("plain names");
        assert!(page == "SUMMARY.md" || summary.contains(&format!("({page})")), "{page} is in no table of contents");
    }
}

#[test]
fn every_reason_is_explained() {
    let (source, page) = (read("src/model/reason.rs"), read("docs/concepts.md"));
    let words: Vec<_> = between(&source, "=> \"", "\"").collect();
    assert!(words.len() > 15, "{words:?}");
    for word in words {
        assert!(page.contains(&format!("| `{word}` |")), "{word} is not explained");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be read").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let tests: String = files(&root().join("tests")).iter().map(read).collect();
    let page = read("docs/faults.md");
    let named = page.split([' ', ',', ';', '|', '\n']).filter(|word| word.matches('_').count() > 3);
    let missing: Vec<_> = named.filter(|name| !tests.contains(&format!("fn {name}("))).collect();
    assert!(page.contains("control/") && missing.is_empty(), "{missing:?}");
}

#[test]
fn every_metric_is_explained() {
    let source = read("src/observe/metrics.rs");
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let page = read("docs/reference/metrics.md");
    for name in between(product, "\"slowlane_", "\"") {
        assert!(page.contains(&format!("`slowlane_{name}`")), "slowlane_{name} is not explained");
    }
}

#[test]
fn every_setting_of_the_chart_is_explained_with_its_default() {
    let (values, page) = (read("charts/slowlane/values.yaml"), read("docs/reference/settings.md"));
    let settings = values.split("\nsettings:\n").nth(1).expect("the values have settings");
    let mut section = "";
    let lines = settings.lines().take_while(|line| line.starts_with(' '));
    for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
        let (key, default) = line.split_once(':').expect("a key and a value");
        if default.is_empty() {
            section = key.trim();
            continue;
        }
        let path = if key.starts_with("    ") { format!("{section}.{}", key.trim()) } else { key.trim().to_owned() };
        let row = format!("| `{path}` |");
        let row = page.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(row.split('|').nth(2).is_some_and(|cell| cell.trim().trim_matches('`') == default.trim()), "{row}");
    }
}
