//! `sextant inspect`: what a data directory holds, read from the files themselves. Changes nothing and takes no lock, so it
//! works beside a running server; what that server holds in memory, `sextant status` knows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use store::disk::{Disk, RealDisk};
use store::{Inspection, PartSummary, Table as StoreTable, TableBytes};

use super::rows::short_time;
use super::status::{bytes, counted};
use crate::report::{Exit, Failure, Outcome};
use crate::table::{Align, Screen, Table, Tone};

/// Which directory.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "sextant-data", env = "SEXTANT_DATA_DIR", hide_env_values = true)]
    data_dir: PathBuf,
    /// Show what each column takes instead of each part.
    #[arg(long)]
    columns: bool,
    /// Print JSON, one value per line, instead of a table.
    #[arg(long)]
    json: bool,
}

/// Prints what the directory holds.
pub fn run(args: InspectArgs) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut screen = Screen::stdout();
    if args.columns {
        let tables = store::bytes_by_column(&disk, &args.data_dir).map_err(Failure::wrong_use)?;
        if args.json { columns_json(&tables, &mut screen)? } else { draw_columns(&tables, 0.0, &mut screen)? }
    } else {
        let found = store::inspect(&disk, &args.data_dir).map_err(Failure::wrong_use)?;
        if args.json { print_json(&found, &mut screen)? } else { draw(&found, &mut screen)? }
    }
    screen.flush()?;
    Ok(Exit::Done)
}

/// The columns and files of each table, the largest first; those with less than this share of their table together.
pub fn draw_columns(
    tables: &BTreeMap<StoreTable, TableBytes>,
    share_min: f64,
    screen: &mut Screen,
) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("TABLE", Align::Left),
        ("COLUMN OR FILE", Align::Left),
        ("BYTES", Align::Right),
        ("B/ROW", Align::Right),
        ("SHARE", Align::Right),
    ]);
    for (of, sizes) in tables {
        let mut all: Vec<(&String, u64)> =
            sizes.columns.iter().chain(&sizes.files).map(|(name, size)| (name, *size)).collect();
        all.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), *name));
        let total = all.iter().map(|(_, size)| size).sum::<u64>();
        let mut push = |name: &str, size: u64| {
            let of_row = size as f64 / sizes.rows.max(1) as f64;
            let share = 100.0 * size as f64 / total.max(1) as f64;
            let cells = vec![
                of.as_str().into(),
                name.into(),
                bytes(size).into(),
                format!("{of_row:.2}").into(),
                format!("{share:.1} %").into(),
            ];
            table.push(screen, cells)
        };
        let is_large = |(_, size): &&(&String, u64)| *size as f64 >= share_min * total as f64;
        let large = all.iter().take_while(is_large).count();
        for (name, size) in &all[..large] {
            push(name, *size)?;
        }
        if large < all.len() {
            push(&format!("{} others", all.len() - large), all[large..].iter().map(|(_, size)| size).sum())?;
        }
        push(&format!("all of {}", counted(sizes.rows, "row")), total)?;
    }
    table.settle(screen)
}

fn columns_json(tables: &BTreeMap<StoreTable, TableBytes>, screen: &mut Screen) -> std::io::Result<()> {
    for (of, sizes) in tables {
        let line = json!({"table": of.as_str(), "rows": sizes.rows, "columns": sizes.columns, "files": sizes.files});
        screen.json(&line.to_string())?;
    }
    Ok(())
}

fn draw(found: &Inspection, screen: &mut Screen) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("PART", Align::Left),
        ("ROWS", Align::Right),
        ("PARQUET", Align::Right),
        ("INDEX", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
    ]);
    for part in &found.parts {
        table.push(
            screen,
            vec![
                (&part.name).into(),
                part.rows.to_string().into(),
                bytes(parquet_bytes(part)).into(),
                bytes(all_bytes(part) - parquet_bytes(part)).into(),
                short_time(&part.time.0.to_string()).into(),
                short_time(&part.time.1.to_string()).into(),
            ],
        )?;
    }
    table.settle(screen)?;
    screen.line("")?;
    draw_totals(found, screen)
}

fn draw_totals(found: &Inspection, screen: &mut Screen) -> std::io::Result<()> {
    let mut table =
        Table::new(&[("TABLE", Align::Left), ("PARTS", Align::Right), ("ROWS", Align::Right), ("BYTES", Align::Right)]);
    let mut totals: BTreeMap<&str, (u64, u64, u64)> = StoreTable::ALL.map(|of| (of.as_str(), (0, 0, 0))).into();
    for part in &found.parts {
        let total = totals.entry(part.table.as_str()).or_default();
        *total = (total.0 + 1, total.1 + part.rows, total.2 + all_bytes(part));
    }
    for (name, (parts, rows, size)) in totals {
        table.push(screen, vec![name.into(), parts.to_string().into(), rows.to_string().into(), bytes(size).into()])?;
    }
    table.settle(screen)?;
    let sum = |files: &[(String, u64)]| files.iter().map(|(_, size)| size).sum::<u64>();
    screen.line(&format!(
        "\nwal          {}, {}",
        counted(found.wal.len() as u64, "segment"),
        bytes(sum(&found.wal))
    ))?;
    if !found.damaged.is_empty() {
        let rows = found.damaged.iter().map(|(_, rows)| rows).sum();
        let line = format!("damaged      {}, {}", counted(found.damaged.len() as u64, "part"), counted(rows, "row"));
        screen.line(&screen.paint(Tone::Bad, &line))?;
    }
    if !found.wal_damaged.is_empty() {
        let line = format!(
            "damaged      {}, {}",
            counted(found.wal_damaged.len() as u64, "segment"),
            bytes(sum(&found.wal_damaged))
        );
        screen.line(&screen.paint(Tone::Bad, &line))?;
    }
    Ok(())
}

fn print_json(found: &Inspection, screen: &mut Screen) -> std::io::Result<()> {
    for part in &found.parts {
        let line = json!({
            "part": part.name,
            "table": part.table.as_str(),
            "rows": part.rows,
            "start": part.time.0.to_string(),
            "last": part.time.1.to_string(),
            "ingest_seq": [part.seq.0, part.seq.1],
            "files": part.files,
        });
        screen.json(&line.to_string())?;
    }
    for (part, rows) in &found.damaged {
        screen.json(&json!({"part": part, "rows": rows, "damaged": true}).to_string())?;
    }
    for (damaged, segments) in [(false, &found.wal), (true, &found.wal_damaged)] {
        for (name, size) in segments {
            screen.json(&json!({"wal": name, "bytes": size, "damaged": damaged}).to_string())?;
        }
    }
    Ok(())
}

fn all_bytes(part: &PartSummary) -> u64 {
    part.files.values().sum()
}

fn parquet_bytes(part: &PartSummary) -> u64 {
    part.files.iter().filter(|(name, _)| name.ends_with(".parquet")).map(|(_, size)| size).sum()
}
