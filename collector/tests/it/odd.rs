//! Protobuf in every way that its format allows, and in some that it does not: fields out of order, messages in pieces, lists
//! packed and unpacked, numbers longer than need be, fields that nobody knows, groups.

use fastrand::Rng;

/// A request's bytes, written anew with every liberty a writer has. `message` is the name of the request's message.
pub fn rewrite(rng: &mut Rng, message: &'static str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write(rng, message, &fields(bytes), 0, &mut out);
    out
}

/// The same bytes with some of them changed, gone, doubled or moved.
pub fn damage(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..4) {
        if bytes.is_empty() {
            break;
        }
        let (at, to) = (rng.usize(..bytes.len()), rng.usize(..bytes.len()));
        let (at, to) = (at.min(to), at.max(to));
        match rng.u8(..6) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] ^= 1 << rng.u8(..8),
            2 => bytes.truncate(to),
            3 => drop(bytes.drain(at..at + (to - at).min(4))),
            4 => {
                let piece = bytes[at..at + (to - at).min(30)].to_vec();
                bytes.splice(to..to, piece);
            }
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
    bytes
}

struct Field<'a> {
    number: u32,
    wire: u8,
    // What follows the key; of length-delimited fields without the length.
    value: &'a [u8],
}

// The fields of a message that is sound.
fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let wire = (key & 7) as u8;
        let length = match wire {
            0 => {
                let before = bytes;
                varint(&mut bytes);
                let length = before.len() - bytes.len();
                bytes = before;
                length
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            _ => 4,
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        fields.push(Field { number: (key >> 3) as u32, wire, value });
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

// The message that a field holds.
fn child(message: &str, number: u32) -> Option<&'static str> {
    Some(match (message, number) {
        ("logs" | "spans" | "points", 1) => match message {
            "logs" => "resource_logs",
            "spans" => "resource_spans",
            _ => "resource_metrics",
        },
        ("resource_logs" | "resource_spans" | "resource_metrics", 1) => "resource",
        ("resource_logs", 2) => "scope_logs",
        ("resource_spans", 2) => "scope_spans",
        ("resource_metrics", 2) => "scope_metrics",
        ("scope_logs" | "scope_spans" | "scope_metrics", 1) => "scope",
        ("scope_logs", 2) => "log",
        ("scope_spans", 2) => "span",
        ("scope_metrics", 2) => "metric",
        ("resource", 1) | ("scope", 3) | ("log", 6) | ("span", 9) | ("event", 3) | ("link", 4) => "key_value",
        ("metric", 12) | ("number" | "summary_point", 7) | ("histogram_point", 9) => "key_value",
        ("exponential_point", 1) | ("exemplar", 7) | ("map", 1) => "key_value",
        ("resource", 3) => "entity",
        ("log", 5) | ("key_value", 2) | ("array", 1) => "any",
        ("any", 5) => "array",
        ("any", 6) => "map",
        ("span", 11) => "event",
        ("span", 13) => "link",
        ("span", 15) => "status",
        ("metric", 5 | 7) => "numbers",
        ("metric", 9) => "histogram",
        ("metric", 10) => "exponential",
        ("metric", 11) => "summary",
        ("numbers", 1) => "number",
        ("histogram", 1) => "histogram_point",
        ("exponential", 1) => "exponential_point",
        ("summary", 1) => "summary_point",
        ("summary_point", 6) => "quantile",
        ("number", 5) | ("histogram_point", 8) | ("exponential_point", 11) => "exemplar",
        ("exponential_point", 8 | 9) => "buckets",
        _ => return None,
    })
}

// Whether a field is a list of numbers, and of how many bytes each; 0 for varints.
fn packed(message: &str, number: u32) -> Option<usize> {
    match (message, number) {
        ("histogram_point", 6 | 7) => Some(8),
        ("buckets", 2) => Some(0),
        _ => None,
    }
}

fn write(rng: &mut Rng, message: &'static str, fields: &[Field<'_>], depth: usize, out: &mut Vec<u8>) {
    let mut order: Vec<usize> = (0..fields.len()).collect();
    match rng.u8(..8) {
        0 => rng.shuffle(&mut order),
        1 if order.len() > 1 => {
            let at = rng.usize(1..order.len());
            order.swap(at - 1, at);
        }
        // A field once more, somewhere.
        2 if !order.is_empty() => {
            let again = order[rng.usize(..order.len())];
            order.insert(rng.usize(..=order.len()), again);
        }
        _ => {}
    }
    for place in order {
        if rng.u8(..30) == 0 {
            unknown(rng, out, 0);
        }
        let field = &fields[place];
        if rng.u8(..60) == 0 {
            mistake(rng, message, field, out);
        } else if let Some(child) = child(message, field.number) {
            write_message(rng, child, field, depth, out);
        } else if let Some(width) = packed(message, field.number).filter(|_| rng.bool()) {
            unpack(rng, field, width, out);
        } else {
            write_value(rng, field.number, field.wire, field.value, out);
        }
    }
    if rng.u8(..30) == 0 {
        unknown(rng, out, 0);
    }
}

