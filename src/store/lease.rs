//! Who leads: the row of `leases`.
//!
//! On PostgreSQL it is a lease, and only the database's clock counts: whoever has it renews it, and
//! once it ended anybody may take it. On SQLite a lock on a file decides, and the row carries the
//! epoch alone. Every transaction that writes observed state holds the row's key, which the epoch is a
//! part of, while it does: so an epoch ends between such transactions and never within one. A renewal
//! changes the times alone, and waits for none of them.
//!
//! *Guarantees.* Of two who were given the same epoch, which a failover to a replica that lags behind does, one
//! leads: each leadership has a random number beside it, and the fence is both.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect,
    Statement,
};
use uuid::Uuid;

use crate::game::Epoch;

use super::again::again;
use super::connection::Transaction;
use super::convert::{from_db, to_db};
use super::db_uuid::DbUuid;
use super::entity::leases::{ActiveModel, Column, Entity};
use super::{Store, StoreError};

/// How long a lease holds from its last renewal.
pub const LEASE: Duration = Duration::from_secs(15);

/// The name of the only lease that there is.
const NAME: &str = "controller";

/// The lease of whoever leads, which proves that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLease {
    /// The number of the leadership. An older database gives it out once more.
    pub epoch: Epoch,
    /// Random for each leadership: no database gives it out a second time.
    pub tenure: Uuid,
}

impl HeldLease {
    /// The row, for as long as it is this lease.
    fn row(self) -> Condition {
        Condition::all()
            .add(Column::Name.eq(NAME))
            .add(Column::Epoch.eq(self.epoch.0))
            .add(Column::TenureId.eq(DbUuid(self.tenure)))
    }
}

/// A leadership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Which process has it.
    pub holder: String,
    /// Its number.
    pub epoch: Epoch,
    /// When it began.
    pub since: jiff::Timestamp,
    /// It has not ended, by the database's clock. (Where a lock decides, nobody can ask without it.)
    pub holds: bool,
}

/// What came of trying to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It leads, by this lease.
    Ours(HeldLease),
    /// Somebody else does, for so long at least.
    Held {
        /// Who.
        holder: String,
        /// Until the lease ends, unless it is renewed.
        ends_in: Duration,
    },
}

fn taken_by((holder, ends_in): (String, f64)) -> Taken {
    let ends_in = Duration::try_from_secs_f64(ends_in.max(0.0)).unwrap_or(LEASE).min(LEASE);
    Taken::Held { holder, ends_in }
}

impl Store {
    /// Whether the lead has to be renewed, because somebody else could take it.
    pub fn lead_is_leased(&self) -> bool {
        !self.db.is_sqlite()
    }

    /// This store for whoever leads by this lease: what it writes of observed state is refused once
    /// somebody else leads.
    #[must_use]
    pub fn leading(mut self, lease: HeldLease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Who leads, if anybody ever did.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lead(&self) -> Result<Option<Lead>, StoreError> {
        let holds = if self.lead_is_leased() {
            Expr::col(Column::ExpiresAt).gt(Expr::cust("clock_timestamp()"))
        } else {
            Expr::value(true)
        };
        let row = Entity::find_by_id(NAME)
            .select_only()
            .columns([Column::Holder, Column::Epoch, Column::AcquiredAt])
            .expr_as(holds, "holds")
            .into_tuple()
            .one(&self.db)
            .await?;
        Ok(row.map(|(holder, epoch, acquired_at, holds)| Lead {
            holder,
            epoch: Epoch(epoch),
            since: from_db(acquired_at),
            holds,
        }))
    }

    /// Takes the lead, whoever has it: from here on, writes of earlier epochs are refused.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_lead(&self, holder: &str) -> Result<HeldLease, StoreError> {
        again(|| async {
            let (transaction, tenure) = (self.db.begin_writing().await?, Uuid::new_v4());
            let old = Entity::find_by_id(NAME).lock_exclusive().one(&transaction).await?;
            let now = to_db(jiff::Timestamp::now());
            let epoch = old.map_or(1, |lease| lease.epoch + 1);
            let lease = ActiveModel {
                name: Set(NAME.to_owned()),
                holder: Set(holder.to_owned()),
                epoch: Set(epoch),
                tenure_id: Set(DbUuid(tenure)),
                acquired_at: Set(now),
                renewed_at: Set(now),
                expires_at: Set(now),
            };
            let in_place = OnConflict::column(Column::Name)
                .update_columns([
                    Column::Holder,
                    Column::Epoch,
                    Column::TenureId,
                    Column::AcquiredAt,
                    Column::RenewedAt,
                    Column::ExpiresAt,
                ])
                .to_owned();
            Entity::insert(lease).on_conflict(in_place).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(HeldLease { epoch: Epoch(epoch), tenure })
        })
        .await
    }

