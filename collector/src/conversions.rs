//! The threads on which large requests are decompressed and converted, which stand back: whoever else of this process wants a core,
//! a question or a small request, comes first.
//!
//! Not the runtime's blocking threads: a thread can be made less important, but not as important as before without a privilege.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use model::threads;
use tokio::sync::{Semaphore, oneshot};

use crate::Refusal;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads, started when they are first needed, and whoever waits for them. They end with it.
#[derive(Debug)]
pub struct Conversions {
    at_a_time_max: usize,
    places: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    received: Arc<Mutex<mpsc::Receiver<Job>>>,
    threads: Mutex<usize>,
}

impl Conversions {
    /// At most so many at a time.
    pub fn new(at_a_time_max: usize) -> Self {
        let (jobs, received) = mpsc::channel();
        let places = Arc::new(Semaphore::new(at_a_time_max));
        Self { at_a_time_max, places, jobs, received: Arc::new(Mutex::new(received)), threads: Mutex::default() }
    }

    /// Does `work` when it is its turn, and waits for its result.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Refusal::Closed)?;
        self.staff()?;
        let (sender, receiver) = oneshot::channel();
        let job = move || {
            let result = work();
            drop(place);
            // Nobody may be waiting any more.
            let _ = sender.send(result);
        };
        self.jobs.send(Box::new(job)).map_err(|_| Refusal::Defect)?;
        receiver.await.map_err(|_| Refusal::Defect)
    }

    // Starts a thread if there may be fewer than are at work. One is enough to go on with.
    fn staff(&self) -> Result<(), Refusal> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let at_work = self.at_a_time_max - self.places.available_permits();
        if *threads >= at_work {
            return Ok(());
        }
        let received = Arc::clone(&self.received);
        match std::thread::Builder::new().name("conversion".to_owned()).spawn(move || convert(&received)) {
            Ok(_) => *threads += 1,
            Err(error) if *threads == 0 => {
                tracing::warn!("cannot start a thread for large requests: {error}");
                return Err(Refusal::Overloaded);
            }
            Err(_) => {}
        }
        Ok(())
    }
}

// Until nobody can send any more.
fn convert(received: &Mutex<mpsc::Receiver<Job>>) {
    threads::stand_back();
    loop {
        // Held while waiting: one thread waits for the next job, the others for that one.
        let job = received.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Its request hears of a defect; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_defect_is_told_and_others_go_on() {
        let conversions = Conversions::new(1);
        let failed = conversions.run(|| panic!("a defect in a test")).await;
        assert!(matches!(failed, Err::<(), _>(Refusal::Defect)));
        assert!(matches!(conversions.run(|| 7).await, Ok(7)));
        assert_eq!(*conversions.threads.lock().expect("no thread has panicked"), 1);
    }

    #[tokio::test]
    async fn so_many_at_a_time_and_no_more() {
        let conversions = Arc::new(Conversions::new(2));
        let (first, second) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
        let mut running = tokio::task::JoinSet::new();
        for wait in [first.1, second.1] {
            let conversions = Arc::clone(&conversions);
            running.spawn(async move { conversions.run(move || wait.recv().is_ok()).await });
        }
        while conversions.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let third = conversions.run(|| ());
        tokio::pin!(third);
        let waits = tokio::time::timeout(Duration::ZERO, third.as_mut()).await;
        assert!(waits.is_err(), "both threads are busy");
        first.0.send(()).expect("it is waited for");
        third.await.expect("a thread is free");
        second.0.send(()).expect("it is waited for");
        assert!(running.join_all().await.into_iter().all(|ended| matches!(ended, Ok(true))));
        assert_eq!(*conversions.threads.lock().expect("no thread has panicked"), 2);
    }
}
