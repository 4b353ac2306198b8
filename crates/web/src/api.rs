//! The operations API under `/api/v1`: JSON, errors as `application/problem+json`, role `read`
//! for GET and `operate` for the rest.

mod audit;
mod body;
mod brokers;
mod credentials;
mod deliveries;
mod doctor;
mod events;
pub(crate) mod example;
mod filter;
mod freshness;
mod github_app;
mod incidents;
mod lanes;
mod params;
mod replay;
mod secrets;
mod stats;
pub(crate) mod stream;
mod webhooks;

use postrider_http_server::{Route, route};

use crate::app::App;

pub(crate) use secrets::{MAX_VALUE as MAX_SECRET, is_name as is_secret_name, wake_opened};

/// The calls of the API.
pub(crate) const ROUTES: &[Route<App>] = &[
    route!(GET "/api/v1/deliveries" => deliveries::list, deliveries::list_described),
    route!(GET "/api/v1/deliveries/{id}" => deliveries::show, deliveries::show_described),
    route!(POST "/api/v1/deliveries/replay" => replay::replay, replay::replay_described),
    route!(POST "/api/v1/deliveries/discard" => replay::discard, replay::discard_described),
    route!(POST "/api/v1/deliveries/{id}/discard" => replay::discard_one, replay::discard_one_described),
    route!(GET "/api/v1/events" => events::list, events::list_described),
    route!(GET "/api/v1/events/{id}" => events::show, events::show_described),
    route!(GET "/api/v1/doctor" => doctor::examine, doctor::examine_described),
    route!(GET "/api/v1/lanes" => lanes::list, lanes::list_described),
    route!(POST "/api/v1/lanes/hold" => lanes::hold, lanes::hold_described),
    route!(POST "/api/v1/lanes/release" => lanes::release, lanes::release_described),
    route!(GET "/api/v1/freshness" => freshness::list, freshness::list_described),
    route!(GET "/api/v1/brokers" => brokers::list, brokers::list_described),
    route!(GET "/api/v1/incidents" => incidents::list, incidents::list_described),
    route!(GET "/api/v1/incidents/{id}" => incidents::show, incidents::show_described),
    route!(POST "/api/v1/incidents/{id}/ack" => incidents::acknowledge, incidents::acknowledge_described),
    route!(GET "/api/v1/secrets" => secrets::list, secrets::list_described),
    route!(PUT "/api/v1/secrets/{name}" => secrets::set, secrets::set_described),
    route!(DELETE "/api/v1/secrets/{name}" => secrets::delete, secrets::delete_described),
    route!(GET "/api/v1/audit" => audit::list, audit::list_described),
    route!(GET "/api/v1/credentials" => credentials::list, credentials::list_described),
    route!(PUT "/api/v1/secrets/{name}/pending" => credentials::set_pending, credentials::set_pending_described),
    route!(DELETE "/api/v1/secrets/{name}/pending" => credentials::drop_pending, credentials::drop_pending_described),
    route!(POST "/api/v1/secrets/{name}/probe" => credentials::ask_probe, credentials::ask_probe_described),
    route!(GET "/api/v1/secrets/{name}/probe" => credentials::show_probe, credentials::show_probe_described),
    route!(POST "/api/v1/secrets/{name}/switch" => credentials::switch, credentials::switch_described),
    route!(GET "/api/v1/stream" => stream::listen, stream::listen_described),
    route!(GET "/api/v1/stats" => stats::show, stats::show_described),
    route!(POST "/api/v1/webhooks/check" => webhooks::check, webhooks::check_described),
    route!(POST "/api/v1/webhooks/{uuid}/release" => webhooks::release, webhooks::release_described),
];
