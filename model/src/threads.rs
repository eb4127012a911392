//! How important a thread is among those of its process. For threads that are started for it: to become as important again needs a privilege.

use std::cell::Cell;

thread_local! {
    static STANDS_BACK: Cell<bool> = const { Cell::new(false) };
}

/// How far a thread stands back: about a tenth of a core's time while others want it, all of it when nobody does.
pub const STANDING_BACK: i32 = 10;

/// Lets everybody else come first, from now on: whoever wakes has the core soon, and keeps it for as long as a small request takes. Where it cannot
/// be had, this thread is as important as others, but for [`make_way`].
pub fn stand_back() {
    STANDS_BACK.set(true);
    lower_priority();
}

/// For work that takes milliseconds, a fraction of one apart: if this thread stands back, whoever waits for its core has it now. The system would
/// take it away too, but since Linux 6.6 only after most of a millisecond, of the important and the unimportant alike. Nothing if this thread does not stand
/// back; a microsecond if nobody waits.
pub fn make_way() {
    if STANDS_BACK.get() {
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    use rustix::process::{getpriority_process, setpriority_process};
    let this = Some(rustix::thread::gettid());
    if getpriority_process(this).is_ok_and(|nice| nice < STANDING_BACK) {
        let _ = setpriority_process(this, STANDING_BACK);
    }
}

// Elsewhere a priority is a whole process's.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn who_stands_back_does_so_alone() {
        let nice =
            || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("a thread has a priority");
        let before = nice();
        let aside = std::thread::spawn(move || {
            stand_back();
            nice()
        });
        assert_eq!(aside.join().expect("it ends"), STANDING_BACK.max(before));
        assert_eq!(nice(), before);
    }
}
