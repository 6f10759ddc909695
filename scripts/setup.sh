#!/bin/sh
# Installs what is missing: `setup.sh build` for the compiler's needs, `setup.sh it` for the tests of
# the whole program, `setup.sh fauxton` for the web interface (into target/fauxton), `setup.sh clients`
# for the tests with real clients. Does nothing, quickly, when everything is there.
set -eu

apt_install() {
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq "$@"
}

case "${1:-build}" in
build)
    command -v cargo >/dev/null || { echo "settee needs Rust: https://rustup.rs" >&2; exit 1; }
    command -v cc >/dev/null || apt_install build-essential
    command -v openssl >/dev/null || apt_install openssl
    command -v curl >/dev/null || apt_install curl
    ;;
it)
    command -v promtool >/dev/null || apt_install --no-install-recommends prometheus
    ;;
fauxton)
    version=1.2.6
    hash=5ZwPKqstwmQclSHifWBmbyzlBOLoBB3gssGaiEFLPcIzHO0Zxz+uPr/D/Fs6DGH7Hfohw7s6zqcjwU9CRcshfw==
    cd "$(dirname "$0")/.."
    [ "$(cat target/fauxton/version 2>/dev/null)" = "$version" ] && exit 0
    command -v npm >/dev/null || apt_install nodejs npm
    # Its release alone: what it is built with is not needed.
    rm -rf target/fauxton && mkdir -p target/fauxton && cd target/fauxton
    npm pack "fauxton@$version" --silent >/dev/null
    [ "$(openssl dgst -sha512 -binary "fauxton-$version.tgz" | base64 -w 0)" = "$hash" ] ||
        { echo "fauxton $version is not what it was" >&2; exit 1; }
    tar xzf "fauxton-$version.tgz" --strip-components=1 package/dist/release package/package.json package/LICENSE
    rm "fauxton-$version.tgz"
    echo "$version" >version
    ;;
clients)
    command -v node >/dev/null || apt_install nodejs npm
    command -v chromium >/dev/null || apt_install chromium
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    cd "$(dirname "$0")/../tests/clients"
    python=../../target/python
    [ "$python" -nt requirements.txt ] ||
        { python3 -m venv "$python" && "$python/bin/pip" install -q -r requirements.txt && touch "$python"; }
    [ -d node_modules ] && [ node_modules -nt package-lock.json ] || { npm ci --no-audit --no-fund --silent && touch node_modules; }
    ;;
esac
