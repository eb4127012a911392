//! Bounds of the store, each with its reason.

/// Attribute columns of one batch or part. More would make every Parquet footer and every batch header grow with the
/// sender's imagination; keys beyond it live in the overflow map, where they are found by scanning.
pub const ATTRIBUTE_COLUMNS_MAX: usize = 200;

/// Day partitions that one flush of one signal writes. Each is a directory of files and fsyncs: a sender with a broken
/// clock must not turn one flush into hundreds of them.
pub const FLUSH_DAYS_MAX: usize = 8;

/// How far in the future a row may lie and still have a day partition. Beyond it the sender's clock is wrong, and its rows
/// must not count as the newest data.
pub const FUTURE_NANOS_MAX: i64 = 86_400_000_000_000;

/// Bytes of head chunks, with their envelopes expanded, that one round of a flush writes, however large `flush_bytes` is. Measured, it
/// takes six times as much: the chunks, their rows joined, pages before and after compression, and the index. A head that grew
/// larger, because rows came faster than they could be written, or because the disk refused for a while, is written in several
/// rounds. Raised far enough, text columns would pass the 2 GiB that Arrow's offsets reach.
pub const FLUSH_ROUND_BYTES: usize = 256 << 20;

/// The most rows that are read from a part as a unit. One page per column: more rows are decoded in vain by a search for a few,
/// fewer cost a page header, an offset and a filter each.
pub const GRANULE_ROWS: usize = 8_192;

/// Bytes of a granule as columns in memory, on average: parts of wide rows have granules of fewer rows. Queries hold some granules at
/// a time, and merges one of each part.
pub const GRANULE_BYTES: usize = 4 << 20;

/// Blocks of a granule, each a document of the text index: of full granules 1,024 rows.
pub const GRANULE_BLOCKS: usize = 8;

/// Rows of a Parquet row group. A dictionary serves a group.
pub const ROW_GROUP_ROWS: usize = 16 * GRANULE_ROWS;

/// Compressed bytes after which a row group ends at the next granule, however few its rows are: the writer keeps it in memory.
pub const ROW_GROUP_BYTES: usize = 16 << 20;

/// Bytes of a column's dictionary in a row group. Names of services, routes and hosts take a few KiB; what takes more are ids, whose
/// every value would be looked up in vain.
pub const DICTIONARY_BYTES_MAX: usize = 64 << 10;

/// Bytes of a column's name in a term of the text index. Names beyond it are cut: columns that share so long a beginning
/// share their terms, which lets rows through but never hides one. Tantivy's terms end at 64 KiB.
pub const TERM_COLUMN_BYTES_MAX: usize = 256;

/// Bytes of one WAL record's payload. A batch that takes more is refused; the receivers' limit on a request's size
/// keeps batches far below it. Replay holds a record in memory, and lengths in the log have 32 bits.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// Bytes that the commit thread collects before it hands them to the system. More would only be copied later.
pub const WAL_WRITE_BYTES: usize = 1 << 20;

/// Bytes of batches that wait for the commit thread. Beyond it appending waits: the disk is slower than the senders, and
/// memory must not pay for it.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 64 << 20;

/// Attribute keys whose values are counted to choose the columns of a part. Keys that are met for the first time beyond it stay in
/// the overflow map: a sender that invents a key for each record must not make the census larger than the rows.
pub const COUNTED_KEYS_MAX: usize = 100_000;

/// Bytes of tables of series that are remembered, so that batches with the same series share one. Beyond it all are forgotten: those
/// that are still sent come back with their next batch.
pub const SERIES_TABLES_BYTES_MAX: usize = 16 << 20;

/// Series with delta temporality whose totals are kept, some hundred bytes each in memory and in the checkpoint of the state. The points of
/// further ones are stored without a total, which is counted: PromQL does not have them.
pub const DELTA_SERIES_MAX: usize = 1_000_000;

/// How long the total of a series is kept after its last point: a day, so that what runs once a night goes on. Then it begins anew.
pub const DELTA_IDLE: std::time::Duration = std::time::Duration::from_secs(26 * 3600);

/// Nanoseconds by which the time of receipt may lie before that of an overflow series' last point and still count there. Requests that are
/// committed in another order than they were received are some milliseconds apart; more is a clock that was set back.
pub const OVERFLOW_BACK_NS: i64 = 60_000_000_000;

/// Buckets of the total of an exponential histogram, both sides together: four times what SDKs send of one point. More become
/// coarser ones.
pub const TOTAL_BUCKETS_MAX: usize = 640;

/// Parts that one merge reads. Each may hold a decoded granule in memory.
pub const MERGE_PARTS_MAX: usize = 12;

/// Bytes of the dictionaries that a merge keeps of all columns together. A column whose texts take more than its share is merged as
/// texts.
pub const MERGE_DICTIONARIES_BYTES_MAX: usize = 32 << 20;

/// The most that one column's share may be: what has so many different texts would make a row group's dictionary a burden for who
/// reads a few rows.
pub const MERGE_DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// Decoded granules that a merge keeps. One for each part it reads, and some for traces whose spans lie elsewhere in another
/// part: without them a granule would be decoded again for each such trace.
pub const MERGE_GRANULES_MAX: usize = MERGE_PARTS_MAX + 4;

/// Bytes that a row of a part may take on average where [`merged_bytes_max`](crate::Config::merged_bytes_max) bounds its rows as well.
/// The id filters of a part under construction are in memory, about 4 bytes for each row, and so is the plan of its traces, 40
/// bytes for each: of 1 GiB, 4 Mi rows, they are about 16 MiB, and 180 MiB if every span is a trace of its own.
pub const MERGED_ROW_BYTES: u64 = 256;

/// Of five bytes that may stay in memory of the files of parts, so many are of Parquet footers, of word indexes, and of the checksums of
/// blocks (a thousandth of their parts). Beyond it those that were not asked for the longest are read again when they are needed.
pub const CACHE_SHARES: [usize; 3] = [2, 2, 1];

/// Rows from which on a flush or merge is a span. Spans may be stored in this very store: below it, the span of one flush would be the row for which there is
/// the next, for ever.
pub const SPAN_ROWS_MIN: usize = 1_000;
