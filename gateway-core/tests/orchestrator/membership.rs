//! Who is let in, as what, and who is not.

use gateway_core::audit::{AuditFilter, action};
use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Join, Member, RegisterError, Registration};
use gateway_core::protocol::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, Register};
use gateway_core::session::Owner;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::worker::{AllowedHost, Endpoint, WorkerStatus};

use super::world::{World, seconds, worker};
use super::{all_at_once, block_on};

fn at(url: &str) -> Endpoint {
    url.parse().expect("a URL")
}

pub(crate) fn registration(number: u32, run: u32) -> Registration {
    let (id, endpoint) = (
        format!("worker-{number}"),
        format!("http://worker-{number}:3000"),
    );
    let body = Register::new(&id, &format!("incarnation-{run}"), &endpoint, 10);
    Registration::of(body, &[AllowedHost::Any]).expect("it says nothing wrong")
}

/// Another address, and the rest as it was.
fn moved_to(endpoint: Endpoint, mut registration: Registration) -> Registration {
    registration.endpoint = endpoint;
    registration
}

fn moved(number: u32, run: u32) -> Registration {
    moved_to(at("http://elsewhere:3000"), registration(number, run))
}

fn join(world: &World, registration: &Registration) -> Result<Member, RegisterError> {
    let orchestrator = &world.gateway().orchestrator;
    block_on(orchestrator.register(&Origin::default(), Join::Bootstrap, registration))
        .map(|done| done.value)
}

fn present(world: &World, owner: &Owner) -> bool {
    block_on(world.gateway().orchestrator.is_present(owner)).expect("answered")
}

#[test]
fn a_worker_of_a_protocol_that_is_not_spoken_here_is_refused() {
    let world = World::new(1);
    for asked in [MIN_PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1] {
        let mut other = registration(1, 1);
        other.protocol_version = asked;
        let refused = join(&world, &other);
        assert!(
            matches!(refused, Err(RegisterError::ProtocolVersion { asked: named }) if named == asked),
            "{refused:?}"
        );
    }
    assert!(!present(&world, &registration(1, 1).owner));
}

#[test]
fn a_one_time_token_opens_no_id_that_nobody_reserved() {
    let world = World::new(2);
    let registration = registration(1, 1);
    let orchestrator = &world.gateway().orchestrator;
    let refused =
        block_on(orchestrator.register(&Origin::default(), Join::OneTime([7; 32]), &registration));
    assert!(
        matches!(refused, Err(RegisterError::WrongToken)),
        "{refused:?}"
    );
}

#[test]
fn two_workers_do_not_share_an_endpoint() {
    let world = World::new(3);
    join(&world, &registration(1, 1)).expect("the first");
    let same = moved_to(registration(1, 1).endpoint, registration(2, 1));
    let refused = join(&world, &same);
    assert!(
        matches!(&refused, Err(RegisterError::EndpointInUse { holder }) if *holder == worker(1)),
        "{refused:?}"
    );
}

#[test]
fn a_live_worker_defends_its_slot_and_a_silent_one_does_not() {
    let world = World::new(4);
    join(&world, &registration(1, 1)).expect("the first");
    let refused = join(&world, &moved(1, 2));
    assert!(
        matches!(refused, Err(RegisterError::IdInUse)),
        "{refused:?}"
    );
    assert!(present(&world, &registration(1, 1).owner));

    world.clock.advance(seconds(6));
    join(&world, &moved(1, 2)).expect("the first has been silent for six seconds");
    assert!(present(&world, &moved(1, 2).owner));
    assert!(!present(&world, &registration(1, 1).owner));
}

#[test]
fn a_restart_at_the_same_endpoint_is_let_in_at_once_and_ends_the_former_run() {
    let world = World::new(5);
    let first = join(&world, &registration(1, 1)).expect("the first run");
    let again = join(&world, &registration(1, 1)).expect("repeating it is harmless");
    assert_eq!((first.assigned, again.assigned), (0, 0));
    join(&world, &registration(1, 2)).expect("the next run");
    assert!(!present(&world, &registration(1, 1).owner));
    let late = join(&world, &registration(1, 1));
    assert!(
        matches!(late, Err(RegisterError::IncarnationEnded)),
        "{late:?}"
    );
    assert!(present(&world, &registration(1, 2).owner));
}

