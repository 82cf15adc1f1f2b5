-- The Gamekeeper database, SQLite dialect (3.37 or newer).
--
-- What a lobby's developer needs to know:
--
--   * You write three tables: engine_versions, games, memberships. Everything else is the
--     controller's, or is kept by triggers; read it, do not write it.
--   * `SELECT * FROM game_status` tells whether a row was accepted and came true.
--   * Identifiers are UUIDs as lower-case text with hyphens. Times are text, UTC, such as
--     2026-11-23T18:00:00.000+00:00. Enumerations are lower-case words. JSON is JSON. Booleans are 0 and 1.
--   * Any way of writing will do: INSERT, UPDATE, UPSERT, INSERT OR REPLACE, DELETE, by hand or in bulk.
--     The columns marked "by trigger" are put right whatever was written to them.
--     (An INSERT or UPDATE with RETURNING gives the values from before the triggers ran: read again.)
--
-- The other dialect, with the same tables and columns: ../postgres/0001_initial.sql

----------------------------------------------------------------------------------------------------
-- Desired state: written by lobby and operators
----------------------------------------------------------------------------------------------------

-- Which image an engine version is. A change here makes the version's games be looked at; it moves
-- no game's generation.
CREATE TABLE engine_versions (
    -- A semver without build metadata, in lower case: 1.4.2, 1.5.0-rc.1
    version           TEXT NOT NULL PRIMARY KEY CHECK (
                          length(version) BETWEEN 5 AND 64 AND instr(version, char(0)) = 0
                          AND version NOT GLOB '*[^0-9a-z.-]*' AND version NOT GLOB '*..*'
                          AND version GLOB '[0-9]*.[0-9]*.[0-9]*'),
    -- What Docker pulls. Never changes: a new image is a new version.
    image_ref         TEXT NOT NULL CHECK (
                          length(image_ref) BETWEEN 1 AND 512 AND instr(image_ref, char(0)) = 0
                          AND image_ref NOT GLOB '*[^a-zA-Z0-9._/:@-]*'),
    -- A version that is not enabled starts no new game; running ones are left alone.
    enabled           INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- The TCP port the engine listens on, inside its container.
    port              INTEGER NOT NULL DEFAULT 8080 CHECK (port BETWEEN 1 AND 65535),
    contract          TEXT NOT NULL DEFAULT 'gamekeeper/v1' CHECK (contract IN ('gamekeeper/v1', 'plain/v0')),
    -- The user of the engine's process: 'auto', 'image' or 'uid:gid'.
    run_as            TEXT NOT NULL DEFAULT 'auto' CHECK (
                          length(run_as) <= 21 AND instr(run_as, char(0)) = 0
                          AND (run_as IN ('auto', 'image')
                               OR (run_as GLOB '[0-9]*:[0-9]*' AND run_as NOT GLOB '*[^0-9:]*'
                                   AND run_as NOT GLOB '*:*:*'))),
    -- The hardening this engine cannot live with: a JSON array of 'new-privileges', 'capabilities', 'writable-root'.
    relaxations       TEXT NOT NULL DEFAULT '[]' CHECK (
                          length(relaxations) <= 256 AND json_valid(relaxations) AND json_type(relaxations) = 'array'
                          AND replace(replace(replace(replace(json(relaxations),
                                  '"new-privileges"', ''), '"capabilities"', ''), '"writable-root"', ''), ',', '') = '[]'),
    -- {"cpu": "500m", "memory": "256Mi", "pids": "128"}: Kubernetes quantities as strings, each optional.
    resources         TEXT NOT NULL DEFAULT '{}' CHECK (
                          length(resources) <= 256 AND json_valid(resources) AND json_type(resources) = 'object'
                          AND json_remove(resources, '$.cpu', '$.memory', '$.pids') = '{}'
                          AND coalesce(json_type(resources, '$.cpu'), 'text') = 'text'
                          AND coalesce(json_type(resources, '$.memory'), 'text') = 'text'
                          AND coalesce(json_type(resources, '$.pids'), 'text') = 'text'),
    labels            TEXT NOT NULL DEFAULT '{}' CHECK (
                          length(labels) <= 16384 AND json_valid(labels) AND json_type(labels) = 'object'),
    annotations       TEXT NOT NULL DEFAULT '{}' CHECK (
                          length(annotations) <= 262144 AND json_valid(annotations) AND json_type(annotations) = 'object'),
    -- Who wrote which field by the API, and what the object was then; by the API, writing it by hand means nothing.
    managed_fields    TEXT NOT NULL DEFAULT '{}' CHECK (
                          length(managed_fields) <= 2097152 AND json_valid(managed_fields) AND json_type(managed_fields) = 'object'),
    -- One more asks to go on with patches to this version after too many of them failed.
    resume_generation INTEGER NOT NULL DEFAULT 0 CHECK (resume_generation >= 0),
    -- Who wrote last, for the audit. Writing these alone counts as no change.
    requested_by      TEXT NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256 AND instr(requested_by, char(0)) = 0),
    request_id        TEXT NOT NULL DEFAULT '' CHECK (length(request_id) <= 128 AND instr(request_id, char(0)) = 0),
    -- By trigger: counts changes of what the engine is started with.
    generation        INTEGER NOT NULL DEFAULT 1,
    -- By trigger: counts all changes.
    row_version       INTEGER NOT NULL DEFAULT 1,
    created_at        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (
                          length(created_at) <= 40 AND instr(substr(created_at, 12), ' ') = 0 AND substr(created_at, 12, 2) < '24'
                          AND datetime(created_at) IS NOT NULL
                          AND strftime('%Y-%m-%d %H:%M', substr(created_at, 1, 16)) = replace(substr(created_at, 1, 16), 'T', ' ')),
    -- By trigger.
    updated_at        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL)
) STRICT;

-- One row per game. Delete the row (or set deletion_requested_at) to end the game.
CREATE TABLE games (
    game_id                    TEXT NOT NULL PRIMARY KEY CHECK (
                                   length(CAST(game_id AS BLOB)) = 36
                                   AND game_id GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'),
    -- Where and under which handle people find the game: RFC 1123 labels, unique together, never changed.
    namespace                  TEXT NOT NULL DEFAULT 'default' CHECK (
                                   length(namespace) BETWEEN 1 AND 63 AND instr(namespace, char(0)) = 0 AND namespace NOT GLOB '*[^a-z0-9-]*'
                                   AND namespace NOT GLOB '-*' AND namespace NOT GLOB '*-'),
    -- Left out, NULL or empty: the game's id.
    name                       TEXT DEFAULT NULL CHECK (
                                   name IS NULL OR name = ''
                                   OR (length(name) BETWEEN 1 AND 63 AND instr(name, char(0)) = 0 AND name NOT GLOB '*[^a-z0-9-]*'
                                       AND name NOT GLOB '-*' AND name NOT GLOB '*-')),
    -- For people; any text. No part of the spec.
    display_name               TEXT NOT NULL DEFAULT '' CHECK (length(display_name) <= 256 AND instr(display_name, char(0)) = 0),
    -- {"season": "7"}: strings to select games by.
    labels                     TEXT NOT NULL DEFAULT '{}' CHECK (
                                   length(labels) <= 16384 AND json_valid(labels) AND json_type(labels) = 'object'),
    -- {"...": "..."}: strings that others keep with the game.
    annotations                TEXT NOT NULL DEFAULT '{}' CHECK (
                                   length(annotations) <= 262144 AND json_valid(annotations) AND json_type(annotations) = 'object'),

    -- The spec. A real change of any column from here to deletion_policy moves `generation`.
    desired_status             TEXT NOT NULL CHECK (desired_status IN ('running', 'stopped')),
    -- Stop at once: do not wait for a turn that is being generated.
    stop_now                   INTEGER NOT NULL DEFAULT 0 CHECK (stop_now IN (0, 1)),
    -- No turn begins while paused; the engine goes on running.
    paused                     INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    -- The version that should run; or a semver requirement (~1.4, 1.4.x), which means the newest enabled
    -- version that fits when the game starts, and again only when asked. Empty or unknown is reported as a mistake of the spec, not refused here.
    target_engine_version      TEXT NOT NULL DEFAULT '' CHECK (
                                   length(target_engine_version) <= 64 AND instr(target_engine_version, char(0)) = 0
                                   AND target_engine_version NOT GLOB '*[^0-9a-zA-Z.+~^*<>=, -]*'),
    -- The one version to which this game may be patched across major.minor; null: none.
    allow_incompatible_version TEXT CHECK (
                                   length(allow_incompatible_version) <= 64 AND instr(allow_incompatible_version, char(0)) = 0
                                   AND allow_incompatible_version NOT GLOB '*[^0-9a-zA-Z.+-]*'),
    -- When turns are generated: cron, five fields, or six with seconds first. Empty: only when forced.
    turn_schedule              TEXT NOT NULL DEFAULT '' CHECK (length(turn_schedule) <= 256 AND instr(turn_schedule, char(0)) = 0),
    -- The IANA time zone in which turn_schedule is read.
    time_zone                  TEXT NOT NULL DEFAULT 'UTC' CHECK (
                                   length(time_zone) BETWEEN 1 AND 64 AND instr(time_zone, char(0)) = 0
                                   AND time_zone NOT GLOB '*[^a-zA-Z0-9_+/-]*'),
    -- Slots missed while nothing could fire them: 'once' fires one turn for all of them, 'skip' none.
    missed_turns               TEXT NOT NULL DEFAULT 'once' CHECK (missed_turns IN ('once', 'skip')),
    -- No slot fires earlier; the slots before it collapse into one that is due then.
    turn_not_before            TEXT CHECK (turn_not_before IS NULL OR (
                                   length(turn_not_before) <= 40 AND instr(substr(turn_not_before, 12), ' ') = 0 AND substr(turn_not_before, 12, 2) < '24'
                                   AND datetime(turn_not_before) IS NOT NULL
                                   AND strftime('%Y-%m-%d %H:%M', substr(turn_not_before, 1, 16)) = replace(substr(turn_not_before, 1, 16), 'T', ' '))),
    -- A forced turn takes the place of the next slot ('advance') or comes on top ('extra').
    force_mode                 TEXT NOT NULL DEFAULT 'advance' CHECK (force_mode IN ('advance', 'extra')),
    -- Requests: one more asks for one. They never go down; the values at the first INSERT ask for nothing.
    restart_generation         INTEGER NOT NULL DEFAULT 0 CHECK (restart_generation >= 0),
    force_turn_generation      INTEGER NOT NULL DEFAULT 0 CHECK (force_turn_generation >= 0),
    -- Try a failed patch again.
    patch_generation           INTEGER NOT NULL DEFAULT 0 CHECK (patch_generation >= 0),
    -- A person has looked at what blocks the game; go on as the message said.
    unblock_generation         INTEGER NOT NULL DEFAULT 0 CHECK (unblock_generation >= 0),
    -- Put the kept copy restore_backup_id back.
    restore_generation         INTEGER NOT NULL DEFAULT 0 CHECK (restore_generation >= 0),
    restore_backup_id          TEXT CHECK (
                                   length(restore_backup_id) BETWEEN 1 AND 128 AND instr(restore_backup_id, char(0)) = 0
                                   AND restore_backup_id NOT GLOB '*[^a-zA-Z0-9._-]*'
                                   AND restore_backup_id NOT GLOB '.*' AND restore_backup_id NOT GLOB '*..*'),
    -- Take a copy of the state now, and keep it.
    backup_generation          INTEGER NOT NULL DEFAULT 0 CHECK (backup_generation >= 0),
    -- No turn is generated before a copy of the state was taken.
    backup_before_turn         INTEGER NOT NULL DEFAULT 0 CHECK (backup_before_turn IN (0, 1)),
    -- By trigger: counts changes of the game's memberships.
    membership_revision        INTEGER NOT NULL DEFAULT 0,
    -- {"cpu": "500m", "memory": "256Mi", "pids": "128"}: Kubernetes quantities as strings, each optional.
    resources                  TEXT NOT NULL DEFAULT '{}' CHECK (
                                   length(resources) <= 256 AND json_valid(resources) AND json_type(resources) = 'object'
                                   AND json_remove(resources, '$.cpu', '$.memory', '$.pids') = '{}'
                                   AND coalesce(json_type(resources, '$.cpu'), 'text') = 'text'
                                   AND coalesce(json_type(resources, '$.memory'), 'text') = 'text'
                                   AND coalesce(json_type(resources, '$.pids'), 'text') = 'text'),
    -- What becomes of the state directory when the game is deleted.
    deletion_policy            TEXT NOT NULL DEFAULT 'retain' CHECK (deletion_policy IN ('retain', 'delete')),

    -- Not spec. Who wrote last, for the audit; writing these three alone counts as no change.
    requested_by               TEXT NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256 AND instr(requested_by, char(0)) = 0),
    request_id                 TEXT NOT NULL DEFAULT '' CHECK (length(request_id) <= 128 AND instr(request_id, char(0)) = 0),
    source                     TEXT NOT NULL DEFAULT 'lobby' CHECK (source IN ('lobby', 'operator', 'manifest')),
    -- By trigger: game_managers.revision.
    managed_revision           INTEGER NOT NULL DEFAULT 0,
    -- By trigger: counts changes of the spec, from 1; goes on where it was if the game is deleted and made again.
    generation                 INTEGER NOT NULL DEFAULT 1,
    -- By trigger: counts all changes.
    row_version                INTEGER NOT NULL DEFAULT 1,
    -- Set once, the deletion begins at once and cannot be taken back; the controller deletes the row at its end.
    deletion_requested_at      TEXT CHECK (deletion_requested_at IS NULL OR (
                                   -- (A zero that some writers have for what is not set is none.)
                                   deletion_requested_at > '0002'
                                   AND length(deletion_requested_at) <= 40 AND instr(substr(deletion_requested_at, 12), ' ') = 0 AND substr(deletion_requested_at, 12, 2) < '24'
                                   AND datetime(deletion_requested_at) IS NOT NULL
                                   AND strftime('%Y-%m-%d %H:%M', substr(deletion_requested_at, 1, 16)) = replace(substr(deletion_requested_at, 1, 16), 'T', ' '))),
    created_at                 TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (
                                   length(created_at) <= 40 AND instr(substr(created_at, 12), ' ') = 0 AND substr(created_at, 12, 2) < '24'
                                   AND datetime(created_at) IS NOT NULL
                                   AND strftime('%Y-%m-%d %H:%M', substr(created_at, 1, 16)) = replace(substr(created_at, 1, 16), 'T', ' ')),
    -- By trigger: when row_version last moved.
    updated_at                 TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL),
    UNIQUE (namespace, name)
) STRICT;

