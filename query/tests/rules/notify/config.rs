//! What of an `alertmanager.yml` is taken, and what is said of the rest.

use std::path::Path;
use std::time::Duration;

use query::rules::notify::NotifyError;
use query::rules::notify::config::Config;
use query::rules::notify::guard::Allowed;
use query::rules::notify::receiver::{Authorization, Secret};

const RECEIVERS: &str = "receivers:\n- name: a\n  webhook_configs:\n  - url: https://hooks.example.org/x\n";

fn parse(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "s3cret\n").expect("written");
    std::fs::write(folder.path().join("url"), "https://hooks.example.org/from-file\n").expect("written");
    let allowed = Allowed::parse(&["10.0.0.0/8"]).expect("a network");
    Config::parse("am.yml", text, folder.path(), &allowed).map_err(|error| format!("{error} | {}", error.hint))
}

#[test]
fn mistakes_are_told_with_line_and_remedy() {
    let receiver =
        |text: &str| format!("route: {{receiver: a}}\nreceivers:\n- name: a\n  webhook_configs:\n  - {text}\n");
    let http = |text: &str| receiver(&format!("url: https://h.example.org\n    http_config: {{{text}}}"));
    let route = |text: &str| format!("{RECEIVERS}route:\n  receiver: a\n  {text}\n");
    let child = |text: &str| format!("{RECEIVERS}route:\n  receiver: a\n  routes:\n  - {text}\n");
    for (text, line, parts) in [
        // The document.
        (String::new(), 1, "there is no route"),
        ("a: [".to_owned(), 1, ""),
        ("- a".to_owned(), 1, "not keys with values"),
        (format!("{RECEIVERS}route: {{receiver: a}}\nroute: {{receiver: a}}"), 6, r#"the key "route" is there twice"#),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\nreciever: x"),
            6,
            r#"unknown key "reciever" | the nearest key is "receivers""#,
        ),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\ninhibit_rules: []"),
            6,
            "inhibit_rules is not supported | it comes with a later",
        ),
        (format!("{RECEIVERS}route: {{receiver: a}}\ntime_intervals: []"), 6, "time_intervals is not supported"),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\nmute_time_intervals: []"),
            6,
            "mute_time_intervals is not supported",
        ),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\ntemplates: [x]"),
            6,
            "templates is not supported | a webhook gets",
        ),
        // Global.
        (
            format!("{RECEIVERS}route: {{receiver: a}}\nglobal:\n  smtp_from: x"),
            7,
            "global.smtp_from is not supported | only webhook_configs",
        ),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\nglobal:\n  resolve_timeout: 5x"),
            7,
            "global.resolve_timeout is no duration",
        ),
        (
            format!("{RECEIVERS}route: {{receiver: a}}\nglobal:\n  resolve_timout: 5m"),
            7,
            r#"in global | the nearest key is "resolve_timeout""#,
        ),
        // Routes.
        (format!("{RECEIVERS}route: {{group_by: [x]}}"), 5, "the root route names no receiver"),
        (format!("{RECEIVERS}route:\n  receiver: b"), 6, r#"there is no receiver "b" | the nearest receiver is "a""#),
        ("route:\n  receiver: b".to_owned(), 2, "there are no receivers"),
        (route("matchers: [x=y]"), 7, "the root route has matchers"),
        (route("match: {x: y}"), 7, "the root route has matchers"),
        (route("match_re: {x: y}"), 7, "the root route has matchers"),
        (route("continue: true"), 6, "the root route has `continue`"),
        (route("group_by: ['...', x]"), 7, "has `...` and other labels"),
        (route("group_by: [x, x]"), 7, r#"names "x" twice"#),
        (route("group_by: x"), 7, "route.group_by is a text, not a list"),
        (route("group_interval: 0s"), 7, "route.group_interval is 0"),
        (route("repeat_interval: 0"), 7, "route.repeat_interval is 0"),
        (route("group_wait: 5"), 7, r#"no duration: "5" | write it like 15s"#),
        (route("group_wait: 1m1h"), 7, "no duration"),
        (route("group_wait: 1.5h"), 7, "no duration"),
        (route("mute_time_intervals: [x]"), 7, "route.mute_time_intervals is not supported"),
        (route("active_time_intervals: [x]"), 7, "route.active_time_intervals is not supported"),
        (route("groupby: [x]"), 7, r#"unknown key "groupby" in route | the nearest key is "group_by""#),
        (child("{receiver: c}"), 8, r#"there is no receiver "c""#),
        (child("{matchers: ['x']}"), 8, "the matcher \"x\" cannot be read"),
        (child("{matchers: ['x=~(']}"), 8, "regular expression"),
        (child("{match_re: {x: '['}}"), 8, "regular expression"),
        (child("{match: {'a-b': c}}"), 8, "no label name"),
        (child("{matchers: x=y}"), 8, "not a list"),
        (child("{continue: maybe}"), 8, "neither true nor false"),
        (child("{routes: [{recever: a}]}"), 8, r#"unknown key "recever""#),
        // Receivers.
        (format!("{RECEIVERS}- name: a\nroute: {{receiver: a}}"), 5, r#"a second receiver named "a""#),
        ("route: {receiver: a}\nreceivers:\n- webhook_configs: []".to_owned(), 3, "a receiver without a name"),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs: []".to_owned(),
            4,
            "receiver.slack_configs is not supported | only webhook_configs",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - to: x".to_owned(),
            4,
            "email_configs is not supported",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  pagerduty_configs: [x]".to_owned(),
            4,
            "pagerduty_configs is not supported",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_config: []".to_owned(),
            4,
            r#"the nearest key is "webhook_configs""#,
        ),
        (receiver("send_resolved: true"), 5, "a webhook without url"),
        (receiver("{url: 'https://x.example.org', url_file: url}"), 5, "at the same time"),
        (receiver("{url_file: missing}"), 5, "webhook_config.url_file cannot be read"),
        (
            receiver("{url_file: /dev/zero}"),
            5,
            "url_file cannot be read: /dev/zero: it is a device, and must be a regular file",
        ),
        (receiver("{url: 'ftp://x.example.org/'}"), 5, "neither with http:// nor with https://"),
        (receiver("{url: 'https://u:p@x.example.org/'}"), 5, "a user in it"),
        (
            receiver("{url: 'http://127.0.0.1:9/'}"),
            5,
            "this machine | if it is meant, add \"127.0.0.1\" to rules.allowed_receivers",
        ),
        (receiver("{url: 'http://[::ffff:169.254.169.254]/'}"), 5, "a cloud's metadata"),
        (receiver("{url: 'http://2130706433/'}"), 5, "unusual form"),
        (receiver("{url: 'https://x.example.org', max_alerts: -1}"), 5, "no whole number"),
        (receiver("{url: 'https://x.example.org', payload: {}}"), 5, "payload is not supported"),
        (receiver("{url: 'https://x.example.org', hmac_secret: ''}"), 5, "hmac_secret is empty"),
        (receiver("{url: 'https://x.example.org', hmac_secret: a, hmac_secret_file: secret}"), 5, "at the same time"),
        (receiver("{url: 'https://x.example.org', hmac: a}"), 5, r#"unknown key "hmac" in webhook_config"#),
        (http("proxy_url: 'http://p'"), 6, "http_config.proxy_url is not supported"),
        (http("follow_redirects: true"), 6, "follow_redirects is not supported | redirects are never"),
        (http("enable_http2: true"), 6, "enable_http2 is not supported"),
        (http("oauth2: {}"), 6, "oauth2 is not supported"),
        (http("bearer_token: a, basic_auth: {username: b}"), 6, "more than one way to authorize"),
        (http("authorization: {type: Basic, credentials: a}"), 6, "use basic_auth"),
        (http("authorization: {type: Bearer}"), 6, "without credentials"),
        (http("tls_config: {cert_file: x, key_file: y}"), 6, "cert_file is not supported"),
        (http("tls_config: {ca_file: secret}"), 6, "the authority has no certificate"),
        (http("tls_config: {insecure: true}"), 6, "the nearest key is"),
    ] {
        let said = parse(&text).map(|_| ()).expect_err(&text);
        assert!(said.starts_with(&format!("am.yml:{line}: ")) && said.contains(parts), "{said}\n{text}");
    }
}

#[test]
fn everything_that_is_supported_is_taken() {
    let config = parse(
        r#"
global:
  resolve_timeout: 5m
  http_config: {bearer_token_file: secret}
route: &defaults
  receiver: everything
  group_by: [alertname, "0500"]
  group_wait: 1m30s
receivers:
- name: everything
  webhook_configs:
  - send_resolved: false
    url_file: url
    max_alerts: 20
    timeout: 5s
    hmac_secret_file: secret
    http_config:
      follow_redirects: false
      enable_http2: false
      basic_auth: {username: me, password: 0123}
      tls_config: {insecure_skip_verify: true, server_name: other.example.org}
  - url: http://10.1.2.3:8080/hook
    hmac_secret: topsecret
  - url: https://hooks.example.org
    http_config: {authorization: {type: Token, credentials_file: secret}}
- name: nobody
"#,
    )
    .expect("it is read");
    let [first, second, third] = &config.receivers["everything"].webhooks[..] else { panic!("three webhooks") };
    assert_eq!((first.send_resolved, first.max_alerts), (false, 20));
    assert_eq!(first.timeout, Some(Duration::from_secs(5)));
    assert!(matches!(&first.url, Secret::File(path) if path.ends_with("url")));
    assert!(matches!(&first.hmac, Some(Secret::File(_))));
    let Authorization::Basic(user, Secret::Text(password)) = &first.http.authorization else { panic!("basic") };
    // As it is written, not as a number.
    assert_eq!((user.as_str(), password.as_str()), ("me", "0123"));
    assert_eq!(first.http.server_name.as_deref(), Some("other.example.org"));
    assert!(second.send_resolved && second.timeout.is_none() && second.max_alerts == 0);
    assert!(matches!(&second.http.authorization, Authorization::Scheme(scheme, Secret::File(_)) if scheme == "Bearer"));
    assert!(matches!(&third.http.authorization, Authorization::Scheme(scheme, _) if scheme == "Token"));
    assert!(config.receivers["nobody"].webhooks.is_empty());
    assert_eq!(config.route.options.group_wait, 90_000_000_000);
    // Nothing that is secret is shown.
    let shown = format!("{config:?}");
    assert!(!shown.contains("topsecret") && !shown.contains("0123") && !shown.contains("10.1.2.3"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/am.yml"), &Allowed::default()).expect_err("no file");
    assert!(matches!(error, NotifyError::Read { .. }) && error.to_string().contains("/nowhere/am.yml"));
    assert!(error.hint().contains("rules.alertmanager"));
}

#[test]
fn a_device_is_no_file() {
    let error = Config::load(Path::new("/dev/zero"), &Allowed::default()).expect_err("it has no end");
    let NotifyError::Read { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().contains("it is a device"), "{source}");
}
