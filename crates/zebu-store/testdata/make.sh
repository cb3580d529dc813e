#!/usr/bin/env bash
# make.sh CLASSPATH OUT [-Dname=value ...]: lets a Java server write OUT/d, as README.md says.
set -euo pipefail
classpath=$1
out=$2
shift 2
rm -rf "$out"
mkdir -p "$out/d"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > "$out/zoo.cfg" <<END
dataDir=$out/d
clientPort=$port
clientPortAddress=127.0.0.1
END

run() { # run NAME [-D...]: a server, the client's run NAME, a kill
    local name=$1
    shift
    java -Dzookeeper.preAllocSize=64 -Dzookeeper.extendedTypesEnabled=true -Dzookeeper.admin.enableServer=false \
        -Dznode.container.checkIntervalMs=300 "$@" -cp "$classpath" \
        org.apache.zookeeper.server.ZooKeeperServerMain "$out/zoo.cfg" > "$out/server.log" 2>&1 &
    local server=$!
    java -cp "$classpath:." Work "127.0.0.1:$port" "$name"
    kill -9 "$server"
    wait "$server" || true
}

run first "$@"
run second "$@"
ls -l "$out/d/version-2"
