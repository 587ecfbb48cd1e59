#!/usr/bin/env bash
# Runs the commands of wclayer.exe under Wine against the stand-in: `commands.sh WCLAYER.EXE
# with-filter|without-filter`, in the environment set up by run.sh.
set -euo pipefail

program=$1 filter=$2
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

# Requires that exactly these functions were called since the last check, in this order, ignoring
# functions that only query and those called once per entry.
called() {
    local made
    made=$(sed -E 's/^\{"call":"([A-Za-z]+)".*/\1/' "$WCLAYER_STANDIN_LOG" |
        grep -v -x -e NameToGuid -e LayerExists -e ImportLayerNext -e ImportLayerWrite | uniq | tr '\n' ' ')
    rm -f "$WCLAYER_STANDIN_LOG"
    [[ ${made% } == "$*" ]] || fail "called were: $made; expected: $*"
}

# Requires a call with this argument, spelled exactly so, since the last check.
got() {
    local spelled=${3//\\/\\\\}
    grep -F "{\"call\":\"$1\"," "$WCLAYER_STANDIN_LOG" | grep -qF "\"$2\":\"$spelled\"" ||
        fail "$1 did not get $2 $3: $(grep -F "\"$1\"" "$WCLAYER_STANDIN_LOG")"
}

has() {
    [[ -e $work/$1 ]] || fail "$1 is missing"
}

has_not() {
    [[ ! -e $work/$1 ]] || fail "$1 exists"
}

# makebaselayer: converts a folder to a base layer.
mkdir -p "$work/base/Files/Windows/System32/config"
echo hello >"$work/base/Files/hello.txt"
wclayer makebaselayer 'C:\wclayer-commands\base\'
got ProcessBaseImage layer '\\?\C:\wclayer-commands\base'
called ProcessBaseImage
has base/blank.vhdx
has base/Files/Windows/System32/config/SYSTEM

# create, mount, unmount, remove: the life of a scratch layer.
# Whatever the spelling of a path, Windows and layerchain.json get its canonical form.
wclayer create -l 'C:/wclayer-commands/./base//' 'C:\wclayer-commands\scratch\'
got CreateSandboxLayer layer 'C:\wclayer-commands\scratch'
got CreateSandboxLayer parents 'C:\wclayer-commands\base'
called CreateSandboxLayer
has scratch/sandbox.vhdx
grep -qxF '["C:\\wclayer-commands\\base"]' "$work/scratch/layerchain.json" ||
    fail "layerchain.json: $(cat "$work/scratch/layerchain.json")"
wclayer mount -l 'C:\wclayer-commands\x\..\base' 'C:\wclayer-commands\scratch\.' >"$work/mount.txt"
got PrepareLayer layer 'C:\wclayer-commands\scratch'
got PrepareLayer parents 'C:\wclayer-commands\base'
called ActivateLayer PrepareLayer GetLayerMountPath
grep -qF '\\?\Volume{' "$work/mount.txt" || fail "mount does not print the volume"
wclayer unmount 'C:\wclayer-commands\scratch'
called UnprepareLayer DeactivateLayer
wclayer remove 'C:\wclayer-commands\scratch\'
got DestroyLayer layer 'C:\wclayer-commands\scratch'
called DestroyLayer
has_not scratch

# A failure reports the DLL call and the reason, and leaves nothing behind.
if WCLAYER_STANDIN_FAIL=CreateSandboxLayer:1:0x80070005 wclayer create \
    -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\failed' 2>"$work/error.txt"; then
    fail "a failed create exits successfully"
fi
grep -qF 'CreateSandboxLayer (vmcompute.dll)' "$work/error.txt" || fail "the call is not named"
grep -qF '0x80070005' "$work/error.txt" || fail "the code is not named"
has_not failed
rm -f "$WCLAYER_STANDIN_LOG"

# If the second step of mount fails, the first is undone.
wclayer create -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch'
rm -f "$WCLAYER_STANDIN_LOG"
if WCLAYER_STANDIN_FAIL=PrepareLayer:1:0x80070005 wclayer mount \
    -l 'C:\wclayer-commands\base' 'C:\wclayer-commands\scratch' 2>"$work/error.txt"; then
    fail "a failed mount exits successfully"
