-- The Gamekeeper database, PostgreSQL dialect (14 or newer).
--
-- What a lobby's developer needs to know:
--
--   * These tables live in a schema of their own, `gamekeeper` unless configured otherwise. It may be in the
--     lobby's database, so that one transaction can write the lobby's own rows and these.
--   * You write three tables: engine_versions, games, memberships. Everything else is the
--     controller's, or is kept by triggers; read it, do not write it. The triggers run with the rights of the
--     schema's owner: a lobby's role needs USAGE on the schema, SELECT, INSERT and UPDATE on those three tables,
--     DELETE on memberships, SELECT on the others (manifests/postgres/roles.sql).
--   * A transaction is one change of a game: generation moves once, whatever it writes.
--   * `SELECT * FROM game_status` tells whether a row was accepted and came true.
--   * Any way of writing will do: INSERT, UPDATE, ON CONFLICT DO UPDATE, COPY, DELETE, by hand or in bulk
--     (TRUNCATE is refused). The columns marked "by trigger" are put right whatever was written to them.
--   * A change of desired state is announced with an empty notification on the channel `gamekeeper_desired`
--     (the schema's name and `_desired`).
--
-- The other dialect, with the same tables and columns: ../sqlite/0001_initial.sql

-- Everything below goes to the first schema of the search path. The trigger functions keep exactly that
-- schema (SET search_path FROM CURRENT), so they work whatever the search path of the session that writes.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

----------------------------------------------------------------------------------------------------
-- Desired state: written by lobby and operators
----------------------------------------------------------------------------------------------------

-- Which image an engine version is. A change here makes the version's games be looked at; it moves
-- no game's generation.
CREATE TABLE engine_versions (
    -- A semver without build metadata, in lower case: 1.4.2, 1.5.0-rc.1
    version           text NOT NULL PRIMARY KEY CHECK (
                          length(version) <= 64
                          AND version ~ '^[0-9][0-9a-z.-]*[.][0-9][0-9a-z.-]*[.][0-9][0-9a-z.-]*$'
                          AND version !~ '[.][.]'),
    -- What Docker pulls. Never changes: a new image is a new version.
    image_ref         text NOT NULL CHECK (length(image_ref) BETWEEN 1 AND 512 AND image_ref !~ '[^a-zA-Z0-9._/:@-]'),
    -- A version that is not enabled starts no new game; running ones are left alone.
    enabled           boolean NOT NULL DEFAULT true,
    -- The TCP port the engine listens on, inside its container.
    port              bigint NOT NULL DEFAULT 8080 CHECK (port BETWEEN 1 AND 65535),
    contract          text NOT NULL DEFAULT 'gamekeeper/v1' CHECK (contract IN ('gamekeeper/v1', 'plain/v0')),
    -- The user of the engine's process: 'auto', 'image' or 'uid:gid'.
    run_as            text NOT NULL DEFAULT 'auto' CHECK (run_as ~ '^(auto|image|[0-9]{1,10}:[0-9]{1,10})$'),
    -- The hardening this engine cannot live with: a JSON array of 'new-privileges', 'capabilities', 'writable-root'.
    relaxations       jsonb NOT NULL DEFAULT '[]' CHECK (
                          jsonb_typeof(relaxations) = 'array'
                          AND relaxations <@ '["new-privileges", "capabilities", "writable-root"]'),
    -- {"cpu": "500m", "memory": "256Mi", "pids": "128"}: Kubernetes quantities as strings, each optional.
    resources         jsonb NOT NULL DEFAULT '{}' CHECK (
                          jsonb_typeof(resources) = 'object' AND octet_length(resources::text) <= 256
                          AND resources - ARRAY['cpu', 'memory', 'pids'] = '{}'
                          AND coalesce(jsonb_typeof(resources -> 'cpu'), 'string') = 'string'
                          AND coalesce(jsonb_typeof(resources -> 'memory'), 'string') = 'string'
                          AND coalesce(jsonb_typeof(resources -> 'pids'), 'string') = 'string'),
    labels            jsonb NOT NULL DEFAULT '{}' CHECK (
                          jsonb_typeof(labels) = 'object' AND octet_length(labels::text) <= 16384),
    annotations       jsonb NOT NULL DEFAULT '{}' CHECK (
                          jsonb_typeof(annotations) = 'object' AND octet_length(annotations::text) <= 262144),
    -- Who wrote which field by the API, and what the object was then; by the API, writing it by hand means nothing.
    managed_fields    jsonb NOT NULL DEFAULT '{}' CHECK (
                          jsonb_typeof(managed_fields) = 'object' AND octet_length(managed_fields::text) <= 2097152),
    -- One more asks to go on with patches to this version after too many of them failed.
    resume_generation bigint NOT NULL DEFAULT 0 CHECK (resume_generation >= 0),
    -- Who wrote last, for the audit. Writing these alone counts as no change.
    requested_by      text NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256),
    request_id        text NOT NULL DEFAULT '' CHECK (length(request_id) <= 128),
    -- By trigger: counts changes of what the engine is started with.
    generation        bigint NOT NULL DEFAULT 1,
    -- By trigger: counts all changes.
    row_version       bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now() CHECK (
                          created_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    -- By trigger.
    updated_at        timestamptz NOT NULL DEFAULT now()
);

-- One row per game. Delete the row (or set deletion_requested_at) to end the game.
CREATE TABLE games (
    game_id                    uuid NOT NULL PRIMARY KEY,
    -- Where and under which handle people find the game: RFC 1123 labels, unique together, never changed.
    namespace                  text NOT NULL DEFAULT 'default' CHECK (
                                   namespace ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- Left out, NULL or empty: the game's id.
    name                       text NOT NULL DEFAULT '' CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- For people; any text. No part of the spec.
    display_name               text NOT NULL DEFAULT '' CHECK (length(display_name) <= 256),
    -- {"season": "7"}: strings to select games by.
    labels                     jsonb NOT NULL DEFAULT '{}' CHECK (
                                   jsonb_typeof(labels) = 'object' AND octet_length(labels::text) <= 16384),
    -- {"...": "..."}: strings that others keep with the game.
    annotations                jsonb NOT NULL DEFAULT '{}' CHECK (
                                   jsonb_typeof(annotations) = 'object'
                                   AND octet_length(annotations::text) <= 262144),

    -- The spec. A real change of any column from here to deletion_policy moves `generation`.
    desired_status             text NOT NULL CHECK (desired_status IN ('running', 'stopped')),
    -- Stop at once: do not wait for a turn that is being generated.
    stop_now                   boolean NOT NULL DEFAULT false,
    -- No turn begins while paused; the engine goes on running.
    paused                     boolean NOT NULL DEFAULT false,
    -- The version that should run. Empty or unknown is reported as a mistake of the spec, not refused here.
    target_engine_version      text NOT NULL DEFAULT '' CHECK (
                                   length(target_engine_version) <= 64
                                   AND target_engine_version !~ '[^0-9a-zA-Z.+~^*<>=, -]'),
    -- The one version to which this game may be patched across major.minor; null: none.
    allow_incompatible_version text CHECK (
                                   length(allow_incompatible_version) <= 64
                                   AND allow_incompatible_version !~ '[^0-9a-zA-Z.+-]'),
    -- When turns are generated: cron, five fields, or six with seconds first. Empty: only when forced.
    turn_schedule              text NOT NULL DEFAULT '' CHECK (length(turn_schedule) <= 256),
    -- The IANA time zone in which turn_schedule is read.
    time_zone                  text NOT NULL DEFAULT 'UTC' CHECK (
                                   length(time_zone) BETWEEN 1 AND 64 AND time_zone !~ '[^a-zA-Z0-9_+/-]'),
    -- Slots missed while nothing could fire them: 'once' fires one turn for all of them, 'skip' none.
    missed_turns               text NOT NULL DEFAULT 'once' CHECK (missed_turns IN ('once', 'skip')),
    -- No slot fires earlier; the slots before it collapse into one that is due then.
    turn_not_before            timestamptz CHECK (
                                   turn_not_before BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    -- A forced turn takes the place of the next slot ('advance') or comes on top ('extra').
    force_mode                 text NOT NULL DEFAULT 'advance' CHECK (force_mode IN ('advance', 'extra')),
    -- Requests: one more asks for one. They never go down; the values at the first INSERT ask for nothing.
    restart_generation         bigint NOT NULL DEFAULT 0 CHECK (restart_generation >= 0),
    force_turn_generation      bigint NOT NULL DEFAULT 0 CHECK (force_turn_generation >= 0),
    -- Try a failed patch again.
    patch_generation           bigint NOT NULL DEFAULT 0 CHECK (patch_generation >= 0),
    -- A person has looked at what blocks the game; go on as the message said.
    unblock_generation         bigint NOT NULL DEFAULT 0 CHECK (unblock_generation >= 0),
    -- Put the kept copy restore_backup_id back.
    restore_generation         bigint NOT NULL DEFAULT 0 CHECK (restore_generation >= 0),
    restore_backup_id          text CHECK (
                                   restore_backup_id ~ '^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,127}$'
                                   AND restore_backup_id !~ '[.][.]'),
    -- Take a copy of the state now, and keep it.
    backup_generation          bigint NOT NULL DEFAULT 0 CHECK (backup_generation >= 0),
    -- No turn is generated before a copy of the state was taken.
    backup_before_turn         boolean NOT NULL DEFAULT false,
    -- By trigger: counts changes of the game's memberships.
    membership_revision        bigint NOT NULL DEFAULT 0,
    -- {"cpu": "500m", "memory": "256Mi", "pids": "128"}: Kubernetes quantities as strings, each optional.
    resources                  jsonb NOT NULL DEFAULT '{}' CHECK (
                                   jsonb_typeof(resources) = 'object' AND octet_length(resources::text) <= 256
                                   AND resources - ARRAY['cpu', 'memory', 'pids'] = '{}'
                                   AND coalesce(jsonb_typeof(resources -> 'cpu'), 'string') = 'string'
                                   AND coalesce(jsonb_typeof(resources -> 'memory'), 'string') = 'string'
                                   AND coalesce(jsonb_typeof(resources -> 'pids'), 'string') = 'string'),
    -- What becomes of the state directory when the game is deleted.
    deletion_policy            text NOT NULL DEFAULT 'retain' CHECK (deletion_policy IN ('retain', 'delete')),

    -- Not spec. Who wrote last, for the audit; writing these three alone counts as no change.
    requested_by               text NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256),
    request_id                 text NOT NULL DEFAULT '' CHECK (length(request_id) <= 128),
    source                     text NOT NULL DEFAULT 'lobby' CHECK (source IN ('lobby', 'operator', 'manifest')),
    -- By trigger: game_managers.revision.
    managed_revision           bigint NOT NULL DEFAULT 0,
    -- By trigger: counts changes of the spec, from 1; goes on where it was if the game is deleted and made again.
    generation                 bigint NOT NULL DEFAULT 1,
    -- By trigger: counts all changes.
    row_version                bigint NOT NULL DEFAULT 1,
    -- Set once, the deletion begins at once and cannot be taken back; the controller deletes the row at its end.
    deletion_requested_at      timestamptz CHECK (
                                   deletion_requested_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    created_at                 timestamptz NOT NULL DEFAULT now() CHECK (
                                   created_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    -- By trigger: when row_version last moved.
    updated_at                 timestamptz NOT NULL DEFAULT now(),
    UNIQUE (namespace, name)
);

-- Who plays in which game. The game's row comes first; the memberships go with it. (Kept so by the triggers,
-- as on SQLite, where a client may have foreign keys switched off.)
CREATE TABLE memberships (
    game_id    uuid NOT NULL,
    user_id    uuid NOT NULL,
    -- Unique among the game's active members.
    race_name  text NOT NULL CHECK (
                   length(race_name) BETWEEN 1 AND 64 AND btrim(race_name) <> ''
                   AND race_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    status     text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'removed')),
    created_at timestamptz NOT NULL DEFAULT now() CHECK (
                   created_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    -- By trigger.
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (game_id, user_id)
);

CREATE UNIQUE INDEX memberships_one_active_race ON memberships (game_id, race_name) WHERE status = 'active';

-- Who wrote which field of a game by the API, and what the object was then. Written by the API, and gone with the
-- game; beside the game's row, for it grows with the number of members, and that row is written often.
CREATE TABLE game_managers (
    game_id        uuid NOT NULL PRIMARY KEY,
    -- Moves with every change of who wrote what.
    revision       bigint NOT NULL DEFAULT 0,
    managed_fields jsonb NOT NULL DEFAULT '{}' CHECK (
                       jsonb_typeof(managed_fields) = 'object' AND octet_length(managed_fields::text) <= 4194304)
);

----------------------------------------------------------------------------------------------------
-- Written by triggers as desired state changes
----------------------------------------------------------------------------------------------------

-- One row per transaction that really changed a game: which columns went from what to what, and who asked.
CREATE TABLE game_changes (
    change_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    game_id      uuid NOT NULL,
    change       text NOT NULL CHECK (change IN ('created', 'changed', 'deleted')),
    -- After the change.
    generation   bigint NOT NULL,
    row_version  bigint NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL DEFAULT '',
    request_id   text NOT NULL DEFAULT '',
    source       text NOT NULL DEFAULT 'lobby',
    -- {"paused": {"from": false, "to": true}}; where memberships changed also "member": {"user_id", "race_name", "status"},
    -- or "members", a list of such.
    changes      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(changes) = 'object'),
    -- The transaction that made the change, as PostgreSQL counts them: what else it changes of the game is part
    -- of the same change.
    xact         bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);

CREATE INDEX game_changes_by_game ON game_changes (game_id, change_id);
CREATE INDEX game_changes_by_age ON game_changes (changed_at);

-- The memberships that a transaction has changed so far, one row per statement and game. They become part of its
-- row in game_changes when it commits, so that a game with many members is written once and not once per member.
-- Empty but for transactions under way. Neither for reading nor for writing by anybody else.
CREATE TABLE membership_writes (
    write_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    game_id   uuid NOT NULL,
    change_id bigint NOT NULL,
    members   jsonb NOT NULL
);

CREATE INDEX membership_writes_by_change ON membership_writes (change_id);

-- What is left of a deleted row, so that the controller knows what to tear down and how, and so that a game
-- made again under the same id goes on counting. Keep the last one of each game.
CREATE TABLE game_tombstones (
    game_id               uuid NOT NULL,
    -- The game's last ones.
    generation            bigint NOT NULL,
    row_version           bigint NOT NULL,
    membership_revision   bigint NOT NULL,
    namespace             text NOT NULL,
    name                  text NOT NULL,
    deletion_policy       text NOT NULL CHECK (deletion_policy IN ('retain', 'delete')),
    -- The memberships that went with it, as a JSON array of their rows.
    memberships           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(memberships) = 'array'),
    requested_by          text NOT NULL DEFAULT '',
    request_id            text NOT NULL DEFAULT '',
    deletion_requested_at timestamptz,
    deleted_at            timestamptz NOT NULL DEFAULT now(),
    -- Set by the controller when the deletion is done, or by trigger when the game is made again.
    handled_at            timestamptz,
    PRIMARY KEY (game_id, generation)
);

CREATE INDEX game_tombstones_open ON game_tombstones (deleted_at) WHERE handled_at IS NULL;

-- The same for a deleted engine version.
CREATE TABLE engine_version_tombstones (
    version      text NOT NULL,
    generation   bigint NOT NULL,
    row_version  bigint NOT NULL,
    image_ref    text NOT NULL,
    requested_by text NOT NULL DEFAULT '',
    request_id   text NOT NULL DEFAULT '',
    deleted_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version, generation)
);

