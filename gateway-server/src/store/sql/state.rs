//! Versions and journals of session state.
//!
//! Every write reads the session's rows, asks whether epoch and sequence are admitted, and then writes on
//! condition that the row is still the one that was read; a writer that was overtaken asks again. A state
//! that was set aside stays as a generation of its own: its epoch still bars former owners.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::{StateError, StateVersion};
use gateway_core::store::{StoreError, retry_conflicts};
use gateway_core::time::Timestamp;
use sqlx::FromRow;

use super::columns::Columns;
use super::error::expect_rows;
use super::pool::Pool;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

/// The newest generation first.
const GENERATIONS: &str = "SELECT generation, epoch, seq, snapshot_seq, snapshot_key, \
     archived_at IS NOT NULL AS archived FROM state_versions WHERE session_id = $1 \
     ORDER BY generation DESC";

const BEGIN: &str = "INSERT INTO state_versions \
     (session_id, generation, epoch, seq, snapshot_seq, snapshot_key, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING";

const ADVANCE: &str = "UPDATE state_versions SET epoch = $3, seq = $4, snapshot_seq = $5, \
     snapshot_key = $6, updated_at = $7 WHERE session_id = $1 AND generation = $2 \
     AND archived_at IS NULL AND epoch = $8 AND seq = $9";

/// Where state begins, its session must be there, and is not deleted before the state has begun.
const SESSION: Sql = Sql {
    postgres: "SELECT id FROM sessions WHERE id = $1 FOR KEY SHARE",
    sqlite: "SELECT id FROM sessions WHERE id = $1",
};

const JOURNAL: &str = "SELECT seq, entry FROM state_journal \
     WHERE session_id = $1 AND generation = $2 ORDER BY seq";

const APPEND: Sql = Sql {
    postgres: "INSERT INTO state_journal (session_id, generation, seq, entry) \
         SELECT $1, $2, n.seq, n.entry FROM unnest($3, $4) AS n (seq, entry)",
    sqlite: "INSERT INTO state_journal (session_id, generation, seq, entry) \
         SELECT $1, $2, value->>0, unhex(value->>1) FROM json_each($3)",
};

const CUT: &str = "DELETE FROM state_journal WHERE session_id = $1 AND generation = $2";

const ARCHIVE: &str = "UPDATE state_versions SET archived_at = $2 \
     WHERE session_id = $1 AND archived_at IS NULL AND epoch <= $3";

const ARCHIVED: &str = "SELECT session_id, generation, snapshot_key FROM state_versions \
     WHERE archived_at < $1 AND seq > 0 ORDER BY archived_at LIMIT $2";

/// The row stays: its epoch bars former owners.
const FORGET: &str = "UPDATE state_versions SET seq = 0, snapshot_seq = NULL, snapshot_key = NULL \
     WHERE session_id = $1 AND generation = $2 AND archived_at IS NOT NULL";

const ERASE_JOURNAL: &str = "DELETE FROM state_journal WHERE session_id = $1";

const ERASE_VERSIONS: &str = "DELETE FROM state_versions WHERE session_id = $1";

/// A writer is overtaken once per write of another one; an owner has few of its own at a time.
const ATTEMPTS: u32 = 32;

#[derive(Clone, Debug, FromRow)]
struct Generation {
    generation: Count,
    epoch: Count,
    seq: Count,
    snapshot_seq: Option<Count>,
    snapshot_key: Option<String>,
    archived: bool,
}

/// Where the state is, and where a write may take it.
#[derive(Clone, Debug)]
struct Live {
    generation: u64,
    /// None: the generation begins with this write.
    found: Option<StateVersion>,
    snapshot: Option<(u64, String)>,
}

impl Live {
    fn of(newest: Option<&Generation>) -> Self {
        let Some(row) = newest else {
            return Self::beginning(1);
        };
        if row.archived {
            return Self::beginning(row.generation.0 + 1);
        }
        let seq = row.snapshot_seq.map(|seq| seq.0);
        Self {
            generation: row.generation.0,
            found: Some(StateVersion {
                epoch: Epoch(row.epoch.0),
                seq: row.seq.0,
            }),
            snapshot: seq.zip(row.snapshot_key.clone()),
        }
    }

    const fn beginning(generation: u64) -> Self {
        Self {
            generation,
            found: None,
            snapshot: None,
        }
    }

    fn seq(&self) -> u64 {
        self.found.map_or(0, |version| version.seq)
    }
}

/// A session's state as its rows tell it, still encrypted.
#[derive(Clone, Debug)]
pub struct SealedRows {
    /// Epoch and newest sequence.
    pub version: StateVersion,
    /// The sequence of the snapshot and its name in the object store.
    pub snapshot: Option<(u64, String)>,
    /// The entries after it.
    pub journal: Vec<(u64, Vec<u8>)>,
}

