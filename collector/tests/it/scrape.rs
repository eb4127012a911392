//! Scraping from outside: targets that are right, wrong, slow, hidden behind passwords and TLS, and come and go; what is asked of them, what is
//! said of them, and what is counted.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collector::scrape::{Scraper, Settings, Setup};
use collector::{Config, Intake};
use flate2::Compression;
use flate2::write::GzEncoder;
use model::wire::prom::ActiveTarget;
use model::{Clock, SystemClock};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use store::Table;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{Server, bind};

/// Something that is scraped. Ends with the test's runtime.
#[derive(Clone)]
struct Target {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Target {
    async fn start(answer: Vec<u8>) -> Self {
        let (listener, address) = bind().await;
        let target = Self::at(address.to_string(), answer);
        let serving = target.clone();
        tokio::spawn(async move { serving.serve(listener, None).await });
        target
    }

    async fn with_tls(answer: Vec<u8>, acceptor: TlsAcceptor) -> Self {
        let (listener, address) = bind().await;
        let target = Self::at(address.to_string(), answer);
        let serving = target.clone();
        tokio::spawn(async move { serving.serve(listener, Some(acceptor)).await });
        target
    }

    fn at(address: String, answer: Vec<u8>) -> Self {
        Self { address, heads: Arc::default(), answer: Arc::new(Mutex::new(answer)) }
    }

    fn answer(&self, answer: Vec<u8>) {
        *self.answer.lock().expect("nobody panicked") = answer;
    }

    /// The heads of the requests so far.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panicked").clone()
    }

    async fn serve(&self, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let (target, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => target.converse(stream).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            target.converse(stream).await;
                        }
                    }
                }
            });
        }
    }

    // Answers until an answer says that it is the last one.
    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            head.push(byte);
            // Whoever wants TLS waits for an answer to what is no line.
            if !head.ends_with(b"\r\n\r\n") && byte != 0x16 {
                continue;
            }
            let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
            self.heads.lock().expect("nobody panicked").push(text);
            let answer = self.answer.lock().expect("nobody panicked").clone();
            let _ = stream.write_all(&answer).await;
            if answer.is_empty() {
                // It says nothing, for longer than anybody waits.
                std::future::pending::<()>().await;
            }
            if String::from_utf8_lossy(&answer).contains("Connection: close") {
                return;
            }
        }
    }
}

fn http(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.to_vec()].concat()
}

const TEXT: &str = "200 OK\r\nContent-Type: text/plain; version=0.0.4";

