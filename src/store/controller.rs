//! What concerns the whole controller: what operators want of it, and what its games stand on.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect,
};

use crate::game::InstanceId;
use crate::game::controller::{Binding, ControllerSpec, Ground, Instance};

use super::again::again;
use super::convert::{from_db, to_db};
use super::desired::{Author, Conflict, WriteError};
use super::entity::{controller_spec, instance, outbox_positions};
use super::open::missing;
use super::{Store, StoreError};

/// One change of what is wanted of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerChange {
    /// Touch nothing from now on, for this reason.
    Freeze(String),
    /// Act again.
    Unfreeze,
    /// The deletions that were seen up to this time are meant.
    ConfirmDeletions(jiff::Timestamp),
    /// The games belong to this from now on.
    Rebind(Ground),
}

impl Store {
    /// What operators want of the controller.
    pub async fn controller_spec(&self) -> Result<ControllerSpec, StoreError> {
        Ok(from_row(controller_row(&self.db).await?))
    }

    /// Changes what is wanted of the controller.
    pub async fn change_controller(
        &self,
        change: &ControllerChange,
        author: &Author,
    ) -> Result<ControllerSpec, WriteError> {
        self.change_controller_if(None, std::slice::from_ref(change), author).await
    }

    /// Makes several changes at once, if the row is still at this version.
    pub async fn change_controller_if(
        &self,
        row_version: Option<i64>,
        changes: &[ControllerChange],
        author: &Author,
    ) -> Result<ControllerSpec, WriteError> {
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            let old = controller_spec::Entity::find().lock_exclusive().one(&transaction).await?;
            let old = old.ok_or_else(missing("controller_spec"))?;
            if row_version.is_some_and(|version| version != old.row_version) {
                return Err(WriteError::from(Conflict::Modified));
            }
            let mut row = old.clone().into_active_model();
            for change in changes {
                apply(&mut row, &old, change);
            }
            row.requested_by = Set(author.requested_by.clone());
            row.request_id = Set(author.request_id.clone());
            row.update(&transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        Ok(again(|| self.controller_spec()).await?)
    }

    /// Whose database this is, and what its games stand on.
    pub async fn instance(&self) -> Result<Instance, StoreError> {
        let row = instance::Entity::find().one(&self.db).await?.ok_or_else(missing("instance"))?;
        self.lineage.saw(row.high_water);
        Ok(Instance {
            id: InstanceId(row.instance_id.0),
            docker_engine_id: row.docker_engine_id,
            state_root_bound: row.state_root_bound_at.is_some(),
            high_water: row.high_water,
            observed_rebind_generation: row.observed_rebind_generation,
        })
    }

    /// Writes down what the games stand on from now on.
    pub async fn bind(&self, binding: &Binding) -> Result<(), StoreError> {
        use instance::Column;
        again(|| async {
            let transaction = self.begin_observing().await?;
            let mut change = instance::Entity::update_many();
            if let Some(id) = &binding.docker_engine_id {
                change = change.col_expr(Column::DockerEngineId, Expr::value(id.clone()));
            }
            if binding.state_root {
                change =
                    change.col_expr(Column::StateRootBoundAt, Expr::value(to_db(jiff::Timestamp::now())));
            }
            if let Some(high_water) = binding.high_water {
                change = change.col_expr(Column::HighWater, Expr::value(high_water));
                skip_told(&transaction, high_water).await?;
            }
            if let Some(generation) = binding.rebind_generation {
                change = change.col_expr(Column::ObservedRebindGeneration, Expr::value(generation));
            }
            change.exec(&transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

/// The most events that one recording of one game can tell.
const MOST_EVENTS: i64 = 256;

/// An older copy of the database takes the place of a newer one, from which the lobby has been told
/// more: the numbers of each game's events go on beyond what may have been used.
async fn skip_told(db: &impl ConnectionTrait, high_water: i64) -> Result<(), sea_orm::DbErr> {
    use outbox_positions::{Column, Entity};
    let row = instance::Entity::find().one(db).await?.ok_or_else(missing("instance"))?;
    // Every recording moves the counter, and a game is in each at most once.
    let lost = high_water.saturating_sub(row.high_water).saturating_mul(MOST_EVENTS);
    Entity::update_many()
        .col_expr(Column::OutboxSeq, Expr::col(Column::OutboxSeq).add(lost))
        .exec(db)
        .await?;
    Ok(())
}

fn apply(row: &mut controller_spec::ActiveModel, old: &controller_spec::Model, change: &ControllerChange) {
    match change {
        ControllerChange::Freeze(why) => {
            row.frozen = Set(true);
            row.frozen_because = Set(why.clone());
        }
        ControllerChange::Unfreeze => {
            row.frozen = Set(false);
            row.frozen_because = Set(String::new());
        }
        ControllerChange::ConfirmDeletions(seen_until) => {
            row.deletions_confirmed_at = Set(Some(to_db(not_before(*seen_until))));
        }
        ControllerChange::Rebind(Ground { docker_engine_id, state_root, high_water }) => {
            row.rebind_generation = Set(old.rebind_generation + 1);
            row.rebind_docker_engine_id = Set(docker_engine_id.clone());
            row.rebind_state_root = Set(state_root.clone());
            row.rebind_high_water = Set(*high_water);
        }
    }
}

/// The database keeps microseconds: what was seen at this very time must not seem to be later.
fn not_before(time: jiff::Timestamp) -> jiff::Timestamp {
    if time.subsec_nanosecond() % 1_000 == 0 {
        return time;
    }
    time.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(time)
}

async fn controller_row(db: &impl ConnectionTrait) -> Result<controller_spec::Model, sea_orm::DbErr> {
    controller_spec::Entity::find().one(db).await?.ok_or_else(missing("controller_spec"))
}

fn from_row(row: controller_spec::Model) -> ControllerSpec {
    ControllerSpec {
        frozen: row.frozen,
        frozen_because: row.frozen_because,
        deletions_confirmed_at: row.deletions_confirmed_at.map(from_db),
        rebind_generation: row.rebind_generation,
        rebind: Ground {
            docker_engine_id: row.rebind_docker_engine_id,
            state_root: row.rebind_state_root,
            high_water: row.rebind_high_water,
        },
        requested_by: row.requested_by,
        row_version: row.row_version,
    }
}