/// A generation that was set aside.
#[derive(Clone, Debug)]
pub(crate) struct ArchivedState {
    session: SessionId,
    generation: u64,
    /// The name of its snapshot in the object store.
    pub(crate) snapshot: Option<String>,
}

#[derive(FromRow)]
struct ArchivedRow {
    session_id: Id,
    generation: Count,
    snapshot_key: Option<String>,
}

/// The rows of session state.
#[derive(Clone, Debug)]
pub struct StateRows {
    pool: Pool,
}

/// An attempt's outcome, apart from failures of the store, which may be repeated.
type Attempt<T> = Result<Result<T, StateError>, StoreError>;

impl StateRows {
    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Epoch and newest sequence of what is not set aside.
    pub(crate) async fn version(&self, session: SessionId) -> Result<StateVersion, StoreError> {
        let mut tx = self.pool.read().await?;
        let newest = newest(&mut tx, session).await?;
        Ok(Live::of(newest.as_ref()).found.unwrap_or_default())
    }

    /// Seals to `epoch` and reads everything in the same transaction.
    pub(crate) async fn seal(
        &self,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<SealedRows, StateError> {
        retry_conflicts(ATTEMPTS, || self.try_seal(session, epoch)).await?
    }

    async fn try_seal(&self, session: SessionId, epoch: Epoch) -> Attempt<SealedRows> {
        let mut tx = self.pool.begin().await?;
        let live = match admit_write(&mut tx, session, epoch, None).await? {
            Ok(live) => live,
            Err(refused) => return Ok(Err(refused)),
        };
        let version = StateVersion {
            epoch,
            seq: live.seq(),
        };
        // Even if nothing changes: from here on the row is locked, so the journal belongs to it.
        advance(&mut tx, session, &live, version, live.snapshot.as_ref()).await?;
        let rows: Vec<(Count, Vec<u8>)> = tx
            .query(JOURNAL)
            .bind(Id(session.as_u128()))
            .bind(Count(live.generation))
            .all()
            .await?;
        tx.finish().await?;
        Ok(Ok(SealedRows {
            version,
            snapshot: live.snapshot,
            journal: rows
                .into_iter()
                .map(|(seq, entry)| (seq.0, entry))
                .collect(),
        }))
    }

    /// Whether a write after `after` would be admitted at this moment.
    pub(crate) async fn admits(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
    ) -> Result<(), StateError> {
        let mut tx = self.pool.read().await?;
        admit(&mut tx, session, epoch, Some(after)).await?.map(drop)
    }

    /// Appends entries, which are numbered from `after + 1`; answers the newest sequence.
    pub(crate) async fn append(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[(u64, Vec<u8>)],
    ) -> Result<u64, StateError> {
        retry_conflicts(ATTEMPTS, || self.try_append(session, epoch, after, entries)).await?
    }

    async fn try_append(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[(u64, Vec<u8>)],
    ) -> Attempt<u64> {
        let mut tx = self.pool.begin().await?;
        let live = match admit_write(&mut tx, session, epoch, Some(after)).await? {
            Ok(live) => live,
            Err(refused) => return Ok(Err(refused)),
        };
        let seq = entries.last().map_or(after, |(seq, _)| *seq);
        let version = StateVersion { epoch, seq };
        advance(&mut tx, session, &live, version, live.snapshot.as_ref()).await?;
        if !entries.is_empty() {
            let lists = Columns::new()
                .counts(entries.iter().map(|(seq, _)| *seq))
                .bytes(entries.iter().map(|(_, entry)| entry.as_slice()));
            tx.query(APPEND)
                .bind(Id(session.as_u128()))
                .bind(Count(live.generation))
                .columns(lists)
                .execute()
                .await?;
        }
        tx.finish().await?;
        Ok(Ok(seq))
    }

    /// Names a stored snapshot as the state up to `after + 1` and cuts the journal; answers the name of
    /// the snapshot that it replaces.
    pub(crate) async fn put_snapshot(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        name: &str,
    ) -> Result<Option<String>, StateError> {
        retry_conflicts(ATTEMPTS, || self.try_snapshot(session, epoch, after, name)).await?
    }

    async fn try_snapshot(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        name: &str,
    ) -> Attempt<Option<String>> {
        let mut tx = self.pool.begin().await?;
        let live = match admit_write(&mut tx, session, epoch, Some(after)).await? {
            Ok(live) => live,
            Err(refused) => return Ok(Err(refused)),
        };
        let seq = after.saturating_add(1);
        let version = StateVersion { epoch, seq };
        let snapshot = (seq, name.to_owned());
        advance(&mut tx, session, &live, version, Some(&snapshot)).await?;
        tx.query(CUT)
            .bind(Id(session.as_u128()))
            .bind(Count(live.generation))
            .execute()
            .await?;
        tx.finish().await?;
        Ok(Ok(live.snapshot.map(|(_, name)| name)))
    }

    /// Sets the state aside, if it is sealed to `upto` or less.
    pub(crate) async fn archive(&self, session: SessionId, upto: Epoch) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let now = tx.moment().await?;
        tx.query(ARCHIVE)
            .bind(Id(session.as_u128()))
            .bind(Time(now))
            .bind(Count(upto.0))
            .execute()
            .await?;
        tx.finish().await
    }

