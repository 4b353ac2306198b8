//! Whether a rendered request may go out at all: scheme, method, host. Judged at every
//! delivery, so that a tightened list also stops webhooks made before.

use postrider_render::RenderedRequest;

use crate::WorkerConfig;

/// Says why not, naming the setting.
pub(crate) fn check(request: &RenderedRequest, config: &WorkerConfig) -> Result<(), String> {
    let scheme = request.url.scheme();
    if !config.schemes.iter().any(|allowed| allowed.eq_ignore_ascii_case(scheme)) {
        return Err(format!(
            "scheme {scheme} is not in POSTRIDER_WEBHOOK_SCHEME_WHITELIST ({})",
            config.schemes.join(" ")
        ));
    }
    let method = request.method.as_str();
    if !config.methods.iter().any(|allowed| allowed.eq_ignore_ascii_case(method)) {
        return Err(format!(
            "method {method} is not in POSTRIDER_WEBHOOK_HTTP_METHOD_WHITELIST ({})",
            config.methods.join(" ")
        ));
    }
    if !config.hosts.allows(&request.url) {
        let host = request.url.host_str().unwrap_or_default();
        return Err(format!("host {host} is not in POSTRIDER_WEBHOOK_HOST_WHITELIST"));
    }
    Ok(())
}
