#!/usr/bin/env bash
# A cluster on one machine: PostgreSQL, Redis, two replicas of the gateway and three simulated workers,
# all of them private to this run, in a temporary folder and on free ports. It registers a tenant, connects
# a session through the first replica and sends a message through the second, says what it does, and stays
# up until Ctrl-C; with --once it ends after the message. Whatever it started is gone afterwards.
#
#   examples/cluster.sh [--once]
#
# It needs bash, curl, and the programs of PostgreSQL and Redis. GATEWAY_SERVER names a built
# gateway-server; without it, one is built.
set -euo pipefail
cd "$(dirname "$0")/.."

once=no
case "${1:-}" in
  '') ;;
  --once) once=yes ;;
  *) echo "usage: $0 [--once]" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$1"; }
fail() { echo "error: $1" >&2; exit 1; }

for program in curl redis-server; do
  command -v "$program" >/dev/null || fail "$program is not installed"
done
postgres=''
for folder in "$(dirname "$(command -v initdb || echo /nowhere/initdb)")" /usr/lib/postgresql/*/bin; do
  [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && postgres=$folder
done
[ -n "$postgres" ] || fail "the programs of PostgreSQL are not installed"

if [ -z "${GATEWAY_SERVER:-}" ]; then
  say "build the gateway"
  cargo build --quiet --locked -p gateway-server
  GATEWAY_SERVER=$(cargo metadata --format-version 1 --no-deps --locked |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/gateway-server
fi
gateway=$(realpath "$GATEWAY_SERVER")
# Not an option of the gateway's.
unset GATEWAY_SERVER

work=$(mktemp -d)
started=()
clean_up() {
  trap - EXIT INT TERM
  # The last one first: workers say goodbye to gateways, gateways write to their database.
  for ((n = ${#started[@]} - 1; n >= 0; n--)); do
    kill "${started[n]}" 2>/dev/null || true
    wait "${started[n]}" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# PostgreSQL refuses to run as root; then it runs as the user who owns its folder.
as_owner=()
mkdir "$work/postgres"
if [ "$(id -u)" = 0 ]; then
  owner=nobody
  getent passwd postgres >/dev/null && owner=postgres
  chmod 711 "$work"
  chown "$owner" "$work/postgres"
  as_owner=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups --)
fi

# Runs "$@" in the background with its output in $work/$name.log.
start() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  started+=("$!")
}

# Waits until a command succeeds; shows the log of what it waits for if it never does.
until_ready() {
  local name=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "${started[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  fail "$name did not start"
}

# A port that nobody listens on. Somebody else may take it first: start again then.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

say "PostgreSQL and Redis"
"${as_owner[@]}" "$postgres/initdb" -D "$work/postgres/data" -U gateway -A trust -E UTF8 --locale=C --no-sync >"$work/initdb.log"
postgres_port=$(free_port)
start postgres "${as_owner[@]}" "$postgres/postgres" -D "$work/postgres/data" -p "$postgres_port" \
  -c listen_addresses=127.0.0.1 -c unix_socket_directories=
until_ready postgres grep -q "ready to accept connections" "$work/postgres.log"
redis_port=$(free_port)
start redis redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no
until_ready redis grep -q "Ready to accept connections" "$work/redis.log"

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
export DATABASE_URL="postgres://gateway@127.0.0.1:$postgres_port/postgres"
export REDIS_URL="redis://127.0.0.1:$redis_port"
export JWT_SECRET WORKER_AUTH_TOKEN GATEWAY_AUTH_WORKER_TOKEN_KEY GATEWAY_AUTH_MESSAGE_ID_KEY GATEWAY_STORAGE_STATE_KEYS
JWT_SECRET=$(secret)
WORKER_AUTH_TOKEN=$(secret)
GATEWAY_AUTH_WORKER_TOKEN_KEY=$(secret)
GATEWAY_AUTH_MESSAGE_ID_KEY=$(secret)
GATEWAY_STORAGE_STATE_KEYS="1:$(secret)"
export GATEWAY_STORAGE_DATA_DIR="$work/files" GATEWAY_HTTP_LISTEN=127.0.0.1 LOG_LEVEL=warn
echo "$DATABASE_URL"
echo "$REDIS_URL"

say "gateway-server migrate"
"$gateway" migrate

say "two replicas"
urls=()
for n in 1 2; do
  PORT=0 start "replica-$n" "$gateway" serve
  until_ready "replica-$n" grep -q "listening on " "$work/replica-$n.log"
  urls+=("$(sed -n 's/^listening on //p' "$work/replica-$n.log")")
  echo "replica $n: ${urls[-1]}"
done
api="${urls[0]}/api/v1"

say "three simulated workers"
for n in 1 2 3; do
  start "worker-$n" "$gateway" sim-worker --id "worker-$n" --gateway "${urls[n % 2]}"
  until_ready "worker-$n" grep -q "listening on " "$work/worker-$n.log"
  echo "worker-$n: $(sed -n 's/^listening on //p' "$work/worker-$n.log"), told of ${urls[n % 2]}"
done

# call <method> <url> [json]: an answer that is a success, or the end.
call() {
  local arguments=(-sS --fail-with-body --max-time 30 -X "$1" -H "Authorization: Bearer ${token:-}")
  [ $# -lt 3 ] || arguments+=(-H 'Content-Type: application/json' -d "$3")
  curl "${arguments[@]}" "$2"
}
# field <name>: the first text of that name in a JSON answer.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

say "a tenant"
email=cluster@example.com
token=$(call POST "$api/auth/register" "{\"email\":\"$email\",\"password\":\"correct horse battery\"}" | field accessToken)
token=$(call POST "$api/users/me/api-keys" '{"name":"cluster"}' | field key)
echo "$email, API key $token"

say "a session, connected through replica 1"
call POST "$api/sessions" '{"name":"demo"}' >/dev/null
call POST "$api/sessions/demo/connect" >/dev/null
status=''
for _ in $(seq 60); do
  # The simulated phone scans by itself.
  status=$(call GET "$api/sessions/demo" | field status)
  [ "$status" = CONNECTED ] && break
  sleep 0.5
done
[ "$status" = CONNECTED ] || fail "the session is $status"
echo "demo is $status"

say "a message, sent through replica 2"
api="${urls[1]}/api/v1"
call POST "$api/sessions/demo/messages" '{"to":"+491701234567","type":"text","text":"hello from a cluster"}'
echo
for _ in $(seq 60); do
  status=$(call GET "$api/sessions/demo/messages" | field status)
  [ "$status" = delivered ] && break
  sleep 0.5
done
[ "$status" = delivered ] || fail "the message is $status"
echo "the message is $status"

if [ "$once" = yes ]; then
  say "done"
  exit 0
fi
say "up until Ctrl-C"
cat <<END
replicas:  ${urls[0]} ${urls[1]}
API docs:  ${urls[0]}/docs
logs:      $work
try:       curl -X POST ${urls[0]}/api/v1/sessions/demo/messages -H 'Authorization: Bearer $token' -H 'Content-Type: application/json' -d '{"to":"+491701234567","type":"text","text":"hello again"}'
END
wait -n "${started[@]}" || true
fail "something has ended by itself; its log was in $work"