    /// Returns generations that were archived before `before` and still have bytes, oldest first.
    pub(crate) async fn archived(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ArchivedState>, StoreError> {
        let mut tx = self.pool.read().await?;
        let query = tx.query(ARCHIVED).bind(Time(before));
        let rows: Vec<ArchivedRow> = query.bind(Count::from(limit)).all().await?;
        let archived = |row: ArchivedRow| ArchivedState {
            session: SessionId::from_u128(row.session_id.0),
            generation: row.generation.0,
            snapshot: row.snapshot_key,
        };
        Ok(rows.into_iter().map(archived).collect())
    }

    /// Removes the journal of an archived generation and the name of its snapshot.
    pub(crate) async fn forget(&self, archived: &ArchivedState) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        for statement in [FORGET, CUT] {
            tx.query(statement)
                .bind(Id(archived.session.as_u128()))
                .bind(Count(archived.generation))
                .execute()
                .await?;
        }
        tx.finish().await
    }

    /// Removes every generation of a session's state, the current one and the archived ones.
    pub(crate) async fn erase(&self, session: SessionId) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        // Versions first: whoever writes to the journal holds one of them.
        for statement in [ERASE_VERSIONS, ERASE_JOURNAL] {
            tx.query(statement)
                .bind(Id(session.as_u128()))
                .execute()
                .await?;
        }
        tx.finish().await
    }
}

async fn newest(tx: &mut Tx, session: SessionId) -> Result<Option<Generation>, StoreError> {
    let reading = tx.query(GENERATIONS).bind(Id(session.as_u128()));
    Ok(reading.all().await?.into_iter().next())
}

/// Asks whether `epoch` may write, and, with `after`, whether that is the newest sequence.
///
/// Epochs never go down over the generations, so the newest one bars all former owners.
async fn admit(tx: &mut Tx, session: SessionId, epoch: Epoch, after: Option<u64>) -> Attempt<Live> {
    let newest = newest(tx, session).await?;
    let floor = newest.as_ref().map_or(Epoch(0), |row| Epoch(row.epoch.0));
    if epoch < floor {
        return Ok(Err(StateError::StaleEpoch { current: floor }));
    }
    let live = Live::of(newest.as_ref());
    let current = live.seq();
    if after.is_some_and(|after| after != current) {
        return Ok(Err(StateError::SeqConflict { current }));
    }
    Ok(Ok(live))
}

/// Asks like [`admit`], and where the write begins a state also whether the session is there.
async fn admit_write(
    tx: &mut Tx,
    session: SessionId,
    epoch: Epoch,
    after: Option<u64>,
) -> Attempt<Live> {
    let admitted = admit(tx, session, epoch, after).await?;
    if admitted.as_ref().is_ok_and(|live| live.found.is_none()) {
        let query = tx.query(SESSION).bind(Id(session.as_u128()));
        if query.optional::<(Id,)>().await?.is_none() {
            return Ok(Err(StateError::UnknownSession));
        }
    }
    Ok(admitted)
}

/// Writes the version, on condition that it is still the one that was admitted.
async fn advance(
    tx: &mut Tx,
    session: SessionId,
    live: &Live,
    version: StateVersion,
    snapshot: Option<&(u64, String)>,
) -> Result<(), StoreError> {
    let now = tx.moment().await?;
    let statement = if live.found.is_some() { ADVANCE } else { BEGIN };
    let mut writing = tx
        .query(statement)
        .bind(Id(session.as_u128()))
        .bind(Count(live.generation))
        .bind(Count(version.epoch.0))
        .bind(Count(version.seq))
        .bind(snapshot.map(|(seq, _)| Count(*seq)))
        .bind(snapshot.map(|(_, name)| name.as_str()))
        .bind(Time(now));
    if let Some(found) = live.found {
        writing = writing.bind(Count(found.epoch.0)).bind(Count(found.seq));
    }
    expect_rows(writing.execute().await?, 1)
}
