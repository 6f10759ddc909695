#!/bin/sh
# Three nodes on loopback, joined and ready; ends all of them on Ctrl-C. Said by the environment:
# DATA (folders DATA-1 to DATA-3), PORT (the first of three), MESH (the first of three), COUCHDB_USER,
# COUCHDB_PASSWORD, SETTEE (the program).
set -eu

DATA=${DATA:-data}
PORT=${PORT:-5984}
MESH=${MESH:-9101}
SETTEE=${SETTEE:-target/release/settee}
export COUCHDB_USER="${COUCHDB_USER:-admin}" COUCHDB_PASSWORD="${COUCHDB_PASSWORD:-password}"
# Of this cluster only: it is reached from this machine alone.
export COUCHDB_ERLANG_COOKIE="${COUCHDB_ERLANG_COOKIE:-loopback}"

pids=
trap 'trap - EXIT; kill $pids 2>/dev/null || true; wait' EXIT INT TERM

seeds="127.0.0.1:$MESH,127.0.0.1:$((MESH + 1)),127.0.0.1:$((MESH + 2))"
for number in 0 1 2; do
    folder="$DATA-$((number + 1))"
    NODENAME="node$((number + 1))@127.0.0.1" "$SETTEE" serve --data "$folder" \
        --seedlist "$seeds" --port $((PORT + number)) --mesh "127.0.0.1:$((MESH + number))" &
    pids="$pids $!"
done

members() {
    curl -sf -u "$COUCHDB_USER:$COUCHDB_PASSWORD" "http://127.0.0.1:$1/_membership" |
        grep -o 'node[123]@127.0.0.1' | sort -u | wc -l
}

for number in 0 1 2; do
    tries=0
    until [ "$(members $((PORT + number)))" = 3 ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "the nodes did not find each other" >&2; exit 1; }
        sleep 0.1
    done
done
echo "three nodes are ready:"
for number in 0 1 2; do
    echo "  http://$COUCHDB_USER:$COUCHDB_PASSWORD@127.0.0.1:$((PORT + number))"
done
wait