----------------------------------------------------------------------------------------------------
-- Observed state: written by the controller alone. No foreign keys: history outlives the game.
----------------------------------------------------------------------------------------------------

-- One row whose `seq` moves with every transaction that wrote what the API shows of observed state. A row to count
-- in does no harm here, where there is one writer, and whoever else writes has it for the commit alone; and what
-- waits for a row's lock also commits in its order.
-- `forgotten` moves when events are.
CREATE TABLE observed_feed (
    id        bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    seq       bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
    forgotten bigint NOT NULL DEFAULT 0 CHECK (forgotten >= 0)
);

INSERT INTO observed_feed (id, seq) VALUES (1, 0);

-- What is known of each game that was ever seen.
CREATE TABLE runtime_records (
    game_id                         uuid NOT NULL PRIMARY KEY,
    -- Copied from the game, whose row may be gone.
    namespace                       text NOT NULL DEFAULT 'default',
    name                            text NOT NULL,
    status                          text NOT NULL DEFAULT 'pending' CHECK (
                                        status IN ( 'pending', 'starting', 'running', 'stopping', 'stopped', 'finished', 'engine_unreachable', 'crash_loop', 'patching', 'invalid', 'blocked', 'unknown')),
    -- The headline: a CamelCase word and a sentence.
    reason                          text NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message                         text NOT NULL DEFAULT '' CHECK (length(message) <= 4096),
    -- Kubernetes' conditions: [{"type", "status", "reason", "message", "observedGeneration", "lastTransitionTime"}]
    conditions                      jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(conditions) = 'array'),
    -- The generation from which this row was computed; 0: none yet.
    observed_generation             bigint NOT NULL DEFAULT 0 CHECK (observed_generation >= 0),

    -- The container, and what it was made from.
    current_container_id            text,
    -- Docker's own text, only ever compared for equality: the daemon's clock is not ours.
    current_container_started_at    text,
    current_image_ref               text,
    current_image_id                text,
    current_engine_version          text,
    -- The declared inputs the engine was built from; healing uses them.
    applied_spec                    jsonb CHECK (jsonb_typeof(applied_spec) = 'object'),
    -- Where the engine is reached: one URL, and all that is known. Null unless it is serving.
    engine_endpoint                 text,
    endpoints                       jsonb CHECK (jsonb_typeof(endpoints) = 'object'),
    -- On the host.
    state_path                      text,
    docker_network                  text,
    engine_health                   text NOT NULL DEFAULT 'unknown' CHECK (
                                        engine_health IN ('unknown', 'starting', 'healthy', 'unhealthy')),

    -- Turns.
    current_turn                    bigint CHECK (current_turn >= 0),
    -- Which history of the game this is; a restore begins the next.
    timeline                        bigint NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    next_turn_at                    timestamptz,
    -- Slots up to here are decided.
    -- When what its engine says was last kept in runtime_health_snapshots.
    reported_at                     timestamptz,
    slot_cursor                     timestamptz,
    -- The schedule and zone that the cursor belongs to: another one begins at the time it is seen.
    scheduled_by                    text CHECK (length(scheduled_by) <= 512),
    -- A turn in flight has until then to end before the engine is stopped all the same.
    turn_wait_until                 timestamptz,

    -- Milestones. init_intent_at is set before the engine is asked to initialise, initialized_at after it said it has.
    init_intent_at                  timestamptz,
    -- A digest of the names in the state directory before the engine was asked; tells an initialisation that left
    -- traces from one that did not.
    init_baseline                   text CHECK (length(init_baseline) <= 128),
    initialized_at                  timestamptz,
    -- When the pause was acknowledged: no turn began after it. Null: not paused.
    paused_at                       timestamptz,
    started_at                      timestamptz,
    stopped_at                      timestamptz,
    finished_at                     timestamptz,
    last_observed_at                timestamptz,

    -- What it was blocked by when it last was; other headlines may stand over it.
    blocked_by                      text CHECK (length(blocked_by) <= 128),
    -- What keeps the game from going on now: ["the next attempt", ...]
    waiting_on                      jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(waiting_on) = 'array'),
    -- Words for what is left until the game is as its spec says; empty: nothing; null: nobody has looked yet.
    left_to_do                      jsonb CHECK (jsonb_typeof(left_to_do) = 'array'),
    -- When the controller first saw that the game is to be deleted; grace and guard count from here.
    deletion_seen_at                timestamptz,
    -- What the guard against mass deletion decided about the present deletion.
    deletion_guard                  text CHECK (deletion_guard IN ('counted', 'begun', 'held', 'confirmed')),
    -- The latest confirmation when it decided: that one was given for others.
    deletion_confirmed_before       timestamptz,
    -- Since when the state is being removed, which a row that comes back does not call off.
    erasing_since                   timestamptz,

    -- Starts and failures.
    -- The open operation, if any.
    operation_id                    uuid,
    -- By the controller's clock; the present start's deadline counts from here.
    start_began_at                  timestamptz,
    healthy_since                   timestamptz,
    -- In a row; drives the backoff.
    failures                        bigint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- Ever.
    restart_count                   bigint NOT NULL DEFAULT 0 CHECK (restart_count >= 0),
    next_attempt_at                 timestamptz,
    -- Restart once, away from this container.
    restart_from_container_id       text,
    -- Docker would not start it because a process of it may be alive, and the host could not be asked.
    may_be_alive_container_id       text,
    last_exit_code                  bigint,
    last_exit_oom                   boolean,
    last_exit_at                    timestamptz,
    last_exit_reason                text CHECK (length(last_exit_reason) <= 4096),
    -- Which process that was: container and Docker's own start time.
    last_exit_container_id          text,
    last_exit_started_at            text,
    last_log_lines                  text CHECK (length(last_log_lines) <= 65536),

    -- The change of version that is under way: from what, the copy of the state, how far it is.
    patch                           jsonb CHECK (jsonb_typeof(patch) = 'object'),
    -- The copy of the state that is being taken, on demand or before a turn, and why it is not there yet.
    copying                         jsonb CHECK (jsonb_typeof(copying) = 'object'),
    -- Why a change of version that is wanted does not begin yet.
    patch_delay                     jsonb CHECK (jsonb_typeof(patch_delay) = 'object'),
    -- The kept copy that is being put back.
    put_back                        jsonb CHECK (jsonb_typeof(put_back) = 'object'),
    -- {"version", "image", "reason", "message"} of the patch that failed last and was not asked for again.
    failed_patch                    jsonb CHECK (jsonb_typeof(failed_patch) = 'object'),

    -- Requests that are done. Null: never seen, so nothing is outstanding.
    observed_restart_generation     bigint CHECK (observed_restart_generation >= 0),
    observed_force_turn_generation  bigint CHECK (observed_force_turn_generation >= 0),
    observed_patch_generation       bigint CHECK (observed_patch_generation >= 0),
    observed_unblock_generation     bigint CHECK (observed_unblock_generation >= 0),
    observed_restore_generation     bigint CHECK (observed_restore_generation >= 0),
    observed_backup_generation      bigint CHECK (observed_backup_generation >= 0),
    observed_membership_revision    bigint CHECK (observed_membership_revision >= 0),

    -- The number of the game's last event in lobby_outbox; 0: none.
    outbox_seq                      bigint NOT NULL DEFAULT 0 CHECK (outbox_seq >= 0),
    -- The leadership that wrote last.
    epoch                           bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    -- Set when the game's deletion is done; the row stays as history.
    deleted_at                      timestamptz,
    -- One more with each write.
    record_version                  bigint NOT NULL DEFAULT 1 CHECK (record_version >= 0),
    -- By trigger: where observed_feed stood at that write.
    changed_seq                     bigint NOT NULL DEFAULT 0,
    updated_at                      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX runtime_records_by_name ON runtime_records (namespace, name);
