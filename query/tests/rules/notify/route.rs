//! Which receivers an alert reaches, and how its groups are called: beside Alertmanager's own tool where it is installed.

use std::path::Path;
use std::process::Command;

use query::rules::notify::config::Config;
use query::rules::notify::guard::Allowed;

use super::world::labels;

const TREE: &str = r#"
route:
  receiver: default
  group_by: [alertname, cluster]
  routes:
  - matchers: [severity="page"]
    receiver: pager
    group_by: ['...']
    continue: true
  - match: {team: db}
    match_re: {service: "foo1|foo2|baz"}
    receiver: db
    group_wait: 1m
    routes:
    - matchers: ['env=~"prod|stage"', 'owner!=""']
      receiver: db-prod
      group_interval: 10m
    - matchers: ['env=""']
      receiver: db-nowhere
      group_by: []
  - matchers: ['{team=~"a|b",env!~"dev.*"}']
    receiver: ab
    continue: true
    routes:
    - match: {quiet: "yes"}
      receiver: quiet
  - matchers: ['team="a"']
    repeat_interval: 1h
  - receiver: odd
    matchers: ['note="a \"quoted\" \\ text"']
  - receiver: multi
    matchers: ['x!="1",y=~".+"']
receivers:
- {name: default}
- {name: pager}
- {name: db}
- {name: db-prod}
- {name: db-nowhere}
- {name: ab}
- {name: quiet}
- {name: odd}
- {name: multi}
"#;

// Labels, receivers as amtool names them, and the key of each group.
const CASES: &[(&str, &str, &[&str])] = &[
    ("alertname=X", "default", &[r#"{}:{alertname="X"}"#]),
    ("alertname=X cluster=c job=j", "default", &[r#"{}:{alertname="X", cluster="c"}"#]),
    ("severity=page alertname=X", "pager", &[r#"{}/{severity="page"}:{alertname="X", severity="page"}"#]),
    ("team=db service=foo1", "db-nowhere", &[r#"{}/{service=~"^(?:foo1|foo2|baz)$",team="db"}/{env=""}:{}"#]),
    (
        "team=db service=foo1 env=test alertname=X",
        "db",
        &[r#"{}/{service=~"^(?:foo1|foo2|baz)$",team="db"}:{alertname="X"}"#],
    ),
    (
        "team=db service=foo1 env=prod owner=x",
        "db-prod",
        &[r#"{}/{service=~"^(?:foo1|foo2|baz)$",team="db"}/{env=~"prod|stage",owner!=""}:{}"#],
    ),
    ("team=db service=foo1 env=prod", "db", &[r#"{}/{service=~"^(?:foo1|foo2|baz)$",team="db"}:{}"#]),
    ("team=db service=foo11 env=prod", "default", &["{}:{}"]),
    (
        "team=db service=foo2 env=stage owner=x severity=page",
        "pager,db-prod",
        &[
            r#"{}/{severity="page"}:{env="stage", owner="x", service="foo2", severity="page", team="db"}"#,
            r#"{}/{service=~"^(?:foo1|foo2|baz)$",team="db"}/{env=~"prod|stage",owner!=""}:{}"#,
        ],
    ),
    ("team=b", "ab", &[r#"{}/{env!~"dev.*",team=~"a|b"}:{}"#]),
    ("team=b env=dev1", "default", &["{}:{}"]),
    ("team=a env=xdev", "ab,default", &[r#"{}/{env!~"dev.*",team=~"a|b"}:{}"#, r#"{}/{team="a"}:{}"#]),
    (
        "team=a quiet=yes alertname=Z",
        "quiet,default",
        &[r#"{}/{env!~"dev.*",team=~"a|b"}/{quiet="yes"}:{alertname="Z"}"#, r#"{}/{team="a"}:{alertname="Z"}"#],
    ),
    ("team=ab", "default", &["{}:{}"]),
    ("y=2 x=0", "multi", &[r#"{}/{x!="1",y=~".+"}:{}"#]),
    ("y=2 x=1", "default", &["{}:{}"]),
    ("y=2 alertname=ü", "multi", &[r#"{}/{x!="1",y=~".+"}:{alertname="ü"}"#]),
];

fn tree() -> Config {
    Config::parse("alertmanager.yml", TREE, Path::new(""), &Allowed::default()).expect("it is read")
}

#[test]
fn alerts_find_their_receivers_and_groups() {
    let config = tree();
    for (text, receivers, keys) in CASES {
        let labels = labels(text);
        let routes = config.route.matching(&labels);
        let names: Vec<&str> = routes.iter().map(|route| route.options.receiver.as_str()).collect();
        assert_eq!(names.join(","), *receivers, "{text}");
        let found: Vec<String> = routes.iter().map(|route| route.group_key(&route.group_labels(&labels))).collect();
        assert_eq!(found, *keys, "{text}");
    }
}

#[test]
fn a_label_with_quotes_is_written_as_go_writes_it() {
    let config = tree();
    let mut labels = labels("alertname=X");
    labels.insert("note".to_owned(), "a \"quoted\" \\ text".to_owned());
    labels.insert("cluster".to_owned(), "line\nbreak".to_owned());
    let routes = config.route.matching(&labels);
    let key = routes[0].group_key(&routes[0].group_labels(&labels));
    assert_eq!(key, r#"{}/{note="a \"quoted\" \\ text"}:{alertname="X", cluster="line\nbreak"}"#);
}

#[test]
fn children_inherit_what_they_do_not_say() {
    let config = tree();
    const SECOND: i64 = 1_000_000_000;
    for (text, receiver, wait, interval, repeat) in [
        ("alertname=X", "default", 30, 300, 14_400),
        ("team=db service=baz env=prod owner=x", "db-prod", 60, 600, 14_400),
        ("team=db service=baz", "db-nowhere", 60, 300, 14_400),
        ("team=a env=dev", "default", 30, 300, 3_600),
    ] {
        let labels = labels(text);
        let options = &config.route.matching(&labels)[0].options;
        let waits = (options.group_wait, options.group_interval, options.repeat_interval);
        assert_eq!(waits, (wait * SECOND, interval * SECOND, repeat * SECOND), "{text}");
        assert_eq!(options.receiver, receiver, "{text}");
    }
}

// Debian's amtool 0.25 gave the receivers and the matchers above; where it is installed it is asked again.
#[test]
fn amtool_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("alertmanager.yml");
    std::fs::write(&file, TREE).expect("written");
    for (text, receivers, keys) in CASES {
        let mut command = Command::new("amtool");
        command.args(["config", "routes", "test", "--tree", "--config.file"]).arg(&file);
        let Ok(output) = command.args(text.split_whitespace()).output() else {
            // Not installed: the recorded answers have been compared.
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("text");
        assert_eq!(said.lines().last(), Some(*receivers), "{text}");
        for key in *keys {
            let route = key.rsplit_once(":{").map_or("", |(route, _)| route);
            for matchers in route.split('/').skip(1) {
                assert!(said.contains(matchers), "{text}: {matchers} is not in\n{said}");
            }
        }
    }
}
