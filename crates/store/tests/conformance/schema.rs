//! Migrations and the master key.

use futures_util::future::join;
use postrider_store::{Schema, StoreError};

use crate::harness::World;

pub(crate) async fn an_empty_database_is_behind(world: World) {
    let sibling = world.empty_sibling().await;
    let store = sibling.open().await;
    assert_eq!(store.schema().await.unwrap(), Schema::Behind);
    let ran = store.migrate().await.unwrap();
    assert!(ran[0].starts_with("0001"), "{ran:?}");
    assert_eq!(store.schema().await.unwrap(), Schema::Current);
    assert!(store.migrate().await.unwrap().is_empty(), "once is enough");
    store.ping().await.unwrap();
    store.close().await;
    sibling.remove().await;
}

pub(crate) async fn migrating_at_once_is_fine(world: World) {
    let sibling = world.empty_sibling().await;
    let (one, two) = (sibling.open().await, sibling.open().await);
    let (a, b) = join(one.migrate(), two.migrate()).await;
    a.unwrap();
    b.unwrap();
    assert_eq!(one.schema().await.unwrap(), Schema::Current);
    one.close().await;
    two.close().await;
    sibling.remove().await;
}

pub(crate) async fn a_newer_schema_is_refused(world: World) {
    world
        .raw(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (99999, 'from the future', true, 'x', 0)",
        )
        .await;
    assert_eq!(world.store().schema().await.unwrap(), Schema::Newer);
    let refused = world.store().migrate().await.unwrap_err();
    let StoreError::NewerSchema { found, known } = refused else { panic!("{refused}") };
    assert!(found == 99999 && known < found);
}

pub(crate) async fn another_master_key_is_refused(world: World) {
    world.store().check_key().await.unwrap();
    world.store().check_key().await.unwrap();
    let (other, key) = world.with_other_key().await;
    let refused = other.check_key().await.unwrap_err();
    assert!(refused.to_string().contains(&world.key().id()), "{refused}");
    let StoreError::WrongKey { have, need } = refused else { panic!("{refused}") };
    assert_eq!((have, need), (key.id(), world.key().id()));
    world.store().set_secret("token", &"x".into()).await.unwrap();
    let names = ["token".to_owned()].into();
    let refused = other.secret_values(&names, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::WrongKey { .. }), "{refused}");
    other.close().await;
}
