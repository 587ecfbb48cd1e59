#!/usr/bin/env bash
# Runs the commands of wclayer.exe under Wine against the stand-in: `commands.sh WCLAYER.EXE`, in
# the environment that run.sh makes.
set -euo pipefail

program=$1
work="$WINEPREFIX/drive_c/wclayer-commands"
rm -rf "$work"
mkdir -p "$work"
export WCLAYER_STANDIN_LOG="$work/calls.jsonl"

wclayer() {
    wine "$program" "$@" </dev/null
}

fail() {
    echo "commands.sh: $1" >&2
    exit 1
}

# Requires that these functions were called since the last time, in this order and no other.
called() {
    local made
    made=$(sed -E 's/^\{"call":"([A-Za-z]+)".*/\1/' "$WCLAYER_STANDIN_LOG" |
        grep -v -x -e NameToGuid -e LayerExists | uniq | tr '\n' ' ')
    rm -f "$WCLAYER_STANDIN_LOG"
    [[ ${made% } == "$*" ]] || fail "called were: $made; expected: $*"
}

has() {
    [[ -e $work/$1 ]] || fail "$1 is missing"
}

has_not() {
    [[ ! -e $work/$1 ]] || fail "$1 is there"
}

# makebaselayer: a folder becomes a base layer.
mkdir -p "$work/base/Files/Windows/System32/config"
echo hello >"$work/base/Files/hello.txt"
wclayer makebaselayer 'C:\wclayer-commands\base'
called ProcessBaseImage
has base/blank.vhdx
has base/Files/Windows/System32/config/SYSTEM

# create, mount, unmount, remove: the life of a scratch layer.
wclayer create -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch'
called CreateSandboxLayer
has scratch/sandbox.vhdx
wclayer mount -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch' >"$work/mount.txt"
called ActivateLayer PrepareLayer GetLayerMountPath
grep -qF '\\?\Volume{' "$work/mount.txt" || fail "mount does not print the volume"
wclayer unmount 'C:\wclayer-commands\scratch'
called UnprepareLayer DeactivateLayer
wclayer remove 'C:\wclayer-commands\scratch'
called DestroyLayer
has_not scratch

# A failure says which call of which DLL, and why, and leaves nothing behind.
if WCLAYER_STANDIN_FAIL=CreateSandboxLayer:1:0x80070005 wclayer create \
    -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\failed' 2>"$work/error.txt"; then
    fail "a failed create is a success"
fi
grep -qF 'CreateSandboxLayer (vmcompute.dll)' "$work/error.txt" || fail "the call is not named"
grep -qF '0x80070005' "$work/error.txt" || fail "the code is not named"
has_not failed
rm -f "$WCLAYER_STANDIN_LOG"

# When the second step of mount fails, the first is undone.
wclayer create -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch'
rm -f "$WCLAYER_STANDIN_LOG"
if WCLAYER_STANDIN_FAIL=PrepareLayer:1:0x80070005 wclayer mount \
    -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch' 2>"$work/error.txt"; then
    fail "a failed mount is a success"
fi
called ActivateLayer PrepareLayer DeactivateLayer
wclayer remove --force 'C:\wclayer-commands\scratch'
has_not scratch
wclayer remove 'C:\wclayer-commands\base'
has_not base
rm -f "$WCLAYER_STANDIN_LOG"
rm -rf "$work"
