-- The roles of a Gamekeeper database on PostgreSQL: what a lobby and what a reader may do.
--
--   psql -v ON_ERROR_STOP=1 -d DATABASE -f roles.sql
--   psql -v ON_ERROR_STOP=1 -v schema=other -d DATABASE -f roles.sql
--
-- Run it as the owner of the schema (or a superuser) after Gamekeeper's first start, and again after each
-- upgrade: it takes away what it does not give, and changes nothing when run twice. The roles cannot log in
-- until they have a way to: ALTER ROLE gamekeeper_lobby PASSWORD '…', a line of pg_hba.conf, or
-- GRANT gamekeeper_lobby TO your_lobby.
--
-- gamekeeper_lobby   writes desired state (never what the triggers keep), reads what became of it, and
--                    acknowledges events (acked_at). A game ends by deletion_requested_at, a membership by
--                    its status: it deletes no row.
-- gamekeeper_viewer  reads everything but who may ask the API (access_tokens).
--
-- Gamekeeper itself is the schema's owner. It needs CONNECT to the database, and CREATE in it for the first start.

\if :{?schema}
\else
\set schema gamekeeper
\endif

BEGIN;

SELECT format('CREATE ROLE %I LOGIN', role) FROM (VALUES ('gamekeeper_lobby'), ('gamekeeper_viewer')) AS wanted (role)
 WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role)
\gexec

REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC, gamekeeper_lobby, gamekeeper_viewer;
REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM PUBLIC, gamekeeper_lobby, gamekeeper_viewer;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA :"schema" FROM PUBLIC, gamekeeper_lobby, gamekeeper_viewer;
-- Triggers run all the same: as their owner.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA :"schema" FROM PUBLIC, gamekeeper_lobby, gamekeeper_viewer;
GRANT USAGE ON SCHEMA :"schema" TO gamekeeper_lobby, gamekeeper_viewer;

SET LOCAL search_path TO :"schema";

GRANT INSERT (version, image_ref, enabled, port, contract, run_as, relaxations, resources, labels, annotations,
              resume_generation, requested_by, request_id),
      UPDATE (enabled, port, contract, run_as, relaxations, resources, labels, annotations,
              resume_generation, requested_by, request_id)
   ON engine_versions TO gamekeeper_lobby;

GRANT INSERT (game_id, namespace, name, display_name, labels, annotations, desired_status, stop_now, paused,
              target_engine_version, allow_incompatible_version, turn_schedule, time_zone, missed_turns,
              turn_not_before, force_mode, restart_generation, force_turn_generation, patch_generation,
              unblock_generation, restore_generation, restore_backup_id, backup_generation, backup_before_turn,
              resources, deletion_policy,
              requested_by, request_id, source, deletion_requested_at),
      UPDATE (display_name, labels, annotations, desired_status, stop_now, paused,
              target_engine_version, allow_incompatible_version, turn_schedule, time_zone, missed_turns,
              turn_not_before, force_mode, restart_generation, force_turn_generation, patch_generation,
              unblock_generation, restore_generation, restore_backup_id, backup_generation, backup_before_turn,
              resources, deletion_policy,
              requested_by, request_id, source, deletion_requested_at)
   ON games TO gamekeeper_lobby;

GRANT INSERT (game_id, user_id, race_name, status), UPDATE (race_name, status) ON memberships TO gamekeeper_lobby;

GRANT UPDATE (acked_at) ON lobby_outbox TO gamekeeper_lobby;

GRANT SELECT ON engine_versions, games, memberships, game_changes, game_tombstones, engine_version_tombstones,
                game_status, runtime_records, player_mappings, player_stats, turns, turn_slots,
                operation_log, lobby_outbox
   TO gamekeeper_lobby;

GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO gamekeeper_viewer;
REVOKE ALL ON access_tokens FROM gamekeeper_viewer;

COMMIT;
