#!/usr/bin/env bash
# Builds for Windows on Linux, and runs under Wine everything that can run there: all tests, layers
# on a stand-in for vmcompute.dll with and without the filter calls, and the program itself.
#
# Needs the Debian packages that .ci/run installs. Debian's own compiler comes with the sources of
# the standard library and builds its Windows half from them; no other toolchain is downloaded.
#
# Not covered, because Wine 8 lacks them: reparse points, alternate streams, extended attributes,
# persistent security descriptors, BackupRead and BackupWrite (the fallback runs instead), virtual
# disks and computestorage.dll.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build="${CARGO_TARGET_DIR:-$PWD/target}/windows"
debug="$build/x86_64-pc-windows-gnu/debug"
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
export WINEPREFIX="$build/wine" WINEDEBUG=-all CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
unset WCLAYER_STANDIN_LOG WCLAYER_STANDIN_FAIL
system32="$WINEPREFIX/drive_c/windows/system32"
options=(-Zbuild-std=std,panic_unwind,test --target x86_64-pc-windows-gnu --target-dir "$build")
mkdir -p "$build"

say() {
    printf -- '--> %s\n' "$1"
}

prepare_wine() {
    [[ -d $system32 ]] || wineboot -i >"$build/wineboot.log" 2>&1
    # The first tests must not find files installed by an earlier run.
    rm -f "$system32/vmcompute.dll"
    x86_64-w64-mingw32-gcc -shared -o "$system32/bcryptprimitives.dll" \
        testing/wine/bcryptprimitives.c -ladvapi32
}

# PATH could provide the driver of another version: call clippy with its own.
check_with_clippy() {
    env CARGO=/usr/bin/cargo SYSROOT=/usr PATH=/usr/bin:/bin /usr/bin/cargo-clippy clippy --quiet \
        "${options[@]}" --package ntmeta --package wclayer --package wclayer-cli \
        --package vmcompute-standin --features vmcompute-standin/filter \
        --lib --bins --tests -- -D warnings
}

# The tests of hostile data (`hostile`) and of the fake (`hcs`) give the same results on every
# system, so they run on Linux only.
run_tests() {
    local skipped=(
        # Console events do not reach a program started without a console, like all programs here.
        signals::an_idle_import_stops_at_ctrl_c
        signals::an_idle_import_stops_at_sigterm
        signals::the_second_signal_ends_what_cannot_stop
        signals::a_stopped_export_leaves_the_old_file
        # Wine fails for a path of that length with ERROR_MORE_DATA, Windows does not.
        a_path_may_be_longer_than_windows_likes
        # Wine does not keep all four times of a file.
        transport::a_layer_goes_through_a_transport_folder
    )
    cargo test --quiet "${options[@]}" --package ntmeta --lib
    cargo test --quiet "${options[@]}" --package wclayer \
        --lib --test places --test portable --test tar --test windows -- \
        "${skipped[@]/#/--skip=}"
    cargo test --quiet "${options[@]}" --package wclayer-cli --bins --test cli -- \
        "${skipped[@]/#/--skip=}"
}

# Installs the stand-in where the program looks for DLLs: in system32, like the real one.
install_stand_in() {
    cargo build --quiet "${options[@]}" --package vmcompute-standin "$@"
    cp "$debug/vmcompute.dll" "$system32/vmcompute.dll"
}

# Imports and exports whole layers of the sample through the stand-in.
run_layers() {
    local log="$build/standin-$1.jsonl" found=0
    rm -f "$log"
    WCLAYER_STANDIN_LOG="$log" cargo test --quiet "${options[@]}" \
        --package wclayer --test windows
    grep -q '"call":"ImportLayer"' "$log"
    grep -q '"call":"ProcessBaseImage"' "$log"
    if grep -q '"call":"ImportLayerBegin"' "$log"; then
        found=1
    fi
    if [[ $1 == with-filter ]]; then
        ((found == 1))
    else
        ((found == 0))
    fi
}

prepare_wine
cargo build --quiet "${options[@]}" --package wclayer-cli
say "clippy for Windows"
check_with_clippy
say "tests under Wine"
run_tests
say "layers without the filter calls"
install_stand_in
run_layers without-filter
testing/wine/commands.sh "$debug/wclayer.exe" without-filter
say "layers with the filter calls"
install_stand_in --features filter
run_layers with-filter
testing/wine/commands.sh "$debug/wclayer.exe" with-filter
rm -f "$system32/vmcompute.dll"
