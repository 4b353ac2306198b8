//! The cases of every store, over the model.

use std::time::Duration;

use postrider_sim::ModelStore;
use postrider_testkit::World;

use crate::place::NOW;

/// A model of one case.
struct Models(ModelStore);

impl World for Models {
    type Store = ModelStore;

    fn store(&self) -> &ModelStore {
        &self.0
    }

    async fn another(&self, sweep_after: Duration) -> ModelStore {
        self.0.another(sweep_after)
    }
}

macro_rules! over_the_model {
    ($($module:ident { $($case:ident)* })*) => { $(mod $module { $(
        #[tokio::test]
        async fn $case() {
            let world = super::Models(super::ModelStore::new(super::NOW, super::Duration::ZERO));
            postrider_testkit::cases::$module::$case(&world).await;
        }
    )* })* };
}

postrider_testkit::hot_cases!(over_the_model);
