//! Campaigns: the real binary under real load, ended in the hardest ways, and asked afterwards what it still knows.
//!
//! A library, so that the end-to-end tests run the short form of a campaign with the binary that cargo built for them.
//! Knows the binary only from outside: its command line, its doors, its answers.

pub mod a01;
pub mod alarms;
pub mod binary;
pub mod census;
pub mod cgroup;
pub mod figures;
pub mod ledger;
pub mod load;
pub mod otlp;
pub mod r01;
pub mod r11;
pub mod r12;
pub mod r14;
pub mod r17;
pub mod raw;
pub mod receiver;
pub mod report;
pub mod resident;
