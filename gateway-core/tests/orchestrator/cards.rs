//! Cards: names, limits, changes, and commands that are not taken.

use std::collections::BTreeMap;

use gateway_core::id::{SessionId, SessionName, TenantId};
use gateway_core::orchestrator::{CardPatch, CommandError, CreateError, NewCard};
use gateway_core::session::{Command, Pairing, Session};

use super::world::{TENANT, World, worker};
use super::{all_at_once, block_on};

const OTHER: TenantId = TenantId::from_u128(2);

fn name(text: &str) -> SessionName {
    SessionName::parse(text).expect("a slug")
}

fn create(world: &World, card: NewCard) -> Result<Session, CreateError> {
    block_on(world.gateway().orchestrator.create(card))
}

fn patch(world: &World, id: SessionId, patch: &CardPatch) -> Result<Session, CommandError> {
    block_on(world.gateway().orchestrator.update(TENANT, id, patch))
}

#[test]
fn a_name_is_unique_within_a_tenant_and_free_for_another() {
    let world = World::new(1);
    create(&world, NewCard::new(TENANT, name("Sales"))).expect("a new name");
    let again = create(&world, NewCard::new(TENANT, name("sales")));
    assert!(matches!(again, Err(CreateError::NameTaken)), "{again:?}");
    create(&world, NewCard::new(OTHER, name("sales"))).expect("another tenant's name");
}

#[test]
fn a_tenant_has_no_more_sessions_than_its_limit() {
    let world = World::new(2);
    let limited = |text| NewCard {
        limit: Some(2),
        ..NewCard::new(TENANT, name(text))
    };
    let first = create(&world, limited("one")).expect("room").id;
    create(&world, limited("two")).expect("room");
    create(&world, NewCard::new(OTHER, name("three"))).expect("others do not count");
    let refused = create(&world, limited("three"));
    assert!(
        matches!(
            refused,
            Err(CreateError::LimitReached { used: 2, limit: 2 })
        ),
        "{refused:?}"
    );
    world.ask(first, Command::Delete);
    world.settle();
    create(&world, limited("three")).expect("the place of the deleted one");
}

#[test]
fn a_change_touches_what_it_names_and_leaves_the_rest() {
    let world = World::new(3);
    let metadata = BTreeMap::from([("crm".to_owned(), serde_json::json!(7))]);
    let card = NewCard {
        description: Some("front desk".to_owned()),
        metadata: metadata.clone(),
        ..NewCard::new(TENANT, name("sales"))
    };
    let made = create(&world, card).expect("a new name");
    let renamed = CardPatch {
        name: Some(name("support")),
        ..CardPatch::default()
    };
    let after = patch(&world, made.id, &renamed).expect("changed");
    assert_eq!(after.name, name("support"));
    assert_eq!(after.description.as_deref(), Some("front desk"));
    assert_eq!(after.metadata, metadata);
    assert!(after.version > made.version);
    assert_eq!(world.row(made.id), after);

    let emptied = CardPatch {
        description: Some(None),
        metadata: Some(BTreeMap::new()),
        ..CardPatch::default()
    };
    let after = patch(&world, made.id, &emptied).expect("changed");
    assert_eq!((after.description, after.metadata.len()), (None, 0));
    assert_eq!(after.name, name("support"));
    create(&world, NewCard::new(TENANT, name("sales"))).expect("the former name is free");
}

#[test]
fn a_name_that_is_taken_is_not_given_by_a_change() {
    let world = World::new(4);
    let (sales, support) = (world.card("sales"), world.card("support"));
    let taken = CardPatch {
        name: Some(name("support")),
        ..CardPatch::default()
    };
    let refused = patch(&world, sales, &taken);
    assert!(
        matches!(refused, Err(CommandError::NameTaken)),
        "{refused:?}"
    );
    assert_eq!(world.row(sales).name, name("sales"));
    patch(&world, support, &taken).expect("its own name");
}

#[test]
fn what_is_another_tenants_is_unknown() {
    let world = World::new(5);
    let session = world.card("sales");
    let before = world.row(session);
    let orchestrator = &world.gateway().orchestrator;
    let update = block_on(orchestrator.update(OTHER, session, &CardPatch::default()));
    assert!(
        matches!(update, Err(CommandError::UnknownSession)),
        "{update:?}"
    );
    let delete = block_on(orchestrator.command(OTHER, session, Command::Delete));
    assert!(
        matches!(delete, Err(CommandError::UnknownSession)),
        "{delete:?}"
    );
    assert_eq!(world.row(session), before);
}

#[test]
fn two_changes_at_once_are_both_kept() {
    for seed in 0..20 {
        let world = World::interleaved(seed, 2);
        let session = world.card("sales");
        let rename = CardPatch {
            name: Some(name("support")),
            ..CardPatch::default()
        };
        let describe = CardPatch {
            description: Some(Some("front desk".to_owned())),
            ..CardPatch::default()
        };
        let (one, two) = (&world.gateways[0], &world.gateways[1]);
        let outcomes = all_at_once(vec![
            Box::pin(one.orchestrator.update(TENANT, session, &rename)),
            Box::pin(two.orchestrator.update(TENANT, session, &describe)),
        ]);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let row = world.row(session);
        assert_eq!(row.name, name("support"), "seed {seed}");
        assert_eq!(
            row.description.as_deref(),
            Some("front desk"),
            "seed {seed}"
        );
        assert_eq!(row.version, 3, "seed {seed}");
    }
}

#[test]
fn a_session_that_is_being_deleted_takes_no_connect() {
    let world = World::new(6).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.fleet.partition(&worker(1));
    world.ask(session, Command::Delete);
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    let orchestrator = &world.gateway().orchestrator;
    let refused = block_on(orchestrator.command(TENANT, session, connect));
    let Err(CommandError::Refused(refused)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.phase, "STOPPING");
    world.fleet.heal(&worker(1));
    world.run(super::world::seconds(10));
    assert_eq!(world.find(session), None, "and is deleted all the same");
}

#[test]
fn a_session_is_deleted_even_if_its_stored_state_and_codes_cannot_be_cleaned_up() {
    let world = World::new(7).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.shared.state.set_available(false);
    world.shared.coord.set_available(false);
    world.ask(session, Command::Delete);
    world.settle();
    assert_eq!(world.find(session), None);
    assert_eq!(world.worker(1).assigned, 0);
}

#[test]
fn without_the_store_nothing_is_made_or_taken() {
    let world = World::new(8);
    let session = world.card("sales");
    world.shared.store.set_available(false);
    let made = create(&world, NewCard::new(TENANT, name("support")));
    assert!(matches!(made, Err(CreateError::Store(_))), "{made:?}");
    let orchestrator = &world.gateway().orchestrator;
    let taken = block_on(orchestrator.command(TENANT, session, Command::Delete));
    assert!(matches!(taken, Err(CommandError::Store(_))), "{taken:?}");
    let ticked = block_on(orchestrator.tick());
    assert!(ticked.is_err(), "{ticked:?}");
    world.shared.store.set_available(true);
    assert!(world.find(session).is_some());
}