-- Who plays in which game. The game's row comes first; the memberships go with it.
CREATE TABLE memberships (
    game_id    TEXT NOT NULL,
    user_id    TEXT NOT NULL CHECK (
                   length(CAST(user_id AS BLOB)) = 36
                   AND user_id GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'),
    -- Unique among the game's active members.
    race_name  TEXT NOT NULL CHECK (
                   length(race_name) BETWEEN 1 AND 64 AND instr(race_name, char(0)) = 0 AND trim(race_name) <> ''
                   AND race_name NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    status     TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'removed')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (
                   length(created_at) <= 40 AND instr(substr(created_at, 12), ' ') = 0 AND substr(created_at, 12, 2) < '24'
                   AND datetime(created_at) IS NOT NULL
                   AND strftime('%Y-%m-%d %H:%M', substr(created_at, 1, 16)) = replace(substr(created_at, 1, 16), 'T', ' ')),
    -- By trigger.
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL),
    PRIMARY KEY (game_id, user_id)
) STRICT;

CREATE UNIQUE INDEX memberships_one_active_race ON memberships (game_id, race_name) WHERE status = 'active';

-- Who wrote which field of a game by the API, and what the object was then. Written by the API, and gone with the
-- game; beside the game's row, for it grows with the number of members, and that row is written often.
CREATE TABLE game_managers (
    game_id        TEXT NOT NULL PRIMARY KEY,
    -- Moves with every change of who wrote what.
    revision       INTEGER NOT NULL DEFAULT 0,
    managed_fields TEXT NOT NULL DEFAULT '{}' CHECK (
                       length(managed_fields) <= 4194304 AND json_valid(managed_fields) AND json_type(managed_fields) = 'object')
) STRICT;

----------------------------------------------------------------------------------------------------
-- Written by triggers as desired state changes
----------------------------------------------------------------------------------------------------

-- One row per real change of a game: which columns went from what to what, and who asked. (On PostgreSQL one per
-- transaction. SQLite's triggers know of no transaction: here each statement that changes a game counts, and each
-- row of memberships that changes, but for what the API writes; see write_batches.)
CREATE TABLE game_changes (
    change_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    game_id      TEXT NOT NULL CHECK (length(game_id) = 36),
    change       TEXT NOT NULL CHECK (change IN ('created', 'changed', 'deleted')),
    -- After the change.
    generation   INTEGER NOT NULL,
    row_version  INTEGER NOT NULL,
    changed_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    requested_by TEXT NOT NULL DEFAULT '',
    request_id   TEXT NOT NULL DEFAULT '',
    source       TEXT NOT NULL DEFAULT 'lobby',
    -- {"paused": {"from": false, "to": true}}; where memberships changed also "member": {"user_id", "race_name", "status"},
    -- or "members", a list of such.
    changes      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(changes) AND json_type(changes) = 'object'),
    -- PostgreSQL's number of the transaction; SQLite has none.
    xact         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX game_changes_by_game ON game_changes (game_id, change_id);
CREATE INDEX game_changes_by_age ON game_changes (changed_at);

-- What is left of a deleted row, so that the controller knows what to tear down and how, and so that a game
-- made again under the same id goes on counting. Keep the last one of each game.
CREATE TABLE game_tombstones (
    game_id               TEXT NOT NULL CHECK (length(game_id) = 36),
    -- The game's last ones.
    generation            INTEGER NOT NULL,
    row_version           INTEGER NOT NULL,
    membership_revision   INTEGER NOT NULL,
    namespace             TEXT NOT NULL,
    name                  TEXT NOT NULL,
    deletion_policy       TEXT NOT NULL CHECK (deletion_policy IN ('retain', 'delete')),
    -- The memberships that went with it, as a JSON array of their rows.
    memberships           TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(memberships) AND json_type(memberships) = 'array'),
    requested_by          TEXT NOT NULL DEFAULT '',
    request_id            TEXT NOT NULL DEFAULT '',
    deletion_requested_at TEXT,
    deleted_at            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    -- Set by the controller when the deletion is done, or by trigger when the game is made again.
    handled_at            TEXT CHECK (handled_at IS NULL OR datetime(handled_at) IS NOT NULL),
    PRIMARY KEY (game_id, generation)
) STRICT;

CREATE INDEX game_tombstones_open ON game_tombstones (deleted_at) WHERE handled_at IS NULL;

-- The same for a deleted engine version.
CREATE TABLE engine_version_tombstones (
    version      TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    row_version  INTEGER NOT NULL,
    image_ref    TEXT NOT NULL,
    requested_by TEXT NOT NULL DEFAULT '',
    request_id   TEXT NOT NULL DEFAULT '',
    deleted_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    PRIMARY KEY (version, generation)
) STRICT;

-- One row whose `seq` moves with every real change of desired state: how a change is announced.
-- (Watch PRAGMA data_version, then compare seq.)
CREATE TABLE desired_feed (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0)
) STRICT;

INSERT INTO desired_feed (id, seq) VALUES (1, 0);

----------------------------------------------------------------------------------------------------
-- Observed state: written by the controller alone. No foreign keys: history outlives the game.
----------------------------------------------------------------------------------------------------

-- One row whose `seq` moves with every write of what the API shows of observed state, and whose `forgotten` moves
-- when events are.
CREATE TABLE observed_feed (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq       INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0),
    forgotten INTEGER NOT NULL DEFAULT 0 CHECK (forgotten >= 0)
) STRICT;

INSERT INTO observed_feed (id, seq) VALUES (1, 0);

