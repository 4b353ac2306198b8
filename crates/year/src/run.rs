//! From what happens to what comes of it.

use crate::happening::Happening;
use crate::plan::Plan;
use crate::report::{Report, report};
use crate::world::World;

/// Runs a year, or what the plan has of it.
pub fn run(plan: Plan) -> Report {
    let mut world = World::new(plan);
    while let Some(what) = world.next() {
        world.happens(what);
    }
    report(&world)
}

impl World {
    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Publish(pair) => self.publish(pair),
            Happening::BuildBegins(provider) => self.build(provider),
            Happening::BuildEnds { provider, verified } => self.end_build(provider, verified),
            Happening::BuildResult { pair, version, contracts, success } => {
                self.build_result(pair, version, &contracts, success);
            }
            Happening::Deploy(provider) => self.deploy(provider),
            Happening::DeployConsumer(pair) => self.deploy_consumer(pair),
            Happening::Attempt(delivery) => self.attempt(delivery),
            Happening::Result { delivery, taken_at } => self.result(&delivery, taken_at),
            Happening::Look(pair) => self.look(pair),
            Happening::Judge(provider) => self.judge(provider),
            Happening::Evaluate => self.evaluate(),
            Happening::Round => self.round(),
            Happening::LookForRelay => self.look_for_relay(),
            Happening::Controls => self.look_at_controls(),
            Happening::Plant(fault) => self.plant(fault),
            Happening::Mend(fault) => self.mend(fault),
        }
    }
}
