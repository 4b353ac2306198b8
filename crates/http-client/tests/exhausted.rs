//! A process without file descriptors; alone in its binary, because it takes them from everybody.

use std::time::Duration;

use http::{HeaderMap, Method};
use postrider_domain::AddressPolicy;
use postrider_http_client::{Client, Limits, Outbound, Reply, Request, Trouble, Within};
use postrider_telemetry::Supervisor;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use url::Url;

#[tokio::test]
async fn without_file_descriptors_it_is_nobody_elses_fault() {
    let loopback = "127.0.0.0/8".parse().unwrap();
    let addresses = AddressPolicy::new(vec![loopback]);
    let supervisor = Supervisor::default();
    let client =
        Client::new(&Outbound::default(), addresses, Limits::default(), &supervisor).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let before = getrlimit(Resource::Nofile);

    // The lowest descriptor that is free, which is the first that is then too high.
    let next = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
    let none_left = Rlimit { current: u64::try_from(next).ok(), maximum: before.maximum };
    setrlimit(Resource::Nofile, none_left).unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let request =
        Request { method: &Method::POST, url: &url, headers: &HeaderMap::new(), body: None };
    let soon = Duration::from_secs(5);
    let reply = client.send(&request, Within { connect: soon, total: soon }).await;
    setrlimit(Resource::Nofile, before).unwrap();

    assert!(matches!(reply, Reply::LocalTrouble(Trouble::FileDescriptors)), "{reply:?}");
}
