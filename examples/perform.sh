#!/usr/bin/env bash
# Drives a running server with liblo's oscsend: let it hear six seconds, play on, return, and ask how it is.
# perform.sh [HOST] [PORT]   Watch the answers meanwhile: oscdump 9000
set -eu
host=${1:-127.0.0.1} port=${2:-7348}
say() { oscsend "$host" "$port" "$@"; }
say /segue/notify i 9000
sleep 6
say /segue/deck/1/continue sfsi beats 8.0 seed 42
sleep 6
say /segue/deck/1/stop
say /segue/status
