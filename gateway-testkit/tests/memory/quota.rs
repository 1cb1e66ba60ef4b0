//! The store's clock jumps around the edge of an hour while replicas draw and spend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::entropy::Entropy;
use gateway_core::id::TenantId;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::tenant::Drawn;
use gateway_core::tenant::quota::{Admit, RequestAccount};
use gateway_core::time::{Clock, Timestamp};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::MemoryStore;

const TENANT: TenantId = TenantId::from_u128(1);
const LIMIT: u64 = 50;
const REPLICAS: u32 = 3;
/// 22:13:20, of which the next hour is 2,800 seconds away.
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const EDGE: Duration = Duration::from_secs(2_800);

async fn draw(store: &MemoryStore, next: bool) -> Result<Drawn, StoreError> {
    let mut tx = store.begin_platform().await?;
    let drawn = tx.draw_quota(TENANT, LIMIT, REPLICAS, next).await?;
    tx.commit().await?;
    Ok(drawn)
}

/// Returns one request at one replica; the store's hour that it was counted in, if it was served.
async fn request(
    account: &mut RequestAccount,
    store: &MemoryStore,
    own: &ManualClock,
) -> Option<Timestamp> {
    loop {
        match account.admit(own.uptime(), LIMIT) {
            Admit::Yes { hour, .. } => return Some(hour),
            Admit::No { .. } => return None,
            Admit::Draw => {
                own.advance(Duration::from_micros(1));
                let sent = own.uptime();
                let drawn = draw(store, false).await.expect("a draw");
                account.credit(sent, LIMIT, &drawn);
            }
        }
    }
}

#[test]
fn no_hour_of_the_store_serves_more_than_the_limit_however_its_clock_jumps() {
    for seed in 0..200 {
        let dice = SeededEntropy::new(seed);
        let clock = Arc::new(ManualClock::at(START.plus(EDGE)));
        // The replicas' own clock runs on, whatever the store's does.
        let own = ManualClock::at(START);
        let store = MemoryStore::new(clock.clone());
        let mut accounts = vec![RequestAccount::default(); REPLICAS as usize];
        let mut served = BTreeMap::<Timestamp, u64>::new();
        let mut refused = 0;
        block_on(async {
            for _ in 0..600 {
                let which = usize::try_from(dice.below(u64::from(REPLICAS))).expect("few");
                let account = &mut accounts[which];
                match dice.below(20) {
                    0 => {
                        let around = Duration::from_secs(dice.below(7_200));
                        clock.step_to(
                            START
                                .plus(EDGE)
                                .plus(around)
                                .minus(Duration::from_secs(3_600)),
                        );
                    }
                    1 => own.advance(Duration::from_secs(dice.below(600))),
                    2 => {
                        let sent = own.uptime();
                        let drawn = draw(&store, true).await.expect("a draw");
                        account.credit_ahead(sent, own.uptime(), LIMIT, &drawn);
                    }
                    _ => match request(account, &store, &own).await {
                        Some(hour) => *served.entry(hour).or_default() += 1,
                        None => refused += 1,
                    },
                }
            }
        });
        assert!(served.len() > 1 && refused > 0, "seed {seed} shows nothing");
        assert!(
            served.values().all(|served| *served <= LIMIT),
            "seed {seed}: {served:?}"
        );
    }
}