-- What is known of each game that was ever seen.
CREATE TABLE runtime_records (
    game_id                         TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(game_id AS BLOB)) = 36 AND game_id NOT GLOB '*[^0-9a-f-]*'),
    -- Copied from the game, whose row may be gone.
    namespace                       TEXT NOT NULL DEFAULT 'default',
    name                            TEXT NOT NULL,
    status                          TEXT NOT NULL DEFAULT 'pending' CHECK (status IN (
                                        'pending', 'starting', 'running', 'stopping', 'stopped', 'finished',
                                        'engine_unreachable', 'crash_loop', 'patching', 'invalid', 'blocked', 'unknown')),
    -- The headline: a CamelCase word and a sentence.
    reason                          TEXT NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message                         TEXT NOT NULL DEFAULT '' CHECK (length(message) <= 4096),
    -- Kubernetes' conditions: [{"type", "status", "reason", "message", "observedGeneration", "lastTransitionTime"}]
    conditions                      TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(conditions) AND json_type(conditions) = 'array'),
    -- The generation from which this row was computed; 0: none yet.
    observed_generation             INTEGER NOT NULL DEFAULT 0 CHECK (observed_generation >= 0),

    -- The container, and what it was made from.
    current_container_id            TEXT,
    -- Docker's own text, only ever compared for equality: the daemon's clock is not ours.
    current_container_started_at    TEXT,
    current_image_ref               TEXT,
    current_image_id                TEXT,
    current_engine_version          TEXT,
    -- The declared inputs the engine was built from; healing uses them.
    applied_spec                    TEXT CHECK (applied_spec IS NULL OR (json_valid(applied_spec) AND json_type(applied_spec) = 'object')),
    -- Where the engine is reached: one URL, and all that is known. Null unless it is serving.
    engine_endpoint                 TEXT,
    endpoints                       TEXT CHECK (endpoints IS NULL OR (json_valid(endpoints) AND json_type(endpoints) = 'object')),
    -- On the host.
    state_path                      TEXT,
    docker_network                  TEXT,
    engine_health                   TEXT NOT NULL DEFAULT 'unknown' CHECK (engine_health IN ('unknown', 'starting', 'healthy', 'unhealthy')),

    -- Turns.
    current_turn                    INTEGER CHECK (current_turn >= 0),
    -- Which history of the game this is; a restore begins the next.
    timeline                        INTEGER NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    next_turn_at                    TEXT CHECK (next_turn_at IS NULL OR datetime(next_turn_at) IS NOT NULL),
    -- Slots up to here are decided.
    -- When what its engine says was last kept in runtime_health_snapshots.
    reported_at                     TEXT CHECK (reported_at IS NULL OR datetime(reported_at) IS NOT NULL),
    slot_cursor                     TEXT CHECK (slot_cursor IS NULL OR datetime(slot_cursor) IS NOT NULL),
    -- The schedule and zone that the cursor belongs to: another one begins at the time it is seen.
    scheduled_by                    TEXT CHECK (length(scheduled_by) <= 512),
    -- A turn in flight has until then to end before the engine is stopped all the same.
    turn_wait_until                 TEXT CHECK (turn_wait_until IS NULL OR datetime(turn_wait_until) IS NOT NULL),

    -- Milestones. init_intent_at is set before the engine is asked to initialise, initialized_at after it said it has.
    init_intent_at                  TEXT CHECK (init_intent_at IS NULL OR datetime(init_intent_at) IS NOT NULL),
    -- A digest of the names in the state directory before the engine was asked; tells an initialisation that left
    -- traces from one that did not.
    init_baseline                   TEXT CHECK (length(init_baseline) <= 128),
    initialized_at                  TEXT CHECK (initialized_at IS NULL OR datetime(initialized_at) IS NOT NULL),
    -- When the pause was acknowledged: no turn began after it. Null: not paused.
    paused_at                       TEXT CHECK (paused_at IS NULL OR datetime(paused_at) IS NOT NULL),
    started_at                      TEXT CHECK (started_at IS NULL OR datetime(started_at) IS NOT NULL),
    stopped_at                      TEXT CHECK (stopped_at IS NULL OR datetime(stopped_at) IS NOT NULL),
    finished_at                     TEXT CHECK (finished_at IS NULL OR datetime(finished_at) IS NOT NULL),
    last_observed_at                TEXT CHECK (last_observed_at IS NULL OR datetime(last_observed_at) IS NOT NULL),

    -- What it was blocked by when it last was; other headlines may stand over it.
    blocked_by                      TEXT CHECK (length(blocked_by) <= 128),
    -- What keeps the game from going on now: ["the next attempt", ...]
    waiting_on                      TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(waiting_on) AND json_type(waiting_on) = 'array'),
    -- Words for what is left until the game is as its spec says; empty: nothing; null: nobody has looked yet.
    left_to_do                      TEXT CHECK (left_to_do IS NULL OR (json_valid(left_to_do) AND json_type(left_to_do) = 'array')),
    -- When the controller first saw that the game is to be deleted; grace and guard count from here.
    deletion_seen_at                TEXT CHECK (deletion_seen_at IS NULL OR datetime(deletion_seen_at) IS NOT NULL),
    -- What the guard against mass deletion decided about the present deletion.
    deletion_guard                  TEXT CHECK (deletion_guard IN ('counted', 'begun', 'held', 'confirmed')),
    -- The latest confirmation when it decided: that one was given for others.
    deletion_confirmed_before       TEXT CHECK (deletion_confirmed_before IS NULL OR
                                        datetime(deletion_confirmed_before) IS NOT NULL),
    -- Since when the state is being removed, which a row that comes back does not call off.
    erasing_since                   TEXT CHECK (erasing_since IS NULL OR datetime(erasing_since) IS NOT NULL),

    -- Starts and failures.
    -- The open operation, if any.
    operation_id                    TEXT,
    -- By the controller's clock; the present start's deadline counts from here.
    start_began_at                  TEXT CHECK (start_began_at IS NULL OR datetime(start_began_at) IS NOT NULL),
    healthy_since                   TEXT CHECK (healthy_since IS NULL OR datetime(healthy_since) IS NOT NULL),
    -- In a row; drives the backoff.
    failures                        INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- Ever.
    restart_count                   INTEGER NOT NULL DEFAULT 0 CHECK (restart_count >= 0),
    next_attempt_at                 TEXT CHECK (next_attempt_at IS NULL OR datetime(next_attempt_at) IS NOT NULL),
    -- Restart once, away from this container.
    restart_from_container_id       TEXT,
    -- Docker would not start it because a process of it may be alive, and the host could not be asked.
    may_be_alive_container_id       TEXT,
    last_exit_code                  INTEGER,
    last_exit_oom                   INTEGER CHECK (last_exit_oom IN (0, 1)),
    last_exit_at                    TEXT CHECK (last_exit_at IS NULL OR datetime(last_exit_at) IS NOT NULL),
    last_exit_reason                TEXT CHECK (length(last_exit_reason) <= 4096),
    -- Which process that was: container and Docker's own start time.
    last_exit_container_id          TEXT,
    last_exit_started_at            TEXT,
    last_log_lines                  TEXT CHECK (length(last_log_lines) <= 65536),

    -- The change of version that is under way: from what, the copy of the state, how far it is.
    patch                           TEXT CHECK (patch IS NULL OR (json_valid(patch) AND json_type(patch) = 'object')),
    -- The copy of the state that is being taken, on demand or before a turn, and why it is not there yet.
    copying                         TEXT CHECK (copying IS NULL OR (json_valid(copying) AND json_type(copying) = 'object')),
    -- Why a change of version that is wanted does not begin yet.
    patch_delay                     TEXT CHECK (patch_delay IS NULL OR (json_valid(patch_delay) AND json_type(patch_delay) = 'object')),
    -- The kept copy that is being put back.
    put_back                        TEXT CHECK (put_back IS NULL OR (json_valid(put_back) AND json_type(put_back) = 'object')),
    -- {"version", "image", "reason", "message"} of the patch that failed last and was not asked for again.
    failed_patch                    TEXT CHECK (failed_patch IS NULL OR (json_valid(failed_patch) AND json_type(failed_patch) = 'object')),

    -- Requests that are done. Null: never seen, so nothing is outstanding.
    observed_restart_generation     INTEGER CHECK (observed_restart_generation >= 0),
    observed_force_turn_generation  INTEGER CHECK (observed_force_turn_generation >= 0),
    observed_patch_generation       INTEGER CHECK (observed_patch_generation >= 0),
    observed_unblock_generation     INTEGER CHECK (observed_unblock_generation >= 0),
    observed_restore_generation     INTEGER CHECK (observed_restore_generation >= 0),
    observed_backup_generation      INTEGER CHECK (observed_backup_generation >= 0),
    observed_membership_revision    INTEGER CHECK (observed_membership_revision >= 0),

    -- The number of the game's last event in lobby_outbox; 0: none.
    outbox_seq                      INTEGER NOT NULL DEFAULT 0 CHECK (outbox_seq >= 0),
    -- The leadership that wrote last.
    epoch                           INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    -- Set when the game's deletion is done; the row stays as history.
    deleted_at                      TEXT CHECK (deleted_at IS NULL OR datetime(deleted_at) IS NOT NULL),
    -- One more with each write.
    record_version                  INTEGER NOT NULL DEFAULT 1 CHECK (record_version >= 0),
    -- By trigger: where observed_feed stood at that write.
    changed_seq                     INTEGER NOT NULL DEFAULT 0,
    updated_at                      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL)
) STRICT;

CREATE INDEX runtime_records_by_name ON runtime_records (namespace, name);
CREATE INDEX runtime_records_by_change ON runtime_records (changed_seq);

-- Which player of the engine a user is. Present while the game has an engine.
CREATE TABLE player_mappings (
    game_id            TEXT NOT NULL CHECK (length(game_id) = 36),
    user_id            TEXT NOT NULL CHECK (length(user_id) = 36),
    race_name          TEXT NOT NULL CHECK (length(race_name) BETWEEN 1 AND 64),
    -- The engine's own id where it reports one.
    engine_player_uuid TEXT NOT NULL CHECK (length(engine_player_uuid) = 36),
    -- 0: removed from the game; refused at once.
    active             INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(created_at) IS NOT NULL),
    updated_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL),
    PRIMARY KEY (game_id, user_id)
) STRICT;

-- How each user does, now and at the best so far. Outlives the mappings.
CREATE TABLE player_stats (
    game_id        TEXT NOT NULL CHECK (length(game_id) = 36),
    user_id        TEXT NOT NULL CHECK (length(user_id) = 36),
    race_name      TEXT NOT NULL CHECK (length(race_name) BETWEEN 1 AND 64),
    timeline       INTEGER NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    -- The turn at which planets and population were reported.
    turn           INTEGER NOT NULL CHECK (turn >= 0),
    planets        INTEGER NOT NULL DEFAULT 0 CHECK (planets >= 0),
    population     INTEGER NOT NULL DEFAULT 0 CHECK (population >= 0),
    max_planets    INTEGER NOT NULL DEFAULT 0 CHECK (max_planets >= 0),
    max_population INTEGER NOT NULL DEFAULT 0 CHECK (max_population >= 0),
    updated_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL),
    PRIMARY KEY (game_id, user_id)
) STRICT;

-- The ledger: at most one generation per game, timeline and number.
CREATE TABLE turns (
    game_id              TEXT NOT NULL CHECK (length(game_id) = 36),
    timeline             INTEGER NOT NULL CHECK (timeline >= 1),
    -- The turn that is generated: N + 1 while the engine is at N.
    number               INTEGER NOT NULL CHECK (number >= 1),
    cause                TEXT NOT NULL CHECK (cause IN ('schedule', 'forced')),
    -- The slot it was due at; null for a forced turn that took none.
    slot                 TEXT CHECK (slot IS NULL OR datetime(slot) IS NOT NULL),
    -- 'failed' and 'abandoned' can be reopened.
    state                TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dispatched', 'done', 'failed', 'abandoned', 'rolled_back')),
    -- How often the engine was asked.
    attempts             INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Which process was asked last: container and Docker's own start time.
    container_id         TEXT,
    container_started_at TEXT,
    operation_id         TEXT,
    requested_by         TEXT NOT NULL DEFAULT '',
    request_id           TEXT NOT NULL DEFAULT '',
    opened_at            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(opened_at) IS NOT NULL),
    dispatched_at        TEXT CHECK (dispatched_at IS NULL OR datetime(dispatched_at) IS NOT NULL),
    deadline_at          TEXT CHECK (deadline_at IS NULL OR datetime(deadline_at) IS NOT NULL),
    finished_at          TEXT CHECK (finished_at IS NULL OR datetime(finished_at) IS NOT NULL),
    error_code           TEXT CHECK (length(error_code) <= 128),
    error_message        TEXT CHECK (length(error_message) <= 4096),
    PRIMARY KEY (game_id, timeline, number)
) STRICT;

CREATE UNIQUE INDEX turns_one_per_slot ON turns (game_id, timeline, slot) WHERE slot IS NOT NULL;
CREATE INDEX turns_open ON turns (game_id) WHERE state IN ('pending', 'dispatched', 'failed');
CREATE INDEX turns_by_age ON turns (opened_at);

-- What was decided about each slot and why: the answer to "why was there no turn at 18:00".
CREATE TABLE turn_slots (
    game_id     TEXT NOT NULL CHECK (length(game_id) = 36),
    timeline    INTEGER NOT NULL CHECK (timeline >= 1),
    slot        TEXT NOT NULL CHECK (datetime(slot) IS NOT NULL),
    -- 'coalesced': one turn stood for several slots. 'consumed': a forced turn took its place.
    decision    TEXT NOT NULL CHECK (decision IN ('fired', 'coalesced', 'skipped', 'deferred', 'consumed')),
    reason      TEXT NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message     TEXT NOT NULL DEFAULT '' CHECK (length(message) <= 1024),
    turn_number INTEGER CHECK (turn_number >= 1),
    decided_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(decided_at) IS NOT NULL),
    PRIMARY KEY (game_id, timeline, slot)
) STRICT;

CREATE INDEX turn_slots_by_age ON turn_slots (decided_at);
CREATE INDEX turn_slots_waiting ON turn_slots (game_id) WHERE decision = 'deferred';

-- What each engine reported, when; bounded by age and count.
CREATE TABLE runtime_health_snapshots (
    snapshot_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    game_id       TEXT NOT NULL CHECK (length(game_id) = 36),
    observed_at   TEXT NOT NULL CHECK (datetime(observed_at) IS NOT NULL),
    container_id  TEXT,
    engine_health TEXT NOT NULL CHECK (engine_health IN ('unknown', 'starting', 'healthy', 'unhealthy')),
    timeline      INTEGER NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    turn          INTEGER CHECK (turn >= 0),
    generating    INTEGER CHECK (generating IN (0, 1)),
    finished      INTEGER CHECK (finished IN (0, 1)),
    -- The engine's answer as it was understood.
    payload       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(payload) AND json_type(payload) = 'object'),
    error_message TEXT CHECK (length(error_message) <= 4096)
) STRICT;