CREATE INDEX runtime_records_by_change ON runtime_records (changed_seq);

-- Which player of the engine a user is. Present while the game has an engine.
CREATE TABLE player_mappings (
    game_id            uuid NOT NULL,
    user_id            uuid NOT NULL,
    race_name          text NOT NULL CHECK (length(race_name) BETWEEN 1 AND 64),
    -- The engine's own id where it reports one.
    engine_player_uuid uuid NOT NULL,
    -- false: removed from the game; refused at once.
    active             boolean NOT NULL DEFAULT true,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (game_id, user_id)
);

-- How each user does, now and at the best so far. Outlives the mappings.
CREATE TABLE player_stats (
    game_id        uuid NOT NULL,
    user_id        uuid NOT NULL,
    race_name      text NOT NULL CHECK (length(race_name) BETWEEN 1 AND 64),
    timeline       bigint NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    -- The turn at which planets and population were reported.
    turn           bigint NOT NULL CHECK (turn >= 0),
    planets        bigint NOT NULL DEFAULT 0 CHECK (planets >= 0),
    population     bigint NOT NULL DEFAULT 0 CHECK (population >= 0),
    max_planets    bigint NOT NULL DEFAULT 0 CHECK (max_planets >= 0),
    max_population bigint NOT NULL DEFAULT 0 CHECK (max_population >= 0),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (game_id, user_id)
);

-- The ledger: at most one generation per game, timeline and number.
CREATE TABLE turns (
    game_id              uuid NOT NULL,
    timeline             bigint NOT NULL CHECK (timeline >= 1),
    -- The turn that is generated: N + 1 while the engine is at N.
    number               bigint NOT NULL CHECK (number >= 1),
    cause                text NOT NULL CHECK (cause IN ('schedule', 'forced')),
    -- The slot it was due at; null for a forced turn that took none.
    slot                 timestamptz,
    -- 'failed' and 'abandoned' can be reopened.
    state                text NOT NULL DEFAULT 'pending' CHECK (
                             state IN ('pending', 'dispatched', 'done', 'failed', 'abandoned', 'rolled_back')),
    -- How often the engine was asked.
    attempts             bigint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Which process was asked last: container and Docker's own start time.
    container_id         text,
    container_started_at text,
    operation_id         uuid,
    requested_by         text NOT NULL DEFAULT '',
    request_id           text NOT NULL DEFAULT '',
    opened_at            timestamptz NOT NULL DEFAULT now(),
    dispatched_at        timestamptz,
    deadline_at          timestamptz,
    finished_at          timestamptz,
    error_code           text CHECK (length(error_code) <= 128),
    error_message        text CHECK (length(error_message) <= 4096),
    PRIMARY KEY (game_id, timeline, number)
);

