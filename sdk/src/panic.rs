//! A panic is a log record: where it happened, what it said, and in which trace. The hook that was there before runs after it.

use std::cell::Cell;
use std::panic::PanicHookInfo;

use opentelemetry::Key;
use opentelemetry::logs::{LogRecord as _, Logger as _, Severity};
use opentelemetry_sdk::logs::SdkLogger;

thread_local! {
    /// Whether this thread is recording a panic: one inside that would end the process.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn install(logger: SdkLogger) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !RECORDING.replace(true) {
            record(&logger, info);
            RECORDING.set(false);
        }
        before(info);
    }));
}

fn record(logger: &SdkLogger, info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    let thread = std::thread::current();
    let mut record = logger.create_log_record();
    record.set_event_name("exception");
    record.set_severity_number(Severity::Error);
    record.set_severity_text("ERROR");
    record.set_body(format!("panicked: {message}").into());
    record.add_attribute(Key::new("exception.type"), "panic");
    record.add_attribute(Key::new("exception.message"), message.to_owned());
    record.add_attribute(Key::new("thread.name"), thread.name().unwrap_or("unnamed").to_owned());
    if let Some(place) = info.location() {
        record.add_attribute(Key::new("code.file.path"), place.file().to_owned());
        record.add_attribute(Key::new("code.line.number"), i64::from(place.line()));
        record.add_attribute(Key::new("code.column.number"), i64::from(place.column()));
    }
    // The official logger adds the trace of the current context.
    logger.emit(record);
}