fn text(body: &str) -> Vec<u8> {
    http(TEXT, body)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

/// A scraper with a store behind it.
struct World {
    server: Server,
    scraper: Scraper,
    folder: TempDir,
}

impl World {
    /// Scrapes what the file says, from a folder in which other files may be.
    async fn within(folder: TempDir, yaml: &str) -> Self {
        let server = Server::start(Config::default()).await;
        write(&folder.path().join("prometheus.yml"), yaml);
        let scraper = scraper(folder.path(), server.intake.clone(), server.stats());
        scraper.run().await;
        Self { server, scraper, folder }
    }

    /// The target of a job once it is as wanted.
    async fn target(&self, job: &str, wanted: impl Fn(&ActiveTarget) -> bool) -> ActiveTarget {
        let mut last = None;
        for _ in 0..2000 {
            last = self.scraper.active(Some(job)).into_iter().next();
            if let Some(target) = last.as_ref().filter(|target| wanted(target)) {
                return target.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the target of {job} never became what was wanted: {last:?}")
    }

    /// Waits until the instances that are scraped are these.
    async fn instances(&self, job: &str, wanted: &[&str]) {
        let mut last = Vec::new();
        for _ in 0..2000 {
            let active = self.scraper.active(Some(job));
            last = active.iter().map(|target| target.labels["instance"].clone()).collect::<Vec<_>>();
            if last == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the instances of {job} are {last:?}, not {wanted:?}")
    }
}

fn scraper(folder: &Path, intake: Intake, stats: model::stats::Stats) -> Scraper {
    let settings = Settings { file: folder.join("prometheus.yml").display().to_string() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Scraper::open(Setup { settings, intake, clock, stats, version: "1.2.3".to_owned() }).expect("the file is right")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a writable folder");
}

fn job(name: &str, address: &str, keys: &str) -> String {
    format!("- job_name: {name}\n  scrape_interval: 100ms\n  static_configs: [{{targets: ['{address}']}}]\n{keys}")
}

fn jobs(jobs: &[String]) -> String {
    format!("scrape_configs:\n{}", jobs.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_up_or_down_with_the_reason() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunked = format!("HTTP/1.1 {TEXT}\r\nTransfer-Encoding: chunked\r\n");
    let compressed = format!("{TEXT}\r\nContent-Encoding: gzip");
    let bomb = gzip(&vec![b' '; 4 << 20]);
    let cases: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("", "fine", text("a 1\n"), ""),
        ("", "no samples", text(""), ""),
        ("", "chunks", format!("{chunked}\r\n{}{}0\r\n\r\n", chunk("a 1\nb"), chunk(" 2\n")).into_bytes(), ""),
        ("", "gzip", http(&compressed, gzip(b"a 1\n")), ""),
        ("", "openmetrics", http("200 OK\r\nContent-Type: application/openmetrics-text", "a 1\n# EOF\n"), ""),
        (
            "",
            "no openmetrics",
            http("200 OK\r\nContent-Type: application/openmetrics-text", "a 1\n"),
            "line 2: the body ends without # EOF",
        ),
        ("", "not found", http("404 Not Found", ""), "server returned HTTP status 404 Not Found"),
        ("", "no content", http("204 No Content\r\nContent-Type: text/plain", ""), "server returned HTTP status 204"),
        (
            "",
            "html",
            http("200 OK\r\nContent-Type: text/html", "a 1\n"),
            "received unsupported Content-Type \"text/html\"",
        ),
        ("", "no type", http("200 OK", "a 1\n"), "no fallback_scrape_protocol specified"),
        ("  fallback_scrape_protocol: PrometheusText0.0.4", "fallback", http("200 OK", "a 1\n"), ""),
        ("", "malformed", text("a 1\nb{c=d} 2\n"), "line 2: the value of the label \"c\" does not stand in quotes"),
        (
            "",
            "cut",
            format!("HTTP/1.1 {TEXT}\r\nContent-Length: 100\r\nConnection: close\r\n\r\na 1\n").into_bytes(),
            "the answer ended early",
        ),
        (
            "",
            "cut chunks",
            format!("{chunked}Connection: close\r\n\r\n{}", chunk("a 1\n")).into_bytes(),
            "the answer ended early",
        ),
        ("", "cut gzip", http(&compressed, &gzip(b"a 1\n")[..10]), "the answer cannot be decompressed"),
        ("  body_size_limit: 1KB", "large", text(&"a 1\n".repeat(300)), "more than 1024 bytes: body_size_limit"),
        ("  body_size_limit: 1MB", "bomb", http(&compressed, bomb), "more than 1048576 bytes: body_size_limit"),
        ("", "zstd", http(&format!("{TEXT}\r\nContent-Encoding: zstd"), ""), "the answer's encoding is \"zstd\""),
        ("", "no http", b"SSH-2.0-OpenSSH\r\n".to_vec(), "the connection broke"),
        ("", "closed", b"HTTP/1.1 200 OK\r\nConnection: close".to_vec(), "the connection broke"),
        ("", "silent", Vec::new(), "no whole answer within 0.1 s"),
        (
            "  sample_limit: 1",
            "many",
            text("a 1\nb 1\n"),
            "sample_limit exceeded: 2 samples after relabelling, limit 1",
        ),
        ("  label_limit: 2", "labels", text("a 1\n"), "line 1: label_limit exceeded: 3 labels, limit 2"),
        ("", "loop", http("302 Found\r\nLocation: /again", ""), "it was redirected 11 times"),
        (
            "  follow_redirects: false",
            "no loop",
            http("302 Found\r\nLocation: /again", ""),
            "server returned HTTP status 302 Found",
        ),
        ("  scheme: https", "plain", text("a 1\n"), "no TLS with 127.0.0.1"),
        (
            "  target_limit: 1\n  file_sd_configs: [{files: [two.yml]}]",
            "limit",
            text("a 1\n"),
            "target_limit exceeded (number of targets: 2, limit: 1)",
        ),
    ];
    let mut all = vec![job("nobody", "127.0.0.1:1", "")];
    for (keys, name, answer, _) in &cases {
        let target = Target::start(answer.clone()).await;
        all.push(job(name, &target.address, keys));
    }
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("two.yml"), "- targets: ['127.0.0.1:1']\n");
    let world = World::within(folder, &jobs(&all)).await;
    for (_, name, _, error) in &cases {
        let health = if error.is_empty() { "up" } else { "down" };
        let target = world.target(name, |target| target.health == health && target.last_error.contains(error)).await;
        assert_eq!(target.last_error.is_empty(), error.is_empty(), "{name}: {target:?}");
        assert_ne!(target.last_scrape, "0001-01-01T00:00:00Z");
        let total = world.server.count("sextant_scrapes_total", &[("job", name)]);
        let failed = world.server.count("sextant_scrapes_failed_total", &[("job", name)]);
        // A busy machine may make others fail now and then.
        assert!(total > 0 && (error.is_empty() || failed > 0), "{name}: {failed} of {total}");
    }
    let nobody = world.target("nobody", |target| target.health == "down").await;
    assert!(nobody.last_error.contains("cannot connect to 127.0.0.1:1: Connection refused"), "{nobody:?}");
    assert!(
        world.server.count("sextant_receipts_accepted_items_total", &[("door", "scrape"), ("service", "fine")]) >= 6
    );
    assert!(world.server.rows(Table::Points) > 0);
    // Whoever takes longer than its interval leaves moments out, which is counted.
    for _ in 0..2000 {
        if world.server.count("sextant_scrapes_skipped_total", &[("job", "silent")]) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.server.count("sextant_scrapes_skipped_total", &[("job", "silent")]) > 0);
    // One slow target does not keep a stop waiting.
    tokio::time::timeout(Duration::from_secs(5), world.scraper.stop()).await.expect("it stops");
    assert!(world.scraper.active(None).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_told_who_asks_and_for_what() {
    let target = Target::start(text("a 1\n")).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("password"), "secret\n");
    let with = |name: &str, keys: &str| job(name, &target.address, &format!("  metrics_path: /{name}\n{keys}"));
    let redirecting = Target::start(http("302 Found\r\nLocation: /elsewhere", "")).await;
    let elsewhere = http(&format!("307 Temporary Redirect\r\nLocation: http://{}/from-other", target.address), "");
    let leading_away = Target::start(elsewhere).await;
    let yaml = jobs(&[
        with("plain", ""),
        with("basic", "  basic_auth: {username: me, password_file: password}"),
        with(
            "bearer",
            "  authorization: {credentials: token}\n  http_headers: {X-Own: {values: [one], files: [password]}}",
        ),
        with(
            "params",
            "  params: {a: ['b c', d]}\n  scrape_protocols: [PrometheusText0.0.4]\n  enable_compression: false",
        ),
        job("redirected", &redirecting.address, "  authorization: {credentials: token}"),
        job("away", &leading_away.address, "  authorization: {credentials: token}"),
    ]);
    let world = World::within(folder, &yaml).await;
    for name in ["plain", "basic", "bearer", "params", "away"] {
        world.target(name, |target| target.health == "up").await;
    }
    let head = |path: &str| {
        let found = target.heads().into_iter().find(|head| head.starts_with(&format!("GET /{path}")));
        found.unwrap_or_else(|| panic!("nobody asked for {path}"))
    };
    let plain = head("plain HTTP/1.1");
    for header in [
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,",
        "accept-encoding: gzip\r\n",
        "user-agent: sextant/1.2.3\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.1\r\n",
        &format!("host: {}\r\n", target.address),
    ] {
        assert!(plain.contains(header), "{header}: {plain}");
    }
    assert!(!plain.contains("authorization"));
    assert!(head("basic").contains("authorization: Basic bWU6c2VjcmV0\r\n"));
    let bearer = head("bearer");
    assert!(bearer.contains("authorization: Bearer token\r\n") && bearer.contains("x-own: one\r\n"), "{bearer}");
    assert!(bearer.contains("x-own: secret\r\n"), "{bearer}");
    let params = head("params");
    assert!(params.starts_with("GET /params?a=b+c&a=d HTTP/1.1\r\n"), "{params}");
    assert!(params.contains("accept: text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n"), "{params}");
    assert!(params.contains("accept-encoding: identity\r\n"), "{params}");
    // Secrets go where they belong: within one address, and nowhere else.
    world.target("redirected", |target| target.health == "down").await;
    assert!(redirecting.heads().iter().any(|head| head.starts_with("GET /elsewhere") && head.contains("Bearer token")));
    assert!(leading_away.heads().iter().all(|head| head.contains("Bearer token")));
    assert!(!head("from-other").contains("token"));
    // A connection is used again.
    let plain = |heads: Vec<String>| heads.iter().filter(|head| head.starts_with("GET /plain")).count();
    for _ in 0..2000 {
        if plain(target.heads()) > 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What is changed in a file of a secret is used at once; one that is gone is told.
    std::fs::remove_file(world.folder.path().join("password")).expect("it was there");
    let basic = world.target("basic", |target| target.health == "down").await;
    assert!(basic.last_error.contains("the file of a secret cannot be read: No such file"), "{basic:?}");
}

fn acceptor(wants_certificate: bool) -> TlsAcceptor {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = if wants_certificate {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate(include_str!("tls/ca.pem"))).expect("an authority");
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(vec![certificate(include_str!("tls/server.pem"))], key);
    TlsAcceptor::from(Arc::new(config.expect("they fit")))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_and_shown() {
    let target = Target::with_tls(text("a 1\n"), acceptor(false)).await;
    let strict = Target::with_tls(text("a 1\n"), acceptor(true)).await;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, pem) in [
        ("ca.pem", include_str!("tls/ca.pem")),
        ("client.pem", include_str!("tls/client.pem")),
        ("client.key", include_str!("tls/client.key")),
    ] {
        write(&folder.path().join(name), pem);
    }
    let cases = [
        ("named", &target, "ca_file: ca.pem, server_name: target.test", ""),
        ("unnamed", &target, "ca_file: ca.pem", "no TLS with 127.0.0.1: invalid peer certificate"),
        ("unknown", &target, "server_name: target.test", "no TLS with 127.0.0.1: invalid peer certificate"),
        ("unchecked", &target, "insecure_skip_verify: true", ""),
        (
            "shown",
            &strict,
            "ca_file: ca.pem, server_name: target.test, cert_file: client.pem, key_file: client.key",
            "",
        ),
        ("not shown", &strict, "ca_file: ca.pem, server_name: target.test", "CertificateRequired"),
    ];
    let all = cases.map(|(name, target, tls, _)| {
        job(name, &target.address, &format!("  scheme: https\n  scrape_interval: 1s\n  tls_config: {{{tls}}}"))
            .replacen("  scrape_interval: 100ms\n", "", 1)
    });
    let world = World::within(folder, &jobs(&all)).await;
    for (name, _, _, error) in cases {
        let health = if error.is_empty() { "up" } else { "down" };
        let target = world.target(name, |target| target.health != "unknown").await;
        assert!(target.health == health && target.last_error.contains(error), "{name}: {target:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_come_and_go_with_their_lists() {
    let lists = Target::start(http("200 OK\r\nContent-Type: application/json", r#"[{"targets": ["c:1"]}]"#)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("list.json");
    write(&list, r#"[{"targets": ["a:1", "b:1"], "labels": {"zone": "x", "__meta_drop": "no"}}]"#);
    write(&folder.path().join("more.yml"), "- {targets: [d:1], labels: {__meta_drop: 'yes'}}\n");
    let yaml = |more: &str| {
        format!(
            "scrape_configs:\n- job_name: files\n  file_sd_configs: [{{files: [list.json, '*.yml'], refresh_interval: 100ms}}]\n  \
             relabel_configs:\n  - {{action: drop, source_labels: [__meta_drop], regex: 'yes'}}\n{more}"
        )
    };
    let of_lists = format!(
        "- job_name: lists\n  http_sd_configs: [{{url: 'http://{}/list', refresh_interval: 100ms}}]\n  \
         relabel_configs: [{{source_labels: [__meta_url], target_label: by}}]\n",
        lists.address
    );
    let file = folder.path().join("prometheus.yml");
    let world = World::within(folder, &yaml(&of_lists)).await;
    world.instances("files", &["a:1", "b:1"]).await;
    world.instances("lists", &["c:1"]).await;
    let [dropped] = &world.scraper.dropped(None)[..] else { panic!("one is dropped") };
    assert_eq!((dropped.scrape_pool.as_str(), dropped.discovered_labels["__address__"].as_str()), ("files", "d:1"));
    assert!(dropped.discovered_labels["__meta_filepath"].ends_with("/more.yml"));
    assert_eq!(world.scraper.dropped_counts(), [("files".to_owned(), 1), ("lists".to_owned(), 0)].into());
    let by = &world.scraper.active(Some("lists"))[0];
    assert_eq!(by.labels["by"], format!("http://{}/list", lists.address));
    assert!(lists.heads()[0].contains("x-prometheus-refresh-interval-seconds: 0.1\r\n"));

    write(&list, r#"[{"targets": ["b:1", "e:1"], "labels": {"zone": "x"}}]"#);
    world.instances("files", &["b:1", "e:1"]).await;
    // What is broken leaves everything as it was, and is counted.
    write(&list, "[{");
    lists.answer(http("200 OK\r\nContent-Type: text/plain", "[]"));
    for by in ["file", "http"] {
        for _ in 0..2000 {
            if world.server.count("sextant_scrape_discovery_failures_total", &[("by", by)]) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(world.server.count("sextant_scrape_discovery_failures_total", &[("by", by)]) > 0, "{by}");
    }
    world.instances("files", &["b:1", "e:1"]).await;
    world.instances("lists", &["c:1"]).await;
    lists.answer(http("200 OK\r\nContent-Type: application/json", "[]"));
    world.instances("lists", &[]).await;

    // A file that is wrong is not taken; one that is right is, and what did not change goes on.
    write(&file, &yaml("- job_name: [\n"));
    world.scraper.reload().await;
    assert_eq!(world.scraper.job_names(), ["files", "lists"]);
    assert!(world.server.count("sextant_scrape_reloads_total", &[("outcome", "refused")]) > 0);
    // Jobs may stand in further files, whose coming is noticed.
    write(&file, &format!("{}scrape_config_files: ['*.jobs']\n", yaml("")));
    world.scraper.reload().await;
    assert_eq!(world.scraper.job_names(), ["files"]);
    write(&world.folder.path().join("one.jobs"), &jobs(&[job("another", "f:1", "")]));
    world.instances("another", &["f:1"]).await;
    assert_eq!(world.scraper.job_names(), ["another", "files"]);
    world.instances("files", &["b:1", "e:1"]).await;
    assert!(world.server.count("sextant_scrape_reloads_total", &[("outcome", "taken")]) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_take_is_lost_and_told() {
    let target = Target::start(text("a 1\n")).await;
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("prometheus.yml"), &jobs(&[job("j", &target.address, "")]));
    let server = Server::starting(Config::default()).await;
    let scraper = scraper(folder.path(), server.intake.clone(), server.stats());
    scraper.run().await;
    let world = World { server, scraper, folder };
    let told = "the scrape is lost, nothing of it is stored: the server is starting";
    let lost = world.target("j", |target| target.last_error.starts_with(told)).await;
    assert_eq!(lost.health, "unknown");
    assert!(world.server.count("sextant_scrapes_lost_total", &[("job", "j"), ("reason", "starting")]) > 0);
    assert_eq!(world.server.rows(Table::Points), 0);
    world.server.intake.open(world.server.store.writer());
    world.target("j", |target| target.health == "up" && target.last_error.is_empty()).await;
    // What would take too much memory fails before it does.
    let few = Config { series_max: 2, ..Config::default() };
    let server = Server::start(few).await;
    target.answer(text("a 1\nb 1\nc 1\n"));
    let scraper = self::scraper(world.folder.path(), server.intake.clone(), server.stats());
    scraper.run().await;
    let world = World { server, scraper, folder: world.folder };
    let told = "line 3: there are more than 2 series, which is what collector.series_max leaves";
    world.target("j", |target| target.health == "down" && target.last_error.starts_with(told)).await;
    // Too many series are said so, and what says how the target is comes first.
    let few = Config { series_max: 6, ..Config::default() };
    let server = Server::start(few).await;
    target.answer(text("a 1\nb 1\nc 1\n"));
    let scraper = self::scraper(world.folder.path(), server.intake.clone(), server.stats());
    scraper.run().await;
    let world = World { server, scraper, folder: world.folder };
    let full = world.target("j", |target| target.last_error.contains("2 of 8 samples rejected")).await;
    assert!(full.health == "up" && full.last_error.contains("collector.series_max"), "{full:?}");
    // So are too many of one metric.
    let few = Config { series_per_metric_max: 2, ..Config::default() };
    let server = Server::start(few).await;
    target.answer(text("a{n=\"1\"} 1\na{n=\"2\"} 1\nb 1\na{n=\"3\"} 1\n"));
    let scraper = self::scraper(world.folder.path(), server.intake.clone(), server.stats());
    scraper.run().await;
    let world = World { server, scraper, folder: world.folder };
    let full = world.target("j", |target| target.last_error.contains("1 of 9 samples rejected")).await;
    let says = ["collector.series_per_metric_max", "\"a\""];
    assert!(full.health == "up" && says.iter().all(|text| full.last_error.contains(text)), "{full:?}");
}
