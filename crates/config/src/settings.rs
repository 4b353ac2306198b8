//! All settings of the roles, and the order in which they are read, shown and documented.

use postrider_domain::{FreshnessRules, LaneRules, WatchMode};
use postrider_http_client::ProxyRules;

use crate::access::{
    AccessSettings, ListenSettings, WayInSettings, refuse_open_door, require_master_key,
};
use crate::alerts::{AlertReceiver, AlertSettings};
use crate::brokers::BrokerSettings;
use crate::command::CommandSettings;
use crate::credentials::CredentialSettings;
use crate::log::{LogSettings, TestSettings};
use crate::mode::Mode;
use crate::monitor::MonitorSettings;
use crate::problem::Problems;
use crate::reader::{Effective, Reader, Reported, Sources};
use crate::store::{QueueSettings, RelaySettings, StoreSettings};
use crate::traces::TraceSettings;
use crate::webhook::WebhookSettings;
use crate::worker::WorkerSettings;
use crate::{alerts, brokers, freshness, lanes, proxies, traces};

/// All settings of the roles.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Embedded or distributed.
    pub mode: Mode,
    /// Where the process listens.
    pub listen: ListenSettings,
    /// How callers are let in.
    pub way_in: WayInSettings,
    /// Keys and tokens.
    pub access: AccessSettings,
    /// What webhooks may do, and how requests are made.
    pub webhook: WebhookSettings,
    /// Proxies of all requests that leave, those to brokers and receivers of alerts included.
    pub proxies: ProxyRules,
    /// Limits of lanes.
    pub lanes: LaneRules,
    /// How a worker works.
    pub worker: WorkerSettings,
    /// What is looked for of credentials.
    pub credentials: CredentialSettings,
    /// What the monitor looks for.
    pub monitor: MonitorSettings,
    /// When a pair is late.
    pub freshness: FreshnessRules,
    /// Brokers that are asked for verifications.
    pub brokers: Vec<BrokerSettings>,
    /// Who is told of incidents.
    pub alerts: AlertSettings,
    /// A receiver of alerts beside those.
    pub alert_receiver: AlertReceiver,
    /// How Postgres is used.
    pub store: StoreSettings,
    /// How RabbitMQ is used.
    pub queue: QueueSettings,
    /// How brokers' own webhooks are taken.
    pub relay: RelaySettings,
    /// What is logged.
    pub log: LogSettings,
    /// Where spans go, if they are exported.
    pub traces: Option<TraceSettings>,
    /// For tests alone.
    pub test: TestSettings,
    /// Every setting as it is in force, secrets starred; those of commands included.
    pub effective: Vec<Effective>,
}

impl Settings {
    /// Reads all settings; a pure function of what it is given.
    pub fn resolve(sources: &Sources<'_>) -> Result<Self, Problems> {
        let mut reader = Reader::new(*sources);
        let settings = Self::read(&mut reader);
        let commands = CommandSettings::read(&mut reader);
        reader.refuse_unknown();
        match (settings, commands) {
            (Ok(mut settings), Ok(_)) if reader.problems.is_empty() => {
                settings.effective = reader.effective;
                Ok(settings)
            }
            _ => Err(Problems(reader.problems)),
        }
    }

    /// Reads those of the roles; an error when any is wrong, which the reader then knows.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let mode = Mode::read(reader);
        let listen = ListenSettings::read(reader);
        let way_in = WayInSettings::read(reader);
        let access = AccessSettings::read(reader);
        if let (Ok(mode), Ok(access)) = (&mode, &access) {
            require_master_key(reader, mode, access);
        }
        if let (Ok(listen), Ok(access)) = (&listen, &access) {
            refuse_open_door(reader, listen, access);
        }
        let webhook = WebhookSettings::read(reader);
        let proxies = proxies::read(reader);
        let lanes = lanes::read(reader);
        let worker = WorkerSettings::read(reader);
        let credentials = CredentialSettings::read(reader);
        let monitor = MonitorSettings::read(reader);
        let is_watched = monitor.as_ref().is_ok_and(|monitor| monitor.watch == WatchMode::On);
        let freshness = freshness::read(reader, is_watched);
        let brokers = brokers::read(reader);
        let alerts = alerts::read(reader);
        let alert_receiver = alerts::receiver(reader);
        let store = StoreSettings::read(reader);
        let queue = QueueSettings::read(reader);
        let relay = RelaySettings::read(reader);
        let log = LogSettings::read(reader);
        let traces = traces::read(reader);
        let test = TestSettings::read(reader);
        Ok(Self {
            mode: mode?,
            listen: listen?,
            way_in: way_in?,
            access: access?,
            webhook: webhook?,
            proxies: proxies?,
            lanes: lanes?,
            worker: worker?,
            credentials: credentials?,
            monitor: monitor?,
            freshness: freshness?,
            brokers: brokers?,
            alerts: alerts?,
            alert_receiver: alert_receiver?,
            store: store?,
            queue: queue?,
            relay: relay?,
            log: log?,
            traces: traces?,
            test: test?,
            effective: Vec::new(),
        })
    }
}