fi
called ActivateLayer PrepareLayer DeactivateLayer
wclayer remove --force 'C:\wclayer-commands\scratch'
has_not scratch
wclayer remove 'C:\wclayer-commands\base'
has_not base

# import and export: a Windows layer goes through the service and comes back unchanged, as far as
# Wine's disks allow; without a format, the presence of the service decides. The sample omits
# everything that Wine lacks: symbolic links, junctions, alternate streams, extended attributes.
python3 - "$work" <<'PYTHON'
import sys
import tarfile


def copy(source, target, wanted):
    with tarfile.open(source) as full, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as part:
        for member in full:
            if wanted(member):
                records = member.pax_headers
                for key in [key for key in records if key.startswith("MSWINDOWS.xattr.")]:
                    del records[key]
                part.addfile(member, full.extractfile(member) if member.isreg() else None)


def wine_can(member):
    return not member.issym() and ":" not in member.name


def filter_can(member):
    return wine_can(member) and not member.islnk() and not member.name.endswith(".wh..wh..opq")


folder = sys.argv[1] + "/"
copy("examples/sample/base.tar.gz", folder + "base.tar", wine_can)
copy("examples/sample/app.tar.gz", folder + "app.tar", wine_can)
copy("examples/sample/app.tar.gz", folder + "plain.tar", filter_can)
PYTHON
rm -f "$WCLAYER_STANDIN_LOG"
wclayer import -i 'C:\wclayer-commands\base.tar' 'C:\wclayer-commands\base' >"$work/import.txt"
called ProcessBaseImage
grep -q 'format *windows' "$work/import.txt" || fail "the default format is not windows"
has base/blank-base.vhdx
has base/layerchain.json
wclayer import -v -l 'C:\wclayer-commands\base' -i 'C:\wclayer-commands\app.tar' \
    'C:\wclayer-commands\app' >"$work/import.txt" 2>"$work/steps.txt"
got ImportLayer layer '\\?\C:\wclayer-commands\app'
got ImportLayer parents 'C:\wclayer-commands\base'
if grep -qF '"folder":"\\\\?\\' "$WCLAYER_STANDIN_LOG"; then
    fail "the transport folder has its extended-length form"
fi
called ImportLayer
grep -q 'using the legacy writer' "$work/steps.txt" || [[ $filter == without-filter ]] ||
    fail "the writer is not named"
has app/Files
has_not .app.wclayer-importing
wclayer info --json 'C:\wclayer-commands\app' >"$work/info.json"
grep -q '"format": "windows"' "$work/info.json" || fail "info does not know the layer"
rm -f "$WCLAYER_STANDIN_LOG"
wclayer export -o 'C:\wclayer-commands\out.tar' 'C:\wclayer-commands\app'
called ActivateLayer PrepareLayer UnprepareLayer ExportLayer DeactivateLayer
tar -tf "$work/out.tar" >"$work/out.txt"
grep -q 'Files/Program Files/App/app.exe' "$work/out.txt" || fail "a file is missing in the export"
grep -q '/\.wh\.' "$work/out.txt" || fail "the removals are missing in the export"

# A layer without hard links and opaque whiteouts uses the filter if there is one.
wclayer import -l 'C:\wclayer-commands\base' -i 'C:\wclayer-commands\plain.tar' \
    'C:\wclayer-commands\plain'
if [[ $filter == with-filter ]]; then
    called ImportLayerBegin ImportLayerEnd
else
    called ImportLayer
fi

# A failure leaves nothing behind and reports the location.
if WCLAYER_STANDIN_FAIL=ImportLayer:1:0x80070003 wclayer import -l 'C:\wclayer-commands\base' \
    -i 'C:\wclayer-commands\app.tar' 'C:\wclayer-commands\failed' 2>"$work/error.txt"; then
    fail "a failed import exits successfully"
fi
grep -qF 'ImportLayer (vmcompute.dll) failed' "$work/error.txt" || fail "the call is not named"
grep -qF 'HRESULT 0x80070003' "$work/error.txt" || fail "the code is not named"
has_not failed
has_not .failed.wclayer-importing
for layer in plain app base; do
    wclayer remove "C:\\wclayer-commands\\$layer"
    has_not "$layer"
done
rm -f "$WCLAYER_STANDIN_LOG"
rm -rf "$work"