// What receivers are asked to overlook: ids of a wrong length, indexes into tables that are not there.
fn mistake(rng: &mut Rng, message: &str, field: &Field<'_>, out: &mut Vec<u8>) {
    match message {
        "any" => write_value(rng, 8, 0, &[5], out),
        "key_value" => write_value(rng, 3, 0, &[5], out),
        _ => write_value(rng, field.number, field.wire, field.value, out),
    }
    let is_id = matches!((message, field.number), ("log", 9 | 10) | ("exemplar", 4 | 5) | ("span", 1 | 2 | 4));
    if is_id && !field.value.is_empty() {
        write_value(rng, field.number, 2, &field.value[1..], out);
    }
}

// A message, sometimes in two pieces, sometimes as a member of something that has another in the same place.
fn write_message(rng: &mut Rng, child: &'static str, field: &Field<'_>, depth: usize, out: &mut Vec<u8>) {
    let all = fields(field.value);
    let cut = if rng.u8(..10) == 0 { rng.usize(..=all.len()) } else { all.len() };
    let (first, second) = all.split_at(cut);
    for piece in [first, second] {
        let mut content = Vec::new();
        write(rng, child, piece, depth + 1, &mut content);
        write_value(rng, field.number, 2, &content, out);
        if second.is_empty() {
            break;
        }
    }
}

fn unpack(rng: &mut Rng, field: &Field<'_>, width: usize, out: &mut Vec<u8>) {
    let mut rest = field.value;
    while !rest.is_empty() {
        let before = rest;
        if width == 0 {
            varint(&mut rest);
        } else {
            rest = &rest[width..];
        }
        let value = &before[..before.len() - rest.len()];
        // Alone, or packed with others or none.
        match rng.u8(..4) {
            0 => write_value(rng, field.number, 2, &[], out),
            1 => write_value(rng, field.number, 2, value, out),
            _ => {}
        }
        write_value(rng, field.number, if width == 0 { 0 } else { 1 }, value, out);
    }
}

fn write_value(rng: &mut Rng, number: u32, wire: u8, value: &[u8], out: &mut Vec<u8>) {
    // Now and then a field is written as another type is.
    if rng.u16(..3_000) == 0 {
        let other = u64::from(rng.u8(..8));
        put(rng, u64::from(number) << 3 | other, out);
        out.extend_from_slice(value);
        return;
    }
    put(rng, u64::from(number) << 3 | u64::from(wire), out);
    match wire {
        0 => {
            let mut rest = value;
            let number = varint(&mut rest);
            put(rng, number, out);
        }
        2 => {
            put(rng, value.len() as u64, out);
            out.extend_from_slice(value);
        }
        _ => out.extend_from_slice(value),
    }
}

// A number in as many bytes as it needs, or in more.
fn put(rng: &mut Rng, mut value: u64, out: &mut Vec<u8>) {
    let mut padding = if rng.u8(..20) == 0 { rng.usize(..4) } else { 0 };
    let mut written = 0;
    while value >= 0x80 || (padding > 0 && written < 9) {
        if value < 0x80 {
            padding -= 1;
        }
        out.push(value as u8 | 0x80);
        value >>= 7;
        written += 1;
    }
    out.push(value as u8);
}

fn unknown(rng: &mut Rng, out: &mut Vec<u8>, depth: usize) {
    let number = if rng.bool() { rng.u64(17..2_000) } else { rng.u64(100..1 << 29) };
    match rng.u8(..5) {
        0 => {
            put(rng, number << 3, out);
            let value = rng.u64(..);
            put(rng, value, out);
        }
        1 => {
            put(rng, number << 3 | 1, out);
            out.extend_from_slice(&[7; 8]);
        }
        2 => {
            put(rng, number << 3 | 2, out);
            put(rng, 3, out);
            out.extend_from_slice(&[0xff; 3]);
        }
        3 => {
            put(rng, number << 3 | 5, out);
            out.extend_from_slice(&[7; 4]);
        }
        _ => {
            put(rng, number << 3 | 3, out);
            while depth < 110 && rng.u8(..3) > 0 {
                unknown(rng, out, depth + 1);
            }
            let end = if rng.u8(..20) == 0 { number + 1 } else { number };
            put(rng, end << 3 | 4, out);
        }
    }
}
