//! What cases do, in few words, that no other store than a database can do.

use postrider_domain::DeliveryId;
use postrider_store::{DeliveryView, Store};

pub(crate) async fn view(store: &Store, id: DeliveryId) -> DeliveryView {
    store.delivery(id).await.unwrap().expect("the delivery is there")
}