CREATE INDEX runtime_health_snapshots_by_game ON runtime_health_snapshots (game_id, observed_at);
CREATE INDEX runtime_health_snapshots_by_age ON runtime_health_snapshots (observed_at);

-- The audit: why each convergence began, who asked, how it ended. Written before the first side effect
-- and closed exactly once.
CREATE TABLE operation_log (
    operation_id  TEXT NOT NULL PRIMARY KEY CHECK (length(operation_id) = 36),
    game_id       TEXT NOT NULL CHECK (length(game_id) = 36),
    op            TEXT NOT NULL CHECK (op IN ('start', 'stop', 'restart', 'patch', 'rollback', 'heal', 'pause', 'resume',
                      'force_next_turn', 'turn', 'restore', 'backup', 'delete', 'adopt')),
    source        TEXT NOT NULL CHECK (source IN ('lobby', 'operator', 'manifest', 'schedule', 'controller')),
    requested_by  TEXT NOT NULL DEFAULT '',
    request_id    TEXT NOT NULL DEFAULT '',
    -- The generation of the spec that asked for it.
    generation    INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0),
    cause         TEXT NOT NULL DEFAULT '' CHECK (length(cause) <= 1024),
    from_version  TEXT,
    to_version    TEXT,
    status        TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'superseded')),
    error_code    TEXT CHECK (length(error_code) <= 128),
    error_message TEXT CHECK (length(error_message) <= 4096),
    image_ref     TEXT,
    container_id  TEXT,
    epoch         INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(created_at) IS NOT NULL),
    started_at    TEXT CHECK (started_at IS NULL OR datetime(started_at) IS NOT NULL),
    finished_at   TEXT CHECK (finished_at IS NULL OR datetime(finished_at) IS NOT NULL),
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
) STRICT;

CREATE INDEX operation_log_open ON operation_log (game_id) WHERE status IN ('queued', 'running');
CREATE INDEX operation_log_by_game ON operation_log (game_id, generation);
CREATE INDEX operation_log_by_age ON operation_log (created_at);

CREATE TRIGGER operation_log_closed_once
BEFORE UPDATE OF status, finished_at, error_code, error_message ON operation_log
WHEN OLD.finished_at IS NOT NULL
    AND (NEW.status IS NOT OLD.status OR NEW.finished_at IS NOT OLD.finished_at
         OR NEW.error_code IS NOT OLD.error_code OR NEW.error_message IS NOT OLD.error_message)
BEGIN
    SELECT RAISE(ABORT, 'operation_log: the operation is already closed');
END;

-- What the lobby is told, in order of `seq` for each game; written with the status it tells of.
CREATE TABLE lobby_outbox (
    -- The same at every delivery.
    event_id        TEXT NOT NULL PRIMARY KEY CHECK (length(event_id) = 36),
    game_id         TEXT NOT NULL CHECK (length(game_id) = 36),
    -- 1, 2, 3 … without gaps for each game.
    seq             INTEGER NOT NULL CHECK (seq >= 1),
    timeline        INTEGER NOT NULL DEFAULT 1 CHECK (timeline >= 1),
    type            TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 128),
    occurred_at     TEXT NOT NULL CHECK (datetime(occurred_at) IS NOT NULL),
    payload         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(payload) AND json_type(payload) = 'object'),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How many of the attempts the lobby refused; a lobby that is away refuses nothing.
    refusals        INTEGER NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    next_attempt_at TEXT CHECK (next_attempt_at IS NULL OR datetime(next_attempt_at) IS NOT NULL),
    last_error      TEXT CHECK (length(last_error) <= 1024),
    delivered_at    TEXT CHECK (delivered_at IS NULL OR datetime(delivered_at) IS NOT NULL),
    -- Delivery 'pull': the lobby sets this one column.
    acked_at        TEXT CHECK (acked_at IS NULL OR datetime(acked_at) IS NOT NULL),
    -- Refused too often; kept to be seen, holds up nothing.
    set_aside_at    TEXT CHECK (set_aside_at IS NULL OR datetime(set_aside_at) IS NOT NULL),
    UNIQUE (game_id, seq)
) STRICT;

-- Of each game the oldest open event, and how much there is, are read from this index alone.
CREATE INDEX lobby_outbox_open ON lobby_outbox (game_id, seq, next_attempt_at, occurred_at)
    WHERE delivered_at IS NULL AND acked_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX lobby_outbox_by_age ON lobby_outbox (occurred_at);

-- Kubernetes-style events: counted rather than repeated.
CREATE TABLE events (
    event_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What it is about: 'Game', 'EngineVersion', 'Controller'; uid is the game's id, else empty.
    namespace TEXT NOT NULL DEFAULT 'default' CHECK (length(namespace) <= 63),
    kind      TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 63),
    name      TEXT NOT NULL CHECK (length(name) <= 253),
    uid       TEXT NOT NULL DEFAULT '' CHECK (length(uid) <= 36),
    type      TEXT NOT NULL CHECK (type IN ('normal', 'warning')),
    reason    TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 128),
    -- At most 1024 bytes.
    message   TEXT NOT NULL DEFAULT '' CHECK (length(CAST(message AS BLOB)) <= 1024),
    count     INTEGER NOT NULL DEFAULT 1 CHECK (count >= 1),
    first_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(first_at) IS NOT NULL),
    last_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(last_at) IS NOT NULL),
    -- By trigger: where observed_feed stood when it was counted last.
    changed_seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, namespace, name, uid, type, reason, message)
) STRICT;

CREATE INDEX events_by_game ON events (uid, last_at);
CREATE INDEX events_by_age ON events (last_at);
CREATE INDEX events_by_change ON events (changed_seq);

-- How each engine version does across games: patches to it halt when too many failed.
CREATE TABLE version_records (
    version                    TEXT NOT NULL PRIMARY KEY,
    patch_failures             INTEGER NOT NULL DEFAULT 0 CHECK (patch_failures >= 0),
    halted_at                  TEXT CHECK (halted_at IS NULL OR datetime(halted_at) IS NOT NULL),
    reason                     TEXT NOT NULL DEFAULT '' CHECK (length(reason) <= 128),
    message                    TEXT NOT NULL DEFAULT '' CHECK (length(message) <= 4096),
    observed_resume_generation INTEGER CHECK (observed_resume_generation >= 0),
    updated_at                 TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL)
) STRICT;

-- Whose database this is. Minted here, once; stamped on every container and on the state root.
CREATE TABLE instance (
    id                     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    instance_id            TEXT NOT NULL CHECK (length(instance_id) = 36),
    -- The Docker Engine it was first used with; null: none yet.
    docker_engine_id       TEXT,
    -- Grows, and is also kept in the state root: a database that is behind it is an old copy.
    high_water             INTEGER NOT NULL DEFAULT 0 CHECK (high_water >= 0),
    -- When its sentinel was put into the state root; null: not yet.
    state_root_bound_at    TEXT CHECK (state_root_bound_at IS NULL OR datetime(state_root_bound_at) IS NOT NULL),
    -- The last controller_spec.rebind_generation that came true.
    observed_rebind_generation INTEGER NOT NULL DEFAULT 0 CHECK (observed_rebind_generation >= 0),
    created_at             TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
) STRICT;

INSERT INTO instance (id, instance_id)
SELECT 1, substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 14, 3) || '-'
    || substr('89ab', 1 + abs(random() % 4), 1) || substr(h, 18, 3) || '-' || substr(h, 21, 12)
FROM (SELECT lower(hex(randomblob(16))) AS h);

-- What operators want of the whole controller. Desired state: one row, written by people, read by the controller.
CREATE TABLE controller_spec (
    id                       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Look, show, and touch nothing.
    frozen                   INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)),
    frozen_because           TEXT NOT NULL DEFAULT '' CHECK (length(frozen_because) <= 1024 AND instr(frozen_because, char(0)) = 0),
    -- The many deletions that were seen up to this time are meant.
    deletions_confirmed_at   TEXT CHECK (deletions_confirmed_at IS NULL OR (
                                 length(deletions_confirmed_at) <= 40 AND datetime(deletions_confirmed_at) IS NOT NULL)),
    -- One more: the games belong to what is named here from now on, if that is still what is found.
    rebind_generation        INTEGER NOT NULL DEFAULT 0 CHECK (rebind_generation >= 0),
    rebind_docker_engine_id  TEXT CHECK (length(rebind_docker_engine_id) <= 256),
    -- The instance id in the state root's sentinel; empty: it has none.
    rebind_state_root        TEXT CHECK (length(rebind_state_root) <= 256),
    rebind_high_water        INTEGER CHECK (rebind_high_water >= 0),
    -- Who wrote last, for the audit.
    requested_by             TEXT NOT NULL DEFAULT '' CHECK (length(requested_by) <= 256 AND instr(requested_by, char(0)) = 0),
    request_id               TEXT NOT NULL DEFAULT '' CHECK (length(request_id) <= 128 AND instr(request_id, char(0)) = 0),
    -- By trigger: counts all changes.
    row_version              INTEGER NOT NULL DEFAULT 1,
    updated_at               TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (datetime(updated_at) IS NOT NULL)
) STRICT;

INSERT INTO controller_spec (id) VALUES (1);

-- Who may ask the API, beside the administrator whose token is kept in each server's data directory. Written by the
-- API alone; a row does not change, it goes, and another comes.
CREATE TABLE access_tokens (
    token_id   TEXT NOT NULL PRIMARY KEY CHECK (
                   length(CAST(token_id AS BLOB)) = 36 AND token_id NOT GLOB '*[^0-9a-f-]*'),
    -- Who has it, as the audit names them: an RFC 1123 label.
    name       TEXT NOT NULL UNIQUE CHECK (
                   length(name) BETWEEN 1 AND 63 AND instr(name, char(0)) = 0 AND name NOT GLOB '*[^a-z0-9-]*'
                   AND name NOT GLOB '-*' AND name NOT GLOB '*-'),
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'lobby', 'admin')),
    -- The namespaces that it is good for, a JSON array of names; empty: all of them.
    namespaces TEXT NOT NULL DEFAULT '[]' CHECK (
                   length(namespaces) <= 8192 AND json_valid(namespaces) AND json_type(namespaces) = 'array'),
    -- Of the token; nobody can get back from it to what is sent.
    sha256     TEXT NOT NULL UNIQUE CHECK (length(CAST(sha256 AS BLOB)) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    -- Who made it.
    created_by TEXT NOT NULL DEFAULT '' CHECK (length(created_by) <= 256 AND instr(created_by, char(0)) = 0),
    request_id TEXT NOT NULL DEFAULT '' CHECK (length(request_id) <= 128 AND instr(request_id, char(0)) = 0),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')) CHECK (
                   length(created_at) <= 40 AND datetime(created_at) IS NOT NULL),
    -- From then on it is refused; null: never.
    expires_at TEXT CHECK (expires_at IS NULL OR (length(expires_at) <= 40 AND datetime(expires_at) IS NOT NULL))
) STRICT;

