//! Tests of the writer: what it gathers, and readers that are slow, hang or are gone.

use std::sync::mpsc;
use std::time::Instant;

use serde_json::Value;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Hands on each write, and waits until somebody takes it.
struct Reader(mpsc::SyncSender<Vec<u8>>);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink and what comes out of it, write by write.
fn sink(limits: SinkLimits) -> (Arc<Sink>, mpsc::Receiver<Vec<u8>>) {
    let sink = Arc::new(Sink::new(LogFormat::Json, limits));
    let (sender, receiver) = mpsc::sync_channel(0);
    sink.start(Reader(sender)).unwrap();
    (sink, receiver)
}

/// Gathers for ever, so that only what a test does makes it write.
fn patient() -> SinkLimits {
    SinkLimits { pending: 4_096, batch: 1_024, gather: LONG * 100, patience: LONG * 100 }
}

fn text(writes: &[Vec<u8>]) -> String {
    String::from_utf8(writes.concat()).unwrap()
}

#[test]
fn a_line_is_out_after_a_moment() {
    let (sink, written) = sink(SinkLimits::default());
    for line in ["first\n", "second\n"] {
        sink.write(line);
        assert_eq!(text(&[written.recv_timeout(LONG).unwrap()]), line);
    }
}

#[test]
fn lines_that_come_together_are_written_together() {
    let (sink, written) = sink(patient());
    for _ in 0..10 {
        sink.write("0123456\n");
    }
    assert!(written.try_recv().is_err());
    let flushing = thread::spawn({
        let sink = Arc::clone(&sink);
        move || sink.flush(LONG)
    });
    assert_eq!(written.recv_timeout(LONG).unwrap().len(), 80);
    assert!(flushing.join().unwrap());
    assert!(sink.flush(Duration::ZERO));
}

#[test]
fn a_full_batch_does_not_wait() {
    let (sink, written) = sink(patient());
    let line = format!("{}\n", "x".repeat(99));
    for _ in 0..11 {
        sink.write(&line);
    }
    assert_eq!(written.recv_timeout(LONG).unwrap().len(), 1_024);
    assert_eq!(written.recv_timeout(LONG).unwrap().len(), 76);
}

#[test]
fn who_logs_waits_for_a_slow_reader_and_nothing_is_lost() {
    const THREADS: usize = 4;
    const LINES: usize = 1_000;
    let limits = SinkLimits { gather: Duration::from_millis(1), ..patient() };
    let (sink, written) = sink(limits);
    let loggers = (0..THREADS).map(|thread| {
        let sink = Arc::clone(&sink);
        thread::spawn(move || {
            for number in 0..LINES {
                sink.write(&format!("{thread} {number:>30}\n"));
                let state = sink.lock();
                let pending = state.taken - state.written;
                assert!(pending <= sink.limits.pending as u64, "{pending} bytes wait");
            }
        })
    });
    let loggers: Vec<_> = loggers.collect();
    let mut writes = Vec::new();
    while writes.iter().map(Vec::len).sum::<usize>() < THREADS * LINES * 33 {
        writes.push(written.recv_timeout(LONG).unwrap());
    }
    for logger in loggers {
        logger.join().unwrap();
    }
    let text = text(&writes);
    for thread in 0..THREADS {
        let own = text.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
        let numbers = own.map(|number| number.trim().parse::<usize>().unwrap());
        assert!(numbers.eq(0..LINES), "lines of thread {thread}");
    }
}

#[test]
fn a_reader_that_hangs_holds_nobody_up_for_long_and_the_loss_is_told() {
    const LINES: u64 = 100;
    let limits = SinkLimits { patience: Duration::from_millis(100), ..patient() };
    let (sink, written) = sink(SinkLimits { gather: Duration::ZERO, ..limits });
    let line = format!("{{\"filler\":\"{}\"}}\n", "x".repeat(500));
    let began = Instant::now();
    for _ in 0..LINES {
        sink.write(&line);
    }
    // The first line without room waits, the others see that there is no use.
    assert!(began.elapsed() < limits.patience * 20, "{:?}", began.elapsed());
    assert!(!sink.flush(Duration::from_millis(10)));
    let mut writes = Vec::new();
    while !text(&writes).contains(LOG_LINES_DROPPED) {
        writes.push(written.recv_timeout(LONG).unwrap());
    }
    sink.write("{\"last\":true}\n");
    writes.push(written.recv_timeout(LONG).unwrap());
    let text = text(&writes);
    let told: Vec<Value> = text
        .lines()
        .filter(|line| !line.contains("filler"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kept = text.lines().count() - told.len();
    assert_eq!(told.len(), 2, "{told:?}");
    let dropped = told[0]["dropped"].as_u64().unwrap();
    assert_eq!(kept as u64 + dropped, LINES);
    assert!(dropped > 0 && told[1]["last"] == true, "{told:?}");
}

#[test]
fn a_line_that_never_fits_is_dropped_at_once() {
    let (sink, written) = sink(SinkLimits { gather: Duration::ZERO, ..patient() });
    sink.write(&"x".repeat(5_000));
    let told = text(&[written.recv_timeout(LONG).unwrap()]);
    assert!(told.contains(LOG_LINES_DROPPED) && told.contains("\"dropped\":1"), "{told}");
}

#[test]
fn a_closed_output_ends_every_wait() {
    let (sink, written) = sink(patient());
    drop(written);
    sink.write("x\n");
    assert!(!sink.flush(LONG));
    let line = "y".repeat(1_000);
    let began = Instant::now();
    for _ in 0..10 {
        sink.write(&line);
    }
    assert!(!sink.flush(LONG));
    assert!(began.elapsed() < LONG);
}
