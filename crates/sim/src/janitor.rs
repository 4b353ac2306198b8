//! The janitor's rounds, one step each, and whether a claim was forgotten.

use postrider_domain::{DeliveryId, StoredStatus};
use postrider_store::WorkerId;

use crate::happening::Happening;
use crate::process::Who;
use crate::trace::told;
use crate::world::World;

/// How often it goes round.
const EVERY: u64 = 1_000;
/// Rows of one step.
const MOST: u32 = 500;

/// A claim that is over.
struct Over {
    id: DeliveryId,
    worker: WorkerId,
    claimed_at: u64,
}

impl World {
    pub(crate) fn cleans(&mut self, who: Who) {
        self.at(EVERY, Happening::Cleans(who));
        if self.now < self.processes[who.slot].store_cut_until || self.now < self.store_away_until {
            return;
        }
        self.model.set_now(self.db_now());
        let over = self.over();
        let expired = self.model.expire_claims(MOST);
        self.model.reassign_lanes(MOST);
        self.model.discard(MOST);
        self.model.sort_parked(MOST);
        let mut lost = expired.given_back;
        lost.extend(expired.poisoned);
        let mut after = None;
        while let Some(given_back) = self.model.give_back(after, MOST) {
            after = Some(given_back.worker);
            lost.extend(given_back.expired.given_back);
            lost.extend(given_back.expired.poisoned);
        }
        self.model.end_leases_ahead();
        for claim in over.into_iter().filter(|claim| lost.contains(&claim.id)) {
            told!(self, "{} lost the claim of {}", claim.worker.0, claim.id);
            self.judge_loss(&claim);
        }
    }

    fn over(&self) -> Vec<Over> {
        let sending = self.model.rows().filter(|(_, row)| row.status == StoredStatus::Sending);
        sending
            .filter_map(|(id, row)| {
                let claimed_at = self.time_of(row.updated_at);
                Some(Over { id, worker: row.claimed_by?, claimed_at })
            })
            .collect()
    }

    /// A process that lives and is not disturbed loses no claim.
    fn judge_loss(&mut self, claim: &Over) {
        let of = |process: &&crate::process::Process| {
            process.worker == claim.worker && process.brain.is_some()
        };
        let Some(process) = self.processes.iter().find(of) else { return };
        // After a jump nobody knows any more when that was.
        let has_jumped = self.disturbed_at > 0 && self.now < self.disturbed_at + 120_000;
        let is_disturbed = has_jumped
            || process.disturbed_at >= claim.claimed_at
            || process.frozen_until >= claim.claimed_at
            || process.store_cut_until >= claim.claimed_at
            || self.store_away_until >= claim.claimed_at
            || self.checks.is_late(process.who(), claim.claimed_at);
        if !is_disturbed {
            let who = process.who();
            self.fail(format!("{who} lives and has forgotten its claim of {}", claim.id));
        }
    }
}
