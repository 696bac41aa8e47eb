# Host setup, sourced by board/try.sh and tests/run.sh: installs what is missing and says what.
# POSIX sh; works as root and with sudo; changes nothing that is already there: a toolchain that is too old stays the default.

# The oldest Rust that builds this program (Cargo.toml says the same; tests/tidy.rs compares them).
RUST_MIN=1.91

say() { printf '== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "packages are missing and this user is not root: run this script as root, or install sudo"
    fi
}

# need_packages PACKAGE...: installs those that are not installed.
need_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "apt-get was not found; install these by hand:$missing"
    say "installing packages:$missing"
    as_root apt-get update -qq || die "apt-get update failed: is the network up?"
    # shellcheck disable=SC2086 # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        die "apt-get could not install:$missing"
}

rust_is_new_enough() {
    command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1 || return 1
    have=$(rustc --version 2>/dev/null | sed 's/^rustc \([0-9]*\)\.\([0-9]*\).*/\1 \2/')
    # shellcheck disable=SC2086 # two numbers
    set -- $have
    [ "${1:-0}" -gt "${RUST_MIN%.*}" ] || { [ "${1:-0}" -eq "${RUST_MIN%.*}" ] && [ "${2:-0}" -ge "${RUST_MIN#*.}" ]; }
}

# need_rust: a toolchain that is new enough, in the user's home where the system has none.
need_rust() {
    [ -d "$HOME/.cargo/bin" ] && PATH="$HOME/.cargo/bin:$PATH" && export PATH
    rust_is_new_enough && return 0
    say "no Rust $RUST_MIN or newer is here: installing a toolchain into $HOME/.rustup"
    if ! command -v rustup >/dev/null 2>&1; then
        need_packages ca-certificates curl
        # Debian 13 has rustup as a package; elsewhere it is its authors' installer.
        if apt-cache policy rustup | grep -q 'Candidate: [^(]'; then
            need_packages rustup
        else
            curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
                sh -s -- -y -q --profile minimal --default-toolchain none --no-modify-path
            PATH="$HOME/.cargo/bin:$PATH" && export PATH
        fi
    fi
    rustup toolchain install stable --profile minimal ||
        die "rustup could not install a toolchain: is the network up? Rust $RUST_MIN or newer from anywhere will do"
    rustup default >/dev/null 2>&1 || rustup default stable || true
    RUSTUP_TOOLCHAIN=stable && export RUSTUP_TOOLCHAIN
    rust_is_new_enough || die "no Rust toolchain of version $RUST_MIN or newer could be installed; see https://rustup.rs"
}