    /// Takes the lead if its lease has ended. Only where it [is leased](Store::lead_is_leased).
    ///
    /// # Errors
    /// The database failed. Whether the lead was taken all the same is not known then; it ends by itself.
    pub async fn try_lead(&self, holder: &str) -> Result<Taken, StoreError> {
        // Asked without a lock first: the leader's writes hold the row's key.
        if let Some(held) = self.held().await?
            && held.1 > 0.0
        {
            if held.1 > LEASE.as_secs_f64() + 1.0 {
                self.begin_lease_anew().await?;
            }
            return Ok(taken_by(held));
        }
        let tenure = Uuid::new_v4();
        let taken = self.on_lease(
            "INSERT INTO leases AS held (name, holder, epoch, tenure_id, acquired_at, renewed_at, expires_at)
             VALUES ($1, $2, 1, $4, clock_timestamp(), clock_timestamp(), clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder, epoch = held.epoch + 1, tenure_id = excluded.tenure_id,
                    acquired_at = excluded.acquired_at, renewed_at = excluded.renewed_at,
                    expires_at = excluded.expires_at
              WHERE held.expires_at <= clock_timestamp()
             RETURNING epoch",
            [NAME.into(), holder.into(), LEASE.as_secs_f64().into(), tenure.into()],
        );
        if let Some(row) = self.leases.query_one_raw(taken).await? {
            return Ok(Taken::Ours(HeldLease { epoch: Epoch(row.try_get_by_index(0)?), tenure }));
        }
        Ok(taken_by(self.held().await?.ok_or_else(super::open::missing("leases"))?))
    }

    /// The lease ends later than any does that is renewed now: the server's clock was set back. It begins
    /// anew, for whoever has it: a leader that lives renews it in time, and one that does not is not waited
    /// for until the clock is there again.
    async fn begin_lease_anew(&self) -> Result<(), DbErr> {
        let shorten = self.on_lease(
            "UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => $2)
              WHERE name = $1 AND expires_at > clock_timestamp() + make_interval(secs => $2)",
            [NAME.into(), LEASE.as_secs_f64().into()],
        );
        self.leases.execute_raw(shorten).await?;
        Ok(())
    }

    /// Who has the lease, and in how many seconds it ends.
    async fn held(&self) -> Result<Option<(String, f64)>, DbErr> {
        let held = self.on_lease(
            "SELECT holder, extract(epoch FROM expires_at - clock_timestamp())::float8 FROM leases WHERE name = $1",
            [NAME.into()],
        );
        let Some(row) = self.leases.query_one_raw(held).await? else { return Ok(None) };
        Ok(Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
    }

    /// Renews this lease. False if it has ended.
    ///
    /// # Errors
    /// The database failed; whether it was renewed is not known then.
    pub async fn renew_lead(&self, lease: HeldLease) -> Result<bool, StoreError> {
        let renew = self.on_lease(
            "UPDATE leases SET renewed_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => $3)
              WHERE name = $1 AND epoch = $2 AND tenure_id = $4 AND expires_at > clock_timestamp()",
            [NAME.into(), lease.epoch.0.into(), LEASE.as_secs_f64().into(), lease.tenure.into()],
        );
        Ok(self.leases.execute_raw(renew).await?.rows_affected() > 0)
    }

    /// Ends this lease, and tells those that stand by. Its last writes must be over.
    ///
    /// # Errors
    /// The database failed; the lease then ends by itself.
    pub async fn give_up_lead(&self, lease: HeldLease) -> Result<(), StoreError> {
        let end = self.on_lease(
            "WITH ended AS (UPDATE leases SET expires_at = clock_timestamp()
                             WHERE name = $1 AND epoch = $2 AND tenure_id = $3 RETURNING 1)
             SELECT pg_notify(current_schema() || '_lead', '') FROM ended",
            [NAME.into(), lease.epoch.0.into(), lease.tenure.into()],
        );
        self.leases.query_one_raw(end).await?;
        Ok(())
    }

    fn on_lease<const N: usize>(&self, sql: &str, values: [sea_orm::Value; N]) -> Statement {
        Statement::from_sql_and_values(self.leases.get_database_backend(), sql, values)
    }

    /// A transaction that writes observed state: refused to whoever does not lead any more.
    pub(super) async fn begin_observing(&self) -> Result<Transaction, DbErr> {
        let transaction = self.db.begin_writing().await?;
        if let Some(lease) = self.lease
            && !holds(&transaction, lease).await?
        {
            return Err(taken_over());
        }
        Ok(transaction)
    }
}

/// What whoever led before is told.
pub(super) fn taken_over() -> DbErr {
    DbErr::Custom("another controller has taken over this database".into())
}

/// True if this lease is the present one. Nothing keeps it so.
pub(super) async fn is(db: &impl ConnectionTrait, lease: HeldLease) -> Result<bool, DbErr> {
    Ok(Entity::find().filter(lease.row()).one(db).await?.is_some())
}

/// True if this lease is still the present one, which it then is until the end of the transaction. A taking of the
/// lead changes the key, and waits for that; a renewal does not.
pub(super) async fn holds(transaction: &Transaction, lease: HeldLease) -> Result<bool, DbErr> {
    let held: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Epoch)
        .filter(lease.row())
        .lock(LockType::KeyShare)
        .into_tuple()
        .one(transaction)
        .await?;
    Ok(held.is_some())
}
