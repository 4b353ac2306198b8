//! Pieces that several statements share, as macros so that statements stay constants.

/// OPEN: the webhook is enabled or, for an execution, somebody still waits (E2); the delivery
/// stands in its lane, the lane is neither held nor paused. Aliases: `d`, `w`, `l`.
///
/// The `+ 0` keeps the list index on `webhook_id` out of claims: through it a claim would read
/// all that a webhook ever sent.
macro_rules! open {
    () => {
        "w.id = d.webhook_id + 0 and l.id = d.lane_id \
         and case when d.execution_until is null then w.state = 'enabled' \
         else d.execution_until > now() end \
         and d.lane_id = w.lane_id and l.hold_cause is null and l.pause_until <= now()"
    };
}

/// CLAIM for worker `$1` over `$2` milliseconds; `next_at` and `claim_epoch` are set by the
/// statement itself.
macro_rules! claim {
    () => {
        "status = 'sending', attempt = d.attempt + 1, claim_no = d.claim_no + 1, \
         claimed_by = $1, claimed_until = now() + $2 * interval '1 millisecond', \
         updated_at = now()"
    };
}

/// What a claim brings back. Aliases: `d`, `w`, `l`, `e`.
macro_rules! claimed {
    () => {
        "d.id, d.claim_no, d.attempt, d.maybe_sent, d.lost_claims, d.event_id, e.body, \
         e.traceparent, d.webhook_id, w.rev as webhook_rev, d.lane_id, l.secret_rev, \
         d.created_at, d.refusals, d.execution_until is not null as execution"
    };
}

/// Opens a lane: ends the hold and adds it to the time held. Alias `l`.
macro_rules! release {
    () => {
        "hold_cause = null, held_since = null, next_probe_at = null, strikes = 0, \
         strike_webhook = null, held_total = l.held_total + coalesce(\
         (extract(epoch from now() - l.held_since) * 1000)::bigint, 0)"
    };
}

pub(super) use {claim, claimed, open, release};
