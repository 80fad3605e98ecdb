#!/bin/bash
# import-images.sh RUN   brings the images of the cache into the running containerd of RUN: those that changed since the last time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$(readlink -f "$0")")/../lib.sh"
progress
seen=$cache/containerd/imported; mkdir -p "$seen"
for image in "$cache"/images/*.tar; do
  digest=$(made_from "$image") stamp=$seen/$(basename "$image")
  [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ] || continue
  step "import ${image##*/}" ctr -a "$1/containerd.sock" -n k8s.io images import "$image"
  echo "$digest" >"$stamp"
done
