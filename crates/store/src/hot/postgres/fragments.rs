//! Pieces that several statements share, as macros so that statements stay constants.
//!
//! Claims pick deliveries from `deliveries` alone, in the order of its index, and reach what
//! belongs to a picked one (`p`) through its primary key by a sub-select with a limit. A plan
//! for any values that was made while a table was small then stays right when it has grown:
//! there is no other way to run it.

/// Whether a delivery's webhook lets it be sent: it is enabled and not parked or, for an execution,
/// somebody still waits (E2); and the delivery stands in its lane. Alias `d`.
macro_rules! sendable {
    () => {
        "(select case when d.execution_until is null \
         then w.state = 'enabled' and w.hold_cause is null \
         else d.execution_until > now() end \
         from webhooks w where w.id = d.webhook_id and w.lane_id = d.lane_id)"
    };
}

/// The lane of row number `$id`, as `l`, if anybody may claim from it: unlimited, neither held
/// nor paused.
macro_rules! open_lane {
    ($id:literal) => {
        concat!(
            "cross join lateral (select l.secret_rev from lanes l join limits m on m.id = l.limit_id \
             where l.id = ",
            $id,
            " and not l.limited and l.hold_cause is null and m.pause_until <= now() limit 1) l "
        )
    };
}

/// The webhook `w` of what was picked as `p`.
macro_rules! webhook {
    () => {
        "cross join lateral (select w.rev, w.timeout_ms, w.state, w.lane_id, w.hold_cause, \
         w.secrets_rev from webhooks w \
         where w.id = p.webhook_id limit 1) w "
    };
}

/// The event `e` of what was claimed as `c`: read last, so that its text is carried nowhere.
macro_rules! event {
    () => {
        "cross join lateral (select e.body, e.traceparent from events e \
         where e.id = c.event_id limit 1) e"
    };
}

/// When the claim ends: time-out of the webhook `w`, else `$2` milliseconds, and a margin of
/// `$3`.
macro_rules! claim_end {
    () => {
        "(now() + (coalesce(w.timeout_ms, $2::bigint) + $3::bigint) * interval '1 millisecond')"
    };
}

/// CLAIM for worker `$1` over [`claim_end`]; `next_at` and `claim_epoch` are set by the statement
/// itself.
macro_rules! claim {
    () => {
        concat!(
            "status = 'sending', attempt = d.attempt + 1, claim_no = d.claim_no + 1, \
             claimed_by = $1, claimed_until = ",
            claim_end!(),
            ", updated_at = now()"
        )
    };
}

/// What a claim brings back, but for the event. Aliases: `d`, `w`, `l`.
macro_rules! claimed {
    () => {
        "d.id, d.claim_no, d.attempt, d.attempts_recorded, d.maybe_sent, d.lost_claims, d.event_id, d.webhook_id, \
         w.rev as webhook_rev, w.secrets_rev, w.timeout_ms, d.lane_id, l.secret_rev, d.created_at, \
         d.refusals, d.execution_until is not null as execution"
    };
}

/// Claims of any lane of the limit `m` that run under another epoch than `$epoch`. `$within` is
/// how far ahead, in milliseconds, the end of such a claim or the instant of its sweep may lie;
/// without that bound a lane's retries would all be read.
macro_rules! old_claims {
    ($limit:literal, $epoch:literal, $within:literal) => {
        concat!(
            "exists (select from lanes o cross join lateral (\
             select from deliveries d \
             where d.lane_id = o.id and d.next_at > now() and d.next_at <= now() + ",
            $within,
            " * interval '1 millisecond' and d.status = 'sending' and d.claim_epoch <> ",
            $epoch,
            " and d.claimed_until > now() limit 1) d where o.limit_id = ",
            $limit,
            ")"
        )
    };
}

/// Opens a lane: ends the hold. Alias `l`.
macro_rules! release {
    () => {
        "hold_cause = null, held_since = null, next_probe_at = null, strikes = 0, \
         strike_webhook = null, probe_step = 0, probe_newest = null, probe_last = null"
    };
}

/// Ends the park of a webhook.
macro_rules! unpark {
    () => {
        "hold_cause = null, held_since = null, next_probe_at = null, probe_step = 0, \
         probe_newest = null, probe_last = null"
    };
}

/// Where the waiting deliveries of a parked webhook `$id` stand: see `codec::aside`.
macro_rules! aside {
    ($id:literal) => {
        concat!("(timestamptz '3000-01-01 00:00:00+00' + ", $id, " * interval '1 microsecond')")
    };
}

pub(super) use {
    aside, claim, claim_end, claimed, event, old_claims, open_lane, release, sendable, unpark,
    webhook,
};
