#!/bin/bash
# The pure modules import no I/O, and each outside world is named in one place only.
set -eu
cd "$(dirname "$0")/../.."
failed=0

# refuse WHY PATTERN FILE…: no line of these files but comments may match.
refuse() {
  local why=$1 pattern=$2 found
  shift 2
  found=$(grep -nE "$pattern" "$@" /dev/null | grep -vE '^[^:]*:[0-9]+: *//' || true)
  if [ -n "$found" ]; then
    printf 'layering: %s:\n%s\n' "$why" "$found" >&2
    failed=1
  fi
}

files() { find "$@" -name '*.rs'; }
without() { grep -vE "$1" || true; }

game=$(files src/game | without '/tests')
pure="$game $(files src/reconcile | without 'reconcile/apply\.rs|/tests/')"
all=$(files src)

refuse 'game and the planner do no I/O and read no clock' \
  '\b(tokio|bollard|sea_orm|sqlx|axum|hyper|reqwest|tracing|rand)::|std::(fs|net|process|env|thread)\b|Timestamp::now|Instant::now|SystemTime|async fn|new_v[47]\(' $pure
refuse 'game depends on nothing of ours' 'crate::(api|cli|config|controller|engine|lobby|reconcile|runtime|server|store)\b' $game
refuse 'the planner depends on game alone' 'crate::(api|cli|config|controller|engine|lobby|runtime|server|store)\b' \
  $(files src/reconcile | without 'reconcile/apply\.rs|/tests/')
refuse 'what the lobby is told, and what its answers mean, is pure' \
  '\b(tokio|reqwest|sea_orm|sqlx|tracing|rand)::|std::(fs|net|process|env|thread)\b|Timestamp::now|Instant::now|SystemTime|async fn|new_v[47]\(' \
  $(files src/lobby/event) src/lobby/envelope.rs src/lobby/verdict.rs
refuse 'the lobby depends on game and store alone' 'crate::(api|cli|config|controller|engine|reconcile|runtime|server)\b' $(files src/lobby)
refuse 'only runtime/docker names bollard' '\bbollard::' $(echo "$all" | without 'src/runtime/docker')
refuse 'only the store names sea-orm and sqlx' '\b(sea_orm|sqlx)::' $(echo "$all" | without 'src/store/')
refuse 'only the API serves HTTP' '\baxum(_server)?::' $(echo "$all" | without 'src/api')
refuse 'the runtime and the engine client know nothing of the store' 'crate::(store|controller|api|reconcile)\b' $(files src/runtime src/engine)
refuse 'the store knows nothing of the runtime' 'crate::(runtime|engine|controller|api|reconcile|lobby)\b' $(files src/store)
refuse 'the API changes nothing at the runtime' 'runtime\.(create|start|stop|remove|pull|create_network|create_state_directory|remove_state_directory)\(' $(files src/api 2>/dev/null)

[ "$failed" = 0 ] && echo "layering: as it should be"
exit "$failed"
