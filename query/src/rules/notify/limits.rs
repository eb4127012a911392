//! Every bound of notifications, with its reason.

use std::time::Duration;

use model::yaml::Bounds;

/// Bytes of an `alertmanager.yml`. Raised, a wrong file takes the memory of the server before it is refused.
pub const CONFIG_BYTES_MAX: usize = 4 << 20;

/// Of the same: a route of the greatest depth takes two levels each.
pub const CONFIG_BOUNDS: Bounds = Bounds { bytes: CONFIG_BYTES_MAX, depth: 4 * ROUTE_DEPTH_MAX, nodes: 250_000 };

/// Depth of the route tree. Matching recurses this deep.
pub const ROUTE_DEPTH_MAX: usize = 32;

/// Alerts that are known at the same time, firing ones and those that some receiver has yet to hear of. Beyond it new ones are
/// left out and counted: a rule with a label of many values must not take the server's memory.
pub const ALERTS_MAX: usize = 50_000;

/// Times that one alert fired and was resolved which wait to be told. An alert that flaps faster than its group is flushed
/// loses the oldest of them, counted; the newest are what a person needs.
pub const EPISODES_MAX: usize = 32;

/// How long a resolved alert that everybody heard of is remembered: the rules repeat it for a quarter of an hour, and
/// must not be taken to have fired anew.
pub const FINISHED_KEPT: Duration = Duration::from_secs(3_600);

/// How long the log remembers what a group was told after the group has gone from the routes: as Alertmanager.
pub const LOG_KEPT: Duration = Duration::from_secs(120 * 3_600);

/// Groups that are flushed in one commit. More would make the commit large, fewer cost an fsync each.
pub const GROUPS_PER_COMMIT: usize = 128;

/// Bytes of bodies after which no further group is flushed in the same commit; see [`GROUPS_PER_COMMIT`].
pub const COMMIT_BYTES_MAX: usize = 16 << 20;

/// Notifications of one group to one receiver that wait. Beyond it the group is not flushed, which loses nothing and is counted:
/// its alerts wait instead.
pub const LANE_ENTRIES_MAX: usize = 64;

/// Notifications that wait for one receiver; see [`LANE_ENTRIES_MAX`].
pub const ENDPOINT_ENTRIES_MAX: usize = 2_000;

/// Bytes of the bodies that wait for one receiver; see [`LANE_ENTRIES_MAX`]. They are in memory and in the store.
pub const ENDPOINT_BYTES_MAX: usize = 32 << 20;

/// Dead letters that are kept to be looked at, the newest.
pub const DEAD_MAX: usize = 1_000;

/// Bytes of a notification's body. Beyond it links and samples are left out, then alerts, which `truncatedAlerts` tells:
/// common receivers refuse bodies of some MiB.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// Attempts at the same time to one receiver, each of another group. Raised, a slow receiver has more to do at once.
pub const ENDPOINT_ATTEMPTS_MAX: usize = 4;

/// The first wait after a failure is at most this; each further one may be twice as long.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// No wait after a failure is longer: a receiver that is back hears of it within this time.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The longest `Retry-After` that is honoured; a receiver that asks for more is asked again after it.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How long a receiver may be away before what waits for it is given up.
pub const OUTAGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Until a connection stands, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Until an answer is there, if the receiver names no `timeout`. A receiver that takes longer hears everything again and again.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 4;

/// Bytes that are read of an answer's body; only its beginning is told.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Characters of an answer's body in an error.
pub const ANSWER_CHARACTERS_TOLD: usize = 200;

/// Bytes of a file with a secret.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// How long attempts may go on after the server has been told to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// The longest time between two looks at the clock: so late is a jump of the wall clock noticed.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Wait after a commit that failed, before groups are flushed again.
pub const COMMIT_RETRY: Duration = Duration::from_secs(5);
