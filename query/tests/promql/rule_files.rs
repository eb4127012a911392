//! Rule files that people really use: every expression in them has to plan. They are data of others, and looked for beside
//! the repository.

use std::path::Path;

use query::promql::Plan;

use promqltest::cases;

#[derive(serde::Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(serde::Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(serde::Deserialize)]
struct Rule {
    expr: String,
}

#[test]
fn expressions_of_rule_files_plan() {
    let Some(directory) = cases("alert-rules") else {
        println!("skipped: no cases");
        return;
    };
    let (mut planned, mut refused) = (0, Vec::new());
    for (name, text) in files(&directory) {
        let file: File =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name} is no rule file: {error}"));
        for rule in file.groups.iter().flat_map(|group| &group.rules) {
            match Plan::new(&rule.expr) {
                Ok(_) => planned += 1,
                Err(error) => refused.push(format!("{name}: {}\n    {error}", rule.expr)),
            }
        }
    }
    println!("rule files: {planned} expressions plan, {} do not", refused.len());
    assert_eq!(refused, Vec::<String>::new());
    assert!(planned > 0);
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory).expect("the rule files' directory can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut files: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a rule file can be read");
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}
