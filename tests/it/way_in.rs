//! The way in of the real program: idle connections, bodies that are too large, callers that call
//! too often, and a key that others may read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Api, Mode, Plan, SOON, event, run, setting};

fn address(api: &Api) -> Result<&str> {
    api.base().trim_end_matches('/').strip_prefix("http://").context("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_keep_nobody_out() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).set("MAX_CONNECTIONS", 16).start().await?;
    let api = cluster.api()?;
    let mut strangers = Vec::new();
    for number in 0..48 {
        let mut stranger = TcpStream::connect(address(&api)?).await?;
        if number % 2 == 0 {
            stranger.write_all(b"GET /webhooks HTT").await?;
        }
        strangers.push(stranger);
    }
    for _ in 0..5 {
        let fresh = Api::new(api.base())?;
        ensure!(fresh.get("/webhooks").await?.status == 200);
    }
    cluster.finish().await
}

/// The refusal can be read although the body was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_in_words() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let mut stream = TcpStream::connect(address(&api)?).await?;
    let size = 9 * 1024 * 1024;
    let head = format!(
        "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b' '; size]).await?;
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer)).await??;
    let answer = String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_wait_until_they_may_call_again() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).set("API_RATE", "1/s").start().await?;
    let settings = [setting("URL", cluster.api()?.base())];
    let begun = Instant::now();
    for _ in 0..4 {
        let output = run(&["lanes", "list"], &settings, "").await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The bucket holds one call; whoever is slower than this did not wait for it.
    ensure!(begun.elapsed().as_millis() >= 1_900, "{:?}", begun.elapsed());
    cluster.finish().await
}

#[tokio::test]
async fn a_key_that_others_may_read_keeps_the_program_from_starting() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let key = dir.path().join("master.key");
    fs::write(&key, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let settings = [
        setting("DATA_DIR", dir.path().display()),
        setting("LISTEN", "127.0.0.1:0"),
        setting("ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let output = run(&["serve"], &settings, "").await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2) && said.contains("chmod 600"), "{said}");
    Ok(())
}

/// A caller that speaks HTTP/2 from the start meets the same limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_callers_meet_the_same_limits() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).set("INTAKE_RATE", "40/min").start().await?;
    let base = cluster.api()?.base().to_owned();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build()?;
    let post = |body: Vec<u8>| {
        let call = client.post(format!("{base}/events")).header("content-type", "application/json");
        async move { anyhow::Ok(call.timeout(SOON).body(body).send().await?) }
    };
    let one = post(serde_json::to_vec(&event(1, "billing"))?).await?;
    ensure!(one.status() == 202 && one.version() == reqwest::Version::HTTP_2, "{one:?}");
    let large = post(vec![b' '; 9 * 1024 * 1024]).await?;
    ensure!(large.status() == 413, "{large:?}");
    let read = client.get(format!("{base}/webhooks")).send().await?;
    let index = read.json::<serde_json::Value>().await?;
    ensure!(index["_links"]["self"]["href"] == format!("{base}/webhooks"), "{index}");
    let elsewhere = client.post(format!("{base}/events")).header("origin", "https://other.example");
    ensure!(elsewhere.send().await?.status() == 403);
    // All at once, on one connection.
    let events = (0..80).map(|number| post(event(number, "billing").to_string().into_bytes()));
    let answers = try_join_all(events).await?;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status() == 429).collect();
    ensure!(refused.len() >= 20, "{} of 80 were refused", refused.len());
    ensure!(refused.iter().all(|answer| answer.headers().contains_key("retry-after")));
    cluster.finish().await
}

/// A caller over HTTP/2 who is gone without a word is found out by the pings that it does not
/// answer; one that answers them may stay idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_callers_that_answer_no_ping_are_let_go() -> Result<()> {
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let host = address(&cluster.api()?)?.to_owned();
    let mut silent = Http2::connect(&host).await?;
    let mut polite = Http2::connect(&host).await?;
    for caller in [&mut silent, &mut polite] {
        caller.get(&host, 1).await?;
    }
    let begun = Instant::now();
    let watched = async {
        loop {
            match tokio::time::timeout(SOON * 3, silent.frame()).await? {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return anyhow::Ok(begun.elapsed()),
            }
        }
    };
    let pings = async {
        let mut answered = 0;
        loop {
            if polite.answer_ping().await? {
                answered += 1;
            }
            if answered == 2 {
                return anyhow::Ok(());
            }
        }
    };
    let (gone_after, answered) = tokio::join!(watched, tokio::time::timeout(SOON * 6, pings));
    let gone_after = gone_after?;
    answered??;
    ensure!(gone_after.as_secs() >= 20, "{gone_after:?}: before any ping");
    polite.get(&host, 3).await?;
    cluster.finish().await
}

/// A connection that speaks HTTP/2 as far as it is told to (RFC 9113, section 4.1).
struct Http2(TcpStream);

/// A frame's type, flags and payload.
type Frame = (u8, u8, Vec<u8>);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

impl Http2 {
    async fn connect(host: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        let mut caller = Self(stream);
        caller.write(SETTINGS, 0, 0, &[]).await?;
        Ok(caller)
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Result<()> {
        let length = u8::try_from(payload.len())?;
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend(payload);
        Ok(self.0.write_all(&frame).await?)
    }

    /// The next frame; `None` at the end.
    async fn frame(&mut self) -> Result<Option<Frame>> {
        let mut head = [0; 9];
        if self.0.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        let [high, middle, low, kind, flags, ..] = head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await?;
        Ok(Some((kind, flags, payload)))
    }

    /// Asks for the index and reads the whole answer.
    async fn get(&mut self, host: &str, stream: u8) -> Result<()> {
        // GET, http, `/`: entries of the static table; the authority as it stands.
        let mut head = vec![0x82, 0x86, 0x84, 0x41, u8::try_from(host.len())?];
        head.extend(host.as_bytes());
        let end_headers = 4;
        self.write(HEADERS, END_STREAM | end_headers, stream, &head).await?;
        loop {
            let frame = tokio::time::timeout(SOON, self.frame()).await??;
            let (kind, flags, _) = frame.context("an answer")?;
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ok(());
            }
        }
    }

    /// Reads a frame and answers it if it is a ping.
    async fn answer_ping(&mut self) -> Result<bool> {
        let (kind, flags, payload) = self.frame().await?.context("it stays")?;
        let is_ping = kind == PING && flags & ACK == 0;
        if is_ping {
            self.write(PING, ACK, 0, &payload).await?;
        }
        Ok(is_ping)
    }
}
