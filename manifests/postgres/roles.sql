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
-- gamekeeper_lobby   writes desired state (what the triggers keep they put right, whatever is written to it), reads
--                    what became of it, and acknowledges events (acked_at). A game ends by deletion_requested_at:
--                    of rows it deletes memberships alone.
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

-- Whole tables, because programs that write rows name all of their columns, be it as DEFAULT or with the value
-- that they read. What is not theirs the triggers put right (generation, row_version, membership_revision, the
-- times) or refuse to change (names, images, requests that would go down). No game's row can be deleted: a game
-- ends by deletion_requested_at.
GRANT INSERT, UPDATE ON engine_versions, games TO gamekeeper_lobby;
GRANT INSERT, UPDATE, DELETE ON memberships TO gamekeeper_lobby;

GRANT UPDATE (acked_at) ON lobby_outbox TO gamekeeper_lobby;

GRANT SELECT ON engine_versions, games, memberships, game_changes, game_tombstones, engine_version_tombstones,
                game_status, runtime_records, player_mappings, player_stats, turns, turn_slots,
                operation_log, lobby_outbox
   TO gamekeeper_lobby;

GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO gamekeeper_viewer;
REVOKE ALL ON access_tokens FROM gamekeeper_viewer;

COMMIT;
