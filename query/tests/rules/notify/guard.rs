//! Who may be called: addresses in every disguise, and names that change their meaning.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use query::rules::notify::guard::{Allowed, Guard, Lookup, Refused};

// A name service that knows each name's addresses.
fn names(table: &'static [(&'static str, &'static [&'static str])]) -> Lookup {
    Arc::new(move |host, port| {
        Box::pin(async move {
            let found = table.iter().find(|(name, _)| *name == host.trim_end_matches('.'));
            let (_, addresses) = found.ok_or_else(|| std::io::Error::other("no such name"))?;
            Ok(addresses.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), port)).collect())
        })
    })
}

const NAMES: &[(&str, &[&str])] = &[
    ("hooks.example.org", &["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]),
    ("localhost", &["127.0.0.1", "::1"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("inside.example.org", &["10.1.2.3"]),
    ("both.example.org", &["10.1.2.3", "93.184.215.14"]),
    ("nowhere.example.org", &[]),
    ("v6.example.org", &["fd00::7"]),
];

#[tokio::test]
async fn hosts_are_judged_by_their_addresses() {
    let guard = Guard::with_lookup(Allowed::default(), names(NAMES));
    for (host, expected) in [
        ("hooks.example.org", "93.184.215.14"),
        ("hooks.example.org.", "93.184.215.14"),
        ("93.184.215.14", "93.184.215.14"),
        ("[2606:2800::1]", "2606:2800::1"),
        ("1.1.1.1", "1.1.1.1"),
        ("172.32.0.1", "172.32.0.1"),
        ("100.128.0.1", "100.128.0.1"),
        ("192.169.0.1", "192.169.0.1"),
        // Only what is public of several addresses.
        ("both.example.org", "93.184.215.14"),
        // This machine, in every form.
        ("localhost", "this machine"),
        ("localhost.", "this machine"),
        ("127.0.0.1", "this machine"),
        ("127.255.255.254", "this machine"),
        ("[::1]", "this machine"),
        ("[::ffff:127.0.0.1]", "this machine"),
        ("[::ffff:7f00:1]", "this machine"),
        ("[::127.0.0.1]", "this machine"),
        ("[64:ff9b::7f00:1]", "this machine"),
        ("[2002:7f00:1::]", "this machine"),
        ("[::ffff:0:127.0.0.1]", "this machine"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("[::]", "unspecified"),
        ("2130706433", "unusual form"),
        ("017700000001", "unusual form"),
        ("0x7f000001", "unusual form"),
        ("0177.0.0.1", "unusual form"),
        ("0x7f.0.0.1", "unusual form"),
        ("127.0.0.0x1", "unusual form"),
        ("127.1", "unusual form"),
        ("127.0.1", "unusual form"),
        ("127.0.0.01", "unusual form"),
        ("127.0.0.1.", "unusual form"),
        ("256.1.1.1", "unusual form"),
        ("0X7F.1", "unusual form"),
        // The neighbourhood.
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared by a carrier"),
        ("100.100.100.200", "shared by a carrier"),
        ("inside.example.org", "private"),
        ("v6.example.org", "private"),
        ("[fc00::1]", "private"),
        ("[fd12:3456::1]", "private"),
        ("[fec0::1]", "private"),
        ("[::ffff:10.0.0.1]", "private"),
        ("[64:ff9b::a00:1]", "private"),
        ("[64:ff9b:1::1]", "private"),
        ("[2002:a00:1::1]", "private"),
        ("169.254.0.1", "link-local"),
        ("[fe80::1]", "link-local"),
        // What a cloud tells its machines.
        ("169.254.169.254", "a cloud's metadata"),
        ("metadata.google.internal", "a cloud's metadata"),
        ("[::ffff:169.254.169.254]", "a cloud's metadata"),
        ("[::ffff:a9fe:a9fe]", "a cloud's metadata"),
        ("168.63.129.16", "a cloud's metadata"),
        ("[fd00:ec2::254]", "private"),
        ("192.0.0.192", "reserved"),
        // What nobody is at.
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("[ff02::1]", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("198.18.0.1", "for measurements only"),
        ("192.0.2.1", "for documents only"),
        ("[2001:db8::1]", "for documents only"),
        ("[2001::1]", "reserved"),
        ("[100::1]", "a black hole"),
        // What is no host.
        ("[fe80::1%25eth0]", "no IPv6 address"),
        ("nowhere.example.org", "has no address"),
        ("unknown.example.org", "cannot look up"),
        ("", "no host"),
    ] {
        let said = match guard.addresses(host, 80).await {
            Ok(addresses) => addresses[0].ip().to_string(),
            Err(refused) => refused.to_string(),
        };
        let public = expected.parse::<std::net::IpAddr>().is_ok();
        let fits = if public { said == expected } else { said.contains(expected) };
        assert!(fits, "{host}: {said}, expected {expected}");
    }
}

#[tokio::test]
async fn private_receivers_can_be_allowed() {
    for (entry, host, port, allowed) in [
        ("inside.example.org", "inside.example.org", 80, true),
        ("INSIDE.example.org.", "inside.example.org", 80, true),
        ("inside.example.org:8080", "inside.example.org", 8080, true),
        ("inside.example.org:8080", "inside.example.org", 80, false),
        ("example.org", "inside.example.org", 80, false),
        ("10.1.2.3", "inside.example.org", 80, true),
        ("10.1.2.3", "10.1.2.3", 80, true),
        ("10.1.2.3", "10.1.2.4", 80, false),
        ("10.1.2.3:9000", "10.1.2.3", 9000, true),
        ("10.1.2.3:9000", "10.1.2.3", 9001, false),
        ("10.1.0.0/16", "10.1.255.1", 80, true),
        ("10.1.0.0/16", "10.2.0.1", 80, false),
        ("10.1.0.0/16:443", "10.1.0.1", 443, true),
        ("10.1.0.0/16:443", "10.1.0.1", 80, false),
        ("0.0.0.0/0", "127.0.0.1", 80, true),
        ("0.0.0.0/0", "[::1]", 80, false),
        ("fd00::/8", "v6.example.org", 80, true),
        ("fd00::/8", "[fc00::1]", 80, false),
        ("[fd00::7]:443", "v6.example.org", 443, true),
        ("::1", "localhost", 80, true),
        ("127.0.0.1", "localhost", 80, true),
        ("127.0.0.1", "[::ffff:127.0.0.1]", 80, true),
        ("127.0.0.1", "2130706433", 80, false),
        ("localhost", "localhost", 80, true),
        ("localhost", "127.0.0.1", 80, false),
    ] {
        let guard = Guard::with_lookup(Allowed::parse(&[entry]).expect(entry), names(NAMES));
        assert_eq!(guard.addresses(host, port).await.is_ok(), allowed, "{entry}: {host}:{port}");
    }
    for entry in ["", "10.0.0.0/33", "a b", "host:port", "10.1", "http://x", "fd00::/129", "2130706433", "x/8"] {
        assert!(Allowed::parse(&[entry]).is_err(), "{entry:?}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_judged_address_is_called() {
    // Public at first, this machine at the second look.
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let lookup: Lookup = Arc::new(move |_, port| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        let address = if first { "93.184.215.14" } else { "127.0.0.1" };
        Box::pin(async move { Ok(vec![SocketAddr::new(address.parse().expect("an address"), port)]) })
    });
    let guard = Guard::with_lookup(Allowed::default(), lookup);
    let first = guard.addresses("rebinds.example.org", 80).await.expect("public");
    assert_eq!((first[0].to_string().as_str(), looks.load(Ordering::Relaxed)), ("93.184.215.14:80", 1));
    assert!(matches!(guard.addresses("rebinds.example.org", 80).await, Err(Refused::Address { .. })));
}