CREATE UNIQUE INDEX turns_one_per_slot ON turns (game_id, timeline, slot) WHERE slot IS NOT NULL;
CREATE INDEX turns_open ON turns (game_id) WHERE state IN ('pending', 'dispatched', 'failed');
CREATE INDEX turns_by_age ON turns (opened_at);

-- What was decided about each slot and why: the answer to "why was there no turn at 18:00".
CREATE TABLE turn_slots (
    game_id     uuid NOT NULL,
    timeline    bigint NOT NULL CHECK (timeline >= 1),
    slot        timestamptz NOT NULL,
    -- 'coalesced': one turn stood for several slots. 'consumed': a forced turn took its place.
    decision    text NOT NULL CHECK (decision IN ('fired', 'coalesced', 'skipped', 'deferred', 'consumed')),
    reason      text NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message     text NOT NULL DEFAULT '' CHECK (length(message) <= 1024),
    turn_number bigint CHECK (turn_number >= 1),
    decided_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (game_id, timeline, slot)
);

CREATE INDEX turn_slots_by_age ON turn_slots (decided_at);
CREATE INDEX turn_slots_waiting ON turn_slots (game_id) WHERE decision = 'deferred';

-- What each engine reported, when; bounded by age and count.
CREATE TABLE runtime_health_snapshots (
    snapshot_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    game_id       uuid NOT NULL,
    observed_at   timestamptz NOT NULL,
    container_id  text,
    engine_health text NOT NULL CHECK (engine_health IN ('unknown', 'starting', 'healthy', 'unhealthy')),
    timeline      bigint NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    turn          bigint CHECK (turn >= 0),
    generating    boolean,
    finished      boolean,
    -- The engine's answer as it was understood.
    payload       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    error_message text CHECK (length(error_message) <= 4096)
);

CREATE INDEX runtime_health_snapshots_by_game ON runtime_health_snapshots (game_id, observed_at);
CREATE INDEX runtime_health_snapshots_by_age ON runtime_health_snapshots (observed_at);

-- The audit: why each convergence began, who asked, how it ended. Written before the first side effect
-- and closed exactly once.
CREATE TABLE operation_log (
    operation_id  uuid NOT NULL PRIMARY KEY,
    game_id       uuid NOT NULL,
    op            text NOT NULL CHECK (
                      op IN ('start', 'stop', 'restart', 'patch', 'rollback', 'heal', 'pause', 'resume', 'force_next_turn', 'turn', 'restore', 'backup', 'delete', 'adopt')),
    source        text NOT NULL CHECK (source IN ('lobby', 'operator', 'manifest', 'schedule', 'controller')),
    requested_by  text NOT NULL DEFAULT '',
    request_id    text NOT NULL DEFAULT '',
    -- The generation of the spec that asked for it.
    generation    bigint NOT NULL DEFAULT 0 CHECK (generation >= 0),
    cause         text NOT NULL DEFAULT '' CHECK (length(cause) <= 1024),
    from_version  text,
    to_version    text,
    status        text NOT NULL DEFAULT 'queued' CHECK (
                      status IN ('queued', 'running', 'succeeded', 'failed', 'superseded')),
    error_code    text CHECK (length(error_code) <= 128),
    error_message text CHECK (length(error_message) <= 4096),
    image_ref     text,
    container_id  text,
    epoch         bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
);

CREATE INDEX operation_log_open ON operation_log (game_id) WHERE status IN ('queued', 'running');
CREATE INDEX operation_log_by_game ON operation_log (game_id, generation);
CREATE INDEX operation_log_by_age ON operation_log (created_at);

-- What the lobby is told, in order of `seq` for each game; written with the status it tells of.
CREATE TABLE lobby_outbox (
    -- The same at every delivery.
    event_id        uuid NOT NULL PRIMARY KEY,
    game_id         uuid NOT NULL,
    -- 1, 2, 3 … without gaps for each game.
    seq             bigint NOT NULL CHECK (seq >= 1),
    timeline        bigint NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    type            text NOT NULL CHECK (length(type) BETWEEN 1 AND 128),
    occurred_at     timestamptz NOT NULL,
    payload         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    attempts        bigint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How many of the attempts the lobby refused; a lobby that is away refuses nothing.
    refusals        bigint NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    next_attempt_at timestamptz,
    last_error      text CHECK (length(last_error) <= 1024),
    delivered_at    timestamptz,
    -- Delivery 'pull': the lobby sets this one column.
    acked_at        timestamptz CHECK (isfinite(acked_at)),
    -- Refused too often; kept to be seen, holds up nothing.
    set_aside_at    timestamptz,
    UNIQUE (game_id, seq)
);

-- Of each game the oldest open event, and how much there is, are read from this index alone.
CREATE INDEX lobby_outbox_open ON lobby_outbox (game_id, seq, next_attempt_at, occurred_at)
    WHERE delivered_at IS NULL AND acked_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX lobby_outbox_by_age ON lobby_outbox (occurred_at);

-- Kubernetes-style events: counted rather than repeated.
CREATE TABLE events (
    event_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What it is about: 'Game', 'EngineVersion', 'Controller'; uid is the game's id, else empty.
    namespace text NOT NULL DEFAULT 'default' CHECK (length(namespace) <= 63),
    kind      text NOT NULL CHECK (length(kind) BETWEEN 1 AND 63),
    name      text NOT NULL CHECK (length(name) <= 253),
    uid       text NOT NULL DEFAULT '' CHECK (length(uid) <= 36),
    type      text NOT NULL CHECK (type IN ('normal', 'warning')),
    reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 128),
    -- At most 1024 bytes.
    message   text NOT NULL DEFAULT '' CHECK (octet_length(message) <= 1024),
    count     bigint NOT NULL DEFAULT 1 CHECK (count >= 1),
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    -- By trigger: where observed_feed stood when it was counted last.
    changed_seq bigint NOT NULL DEFAULT 0,
    UNIQUE (kind, namespace, name, uid, type, reason, message)
);

CREATE INDEX events_by_game ON events (uid, last_at);
CREATE INDEX events_by_age ON events (last_at);
CREATE INDEX events_by_change ON events (changed_seq);

-- How each engine version does across games: patches to it halt when too many failed.
CREATE TABLE version_records (
    version                    text NOT NULL PRIMARY KEY,
    patch_failures             bigint NOT NULL DEFAULT 0 CHECK (patch_failures >= 0),
    halted_at                  timestamptz,
    reason                     text NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message                    text NOT NULL DEFAULT '' CHECK (length(message) <= 4096),
    observed_resume_generation bigint CHECK (observed_resume_generation >= 0),
    updated_at                 timestamptz NOT NULL DEFAULT now()
);

-- Whose database this is. Minted here, once; stamped on every container and on the state root.
CREATE TABLE instance (
    id                     bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    instance_id            uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The Docker Engine it was first used with; null: none yet.
    docker_engine_id       text,
    -- Grows, and is also kept in the state root: a database that is behind it is an old copy.
    high_water             bigint NOT NULL DEFAULT 0 CHECK (high_water >= 0),
    -- When its sentinel was put into the state root; null: not yet.
    state_root_bound_at    timestamptz,
    -- The last controller_spec.rebind_generation that came true.
    observed_rebind_generation bigint NOT NULL DEFAULT 0 CHECK (observed_rebind_generation >= 0),
    created_at             timestamptz NOT NULL DEFAULT now()
);

INSERT INTO instance (id) VALUES (1);

-- What operators want of the whole controller. Desired state: one row, written by people, read by the controller.
CREATE TABLE controller_spec (
    id                       bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Look, show, and touch nothing.
    frozen                   boolean NOT NULL DEFAULT false,
    frozen_because           text NOT NULL DEFAULT '' CHECK (length(frozen_because) <= 1024),
    -- The many deletions that were seen up to this time are meant.
    deletions_confirmed_at   timestamptz,
    -- One more: the games belong to what is named here from now on, if that is still what is found.
    rebind_generation        bigint NOT NULL DEFAULT 0 CHECK (rebind_generation >= 0),
    rebind_docker_engine_id  text CHECK (length(rebind_docker_engine_id) <= 256),
    -- The instance id in the state root's sentinel; empty: it has none.
    rebind_state_root        text CHECK (length(rebind_state_root) <= 256),
    rebind_high_water        bigint CHECK (rebind_high_water >= 0),
    -- Who wrote last, for the audit.
    requested_by             text NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256),
    request_id               text NOT NULL DEFAULT '' CHECK (length(request_id) <= 128),
    -- By trigger: counts all changes.
    row_version              bigint NOT NULL DEFAULT 1,
    updated_at               timestamptz NOT NULL DEFAULT now()
);

INSERT INTO controller_spec (id) VALUES (1);

