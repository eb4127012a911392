//! The client against answers a server could give, good ones and broken ones.

use model::wire::logs::LogRow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

// A server that reads one request, answers with these bytes and closes; and the request it read.
async fn server(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.expect("a request");
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).await.expect("a reader");
        String::from_utf8(request).expect("text")
    });
    (url, served)
}

fn ok(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn client(url: &str) -> Client {
    let settings = Settings { token: Some("secret".to_owned()), silence_max: Duration::from_millis(500) };
    Client::new(url, settings).expect("a good address")
}

#[tokio::test]
async fn reads_rows_and_meta() {
    let body = "{\"timestamp\":\"t\",\"ingest_seq\":1,\"body\":\"one\"}\n\n{\"body\":\"two\",\"new\":true}\r\n\
                {\"_meta\":{\"cursor\":\"c\",\"partial\":true,\"reason\":\"budget\",\"warnings\":[\"w\"]}}\n";
    let (url, served) = server(ok("application/x-ndjson", body)).await;
    let request = RowsRequest { query: "a b".to_owned(), limit: Some("2".to_owned()), ..RowsRequest::default() };
    let rows = client(&url).rows::<LogRow>(&request).await.expect("an answer");
    let (rows, meta) = rows.collect().await.expect("all rows");
    assert_eq!(rows.iter().map(|row| row.body.as_str()).collect::<Vec<_>>(), [Some("one"), Some("two")]);
    assert_eq!(rows[1].other["new"], true);
    assert_eq!(
        (meta.cursor.as_deref(), meta.partial, meta.reason.as_deref(), meta.warnings.as_slice()),
        (Some("c"), true, Some("budget"), &["w".to_owned()][..])
    );
    let request = served.await.expect("served");
    assert!(request.starts_with("GET /api/v1/logs?query=a%20b&limit=2 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
}

#[tokio::test]
async fn rows_without_an_end_are_an_error() {
    let (url, _served) = server(ok("application/x-ndjson", "{\"body\":\"one\"}\n")).await;
    let rows = client(&url).rows::<LogRow>(&RowsRequest::default()).await.expect("an answer");
    let error = rows.collect().await.expect_err("cut off");
    assert!(matches!(error, ClientError::CutOff { .. }), "{error}");
}

#[tokio::test]
async fn a_broken_body_is_an_error() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"id\":".to_owned();
    let (url, _served) = server(answer).await;
    let error = client(&url).correlate("x").await.expect_err("cut off");
    assert!(matches!(error, ClientError::CutOff { source: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn errors_carry_what_the_server_said() {
    let own = r#"{"error":{"code":"bad_query","message":"no closing quote","position":4,"hint":"add a \""}}"#;
    let prometheus = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#;
    for (status, body, code, message, position, kind) in [
        ("400 Bad Request", own, "bad_query", "no closing quote", Some(4), Kind::WrongUse),
        ("400 Bad Request", prometheus, "bad_data", "1:3: parse error", None, Kind::WrongUse),
        ("503 Service Unavailable", "starting\nplease wait", "", "starting", None, Kind::Unavailable),
        ("404 Not Found", "", "", "404 Not Found", None, Kind::NotFound),
    ] {
        let (url, _served) = server(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        let error = client(&url).status().await.expect_err(status);
        let refusal = error.refusal().expect("a refusal");
        assert_eq!((refusal.code.as_str(), refusal.message.as_str(), refusal.position), (code, message, position));
        assert_eq!(error.kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let error = client(&url).status().await.expect_err("nobody listens");
    assert_eq!(error.to_string(), format!("cannot reach the server at {url}"));
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn silence_ends_in_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let error = client(&url).status().await.expect_err("nobody answers");
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn reads_events_until_the_stream_ends() {
    let body = ": hello\n\nid: 3\ndata: {\"body\":\"one\"}\n\nevent: lagged\ndata: 12\n\ndata: incomplete";
    let (url, _served) = server(ok("text/event-stream", body)).await;
    let mut events = client(&url).tail("x").await.expect("an answer");
    let first = events.next().await.expect("readable").expect("an event");
    assert_eq!((first.name.as_str(), first.id.as_str(), first.data.as_str()), ("message", "3", "{\"body\":\"one\"}"));
    let second = events.next().await.expect("readable").expect("an event");
    assert_eq!((second.name.as_str(), second.id.as_str(), second.data.as_str()), ("lagged", "3", "12"));
    assert_eq!(events.next().await.expect("readable"), None);
}

#[test]
fn a_token_must_fit_a_header() {
    let settings = Settings { token: Some("two\nlines".to_owned()), ..Settings::default() };
    assert!(matches!(Client::new("http://localhost", settings), Err(ClientError::BadToken)));
}
