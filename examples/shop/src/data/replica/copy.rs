//! What makes a second SQLite file a replica. Triggers note each change in the primary under an ascending number, one per row; whoever copies takes the rows whose numbers the replica
//! has not seen. PostgreSQL does all this by itself.

use crate::data::{Database, DatabaseError};
use crate::limits::COPIED_CHANGES_MAX;

/// A table that the replica has too. Its key is one column of text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed {
    pub(crate) name: &'static str,
    /// Makes it, on both sides.
    pub(crate) create: &'static str,
    /// Made by [`triggers`].
    pub(crate) triggers: [&'static str; 3],
    /// The row with key `$1`.
    pub(crate) select: &'static str,
    /// Writes a row with the columns of `select`.
    pub(crate) upsert: &'static str,
    /// Removes the row with key `$1`.
    pub(crate) delete: &'static str,
}

/// Notes each change of the table with this name under its key, the column `id`. Deleted and inserted anew: an upsert that makes a trigger run forbids it another.
macro_rules! triggers {
    ($table:literal) => {
        [
            $crate::data::triggers!(@ $table, "INSERT", "NEW"),
            $crate::data::triggers!(@ $table, "UPDATE", "NEW"),
            $crate::data::triggers!(@ $table, "DELETE", "OLD"),
        ]
    };
    (@ $table:literal, $event:literal, $row:literal) => {
        concat!(
            "CREATE TRIGGER IF NOT EXISTS ", $table, "_", $event, " AFTER ", $event, " ON ", $table, " BEGIN ",
            "DELETE FROM changes WHERE collection = '", $table, "' AND id = ", $row, ".id; ",
            "INSERT INTO changes (collection, id) VALUES ('", $table, "', ", $row, ".id); END"
        )
    };
}
pub(crate) use triggers;

/// The latest change of each row. Without AUTOINCREMENT a number might be given again.
pub(super) const CREATE_CHANGES: &str = "CREATE TABLE IF NOT EXISTS changes \
    (number INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, id TEXT NOT NULL, UNIQUE (collection, id))";

/// How far the replica has come.
pub(super) const CREATE_COPIED: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS copied (id BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
    "INSERT INTO copied (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
];

const NUMBER_COPIED: &str = "SELECT number FROM copied WHERE id = 1";
const NUMBER_CHANGED: &str = "SELECT COALESCE(MAX(number), 0) FROM changes";
const CHANGES: &str = "SELECT number, collection, id FROM changes WHERE number > $1 ORDER BY number LIMIT $2";

/// Copies what has changed, and says how many rows that were. Any process may do it, also several at once: they do it one after the other, and none takes back what another has done,
/// because the rows are read once the replica's lock is held.
pub(super) async fn changes(
    primary: &Database,
    replica: &Database,
    tables: &[Followed],
) -> Result<usize, DatabaseError> {
    let (changed,): (i64,) = primary.ask("SELECT", "changes", NUMBER_CHANGED).one().await?;
    let (copied,): (i64,) = replica.ask("SELECT", "copied", NUMBER_COPIED).one().await?;
    if changed <= copied {
        return Ok(0);
    }
    let mut into = replica.begin("copied").await?;
    let (copied,): (i64,) = into.ask("SELECT", "copied", NUMBER_COPIED).one().await?;
    let changes = primary.ask("SELECT", "changes", CHANGES).bind(copied).bind(COPIED_CHANGES_MAX);
    let changes: Vec<(i64, String, String)> = changes.all().await?;
    let Some((last, ..)) = changes.last() else { return into.roll_back().await.map(|()| 0) };
    for (_, collection, id) in &changes {
        // A table of a version that is yet to come.
        let Some(table) = tables.iter().find(|table| table.name == collection) else { continue };
        match primary.ask("SELECT", table.name, table.select).bind(id).row().await? {
            Some(row) => into.ask("INSERT", table.name, table.upsert).bind_all(&row)?.execute().await?,
            None => into.ask("DELETE", table.name, table.delete).bind(id).execute().await?,
        };
    }
    into.ask("UPDATE", "copied", "UPDATE copied SET number = $1 WHERE id = 1").bind(*last).execute().await?;
    into.commit().await?;
    Ok(changes.len())
}