-- Who may ask the API, beside the administrator whose token is kept in each server's data directory. Written by the
-- API alone; a row does not change, it goes, and another comes.
CREATE TABLE access_tokens (
    token_id   uuid NOT NULL PRIMARY KEY,
    -- Who has it, as the audit names them: an RFC 1123 label.
    name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'lobby', 'admin')),
    -- The namespaces that it is good for, a JSON array of names; empty: all of them.
    namespaces jsonb NOT NULL DEFAULT '[]' CHECK (
                   jsonb_typeof(namespaces) = 'array' AND octet_length(namespaces::text) <= 8192),
    -- Of the token; nobody can get back from it to what is sent.
    sha256     text NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- Who made it.
    created_by text NOT NULL DEFAULT '' CHECK (length(created_by) <= 256),
    request_id text NOT NULL DEFAULT '' CHECK (length(request_id) <= 128),
    created_at timestamptz NOT NULL DEFAULT now() CHECK (isfinite(created_at)),
    -- From then on it is refused; null: never.
    expires_at timestamptz CHECK (isfinite(expires_at))
);

-- Moves with every token that comes or goes, so that servers look at them again.
CREATE TABLE access_feed (
    id  bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL DEFAULT 0
);

INSERT INTO access_feed (id, seq) VALUES (1, 0);

-- Who leads, and in which epoch.
CREATE TABLE leases (
    name        text NOT NULL PRIMARY KEY,
    holder      text NOT NULL CHECK (length(holder) <= 256),
    epoch       bigint NOT NULL CHECK (epoch >= 1),
    -- Random for each leadership: after a failover to a replica that lags behind an epoch is given out once more, and
    -- of two who have it the one leads whose tenure this is.
    tenure_id   uuid NOT NULL,
    acquired_at timestamptz NOT NULL,
    renewed_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    -- Makes the epoch a part of a key: whoever writes observed state holds the row FOR KEY SHARE, which a change of
    -- the epoch has to wait for, and a renewal (of the times alone) does not.
    UNIQUE (name, epoch)
);

-- What this schema is, and the oldest gamekeeper that may use it.
CREATE TABLE schema_info (
    id         bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    version    bigint NOT NULL CHECK (version >= 1),
    min_binary text NOT NULL
);

INSERT INTO schema_info (id, version, min_binary) VALUES (1, 1, '0.1.0');

-- Moves with every change of desired state. Derived, not counted: a row to count in would make the lobby's
-- transactions wait for each other.
CREATE VIEW desired_feed AS
SELECT 1::bigint AS id,
       ((SELECT coalesce(max(change_id), 0) FROM game_changes)
      + (SELECT coalesce(sum(row_version), 0) FROM engine_versions)
      + (SELECT coalesce(sum(row_version + 1), 0) FROM engine_version_tombstones)
      + (SELECT row_version FROM controller_spec))::bigint AS seq;

----------------------------------------------------------------------------------------------------
-- How a lobby learns whether its row was accepted and came true
----------------------------------------------------------------------------------------------------

-- settled: the controller has seen this generation, it came true, and there is nothing left to do for it.
-- ready:   the game is as it should be (a stopped game that should be stopped is ready). Settled games are ready.
CREATE VIEW game_status AS
SELECT
    g.game_id, g.namespace, g.name, g.display_name,
    g.desired_status, g.paused, g.target_engine_version, g.generation, g.row_version, g.deletion_requested_at,
    coalesce(r.status, 'pending') AS status,
    coalesce(r.observed_generation, 0) AS observed_generation,
    (
        r.game_id IS NOT NULL
        AND r.observed_generation = g.generation
        AND g.deletion_requested_at IS NULL
        -- The controller leaves what is left of that generation here; it alone computes it.
        AND coalesce(jsonb_array_length(r.left_to_do) = 0, false)
    ) AS settled,
    coalesce(
        (SELECT c ->> 'status' = 'True' FROM jsonb_array_elements(r.conditions) AS c WHERE c ->> 'type' = 'Ready' LIMIT 1),
        CASE g.desired_status WHEN 'stopped' THEN r.status = 'stopped' ELSE r.status IN ('running', 'finished') END,
        false
    ) AS ready,
    coalesce(r.reason, 'NotObserved') AS reason,
    coalesce(r.message, 'the controller has not seen this game yet') AS message,
    r.current_engine_version, r.current_turn, r.timeline, r.next_turn_at, r.engine_health, r.engine_endpoint,
    r.paused_at, r.started_at, r.stopped_at, r.finished_at, r.last_observed_at,
    coalesce(r.outbox_seq, 0) AS outbox_seq,
    -- What is left of this generation, and what is waited for, in words; null: nobody has looked.
    r.left_to_do, r.waiting_on
FROM games AS g
LEFT JOIN runtime_records AS r ON r.game_id = g.game_id;

----------------------------------------------------------------------------------------------------
-- The triggers on observed state
----------------------------------------------------------------------------------------------------

CREATE FUNCTION operation_log_closed_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'operation_log: the operation is already closed' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER operation_log_closed_once
BEFORE UPDATE ON operation_log FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL
      AND (NEW.status, NEW.finished_at, NEW.error_code, NEW.error_message)
          IS DISTINCT FROM (OLD.status, OLD.finished_at, OLD.error_code, OLD.error_message))
EXECUTE FUNCTION operation_log_closed_once();

-- The number of this transaction in observed_feed, which it leaves in each row that it writes, so that whoever
-- follows reads what changed and nothing else. Counted and announced once. It holds the counter's row until the
-- transaction ends, and everybody who writes observed state needs that.
CREATE FUNCTION observed_seq() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    mine text := current_schema() || ' ';
    counted text := current_setting('gamekeeper.observed_seq', true);
    number bigint;
BEGIN
    IF starts_with(counted, mine) THEN
        RETURN substr(counted, length(mine) + 1)::bigint;
    END IF;
    UPDATE observed_feed SET seq = seq + 1 RETURNING seq INTO number;
    PERFORM set_config('gamekeeper.observed_seq', mine || number, true);
    PERFORM pg_notify(current_schema() || '_observed', '');
    RETURN number;
END $$;

-- The same for events that are forgotten.
CREATE FUNCTION observed_forgotten() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('gamekeeper.observed_forgotten', true) = current_schema() THEN
        RETURN;
    END IF;
    UPDATE observed_feed SET forgotten = forgotten + 1;
    PERFORM set_config('gamekeeper.observed_forgotten', current_schema(), true);
    PERFORM pg_notify(current_schema() || '_observed', '');
END $$;

-- Gamekeeper's own transactions are short, and number their rows as they write them. Whoever else writes observed
-- state, as a person at a prompt does, may leave the transaction open for as long as they like: their rows get their
-- number as it commits, so that nobody waits for them meanwhile. It is larger than any that was seen before.
CREATE FUNCTION numbered_at_once() RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(current_setting('gamekeeper.numbered', true), '') = 'at once'
$$;

CREATE FUNCTION observed_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF numbered_at_once() THEN
        NEW.changed_seq := observed_seq();
    ELSIF TG_OP = 'UPDATE' THEN
        NEW.changed_seq := OLD.changed_seq;
    ELSE
        NEW.changed_seq := 0;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION version_records_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF numbered_at_once() THEN
        PERFORM observed_seq();
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION events_after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF numbered_at_once() AND EXISTS (SELECT 1 FROM forgotten) THEN
        PERFORM observed_forgotten();
    END IF;
    RETURN NULL;
END $$;

-- At the end of a transaction that did not number its rows at once.
CREATE FUNCTION observed_at_end() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    before text := coalesce(current_setting('gamekeeper.numbered', true), '');
    number bigint;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM observed_forgotten();
        RETURN NULL;
    END IF;
    number := observed_seq();
    PERFORM set_config('gamekeeper.numbered', 'at once', true);
    IF TG_TABLE_NAME = 'runtime_records' THEN
        UPDATE runtime_records SET changed_seq = number WHERE game_id = NEW.game_id AND changed_seq <> number;
    ELSIF TG_TABLE_NAME = 'events' THEN
        UPDATE events SET changed_seq = number WHERE event_id = NEW.event_id AND changed_seq <> number;
    END IF;
    PERFORM set_config('gamekeeper.numbered', before, true);
    RETURN NULL;
END $$;

CREATE TRIGGER events_after_delete AFTER DELETE ON events
REFERENCING OLD TABLE AS forgotten FOR EACH STATEMENT EXECUTE FUNCTION events_after_delete();
CREATE TRIGGER observed_before_write
BEFORE INSERT OR UPDATE ON runtime_records FOR EACH ROW EXECUTE FUNCTION observed_before_write();
CREATE TRIGGER observed_before_write
BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION observed_before_write();
CREATE TRIGGER version_records_before_write
BEFORE INSERT OR UPDATE ON version_records FOR EACH ROW EXECUTE FUNCTION version_records_before_write();