#[test]
fn a_registration_is_in_the_audit_log_once_with_what_it_changed() {
    let world = World::new(8);
    let from = Origin {
        address: Some([192, 0, 2, 7].into()),
        request_id: Some("req-1".to_owned()),
    };
    let orchestrator = &world.gateway().orchestrator;
    let enter = |run: &Registration| {
        let _ = block_on(orchestrator.register(&from, Join::Bootstrap, run)).expect("let in");
    };
    for run in [1, 1, 2] {
        world.clock.advance(seconds(1));
        enter(&registration(1, run));
    }
    let entries = block_on(async {
        let mut tx = world.shared.store.read_platform().await?;
        tx.audit(&AuditFilter::default(), None, 10).await
    });
    let entries = entries.expect("read");
    let [second, first] = entries.as_slice() else {
        panic!("a repetition is no change: {entries:#?}")
    };
    assert_eq!(first.action, action::WORKER_REGISTERED);
    assert_eq!(
        (first.actor_kind.as_ref(), &*first.object_id),
        ("worker", "worker-1")
    );
    assert_eq!(first.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(first.request_id.as_deref(), Some("req-1"));
    let names: Vec<_> = first.changes.keys().map(String::as_str).collect();
    assert_eq!(names, ["endpoint", "incarnation", "maxSessions"]);
    let names: Vec<_> = second.changes.keys().map(String::as_str).collect();
    assert_eq!(names, ["incarnation"]);

    let former = registration(1, 1);
    let late = orchestrator.register(&from, Join::Bootstrap, &former);
    assert!(block_on(late).is_err());
    let count = block_on(async {
        let mut tx = world.shared.store.read_platform().await?;
        Ok::<_, StoreError>(tx.audit(&AuditFilter::default(), None, 10).await?.len())
    });
    assert_eq!(count.expect("read"), 2, "who is refused changes nothing");
}

#[test]
fn a_run_that_said_goodbye_does_not_come_back() {
    let world = World::new(6);
    let run = registration(1, 1);
    join(&world, &run).expect("let in");
    let gateway = world.gateway();
    for _ in 0..2 {
        gateway.keep(block_on(gateway.orchestrator.goodbye(&run.owner)).expect("taken"));
        assert_eq!(world.worker(1).status, WorkerStatus::Offline);
    }
    let late = join(&world, &run);
    assert!(
        matches!(late, Err(RegisterError::IncarnationEnded)),
        "{late:?}"
    );
    join(&world, &moved(1, 2)).expect("a new run may come from anywhere");
}

#[test]
fn of_two_processes_that_claim_one_new_id_at_once_one_is_let_in() {
    for seed in 0..20 {
        let world = World::interleaved(seed, 2);
        let (one, two) = (registration(1, 1), moved(1, 2));
        let outcomes = all_at_once(vec![
            Box::pin(world.gateways[0].orchestrator.register(
                &Origin::default(),
                Join::Bootstrap,
                &one,
            )),
            Box::pin(world.gateways[1].orchestrator.register(
                &Origin::default(),
                Join::Bootstrap,
                &two,
            )),
        ]);
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "seed {seed}");
        assert!(
            matches!(lost[..], [Err(RegisterError::IdInUse)]),
            "seed {seed}: {lost:?}"
        );
        assert_eq!(
            [present(&world, &one.owner), present(&world, &two.owner)]
                .into_iter()
                .filter(|present| *present)
                .count(),
            1
        );
    }
}

#[test]
fn a_worker_is_told_what_it_should_hold_and_nobody_elses() {
    let world = World::new(7).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let holder = world.holder(session);
    let orchestrator = &world.gateway().orchestrator;
    let of = |number| {
        let owner = world.fleet.owner(&worker(number)).expect("registered");
        block_on(orchestrator.assigned(&owner))
    };
    let held = of(holder).expect("answered");
    let [one] = held.as_slice() else {
        panic!("{held:?}")
    };
    let row = world.row(session);
    assert_eq!((one.session_id, one.epoch), (session, row.epoch));
    assert_eq!((one.desired, one.paired), (row.desired, true));
    assert!(one.state_version > 0, "its credentials are stored");
    assert_eq!(of(3 - holder).expect("answered"), []);

    world.shared.state.set_available(false);
    assert!(of(holder).is_err(), "rather no answer than a wrong one");
}
