//! Campaigns: the real binary under real load, ended in the hardest ways, and asked afterwards what it still knows.
//!
//! A library, so that the end-to-end tests run the short form of a campaign with the binary that cargo built for them.
//! Knows the binary only from outside: its command line, its doors, its answers.

pub mod a01;
pub mod alarms;
pub mod attackers;
pub mod binary;
pub mod bombs;
pub mod census;
pub mod cgroup;
pub mod f01;
pub mod faults;
pub mod figures;
pub mod floods;
pub mod frames;
pub mod healthy;
pub mod ledger;
pub mod load;
pub mod otlp;
pub mod parts;
pub mod progress;
pub mod r01;
pub mod r02;
pub mod r07;
pub mod r10;
pub mod r11;
pub mod r12;
pub mod r13;
pub mod r14;
pub mod r16;
pub mod r17;
pub mod r18;
pub mod r19;
pub mod r22;
pub mod r26;
pub mod raw;
pub mod receiver;
pub mod report;
pub mod resident;
pub mod s01;
pub mod simulated;
pub mod slow;
pub mod small;
