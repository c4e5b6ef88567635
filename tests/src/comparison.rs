//! What `docs/compare.md` says of this project has tests: each row names some, and they are there.

use std::collections::BTreeSet;

const PAGE: &str = "docs/compare.md";

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// The name that a claim begins with: `**Jitter**: …`.
fn claim(cell: &str) -> Option<&str> {
    cell.strip_prefix("**")?.split_once("**").map(|(name, _)| name)
}

/// The tests in a cell: `` `path/to/file.rs: name` ``.
fn tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(".rs: ").map(|(path, name)| (path, name.trim())))
}

/// Whether a file has a test of this name that is run: a function marked as one, or one that is given to a suite.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    let marked = lines.iter().enumerate().filter(|(_, line)| line.contains(&function)).any(|(at, _)| {
        let above = lines.iter().take(at).rev().take_while(|line| line.starts_with("#["));
        let marks: Vec<&&str> = above.collect();
        let is_test = |mark: &&&str| mark.starts_with("#[test]") || mark.starts_with("#[tokio::test");
        marks.iter().any(is_test) && !marks.iter().any(|mark| mark.starts_with("#[ignore"))
    });
    marked || source.split_whitespace().collect::<String>().contains(&format!("suite.test(\"{name}\","))
}

/// What is wrong with the rows of the page; `read` gives a file of the workspace.
fn complaints(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let rows = || page.lines().filter_map(cells);
    let claims: Vec<&str> = rows().filter_map(|row| row.first().copied().and_then(claim)).collect();
    let mut wrong = Vec::new();
    let mut proven = BTreeSet::new();
    for row in rows() {
        let [name, proof] = row.as_slice() else { continue };
        for (path, test) in tests(proof) {
            proven.insert((*name).to_owned());
            match read(&format!("{path}.rs")) {
                None => wrong.push(format!("{PAGE}: row {name:?}: there is no file {path}.rs")),
                Some(source) if !has_test(&source, test) => {
                    wrong.push(format!("{PAGE}: row {name:?}: {path}.rs has no test {test}"));
                }
                Some(_) => {}
            }
        }
    }
    let claimed: BTreeSet<&str> = claims.iter().copied().collect();
    wrong.extend(
        claimed
            .iter()
            .filter(|name| !proven.contains(**name))
            .map(|name| format!("{PAGE}: row {name:?} names no test")),
    );
    wrong.extend(
        proven
            .iter()
            .filter(|name| !claimed.contains(name.as_str()))
            .map(|name| format!("{PAGE}: {name:?} proves no row")),
    );
    if claimed.len() != claims.len() {
        wrong.push(format!("{PAGE}: two rows have the same name: {claims:?}"));
    }
    wrong
}

#[test]
fn every_row_of_the_comparison_names_tests_that_are_there() {
    let workspace = crate::control_plane::workspace();
    let read = |path: &str| std::fs::read_to_string(workspace.join(path)).ok();
    let page = read(PAGE).expect(PAGE);
    assert!(page.lines().filter_map(cells).filter(|row| claim(row[0]).is_some()).count() > 20, "where are the rows?");
    let wrong = complaints(&page, read);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_row_without_a_test_that_is_run_is_told_by_its_name() {
    let page = "| here | others |\n| --- | --- |\n| **Good**: … | no |\n| **Gone**: … | no |\n| **Bare**: … | no |\n\
        | row | proven by |\n| --- | --- |\n\
        | Good | `a.rs: works`, `a.rs: waits`, `e2e.rs: whole` |\n\
        | Gone | `a.rs: never`, `a.rs: helper`, `a.rs: skipped`, `b.rs: works` |\n| Odd | `a.rs: works` |\n";
    let a = "#[test]\nfn works() {}\n    #[tokio::test]\n    async fn waits() {}\nfn helper() {}\n\
        #[test]\n#[ignore]\nfn skipped() {}\n";
    let read = |path: &str| match path {
        "a.rs" => Some(a.to_owned()),
        "e2e.rs" => Some("suite.test(\n    \"whole\",\n    first::whole)".to_owned()),
        _ => None,
    };
    assert_eq!(
        complaints(page, read),
        [
            "docs/compare.md: row \"Gone\": a.rs has no test never",
            "docs/compare.md: row \"Gone\": a.rs has no test helper",
            "docs/compare.md: row \"Gone\": a.rs has no test skipped",
            "docs/compare.md: row \"Gone\": there is no file b.rs",
            "docs/compare.md: row \"Bare\" names no test",
            "docs/compare.md: \"Odd\" proves no row",
        ]
    );
}