-- (Not by the function: whoever writes would need the right to call it.)
CREATE CONSTRAINT TRIGGER observed_at_end AFTER INSERT OR UPDATE ON runtime_records
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (coalesce(current_setting('gamekeeper.numbered', true), '') <> 'at once') EXECUTE FUNCTION observed_at_end();
CREATE CONSTRAINT TRIGGER observed_at_end AFTER INSERT OR UPDATE OR DELETE ON events
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (coalesce(current_setting('gamekeeper.numbered', true), '') <> 'at once') EXECUTE FUNCTION observed_at_end();
CREATE CONSTRAINT TRIGGER observed_at_end AFTER INSERT OR UPDATE ON version_records
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (coalesce(current_setting('gamekeeper.numbered', true), '') <> 'at once') EXECUTE FUNCTION observed_at_end();

-- The transactions behind the xmax of a row that is locked: itself, or those that it stands for, if several have
-- locked the row. (Nothing that can be asked says which of the two a number is; one that runs is itself.)
CREATE FUNCTION lockers(locked xid) RETURNS SETOF xid
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_locks AS l WHERE l.locktype = 'transactionid' AND l.transactionid = locked AND l.granted) THEN
        RETURN NEXT locked;
    ELSE
        RETURN QUERY SELECT m.xid FROM pg_get_multixact_members(locked) AS m;
    END IF;
EXCEPTION WHEN OTHERS THEN
    -- There is no such group: it has ended.
    RETURN;
END $$;

----------------------------------------------------------------------------------------------------
-- The triggers on desired state
----------------------------------------------------------------------------------------------------

-- What counts as a game's spec, and what counts as the rest.
CREATE FUNCTION game_spec(g games) RETURNS jsonb LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT jsonb_build_object(
        'desired_status', g.desired_status, 'stop_now', g.stop_now, 'paused', g.paused,
        'target_engine_version', g.target_engine_version, 'allow_incompatible_version', g.allow_incompatible_version,
        'turn_schedule', g.turn_schedule, 'time_zone', g.time_zone, 'missed_turns', g.missed_turns,
        'turn_not_before', g.turn_not_before AT TIME ZONE 'UTC', 'force_mode', g.force_mode,
        'restart_generation', g.restart_generation, 'force_turn_generation', g.force_turn_generation,
        'patch_generation', g.patch_generation, 'restore_generation', g.restore_generation,
        'unblock_generation', g.unblock_generation, 'backup_generation', g.backup_generation,
        'backup_before_turn', g.backup_before_turn,
        'restore_backup_id', g.restore_backup_id, 'membership_revision', g.membership_revision,
        'resources', g.resources, 'deletion_policy', g.deletion_policy)
$$;

CREATE FUNCTION game_meta(g games) RETURNS jsonb LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT jsonb_build_object(
        'display_name', g.display_name, 'labels', g.labels, 'annotations', g.annotations,
        'managed_fields', g.managed_revision,
        'deletion_requested_at', g.deletion_requested_at AT TIME ZONE 'UTC')
$$;

CREATE FUNCTION engine_version_spec(v engine_versions) RETURNS jsonb LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT jsonb_build_object('enabled', v.enabled, 'port', v.port, 'contract', v.contract, 'run_as', v.run_as,
        'relaxations', v.relaxations, 'resources', v.resources, 'resume_generation', v.resume_generation)
$$;