-- Moves with every token that comes or goes, so that servers look at them again.
CREATE TABLE access_feed (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO access_feed (id, seq) VALUES (1, 0);

-- Who leads, and in which epoch.
CREATE TABLE leases (
    name        TEXT NOT NULL PRIMARY KEY,
    holder      TEXT NOT NULL CHECK (length(holder) <= 256),
    epoch       INTEGER NOT NULL CHECK (epoch >= 1),
    -- Random for each leadership: after a failover to a replica that lags behind an epoch is given out once more, and
    -- of two who have it the one leads whose tenure this is.
    tenure_id   TEXT NOT NULL CHECK (length(CAST(tenure_id AS BLOB)) = 36 AND tenure_id NOT GLOB '*[^0-9a-f-]*'),
    acquired_at TEXT NOT NULL CHECK (datetime(acquired_at) IS NOT NULL),
    renewed_at  TEXT NOT NULL CHECK (datetime(renewed_at) IS NOT NULL),
    expires_at  TEXT NOT NULL CHECK (datetime(expires_at) IS NOT NULL)
) STRICT;

-- What this schema is, and the oldest gamekeeper that may use it.
CREATE TABLE schema_info (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version    INTEGER NOT NULL CHECK (version >= 1),
    min_binary TEXT NOT NULL
) STRICT;

INSERT INTO schema_info (id, version, min_binary) VALUES (1, 1, '0.1.0');

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
        AND coalesce(json_array_length(r.left_to_do) = 0, 0)
    ) AS settled,
    coalesce(
        (SELECT json_extract(c.value, '$.status') = 'True' FROM json_each(r.conditions) AS c
          WHERE json_extract(c.value, '$.type') = 'Ready' LIMIT 1),
        CASE g.desired_status WHEN 'stopped' THEN r.status = 'stopped' ELSE r.status IN ('running', 'finished') END,
        0
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

-- Each write moves observed_feed and leaves its number in the row, so that whoever follows reads what changed and
-- nothing else. A row's own update fires these once more, and finds nothing to do. The controller takes the number
-- itself, once for all that it writes together, and has it in the rows already.

CREATE TRIGGER runtime_records_after_insert
AFTER INSERT ON runtime_records WHEN NEW.changed_seq = 0
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
    UPDATE runtime_records SET changed_seq = (SELECT seq FROM observed_feed) WHERE game_id = NEW.game_id;
END;

CREATE TRIGGER runtime_records_after_update
AFTER UPDATE ON runtime_records WHEN NEW.changed_seq IS OLD.changed_seq
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
    UPDATE runtime_records SET changed_seq = (SELECT seq FROM observed_feed) WHERE game_id = NEW.game_id;
END;

CREATE TRIGGER events_after_insert
AFTER INSERT ON events
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
    UPDATE events SET changed_seq = (SELECT seq FROM observed_feed) WHERE event_id = NEW.event_id;
END;

CREATE TRIGGER events_after_update
AFTER UPDATE ON events WHEN NEW.changed_seq IS OLD.changed_seq
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
    UPDATE events SET changed_seq = (SELECT seq FROM observed_feed) WHERE event_id = NEW.event_id;
END;

CREATE TRIGGER events_after_delete
AFTER DELETE ON events
BEGIN
    UPDATE observed_feed SET forgotten = forgotten + 1;
END;

CREATE TRIGGER version_records_after_insert
AFTER INSERT ON version_records
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
END;

CREATE TRIGGER version_records_after_update
AFTER UPDATE ON version_records
BEGIN
    UPDATE observed_feed SET seq = seq + 1;
END;

----------------------------------------------------------------------------------------------------
-- The triggers on desired state
----------------------------------------------------------------------------------------------------
--
-- SQLite's triggers cannot alter the row that is being written, and see nothing of the row that an
-- INSERT OR REPLACE throws away unless recursive_triggers is on. So the truth about what triggers own
-- is kept beside the tables:
--
--   *_shadow       the last accepted state of each row. An AFTER trigger compares the row with it, counts
--                  what really changed and puts the row right. It finds nothing to do when it is fired by
--                  its own update, so it ends whether recursive_triggers is on or off.
--   write_batches  the games that one transaction writes several rows of, the API's: a game's row and many members.
--                  Nothing is counted while a game is in here; when it is taken out, everything counts as one change.
--                  It is put in and taken out in the same transaction.
--   membership_writes  the members of such a game that were written so far.
--   replace_notes  what a BEFORE INSERT saw: there is a row of that key already. If the AFTER INSERT comes,
--                  that row was replaced, and what its DELETE triggers did (if they ran) is taken back. An
--                  INSERT that turns into IGNORE or DO UPDATE has no AFTER INSERT; its note is never believed,
--                  for the next BEFORE INSERT of the same key begins by writing it anew.
--
-- None is for reading or writing by anybody else.

CREATE TABLE game_shadow (
    game_id               TEXT NOT NULL PRIMARY KEY,
    -- 0: the game's row was deleted.
    present               INTEGER NOT NULL,
    namespace             TEXT NOT NULL,
    name                  TEXT NOT NULL,
    generation            INTEGER NOT NULL,
    row_version           INTEGER NOT NULL,
    membership_revision   INTEGER NOT NULL,
    created_at            TEXT NOT NULL,
    updated_at            TEXT NOT NULL,
    deletion_requested_at TEXT,
    -- As in game_documents; '{}': nothing accepted yet.
    spec                  TEXT NOT NULL,
    meta                  TEXT NOT NULL,
    -- The membership_revision that `generation` has counted.
    counted_members       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE write_batches (
    game_id TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE membership_writes (
    write_id  INTEGER PRIMARY KEY,
    game_id   TEXT NOT NULL,
    change_id INTEGER NOT NULL DEFAULT 0,
    -- One, as in game_changes.
    members   TEXT NOT NULL
) STRICT;

-- game_managers of the row that was deleted last, if a note says that it may be replaced.
CREATE TABLE replaced_managers (
    game_id        TEXT NOT NULL PRIMARY KEY,
    revision       INTEGER NOT NULL,
    managed_fields TEXT NOT NULL
) STRICT;

CREATE TABLE engine_version_shadow (
    version     TEXT NOT NULL PRIMARY KEY,
    present     INTEGER NOT NULL,
    image_ref   TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    row_version INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    spec        TEXT NOT NULL,
    meta        TEXT NOT NULL
) STRICT;

CREATE TABLE replace_notes (
    subject             TEXT NOT NULL CHECK (subject IN ('game', 'member', 'version')),
    -- The game's id, the version, or the member's game and user ids.
    key                 TEXT NOT NULL,
    -- There was a row of this key.
    existed             INTEGER NOT NULL,
    -- The key of another row that has the name or race name.
    taken_by            TEXT,
    -- What there was, for a member.
    race_name           TEXT,
    status              TEXT,
    created_at          TEXT,
    updated_at          TEXT,
    generation          INTEGER,
    row_version         INTEGER,
    membership_revision INTEGER,
    spec                TEXT,
    shadow_updated_at   TEXT,
    change_id           INTEGER,
    write_id            INTEGER,
    feed_seq            INTEGER,
    PRIMARY KEY (subject, key)
) STRICT;

-- What counts as a game's spec, and what counts as the rest, in a form in which only real changes differ.
CREATE VIEW game_documents AS
SELECT
    g.game_id,
    json_object(
        'desired_status', g.desired_status,
        'stop_now', CASE g.stop_now WHEN 1 THEN json('true') WHEN 0 THEN json('false') ELSE g.stop_now END,
        'paused', CASE g.paused WHEN 1 THEN json('true') WHEN 0 THEN json('false') ELSE g.paused END,
        'target_engine_version', g.target_engine_version, 'allow_incompatible_version', g.allow_incompatible_version,
        'turn_schedule', g.turn_schedule, 'time_zone', g.time_zone, 'missed_turns', g.missed_turns,
        'turn_not_before', strftime('%Y-%m-%dT%H:%M:%f+00:00', g.turn_not_before), 'force_mode', g.force_mode,
        'restart_generation', g.restart_generation, 'force_turn_generation', g.force_turn_generation,
        'patch_generation', g.patch_generation, 'restore_generation', g.restore_generation,
        'unblock_generation', g.unblock_generation, 'backup_generation', g.backup_generation,
        'backup_before_turn', CASE g.backup_before_turn WHEN 1 THEN json('true') WHEN 0 THEN json('false') ELSE g.backup_before_turn END,
        'restore_backup_id', g.restore_backup_id, 'resources', json(g.resources), 'deletion_policy', g.deletion_policy
    ) AS spec,
    json_object(
        'display_name', g.display_name, 'labels', json(g.labels), 'annotations', json(g.annotations),
        'managed_fields', coalesce(m.revision, 0),
        'deletion_requested_at', strftime('%Y-%m-%dT%H:%M:%f+00:00', g.deletion_requested_at)
    ) AS meta
FROM games AS g
LEFT JOIN game_managers AS m ON m.game_id = g.game_id;

CREATE VIEW engine_version_documents AS
SELECT
    version,
    json_object('enabled', enabled, 'port', port, 'contract', contract, 'run_as', run_as,
        'relaxations', json(relaxations), 'resources', json(resources), 'resume_generation', resume_generation) AS spec,
    json_object('labels', json(labels), 'annotations', json(annotations),
        'managed_fields', json_extract(managed_fields, '$.revision')) AS meta
FROM engine_versions;

-- Labels and annotations are held to what the API takes: Kubernetes' keys and label values, so many labels, so many
-- bytes of annotations. A value that is no text at all is taken: the controller tells of it, and nobody wipes it. So
-- is half a surrogate, which is no text to anybody else. A row inserted here is checked.
CREATE VIEW metadata_written AS SELECT labels, annotations FROM games WHERE 0;

CREATE TRIGGER metadata_checked
INSTEAD OF INSERT ON metadata_written
BEGIN
    SELECT RAISE(ABORT, 'labels: at most 256, and no NUL')
     WHERE (SELECT count(*) FROM json_each(NEW.labels)) > 256 OR length(CAST(NEW.labels AS BLOB)) > 16384
        OR instr(replace(NEW.labels, '\\', ''), '\u0000') > 0;
    SELECT RAISE(ABORT, 'annotations: at most 256 KiB together, and no NUL')
     WHERE length(CAST(NEW.annotations AS BLOB)) > 262144 OR instr(replace(NEW.annotations, '\\', ''), '\u0000') > 0;
    SELECT CASE e.field
           WHEN 'labels' THEN RAISE(ABORT, 'labels: a key is 1 to 63 of A-Z, a-z, 0-9, -, _ and ., beginning and ending with a letter or digit; a domain and / may stand before it')
           ELSE RAISE(ABORT, 'annotations: a key is 1 to 63 of A-Z, a-z, 0-9, -, _ and ., beginning and ending with a letter or digit; a domain and / may stand before it')
           END
      FROM (SELECT 'labels' AS field, key, substr(key, instr(key, '/') + 1) AS name,
                   CASE WHEN instr(key, '/') > 0 THEN substr(key, 1, instr(key, '/') - 1) END AS prefix
              FROM json_each(NEW.labels)
            UNION ALL
            SELECT 'annotations', key, substr(key, instr(key, '/') + 1),
                   CASE WHEN instr(key, '/') > 0 THEN substr(key, 1, instr(key, '/') - 1) END
              FROM json_each(NEW.annotations)) AS e
     WHERE NOT (length(e.name) BETWEEN 1 AND 63 AND e.name NOT GLOB '*[^A-Za-z0-9._-]*'
                AND e.name GLOB '[A-Za-z0-9]*' AND e.name GLOB '*[A-Za-z0-9]')
        OR NOT coalesce(length(e.prefix) BETWEEN 1 AND 253 AND e.prefix NOT GLOB '*[^a-z0-9.-]*'
                        AND e.prefix GLOB '[a-z0-9]*' AND e.prefix GLOB '*[a-z0-9]'
                        AND e.prefix NOT GLOB '*..*' AND e.prefix NOT GLOB '*.-*' AND e.prefix NOT GLOB '*-.*'
                        -- No part of it longer than 63.
                        AND e.prefix NOT GLOB '*' || replace(printf('%064d', 0), '0', '[^.]') || '*', 1);
    SELECT RAISE(ABORT, 'labels: a value is empty, or 1 to 63 of A-Z, a-z, 0-9, -, _ and ., beginning and ending with a letter or digit')
      FROM json_each(NEW.labels) AS e
     WHERE e.type = 'text' AND e.value <> ''
       AND NOT (length(e.value) <= 63 AND e.value NOT GLOB '*[^A-Za-z0-9._-]*'
                AND e.value GLOB '[A-Za-z0-9]*' AND e.value GLOB '*[A-Za-z0-9]')
       AND NOT (hex(e.value) GLOB '*ED[AB]*' AND e.value GLOB '*' || char(65533) || '*');
END;

CREATE TRIGGER games_metadata_inserted
AFTER INSERT ON games
BEGIN
    INSERT INTO metadata_written (labels, annotations) VALUES (NEW.labels, NEW.annotations);
END;

CREATE TRIGGER games_metadata_updated
AFTER UPDATE OF labels, annotations ON games
WHEN NEW.labels IS NOT OLD.labels OR NEW.annotations IS NOT OLD.annotations
BEGIN
    INSERT INTO metadata_written (labels, annotations) VALUES (NEW.labels, NEW.annotations);
END;

CREATE TRIGGER engine_versions_metadata_inserted
AFTER INSERT ON engine_versions
BEGIN
    INSERT INTO metadata_written (labels, annotations) VALUES (NEW.labels, NEW.annotations);
END;

CREATE TRIGGER engine_versions_metadata_updated
AFTER UPDATE OF labels, annotations ON engine_versions
WHEN NEW.labels IS NOT OLD.labels OR NEW.annotations IS NOT OLD.annotations
BEGIN
    INSERT INTO metadata_written (labels, annotations) VALUES (NEW.labels, NEW.annotations);
END;

-- games

CREATE TRIGGER games_before_insert
BEFORE INSERT ON games
BEGIN
    DELETE FROM replace_notes WHERE subject = 'game' AND key = NEW.game_id;
    INSERT INTO replace_notes (subject, key, existed, taken_by, feed_seq)
    SELECT 'game', NEW.game_id, o.existed, o.taken_by, (SELECT seq FROM desired_feed)
      FROM (SELECT EXISTS (SELECT 1 FROM games WHERE game_id = NEW.game_id) AS existed,
                   (SELECT game_id FROM games
                     WHERE namespace = NEW.namespace AND name = coalesce(nullif(NEW.name, ''), NEW.game_id)
                       AND game_id <> NEW.game_id) AS taken_by) AS o
     WHERE o.existed OR o.taken_by IS NOT NULL;
END;

CREATE TRIGGER games_after_insert
AFTER INSERT ON games
BEGIN
    -- The row of another game stood in the way and is gone: never a way to delete a game.
    SELECT RAISE(ABORT, 'games: another game has this namespace and name')
     WHERE EXISTS (SELECT 1 FROM replace_notes WHERE subject = 'game' AND key = NEW.game_id AND taken_by IS NOT NULL);
    SELECT RAISE(ABORT, 'games: name is immutable')
      FROM replace_notes AS n JOIN game_shadow AS s ON s.game_id = n.key
     WHERE n.subject = 'game' AND n.key = NEW.game_id AND coalesce(NEW.name, '') NOT IN ('', s.name);
    SELECT RAISE(ABORT, 'games: namespace is immutable')
      FROM replace_notes AS n JOIN game_shadow AS s ON s.game_id = n.key
     WHERE n.subject = 'game' AND n.key = NEW.game_id AND NEW.namespace NOT IN ('default', s.namespace);

    -- Replaced while recursive_triggers is on: take back what the replaced row's DELETE triggers did.
    -- (The shadow still says "not present", so that the memberships' triggers count nothing.)
    INSERT INTO memberships (game_id, user_id, race_name, status, created_at, updated_at)
    SELECT NEW.game_id, json_extract(m.value, '$.user_id'), json_extract(m.value, '$.race_name'),
           json_extract(m.value, '$.status'), json_extract(m.value, '$.created_at'), json_extract(m.value, '$.updated_at')
      FROM replace_notes AS n
      JOIN game_shadow AS s ON s.game_id = n.key
      JOIN game_tombstones AS t ON t.game_id = s.game_id AND t.generation = s.generation
      JOIN json_each(t.memberships) AS m
     WHERE n.subject = 'game' AND n.key = NEW.game_id AND NOT s.present;
    INSERT INTO game_managers (game_id, revision, managed_fields)
    SELECT m.game_id, m.revision, m.managed_fields
      FROM replace_notes AS n
      JOIN game_shadow AS s ON s.game_id = n.key
      JOIN replaced_managers AS m ON m.game_id = s.game_id
     WHERE n.subject = 'game' AND n.key = NEW.game_id AND NOT s.present;
    DELETE FROM replaced_managers;
    DELETE FROM game_tombstones
     WHERE game_id = NEW.game_id
       AND generation = (SELECT s.generation FROM game_shadow AS s JOIN replace_notes AS n ON n.subject = 'game' AND n.key = s.game_id
                          WHERE s.game_id = NEW.game_id AND NOT s.present);
    DELETE FROM game_changes
     WHERE game_id = NEW.game_id AND change = 'deleted'
       AND generation = (SELECT s.generation FROM game_shadow AS s JOIN replace_notes AS n ON n.subject = 'game' AND n.key = s.game_id
                          WHERE s.game_id = NEW.game_id AND NOT s.present);
    UPDATE desired_feed SET seq = n.feed_seq FROM replace_notes AS n WHERE n.subject = 'game' AND n.key = NEW.game_id;

    -- Made again after a deletion: the tombstone has nothing to say any more.
    UPDATE game_tombstones SET handled_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
     WHERE game_id = NEW.game_id AND handled_at IS NULL;

    -- A game not seen before starts from nothing; one made again goes on counting.
    INSERT INTO game_shadow (game_id, present, namespace, name, generation, row_version, membership_revision,
                             created_at, updated_at, spec, meta)
    VALUES (NEW.game_id, 1, NEW.namespace, coalesce(nullif(NEW.name, ''), NEW.game_id), 0, 0, 0,
            NEW.created_at, NEW.created_at, '{}', '{}')
    ON CONFLICT (game_id) DO NOTHING;
    UPDATE game_shadow
       SET namespace = NEW.namespace, name = coalesce(nullif(NEW.name, ''), NEW.game_id),
           created_at = NEW.created_at, deletion_requested_at = NULL, spec = '{}', meta = '{}'
     WHERE game_id = NEW.game_id AND NOT present
       AND NOT EXISTS (SELECT 1 FROM replace_notes WHERE subject = 'game' AND key = NEW.game_id);
    UPDATE game_shadow SET present = 1 WHERE game_id = NEW.game_id;
    DELETE FROM replace_notes WHERE subject = 'game' AND key = NEW.game_id;

    -- Nothing that may not change or go down does so by being left out of a REPLACE. This update also
    -- makes games_after_update count the change, even where it alters nothing. The requests of a game
    -- that is made again go on counting where the controller has come to: one that counted below what
    -- was done for the old row would be taken for done.
    UPDATE games
       SET namespace = s.namespace, name = s.name,
           restart_generation = max(games.restart_generation, coalesce(json_extract(s.spec, '$.restart_generation'), 0),
                                      coalesce(r.observed_restart_generation, 0)),
           force_turn_generation = max(games.force_turn_generation, coalesce(json_extract(s.spec, '$.force_turn_generation'), 0),
                                      coalesce(r.observed_force_turn_generation, 0)),
           patch_generation = max(games.patch_generation, coalesce(json_extract(s.spec, '$.patch_generation'), 0),
                                      coalesce(r.observed_patch_generation, 0)),
           unblock_generation = max(games.unblock_generation, coalesce(json_extract(s.spec, '$.unblock_generation'), 0),
                                      coalesce(r.observed_unblock_generation, 0)),
           restore_backup_id = coalesce(restore_backup_id, json_extract(s.spec, '$.restore_backup_id')),
           restore_generation = max(games.restore_generation, coalesce(json_extract(s.spec, '$.restore_generation'), 0),
                                      coalesce(r.observed_restore_generation, 0)),
           backup_generation = max(games.backup_generation, coalesce(json_extract(s.spec, '$.backup_generation'), 0),
                                      coalesce(r.observed_backup_generation, 0))
      FROM game_shadow AS s LEFT JOIN runtime_records AS r ON r.game_id = s.game_id
     WHERE games.game_id = NEW.game_id AND s.game_id = NEW.game_id;
END;

CREATE TRIGGER games_before_update
BEFORE UPDATE ON games
BEGIN
    SELECT RAISE(ABORT, 'games: game_id is immutable') WHERE NEW.game_id IS NOT OLD.game_id;
    SELECT RAISE(ABORT, 'games: namespace is immutable')
     WHERE NEW.namespace IS NOT OLD.namespace
       AND NEW.namespace IS NOT (SELECT namespace FROM game_shadow WHERE game_id = OLD.game_id);
    SELECT RAISE(ABORT, 'games: name is immutable')
     WHERE NEW.name IS NOT OLD.name
       AND NEW.name IS NOT (SELECT name FROM game_shadow WHERE game_id = OLD.game_id);
    SELECT RAISE(ABORT, 'games: restart_generation cannot decrease') WHERE NEW.restart_generation < OLD.restart_generation;
    SELECT RAISE(ABORT, 'games: force_turn_generation cannot decrease') WHERE NEW.force_turn_generation < OLD.force_turn_generation;
    SELECT RAISE(ABORT, 'games: patch_generation cannot decrease') WHERE NEW.patch_generation < OLD.patch_generation;
    SELECT RAISE(ABORT, 'games: unblock_generation cannot decrease') WHERE NEW.unblock_generation < OLD.unblock_generation;
    SELECT RAISE(ABORT, 'games: restore_generation cannot decrease') WHERE NEW.restore_generation < OLD.restore_generation;
    SELECT RAISE(ABORT, 'games: backup_generation cannot decrease') WHERE NEW.backup_generation < OLD.backup_generation;
    SELECT RAISE(ABORT, 'games: a requested deletion cannot be taken back')
     WHERE NEW.deletion_requested_at IS NULL AND OLD.deletion_requested_at IS NOT NULL;
END;

-- A real change counts, and what triggers own is put right. (Not fired by a write of the counters alone, which
-- games_counters_put_right puts right: a change of a membership writes those, and a game may have thousands.)
CREATE TRIGGER games_after_update
AFTER UPDATE OF namespace, name, display_name, labels, annotations, desired_status, stop_now, paused,
    target_engine_version, allow_incompatible_version, turn_schedule, time_zone, missed_turns, turn_not_before, force_mode,
    restart_generation, force_turn_generation, patch_generation, unblock_generation, restore_generation, restore_backup_id,
    backup_generation, backup_before_turn, resources, deletion_policy, requested_by, request_id, source, deletion_requested_at ON games
WHEN NOT EXISTS (SELECT 1 FROM write_batches WHERE game_id = NEW.game_id)
 AND EXISTS (
    SELECT 1 FROM game_shadow AS s JOIN game_documents AS d ON d.game_id = s.game_id
     WHERE s.game_id = NEW.game_id
       AND (s.spec IS NOT d.spec OR s.meta IS NOT d.meta OR s.counted_members IS NOT s.membership_revision
            OR s.generation IS NOT NEW.generation OR s.row_version IS NOT NEW.row_version
            OR s.membership_revision IS NOT NEW.membership_revision
            OR NEW.managed_revision IS NOT coalesce((SELECT revision FROM game_managers WHERE game_id = NEW.game_id), 0)
            OR s.created_at IS NOT NEW.created_at OR s.updated_at IS NOT NEW.updated_at))
BEGIN
    -- The first time a deletion was asked for is the one that counts.
    UPDATE games SET deletion_requested_at = (SELECT deletion_requested_at FROM game_shadow WHERE game_id = NEW.game_id)
     WHERE game_id = NEW.game_id
       AND deletion_requested_at IS NOT (SELECT deletion_requested_at FROM game_shadow WHERE game_id = NEW.game_id)
       AND (SELECT deletion_requested_at FROM game_shadow WHERE game_id = NEW.game_id) IS NOT NULL;

    UPDATE desired_feed SET seq = seq + 1
     WHERE EXISTS (SELECT 1 FROM game_shadow AS s JOIN game_documents AS d ON d.game_id = s.game_id
                    WHERE s.game_id = NEW.game_id
                      AND (s.spec IS NOT d.spec OR s.meta IS NOT d.meta OR s.counted_members IS NOT s.membership_revision));

    INSERT INTO game_changes (game_id, change, generation, row_version, requested_by, request_id, source, changes)
    SELECT NEW.game_id, CASE WHEN s.spec = '{}' THEN 'created' ELSE 'changed' END,
           s.generation + (s.spec IS NOT d.spec OR s.counted_members IS NOT s.membership_revision), s.row_version + 1,
           NEW.requested_by, NEW.request_id, NEW.source,
           -- json_extract alone would make numbers of truth values.
           (SELECT json_group_object(c.column_name, json(c.change))
              FROM (SELECT k.key AS column_name,
                           json_object(
                               'from', CASE json_type(s.spec, k.fullkey) WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
                                            ELSE json_extract(s.spec, k.fullkey) END,
                               'to', CASE json_type(d.spec, k.fullkey) WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
                                            ELSE json_extract(d.spec, k.fullkey) END) AS change
                      FROM json_each(d.spec) AS k
                     WHERE json_extract(s.spec, k.fullkey) IS NOT json_extract(d.spec, k.fullkey)
                    UNION ALL
                    SELECT k.key, json_object('from', json_extract(s.meta, k.fullkey), 'to', json_extract(d.meta, k.fullkey))
                      FROM json_each(d.meta) AS k
                     WHERE json_extract(s.meta, k.fullkey) IS NOT json_extract(d.meta, k.fullkey)
                    UNION ALL
                    SELECT 'membership_revision',
                           json_object('from', CASE WHEN s.spec <> '{}' THEN s.counted_members END, 'to', s.membership_revision)
                     WHERE s.spec = '{}' OR s.counted_members IS NOT s.membership_revision
                    UNION ALL
                    SELECT CASE count(*) WHEN 1 THEN 'member' ELSE 'members' END,
                           CASE count(*) WHEN 1 THEN max(w.members) ELSE json_group_array(json(w.members)) END
                      FROM membership_writes AS w WHERE w.game_id = NEW.game_id
                     GROUP BY w.game_id) AS c)
      FROM game_shadow AS s JOIN game_documents AS d ON d.game_id = s.game_id
     WHERE s.game_id = NEW.game_id
       AND (s.spec IS NOT d.spec OR s.meta IS NOT d.meta OR s.counted_members IS NOT s.membership_revision);

    UPDATE game_shadow
       SET generation = generation + (game_shadow.spec IS NOT d.spec OR counted_members IS NOT membership_revision),
           row_version = row_version + 1, counted_members = membership_revision,
           updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
           deletion_requested_at = coalesce(game_shadow.deletion_requested_at, NEW.deletion_requested_at),
           spec = d.spec, meta = d.meta
      FROM game_documents AS d
     WHERE d.game_id = game_shadow.game_id AND game_shadow.game_id = NEW.game_id
       AND (game_shadow.spec IS NOT d.spec OR game_shadow.meta IS NOT d.meta OR counted_members IS NOT membership_revision);

    UPDATE games
       SET generation = s.generation, row_version = s.row_version, membership_revision = s.membership_revision,
           managed_revision = coalesce((SELECT revision FROM game_managers WHERE game_id = NEW.game_id), 0),
           created_at = s.created_at, updated_at = s.updated_at
      FROM game_shadow AS s
     WHERE games.game_id = NEW.game_id AND s.game_id = NEW.game_id;
END;

CREATE TRIGGER games_counters_put_right
AFTER UPDATE OF generation, row_version, membership_revision, managed_revision, created_at, updated_at ON games
WHEN NOT EXISTS (SELECT 1 FROM write_batches WHERE game_id = NEW.game_id)
 AND EXISTS (
    SELECT 1 FROM game_shadow AS s
     WHERE s.game_id = NEW.game_id
       AND (s.generation IS NOT NEW.generation OR s.row_version IS NOT NEW.row_version
            OR s.membership_revision IS NOT NEW.membership_revision
            OR NEW.managed_revision IS NOT coalesce((SELECT revision FROM game_managers WHERE game_id = NEW.game_id), 0)
            OR s.created_at IS NOT NEW.created_at OR s.updated_at IS NOT NEW.updated_at))
BEGIN
    UPDATE games
       SET generation = s.generation, row_version = s.row_version, membership_revision = s.membership_revision,
           managed_revision = coalesce((SELECT revision FROM game_managers WHERE game_id = NEW.game_id), 0),
           created_at = s.created_at, updated_at = s.updated_at
      FROM game_shadow AS s
     WHERE games.game_id = NEW.game_id AND s.game_id = NEW.game_id;
END;

-- Who wrote what has changed: games_after_update counts it. (What comes back while its game's row is being replaced
-- did not change.)
CREATE TRIGGER game_managers_after_insert
AFTER INSERT ON game_managers
WHEN EXISTS (SELECT 1 FROM game_shadow WHERE game_id = NEW.game_id AND present)
BEGIN
    UPDATE games SET requested_by = requested_by WHERE game_id = NEW.game_id;
END;

CREATE TRIGGER game_managers_after_update
AFTER UPDATE ON game_managers
BEGIN
    UPDATE games SET requested_by = requested_by WHERE game_id = NEW.game_id;
END;

-- Everything that was written of the game in this batch is one change.
CREATE TRIGGER write_batches_after_delete
AFTER DELETE ON write_batches
BEGIN
    UPDATE game_shadow SET membership_revision = membership_revision + 1
     WHERE game_id = OLD.game_id AND present AND EXISTS (SELECT 1 FROM membership_writes WHERE game_id = OLD.game_id);
    UPDATE games SET requested_by = requested_by WHERE game_id = OLD.game_id;
    DELETE FROM membership_writes WHERE game_id = OLD.game_id;
END;

CREATE TRIGGER games_after_delete
AFTER DELETE ON games
BEGIN
    INSERT INTO game_tombstones (game_id, generation, row_version, membership_revision, namespace, name,
                                 deletion_policy, memberships, requested_by, request_id, deletion_requested_at)
    SELECT OLD.game_id, OLD.generation, OLD.row_version, OLD.membership_revision, OLD.namespace, OLD.name,
           OLD.deletion_policy,
           (SELECT json_group_array(json_object('user_id', user_id, 'race_name', race_name, 'status', status,
                                                'created_at', created_at, 'updated_at', updated_at))
              FROM memberships WHERE game_id = OLD.game_id),
           OLD.requested_by, OLD.request_id, OLD.deletion_requested_at;
    INSERT INTO game_changes (game_id, change, generation, row_version, requested_by, request_id, source)
    VALUES (OLD.game_id, 'deleted', OLD.generation, OLD.row_version, OLD.requested_by, OLD.request_id, OLD.source);
    DELETE FROM memberships WHERE game_id = OLD.game_id;
    DELETE FROM replaced_managers;
    INSERT INTO replaced_managers (game_id, revision, managed_fields)
    SELECT game_id, revision, managed_fields FROM game_managers
     WHERE game_id = OLD.game_id
       AND EXISTS (SELECT 1 FROM replace_notes WHERE subject = 'game' AND key = OLD.game_id AND existed);
    DELETE FROM game_managers WHERE game_id = OLD.game_id;
    DELETE FROM replace_notes WHERE subject = 'member' AND key GLOB OLD.game_id || '/*';
    UPDATE game_shadow SET present = 0 WHERE game_id = OLD.game_id;
    UPDATE desired_feed SET seq = seq + 1;
END;

-- memberships

-- What a change of a member brings about, for the three triggers below: a row inserted here. Cheap on purpose: it
-- reads and writes nothing whose size grows with the number of members, but for the game's own row.
CREATE VIEW member_changed AS
SELECT game_id, user_id, race_name AS race_before, race_name AS race_after, status AS status_before, status AS status_after
  FROM memberships WHERE 0;

CREATE TRIGGER member_changed_in_a_batch
INSTEAD OF INSERT ON member_changed
WHEN EXISTS (SELECT 1 FROM write_batches WHERE game_id = NEW.game_id)
BEGIN
    INSERT INTO membership_writes (game_id, members)
    VALUES (NEW.game_id, json_object('user_id', NEW.user_id,
        'race_name', json_object('from', NEW.race_before, 'to', NEW.race_after),
        'status', json_object('from', NEW.status_before, 'to', NEW.status_after)));
END;

CREATE TRIGGER member_changed_alone
INSTEAD OF INSERT ON member_changed
WHEN NOT EXISTS (SELECT 1 FROM write_batches WHERE game_id = NEW.game_id)
 AND EXISTS (SELECT 1 FROM game_shadow WHERE game_id = NEW.game_id AND present)
BEGIN
    UPDATE game_shadow
       SET membership_revision = membership_revision + 1, counted_members = membership_revision + 1,
           generation = generation + 1, row_version = row_version + 1, updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
     WHERE game_id = NEW.game_id;
    UPDATE desired_feed SET seq = seq + 1;
    INSERT INTO game_changes (game_id, change, generation, row_version, requested_by, request_id, source, changes)
    SELECT NEW.game_id, 'changed', s.generation, s.row_version, g.requested_by, g.request_id, g.source,
           json_object(
               'membership_revision', json_object('from', s.membership_revision - 1, 'to', s.membership_revision),
               'member', json_object('user_id', NEW.user_id,
                   'race_name', json_object('from', NEW.race_before, 'to', NEW.race_after),
                   'status', json_object('from', NEW.status_before, 'to', NEW.status_after)))
      FROM game_shadow AS s JOIN games AS g ON g.game_id = s.game_id
     WHERE s.game_id = NEW.game_id;
    UPDATE games
       SET generation = s.generation, row_version = s.row_version, membership_revision = s.membership_revision,
           updated_at = s.updated_at
      FROM game_shadow AS s
     WHERE games.game_id = NEW.game_id AND s.game_id = NEW.game_id;
END;

CREATE TRIGGER memberships_before_insert
BEFORE INSERT ON memberships
BEGIN
    SELECT RAISE(ABORT, 'memberships: there is no such game')
     WHERE NOT EXISTS (SELECT 1 FROM games WHERE game_id = NEW.game_id);
    DELETE FROM replace_notes WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id;
    -- With what there was, and what had been counted so far.
    INSERT INTO replace_notes (subject, key, existed, taken_by, race_name, status, created_at, updated_at,
                               generation, row_version, membership_revision, shadow_updated_at, change_id, write_id, feed_seq)
    SELECT 'member', NEW.game_id || '/' || NEW.user_id, m.user_id IS NOT NULL, o.user_id,
           m.race_name, m.status, m.created_at, m.updated_at,
           s.generation, s.row_version, s.membership_revision, s.updated_at,
           (SELECT coalesce(max(change_id), 0) FROM game_changes),
           (SELECT coalesce(max(write_id), 0) FROM membership_writes), (SELECT seq FROM desired_feed)
      FROM game_shadow AS s
      LEFT JOIN memberships AS m ON m.game_id = s.game_id AND m.user_id = NEW.user_id
      LEFT JOIN memberships AS o ON o.game_id = s.game_id AND o.race_name = NEW.race_name AND o.status = 'active'
                                AND o.user_id <> NEW.user_id AND NEW.status = 'active'
     WHERE s.game_id = NEW.game_id AND (m.user_id IS NOT NULL OR o.user_id IS NOT NULL);
END;

CREATE TRIGGER memberships_after_insert
AFTER INSERT ON memberships
BEGIN
    SELECT RAISE(ABORT, 'memberships: another active member of the game has this race name')
     WHERE EXISTS (SELECT 1 FROM replace_notes
                    WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id AND taken_by IS NOT NULL);

    -- Replaced: as if the row had only been updated.
    DELETE FROM game_changes
     WHERE game_id = NEW.game_id
       AND change_id > (SELECT change_id FROM replace_notes WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id);
    DELETE FROM membership_writes
     WHERE game_id = NEW.game_id
       AND write_id > (SELECT write_id FROM replace_notes WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id);
    UPDATE desired_feed SET seq = n.feed_seq
      FROM replace_notes AS n WHERE n.subject = 'member' AND n.key = NEW.game_id || '/' || NEW.user_id;
    UPDATE game_shadow
       SET generation = n.generation, row_version = n.row_version, membership_revision = n.membership_revision,
           counted_members = n.membership_revision, updated_at = n.shadow_updated_at
      FROM replace_notes AS n
     WHERE n.subject = 'member' AND n.key = NEW.game_id || '/' || NEW.user_id
       AND game_shadow.game_id = NEW.game_id AND game_shadow.present;
    UPDATE memberships SET created_at = n.created_at, updated_at = n.updated_at
      FROM replace_notes AS n
     WHERE n.subject = 'member' AND n.key = NEW.game_id || '/' || NEW.user_id
       AND memberships.game_id = NEW.game_id AND memberships.user_id = NEW.user_id;
    UPDATE memberships SET updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
     WHERE game_id = NEW.game_id AND user_id = NEW.user_id
       AND EXISTS (SELECT 1 FROM replace_notes
                    WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id
                      AND (race_name IS NOT NEW.race_name OR status IS NOT NEW.status));

    INSERT INTO member_changed (game_id, user_id, race_before, race_after, status_before, status_after)
    SELECT NEW.game_id, NEW.user_id, n.race_name, NEW.race_name, n.status, NEW.status
      FROM (SELECT 1) LEFT JOIN replace_notes AS n ON n.subject = 'member' AND n.key = NEW.game_id || '/' || NEW.user_id
     WHERE n.race_name IS NOT NEW.race_name OR n.status IS NOT NEW.status;
    -- What a DELETE trigger wrote to the game's row, if it ran, is put right.
    UPDATE games
       SET generation = s.generation, row_version = s.row_version, membership_revision = s.membership_revision,
           updated_at = s.updated_at
      FROM game_shadow AS s JOIN replace_notes AS n ON n.subject = 'member' AND n.key = NEW.game_id || '/' || NEW.user_id
     WHERE games.game_id = NEW.game_id AND s.game_id = NEW.game_id AND s.present;
    DELETE FROM replace_notes WHERE subject = 'member' AND key = NEW.game_id || '/' || NEW.user_id;
END;

CREATE TRIGGER memberships_before_update
BEFORE UPDATE ON memberships
BEGIN
    SELECT RAISE(ABORT, 'memberships: game_id and user_id are immutable')
     WHERE NEW.game_id IS NOT OLD.game_id OR NEW.user_id IS NOT OLD.user_id;
    -- Said here, for UPDATE OR REPLACE would throw the other member out.
    SELECT RAISE(ABORT, 'memberships: another active member of the game has this race name')
     WHERE NEW.status = 'active'
       AND EXISTS (SELECT 1 FROM memberships
                    WHERE game_id = NEW.game_id AND race_name = NEW.race_name AND status = 'active' AND user_id <> NEW.user_id);
END;

CREATE TRIGGER memberships_after_update
AFTER UPDATE OF race_name, status ON memberships
WHEN NEW.race_name IS NOT OLD.race_name OR NEW.status IS NOT OLD.status
BEGIN
    UPDATE memberships SET updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
     WHERE game_id = NEW.game_id AND user_id = NEW.user_id;
    INSERT INTO member_changed (game_id, user_id, race_before, race_after, status_before, status_after)
    VALUES (NEW.game_id, NEW.user_id, OLD.race_name, NEW.race_name, OLD.status, NEW.status);
END;

CREATE TRIGGER memberships_after_delete
AFTER DELETE ON memberships
WHEN EXISTS (SELECT 1 FROM games WHERE game_id = OLD.game_id)
BEGIN
    INSERT INTO member_changed (game_id, user_id, race_before, race_after, status_before, status_after)
    VALUES (OLD.game_id, OLD.user_id, OLD.race_name, NULL, OLD.status, NULL);
END;

-- engine_versions

CREATE TRIGGER engine_versions_before_insert
BEFORE INSERT ON engine_versions
BEGIN
    DELETE FROM replace_notes WHERE subject = 'version' AND key = NEW.version;
    INSERT INTO replace_notes (subject, key, existed, feed_seq)
    SELECT 'version', NEW.version, 1, (SELECT seq FROM desired_feed)
     WHERE EXISTS (SELECT 1 FROM engine_versions WHERE version = NEW.version);
END;

CREATE TRIGGER engine_versions_after_insert
AFTER INSERT ON engine_versions
BEGIN
    SELECT RAISE(ABORT, 'engine_versions: image_ref is immutable, a new image is a new version')
      FROM replace_notes AS n JOIN engine_version_shadow AS s ON s.version = n.key
     WHERE n.subject = 'version' AND n.key = NEW.version AND s.image_ref IS NOT NEW.image_ref;
    DELETE FROM engine_version_tombstones
     WHERE version = NEW.version
       AND generation = (SELECT s.generation FROM engine_version_shadow AS s
                           JOIN replace_notes AS n ON n.subject = 'version' AND n.key = s.version
                          WHERE s.version = NEW.version AND NOT s.present);
    UPDATE desired_feed SET seq = n.feed_seq FROM replace_notes AS n WHERE n.subject = 'version' AND n.key = NEW.version;

    INSERT INTO engine_version_shadow (version, present, image_ref, generation, row_version, created_at, updated_at, spec, meta)
    VALUES (NEW.version, 1, NEW.image_ref, 0, 0, NEW.created_at, NEW.created_at, '{}', '{}')
    ON CONFLICT (version) DO NOTHING;
    UPDATE engine_version_shadow
       SET image_ref = NEW.image_ref, created_at = NEW.created_at, spec = '{}', meta = '{}'
     WHERE version = NEW.version AND NOT present
       AND NOT EXISTS (SELECT 1 FROM replace_notes WHERE subject = 'version' AND key = NEW.version);
    UPDATE engine_version_shadow SET present = 1 WHERE version = NEW.version;
    DELETE FROM replace_notes WHERE subject = 'version' AND key = NEW.version;

    UPDATE engine_versions
       SET resume_generation = max(resume_generation, coalesce(
               (SELECT json_extract(spec, '$.resume_generation') FROM engine_version_shadow WHERE version = NEW.version), 0))
     WHERE version = NEW.version;
END;

CREATE TRIGGER engine_versions_before_update
BEFORE UPDATE ON engine_versions
BEGIN
    SELECT RAISE(ABORT, 'engine_versions: version is immutable') WHERE NEW.version IS NOT OLD.version;
    SELECT RAISE(ABORT, 'engine_versions: image_ref is immutable, a new image is a new version')
     WHERE NEW.image_ref IS NOT OLD.image_ref;
    SELECT RAISE(ABORT, 'engine_versions: resume_generation cannot decrease')
     WHERE NEW.resume_generation < OLD.resume_generation;
END;

CREATE TRIGGER engine_versions_after_update
AFTER UPDATE ON engine_versions
WHEN EXISTS (
    SELECT 1 FROM engine_version_shadow AS s JOIN engine_version_documents AS d ON d.version = s.version
     WHERE s.version = NEW.version
       AND (s.spec IS NOT d.spec OR s.meta IS NOT d.meta
            OR s.generation IS NOT NEW.generation OR s.row_version IS NOT NEW.row_version
            OR s.created_at IS NOT NEW.created_at OR s.updated_at IS NOT NEW.updated_at))
BEGIN
    UPDATE desired_feed SET seq = seq + 1
     WHERE EXISTS (SELECT 1 FROM engine_version_shadow AS s JOIN engine_version_documents AS d ON d.version = s.version
                    WHERE s.version = NEW.version AND (s.spec IS NOT d.spec OR s.meta IS NOT d.meta));
    UPDATE engine_version_shadow
       SET generation = generation + (engine_version_shadow.spec IS NOT d.spec), row_version = row_version + 1,
           updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), spec = d.spec, meta = d.meta
      FROM engine_version_documents AS d
     WHERE d.version = engine_version_shadow.version AND engine_version_shadow.version = NEW.version
       AND (engine_version_shadow.spec IS NOT d.spec OR engine_version_shadow.meta IS NOT d.meta);
    UPDATE engine_versions
       SET generation = s.generation, row_version = s.row_version, created_at = s.created_at, updated_at = s.updated_at
      FROM engine_version_shadow AS s
     WHERE engine_versions.version = NEW.version AND s.version = NEW.version;
END;

CREATE TRIGGER engine_versions_after_delete
AFTER DELETE ON engine_versions
BEGIN
    INSERT INTO engine_version_tombstones (version, generation, row_version, image_ref, requested_by, request_id)
    VALUES (OLD.version, OLD.generation, OLD.row_version, OLD.image_ref, OLD.requested_by, OLD.request_id);
    UPDATE engine_version_shadow SET present = 0 WHERE version = OLD.version;
    UPDATE desired_feed SET seq = seq + 1;
END;

-- controller_spec

CREATE TRIGGER controller_spec_before_update
BEFORE UPDATE ON controller_spec
BEGIN
    SELECT RAISE(ABORT, 'controller_spec: rebind_generation cannot decrease') WHERE NEW.rebind_generation < OLD.rebind_generation;
END;

CREATE TRIGGER controller_spec_after_update
AFTER UPDATE ON controller_spec
WHEN NEW.row_version IS OLD.row_version
BEGIN
    UPDATE controller_spec
       SET row_version = OLD.row_version + 1, updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
     WHERE id = NEW.id;
    UPDATE desired_feed SET seq = seq + 1;
END;

-- Not fired by an INSERT that becomes an UPDATE or nothing: only where the row was replaced.
CREATE TRIGGER controller_spec_after_insert
AFTER INSERT ON controller_spec
BEGIN
    SELECT RAISE(ABORT, 'controller_spec: the one row stays');
END;

CREATE TRIGGER controller_spec_before_delete
BEFORE DELETE ON controller_spec
BEGIN
    SELECT RAISE(ABORT, 'controller_spec: the one row stays');
END;

-- access_tokens

CREATE TRIGGER access_tokens_after_insert
AFTER INSERT ON access_tokens
BEGIN
    UPDATE access_feed SET seq = seq + 1;
END;

CREATE TRIGGER access_tokens_before_update
BEFORE UPDATE ON access_tokens
BEGIN
    SELECT RAISE(ABORT, 'access_tokens: a token is immutable, delete it and make another');
END;

CREATE TRIGGER access_tokens_after_delete
AFTER DELETE ON access_tokens
BEGIN
    UPDATE access_feed SET seq = seq + 1;
END;
