//! Any input in any phase at any time, as no shell would ever deliver them.

use gateway_core::session::{Closure, Silence};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

pub(crate) fn commands() -> impl Strategy<Value = Command> {
    let pairing = prop_oneof![
        Just(Pairing::Qr),
        Just(Pairing::PairingCode {
            phone_number: "491701234567".to_owned(),
        }),
    ];
    prop_oneof![
        4 => (pairing, 1..4u8).prop_map(|(pairing, priority)| Command::Connect {
            pairing,
            priority,
        }),
        2 => Just(Command::Disconnect),
        2 => Just(Command::Restart),
        1 => Just(Command::Logout),
        1 => Just(Command::Delete),
    ]
}

/// Times from long ago to far ahead.
fn moments() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..2_000u64).prop_map(at),
        1 => Just(Timestamp::from_micros(0)),
        1 => Just(Timestamp::MAX),
    ]
}

pub(crate) fn observations() -> impl Strategy<Value = Observation> {
    let challenge = (0..3usize, 0..6u32, moments()).prop_map(|(kind, index, expires_at)| {
        let kinds = [
            ChallengeKind::Qr,
            ChallengeKind::PairingCode,
            ChallengeKind::Passkey,
        ];
        Observation::Live(code(kinds[kind], index, expires_at))
    });
    let live = prop_oneof![
        Just(Observation::Live(stage(Stage::Starting))),
        Just(Observation::Live(stage(Stage::Pairing))),
        Just(Observation::Live(stage(Stage::Syncing))),
        Just(Observation::Live(Observed::Connected)),
        "[a-c]".prop_map(|reason| Observation::Live(reconnecting(&reason))),
    ];
    let reason = || option::of(Just(Reason::from("why")));
    let closed = prop_oneof![
        reason().prop_map(|reason| Closure::Disconnected { reason }),
        reason().prop_map(|reason| Closure::LoggedOut { reason }),
        (reason(), option::of(moments()))
            .prop_map(|(reason, until)| Closure::Restricted { reason, until }),
        reason().prop_map(|reason| Closure::Error {
            reason,
            action_required: None,
        }),
    ];
    prop_oneof![
        4 => live,
        2 => challenge,
        2 => closed.prop_map(Observation::Closed),
        1 => Just(Observation::Unknown("odd".to_owned())),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    let number = option::of(Just("491701234567".to_owned()));
    (
        option::of(0..9u64),
        observations(),
        option::of(moments()),
        number,
    )
        .prop_map(|(seq, observation, retry_at, phone_number)| Report {
            seq,
            observation,
            retry_at,
            phone_number,
        })
}

fn anything() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => commands().prop_map(Input::Command),
        4 => (1..4u32).prop_map(|number| placed_on(&owner(number))),
        1 => Just(Input::NoCapacity),
        6 => reports().prop_map(Input::Reported),
        2 => Just(Input::Stopped),
        1 => Just(Input::NotHeld),
        1 => Just(Input::Disclaimed),
        1 => moments().prop_map(|until| Input::OwnerSilent(Silence { since: START, until })),
        1 => Just(Input::OwnerHeard),
        1 => Just(Input::OwnerGone),
        1 => Just(Input::OwnerLeft),
        3 => Just(Input::Due),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_keeps_the_invariants(
        steps in vec((anything(), 0..400u64), 1..60),
    ) {
        let policy = SessionPolicy::default();
        let mut row = card();
        let mut now = START;
        for (input, wait) in steps {
            now = now.plus(seconds(wait));
            if input == Input::Due && row.due_at.is_some_and(|due| due <= now) {
                claim(&mut row, &policy, now);
            }
            let decided = decide(&policy, &row, &input, now);
            invariants::check(&row, &input, &decided, now);
            match decided.map(|decision| decision.row) {
                Ok(Some(next)) => row = next,
                Ok(None) => break,
                Err(_) => {}
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decisions(input in anything(), wait in 0..400u64) {
        let policy = SessionPolicy::default();
        for case in cases::rows() {
            let once = decide(&policy, &case.row, &input, at(wait));
            prop_assert_eq!(&once, &decide(&policy, &case.row, &input, at(wait)));
            invariants::check(&case.row, &input, &once, at(wait));
        }
    }
}