-- {"column": {"from": …, "to": …}} for each key whose value differs.
CREATE FUNCTION changed_columns(before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(jsonb_object_agg(a.key, jsonb_build_object('from', coalesce(before -> a.key, 'null'), 'to', a.value)), '{}')
      FROM jsonb_each(after) AS a
     WHERE coalesce(before -> a.key, 'null') IS DISTINCT FROM a.value
$$;

-- Labels and annotations are held to what the API takes: Kubernetes' keys and label values, so many labels. A value that
-- is no text at all is taken: the controller tells of it, and nobody wipes it. (How many bytes there may be is a CHECK.)
CREATE FUNCTION check_metadata(owner text, labels jsonb, annotations jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT AS $$
DECLARE
    word constant text := '[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';
    part constant text := '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
    said constant text := '1 to 63 of A-Z, a-z, 0-9, -, _ and ., beginning and ending with a letter or digit';
    wrong text;
BEGIN
    -- What is no object is refused by its CHECK.
    IF jsonb_typeof(labels) <> 'object' OR jsonb_typeof(annotations) <> 'object' THEN
        RETURN;
    END IF;
    SELECT e.field INTO wrong
      FROM (SELECT 'labels' AS field, k FROM jsonb_object_keys(labels) AS k
            UNION ALL SELECT 'annotations', k FROM jsonb_object_keys(annotations) AS k) AS e
     WHERE e.k !~ ('^(' || part || '([.]' || part || ')*/)?' || word || '$')
        OR strpos(e.k, '/') > 254
     LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '%: %: a key is %; a domain and / may stand before it', owner, wrong, said
            USING ERRCODE = 'check_violation', COLUMN = wrong;
    END IF;
    IF EXISTS (SELECT 1 FROM jsonb_each(labels) AS e
                WHERE jsonb_typeof(e.value) = 'string' AND (e.value #>> '{}') <> '' AND (e.value #>> '{}') !~ ('^' || word || '$')) THEN
        RAISE EXCEPTION '%: labels: a value is empty, or %', owner, said USING ERRCODE = 'check_violation', COLUMN = 'labels';
    END IF;
    IF (SELECT count(*) FROM jsonb_object_keys(labels)) > 256 THEN
        RAISE EXCEPTION '%: labels: at most 256', owner USING ERRCODE = 'check_violation', COLUMN = 'labels';
    END IF;
END $$;

-- The change that this transaction has made of a game so far, all null if none. What else it changes of the game
-- belongs to it: a transaction moves a game's generation once, and leaves one row. (The time is compared too, for
-- a database that was restored elsewhere counts its transactions anew.)
CREATE FUNCTION change_under_way(game uuid) RETURNS game_changes
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    last game_changes;
    none game_changes;
BEGIN
    SELECT * INTO last FROM game_changes AS c WHERE c.game_id = game ORDER BY c.change_id DESC LIMIT 1;
    IF last.xact = pg_current_xact_id()::text::bigint AND last.changed_at = now() AND last.change <> 'deleted' THEN
        RETURN last;
    END IF;
    RETURN none;
END $$;

-- Whether a change has moved its game's generation.
CREATE FUNCTION moved_generation(c game_changes, meta jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(c.change = 'created' OR EXISTS (SELECT 1 FROM jsonb_object_keys(c.changes) AS k WHERE NOT meta ? k), false)
$$;

-- Two changes of the same transaction as one: from what the first found to what the second left.
CREATE FUNCTION changed_since(first jsonb, second jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT first || coalesce(jsonb_object_agg(s.key, CASE WHEN first ? s.key
                                THEN jsonb_build_object('from', first -> s.key -> 'from', 'to', s.value -> 'to')
                                ELSE s.value END), '{}')
      FROM jsonb_each(second) AS s
$$;

-- games

CREATE FUNCTION games_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    spec_moved boolean;
    under_way game_changes;
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.labels, NEW.annotations) IS DISTINCT FROM (OLD.labels, OLD.annotations) THEN
        PERFORM check_metadata('games', NEW.labels, NEW.annotations);
    END IF;
    NEW.managed_revision := coalesce((SELECT m.revision FROM game_managers AS m WHERE m.game_id = NEW.game_id), 0);
    IF TG_OP = 'INSERT' THEN
        NEW.name := coalesce(nullif(NEW.name, ''), NEW.game_id::text);
        -- Somebody is deleting it: the next statement sees the tombstone. (Where a transaction reads as of its
        -- beginning, it is refused, 40001: it would count anew.) With ON CONFLICT the row may stay, and be locked
        -- or updated next: so of two that wait here one has it at a time, as a lock to share could not be raised by
        -- either.
        PERFORM 1 FROM games WHERE game_id = NEW.game_id FOR NO KEY UPDATE;
        -- A game made again goes on counting where its tombstone stands.
        SELECT coalesce(max(t.generation), 0) + 1, coalesce(max(t.row_version), 0) + 1, coalesce(max(t.membership_revision), 0)
          INTO NEW.generation, NEW.row_version, NEW.membership_revision
          FROM game_tombstones AS t WHERE t.game_id = NEW.game_id;
        -- So do its requests: one that counted below what was done for the old row would be taken for done.
        SELECT greatest(NEW.restart_generation, r.observed_restart_generation),
               greatest(NEW.force_turn_generation, r.observed_force_turn_generation),
               greatest(NEW.patch_generation, r.observed_patch_generation),
               greatest(NEW.unblock_generation, r.observed_unblock_generation),
               greatest(NEW.restore_generation, r.observed_restore_generation),
               greatest(NEW.backup_generation, r.observed_backup_generation)
          INTO NEW.restart_generation, NEW.force_turn_generation, NEW.patch_generation, NEW.unblock_generation,
               NEW.restore_generation, NEW.backup_generation
          FROM (SELECT NEW.game_id) AS n LEFT JOIN runtime_records AS r ON r.game_id = NEW.game_id;
        NEW.created_at := coalesce(NEW.created_at, clock_timestamp());
        NEW.updated_at := clock_timestamp();
    END IF;
    -- Some writers have a zero for what is not set.
    NEW.restore_backup_id := nullif(NEW.restore_backup_id, '');
    IF NEW.deletion_requested_at BETWEEN '0001-01-01 00:00:00+00' AND '0002-01-01 00:00:00+00' THEN
        NEW.deletion_requested_at := NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        RETURN NEW;
    END IF;

    IF NEW.game_id IS DISTINCT FROM OLD.game_id THEN
        RAISE EXCEPTION 'games: game_id is immutable' USING ERRCODE = 'check_violation';
    ELSIF NEW.namespace IS DISTINCT FROM OLD.namespace THEN
        RAISE EXCEPTION 'games: namespace is immutable' USING ERRCODE = 'check_violation';
    ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
        RAISE EXCEPTION 'games: name is immutable' USING ERRCODE = 'check_violation';
    ELSIF NEW.restart_generation < OLD.restart_generation THEN
        RAISE EXCEPTION 'games: restart_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.force_turn_generation < OLD.force_turn_generation THEN
        RAISE EXCEPTION 'games: force_turn_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.unblock_generation < OLD.unblock_generation THEN
        RAISE EXCEPTION 'games: unblock_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.patch_generation < OLD.patch_generation THEN
        RAISE EXCEPTION 'games: patch_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.restore_generation < OLD.restore_generation THEN
        RAISE EXCEPTION 'games: restore_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.backup_generation < OLD.backup_generation THEN
        RAISE EXCEPTION 'games: backup_generation cannot decrease' USING ERRCODE = 'check_violation';
    ELSIF NEW.deletion_requested_at IS NULL AND OLD.deletion_requested_at IS NOT NULL THEN
        RAISE EXCEPTION 'games: a requested deletion cannot be taken back' USING ERRCODE = 'check_violation';
    END IF;

    -- The first time a deletion was asked for is the one that counts.
    NEW.deletion_requested_at := coalesce(OLD.deletion_requested_at, NEW.deletion_requested_at);
    NEW.created_at := OLD.created_at;
    -- Only the memberships' triggers move this, from within them, and say so in gamekeeper.members.
    NEW.membership_revision := OLD.membership_revision
        + (coalesce(current_setting('gamekeeper.members', true), '') <> '' AND pg_trigger_depth() > 1)::int;

    NEW.generation := OLD.generation;
    NEW.row_version := OLD.row_version;
    NEW.updated_at := OLD.updated_at;
    spec_moved := game_spec(NEW) IS DISTINCT FROM game_spec(OLD);
    IF spec_moved OR game_meta(NEW) IS DISTINCT FROM game_meta(OLD) THEN
        under_way := change_under_way(OLD.game_id);
        NEW.generation := OLD.generation + (spec_moved AND NOT moved_generation(under_way, game_meta(NEW)))::int;
        NEW.row_version := OLD.row_version + (under_way.change_id IS NULL)::int;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER games_before_write
BEFORE INSERT OR UPDATE ON games FOR EACH ROW EXECUTE FUNCTION games_before_write();

CREATE FUNCTION games_after_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    before jsonb := '{}';
    columns jsonb;
    under_way game_changes;
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Made again after a deletion: the tombstone has nothing to say any more.
        UPDATE game_tombstones SET handled_at = clock_timestamp() WHERE game_id = NEW.game_id AND handled_at IS NULL;
    ELSE
        before := game_spec(OLD) || game_meta(OLD);
    END IF;

    columns := changed_columns(before, game_spec(NEW) || game_meta(NEW));
    IF columns = '{}' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        under_way := change_under_way(NEW.game_id);
    END IF;
    IF under_way.change_id IS NULL THEN
        INSERT INTO game_changes (game_id, change, generation, row_version, requested_by, request_id, source, changes)
        VALUES (NEW.game_id, CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'changed' END,
                NEW.generation, NEW.row_version, NEW.requested_by, NEW.request_id, NEW.source, columns);
    ELSE
        UPDATE game_changes
           SET generation = NEW.generation, row_version = NEW.row_version, requested_by = NEW.requested_by,
               request_id = NEW.request_id, source = NEW.source, changes = changed_since(under_way.changes, columns)
         WHERE change_id = under_way.change_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER games_after_write
AFTER INSERT OR UPDATE ON games FOR EACH ROW EXECUTE FUNCTION games_after_write();

CREATE FUNCTION game_managers_after_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- games_before_write takes it from there.
    UPDATE games SET managed_revision = NEW.revision WHERE game_id = NEW.game_id AND managed_revision <> NEW.revision;
    RETURN NULL;
END $$;

CREATE TRIGGER game_managers_after_write
AFTER INSERT OR UPDATE ON game_managers FOR EACH ROW EXECUTE FUNCTION game_managers_after_write();

CREATE FUNCTION games_after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO game_tombstones (game_id, generation, row_version, membership_revision, namespace, name,
                                 deletion_policy, memberships, requested_by, request_id, deletion_requested_at)
    SELECT OLD.game_id, OLD.generation, OLD.row_version, OLD.membership_revision, OLD.namespace, OLD.name,
           OLD.deletion_policy,
           (SELECT coalesce(jsonb_agg(to_jsonb(m) - 'game_id' ORDER BY m.user_id), '[]')
              FROM memberships AS m WHERE m.game_id = OLD.game_id),
           OLD.requested_by, OLD.request_id, OLD.deletion_requested_at;
    INSERT INTO game_changes (game_id, change, generation, row_version, requested_by, request_id, source)
    VALUES (OLD.game_id, 'deleted', OLD.generation, OLD.row_version, OLD.requested_by, OLD.request_id, OLD.source);
    DELETE FROM memberships WHERE game_id = OLD.game_id;
    DELETE FROM game_managers WHERE game_id = OLD.game_id;
    RETURN NULL;
END $$;

CREATE TRIGGER games_after_delete
AFTER DELETE ON games FOR EACH ROW EXECUTE FUNCTION games_after_delete();

-- memberships

CREATE FUNCTION memberships_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.created_at IS NULL OR NOT isfinite(NEW.created_at) THEN
            NEW.created_at := clock_timestamp();
        END IF;
        NEW.updated_at := clock_timestamp();
        RETURN NEW;
    END IF;
    IF (NEW.game_id, NEW.user_id) IS DISTINCT FROM (OLD.game_id, OLD.user_id) THEN
        RAISE EXCEPTION 'memberships: game_id and user_id are immutable' USING ERRCODE = 'check_violation';
    END IF;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := CASE WHEN (NEW.race_name, NEW.status) IS DISTINCT FROM (OLD.race_name, OLD.status)
                           THEN clock_timestamp() ELSE OLD.updated_at END;
    RETURN NEW;
END $$;

CREATE TRIGGER memberships_before_write
BEFORE INSERT OR UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION memberships_before_write();

-- What a statement has changed of the memberships of one game, as a list of {"user_id", "race_name", "status"}. The
-- game's row is written by the first one of a transaction alone: that counts for all.
CREATE FUNCTION members_changed(game uuid, changed_members jsonb, needs_game boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    under_way game_changes := change_under_way(game);
BEGIN
    IF under_way.change_id IS NULL
        OR NOT (under_way.changes ?| ARRAY['member', 'members']
                OR EXISTS (SELECT 1 FROM membership_writes AS w WHERE w.change_id = under_way.change_id)) THEN
        PERFORM set_config('gamekeeper.members', 'changed', true);
        -- Waits for whoever is deleting the game, and then finds it gone.
        UPDATE games SET membership_revision = membership_revision + 1 WHERE game_id = game;
        PERFORM set_config('gamekeeper.members', '', true);
        under_way := change_under_way(game);
        IF under_way.change_id IS NULL THEN
            IF needs_game THEN
                RAISE EXCEPTION 'memberships: there is no such game' USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN;
        END IF;
    END IF;
    INSERT INTO membership_writes (game_id, change_id, members) VALUES (game, under_way.change_id, changed_members);
END $$;

-- One for each statement, whatever the number of its rows. Games in their order, so that two writers of several do
-- not wait for each other.

CREATE FUNCTION memberships_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM members_changed(by_game.game_id, by_game.members, true) FROM (
        SELECT w.game_id, jsonb_agg(jsonb_build_object('user_id', w.user_id,
                   'race_name', jsonb_build_object('from', NULL, 'to', w.race_name),
                   'status', jsonb_build_object('from', NULL, 'to', w.status)) ORDER BY w.user_id) AS members
          FROM written AS w GROUP BY w.game_id ORDER BY w.game_id) AS by_game;
    RETURN NULL;
END $$;

CREATE FUNCTION memberships_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM members_changed(by_game.game_id, by_game.members, true) FROM (
        SELECT w.game_id, jsonb_agg(jsonb_build_object('user_id', w.user_id,
                   'race_name', jsonb_build_object('from', r.race_name, 'to', w.race_name),
                   'status', jsonb_build_object('from', r.status, 'to', w.status)) ORDER BY w.user_id) AS members
          FROM written AS w JOIN replaced AS r USING (game_id, user_id)
         WHERE (w.race_name, w.status) IS DISTINCT FROM (r.race_name, r.status)
         GROUP BY w.game_id ORDER BY w.game_id) AS by_game;
    RETURN NULL;
END $$;

CREATE FUNCTION memberships_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM members_changed(by_game.game_id, by_game.members, false) FROM (
        SELECT r.game_id, jsonb_agg(jsonb_build_object('user_id', r.user_id,
                   'race_name', jsonb_build_object('from', r.race_name, 'to', NULL),
                   'status', jsonb_build_object('from', r.status, 'to', NULL)) ORDER BY r.user_id) AS members
          FROM replaced AS r GROUP BY r.game_id ORDER BY r.game_id) AS by_game;
    RETURN NULL;
END $$;

CREATE TRIGGER memberships_inserted AFTER INSERT ON memberships
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION memberships_inserted();
CREATE TRIGGER memberships_updated AFTER UPDATE ON memberships
REFERENCING OLD TABLE AS replaced NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION memberships_updated();
CREATE TRIGGER memberships_deleted AFTER DELETE ON memberships
REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT EXECUTE FUNCTION memberships_deleted();

-- At the transaction's end: the first row of a change takes all others along.
CREATE FUNCTION membership_writes_end() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM membership_writes WHERE write_id = NEW.write_id) THEN
        RETURN NULL;
    END IF;
    WITH gone AS (
        DELETE FROM membership_writes WHERE change_id = NEW.change_id RETURNING write_id, members
    ), listed AS (
        SELECT CASE WHEN c.changes ? 'member' THEN jsonb_build_array(c.changes -> 'member')
                    ELSE coalesce(c.changes -> 'members', '[]') END
               || (SELECT jsonb_agg(m.member ORDER BY g.write_id, m.place)
                     FROM gone AS g, jsonb_array_elements(g.members) WITH ORDINALITY AS m(member, place)) AS members
          FROM game_changes AS c WHERE c.change_id = NEW.change_id
    )
    UPDATE game_changes AS c
       SET changes = c.changes - 'member' - 'members' || CASE jsonb_array_length(l.members)
               WHEN 1 THEN jsonb_build_object('member', l.members -> 0) ELSE jsonb_build_object('members', l.members) END
      FROM listed AS l WHERE c.change_id = NEW.change_id;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER membership_writes_end AFTER INSERT ON membership_writes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION membership_writes_end();

-- engine_versions

CREATE FUNCTION engine_versions_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    spec_moved boolean;
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.labels, NEW.annotations) IS DISTINCT FROM (OLD.labels, OLD.annotations) THEN
        PERFORM check_metadata('engine_versions', NEW.labels, NEW.annotations);
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- As of a game that somebody is deleting.
        PERFORM 1 FROM engine_versions WHERE version = NEW.version FOR NO KEY UPDATE;
        SELECT coalesce(max(t.generation), 0) + 1, coalesce(max(t.row_version), 0) + 1
          INTO NEW.generation, NEW.row_version
          FROM engine_version_tombstones AS t WHERE t.version = NEW.version;
        NEW.updated_at := clock_timestamp();
        RETURN NEW;
    END IF;

    IF NEW.version IS DISTINCT FROM OLD.version THEN
        RAISE EXCEPTION 'engine_versions: version is immutable' USING ERRCODE = 'check_violation';
    ELSIF NEW.image_ref IS DISTINCT FROM OLD.image_ref THEN
        RAISE EXCEPTION 'engine_versions: image_ref is immutable, a new image is a new version' USING ERRCODE = 'check_violation';
    ELSIF NEW.resume_generation < OLD.resume_generation THEN
        RAISE EXCEPTION 'engine_versions: resume_generation cannot decrease' USING ERRCODE = 'check_violation';
    END IF;

    NEW.created_at := OLD.created_at;
    NEW.generation := OLD.generation;
    NEW.row_version := OLD.row_version;
    NEW.updated_at := OLD.updated_at;
    spec_moved := engine_version_spec(NEW) IS DISTINCT FROM engine_version_spec(OLD);
    IF spec_moved OR (NEW.labels, NEW.annotations, NEW.managed_fields -> 'revision')
            IS DISTINCT FROM (OLD.labels, OLD.annotations, OLD.managed_fields -> 'revision') THEN
        NEW.generation := OLD.generation + spec_moved::int;
        NEW.row_version := OLD.row_version + 1;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER engine_versions_before_write
BEFORE INSERT OR UPDATE ON engine_versions FOR EACH ROW EXECUTE FUNCTION engine_versions_before_write();

CREATE FUNCTION engine_versions_after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO engine_version_tombstones (version, generation, row_version, image_ref, requested_by, request_id)
    VALUES (OLD.version, OLD.generation, OLD.row_version, OLD.image_ref, OLD.requested_by, OLD.request_id);
    RETURN NULL;
END $$;

CREATE TRIGGER engine_versions_after_delete
AFTER DELETE ON engine_versions FOR EACH ROW EXECUTE FUNCTION engine_versions_after_delete();

-- controller_spec

CREATE FUNCTION controller_spec_before_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'controller_spec: the one row stays' USING ERRCODE = 'check_violation';
    ELSIF NEW.rebind_generation < OLD.rebind_generation THEN
        RAISE EXCEPTION 'controller_spec: rebind_generation cannot decrease' USING ERRCODE = 'check_violation';
    END IF;
    NEW.row_version := OLD.row_version + 1;
    NEW.updated_at := clock_timestamp();
    PERFORM pg_notify(current_schema() || '_desired', '');
    RETURN NEW;
END $$;

CREATE TRIGGER controller_spec_before_write
BEFORE UPDATE OR DELETE ON controller_spec FOR EACH ROW EXECUTE FUNCTION controller_spec_before_write();

-- access_tokens

CREATE FUNCTION access_tokens_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'access_tokens: a token is immutable, delete it and make another' USING ERRCODE = 'check_violation';
    END IF;
    UPDATE access_feed SET seq = seq + 1;
    PERFORM pg_notify(current_schema() || '_access', '');
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER access_tokens_written
BEFORE INSERT OR UPDATE OR DELETE ON access_tokens FOR EACH ROW EXECUTE FUNCTION access_tokens_written();

-- Announcements: one per statement that really changed something, without payload, which PostgreSQL makes one
-- per transaction. A membership's change is announced by the change of its game.

CREATE FUNCTION announce_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written) THEN
        PERFORM pg_notify(current_schema() || '_desired', '');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION announce_games_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written AS w JOIN replaced AS r ON r.game_id = w.game_id WHERE r.row_version <> w.row_version) THEN
        PERFORM pg_notify(current_schema() || '_desired', '');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION announce_engine_versions_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written AS w JOIN replaced AS r ON r.version = w.version WHERE r.row_version <> w.row_version) THEN
        PERFORM pg_notify(current_schema() || '_desired', '');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER announce_insert AFTER INSERT ON games
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_rows();
CREATE TRIGGER announce_update AFTER UPDATE ON games
REFERENCING OLD TABLE AS replaced NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_games_update();
CREATE TRIGGER announce_delete AFTER DELETE ON games
REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_rows();
CREATE TRIGGER announce_insert AFTER INSERT ON engine_versions
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_rows();
CREATE TRIGGER announce_update AFTER UPDATE ON engine_versions
REFERENCING OLD TABLE AS replaced NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_engine_versions_update();
CREATE TRIGGER announce_delete AFTER DELETE ON engine_versions
REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION announce_rows();

-- TRUNCATE runs no row triggers: it would take games away without a tombstone.

CREATE FUNCTION refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '%: TRUNCATE leaves no tombstones, use DELETE', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON games FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON memberships FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON engine_versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON controller_spec FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON access_tokens FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
